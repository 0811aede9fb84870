//! Adding nodes to a graph as one writes algebra.

use std::cell::{Cell, Ref, RefCell};

use crate::attributes::Attributes;
use crate::constant::{Constant, FOLDING_BUDGET};
use crate::dim::{Dim, Shape};
use crate::dtype::DataType;
use crate::fold::{fold, integer_values};
use crate::graph::{Carried, Graph, Known, Node, Tensor, TensorInfo};
use crate::ops::{self, Signature};

/// An operator whose inputs do not fit together.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{node}: {misfit}")]
pub struct EmitError {
    /// The node in words, with the shapes of its inputs.
    pub node: String,
    /// What is wrong.
    pub misfit: String,
    /// Whether that is its size: no memory would hold what it makes.
    pub too_large: bool,
}

/// Adds canonical nodes to a graph, infers what they make, and folds what is already known.
///
/// Methods take `&self`, so that calls nest like formulas: `e.mul(dy, e.positive(y))`. The first error is kept and
/// answered by [`Emit::finish`]; until then its tensor is a stand-in without a shape.
pub struct Emit<'g> {
    graph: RefCell<&'g mut Graph>,
    error: RefCell<Option<EmitError>>,
    first_new: Cell<usize>,
    budget: Cell<usize>,
}

impl<'g> Emit<'g> {
    /// Adds to this graph.
    pub fn new(graph: &'g mut Graph) -> Emit<'g> {
        let first_new = Cell::new(graph.nodes().len());
        Emit { graph: RefCell::new(graph), error: RefCell::new(None), first_new, budget: Cell::new(FOLDING_BUDGET) }
    }

    /// The first error, if there was one.
    pub fn finish(self) -> Result<(), EmitError> {
        self.error.into_inner().map_or(Ok(()), Err)
    }

    /// The first error so far, taken out.
    pub fn take_error(&self) -> Option<EmitError> {
        self.error.borrow_mut().take()
    }

    /// The graph as it stands.
    pub fn graph(&self) -> Ref<'_, Graph> {
        Ref::map(self.graph.borrow(), |g| &**g)
    }

    /// Index of the first node that came since the last call, and the number of nodes now.
    pub fn mark(&self) -> (usize, usize) {
        let now = self.graph().nodes().len();
        (self.first_new.replace(now), now)
    }

    pub(crate) fn graph_mut(&self) -> std::cell::RefMut<'_, &'g mut Graph> {
        self.graph.borrow_mut()
    }

    /// Whether this many elements more may be folded.
    pub(crate) fn afford(&self, elements: usize) -> bool {
        const BYTES: usize = 16; // Of a size that may depend on the batch.
        let left = elements.checked_mul(BYTES).and_then(|cost| self.budget.get().checked_sub(cost));
        self.budget.set(left.unwrap_or(0));
        left.is_some()
    }

    /// A node with one output.
    pub fn node(&self, op: &'static str, inputs: &[Tensor], attributes: Attributes) -> Tensor {
        let inputs: Vec<Option<Tensor>> = inputs.iter().copied().map(Some).collect();
        self.nodes(op, &inputs, attributes)[0]
    }

    /// A node with optional inputs and any number of outputs.
    pub fn nodes(&self, op: &str, inputs: &[Option<Tensor>], attributes: Attributes) -> Vec<Tensor> {
        let mut graph = self.graph.borrow_mut();
        let inferred = ops::infer_any_size(&graph, op, inputs, &attributes);
        let node = |outputs| Node {
            name: String::new(),
            module: String::new(),
            op: op.into(),
            inputs: inputs.to_vec(),
            outputs,
            attributes: attributes.clone(),
            carried: None,
        };
        let fail = |misfit, too_large| {
            let error = || EmitError { node: graph.describe(&node(vec![])), misfit, too_large };
            self.error.borrow_mut().get_or_insert_with(error);
            vec![Signature::UNKNOWN]
        };
        let signatures = match inferred {
            Ok(signatures) => match signatures.iter().find(|s| s.is_too_large()) {
                Some(large) => fail(large.too_large(), true),
                None => signatures,
            },
            Err(misfit) => fail(misfit, false),
        };
        if let [signature] = signatures.as_slice()
            && self.budget.get() > 0
            && let Some(known) = fold(&graph, op, inputs, &attributes, signature)
            && self.afford(known.len())
        {
            return vec![add(&mut graph, signature.clone(), Some(known))];
        }
        let outputs: Vec<Tensor> = signatures.into_iter().map(|s| add(&mut graph, s, None)).collect();
        graph.push(node(outputs.iter().copied().map(Some).collect()));
        outputs
    }

    /// A node of the file that is taken over as it is; its outputs' signatures are what the file declares.
    pub fn carry(
        &self,
        op: &str,
        inputs: Vec<Option<Tensor>>,
        outputs: Vec<Option<Signature>>,
        carried: Carried,
    ) -> Vec<Option<Tensor>> {
        let mut graph = self.graph.borrow_mut();
        let outputs: Vec<Option<Tensor>> = outputs.into_iter().map(|s| s.map(|s| add(&mut graph, s, None))).collect();
        graph.push(Node {
            name: String::new(),
            module: String::new(),
            op: op.into(),
            inputs,
            outputs: outputs.clone(),
            attributes: Attributes::none(),
            carried: Some(carried),
        });
        outputs
    }

    /// A constant.
    pub fn constant(&self, constant: Constant) -> Tensor {
        self.graph.borrow_mut().add_constant("", constant)
    }

    /// A float32 scalar.
    pub fn scalar(&self, value: f32) -> Tensor {
        self.constant(Constant::scalar(value))
    }

    /// The float type that goes with a tensor: its own, or float32 where it holds no floats.
    pub fn float_type(&self, a: Tensor) -> DataType {
        self.graph.borrow().tensor(a).dtype.filter(|dtype| dtype.is_float()).unwrap_or(DataType::F32)
    }

    /// Float constants of the type that goes with a tensor, rounded to it.
    pub fn constants_like(&self, a: Tensor, dims: &[usize], values: &[f64]) -> Tensor {
        let constant = Constant::floats(self.float_type(a), dims, values);
        self.constant(constant.expect("the type is a float's"))
    }

    /// A scalar of the type that goes with a tensor.
    pub fn number_like(&self, a: Tensor, value: impl Into<f64>) -> Tensor {
        self.constants_like(a, &[], &[value.into()])
    }

    /// Integers that may depend on the batch, as a tensor of one axis.
    pub fn dims(&self, values: Vec<Dim>) -> Tensor {
        let shape = vec![Dim::from(values.len())];
        add(
            &mut self.graph.borrow_mut(),
            Signature { dtype: Some(DataType::I64), shape: Some(shape) },
            Some(Known::Dims(values)),
        )
    }

    /// Shape of a tensor; empty for the stand-in of an error.
    pub fn shape(&self, t: Tensor) -> Shape {
        self.graph.borrow().shape(t).map(<[Dim]>::to_vec).unwrap_or_default()
    }

    /// Number of axes.
    pub fn rank(&self, t: Tensor) -> usize {
        self.shape(t).len()
    }

    /// The integers of a tensor, where shape arithmetic or a constant tells them.
    pub fn integers(&self, t: Tensor) -> Option<Vec<Dim>> {
        integer_values(&self.graph.borrow(), t)
    }

    // Element by element.

    /// a + b, broadcast.
    pub fn add(&self, a: Tensor, b: Tensor) -> Tensor {
        self.node("Add", &[a, b], Attributes::none())
    }

    /// a − b, broadcast.
    pub fn sub(&self, a: Tensor, b: Tensor) -> Tensor {
        self.node("Sub", &[a, b], Attributes::none())
    }

    /// a · b, broadcast.
    pub fn mul(&self, a: Tensor, b: Tensor) -> Tensor {
        self.node("Mul", &[a, b], Attributes::none())
    }

    /// a / b, broadcast.
    pub fn div(&self, a: Tensor, b: Tensor) -> Tensor {
        self.node("Div", &[a, b], Attributes::none())
    }

    /// a · factor; `a` itself where the factor is 1.
    pub fn scale(&self, a: Tensor, factor: impl Into<f64>) -> Tensor {
        let factor = factor.into();
        if factor == 1.0 { a } else { self.mul(a, self.number_like(a, factor)) }
    }

    /// aᵇ, broadcast.
    pub fn pow(&self, a: Tensor, exponent: impl Into<f64>) -> Tensor {
        self.node("Pow", &[a, self.number_like(a, exponent)], Attributes::none())
    }

    /// −a.
    pub fn neg(&self, a: Tensor) -> Tensor {
        self.node("Neg", &[a], Attributes::none())
    }

    /// max(a, 0).
    pub fn relu(&self, a: Tensor) -> Tensor {
        self.node("Relu", &[a], Attributes::none())
    }

    /// |a|.
    pub fn abs(&self, a: Tensor) -> Tensor {
        self.node("Abs", &[a], Attributes::none())
    }

    /// 1 / a.
    pub fn reciprocal(&self, a: Tensor) -> Tensor {
        self.node("Reciprocal", &[a], Attributes::none())
    }

    /// eᵃ.
    pub fn exp(&self, a: Tensor) -> Tensor {
        self.node("Exp", &[a], Attributes::none())
    }

    /// √a.
    pub fn sqrt(&self, a: Tensor) -> Tensor {
        self.node("Sqrt", &[a], Attributes::none())
    }

    /// 1 / (1 + e⁻ᵃ).
    pub fn sigmoid(&self, a: Tensor) -> Tensor {
        self.node("Sigmoid", &[a], Attributes::none())
    }

    /// A comparison, `Greater`, `Less`, `Equal` …, of booleans as result.
    pub fn compare(&self, op: &'static str, a: Tensor, b: Tensor) -> Tensor {
        self.node(op, &[a, b], Attributes::none())
    }

    /// Another element type.
    pub fn cast(&self, a: Tensor, to: DataType) -> Tensor {
        self.node("Cast", &[a], Attributes::none().with("to", i64::from(to as i32)))
    }

    /// The same in floats: `a` itself, or cast to float32 where it holds integers or booleans.
    pub fn as_floats(&self, a: Tensor) -> Tensor {
        let float = self.graph.borrow().tensor(a).dtype.is_none_or(DataType::is_float);
        if float { a } else { self.cast(a, DataType::F32) }
    }

    /// 1 where the condition `op` (a comparison) holds, else 0, in a's float type (float32 where a holds no floats): a
    /// mask to multiply with. (`Where` is not vectorised in ONNX Runtime, a product is.)
    pub fn mask(&self, op: &'static str, a: Tensor, b: Tensor) -> Tensor {
        self.cast(self.compare(op, a, b), self.float_type(a))
    }

    /// 1 where a > 0, else 0.
    pub fn positive(&self, a: Tensor) -> Tensor {
        self.mask("Greater", a, self.number_like(a, 0.0))
    }

    /// Indices along an axis of `extent` with the negative ones, which count from its end, made positive; int64.
    pub fn from_the_front(&self, indices: Tensor, extent: Dim) -> Tensor {
        let indices = self.cast(indices, DataType::I64);
        let zero = self.constant(Constant::i64s(&[], &[0]));
        let negative = self.cast(self.compare("Less", indices, zero), DataType::I64);
        self.add(indices, self.mul(negative, self.dims(vec![extent])))
    }

    // Products.

    /// A · B over the last two axes.
    pub fn matmul(&self, a: Tensor, b: Tensor) -> Tensor {
        self.node("MatMul", &[a, b], Attributes::none())
    }

    /// The last two axes exchanged.
    pub fn swap_last(&self, a: Tensor) -> Tensor {
        let rank = self.rank(a) as i64;
        let mut perm: Vec<i64> = (0..rank).collect();
        if rank >= 2 {
            perm.swap(rank as usize - 2, rank as usize - 1);
        }
        self.transpose(a, &perm)
    }

    // Moving elements.

    /// Axes in another order; `a` itself where that is the order it has.
    pub fn transpose(&self, a: Tensor, perm: &[i64]) -> Tensor {
        if perm.iter().copied().eq(0..self.rank(a) as i64) {
            return a;
        }
        self.node("Transpose", &[a], Attributes::none().with("perm", perm.to_vec()))
    }

    /// The same elements in another shape; `a` itself where that is the shape it has.
    pub fn reshape(&self, a: Tensor, shape: Shape) -> Tensor {
        if self.graph.borrow().shape(a) == Some(shape.as_slice()) {
            return a;
        }
        self.node("Reshape", &[a], Attributes::none().with("shape", shape))
    }

    /// Broadcast to a shape; `a` itself where it has that shape.
    pub fn expand(&self, a: Tensor, shape: Shape) -> Tensor {
        if self.graph.borrow().shape(a) == Some(shape.as_slice()) {
            return a;
        }
        self.node("Expand", &[a], Attributes::none().with("shape", shape))
    }

    /// Joined along an axis.
    pub fn concat(&self, parts: &[Tensor], axis: usize) -> Tensor {
        match parts {
            [one] => *one,
            _ => self.node("Concat", parts, Attributes::none().with("axis", axis as i64)),
        }
    }

    /// `count` elements from `start` by `step` along one axis; `a` itself where that is all of it.
    pub fn slice(&self, a: Tensor, axis: usize, start: i64, step: i64, count: i64) -> Tensor {
        if start == 0 && step == 1 && self.shape(a).get(axis) == Some(&Dim::new(count)) {
            return a;
        }
        let attributes = Attributes::none()
            .with("axes", vec![axis as i64])
            .with("starts", vec![start])
            .with("steps", vec![step])
            .with("counts", vec![count]);
        self.node("Slice", &[a], attributes)
    }

    /// Zeros (or `value`s) around, negative pads crop: begins of all axes, then ends.
    pub fn pad(&self, a: Tensor, pads: &[i64], value: f32) -> Tensor {
        if pads.iter().all(|p| *p == 0) {
            return a;
        }
        let attributes = Attributes::none().with("pads", pads.to_vec()).with("mode", "constant").with("value", value);
        self.node("Pad", &[a], attributes)
    }

    // Reductions.

    /// A reduction, `ReduceSum`, `ReduceMean` …, over these axes; `a` itself where there are none.
    pub fn reduce(&self, op: &'static str, a: Tensor, axes: &[i64], keep: bool) -> Tensor {
        if axes.is_empty() {
            return a;
        }
        self.node(op, &[a], Attributes::none().with("axes", axes.to_vec()).with("keepdims", keep))
    }

    /// Sum over all axes behind the second, kept: [N, K, h, w] -> [N, K, 1, 1].
    pub fn sum_spatial(&self, a: Tensor) -> Tensor {
        let axes: Vec<i64> = (2..self.rank(a) as i64).collect();
        self.reduce("ReduceSum", a, &axes, true)
    }

    /// Mean over all axes behind the second, kept: [N, K, h, w] -> [N, K, 1, 1].
    pub fn mean_spatial(&self, a: Tensor) -> Tensor {
        let axes: Vec<i64> = (2..self.rank(a) as i64).collect();
        self.reduce("ReduceMean", a, &axes, true)
    }

    /// Sum over the channels, which go: [N, K, h, w] -> [N, h, w].
    pub fn sum_channels(&self, a: Tensor) -> Tensor {
        self.reduce("ReduceSum", a, &[1], false)
    }

    /// A gradient of a broadcast operand, summed back to that operand's shape.
    pub fn sum_to(&self, a: Tensor, shape: &[Dim]) -> Tensor {
        let from = self.shape(a);
        let extra = from.len().saturating_sub(shape.len());
        let one = Dim::new(1);
        let axes: Vec<i64> = (0..from.len())
            .filter(|i| *i < extra || (shape[i - extra] == one && from[*i] != one))
            .map(|i| i as i64)
            .collect();
        let summed = self.reduce("ReduceSum", a, &axes, true);
        self.reshape(summed, shape.to_vec())
    }
}

fn add(graph: &mut Graph, signature: Signature, known: Option<Known>) -> Tensor {
    graph.add_tensor(TensorInfo { name: "".into(), dtype: signature.dtype, shape: signature.shape, known })
}
