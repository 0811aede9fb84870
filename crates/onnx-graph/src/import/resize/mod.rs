//! Resize (opset 10 on) and its forerunner Upsample: along each axis a constant matrix.
//!
//! Y = A_h · X · A_wᵀ, where row i of A holds what the cells of X weigh in cell i of Y: one cell (nearest), two (linear) or
//! four (cubic), more against aliasing, cells outside of X taken as the one at the edge. Two products are all that an
//! engine or a gradient rule has to know.

mod matrix;

use matrix::{Filter, Matrix, Rounding, Stretch};

use super::file_node::{FileNode, Refusal, Settle, one};
use crate::constant::Constant;
use crate::dim::{Dim, element_count};
use crate::graph::Tensor;
use crate::ops::axis;

pub(super) const OPERATORS: &[(&str, Settle)] = &[("Resize", resize), ("Upsample", upsample)];

/// Elements of the largest matrix.
const MOST: usize = 1 << 22;

fn upsample(n: &FileNode) -> Result<Vec<Option<Tensor>>, Refusal> {
    let scales = match n.floats("scales") {
        Some(scales) => scales.into_iter().map(f64::from).collect(),
        None => numbers(n, 1)?.ok_or("its scales are missing")?,
    };
    match scales.iter().find(|s| **s < 1.0) {
        Some(small) => Err(format!("a scale of {small} makes the picture smaller, which Upsample does not").into()),
        None => before_opset_11(n, scales),
    }
}

fn resize(n: &FileNode) -> Result<Vec<Option<Tensor>>, Refusal> {
    if n.opset < 11 {
        let scales = numbers(n, 1)?.ok_or("its scales are missing")?;
        return before_opset_11(n, scales);
    }
    let filter = Filter {
        mode: n.text_or("mode", "nearest"),
        coordinates: n.text_or("coordinate_transformation_mode", "half_pixel"),
        rounding: match n.text_or("nearest_mode", "round_prefer_floor").as_str() {
            "round_prefer_floor" => Rounding::PreferFloor,
            "round_prefer_ceil" => Rounding::PreferCeil,
            "floor" => Rounding::Floor,
            "ceil" => Rounding::Ceil,
            other => return Err(format!("nearest_mode {other:?} is not known").into()),
        },
        cubic: f64::from(n.float_or("cubic_coeff_a", -0.75)),
        exclude_outside: n.int_or("exclude_outside", 0) != 0,
        antialias: n.int_or("antialias", 0) != 0,
    };
    let beyond = n.float_or("extrapolation_value", 0.0);
    let shape = n.shape(0)?;
    let axes = match n.ints("axes") {
        Some(axes) => axes.iter().map(|a| axis(*a, shape.len())).collect::<Result<Vec<usize>, String>>()?,
        None => (0..shape.len()).collect(),
    };
    let policy = n.text_or("keep_aspect_ratio_policy", "stretch");
    let wanted = match n.optional(3) {
        Some(_) => kept_in_shape(n.sizes(3)?, &axes, &shape, &policy)?,
        None => numbers(n, 2)?.ok_or("neither scales nor sizes are given")?.into_iter().map(Wanted::Scale).collect(),
    };
    if axes.len() != wanted.len() {
        return Err(format!("{} sizes or scales are given for {} axes", wanted.len(), axes.len()).into());
    }
    let crops = match filter.coordinates.as_str() {
        "tf_crop_and_resize" => {
            let region =
                numbers(n, 1)?.filter(|r| r.len() == 2 * axes.len()).ok_or("its region of interest is missing")?;
            (0..axes.len()).map(|i| Some((region[i], region[axes.len() + i]))).collect()
        }
        _ => vec![None; axes.len()],
    };
    let mut stretches = Vec::new();
    for ((axis, wanted), crop) in axes.iter().zip(&wanted).zip(crops) {
        stretches.extend(stretch(*axis, shape[*axis], wanted, crop)?);
    }
    stretched(n, &stretches, &filter, beyond)
}

/// Coordinates were x / scale then.
fn before_opset_11(n: &FileNode, scales: Vec<f64>) -> Result<Vec<Option<Tensor>>, Refusal> {
    let filter = Filter {
        mode: n.text_or("mode", "nearest"),
        coordinates: "asymmetric".to_owned(),
        rounding: Rounding::Opset10,
        cubic: 0.0,
        exclude_outside: false,
        antialias: false,
    };
    let shape = n.shape(0)?;
    if shape.len() != scales.len() {
        return Err(format!("{} scales are given for {} axes", scales.len(), shape.len()).into());
    }
    let mut stretches = Vec::new();
    for (axis, scale) in scales.into_iter().enumerate() {
        stretches.extend(stretch(axis, shape[axis], &Wanted::Scale(scale), None)?);
    }
    stretched(n, &stretches, &filter, 0.0)
}

enum Wanted {
    Size(Dim),
    Scale(f64),
    /// A size, and the scale that all axes share.
    Both(Dim, f64),
}

/// The sizes wanted; or, where the picture keeps its shape, the largest within them or the smallest around them.
fn kept_in_shape(sizes: Vec<Dim>, axes: &[usize], shape: &[Dim], policy: &str) -> Result<Vec<Wanted>, Refusal> {
    let choose: fn(f64, f64) -> f64 = match policy {
        "stretch" => return Ok(sizes.into_iter().map(Wanted::Size).collect()),
        "not_larger" => f64::min,
        "not_smaller" => f64::max,
        other => return Err(format!("keep_aspect_ratio_policy {other:?} is not known").into()),
    };
    let known = |d: Dim| d.known().filter(|d| *d > 0).map(|d| d as f64);
    let extents: Option<Vec<f64>> = axes.iter().map(|a| known(shape[*a])).collect();
    let sizes: Option<Vec<f64>> = sizes.into_iter().map(known).collect();
    let (extents, sizes) = extents.zip(sizes).ok_or("it keeps the shape of axes of an unknown size")?;
    let scales = extents.iter().zip(&sizes).map(|(from, to)| to / from);
    let scale = scales.reduce(choose).ok_or("it resizes no axis")?;
    let both = |from: &f64| Wanted::Both(Dim::new((from * scale + 0.5).floor() as i64), scale);
    Ok(extents.iter().map(both).collect())
}

/// The floats of an input that has to be constant; `None` where it is left out or empty.
fn numbers(n: &FileNode, i: usize) -> Result<Option<Vec<f64>>, Refusal> {
    let Some(t) = n.optional(i) else { return Ok(None) };
    let graph = n.e.graph();
    let constant = graph.constant(t).ok_or_else(|| format!("input {i} is computed when the network runs"))?;
    let values = constant.to_f64().map_err(|e| e.to_string())?;
    Ok(Some(values).filter(|v| !v.is_empty()))
}

/// How an axis changes; `None` where it does not.
fn stretch(axis: usize, dim: Dim, wanted: &Wanted, crop: Option<(f64, f64)>) -> Result<Option<Stretch>, Refusal> {
    let same = match wanted {
        Wanted::Size(size) | Wanted::Both(size, _) => *size == dim,
        Wanted::Scale(scale) => *scale == 1.0,
    };
    if same && crop.is_none_or(|crop| crop == (0.0, 1.0)) {
        return Ok(None);
    }
    let extent = |d: Dim| d.known().and_then(|d| usize::try_from(d).ok()).filter(|d| *d > 0);
    let from = extent(dim).ok_or("it resizes the batch, or an axis of an unknown size")?;
    let (to, scale) = match wanted {
        Wanted::Size(size) | Wanted::Both(size, _) => {
            let to = extent(*size).ok_or("a size is not known, or not positive")?;
            (to, if let Wanted::Both(_, scale) = wanted { *scale } else { to as f64 / from as f64 })
        }
        Wanted::Scale(scale) => {
            let (start, end) = crop.unwrap_or((0.0, 1.0));
            let to = (from as f64 * (end - start) * scale).floor();
            if !(to >= 1.0 && to <= MOST as f64) {
                return Err(format!("a scale of {scale} is not possible").into());
            }
            (to as usize, *scale)
        }
    };
    Ok(Some(Stretch { axis, from, to, scale, crop }))
}

/// One axis after the other; cells outside of a cropped picture are `beyond`.
fn stretched(
    n: &FileNode,
    stretches: &[Stretch],
    filter: &Filter,
    beyond: f32,
) -> Result<Vec<Option<Tensor>>, Refusal> {
    let (e, mut y) = (n.e, n.input(0)?);
    let rank = e.rank(y);
    let mut inside: Option<Tensor> = None;
    for s in stretches {
        if !s.from.checked_mul(s.to).is_some_and(|elements| elements <= MOST && e.afford(elements)) {
            return Err(format!("a matrix from {} to {} cells is too large", s.from, s.to).into());
        }
        let made = Matrix::new(*s, filter)?;
        y = along(n, y, *s, &made.rows)?;
        if beyond != 0.0 && made.outside.contains(&true) {
            let mut dims = vec![1; rank - s.axis];
            dims[0] = s.to;
            let cells: Vec<f64> = made.outside.iter().map(|outside| f64::from(u8::from(!outside))).collect();
            let cells = e.constants_like(y, &dims, &cells);
            inside = Some(inside.map_or(cells, |others| e.mul(others, cells)));
        }
    }
    // What is outside on any axis is zero so far.
    one(inside.map_or(y, |inside| e.add(y, e.scale(e.sub(e.number_like(y, 1.0), inside), beyond))))
}

/// A · X along an axis, the axes before it one, those behind it another.
fn along(n: &FileNode, x: Tensor, s: Stretch, rows: &[f64]) -> Result<Tensor, Refusal> {
    let Stretch { axis, from, to, .. } = s;
    let (e, shape) = (n.e, n.e.shape(x));
    let dtype = e.graph().tensor(x).dtype.ok_or("its element type is not known")?;
    let constant = |dims: [usize; 2], values: &[f64]| {
        Constant::floats(dtype, &dims, values).map(|c| e.constant(c)).ok_or("only floats are resized here")
    };
    if axis + 1 == shape.len() {
        let transposed: Vec<f64> = (0..from * to).map(|i| rows[(i % to) * from + i / to]).collect();
        return Ok(e.matmul(x, constant([from, to], &transposed)?));
    }
    let matrix = constant([to, from], rows)?;
    if axis + 2 == shape.len() {
        return Ok(e.matmul(matrix, x));
    }
    let (outer, inner) = (element_count(&shape[..axis]), element_count(&shape[axis + 1..]));
    let (outer, inner) = outer.zip(inner).ok_or("the sizes overflow")?;
    let plane = e.matmul(matrix, e.reshape(x, vec![outer, Dim::from(from), inner]));
    let mut made = shape;
    made[axis] = Dim::from(to);
    Ok(e.reshape(plane, made))
}
