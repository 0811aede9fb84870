//! Composite operators as simpler ones, for engines and gradient rules that lack them.

use crate::attributes::Attributes;
use crate::dim::{Dim, element_count};
use crate::emit::Emit;
use crate::graph::Tensor;

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
