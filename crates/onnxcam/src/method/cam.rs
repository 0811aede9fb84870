use onnx_graph::{Emit, Tensor};

use super::{At, Method, Needs};

#[doc = include_str!("cam.md")]
#[derive(Clone, Copy, Debug)]
pub struct Cam;

impl Method for Cam {
    fn name(&self) -> &'static str {
        "cam"
    }

    fn title(&self) -> &'static str {
        "CAM"
    }

    fn description(&self) -> &'static str {
        include_str!("cam.md")
    }

    fn needs(&self) -> Needs {
        Needs::PooledLinearHead
    }

    fn is_signed(&self) -> bool {
        true
    }

    fn weights(&self, _: &Emit, at: &At) -> Tensor {
        at.head_row.expect("the head's row, as needs() says") // [N, K, 1, 1]
    }
}
