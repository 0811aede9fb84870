//! Composite operators as simpler ones, for engines and gradient rules that lack them.

use crate::attributes::Attributes;
use crate::dim::{Dim, element_count};
use crate::emit::Emit;
use crate::graph::Tensor;
use crate::ops::{Window, pool_extent};

/// How many channels before and after its own an LRN of `size` looks at.
pub fn lrn_window(size: i64) -> (i64, i64) {
    ((size - 1) / 2, size / 2)
}

/// LRN: x / (bias + α M(x²))^β, M the mean over `size` neighbouring channels, absent ones counted as zero.
///
/// X [N, C, ..] -> same; attributes as of a canonical LRN.
pub fn lrn(e: &Emit, x: Tensor, attributes: &Attributes) -> Tensor {
    let (before, after) = lrn_window(attributes.int("size"));
    let mean = channel_window_mean(e, e.mul(x, x), before, after);
    let d = e.add(e.scale(mean, attributes.float("alpha")), e.number_like(x, attributes.float("bias")));
    e.mul(x, e.pow(d, -attributes.float("beta")))
}

/// Mean of each channel with `before` and `after` neighbours, absent ones counted as zero: a window of one column that
/// slides over the channels. X [N, C, ..] -> same.
pub fn channel_window_mean(e: &Emit, x: Tensor, before: i64, after: i64) -> Tensor {
    let shape = e.shape(x);
    let cells = shape.get(2..).and_then(element_count).unwrap_or(Dim::new(1));
    let [n, channels] = [shape.first(), shape.get(1)].map(|d| d.copied().unwrap_or(Dim::new(1)));
    let plane = e.reshape(x, vec![n, Dim::new(1), channels, cells]);
    let attributes = Attributes::none()
        .with("kernel_shape", vec![before + after + 1, 1])
        .with("strides", vec![1, 1])
        .with("dilations", vec![1, 1])
        .with("pads", vec![before, 0, after, 0])
        .with("ceil_mode", false)
        .with("count_include_pad", true);
    e.reshape(e.node("AveragePool", &[plane], attributes), shape)
}

/// The last axes stretched to other extents, half-pixel bilinear: the centre of cell i of n lies at (i + ½)/n, and beyond the
/// outermost centres the outermost cells go on. What `Resize` does with sizes and its defaults, mode linear.
///
/// X [.., h, w] -> [.., H, W], of known sizes.
pub fn resize_bilinear(e: &Emit, x: Tensor, height: Dim, width: Dim) -> Tensor {
    let shape = e.shape(x);
    let from = |back: usize| shape.len().checked_sub(back).and_then(|i| shape[i].known()).unwrap_or(1);
    let across = e.constants_like(x, &sizes(from(1), width), &bilinear(from(1), width)); // [w, W]
    let down = e.constants_like(x, &sizes(from(2), height), &bilinear(from(2), height)); // [h, H]
    e.matmul(e.swap_last(down), e.matmul(x, across))
}

fn sizes(from: i64, to: Dim) -> [usize; 2] {
    [from, to.known().unwrap_or(1)].map(|size| usize::try_from(size).unwrap_or(1))
}

/// What the cells of X weigh in the cells of Y, [from, to].
fn bilinear(from: i64, to: Dim) -> Vec<f64> {
    let [from, to] = sizes(from, to);
    let mut matrix = vec![0.0; from * to];
    for i in 0..to {
        let at = ((i as f64 + 0.5) / to as f64 * from as f64 - 0.5).clamp(0.0, from as f64 - 1.0);
        let (low, share) = (at as usize, at.fract());
        matrix[low * to + i] += 1.0 - share;
        matrix[(low + 1).min(from - 1) * to + i] += share;
    }
    matrix
}

/// MaxPool or AveragePool, dilated as it may be, axis by axis: the largest, or the mean, of strided slices of X, padded with
/// −∞ or 0. `None` where a size is not known, and of integers.
///
/// X [N, C, ..] -> [N, C, ..]; attributes as of the canonical operator.
pub fn pool_by_slices(e: &Emit, op: &str, x: Tensor, attributes: &Attributes) -> Option<Tensor> {
    let shape = e.shape(x);
    let extents: Vec<i64> = shape.get(2..)?.iter().map(|d| d.known()).collect::<Option<_>>()?;
    e.graph().tensor(x).dtype.filter(|t| t.is_float())?; // Integers have no −∞.
    let average = op == "AveragePool";
    let mut y = x;
    for (i, w) in Window::all(attributes).into_iter().enumerate() {
        let (axis, extent) = (i + 2, extents[i]);
        let out = pool_extent(w, extent, attributes.flag("ceil_mode"));
        let mut pads = vec![0; 2 * shape.len()];
        pads[axis] = w.pads.0;
        pads[shape.len() + axis] = (out - 1) * w.stride + w.span() - w.pads.0 - extent;
        let padded = e.pad(y, &pads, if average { 0.0 } else { f32::NEG_INFINITY });
        let slices = (0..w.kernel).map(|t| e.slice(padded, axis, t * w.dilation, w.stride, out));
        let combined = slices.reduce(|a, b| match average {
            true => e.add(a, b),
            false => e.node("Max", &[a, b], Attributes::none()),
        })?;
        y = if average {
            let mut broadcast = vec![1; shape.len() - axis];
            broadcast[0] = usize::try_from(out).ok()?;
            let shares = w.shares(extent, out, attributes.flag("count_include_pad"));
            e.mul(combined, e.constants_like(combined, &broadcast, &shares))
        } else {
            combined
        };
    }
    Some(y)
}
