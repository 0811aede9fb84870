//! Convolution and pooling, over any number of spatial axes.

use onnx_graph::ops::Window;
use onnx_graph::{Attributes, Constant, Dim, Emit, Shape, Tensor};

use super::place::{fit, place};
use crate::vjp::Vjp;

/// Y = W * X + B;  X [N, C, H, W], W [O, C/g, kh, kw] -> Y [N, O, h, w]
///
/// dX = dY * Wᵀ: at stride 1 a convolution with the kernel flipped and its channels exchanged within each group, padded
/// by d(k − 1) − p; else the transposed convolution with `output_padding = (H + p − d(k − 1) − 1) mod stride`.
pub(super) fn conv(g: &mut Vjp) {
    let (x, w, dy, a) = (g.input(0), g.input(1), g.output_grad(0), g.attributes());
    let (shape, windows) = (g.shape(x), Window::all(a));
    if windows.iter().all(|w| w.stride == 1) {
        g.input_grad(0, |e| full_convolution(e, dy, w, &windows, a.int("group"), &shape));
    } else {
        let rest = |(w, dim): (&Window, &Dim)| {
            (dim.known().unwrap_or(0) + w.pads.0 + w.pads.1 - w.span()).rem_euclid(w.stride)
        };
        let more: Vec<i64> = windows.iter().zip(&shape[2..]).map(rest).collect();
        g.input_grad(0, |e| e.node("ConvTranspose", &[dy, w], a.clone().with("output_padding", more)));
    }
    g.refuse(1, "its weights are computed by the network");
    if g.inputs() == 3 {
        g.refuse(2, "its bias is computed by the network");
    }
}

fn full_convolution(e: &Emit, dy: Tensor, w: Tensor, windows: &[Window], group: i64, shape: &Shape) -> Tensor {
    let mut kernel = exchanged(e, w, group);
    let mut dy = dy;
    let (mut begins, mut ends) = (Vec::new(), Vec::new());
    for (i, w) in windows.iter().enumerate() {
        let axis = i + 2;
        kernel = if w.kernel > 1 { e.slice(kernel, axis, w.kernel - 1, -1, w.kernel) } else { kernel };
        let (begin, end) = (w.span() - 1 - w.pads.0, w.span() - 1 - w.pads.1);
        // More padding than the kernel reaches: the outermost outputs saw nothing.
        let crop = (begin.min(0), end.min(0));
        let extent = e.shape(dy)[axis].known().unwrap_or(0);
        dy = if crop == (0, 0) { dy } else { fit(e, dy, axis, -crop.0, extent + crop.0 + crop.1) };
        begins.push(begin.max(0));
        ends.push(end.max(0));
    }
    begins.append(&mut ends);
    let attributes = Attributes::none()
        .with("kernel_shape", windows.iter().map(|w| w.kernel).collect::<Vec<i64>>())
        .with("strides", vec![1; windows.len()])
        .with("dilations", windows.iter().map(|w| w.dilation).collect::<Vec<i64>>())
        .with("pads", begins)
        .with("group", group);
    let dx = e.node("Conv", &[dy, kernel], attributes);
    debug_assert!(e.shape(dx).is_empty() || &e.shape(dx) == shape);
    dx
}

/// W [O, C/g, …] -> [C, O/g, …], channels exchanged within each group.
fn exchanged(e: &Emit, w: Tensor, group: i64) -> Tensor {
    let shape = e.shape(w);
    let per_group = shape[0].div(Dim::new(group)).unwrap_or(shape[0]);
    let one = Dim::new(1);
    if per_group == one && shape[1] == one {
        return w; // Depthwise: nothing to exchange.
    }
    let grouped = [&[Dim::new(group), per_group], &shape[1..]].concat();
    let mut perm: Vec<i64> = (0..grouped.len() as i64).collect();
    perm.swap(1, 2);
    let channels = shape[1].mul(Dim::new(group)).unwrap_or(shape[1]);
    let back = [&[channels, per_group], &shape[2..]].concat();
    match group {
        1 => e.transpose(
            w,
            &(0..shape.len() as i64).map(|i| [1, 0].get(i as usize).copied().unwrap_or(i)).collect::<Vec<_>>(),
        ),
        _ => e.reshape(e.transpose(e.reshape(w, grouped), &perm), back),
    }
}

/// Y = transposed convolution of X by W;  X [N, C, h, w], W [C, O/g, kh, kw] -> Y [N, O, H, W]
///
/// dX = W * dY, the convolution that it transposes
pub(super) fn conv_transpose(g: &mut Vjp) {
    let (w, dy, a) = (g.input(1), g.output_grad(0), g.attributes());
    let mut attributes = Attributes::none();
    for name in ["kernel_shape", "strides", "dilations", "pads"] {
        attributes = attributes.with(name, a.ints(name).to_vec());
    }
    g.input_grad(0, |e| e.node("Conv", &[dy, w], attributes.with("group", a.int("group"))));
    g.refuse(1, "its weights are computed by the network");
    if g.inputs() == 3 {
        g.refuse(2, "its bias is computed by the network");
    }
}

/// Y = largest X in each window;  dX = dY at the first maximum of the window, in row-major order; overlapping windows add
///
/// Windows are strided slices of X padded with −∞. Each kernel offset keeps the outputs whose maximum it holds and no
/// earlier offset held.
pub(super) fn max_pool(g: &mut Vjp) {
    let (x, y, dy) = (g.input(0), g.output(0), g.output_grad(0));
    let (windows, shape, out) = (Window::all(g.attributes()), g.shape(x), known(&g.shape(y)[2..]));
    g.input_grad(0, |e| {
        let mut padded = x;
        for (i, w) in windows.iter().enumerate() {
            padded = fill(e, padded, i + 2, w.pads.0, (out[i] - 1) * w.stride + w.span());
        }
        let mut open = None; // 1 where no offset so far held the maximum.
        let pieces = offsets(&windows).map(|offset| {
            let mut taken = padded;
            for (i, w) in windows.iter().enumerate() {
                taken = e.slice(taken, i + 2, offset[i] * w.dilation, w.stride, out[i]);
            }
            let holds = e.mask("Equal", taken, y);
            let first = open.map_or(holds, |open| e.mul(open, holds));
            open = Some(match open {
                None => e.sub(e.scalar(1.0), holds),
                Some(open) => e.sub(open, first),
            });
            e.mul(dy, first)
        });
        let pieces: Vec<Tensor> = pieces.collect();
        put_back(e, pieces, &windows, &shape)
    });
}

/// Every kernel offset in row-major order.
fn offsets(windows: &[Window]) -> impl Iterator<Item = Vec<i64>> + '_ {
    let count: i64 = windows.iter().map(|w| w.kernel).product();
    (0..count).map(move |mut index| {
        let mut offset = vec![0; windows.len()];
        for (o, w) in offset.iter_mut().zip(windows).rev() {
            *o = index % w.kernel;
            index /= w.kernel;
        }
        offset
    })
}

/// Places pieces, one a kernel offset in row-major order, axis by axis from the last.
fn put_back(e: &Emit, mut pieces: Vec<Tensor>, windows: &[Window], shape: &Shape) -> Tensor {
    for (i, w) in windows.iter().enumerate().rev() {
        let extent = shape[i + 2].known().unwrap_or(0);
        let rows = pieces.chunks(w.kernel as usize);
        pieces = rows.map(|row| place(e, row, *w, i + 2, extent)).collect();
    }
    pieces[0]
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
            let share = shares(w, extents[i], out[i], counted);
            let mut broadcast = vec![1; shape.len() - axis];
            broadcast[0] = share.len();
            dx = e.mul(dx, e.constant(Constant::f32s(&broadcast, &share)));
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

/// 1 / (cells that count) of each window along one axis; a window's count is the product over its axes. Cells beyond the
/// padding, where `ceil_mode` lets a window run over, never count.
fn shares(w: Window, extent: i64, out: i64, padding_counts: bool) -> Vec<f32> {
    let counts = |o: i64| {
        let cells = (0..w.kernel).map(|t| o * w.stride + t * w.dilation - w.pads.0);
        let inside = if padding_counts { -w.pads.0..extent + w.pads.1 } else { 0..extent };
        cells.filter(|c| inside.contains(c)).count()
    };
    (0..out).map(|o| 1.0 / counts(o).max(1) as f32).collect()
}

/// Y = mean of X over all n cells;  dX = dY / n everywhere
pub(super) fn global_average_pool(g: &mut Vjp) {
    let (shape, dy) = (g.shape(g.input(0)), g.output_grad(0));
    let n: i64 = known(&shape[2..]).iter().product();
    g.input_grad(0, |e| e.expand(e.scale(dy, 1.0 / n as f32), shape));
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
        let one_hot = e.mask("Equal", first, places); // [N, C, cells]
        let dy = e.reshape(dy, vec![shape[0], shape[1], Dim::new(1)]);
        e.reshape(e.mul(one_hot, dy), shape)
    });
}

fn known(dims: &[Dim]) -> Vec<i64> {
    dims.iter().map(|d| d.known().unwrap_or(0)).collect()
}
