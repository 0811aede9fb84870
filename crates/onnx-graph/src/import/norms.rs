//! Norms, and what is divided by them: over windows, over axes, over everything spatial.

use super::file_node::{FileNode, Refusal, Settle, one};
use super::reduce::{norm, power, root};
use super::window::pool;
use crate::attributes::Attributes;
use crate::graph::Tensor;
use crate::ops::{Window, axis, pool_extent};

pub(super) const OPERATORS: &[(&str, Settle)] = &[
    ("LpNormalization", lp_normalization),
    ("RMSNormalization", rms_normalization),
    ("MeanVarianceNormalization", mean_variance_normalization),
    ("LpPool", lp_pool),
    ("GlobalLpPool", global_lp_pool),
];

type Settled = Result<Vec<Option<Tensor>>, Refusal>;

/// The exponent of a norm.
fn exponent(n: &FileNode) -> Result<i64, Refusal> {
    match n.int_or("p", 2) {
        p @ 1.. => Ok(p),
        other => Err(format!("its p is {other}").into()),
    }
}

/// x divided by its p-norm along an axis; zeros stay zeros.
fn lp_normalization(n: &FileNode) -> Settled {
    let (e, x, along) = (n.e, n.input(0)?, axis(n.int_or("axis", -1), n.shape(0)?.len())?);
    let norm = norm(e, x, &[along as i64], exponent(n)?, true);
    let none = e.mask("Equal", norm, e.number_like(norm, 0.0));
    one(e.div(x, e.add(norm, none)))
}

/// x / √(mean of x² + ε) over the last axes, from `axis` on, scaled.
fn rms_normalization(n: &FileNode) -> Settled {
    n.ignore(&["stash_type"]); // The precision of what lies between.
    let (e, x, rank) = (n.e, n.input(0)?, n.shape(0)?.len());
    let first = axis(n.int_or("axis", -1), rank)?;
    let axes: Vec<i64> = (first as i64..rank as i64).collect();
    let squares = e.reduce("ReduceMean", e.mul(x, x), &axes, true);
    let deviation = e.sqrt(e.add(squares, e.number_like(x, n.float_or("epsilon", 1e-5))));
    one(e.mul(e.div(x, deviation), n.input(1)?))
}

/// (x − mean) / (√variance + 10⁻⁹) over axes, of which the batch is one unless others are given.
fn mean_variance_normalization(n: &FileNode) -> Settled {
    let (e, x, rank) = (n.e, n.input(0)?, n.shape(0)?.len());
    let axes = n.axes(&n.ints("axes").unwrap_or_else(|| vec![0, 2, 3]), rank)?;
    let d = e.sub(x, e.reduce("ReduceMean", x, &axes, true));
    let deviation = root(e, e.reduce("ReduceMean", e.mul(d, d), &axes, true), 2);
    one(e.div(d, e.add(deviation, e.number_like(x, 1e-9))))
}

/// The p-norm of each window: the mean of |x|ᵖ times the number of its cells, and the root. Zeros are padded before, so
/// that every window is whole.
fn lp_pool(n: &FileNode) -> Settled {
    let (e, x, shape, p) = (n.e, n.input(0)?, n.shape(0)?, exponent(n)?);
    let attributes = pool(n)?;
    let (mut begins, mut ends, mut cells) = (vec![0, 0], vec![0, 0], 1.0);
    for (w, extent) in Window::all(&attributes).into_iter().zip(&shape[2..]) {
        let mut end = w.pads.1;
        if attributes.flag("ceil_mode") {
            let extent = extent.known().ok_or("a spatial axis is not known")?;
            let steps = pool_extent(w, extent, true) - 1;
            end = end.max(steps * w.stride + w.span() - extent - w.pads.0);
        }
        begins.push(w.pads.0);
        ends.push(end);
        cells *= w.kernel as f64;
    }
    let padded = e.pad(power(e, x, p), &[begins, ends].concat(), 0.0);
    let whole = Attributes::none()
        .with("kernel_shape", attributes.ints("kernel_shape").to_vec())
        .with("strides", attributes.ints("strides").to_vec())
        .with("dilations", attributes.ints("dilations").to_vec())
        .with("pads", vec![0; attributes.ints("pads").len()])
        .with("ceil_mode", false)
        .with("count_include_pad", false);
    one(root(e, e.scale(e.node("AveragePool", &[padded], whole), cells), p))
}

/// The p-norm of each channel.
fn global_lp_pool(n: &FileNode) -> Settled {
    let axes: Vec<i64> = (2..n.shape(0)?.len() as i64).collect();
    one(norm(n.e, n.input(0)?, &axes, exponent(n)?, true))
}
