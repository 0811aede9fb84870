use onnx_graph::{Emit, Tensor};

use super::{At, Caveat, Emitted, Method, Needs, is_never_negative, least_of_each, reciprocal_or_zero, weighted_sum};

#[doc = include_str!("xgrad_cam.md")]
#[derive(Clone, Copy, Debug)]
pub struct XGradCam;

impl Method for XGradCam {
    fn name(&self) -> &'static str {
        "xgrad-cam"
    }

    fn title(&self) -> &'static str {
        "XGrad-CAM"
    }

    fn description(&self) -> &'static str {
        include_str!("xgrad_cam.md")
    }

    fn needs(&self) -> Needs {
        Needs::GRADIENT
    }

    fn emit(&self, e: &Emit, at: &At, signed: bool) -> Emitted {
        let (a, g) = (at.features(), at.gradient()); // [N, K, h, w]
        let total = e.sum_spatial(a); // [N, K, 1, 1]
        let w = e.mul(e.sum_spatial(e.mul(g, a)), reciprocal_or_zero(e, total));
        Emitted { caveat: cancelled_sums(e, at, total), ..weighted_sum(e, at, w, signed) }
    }
}

/// Where ΣA may be near to 0 beside Σ|A|, a word on those pictures for which it is.
fn cancelled_sums(e: &Emit, at: &At, total: Tensor) -> Option<Caveat> {
    if is_never_negative(&e.graph(), at.features()) {
        return None;
    }
    let size = e.sum_spatial(e.abs(at.features()));
    let beyond = e.sub(e.abs(total), e.scale(size, 1e-3)); // [N, K, 1, 1]
    let tensor = least_of_each(e, beyond);
    Some(Caveat { tensor, note: "some feature maps sum to nearly 0, and their weights are very large" })
}
