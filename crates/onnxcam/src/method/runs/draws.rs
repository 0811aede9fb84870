//! Random numbers that are the same on every machine, and for a sample whatever others are drawn.

use std::f64::consts::TAU;

/// SplitMix64's step (Steele, Lea & Flood 2014).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64, begun at a place that seed and number of the sample give: mix(seed + mix(number + 1)).
#[derive(Clone, Debug)]
pub(crate) struct Draws {
    state: u64,
    /// The second of a pair of normal numbers.
    spare: Option<f64>,
}

impl Draws {
    pub fn of(seed: u64, sample: usize) -> Draws {
        Draws { state: mix(seed.wrapping_add(mix(sample as u64 + 1))), spare: None }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mix(self.state)
    }

    /// In [0, 1): the upper 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Of mean 0 and variance 1, in pairs (Box & Muller 1958): √(−2 ln(1 − u)) times cos and sin of 2πv.
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sin, cos) = (TAU * self.uniform()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }
}

/// SplitMix64's output function.
fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_its_own_numbers() {
        let first = |seed, sample| Draws::of(seed, sample).uniform();
        assert_eq!(first(3, 1), first(3, 1));
        assert!(first(3, 1) != first(3, 2) && first(3, 1) != first(4, 1));
        // Not the same sequence, a step later.
        let mut one = Draws::of(0, 0);
        assert!((0..1000).all(|_| one.uniform() != first(0, 1)));
    }

    #[test]
    fn moments() {
        let mut draws = Draws::of(7, 0);
        let normal: Vec<f64> = (0..100_000).map(|_| draws.normal()).collect();
        let mean = normal.iter().sum::<f64>() / normal.len() as f64;
        let variance = normal.iter().map(|v| v * v).sum::<f64>() / normal.len() as f64;
        let within_one = normal.iter().filter(|v| v.abs() < 1.0).count() as f64 / normal.len() as f64;
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02 && (within_one - 0.6827).abs() < 0.01);
    }
}
