use onnx_graph::Emit;

use super::{At, Emitted, Method, Needs, weighted_sum};

#[doc = include_str!("grad_cam.md")]
#[derive(Clone, Copy, Debug)]
pub struct GradCam;

impl Method for GradCam {
    fn name(&self) -> &'static str {
        "grad-cam"
    }

    fn title(&self) -> &'static str {
        "Grad-CAM"
    }

    fn description(&self) -> &'static str {
        include_str!("grad_cam.md")
    }

    fn needs(&self) -> Needs {
        Needs::GRADIENT
    }

    fn emit(&self, e: &Emit, at: &At, signed: bool) -> Emitted {
        let w = e.mean_spatial(at.gradient()); // [N, K, h, w] -> [N, K, 1, 1]
        weighted_sum(e, at, w, signed)
    }
}
