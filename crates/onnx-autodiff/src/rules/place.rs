//! Putting gradients back where a window, a slice or a gather took the values from.

use onnx_graph::ops::Window;
use onnx_graph::{Constant, Dim, Emit, Tensor};

/// The elements `begin..begin + extent` along an axis, zeros where there are none.
pub(super) fn fit(e: &Emit, t: Tensor, axis: usize, begin: i64, extent: i64) -> Tensor {
    let shape = e.shape(t);
    let Some(length) = shape.get(axis).and_then(|d| d.known()) else { return t };
    let mut pads = vec![0; 2 * shape.len()];
    pads[axis] = -begin;
    pads[shape.len() + axis] = begin + extent - length;
    e.pad(t, &pads, 0.0)
}

/// Transpose of taking windows along one axis.
///
/// A window takes, for output `o` and kernel offset `t`, the element at `o · stride + t · dilation − pad`. `pieces[t]`,
/// `out` long on that axis, goes back to those elements; where windows overlap, pieces add. The result is `extent` long.
///
/// Elements of equal remainder modulo the stride (a *phase*) are summed as shifted pieces; the phases are then
/// interleaved. So no convolution with a one-hot kernel is needed, and ∞ · 0 cannot occur.
pub(super) fn place(e: &Emit, pieces: &[Tensor], w: Window, axis: usize, extent: i64) -> Tensor {
    let shape = e.shape(pieces[0]);
    let Some(out) = shape.get(axis).and_then(|d| d.known()) else { return pieces[0] };
    let length = out + (w.span() - 1) / w.stride;
    let mut phases: Vec<Option<Tensor>> = vec![None; w.stride as usize];
    for (t, piece) in pieces.iter().enumerate() {
        let offset = t as i64 * w.dilation;
        let shifted = fit(e, *piece, axis, -(offset / w.stride), length);
        let phase = &mut phases[(offset % w.stride) as usize];
        *phase = Some(phase.map_or(shifted, |sum| e.add(sum, shifted)));
    }
    fit(e, interleave(e, &phases, axis), axis, w.pads.0, extent)
}

/// a₀ b₀ a₁ b₁ … along an axis, from tensors a, b, … of one shape; zeros for those that are missing, never the first.
fn interleave(e: &Emit, parts: &[Option<Tensor>], axis: usize) -> Tensor {
    let present: Vec<Tensor> = parts.iter().copied().flatten().collect();
    let (first, count) = (present[0], parts.len() as i64);
    if count == 1 {
        return first;
    }
    let mut joined = e.shape(first);
    let mut column = joined.clone();
    column.insert(axis + 1, Dim::new(1)); // [.., length, 1, ..]
    joined[axis] = joined[axis].mul(Dim::new(count)).unwrap_or(joined[axis]);
    let zeros = (present.len() < parts.len()).then(|| e.expand(e.number_like(first, 0.0), column.clone()));
    let filled = parts.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    let columns: Vec<Tensor> =
        parts[..filled].iter().filter_map(|p| p.map(|p| e.reshape(p, column.clone())).or(zeros)).collect();
    let rows = fit(e, e.concat(&columns, axis + 1), axis + 1, 0, count); // [.., length, count, ..]
    e.reshape(rows, joined)
}

/// Transpose of gathering along an axis: the elements of `dy` (`m` on that axis) are added to the places that
/// `indices` [m] name, none negative, on an axis of `extent`. A product with the one-hot matrix of the indices.
pub(super) fn scatter(e: &Emit, dy: Tensor, axis: usize, indices: Tensor, extent: i64) -> Tensor {
    let rank = e.rank(dy);
    let places: Vec<i64> = (0..extent).collect();
    let places = e.constant(Constant::i64s(&[places.len(), 1], &places));
    let count = e.shape(dy).get(axis).copied().unwrap_or(Dim::new(1));
    let taken = e.compare("Equal", places, e.reshape(indices, vec![Dim::new(1), count]));
    let one_hot = e.cast(taken, e.float_type(dy)); // [extent, m]
    let mut last: Vec<i64> = (0..rank as i64).collect();
    last.swap(axis, rank - 1);
    let columns = e.transpose(dy, &last); // [.., m]
    let scattered = if rank == 1 {
        let row = e.reshape(columns, vec![Dim::new(1), count]);
        e.reshape(e.matmul(row, e.swap_last(one_hot)), vec![Dim::new(extent)])
    } else {
        e.matmul(columns, e.swap_last(one_hot)) // [.., extent]
    };
    e.transpose(scattered, &last)
}
