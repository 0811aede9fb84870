use onnx_graph::Emit;

use super::{At, Emitted, Method, Needs, weighted_sum};

#[doc = include_str!("shapley_cam.md")]
#[derive(Clone, Copy, Debug)]
pub struct ShapleyCam;

impl Method for ShapleyCam {
    fn name(&self) -> &'static str {
        "shapley-cam"
    }

    fn title(&self) -> &'static str {
        "Shapley-CAM"
    }

    fn description(&self) -> &'static str {
        include_str!("shapley_cam.md")
    }

    fn needs(&self) -> Needs {
        Needs { curvature: true, ..Needs::GRADIENT }
    }

    fn emit(&self, e: &Emit, at: &At, signed: bool) -> Emitted {
        let g = at.gradient(); // [N, K, h, w]
        let corrected = at.curvature().map_or(g, |ha| e.sub(g, e.scale(ha, 0.5)));
        weighted_sum(e, at, e.mean_spatial(corrected), signed) // [N, K, 1, 1]
    }
}
