use onnx_autodiff::ActivationRule;
use onnx_graph::Emit;

use super::{At, Emitted, Method, Needs, per_sample};

#[doc = include_str!("gradient.md")]
#[derive(Clone, Copy, Debug)]
pub struct Gradient;

impl Method for Gradient {
    fn name(&self) -> &'static str {
        "gradient"
    }

    fn title(&self) -> &'static str {
        "Gradient"
    }

    fn description(&self) -> &'static str {
        include_str!("gradient.md")
    }

    fn needs(&self) -> Needs {
        Needs::pixels(ActivationRule::Exact)
    }

    fn emit(&self, e: &Emit, at: &At, _: bool) -> Emitted {
        per_sample(e, at, at.pixels().gradient)
    }
}
