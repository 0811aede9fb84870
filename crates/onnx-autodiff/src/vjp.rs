//! What a rule sees of its node, and how it answers.

use std::collections::HashSet;

use onnx_graph::{Attributes, DataType, Emit, Node, Shape, Tensor};

/// A node whose vector-Jacobian product is wanted.
pub struct Vjp<'a, 'g> {
    e: &'a Emit<'g>,
    node: &'a Node,
    wanted: Vec<bool>,
    output_grads: Vec<Option<Tensor>>,
    answers: Vec<(Tensor, Tensor)>,
    refused: Option<String>,
}

impl<'a, 'g> Vjp<'a, 'g> {
    pub(crate) fn new(
        e: &'a Emit<'g>,
        node: &'a Node,
        wanted: Vec<bool>,
        output_grads: Vec<Option<Tensor>>,
    ) -> Vjp<'a, 'g> {
        Vjp { e, node, wanted, output_grads, answers: Vec::new(), refused: None }
    }

    pub(crate) fn finish(self) -> Result<Vec<(Tensor, Tensor)>, String> {
        self.refused.map_or(Ok(self.answers), Err)
    }

    /// The node's attributes, in canonical form.
    pub fn attributes(&self) -> &'a Attributes {
        &self.node.attributes
    }

    /// Input `i`, which the operator always has.
    pub fn input(&self, i: usize) -> Tensor {
        self.node.inputs[i].expect("canonical form has its required inputs")
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.node.inputs.len()
    }

    /// Output `i`.
    pub fn output(&self, i: usize) -> Tensor {
        self.node.outputs[i].expect("canonical nodes have all their outputs")
    }

    /// Shape of a tensor.
    pub fn shape(&self, t: Tensor) -> Shape {
        self.e.shape(t)
    }

    /// Whether a tensor holds floats, and not integers or booleans.
    pub fn holds_floats(&self, t: Tensor) -> bool {
        self.e.graph().tensor(t).dtype.is_none_or(DataType::is_float)
    }

    /// Whether an input that holds indices names a place twice along the node's `axis`; `None` where they are not known.
    pub fn repeats_along_axis(&self, i: usize) -> Option<bool> {
        let (t, axis) = (self.input(i), usize::try_from(self.attributes().int("axis")).ok()?);
        let sizes = |t: Tensor| self.shape(t).iter().map(|d| d.known()).collect::<Option<Vec<i64>>>();
        let (shape, extent) = (sizes(t)?, sizes(self.input(0))?[axis]);
        let inner: i64 = shape[axis + 1..].iter().product();
        let mut seen = HashSet::new();
        let mut values = self.e.integers(t)?.into_iter().map(|v| v.known()).enumerate();
        values.try_fold(false, |repeats, (at, index)| {
            let at = at as i64;
            let lane = (at / (inner * shape[axis]), at % inner.max(1));
            Some(repeats | !seen.insert((lane, index?.checked_rem_euclid(extent)?)))
        })
    }

    /// Gradient of output `i`; zeros where nobody depends on it.
    pub fn output_grad(&self, i: usize) -> Tensor {
        self.output_grads[i].unwrap_or_else(|| {
            let y = self.output(i);
            self.e.expand(self.e.number_like(y, 0.0), self.e.shape(y))
        })
    }

    /// Answers the gradient of input `i`, if it is wanted; the closure runs only then. Gradients of a tensor that is
    /// used twice are added.
    pub fn input_grad(&mut self, i: usize, gradient: impl FnOnce(&'a Emit<'g>) -> Tensor) {
        if self.wanted.get(i) == Some(&true) {
            let gradient = gradient(self.e);
            self.answers.push((self.input(i), gradient));
        }
    }

    /// Says that the gradient of input `i` is not supported, if it is wanted.
    pub fn refuse(&mut self, i: usize, reason: &str) {
        if self.wanted.get(i) == Some(&true) {
            self.refused.get_or_insert_with(|| format!("the gradient of its input {i} is not supported: {reason}"));
        }
    }
}
