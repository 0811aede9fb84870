use super::{Mask, Region};

/// Localisation: how much of the map lies in the boxes of the class, and how little beside them.
///
///   Loc(δ) = internal / (area of the boxes + external)
///
/// Chattopadhyay et al. 2017, Eq. 12: internal and external are the pixels inside and outside the boxes whose mask is above δ. 0 to 1,
/// higher is better; at δ = 0 mostly the boxes' share of the picture. `None` where the input shows nothing of the boxes.
pub fn localisation(mask: &Mask, region: &Region, delta: f32) -> Option<f64> {
    let (mut internal, mut external) = (0_usize, 0_usize);
    for (value, inside) in mask.values().iter().zip(region.inside()) {
        match (*value > delta, *inside) {
            (true, true) => internal += 1,
            (true, false) => external += 1,
            (false, _) => {}
        }
    }
    let boxes = region.area();
    (boxes > 0).then(|| internal as f64 / (boxes + external) as f64)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::picture::Rectangle;

    fn left_half(size: (usize, usize)) -> Region {
        let right = size.1 as f64 / 2.0;
        Region::of(&[Rectangle { left: 0.0, top: 0.0, right, bottom: size.0 as f64 }], size)
    }

    #[test]
    fn worked_out_by_hand() {
        let mask = Mask::from_values(array![[1.0, 0.5, 0.25, 0.0], [0.5, 0.0, 0.0, 0.75]]);
        let region = left_half((2, 4));
        assert_eq!(localisation(&mask, &region, 0.0), Some(3.0 / 6.0));
        assert_eq!(localisation(&mask, &region, 0.25), Some(3.0 / 5.0)); // A quarter is not above a quarter.
        assert_eq!(localisation(&mask, &region, 0.5), Some(1.0 / 5.0));
        assert_eq!(localisation(&mask, &region, 1.0), Some(0.0));
    }

    #[test]
    fn edges() {
        let region = left_half((2, 4));
        assert_eq!(localisation(&Mask::from_values(Array2::zeros((2, 4))), &region, 0.0), Some(0.0));
        assert_eq!(localisation(&Mask::from_values(Array2::ones((2, 4))), &region, 0.0), Some(0.5));
        let nowhere = Region::of(&[Rectangle { left: 9.0, top: 0.0, right: 12.0, bottom: 2.0 }], (2, 4));
        assert_eq!(localisation(&Mask::from_values(Array2::ones((2, 4))), &nowhere, 0.0), None);
        let pixel = Region::of(&[Rectangle { left: 0.0, top: 0.0, right: 1.0, bottom: 1.0 }], (1, 1));
        assert_eq!(localisation(&Mask::from_values(array![[1.0]]), &pixel, 0.5), Some(1.0));
    }
}
