use super::Mask;

/// Sparseness: the Gini index of the mask, 0 where all is equally strong, towards 1 where it is one pixel.
///
///   G = 1 − 2 Σ_k v_k / Σ v · (n − k + ½) / n,  v₁ ≤ … ≤ v_n
///
/// Hurley & Rickard 2009, as Chalasani et al. 2020 take it for explanations. 0 of a mask that is zero everywhere.
pub fn gini(mask: &Mask) -> f64 {
    let mut sorted: Vec<f64> = mask.values().iter().map(|v| f64::from(*v)).collect();
    sorted.sort_by(f64::total_cmp);
    let (n, sum) = (sorted.len() as f64, sorted.iter().sum::<f64>());
    let weighted: f64 = sorted.iter().enumerate().map(|(i, v)| v * (n - (i + 1) as f64 + 0.5) / n).sum();
    if sum > 0.0 { 1.0 - 2.0 * weighted / sum } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn worked_out_by_hand() {
        assert!((gini(&Mask::from_values(Array2::ones((5, 5))))).abs() < 1e-15);
        assert_eq!(gini(&Mask::from_values(Array2::zeros((5, 5)))), 0.0);
        assert_eq!(gini(&Mask::from_values(array![[0.0, 0.0], [1.0, 0.0]])), 0.75);
        // 1 − 2 (¼ · ¾ + ¾ · ¼) of two values, 1/4 and 3/4.
        assert_eq!(gini(&Mask::from_values(array![[0.75, 0.25]])), 0.25);
    }
}
