//! Expanding late: a tensor that repeats one value is computed with before it is repeated.
//!
//! Behind global average pooling the gradient is the same in every cell of a channel. Done on [N, K, 1, 1] instead of
//! [N, K, h, w], what a method computes of it costs nothing beside a small network's own run.

use onnx_graph::{Dim, Emit, Node, Tensor};

/// Operators that work element by element, each operand broadcast.
const ELEMENTWISE: [&str; 14] =
    ["Relu", "Reciprocal", "Neg", "Abs", "Sqrt", "Exp", "Cast", "Add", "Sub", "Mul", "Div", "Greater", "Less", "Equal"];

/// The node's output, computed before its operands are expanded; `None` where that is no help.
///
/// f(expand x) = expand f(x);  Σ over n equal elements = n x, their mean and least = x.
pub(crate) fn computed_before_expand(e: &Emit, node: &Node, inputs: &[Option<Tensor>]) -> Option<Tensor> {
    let inputs: Vec<Tensor> = inputs.iter().copied().collect::<Option<_>>()?;
    let sources: Vec<Tensor> = inputs.iter().map(|t| before_expand(e, *t).unwrap_or(*t)).collect();
    if sources == inputs {
        return None;
    }
    match &*node.op {
        op if ELEMENTWISE.contains(&op) => {
            let expanded = inputs.iter().map(|t| e.shape(*t)).reduce(|a, b| broadcast(&a, &b))?;
            let sources: Vec<Option<Tensor>> = sources.into_iter().map(Some).collect();
            Some(e.expand(e.nodes(op, &sources, node.attributes.clone())[0], expanded))
        }
        op @ ("ReduceSum" | "ReduceMean" | "ReduceMin") => reduced(e, op, node, inputs[0], sources[0]),
        _ => None,
    }
}

fn reduced(e: &Emit, op: &str, node: &Node, expanded: Tensor, source: Tensor) -> Option<Tensor> {
    let (full, one) = (e.shape(expanded), e.shape(source));
    let axes: Vec<usize> = node.attributes.ints("axes").iter().map(|a| *a as usize).collect();
    let mut count = 1;
    for axis in &axes {
        count *= full[*axis].known().filter(|_| one[*axis] == Dim::new(1))?;
    }
    let keep = node.attributes.flag("keepdims");
    let rest = |shape: &[Dim]| -> Vec<Dim> {
        let reduced = |(i, d): (usize, &Dim)| match axes.contains(&i) {
            true => keep.then_some(Dim::new(1)),
            false => Some(*d),
        };
        shape.iter().enumerate().filter_map(reduced).collect()
    };
    let value = e.reshape(source, rest(&one));
    let value = if op == "ReduceSum" { e.scale(value, count as f32) } else { value };
    Some(e.expand(value, rest(&full)))
}

/// What was expanded to make a tensor, axis by axis.
pub(crate) fn before_expand(e: &Emit, t: Tensor) -> Option<Tensor> {
    let graph = e.graph();
    let node = graph.producer(t).filter(|n| &*n.op == "Expand" && n.carried.is_none())?;
    let source = node.inputs[0]?;
    (graph.shape(source)?.len() == graph.shape(t)?.len()).then_some(source)
}

fn broadcast(a: &[Dim], b: &[Dim]) -> Vec<Dim> {
    onnx_graph::ops::broadcast(a, b).unwrap_or_else(|_| a.to_vec())
}

#[cfg(test)]
mod tests {
    use onnx_graph::{DataType, Graph};
    use testkit::{Draw, evaluate};

    use super::super::legal::legal;
    use super::*;

    /// What Grad-CAM++ does behind global average pooling: no full-size gradient is left, and the numbers are the same.
    #[test]
    fn a_gradient_that_pooling_repeats_is_not_written_out() {
        let mut graph = Graph::new();
        let maps = vec![Dim::BATCH, Dim::new(3), Dim::new(2), Dim::new(2)];
        let a = graph.add_input("a", DataType::F32, maps.clone());
        let row = graph.add_input("row", DataType::F32, vec![Dim::BATCH, Dim::new(3), Dim::new(1), Dim::new(1)]);
        let e = Emit::new(&mut graph);
        let g = e.relu(e.expand(row, maps));
        let alpha = e.reciprocal(e.add(e.mul(g, e.sum_spatial(a)), e.scalar(2.0)));
        let (weights, mean) = (e.sum_spatial(e.mul(alpha, g)), e.mean_spatial(g));
        let product = e.mul(g, a);
        let least = e.reduce("ReduceMin", e.abs(e.sub(g, e.positive(g))), &[2, 3], true);
        e.finish().unwrap();
        let wanted = [weights, mean, product, least];
        let fast = legal(&graph, &wanted, &[]).unwrap();

        let needed = fast.needed_for(&fast.outputs);
        let full = fast.nodes().iter().zip(needed).filter(|(n, needed)| *needed && &*n.op == "Expand").count();
        assert_eq!(full, 0, "{}", onnx_graph::dump(&fast));
        let mut draw = Draw::new(1);
        let (maps, rows) = (draw.positive(&[2, 3, 2, 2]), draw.uniform(&[2, 3, 1, 1]));
        let feeds = |graph: &Graph| [(graph.inputs[0], maps.clone()), (graph.inputs[1], rows.clone())];
        let before = evaluate(&graph, 2, &feeds(&graph), &wanted).unwrap();
        let after = evaluate(&fast, 2, &feeds(&fast), &fast.outputs).unwrap();
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before.shape(), after.shape());
            assert!(before.iter().zip(after).all(|(x, y)| (x - y).abs() < 1e-12));
        }
    }
}
