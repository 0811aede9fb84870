use ndarray::{ArrayD, ArrayViewMutD};
use onnx_autodiff::ActivationRule;

use super::draws::Draws;
use super::{Made, ManyRuns};
use crate::explain::{Asked, Passes, RunError};
use crate::method::Needs;

/// n, and the deviation of the noise as a share of the picture's range.
const SAMPLES: usize = 50;
const DEVIATION: f64 = 0.15;

#[doc = include_str!("smooth_grad.md")]
#[derive(Clone, Copy, Debug)]
pub struct SmoothGrad;

impl ManyRuns for SmoothGrad {
    fn name(&self) -> &'static str {
        "smooth-grad"
    }

    fn title(&self) -> &'static str {
        "SmoothGrad"
    }

    fn description(&self) -> &'static str {
        include_str!("smooth_grad.md")
    }

    fn needs(&self) -> Needs {
        Needs::pixels(ActivationRule::Exact)
    }

    fn takes_pictures(&self) -> bool {
        true
    }

    fn is_random(&self) -> bool {
        true
    }

    fn maps(&self, passes: &mut Passes) -> Result<Vec<Made>, RunError> {
        let samples = passes.samples(SAMPLES);
        let classes = passes.classes().to_vec();
        let map = |asked: &Asked| {
            let mut sum = ArrayD::<f64>::zeros(passes.picture().raw_dim());
            let noise = noise(passes);
            passes.gradients(*asked, samples, noise, |_, g| {
                sum.zip_mut_with(&g, |sum, g| *sum += f64::from(*g) / samples as f64);
            })?;
            let map = passes.over_channels(&sum, |most, v| most.max(v.abs()));
            Ok(Made { attribution: Some(sum.mapv(|v| v as f32)), ..Made::from(map) })
        };
        classes.iter().map(map).collect()
    }
}

/// Adds to every sample of a picture its own normal noise.
pub(super) fn noise(passes: &Passes) -> impl FnMut(usize, ArrayViewMutD<f32>) + use<> {
    let least = passes.picture().iter().copied().fold(f32::INFINITY, f32::min);
    let most = passes.picture().iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (seed, deviation) = (passes.settings().seed, DEVIATION * f64::from(most - least));
    move |i, mut picture| {
        let mut draws = Draws::of(seed, i);
        picture.mapv_inplace(|v| v + (deviation * draws.normal()) as f32);
    }
}
