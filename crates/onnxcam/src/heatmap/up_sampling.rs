//! Small maps made as large as a picture.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, ArrayViewMut2};

use crate::picture::Placement;

/// Half-pixel bilinear up-sampling: the centre of cell i of n lies at (i + ½)/n of the network's input; beyond the outermost
/// centres the outermost cells go on.
#[derive(Clone, Debug)]
pub(crate) struct UpSampling {
    down: Vec<Mix>,
    across: Vec<Mix>,
    /// Rows of the small map, as wide as the large one.
    wide: Array2<f32>,
}

/// Two neighbouring cells, and the share of the second.
#[derive(Clone, Copy, Debug)]
struct Mix {
    low: usize,
    high: usize,
    share: f32,
}

impl UpSampling {
    /// From a map of `(rows, columns)` onto the pixels of a picture that the network saw.
    pub fn onto(placement: &Placement, (rows, columns): (usize, usize)) -> UpSampling {
        let ((across, down), covered) = (placement.seen(), placement.covered());
        let across = mixes(across, covered.left, covered.right, columns);
        let down = mixes(down, covered.top, covered.bottom, rows);
        let wide = Array2::zeros((rows, across.len()));
        UpSampling { down, across, wide }
    }

    /// From a map of `(rows, columns)` to the network's input of `(height, width)`.
    pub fn new(small: (usize, usize), (height, width): (usize, usize)) -> UpSampling {
        let size = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        UpSampling::onto(&Placement::whole(size(width), size(height)), small)
    }

    /// Writes `small` [rows, columns] over `large` [height, width]. Columns first, while there are few rows.
    pub fn write(&mut self, small: ArrayView2<f32>, mut large: ArrayViewMut2<f32>) {
        for (small, mut wide) in small.outer_iter().zip(self.wide.outer_iter_mut()) {
            for (value, Mix { low, high, share }) in wide.iter_mut().zip(&self.across) {
                *value = small[*low] * (1.0 - share) + small[*high] * share;
            }
        }
        for (mut row, Mix { low, high, share }) in large.outer_iter_mut().zip(&self.down) {
            let (low, high) = (self.wide.row(*low), self.wide.row(*high));
            for ((value, low), high) in row.iter_mut().zip(low).zip(high) {
                *value = low * (1.0 - share) + high * share;
            }
        }
    }

    /// The large map.
    pub fn of(&mut self, small: ArrayView2<f32>) -> Array2<f32> {
        let mut large = Array2::zeros((self.down.len(), self.across.len()));
        self.write(small, large.view_mut());
        large
    }
}

/// For each pixel, the cells it lies between: `cells` cells span `from..to` in the picture.
fn mixes(pixels: Range<u32>, from: f64, to: f64, cells: usize) -> Vec<Mix> {
    let last = cells.max(1) - 1;
    let mix = |pixel: u32| {
        let at = (f64::from(pixel) + 0.5 - from) / (to - from) * cells as f64 - 0.5;
        let at = at.clamp(0.0, last as f64);
        let low = at as usize;
        Mix { low, high: (low + 1).min(last), share: (at - low as f64) as f32 }
    };
    pixels.map(mix).collect()
}
