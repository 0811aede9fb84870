use onnx_graph::{Emit, Tensor};

use super::{At, Method, Needs};

#[doc = include_str!("grad_cam.md")]
#[derive(Clone, Copy, Debug)]
pub struct GradCam;

impl Method for GradCam {
    fn name(&self) -> &'static str {
        "grad-cam"
    }

    fn title(&self) -> &'static str {
        "Grad-CAM"
    }

    fn description(&self) -> &'static str {
        include_str!("grad_cam.md")
    }

    fn needs(&self) -> Needs {
        Needs::LayerGradient
    }

    fn weights(&self, e: &Emit, at: &At) -> Tensor {
        let g = at.gradient.expect("the gradient, as needs() says"); // [N, K, h, w]
        e.mean_spatial(g) // [N, K, 1, 1]
    }
}
