//! The explained graph for an engine: what it lacks lowered, what costs time for nothing folded.

use onnx_graph::{Constant, DataType, Emit, EmitError, Graph, Node, Tensor, lower, rewrite};

use super::late_expand::computed_before_expand;

/// The graph that computes `outputs`, with
/// - BatchNormalization folded into the convolution before it, in f64, where nobody else reads that convolution;
/// - LRN lowered where the engine lacks it;
/// - repeated values computed with before they are repeated.
pub(crate) fn legal(graph: &Graph, outputs: &[Tensor], lacks: &[&str]) -> Result<Graph, EmitError> {
    let readers = graph.consumers();
    rewrite(graph, outputs, |e, node, inputs| match &*node.op {
        _ if node.carried.is_some() => None,
        "LRN" if lacks.contains(&"LRN") => Some(vec![lower::lrn(e, inputs[0]?, &node.attributes)]),
        "BatchNormalization" => {
            let x = node.inputs[0]?;
            let only_reader = readers.get(&x).is_some_and(|r| r.len() == 1) && !outputs.contains(&x);
            let conv = graph.producer(x).filter(|n| &*n.op == "Conv" && n.carried.is_none() && only_reader)?;
            folded(graph, e, conv, node, inputs[0]?).map(|y| vec![y])
        }
        _ => computed_before_expand(e, node, inputs).map(|y| vec![y]),
    })
}

/// Conv and BatchNormalization as one Conv: W′ = W s, b′ = (b − mean) s + B with s = scale / √(var + ε).
///
/// `copied` is the convolution's output in the new graph; its node there tells the new data input.
fn folded(graph: &Graph, e: &Emit, conv: &Node, norm: &Node, copied: Tensor) -> Option<Tensor> {
    let values = |node: &Node, i: usize| graph.constant(node.inputs.get(i).copied()??)?.to_f64().ok();
    let [scale, shift, mean, var] = [1, 2, 3, 4].map(|i| values(norm, i));
    let (scale, shift, mean, var) = (scale?, shift?, mean?, var?);
    let weights = graph.constant(conv.inputs[1]?).filter(|w| w.dtype() == DataType::F32)?; // Of others, engines see to it.
    let filters = scale.len();
    let bias = match conv.inputs.get(2).copied().flatten() {
        Some(_) => values(conv, 2)?,
        None => vec![0.0; filters],
    };
    let per_filter = weights.len() / filters.max(1);
    let epsilon = f64::from(norm.attributes.float("epsilon"));
    let factor: Vec<f64> = scale.iter().zip(&var).map(|(s, v)| s / (v + epsilon).sqrt()).collect();
    let scaled: Vec<f32> = weights
        .to_f64()
        .ok()?
        .chunks(per_filter.max(1))
        .zip(&factor)
        .flat_map(|(filter, f)| filter.iter().map(move |w| (w * f) as f32))
        .collect();
    let offset: Vec<f32> = (0..filters).map(|i| ((bias[i] - mean[i]) * factor[i] + shift[i]) as f32).collect();
    let x = {
        let copy = e.graph();
        copy.producer(copied)?.inputs[0]?
    };
    let w = e.constant(Constant::f32s(weights.dims(), &scaled));
    let b = e.constant(Constant::f32s(&[filters], &offset));
    Some(e.node("Conv", &[x, w, b], conv.attributes.clone()))
}
