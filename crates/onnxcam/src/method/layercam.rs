use onnx_graph::Emit;

use super::{At, Emitted, Method, Needs, weighted_sum};

#[doc = include_str!("layercam.md")]
#[derive(Clone, Copy, Debug)]
pub struct LayerCam;

impl Method for LayerCam {
    fn name(&self) -> &'static str {
        "layercam"
    }

    fn title(&self) -> &'static str {
        "LayerCAM"
    }

    fn description(&self) -> &'static str {
        include_str!("layercam.md")
    }

    fn needs(&self) -> Needs {
        Needs::GRADIENT
    }

    fn emit(&self, e: &Emit, at: &At, signed: bool) -> Emitted {
        weighted_sum(e, at, e.relu(at.gradient()), signed) // [N, K, h, w]
    }
}
