//! How sure a mean is, and whether two methods differ.
//!
//! The same seed gives the same numbers, on every machine.

use crate::method::Draws;

/// A mean and where it may lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean of all values.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Values.
    pub n: usize,
}

/// Resamplings behind an interval.
pub const RESAMPLES: usize = 2000;

/// The mean with its 95 % percentile bootstrap interval (Efron 1979): as many units are drawn, with replacement, as there are,
/// [`RESAMPLES`] times.
///
/// `units` says of each value to which unit it belongs: its image, or the photograph that several images were made of; a unit's
/// values are drawn together. `None` without a value.
///
/// # Panics
/// Where there are not as many units as values.
pub fn mean_interval(values: &[f64], units: &[usize], seed: u64) -> Option<Estimate> {
    assert_eq!(values.len(), units.len(), "a unit for each value");
    if values.is_empty() {
        return None;
    }
    let mut sums: Vec<(f64, usize)> = vec![(0.0, 0); units.iter().max().map_or(0, |most| most + 1)];
    for (value, unit) in values.iter().zip(units) {
        sums[*unit] = (sums[*unit].0 + value, sums[*unit].1 + 1);
    }
    sums.retain(|(_, count)| *count > 0);
    let resampled = |sample: usize| {
        let mut draws = Draws::of(seed, sample);
        let drawn = (0..sums.len()).map(|_| sums[(draws.uniform() * sums.len() as f64) as usize]);
        let (sum, count) = drawn.fold((0.0, 0), |(sum, count), (s, c)| (sum + s, count + c));
        sum / count as f64
    };
    let mut means: Vec<f64> = (0..RESAMPLES).map(resampled).collect();
    means.sort_by(f64::total_cmp);
    let n = values.len();
    let value = values.iter().sum::<f64>() / n as f64;
    Some(Estimate { value, low: quantile(&means, 0.025), high: quantile(&means, 0.975), n })
}

/// Of sorted values, interpolated linearly: position p (n − 1).
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let at = p * (sorted.len() - 1) as f64;
    let low = at as usize;
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + (sorted[high] - sorted[low]) * (at - low as f64)
}

/// Exact two-sided sign test: the probability of a split at least as uneven, were both methods equally likely to win.
/// Ties are left out; 1 where nothing else is there.
pub fn sign_test(wins: usize, losses: usize) -> f64 {
    let n = wins + losses;
    // C(n, k) / 2ⁿ, in logarithms.
    let mut term = -(n as f64) * std::f64::consts::LN_2;
    let mut tail = term.exp();
    for k in 0..wins.min(losses) {
        term += ((n - k) as f64).ln() - ((k + 1) as f64).ln();
        tail += term.exp();
    }
    (2.0 * tail).min(1.0)
}

/// Two-sided Wilcoxon signed-rank test of paired differences: the probability of rank sums at least as uneven, were they
/// distributed evenly about 0. Zeros are left out, ties share their ranks; exact for at most 50 differences without either, else by
/// the normal distribution with the correction for ties (Wilcoxon 1945; the choices are SciPy's `wilcoxon`). `None` where no
/// difference is left, or one is not a number.
pub fn wilcoxon(differences: &[f64]) -> Option<f64> {
    let mut left: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    if left.is_empty() || left.iter().any(|d| d.is_nan()) {
        return None;
    }
    left.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let n = left.len();
    let (mut positive, mut tie_correction, mut ties) = (0.0, 0.0, false);
    let mut begin = 0;
    while begin < n {
        let equal = left[begin..].iter().take_while(|d| d.abs() == left[begin].abs()).count();
        let rank = (2 * begin + equal + 1) as f64 / 2.0;
        positive += rank * left[begin..begin + equal].iter().filter(|d| **d > 0.0).count() as f64;
        tie_correction += (equal.pow(3) - equal) as f64;
        ties |= equal > 1;
        begin += equal;
    }
    let all = (n * (n + 1)) as f64 / 2.0;
    let smaller = positive.min(all - positive);
    if n <= 50 && !ties && n == differences.len() {
        return Some((2.0 * at_most(n, smaller as usize)).min(1.0));
    }
    let count = n as f64;
    let variance = count * (count + 1.0) * (2.0 * count + 1.0) / 24.0 - tie_correction / 48.0;
    Some(if variance > 0.0 { two_sided((smaller - all / 2.0) / variance.sqrt()) } else { 1.0 })
}

/// The probability that the sum of a random subset of 1 … n is at most `limit`.
fn at_most(n: usize, limit: usize) -> f64 {
    let mut ways = vec![0.0; limit + 1];
    ways[0] = 1.0;
    for rank in 1..=n {
        for sum in (rank..=limit).rev() {
            ways[sum] += ways[sum - rank];
        }
    }
    ways.iter().sum::<f64>() / 2f64.powi(n as i32)
}

/// P(|Z| ≥ |z|) of a standard normal Z.
fn two_sided(z: f64) -> f64 {
    libm::erfc(z.abs() / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_test_by_hand() {
        assert_eq!(sign_test(0, 0), 1.0);
        assert!((sign_test(5, 0) - 2.0 / 32.0).abs() < 1e-15);
        assert!((sign_test(1, 4) - 12.0 / 32.0).abs() < 1e-15);
        assert_eq!(sign_test(3, 3), 1.0);
        assert!(sign_test(26_000, 24_000) < 1e-15); // 2⁻ⁿ underflows, the sum does not.
    }

    #[test]
    fn wilcoxon_by_hand() {
        assert_eq!(wilcoxon(&[]), None);
        assert_eq!(wilcoxon(&[0.0]), None);
        assert_eq!(wilcoxon(&[1.0, f64::NAN]), None);
        // All of one sign: two of the 2ⁿ sign patterns.
        assert_eq!(wilcoxon(&[1.0, 2.0, 3.0, 4.0]), Some(2.0 / 16.0));
        // Rank sums 1 and 5: {} and {1} are at most 1.
        assert_eq!(wilcoxon(&[-1.0, 2.0, 3.0]), Some(4.0 / 8.0));
    }

    #[test]
    fn an_interval_is_of_units() {
        let values: Vec<f64> = (0..100).map(|i| f64::from(i % 2)).collect();
        let images: Vec<usize> = (0..100).collect();
        let alone = mean_interval(&values, &images, 1).unwrap();
        assert_eq!((alone.value, alone.n), (0.5, 100));
        assert!((alone.low - 0.40).abs() < 0.02 && (alone.high - 0.60).abs() < 0.02, "{alone:?}");
        assert_eq!(mean_interval(&values, &images, 1), Some(alone));
        // Of four photographs, each all 0 or all 1, little is known.
        let photographs: Vec<usize> = (0..100).map(|i| i % 4).collect();
        let together = mean_interval(&values, &photographs, 1).unwrap();
        assert_eq!((together.low, together.high), (0.0, 1.0));
        assert_eq!(mean_interval(&[], &[], 1), None);
        let one = mean_interval(&[0.25], &[3], 1).unwrap();
        assert_eq!((one.value, one.low, one.high), (0.25, 0.25, 0.25));
    }
}
