//! The explained graph for an engine: what it lacks lowered, what costs time for nothing folded.

use onnx_graph::{Attributes, Constant, DataType, Dim, Emit, EmitError, Graph, Node, Tensor, lower, rewrite};

use super::late_expand::computed_before_expand;
use crate::engine::Lack;

/// The graph that computes `outputs`, for an engine with these [`Lack`]s, with
/// - BatchNormalization folded into the convolution before it, in f64, where nobody else reads that convolution;
/// - what the engine lacks written otherwise;
/// - repeated values computed with before they are repeated.
pub fn legal(graph: &Graph, outputs: &[Tensor], lacks: &[Lack]) -> Result<Graph, EmitError> {
    let readers = graph.consumers();
    rewrite(graph, outputs, |e, node, inputs| match &*node.op {
        _ if node.carried.is_some() => None,
        "BatchNormalization" => {
            let x = node.inputs[0]?;
            let only_reader = readers.get(&x).is_some_and(|r| r.len() == 1) && !outputs.contains(&x);
            let conv = graph.producer(x).filter(|n| &*n.op == "Conv" && n.carried.is_none() && only_reader)?;
            folded(graph, e, conv, node, inputs[0]?).map(|y| vec![y])
        }
        _ => without(e, node, inputs, lacks).or_else(|| computed_before_expand(e, node, inputs)).map(|y| vec![y]),
    })
}

/// The node's output by other nodes, where it is one that the engine lacks.
fn without(e: &Emit, node: &Node, inputs: &[Option<Tensor>], lacks: &[Lack]) -> Option<Tensor> {
    let a = &node.attributes;
    let x = inputs.first().copied()??;
    let dtype = |t: Tensor| e.graph().tensor(t).dtype;
    let lacking = |lack| lacks.contains(&lack);
    match &*node.op {
        "LRN" if lacking(Lack::Lrn) => Some(lower::lrn(e, x, a)),
        "MaxPool" | "AveragePool" if lacking(Lack::DilatedPools) && a.ints("dilations").iter().any(|d| *d != 1) => {
            lower::pool_by_slices(e, &node.op, x, a)
        }
        "MatMul" if lacking(Lack::MatricesByVector) && e.rank(x) > 2 && e.rank(inputs[1]?) == 1 => {
            let (mut shape, vector) = (e.shape(x), inputs[1]?);
            shape.pop();
            let column = vec![e.shape(vector)[0], Dim::new(1)];
            Some(e.reshape(e.matmul(x, e.reshape(vector, column)), shape))
        }
        "Cast" if lacking(Lack::CastToBool) && a.int("to") == DataType::Bool as i64 => {
            let zero = Constant::integers(dtype(x)?, &[], &[0]).or_else(|| Constant::floats(dtype(x)?, &[], &[0.0]))?;
            let equal = e.compare("Equal", x, e.constant(zero));
            Some(e.node("Not", &[equal], Attributes::none()))
        }
        op if lacking(Lack::Bytes) && OF_BYTES.contains(&op) => {
            let byte = |t: &Tensor| matches!(dtype(*t), Some(DataType::U8 | DataType::I8));
            let narrow = inputs.iter().flatten().find(|t| byte(t)).and_then(|t| dtype(*t))?;
            let wide = if op == "MaxPool" { DataType::F32 } else { DataType::I32 };
            let widened = |t: &Option<Tensor>| t.map(|t| if byte(&t) { e.cast(t, wide) } else { t });
            let inputs: Vec<Option<Tensor>> = inputs.iter().map(widened).collect();
            let y = e.nodes(op, &inputs, a.clone())[0];
            Some(if dtype(y) == Some(wide) { e.cast(y, narrow) } else { y })
        }
        _ => None,
    }
}

/// Operators that rten has for 32-bit integers and not for bytes.
const OF_BYTES: &[&str] = &[
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Mod",
    "Min",
    "Max",
    "Clip",
    "Equal",
    "Greater",
    "Less",
    "GreaterOrEqual",
    "LessOrEqual",
    "MaxPool",
];

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
