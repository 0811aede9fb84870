use onnx_autodiff::ActivationRule;
use onnx_graph::Emit;

use super::{At, Emitted, Method, Needs, per_sample};

#[doc = include_str!("deconvnet.md")]
#[derive(Clone, Copy, Debug)]
pub struct Deconvnet;

impl Method for Deconvnet {
    fn name(&self) -> &'static str {
        "deconvnet"
    }

    fn title(&self) -> &'static str {
        "Deconvnet"
    }

    fn description(&self) -> &'static str {
        include_str!("deconvnet.md")
    }

    fn needs(&self) -> Needs {
        Needs::pixels(ActivationRule::Deconvnet)
    }

    fn emit(&self, e: &Emit, at: &At, _: bool) -> Emitted {
        per_sample(e, at, at.pixels().gradient)
    }
}
