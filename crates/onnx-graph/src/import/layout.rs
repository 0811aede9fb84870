//! Moving elements, and the arithmetic of shapes.

use super::file_node::{FileNode, Refusal, Settle, one};
use crate::attributes::Attributes;
use crate::constant::Constant;
use crate::dim::{Dim, Shape, element_count, show_shape};
use crate::dtype::DataType;
use crate::graph::Tensor;
use crate::ops::{axis, broadcast, is_too_large};

pub(super) const OPERATORS: &[(&str, Settle)] = &[
    ("Constant", constant),
    ("ConstantOfShape", constant_of_shape),
    ("Shape", shape),
    ("Size", count),
    ("Range", range),
    ("Reshape", reshape),
    ("Flatten", flatten),
    ("Squeeze", squeeze),
    ("Unsqueeze", unsqueeze),
    ("Transpose", transpose),
    ("Concat", concat),
    ("Split", split),
    ("Slice", slice),
    ("Pad", pad),
    ("Expand", expand),
    ("Gather", gather),
    ("Tile", tile),
    ("DepthToSpace", depth_to_space),
    ("SpaceToDepth", space_to_depth),
];

type Settled = Result<Vec<Option<Tensor>>, Refusal>;

fn constant(n: &FileNode) -> Settled {
    let value = if let Some(value) = n.tensor("value")? {
        value
    } else if let Some(values) = n.ints("value_ints") {
        Constant::i64s(&[values.len()], &values)
    } else if let Some(values) = n.floats("value_floats") {
        Constant::f32s(&[values.len()], &values)
    } else if let Some(value) = n.int("value_int") {
        Constant::i64s(&[], &[value])
    } else if let Some(value) = n.float("value_float") {
        Constant::scalar(value)
    } else {
        return Err("it is neither numbers nor a dense tensor".into());
    };
    one(n.e.constant(value))
}

/// A value repeated: a splat where the shape is known, else expanded with the batch.
fn constant_of_shape(n: &FileNode) -> Settled {
    let value = n.tensor("value")?.unwrap_or_else(|| Constant::f32s(&[1], &[0.0]));
    if value.len() != 1 {
        return Err(format!("its value has {} elements", value.len()).into());
    }
    let shape = n.sizes(0)?;
    let sizes: Option<Vec<usize>> = shape.iter().map(|d| usize::try_from(d.known()?).ok()).collect();
    let Some(sizes) = sizes else {
        let scalar = value.reshaped(vec![]).map_err(|e| e.to_string())?;
        return one(n.e.expand(n.e.constant(scalar), shape));
    };
    if is_too_large(&shape) {
        return Err(Refusal::TooLarge(format!("its output would be {}", show_shape(&shape))));
    }
    one(n.e.constant(Constant::splat(&value, sizes).map_err(|e| e.to_string())?))
}

fn shape(n: &FileNode) -> Settled {
    let shape = n.shape(0)?;
    let rank = shape.len() as i64;
    let bound = |v: i64| (if v < 0 { v.saturating_add(rank) } else { v }).clamp(0, rank) as usize;
    let (start, end) = (bound(n.int_or("start", 0)), bound(n.int_or("end", rank)));
    one(n.e.dims(shape.get(start..end).unwrap_or_default().to_vec()))
}

fn count(n: &FileNode) -> Settled {
    let count = element_count(&n.shape(0)?).ok_or("the count overflows")?;
    one(n.e.reshape(n.e.dims(vec![count]), vec![]))
}

fn range(n: &FileNode) -> Settled {
    const MOST: i64 = 4096;
    let dtype = n.e.graph().tensor(n.input(0)?).dtype.unwrap_or(DataType::I64);
    if dtype.is_float() {
        let (start, limit, delta) = (n.number(0)?, n.number(1)?, n.number(2)?);
        let count = ((limit - start) / delta).ceil().max(0.0);
        if !(count <= MOST as f64 && n.e.afford(count as usize)) {
            return Err(format!("{count} numbers are too many to fold").into());
        }
        let values: Vec<f64> = (0..count as usize).map(|i| start + i as f64 * delta).collect();
        let values = Constant::floats(dtype, &[values.len()], &values);
        return one(n.e.constant(values.ok_or("its floats are of an unknown width")?));
    }
    let scalar = |i: usize| match n.integers(i)?.as_slice() {
        [one] => Ok(*one),
        several => Err(Refusal::from(format!("input {i} has {} elements", several.len()))),
    };
    let (start, limit, delta) = (scalar(0)?, scalar(1)?, scalar(2)?);
    let span = limit.checked_sub(start).ok_or("it is too long")?;
    let steps = span.checked_div(delta).ok_or("its step is zero")?;
    let count = (steps + i64::from(span % delta != 0)).max(0);
    if count > MOST || !n.e.afford(count as usize) {
        return Err(format!("{count} numbers are too many to fold").into());
    }
    let values: Vec<i64> = (0..count).map(|i| start + i * delta).collect();
    let values = Constant::integers(dtype, &[values.len()], &values);
    one(n.e.constant(values.ok_or("it counts in what is no number")?))
}

/// 0 stands for the input's size (unless `allowzero`), −1 for what is left.
fn reshape(n: &FileNode) -> Settled {
    let (from, wanted) = (n.shape(0)?, n.sizes(1)?);
    let keep = n.int_or("allowzero", 0) == 0;
    let mut to: Shape = Vec::with_capacity(wanted.len());
    for (i, dim) in wanted.iter().enumerate() {
        to.push(match dim.known() {
            Some(0) if keep => *from.get(i).ok_or("a 0 in its shape stands for no axis")?,
            _ => *dim,
        });
    }
    let rest = |d: &Dim| d.known() == Some(-1);
    if to.iter().filter(|d| rest(d)).count() > 1 {
        return Err(format!("its shape {} has more than one -1", show_shape(&to)).into());
    }
    if let Some(open) = to.iter().position(rest) {
        let others: Vec<Dim> = to.iter().copied().enumerate().filter(|(i, _)| *i != open).map(|(_, d)| d).collect();
        let filled = element_count(&from).zip(element_count(&others)).and_then(|(all, part)| all.div(part));
        let fits = || format!("{} does not fill {}", show_shape(&from), show_shape(&to));
        to[open] = filled.ok_or_else(fits)?;
    }
    one(n.e.reshape(n.input(0)?, to))
}

fn flatten(n: &FileNode) -> Settled {
    let from = n.shape(0)?;
    let rank = from.len() as i64;
    let given = n.int_or("axis", 1);
    let along = if given < 0 { given + rank } else { given };
    if !(0..=rank).contains(&along) {
        return Err(format!("axis {given} is outside a tensor of {rank} axes").into());
    }
    let (rows, columns) = from.split_at(along as usize);
    let shape = element_count(rows).zip(element_count(columns)).ok_or("the sizes overflow")?;
    one(n.e.reshape(n.input(0)?, vec![shape.0, shape.1]))
}

fn squeeze(n: &FileNode) -> Settled {
    let from = n.shape(0)?;
    let ones = |d: &Dim| d.known() == Some(1);
    let axes = match n.input_or_attribute(1, "axes", 13)? {
        Some(axes) => n.axes(&axes, from.len())?,
        None => (0..from.len()).filter(|i| ones(&from[*i])).map(|i| i as i64).collect(),
    };
    if let Some(bad) = axes.iter().find(|a| !ones(&from[**a as usize]) && !from[**a as usize].is_symbolic()) {
        return Err(format!("axis {bad} of {} is not 1", show_shape(&from)).into());
    }
    let kept = from.iter().enumerate().filter(|(i, _)| !axes.contains(&(*i as i64)));
    one(n.e.reshape(n.input(0)?, kept.map(|(_, d)| *d).collect()))
}

fn unsqueeze(n: &FileNode) -> Settled {
    let from = n.shape(0)?;
    let axes = n.input_or_attribute(1, "axes", 13)?.ok_or("its axes are missing")?;
    let rank = from.len() + axes.len();
    let axes = n.axes(&axes, rank)?;
    let mut old = from.into_iter();
    let next = |i: usize| if axes.contains(&(i as i64)) { Some(Dim::new(1)) } else { old.next() };
    let to: Option<Shape> = (0..rank).map(next).collect();
    one(n.e.reshape(n.input(0)?, to.ok_or("it names an axis twice")?))
}

fn transpose(n: &FileNode) -> Settled {
    let rank = n.shape(0)?.len() as i64;
    let perm = n.ints("perm").unwrap_or_else(|| (0..rank).rev().collect());
    one(n.e.transpose(n.input(0)?, &perm))
}

fn concat(n: &FileNode) -> Settled {
    let parts: Vec<Tensor> = (0..n.inputs.len()).map(|i| n.input(i)).collect::<Result<_, _>>()?;
    let along = axis(n.int_or("axis", 1), n.shape(0)?.len())?;
    one(n.e.concat(&parts, along))
}

/// Sizes are an attribute before opset 13, then an input; without either, equal parts (the last may be smaller where
/// `num_outputs` is given, opset 18).
fn split(n: &FileNode) -> Settled {
    let shape = n.shape(0)?;
    let along = axis(n.int_or("axis", 0), shape.len())?;
    let parts = n.proto.output.len() as i64;
    let counted = n.int("num_outputs");
    if counted.is_some_and(|counted| counted != parts) {
        return Err(format!("it has {parts} outputs, not as many as `num_outputs` says").into());
    }
    let sizes = match n.input_or_attribute(1, "split", 13)? {
        Some(sizes) => sizes,
        None => {
            let extent = shape[along].known().ok_or("the split axis depends on the batch")?;
            let chunk = (extent + parts - 1).checked_div(parts).ok_or("it has no outputs")?;
            if extent % parts != 0 && counted.is_none() {
                return Err(format!("{extent} does not split into {parts} equal parts").into());
            }
            (0..parts).map(|i| chunk.min(extent - i * chunk)).collect()
        }
    };
    if sizes.len() as i64 != parts {
        return Err(format!("{} sizes for {parts} outputs", sizes.len()).into());
    }
    let attributes = Attributes::none().with("axis", along as i64).with("split", sizes);
    Ok(n.e.nodes("Split", &[Some(n.input(0)?)], attributes).into_iter().map(Some).collect())
}

/// Starts, ends and axes are attributes before opset 10, then inputs, with steps. Values outside are clamped.
fn slice(n: &FileNode) -> Settled {
    let shape = n.shape(0)?;
    let (starts, ends, axes, steps) = if n.opset < 10 {
        let given = |name: &'static str| n.ints(name).ok_or_else(|| Refusal::Carry(format!("its {name} are missing")));
        (given("starts")?, given("ends")?, n.ints("axes"), None)
    } else {
        let optional = |i: usize| n.optional(i).map(|_| n.integers(i)).transpose();
        (n.integers(1)?, n.integers(2)?, optional(3)?, optional(4)?)
    };
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err("its starts, ends, axes and steps differ in number".into());
    }
    let mut x = n.input(0)?;
    for i in 0..starts.len() {
        let along = axis(axes[i], shape.len())?;
        let Some(extent) = shape[along].known() else {
            if starts[i] == 0 && steps[i] == 1 && ends[i] >= i64::from(i32::MAX) {
                continue; // All of the batch.
            }
            return Err("it takes a part of the batch".into());
        };
        let (start, count) = clamp(starts[i], ends[i], steps[i], extent).ok_or("its step is not possible")?;
        let step = if count > 1 { steps[i] } else { 1 };
        x = n.e.slice(x, along, start, step, count);
    }
    one(x)
}

/// First element and number of elements of a slice along an axis.
fn clamp(start: i64, end: i64, step: i64, extent: i64) -> Option<(i64, i64)> {
    let counted = |v: i64| if v < 0 { v.saturating_add(extent) } else { v };
    let (start, end) = (counted(start), counted(end));
    let (start, span) = if step > 0 {
        let start = start.clamp(0, extent);
        (start, end.clamp(0, extent) - start)
    } else {
        let start = start.max(0).min(extent - 1);
        (start, start - end.clamp(-1, extent - 1))
    };
    let stride = step.checked_abs().filter(|s| *s > 0)?;
    let count = if span <= 0 { 0 } else { (span - 1) / stride + 1 };
    Some((if count == 0 { 0 } else { start }, count))
}

/// Pads are an attribute before opset 11, then an input, for some axes only since 18.
fn pad(n: &FileNode) -> Settled {
    let rank = n.shape(0)?.len();
    let mode = n.text_or("mode", "constant");
    if !matches!(mode.as_str(), "constant" | "reflect" | "edge" | "wrap") {
        return Err(format!("mode {mode:?} is not known").into());
    }
    let (given, value, axes) = if n.opset < 11 {
        (n.ints("pads").ok_or("its pads are missing")?, n.float_or("value", 0.0), None)
    } else {
        let value = if n.optional(2).is_some() { n.number(2)? as f32 } else { 0.0 };
        (n.integers(1)?, value, n.optional(3).map(|_| n.integers(3)).transpose()?)
    };
    let axes = axes.unwrap_or_else(|| (0..rank as i64).collect());
    if given.len() != 2 * axes.len() {
        return Err(format!("{} pads for {} axes", given.len(), axes.len()).into());
    }
    let mut pads = vec![0; 2 * rank];
    for (i, along) in axes.iter().enumerate() {
        let along = axis(*along, rank)?;
        (pads[along], pads[rank + along]) = (given[i], given[axes.len() + i]);
    }
    if mode == "wrap" {
        return wrapped(n, &pads);
    }
    let attributes = Attributes::none().with("pads", pads).with("mode", mode.as_str()).with("value", value);
    one(n.e.node("Pad", &[n.input(0)?], attributes))
}

/// Each axis as one period of a repeated one: pieces of it, joined.
fn wrapped(n: &FileNode, pads: &[i64]) -> Settled {
    const MOST: usize = 64;
    let (mut y, shape) = (n.input(0)?, n.shape(0)?);
    for (along, dim) in shape.iter().enumerate() {
        let (begin, end) = (pads[along], pads[shape.len() + along]);
        if (begin, end) == (0, 0) {
            continue;
        }
        let extent = dim.known().filter(|e| *e > 0).ok_or("it repeats the batch, or an axis without cells")?;
        let last = extent.checked_add(end).ok_or("its pads overflow")?;
        let (mut at, mut pieces) = (begin.checked_neg().ok_or("its pads overflow")?, Vec::new());
        while at < last {
            let start = at.rem_euclid(extent);
            let count = (extent - start).min(last - at);
            pieces.push(n.e.slice(y, along, start, 1, count));
            at += count;
            if pieces.len() > MOST {
                return Err(format!("it repeats an axis of {extent} more than {MOST} times").into());
            }
        }
        if pieces.is_empty() {
            return Err("its pads leave nothing".into());
        }
        y = n.e.concat(&pieces, along);
    }
    one(y)
}

fn expand(n: &FileNode) -> Settled {
    let shape = broadcast(&n.shape(0)?, &n.sizes(1)?)?;
    one(n.e.expand(n.input(0)?, shape))
}

/// Every element of an axis in order is the same elements in another shape: so PyTorch's newer exporter flattens what it has
/// pooled.
fn gather(n: &FileNode) -> Settled {
    let shape = n.shape(0)?;
    let along = axis(n.int_or("axis", 0), shape.len())?;
    let in_order = || {
        let indices = n.integers(1).ok()?;
        let all = shape[along].known()? == indices.len() as i64 && (0..).zip(&indices).all(|(i, index)| i == *index);
        if all { Some([&shape[..along], &n.shape(1).ok()?, &shape[along + 1..]].concat()) } else { None }
    };
    if let Some(shape) = in_order() {
        return one(n.e.reshape(n.input(0)?, shape));
    }
    let attributes = Attributes::none().with("axis", along as i64);
    one(n.e.node("Gather", &[n.input(0)?, n.input(1)?], attributes))
}

fn tile(n: &FileNode) -> Settled {
    let attributes = Attributes::none().with("repeats", n.integers(1)?);
    one(n.e.node("Tile", &[n.input(0)?], attributes))
}

fn depth_to_space(n: &FileNode) -> Settled {
    let block = n.int("blocksize").filter(|b| *b > 0).ok_or("its block size is missing")?;
    let mode = n.text_or("mode", "DCR");
    if !matches!(mode.as_str(), "DCR" | "CRD") {
        return Err(format!("mode {mode:?} is not known").into());
    }
    let attributes = Attributes::none().with("blocksize", block).with("mode", mode.as_str());
    one(n.e.node("DepthToSpace", &[n.input(0)?], attributes))
}

/// Cell (y, x) of each block of b × b goes into channels of its own, [N, C, bH, bW] -> [N, b²C, H, W]; in DCR order, the
/// only one before opset 28, the cells are the outer part of the channel axis.
fn space_to_depth(n: &FileNode) -> Settled {
    let shape = n.shape(0)?;
    let block = n.int("blocksize").filter(|b| *b > 0).ok_or("its block size is missing")?;
    let perm = match n.text_or("mode", "DCR").as_str() {
        "DCR" => [0, 3, 5, 1, 2, 4],
        "CRD" => [0, 1, 3, 5, 2, 4],
        other => return Err(format!("mode {other:?} is not known").into()),
    };
    let &[batch, channels, height, width] = shape.as_slice() else {
        return Err(format!("it takes 4 axes, not {}", show_shape(&shape)).into());
    };
    let b = Dim::new(block);
    let whole = |d: Dim| d.div(b).filter(|blocks| blocks.mul(b) == Some(d));
    let cells = whole(height).zip(whole(width)).zip(channels.mul(b).and_then(|c| c.mul(b)));
    let ((rows, columns), deep) =
        cells.ok_or_else(|| format!("{} has no whole blocks of {block}×{block}", show_shape(&shape)))?;
    let blocks = n.e.reshape(n.input(0)?, vec![batch, channels, rows, b, columns, b]);
    one(n.e.reshape(n.e.transpose(blocks, &perm), vec![batch, deep, rows, columns]))
}
