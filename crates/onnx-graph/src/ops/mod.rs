//! The canonical operators: what their attributes are, and the types and shapes of what they make.
//!
//! In canonical form every attribute is present and opset-independent, axes are counted from the front, and sizes
//! that only depend on the batch are attributes rather than inputs. One file per operator family; each header lists
//! its operators with attributes and shapes.

mod elementwise;
mod indexing;
mod layout;
mod linear;
mod normalise;
mod quantise;
mod reduce;
mod window;

pub(crate) use window::possible_windows;
pub use window::{Window, pool_extent};

use crate::attributes::Attributes;
use crate::dim::{Dim, Shape, show_shape};
use crate::dtype::DataType;
use crate::graph::{Graph, Tensor};

/// Type and shape of one output, as far as known.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// Element type.
    pub dtype: Option<DataType>,
    /// Shape.
    pub shape: Option<Shape>,
}

impl Signature {
    fn new(dtype: Option<DataType>, shape: Shape) -> Signature {
        Signature { dtype, shape: Some(shape) }
    }

    /// Nothing is known.
    pub const UNKNOWN: Signature = Signature { dtype: None, shape: None };

    pub(crate) fn is_too_large(&self) -> bool {
        self.shape.as_deref().is_some_and(is_too_large)
    }

    pub(crate) fn too_large(&self) -> Misfit {
        format!("its output would be {}", show_shape(self.shape.as_deref().unwrap_or_default()))
    }
}

/// Why an operator's inputs do not fit.
pub type Misfit = String;

type Infer = fn(&Inputs, &Attributes) -> Result<Vec<Signature>, Misfit>;

/// The families, in the order of this folder.
const FAMILIES: &[&[(&str, Infer)]] = &[
    elementwise::OPERATORS,
    indexing::OPERATORS,
    layout::OPERATORS,
    linear::OPERATORS,
    normalise::OPERATORS,
    quantise::OPERATORS,
    reduce::OPERATORS,
    window::OPERATORS,
];

/// Whether this is a canonical operator.
pub fn is_canonical(op: &str) -> bool {
    lookup(op).is_some()
}

/// Every canonical operator's name.
pub fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().copied().flatten().map(|(name, _)| *name)
}

fn lookup(op: &str) -> Option<Infer> {
    FAMILIES.iter().copied().flatten().find(|(name, _)| *name == op).map(|(_, infer)| *infer)
}

/// Types and shapes of the outputs of a canonical operator. Where an input's shape is not known, neither are they.
pub fn infer(
    graph: &Graph,
    op: &str,
    inputs: &[Option<Tensor>],
    attributes: &Attributes,
) -> Result<Vec<Signature>, Misfit> {
    let signatures = infer_any_size(graph, op, inputs, attributes)?;
    match signatures.iter().find(|s| s.is_too_large()) {
        Some(large) => Err(large.too_large()),
        None => Ok(signatures),
    }
}

/// The same without a limit on the number of elements.
pub(crate) fn infer_any_size(
    graph: &Graph,
    op: &str,
    inputs: &[Option<Tensor>],
    attributes: &Attributes,
) -> Result<Vec<Signature>, Misfit> {
    let infer = lookup(op).ok_or_else(|| format!("`{op}` is not a canonical operator"))?;
    let inputs = Inputs { graph, inputs };
    if inputs.inputs.iter().flatten().any(|t| graph.shape(*t).is_none()) {
        let outputs = match op {
            "Split" => attributes.ints("split").len(),
            "DynamicQuantizeLinear" => 3,
            _ => 1,
        };
        return Ok(vec![Signature { dtype: output_type(op, &inputs, attributes), shape: None }; outputs]);
    }
    let signatures = infer(&inputs, attributes)?;
    for shape in signatures.iter().filter_map(|s| s.shape.as_deref()) {
        if shape.len() > MOST_AXES {
            return Err(format!("its output would have {} axes", shape.len()));
        }
        if shape.iter().any(|d| d.at(1) < 0) {
            return Err(format!("its output would be {}", show_shape(shape)));
        }
    }
    Ok(signatures)
}

/// The element type of an output whose shape is not known.
fn output_type(op: &str, inputs: &Inputs, attributes: &Attributes) -> Option<DataType> {
    match op {
        "Equal" | "Greater" | "Less" | "GreaterOrEqual" | "LessOrEqual" => Some(DataType::Bool),
        "ArgMax" | "TopK" => Some(DataType::I64),
        "Cast" | "QuantizeLinear" => i32::try_from(attributes.int("to")).ok().and_then(DataType::from_number),
        "Where" | "DequantizeLinear" => inputs.dtype(1),
        "DynamicQuantizeLinear" => None,
        _ => inputs.dtype(0),
    }
}

/// A tensor beyond this many elements for one image is an attack or a mistake, not an activation.
pub(crate) const LARGEST: i64 = 1 << 31;

/// No classifier has tensors of more axes.
pub(crate) const MOST_AXES: usize = 64;

/// Whether a tensor of this shape has more than [`LARGEST`] elements, or one axis alone that is longer.
pub(crate) fn is_too_large(shape: &[Dim]) -> bool {
    let long = |d: &Dim| d.at(1) > LARGEST;
    shape.iter().any(long) || crate::dim::element_count(shape).is_none_or(|n| long(&n))
}

/// The inputs of a node, for inference.
struct Inputs<'a> {
    graph: &'a Graph,
    inputs: &'a [Option<Tensor>],
}

impl Inputs<'_> {
    fn has(&self, i: usize) -> bool {
        self.inputs.get(i).is_some_and(Option::is_some)
    }

    fn len(&self) -> usize {
        self.inputs.len()
    }

    fn dtype(&self, i: usize) -> Option<DataType> {
        self.graph.tensor((*self.inputs.get(i)?)?).dtype
    }

    fn shape(&self, i: usize) -> Result<&[Dim], Misfit> {
        let t = self.inputs.get(i).copied().flatten().ok_or_else(|| format!("input {i} is missing"))?;
        self.graph.shape(t).ok_or_else(|| format!("the shape of input {i} is not known"))
    }

    fn rank(&self, i: usize, least: usize) -> Result<&[Dim], Misfit> {
        let shape = self.shape(i)?;
        if shape.len() < least {
            return Err(format!("input {i} needs at least {least} axes, it is {}", show_shape(shape)));
        }
        Ok(shape)
    }
}

/// The value of a dimension that has to be known.
fn size(dim: Dim, what: &str) -> Result<i64, Misfit> {
    dim.known().ok_or_else(|| format!("{what} is {dim}, it has to be known"))
}

/// The shape of two operands broadcast together (numpy's rule).
pub fn broadcast(a: &[Dim], b: &[Dim]) -> Result<Shape, Misfit> {
    let one = Dim::new(1);
    let rank = a.len().max(b.len());
    let at = |s: &[Dim], i: usize| (i + s.len()).checked_sub(rank).map_or(one, |i| s[i]);
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y || y == one => Ok(x),
            (x, y) if x == one => Ok(y),
            _ => Err(format!("{} and {} do not broadcast", show_shape(a), show_shape(b))),
        })
        .collect()
}

/// An axis counted from the front, whichever way it was given.
pub fn axis(axis: i64, rank: usize) -> Result<usize, Misfit> {
    let counted = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    counted
        .filter(|a| *a >= 0 && *a < rank as i64)
        .map(|a| a as usize)
        .ok_or_else(|| format!("axis {axis} is outside a tensor of {rank} axes"))
}
