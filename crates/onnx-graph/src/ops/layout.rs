//! Moving elements about.
//!
//! | operator | attributes | |
//! |---|---|---|
//! | Reshape | `shape` (sizes; no 0 or −1 left) | also Flatten, Squeeze, Unsqueeze |
//! | Transpose | `perm` | |
//! | Concat | `axis` | X… -> joined |
//! | Split | `axis`, `split` | X -> parts |
//! | Slice | `axes`, `starts`, `steps`, `counts` | elements start, start + step, … (count of them) along each axis |
//! | Pad | `pads` (begins, then ends; ≥ 0 or cropping), `mode`, `value` | |
//! | Expand | `shape` (the whole result's) | |
//! | Gather | `axis` | data, indices -> data with the axis replaced by the indices' axes |
//! | Tile | `repeats` | |
//! | DepthToSpace | `blocksize`, `mode` | [N, C·b², H, W] -> [N, C, bH, bW] |

use super::{Infer, Inputs, Misfit, Signature, axis, size};
use crate::attributes::Attributes;
use crate::dim::{Dim, element_count, show_shape};

pub(super) const OPERATORS: &[(&str, Infer)] = &[
    ("Reshape", reshape),
    ("Transpose", transpose),
    ("Concat", concat),
    ("Split", split),
    ("Slice", slice),
    ("Pad", pad),
    ("Expand", expand),
    ("Gather", gather),
    ("Tile", tile),
    ("DepthToSpace", depth_to_space),
];

fn reshape(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let (from, to) = (inputs.shape(0)?, attributes.dims("shape"));
    if element_count(from).is_none() || element_count(from) != element_count(to) {
        return Err(format!("{} cannot become {}", show_shape(from), show_shape(to)));
    }
    Ok(vec![Signature::new(inputs.dtype(0), to.to_vec())])
}

fn transpose(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let (shape, perm) = (inputs.shape(0)?, attributes.ints("perm"));
    let mut sorted = perm.to_vec();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..shape.len() as i64) {
        return Err(format!("perm {perm:?} does not order the axes of {}", show_shape(shape)));
    }
    Ok(vec![Signature::new(inputs.dtype(0), perm.iter().map(|p| shape[*p as usize]).collect())])
}

fn concat(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let mut shape = inputs.shape(0)?.to_vec();
    let along = axis(attributes.int("axis"), shape.len())?;
    for i in 1..inputs.len() {
        let other = inputs.shape(i)?;
        let fits =
            other.len() == shape.len() && shape.iter().zip(other).enumerate().all(|(a, (x, y))| a == along || x == y);
        if !fits {
            return Err(format!("input {i}, {}, does not continue {}", show_shape(other), show_shape(&shape)));
        }
        shape[along] = shape[along].add(other[along]).ok_or("the sizes overflow")?;
    }
    Ok(vec![Signature::new(inputs.dtype(0), shape)])
}

fn split(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let (shape, sizes) = (inputs.shape(0)?, attributes.ints("split"));
    let along = axis(attributes.int("axis"), shape.len())?;
    let total = sizes.iter().try_fold(0i64, |sum, s| sum.checked_add(*s).filter(|_| *s >= 0));
    if total != Some(size(shape[along], "the split axis")?) {
        return Err(format!("parts of {sizes:?} do not fill axis {along} of {}", show_shape(shape)));
    }
    let part = |s: &i64| {
        let mut shape = shape.to_vec();
        shape[along] = Dim::new(*s);
        Signature::new(inputs.dtype(0), shape)
    };
    Ok(sizes.iter().map(part).collect())
}

fn slice(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let mut shape = inputs.shape(0)?.to_vec();
    let counts = attributes.ints("counts").iter();
    let steps = attributes.ints("starts").iter().zip(attributes.ints("steps"));
    for ((along, count), (start, step)) in attributes.ints("axes").iter().zip(counts).zip(steps) {
        let along = axis(*along, shape.len())?;
        let extent = size(shape[along], "the sliced axis")?;
        let last = step.checked_mul(count - 1).and_then(|reach| reach.checked_add(*start));
        let inside = |i: i64| (0..extent).contains(&i);
        if *count < 0 || (*count > 0 && !(inside(*start) && last.is_some_and(inside))) {
            return Err(format!("{count} elements from {start} by {step} leave an axis of {extent}"));
        }
        shape[along] = Dim::new(*count);
    }
    Ok(vec![Signature::new(inputs.dtype(0), shape)])
}

fn pad(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let (shape, pads) = (inputs.shape(0)?, attributes.ints("pads"));
    if pads.len() != 2 * shape.len() {
        return Err(format!("{} pads for {} axes", pads.len(), shape.len()));
    }
    let (begins, ends) = pads.split_at(shape.len());
    let mut padded = Vec::with_capacity(shape.len());
    for ((dim, begin), end) in shape.iter().zip(begins).zip(ends) {
        let reflects = attributes.text("mode") == "reflect" && (*begin > 0 || *end > 0);
        if reflects && size(*dim, "a reflected axis")? <= *begin.max(end) {
            return Err(format!("reflecting by {begin} and {end} needs an axis longer than {dim}"));
        }
        let sum = dim.add(Dim::new(*begin)).and_then(|d| d.add(Dim::new(*end)));
        padded.push(sum.ok_or("the sizes overflow")?);
    }
    Ok(vec![Signature::new(inputs.dtype(0), padded)])
}

fn expand(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let (from, to) = (inputs.shape(0)?, attributes.dims("shape"));
    if super::broadcast(from, to).as_deref() != Ok(to) {
        return Err(format!("{} does not expand to {}", show_shape(from), show_shape(to)));
    }
    Ok(vec![Signature::new(inputs.dtype(0), to.to_vec())])
}

fn gather(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let (data, indices) = (inputs.rank(0, 1)?, inputs.shape(1)?);
    let along = axis(attributes.int("axis"), data.len())?;
    let shape = [&data[..along], indices, &data[along + 1..]].concat();
    Ok(vec![Signature::new(inputs.dtype(0), shape)])
}

fn tile(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let (shape, repeats) = (inputs.shape(0)?, attributes.ints("repeats"));
    if shape.len() != repeats.len() {
        return Err(format!("{} repeats for {} axes", repeats.len(), shape.len()));
    }
    let tiled: Option<Vec<Dim>> = shape.iter().zip(repeats).map(|(d, r)| d.mul(Dim::new(*r))).collect();
    Ok(vec![Signature::new(inputs.dtype(0), tiled.ok_or("the sizes overflow")?)])
}

fn depth_to_space(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let shape = inputs.shape(0)?;
    let [n, c, h, w] = shape else { return Err(format!("it takes 4 axes, not {}", show_shape(shape))) };
    let block = Dim::new(attributes.int("blocksize"));
    let shape = (|| {
        let cells = block.mul(block)?;
        let channels = c.div(cells).filter(|d| d.mul(cells) == Some(*c))?;
        Some(vec![*n, channels, h.mul(block)?, w.mul(block)?])
    })();
    let shape = shape.ok_or_else(|| format!("{c} channels do not fill blocks of {block}×{block}"))?;
    Ok(vec![Signature::new(inputs.dtype(0), shape)])
}
