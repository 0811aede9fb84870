use super::{Mask, Region};

/// Energy-based pointing game: the share of the mask's sum that lies in the boxes of the class.
///
///   Σ_{ij in the boxes} L_ij / Σ_ij L_ij
///
/// Wang et al. 2020 (Score-CAM, arXiv 1910.01279), section 4.3. 0 to 1, higher is better. `None` where the mask is zero everywhere, or the
/// input shows nothing of the boxes.
pub fn energy_inside(mask: &Mask, region: &Region) -> Option<f64> {
    let (mut inside, mut all) = (0.0, 0.0);
    for (value, in_boxes) in mask.values().iter().zip(region.inside()) {
        let value = f64::from(*value);
        all += value;
        inside += if *in_boxes { value } else { 0.0 };
    }
    (all > 0.0 && region.area() > 0).then(|| inside / all)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::picture::Rectangle;

    #[test]
    fn worked_out_by_hand() {
        let region = Region::of(&[Rectangle { left: 0.0, top: 0.0, right: 1.0, bottom: 2.0 }], (2, 2));
        assert_eq!(energy_inside(&Mask::from_values(array![[0.5, 0.25], [0.0, 0.25]]), &region), Some(0.5));
        assert_eq!(energy_inside(&Mask::from_values(array![[0.0, 0.0], [0.0, 0.0]]), &region), None);
        assert_eq!(energy_inside(&Mask::from_values(array![[1.0, 0.0], [0.0, 0.0]]), &Region::of(&[], (2, 2))), None);
    }
}
