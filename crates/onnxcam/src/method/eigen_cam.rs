use onnx_graph::Emit;

use super::eigen::first_singular_vector;
use super::{At, Emitted, Method, Needs, weighted_sum};

#[doc = include_str!("eigen_cam.md")]
#[derive(Clone, Copy, Debug)]
pub struct EigenCam;

impl Method for EigenCam {
    fn name(&self) -> &'static str {
        "eigen-cam"
    }

    fn title(&self) -> &'static str {
        "Eigen-CAM"
    }

    fn description(&self) -> &'static str {
        include_str!("eigen_cam.md")
    }

    fn needs(&self) -> Needs {
        Needs::FEATURES
    }

    fn is_signed(&self) -> bool {
        true
    }

    fn emit(&self, e: &Emit, at: &At, _: bool) -> Emitted {
        weighted_sum(e, at, first_singular_vector(e, at.features()), true) // [N, K, 1, 1]
    }
}
