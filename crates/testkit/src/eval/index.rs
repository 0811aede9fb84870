//! Walking over the cells of tensors.

use ndarray::{ArrayD, Dimension as _, IxDyn};

/// Calls `visit` with the index of every cell of a tensor of this shape, in row-major order.
pub(super) fn each(shape: &[usize], mut visit: impl FnMut(&[usize])) {
    let cells: usize = shape.iter().product();
    let mut index = vec![0; shape.len()];
    for _ in 0..cells {
        visit(&index);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
}

/// The tensor of this shape whose cell at an index is `value` of it.
pub(super) fn table(shape: &[usize], mut value: impl FnMut(&[usize]) -> f64) -> ArrayD<f64> {
    ArrayD::from_shape_fn(IxDyn(shape), |index| value(index.slice()))
}

/// The same, where a cell may have no value.
pub(super) fn try_table(
    shape: &[usize],
    mut value: impl FnMut(&[usize]) -> Result<f64, String>,
) -> Result<ArrayD<f64>, String> {
    let mut error = None;
    let made = table(shape, |index| {
        value(index).unwrap_or_else(|e| {
            error.get_or_insert(e);
            f64::NAN
        })
    });
    error.map_or(Ok(made), Err)
}

/// The shape that several shapes broadcast to: aligned at the last axis, sizes equal or 1.
pub(super) fn broadcast(shapes: &[&[usize]]) -> Result<Vec<usize>, String> {
    let rank = shapes.iter().map(|s| s.len()).max().unwrap_or(0);
    let mut result = vec![1; rank];
    for shape in shapes {
        for (size, wanted) in result[rank - shape.len()..].iter_mut().zip(*shape) {
            match (*size, *wanted) {
                (1, w) => *size = w,
                (s, w) if w == 1 || w == s => {}
                _ => return Err(format!("{shapes:?} do not broadcast")),
            }
        }
    }
    Ok(result)
}

/// The element of `x` that broadcasting puts at this index.
pub(super) fn at(x: &ArrayD<f64>, index: &[usize]) -> f64 {
    let skipped = index.len() - x.ndim();
    let own: Vec<usize> = index[skipped..].iter().zip(x.shape()).map(|(i, n)| if *n == 1 { 0 } else { *i }).collect();
    x[own.as_slice()]
}

/// An attribute's axis as an index.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    usize::try_from(axis).ok().filter(|a| *a < rank).ok_or_else(|| format!("axis {axis} of a tensor of {rank} axes"))
}
