//! Elements by their indices, and the indices of elements.
//!
//! | operator | attributes | |
//! |---|---|---|
//! | GatherElements | `axis` | data, indices -> elements of data, in the indices' shape |
//! | ScatterElements | `axis`, `reduction` | data, indices, updates -> data with the updates in it |
//! | TopK | `axis`, `k`, `largest` | X -> the indices of the k largest (or smallest), in order; of equal ones the first |
//!
//! Indices have data's extents on all axes but `axis`; negative ones count from the end. `reduction` is what an update does
//! to the element it meets: none (it takes its place), add, mul, max, min.

use super::{Infer, Inputs, Misfit, Signature, axis, size};
use crate::attributes::Attributes;
use crate::dim::{Dim, show_shape};
use crate::dtype::DataType;

pub(super) const OPERATORS: &[(&str, Infer)] =
    &[("GatherElements", gather_elements), ("ScatterElements", scatter_elements), ("TopK", top_k)];

/// Whether the indices differ from data in length on `axis` only.
fn check_indices(inputs: &Inputs, attributes: &Attributes) -> Result<(), Misfit> {
    let (data, indices) = (inputs.rank(0, 1)?, inputs.shape(1)?);
    let along = axis(attributes.int("axis"), data.len())?;
    let fits = data.len() == indices.len() && (0..data.len()).all(|a| a == along || data[a] == indices[a]);
    match fits {
        true => Ok(()),
        false => Err(format!("indices {} do not go with {} along axis {along}", show_shape(indices), show_shape(data))),
    }
}

fn gather_elements(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    check_indices(inputs, attributes)?;
    Ok(vec![Signature::new(inputs.dtype(0), inputs.shape(1)?.to_vec())])
}

fn scatter_elements(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    check_indices(inputs, attributes)?;
    let (indices, updates) = (inputs.shape(1)?, inputs.shape(2)?);
    if indices != updates {
        return Err(format!("updates {} are not as the indices, {}", show_shape(updates), show_shape(indices)));
    }
    Ok(vec![Signature::new(inputs.dtype(0), inputs.shape(0)?.to_vec())])
}

fn top_k(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let (mut shape, k) = (inputs.rank(0, 1)?.to_vec(), attributes.int("k"));
    let along = axis(attributes.int("axis"), shape.len())?;
    let extent = size(shape[along], "the searched axis")?;
    if !(1..=extent).contains(&k) {
        return Err(format!("{k} elements of an axis of {extent}"));
    }
    shape[along] = Dim::new(k);
    Ok(vec![Signature::new(Some(DataType::I64), shape)])
}
