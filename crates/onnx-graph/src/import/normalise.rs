//! BatchNormalization, LRN, Softmax, LogSoftmax.

use super::file_node::{FileNode, Refusal, Settle, one};
use crate::attributes::Attributes;
use crate::dim::element_count;
use crate::graph::Tensor;
use crate::ops::axis;

pub(super) const OPERATORS: &[(&str, Settle)] =
    &[("BatchNormalization", batch_normalization), ("LRN", lrn), ("Softmax", softmax), ("LogSoftmax", softmax)];

/// Always the inference form. More than one output meant training before opset 14, `training_mode` does since.
fn batch_normalization(n: &FileNode) -> Result<Vec<Option<Tensor>>, Refusal> {
    n.ignore(&["momentum", "is_test"]);
    if n.int_or("spatial", 1) == 0 {
        return Err("statistics per cell (spatial = 0) are not supported".into());
    }
    let more_outputs = n.proto.output.iter().skip(1).any(|o| !o.is_empty());
    if n.int_or("training_mode", 0) != 0 || more_outputs {
        n.note(format!("{} is exported in training mode; it is run in inference mode", super::describe(n.proto)));
    }
    let inputs: Vec<Option<Tensor>> = (0..5).map(|i| n.input(i).map(Some)).collect::<Result<_, _>>()?;
    let attributes = Attributes::none().with("epsilon", n.float_or("epsilon", 1e-5));
    one(n.e.nodes("BatchNormalization", &inputs, attributes)[0])
}

fn lrn(n: &FileNode) -> Result<Vec<Option<Tensor>>, Refusal> {
    let attributes = Attributes::none()
        .with("size", n.int("size").ok_or("its attribute `size` is missing")?)
        .with("alpha", n.float_or("alpha", 1e-4))
        .with("beta", n.float_or("beta", 0.75))
        .with("bias", n.float_or("bias", 1.0));
    one(n.e.node("LRN", &[n.input(0)?], attributes))
}

/// Along one axis since opset 13 (the last by default); before, over everything from the axis (1 by default) on, as if
/// flattened to a matrix.
fn softmax(n: &FileNode) -> Result<Vec<Option<Tensor>>, Refusal> {
    let op = if n.op() == "Softmax" { "Softmax" } else { "LogSoftmax" };
    let (x, shape) = (n.input(0)?, n.shape(0)?);
    let given = n.int("axis");
    let emit = |x, axis: usize| n.e.node(op, &[x], Attributes::none().with("axis", axis as i64));
    if n.opset >= 13 {
        return one(emit(x, axis(given.unwrap_or(-1), shape.len())?));
    }
    let from = axis(given.unwrap_or(1), shape.len())?;
    if shape[from + 1..].iter().all(|d| d.known() == Some(1)) {
        return one(emit(x, from));
    }
    let (rows, columns) = (element_count(&shape[..from]), element_count(&shape[from..]));
    let (rows, columns) = rows.zip(columns).ok_or("the sizes overflow")?;
    let flat = emit(n.e.reshape(x, vec![rows, columns]), 1);
    one(n.e.reshape(flat, shape))
}
