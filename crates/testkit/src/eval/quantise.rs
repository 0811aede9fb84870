//! Rounding to integers of few bits, and back.

use onnx_graph::DataType;

use super::index::table;
use super::{Definition, Operands, Value, one};

pub(super) const OPERATORS: &[(&str, Definition)] =
    &[("QuantizeLinear", quantize), ("DequantizeLinear", dequantize), ("DynamicQuantizeLinear", dynamic_quantize)];

/// Scale and zero point of the element at an index.
fn parameters<'a>(o: &Operands<'a>) -> Result<impl Fn(&[usize]) -> (f64, f64) + use<'a>, String> {
    let (scale, zero_point, axis) = (o.input(1)?, o.optional(2), o.attributes().int("axis") as usize);
    let of = move |values: &Value, index: &[usize]| if values.ndim() == 0 { values[[]] } else { values[index[axis]] };
    Ok(move |index: &[usize]| (of(scale, index), zero_point.map_or(0.0, |z| of(z, index))))
}

/// The nearest integer of this range; of two the even one.
fn rounded(quotient: f64, zero_point: f64, (least, most): (f64, f64)) -> f64 {
    (quotient.round_ties_even() + zero_point).clamp(least, most)
}

fn quantize(o: &Operands) -> Result<Vec<Value>, String> {
    let (x, of) = (o.input(0)?, parameters(o)?);
    let number = o.attributes().int("to");
    let range = i32::try_from(number).ok().and_then(DataType::from_number).and_then(DataType::range);
    let range = range.ok_or_else(|| format!("element type {number}"))?;
    one(table(x.shape(), |i| {
        let (scale, zero_point) = of(i);
        rounded(x[i] / scale, zero_point, range)
    }))
}

fn dequantize(o: &Operands) -> Result<Vec<Value>, String> {
    let (q, of) = (o.input(0)?, parameters(o)?);
    one(table(q.shape(), |i| {
        let (scale, zero_point) = of(i);
        (q[i] - zero_point) * scale
    }))
}

/// The range of all elements and 0 in 255 steps; of zeros alone in steps of 1.
fn dynamic_quantize(o: &Operands) -> Result<Vec<Value>, String> {
    let x = o.input(0)?;
    let (least, most) = x.iter().fold((0.0f64, 0.0f64), |(a, b), v| (a.min(*v), b.max(*v)));
    let bytes = (0.0, 255.0);
    let scale = if most == least { 1.0 } else { (most - least) / 255.0 };
    let zero_point = rounded(-least / scale, 0.0, bytes);
    let y = x.mapv(|v| rounded(v / scale, zero_point, bytes));
    let scalar = |v: f64| Value::from_elem(vec![], v);
    Ok(vec![y, scalar(scale), scalar(zero_point)])
}
