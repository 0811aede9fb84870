//! Operators that compare places: triangles, diagonals, one of several.

use super::file_node::{FileNode, Refusal, Settle, one};
use crate::attributes::Attributes;
use crate::constant::Constant;
use crate::dim::Dim;
use crate::dtype::DataType;
use crate::graph::Tensor;
use crate::ops::axis;

pub(super) const OPERATORS: &[(&str, Settle)] = &[("Trilu", trilu), ("EyeLike", eye_like), ("OneHot", one_hot)];

type Settled = Result<Vec<Option<Tensor>>, Refusal>;

/// The places along an axis, from `first` on, as a constant of shape [extent, 1, …] with `behind` axes behind.
pub(super) fn places(n: &FileNode, first: i64, extent: Dim, behind: usize) -> Result<Tensor, Refusal> {
    let extent = extent.known().ok_or("one of its axes depends on the batch")?;
    if !usize::try_from(extent).is_ok_and(|extent| n.e.afford(extent)) {
        return Err(format!("an axis of {extent} is too long").into());
    }
    let last = first.checked_add(extent).ok_or_else(|| format!("places from {first} on overflow"))?;
    let values: Vec<i64> = (first..last).collect();
    let dims: Vec<usize> = [vec![values.len()], vec![1; behind]].concat();
    Ok(n.e.constant(Constant::i64s(&dims, &values)))
}

/// Rows, counted from `offset`, and columns of the last two axes.
fn rows_and_columns(n: &FileNode, offset: i64) -> Result<(Tensor, Tensor), Refusal> {
    match n.shape(0)?.as_slice() {
        [.., rows, columns] => Ok((places(n, offset, *rows, 1)?, places(n, 0, *columns, 0)?)),
        _ => Err("its input is no matrix".into()),
    }
}

/// The upper (else the lower) triangle from the k-th diagonal on, zeros elsewhere. Chosen, not multiplied: −∞ · 0 is no
/// number.
fn trilu(n: &FileNode) -> Settled {
    let (e, x) = (n.e, n.input(0)?);
    let k = match n.optional(1).map(|_| n.integers(1)).transpose()?.as_deref() {
        None => 0,
        Some([k]) => *k,
        Some(several) => return Err(format!("its k has {} elements", several.len()).into()),
    };
    let (rows, columns) = rows_and_columns(n, k)?;
    let inside = e.compare(if n.int_or("upper", 1) != 0 { "GreaterOrEqual" } else { "LessOrEqual" }, columns, rows);
    let dtype = e.graph().tensor(x).dtype.ok_or("the type of input 0 is not known")?;
    if dtype == DataType::Bool {
        return one(e.compare("And", x, inside));
    }
    let zero = if dtype.is_float() { e.number_like(x, 0.0) } else { e.cast(e.scalar(0.0), dtype) };
    one(e.node("Where", &[inside, x, zero], Attributes::none()))
}

/// 1 on the k-th diagonal, else 0; of the type `dtype`, or the input's.
fn eye_like(n: &FileNode) -> Settled {
    let (e, k) = (n.e, n.int_or("k", 0));
    let own = e.graph().tensor(n.input(0)?).dtype;
    let dtype = n.int("dtype").or(own.map(|own| i64::from(own as i32))).ok_or("its type is not known")?;
    let (rows, columns) = rows_and_columns(n, k)?;
    one(e.node("Cast", &[e.compare("Equal", columns, rows)], Attributes::none().with("to", dtype)))
}

/// The second of two values at the index, which may count from behind, the first elsewhere, along a new axis.
fn one_hot(n: &FileNode) -> Settled {
    let (e, mut shape, depth) = (n.e, n.shape(0)?, n.number(1)? as i64);
    let along = axis(n.int_or("axis", -1), shape.len() + 1)?;
    shape.insert(along, Dim::new(1));
    let behind = shape.len() - 1 - along;
    let index = e.reshape(e.cast(n.input(0)?, DataType::I64), shape);
    let at = |first: i64| Ok::<_, Refusal>(e.compare("Equal", index, places(n, first, Dim::new(depth), behind)?));
    let hot = e.compare("Or", at(0)?, at(depth.saturating_neg())?);
    let values = n.input(2)?;
    let value = |i: i64| e.reshape(e.slice(values, 0, i, 1, 1), vec![]);
    one(e.node("Where", &[hot, value(1), value(0)], Attributes::none()))
}
