use onnx_graph::Emit;

use super::{At, Emitted, Method, Needs, weighted_sum};

#[doc = include_str!("cam.md")]
#[derive(Clone, Copy, Debug)]
pub struct Cam;

impl Method for Cam {
    fn name(&self) -> &'static str {
        "cam"
    }

    fn title(&self) -> &'static str {
        "CAM"
    }

    fn description(&self) -> &'static str {
        include_str!("cam.md")
    }

    fn needs(&self) -> Needs {
        Needs::POOLED_HEAD
    }

    fn is_signed(&self) -> bool {
        true
    }

    fn emit(&self, e: &Emit, at: &At, _: bool) -> Emitted {
        weighted_sum(e, at, at.head_row(), true) // [N, K, 1, 1]
    }
}
