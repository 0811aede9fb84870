//! Normalisation.
//!
//! | operator | attributes | |
//! |---|---|---|
//! | BatchNormalization | `epsilon` | X [N, C, ..], scale, B, mean, var [C] -> same; inference form |
//! | LRN | `size`, `alpha`, `beta`, `bias` | X [N, C, ..] -> same, x / (bias + α/size · Σ x²)^β across channels |
//! | Softmax, LogSoftmax | `axis` | X -> same, along one axis (opset 13) |

use super::{Infer, Inputs, Misfit, Signature, axis};
use crate::attributes::Attributes;
use crate::dim::show_shape;

pub(super) const OPERATORS: &[(&str, Infer)] =
    &[("BatchNormalization", batch_normalization), ("LRN", lrn), ("Softmax", along_axis), ("LogSoftmax", along_axis)];

fn batch_normalization(inputs: &Inputs, _: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let shape = inputs.rank(0, 2)?;
    for i in 1..5 {
        if inputs.shape(i)? != [shape[1]] {
            return Err(format!("input {i} is {} for {} channels", show_shape(inputs.shape(i)?), shape[1]));
        }
    }
    Ok(vec![Signature::new(inputs.dtype(0), shape.to_vec())])
}

fn lrn(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    if attributes.int("size") < 1 {
        return Err(format!("size {} is not positive", attributes.int("size")));
    }
    Ok(vec![Signature::new(inputs.dtype(0), inputs.rank(0, 3)?.to_vec())])
}

fn along_axis(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let shape = inputs.shape(0)?;
    axis(attributes.int("axis"), shape.len())?;
    Ok(vec![Signature::new(inputs.dtype(0), shape.to_vec())])
}
