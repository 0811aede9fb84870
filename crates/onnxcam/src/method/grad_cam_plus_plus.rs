use onnx_graph::Emit;

use super::{At, Caveat, Emitted, Method, Needs, is_never_negative, least_of_each, weighted_sum};

#[doc = include_str!("grad_cam_plus_plus.md")]
#[derive(Clone, Copy, Debug)]
pub struct GradCamPlusPlus;

impl Method for GradCamPlusPlus {
    fn name(&self) -> &'static str {
        "grad-cam++"
    }

    fn title(&self) -> &'static str {
        "Grad-CAM++"
    }

    fn description(&self) -> &'static str {
        include_str!("grad_cam_plus_plus.md")
    }

    fn needs(&self) -> Needs {
        Needs::GRADIENT
    }

    fn is_first_order(&self) -> bool {
        true
    }

    fn emit(&self, e: &Emit, at: &At, signed: bool) -> Emitted {
        let g = e.relu(at.gradient()); // [N, K, h, w]
        let reach = e.relu(e.sum_spatial(at.features())); // max(ΣA, 0)  [N, K, 1, 1]
        let alpha = e.reciprocal(e.add(e.mul(g, reach), e.scalar(2.0)));
        let w = e.sum_spatial(e.mul(alpha, g)); // [N, K, 1, 1]
        Emitted { caveat: negative_sums(e, at), ..weighted_sum(e, at, w, signed) }
    }
}

/// Where ΣA may be negative, a word on those pictures for which it is.
fn negative_sums(e: &Emit, at: &At) -> Option<Caveat> {
    if is_never_negative(&e.graph(), at.features()) {
        return None;
    }
    let least = least_of_each(e, e.sum_spatial(at.features()));
    Some(Caveat { tensor: least, note: "some feature maps have a negative sum, which is taken as 0 in α" })
}
