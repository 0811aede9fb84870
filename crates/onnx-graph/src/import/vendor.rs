//! Operators of ONNX Runtime's own domain, `com.microsoft`, which it and its tools write when they optimise a file: a
//! standard operator with the activation behind it, or a formula under one name. Settled as what they were made of.

use super::file_node::{FileNode, Refusal, Settle, one};
use super::{composite, linear, window};
use crate::attributes::Attributes;
use crate::graph::Tensor;

pub(super) const DOMAIN: &str = "com.microsoft";

pub(super) const OPERATORS: &[(&str, Settle)] = &[
    ("FusedConv", fused_conv),
    ("FusedGemm", fused_gemm),
    ("FusedMatMul", fused_matmul),
    ("TransposeMatMul", fused_matmul),
    ("Gelu", gelu),
    ("BiasGelu", gelu),
    ("FastGelu", fast_gelu),
    ("QuickGelu", quick_gelu),
];

type Settled = Result<Vec<Option<Tensor>>, Refusal>;

/// Conv(X, W, B) + Z, then the activation.
fn fused_conv(n: &FileNode) -> Settled {
    let made = window::conv(n)?[0].ok_or("it makes nothing")?;
    let summed = n.optional(3).map_or(made, |z| n.e.add(made, z));
    let parameters = n.floats("activation_params").unwrap_or_default();
    one(activated(n, summed, |i| parameters.get(i).copied())?)
}

/// Gemm(A, B, C), then the activation.
fn fused_gemm(n: &FileNode) -> Settled {
    let made = linear::gemm(n)?[0].ok_or("it makes nothing")?;
    let parameters = [n.float("activation_alpha"), n.float("activation_beta")];
    n.ignore(&["activation_gamma", "activation_axis"]); // Of activations that are refused.
    one(activated(n, made, |i| parameters[i])?)
}

/// The activation of this node with its parameters α, β; `Clip`'s are the bounds.
fn activated(n: &FileNode, x: Tensor, parameter: impl Fn(usize) -> Option<f32>) -> Result<Tensor, Refusal> {
    let value = |i, default| parameter(i).unwrap_or(default);
    let (op, attributes) = match n.text_or("activation", "").as_str() {
        "" => return Ok(x),
        "Relu" => ("Relu", Attributes::none()),
        "Sigmoid" => ("Sigmoid", Attributes::none()),
        "Tanh" => ("Tanh", Attributes::none()),
        "LeakyRelu" => ("LeakyRelu", Attributes::none().with("alpha", value(0, 0.01))),
        "HardSigmoid" => ("HardSigmoid", Attributes::none().with("alpha", value(0, 0.2)).with("beta", value(1, 0.5))),
        "Clip" => {
            ("Clip", Attributes::none().with("min", value(0, f32::NEG_INFINITY)).with("max", value(1, f32::INFINITY)))
        }
        other => return Err(format!("its activation {other:?} is not known here").into()),
    };
    Ok(n.e.node(op, &[x], attributes))
}

/// alpha · A · B, either transposed in its last two axes, or (`transBatch…`) with its first axis moved before the last.
fn fused_matmul(n: &FileNode) -> Settled {
    let side = |i: usize, trans: &'static str, batch: &'static str| -> Result<Tensor, Refusal> {
        let (mut x, rank) = (n.input(i)?, n.shape(i)?.len() as i64);
        if n.int_or(batch, 0) != 0 && rank > 2 {
            let perm: Vec<i64> = (1..rank - 1).chain([0, rank - 1]).collect();
            x = n.e.transpose(x, &perm);
        }
        // A vector stays what it is.
        Ok(if n.int_or(trans, 0) != 0 && rank > 1 { n.e.swap_last(x) } else { x })
    };
    let product = n.e.matmul(side(0, "transA", "transBatchA")?, side(1, "transB", "transBatchB")?);
    one(n.e.scale(product, n.float_or("alpha", 1.0)))
}

/// Gelu of X, or of X + bias.
fn biased(n: &FileNode) -> Result<Tensor, Refusal> {
    let x = n.input(0)?;
    Ok(n.optional(1).map_or(x, |bias| n.e.add(x, bias)))
}

fn gelu(n: &FileNode) -> Settled {
    one(composite::gelu_by_erf(n.e, biased(n)?))
}

fn fast_gelu(n: &FileNode) -> Settled {
    one(composite::gelu_by_tanh(n.e, biased(n)?))
}

/// x · sigmoid(αx)
fn quick_gelu(n: &FileNode) -> Settled {
    let x = n.input(0)?;
    one(n.e.mul(x, n.e.sigmoid(n.e.scale(x, n.float_or("alpha", 1.702)))))
}
