//! Opsets 1 to 6, and the experimental operators of those years, which Caffe2 and the first CoreML converter wrote.
//!
//! [`raise`] says a node as opset 7 does: attributes that became inputs or changed their form, and the broadcasting of that
//! time, where an `axis` says which axis of A the first of B lies along. After that a node is as any other.

use super::file_node::{FileNode, Refusal, Settle, one};
use crate::attributes::Attributes;
use crate::constant::Constant;
use crate::dim::Dim;
use crate::dtype::DataType;
use crate::emit::Emit;
use crate::graph::Tensor;
use crate::proto::{AttributeProto, AttributeType, NodeProto};

/// The opset that nodes are raised to.
pub(super) const RAISED: i64 = 7;

/// In no opset any more: they were experimental until 2019.
pub(super) const OPERATORS: &[(&str, Settle)] = &[
    ("ImageScaler", image_scaler),
    ("Affine", affine),
    ("Scale", scale),
    ("ScaledTanh", scaled_tanh),
    ("ParametricSoftplus", parametric_softplus),
    ("Crop", crop),
];

type Inputs = Vec<Option<Tensor>>;

/// A node of an opset below 7 and its inputs, as opset 7 has them.
pub(super) fn raise(
    e: &Emit,
    proto: &NodeProto,
    opset: i64,
    inputs: &[Option<Tensor>],
) -> Result<(NodeProto, Inputs), String> {
    let (mut node, mut inputs) = (proto.clone(), inputs.to_vec());
    take(&mut node, "consumed_inputs"); // Which buffers may be overwritten.
    match node.op_type.as_deref().unwrap_or("") {
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "And" | "Or" | "Xor" | "Equal" | "Greater" | "Less" => {
            let (along, broadcast) = (take(&mut node, "axis"), take(&mut node, "broadcast"));
            let along = along.and_then(|a| a.i).filter(|axis| *axis >= 0);
            if let Some(along) = along.filter(|_| broadcast.is_some_and(|b| b.i == Some(1))) {
                inputs[1] = Some(aligned(e, &inputs, along)?);
            }
        }
        "PRelu" => inputs[1] = Some(slope_by_channel(e, &inputs)?),
        "Gemm" => drop(take(&mut node, "broadcast")),
        "Reshape" if opset < 5 => {
            let shape = take(&mut node, "shape").ok_or("its attribute `shape` is missing")?.ints;
            inputs.push(Some(e.constant(Constant::i64s(&[shape.len()], &shape))));
        }
        "Cast" if opset < 6 => {
            let name = take(&mut node, "to").and_then(|to| to.s).unwrap_or_default();
            let to = element_type(&name).ok_or("it casts to a type that is not known here")?;
            node.attribute.push(integer("to", to as i64));
        }
        "Pad" if opset < 2 => rename(&mut node, "paddings", "pads"),
        "Split" if opset < 2 && inputs.len() > 1 => {
            let sizes = numbers(e, inputs.pop().flatten())?;
            node.attribute.push(integers("split", sizes));
        }
        "Tile" if opset < 6 => {
            let (along, times) = (inputs.pop().flatten(), inputs.pop().flatten());
            let repeats = repeats(e, &inputs, &numbers(e, times)?, &numbers(e, along)?)?;
            inputs.push(Some(e.constant(Constant::i64s(&[repeats.len()], &repeats))));
        }
        "Upsample" => {
            let mut side = |name| take(&mut node, name).and_then(|a| a.f).ok_or("its scales are missing");
            let floats = vec![1.0, 1.0, side("height_scale")?, side("width_scale")?];
            node.attribute.push(AttributeProto { floats, ..attribute("scales", AttributeType::Floats) });
        }
        "LpPool" | "GlobalLpPool" if opset < 2 => {
            if let Some(p) = take(&mut node, "p").and_then(|p| p.f) {
                node.attribute.push(integer("p", p as i64));
            }
        }
        _ => {}
    }
    Ok((node, inputs))
}

/// B with axes of length 1 behind its own, so that its first axis lies along axis `along` of A.
fn aligned(e: &Emit, inputs: &[Option<Tensor>], along: i64) -> Result<Tensor, String> {
    let [Some(a), Some(b)] = inputs else { return Err("it has not two inputs".to_owned()) };
    let (rank, mut shape) = (shape_of(e, *a)?.len() as i64, shape_of(e, *b)?);
    let behind = rank - along - shape.len() as i64;
    let behind = usize::try_from(behind)
        .map_err(|_| format!("{} axes do not fit behind axis {along} of {rank}", shape.len()))?;
    shape.extend(std::iter::repeat_n(Dim::new(1), behind));
    Ok(e.reshape(*b, shape))
}

/// The slope of PRelu, one for all or one a channel, to go with [N, C, …].
fn slope_by_channel(e: &Emit, inputs: &[Option<Tensor>]) -> Result<Tensor, String> {
    let [Some(x), Some(slope)] = inputs else { return Err("it has not two inputs".to_owned()) };
    let (rank, mut shape) = (shape_of(e, *x)?.len(), shape_of(e, *slope)?);
    if shape.len() == 1 && shape[0].known() != Some(1) {
        shape.resize(rank.saturating_sub(1).max(1), Dim::new(1));
    }
    Ok(e.reshape(*slope, shape))
}

/// How often each axis is repeated: `times` along axis `along`, once elsewhere.
fn repeats(e: &Emit, inputs: &[Option<Tensor>], times: &[i64], along: &[i64]) -> Result<Vec<i64>, String> {
    let ([Some(x)], [times], [along]) = (inputs, times, along) else {
        return Err("it repeats along other than one axis".to_owned());
    };
    let rank = shape_of(e, *x)?.len();
    let along = crate::ops::axis(*along, rank)?;
    Ok((0..rank).map(|i| if i == along { *times } else { 1 }).collect())
}

fn shape_of(e: &Emit, t: Tensor) -> Result<Vec<Dim>, String> {
    e.graph().shape(t).map(<[Dim]>::to_vec).ok_or_else(|| "the shape of an input is not known".to_owned())
}

fn numbers(e: &Emit, t: Option<Tensor>) -> Result<Vec<i64>, String> {
    let known = t.and_then(|t| e.integers(t)).and_then(|v| v.into_iter().map(Dim::known).collect());
    known.ok_or_else(|| "an input has to be constant".to_owned())
}

/// Types had names.
fn element_type(name: &[u8]) -> Option<DataType> {
    Some(match name.to_ascii_uppercase().as_slice() {
        b"FLOAT" => DataType::F32,
        b"UINT8" => DataType::U8,
        b"INT8" => DataType::I8,
        b"UINT16" => DataType::U16,
        b"INT16" => DataType::I16,
        b"INT32" => DataType::I32,
        b"INT64" => DataType::I64,
        b"BOOL" => DataType::Bool,
        b"FLOAT16" => DataType::F16,
        b"DOUBLE" => DataType::F64,
        b"UINT32" => DataType::U32,
        b"UINT64" => DataType::U64,
        _ => return None,
    })
}

// Attributes.

fn take(node: &mut NodeProto, name: &str) -> Option<AttributeProto> {
    let index = node.attribute.iter().position(|a| a.name.as_deref() == Some(name))?;
    Some(node.attribute.remove(index))
}

fn rename(node: &mut NodeProto, old: &str, new: &str) {
    node.attribute.iter_mut().filter(|a| a.name.as_deref() == Some(old)).for_each(|a| a.name = Some(new.to_owned()));
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(kind as i32), ..Default::default() }
}

fn integer(name: &str, i: i64) -> AttributeProto {
    AttributeProto { i: Some(i), ..attribute(name, AttributeType::Int) }
}

fn integers(name: &str, ints: Vec<i64>) -> AttributeProto {
    AttributeProto { ints, ..attribute(name, AttributeType::Ints) }
}

// Experimental operators.

type Settled = Result<Vec<Option<Tensor>>, Refusal>;

/// scale · x + bias, with a bias for each channel of [N, C, H, W].
fn image_scaler(n: &FileNode) -> Settled {
    let (e, x) = (n.e, n.input(0)?);
    let scaled = e.scale(x, n.float_or("scale", 1.0));
    let bias: Vec<f64> = n.floats("bias").unwrap_or_default().into_iter().map(f64::from).collect();
    if bias.is_empty() {
        return one(scaled);
    }
    one(e.add(scaled, e.constants_like(x, &[1, bias.len(), 1, 1], &bias)))
}

/// α x + β
fn affine(n: &FileNode) -> Settled {
    let (e, x) = (n.e, n.input(0)?);
    one(e.add(e.scale(x, n.float_or("alpha", 1.0)), e.number_like(x, n.float_or("beta", 0.0))))
}

fn scale(n: &FileNode) -> Settled {
    one(n.e.scale(n.input(0)?, n.float_or("scale", 1.0)))
}

/// α tanh(β x)
fn scaled_tanh(n: &FileNode) -> Settled {
    let (alpha, beta) = (n.float("alpha"), n.float("beta"));
    let (alpha, beta) = alpha.zip(beta).ok_or("its attributes `alpha` and `beta` are missing")?;
    one(n.e.scale(n.e.node("Tanh", &[n.e.scale(n.input(0)?, beta)], Attributes::none()), alpha))
}

/// α log(1 + e^(β x))
fn parametric_softplus(n: &FileNode) -> Settled {
    let (alpha, beta) = (n.float("alpha"), n.float("beta"));
    let (alpha, beta) = alpha.zip(beta).ok_or("its attributes `alpha` and `beta` are missing")?;
    one(n.e.scale(super::composite::softplus(n.e, n.e.scale(n.input(0)?, beta)), alpha))
}

/// Of [N, C, H, W], what `border` (left, top, right, bottom) leaves; with `scale`, that many rows and columns from the
/// upper left corner of it on.
fn crop(n: &FileNode) -> Settled {
    let (x, shape) = (n.input(0)?, n.shape(0)?);
    let Some([left, top, right, bottom]) = n.ints("border").and_then(|b| <[i64; 4]>::try_from(b).ok()) else {
        return Err("its attribute `border` has not four entries".into());
    };
    let [_, _, height, width] = shape[..] else { return Err("it crops tensors of 4 axes only".into()) };
    let (height, width) = height.known().zip(width.known()).ok_or("the size of its input is not known")?;
    let (below, beside) = (height.saturating_sub(top), width.saturating_sub(left));
    let (rows, columns) = match n.ints("scale").as_deref() {
        None => (below.saturating_sub(bottom), beside.saturating_sub(right)),
        Some([rows, columns]) if *rows <= below && *columns <= beside => (*rows, *columns),
        Some(_) => return Err("its attribute `scale` does not fit".into()),
    };
    if [left, top, right, bottom].iter().any(|b| *b < 0) || rows < 1 || columns < 1 {
        return Err("its border leaves nothing of its input".into());
    }
    one(n.e.slice(n.e.slice(x, 2, top, 1, rows), 3, left, 1, columns))
}
