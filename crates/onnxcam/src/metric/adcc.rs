use super::Mask;

/// Complexity: how much of the picture the mask keeps, its mean. 0 to 1, lower is better.
///
/// Poppi et al. 2021 (arXiv 2104.10252), section 3.
pub fn complexity(mask: &Mask) -> f64 {
    mask.values().iter().map(|v| f64::from(*v)).sum::<f64>() / mask.values().len().max(1) as f64
}

/// Coherency: whether the explanation of the explanation map is the same.
///
///   (ρ(L(I), L(E)) + 1) / 2
///
/// Poppi et al. 2021, section 3, ρ Pearson's correlation of the two masks' pixels. 0 to 1, higher is better. `None` where one of them does
/// not vary.
pub fn coherency(of_picture: &Mask, of_explanation: &Mask) -> Option<f64> {
    let varies = |mask: &Mask| mask.values().iter().any(|v| Some(v) != mask.values().first());
    if !varies(of_picture) || !varies(of_explanation) {
        return None;
    }
    let pairs = || of_picture.values().iter().zip(of_explanation.values()).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let n = of_picture.values().len().max(1) as f64;
    let (mean_a, mean_b) = pairs().fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
    let (aa, bb, ab) = pairs().fold((0.0, 0.0, 0.0), |(aa, bb, ab), (x, y)| {
        let (x, y) = (x - mean_a, y - mean_b);
        (aa + x * x, bb + y * y, ab + x * y)
    });
    Some(((ab / (aa.sqrt() * bb.sqrt())).clamp(-1.0, 1.0) + 1.0) / 2.0)
}

/// ADCC: coherency, complexity and average drop of one image in one number, their harmonic mean.
///
///   3 / (1 / coherency + 1 / (1 − complexity) + 1 / (1 − drop))
///
/// Poppi et al. 2021, section 3; 0 where a term is. 0 to 1, higher is better.
pub fn adcc(coherency: f64, complexity: f64, drop: f64) -> f64 {
    let terms = [coherency, 1.0 - complexity, 1.0 - drop];
    if terms.iter().all(|term| *term > 0.0) { 3.0 / terms.iter().map(|term| 1.0 / term).sum::<f64>() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn worked_out_by_hand() {
        assert_eq!(complexity(&Mask::from_values(array![[0.0, 0.5], [0.5, 1.0]])), 0.5);
        assert_eq!(adcc(0.5, 0.5, 0.5), 0.5);
        assert_eq!(adcc(1.0, 0.0, 0.0), 1.0);
        assert_eq!((adcc(0.0, 0.5, 0.5), adcc(0.5, 1.0, 0.0), adcc(0.5, 0.5, 1.0)), (0.0, 0.0, 0.0));
    }

    #[test]
    fn coherency_of_the_same_and_the_opposite() {
        let mask = Mask::from_values(array![[0.0, 0.25], [0.75, 1.0]]);
        let opposite = Mask::from_values(array![[1.0, 0.75], [0.25, 0.0]]);
        assert!((coherency(&mask, &mask).unwrap() - 1.0).abs() < 1e-15);
        assert!(coherency(&mask, &opposite).unwrap().abs() < 1e-15);
        assert_eq!(coherency(&mask, &Mask::from_values(Array2::ones((2, 2)))), None);
    }
}
