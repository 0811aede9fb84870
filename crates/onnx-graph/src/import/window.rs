//! Conv, ConvTranspose and pooling: kernel, strides, dilations and pads written out, `auto_pad` resolved.

use super::file_node::{FileNode, Refusal, Settle, one};
use super::unpool::places_of_maxima;
use crate::attributes::Attributes;
use crate::dim::Dim;
use crate::graph::Tensor;
use crate::ops::{Window, pool_extent, possible_windows};

pub(super) const OPERATORS: &[(&str, Settle)] = &[
    ("Conv", conv),
    ("ConvTranspose", conv_transpose),
    ("MaxPool", max_pool),
    ("AveragePool", average_pool),
    ("GlobalAveragePool", global_pool),
    ("GlobalMaxPool", global_pool),
];

type Settled = Result<Vec<Option<Tensor>>, Refusal>;

/// `kernel_shape`, `strides`, `dilations` and `pads` of a node over `spatial` axes.
fn windows(n: &FileNode, kernel: Vec<i64>, extents: &[Dim]) -> Result<Attributes, Refusal> {
    let spatial = extents.len();
    let ones = vec![1; spatial];
    let strides = n.ints("strides").filter(|s| !s.is_empty()).unwrap_or_else(|| ones.clone());
    let dilations = n.ints("dilations").filter(|d| !d.is_empty()).unwrap_or(ones);
    let declared = n.ints("pads").filter(|p| !p.is_empty()).unwrap_or_else(|| vec![0; 2 * spatial]);
    if [kernel.len(), strides.len(), dilations.len()] != [spatial; 3] {
        return Err(format!("its kernel, strides or dilations do not have {spatial} entries").into());
    }
    let pads = match n.text_or("auto_pad", "NOTSET").as_str() {
        "NOTSET" | "" => declared,
        "VALID" => vec![0; 2 * spatial],
        same @ ("SAME_UPPER" | "SAME_LOWER") => {
            let mut pads = vec![0; 2 * spatial];
            for (i, extent) in extents.iter().enumerate() {
                let extent = extent.known().ok_or("a spatial axis is not known")?;
                let w = Window { kernel: kernel[i], stride: strides[i], dilation: dilations[i], pads: (0, 0) };
                let (less, more) = same_pads(w, extent).ok_or("its kernel, strides or dilations are not possible")?;
                (pads[i], pads[spatial + i]) = if same == "SAME_UPPER" { (less, more) } else { (more, less) };
            }
            pads
        }
        other => return Err(format!("auto_pad {other:?} is not known").into()),
    };
    Ok(Attributes::none()
        .with("kernel_shape", kernel)
        .with("strides", strides)
        .with("dilations", dilations)
        .with("pads", pads))
}

/// Padding that gives ⌈extent / stride⌉ windows, as two halves, the smaller first.
fn same_pads(w: Window, extent: i64) -> Option<(i64, i64)> {
    if w.stride < 1 || extent < 1 {
        return None;
    }
    let steps = (extent - 1) / w.stride; // One less than there are windows.
    let span = w.dilation.checked_mul(w.kernel.checked_sub(1)?)?.checked_add(1)?;
    let total = steps.checked_mul(w.stride)?.checked_add(span)?.checked_sub(extent)?.max(0);
    Some((total / 2, total - total / 2))
}

fn spatial(n: &FileNode) -> Result<Vec<Dim>, Refusal> {
    let shape = n.shape(0)?;
    shape.get(2..).map(<[Dim]>::to_vec).ok_or_else(|| "its input has no channels".into())
}

fn kernel_of_weights(n: &FileNode, weights: usize) -> Result<Vec<i64>, Refusal> {
    let weights = n.shape(weights)?;
    let sizes: Option<Vec<i64>> = weights.iter().skip(2).map(|d| d.known()).collect();
    let sizes = sizes.ok_or("the shape of its weights depends on the batch")?;
    match n.ints("kernel_shape").filter(|declared| !declared.is_empty() && *declared != sizes) {
        Some(declared) => Err(format!("its kernel_shape {declared:?} is not its weights' {sizes:?}").into()),
        None => Ok(sizes),
    }
}

pub(super) fn conv(n: &FileNode) -> Settled {
    let attributes = conv_attributes(n, 1)?;
    let inputs = [Some(n.input(0)?), Some(n.input(1)?), n.optional(2)];
    let given = if inputs[2].is_some() { 3 } else { 2 };
    one(n.e.nodes("Conv", &inputs[..given], attributes)[0])
}

/// A Conv's attributes, whose weights are input `weights` of the node.
pub(super) fn conv_attributes(n: &FileNode, weights: usize) -> Result<Attributes, Refusal> {
    Ok(windows(n, kernel_of_weights(n, weights)?, &spatial(n)?)?.with("group", n.int_or("group", 1)))
}

fn conv_transpose(n: &FileNode) -> Settled {
    let extents = spatial(n)?;
    let more = n.ints("output_padding").filter(|p| !p.is_empty()).unwrap_or_else(|| vec![0; extents.len()]);
    let attributes = windows(n, kernel_of_weights(n, 1)?, &extents)?;
    let (pads, more) = match wanted_extents(n, &extents, &attributes)? {
        Some(wanted) => pads_for(n, &extents, &attributes, &wanted, &more)?,
        None => (attributes.ints("pads").to_vec(), more),
    };
    let attributes = padded(&attributes, pads).with("group", n.int_or("group", 1)).with("output_padding", more);
    let inputs = [Some(n.input(0)?), Some(n.input(1)?), n.optional(2)];
    let given = if inputs[2].is_some() { 3 } else { 2 };
    one(n.e.nodes("ConvTranspose", &inputs[..given], attributes)[0])
}

/// The same windows with other pads.
fn padded(attributes: &Attributes, pads: Vec<i64>) -> Attributes {
    let lists = ["kernel_shape", "strides", "dilations"];
    let kept = lists.iter().fold(Attributes::none(), |all, name| all.with(name, attributes.ints(name).to_vec()));
    kept.with("pads", pads)
}

/// The extents that a ConvTranspose's output is to have, if that is what its padding follows from: `output_shape`, which
/// some writers give with batch and channels, or the input's times the strides.
fn wanted_extents(n: &FileNode, extents: &[Dim], attributes: &Attributes) -> Result<Option<Vec<i64>>, Refusal> {
    if let Some(shape) = n.ints("output_shape").filter(|s| !s.is_empty()) {
        let wanted = shape.len().checked_sub(extents.len()).filter(|more| matches!(more, 0 | 2));
        let wanted = wanted.ok_or_else(|| format!("its output_shape {shape:?} has {} entries", shape.len()))?;
        return Ok(Some(shape[wanted..].to_vec()));
    }
    if !n.text_or("auto_pad", "NOTSET").starts_with("SAME") {
        return Ok(None);
    }
    let strided = |(extent, stride): (&Dim, &i64)| extent.known()?.checked_mul(*stride);
    let wanted: Option<Vec<i64>> = extents.iter().zip(attributes.ints("strides")).map(strided).collect();
    Ok(Some(wanted.ok_or("a spatial axis is not known")?))
}

/// Pads and `output_padding` with which the output has the extents `wanted`. What is too much goes in two halves, the
/// smaller first where `auto_pad` is SAME_UPPER, else last; what is too little is added at the end.
fn pads_for(
    n: &FileNode,
    extents: &[Dim],
    attributes: &Attributes,
    wanted: &[i64],
    more: &[i64],
) -> Result<(Vec<i64>, Vec<i64>), Refusal> {
    let upper = n.text_or("auto_pad", "NOTSET") == "SAME_UPPER";
    let windows = possible_windows(&padded(attributes, vec![0; 2 * extents.len()]), extents.len())?;
    if more.len() != windows.len() {
        return Err(format!("its output_padding has {} entries for {} axes", more.len(), windows.len()).into());
    }
    let (mut begins, mut ends, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for (i, w) in windows.iter().enumerate() {
        let extent = extents[i].known().ok_or("a spatial axis is not known")?;
        let reach = (extent - 1).checked_mul(w.stride).and_then(|r| r.checked_add(more[i])?.checked_add(w.span()));
        let total = reach.and_then(|r| r.checked_sub(wanted[i])).ok_or("its extents overflow")?;
        let halves = (total.max(0) / 2, (total.max(0) + 1) / 2);
        let (begin, end) = if upper { halves } else { (halves.1, halves.0) };
        begins.push(begin);
        ends.push(end);
        rest.push(more[i] - total.min(0));
    }
    Ok(([begins, ends].concat(), rest))
}

/// `ceil_mode` stays where it makes a window more. Where the window would be dropped again, engines and opsets differ.
pub(super) fn pool(n: &FileNode) -> Result<Attributes, Refusal> {
    let kernel = n.ints("kernel_shape").ok_or("its attribute `kernel_shape` is missing")?;
    let extents = spatial(n)?;
    let attributes = windows(n, kernel, &extents)?;
    let sane = possible_windows(&attributes, extents.len())?;
    let more = |(w, extent): (Window, &Dim)| {
        extent.known().is_none_or(|extent| pool_extent(w, extent, true) != pool_extent(w, extent, false))
    };
    let ceil = n.int_or("ceil_mode", 0) != 0 && sane.into_iter().zip(&extents).any(more);
    Ok(attributes.with("ceil_mode", ceil))
}

fn max_pool(n: &FileNode) -> Settled {
    let columns = n.int_or("storage_order", 0) != 0;
    let attributes = pool(n)?;
    let places = n.wants(1).then(|| places_of_maxima(n, &attributes, columns)).transpose()?;
    let y = over_fewer_axes(n, "MaxPool", attributes)?;
    Ok(vec![Some(y), places])
}

fn average_pool(n: &FileNode) -> Settled {
    let attributes = pool(n)?.with("count_include_pad", n.int_or("count_include_pad", 0) != 0);
    one(over_fewer_axes(n, "AveragePool", attributes)?)
}

/// Pooling over three axes that leaves two neighbours of them alone is pooling over two, as engines want it: PyTorch's
/// exporters write local response normalisation as a window over the channels of [N, 1, C, H, W].
fn over_fewer_axes(n: &FileNode, op: &'static str, attributes: Attributes) -> Result<Tensor, Refusal> {
    let (x, shape) = (n.input(0)?, n.shape(0)?);
    let alone = |w: &Window| w.kernel == 1 && w.stride == 1 && w.pads == (0, 0);
    let mut windows = Window::all(&attributes);
    let pair = (windows.len() > 2).then(|| windows.windows(2).position(|two| two.iter().all(alone))).flatten();
    let joined = pair.and_then(|i| Some((i, shape[2 + i].mul(shape[3 + i])?)));
    let Some((i, cells)) = joined else { return Ok(n.e.node(op, &[x], attributes)) };
    windows.remove(i);
    let each = |value: fn(&Window) -> i64| windows.iter().map(value).collect::<Vec<i64>>();
    let fewer = Attributes::none()
        .with("kernel_shape", each(|w| w.kernel))
        .with("strides", each(|w| w.stride))
        .with("dilations", each(|w| w.dilation))
        .with("pads", [each(|w| w.pads.0), each(|w| w.pads.1)].concat());
    let kept = attributes.iter().filter(|(name, _)| fewer.get(name).is_none());
    let attributes = kept.fold(fewer.clone(), |all, (name, value)| all.with(name, value.clone()));
    let mut flat = shape.clone();
    flat.splice(2 + i..4 + i, [cells]);
    let pooled = n.e.node(op, &[n.e.reshape(x, flat)], attributes);
    let mut made = n.e.shape(pooled);
    if made.len() > 2 + i {
        made.splice(2 + i..3 + i, shape[2 + i..4 + i].iter().copied());
    }
    Ok(n.e.reshape(pooled, made))
}

fn global_pool(n: &FileNode) -> Settled {
    let op = if n.op() == "GlobalMaxPool" { "GlobalMaxPool" } else { "GlobalAveragePool" };
    one(n.e.node(op, &[n.input(0)?], Attributes::none()))
}
