use onnx_graph::Emit;

use super::{At, Emitted, Method, Needs};

#[doc = include_str!("grad_cam_elementwise.md")]
#[derive(Clone, Copy, Debug)]
pub struct GradCamElementwise;

impl Method for GradCamElementwise {
    fn name(&self) -> &'static str {
        "grad-cam-elementwise"
    }

    fn title(&self) -> &'static str {
        "Element-wise Grad-CAM"
    }

    fn description(&self) -> &'static str {
        include_str!("grad_cam_elementwise.md")
    }

    fn needs(&self) -> Needs {
        Needs::GRADIENT
    }

    fn emit(&self, e: &Emit, at: &At, _: bool) -> Emitted {
        let product = e.mul(at.gradient(), at.features()); // [N, K, h, w]
        let weights = e.mul(at.gradient(), e.positive(product)); // The same, where relu(g A) is not 0.
        Emitted { weights: Some(weights), ..Emitted::of_map(e.sum_channels(e.relu(product))) }
    }
}
