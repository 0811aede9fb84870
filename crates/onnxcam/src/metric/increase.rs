use super::TIE;

/// Increase in confidence: whether the explanation map alone is more convincing than the picture.
///
///   O > Y
///
/// Chattopadhyay et al. 2017, section 4.1.1, by more than [`TIE`]; the table's figure is the share of images, times 100. Higher is better.
/// `None` where one is not a number.
pub fn increases(plain: f64, masked: f64) -> Option<bool> {
    (!(masked - plain).is_nan()).then_some(masked > plain + TIE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tie_is_no_increase() {
        assert_eq!(increases(0.5, 0.5), Some(false));
        assert_eq!(increases(0.5, 0.5 + 9e-7), Some(false));
        assert_eq!(increases(0.5, 0.500_002), Some(true));
        assert_eq!(increases(1.0, 1.0), Some(false));
        assert_eq!(increases(f64::NAN, 1.0), None);
    }
}
