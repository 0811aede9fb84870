//! Seeded random inputs, drawn away from the places where operators are not differentiable.

use ndarray::{ArrayD, IxDyn};

/// Least distance from a kink.
const MARGIN: f64 = 0.05;

/// A seeded source of tensors: SplitMix64 (Steele, Lea, Flood 2014), the same on every machine and for ever.
#[derive(Clone, Debug)]
pub struct Draw {
    state: u64,
}

impl Draw {
    /// A source; equal seeds draw equally.
    pub fn new(seed: u64) -> Draw {
        Draw { state: seed }
    }

    fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in [from, to), uniformly.
    pub fn number(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// An integer below `n`, which is above 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.number(0.0, n as f64) as usize
    }

    /// Elements in [−2, 2).
    pub fn uniform(&mut self, shape: &[usize]) -> ArrayD<f64> {
        self.between(-2.0, 2.0, shape)
    }

    /// Elements in [from, to).
    pub fn between(&mut self, from: f64, to: f64, shape: &[usize]) -> ArrayD<f64> {
        ArrayD::from_shape_simple_fn(IxDyn(shape), || self.number(from, to))
    }

    /// Elements in [0.5, 2): for logarithms, roots, divisors, variances.
    pub fn positive(&mut self, shape: &[usize]) -> ArrayD<f64> {
        self.between(0.5, 2.0, shape)
    }

    /// Elements in [−2, 2), none within 0.05 of a kink: `&[0.0]` for Relu, the bounds for Clip.
    pub fn away_from(&mut self, kinks: &[f64], shape: &[usize]) -> ArrayD<f64> {
        ArrayD::from_shape_simple_fn(IxDyn(shape), || {
            loop {
                let v = self.number(-2.0, 2.0);
                if kinks.iter().all(|kink| (v - kink).abs() >= MARGIN) {
                    return v;
                }
            }
        })
    }

    /// Elements in [−2, 2], each two at least 3/n apart, n of them, and none within 1/n of 0: maxima are unique.
    pub fn distinct(&mut self, shape: &[usize]) -> ArrayD<f64> {
        let n: usize = shape.iter().product();
        let gap = 4.0 / n as f64;
        let mut values: Vec<f64> =
            (0..n).map(|i| -2.0 + gap * (i as f64 + 0.5) + self.number(-gap / 8.0, gap / 8.0)).collect();
        for i in (1..n).rev() {
            let j = self.below(i + 1);
            values.swap(i, j);
        }
        // The middle one of an odd number would lie at 0.
        values.iter_mut().filter(|v| v.abs() < gap / 4.0).for_each(|v| *v = gap / 4.0);
        ArrayD::from_shape_vec(IxDyn(shape), values).expect("as many values as the shape has elements")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The first outputs for the seed 1234567, as the reference implementation prints them.
        let mut draw = Draw::new(1234567);
        assert_eq!([draw.bits(), draw.bits()], [6457827717110365317, 3203168211198807973]);
    }

    #[test]
    fn equal_seeds_draw_equally() {
        assert_eq!(Draw::new(3).uniform(&[2, 3]), Draw::new(3).uniform(&[2, 3]));
        assert_ne!(Draw::new(3).uniform(&[2, 3]), Draw::new(4).uniform(&[2, 3]));
    }

    #[test]
    fn kinks_are_avoided() {
        let drawn = Draw::new(1).away_from(&[0.0, 1.0], &[1000]);
        assert!(drawn.iter().all(|v| v.abs() >= 0.05 && (v - 1.0).abs() >= 0.05 && (-2.0..2.0).contains(v)));
    }

    #[test]
    fn distinct_values_are_apart_from_each_other_and_from_zero() {
        for n in [1, 2, 7, 64] {
            let drawn = Draw::new(n as u64).distinct(&[n]);
            let mut sorted = drawn.into_raw_vec_and_offset().0;
            sorted.sort_by(f64::total_cmp);
            let least = 0.5 * 4.0 / n as f64 - 1e-12;
            assert!(sorted.windows(2).all(|w| w[1] - w[0] >= least), "{sorted:?}");
            assert!(sorted.iter().all(|v| v.abs() >= 1.0 / n as f64 - 1e-12), "{sorted:?}");
        }
        let drawn = Draw::new(5).distinct(&[4, 4]);
        assert!((1..16).any(|i| drawn.as_slice().unwrap()[i] < drawn.as_slice().unwrap()[i - 1]), "not in order");
    }
}
