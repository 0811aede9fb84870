//! Computing small values while a graph is built: the shape arithmetic that exporters write as nodes.
//!
//! Integers and booleans are [`Dim`]s, so that the batch size stays symbolic; floats (scales of a Resize, say) are
//! f64. Weights are not touched: engines fold those when they load.

use crate::attributes::Attributes;
use crate::constant::Constant;
use crate::dim::Dim;
use crate::dtype::DataType;
use crate::graph::{Graph, Known, Tensor};
use crate::ops::{Signature, axis};

/// Larger values are left to the engine.
const MOST_INTEGERS: usize = 4096;
const MOST_FLOATS: usize = 64;

/// A small tensor with its elements.
struct Small<T> {
    shape: Vec<usize>,
    values: Vec<T>,
}

/// The value of a node whose inputs are all known and small; `None` where it is not worth knowing or depends on the
/// batch in another way than `a·N + b`.
pub(crate) fn fold(
    graph: &Graph,
    op: &str,
    inputs: &[Option<Tensor>],
    attributes: &Attributes,
    signature: &Signature,
) -> Option<Known> {
    let (dtype, shape) = (signature.dtype?, known_shape(signature.shape.as_deref()?)?);
    if inputs.is_empty() || inputs.len() > MOST_INTEGERS {
        return None;
    }
    let integers: Option<Vec<_>> = inputs.iter().map(|t| integers(graph, (*t)?)).collect();
    if let Some(operands) = integers {
        if op == "Cast" && dtype.is_float() {
            let values: Option<Vec<f64>> = operands[0].values.iter().map(|d| Some(d.known()? as f64)).collect();
            return Constant::floats(dtype, &shape, &values?).map(Known::Constant);
        }
        if op == "Cast" && dtype == DataType::Bool {
            let values: Option<Vec<Dim>> = operands[0].values.iter().map(|d| Some(truth(d.known()? != 0))).collect();
            return known(dtype, &shape, values?);
        }
        let values =
            layout(op, &operands, attributes, &shape).or_else(|| arithmetic(op, &operands, attributes, &shape))?;
        return known(dtype, &shape, values);
    }
    let operands: Vec<_> = inputs.iter().map(|t| floats(graph, (*t)?)).collect::<Option<_>>()?;
    if op == "Cast" && !dtype.is_float() {
        let value = |v: &f64| if dtype == DataType::Bool { truth(*v != 0.0) } else { Dim::new(*v as i64) };
        return known(dtype, &shape, operands[0].values.iter().map(value).collect());
    }
    let values = layout(op, &operands, attributes, &shape).or_else(|| float_arithmetic(op, &operands, &shape))?;
    Constant::floats(dtype, &shape, &values).map(Known::Constant)
}

/// The integers of a tensor, where they are known: constants and shape arithmetic.
pub(crate) fn integer_values(graph: &Graph, t: Tensor) -> Option<Vec<Dim>> {
    integers(graph, t).map(|small| small.values)
}

fn integers(graph: &Graph, t: Tensor) -> Option<Small<Dim>> {
    let info = graph.tensor(t);
    let shape = known_shape(info.shape.as_deref()?)?;
    if shape.iter().product::<usize>() > MOST_INTEGERS {
        return None;
    }
    let values = match info.known.as_ref()? {
        Known::Dims(values) => values.clone(),
        Known::Constant(constant) => constant.to_i64().ok()??.into_iter().map(Dim::new).collect(),
    };
    Some(Small { shape, values })
}

fn floats(graph: &Graph, t: Tensor) -> Option<Small<f64>> {
    let constant = graph.constant(t).filter(|c| c.dtype().is_float() && c.len() <= MOST_FLOATS)?;
    Some(Small { shape: constant.dims().to_vec(), values: constant.to_f64().ok()? })
}

fn known(dtype: DataType, shape: &[usize], values: Vec<Dim>) -> Option<Known> {
    let constants: Option<Vec<i64>> = values.iter().map(|d| d.known()).collect();
    Some(match constants {
        Some(values) => Known::Constant(Constant::integers(dtype, shape, &values)?),
        None => Known::Dims(values),
    })
}

fn known_shape(shape: &[Dim]) -> Option<Vec<usize>> {
    let sizes: Vec<usize> = shape.iter().map(|d| usize::try_from(d.known()?).ok()).collect::<Option<_>>()?;
    let count = sizes.iter().try_fold(1usize, |n, d| n.checked_mul(*d))?;
    (count <= MOST_INTEGERS).then_some(sizes)
}

/// The operators that only move elements.
fn layout<T: Copy>(op: &str, inputs: &[Small<T>], attributes: &Attributes, shape: &[usize]) -> Option<Vec<T>>
where
    Small<T>: Indices,
{
    let x = inputs.first()?;
    match op {
        "Reshape" => Some(x.values.clone()),
        "Cast" => Some(x.values.clone()),
        "Transpose" => {
            let perm = attributes.ints("perm");
            each_index(shape, |at| {
                let mut from = vec![0; at.len()];
                perm.iter().zip(at).for_each(|(p, i)| from[*p as usize] = *i);
                x.at(&from)
            })
        }
        "Expand" => each_index(shape, |at| x.broadcast(at)),
        "Concat" => {
            let along = axis(attributes.int("axis"), shape.len()).ok()?;
            each_index(shape, |at| {
                let mut from = at.to_vec();
                let mut parts = inputs.iter();
                let mut part = parts.next()?;
                while from[along] >= part.shape[along] {
                    from[along] -= part.shape[along];
                    part = parts.next()?;
                }
                part.at(&from)
            })
        }
        "Slice" => each_index(shape, |at| {
            let mut from: Vec<i64> = at.iter().map(|i| *i as i64).collect();
            let (starts, steps) = (attributes.ints("starts"), attributes.ints("steps"));
            for (i, along) in attributes.ints("axes").iter().enumerate() {
                let along = *along as usize;
                from[along] = starts[i] + steps[i] * from[along];
            }
            let from: Option<Vec<usize>> = from.into_iter().map(|i| usize::try_from(i).ok()).collect();
            x.at(&from?)
        }),
        "Gather" => {
            let indices = &inputs.get(1)?;
            let along = axis(attributes.int("axis"), x.shape.len()).ok()?;
            let extent = x.shape[along] as i64;
            each_index(shape, |at| {
                let (before, rest) = at.split_at(along);
                let (index, after) = rest.split_at(indices.shape.len());
                let i = indices.index(index)?;
                let i = usize::try_from(if i < 0 { i + extent } else { i }).ok()?;
                x.at(&[before, &[i], after].concat())
            })
        }
        _ => None,
    }
}

/// Reading an element as an index, where elements are integers.
trait Indices {
    fn index(&self, at: &[usize]) -> Option<i64>;
}

impl Indices for Small<Dim> {
    fn index(&self, at: &[usize]) -> Option<i64> {
        self.at(at)?.known()
    }
}

impl Indices for Small<f64> {
    fn index(&self, _: &[usize]) -> Option<i64> {
        None
    }
}

fn truth(b: bool) -> Dim {
    Dim::new(b.into())
}

fn arithmetic(op: &str, inputs: &[Small<Dim>], attributes: &Attributes, shape: &[usize]) -> Option<Vec<Dim>> {
    let both = |f: &dyn Fn(Dim, Dim) -> Option<Dim>| {
        let (a, b) = (inputs.first()?, inputs.get(1)?);
        each_index(shape, |at| f(a.broadcast(at)?, b.broadcast(at)?))
    };
    let known = |f: &dyn Fn(i64, i64) -> Option<i64>| both(&|a, b| f(a.known()?, b.known()?).map(Dim::new));
    let reduced = |f: &dyn Fn(Dim, Dim) -> Option<Dim>, start: i64| {
        let x = inputs.first()?;
        let all = attributes.ints("axes").len() == x.shape.len();
        let total = x.values.iter().try_fold(Dim::new(start), |a, b| f(a, *b));
        all.then(|| total.map(|t| vec![t])).flatten()
    };
    match op {
        "Add" => both(&Dim::add),
        "Sub" => both(&Dim::sub),
        "Mul" => both(&Dim::mul),
        "Div" => both(&Dim::div),
        "Mod" => known(&|a, b| a.checked_rem_euclid(b).filter(|_| b > 0)),
        "Min" => known(&|a, b| Some(a.min(b))),
        "Max" => known(&|a, b| Some(a.max(b))),
        "Equal" => both(&|a, b| equal(a, b).map(truth)),
        "Greater" => known(&|a, b| Some((a > b).into())),
        "Less" => known(&|a, b| Some((a < b).into())),
        "GreaterOrEqual" => known(&|a, b| Some((a >= b).into())),
        "LessOrEqual" => known(&|a, b| Some((a <= b).into())),
        "And" => known(&|a, b| Some((a != 0 && b != 0).into())),
        "Or" => known(&|a, b| Some((a != 0 || b != 0).into())),
        "Not" => each_index(shape, |at| Some(truth(inputs.first()?.at(at)?.known()? == 0))),
        "Neg" => each_index(shape, |at| inputs.first()?.at(at)?.mul(Dim::new(-1))),
        "Where" => {
            let [condition, a, b] = inputs else { return None };
            each_index(shape, |at| {
                let chosen = if condition.broadcast(at)?.known()? != 0 { a } else { b };
                chosen.broadcast(at)
            })
        }
        "ReduceProd" => reduced(&Dim::mul, 1),
        "ReduceSum" => reduced(&Dim::add, 0),
        _ => None,
    }
}

/// Whether two sizes are equal for every batch, of one image at least; `None` where that depends on it.
fn equal(a: Dim, b: Dim) -> Option<bool> {
    let (for_one, for_two) = (a.sub(b)?.at(1), a.sub(b)?.at(2));
    match (for_one, for_two) {
        (0, 0) => Some(true),
        (d, e) if d > 0 && e >= d || d < 0 && e <= d => Some(false), // They are apart and do not come closer.
        _ => None,
    }
}

fn float_arithmetic(op: &str, inputs: &[Small<f64>], shape: &[usize]) -> Option<Vec<f64>> {
    let one = |f: fn(f64) -> f64| each_index(shape, |at| inputs.first()?.at(at).map(f));
    let two = |f: fn(f64, f64) -> f64| {
        let (a, b) = (inputs.first()?, inputs.get(1)?);
        each_index(shape, |at| Some(f(a.broadcast(at)?, b.broadcast(at)?)))
    };
    match op {
        "Add" => two(|a, b| a + b),
        "Sub" => two(|a, b| a - b),
        "Mul" => two(|a, b| a * b),
        "Div" => two(|a, b| a / b),
        "Floor" => one(f64::floor),
        "Ceil" => one(f64::ceil),
        "Sqrt" => one(f64::sqrt),
        "Neg" => one(|a| -a),
        "Reciprocal" => one(f64::recip),
        _ => None,
    }
}

impl<T: Copy> Small<T> {
    fn at(&self, index: &[usize]) -> Option<T> {
        let mut offset = 0;
        for (i, extent) in index.iter().zip(&self.shape) {
            if i >= extent {
                return None;
            }
            offset = offset * extent + i;
        }
        self.values.get(offset).copied()
    }

    fn broadcast(&self, index: &[usize]) -> Option<T> {
        let skip = index.len().checked_sub(self.shape.len())?;
        let own: Vec<usize> =
            index[skip..].iter().zip(&self.shape).map(|(i, extent)| if *extent == 1 { 0 } else { *i }).collect();
        self.at(&own)
    }
}

fn each_index<T>(shape: &[usize], value: impl Fn(&[usize]) -> Option<T>) -> Option<Vec<T>> {
    let count = shape.iter().product();
    let mut index = vec![0; shape.len()];
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        values.push(value(&index)?);
        for (i, extent) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < *extent {
                break;
            }
            *i = 0;
        }
    }
    Some(values)
}
