//! How far methods are apart: their maps and weights for one picture on one network.

use std::sync::Arc;

use ndarray::Array2;

use crate::classifier::{Error, Settled};
use crate::engine::Engine;
use crate::explain::Explainer;
use crate::heatmap::Flatness;
use crate::method::Method;
use crate::picture::Picture;

/// What several methods make of one class of one picture.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The class.
    pub class: usize,
    /// The methods, in the order in which they were asked for.
    pub methods: Vec<Compared>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The method.
    pub method: &'static dyn Method,
    /// The positive part of its raw map, [h, w], before normalisation.
    pub map: Array2<f32>,
    /// w_k, \[K\]; or one weight a cell, one row of the feature maps after the other; empty where it has no weights.
    pub weights: Vec<f32>,
    /// What has to be said of its map.
    pub notes: Vec<String>,
}

/// How far two of them are apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Apart {
    /// Pearson's correlation; none where one of them does not vary, or holds NaN.
    pub correlation: Option<f64>,
    /// The greatest difference: of maps stretched to 0 … 1 (min–max, as pictures are), of weights divided by their greatest
    /// magnitude. None where one holds NaN, or there is nothing to compare.
    pub difference: Option<f64>,
}

/// Explains a picture by all of the plan's methods, their weights included; class −1 is the predicted one.
///
/// # Errors
/// Where the picture does not become the network's input, there is no such class, or the engine fails.
pub fn compare(
    settled: &Settled,
    engine: &Arc<dyn Engine>,
    threads: Option<usize>,
    picture: &Picture,
    class: i64,
) -> Result<Comparison, Error> {
    let (tensor, _) = settled.subject().preprocess()?.apply(picture)?;
    let plan = settled.plan();
    let mut explained = Explainer::with_weights(plan, engine, 1, threads)?.run(&tensor.into_dyn(), &[class])?;
    let explained = explained.remove(0);
    let parts = plan.maps.iter().zip(explained.maps).zip(explained.weights).zip(explained.notes);
    let methods = parts.map(|(((planned, map), weights), notes)| Compared {
        method: planned.method,
        map: map.mapv(|v| if v < 0.0 { 0.0 } else { v }), // NaN stays.
        weights,
        notes,
    });
    Ok(Comparison { class: explained.class, methods: methods.collect() })
}

impl Compared {
    /// How far the maps are apart.
    pub fn maps_apart(&self, other: &Compared) -> Apart {
        let stretched = |map: &Array2<f32>| -> Vec<f64> {
            let (least, most) = extent(map.iter().copied());
            let varies = Flatness::of(map) == Flatness::Varies;
            let stretch = |v: &f32| if varies { (f64::from(*v) - least) / (most - least) } else { f64::from(*v) * 0.0 };
            map.iter().map(stretch).collect()
        };
        apart(&stretched(&self.map), &stretched(&other.map))
    }

    /// How far the weights are apart, where both have one for each feature map, or both one for each cell.
    pub fn weights_apart(&self, other: &Compared) -> Apart {
        let scaled = |weights: &[f32]| -> Vec<f64> {
            let (_, most) = extent(weights.iter().map(|w| w.abs()));
            weights.iter().map(|w| f64::from(*w) / if most > 0.0 { most } else { 1.0 }).collect()
        };
        apart(&scaled(&self.weights), &scaled(&other.weights))
    }
}

/// The least and the greatest; NaN only where there is nothing else.
fn extent(values: impl Iterator<Item = f32>) -> (f64, f64) {
    values.fold((f64::NAN, f64::NAN), |(least, most), v| (least.min(f64::from(v)), most.max(f64::from(v))))
}

fn apart(a: &[f64], b: &[f64]) -> Apart {
    if a.len() != b.len() || a.is_empty() || a.iter().chain(b).any(|v| !v.is_finite()) {
        return Apart { correlation: None, difference: None };
    }
    let difference = a.iter().zip(b).fold(0.0, |most: f64, (a, b)| most.max((a - b).abs()));
    let centred = |values: &[f64]| -> Vec<f64> {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter().map(|v| v - mean).collect()
    };
    let (a, b) = (centred(a), centred(b));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let size = (dot(&a, &a) * dot(&b, &b)).sqrt();
    let correlation = (size > 0.0).then(|| (dot(&a, &b) / size).clamp(-1.0, 1.0));
    Apart { correlation, difference: Some(difference) }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::method::GradCam;

    fn compared(map: Array2<f32>, weights: &[f32]) -> Compared {
        Compared { method: &GradCam, map, weights: weights.to_vec(), notes: Vec::new() }
    }

    #[test]
    fn a_factor_and_an_offset_part_nothing() {
        let one = compared(array![[0.0, 1.0], [2.0, 4.0]], &[0.5, -1.0, 0.0]);
        let other = compared(array![[3.0, 5.0], [7.0, 11.0]], &[1.0, -2.0, 0.0]);
        for apart in [one.maps_apart(&other), one.weights_apart(&other)] {
            assert!((apart.correlation.unwrap() - 1.0).abs() < 1e-12, "{apart:?}");
            assert!(apart.difference.unwrap() < 1e-12, "{apart:?}");
        }
    }

    #[test]
    fn differences_by_hand() {
        let one = compared(array![[0.0, 1.0, 2.0]], &[1.0, 2.0, 3.0]);
        let other = compared(array![[1.0, 3.0, 2.0]], &[3.0, 2.0, 1.0]);
        let maps = one.maps_apart(&other); // 0, ½, 1 and 0, 1, ½
        assert_eq!((maps.correlation, maps.difference), (Some(0.5), Some(0.5)));
        let weights = one.weights_apart(&other);
        assert!((weights.correlation.unwrap() + 1.0).abs() < 1e-12);
        assert!((weights.difference.unwrap() - 2.0 / 3.0).abs() < 1e-7);
    }

    #[test]
    fn what_cannot_be_compared() {
        let usual = compared(array![[0.0, 1.0]], &[1.0, 2.0]);
        let flat = compared(array![[2.0, 2.0]], &[]);
        assert_eq!(usual.maps_apart(&flat), Apart { correlation: None, difference: Some(1.0) });
        let none = Apart { correlation: None, difference: None };
        assert_eq!(usual.weights_apart(&flat), none);
        assert_eq!(usual.maps_apart(&compared(array![[f32::NAN, 1.0]], &[])), none);
        assert_eq!(usual.weights_apart(&compared(array![[0.0, 1.0]], &[f32::NAN, 1.0])), none);
    }
}
