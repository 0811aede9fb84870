//! Resize (opset 10 on) and its forerunner Upsample: along each axis a constant matrix.
//!
//! Y = A_h · X · A_wᵀ, where row i of A holds what the cells of X weigh in cell i of Y: one cell (nearest), two (linear) or
//! four (cubic), cells outside of X taken as the one at the edge. Two products are all that an engine or a gradient rule
//! has to know.

use super::file_node::{FileNode, Refusal, Settle, one};
use crate::constant::Constant;
use crate::dim::Dim;
use crate::graph::Tensor;
use crate::ops::axis;

pub(super) const OPERATORS: &[(&str, Settle)] = &[("Resize", resize), ("Upsample", upsample)];

/// Elements of the largest matrix.
const MOST: usize = 1 << 22;

/// How cells of Y are made of cells of X.
struct Filter {
    mode: String,
    coordinates: String,
    rounding: String,
    cubic: f64,
    exclude_outside: bool,
}

/// An axis that changes: old and new extent, and the scale between.
#[derive(Clone, Copy)]
struct Stretch {
    axis: usize,
    from: usize,
    to: usize,
    scale: f64,
}

fn upsample(n: &FileNode) -> Result<Vec<Option<Tensor>>, Refusal> {
    let scales = match n.floats("scales") {
        Some(scales) => scales.into_iter().map(f64::from).collect(),
        None => numbers(n, 1)?.ok_or("its scales are missing")?,
    };
    before_opset_11(n, &scales)
}

fn resize(n: &FileNode) -> Result<Vec<Option<Tensor>>, Refusal> {
    if n.opset < 11 {
        let scales = numbers(n, 1)?.ok_or("its scales are missing")?;
        return before_opset_11(n, &scales);
    }
    n.ignore(&["extrapolation_value"]); // It belongs to `tf_crop_and_resize`.
    if n.int_or("antialias", 0) != 0 {
        return Err("antialiasing is not supported".into());
    }
    let policy = n.text_or("keep_aspect_ratio_policy", "stretch");
    if policy != "stretch" {
        return Err(format!("keep_aspect_ratio_policy {policy:?} is not supported").into());
    }
    let filter = Filter {
        mode: n.text_or("mode", "nearest"),
        coordinates: n.text_or("coordinate_transformation_mode", "half_pixel"),
        rounding: n.text_or("nearest_mode", "round_prefer_floor"),
        cubic: f64::from(n.float_or("cubic_coeff_a", -0.75)),
        exclude_outside: n.int_or("exclude_outside", 0) != 0,
    };
    let shape = n.shape(0)?;
    let axes = match n.ints("axes") {
        Some(axes) => axes.iter().map(|a| axis(*a, shape.len())).collect::<Result<Vec<usize>, String>>()?,
        None => (0..shape.len()).collect(),
    };
    let wanted = match n.optional(3) {
        Some(_) => n.sizes(3)?.into_iter().map(Wanted::Size).collect::<Vec<_>>(),
        None => numbers(n, 2)?.ok_or("neither scales nor sizes are given")?.into_iter().map(Wanted::Scale).collect(),
    };
    stretched(n, &axes, &wanted, &filter)
}

/// Coordinates were x / scale then, and rounded down; for smaller pictures engines differ.
fn before_opset_11(n: &FileNode, scales: &[f64]) -> Result<Vec<Option<Tensor>>, Refusal> {
    let filter = Filter {
        mode: n.text_or("mode", "nearest"),
        coordinates: "asymmetric".to_owned(),
        rounding: "floor".to_owned(),
        cubic: 0.0,
        exclude_outside: false,
    };
    if filter.mode == "nearest" && scales.iter().any(|s| *s < 1.0) {
        return Err("picking cells for a smaller picture has no one meaning before opset 11".into());
    }
    let axes: Vec<usize> = (0..n.shape(0)?.len()).collect();
    let wanted: Vec<Wanted> = scales.iter().copied().map(Wanted::Scale).collect();
    stretched(n, &axes, &wanted, &filter)
}

enum Wanted {
    Size(Dim),
    Scale(f64),
}

/// The floats of an input that has to be constant; `None` where it is left out or empty.
fn numbers(n: &FileNode, i: usize) -> Result<Option<Vec<f64>>, Refusal> {
    let Some(t) = n.optional(i) else { return Ok(None) };
    let graph = n.e.graph();
    let constant = graph.constant(t).ok_or_else(|| format!("input {i} is computed when the network runs"))?;
    let values = constant.to_f64().map_err(|e| e.to_string())?;
    Ok(Some(values).filter(|v| !v.is_empty()))
}

fn stretched(n: &FileNode, axes: &[usize], wanted: &[Wanted], filter: &Filter) -> Result<Vec<Option<Tensor>>, Refusal> {
    let (x, shape) = (n.input(0)?, n.shape(0)?);
    if axes.len() != wanted.len() {
        return Err(format!("{} sizes or scales are given for {} axes", wanted.len(), axes.len()).into());
    }
    let mut y = x;
    for (axis, wanted) in axes.iter().zip(wanted) {
        if let Some(stretch) = stretch(*axis, shape[*axis], wanted)? {
            y = along(n, y, shape.len(), stretch, filter)?;
        }
    }
    one(y)
}

/// How an axis changes; `None` where it does not.
fn stretch(axis: usize, dim: Dim, wanted: &Wanted) -> Result<Option<Stretch>, Refusal> {
    let same = match wanted {
        Wanted::Size(size) => *size == dim,
        Wanted::Scale(scale) => *scale == 1.0,
    };
    if same {
        return Ok(None);
    }
    let extent = |d: Dim| d.known().and_then(|d| usize::try_from(d).ok()).filter(|d| *d > 0);
    let from = extent(dim).ok_or("it resizes the batch, or an axis of an unknown size")?;
    let (to, scale) = match wanted {
        Wanted::Size(size) => {
            let to = extent(*size).ok_or("a size is not known, or not positive")?;
            (to, to as f64 / from as f64)
        }
        Wanted::Scale(scale) => {
            let to = (from as f64 * scale).floor();
            if !(to >= 1.0 && to <= MOST as f64) {
                return Err(format!("a scale of {scale} is not possible").into());
            }
            (to as usize, *scale)
        }
    };
    Ok(Some(Stretch { axis, from, to, scale }))
}

fn along(n: &FileNode, x: Tensor, rank: usize, stretch: Stretch, filter: &Filter) -> Result<Tensor, Refusal> {
    let Stretch { axis, from, to, .. } = stretch;
    if axis + 2 < rank {
        // Channels last: the axis changes places with the last one, and back.
        let mut perm: Vec<i64> = (0..rank as i64).collect();
        perm.swap(axis, rank - 1);
        let last = along(n, n.e.transpose(x, &perm), rank, Stretch { axis: rank - 1, ..stretch }, filter)?;
        return Ok(n.e.transpose(last, &perm));
    }
    if !from.checked_mul(to).is_some_and(|elements| elements <= MOST && n.e.afford(elements)) {
        return Err(format!("a matrix from {from} to {to} cells is too large").into());
    }
    let matrix = matrix(stretch, filter)?;
    let dtype = n.e.graph().tensor(x).dtype.ok_or("its element type is not known")?;
    let constant = |dims: [usize; 2], values: &[f64]| {
        Constant::floats(dtype, &dims, values).map(|c| n.e.constant(c)).ok_or("only floats are resized here")
    };
    if axis + 1 == rank {
        let transposed: Vec<f64> = (0..from * to).map(|i| matrix[(i % to) * from + i / to]).collect();
        Ok(n.e.matmul(x, constant([from, to], &transposed)?))
    } else {
        Ok(n.e.matmul(constant([to, from], &matrix)?, x))
    }
}

/// A, [to, from], row by row.
fn matrix(stretch: Stretch, filter: &Filter) -> Result<Vec<f64>, Refusal> {
    let Stretch { from, to, .. } = stretch;
    let mut matrix = vec![0.0; to * from];
    for (i, row) in matrix.chunks_exact_mut(from).enumerate() {
        let at = coordinate(i as f64, stretch, &filter.coordinates)?;
        let weights = weights(at, stretch.from, filter)?;
        for (cell, weight) in weights {
            row[cell.clamp(0, from as i64 - 1) as usize] += weight;
        }
    }
    Ok(matrix)
}

/// Where cell `i` of Y lies in X.
fn coordinate(i: f64, Stretch { from, to, scale, .. }: Stretch, mode: &str) -> Result<f64, Refusal> {
    let (from, to) = (from as f64, to as f64);
    let half_pixel = (i + 0.5) / scale - 0.5;
    Ok(match mode {
        "half_pixel" => half_pixel,
        "half_pixel_symmetric" => from / 2.0 * (1.0 - to / (scale * from)) + half_pixel,
        "pytorch_half_pixel" => {
            if to > 1.0 {
                half_pixel
            } else {
                0.0
            }
        }
        "align_corners" => {
            if to > 1.0 {
                i * (from - 1.0) / (to - 1.0)
            } else {
                0.0
            }
        }
        "asymmetric" => i / scale,
        other => return Err(format!("coordinate_transformation_mode {other:?} is not supported").into()),
    })
}

/// The cells of X, which may lie outside, that make the value at a coordinate.
fn weights(at: f64, from: usize, filter: &Filter) -> Result<Vec<(i64, f64)>, Refusal> {
    let (first, rest) = (at.floor() as i64, at - at.floor());
    Ok(match filter.mode.as_str() {
        "nearest" => {
            let cell = match filter.rounding.as_str() {
                "round_prefer_floor" => (at - 0.5).ceil(),
                "round_prefer_ceil" => (at + 0.5).floor(),
                "floor" => at.floor(),
                "ceil" => at.ceil(),
                other => return Err(format!("nearest_mode {other:?} is not supported").into()),
            };
            vec![(cell as i64, 1.0)]
        }
        "linear" => within(vec![(first, 1.0 - rest), (first + 1, rest)], from, filter.exclude_outside),
        "cubic" => {
            let weight = |k: i64| (first + k, cubic((k as f64 - rest).abs(), filter.cubic));
            within((-1..3).map(weight).collect(), from, filter.exclude_outside)
        }
        other => return Err(format!("mode {other:?} is not supported").into()),
    })
}

/// With `exclude_outside`, cells outside weigh nothing and the others so much more.
fn within(weights: Vec<(i64, f64)>, from: usize, exclude_outside: bool) -> Vec<(i64, f64)> {
    if !exclude_outside {
        return weights;
    }
    let inside: Vec<(i64, f64)> = weights.into_iter().filter(|(cell, _)| (0..from as i64).contains(cell)).collect();
    let sum: f64 = inside.iter().map(|(_, weight)| weight).sum();
    inside.into_iter().map(|(cell, weight)| (cell, weight / sum)).collect()
}

/// The cubic convolution kernel of Keys (1981) at a distance of 0 to 2 cells.
fn cubic(d: f64, a: f64) -> f64 {
    if d <= 1.0 {
        ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
    } else if d < 2.0 {
        (((d - 5.0) * d + 8.0) * d - 4.0) * a
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(stretch: Stretch, filter: &Filter, i: usize) -> Vec<f64> {
        matrix(stretch, filter).unwrap()[i * stretch.from..][..stretch.from].to_vec()
    }

    fn filter(mode: &str, coordinates: &str) -> Filter {
        let text = |s: &str| s.to_owned();
        Filter {
            mode: text(mode),
            coordinates: text(coordinates),
            rounding: text("floor"),
            cubic: -0.75,
            exclude_outside: false,
        }
    }

    /// Twice the size: cell 1 of four lies a quarter of a cell behind cell 0 of two.
    #[test]
    fn rows_by_hand() {
        let twice = Stretch { axis: 0, from: 2, to: 4, scale: 2.0 };
        assert_eq!(row(twice, &filter("linear", "half_pixel"), 1), [0.75, 0.25]);
        assert_eq!(row(twice, &filter("linear", "half_pixel"), 0), [1.0, 0.0], "the edge is repeated");
        assert_eq!(row(twice, &filter("linear", "asymmetric"), 1), [0.5, 0.5]);
        assert_eq!(row(twice, &filter("nearest", "asymmetric"), 3), [0.0, 1.0]);
        let third = row(twice, &filter("linear", "align_corners"), 1);
        assert!((third[0] - 2.0 / 3.0).abs() < 1e-12 && (third[1] - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn every_row_sums_to_one() {
        for (from, to) in [(5, 8), (8, 5), (1, 3), (7, 1)] {
            let stretch = Stretch { axis: 0, from, to, scale: to as f64 / from as f64 };
            for mode in ["nearest", "linear", "cubic"] {
                for coordinates in ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"] {
                    for exclude_outside in [false, true] {
                        let filter = Filter { exclude_outside, ..filter(mode, coordinates) };
                        for i in 0..to {
                            let sum: f64 = row(stretch, &filter, i).iter().sum();
                            assert!((sum - 1.0).abs() < 1e-12, "{mode}, {coordinates}, {from} to {to}: {sum}");
                        }
                    }
                }
            }
        }
    }
}
