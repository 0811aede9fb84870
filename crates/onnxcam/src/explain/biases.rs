//! The biases of convolutions and batch normalisations, and the tensors that they are added to.

use onnx_graph::{Graph, Node, Tensor};

/// A number for each channel that is added to every cell of a tensor.
pub(super) struct Bias {
    /// What it has been added to, [N, C, h, w].
    pub output: Tensor,
    /// b, \[C\].
    pub values: Vec<f64>,
}

/// Every bias that a graph's convolutions and batch normalisations add to more than one cell: that of a Conv, or added to it
/// by the Add that alone stands behind it, and B − mean · scale / √(var + ε) of a BatchNormalization.
pub(super) fn biases(graph: &Graph) -> Vec<Bias> {
    let plain = graph.nodes().iter().filter(|node| node.carried.is_none());
    plain.filter_map(|node| of(graph, node)).collect()
}

fn of(graph: &Graph, node: &Node) -> Option<Bias> {
    let output = node.outputs.first().copied()??;
    let [_, channels, height, width] = *graph.shape(output)? else { return None };
    if height.known()? * width.known()? < 2 {
        return None;
    }
    let constant = |t: Option<Tensor>| graph.constant(t?)?.to_f64().ok();
    let values = |i: usize| constant(node.inputs.get(i).copied()?);
    let values = match &*node.op {
        "Conv" => values(2)?,
        "BatchNormalization" => {
            let (scale, shift, mean, variance) = (values(1)?, values(2)?, values(3)?, values(4)?);
            let epsilon = f64::from(node.attributes.float("epsilon"));
            let sigma = variance.iter().map(|v| (v + epsilon).sqrt());
            let scaled = mean.iter().zip(&scale).zip(sigma).map(|((mean, scale), sigma)| mean * scale / sigma);
            shift.iter().zip(scaled).map(|(shift, scaled)| shift - scaled).collect()
        }
        "Add" => {
            let (a, b) = (node.inputs[0]?, node.inputs[1]?);
            let is_conv = |t| graph.producer(t).is_some_and(|n| n.carried.is_none() && &*n.op == "Conv");
            let added = if is_conv(a) { b } else { Some(a).filter(|_| is_conv(b))? };
            match graph.shape(added)? {
                [one @ .., c, h, w] if *c == channels && one.iter().chain([h, w]).all(|d| d.known() == Some(1)) => {
                    constant(Some(added))?
                }
                _ => return None,
            }
        }
        _ => return None,
    };
    (channels.known() == i64::try_from(values.len()).ok()).then_some(Bias { output, values })
}
