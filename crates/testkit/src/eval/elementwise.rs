//! Element by element.

use onnx_graph::DataType;

use super::index::{at, broadcast, table, try_table};
use super::{Definition, Operands, Value, one};

pub(super) const OPERATORS: &[(&str, Definition)] = &[
    ("Relu", |o| unary(o, |x| if x < 0.0 { 0.0 } else { x })),
    ("LeakyRelu", |o| unary(o, |x| if x < 0.0 { o.float("alpha") * x } else { x })),
    ("Clip", |o| unary(o, |x| least(o.float("max"), greatest(x, o.float("min"))))),
    ("Sigmoid", |o| unary(o, sigmoid)),
    ("HardSigmoid", |o| unary(o, |x| hard_sigmoid(o.float("alpha"), o.float("beta"), x))),
    ("HardSwish", |o| unary(o, |x| x * hard_sigmoid(1.0 / 6.0, 0.5, x))),
    ("Swish", |o| unary(o, |x| x * sigmoid(o.float("alpha") * x))),
    ("Tanh", |o| unary(o, f64::tanh)),
    ("Exp", |o| unary(o, f64::exp)),
    ("Log", |o| unary(o, f64::ln)),
    ("Sqrt", |o| unary(o, f64::sqrt)),
    ("Reciprocal", |o| unary(o, |x| 1.0 / x)),
    ("Abs", |o| unary(o, f64::abs)),
    ("Neg", |o| unary(o, |x| -x)),
    ("Floor", |o| unary(o, f64::floor)),
    ("Ceil", |o| unary(o, f64::ceil)),
    ("Erf", |o| unary(o, erf)),
    ("Sin", |o| unary(o, f64::sin)),
    ("Cos", |o| unary(o, f64::cos)),
    ("Not", |o| unary(o, |x| truth(x == 0.0))),
    ("Cast", cast),
    ("Add", |o| binary(o, |a, b| a + b)),
    ("Sub", |o| binary(o, |a, b| a - b)),
    ("Mul", |o| binary(o, |a, b| a * b)),
    ("Div", div),
    ("Pow", |o| binary(o, f64::powf)),
    ("Min", |o| binary(o, least)),
    ("Max", |o| binary(o, greatest)),
    ("Mod", modulo),
    ("And", |o| binary(o, |a, b| truth(a != 0.0 && b != 0.0))),
    ("Or", |o| binary(o, |a, b| truth(a != 0.0 || b != 0.0))),
    ("Equal", |o| binary(o, |a, b| truth(a == b))),
    ("Greater", |o| binary(o, |a, b| truth(a > b))),
    ("Less", |o| binary(o, |a, b| truth(a < b))),
    ("GreaterOrEqual", |o| binary(o, |a, b| truth(a >= b))),
    ("LessOrEqual", |o| binary(o, |a, b| truth(a <= b))),
    ("Where", choose),
];

fn unary(o: &Operands, f: impl Fn(f64) -> f64) -> Result<Vec<Value>, String> {
    one(o.input(0)?.mapv(f))
}

fn binary(o: &Operands, f: impl Fn(f64, f64) -> f64) -> Result<Vec<Value>, String> {
    let (a, b) = (o.input(0)?, o.input(1)?);
    one(table(&broadcast(&[a.shape(), b.shape()])?, |i| f(at(a, i), at(b, i))))
}

fn truth(b: bool) -> f64 {
    f64::from(u8::from(b))
}

/// The greater of two; not a number where one is not.
fn greatest(a: f64, b: f64) -> f64 {
    if a > b || a.is_nan() { a } else { b }
}

/// The lesser of two; not a number where one is not.
fn least(a: f64, b: f64) -> f64 {
    if a < b || a.is_nan() { a } else { b }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn hard_sigmoid(alpha: f64, beta: f64, x: f64) -> f64 {
    greatest(0.0, least(1.0, alpha * x + beta))
}

/// erf x = 2/√π · e^(−x²) · Σ_n 2ⁿ x^(2n+1) / (1·3·5 … (2n+1)), a series of positive terms.
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum(); // 1 − erf 6 is 2·10⁻¹⁷.
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-18 * sum.abs() {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum
}

/// Whole numbers are cut off towards zero; a number that the type cannot hold has no definition.
fn cast(o: &Operands) -> Result<Vec<Value>, String> {
    let number = o.attributes().int("to");
    let to = i32::try_from(number).ok().and_then(DataType::from_number).ok_or(format!("element type {number}"))?;
    let x = o.input(0)?;
    one(try_table(x.shape(), |i| {
        let v = x[i];
        match to.range() {
            None if to == DataType::Bool => Ok(truth(v != 0.0)),
            None => Ok(v),
            Some((least, most)) if (least..=most).contains(&v.trunc()) => Ok(v.trunc()),
            Some(_) => Err(format!("{v} is outside {to}")),
        }
    })?)
}

/// Integers are divided towards zero.
fn div(o: &Operands) -> Result<Vec<Value>, String> {
    if o.is_float(0) {
        return binary(o, |a, b| a / b);
    }
    not_zero(o.input(1)?)?;
    binary(o, |a, b| (a / b).trunc())
}

/// The remainder has the divisor's sign.
fn modulo(o: &Operands) -> Result<Vec<Value>, String> {
    if !o.is_float(0) {
        not_zero(o.input(1)?)?;
    }
    binary(o, |a, b| {
        let remainder = a % b; // C's fmod, which has the dividend's sign.
        if remainder != 0.0 && (remainder < 0.0) != (b < 0.0) { remainder + b } else { remainder }
    })
}

fn not_zero(divisor: &Value) -> Result<(), String> {
    if divisor.iter().any(|v| *v == 0.0) { Err("an integer is divided by zero".to_owned()) } else { Ok(()) }
}

fn choose(o: &Operands) -> Result<Vec<Value>, String> {
    let (condition, a, b) = (o.input(0)?, o.input(1)?, o.input(2)?);
    let shape = broadcast(&[condition.shape(), a.shape(), b.shape()])?;
    one(table(&shape, |i| if at(condition, i) != 0.0 { at(a, i) } else { at(b, i) }))
}
