use super::{Mask, Region};

/// Intersection over union of the boxes of the class and the pixels whose mask is above δ.
///
///   |{L > δ} ∩ boxes| / |{L > δ} ∪ boxes|
///
/// 0 to 1, higher is better. `None` where the input shows nothing of the boxes.
pub fn intersection_over_union(mask: &Mask, region: &Region, delta: f32) -> Option<f64> {
    let (mut both, mut either) = (0_usize, 0_usize);
    for (value, inside) in mask.values().iter().zip(region.inside()) {
        let above = *value > delta;
        both += usize::from(above && *inside);
        either += usize::from(above || *inside);
    }
    (region.area() > 0).then(|| both as f64 / either as f64)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::picture::Rectangle;

    #[test]
    fn worked_out_by_hand() {
        let region = Region::of(&[Rectangle { left: 0.0, top: 0.0, right: 1.0, bottom: 2.0 }], (2, 2));
        let mask = Mask::from_values(array![[1.0, 0.5], [0.0, 0.0]]);
        assert_eq!(intersection_over_union(&mask, &region, 0.25), Some(1.0 / 3.0));
        assert_eq!(intersection_over_union(&mask, &region, 0.5), Some(0.5));
        assert_eq!(intersection_over_union(&mask, &region, 1.0), Some(0.0));
        assert_eq!(intersection_over_union(&mask, &Region::of(&[], (2, 2)), 0.0), None);
    }
}
