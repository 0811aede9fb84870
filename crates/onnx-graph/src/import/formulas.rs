//! Element by element, as formulas: activations in pieces, rounding, signs, means.

use super::composite::exponential_below;
use super::elementwise::all_inputs;
use super::file_node::{FileNode, Refusal, Settle, one};
use crate::attributes::Attributes;
use crate::dtype::DataType;
use crate::emit::Emit;
use crate::graph::Tensor;

pub(super) const OPERATORS: &[(&str, Settle)] = &[
    ("Celu", celu),
    ("ThresholdedRelu", thresholded_relu),
    ("Shrink", shrink),
    ("Mean", mean),
    ("Xor", xor),
    ("Round", round),
    ("Sign", sign),
];

type Settled = Result<Vec<Option<Tensor>>, Refusal>;

fn floor(e: &Emit, x: Tensor) -> Tensor {
    e.node("Floor", &[x], Attributes::none())
}

/// x where it is positive, else α (e^(x/α) − 1).
fn celu(n: &FileNode) -> Settled {
    let alpha = n.float_or("alpha", 1.0);
    if alpha == 0.0 {
        return Err("its alpha is 0, by which it divides".into());
    }
    one(exponential_below(n.e, n.input(0)?, alpha, 1.0 / f64::from(alpha)))
}

/// x where it is more than α, else 0.
fn thresholded_relu(n: &FileNode) -> Settled {
    let (e, x) = (n.e, n.input(0)?);
    one(e.mul(x, e.mask("Greater", x, e.number_like(x, n.float_or("alpha", 1.0)))))
}

/// x + bias where x < −λ, x − bias where x > λ, else 0.
fn shrink(n: &FileNode) -> Settled {
    let (e, x) = (n.e, n.input(0)?);
    let (lambda, bias) = (n.float_or("lambd", 0.5), e.number_like(x, n.float_or("bias", 0.0)));
    let low = e.mul(e.add(x, bias), e.mask("Less", x, e.number_like(x, -lambda)));
    one(e.add(low, e.mul(e.sub(x, bias), e.mask("Greater", x, e.number_like(x, lambda)))))
}

fn mean(n: &FileNode) -> Settled {
    let terms = all_inputs(n)?;
    let count = terms.len();
    let sum = terms.into_iter().reduce(|a, b| n.e.add(a, b)).ok_or("it has no inputs")?;
    one(if count == 1 { sum } else { n.e.div(sum, n.e.number_like(sum, count as f64)) })
}

/// One of two, but not both.
fn xor(n: &FileNode) -> Settled {
    let (e, a, b) = (n.e, n.input(0)?, n.input(1)?);
    let both = e.node("Not", &[e.compare("And", a, b)], Attributes::none());
    one(e.compare("And", e.compare("Or", a, b), both))
}

/// To the nearest whole number, halves to the even one: ⌊x⌋, and 1 more where what is left is more than a half, or is one
/// and ⌊x⌋ is odd.
fn round(n: &FileNode) -> Settled {
    let (e, x) = (n.e, n.input(0)?);
    let (whole, half) = (floor(e, x), e.number_like(x, 0.5));
    let left = e.sub(x, whole);
    let odd = e.sub(whole, e.scale(floor(e, e.mul(whole, half)), 2.0));
    let up = e.add(e.mask("Greater", left, half), e.mul(e.mask("Equal", left, half), odd));
    one(e.add(whole, up))
}

/// 1 where x is positive, −1 where it is negative, else 0; of x's type.
fn sign(n: &FileNode) -> Settled {
    let (e, x) = (n.e, n.input(0)?);
    let dtype = e.graph().tensor(x).dtype.ok_or("the type of input 0 is not known")?;
    let zero = if dtype.is_float() { e.number_like(x, 0.0) } else { e.cast(e.scalar(0.0), dtype) };
    let side = |op| e.cast(e.compare(op, x, zero), dtype);
    match dtype {
        DataType::U8 | DataType::U16 | DataType::U32 | DataType::U64 => one(side("Greater")),
        _ => one(e.sub(side("Greater"), side("Less"))),
    }
}

/// C's fmod: a − b · (a / b, cut off towards zero), which has a's sign.
pub(super) fn c_remainder(e: &Emit, a: Tensor, b: Tensor) -> Tensor {
    let quotient = e.div(a, b); // Of integers it is cut off already.
    if !e.graph().tensor(a).dtype.is_some_and(DataType::is_float) {
        return e.sub(a, e.mul(b, quotient));
    }
    // ⌈q⌉ below 0, ⌊q⌋ above; neither has a gradient.
    let cut = e.add(floor(e, e.relu(quotient)), e.neg(floor(e, e.relu(e.neg(quotient)))));
    e.sub(a, e.mul(b, cut))
}
