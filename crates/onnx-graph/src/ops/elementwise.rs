//! Element by element.
//!
//! | operator | attributes | |
//! |---|---|---|
//! | Relu, Sigmoid, Tanh, Exp, Log, Sqrt, Reciprocal, Abs, Neg, Floor, Ceil, HardSwish, Erf, Sin, Cos | | X -> same |
//! | LeakyRelu | `alpha` | X -> same |
//! | HardSigmoid | `alpha`, `beta` | max(0, min(1, αx + β)) |
//! | Swish | `alpha` | x · sigmoid(αx), opset 24 |
//! | Clip | `min`, `max` (±∞ where open) | X -> same |
//! | Cast | `to` (number of the type) | X -> same shape |
//! | Not | | bool -> bool |
//! | Add, Sub, Mul, Div, Pow, Min, Max, Mod, And, Or | | A, B -> broadcast |
//! | Equal, Greater, Less, GreaterOrEqual, LessOrEqual | | A, B -> bool, broadcast |
//! | Where | | C bool, A, B -> broadcast |

use super::{Infer, Inputs, Misfit, Signature, broadcast};
use crate::attributes::Attributes;
use crate::dtype::DataType;

pub(super) const OPERATORS: &[(&str, Infer)] = &[
    ("Relu", same),
    ("LeakyRelu", same),
    ("Clip", same),
    ("Sigmoid", same),
    ("HardSigmoid", same),
    ("HardSwish", same),
    ("Swish", same),
    ("Tanh", same),
    ("Exp", same),
    ("Log", same),
    ("Sqrt", same),
    ("Reciprocal", same),
    ("Abs", same),
    ("Neg", same),
    ("Floor", same),
    ("Ceil", same),
    ("Erf", same),
    ("Sin", same),
    ("Cos", same),
    ("Not", same),
    ("Cast", cast),
    ("Add", binary),
    ("Sub", binary),
    ("Mul", binary),
    ("Div", binary),
    ("Pow", binary),
    ("Min", binary),
    ("Max", binary),
    ("Mod", binary),
    ("And", binary),
    ("Or", binary),
    ("Equal", compare),
    ("Greater", compare),
    ("Less", compare),
    ("GreaterOrEqual", compare),
    ("LessOrEqual", compare),
    ("Where", choose),
];

fn same(inputs: &Inputs, _: &Attributes) -> Result<Vec<Signature>, Misfit> {
    Ok(vec![Signature::new(inputs.dtype(0), inputs.shape(0)?.to_vec())])
}

fn cast(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let to = i32::try_from(attributes.int("to")).ok().and_then(DataType::from_number);
    let to = to.ok_or_else(|| format!("element type {} is not supported", attributes.int("to")))?;
    Ok(vec![Signature::new(Some(to), inputs.shape(0)?.to_vec())])
}

fn binary(inputs: &Inputs, _: &Attributes) -> Result<Vec<Signature>, Misfit> {
    Ok(vec![Signature::new(inputs.dtype(0), broadcast(inputs.shape(0)?, inputs.shape(1)?)?)])
}

fn compare(inputs: &Inputs, _: &Attributes) -> Result<Vec<Signature>, Misfit> {
    Ok(vec![Signature::new(Some(DataType::Bool), broadcast(inputs.shape(0)?, inputs.shape(1)?)?)])
}

fn choose(inputs: &Inputs, _: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let branches = broadcast(inputs.shape(1)?, inputs.shape(2)?)?;
    Ok(vec![Signature::new(inputs.dtype(1), broadcast(inputs.shape(0)?, &branches)?)])
}
