//! Where space is: which axes of a tensor, or which parts of an axis, count the rows and the columns of a grid of cells.
//!
//! Convolutional networks keep it in the axes [N, K, h, w]; those of series in [N, K, l], of volumes in [N, K, d, h, w]. Transformers make tokens of it, [N, h·w, K], put class and
//! register tokens before or behind them, cut windows, [N · h/7 · w/7, 7·7, K], exchange axes, and go on with convolutions
//! elsewhere. So each axis is written as a product of factors, the slowest first, and each operator moves, splits and joins
//! factors as it moves elements: nothing is guessed from sizes, as that of √tokens would be.

use std::collections::HashMap;

use onnx_graph::{Dim, Graph, Node, Tensor};

use super::picture::layout_in;
use super::view::View;
use crate::picture::Layout;

/// What an axis, or a part of it, counts.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Factor {
    /// Something without a place in the picture.
    Plain { kind: Kind, size: Dim },
    /// Rows (axis 0 of the grid), columns (axis 1) or what a third axis counts, `extent` of them: every `step`-th, `size`
    /// of them.
    Space { axis: usize, size: i64, step: i64, extent: i64 },
    /// A grid in one piece, class or register tokens before and behind it.
    Tokens { before: i64, grid: Vec<Factor>, after: i64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Batch,
    Channel,
    /// Red, green and blue.
    Pixel,
    /// Class and register tokens.
    Extra,
    /// Not known.
    Other,
}

/// One axis: factors other than 1, the slowest first.
pub(super) type Axis = Vec<Factor>;

/// What is known of the axes of the tensors that depend on the picture.
#[derive(Debug)]
pub(super) struct Grids {
    axes: HashMap<Tensor, Vec<Axis>>,
    batch: Dim,
    /// How many axes space has.
    spatial: usize,
}

/// The most axes that space may have.
const MOST: usize = 3;

impl Factor {
    fn plain(kind: Kind, size: Dim) -> Axis {
        if size == Dim::new(1) { Vec::new() } else { vec![Factor::Plain { kind, size }] }
    }

    /// All rows or columns of a grid.
    fn whole(axis: usize, size: Dim) -> Axis {
        match size.known() {
            Some(1) => Vec::new(),
            Some(size) => vec![Factor::Space { axis, size, step: 1, extent: size }],
            None => Factor::plain(Kind::Other, size),
        }
    }

    pub(super) fn size(&self) -> Dim {
        match self {
            Factor::Plain { size, .. } => *size,
            Factor::Space { size, .. } => Dim::new(*size),
            Factor::Tokens { before, grid, after } => Dim::new(before + cells_of(grid) + after),
        }
    }

    pub(super) fn is(&self, which: Kind) -> bool {
        matches!(self, Factor::Plain { kind, .. } if *kind == which)
    }

    pub(super) fn is_spatial(&self) -> bool {
        !matches!(self, Factor::Plain { .. })
    }

    /// Rows or columns that are not spread over the whole extent: those within a window, or within a patch.
    fn is_inner(&self) -> bool {
        matches!(self, Factor::Space { size, step, extent, .. } if size * step < *extent)
    }

    /// The factor as `outer` slow steps, and the rest.
    fn split(&self, outer: Dim) -> Option<(Factor, Factor)> {
        let inner = quotient(self.size(), outer)?;
        match self {
            Factor::Plain { kind, .. } => {
                Some((Factor::Plain { kind: *kind, size: outer }, Factor::Plain { kind: *kind, size: inner }))
            }
            Factor::Space { axis, step, extent, .. } => {
                let (outer, inner) = (outer.known()?, inner.known()?);
                let part = |size, step| Factor::Space { axis: *axis, size, step, extent: *extent };
                Some((part(outer, step.checked_mul(inner)?), part(inner, *step)))
            }
            Factor::Tokens { .. } => None,
        }
    }
}

/// a / b, where that is exact and b > 0.
fn quotient(a: Dim, b: Dim) -> Option<Dim> {
    let quotient = a.div(b)?;
    (quotient.mul(b) == Some(a) && quotient.at(1) > 0).then_some(quotient)
}

fn cells_of(grid: &[Factor]) -> i64 {
    grid.iter().filter_map(|f| f.size().known()).product()
}

fn other(size: Dim) -> Axis {
    Factor::plain(Kind::Other, size)
}

/// The token factor of an axis that is nothing else.
fn tokens(axis: &[Factor]) -> Option<(i64, &[Factor], i64)> {
    match axis {
        [Factor::Tokens { before, grid, after }] => Some((*before, grid, *after)),
        _ => None,
    }
}

fn is_of(axis: &[Factor], kind: Kind) -> bool {
    !axis.is_empty() && axis.iter().all(|f| f.is(kind))
}

fn has_space(axis: &[Factor]) -> bool {
    axis.iter().any(Factor::is_spatial)
}

/// Whether an axis is all rows or all columns, and which.
fn all_of_one(axis: &[Factor]) -> Option<usize> {
    match axis {
        [Factor::Space { axis, size, step: 1, extent }] if size == extent => Some(*axis),
        _ => None,
    }
}

/// Factors side by side that are one.
fn joined(axis: Axis) -> Axis {
    let mut joined: Axis = Vec::new();
    for factor in axis {
        let together = match (joined.last(), &factor) {
            (Some(Factor::Plain { kind: a, size: m }), Factor::Plain { kind: b, size: n }) if a == b => {
                m.mul(*n).map(|size| Factor::Plain { kind: *a, size })
            }
            (
                Some(Factor::Space { axis: a, size: m, step: outer, extent }),
                Factor::Space { axis: b, size: n, step, .. },
            ) if a == b && *outer == step * n => {
                Some(Factor::Space { axis: *a, size: m * n, step: *step, extent: *extent })
            }
            _ => None,
        };
        match together {
            Some(factor) => *joined.last_mut().expect("there is one") = factor,
            None => joined.push(factor),
        }
    }
    joined
}

impl Grids {
    /// Follows the picture through the graph.
    pub(super) fn of(graph: &Graph) -> Grids {
        let first = graph.inputs.first().and_then(|t| graph.shape(*t)?.first().copied());
        let spatial = spatial_axes(graph);
        let mut grids = Grids { axes: HashMap::new(), batch: first.unwrap_or(Dim::BATCH), spatial };
        for input in &graph.inputs {
            if let Some(shape) = graph.shape(*input) {
                grids.axes.insert(*input, picture(shape, layout_in(graph, *input)));
            }
        }
        for node in graph.nodes().iter().filter(|n| n.carried.is_none()) {
            let known = node.inputs.iter().flatten().any(|t| grids.axes.contains_key(t));
            if !known && !grids.is_convolution_of_pictures(graph, node) {
                continue;
            }
            let made = grids.made_by(graph, node);
            for (output, axes) in node.outputs.iter().zip(made.unwrap_or_default()) {
                let Some(output) = output else { continue };
                if graph.shape(*output).is_some_and(|shape| shape.len() == axes.len()) {
                    grids.axes.insert(*output, coarsened(axes.into_iter().map(joined).collect()));
                }
            }
        }
        grids
    }

    /// Whether this is a convolution of something made of the pictures by what is not understood: its result has rows and
    /// columns all the same.
    fn is_convolution_of_pictures(&self, graph: &Graph, node: &Node) -> bool {
        let shape = node.inputs[0].and_then(|t| graph.shape(t));
        &*node.op == "Conv" && shape.is_some_and(|s| s.len() == self.spatial + 2 && s[0] == self.batch)
    }

    /// How many axes space has: two in pictures, one in series, three in volumes.
    pub(super) fn spatial(&self) -> usize {
        self.spatial
    }

    /// How many pictures there are.
    pub(super) fn batch(&self) -> Dim {
        self.batch
    }

    pub(super) fn axes(&self, t: Tensor) -> Option<&[Axis]> {
        self.axes.get(&t).map(Vec::as_slice)
    }

    /// How a tensor becomes feature maps: where each row and each column of one grid occurs once, and all else is channels.
    pub(super) fn view(&self, graph: &Graph, t: Tensor) -> Option<View> {
        View::of(self.axes(t)?, graph.shape(t)?, self.batch, self.spatial, false)
    }

    /// The same of the picture itself too, and of what is made of it without weights.
    pub(super) fn view_of_any(&self, graph: &Graph, t: Tensor) -> Option<View> {
        View::of(self.axes(t)?, graph.shape(t)?, self.batch, self.spatial, true)
    }

    /// Whether a tensor is another one moved: the same cells of the same channels, in another order or beside fewer tokens.
    pub(super) fn is_moved(&self, graph: &Graph, from: Tensor, to: Tensor) -> bool {
        let mut t = to;
        while t != from {
            let moves =
                |n: &&Node| matches!(&*n.op, "Reshape" | "Transpose" | "Slice" | "Split") && n.carried.is_none();
            let Some(before) = graph.producer(t).filter(moves).and_then(|n| n.inputs[0]) else { return false };
            t = before;
        }
        let shape = |t: Tensor| self.view(graph, t).map(|view| view.shape().to_vec());
        shape(from).is_some() && shape(from) == shape(to)
    }

    /// Whether these axes hold the whole grid and nothing else.
    pub(super) fn is_whole_grid(&self, graph: &Graph, t: Tensor, axes: &[i64]) -> bool {
        let (Some(view), Some(all)) = (self.view(graph, t), self.axes(t)) else { return false };
        let listed = |i: usize| axes.contains(&(i as i64));
        let grid_only = |axis: &Axis| axis.iter().all(|f| matches!(f, Factor::Space { .. }));
        let rest = |axis: &Axis| !has_space(axis);
        view.extras() == (0, 0) && all.iter().enumerate().all(|(i, a)| if listed(i) { grid_only(a) } else { rest(a) })
    }

    fn made_by(&self, graph: &Graph, node: &Node) -> Option<Vec<Vec<Axis>>> {
        let input = |i: usize| node.inputs.get(i).copied().flatten();
        let axes = |i: usize| input(i).and_then(|t| self.axes(t));
        let shape = |i: usize| input(i).and_then(|t| graph.shape(t));
        let output = node.outputs.first().copied().flatten().and_then(|t| graph.shape(t));
        let a = &node.attributes;
        let made = match &*node.op {
            "Conv" | "ConvTranspose" => self.convolved(graph, node, shape(0)?, output?),
            "MaxPool" | "AveragePool" => pooled(axes(0)?, node, shape(0)?, output?),
            "GlobalAveragePool" | "GlobalMaxPool" => {
                axes(0)?.iter().take(2).cloned().chain(vec![Vec::new(); output?.len() - 2]).collect()
            }
            "Reshape" => reshaped(axes(0)?, output?),
            "Transpose" => a.ints("perm").iter().map(|p| axes(0)?.get(*p as usize).cloned()).collect::<Option<_>>()?,
            "MatMul" => self.product(graph, node, output?)?,
            "Gemm" => self.gemm(graph, node)?,
            "Concat" => self.concatenated(graph, node, a.int("axis") as usize, output?)?,
            "Slice" => {
                let mut made = axes(0)?.to_vec();
                let ranges = a.ints("starts").iter().zip(a.ints("steps")).zip(a.ints("counts"));
                for (axis, ((start, step), count)) in a.ints("axes").iter().zip(ranges) {
                    let from = made.get(*axis as usize)?;
                    made[*axis as usize] = sliced(from, *shape(0)?.get(*axis as usize)?, *start, *step, *count);
                }
                made
            }
            "Split" => {
                let (along, mut start) = (a.int("axis") as usize, 0);
                let parts = a.ints("split").iter().map(|count| {
                    let mut made = axes(0)?.to_vec();
                    made[along] = sliced(made.get(along)?, *shape(0)?.get(along)?, start, 1, *count);
                    start += count;
                    Some(made)
                });
                return parts.collect();
            }
            "Gather" => gathered(axes(0)?, shape(0)?, graph, input(1)?, a.int("axis") as usize)?,
            "Pad" => padded(axes(0)?, a.ints("pads"), output?),
            "Expand" | "Tile" => stretched(axes(0)?, shape(0)?, output?),
            "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceProd" => {
                reduced(axes(0)?, a.ints("axes"), a.flag("keepdims"))
            }
            "ArgMax" => reduced(axes(0)?, &[a.int("axis")], a.flag("keepdims")),
            "DepthToSpace" => {
                let spatial = axes(0)?.get(2..)?.iter().map(|axis| all_of_one(axis)).zip(&output?[2..]);
                let spatial = spatial.map(|(which, size)| which.map_or(other(*size), |w| Factor::whole(w, *size)));
                let channels = Factor::plain(Kind::Channel, output?[1]);
                [axes(0)?[0].clone(), channels].into_iter().chain(spatial).collect()
            }
            "TopK" | "GatherElements" | "ScatterElements" => return None,
            // Softmax, normalisation and rounding leave the axes as they are; all others work element by element.
            "Softmax"
            | "LogSoftmax"
            | "LRN"
            | "BatchNormalization"
            | "CumSum"
            | "QuantizeLinear"
            | "DequantizeLinear"
            | "DynamicQuantizeLinear" => axes(0)?.to_vec(),
            _ => self.broadcast(graph, &node.inputs, output?),
        };
        Some(vec![made])
    }

    /// What meets element by element agrees; operands of the whole size come before repeated ones.
    fn broadcast(&self, graph: &Graph, operands: &[Option<Tensor>], output: &[Dim]) -> Vec<Axis> {
        let known = operands.iter().flatten().filter_map(|t| Some((graph.shape(*t)?, self.axes(*t)?)));
        let (whole, repeated): (Vec<_>, Vec<_>) = known.partition(|(shape, _)| *shape == output);
        let one = |i: usize, size: Dim| {
            let said = |of: &[(&[Dim], &[Axis])]| {
                let at = |(shape, axes): &(&[Dim], &[Axis])| {
                    let own = (i + shape.len()).checked_sub(output.len())?;
                    let telling = shape[own] == size && !axes[own].iter().any(|f| f.is(Kind::Other));
                    telling.then(|| axes[own].clone())
                };
                let mut said = of.iter().filter_map(at);
                let first = said.next()?;
                Some(if said.all(|next| next == first) { first } else { other(size) })
            };
            said(&whole).or_else(|| said(&repeated)).unwrap_or_else(|| other(size))
        };
        output.iter().enumerate().map(|(i, size)| one(i, *size)).collect()
    }

    /// [N, C, h, w] -> [N, O, h', w']: rows and columns stay what they are, and where they were not known, they are what a
    /// convolution of as many axes as the picture has takes them for.
    fn convolved(&self, graph: &Graph, node: &Node, from: &[Dim], to: &[Dim]) -> Vec<Axis> {
        let images = |i: usize| i == 0 && from[0] == self.batch;
        let axis = |(i, size): (usize, &Dim)| if images(i) { Factor::plain(Kind::Batch, *size) } else { other(*size) };
        let unknown = || from.iter().enumerate().map(axis).collect();
        let axes: Vec<Axis> = node.inputs[0].and_then(|t| self.axes(t)).map_or_else(unknown, <[Axis]>::to_vec);
        let weight = node.inputs.get(1).copied().flatten().filter(|t| graph.shape(*t).is_some());
        let channels = match is_of(&axes[1], Kind::Other) || axes[1].is_empty() || weight.is_none() {
            true => Factor::plain(Kind::Channel, to[1]),
            false => mixed(&axes[1], to[1], false),
        };
        let taken = |which: usize| {
            let fits = |f: &Factor| {
                matches!(f, Factor::Space { axis, .. } if *axis == which) || matches!(f, Factor::Tokens { .. })
            };
            axes.iter().flatten().any(fits)
        };
        let spatial = (2..to.len()).map(|i| {
            let fresh = to.len() == self.spatial + 2 && !taken(i - 2) && !is_of(&axes[i], Kind::Channel);
            match slid(&axes[i], node, i - 2, from[i], to[i]) {
                Some(axis) => axis,
                None if fresh => Factor::whole(i - 2, to[i]),
                None => other(to[i]),
            }
        });
        [axes[0].clone(), channels].into_iter().chain(spatial.collect::<Vec<_>>()).collect()
    }

    /// Row i of A by column j of B: the axes that are summed over go, the others stay.
    fn product(&self, graph: &Graph, node: &Node, output: &[Dim]) -> Option<Vec<Axis>> {
        let [a, b] = [0, 1].map(|i| node.inputs.get(i).copied().flatten());
        let (a, b) = (a?, b?);
        let (from_a, from_b) = (graph.shape(a)?.len().checked_sub(2)?, graph.shape(b)?.len().checked_sub(2)?);
        let leading = |t: Tensor, count: usize| Some((&graph.shape(t)?[..count], &self.axes(t)?[..count]));
        let (rows, columns) = match (self.axes(a), self.axes(b)) {
            (Some(a), Some(b)) => (a[from_a].clone(), b[from_b + 1].clone()),
            (Some(x), None) => {
                let to = *output.last()?;
                (x[from_a].clone(), mixed(&x[from_a + 1], to, averages(graph, b, 0)))
            }
            (None, Some(x)) => {
                let to = *output.get(output.len() - 2)?;
                (mixed(&x[from_b], to, averages(graph, a, 1)), x[from_b + 1].clone())
            }
            (None, None) => return None,
        };
        let batch = &output[..output.len() - 2];
        let of_batch = [leading(a, from_a), leading(b, from_b)];
        let axis = |i: usize, size: Dim| {
            let own = |(shape, axes): &(&[Dim], &[Axis])| {
                let own = (i + shape.len()).checked_sub(batch.len())?;
                (shape[own] == size).then(|| axes[own].clone())
            };
            of_batch.iter().flatten().find_map(own).unwrap_or_else(|| other(size))
        };
        Some(batch.iter().enumerate().map(|(i, size)| axis(i, *size)).chain([rows, columns]).collect())
    }

    fn gemm(&self, graph: &Graph, node: &Node) -> Option<Vec<Axis>> {
        let (a, b) = (node.inputs[0]?, node.inputs.get(1).copied().flatten()?);
        let output = graph.shape(node.outputs[0]?)?;
        let flipped = |name: &str| usize::from(node.attributes.flag(name));
        let (row, column) = (flipped("transA"), 1 - flipped("transB"));
        Some(match (self.axes(a), self.axes(b)) {
            (Some(a), Some(b)) => vec![a[row].clone(), b[column].clone()],
            (Some(a), None) => vec![a[row].clone(), mixed(&a[1 - row], output[1], false)],
            (None, Some(b)) => vec![mixed(&b[1 - column], output[0], false), b[column].clone()],
            (None, None) => return None,
        })
    }

    fn concatenated(&self, graph: &Graph, node: &Node, along: usize, output: &[Dim]) -> Option<Vec<Axis>> {
        let parts: Vec<(Dim, Option<&[Axis]>)> = node
            .inputs
            .iter()
            .flatten()
            .map(|t| Some((*graph.shape(*t)?.get(along)?, self.axes(*t))))
            .collect::<Option<_>>()?;
        let mut made: Vec<Axis> = Vec::new();
        for (i, size) in output.iter().enumerate() {
            let mut said = parts.iter().filter_map(|(_, axes)| axes.map(|axes| &axes[i]));
            made.push(match said.next() {
                _ if i == along => beside(&parts, along, *size),
                Some(first) if said.all(|next| next == first) => first.clone(),
                _ => other(*size),
            });
        }
        Some(made)
    }
}

/// How many axes space has: two where the input is a picture [N, C, H, W], else as many as the last convolution on the way
/// has, as of a series [N, C, L] or a volume [N, C, D, H, W].
pub(super) fn spatial_axes(graph: &Graph) -> usize {
    let rank = |t: Option<Tensor>| t.and_then(|t| graph.shape(t)).map_or(0, <[Dim]>::len);
    if graph.inputs.iter().any(|t| rank(Some(*t)) == 4) {
        return 2;
    }
    let convolutions = graph.nodes().iter().rev().filter(|n| &*n.op == "Conv" && n.carried.is_none());
    let spatial = convolutions.map(|n| rank(n.inputs[0]).saturating_sub(2)).find(|axes| (1..=MOST).contains(axes));
    spatial.unwrap_or(2)
}

/// The axes of the picture, where the graph or its shape tells the channels from rows and columns.
fn picture(shape: &[Dim], layout: Option<Layout>) -> Vec<Axis> {
    let colours = |i: usize| matches!(shape.get(i).and_then(|d| d.known()), Some(1 | 3));
    let spatial = match (shape.len(), layout, colours(1), colours(3)) {
        (4, Some(Layout::Nchw), ..) | (4, None, true, false) => Some(2),
        (4, Some(Layout::Nhwc), ..) | (4, None, false, true) => Some(1),
        _ => None,
    };
    let axis = |(i, size): (usize, &Dim)| match spatial {
        _ if i == 0 => Factor::plain(Kind::Batch, *size),
        Some(rows) if i == rows || i == rows + 1 => Factor::whole(i - rows, *size),
        Some(_) => Factor::plain(Kind::Pixel, *size),
        None => other(*size),
    };
    shape.iter().enumerate().map(axis).collect()
}

/// What a window that slides along an axis makes of it; `None` where nothing is known of that.
fn slid(axis: &[Factor], node: &Node, spatial: usize, from: Dim, to: Dim) -> Option<Axis> {
    let by_one = node.attributes.ints("strides").get(spatial) == Some(&1);
    match all_of_one(axis) {
        _ if to == Dim::new(1) => Some(Vec::new()),
        Some(which) => Some(Factor::whole(which, to)),
        None if from == to && by_one && !is_of(axis, Kind::Other) => Some(axis.to_vec()),
        None => None,
    }
}

fn pooled(axes: &[Axis], node: &Node, from: &[Dim], to: &[Dim]) -> Vec<Axis> {
    let spatial = (2..to.len()).map(|i| slid(&axes[i], node, i - 2, from[i], to[i]).unwrap_or_else(|| other(to[i])));
    axes[..2].iter().cloned().chain(spatial).collect()
}

/// The same factors in the same order, cut where the new axes end.
fn reshaped(axes: &[Axis], output: &[Dim]) -> Vec<Axis> {
    let mut left: Vec<Factor> = axes.iter().flatten().cloned().rev().collect();
    let mut lost = false;
    let axis = |size: &Dim| {
        let (mut rest, mut axis) = (*size, Vec::new());
        while rest != Dim::new(1) && !lost {
            let next = left.pop();
            match next.as_ref().map(|f| (f, quotient(rest, f.size()), quotient(f.size(), rest))) {
                Some((factor, Some(after), _)) => {
                    axis.push(factor.clone());
                    rest = after;
                }
                Some((factor, _, Some(_))) if let Some((outer, inner)) = factor.split(rest) => {
                    axis.push(outer);
                    left.push(inner);
                    rest = Dim::new(1);
                }
                _ => lost = true,
            }
        }
        if lost { other(*size) } else { axis }
    };
    output.iter().map(axis).collect()
}

/// What a matrix of weights makes of an axis: channels of channels and of what lies within a patch; where it `averages`
/// neighbours along rows or columns, these are there still, more or fewer.
fn mixed(axis: &[Factor], to: Dim, averages: bool) -> Axis {
    let coloured = axis.iter().any(|f| f.is(Kind::Channel) || f.is(Kind::Pixel));
    let size = axis.iter().try_fold(Dim::new(1), |size, f| size.mul(f.size()));
    let local = |f: &Factor| f.is(Kind::Channel) || f.is(Kind::Pixel) || f.is_inner();
    match all_of_one(axis) {
        Some(which) if averages => Factor::whole(which, to),
        _ if axis.iter().all(local) && (coloured || size != Some(to)) => Factor::plain(Kind::Channel, to),
        _ => other(to),
    }
}

/// Whether a constant matrix makes averages: its sums along an axis are all 1, as where a picture is resized.
fn averages(graph: &Graph, matrix: Tensor, along: usize) -> bool {
    const MOST: usize = 1 << 22;
    let Some(constant) = graph.constant(matrix).filter(|c| c.dims().len() == 2 && c.len() <= MOST) else {
        return false;
    };
    let (Ok(values), [rows, columns]) = (constant.to_f64(), constant.dims()) else { return false };
    let at = |i: usize, j: usize| if along == 0 { values[j * columns + i] } else { values[i * columns + j] };
    let (kept, summed) = if along == 0 { (*columns, *rows) } else { (*rows, *columns) };
    (0..kept).all(|i| ((0..summed).map(|j| at(i, j)).sum::<f64>() - 1.0).abs() < 1e-3)
}

/// `count` elements of an axis from `start` by `step`.
fn sliced(axis: &[Factor], extent: Dim, start: i64, step: i64, count: i64) -> Axis {
    let size = Dim::new(count);
    if size == extent && step == 1 {
        return axis.to_vec();
    }
    if size == Dim::new(1) {
        return Vec::new();
    }
    if let Some((before, grid, after)) = tokens(axis).filter(|_| step == 1) {
        let (cells, end) = (cells_of(grid), start + count);
        let (from, to) = (before - start, end - before - cells);
        if from == 0 && to == 0 {
            return grid.to_vec();
        }
        return match (from >= 0 && to >= 0, end <= before || start >= before + cells) {
            (true, _) => vec![Factor::Tokens { before: from, grid: grid.to_vec(), after: to.min(after) }],
            (_, true) => Factor::plain(Kind::Extra, size),
            _ => other(size),
        };
    }
    match (all_of_one(axis), axis) {
        (Some(which), _) if step > 0 => Factor::whole(which, size),
        (_, [Factor::Plain { kind, .. }]) if *kind != Kind::Batch => Factor::plain(*kind, size),
        _ => other(size),
    }
}

/// Axes joined along one: channels of channels, and a grid with what is no grid before and behind it.
fn beside(parts: &[(Dim, Option<&[Axis]>)], along: usize, size: Dim) -> Axis {
    let axis = |part: &(Dim, Option<&[Axis]>)| part.1.map(|axes| axes[along].clone());
    let spatial: Vec<usize> =
        (0..parts.len()).filter(|i| axis(&parts[*i]).is_some_and(|axis| has_space(&axis))).collect();
    if let [one] = spatial.as_slice() {
        let count = |parts: &[(Dim, _)]| parts.iter().map(|(size, _)| size.known()).sum::<Option<i64>>();
        let (Some(before), Some(after)) = (count(&parts[..*one]), count(&parts[one + 1..])) else { return other(size) };
        let grid = axis(&parts[*one]).unwrap_or_default();
        return match tokens(&grid) {
            Some((b, grid, a)) => vec![Factor::Tokens { before: before + b, grid: grid.to_vec(), after: a + after }],
            None if grid.iter().all(|f| matches!(f, Factor::Space { .. })) => {
                vec![Factor::Tokens { before, grid, after }]
            }
            None => other(size),
        };
    }
    let channels = |part: &(Dim, Option<&[Axis]>)| axis(part).is_none_or(|a| a.is_empty() || is_of(&a, Kind::Channel));
    let some = parts.iter().any(|part| axis(part).is_some_and(|a| is_of(&a, Kind::Channel)));
    if some && parts.iter().all(channels) { Factor::plain(Kind::Channel, size) } else { other(size) }
}

/// Elements by constant indices: one takes the axis away.
fn gathered(axes: &[Axis], shape: &[Dim], graph: &Graph, indices: Tensor, along: usize) -> Option<Vec<Axis>> {
    let of_indices = graph.shape(indices)?;
    let axis = axes.get(along)?;
    let extra = gathers_extras(axis, shape.get(along)?.known(), graph, indices);
    let kind = match extra {
        Some(true) => Kind::Extra,
        _ if is_of(axis, Kind::Channel) => Kind::Channel,
        _ => Kind::Other,
    };
    let inserted = of_indices.iter().map(|size| Factor::plain(kind, *size));
    Some(axes[..along].iter().cloned().chain(inserted).chain(axes[along + 1..].iter().cloned()).collect())
}

/// Whether constant indices pick class and register tokens only; `None` where that is no question, or not known.
pub(super) fn gathers_extras(axis: &[Factor], extent: Option<i64>, graph: &Graph, indices: Tensor) -> Option<bool> {
    let (before, grid, _) = tokens(axis)?;
    let indices = graph.constant(indices)?.to_i64().ok()??;
    let extent = extent?;
    let place = |i: &i64| if *i < 0 { i + extent } else { *i };
    Some(indices.iter().map(place).all(|i| i < before || i >= before + cells_of(grid)))
}

/// Whether a slice of an axis takes class and register tokens only.
pub(super) fn slices_extras(axis: &[Factor], start: i64, step: i64, count: i64) -> bool {
    let Some((before, grid, _)) = tokens(axis) else { return false };
    let (cells, last) = (cells_of(grid), start + step * (count - 1));
    let (low, high) = (start.min(last), start.max(last));
    high < before || low >= before + cells
}

fn padded(axes: &[Axis], pads: &[i64], output: &[Dim]) -> Vec<Axis> {
    let axis = |(i, size): (usize, &Dim)| {
        let untouched = [i, i + axes.len()].iter().all(|p| pads.get(*p) == Some(&0));
        match all_of_one(&axes[i]) {
            _ if untouched => axes[i].clone(),
            Some(which) => Factor::whole(which, *size),
            None if is_of(&axes[i], Kind::Channel) => Factor::plain(Kind::Channel, *size),
            None => other(*size),
        }
    };
    output.iter().enumerate().map(axis).collect()
}

fn stretched(axes: &[Axis], from: &[Dim], output: &[Dim]) -> Vec<Axis> {
    let axis = |(i, size): (usize, &Dim)| match (i + from.len()).checked_sub(output.len()) {
        Some(own) if from[own] == *size => axes[own].clone(),
        _ => other(*size),
    };
    output.iter().enumerate().map(axis).collect()
}

fn reduced(axes: &[Axis], over: &[i64], keep: bool) -> Vec<Axis> {
    let axis = |(i, axis): (usize, &Axis)| match over.contains(&(i as i64)) {
        true => keep.then(Vec::new),
        false => Some(axis.clone()),
    };
    axes.iter().enumerate().filter_map(axis).collect()
}

/// Where all that lies within patches or windows is gone (a linear layer or a mean took it), the patches are the cells.
fn coarsened(axes: Vec<Axis>) -> Vec<Axis> {
    let mut axes = axes;
    for which in 0..MOST {
        let mut least = None;
        visit(&mut axes, which, &mut |_, step, _| least = Some(least.map_or(*step, |l: i64| l.min(*step))));
        let Some(least) = least.filter(|least| *least > 1) else { continue };
        visit(&mut axes, which, &mut |_, step, extent| {
            *step /= least;
            *extent /= least;
        });
    }
    axes
}

/// Every factor of rows or of columns: size, step, extent.
fn visit(axes: &mut [Axis], which: usize, see: &mut dyn FnMut(&i64, &mut i64, &mut i64)) {
    for factor in axes.iter_mut().flatten() {
        match factor {
            Factor::Space { axis, size, step, extent } if *axis == which => see(size, step, extent),
            Factor::Tokens { grid, .. } => visit(std::slice::from_mut(grid), which, see),
            _ => {}
        }
    }
}
