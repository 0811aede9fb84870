//! Element by element. Operators of several operands sum their gradients back over what was broadcast.

use onnx_graph::{Attributes, Emit, Tensor};

use crate::vjp::Vjp;

/// Y = max(X, 0);  dX = dY [X > 0], 0 at the kink
pub(super) fn relu(g: &mut Vjp) {
    let (y, dy) = (g.output(0), g.output_grad(0));
    g.input_grad(0, |e| e.mul(dy, e.positive(y)));
}

/// Y = X for X > 0, else αX;  dX = dY ([X > 0] + α (1 − [X > 0])), α at the kink
pub(super) fn leaky_relu(g: &mut Vjp) {
    let (x, dy, alpha) = (g.input(0), g.output_grad(0), g.attributes().float("alpha"));
    g.input_grad(0, |e| {
        let positive = e.positive(x);
        e.mul(dy, e.add(positive, e.scale(one_minus(e, positive), alpha)))
    });
}

/// Y = min(max(X, lo), hi);  dX = dY [lo < X < hi], 0 at the kinks
pub(super) fn clip(g: &mut Vjp) {
    let (x, dy) = (g.input(0), g.output_grad(0));
    let (lo, hi) = (g.attributes().float("min"), g.attributes().float("max"));
    g.input_grad(0, |e| {
        let above = if lo == f32::NEG_INFINITY { dy } else { e.mul(dy, e.mask("Greater", x, e.number_like(x, lo))) };
        if hi == f32::INFINITY { above } else { e.mul(above, e.mask("Less", x, e.number_like(x, hi))) }
    });
}

/// Y = σ(X);  dX = dY Y (1 − Y)
pub(super) fn sigmoid(g: &mut Vjp) {
    let (y, dy) = (g.output(0), g.output_grad(0));
    g.input_grad(0, |e| e.mul(dy, e.mul(y, one_minus(e, y))));
}

/// Y = min(max(αX + β, 0), 1);  dX = α dY [0 < Y < 1], 0 at the kinks
pub(super) fn hard_sigmoid(g: &mut Vjp) {
    let (y, dy, alpha) = (g.output(0), g.output_grad(0), g.attributes().float("alpha"));
    g.input_grad(0, |e| e.mul(dy, e.scale(inside_unit(e, y), alpha)));
}

/// Y = X h(X), h = min(max(X/6 + ½, 0), 1);  dX = dY (h + X/6 [0 < h < 1]); 0 at X = −3, 1 at X = 3
pub(super) fn hard_swish(g: &mut Vjp) {
    let (x, dy) = (g.input(0), g.output_grad(0));
    g.input_grad(0, |e| {
        let h = e.node("HardSigmoid", &[x], Attributes::none().with("alpha", 1.0f32 / 6.0).with("beta", 0.5f32));
        e.mul(dy, e.add(h, e.mul(e.scale(x, 1.0 / 6.0), inside_unit(e, h))))
    });
}

/// Y = X s, s = σ(αX);  dX = dY s (1 + αX (1 − s))
pub(super) fn swish(g: &mut Vjp) {
    let (x, dy, alpha) = (g.input(0), g.output_grad(0), g.attributes().float("alpha"));
    g.input_grad(0, |e| {
        let ax = e.scale(x, alpha);
        let s = e.sigmoid(ax);
        e.mul(dy, e.mul(s, e.add(e.mul(ax, one_minus(e, s)), e.number_like(x, 1.0))))
    });
}

/// Y = tanh X;  dX = dY (1 − Y²)
pub(super) fn tanh(g: &mut Vjp) {
    let (y, dy) = (g.output(0), g.output_grad(0));
    g.input_grad(0, |e| e.mul(dy, one_minus(e, e.mul(y, y))));
}

/// Y = eˣ;  dX = dY Y
pub(super) fn exp(g: &mut Vjp) {
    let (y, dy) = (g.output(0), g.output_grad(0));
    g.input_grad(0, |e| e.mul(dy, y));
}

/// Y = ln X;  dX = dY / X
pub(super) fn log(g: &mut Vjp) {
    let (x, dy) = (g.input(0), g.output_grad(0));
    g.input_grad(0, |e| e.div(dy, x));
}

/// Y = √X;  dX = dY / (2 Y)
pub(super) fn sqrt(g: &mut Vjp) {
    let (y, dy) = (g.output(0), g.output_grad(0));
    g.input_grad(0, |e| e.div(dy, e.scale(y, 2.0)));
}

/// Y = 1/X;  dX = −dY Y²
pub(super) fn reciprocal(g: &mut Vjp) {
    let (y, dy) = (g.output(0), g.output_grad(0));
    g.input_grad(0, |e| e.neg(e.mul(dy, e.mul(y, y))));
}

/// Y = |X|;  dX = dY ([X > 0] − [X < 0]), 0 at the kink
pub(super) fn abs(g: &mut Vjp) {
    let (x, dy) = (g.input(0), g.output_grad(0));
    g.input_grad(0, |e| {
        let zero = e.number_like(x, 0.0);
        e.mul(dy, e.sub(e.mask("Greater", x, zero), e.mask("Less", x, zero)))
    });
}

/// Y = −X;  dX = −dY
pub(super) fn neg(g: &mut Vjp) {
    let dy = g.output_grad(0);
    g.input_grad(0, |e| e.neg(dy));
}

/// Y = erf X;  dX = dY 2/√π e^(−X²)
pub(super) fn erf(g: &mut Vjp) {
    let (x, dy) = (g.input(0), g.output_grad(0));
    g.input_grad(0, |e| e.mul(dy, e.scale(e.exp(e.neg(e.mul(x, x))), std::f64::consts::FRAC_2_SQRT_PI)));
}

/// Y = sin X;  dX = dY cos X
pub(super) fn sin(g: &mut Vjp) {
    let (x, dy) = (g.input(0), g.output_grad(0));
    g.input_grad(0, |e| e.mul(dy, e.node("Cos", &[x], Attributes::none())));
}

/// Y = cos X;  dX = −dY sin X
pub(super) fn cos(g: &mut Vjp) {
    let (x, dy) = (g.input(0), g.output_grad(0));
    g.input_grad(0, |e| e.neg(e.mul(dy, e.node("Sin", &[x], Attributes::none()))));
}

/// Another element type;  dX = dY in X's type. Rounding to integers has no gradient, and what is computed from integers
/// sends a float gradient back, up to where they were made.
pub(super) fn cast(g: &mut Vjp) {
    let (x, y, dy) = (g.input(0), g.output(0), g.output_grad(0));
    if g.holds_floats(y) {
        g.input_grad(0, |e| if e.float_type(x) == e.float_type(dy) { dy } else { e.cast(dy, e.float_type(x)) });
    }
}

/// Y = A + B;  dA = dY, dB = dY
pub(super) fn add(g: &mut Vjp) {
    let dy = g.output_grad(0);
    for i in 0..2 {
        summed(g, i, |_| dy);
    }
}

/// Y = A − B;  dA = dY, dB = −dY
pub(super) fn sub(g: &mut Vjp) {
    let dy = g.output_grad(0);
    summed(g, 0, |_| dy);
    summed(g, 1, |e| e.neg(dy));
}

/// Y = A B;  dA = dY B, dB = dY A
pub(super) fn mul(g: &mut Vjp) {
    let (a, b, dy) = (g.input(0), g.input(1), g.output_grad(0));
    summed(g, 0, |e| e.mul(dy, b));
    summed(g, 1, |e| e.mul(dy, a));
}

/// Y = A / B;  dA = dY / B, dB = −dY Y / B
pub(super) fn div(g: &mut Vjp) {
    let (b, y, dy) = (g.input(1), g.output(0), g.output_grad(0));
    summed(g, 0, |e| e.div(dy, b));
    summed(g, 1, |e| e.neg(e.div(e.mul(dy, y), b)));
}

/// Y = Aᴮ;  dA = dY B Aᴮ⁻¹, 0 where B = 0;  dB = dY Y ln A, 0 where A = 0
pub(super) fn pow(g: &mut Vjp) {
    let (a, b, y, dy) = (g.input(0), g.input(1), g.output(0), g.output_grad(0));
    summed(g, 0, |e| {
        let less = e.sub(b, one_minus(e, is_zero(e, b))); // B − 1, but 0 where B is: 0 · 0⁻¹ would be NaN.
        e.mul(dy, e.mul(b, e.node("Pow", &[a, less], Attributes::none())))
    });
    summed(g, 1, |e| {
        let base = e.add(a, is_zero(e, a)); // ln 1 = 0 in place of ln 0
        e.mul(dy, e.mul(y, e.node("Log", &[base], Attributes::none())))
    });
}

/// Y = A − B ⌊A / B⌋;  dA = dY, dB = −dY ⌊A / B⌋
pub(super) fn modulo(g: &mut Vjp) {
    let (a, b, dy) = (g.input(0), g.input(1), g.output_grad(0));
    summed(g, 0, |_| dy);
    summed(g, 1, |e| e.neg(e.mul(dy, e.node("Floor", &[e.div(a, b)], Attributes::none()))));
}

/// Y = min(A, B);  each gets dY where it is the smaller, half where both are equal
pub(super) fn min(g: &mut Vjp) {
    share(g, "Less");
}

/// Y = max(A, B);  each gets dY where it is the larger, half where both are equal
pub(super) fn max(g: &mut Vjp) {
    share(g, "Greater");
}

fn share(g: &mut Vjp, wins: &'static str) {
    let (a, b, dy) = (g.input(0), g.input(1), g.output_grad(0));
    for (i, own, other) in [(0, a, b), (1, b, a)] {
        summed(g, i, |e| {
            let tie = e.scale(e.mask("Equal", own, other), 0.5);
            e.mul(dy, e.add(e.mask(wins, own, other), tie))
        });
    }
}

/// Y = A where C, else B;  dA = dY [C], dB = dY [not C]
pub(super) fn choose(g: &mut Vjp) {
    let (condition, dy) = (g.input(0), g.output_grad(0));
    summed(g, 1, |e| e.mul(dy, e.cast(condition, e.float_type(dy))));
    summed(g, 2, |e| e.mul(dy, one_minus(e, e.cast(condition, e.float_type(dy)))));
}

/// The gradient of an operand, summed over the axes along which it was broadcast.
fn summed<'a, 'g>(g: &mut Vjp<'a, 'g>, i: usize, gradient: impl FnOnce(&'a Emit<'g>) -> Tensor) {
    let shape = g.shape(g.input(i));
    g.input_grad(i, |e| e.sum_to(gradient(e), &shape));
}

fn one_minus(e: &Emit, a: Tensor) -> Tensor {
    e.sub(e.number_like(a, 1.0), a)
}

/// [a = 0]
fn is_zero(e: &Emit, a: Tensor) -> Tensor {
    e.mask("Equal", a, e.number_like(a, 0.0))
}

/// [0 < a < 1]
fn inside_unit(e: &Emit, a: Tensor) -> Tensor {
    e.mul(e.positive(a), e.mask("Less", a, e.number_like(a, 1.0)))
}
