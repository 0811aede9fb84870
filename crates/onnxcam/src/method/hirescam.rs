use onnx_graph::Emit;

use super::{At, Emitted, Method, Needs, weighted_sum};

#[doc = include_str!("hirescam.md")]
#[derive(Clone, Copy, Debug)]
pub struct HiResCam;

impl Method for HiResCam {
    fn name(&self) -> &'static str {
        "hirescam"
    }

    fn title(&self) -> &'static str {
        "HiResCAM"
    }

    fn description(&self) -> &'static str {
        include_str!("hirescam.md")
    }

    fn needs(&self) -> Needs {
        Needs::GRADIENT
    }

    fn is_signed(&self) -> bool {
        true
    }

    fn emit(&self, e: &Emit, at: &At, _: bool) -> Emitted {
        weighted_sum(e, at, at.gradient(), true) // [N, K, h, w]
    }
}
