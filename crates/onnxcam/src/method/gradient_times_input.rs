use onnx_autodiff::ActivationRule;
use onnx_graph::Emit;

use super::{At, Emitted, Method, Needs};

#[doc = include_str!("gradient_times_input.md")]
#[derive(Clone, Copy, Debug)]
pub struct GradientTimesInput;

impl Method for GradientTimesInput {
    fn name(&self) -> &'static str {
        "gradient-times-input"
    }

    fn title(&self) -> &'static str {
        "Gradient × input"
    }

    fn description(&self) -> &'static str {
        include_str!("gradient_times_input.md")
    }

    fn needs(&self) -> Needs {
        Needs::pixels(ActivationRule::Exact)
    }

    fn is_signed(&self) -> bool {
        true
    }

    fn emit(&self, e: &Emit, at: &At, _: bool) -> Emitted {
        let x = at.pixels();
        let attribution = e.mul(x.input, x.gradient); // Of the picture's shape
        let map = e.reduce("ReduceSum", attribution, &[x.channels as i64], false); // [N, H, W]
        Emitted { attribution: Some(attribution), ..Emitted::of_map(map) }
    }
}
