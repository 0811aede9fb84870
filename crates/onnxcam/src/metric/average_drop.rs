use super::LEAST_CONFIDENCE;

/// What a confidence that rises counts as in the average drop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Below {
    /// As no drop: max(0, Y − O) / Y, the paper's.
    #[default]
    Zero,
    /// As what it is: (Y − O) / Y.
    Signed,
}

/// Average drop: how much confidence the explanation map loses.
///
///   max(0, Y − O) / Y
///
/// Chattopadhyay et al. 2017, section 4.1.1; the table's figure is the mean over all images, times 100. 0 to 1, lower is better. `None`
/// where Y is below [`LEAST_CONFIDENCE`], or one is not a number.
pub fn drop_share(plain: f64, masked: f64, below: Below) -> Option<f64> {
    let share = (plain - masked) / plain;
    let share = if below == Below::Zero { share.max(0.0) } else { share };
    (plain >= LEAST_CONFIDENCE && !(plain - masked).is_nan()).then_some(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_out_by_hand() {
        assert_eq!(drop_share(0.8, 0.4, Below::Zero), Some(0.5)); // The paper's own example.
        assert_eq!(drop_share(1.0, 0.0, Below::Zero), Some(1.0));
        assert_eq!(drop_share(0.5, 0.75, Below::Zero), Some(0.0));
        assert_eq!(drop_share(0.5, 0.75, Below::Signed), Some(-0.5));
    }

    #[test]
    fn nothing_to_drop() {
        assert_eq!(drop_share(0.0, 0.0, Below::Zero), None);
        assert_eq!(drop_share(1e-13, 1.0, Below::Signed), None);
        assert_eq!(drop_share(f64::NAN, 0.5, Below::Zero), None);
        assert_eq!(drop_share(0.5, f64::NAN, Below::Zero), None);
    }
}
