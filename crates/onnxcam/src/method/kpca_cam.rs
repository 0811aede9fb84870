use onnx_graph::Emit;

use super::eigen::first_kernel_component;
use super::{At, Emitted, Method, Needs};

#[doc = include_str!("kpca_cam.md")]
#[derive(Clone, Copy, Debug)]
pub struct KpcaCam;

impl Method for KpcaCam {
    fn name(&self) -> &'static str {
        "kpca-cam"
    }

    fn title(&self) -> &'static str {
        "KPCA-CAM"
    }

    fn description(&self) -> &'static str {
        include_str!("kpca_cam.md")
    }

    fn needs(&self) -> Needs {
        Needs::FEATURES
    }

    fn is_signed(&self) -> bool {
        true
    }

    fn emit(&self, e: &Emit, at: &At, _: bool) -> Emitted {
        Emitted::of_map(first_kernel_component(e, at.features())) // [N, h, w]
    }
}
