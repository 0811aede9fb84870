//! Normalisation.

use onnx_graph::lower::{channel_window_mean, lrn_window};
use onnx_graph::{Dim, Emit, Tensor};

use crate::vjp::Vjp;

/// Y = scale (X − mean) / √(var + ε) + B, per channel;  dX = dY scale / √(var + ε)
pub(super) fn batch_normalization(g: &mut Vjp) {
    let (scale, var, dy) = (g.input(1), g.input(4), g.output_grad(0));
    let epsilon = g.attributes().float("epsilon");
    let rank = g.shape(dy).len();
    g.input_grad(0, |e| {
        let factor = e.div(scale, e.sqrt(e.add(var, e.number_like(var, epsilon))));
        let channels = e.shape(factor)[0];
        let mut shape = vec![Dim::new(1); rank - 1];
        shape[0] = channels;
        e.mul(dy, e.reshape(factor, shape)) // [C, 1, …] against [N, C, …]
    });
    for i in 1..5 {
        g.refuse(i, "its statistics are computed by the network");
    }
}

/// Y = X D^−β, D = bias + α M(X²), M the mean over `size` neighbouring channels;
/// dX = dY D^−β − 2αβ X Mᵀ(dY X D^(−β−1))
pub(super) fn lrn(g: &mut Vjp) {
    let (x, dy, a) = (g.input(0), g.output_grad(0), g.attributes());
    let (alpha, beta, bias) = (a.float("alpha"), a.float("beta"), a.float("bias"));
    let (before, after) = lrn_window(a.int("size"));
    g.input_grad(0, |e| {
        let mean = channel_window_mean(e, e.mul(x, x), before, after);
        let d = e.add(e.scale(mean, alpha), e.number_like(x, bias));
        let own = e.mul(dy, e.pow(d, -beta));
        let through = e.mul(e.mul(dy, x), e.pow(d, -beta - 1.0));
        // Transposed, the window looks the other way.
        let spread = e.mul(x, channel_window_mean(e, through, after, before));
        e.sub(own, e.scale(spread, 2.0 * alpha * beta))
    });
}

/// Y = softmax X along one axis;  dX = Y (dY − Σ dY Y)
pub(super) fn softmax(g: &mut Vjp) {
    let (y, dy, axis) = (g.output(0), g.output_grad(0), g.attributes().int("axis"));
    g.input_grad(0, |e| e.mul(y, e.sub(dy, along(e, e.mul(dy, y), axis))));
}

/// Y = log softmax X along one axis;  dX = dY − e^Y Σ dY
pub(super) fn log_softmax(g: &mut Vjp) {
    let (y, dy, axis) = (g.output(0), g.output_grad(0), g.attributes().int("axis"));
    g.input_grad(0, |e| e.sub(dy, e.mul(e.exp(y), along(e, dy, axis))));
}

fn along(e: &Emit, a: Tensor, axis: i64) -> Tensor {
    e.reduce("ReduceSum", a, &[axis], true)
}
