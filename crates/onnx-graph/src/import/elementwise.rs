//! Element by element: opset history of each in `ops/elementwise.rs`' families.

use super::file_node::{FileNode, Refusal, Settle, one};
use super::formulas::c_remainder;
use crate::attributes::Attributes;
use crate::constant::Constant;
use crate::dtype::DataType;
use crate::graph::Tensor;

pub(super) const OPERATORS: &[(&str, Settle)] = &[
    ("Relu", unary),
    ("Sigmoid", unary),
    ("Tanh", unary),
    ("Exp", unary),
    ("Log", unary),
    ("Sqrt", unary),
    ("Reciprocal", unary),
    ("Abs", unary),
    ("Neg", unary),
    ("Floor", unary),
    ("Ceil", unary),
    ("Sin", unary),
    ("Cos", unary),
    ("Erf", unary),
    ("HardSwish", unary),
    ("Not", unary),
    ("LeakyRelu", leaky_relu),
    ("HardSigmoid", hard_sigmoid),
    ("Swish", swish),
    ("Clip", clip),
    ("Cast", cast),
    ("CastLike", cast_like),
    ("Identity", same),
    ("Dropout", dropout),
    ("Add", binary),
    ("Sub", binary),
    ("Mul", binary),
    ("Div", binary),
    ("Pow", pow),
    ("And", binary),
    ("Or", binary),
    ("Equal", binary),
    ("Greater", binary),
    ("Less", binary),
    ("GreaterOrEqual", binary),
    ("LessOrEqual", binary),
    ("Mod", modulo),
    ("Sum", sum),
    ("Min", chain),
    ("Max", chain),
    ("Where", choose),
];

type Settled = Result<Vec<Option<Tensor>>, Refusal>;

fn emit(n: &FileNode, inputs: &[Option<Tensor>], attributes: Attributes) -> Settled {
    one(n.e.nodes(n.op(), inputs, attributes)[0])
}

fn unary(n: &FileNode) -> Settled {
    emit(n, &[Some(n.input(0)?)], Attributes::none())
}

fn binary(n: &FileNode) -> Settled {
    emit(n, &[Some(n.input(0)?), Some(n.input(1)?)], Attributes::none())
}

/// A float to an integer's power is one to that float's.
fn pow(n: &FileNode) -> Settled {
    let (base, mut exponent) = (n.input(0)?, n.input(1)?);
    let dtype = |t: Tensor| n.e.graph().tensor(t).dtype;
    if let (Some(float), Some(of)) = (dtype(base).filter(|d| d.is_float()), dtype(exponent))
        && !of.is_float()
    {
        exponent = n.e.cast(exponent, float);
    }
    emit(n, &[Some(base), Some(exponent)], Attributes::none())
}

fn leaky_relu(n: &FileNode) -> Settled {
    let attributes = Attributes::none().with("alpha", n.float_or("alpha", 0.01));
    emit(n, &[Some(n.input(0)?)], attributes)
}

fn hard_sigmoid(n: &FileNode) -> Settled {
    let (alpha, beta) = (n.float_or("alpha", 0.2), n.float_or("beta", 0.5));
    emit(n, &[Some(n.input(0)?)], Attributes::none().with("alpha", alpha).with("beta", beta))
}

fn swish(n: &FileNode) -> Settled {
    emit(n, &[Some(n.input(0)?)], Attributes::none().with("alpha", n.float_or("alpha", 1.0)))
}

/// The bounds are attributes before opset 11, then inputs that may be left out.
fn clip(n: &FileNode) -> Settled {
    let bound = |i: usize, name: &'static str, open: f32| match n.opset {
        ..11 => Ok(n.float_or(name, open)),
        _ if n.optional(i).is_some() => n.number(i).map(|v| v as f32),
        _ => Ok(open),
    };
    let (min, max) = (bound(1, "min", f32::NEG_INFINITY)?, bound(2, "max", f32::INFINITY)?);
    emit(n, &[Some(n.input(0)?)], Attributes::none().with("min", min).with("max", max))
}

fn cast(n: &FileNode) -> Settled {
    n.ignore(&["saturate", "round_mode"]);
    let (x, to) = (n.input(0)?, n.int("to").ok_or("its attribute `to` is missing")?);
    let from = n.e.graph().tensor(x).dtype;
    if from.is_some_and(|from| i64::from(from as i32) == to) {
        return one(x);
    }
    emit(n, &[Some(x)], Attributes::none().with("to", to))
}

/// Cast to the type of the second input.
fn cast_like(n: &FileNode) -> Settled {
    n.ignore(&["saturate", "round_mode"]);
    let (x, like) = (n.input(0)?, n.input(1)?);
    let dtype = |t| n.e.graph().tensor(t).dtype;
    let to = dtype(like).ok_or("the type of input 1 is not known")?;
    one(if dtype(x) == Some(to) { x } else { n.e.cast(x, to) })
}

fn same(n: &FileNode) -> Settled {
    one(n.input(0)?)
}

/// Dropout does nothing when a network is used; its mask is true everywhere, before opset 10 one of floats.
fn dropout(n: &FileNode) -> Settled {
    n.ignore(&["ratio", "seed"]);
    let training = n.optional(2).is_some_and(|_| n.number(2).is_ok_and(|training| training != 0.0));
    if training || n.int("is_test") == Some(0) {
        n.note_of_many("exported in training mode; left out here");
    }
    let x = n.input(0)?;
    if !n.wants(1) {
        return one(x);
    }
    let kept = n.e.constant(Constant::integers(DataType::Bool, &[], &[1]).expect("a boolean"));
    let kept = if n.opset < 10 { n.e.cast(kept, n.e.float_type(x)) } else { kept };
    Ok(vec![Some(x), Some(n.e.expand(kept, n.shape(0)?))])
}

/// The remainder with the divisor's sign; with `fmod` C's, which has the dividend's.
fn modulo(n: &FileNode) -> Settled {
    match n.int_or("fmod", 0) {
        0 => binary(n),
        _ => one(c_remainder(n.e, n.input(0)?, n.input(1)?)),
    }
}

pub(super) fn all_inputs(n: &FileNode) -> Result<Vec<Tensor>, Refusal> {
    (0..n.inputs.len()).map(|i| n.input(i)).collect()
}

fn sum(n: &FileNode) -> Settled {
    let terms = all_inputs(n)?;
    let sum = terms.into_iter().reduce(|a, b| n.e.add(a, b));
    one(sum.ok_or("it has no inputs")?)
}

fn chain(n: &FileNode) -> Settled {
    let op = if n.op() == "Min" { "Min" } else { "Max" };
    let terms = all_inputs(n)?;
    let chained = terms.into_iter().reduce(|a, b| n.e.node(op, &[a, b], Attributes::none()));
    one(chained.ok_or("it has no inputs")?)
}

fn choose(n: &FileNode) -> Settled {
    emit(n, &[Some(n.input(0)?), Some(n.input(1)?), Some(n.input(2)?)], Attributes::none())
}
