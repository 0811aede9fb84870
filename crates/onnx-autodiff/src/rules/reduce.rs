//! Reductions.

use onnx_graph::{Attributes, Dim, Emit, Shape, Tensor};

use crate::vjp::Vjp;

/// Y = Σ X over axes;  dX = dY everywhere
pub(super) fn sum(g: &mut Vjp) {
    let (shape, dy) = (g.shape(g.input(0)), g.output_grad(0));
    let kept = kept_shape(g);
    g.input_grad(0, |e| e.expand(e.reshape(dy, kept), shape));
}

/// Y = mean of X over axes, n elements each;  dX = dY / n everywhere
pub(super) fn mean(g: &mut Vjp) {
    let (shape, dy) = (g.shape(g.input(0)), g.output_grad(0));
    let (kept, axes) = (kept_shape(g), g.attributes().ints("axes"));
    let counts: Option<Vec<i64>> = axes.iter().map(|a| shape[*a as usize].known()).collect();
    let Some(counts) = counts else { return g.refuse(0, "the mean runs over the batch") };
    let n: i64 = counts.iter().product();
    g.input_grad(0, |e| e.expand(e.scale(e.reshape(dy, kept), 1.0 / n as f64), shape));
}

/// Y = largest (smallest) X over axes;  dX = dY shared equally among the elements that equal Y
pub(super) fn extremum(g: &mut Vjp) {
    let (x, y, dy) = (g.input(0), g.output(0), g.output_grad(0));
    let (kept, axes) = (kept_shape(g), g.attributes().ints("axes").to_vec());
    g.input_grad(0, |e| {
        let kept_form = |t: Tensor| e.reshape(t, kept.clone());
        let winners = e.mask("Equal", x, kept_form(y));
        let count = e.reduce("ReduceSum", winners, &axes, true);
        e.mul(winners, e.div(kept_form(dy), count))
    });
}

/// Y = sums of all X up to each;  dX = sums of all dY from each on
pub(super) fn cumulated(g: &mut Vjp) {
    let (dy, a) = (g.output_grad(0), g.attributes());
    let attributes = Attributes::none()
        .with("axis", a.int("axis"))
        .with("exclusive", a.flag("exclusive"))
        .with("reverse", !a.flag("reverse"));
    g.input_grad(0, |e| e.node("CumSum", &[dy], attributes));
}

/// Y = Π X over axes;  dX = dY · the product of the others. Axis by axis from the last, each of the product over those
/// before it: no division, so that factors may be zero.
pub(super) fn product(g: &mut Vjp) {
    let (x, dy) = (g.input(0), g.output_grad(0));
    let (kept, axes) = (kept_shape(g), g.attributes().ints("axes").to_vec());
    let extents: Option<Vec<i64>> = axes.iter().map(|a| g.shape(x)[*a as usize].known()).collect();
    let Some(extents) = extents else { return g.refuse(0, "the product runs over the batch") };
    g.input_grad(0, |e| {
        let partial = |i: usize| e.reduce("ReduceProd", x, &axes[..i], true);
        let product_of_others = |i: usize| others(e, partial(i), axes[i] as usize, extents[i]);
        (0..axes.len()).rev().fold(e.reshape(dy, kept), |d, i| e.mul(d, product_of_others(i)))
    });
}

/// Of each element along an axis, the product of all others: of those before it, times those behind.
fn others(e: &Emit, x: Tensor, axis: usize, extent: i64) -> Tensor {
    e.mul(product_of_earlier(e, x, axis, extent, 1), product_of_earlier(e, x, axis, extent, -1))
}

/// Of each element, the product of those before it (behind it for the direction −1). Products of 1, 2, 4 … neighbours
/// are doubled until they reach over the axis.
fn product_of_earlier(e: &Emit, x: Tensor, axis: usize, extent: i64, direction: i64) -> Tensor {
    let rank = e.rank(x);
    let moved = |t: Tensor, by: i64| {
        let mut pads = vec![0; 2 * rank];
        let (front, back) = (axis, rank + axis);
        if direction > 0 {
            pads[front] = by
        } else {
            pads[back] = by
        }
        e.pad(e.slice(t, axis, if direction > 0 { 0 } else { by }, 1, extent - by), &pads, 1.0)
    };
    let mut product = moved(x, extent.min(1));
    let mut reach = 1;
    while reach < extent {
        product = e.mul(product, moved(product, reach));
        reach *= 2;
    }
    product
}

/// The output's shape with the reduced axes kept as 1.
fn kept_shape(g: &Vjp) -> Shape {
    let mut shape = g.shape(g.input(0));
    g.attributes().ints("axes").iter().for_each(|a| shape[*a as usize] = Dim::new(1));
    shape
}
