//! The first right singular vector of feature maps, as graph nodes.

use onnx_graph::{Attributes, Constant, Dim, Emit, Shape, Tensor};

use super::reciprocal_or_zero;

/// How often the Gram matrix is squared: what remains of the second singular value σ₂ is (σ₂ / σ₁) to the power 2¹³.
const SQUARINGS: usize = 12;

/// V₁ of M [N, K, h, w], taken as a matrix of K columns for each picture: the unit vector [N, K, 1, 1] for which
/// Σ_k V₁ M^k is largest, its sign such that Σ_k V₁ is not negative; 0 where M is.
pub(super) fn first_singular_vector(e: &Emit, m: Tensor) -> Tensor {
    let shape = e.shape(m);
    let sizes: Vec<i64> = shape.iter().skip(1).map(|d| d.known().unwrap_or(1)).collect();
    let (batch, channels, cells) =
        (shape.first().copied().unwrap_or(Dim::BATCH), sizes[0], sizes[1..].iter().product());
    let m = e.reshape(m, vec![batch, Dim::new(channels), Dim::new(cells)]); // [N, K, Z]
    let transposed = e.swap_last(m);
    let v = match cells < channels {
        true => e.matmul(m, dominant(e, e.matmul(transposed, m), batch, cells)), // σ V₁ = M U₁
        false => dominant(e, e.matmul(m, transposed), batch, channels),
    };
    let v = unit(e, v); // [N, K, 1]
    let negative = e.mask("Less", e.reduce("ReduceSum", v, &[1], true), e.scalar(0.0));
    let sign = e.sub(e.scalar(1.0), e.scale(negative, 2.0));
    let kept: Shape = shape.iter().enumerate().map(|(i, d)| if i < 2 { *d } else { Dim::new(1) }).collect();
    e.reshape(e.mul(v, sign), kept)
}

/// The eigenvector [N, n, 1], of any length, to the greatest eigenvalue of a Gram matrix [N, n, n].
///
/// Squared again and again, and divided by its greatest element, which stands on its diagonal, the matrix becomes v vᵀ. Its
/// column with the greatest element is v, at no loss of digits.
fn dominant(e: &Emit, gram: Tensor, batch: Dim, n: i64) -> Tensor {
    let scaled = |g| e.mul(g, reciprocal_or_zero(e, e.reduce("ReduceMax", g, &[1, 2], true)));
    let gram = scaled(gram);
    let power = (0..SQUARINGS).fold(gram, |g, _| scaled(e.matmul(g, g)));
    let highest = e.reduce("ReduceMax", power, &[1], false); // [N, n]
    let column = e.node("ArgMax", &[highest], Attributes::none().with("axis", 1i64).with("keepdims", true)); // [N, 1]
    let columns = e.constant(Constant::i64s(&[1, n as usize], &(0..n).collect::<Vec<i64>>()));
    let chosen = e.cast(e.compare("Equal", column, columns), e.float_type(power));
    let v = e.matmul(power, e.reshape(chosen, vec![batch, Dim::new(n), Dim::new(1)]));
    e.matmul(gram, unit(e, v)) // Once more by the matrix itself, which no rounding of powers has touched.
}

/// v / |v|, and 0 where v is 0.
fn unit(e: &Emit, v: Tensor) -> Tensor {
    let length = e.sqrt(e.reduce("ReduceSum", e.mul(v, v), &[1], true));
    e.mul(v, reciprocal_or_zero(e, length))
}
