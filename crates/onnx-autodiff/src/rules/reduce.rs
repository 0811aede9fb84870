//! Reductions.

use onnx_graph::{Attributes, Dim, Shape, Tensor};

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

/// The output's shape with the reduced axes kept as 1.
fn kept_shape(g: &Vjp) -> Shape {
    let mut shape = g.shape(g.input(0));
    g.attributes().ints("axes").iter().for_each(|a| shape[*a as usize] = Dim::new(1));
    shape
}
