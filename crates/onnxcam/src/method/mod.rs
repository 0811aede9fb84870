//! The methods, one file each: equation, citation, nodes.
//!
//! S is the class score, A [N, K, h, w] the feature maps of the target layer, g = ∂S/∂A. A method adds nodes that make
//! its map [N, h, w] of these; several methods share one forward and one backward pass. Others are made in the space of the
//! picture X: of ∂S/∂X, to which activations may send back less than their derivative says.

mod cam;
mod deconvnet;
mod eigen;
mod eigen_cam;
mod eigen_grad_cam;
mod finer_cam;
mod full_grad;
mod grad_cam;
mod grad_cam_elementwise;
mod grad_cam_plus;
mod grad_cam_plus_plus;
mod grad_cam_plus_plus_no_relu;
mod gradient;
mod gradient_times_input;
mod guided_backprop;
mod guided_grad_cam;
mod guided_grad_cam_plus_plus;
mod hirescam;
mod kpca_cam;
mod layercam;
mod runs;
mod shapley_cam;
mod variants;
mod xgrad_cam;

use onnx_autodiff::ActivationRule;
use onnx_graph::{Attributes, Dim, Emit, Graph, Tensor, lower};

pub use cam::Cam;
pub use deconvnet::Deconvnet;
pub use eigen_cam::EigenCam;
pub use eigen_grad_cam::EigenGradCam;
pub use finer_cam::{FinerCam, FinerCamAuthors};
pub use full_grad::FullGrad;
pub use grad_cam::GradCam;
pub use grad_cam_elementwise::GradCamElementwise;
pub use grad_cam_plus::GradCamPlus;
pub use grad_cam_plus_plus::GradCamPlusPlus;
pub use grad_cam_plus_plus_no_relu::GradCamPlusPlusNoRelu;
pub use gradient::Gradient;
pub use gradient_times_input::GradientTimesInput;
pub use guided_backprop::GuidedBackprop;
pub use guided_grad_cam::GuidedGradCam;
pub use guided_grad_cam_plus_plus::GuidedGradCamPlusPlus;
pub use hirescam::HiResCam;
pub use kpca_cam::KpcaCam;
pub use layercam::LayerCam;
pub(crate) use runs::Draws;
pub use runs::{
    AblationCam, IntegratedGradients, IsCam, Made, ManyRuns, Occlusion, RandomCam, ReciproCam, ReciproCamGaussian,
    Rise, ScoreCam, SmoothGrad, SmoothGradCamPlusPlus, SsCam,
};
pub use shapley_cam::ShapleyCam;
pub use variants::GradCamPlusPlusVariant;
pub use xgrad_cam::XGradCam;

/// Every method, in the order that `onnxcam methods` lists them.
pub const METHODS: &[&dyn Method] = &[
    &GradCamPlusPlus,
    &GradCam,
    &Cam,
    &GradCamPlusPlusNoRelu,
    &GuidedGradCamPlusPlus,
    &GuidedGradCam,
    &GuidedBackprop,
    &Deconvnet,
    &GradCamPlus,
    &HiResCam,
    &LayerCam,
    &XGradCam,
    &GradCamElementwise,
    &EigenCam,
    &EigenGradCam,
    &KpcaCam,
    &ShapleyCam,
    &FinerCam,
    &Gradient,
    &GradientTimesInput,
    &FullGrad,
    &SmoothGrad,
    &IntegratedGradients,
    &SmoothGradCamPlusPlus,
    &AblationCam,
    &ReciproCam,
    &ReciproCamGaussian,
    &ScoreCam,
    &SsCam,
    &IsCam,
    &Rise,
    &Occlusion,
    &RandomCam,
];

/// What a method needs from the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The feature maps of a target layer.
    pub features: bool,
    /// The gradient of the score with respect to them.
    pub gradient: bool,
    /// H A, H the second derivative of the score with respect to them.
    pub curvature: bool,
    /// A linear layer that global average pooling joins to them.
    pub pooled_head: bool,
    /// The gradient of the score with respect to the picture, activations sending back what this rule says.
    pub pixels: Option<ActivationRule>,
    /// The biases of convolutions and batch normalisations, and the gradient of the score there.
    pub biases: bool,
    /// The gradient is that of the class's score less those of the classes most similar to it.
    pub similar: Option<Similar>,
}

/// How the scores of the most similar classes are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Similar {
    /// Their mean.
    Mean,
    /// Their mean weighted by the softmax of the scores, which is differentiated, too.
    Probable,
}

impl Needs {
    /// Feature maps alone.
    pub const FEATURES: Needs = Needs {
        features: true,
        gradient: false,
        curvature: false,
        pooled_head: false,
        pixels: None,
        biases: false,
        similar: None,
    };
    /// Feature maps and the gradient there.
    pub const GRADIENT: Needs = Needs { gradient: true, ..Needs::FEATURES };
    /// Feature maps and the linear layer that global average pooling joins to them.
    pub const POOLED_HEAD: Needs = Needs { pooled_head: true, ..Needs::FEATURES };

    /// The picture, and the gradient there by this rule.
    pub const fn pixels(rule: ActivationRule) -> Needs {
        Needs { features: false, pixels: Some(rule), ..Needs::FEATURES }
    }

    /// These, and the gradient at the picture by this rule.
    pub const fn and_pixels(self, rule: ActivationRule) -> Needs {
        Needs { pixels: Some(rule), ..self }
    }
}

/// What a method makes its map of: what it [`Needs`], and nothing else.
#[derive(Clone, Debug, Default)]
pub struct At {
    pub(crate) features: Option<Tensor>,
    pub(crate) gradient: Option<Tensor>,
    pub(crate) curvature: Option<Tensor>,
    pub(crate) head_row: Option<Tensor>,
    pub(crate) pixels: Option<Pixels>,
    pub(crate) biases: Vec<Spread>,
}

/// A bias, and what the score says of it in every cell that it is added to.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// b, [1, C, 1, 1].
    pub bias: Tensor,
    /// The gradient of the score with respect to what b has been added to, [N, C, h, w].
    pub gradient: Tensor,
}

/// The picture as a method sees it.
#[derive(Clone, Copy, Debug)]
pub struct Pixels {
    /// X, [N, C, H, W], or [N, H, W, C].
    pub input: Tensor,
    /// ∂S/∂X by the rule that was asked for, of the same shape.
    pub gradient: Tensor,
    /// Which of the axes is the channels: 1 or 3.
    pub channels: usize,
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

    /// H A, [N, K, h, w], H the second derivative of the score with respect to A; none where the graph has it to be 0.
    pub fn curvature(&self) -> Option<Tensor> {
        self.curvature
    }

    /// The class's row of the linear head, [N, K, 1, 1].
    ///
    /// # Panics
    /// Where the method does not say that it needs it.
    pub fn head_row(&self) -> Tensor {
        self.head_row.expect("a method that needs a pooled head")
    }

    /// The picture and the gradient there.
    ///
    /// # Panics
    /// Where the method does not say that it needs it.
    pub fn pixels(&self) -> Pixels {
        self.pixels.expect("a method that needs the gradient at the picture")
    }

    /// The biases of convolutions and batch normalisations that reach the score; none where the method does not say that it
    /// needs them.
    pub fn biases(&self) -> &[Spread] {
        &self.biases
    }
}

/// What a method adds to the graph.
#[derive(Clone, Copy, Debug)]
pub struct Emitted {
    /// w_k, [N, K, 1, 1], or one weight a cell, [N, K, h, w]; none where the map is no weighted sum of feature maps.
    pub weights: Option<Tensor>,
    /// The raw map, [N, h, w]: Σ_k w_k A^k through a relu where the method's equation has one; of a method in the space
    /// of the picture, one number a pixel, [N, H, W].
    pub map: Tensor,
    /// What a method in the space of the picture says of every sample, of the picture's shape.
    pub attribution: Option<Tensor>,
    /// What has to be said of some pictures' maps.
    pub caveat: Option<Caveat>,
}

impl Emitted {
    /// A map, and nothing beside it.
    pub fn of_map(map: Tensor) -> Emitted {
        Emitted { weights: None, map, attribution: None, caveat: None }
    }
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

    /// Its name in those of files: with the variant, where that is not the published one, `grad-cam++-torch-cam`.
    fn file_name(&self) -> String {
        match self.variant() {
            "paper" => self.name().to_owned(),
            variant => format!("{}-{variant}", self.name()),
        }
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

    /// The procedure of a method that takes many runs. Others are nodes in the graph, of which one run makes the map.
    fn runs(&self) -> Option<&dyn ManyRuns> {
        None
    }

    /// Weights and map. `signed` leaves the last relu out. Only asked of methods that are nodes.
    fn emit(&self, e: &Emit, at: &At, signed: bool) -> Emitted;
}

/// The map of methods that weigh feature maps: Σ_k w_k A^k, and the last relu unless it is `signed`. The weights are one
/// a feature map, [N, K, 1, 1], or one a cell, [N, K, h, w].
fn weighted_sum(e: &Emit, at: &At, weights: Tensor, signed: bool) -> Emitted {
    let map = e.sum_channels(e.mul(weights, at.features()));
    let map = if signed { map } else { e.relu(map) };
    Emitted { weights: Some(weights), ..Emitted::of_map(map) }
}

/// What a method says of every sample of the picture, and a map of one number a pixel: the largest magnitude of its channels.
fn per_sample(e: &Emit, at: &At, attribution: Tensor) -> Emitted {
    let channels = at.pixels().channels as i64;
    let map = e.reduce("ReduceMax", e.node("Abs", &[attribution], Attributes::none()), &[channels], false);
    Emitted { attribution: Some(attribution), ..Emitted::of_map(map) }
}

/// A map [N, h, w] as large as the picture and shaped as to be multiplied with it: half-pixel bilinear.
fn up_sampled(e: &Emit, map: Tensor, pixels: &Pixels) -> Tensor {
    let shape = e.shape(pixels.input);
    let [height, width] = if pixels.channels == 1 { [shape[2], shape[3]] } else { [shape[1], shape[2]] };
    let up = lower::resize_bilinear(e, map, height, width); // [N, H, W]
    let mut unsqueezed = e.shape(up);
    unsqueezed.insert(pixels.channels, Dim::new(1));
    e.reshape(up, unsqueezed)
}

/// The least element of each picture, \[N\].
fn least_of_each(e: &Emit, a: Tensor) -> Tensor {
    let axes: Vec<i64> = (1..e.rank(a) as i64).collect();
    e.reduce("ReduceMin", a, &axes, false)
}

/// 1 / a, and 0 where a is 0.
pub(crate) fn reciprocal_or_zero(e: &Emit, a: Tensor) -> Tensor {
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
    every_formula().filter(move |m| m.name() == name)
}

/// Every method, and every other formula by the name of one.
pub(crate) fn every_formula() -> impl Iterator<Item = &'static dyn Method> {
    METHODS.iter().chain(variants::GRAD_CAM_PLUS_PLUS).chain(&[&FinerCamAuthors as &dyn Method]).copied()
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
