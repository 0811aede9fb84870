//! Elements by their indices, and the indices of elements.
//!
//! GatherND and ScatterND are GatherElements and ScatterElements along one flat axis: an index of k numbers is one place
//! in the k axes that it walks.

use super::file_node::{FileNode, Refusal, Settle, one};
use crate::attributes::Attributes;
use crate::constant::Constant;
use crate::dim::{Dim, Shape, element_count, show_shape};
use crate::dtype::DataType;
use crate::emit::Emit;
use crate::graph::Tensor;
use crate::ops::axis;

pub(super) const OPERATORS: &[(&str, Settle)] = &[
    ("GatherElements", gather_elements),
    ("GatherND", gather_nd),
    ("ScatterElements", scatter_elements),
    ("Scatter", scatter_elements),
    ("ScatterND", scatter_nd),
    ("TopK", top_k),
    ("Hardmax", hardmax),
];

type Settled = Result<Vec<Option<Tensor>>, Refusal>;

fn gather(e: &Emit, data: Tensor, indices: Tensor, along: usize) -> Tensor {
    e.node("GatherElements", &[data, indices], Attributes::none().with("axis", along as i64))
}

fn scatter(e: &Emit, [data, indices, updates]: [Tensor; 3], along: usize, reduction: &str) -> Tensor {
    let attributes = Attributes::none().with("axis", along as i64).with("reduction", reduction);
    e.node("ScatterElements", &[data, indices, updates], attributes)
}

/// The other axes on which the indices cover only the first cells of data, and how many of how many.
fn partly_covered(n: &FileNode, along: usize) -> Result<Vec<(usize, i64, i64)>, Refusal> {
    let (data, indices) = (n.shape(0)?, n.shape(1)?);
    let shorter = |(a, (d, i)): (usize, (&Dim, &Dim))| {
        let (data, indices) = d.known().zip(i.known())?;
        (a != along && indices < data).then_some((a, indices, data))
    };
    Ok(data.iter().zip(&indices).enumerate().filter_map(shorter).collect())
}

fn gather_elements(n: &FileNode) -> Settled {
    let along = axis(n.int_or("axis", 0), n.shape(0)?.len())?;
    let covered = partly_covered(n, along)?;
    let data = covered.iter().fold(n.input(0)?, |data, (a, count, _)| n.e.slice(data, *a, 0, 1, *count));
    one(gather(n.e, data, n.input(1)?, along))
}

/// What an update does to the element that it meets.
fn reduction(n: &FileNode) -> Result<String, Refusal> {
    let reduction = n.text_or("reduction", "none");
    match matches!(reduction.as_str(), "none" | "add" | "mul" | "max" | "min") {
        true => Ok(reduction),
        false => Err(format!("the reduction {reduction:?} is not known").into()),
    }
}

/// Cells that no index covers are cut off before, and joined again.
fn scatter_elements(n: &FileNode) -> Settled {
    let (e, along) = (n.e, axis(n.int_or("axis", 0), n.shape(0)?.len())?);
    let (mut data, mut rests) = (n.input(0)?, Vec::new());
    for (a, count, extent) in partly_covered(n, along)? {
        rests.push((a, e.slice(data, a, count, 1, extent - count)));
        data = e.slice(data, a, 0, 1, count);
    }
    let scattered = scatter(e, [data, n.input(1)?, n.input(2)?], along, &reduction(n)?);
    one(rests.into_iter().rev().fold(scattered, |whole, (a, rest)| e.concat(&[whole, rest], a)))
}

/// Data [b…, walked…, rest…] and indices [b…, i…, k] of a GatherND or ScatterND: B of the former, K places, R elements at
/// each, M indices.
struct Walk {
    batches: Dim,
    places: Dim,
    elements: Dim,
    count: Dim,
    /// [B, M, R], every index counted along the flat axis of K.
    indices: Tensor,
    /// [b…, i…, rest…]
    found: Shape,
}

fn walk(n: &FileNode, batch_axes: usize) -> Result<Walk, Refusal> {
    let (e, data, given) = (n.e, n.shape(0)?, n.shape(1)?);
    let misfit = || format!("indices {} do not go with {}", show_shape(&given), show_shape(&data));
    let (k, outer) = given.split_last().ok_or_else(misfit)?;
    let k = k.known().and_then(|k| usize::try_from(k).ok()).filter(|k| *k > 0).ok_or_else(misfit)?;
    let fits = batch_axes <= outer.len() && k <= data.len().saturating_sub(batch_axes);
    if !fits || data[..batch_axes] != given[..batch_axes] {
        return Err(misfit().into());
    }
    let (walked, rest) = data[batch_axes..].split_at(k);
    let product = |dims: &[Dim]| element_count(dims).ok_or("the sizes overflow");
    let (batches, places, elements) = (product(&data[..batch_axes])?, product(walked)?, product(rest)?);
    let count = product(&outer[batch_axes..])?;
    let rows = e.reshape(n.input(1)?, vec![batches, count, Dim::from(k)]);
    let mut flat: Option<Tensor> = None;
    for (j, extent) in walked.iter().enumerate() {
        let index = e.from_the_front(e.slice(rows, 2, j as i64, 1, 1), *extent);
        let before = flat.map(|flat| e.mul(flat, e.dims(vec![*extent])));
        flat = Some(before.map_or(index, |before| e.add(before, index)));
    }
    let indices = e.expand(flat.ok_or_else(misfit)?, vec![batches, count, elements]);
    Ok(Walk { batches, places, elements, count, indices, found: [outer, rest].concat() })
}

fn gather_nd(n: &FileNode) -> Settled {
    let batch_axes = usize::try_from(n.int_or("batch_dims", 0)).map_err(|_| "its batch_dims are negative")?;
    let w = walk(n, batch_axes)?;
    let data = n.e.reshape(n.input(0)?, vec![w.batches, w.places, w.elements]);
    one(n.e.reshape(gather(n.e, data, w.indices, 1), w.found))
}

fn scatter_nd(n: &FileNode) -> Settled {
    let w = walk(n, 0)?;
    let data = n.e.reshape(n.input(0)?, vec![w.batches, w.places, w.elements]);
    let updates = n.e.reshape(n.input(2)?, vec![w.batches, w.count, w.elements]);
    one(n.e.reshape(scatter(n.e, [data, w.indices, updates], 1, &reduction(n)?), n.shape(0)?))
}

/// k is an attribute before opset 10, then an input.
fn top_k(n: &FileNode) -> Settled {
    n.ignore(&["sorted"]); // Unsorted, any order is right.
    let (x, along) = (n.input(0)?, axis(n.int_or("axis", -1), n.shape(0)?.len())?);
    let k = match n.opset < 10 {
        true => n.int("k").into_iter().collect(),
        false => n.integers(1)?,
    };
    let &[k] = k.as_slice() else { return Err("how many it takes is not one number".into()) };
    let largest = n.int_or("largest", 1) != 0;
    let attributes = Attributes::none().with("axis", along as i64).with("k", k).with("largest", largest);
    let indices = n.e.node("TopK", &[x], attributes);
    Ok(vec![Some(gather(n.e, x, indices, along)), Some(indices)])
}

/// 1 at the first maximum along an axis, else 0; before opset 13 along all axes from that one on.
fn hardmax(n: &FileNode) -> Settled {
    let (e, x, shape) = (n.e, n.input(0)?, n.shape(0)?);
    let along = axis(n.int_or("axis", if n.opset < 13 { 1 } else { -1 }), shape.len())?;
    let rows = match n.opset < 13 {
        true => {
            let (outer, inner) = shape.split_at(along);
            let sizes = element_count(outer).zip(element_count(inner)).ok_or("the sizes overflow")?;
            e.reshape(x, vec![sizes.0, sizes.1])
        }
        false => x,
    };
    let along = if n.opset < 13 { 1 } else { along };
    let extent = e.shape(rows).get(along).and_then(|d| d.known()).ok_or("its axis depends on the batch")?;
    if !usize::try_from(extent).is_ok_and(|extent| e.afford(extent)) {
        return Err(format!("an axis of {extent} is too long").into());
    }
    let first = e.node("ArgMax", &[rows], Attributes::none().with("axis", along as i64).with("keepdims", true));
    let places: Vec<i64> = (0..extent).collect();
    let mut dims = vec![1; e.rank(rows) - along];
    dims[0] = places.len();
    let hot = e.compare("Equal", first, e.constant(Constant::i64s(&dims, &places)));
    let dtype = e.graph().tensor(x).dtype.unwrap_or(DataType::F32);
    one(e.reshape(e.cast(hot, dtype), shape))
}
