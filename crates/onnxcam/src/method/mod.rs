//! The methods, one file each: equation, citation, nodes.
//!
//! S is the class score, A [N, K, h, w] the feature maps of the target layer, g = ∂S/∂A. A method adds nodes that make
//! its map [N, h, w] of these; several methods share one forward and one backward pass.

mod cam;
mod grad_cam;
mod grad_cam_elementwise;
mod grad_cam_plus;
mod grad_cam_plus_plus;
mod grad_cam_plus_plus_no_relu;
mod hirescam;
mod layercam;
mod variants;
mod xgrad_cam;

use onnx_graph::{Emit, Graph, Tensor};

pub use cam::Cam;
pub use grad_cam::GradCam;
pub use grad_cam_elementwise::GradCamElementwise;
pub use grad_cam_plus::GradCamPlus;
pub use grad_cam_plus_plus::GradCamPlusPlus;
pub use grad_cam_plus_plus_no_relu::GradCamPlusPlusNoRelu;
pub use hirescam::HiResCam;
pub use layercam::LayerCam;
pub use variants::GradCamPlusPlusVariant;
pub use xgrad_cam::XGradCam;

/// Every method, in the order that `onnxcam methods` lists them.
pub const METHODS: &[&dyn Method] = &[
    &GradCamPlusPlus,
    &GradCam,
    &Cam,
    &GradCamPlusPlusNoRelu,
    &GradCamPlus,
    &HiResCam,
    &LayerCam,
    &XGradCam,
    &GradCamElementwise,
];

/// What a method needs from the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The feature maps of a target layer.
    pub features: bool,
    /// The gradient of the score with respect to them.
    pub gradient: bool,
    /// A linear layer that global average pooling joins to them.
    pub pooled_head: bool,
}

impl Needs {
    /// Feature maps alone.
    pub const FEATURES: Needs = Needs { features: true, gradient: false, pooled_head: false };
    /// Feature maps and the gradient there.
    pub const GRADIENT: Needs = Needs { gradient: true, ..Needs::FEATURES };
    /// Feature maps and the linear layer that global average pooling joins to them.
    pub const POOLED_HEAD: Needs = Needs { pooled_head: true, ..Needs::FEATURES };
}

/// What a method makes its map of: what it [`Needs`], and nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub struct At {
    pub(crate) features: Option<Tensor>,
    pub(crate) gradient: Option<Tensor>,
    pub(crate) head_row: Option<Tensor>,
}

impl At {
    /// The feature maps A, [N, K, h, w].
    ///
    /// # Panics
    /// As the others, where the method does not say that it needs it.
    pub fn features(&self) -> Tensor {
        self.features.expect("a method that needs feature maps")
    }

    /// g = ∂S/∂A, [N, K, h, w].
    ///
    /// # Panics
    /// Where the method does not say that it needs it.
    pub fn gradient(&self) -> Tensor {
        self.gradient.expect("a method that needs the gradient")
    }

    /// The class's row of the linear head, [N, K, 1, 1].
    ///
    /// # Panics
    /// Where the method does not say that it needs it.
    pub fn head_row(&self) -> Tensor {
        self.head_row.expect("a method that needs a pooled head")
    }
}

/// What a method adds to the graph.
#[derive(Clone, Copy, Debug)]
pub struct Emitted {
    /// w_k, [N, K, 1, 1], or one weight a cell, [N, K, h, w]; none where the map is no weighted sum of feature maps.
    pub weights: Option<Tensor>,
    /// The raw map Σ_k w_k A^k, [N, h, w], through a relu where the method's equation has one.
    pub map: Tensor,
    /// What has to be said of some pictures' maps.
    pub caveat: Option<Caveat>,
}

/// Something to say of the maps of those pictures for which `tensor` is negative.
#[derive(Clone, Copy, Debug)]
pub struct Caveat {
    /// One number a picture, \[N\].
    pub tensor: Tensor,
    /// The sentence.
    pub note: &'static str,
}

/// A saliency method.
pub trait Method: Sync {
    /// Its name on the command line and in files, `grad-cam++`.
    fn name(&self) -> &'static str;

    /// Its name for people, `Grad-CAM++`.
    fn title(&self) -> &'static str;

    /// Which of its formulas this is; `paper` is the published one.
    fn variant(&self) -> &'static str {
        "paper"
    }

    /// Equation, source and cost, as `onnxcam methods NAME` prints them.
    fn description(&self) -> &'static str;

    /// What it needs.
    fn needs(&self) -> Needs;

    /// Whether its map may be negative: its equation has no last relu.
    fn is_signed(&self) -> bool {
        false
    }

    /// Whether its equation takes the score as piecewise linear in the feature maps, so that it is of first order where
    /// something curved lies between.
    fn is_first_order(&self) -> bool {
        false
    }

    /// Weights and map. `signed` leaves the last relu out.
    fn emit(&self, e: &Emit, at: &At, signed: bool) -> Emitted;
}

/// The map of methods that weigh feature maps: Σ_k w_k A^k, and the last relu unless it is `signed`. The weights are one
/// a feature map, [N, K, 1, 1], or one a cell, [N, K, h, w].
fn weighted_sum(e: &Emit, at: &At, weights: Tensor, signed: bool) -> Emitted {
    let map = e.sum_channels(e.mul(weights, at.features()));
    let map = if signed { map } else { e.relu(map) };
    Emitted { weights: Some(weights), map, caveat: None }
}

/// 1 / a, and 0 where a is 0.
fn reciprocal_or_zero(e: &Emit, a: Tensor) -> Tensor {
    let zero = e.mask("Equal", a, e.number_like(a, 0.0)); // 1 where a is 0, else 0
    e.sub(e.reciprocal(e.add(a, zero)), zero)
}

/// Whether a tensor cannot be negative, as far as the operators that make it tell.
fn is_never_negative(graph: &Graph, t: Tensor) -> bool {
    let Some(node) = graph.producer(t).filter(|n| n.carried.is_none()) else { return false };
    let all_inputs = || node.inputs.iter().flatten().all(|t| is_never_negative(graph, *t));
    match &*node.op {
        "Relu" | "Sigmoid" | "HardSigmoid" | "Exp" | "Abs" | "Softmax" => true,
        "Clip" => node.attributes.float("min") >= 0.0,
        "Add" | "Mul" | "Concat" | "MaxPool" | "AveragePool" => all_inputs(),
        _ => false,
    }
}

/// There is no method of a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no method \"{name}\"\nhint: the methods are {}", names().join(", "))]
pub struct UnknownMethod {
    /// The name asked for.
    pub name: String,
}

/// The method of a name.
pub fn find(name: &str) -> Result<&'static dyn Method, UnknownMethod> {
    let found = METHODS.iter().find(|m| m.name() == name);
    found.copied().ok_or_else(|| UnknownMethod { name: onnx_graph::printable(name) })
}

/// There is no variant of a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownVariant {
    /// Nor a method.
    #[error(transparent)]
    Method(#[from] UnknownMethod),
    /// The method has others.
    #[error("{method} has no variant \"{variant}\"\nhint: {}", choices(method))]
    Variant {
        /// The method.
        method: &'static str,
        /// The variant asked for.
        variant: String,
    },
}

fn choices(method: &str) -> String {
    let variants: Vec<&str> = variants(method).map(|m| m.variant()).collect();
    match variants.as_slice() {
        [one] => format!("its only one is {one}"),
        several => format!("its variants are {}", several.join(", ")),
    }
}

/// The formulas that go by the name of a method, the published one first; none where there is no such method.
pub fn variants(name: &str) -> impl Iterator<Item = &'static dyn Method> {
    METHODS.iter().chain(variants::GRAD_CAM_PLUS_PLUS).copied().filter(move |m| m.name() == name)
}

/// A method by the formula of this name, `paper` or that of other code.
///
/// # Errors
/// Where there is no such method, or it has no such variant; the hint has the choices.
pub fn find_variant(name: &str, variant: &str) -> Result<&'static dyn Method, UnknownVariant> {
    let method = find(name)?.name();
    let found = variants(name).find(|m| m.variant() == variant);
    found.ok_or_else(|| UnknownVariant::Variant { method, variant: onnx_graph::printable(variant) })
}

fn names() -> Vec<&'static str> {
    METHODS.iter().map(|m| m.name()).collect()
}

impl std::fmt::Debug for dyn Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.variant() {
            "paper" => f.write_str(self.name()),
            variant => write!(f, "{} ({variant})", self.name()),
        }
    }
}
