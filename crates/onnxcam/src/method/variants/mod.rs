//! What goes by the name of Grad-CAM++ elsewhere, each formula as that code has it.
//!
//! The paper's factor e^S is common to all weights of a picture in each of them, and left out. g stands for relu(g)
//! wherever only cells with g > 0 count: nothing is divided by what belongs to the others.

use onnx_graph::{Emit, Tensor};

use super::grad_cam_plus_plus_no_relu::near_zero;
use super::{At, Emitted, Method, Needs, is_never_negative, reciprocal_or_zero, weighted_sum};

/// Another formula by the name of Grad-CAM++.
#[derive(Debug)]
pub struct GradCamPlusPlusVariant {
    variant: &'static str,
    title: &'static str,
    description: &'static str,
    formula: fn(&Emit, &At) -> Weights,
}

/// w_k, [N, K, 1, 1], and 2 + g ΣA, [N, K, h, w], where that has to be far from 0.
struct Weights(Tensor, Option<Tensor>);

/// All of them.
pub(super) const GRAD_CAM_PLUS_PLUS: &[&dyn Method] = &[
    &variant("literal", "Grad-CAM++ (literal)", include_str!("literal.md"), literal),
    &variant("authors", "Grad-CAM++ (authors)", include_str!("authors.md"), authors),
    &variant(
        "pytorch-grad-cam",
        "Grad-CAM++ (pytorch-grad-cam)",
        include_str!("pytorch_grad_cam.md"),
        pytorch_grad_cam,
    ),
    &variant("torch-cam", "Grad-CAM++ (torch-cam)", include_str!("torch_cam.md"), torch_cam),
    &variant("tf-keras-vis", "Grad-CAM++ (tf-keras-vis)", include_str!("tf_keras_vis.md"), tf_keras_vis),
    &variant("xplique", "Grad-CAM++ (xplique)", include_str!("xplique.md"), xplique),
];

const fn variant(
    variant: &'static str,
    title: &'static str,
    description: &'static str,
    formula: fn(&Emit, &At) -> Weights,
) -> GradCamPlusPlusVariant {
    GradCamPlusPlusVariant { variant, title, description, formula }
}

impl Method for GradCamPlusPlusVariant {
    fn name(&self) -> &'static str {
        "grad-cam++"
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn variant(&self) -> &'static str {
        self.variant
    }

    fn description(&self) -> &'static str {
        self.description
    }

    fn needs(&self) -> Needs {
        Needs::GRADIENT
    }

    fn is_first_order(&self) -> bool {
        true
    }

    fn emit(&self, e: &Emit, at: &At, signed: bool) -> Emitted {
        let Weights(w, denominator) = (self.formula)(e, at);
        Emitted { caveat: denominator.map(|d| near_zero(e, d)), ..weighted_sum(e, at, w, signed) }
    }
}

/// relu(g) and 2 + relu(g) s, for a sum or mean s of the feature maps; the latter twice where it may be near to 0.
fn positive(e: &Emit, at: &At, s: Tensor) -> (Tensor, Tensor, Option<Tensor>) {
    let g = e.relu(at.gradient()); // [N, K, h, w]
    let denominator = e.add(e.mul(g, s), e.scalar(2.0));
    (g, denominator, (!is_never_negative(&e.graph(), at.features())).then_some(denominator))
}

fn literal(e: &Emit, at: &At) -> Weights {
    let (g, denominator, near) = positive(e, at, e.sum_spatial(at.features()));
    Weights(e.sum_spatial(e.mul(reciprocal_or_zero(e, denominator), g)), near)
}

fn authors(e: &Emit, at: &At) -> Weights {
    let (g, denominator, near) = positive(e, at, e.sum_spatial(at.features()));
    let alpha = e.mul(reciprocal_or_zero(e, denominator), e.positive(g)); // [N, K, h, w]
    Weights(e.mul(e.sum_spatial(e.mul(alpha, g)), reciprocal_or_one(e, e.sum_spatial(alpha))), near)
}

fn tf_keras_vis(e: &Emit, at: &At) -> Weights {
    let g = at.gradient(); // [N, K, h, w]
    let denominator = e.add(e.mul(g, e.sum_spatial(at.features())), e.scalar(2.0));
    let alpha = e.mul(reciprocal_or_zero(e, denominator), e.positive(e.abs(g)));
    let w = e.sum_spatial(e.mul(alpha, e.relu(g))); // [N, K, 1, 1]
    Weights(e.mul(w, reciprocal_or_one(e, e.sum_spatial(alpha))), Some(denominator))
}

fn pytorch_grad_cam(e: &Emit, at: &At) -> Weights {
    let (g, denominator, near) = positive(e, at, e.sum_spatial(at.features()));
    let square = e.mul(g, g);
    let alpha = e.div(square, e.add(e.mul(square, denominator), e.scalar(1e-6)));
    Weights(e.sum_spatial(e.mul(alpha, g)), near)
}

fn torch_cam(e: &Emit, at: &At) -> Weights {
    let g = e.relu(at.gradient());
    Weights(e.sum_spatial(e.mul(e.mul(g, g), g)), None)
}

fn xplique(e: &Emit, at: &At) -> Weights {
    let (g, denominator, near) = positive(e, at, e.mean_spatial(at.features()));
    Weights(e.mean_spatial(e.mul(reciprocal_or_zero(e, denominator), g)), near)
}

/// 1 / a, and 1 where a is 0.
fn reciprocal_or_one(e: &Emit, a: Tensor) -> Tensor {
    e.reciprocal(e.add(a, e.mask("Equal", a, e.number_like(a, 0.0))))
}
