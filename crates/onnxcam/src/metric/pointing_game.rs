use super::{Mask, Region};

/// The usual tolerance, in pixels of the photograph.
pub const TOLERANCE: f64 = 15.0;

/// Pointing game: whether the strongest pixel lies in a box of the class, or not farther from one than `tolerance`.
///
/// Zhang et al. 2016 (arXiv 1608.00507), section 4.1. The strongest is the first in row-major order; distances are those of pixels'
/// centres. A mask that is zero everywhere misses. The figure is the share of hits, first of a class's images, then the mean of the
/// classes. Higher is better. `None` where the input shows nothing of the boxes.
pub fn points_at(mask: &Mask, region: &Region, tolerance: f64) -> Option<bool> {
    if region.area() == 0 {
        return None;
    }
    let Some((y, x)) = mask.peak() else { return Some(false) };
    let near = |(row, column): (usize, usize)| {
        let (down, across) = (row.abs_diff(y) as f64, column.abs_diff(x) as f64);
        down.hypot(across) <= tolerance
    };
    Some(region.inside().indexed_iter().any(|(at, inside)| *inside && near(at)))
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::picture::Rectangle;

    #[test]
    fn near_is_a_hit_and_nothing_a_miss() {
        let region = Region::of(&[Rectangle { left: 0.0, top: 0.0, right: 2.0, bottom: 2.0 }], (8, 8));
        let mut values = Array2::zeros((8, 8));
        assert_eq!(points_at(&Mask::from_values(values.clone()), &region, 100.0), Some(false));
        values[[4, 5]] = 1.0; // 3 down and 4 across from the box's corner pixel.
        let mask = Mask::from_values(values);
        assert_eq!(points_at(&mask, &region, 5.0), Some(true));
        assert_eq!(points_at(&mask, &region, 4.9), Some(false));
        assert_eq!(points_at(&mask, &Region::of(&[], (8, 8)), 5.0), None);
    }
}
