//! Moving elements: each gradient moves them back.

use onnx_graph::ops::Window;
use onnx_graph::{Constant, Dim, Tensor};

use super::place::{fit, place, scatter};
use crate::vjp::Vjp;

/// dX = dY in X's shape
pub(super) fn reshape(g: &mut Vjp) {
    let (shape, dy) = (g.shape(g.input(0)), g.output_grad(0));
    g.input_grad(0, |e| e.reshape(dy, shape));
}

/// dX = dY with the axes back in order
pub(super) fn transpose(g: &mut Vjp) {
    let (perm, dy) = (g.attributes().ints("perm"), g.output_grad(0));
    let mut back = vec![0; perm.len()];
    perm.iter().enumerate().for_each(|(i, p)| back[*p as usize] = i as i64);
    g.input_grad(0, |e| e.transpose(dy, &back));
}

/// dXᵢ = the part of dY that came from Xᵢ
pub(super) fn concat(g: &mut Vjp) {
    let (axis, dy) = (g.attributes().int("axis") as usize, g.output_grad(0));
    let mut start = Some(0);
    for i in 0..g.inputs() {
        let extent = g.shape(g.input(i))[axis].known();
        match start.zip(extent) {
            Some((start, extent)) => g.input_grad(i, |e| e.slice(dy, axis, start, 1, extent)),
            None => g.refuse(i, "it joins along the batch"),
        }
        start = start.zip(extent).map(|(start, extent)| start + extent);
    }
}

/// dX = the parts' gradients joined
pub(super) fn split(g: &mut Vjp) {
    let axis = g.attributes().int("axis") as usize;
    let parts: Vec<Tensor> = (0..g.attributes().ints("split").len()).map(|i| g.output_grad(i)).collect();
    g.input_grad(0, |e| e.concat(&parts, axis));
}

/// dX = dY at the places that were taken, 0 elsewhere
pub(super) fn slice(g: &mut Vjp) {
    let (shape, dy, a) = (g.shape(g.input(0)), g.output_grad(0), g.attributes());
    let (starts, steps, counts) = (a.ints("starts"), a.ints("steps"), a.ints("counts"));
    g.input_grad(0, |e| {
        let mut dx = dy;
        for (i, axis) in a.ints("axes").iter().enumerate() {
            let axis = *axis as usize;
            let (mut first, step) = (starts[i], steps[i].abs());
            if steps[i] < 0 {
                first -= step * (counts[i] - 1); // Backwards: the last taken is the first place.
                dx = e.slice(dx, axis, counts[i] - 1, -1, counts[i]);
            }
            let window = Window { kernel: 1, stride: step, dilation: 1, pads: (-first, 0) };
            dx = place(e, &[dx], window, axis, known(shape[axis]));
        }
        dx
    });
}

/// dX = dY without the padding; padding that repeats cells adds to the cells it repeats
pub(super) fn pad(g: &mut Vjp) {
    let (shape, dy, a) = (g.shape(g.input(0)), g.output_grad(0), g.attributes());
    let (mode, (begins, ends)) = (a.text("mode"), a.ints("pads").split_at(shape.len()));
    let padded: Vec<usize> = (0..shape.len()).filter(|i| (begins[*i], ends[*i]) != (0, 0)).collect();
    if padded.iter().any(|i| shape[*i].is_symbolic()) {
        return g.refuse(0, "it pads the batch");
    }
    g.input_grad(0, |e| {
        let mut dx = dy;
        for axis in padded {
            let (begin, end, extent) = (begins[axis], ends[axis], known(shape[axis]));
            dx = match mode {
                "constant" => fit(e, dx, axis, begin, extent),
                _ => {
                    let sources: Vec<i64> = (-begin..extent + end).map(|i| source(i, extent, mode)).collect();
                    scatter(e, dx, axis, e.constant(Constant::i64s(&[sources.len()], &sources)), extent)
                }
            };
        }
        dx
    });
}

/// A size that is known: the node's inference asked for it.
fn known(dim: Dim) -> i64 {
    dim.known().unwrap_or(0)
}

/// Which cell of an axis stands at place `i`, inside or beyond it.
fn source(i: i64, extent: i64, mode: &str) -> i64 {
    match mode {
        "reflect" if i < 0 => -i,
        "reflect" if i >= extent => 2 * (extent - 1) - i,
        _ => i.clamp(0, extent - 1),
    }
}

/// dX = dY summed over what was repeated
pub(super) fn expand(g: &mut Vjp) {
    let (shape, dy) = (g.shape(g.input(0)), g.output_grad(0));
    g.input_grad(0, |e| e.sum_to(dy, &shape));
}

/// Y = X at indices along an axis;  dX = dY added up at those places
pub(super) fn gather(g: &mut Vjp) {
    let (x, indices, dy, axis) = (g.input(0), g.input(1), g.output_grad(0), g.attributes().int("axis") as usize);
    let (shape, taken) = (g.shape(x), g.shape(indices));
    let (Some(extent), Some(count)) = (shape[axis].known(), onnx_graph::dim::element_count(&taken)) else {
        return g.refuse(0, "it takes examples out of the batch");
    };
    g.input_grad(0, |e| {
        let mut flat = shape.clone();
        flat[axis] = count;
        let indices = e.from_the_front(e.reshape(indices, vec![count]), Dim::new(extent));
        scatter(e, e.reshape(dy, flat), axis, indices, extent)
    });
}

/// Y = X repeated along its axes;  dX = dY summed over the repetitions
pub(super) fn tile(g: &mut Vjp) {
    let (shape, dy, repeats) = (g.shape(g.input(0)), g.output_grad(0), g.attributes().ints("repeats"));
    let split: Vec<Dim> = shape.iter().zip(repeats).flat_map(|(d, r)| [Dim::new(*r), *d]).collect();
    let axes: Vec<i64> = (0..shape.len() as i64).map(|i| 2 * i).collect();
    g.input_grad(0, |e| e.reduce("ReduceSum", e.reshape(dy, split), &axes, false));
}

/// Y [N, C, bH, bW] from X [N, b²C, H, W];  dX = the blocks back in the channels
pub(super) fn depth_to_space(g: &mut Vjp) {
    let (shape, dy, a) = (g.shape(g.input(0)), g.output_grad(0), g.attributes());
    let (block, depth_first) = (Dim::new(a.int("blocksize")), a.text("mode") == "DCR");
    let channels = g.shape(dy)[1];
    g.input_grad(0, |e| {
        let blocks = e.reshape(dy, vec![shape[0], channels, shape[2], block, shape[3], block]);
        let perm = if depth_first { [0, 3, 5, 1, 2, 4] } else { [0, 1, 3, 5, 2, 4] };
        e.reshape(e.transpose(blocks, &perm), shape)
    });
}
