//! The methods, one file each: equation, citation, nodes.
//!
//! S is the class score, A [N, K, h, w] the feature maps of the target layer, g = ∂S/∂A. A method adds nodes that make
//! its map [N, h, w] of these; several methods share one forward and one backward pass.

mod cam;
mod grad_cam;
mod grad_cam_plus_plus;

use onnx_graph::{Emit, Graph, Tensor};

pub use cam::Cam;
pub use grad_cam::GradCam;
pub use grad_cam_plus_plus::GradCamPlusPlus;

/// Every method, in the order that `onnxcam methods` lists them.
pub const METHODS: &[&dyn Method] = &[&GradCamPlusPlus, &GradCam, &Cam];

/// What a method needs from the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// The gradient of the score with respect to the feature maps.
    LayerGradient,
    /// A linear layer that global average pooling joins to the feature maps.
    PooledLinearHead,
}

/// What a method makes its map of.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// The feature maps A, [N, K, h, w].
    pub features: Tensor,
    /// g = ∂S/∂A, [N, K, h, w]; where the method [`Needs`] it.
    pub gradient: Option<Tensor>,
    /// The class's row of the linear head, [N, K, 1, 1]; where the method [`Needs`] it.
    pub head_row: Option<Tensor>,
}

/// What a method adds to the graph.
#[derive(Clone, Copy, Debug)]
pub struct Emitted {
    /// w_k, [N, K, 1, 1].
    pub weights: Tensor,
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

    /// What has to be said of some pictures' maps.
    fn caveat(&self, _: &Emit, _: &At) -> Option<Caveat> {
        None
    }

    /// w_k of its map, [N, K, 1, 1].
    fn weights(&self, e: &Emit, at: &At) -> Tensor;

    /// Weights and map. `signed` leaves the last relu out.
    fn emit(&self, e: &Emit, at: &At, signed: bool) -> Emitted {
        let weights = self.weights(e, at);
        let map = e.sum_channels(e.mul(weights, at.features));
        let map = if signed || self.is_signed() { map } else { e.relu(map) };
        Emitted { weights, map, caveat: self.caveat(e, at) }
    }
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

fn names() -> Vec<&'static str> {
    METHODS.iter().map(|m| m.name()).collect()
}

impl std::fmt::Debug for dyn Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
