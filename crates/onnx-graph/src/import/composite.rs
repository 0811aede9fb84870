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

/// x − mean and √(var + ε) over these axes, and the mean.
struct Moments {
    centred: Tensor,
    deviation: Tensor,
    mean: Tensor,
}

/// Halves in float32, where squares do not overflow.
fn moments(e: &Emit, x: Tensor, axes: &[i64], epsilon: f32) -> Moments {
    let narrow = matches!(e.float_type(x), DataType::F16 | DataType::BF16);
    let x = if narrow { e.cast(x, DataType::F32) } else { x };
    let mean = e.reduce("ReduceMean", x, axes, true);
    let centred = e.sub(x, mean);
    let variance = e.reduce("ReduceMean", e.pow(centred, 2.0), axes, true);
    Moments { centred, deviation: e.sqrt(e.add(variance, e.number_like(x, epsilon))), mean }
}

impl Moments {
    /// (x − mean) / √(var + ε) in x's type.
    fn normalised(&self, e: &Emit, x: Tensor) -> Tensor {
        as_float_of(e, e.div(self.centred, self.deviation), x)
    }

    /// (x − mean) · (scale / √(var + ε)) in x's type, for a scale along axes that are not averaged over. The scale is not
    /// multiplied behind the quotient, which rten takes for a LayerNormalization and then refuses.
    fn scaled(&self, e: &Emit, x: Tensor, scale: Tensor) -> Tensor {
        let factor = e.div(as_float_of(e, scale, self.deviation), self.deviation);
        as_float_of(e, e.mul(self.centred, factor), x)
    }
}

/// In the float type of another tensor.
fn as_float_of(e: &Emit, x: Tensor, other: Tensor) -> Tensor {
    let dtype = e.float_type(other);
    if e.float_type(x) == dtype { x } else { e.cast(x, dtype) }
}

/// Over the last axes, from `axis` on; scale and bias have their shape. Mean and 1/√(var + ε) where they are read.
fn layer_normalization(n: &FileNode) -> Settled {
    n.ignore(&["stash_type"]); // The precision of what lies between.
    let (e, x, rank) = (n.e, n.input(0)?, n.shape(0)?.len());
    let first = axis(n.int_or("axis", -1), rank)?;
    let axes: Vec<i64> = (first as i64..rank as i64).collect();
    let moments = moments(e, x, &axes, n.float_or("epsilon", 1e-5));
    let scaled = e.mul(moments.normalised(e, x), n.input(1)?);
    let y = n.optional(2).map_or(scaled, |bias| e.add(scaled, bias));
    Ok(vec![Some(y), Some(moments.mean), n.wants(2).then(|| e.reciprocal(moments.deviation))])
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
    let moments = moments(n.e, x, &axes, n.float_or("epsilon", 1e-5));
    one(n.e.add(moments.scaled(n.e, x, scale), bias))
}

/// Over the cells of each group of channels; scale and bias have one entry a channel, before opset 21 one a group.
fn group_normalization(n: &FileNode) -> Settled {
    n.ignore(&["stash_type"]);
    let (x, shape) = (n.input(0)?, n.shape(0)?);
    let groups = n.int("num_groups").ok_or("its attribute `num_groups` is missing")?;
    let in_group = shape.get(1..).and_then(element_count).and_then(Dim::known);
    let in_group = in_group.and_then(|all| all.checked_div(groups)).ok_or("the size of its groups is not known")?;
    let flat = n.e.reshape(x, vec![shape[0], Dim::new(groups), Dim::new(in_group)]);
    let moments = moments(n.e, flat, &[2], n.float_or("epsilon", 1e-5));
    if n.opset < 21 {
        let scaled = n.e.add(moments.scaled(n.e, flat, by_channel(n, 1, 3)?), by_channel(n, 2, 3)?);
        return one(n.e.reshape(scaled, shape));
    }
    let normal = moments.normalised(n.e, flat);
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

/// min(x, 0), with a slope of 1 at 0 where max(x, 0) has 0.
fn negative_part(e: &Emit, x: Tensor) -> Tensor {
    e.sub(x, e.relu(x))
}

/// x where it is positive, else α (e^(βx) − 1); at 0 it has the slope from below, αβ.
pub(super) fn exponential_below(e: &Emit, x: Tensor, alpha: f32, beta: f64) -> Tensor {
    let below = e.exp(e.scale(negative_part(e, x), beta));
    e.add(e.relu(x), e.scale(e.sub(below, e.number_like(x, 1.0)), alpha))
}

fn elu(n: &FileNode) -> Settled {
    one(exponential_below(n.e, n.input(0)?, n.float_or("alpha", 1.0), 1.0))
}

fn selu(n: &FileNode) -> Settled {
    let (alpha, gamma) = (n.float_or("alpha", 1.673_263_2), n.float_or("gamma", 1.050_701));
    one(n.e.scale(exponential_below(n.e, n.input(0)?, alpha, 1.0), gamma))
}

/// x where it is positive, else slope · x, at 0 too.
fn prelu(n: &FileNode) -> Settled {
    let (e, x) = (n.e, n.input(0)?);
    one(e.add(e.relu(x), e.mul(n.input(1)?, negative_part(e, x))))
}

/// log(1 + eˣ), as (x + |x|)/2 + log(1 + e^−|x|): it does not overflow, and where |x| has its kink half the first term's
/// slope is what is left, σ(0).
pub(super) fn softplus(e: &Emit, x: Tensor) -> Tensor {
    let size = e.node("Abs", &[x], Attributes::none());
    let rest = e.node("Log", &[e.add(e.exp(e.neg(size)), e.number_like(x, 1.0))], Attributes::none());
    e.add(e.scale(e.add(x, size), 0.5), rest)
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
