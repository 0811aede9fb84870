use onnx_graph::{Emit, Tensor};

use super::{At, Caveat, Emitted, Method, Needs, least_of_each, reciprocal_or_zero, weighted_sum};

#[doc = include_str!("grad_cam_plus_plus_no_relu.md")]
#[derive(Clone, Copy, Debug)]
pub struct GradCamPlusPlusNoRelu;

impl Method for GradCamPlusPlusNoRelu {
    fn name(&self) -> &'static str {
        "grad-cam++-no-relu"
    }

    fn title(&self) -> &'static str {
        "Grad-CAM++⊥"
    }

    fn description(&self) -> &'static str {
        include_str!("grad_cam_plus_plus_no_relu.md")
    }

    fn needs(&self) -> Needs {
        Needs::GRADIENT
    }

    fn is_first_order(&self) -> bool {
        true
    }

    fn emit(&self, e: &Emit, at: &At, signed: bool) -> Emitted {
        let g = at.gradient(); // [N, K, h, w]
        let denominator = e.add(e.mul(g, e.sum_spatial(at.features())), e.scalar(2.0));
        let w = e.sum_spatial(e.mul(reciprocal_or_zero(e, denominator), g)); // [N, K, 1, 1]
        Emitted { caveat: Some(near_zero(e, denominator)), ..weighted_sum(e, at, w, signed) }
    }
}

/// A word on those pictures for which |2 + g ΣA| is below 0.001 somewhere.
pub(super) fn near_zero(e: &Emit, denominator: Tensor) -> Caveat {
    let cells: Vec<i64> = (2..e.rank(denominator) as i64).collect();
    let nearest = e.reduce("ReduceMin", e.abs(denominator), &cells, true); // [N, K, 1, 1]
    let tensor = least_of_each(e, e.sub(nearest, e.scalar(1e-3)));
    Caveat { tensor, note: "2 + g ΣA is nearly 0 in some cells, where α is very large" }
}
