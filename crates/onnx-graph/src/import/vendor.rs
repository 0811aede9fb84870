//! Operators of ONNX Runtime's own domain, `com.microsoft`, which it and its tools write when they optimise a file: a
//! standard operator with the activation behind it, a formula under one name, or an operator between rounded tensors. Settled
//! as what they were made of.

use super::file_node::{FileNode, Refusal, Settle, one};
use super::{attention, composite, linear, quantise, window};
use crate::attributes::Attributes;
use crate::graph::Tensor;
use crate::ops::axis;

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
    ("MultiHeadAttention", attention::multi_head_attention),
    ("Attention", attention::attention_with_projections),
    ("QuantizeLinear", quantise::quantize_linear),
    ("DequantizeLinear", quantise::dequantize_linear),
    ("QLinearAdd", qlinear_binary),
    ("QLinearMul", qlinear_binary),
    ("QLinearSigmoid", qlinear_sigmoid),
    ("QLinearLeakyRelu", qlinear_leaky_relu),
    ("QLinearSoftmax", qlinear_softmax),
    ("QLinearGlobalAveragePool", qlinear_global_average_pool),
    ("QLinearAveragePool", qlinear_average_pool),
    ("QLinearConcat", qlinear_concat),
    ("QGemm", qgemm),
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

// Between rounded tensors: each operand is followed by its scale and zero point, the output's stand behind them all.

/// The operand that begins at input `i`, in floats.
fn floats_of(n: &FileNode, i: usize) -> Result<Tensor, Refusal> {
    Ok(quantise::dequantized(n.e, n.input(i)?, n.input(i + 1)?, n.optional(i + 2), 0))
}

/// A result as integers, its scale and zero point from input `i` on.
fn rounded(n: &FileNode, y: Tensor, i: usize) -> Settled {
    let to = quantise::narrow_type(n, 0)?;
    one(quantise::quantized(n.e, y, n.input(i)?, n.optional(i + 1), 0, to))
}

fn qlinear_binary(n: &FileNode) -> Settled {
    let (a, b) = (floats_of(n, 0)?, floats_of(n, 3)?);
    let y = if n.op() == "QLinearAdd" { n.e.add(a, b) } else { n.e.mul(a, b) };
    rounded(n, y, 6)
}

fn qlinear_sigmoid(n: &FileNode) -> Settled {
    let y = n.e.sigmoid(floats_of(n, 0)?);
    rounded(n, y, 3)
}

fn qlinear_leaky_relu(n: &FileNode) -> Settled {
    let attributes = Attributes::none().with("alpha", n.float_or("alpha", 0.01));
    let y = n.e.node("LeakyRelu", &[floats_of(n, 0)?], attributes);
    rounded(n, y, 3)
}

/// Of opset 13 on, by one axis.
fn qlinear_softmax(n: &FileNode) -> Settled {
    let rank = n.shape(0)?.len();
    let along = axis(n.int_or("axis", -1), rank)?;
    if n.int_or("opset", 13) < 13 && along + 1 != rank {
        return Err("it is over several axes at once".into());
    }
    let y = n.e.node("Softmax", &[floats_of(n, 0)?], Attributes::none().with("axis", along as i64));
    rounded(n, y, 3)
}

/// Whether the channels stand behind, which the pools may have.
fn channels_last(n: &FileNode) -> bool {
    n.int_or("channels_last", 0) != 0
}

fn qlinear_global_average_pool(n: &FileNode) -> Settled {
    let (x, rank) = (floats_of(n, 0)?, n.shape(0)?.len() as i64);
    let first = if channels_last(n) { 1 } else { 2 };
    let axes: Vec<i64> = (first..first + rank - 2).collect();
    rounded(n, n.e.reduce("ReduceMean", x, &axes, true), 3)
}

fn qlinear_average_pool(n: &FileNode) -> Settled {
    if channels_last(n) {
        return Err("its channels stand behind".into());
    }
    let attributes = window::pool(n)?.with("count_include_pad", n.int_or("count_include_pad", 0) != 0);
    let y = n.e.node("AveragePool", &[floats_of(n, 0)?], attributes);
    rounded(n, y, 3)
}

/// The output's scale and zero point stand first here.
fn qlinear_concat(n: &FileNode) -> Settled {
    let parts: Vec<Tensor> = (2..n.inputs.len()).step_by(3).map(|i| floats_of(n, i)).collect::<Result<_, _>>()?;
    let along = axis(n.int("axis").ok_or("its attribute `axis` is missing")?, n.shape(2)?.len())?;
    let to = quantise::narrow_type(n, 1)?;
    one(quantise::quantized(n.e, n.e.concat(&parts, along), n.input(0)?, n.optional(1), 0, to))
}

/// alpha · A · B + C, with C in INT32 in steps of alpha · scale(A) · scale(B), which may be one a column; in floats where no
/// scale of the output is given.
fn qgemm(n: &FileNode) -> Settled {
    let (e, alpha) = (n.e, n.float_or("alpha", 1.0));
    let (trans_a, trans_b) = (n.int_or("transA", 0) != 0, n.int_or("transB", 0) != 0);
    let a = floats_of(n, 0)?;
    let b = quantise::dequantized(e, n.input(3)?, n.input(4)?, n.optional(5), if trans_b { 0 } else { 1 });
    let attributes =
        Attributes::none().with("transA", trans_a).with("transB", trans_b).with("alpha", alpha).with("beta", 1.0);
    let mut inputs = vec![Some(a), Some(b)];
    if let Some(bias) = n.optional(6) {
        let scale = e.scale(e.mul(n.input(1)?, n.input(4)?), alpha);
        let last = e.rank(bias).saturating_sub(1);
        inputs.push(Some(quantise::dequantized(e, bias, scale, None, last)));
    }
    let y = e.nodes("Gemm", &inputs, attributes)[0];
    if n.optional(7).is_some() { rounded(n, y, 7) } else { one(y) }
}
