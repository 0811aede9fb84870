//! Products.

use onnx_graph::{Attributes, Dim, Emit, Tensor};

use crate::vjp::Vjp;

/// Y = A · B;  A [.., m, k], B [.., k, n] -> Y [.., m, n]
///
/// dA = dY · Bᵀ, dB = Aᵀ · dY, summed over the leading axes that were broadcast
pub(super) fn matmul(g: &mut Vjp) {
    let (a, b, dy) = (g.input(0), g.input(1), g.output_grad(0));
    let (shape_a, shape_b) = (g.shape(a), g.shape(b));
    // A vector is a matrix of one row (A) or one column (B).
    let one = Dim::new(1);
    let row = if shape_a.len() == 1 { vec![one, shape_a[0]] } else { shape_a.clone() };
    let column = if shape_b.len() == 1 { vec![shape_b[0], one] } else { shape_b.clone() };
    let mut product = g.shape(dy);
    if shape_b.len() == 1 {
        product.push(one);
    }
    if shape_a.len() == 1 {
        product.insert(product.len() - 1, one);
    }
    g.input_grad(0, |e| {
        let (dy, b) = (e.reshape(dy, product.clone()), e.reshape(b, column.clone()));
        e.reshape(e.sum_to(times_transposed(e, dy, b), &row), shape_a.clone()) // dA = dY · Bᵀ
    });
    g.input_grad(1, |e| {
        let (dy, a) = (e.reshape(dy, product.clone()), e.reshape(a, row.clone()));
        e.reshape(e.sum_to(e.matmul(e.swap_last(a), dy), &column), shape_b.clone()) // dB = Aᵀ · dY
    });
}

/// A · Bᵀ; of two matrices without a transposed copy.
fn times_transposed(e: &Emit, a: Tensor, b: Tensor) -> Tensor {
    match (e.rank(a), e.rank(b)) {
        (2, 2) => product(e, a, false, b, true, 1.0),
        _ => e.matmul(a, e.swap_last(b)),
    }
}

/// Y = α A′ · B′ + β C;  A′ [m, k], B′ [k, n], C to [m, n], ′ the transposition asked for
///
/// dA′ = α dY · B′ᵀ, dB′ = α A′ᵀ · dY, dC = β dY summed to C's shape
pub(super) fn gemm(g: &mut Vjp) {
    let (a, b, dy) = (g.input(0), g.input(1), g.output_grad(0));
    let (trans_a, trans_b) = (g.attributes().flag("transA"), g.attributes().flag("transB"));
    let (alpha, beta) = (g.attributes().float("alpha"), g.attributes().float("beta"));
    g.input_grad(0, |e| match trans_a {
        false => product(e, dy, false, b, !trans_b, alpha), // dA = α dY · B′ᵀ
        true => product(e, b, trans_b, dy, true, alpha),    // dA = α B′ · dYᵀ
    });
    g.input_grad(1, |e| match trans_b {
        false => product(e, a, !trans_a, dy, false, alpha), // dB = α A′ᵀ · dY
        true => product(e, dy, true, a, trans_a, alpha),    // dB = α dYᵀ · A′
    });
    if g.inputs() == 3 {
        let shape = g.shape(g.input(2));
        g.input_grad(2, |e| e.scale(e.sum_to(dy, &shape), beta));
    }
}

fn product(e: &Emit, a: Tensor, trans_a: bool, b: Tensor, trans_b: bool, alpha: f32) -> Tensor {
    let attributes =
        Attributes::none().with("transA", trans_a).with("transB", trans_b).with("alpha", alpha).with("beta", 1.0f32);
    e.node("Gemm", &[a, b], attributes)
}
