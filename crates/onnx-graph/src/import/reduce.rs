//! Reductions: axes are an attribute, from opset 13 (ReduceSum) or 18 (the others) on an input. Norms and logarithms of
//! sums are formulas.

use super::file_node::{FileNode, Refusal, Settle, one};
use crate::attributes::Attributes;
use crate::constant::Constant;
use crate::dtype::DataType;
use crate::emit::Emit;
use crate::graph::Tensor;
use crate::ops::axis;

pub(super) const OPERATORS: &[(&str, Settle)] = &[
    ("ReduceMean", reduce),
    ("ReduceSum", reduce),
    ("ReduceMax", reduce),
    ("ReduceMin", reduce),
    ("ReduceProd", reduce),
    ("ReduceL1", sums),
    ("ReduceL2", sums),
    ("ReduceSumSquare", sums),
    ("ReduceLogSum", sums),
    ("ReduceLogSumExp", sums),
    ("ArgMax", extremum_place),
    ("ArgMin", extremum_place),
    ("CumSum", cumulated),
];

type Settled = Result<Vec<Option<Tensor>>, Refusal>;

/// The axes, and whether they stay as 1. None given are all, or with `noop_with_empty_axes` none.
fn axes(n: &FileNode) -> Result<(Vec<i64>, bool), Refusal> {
    let input_since = if n.op() == "ReduceSum" { 13 } else { 18 };
    let given = n.input_or_attribute(1, "axes", input_since)?.unwrap_or_default();
    let rank = n.shape(0)?.len();
    let (keep, noop) = (n.int_or("keepdims", 1) != 0, n.int_or("noop_with_empty_axes", 0) != 0);
    let axes = if given.is_empty() && !noop { (0..rank as i64).collect() } else { n.axes(&given, rank)? };
    Ok((axes, keep))
}

fn reduce(n: &FileNode) -> Settled {
    let (x, (axes, keep)) = (n.input(0)?, axes(n)?);
    if axes.is_empty() {
        return one(x);
    }
    let attributes = Attributes::none().with("axes", axes).with("keepdims", keep);
    one(n.e.nodes(n.op(), &[Some(x)], attributes)[0])
}

/// Sums of something, and something of sums. Over no axes these are what they are of single elements.
fn sums(n: &FileNode) -> Settled {
    let (e, x, (axes, keep)) = (n.e, n.input(0)?, axes(n)?);
    let sum = |t: Tensor| e.reduce("ReduceSum", t, &axes, keep);
    match n.op() {
        "ReduceL1" => one(norm(e, x, &axes, 1, keep)),
        "ReduceSumSquare" => one(sum(e.mul(x, x))),
        _ if !e.graph().tensor(x).dtype.is_some_and(DataType::is_float) => {
            Err("roots and logarithms of integers are not supported".into())
        }
        "ReduceL2" => one(norm(e, x, &axes, 2, keep)),
        "ReduceLogSum" => one(e.node("Log", &[sum(x)], Attributes::none())),
        _ => one(log_of_sum_of_exponentials(e, x, &axes, keep)),
    }
}

/// log Σ eˣ as log Σ e^(x − m) + m, where m is the maximum, rounded down: as good against overflow, and without a gradient.
fn log_of_sum_of_exponentials(e: &Emit, x: Tensor, axes: &[i64], keep: bool) -> Tensor {
    let below = e.node("Floor", &[e.reduce("ReduceMax", x, axes, true)], Attributes::none());
    let finite = Attributes::none().with("min", f32::MIN).with("max", f32::MAX); // ∞ − ∞ is no number.
    let m = e.node("Clip", &[below], finite);
    let sum = e.reduce("ReduceSum", e.exp(e.sub(x, m)), axes, true);
    let y = e.add(e.node("Log", &[sum], Attributes::none()), m);
    let left = e.shape(y).into_iter().zip(0..).filter(|(_, axis)| keep || !axes.contains(axis)).map(|(dim, _)| dim);
    e.reshape(y, left.collect())
}

/// The p-norm over axes, (Σ |x|ᵖ)^(1/p).
pub(super) fn norm(e: &Emit, x: Tensor, axes: &[i64], p: i64, keep: bool) -> Tensor {
    root(e, e.reduce("ReduceSum", power(e, x, p), axes, keep), p)
}

/// |x|ᵖ
pub(super) fn power(e: &Emit, x: Tensor, p: i64) -> Tensor {
    match p {
        1 => e.node("Abs", &[x], Attributes::none()),
        2 => e.mul(x, x),
        _ => e.pow(e.node("Abs", &[x], Attributes::none()), p as f64),
    }
}

/// s^(1/p) of what is not negative. At 0, where the slope is infinite, it is taken of 1 and 1 is subtracted: the gradient
/// of a norm of zeros is 0.
pub(super) fn root(e: &Emit, s: Tensor, p: i64) -> Tensor {
    if p == 1 {
        return s;
    }
    let none = e.mask("Equal", s, e.number_like(s, 0.0));
    let guarded = e.add(s, none);
    let root = if p == 2 { e.sqrt(guarded) } else { e.pow(guarded, 1.0 / p as f64) };
    e.sub(root, none)
}

/// The first of equal maxima or minima, or with `select_last_index` the last: the first from behind.
fn extremum_place(n: &FileNode) -> Settled {
    let (e, x, shape) = (n.e, n.input(0)?, n.shape(0)?);
    let dtype = e.graph().tensor(x).dtype;
    let x = match n.op() {
        "ArgMax" => x,
        _ if matches!(dtype, Some(DataType::U8 | DataType::U16 | DataType::U32 | DataType::U64)) => {
            return Err("minima of unsigned integers are not located".into());
        }
        _ => e.neg(x),
    };
    let along = axis(n.int_or("axis", 0), shape.len())?;
    let attributes = Attributes::none().with("axis", along as i64).with("keepdims", n.int_or("keepdims", 1) != 0);
    if n.int_or("select_last_index", 0) == 0 {
        return one(e.node("ArgMax", &[x], attributes));
    }
    let last = shape[along].known().ok_or("the last of equal maxima is looked for along the batch")? - 1;
    let reversed = e.slice(x, along, last, -1, last + 1);
    one(e.sub(e.constant(Constant::i64s(&[], &[last])), e.node("ArgMax", &[reversed], attributes)))
}

fn cumulated(n: &FileNode) -> Settled {
    let along = match n.integers(1)?.as_slice() {
        [along] => axis(*along, n.shape(0)?.len())?,
        several => return Err(format!("its axis has {} elements", several.len()).into()),
    };
    let attributes = Attributes::none()
        .with("axis", along as i64)
        .with("exclusive", n.int_or("exclusive", 0) != 0)
        .with("reverse", n.int_or("reverse", 0) != 0);
    one(n.e.node("CumSum", &[n.input(0)?], attributes))
}
