//! The first right singular vector of feature maps, and their first kernel principal component, as graph nodes.

use onnx_graph::{Attributes, Constant, Dim, Emit, Shape, Tensor};

use super::reciprocal_or_zero;

/// How often the Gram matrix is squared: what remains of the second singular value σ₂ is (σ₂ / σ₁) to the power 2¹³.
const SQUARINGS: usize = 12;

/// The same for a kernel matrix, whose eigenvalues are moved closer together.
const KERNEL_SQUARINGS: usize = 14;

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
        true => e.matmul(m, dominant(e, e.matmul(transposed, m), batch, cells, SQUARINGS)), // σ V₁ = M U₁
        false => dominant(e, e.matmul(m, transposed), batch, channels, SQUARINGS),
    };
    let v = unit(e, v); // [N, K, 1]
    let negative = e.mask("Less", e.reduce("ReduceSum", v, &[1], true), e.scalar(0.0));
    let sign = e.sub(e.scalar(1.0), e.scale(negative, 2.0));
    let kept: Shape = shape.iter().enumerate().map(|(i, d)| if i < 2 { *d } else { Dim::new(1) }).collect();
    e.reshape(e.mul(v, sign), kept)
}

/// The first kernel principal component of the cells of A [N, K, h, w], each a vector of K numbers less their mean over the
/// cells, by the sigmoid kernel k(x, y) = tanh(x·y / K + 1): [N, h, w], of length √λ₁, its sign such that Σ_ij L Σ_k A^k is
/// not negative.
pub(super) fn first_kernel_component(e: &Emit, a: Tensor) -> Tensor {
    let shape = e.shape(a);
    let sizes: Vec<i64> = shape.iter().skip(1).map(|d| d.known().unwrap_or(1)).collect();
    let (batch, channels, cells) =
        (shape.first().copied().unwrap_or(Dim::BATCH), sizes[0], sizes[1..].iter().product());
    let m = e.sub(a, e.mean_spatial(a));
    let m = e.reshape(m, vec![batch, Dim::new(channels), Dim::new(cells)]); // [N, K, Z]
    let products = e.scale(e.matmul(e.swap_last(m), m), 1.0 / channels as f64); // [N, Z, Z]
    // tanh(z + 1) − tanh(1), which loses no digits where z is small; centring takes the constant away.
    let (t, tanh) = (1f64.tanh(), e.node("Tanh", &[products], Attributes::none()));
    let kernel = e.div(e.scale(tanh, 1.0 - t * t), e.add(e.scale(tanh, t), e.number_like(a, 1.0)));
    let mean = |k, axes: &[i64]| e.reduce("ReduceMean", k, axes, true);
    let centred = e.sub(kernel, mean(kernel, &[1]));
    let centred = e.sub(centred, mean(centred, &[2])); // K̃ = (1 − 1/Z) K (1 − 1/Z)
    // The kernel is not positive definite. With its Frobenius norm on the diagonal it is, and λ₁ is the largest in magnitude.
    let norm = e.sqrt(e.reduce("ReduceSum", e.mul(centred, centred), &[1, 2], true));
    let eye: Vec<f64> = (0..cells * cells).map(|i| f64::from(u8::from(i % (cells + 1) == 0))).collect();
    let eye = e.constants_like(a, &[cells as usize, cells as usize], &eye);
    let v = unit(e, dominant(e, e.add(centred, e.mul(norm, eye)), batch, cells, KERNEL_SQUARINGS)); // [N, Z, 1]
    let eigenvalue = e.relu(e.reduce("ReduceSum", e.mul(v, e.matmul(centred, v)), &[1], true)); // [N, 1, 1]
    let total = e.swap_last(e.reduce("ReduceSum", m, &[1], true)); // [N, Z, 1]
    let negative = e.mask("Less", e.reduce("ReduceSum", e.mul(v, total), &[1], true), e.number_like(a, 0.0));
    let sign = e.sub(e.number_like(a, 1.0), e.scale(negative, 2.0));
    let map = e.mul(v, e.mul(sign, e.sqrt(eigenvalue)));
    e.reshape(map, shape.iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, d)| *d).collect())
}

/// The eigenvector [N, n, 1], of any length, to the greatest eigenvalue of a Gram matrix [N, n, n].
///
/// Squared again and again, and divided by its greatest element, which stands on its diagonal, the matrix becomes v vᵀ. Its
/// column with the greatest element is v, at no loss of digits.
fn dominant(e: &Emit, gram: Tensor, batch: Dim, n: i64, squarings: usize) -> Tensor {
    let scaled = |g| e.mul(g, reciprocal_or_zero(e, e.reduce("ReduceMax", g, &[1, 2], true)));
    let gram = scaled(gram);
    let power = (0..squarings).fold(gram, |g, _| scaled(e.matmul(g, g)));
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
