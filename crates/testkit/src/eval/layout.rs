//! Moving elements about.

use ndarray::ArrayD;

use super::index::{at, axis, table, try_table};
use super::{Definition, Operands, Value, one, reshaped};

pub(super) const OPERATORS: &[(&str, Definition)] = &[
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

fn reshape(o: &Operands) -> Result<Vec<Value>, String> {
    one(reshaped(o.input(0)?, &o.sizes("shape")?)?)
}

/// Axis i of the result is axis perm[i] of the input.
fn transpose(o: &Operands) -> Result<Vec<Value>, String> {
    let (x, perm) = (o.input(0)?, o.naturals("perm")?);
    let shape: Vec<usize> = perm.iter().map(|p| x.shape()[*p]).collect();
    one(table(&shape, |i| {
        let mut from = vec![0; i.len()];
        for (place, p) in i.iter().zip(&perm) {
            from[*p] = *place;
        }
        x[from.as_slice()]
    }))
}

fn concat(o: &Operands) -> Result<Vec<Value>, String> {
    let along = o.axis(0)?;
    let parts: Vec<&Value> = (0..o.values.len()).map(|i| o.input(i)).collect::<Result<_, _>>()?;
    let mut shape = parts[0].shape().to_vec();
    shape[along] = parts.iter().map(|p| p.shape()[along]).sum();
    one(table(&shape, |i| {
        let mut from = i.to_vec();
        let mut part = 0;
        while from[along] >= parts[part].shape()[along] {
            from[along] -= parts[part].shape()[along];
            part += 1;
        }
        parts[part][from.as_slice()]
    }))
}

fn split(o: &Operands) -> Result<Vec<Value>, String> {
    let (x, along) = (o.input(0)?, o.axis(0)?);
    let mut before = 0;
    let mut parts = Vec::new();
    for count in o.naturals("split")? {
        let mut shape = x.shape().to_vec();
        shape[along] = count;
        parts.push(table(&shape, |i| {
            let mut from = i.to_vec();
            from[along] += before;
            x[from.as_slice()]
        }));
        before += count;
    }
    Ok(parts)
}

fn slice(o: &Operands) -> Result<Vec<Value>, String> {
    let (x, a) = (o.input(0)?, o.attributes());
    let (starts, steps, counts) = (a.ints("starts"), a.ints("steps"), o.naturals("counts")?);
    let axes: Vec<usize> = a.ints("axes").iter().map(|v| axis(*v, x.ndim())).collect::<Result<_, _>>()?;
    let mut shape = x.shape().to_vec();
    for (along, count) in axes.iter().zip(counts) {
        shape[*along] = count;
    }
    one(try_table(&shape, |i| {
        let mut from = i.to_vec();
        for (n, along) in axes.iter().enumerate() {
            from[*along] = inside(starts[n] + steps[n] * i[*along] as i64, x.shape()[*along])?;
        }
        Ok(x[from.as_slice()])
    })?)
}

fn inside(place: i64, extent: usize) -> Result<usize, String> {
    let place = usize::try_from(place).ok().filter(|p| *p < extent);
    place.ok_or_else(|| format!("it reaches outside an axis of {extent}"))
}

/// Around the input, outwards: a value, the elements next to the border mirrored at it, or the border repeated.
fn pad(o: &Operands) -> Result<Vec<Value>, String> {
    let (x, pads, mode) = (o.input(0)?, o.attributes().ints("pads"), o.attributes().text("mode"));
    let (begins, ends) = pads.split_at(x.ndim());
    let mut shape = Vec::new();
    for (extent, (begin, end)) in x.shape().iter().zip(begins.iter().zip(ends)) {
        let size = usize::try_from(*extent as i64 + begin + end);
        shape.push(size.map_err(|_| format!("{pads:?} leave nothing of {:?}", x.shape()))?);
    }
    one(try_table(&shape, |i| {
        let mut from = Vec::new();
        for (along, extent) in x.shape().iter().enumerate() {
            let last = *extent as i64 - 1;
            let place = i[along] as i64 - begins[along];
            from.push(match mode {
                _ if (0..=last).contains(&place) => place as usize,
                "constant" => return Ok(o.float("value")),
                "edge" => inside(place.clamp(0, last), *extent)?,
                "reflect" if place < 0 => inside(-place, *extent)?,
                "reflect" => inside(2 * last - place, *extent)?,
                other => return Err(format!("mode {other:?}")),
            });
        }
        Ok(x[from.as_slice()])
    })?)
}

fn expand(o: &Operands) -> Result<Vec<Value>, String> {
    let x = o.input(0)?;
    one(table(&o.sizes("shape")?, |i| at(x, i)))
}

/// An element of `indices` as a place along an axis; negative ones count from its end.
pub(super) fn place(indices: &ArrayD<f64>, at: &[usize], extent: usize) -> Result<usize, String> {
    let index = indices[at] as i64;
    let place = if index < 0 { index + extent as i64 } else { index };
    inside(place, extent).map_err(|_| format!("index {index} is outside an axis of {extent}"))
}

fn gather(o: &Operands) -> Result<Vec<Value>, String> {
    let (x, indices, along) = (o.input(0)?, o.input(1)?, o.axis(0)?);
    let shape = [&x.shape()[..along], indices.shape(), &x.shape()[along + 1..]].concat();
    one(try_table(&shape, |i| {
        let (before, rest) = i.split_at(along);
        let (index, after) = rest.split_at(indices.ndim());
        let from = [before, &[place(indices, index, x.shape()[along])?], after].concat();
        Ok(x[from.as_slice()])
    })?)
}

fn tile(o: &Operands) -> Result<Vec<Value>, String> {
    let x = o.input(0)?;
    let shape: Vec<usize> = x.shape().iter().zip(o.naturals("repeats")?).map(|(n, r)| n * r).collect();
    one(table(&shape, |i| {
        let from: Vec<usize> = i.iter().zip(x.shape()).map(|(place, n)| place % n).collect();
        x[from.as_slice()]
    }))
}

/// Cell (y, x) of a block of b × b comes from its own channels: in DCR order the blocks' cells are the outer part of
/// the channel axis, in CRD order the inner part.
fn depth_to_space(o: &Operands) -> Result<Vec<Value>, String> {
    let x = o.input(0)?;
    let &[n, c, h, w] = x.shape() else { return Err("it takes four axes".to_owned()) };
    let b = usize::try_from(o.attributes().int("blocksize")).ok().filter(|b| *b > 0).ok_or("no block size")?;
    let channels = c / (b * b);
    let depth_first = match o.attributes().text("mode") {
        "DCR" => true,
        "CRD" => false,
        other => return Err(format!("mode {other:?}")),
    };
    one(table(&[n, channels, h * b, w * b], |i| {
        let cell = i[2] % b * b + i[3] % b;
        let channel = if depth_first { cell * channels + i[1] } else { i[1] * b * b + cell };
        x[[i[0], channel, i[2] / b, i[3] / b]]
    }))
}
