use onnx_graph::Emit;

use super::eigen::first_singular_vector;
use super::{At, Emitted, Method, Needs, weighted_sum};

#[doc = include_str!("eigen_grad_cam.md")]
#[derive(Clone, Copy, Debug)]
pub struct EigenGradCam;

impl Method for EigenGradCam {
    fn name(&self) -> &'static str {
        "eigen-grad-cam"
    }

    fn title(&self) -> &'static str {
        "Eigen-Grad-CAM"
    }

    fn description(&self) -> &'static str {
        include_str!("eigen_grad_cam.md")
    }

    fn needs(&self) -> Needs {
        Needs::GRADIENT
    }

    fn is_signed(&self) -> bool {
        true
    }

    fn emit(&self, e: &Emit, at: &At, _: bool) -> Emitted {
        let v = first_singular_vector(e, e.mul(at.gradient(), at.features())); // [N, K, 1, 1]
        weighted_sum(e, at, e.mul(v, at.gradient()), true) // [N, K, h, w]
    }
}
