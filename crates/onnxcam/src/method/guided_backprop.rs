use onnx_autodiff::ActivationRule;
use onnx_graph::Emit;

use super::{At, Emitted, Method, Needs, per_sample};

#[doc = include_str!("guided_backprop.md")]
#[derive(Clone, Copy, Debug)]
pub struct GuidedBackprop;

impl Method for GuidedBackprop {
    fn name(&self) -> &'static str {
        "guided-backprop"
    }

    fn title(&self) -> &'static str {
        "Guided backpropagation"
    }

    fn description(&self) -> &'static str {
        include_str!("guided_backprop.md")
    }

    fn needs(&self) -> Needs {
        Needs::pixels(ActivationRule::Guided)
    }

    fn emit(&self, e: &Emit, at: &At, _: bool) -> Emitted {
        per_sample(e, at, at.pixels().gradient)
    }
}
