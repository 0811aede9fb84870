//! Quantised networks: rounding to integers of few bits and back, and products of such integers.
//!
//! QLinearConv and QLinearMatMul are what they stand for: DequantizeLinear, the product in floats, QuantizeLinear.
//! ConvInteger and MatMulInteger are products of what DequantizeLinear makes with a scale of 1. An integer product in
//! float32 is exact up to 2²⁴, beyond that right to 2⁻²⁴ of itself.

use super::file_node::{FileNode, Refusal, Settle, one};
use super::window;
use crate::attributes::Attributes;
use crate::constant::Constant;
use crate::dim::{Dim, element_count, show_shape};
use crate::dtype::DataType;
use crate::emit::Emit;
use crate::graph::{Graph, Node, Tensor};
use crate::ops::axis;

pub(super) const OPERATORS: &[(&str, Settle)] = &[
    ("QuantizeLinear", quantize_linear),
    ("DequantizeLinear", dequantize_linear),
    ("DynamicQuantizeLinear", dynamic_quantize_linear),
    ("QLinearConv", qlinear_conv),
    ("QLinearMatMul", qlinear_matmul),
    ("ConvInteger", conv_integer),
    ("MatMulInteger", matmul_integer),
];

type Settled = Result<Vec<Option<Tensor>>, Refusal>;

/// (q − zero point) · scale; `axis` counts where there are several scales.
///
/// Once for all readers of q that do the same, so that what they read is one tensor, and a gradient with respect to it
/// whole.
pub(super) fn dequantized(e: &Emit, q: Tensor, scale: Tensor, zero_point: Option<Tensor>, axis: usize) -> Tensor {
    let scale = scale_of(e, scale);
    let zero_point = zero_point.map(|z| zero_point_for(e, z, scale));
    let axis = if e.rank(scale) == 0 { 0 } else { axis };
    if let Some(made) = made_before(&e.graph(), q, scale, zero_point, axis) {
        return made;
    }
    let mut inputs = vec![Some(q), Some(scale)];
    inputs.extend(zero_point.map(Some));
    e.nodes("DequantizeLinear", &inputs, Attributes::none().with("axis", axis as i64))[0]
}

/// What a node behind q's own has made of it, with the same scale and zero point.
fn made_before(graph: &Graph, q: Tensor, scale: Tensor, zero_point: Option<Tensor>, axis: usize) -> Option<Tensor> {
    let first = match graph.producer_index(q) {
        Some(producer) => producer + 1,
        None if graph.inputs.contains(&q) => 0,
        None => return None, // A weight, with one reader.
    };
    let equal = |a: Option<Tensor>, b: Option<Tensor>| {
        let values = |t: Option<Tensor>| t.and_then(|t| graph.constant(t));
        a == b || values(a).is_some() && values(a) == values(b)
    };
    let same = |n: &&Node| {
        let input = |i: usize| n.inputs.get(i).copied().flatten();
        let ours = &*n.op == "DequantizeLinear" && n.carried.is_none() && input(0) == Some(q);
        ours && equal(input(1), Some(scale)) && equal(input(2), zero_point) && n.attributes.int("axis") == axis as i64
    };
    graph.nodes()[first..].iter().find(same).and_then(|n| n.outputs[0])
}

/// saturate(round(x / scale) + zero point) as `to`.
pub(super) fn quantized(
    e: &Emit,
    x: Tensor,
    scale: Tensor,
    zero_point: Option<Tensor>,
    axis: usize,
    to: DataType,
) -> Tensor {
    let scale = scale_of(e, scale);
    let zero_point = zero_point.map_or_else(
        || {
            let zero = e.constant(Constant::integers(to, &[], &[0]).expect("no float is quantised to"));
            e.expand(zero, e.shape(scale))
        },
        |z| zero_point_for(e, z, scale),
    );
    let attributes = Attributes::none().with("axis", axis as i64).with("to", i64::from(to as i32));
    e.node("QuantizeLinear", &[x, scale, zero_point], attributes)
}

/// One scale is a scalar, also where the file has it as [1].
fn scale_of(e: &Emit, scale: Tensor) -> Tensor {
    let one = e.graph().shape(scale) == Some(&[Dim::new(1)]);
    if one { e.reshape(scale, vec![]) } else { scale }
}

/// A zero point in its scale's shape: products may have one for all of several scales.
fn zero_point_for(e: &Emit, zero_point: Tensor, scale: Tensor) -> Tensor {
    let zero_point = scale_of(e, zero_point);
    if e.rank(zero_point) == 0 { e.expand(zero_point, e.shape(scale)) } else { zero_point }
}

/// The type that a node rounds to, which input `i` has: its zero point, or other rounded values.
pub(super) fn narrow_type(n: &FileNode, i: usize) -> Result<DataType, Refusal> {
    let dtype = n.e.graph().tensor(n.input(i)?).dtype;
    let narrow = dtype.filter(|t| is_narrow(*t));
    narrow.ok_or_else(|| format!("the type of input {i} is none to round to here").into())
}

/// What QuantizeLinear rounds to, of the types that are computed with.
fn is_narrow(dtype: DataType) -> bool {
    matches!(dtype, DataType::U8 | DataType::I8 | DataType::U16 | DataType::I16)
}

/// The axis of several scales.
fn scale_axis(n: &FileNode) -> Result<usize, Refusal> {
    let declared = n.int_or("axis", 1);
    match n.shape(1)?.as_slice() {
        [] => Ok(0),
        [one] if *one == Dim::new(1) => Ok(0),
        _ => Ok(axis(declared, n.shape(0)?.len())?),
    }
}

pub(super) fn quantize_linear(n: &FileNode) -> Settled {
    n.ignore(&["saturate", "precision"]); // Of 8-bit floats, and of the quotient.
    let declared = n.int("output_dtype").filter(|d| *d != 0);
    let to = match (n.optional(2), declared) {
        (Some(_), _) => narrow_type(n, 2)?,
        (None, None) => DataType::U8,
        (None, Some(number)) => {
            let to = i32::try_from(number).ok().and_then(DataType::from_number).filter(|t| is_narrow(*t));
            to.ok_or_else(|| format!("element type {number} is none to round to here"))?
        }
    };
    if n.int_or("block_size", 0) != 0 {
        return Err("scales by block are read for weights only, where DequantizeLinear has them".into());
    }
    one(quantized(n.e, n.input(0)?, n.input(1)?, n.optional(2), scale_axis(n)?, to))
}

pub(super) fn dequantize_linear(n: &FileNode) -> Settled {
    let scale = n.input(1)?;
    check_integers(n)?;
    if let Some(to) = n.int("output_dtype").filter(|d| *d != 0)
        && n.e.graph().tensor(scale).dtype.is_some_and(|d| i64::from(d as i32) != to)
    {
        return Err("its output has another type than its scale".into());
    }
    if n.int_or("block_size", 0) == 0 {
        return one(dequantized(n.e, n.input(0)?, scale, n.optional(2), scale_axis(n)?));
    }
    let e = n.e;
    let scales = by_element(n, scale)?;
    let q = e.cast(n.input(0)?, e.float_type(scale));
    let shifted = match n.optional(2) {
        Some(z) => e.sub(q, e.cast(by_element(n, z)?, e.float_type(scale))),
        None => q,
    };
    one(e.mul(shifted, scales))
}

/// DequantizeLinear reads what QuantizeLinear makes, and INT32.
fn check_integers(n: &FileNode) -> Result<(), Refusal> {
    let dtype = n.e.graph().tensor(n.input(0)?).dtype;
    match dtype.is_some_and(|t| is_narrow(t) || t == DataType::I32) {
        true => Ok(()),
        false => Err("its input 0 holds no integers that are known here".into()),
    }
}

/// Scales or zero points of blocks along the node's axis, repeated to input 0's shape.
fn by_element(n: &FileNode, blocks: Tensor) -> Result<Tensor, Refusal> {
    let (shape, e) = (n.shape(0)?, n.e);
    let (along, size) = (axis(n.int_or("axis", 1), shape.len())?, n.int_or("block_size", 0));
    let mut flat = e.shape(blocks);
    let extent = shape[along].known().ok_or("the length of its axis is not known")?;
    let alike = flat.len() == shape.len() && (0..flat.len()).all(|a| a == along || flat[a] == shape[a]);
    let count = flat.get(along).and_then(|d| d.known()).filter(|_| alike && size > 0);
    let whole = count.and_then(|c| c.checked_mul(size)).filter(|w| *w >= extent && w - extent < size);
    let whole = whole.ok_or_else(|| {
        let (blocks, values) = (show_shape(&flat), show_shape(&shape));
        format!("scales {blocks} of blocks of {size} do not go with {values} along axis {along}")
    })?;
    let mut apart = flat.clone();
    apart.insert(along + 1, Dim::new(1));
    let mut repeated = apart.clone();
    repeated[along + 1] = Dim::new(size);
    flat[along] = Dim::new(whole);
    let all = e.reshape(e.expand(e.reshape(blocks, apart), repeated), flat);
    Ok(e.slice(all, along, 0, 1, extent))
}

/// Scale and zero point are those of the whole tensor: of one picture, if there are not several in it.
fn dynamic_quantize_linear(n: &FileNode) -> Settled {
    let (x, shape) = (n.input(0)?, n.shape(0)?);
    let graph_batch = n.e.graph().inputs.first().and_then(|t| n.e.graph().shape(*t)?.first().copied());
    if element_count(&shape).is_none_or(|count| count.is_symbolic()) {
        return Err("its range is that of all pictures of a batch together".into());
    }
    if graph_batch.and_then(|d| d.known()).is_some_and(|batch| batch > 1) {
        n.note_of_many("rounding by the range of all pictures of a batch; each has an influence on the others");
    }
    Ok(n.e.nodes("DynamicQuantizeLinear", &[Some(x)], Attributes::none()).into_iter().map(Some).collect())
}

/// X, its scale and zero point; W, its scale and zero point; the output's scale and zero point; and a bias in INT32, whose
/// scale is that of the product.
fn qlinear_conv(n: &FileNode) -> Settled {
    let e = n.e;
    let attributes = window::conv_attributes(n, 3)?;
    let x = dequantized(e, n.input(0)?, n.input(1)?, n.optional(2), 1);
    let w = dequantized(e, n.input(3)?, n.input(4)?, n.optional(5), 0);
    let mut inputs = vec![Some(x), Some(w)];
    if let Some(bias) = n.optional(8) {
        let scale = e.mul(scale_of(e, n.input(1)?), scale_of(e, n.input(4)?));
        inputs.push(Some(dequantized(e, bias, scale, None, 0)));
    }
    let y = e.nodes("Conv", &inputs, attributes)[0];
    one(quantized(e, y, n.input(6)?, n.optional(7), 1, narrow_type(n, 7)?))
}

/// A, its scale and zero point; B, its scale and zero point; the output's scale and zero point.
fn qlinear_matmul(n: &FileNode) -> Settled {
    let a = operand(n, [0, 1, 2], true)?;
    let b = operand(n, [3, 4, 5], false)?;
    one(quantized(n.e, n.e.matmul(a, b), n.input(6)?, n.optional(7), 1, narrow_type(n, 7)?))
}

/// An operand of a product of matrices. Its scales are one, or one a row of A or column of B: as \[D\], or in full rank.
fn operand(n: &FileNode, [q, scale, zero_point]: [usize; 3], by_row: bool) -> Result<Tensor, Refusal> {
    let (e, q, scale, zero_point) = (n.e, n.input(q)?, n.input(scale)?, n.optional(zero_point));
    let rank = e.rank(q);
    if e.rank(scale) <= 1 {
        return Ok(dequantized(e, q, scale, zero_point, rank.saturating_sub(if by_row { 2 } else { 1 })));
    }
    let float = |t| e.cast(t, e.float_type(scale));
    let shifted = zero_point.map_or(float(q), |z| e.sub(float(q), float(z)));
    Ok(e.mul(shifted, scale))
}

/// The product in INT32, from one that was computed in floats.
fn as_integers(e: &Emit, product: Tensor) -> Tensor {
    quantized(e, product, e.scalar(1.0), None, 0, DataType::I32)
}

/// q − zero point in floats.
fn shifted(n: &FileNode, q: usize, zero_point: usize, axis: usize) -> Result<Tensor, Refusal> {
    let e = n.e;
    let q = n.input(q)?;
    let Some(z) = n.optional(zero_point) else { return Ok(dequantized(e, q, e.scalar(1.0), None, axis)) };
    if e.rank(z) > 1 {
        return Ok(e.sub(e.cast(q, DataType::F32), e.cast(z, DataType::F32)));
    }
    let ones = e.expand(e.scalar(1.0), e.shape(z));
    Ok(dequantized(e, q, ones, Some(z), axis))
}

/// X, W, and their zero points; W's may be one a filter.
fn conv_integer(n: &FileNode) -> Settled {
    let attributes = window::conv_attributes(n, 1)?;
    let (x, w) = (shifted(n, 0, 2, 1)?, shifted(n, 1, 3, 0)?);
    one(as_integers(n.e, n.e.node("Conv", &[x, w], attributes)))
}

/// A, B, and their zero points; A's may be one a row, B's one a column.
fn matmul_integer(n: &FileNode) -> Settled {
    let rows = n.shape(0)?.len().saturating_sub(2);
    let columns = n.shape(1)?.len().saturating_sub(1);
    let (a, b) = (shifted(n, 0, 2, rows)?, shifted(n, 1, 3, columns)?);
    one(as_integers(n.e, n.e.matmul(a, b)))
}
