//! Reductions.
//!
//! | operator | attributes | |
//! |---|---|---|
//! | ReduceMean, ReduceSum, ReduceMax, ReduceMin, ReduceProd | `axes` (ascending), `keepdims` | |
//! | ArgMax | `axis`, `keepdims` | X -> int64, the first maximum |
//! | CumSum | `axis`, `exclusive`, `reverse` | sums of all elements up to each, without it where `exclusive`, from the end where `reverse` |

use super::{Infer, Inputs, Misfit, Signature, axis};
use crate::attributes::Attributes;
use crate::dim::{Dim, Shape};
use crate::dtype::DataType;

pub(super) const OPERATORS: &[(&str, Infer)] = &[
    ("ReduceMean", reduce),
    ("ReduceSum", reduce),
    ("ReduceMax", reduce),
    ("ReduceMin", reduce),
    ("ReduceProd", reduce),
    ("ArgMax", argmax),
    ("CumSum", cumulated),
];

fn reduced(shape: &[Dim], axes: &[i64], keep: bool) -> Result<Shape, Misfit> {
    let mut shape: Vec<Option<Dim>> = shape.iter().copied().map(Some).collect();
    for along in axes {
        let along = axis(*along, shape.len())?;
        shape[along] = keep.then_some(Dim::new(1));
    }
    Ok(shape.into_iter().flatten().collect())
}

fn reduce(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let shape = reduced(inputs.shape(0)?, attributes.ints("axes"), attributes.flag("keepdims"))?;
    Ok(vec![Signature::new(inputs.dtype(0), shape)])
}

fn argmax(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let shape = reduced(inputs.shape(0)?, &[attributes.int("axis")], attributes.flag("keepdims"))?;
    Ok(vec![Signature::new(Some(DataType::I64), shape)])
}

fn cumulated(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let shape = inputs.rank(0, 1)?;
    axis(attributes.int("axis"), shape.len())?;
    Ok(vec![Signature::new(inputs.dtype(0), shape.to_vec())])
}
