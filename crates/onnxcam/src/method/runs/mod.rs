//! Methods of many runs: without gradients, by changing the picture or its feature maps and looking at the score; or
//! averages over noisy pictures. Equation, citation, procedure, one file each.

mod ablation_cam;
mod draws;
mod integrated_gradients;
mod is_cam;
mod masks;
mod occlusion;
mod random_cam;
mod recipro_cam;
mod rise;
mod score_cam;
mod smooth_grad;
mod smooth_grad_cam_plus_plus;
mod ss_cam;

use ndarray::{Array2, ArrayD, ArrayView1, Axis, Ix3};
use onnx_graph::Emit;

pub use ablation_cam::AblationCam;
pub(crate) use draws::Draws;
pub use integrated_gradients::IntegratedGradients;
pub use is_cam::IsCam;
pub use occlusion::Occlusion;
pub use random_cam::RandomCam;
pub use recipro_cam::{ReciproCam, ReciproCamGaussian};
pub use rise::Rise;
pub use score_cam::ScoreCam;
pub use smooth_grad::SmoothGrad;
pub use smooth_grad_cam_plus_plus::SmoothGradCamPlusPlus;
pub use ss_cam::SsCam;

use super::{At, Emitted, Method, Needs};
use crate::explain::{Passes, RunError};

/// What a method of many runs makes of a picture and a class.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// The raw map, [h, w].
    pub map: Array2<f32>,
    /// w_k, \[K\], where the map is a weighted sum of feature maps.
    pub weights: Vec<f32>,
    /// What a method in the space of the picture says of every sample.
    pub attribution: Option<ArrayD<f32>>,
    /// What has to be said of the map.
    pub notes: Vec<String>,
}

impl From<Array2<f32>> for Made {
    fn from(map: Array2<f32>) -> Made {
        Made { map, weights: Vec::new(), attribution: None, notes: Vec::new() }
    }
}

/// A method that is a procedure over many runs of the network, rather than nodes in its graph.
pub trait ManyRuns: Sync {
    /// As [`Method::name`].
    fn name(&self) -> &'static str;

    /// As [`Method::title`].
    fn title(&self) -> &'static str;

    /// As [`Method::variant`].
    fn variant(&self) -> &'static str {
        "paper"
    }

    /// As [`Method::description`].
    fn description(&self) -> &'static str;

    /// What has to be in the graph: a target layer, a gradient.
    fn needs(&self) -> Needs;

    /// Whether it needs a picture with rows and columns: [N, C, H, W] or [N, H, W, C].
    fn takes_pictures(&self) -> bool {
        false
    }

    /// Whether it draws random numbers, from the seed of [`RunSettings`](crate::explain::RunSettings).
    fn is_random(&self) -> bool {
        false
    }

    /// As [`Method::is_signed`].
    fn is_signed(&self) -> bool {
        false
    }

    /// Runs what it runs, and makes a map of each class of `passes`.
    ///
    /// # Errors
    /// Those of the engine, and [`RunError::Stopped`].
    fn maps(&self, passes: &mut Passes) -> Result<Vec<Made>, RunError>;
}

impl<R: ManyRuns> Method for R {
    fn name(&self) -> &'static str {
        ManyRuns::name(self)
    }

    fn title(&self) -> &'static str {
        ManyRuns::title(self)
    }

    fn variant(&self) -> &'static str {
        ManyRuns::variant(self)
    }

    fn description(&self) -> &'static str {
        ManyRuns::description(self)
    }

    fn needs(&self) -> Needs {
        ManyRuns::needs(self)
    }

    fn is_signed(&self) -> bool {
        ManyRuns::is_signed(self)
    }

    fn runs(&self) -> Option<&dyn ManyRuns> {
        Some(self)
    }

    fn emit(&self, _: &Emit, _: &At, _: bool) -> Emitted {
        unreachable!("a plan has only those methods emit that are no runs")
    }
}

/// Σ_k w_k A^k in float64, and the last relu unless it is `signed`; `features` is [K, h, w].
fn weighted_sum(features: &ArrayD<f32>, weights: &[f64], signed: bool) -> Made {
    let a = features.view().into_dimensionality::<Ix3>().expect("feature maps of a target layer have three axes");
    let mut sum = Array2::<f64>::zeros((a.len_of(Axis(1)), a.len_of(Axis(2))));
    for (a, w) in a.outer_iter().zip(weights) {
        sum.zip_mut_with(&a, |sum, a| *sum += w * f64::from(*a));
    }
    let map = sum.mapv(|v| if signed { v as f32 } else { v.max(0.0) as f32 });
    Made { weights: weights.iter().map(|w| *w as f32).collect(), ..Made::from(map) }
}

/// e^s over the sum of all.
fn softmax(scores: ArrayView1<f64>) -> Vec<f64> {
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|s| (s - highest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|p| p / sum).collect()
}
