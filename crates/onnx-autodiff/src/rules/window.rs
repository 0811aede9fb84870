//! Convolution and pooling, over any number of spatial axes.

use onnx_graph::ops::Window;
use onnx_graph::{Attributes, Constant, Dim, Emit, Tensor};

use super::place::{fit, place};
use crate::vjp::Vjp;

/// Y = W * X + B;  X [N, C, H, W], W [O, C/g, kh, kw] -> Y [N, O, h, w]
///
/// dX = dY * Wᵀ: at stride 1 a convolution with the kernel flipped and its channels exchanged within each group, padded
/// by d(k − 1) − p; else the transposed convolution with `output_padding = (H + p − d(k − 1) − 1) mod stride`.
pub(super) fn conv(g: &mut Vjp) {
    let (w, dy, a) = (g.input(1), g.output_grad(0), g.attributes());
    let (shape_w, windows) = (g.shape(w), Window::all(a));
    let (extents, out) = (known(&g.shape(g.input(0))[2..]), known(&g.shape(dy)[2..]));
    g.input_grad(0, |e| match windows.iter().all(|w| w.stride == 1) {
        true => full_convolution(e, dy, &out, exchanged(e, w, &shape_w, a.int("group")), &windows, a.int("group")),
        false => {
            let rest = |(w, extent): (&Window, &i64)| (extent + w.pads.0 + w.pads.1 - w.span()).rem_euclid(w.stride);
            let more: Vec<i64> = windows.iter().zip(&extents).map(rest).collect();
            e.node("ConvTranspose", &[dy, w], a.clone().with("output_padding", more))
        }
    });
    refuse_weights(g);
}

/// dY, `out` cells on each spatial axis, convolved with the flipped kernel wherever the two overlap.
fn full_convolution(e: &Emit, dy: Tensor, out: &[i64], kernel: Tensor, windows: &[Window], group: i64) -> Tensor {
    let (mut dy, mut kernel, mut pads) = (dy, kernel, vec![0; 2 * windows.len()]);
    for (i, w) in windows.iter().enumerate() {
        let (axis, reach) = (i + 2, w.span() - 1);
        let (begin, end) = (reach - w.pads.0, reach - w.pads.1);
        (pads[i], pads[windows.len() + i]) = (begin.max(0), end.max(0));
        // Padded by more than the kernel reaches, the outermost outputs saw nothing of X.
        dy = fit(e, dy, axis, -begin.min(0), out[i] + begin.min(0) + end.min(0));
        kernel = if w.kernel == 1 { kernel } else { e.slice(kernel, axis, w.kernel - 1, -1, w.kernel) };
    }
    let each = |of: fn(&Window) -> i64| -> Vec<i64> { windows.iter().map(of).collect() };
    let attributes = Attributes::none()
        .with("kernel_shape", each(|w| w.kernel))
        .with("strides", each(|_| 1))
        .with("dilations", each(|w| w.dilation))
        .with("pads", pads)
        .with("group", group);
    e.node("Conv", &[dy, kernel], attributes)
}

/// W [g·o, c, …] -> [g·c, o, …]: in each group, the channels that it makes and those that it reads change places.
fn exchanged(e: &Emit, w: Tensor, shape: &[Dim], group: i64) -> Tensor {
    let swapped = |axis: usize, rank: usize| {
        let mut perm: Vec<i64> = (0..rank as i64).collect();
        perm.swap(axis, axis + 1);
        perm
    };
    let (made, read, kernel) = (known(shape)[0] / group, known(shape)[1], &shape[2..]);
    match (group, made, read) {
        (_, 1, 1) => w, // Depthwise.
        (1, ..) => e.transpose(w, &swapped(0, shape.len())),
        _ => {
            let by_group = e.reshape(w, [&[group, made, read].map(Dim::new), kernel].concat());
            let exchanged = e.transpose(by_group, &swapped(1, shape.len() + 1));
            e.reshape(exchanged, [&[group * read, made].map(Dim::new), kernel].concat())
        }
    }
}

fn refuse_weights(g: &mut Vjp) {
    g.refuse(1, "its weights are computed by the network");
    if g.inputs() == 3 {
        g.refuse(2, "its bias is computed by the network");
    }
}

/// Y = transposed convolution of X by W;  X [N, C, h, w], W [C, O/g, kh, kw] -> Y [N, O, H, W]
///
/// dX = W * dY, the convolution that it transposes
pub(super) fn conv_transpose(g: &mut Vjp) {
    let (w, dy, a) = (g.input(1), g.output_grad(0), g.attributes());
    let extents = known(&g.shape(g.input(0))[2..]);
    let lists = ["kernel_shape", "strides", "dilations", "pads"];
    let attributes = lists.iter().fold(Attributes::none(), |made, name| made.with(name, a.ints(name).to_vec()));
    g.input_grad(0, |e| {
        let dx = e.node("Conv", &[dy, w], attributes.with("group", a.int("group")));
        // An `output_padding` of the stride or more gives room for windows that X did not make.
        extents.iter().enumerate().fold(dx, |dx, (i, extent)| e.slice(dx, i + 2, 0, 1, *extent))
    });
    refuse_weights(g);
}

/// Y = largest X in each window;  dX = dY at the first maximum of the window, in row-major order; overlapping windows add
///
/// One axis after the other: Y is the largest of the window's rows, each the largest of its cells, and the first maximum
/// lies in the first row that holds it. So the gradient goes to that row, and from each row to its first maximum.
pub(super) fn max_pool(g: &mut Vjp) {
    let (x, y, dy) = (g.input(0), g.output(0), g.output_grad(0));
    let (windows, shape, out) = (Window::all(g.attributes()), g.shape(x), known(&g.shape(y)[2..]));
    g.input_grad(0, |e| {
        let (x, y) = (e.as_floats(x), e.as_floats(y)); // Integers have no −∞.
        let mut pooled = vec![(x, vec![])]; // By the last axes, none to all but the first, and what the next takes of it.
        for (i, w) in windows.iter().enumerate().rev() {
            let (of, _) = pooled[pooled.len() - 1];
            let length = (out[i] - 1) * w.stride + w.span();
            let padded = fill(e, of, i + 2, w.pads.0, length);
            let taken: Vec<Tensor> =
                (0..w.kernel).map(|t| e.slice(padded, i + 2, t * w.dilation, w.stride, out[i])).collect();
            let larger = |a: Tensor, b: &Tensor| e.node("Max", &[a, *b], Attributes::none());
            let largest = if i == 0 { y } else { taken[1..].iter().fold(taken[0], larger) };
            pooled.last_mut().expect("x at least").1 = taken;
            pooled.push((largest, vec![]));
        }
        let mut dx = dy;
        for (i, w) in windows.iter().enumerate() {
            let (largest, _) = pooled.pop().expect("an entry for each axis, and x");
            let taken = &pooled[pooled.len() - 1].1;
            dx = place(e, &firsts(e, taken, largest, dx), *w, i + 2, shape[i + 2].known().unwrap_or(0));
        }
        dx
    });
}

/// dY where a piece is the first of `taken` that holds `largest`, 0 elsewhere; one for each piece.
fn firsts(e: &Emit, taken: &[Tensor], largest: Tensor, dy: Tensor) -> Vec<Tensor> {
    let mut open = None; // 1 where no piece so far held it.
    let mut pieces = Vec::new();
    for piece in taken {
        let holds = e.mask("Equal", *piece, largest);
        let first = open.map_or(holds, |open| e.mul(open, holds));
        open = Some(e.sub(open.unwrap_or_else(|| e.number_like(largest, 1.0)), first));
        pieces.push(e.mul(dy, first));
    }
    pieces
}

/// `length` elements along an axis from `before` elements in front of it; −∞ where there are none.
fn fill(e: &Emit, x: Tensor, axis: usize, before: i64, length: i64) -> Tensor {
    let shape = e.shape(x);
    let mut pads = vec![0; 2 * shape.len()];
    pads[axis] = before;
    pads[shape.len() + axis] = length - before - shape[axis].known().unwrap_or(0);
    e.pad(x, &pads, f32::NEG_INFINITY)
}

/// Y = mean of X over each window of n cells (padding counted or not);  dX = dY / n in every cell of the window
pub(super) fn average_pool(g: &mut Vjp) {
    let (x, dy, a) = (g.input(0), g.output_grad(0), g.attributes());
    let (windows, shape, out) = (Window::all(a), g.shape(x), known(&g.shape(dy)[2..]));
    let counted = a.flag("count_include_pad");
    let extents = known(&shape[2..]);
    g.input_grad(0, |e| {
        let mut dx = dy;
        for i in (0..windows.len()).rev() {
            let (w, axis) = (windows[i], i + 2);
            let share = w.shares(extents[i], out[i], counted);
            let mut broadcast = vec![1; shape.len() - axis];
            broadcast[0] = share.len();
            dx = e.mul(dx, e.constants_like(dx, &broadcast, &share));
            dx = if out[i] == 1 && w.pads == (0, 0) && w.span() == w.kernel && w.kernel == extents[i] {
                let mut whole = e.shape(dx);
                whole[axis] = shape[axis];
                e.expand(dx, whole)
            } else {
                place(e, &vec![dx; w.kernel as usize], w, axis, extents[i])
            };
        }
        dx
    });
}

/// Y = mean of X over all n cells;  dX = dY / n everywhere
pub(super) fn global_average_pool(g: &mut Vjp) {
    let (shape, dy) = (g.shape(g.input(0)), g.output_grad(0));
    let n: i64 = known(&shape[2..]).iter().product();
    g.input_grad(0, |e| e.expand(e.scale(dy, 1.0 / n as f64), shape));
}

/// Y = largest X of all cells;  dX = dY at the first maximum in row-major order
pub(super) fn global_max_pool(g: &mut Vjp) {
    let (x, dy) = (g.input(0), g.output_grad(0));
    let shape = g.shape(x);
    let cells: i64 = known(&shape[2..]).iter().product();
    g.input_grad(0, |e| {
        let flat = vec![shape[0], shape[1], Dim::new(cells)];
        let attributes = Attributes::none().with("axis", 2i64).with("keepdims", true);
        let first = e.node("ArgMax", &[e.reshape(x, flat)], attributes); // [N, C, 1]
        let places: Vec<i64> = (0..cells).collect();
        let places = e.constant(Constant::i64s(&[places.len()], &places));
        let one_hot = e.cast(e.compare("Equal", first, places), e.float_type(dy)); // [N, C, cells]
        let dy = e.reshape(dy, vec![shape[0], shape[1], Dim::new(1)]);
        e.reshape(e.mul(one_hot, dy), shape)
    });
}

fn known(dims: &[Dim]) -> Vec<i64> {
    dims.iter().map(|d| d.known().unwrap_or(0)).collect()
}
