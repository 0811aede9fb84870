//! Small maps made as large as the network's input.

use ndarray::{Array2, ArrayView2, ArrayViewMut2};

/// Half-pixel bilinear up-sampling from one size to another, as [`Heatmap`](crate::heatmap::Heatmap)s are placed: the
/// centre of cell i of n lies at (i + ½)/n; beyond the outermost centres the outermost cells go on.
#[derive(Clone, Debug)]
pub(super) struct UpSampling {
    down: Vec<(usize, usize, f32)>,
    across: Vec<(usize, usize, f32)>,
    /// Rows of the small map, as wide as the large one.
    wide: Array2<f32>,
}

impl UpSampling {
    pub fn new((rows, columns): (usize, usize), (height, width): (usize, usize)) -> UpSampling {
        UpSampling { down: mixes(rows, height), across: mixes(columns, width), wide: Array2::zeros((rows, width)) }
    }

    /// Writes `small` [rows, columns] over `large` [height, width].
    pub fn write(&mut self, small: ArrayView2<f32>, mut large: ArrayViewMut2<f32>) {
        for (small, mut wide) in small.outer_iter().zip(self.wide.outer_iter_mut()) {
            for (value, (low, high, share)) in wide.iter_mut().zip(&self.across) {
                *value = small[*low] * (1.0 - share) + small[*high] * share;
            }
        }
        for (mut row, (low, high, share)) in large.outer_iter_mut().zip(&self.down) {
            let (low, high) = (self.wide.row(*low), self.wide.row(*high));
            for ((value, low), high) in row.iter_mut().zip(low).zip(high) {
                *value = low * (1.0 - share) + high * share;
            }
        }
    }
}

/// For each of `many` places two cells of `few`, and the share of the second.
fn mixes(few: usize, many: usize) -> Vec<(usize, usize, f32)> {
    let mix = |i: usize| {
        let at = ((i as f64 + 0.5) * few as f64 / many as f64 - 0.5).clamp(0.0, (few.max(1) - 1) as f64);
        let low = at.floor() as usize;
        (low, (low + 1).min(few.max(1) - 1), (at - at.floor()) as f32)
    };
    (0..many).map(mix).collect()
}

/// To 0..=1; all 0 where it is the same everywhere.
pub(super) fn min_max(mut map: ArrayViewMut2<f32>) {
    let least = map.iter().copied().fold(f32::INFINITY, f32::min);
    let most = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let range = most - least;
    map.mapv_inplace(|v| if range > 0.0 { (v - least) / range } else { 0.0 });
}
