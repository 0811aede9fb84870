//! Whether global average pooling joins the feature maps to a linear layer, as CAM needs it.

use onnx_graph::{Graph, Node, Tensor};

use crate::target::{Head, LastLinear, are_all_cells, is_moved};

/// The linear head that CAM takes its weights from; the reason why there is none otherwise.
///
/// Two forms: A → pooling → linear → scores, and, as pooling and a 1×1 convolution commute, A → 1×1 convolution → (ReLU)
/// → pooling → scores. Reshapes may stand between.
pub(super) fn pooled_linear_head(graph: &Graph, head: &Head, features: Tensor) -> Result<LastLinear, String> {
    let last = through_reshapes(graph, head.raw);
    if let Some(linear) = LastLinear::making(graph, last) {
        let pooled = through_reshapes(graph, linear.input);
        return match average_pooled(graph, pooled) {
            Some(input) if is_moved(graph, features, input) => Ok(linear),
            Some(input) => Err(format!("pooling is applied to \"{}\" instead", graph.tensor(input).name)),
            None => Err("no global average pooling stands before its linear layer".to_owned()),
        };
    }
    let class_maps =
        average_pooled(graph, last).ok_or("its scores are made neither by a linear layer nor by pooling")?;
    let rectified = graph.producer(class_maps).filter(|n| &*n.op == "Relu").and_then(|n| n.inputs[0]);
    let convolved = rectified.unwrap_or(class_maps);
    let linear = LastLinear::making(graph, convolved).ok_or("no 1×1 convolution makes its class maps")?;
    if linear.input != features {
        return Err("other operators lie between the layer and the class maps".to_owned());
    }
    Ok(linear)
}

fn through_reshapes(graph: &Graph, t: Tensor) -> Tensor {
    let mut t = t;
    while let Some(input) = graph.producer(t).filter(|n| &*n.op == "Reshape").and_then(|n| n.inputs[0]) {
        t = input;
    }
    t
}

/// What is averaged over all its cells to make a tensor.
fn average_pooled(graph: &Graph, t: Tensor) -> Option<Tensor> {
    let node = graph.producer(t).filter(|n| n.carried.is_none())?;
    let input = node.inputs.first().copied().flatten()?;
    let whole = match &*node.op {
        "GlobalAveragePool" => true,
        "ReduceMean" => are_all_cells(graph, input, node.attributes.ints("axes")),
        "AveragePool" => covers_all(graph, node, input),
        _ => false,
    };
    whole.then_some(input)
}

fn covers_all(graph: &Graph, node: &Node, input: Tensor) -> bool {
    let extents = graph.shape(input).unwrap_or_default().iter().skip(2).map(|d| d.known());
    let kernel = node.attributes.ints("kernel_shape").iter().copied().map(Some);
    let unpadded = node.attributes.ints("pads").iter().all(|p| *p == 0);
    let dense = node.attributes.ints("dilations").iter().all(|d| *d == 1);
    unpadded && dense && extents.eq(kernel)
}
