//! Reductions: axes are an attribute, from opset 13 (ReduceSum) or 18 (the others) on an input.

use super::file_node::{FileNode, Refusal, Settle, one};
use crate::attributes::Attributes;
use crate::graph::Tensor;
use crate::ops::axis;

pub(super) const OPERATORS: &[(&str, Settle)] = &[
    ("ReduceMean", reduce),
    ("ReduceSum", reduce),
    ("ReduceMax", reduce),
    ("ReduceMin", reduce),
    ("ReduceProd", reduce),
    ("ArgMax", argmax),
    ("CumSum", cumulated),
];

fn reduce(n: &FileNode) -> Result<Vec<Option<Tensor>>, Refusal> {
    let input_since = if n.op() == "ReduceSum" { 13 } else { 18 };
    let axes = n.input_or_attribute(1, "axes", input_since)?.unwrap_or_default();
    let (x, rank) = (n.input(0)?, n.shape(0)?.len());
    let (keep, noop) = (n.int_or("keepdims", 1) != 0, n.int_or("noop_with_empty_axes", 0) != 0);
    if axes.is_empty() && noop {
        return one(x);
    }
    let axes = if axes.is_empty() { (0..rank as i64).collect() } else { n.axes(&axes, rank)? };
    let attributes = Attributes::none().with("axes", axes).with("keepdims", keep);
    one(n.e.nodes(n.op(), &[Some(x)], attributes)[0])
}

fn argmax(n: &FileNode) -> Result<Vec<Option<Tensor>>, Refusal> {
    if n.int_or("select_last_index", 0) != 0 {
        return Err("taking the last of equal maxima is not supported".into());
    }
    let along = axis(n.int_or("axis", 0), n.shape(0)?.len())?;
    let attributes = Attributes::none().with("axis", along as i64).with("keepdims", n.int_or("keepdims", 1) != 0);
    one(n.e.node("ArgMax", &[n.input(0)?], attributes))
}

fn cumulated(n: &FileNode) -> Result<Vec<Option<Tensor>>, Refusal> {
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
