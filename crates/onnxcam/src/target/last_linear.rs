//! The linear layer that makes the class scores: a Gemm, a MatMul, or a 1×1 convolution.

use onnx_graph::{Attributes, Dim, Emit, Graph, Node, Tensor};

use super::Head;

/// S_c = Σ_k W_ck x_k + b_c, with constant W.
///
/// Its rows are what Eq. 1 of the Grad-CAM++ paper calls w_k^c, and the gradient of S_c with respect to its input: so
/// neither a full product with a one-hot seed nor any of the weights' other rows are needed.
#[derive(Clone, Debug)]
pub struct LastLinear {
    /// What it is applied to: [N, K], or [N, K, h, w] for a 1×1 convolution.
    pub input: Tensor,
    /// Its output.
    pub output: Tensor,
    weight: Tensor,
    class_axis: usize,
    scale: f32,
}

impl LastLinear {
    /// The linear layer that makes a tensor directly, its bias aside.
    pub fn making(graph: &Graph, t: Tensor) -> Option<LastLinear> {
        let node = graph.producer(t).filter(|n| n.carried.is_none())?;
        let input = |i: usize| node.inputs.get(i).copied().flatten();
        let constant = |t: Option<Tensor>| t.filter(|t| is_weight(graph, *t));
        let (input, weight, class_axis, scale) = match &*node.op {
            "Add" if constant(input(1)).is_some() => return through_bias(graph, t, input(0)?),
            "Add" if constant(input(0)).is_some() => return through_bias(graph, t, input(1)?),
            "MatMul" if graph.shape(t)?.len() == 2 => (input(0)?, constant(input(1))?, 1, 1.0),
            "Gemm" if !node.attributes.flag("transA") => {
                let class_axis = if node.attributes.flag("transB") { 0 } else { 1 };
                (input(0)?, constant(input(1))?, class_axis, node.attributes.float("alpha"))
            }
            "Conv" if is_pointwise(node) => (input(0)?, constant(input(1))?, 0, 1.0),
            _ => return None,
        };
        Some(LastLinear { input, output: t, weight, class_axis, scale })
    }

    /// The weights of one class for each picture; `class` \[N\] -> [N, K].
    pub fn rows(&self, e: &Emit, head: &Head, class: Tensor) -> Tensor {
        let inputs = self.features(e);
        let rows = if head.binary {
            let row = e.reshape(self.weight, vec![Dim::new(1), inputs]);
            e.mul(sign_of_class(e, class, row), row) // Class 1 has the score, class 0 its negative.
        } else {
            // Gathered first and reshaped then: the weights themselves would become another constant.
            let axis = Attributes::none().with("axis", self.class_axis as i64);
            let gathered = e.node("Gather", &[self.weight, class], axis);
            let batch = e.shape(class).first().copied().unwrap_or(Dim::BATCH);
            match self.class_axis {
                1 => e.transpose(gathered, &[1, 0]),
                _ => e.reshape(gathered, vec![batch, inputs]),
            }
        };
        e.scale(rows, self.scale)
    }

    fn features(&self, e: &Emit) -> Dim {
        let shape = e.shape(self.weight);
        shape.get(1 - self.class_axis).copied().unwrap_or(Dim::new(1))
    }
}

/// Whether a tensor is a constant, or what DequantizeLinear makes of constants.
fn is_weight(graph: &Graph, t: Tensor) -> bool {
    let constant = |t: Tensor| graph.constant(t).is_some();
    let stored = graph.producer(t).filter(|n| &*n.op == "DequantizeLinear");
    constant(t) || stored.is_some_and(|n| n.inputs.iter().flatten().all(|t| constant(*t)))
}

fn through_bias(graph: &Graph, output: Tensor, product: Tensor) -> Option<LastLinear> {
    (graph.shape(output) == graph.shape(product)).then_some(())?;
    Some(LastLinear { output, ..LastLinear::making(graph, product)? })
}

fn is_pointwise(node: &Node) -> bool {
    let a = &node.attributes;
    let all = |name: &str, value: i64| a.ints(name).iter().all(|v| *v == value);
    all("kernel_shape", 1) && all("strides", 1) && all("pads", 0) && a.int("group") == 1
}

/// 1 for class 1, −1 for class 0, in the type of `like`; [N] -> [N, 1].
fn sign_of_class(e: &Emit, class: Tensor, like: Tensor) -> Tensor {
    let batch = e.shape(class).first().copied().unwrap_or(Dim::BATCH);
    let class = e.cast(e.reshape(class, vec![batch, Dim::new(1)]), e.float_type(like));
    e.sub(e.scale(class, 2.0), e.number_like(class, 1.0))
}
