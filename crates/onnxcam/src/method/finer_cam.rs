use onnx_graph::Emit;

use super::{At, Emitted, Method, Needs, Similar, weighted_sum};

#[doc = include_str!("finer_cam.md")]
#[derive(Clone, Copy, Debug)]
pub struct FinerCam;

#[doc = include_str!("finer_cam_authors.md")]
#[derive(Clone, Copy, Debug)]
pub struct FinerCamAuthors;

impl Method for FinerCam {
    fn name(&self) -> &'static str {
        "finer-cam"
    }

    fn title(&self) -> &'static str {
        "Finer-CAM"
    }

    fn description(&self) -> &'static str {
        include_str!("finer_cam.md")
    }

    fn needs(&self) -> Needs {
        Needs { similar: Some(Similar::Mean), ..Needs::GRADIENT }
    }

    fn emit(&self, e: &Emit, at: &At, signed: bool) -> Emitted {
        weighted_sum(e, at, e.mean_spatial(at.gradient()), signed) // [N, K, 1, 1]
    }
}

impl Method for FinerCamAuthors {
    fn name(&self) -> &'static str {
        FinerCam.name()
    }

    fn title(&self) -> &'static str {
        "Finer-CAM (authors)"
    }

    fn variant(&self) -> &'static str {
        "authors"
    }

    fn description(&self) -> &'static str {
        include_str!("finer_cam_authors.md")
    }

    fn needs(&self) -> Needs {
        Needs { similar: Some(Similar::Probable), ..Needs::GRADIENT }
    }

    fn emit(&self, e: &Emit, at: &At, signed: bool) -> Emitted {
        FinerCam.emit(e, at, signed)
    }
}
