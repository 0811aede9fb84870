//! The picture among what the network computes: where gradients end, and which of its axes is the channels.

use onnx_graph::{DataType, Graph, Tensor};

use crate::picture::Layout;

/// The picture as floats: the input, or where that holds integers, what a Cast or DequantizeLinear makes of it.
pub fn picture_in_floats(graph: &Graph, input: Tensor) -> Option<Tensor> {
    let is_float = |t: Tensor| graph.tensor(t).dtype.is_some_and(DataType::is_float);
    if is_float(input) {
        return Some(input);
    }
    let consumers = graph.consumers();
    let &[reader] = consumers.get(&input)?.as_slice() else { return None };
    let node = &graph.nodes()[reader];
    let floats = matches!(&*node.op, "Cast" | "DequantizeLinear") && node.carried.is_none();
    node.outputs[0].filter(|t| floats && is_float(*t))
}

/// Which axis of a picture [N, C, H, W] or [N, H, W, C] is its channels: what the user says, what the graph shows, what the
/// shape suggests. `None` for what has not four axes.
pub fn channel_axis(graph: &Graph, input: Tensor, layout: Option<Layout>) -> Option<usize> {
    let shape = graph.shape(input).filter(|s| s.len() == 4)?;
    let is_channels = |axis: usize| matches!(shape[axis].known(), Some(1 | 3));
    let suggested = if is_channels(3) && !is_channels(1) { Layout::Nhwc } else { Layout::Nchw };
    Some(match layout.or_else(|| layout_in(graph, input)).unwrap_or(suggested) {
        Layout::Nchw => 1,
        Layout::Nhwc => 3,
    })
}

/// Where the graph takes the input's channels to be, if it shows: behind, where its first node that moves axes brings them
/// forward; in front, where the first that minds is one of those that have them there.
pub fn layout_in(graph: &Graph, input: Tensor) -> Option<Layout> {
    let consumers = graph.consumers();
    let mut at = input;
    loop {
        let &[reader] = consumers.get(&at)?.as_slice() else { return None };
        let node = &graph.nodes()[reader];
        match &*node.op {
            "Transpose" if node.attributes.ints("perm") == [0, 3, 1, 2] => return Some(Layout::Nhwc),
            "Conv" | "MaxPool" | "AveragePool" | "BatchNormalization" => return Some(Layout::Nchw),
            "Cast" | "Add" | "Sub" | "Mul" | "Div" | "QuantizeLinear" | "DequantizeLinear" => {}
            _ => return None,
        }
        at = node.outputs.first().copied()??;
    }
}
