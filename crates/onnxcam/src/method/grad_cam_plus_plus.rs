use onnx_graph::{Emit, Tensor};

use super::{At, Caveat, Method, Needs, is_never_negative};

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
        Needs::LayerGradient
    }

    fn is_first_order(&self) -> bool {
        true
    }

    fn caveat(&self, e: &Emit, at: &At) -> Option<Caveat> {
        if is_never_negative(&e.graph(), at.features) {
            return None;
        }
        let least = e.reduce("ReduceMin", e.sum_spatial(at.features), &[1, 2, 3], false); // [N]
        let note = "some feature maps have a negative sum, which is taken as 0 in α";
        Some(Caveat { tensor: least, note })
    }

    fn weights(&self, e: &Emit, at: &At) -> Tensor {
        let g = e.relu(at.gradient.expect("the gradient, as needs() says")); // [N, K, h, w]
        let reach = e.relu(e.sum_spatial(at.features)); // max(ΣA, 0)  [N, K, 1, 1]
        let alpha = e.reciprocal(e.add(e.mul(g, reach), e.scalar(2.0)));
        e.sum_spatial(e.mul(alpha, g)) // [N, K, 1, 1]
    }
}
