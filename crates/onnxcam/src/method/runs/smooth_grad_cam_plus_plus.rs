use ndarray::{ArrayD, Axis, Zip};

use super::smooth_grad::noise;
use super::{Made, ManyRuns, weighted_sum};
use crate::explain::{Asked, Passes, RunError};
use crate::method::Needs;

/// n.
const SAMPLES: usize = 50;

#[doc = include_str!("smooth_grad_cam_plus_plus.md")]
#[derive(Clone, Copy, Debug)]
pub struct SmoothGradCamPlusPlus;

impl ManyRuns for SmoothGradCamPlusPlus {
    fn name(&self) -> &'static str {
        "smooth-grad-cam++"
    }

    fn title(&self) -> &'static str {
        "Smooth Grad-CAM++"
    }

    fn description(&self) -> &'static str {
        include_str!("smooth_grad_cam_plus_plus.md")
    }

    fn needs(&self) -> Needs {
        Needs::GRADIENT
    }

    fn is_random(&self) -> bool {
        true
    }

    fn maps(&self, passes: &mut Passes) -> Result<Vec<Made>, RunError> {
        let features = passes.features()?; // [K, h, w]
        let samples = passes.samples(SAMPLES);
        let signed = passes.settings().signed;
        let classes = passes.classes().to_vec();
        let map = |asked: &Asked| {
            // Means of g, g² and g³ over the noisy pictures, [K, h, w].
            let mut means: [ArrayD<f64>; 3] = std::array::from_fn(|_| ArrayD::zeros(features.raw_dim()));
            let noise = noise(passes);
            passes.gradients(*asked, samples, noise, |_, g| {
                for (mean, power) in means.iter_mut().zip(1..) {
                    mean.zip_mut_with(&g, |mean, g| *mean += f64::from(*g).powi(power) / samples as f64);
                }
            })?;
            Ok(weighted_sum(&features, &weights(&features, &means), signed))
        };
        classes.iter().map(map).collect()
    }
}

/// w_k = Σ_ij α relu(D₁), α = D₂ / (2 D₂ + max(ΣA, 0) D₃), 0 where the denominator is.
fn weights(features: &ArrayD<f32>, means: &[ArrayD<f64>; 3]) -> Vec<f64> {
    let weight = |k: usize| {
        let of = |i: usize| means[i].index_axis(Axis(0), k);
        let reach: f64 = features.index_axis(Axis(0), k).iter().map(|a| f64::from(*a)).sum::<f64>().max(0.0);
        Zip::from(of(0)).and(of(1)).and(of(2)).fold(0.0, |sum, d1, d2, d3| {
            let below = 2.0 * d2 + reach * d3;
            if below == 0.0 { sum } else { sum + d2 / below * d1.max(0.0) }
        })
    };
    (0..features.len_of(Axis(0))).map(weight).collect()
}
