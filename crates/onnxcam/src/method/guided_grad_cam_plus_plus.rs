use onnx_autodiff::ActivationRule;
use onnx_graph::Emit;

use super::{At, Emitted, GradCamPlusPlus, Method, Needs, per_sample, up_sampled};

#[doc = include_str!("guided_grad_cam_plus_plus.md")]
#[derive(Clone, Copy, Debug)]
pub struct GuidedGradCamPlusPlus;

impl Method for GuidedGradCamPlusPlus {
    fn name(&self) -> &'static str {
        "guided-grad-cam++"
    }

    fn title(&self) -> &'static str {
        "Guided Grad-CAM++"
    }

    fn description(&self) -> &'static str {
        include_str!("guided_grad_cam_plus_plus.md")
    }

    fn needs(&self) -> Needs {
        Needs::GRADIENT.and_pixels(ActivationRule::Guided)
    }

    fn is_first_order(&self) -> bool {
        true
    }

    fn emit(&self, e: &Emit, at: &At, _: bool) -> Emitted {
        let x = at.pixels();
        let looked = GradCamPlusPlus.emit(e, at, false); // L [N, h, w]
        let attribution = e.mul(up_sampled(e, looked.map, &x), x.gradient);
        Emitted { weights: looked.weights, caveat: looked.caveat, ..per_sample(e, at, attribution) }
    }
}
