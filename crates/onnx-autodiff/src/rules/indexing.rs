//! Elements by their indices: each gradient goes the same way back.

use onnx_graph::{Attributes, Emit, Tensor};

use crate::vjp::Vjp;

/// Taking elements by these indices along this axis, and putting elements there.
#[derive(Clone, Copy)]
struct Places {
    indices: Tensor,
    axis: i64,
}

impl Places {
    fn of(g: &Vjp) -> Places {
        Places { indices: g.input(1), axis: g.attributes().int("axis") }
    }

    fn take(self, e: &Emit, data: Tensor) -> Tensor {
        e.node("GatherElements", &[data, self.indices], Attributes::none().with("axis", self.axis))
    }

    fn put(self, e: &Emit, data: Tensor, updates: Tensor, reduction: &str) -> Tensor {
        let attributes = Attributes::none().with("axis", self.axis).with("reduction", reduction);
        e.node("ScatterElements", &[data, self.indices, updates], attributes)
    }
}

/// Y = elements of X at indices along an axis;  dX = dY added up at those places
pub(super) fn gather_elements(g: &mut Vjp) {
    let (places, shape, dy) = (Places::of(g), g.shape(g.input(0)), g.output_grad(0));
    g.input_grad(0, |e| places.put(e, e.expand(e.number_like(dy, 0.0), shape), dy, "add"));
}

/// Y = X with updates U at indices along an axis
///
/// - none, indices that differ: dX = dY where there is no update, dU = dY at the places
/// - add: dX = dY, dU = dY at the places
/// - mul: dX = dY · Π U; dU = dY · X at the places, for indices that differ
/// - max, min: dY shared equally among the X and U that equal Y
pub(super) fn scatter_elements(g: &mut Vjp) {
    let (places, x, updates) = (Places::of(g), g.input(0), g.input(2));
    let (y, dy, shape) = (g.output(0), g.output_grad(0), g.shape(g.input(2)));
    match g.attributes().text("reduction") {
        "none" => {
            g.input_grad(0, |e| places.put(e, dy, e.expand(e.number_like(dy, 0.0), shape), "none"));
            g.input_grad(2, |e| places.take(e, dy));
        }
        "add" => {
            g.input_grad(0, |_| dy);
            g.input_grad(2, |e| places.take(e, dy));
        }
        "mul" => {
            let whole = g.shape(x);
            g.input_grad(0, |e| {
                let ones = e.expand(e.number_like(dy, 1.0), whole);
                e.mul(dy, places.put(e, ones, updates, "mul")) // dX = dY · Π U
            });
            match g.repeats_along_axis(1) {
                Some(false) => g.input_grad(2, |e| places.take(e, e.mul(dy, x))),
                _ => g.refuse(2, "several updates may be multiplied at one place"),
            }
        }
        _ => {
            let share = |e: &Emit| {
                let winners = e.mask("Equal", x, y);
                let all = places.put(e, winners, e.mask("Equal", updates, places.take(e, y)), "add");
                e.div(dy, all)
            };
            g.input_grad(0, |e| e.mul(e.mask("Equal", x, y), share(e)));
            g.input_grad(2, |e| e.mul(e.mask("Equal", updates, places.take(e, y)), places.take(e, share(e))));
        }
    }
}
