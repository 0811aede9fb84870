use onnx_graph::Emit;

use super::{At, Emitted, Method, Needs, weighted_sum};

#[doc = include_str!("grad_cam_plus.md")]
#[derive(Clone, Copy, Debug)]
pub struct GradCamPlus;

impl Method for GradCamPlus {
    fn name(&self) -> &'static str {
        "grad-cam+"
    }

    fn title(&self) -> &'static str {
        "Grad-CAM+"
    }

    fn description(&self) -> &'static str {
        include_str!("grad_cam_plus.md")
    }

    fn needs(&self) -> Needs {
        Needs::GRADIENT
    }

    fn emit(&self, e: &Emit, at: &At, signed: bool) -> Emitted {
        let w = e.mean_spatial(e.relu(at.gradient())); // [N, K, h, w] -> [N, K, 1, 1]
        weighted_sum(e, at, w, signed)
    }
}
