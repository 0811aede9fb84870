//! Rounding to integers of few bits, and back.
//!
//! | operator | attributes | |
//! |---|---|---|
//! | QuantizeLinear | `axis`, `to` (a type) | X, scale, zero point -> same shape, saturate(round(x / scale) + zero point) |
//! | DequantizeLinear | `axis` | Q, scale, zero point? -> same shape, (q − zero point) · scale in scale's type |
//! | DynamicQuantizeLinear | | X -> u8 of the same shape, scale [], zero point [] of its range |
//!
//! Halves are rounded to even. Scale and zero point have one element, [], or one for each place along `axis`, \[D\]; blocks
//! are written out. INT32 as `to` is ours: an integer product that was computed in floats, with scale 1 and zero point 0.

use super::{Infer, Inputs, Misfit, Signature, axis};
use crate::attributes::Attributes;
use crate::dim::show_shape;
use crate::dtype::DataType;

pub(super) const OPERATORS: &[(&str, Infer)] = &[
    ("QuantizeLinear", quantize_linear),
    ("DequantizeLinear", dequantize_linear),
    ("DynamicQuantizeLinear", dynamic_quantize_linear),
];

/// Whether scale and zero point go with input 0.
fn check_scale(inputs: &Inputs, attributes: &Attributes) -> Result<(), Misfit> {
    let (x, scale) = (inputs.shape(0)?, inputs.shape(1)?);
    let fits = match scale {
        [] => true,
        [one] => *one == x[axis(attributes.int("axis"), x.len())?],
        _ => false,
    };
    if !fits {
        let along = attributes.int("axis");
        return Err(format!("scales {} do not go with {} along axis {along}", show_shape(scale), show_shape(x)));
    }
    if inputs.has(2) && inputs.shape(2)? != scale {
        return Err(format!("zero points {} for scales {}", show_shape(inputs.shape(2)?), show_shape(scale)));
    }
    Ok(())
}

fn quantize_linear(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    check_scale(inputs, attributes)?;
    let to = i32::try_from(attributes.int("to")).ok().and_then(DataType::from_number);
    let integers =
        to.filter(|t| matches!(t, DataType::U8 | DataType::I8 | DataType::U16 | DataType::I16 | DataType::I32));
    let to = integers.ok_or_else(|| format!("element type {} is not one to quantise to", attributes.int("to")))?;
    Ok(vec![Signature::new(Some(to), inputs.shape(0)?.to_vec())])
}

fn dequantize_linear(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    check_scale(inputs, attributes)?;
    Ok(vec![Signature::new(inputs.dtype(1), inputs.shape(0)?.to_vec())])
}

fn dynamic_quantize_linear(inputs: &Inputs, _: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let x = inputs.shape(0)?.to_vec();
    let (byte, scale) = (Some(DataType::U8), inputs.dtype(0));
    Ok(vec![Signature::new(byte, x), Signature::new(scale, vec![]), Signature::new(byte, vec![])])
}
