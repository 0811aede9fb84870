use ndarray::ArrayD;
use onnx_autodiff::ActivationRule;

use super::{Made, ManyRuns};
use crate::explain::{Asked, Passes, RunError};
use crate::method::Needs;

/// m.
const STEPS: usize = 50;

#[doc = include_str!("integrated_gradients.md")]
#[derive(Clone, Copy, Debug)]
pub struct IntegratedGradients;

impl ManyRuns for IntegratedGradients {
    fn name(&self) -> &'static str {
        "integrated-gradients"
    }

    fn title(&self) -> &'static str {
        "Integrated gradients"
    }

    fn description(&self) -> &'static str {
        include_str!("integrated_gradients.md")
    }

    fn needs(&self) -> Needs {
        Needs::pixels(ActivationRule::Exact)
    }

    fn takes_pictures(&self) -> bool {
        true
    }

    fn is_signed(&self) -> bool {
        true
    }

    fn maps(&self, passes: &mut Passes) -> Result<Vec<Made>, RunError> {
        let steps = passes.samples(STEPS);
        let classes = passes.classes().to_vec();
        let map = |asked: &Asked| {
            let mut sum = ArrayD::<f64>::zeros(passes.picture().raw_dim());
            let on_the_way = |i: usize, mut picture: ndarray::ArrayViewMutD<f32>| {
                let share = ((i as f64 + 0.5) / steps as f64) as f32;
                picture.mapv_inplace(|v| v * share);
            };
            passes.gradients(*asked, steps, on_the_way, |_, g| {
                sum.zip_mut_with(&g, |sum, g| *sum += f64::from(*g) / steps as f64);
            })?;
            sum.zip_mut_with(passes.picture(), |sum, x| *sum *= f64::from(*x));
            let map = passes.over_channels(&sum, |sum, v| sum + v);
            Ok(Made { attribution: Some(sum.mapv(|v| v as f32)), ..Made::from(map) })
        };
        classes.iter().map(map).collect()
    }
}
