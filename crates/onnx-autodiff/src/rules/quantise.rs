//! Rounding, straight through: gradients pass as if it were not there, where the value is inside the type's range. Where
//! it was cut off there is none. (Bengio, Léonard and Courville 2013; PyTorch's `fake_quantize` does the same.)

use onnx_graph::{DataType, Dim, Emit, Tensor};

use crate::vjp::Vjp;

/// Q = saturate(round(X / s) + z);  dX = dQ / s [lo − ½ ≤ X / s + z ≤ hi + ½], nothing to s and z; to INT32: dX = dQ
pub(super) fn quantize(g: &mut Vjp) {
    let (x, scale, zero_point, dq) = (g.input(0), g.input(1), g.input(2), g.output_grad(0));
    let to = i32::try_from(g.attributes().int("to")).ok().and_then(DataType::from_number);
    let range = to.and_then(DataType::range);
    let axis = g.attributes().int("axis") as usize;
    g.input_grad(0, |e| {
        let Some((lo, hi)) = range.filter(|_| to != Some(DataType::I32)) else { return dq };
        let scale = along(e, scale, axis, x);
        let zero_point = e.cast(along(e, zero_point, axis, x), e.float_type(dq));
        let place = e.add(e.div(e.as_floats(x), scale), zero_point);
        let inside = |op, bound: f64| e.mask(op, place, e.number_like(place, bound));
        let kept = e.mul(inside("GreaterOrEqual", lo - 0.5), inside("LessOrEqual", hi + 0.5));
        e.mul(e.div(dq, scale), kept)
    });
}

/// Y = (Q − z) s;  dQ = dY s, ds = Σ dY (Q − z), dz = −Σ dY s
pub(super) fn dequantize(g: &mut Vjp) {
    let (q, scale, dy) = (g.input(0), g.input(1), g.output_grad(0));
    let axis = g.attributes().int("axis") as usize;
    let zero_point = (g.inputs() > 2).then(|| g.input(2));
    g.input_grad(0, |e| e.mul(dy, along(e, scale, axis, q)));
    g.input_grad(1, |e| {
        let steps = e.cast(q, e.float_type(dy));
        let steps = match zero_point {
            Some(z) => e.sub(steps, e.cast(along(e, z, axis, q), e.float_type(dy))),
            None => steps,
        };
        back(e, e.mul(dy, steps), scale, axis)
    });
    if let Some(z) = zero_point {
        g.input_grad(2, |e| back(e, e.neg(e.mul(dy, along(e, scale, axis, q))), z, axis));
    }
}

/// Q = round(X / s) + z with s and z of X's own range, which counts as constant;  dX = dQ / s, dQ where X is 0 everywhere:
/// engines differ in whether s is then 1 or 0
pub(super) fn dynamic_quantize(g: &mut Vjp) {
    let (scale, dq) = (g.output(1), g.output_grad(0));
    g.input_grad(0, |e| {
        let empty = e.mask("Equal", scale, e.number_like(scale, 0.0));
        e.div(dq, e.add(scale, empty))
    });
}

/// Scales along an axis of `x` in a shape that broadcasts to it.
fn along(e: &Emit, scales: Tensor, axis: usize, x: Tensor) -> Tensor {
    match e.shape(scales).as_slice() {
        [count] => {
            let mut shape = vec![Dim::new(1); e.rank(x) - axis];
            shape[0] = *count;
            e.reshape(scales, shape)
        }
        _ => scales,
    }
}

/// Summed over all axes but the scales' own.
fn back(e: &Emit, gradient: Tensor, scales: Tensor, axis: usize) -> Tensor {
    let several = e.rank(scales) == 1;
    let others: Vec<i64> = (0..e.rank(gradient)).filter(|a| !several || *a != axis).map(|a| a as i64).collect();
    e.reduce("ReduceSum", gradient, &others, false)
}
