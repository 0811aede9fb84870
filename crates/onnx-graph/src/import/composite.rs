//! Operators that are formulas of others: normalisation over axes, curved activations. Written out so that engines that know
//! the pattern can make one operator of it again.

use super::file_node::{FileNode, Refusal, Settle, one};
use crate::attributes::Attributes;
use crate::dim::{Dim, element_count};
use crate::dtype::DataType;
use crate::emit::Emit;
use crate::graph::Tensor;
use crate::ops::axis;

pub(super) const OPERATORS: &[(&str, Settle)] = &[
    ("LayerNormalization", layer_normalization),
    ("InstanceNormalization", instance_normalization),
    ("GroupNormalization", group_normalization),
    ("Gelu", gelu),
    ("Elu", elu),
    ("Selu", selu),
    ("PRelu", prelu),
    ("Softplus", softplus_node),
    ("Softsign", softsign),
    ("Mish", mish),
];

type Settled = Result<Vec<Option<Tensor>>, Refusal>;

/// (x − mean) / √(var + ε) over these axes; halves in float32, where squares do not overflow.
fn normalised(e: &Emit, x: Tensor, axes: &[i64], epsilon: f32) -> Tensor {
    let narrow = matches!(e.float_type(x), DataType::F16 | DataType::BF16).then(|| e.float_type(x));
    let x = if narrow.is_some() { e.cast(x, DataType::F32) } else { x };
    let d = e.sub(x, e.reduce("ReduceMean", x, axes, true));
    let variance = e.reduce("ReduceMean", e.pow(d, 2.0), axes, true);
    let y = e.div(d, e.sqrt(e.add(variance, e.number_like(x, epsilon))));
    narrow.map_or(y, |dtype| e.cast(y, dtype))
}

/// Over the last axes, from `axis` on; scale and bias have their shape.
fn layer_normalization(n: &FileNode) -> Settled {
    n.ignore(&["stash_type"]); // The precision of what lies between.
    let (x, rank) = (n.input(0)?, n.shape(0)?.len());
    let first = axis(n.int_or("axis", -1), rank)?;
    let axes: Vec<i64> = (first as i64..rank as i64).collect();
    let scaled = n.e.mul(normalised(n.e, x, &axes, n.float_or("epsilon", 1e-5)), n.input(1)?);
    one(n.optional(2).map_or(scaled, |bias| n.e.add(scaled, bias)))
}

/// [C] as [C, 1, …], to go with [N, C, …].
fn by_channel(n: &FileNode, i: usize, rank: usize) -> Result<Tensor, Refusal> {
    let mut shape = n.shape(i)?;
    shape.resize(rank.saturating_sub(1).max(1), Dim::new(1));
    Ok(n.e.reshape(n.input(i)?, shape))
}

/// Over the cells of each channel of each picture.
fn instance_normalization(n: &FileNode) -> Settled {
    let (x, rank) = (n.input(0)?, n.shape(0)?.len());
    let axes: Vec<i64> = (2..rank as i64).collect();
    let (scale, bias) = (by_channel(n, 1, rank)?, by_channel(n, 2, rank)?);
    one(n.e.add(n.e.mul(normalised(n.e, x, &axes, n.float_or("epsilon", 1e-5)), scale), bias))
}

/// Over the cells of each group of channels; scale and bias have one entry a channel, before opset 21 one a group.
fn group_normalization(n: &FileNode) -> Settled {
    n.ignore(&["stash_type"]);
    let (x, shape) = (n.input(0)?, n.shape(0)?);
    let groups = n.int("num_groups").ok_or("its attribute `num_groups` is missing")?;
    let in_group = shape.get(1..).and_then(element_count).and_then(Dim::known);
    let in_group = in_group.and_then(|all| all.checked_div(groups)).ok_or("the size of its groups is not known")?;
    let flat = n.e.reshape(x, vec![shape[0], Dim::new(groups), Dim::new(in_group)]);
    let normal = normalised(n.e, flat, &[2], n.float_or("epsilon", 1e-5));
    if n.opset < 21 {
        let scaled = n.e.add(n.e.mul(normal, by_channel(n, 1, 3)?), by_channel(n, 2, 3)?);
        return one(n.e.reshape(scaled, shape));
    }
    let (scale, bias) = (by_channel(n, 1, shape.len())?, by_channel(n, 2, shape.len())?);
    one(n.e.add(n.e.mul(n.e.reshape(normal, shape), scale), bias))
}

fn gelu(n: &FileNode) -> Settled {
    let x = n.input(0)?;
    match n.text_or("approximate", "none").as_str() {
        "none" => one(gelu_by_erf(n.e, x)),
        "tanh" => one(gelu_by_tanh(n.e, x)),
        other => Err(format!("the approximation {other:?} is not known").into()),
    }
}

/// x Φ(x), Φ the normal distribution: x/2 (1 + erf(x/√2)).
pub(super) fn gelu_by_erf(e: &Emit, x: Tensor) -> Tensor {
    let bent = e.node("Erf", &[e.div(x, e.number_like(x, std::f32::consts::SQRT_2))], Attributes::none());
    half_and_bent(e, x, bent)
}

/// The same with tanh(√(2/π) (x + 0.044715 x³)) for the erf.
pub(super) fn gelu_by_tanh(e: &Emit, x: Tensor) -> Tensor {
    let inner = e.add(x, e.scale(e.pow(x, 3.0), 0.044_715));
    let bent = e.node("Tanh", &[e.scale(inner, (2.0 / std::f32::consts::PI).sqrt())], Attributes::none());
    half_and_bent(e, x, bent)
}

fn half_and_bent(e: &Emit, x: Tensor, bent: Tensor) -> Tensor {
    e.scale(e.mul(x, e.add(bent, e.number_like(x, 1.0))), 0.5)
}

/// x where it is positive, else α (eˣ − 1): x − min(x, 0) + α (e^min(x, 0) − 1), of slope 1 at 0, as it is for α = 1.
fn exponential_below(e: &Emit, x: Tensor, alpha: f32) -> Tensor {
    let below = e.node("Clip", &[x], Attributes::none().with("min", f32::NEG_INFINITY).with("max", 0.0f32));
    e.add(e.sub(x, below), e.scale(e.sub(e.exp(below), e.number_like(x, 1.0)), alpha))
}

fn elu(n: &FileNode) -> Settled {
    one(exponential_below(n.e, n.input(0)?, n.float_or("alpha", 1.0)))
}

fn selu(n: &FileNode) -> Settled {
    let (alpha, gamma) = (n.float_or("alpha", 1.673_263_2), n.float_or("gamma", 1.050_701));
    one(n.e.scale(exponential_below(n.e, n.input(0)?, alpha), gamma))
}

/// x where it is positive, else slope · x.
fn prelu(n: &FileNode) -> Settled {
    let (e, x) = (n.e, n.input(0)?);
    one(e.sub(e.relu(x), e.mul(n.input(1)?, e.relu(e.neg(x)))))
}

/// log(1 + eˣ), as (x + |x|)/2 + log(1 + e^−|x|), which does not overflow; its slope at 0 is 1/2, as |x|'s is 0.
pub(super) fn softplus(e: &Emit, x: Tensor) -> Tensor {
    let size = e.node("Abs", &[x], Attributes::none());
    let small = e.exp(e.neg(size));
    let positive = e.scale(e.add(x, size), 0.5);
    e.add(positive, e.node("Log", &[e.add(small, e.number_like(x, 1.0))], Attributes::none()))
}

fn softplus_node(n: &FileNode) -> Settled {
    one(softplus(n.e, n.input(0)?))
}

/// x / (1 + |x|)
fn softsign(n: &FileNode) -> Settled {
    let (e, x) = (n.e, n.input(0)?);
    one(e.div(x, e.add(e.node("Abs", &[x], Attributes::none()), e.number_like(x, 1.0))))
}

/// x tanh(softplus(x))
fn mish(n: &FileNode) -> Settled {
    let (e, x) = (n.e, n.input(0)?);
    one(e.mul(x, e.node("Tanh", &[softplus(e, x)], Attributes::none())))
}
