//! Where a MaxPool found its maxima, and MaxUnpool, which puts elements back there.
//!
//! A place is an index into the whole tensor, its rows one after the other (`storage_order` 0) or its columns.

use super::file_node::{FileNode, Refusal, Settle, one};
use crate::attributes::Attributes;
use crate::constant::Constant;
use crate::dim::{Dim, element_count};
use crate::dtype::DataType;
use crate::emit::Emit;
use crate::graph::Tensor;
use crate::ops::{Window, pool_extent};

pub(super) const OPERATORS: &[(&str, Settle)] = &[("MaxUnpool", max_unpool)];

/// The places of the maxima of a canonical MaxPool on X: each window's cells side by side, the first greatest of them,
/// and what place that is.
pub(super) fn places_of_maxima(n: &FileNode, attributes: &Attributes, columns: bool) -> Result<Tensor, Refusal> {
    let (e, x, shape) = (n.e, n.input(0)?, n.shape(0)?);
    if e.graph().tensor(x).dtype.is_some_and(|dtype| !dtype.is_float()) {
        return Err("only the maxima of floats are located".into());
    }
    let extents: Option<Vec<i64>> = shape[2..].iter().map(|d| d.known()).collect();
    let (extents, windows) = (extents.ok_or("a spatial axis is not known")?, Window::all(attributes));
    let ceil = attributes.flag("ceil_mode");
    let out: Vec<i64> = windows.iter().zip(&extents).map(|(w, extent)| pool_extent(*w, *extent, ceil)).collect();
    let cells: i64 = windows.iter().map(|w| w.kernel).product();
    let count = out.iter().product::<i64>().saturating_add(cells);
    if cells > MOST_CELLS || !usize::try_from(count).is_ok_and(|count| e.afford(count)) {
        return Err("the places of its maxima are too many to write out".into());
    }
    let (rank, strides) = (shape.len(), strides(&extents, columns));
    let mut pads = vec![0; 2 * rank];
    for (i, w) in windows.iter().enumerate() {
        pads[2 + i] = w.pads.0;
        pads[rank + 2 + i] = (out[i] - 1) * w.stride + w.span() - w.pads.0 - extents[i];
    }
    let padded = e.pad(x, &pads, f32::NEG_INFINITY);
    let (mut taken, mut steps) = (Vec::new(), Vec::new());
    for cell in indices(&windows.iter().map(|w| w.kernel).collect::<Vec<_>>()) {
        let slice = |t: Tensor, (i, w): (usize, &Window)| e.slice(t, i + 2, cell[i] * w.dilation, w.stride, out[i]);
        let slice = windows.iter().enumerate().fold(padded, slice);
        let mut column = e.shape(slice);
        column.push(Dim::new(1));
        taken.push(e.reshape(slice, column));
        steps.push((0..windows.len()).map(|i| cell[i] * windows[i].dilation * strides[i]).sum::<i64>());
    }
    let greatest = Attributes::none().with("axis", rank as i64).with("keepdims", false);
    let first = e.node("ArgMax", &[e.concat(&taken, rank)], greatest); // [N, C, h, w]
    let steps = e.constant(Constant::i64s(&[steps.len()], &steps));
    let step = e.node("Gather", &[steps, first], Attributes::none().with("axis", 0i64));
    let start = |window: Vec<i64>| -> i64 {
        (0..windows.len()).map(|i| (window[i] * windows[i].stride - windows[i].pads.0) * strides[i]).sum()
    };
    let starts: Vec<i64> = indices(&out).map(start).collect();
    let sizes: Vec<usize> = out.iter().map(|o| *o as usize).collect();
    let within = e.add(step, e.constant(Constant::i64s(&sizes, &starts)));
    Ok(e.add(within, planes(e, &shape)?))
}

/// Cells of the largest window whose places are written out.
const MOST_CELLS: i64 = 256;

/// Every index of this shape, row by row.
fn indices(shape: &[i64]) -> impl Iterator<Item = Vec<i64>> + '_ {
    (0..shape.iter().product()).map(move |mut flat: i64| {
        let mut index = vec![0; shape.len()];
        for (place, extent) in index.iter_mut().zip(shape).rev() {
            *place = flat % extent;
            flat /= extent;
        }
        index
    })
}

/// How many places lie between neighbours along each axis.
fn strides(extents: &[i64], columns: bool) -> Vec<i64> {
    let product = |extents: &[i64]| extents.iter().product();
    let stride = |i: usize| if columns { product(&extents[..i]) } else { product(&extents[i + 1..]) };
    (0..extents.len()).map(stride).collect()
}

/// The first place of each channel of each picture, [N, C, 1, ..].
fn planes(e: &Emit, shape: &[Dim]) -> Result<Tensor, Refusal> {
    let cells = element_count(&shape[2..]).ok_or("the sizes overflow")?;
    let mut kept = vec![Dim::new(1); shape.len()];
    kept[..2].copy_from_slice(&shape[..2]);
    let count = element_count(&shape[..2]).ok_or("the sizes overflow")?;
    let sums = Attributes::none().with("axis", 0i64).with("exclusive", true).with("reverse", false);
    let each = e.expand(e.dims(vec![cells]), vec![count]);
    Ok(e.reshape(e.node("CumSum", &[each], sums), kept))
}

/// Elements of X at their places in zeros; where `output_shape` is larger than what was pooled, zeros follow on each axis.
fn max_unpool(n: &FileNode) -> Result<Vec<Option<Tensor>>, Refusal> {
    let (e, shape) = (n.e, n.shape(0)?);
    let kernel = n.ints("kernel_shape").ok_or("its attribute `kernel_shape` is missing")?;
    let spatial = kernel.len();
    let strides = n.ints("strides").unwrap_or_else(|| vec![1; spatial]);
    let pads = n.ints("pads").unwrap_or_else(|| vec![0; 2 * spatial]);
    if shape.len() != 2 + spatial || strides.len() != spatial || pads.len() != 2 * spatial {
        return Err(format!("its kernel, strides, pads do not go with {} axes", shape.len()).into());
    }
    let mut pooled = shape[..2].to_vec();
    for i in 0..spatial {
        let extent = shape[2 + i].known().and_then(|extent| {
            let reach = extent.checked_sub(1)?.checked_mul(strides[i])?.checked_add(kernel[i])?;
            reach.checked_sub(pads[i])?.checked_sub(pads[spatial + i]).filter(|extent| *extent > 0)
        });
        pooled.push(Dim::new(extent.ok_or("what was pooled has no possible size")?));
    }
    let sizes = element_count(&pooled).zip(element_count(&shape)).ok_or("the sizes overflow")?;
    let zeros = e.expand(e.number_like(n.input(0)?, 0.0), vec![sizes.0]);
    let (indices, updates) = (e.reshape(n.input(1)?, vec![sizes.1]), e.reshape(n.input(0)?, vec![sizes.1]));
    let attributes = Attributes::none().with("axis", 0i64).with("reduction", "none");
    let put = e.node("ScatterElements", &[zeros, e.cast(indices, DataType::I64), updates], attributes);
    let mut y = e.reshape(put, pooled.clone());
    if n.optional(2).is_some() {
        let wanted = n.sizes(2)?;
        if wanted.len() != pooled.len() || wanted[..2] != pooled[..2] {
            return Err("its output_shape does not go with its input".into());
        }
        let mut more = vec![0; 2 * pooled.len()];
        for (i, (wanted, pooled)) in wanted.iter().zip(&pooled).enumerate().skip(2) {
            let room = wanted.known().zip(pooled.known()).and_then(|(wanted, pooled)| wanted.checked_sub(pooled));
            more[shape.len() + i] = room.ok_or("its output_shape is not known")?;
        }
        y = e.pad(y, &more, 0.0);
    }
    one(y)
}
