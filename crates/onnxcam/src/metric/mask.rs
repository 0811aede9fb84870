use ndarray::Array2;

use crate::heatmap::{Flatness, UpSampling};

/// How much of each pixel of the network's input is kept: `[H, W]`, 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Mask {
    values: Array2<f32>,
    flatness: Flatness,
}

/// How a map becomes a mask of 0 to 1, after relu and up-sampling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stretch {
    /// (L − min L) / (max L − min L).
    #[default]
    MinMax,
    /// L / max L.
    Max,
    /// As it is, at most 1.
    None,
}

impl Mask {
    /// Of a raw map `[h, w]`, for an input of `(height, width)`: its positive part, half-pixel bilinearly up-sampled, then
    /// stretched. A map that is zero or constant, or holds NaN or infinity, keeps nothing, and says so.
    pub fn of(raw: &Array2<f32>, size: (usize, usize), stretch: Stretch) -> Mask {
        let flatness = Flatness::of(raw);
        if flatness != Flatness::Varies {
            return Mask { values: Array2::zeros(size), flatness };
        }
        let mut values = UpSampling::new(raw.dim(), size).of(raw.mapv(|v| v.max(0.0)).view());
        let least = values.iter().copied().fold(f32::INFINITY, f32::min);
        let most = values.iter().copied().fold(0.0, f32::max);
        match stretch {
            Stretch::MinMax if most > least => values.mapv_inplace(|v| ((v - least) / (most - least)).clamp(0.0, 1.0)),
            Stretch::Max if most > 0.0 => values.mapv_inplace(|v| (v / most).min(1.0)),
            Stretch::None => values.mapv_inplace(|v| v.min(1.0)),
            // Down-sampled to one value.
            _ => return Mask { values: Array2::zeros(size), flatness: Flatness::Constant },
        }
        Mask { values, flatness }
    }

    /// A mask as it stands, for what is no map of a network's; values are brought to 0 … 1, NaN to 0.
    pub fn from_values(values: Array2<f32>) -> Mask {
        let values = values.mapv(|v| if v.is_nan() { 0.0 } else { v.clamp(0.0, 1.0) });
        let flatness = Flatness::of(&values);
        Mask { values, flatness }
    }

    /// The shares that are kept, `[H, W]`.
    pub fn values(&self) -> &Array2<f32> {
        &self.values
    }

    /// Whether the map that it was made of showed anything.
    pub fn flatness(&self) -> Flatness {
        self.flatness
    }

    /// The first of the largest values in row-major order: row and column; `None` where all are 0.
    pub fn peak(&self) -> Option<(usize, usize)> {
        let mut best = None;
        for (at, value) in self.values.indexed_iter() {
            if *value > best.map_or(0.0, |(_, most)| most) {
                best = Some((at, *value));
            }
        }
        best.map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn stretched_after_up_sampling() {
        // Cells at 1/4 and 3/4: pixels in the middle of four lie between them, those outside repeat.
        let raw = array![[-3.0, 4.0]];
        let mask = Mask::of(&raw, (1, 4), Stretch::MinMax);
        assert_eq!(mask.values(), &array![[0.0, 0.25, 0.75, 1.0]]);
        let raised = array![[2.0, 4.0]];
        assert_eq!(Mask::of(&raised, (1, 4), Stretch::MinMax).values(), mask.values());
        assert_eq!(Mask::of(&raised, (1, 4), Stretch::Max).values(), &array![[0.5, 0.625, 0.875, 1.0]]);
        assert_eq!(Mask::of(&(&raised / 4.0), (1, 4), Stretch::None).values(), &array![[0.5, 0.625, 0.875, 1.0]]);
    }

    #[test]
    fn maps_that_show_nothing_keep_nothing() {
        for (value, flatness) in [(-1.0, Flatness::Zero), (0.3, Flatness::Constant), (f32::NAN, Flatness::NotFinite)] {
            let mask = Mask::of(&Array2::from_elem((2, 2), value), (3, 3), Stretch::MinMax);
            assert_eq!((mask.flatness(), mask.peak()), (flatness, None));
            assert!(mask.values().iter().all(|v| *v == 0.0));
        }
        // One pixel cannot vary, though its map does.
        let one = Mask::of(&array![[0.0, 1.0]], (1, 1), Stretch::MinMax);
        assert_eq!((one.flatness(), one.values()), (Flatness::Constant, &array![[0.0]]));
    }

    #[test]
    fn the_first_peak_counts() {
        let mask = Mask::from_values(array![[0.0, 2.0], [f32::NAN, 1.0]]);
        assert_eq!(mask.values(), &array![[0.0, 1.0], [0.0, 1.0]]);
        assert_eq!(mask.peak(), Some((0, 1)));
    }
}
