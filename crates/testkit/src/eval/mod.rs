//! The evaluator: what a graph computes, by definition and in f64.

mod elementwise;
mod index;
mod indexing;
mod layout;
mod linear;
mod normalise;
mod quantise;
mod reduce;
mod window;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use ndarray::{ArrayD, IxDyn};
use onnx_graph::{Attributes, DataType, Graph, Known, Node, Tensor};

type Value = ArrayD<f64>;
type Definition = fn(&Operands) -> Result<Vec<Value>, String>;

/// The families, as in `onnx_graph::ops`.
const FAMILIES: &[&[(&str, Definition)]] = &[
    elementwise::OPERATORS,
    indexing::OPERATORS,
    layout::OPERATORS,
    linear::OPERATORS,
    normalise::OPERATORS,
    quantise::OPERATORS,
    reduce::OPERATORS,
    window::OPERATORS,
];

/// Values of `wanted`, given values of other tensors.
///
/// Every element is an f64: integers and booleans (0 and 1) are held exactly up to 2⁵³, and floats are *not* rounded to
/// the precision that the graph declares, neither by operators nor by a Cast between float types, so that differences
/// are those of the function and not of its arithmetic. Attributes and constants are the f32 numbers that the graph
/// holds.
///
/// `feeds` may name any tensor, not only inputs: nothing before a fed tensor is evaluated. Every value is checked against
/// the shape that the graph states for its tensor, every integer for being one.
///
/// Errors name the node: inputs that are not fed, nodes that are carried rather than understood, shapes that differ from
/// the graph's, indices and divisors that are outside of what the operator allows.
pub fn evaluate(
    graph: &Graph,
    batch: usize,
    feeds: &[(Tensor, ArrayD<f64>)],
    wanted: &[Tensor],
) -> Result<Vec<ArrayD<f64>>, String> {
    let mut values: HashMap<Tensor, Value> = HashMap::new();
    for (t, value) in feeds {
        check(graph, batch, *t, value).map_err(|e| format!("the value fed to {e}"))?;
        values.insert(*t, value.clone());
    }
    for index in missing(graph, &mut values, batch, wanted)? {
        let node = &graph.nodes()[index];
        let named = |error: String| format!("{}: {error}", graph.describe(node));
        let operands = node.inputs.iter().map(|t| t.map(|t| &values[&t])).collect();
        let made = apply(&Operands { graph, node, batch, values: operands }).map_err(named)?;
        if made.len() != node.outputs.len() {
            return Err(named(format!("it makes {} outputs, the graph has {}", made.len(), node.outputs.len())));
        }
        for (output, value) in node.outputs.iter().zip(made) {
            let Some(output) = output else { continue };
            check(graph, batch, *output, &value).map_err(|e| named(format!("its output {e}")))?;
            values.insert(*output, value);
        }
    }
    Ok(wanted.iter().map(|t| values[t].clone()).collect())
}

/// [`evaluate`], with tensors by name.
pub fn evaluate_named(
    graph: &Graph,
    batch: usize,
    feeds: &[(&str, ArrayD<f64>)],
    wanted: &[&str],
) -> Result<Vec<ArrayD<f64>>, String> {
    let find = |name: &str| graph.find(name).ok_or_else(|| format!("no tensor is named {name:?}"));
    let feeds: Vec<_> =
        feeds.iter().map(|(name, value)| Ok((find(name)?, value.clone()))).collect::<Result<_, String>>()?;
    let wanted: Vec<_> = wanted.iter().map(|name| find(name)).collect::<Result<_, _>>()?;
    evaluate(graph, batch, &feeds, &wanted)
}

/// Indices of the nodes that have to run, in order, known values filled in.
fn missing(
    graph: &Graph,
    values: &mut HashMap<Tensor, Value>,
    batch: usize,
    wanted: &[Tensor],
) -> Result<Vec<usize>, String> {
    let mut needed = vec![false; graph.nodes().len()];
    let mut open = wanted.to_vec();
    while let Some(t) = open.pop() {
        if values.contains_key(&t) {
            continue;
        }
        let info = graph.tensor(t);
        if let Some(known) = &info.known {
            values.insert(t, known_value(known, info.shape.as_deref().unwrap_or_default(), batch)?);
        } else if let Some(index) = graph.producer_index(t) {
            if !std::mem::replace(&mut needed[index], true) {
                open.extend(graph.nodes()[index].inputs.iter().flatten());
            }
        } else {
            return Err(format!("\"{}\", {}, is neither fed nor made", info.name, info.signature()));
        }
    }
    Ok((0..needed.len()).filter(|i| needed[*i]).collect())
}

fn known_value(known: &Known, shape: &[onnx_graph::Dim], batch: usize) -> Result<Value, String> {
    let (shape, elements) = match known {
        Known::Constant(constant) => (constant.dims().to_vec(), constant.to_f64().map_err(|e| e.to_string())?),
        Known::Dims(dims) => (sizes(shape, batch)?, dims.iter().map(|d| d.at(batch) as f64).collect()),
    };
    ArrayD::from_shape_vec(shape, elements).map_err(|e| e.to_string())
}

fn sizes(shape: &[onnx_graph::Dim], batch: usize) -> Result<Vec<usize>, String> {
    let size =
        |d: &onnx_graph::Dim| usize::try_from(d.at(batch)).map_err(|_| format!("size {d} for a batch of {batch}"));
    shape.iter().map(size).collect()
}

/// Whether a value is one of this tensor: of its shape, and whole where it is an integer.
fn check(graph: &Graph, batch: usize, t: Tensor, value: &Value) -> Result<(), String> {
    let info = graph.tensor(t);
    if let Some(shape) = &info.shape
        && sizes(shape, batch)? != value.shape()
    {
        return Err(format!("\"{}\", {}, is {:?} for a batch of {batch}", info.name, info.signature(), value.shape()));
    }
    let fits = |v: &f64| match info.dtype {
        Some(DataType::Bool) => *v == 0.0 || *v == 1.0,
        Some(dtype) if !dtype.is_float() => v.fract() == 0.0,
        _ => true,
    };
    match value.iter().find(|v| !fits(v)) {
        Some(bad) => Err(format!("\"{}\", {}, holds {bad}", info.name, info.signature())),
        None => Ok(()),
    }
}

fn apply(operands: &Operands) -> Result<Vec<Value>, String> {
    let node = operands.node;
    if let Some(carried) = &node.carried {
        return Err(format!("it is carried, not evaluated: {}", carried.reason));
    }
    let definition = FAMILIES.iter().copied().flatten().find(|(name, _)| *name == &*node.op);
    let (_, definition) = definition.ok_or("it is not a canonical operator")?;
    definition(operands)
}

/// A node with the values of its inputs.
struct Operands<'a> {
    graph: &'a Graph,
    node: &'a Node,
    batch: usize,
    values: Vec<Option<&'a Value>>,
}

impl<'a> Operands<'a> {
    fn optional(&self, i: usize) -> Option<&'a Value> {
        self.values.get(i).copied().flatten()
    }

    fn input(&self, i: usize) -> Result<&'a Value, String> {
        self.optional(i).ok_or_else(|| format!("input {i} is missing"))
    }

    fn attributes(&self) -> &'a Attributes {
        &self.node.attributes
    }

    fn float(&self, name: &str) -> f64 {
        f64::from(self.attributes().float(name))
    }

    /// A list of sizes, for this batch.
    fn sizes(&self, name: &str) -> Result<Vec<usize>, String> {
        sizes(self.attributes().dims(name), self.batch)
    }

    /// A list of integers that cannot be negative.
    fn naturals(&self, name: &str) -> Result<Vec<usize>, String> {
        let natural = |v: &i64| usize::try_from(*v).map_err(|_| format!("`{name}` holds {v}"));
        self.attributes().ints(name).iter().map(natural).collect()
    }

    /// An attribute that counts an input's axes.
    fn axis(&self, i: usize) -> Result<usize, String> {
        index::axis(self.attributes().int("axis"), self.input(i)?.ndim())
    }

    /// Whether an input holds floats, as far as the graph knows.
    fn is_float(&self, i: usize) -> bool {
        let dtype = self.node.inputs.get(i).copied().flatten().and_then(|t| self.graph.tensor(t).dtype);
        dtype.is_none_or(DataType::is_float)
    }
}

fn one(value: Value) -> Result<Vec<Value>, String> {
    Ok(vec![value])
}

/// The same elements, row by row, in another shape.
fn reshaped(x: &Value, shape: &[usize]) -> Result<Value, String> {
    let elements: Vec<f64> = x.iter().copied().collect();
    ArrayD::from_shape_vec(IxDyn(shape), elements).map_err(|e| e.to_string())
}
