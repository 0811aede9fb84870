//! MatMul and Gemm (opset 7 on; C may be left out since 11).

use super::file_node::{FileNode, Refusal, Settle, one};
use crate::attributes::Attributes;
use crate::graph::Tensor;

pub(super) const OPERATORS: &[(&str, Settle)] = &[("MatMul", matmul), ("Gemm", gemm)];

fn matmul(n: &FileNode) -> Result<Vec<Option<Tensor>>, Refusal> {
    one(n.e.matmul(n.input(0)?, n.input(1)?))
}

pub(super) fn gemm(n: &FileNode) -> Result<Vec<Option<Tensor>>, Refusal> {
    let attributes = Attributes::none()
        .with("transA", n.int_or("transA", 0) != 0)
        .with("transB", n.int_or("transB", 0) != 0)
        .with("alpha", n.float_or("alpha", 1.0))
        .with("beta", n.float_or("beta", 1.0));
    let inputs = [Some(n.input(0)?), Some(n.input(1)?), n.optional(2)];
    let given = if inputs[2].is_some() { 3 } else { 2 };
    one(n.e.nodes("Gemm", &inputs[..given], attributes)[0])
}
