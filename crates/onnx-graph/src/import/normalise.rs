//! BatchNormalization, LRN, Softmax, LogSoftmax.

use super::file_node::{FileNode, Refusal, Settle, one};
use crate::attributes::Attributes;
use crate::dim::element_count;
use crate::emit::Emit;
use crate::graph::{Graph, Tensor};
use crate::ops::axis;

pub(super) const OPERATORS: &[(&str, Settle)] =
    &[("BatchNormalization", batch_normalization), ("LRN", lrn), ("Softmax", softmax), ("LogSoftmax", softmax)];

/// The inference form, though the file may say otherwise: more than one output meant training before opset 14,
/// `training_mode` does since, and the oldest writers say `is_test`. What does not depend on the picture is normalised as
/// it is in training, by its own statistics: that is how layers standardise their weights.
fn batch_normalization(n: &FileNode) -> Result<Vec<Option<Tensor>>, Refusal> {
    n.ignore(&["momentum"]);
    if n.int_or("spatial", 1) == 0 {
        return Err("statistics per cell (spatial = 0) are not supported".into());
    }
    let more_outputs = n.proto.output.iter().skip(1).any(|o| !o.is_empty());
    let training = n.int_or("training_mode", 0) != 0 || n.int("is_test") == Some(0) || more_outputs;
    let mut inputs: Vec<Option<Tensor>> = (0..5).map(|i| n.input(i).map(Some)).collect::<Result<_, _>>()?;
    if training && is_made_of_weights(&n.e.graph(), n.input(0)?) {
        let (mean, variance) = statistics(n.e, n.input(0)?, n.shape(0)?.len());
        inputs.splice(3.., [Some(mean), Some(variance)]);
    } else if training {
        n.note_of_many("exported in training mode; run in inference mode");
    }
    let attributes = Attributes::none().with("epsilon", n.float_or("epsilon", 1e-5));
    one(n.e.nodes("BatchNormalization", &inputs, attributes)[0])
}

/// Whether a tensor is computed from initializers alone, in a few steps.
fn is_made_of_weights(graph: &Graph, t: Tensor) -> bool {
    const MOST: usize = 16;
    let mut open = vec![t];
    for _ in 0..MOST {
        let Some(t) = open.pop() else { return true };
        match graph.producer(t) {
            Some(node) => open.extend(node.inputs.iter().flatten()),
            None if graph.inputs.contains(&t) => return false,
            None => {}
        }
    }
    false
}

/// Mean and variance of each channel, over all axes but 1: [C], [C].
fn statistics(e: &Emit, x: Tensor, rank: usize) -> (Tensor, Tensor) {
    let axes: Vec<i64> = (0..rank as i64).filter(|axis| *axis != 1).collect();
    let mean = |t, keep| e.reduce("ReduceMean", t, &axes, keep);
    let centred = e.sub(x, mean(x, true));
    (mean(x, false), mean(e.mul(centred, centred), false))
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
