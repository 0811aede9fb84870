//! Windows that slide: convolution and pooling, over one, two or three spatial axes.
//!
//! | operator | attributes | |
//! |---|---|---|
//! | Conv | `kernel_shape`, `strides`, `dilations`, `pads`, `group` | X [N, C, H, W], W [O, C/g, kh, kw], B? [O] -> [N, O, h, w] |
//! | ConvTranspose | the same and `output_padding` | X [N, C, h, w], W [C, O/g, kh, kw], B? [O] -> [N, O, H, W] |
//! | MaxPool | `kernel_shape`, `strides`, `dilations`, `pads`, `ceil_mode` | padding never wins |
//! | AveragePool | the same and `count_include_pad` | |
//! | GlobalAveragePool, GlobalMaxPool | | X [N, C, ..] -> [N, C, 1, ..] |
//!
//! `pads` are the begins of all spatial axes, then the ends, resolved from `auto_pad`.

use super::{Infer, Inputs, Misfit, Signature, size};
use crate::attributes::Attributes;
use crate::dim::{Dim, show_shape};

pub(super) const OPERATORS: &[(&str, Infer)] = &[
    ("Conv", conv),
    ("ConvTranspose", conv_transpose),
    ("MaxPool", pool),
    ("AveragePool", pool),
    ("GlobalAveragePool", global_pool),
    ("GlobalMaxPool", global_pool),
];

/// The window along one spatial axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Kernel size `k`.
    pub kernel: i64,
    /// Step between windows.
    pub stride: i64,
    /// Step within a window.
    pub dilation: i64,
    /// Padding before and after.
    pub pads: (i64, i64),
}

impl Window {
    /// The windows of a canonical Conv, ConvTranspose or pooling node, one a spatial axis.
    pub fn all(attributes: &Attributes) -> Vec<Window> {
        let pads = attributes.ints("pads");
        let (strides, dilations) = (attributes.ints("strides"), attributes.ints("dilations"));
        let rank = attributes.ints("kernel_shape").len();
        (0..rank)
            .map(|i| Window {
                kernel: attributes.ints("kernel_shape")[i],
                stride: strides[i],
                dilation: dilations[i],
                pads: (pads[i], pads[rank + i]),
            })
            .collect()
    }

    /// Cells that one window spans, `d(k − 1) + 1`.
    pub fn span(&self) -> i64 {
        self.dilation * (self.kernel - 1) + 1
    }

    /// 1 / (cells that count) of each of `out` windows along an axis of `extent` cells; over several axes, a window's count
    /// is their product. Cells beyond the padding, where `ceil_mode` lets a window run over, never count.
    pub fn shares(&self, extent: i64, out: i64, padding_counts: bool) -> Vec<f64> {
        let counts = |o: i64| {
            let cells = (0..self.kernel).map(|t| o * self.stride + t * self.dilation - self.pads.0);
            let inside = if padding_counts { -self.pads.0..extent + self.pads.1 } else { 0..extent };
            cells.filter(|c| inside.contains(c)).count()
        };
        (0..out).map(|o| 1.0 / counts(o).max(1) as f64).collect()
    }
}

/// The windows of a node over `spatial` axes, each of a possible size.
pub(crate) fn possible_windows(attributes: &Attributes, spatial: usize) -> Result<Vec<Window>, Misfit> {
    const MOST: i64 = 1 << 24;
    let lists = ["kernel_shape", "strides", "dilations", "pads"];
    let lengths: Vec<usize> = lists.iter().map(|name| attributes.ints(name).len()).collect();
    if lengths != [spatial, spatial, spatial, 2 * spatial] {
        return Err(format!("kernel, strides, dilations, pads have {lengths:?} entries for {spatial} spatial axes"));
    }
    let windows = Window::all(attributes);
    let sane = |w: &Window| {
        let positive = [w.kernel, w.stride, w.dilation].iter().all(|v| (1..=MOST).contains(v));
        positive && w.span() <= MOST && (0..=MOST).contains(&w.pads.0) && (0..=MOST).contains(&w.pads.1)
    };
    match windows.iter().find(|w| !sane(w)) {
        Some(bad) => Err(format!("{bad:?} is not a possible window")),
        None => Ok(windows),
    }
}

/// How many windows fit along an axis of `extent` cells. With `ceil`, windows that run over the end count, except
/// those that would start behind the input and its front padding (as PyTorch, and ONNX since opset 22, have it).
pub fn pool_extent(w: Window, extent: i64, ceil: bool) -> i64 {
    let room = extent.saturating_add(w.pads.0 + w.pads.1 - w.span());
    if room < 0 {
        return 0;
    }
    let whole = room / w.stride + 1;
    let more = ceil && room % w.stride != 0 && whole * w.stride < extent + w.pads.0;
    whole + i64::from(more)
}

fn slide(shape: &[Dim], windows: &[Window], ceil: bool) -> Result<Vec<Dim>, Misfit> {
    let mut extents = Vec::with_capacity(windows.len());
    for (dim, w) in shape[2..].iter().zip(windows) {
        let extent = pool_extent(*w, size(*dim, "a spatial axis")?, ceil);
        if extent < 1 {
            return Err(format!("a window of {} cells does not fit into {}", w.span(), show_shape(shape)));
        }
        extents.push(Dim::new(extent));
    }
    Ok(extents)
}

fn conv(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let (x, w) = (inputs.rank(0, 3)?, inputs.rank(1, 3)?);
    let windows = possible_windows(attributes, x.len() - 2)?;
    let group = attributes.int("group");
    let kernel: Vec<Dim> = windows.iter().map(|w| Dim::new(w.kernel)).collect();
    let channels = w[1].mul(Dim::new(group));
    let divides = group > 0 && size(w[0], "the number of filters")? % group == 0;
    if w.len() != x.len() || w[2..] != kernel || channels != Some(x[1]) || !divides {
        return Err(format!("weights {} in {group} groups do not fit {}", show_shape(w), show_shape(x)));
    }
    check_bias(inputs, w[0])?;
    let shape = [&[x[0], w[0]], slide(x, &windows, false)?.as_slice()].concat();
    Ok(vec![Signature::new(inputs.dtype(0), shape)])
}

fn check_bias(inputs: &Inputs, filters: Dim) -> Result<(), Misfit> {
    match inputs.has(2) && inputs.shape(2)? != [filters] {
        true => Err(format!("the bias is {} for {filters} filters", show_shape(inputs.shape(2)?))),
        false => Ok(()),
    }
}

fn conv_transpose(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let (x, w) = (inputs.rank(0, 3)?, inputs.rank(1, 3)?);
    let windows = possible_windows(attributes, x.len() - 2)?;
    let (group, more) = (attributes.int("group"), attributes.ints("output_padding"));
    let divides = group > 0 && size(x[1], "the number of channels")? % group == 0;
    let kernel: Vec<Dim> = windows.iter().map(|w| Dim::new(w.kernel)).collect();
    let fits = divides && w.len() == x.len() && w[0] == x[1] && w[2..] == kernel && more.len() == windows.len();
    let filters = w[1].mul(Dim::new(group)).filter(|_| fits);
    let filters = filters.ok_or_else(|| {
        format!("weights {} in {group} groups, output padding {more:?} do not fit {}", show_shape(w), show_shape(x))
    })?;
    check_bias(inputs, filters)?;
    let mut shape = vec![x[0], filters];
    for ((dim, w), more) in x[2..].iter().zip(&windows).zip(more) {
        let spread = (size(*dim, "a spatial axis")? - 1).checked_mul(w.stride);
        let extent = spread.and_then(|e| e.checked_add(*more)?.checked_add(w.span() - w.pads.0 - w.pads.1));
        let possible = (0..w.stride.max(w.dilation)).contains(more);
        let extent = extent.filter(|e| *e > 0 && possible);
        shape.push(Dim::new(
            extent.ok_or_else(|| format!("{w:?} with {more} more is impossible on {}", show_shape(x)))?,
        ));
    }
    Ok(vec![Signature::new(inputs.dtype(0), shape)])
}

fn pool(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let x = inputs.rank(0, 3)?;
    let windows = possible_windows(attributes, x.len() - 2)?;
    let shape = [&x[..2], slide(x, &windows, attributes.flag("ceil_mode"))?.as_slice()].concat();
    Ok(vec![Signature::new(inputs.dtype(0), shape)])
}

fn global_pool(inputs: &Inputs, _: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let x = inputs.rank(0, 3)?;
    let shape = x.iter().enumerate().map(|(i, d)| if i < 2 { *d } else { Dim::new(1) }).collect();
    Ok(vec![Signature::new(inputs.dtype(0), shape)])
}
