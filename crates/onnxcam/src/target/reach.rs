//! Whether the patches of a token tensor still reach the score.
//!
//! Behind the last attention of a transformer with a class token only that token is read: the gradient at the patches of
//! the last block's output is zero. So for each tensor, from the scores backwards, it is found out of which axes with
//! tokens more than class and register tokens is read.

use std::collections::{BTreeSet, HashMap, HashSet};

use onnx_graph::{Graph, Node, Tensor};

use super::grid::{Axis, Factor, Grids, gathers_extras, slices_extras};

/// What the score reads of each tensor.
#[derive(Debug)]
pub(super) struct Reach {
    /// For each axis of a tensor that is read at all, whether more is read than class and register tokens.
    read: HashMap<Tensor, Vec<bool>>,
    /// Inputs (node, position) through which patches are read.
    live: HashSet<(usize, usize)>,
}

fn has_tokens(axis: &Axis) -> bool {
    axis.iter().any(|f| matches!(f, Factor::Tokens { .. }))
}

impl Reach {
    pub(super) fn of(graph: &Graph, grids: &Grids, scores: Tensor) -> Reach {
        let mut reach = Reach { read: HashMap::new(), live: HashSet::new() };
        let rank = |t: Tensor| graph.shape(t).map_or(0, <[_]>::len);
        reach.read.insert(scores, vec![true; rank(scores)]);
        for (index, node) in graph.nodes().iter().enumerate().rev() {
            for (of, output) in node.outputs.iter().enumerate() {
                let Some(wanted) = output.and_then(|t| reach.read.get(&t).cloned()) else { continue };
                for (position, input) in node.inputs.iter().enumerate() {
                    let Some(input) = *input else { continue };
                    let read = match node.carried {
                        Some(_) => Some(vec![true; rank(input)]),
                        None => wanted_of(graph, grids, node, position, of, &wanted),
                    };
                    let Some(read) = read else { continue };
                    if patches(grids, input, &read) {
                        reach.live.insert((index, position));
                    }
                    let before = reach.read.entry(input).or_insert_with(|| vec![false; read.len()]);
                    before.iter_mut().zip(read).for_each(|(before, now)| *before |= now);
                }
            }
        }
        reach
    }

    /// Whether the patches of a tensor, or what it has in their place, are read.
    pub(super) fn is_live(&self, grids: &Grids, t: Tensor) -> bool {
        self.read.get(&t).is_some_and(|read| patches(grids, t, read))
    }

    /// Tensors behind `start` that all its patches pass through on their way to the first weights, first to last.
    ///
    /// Behind the last attention a residual way past it carries nothing but the class token, so that the patches pass
    /// through the normalisation before that attention.
    pub(super) fn passed_behind(&self, graph: &Graph, start: Tensor) -> Vec<Tensor> {
        let mut last_read: HashMap<Tensor, usize> = HashMap::from([(start, 0)]);
        let mut region: Vec<usize> = Vec::new();
        for (index, node) in graph.nodes().iter().enumerate() {
            let from = node.inputs.iter().enumerate().filter(|(position, _)| self.live.contains(&(index, *position)));
            let from: Vec<Tensor> = from.filter_map(|(_, t)| *t).filter(|t| last_read.contains_key(t)).collect();
            if from.is_empty() {
                continue;
            }
            let weighs = matches!(&*node.op, "MatMul" | "Gemm" | "Conv" | "ConvTranspose") || node.carried.is_some();
            for t in from {
                let last = last_read.entry(t).or_default();
                *last = if weighs { usize::MAX } else { index.max(*last) };
            }
            if !weighs {
                last_read.extend(node.outputs.iter().flatten().map(|t| (*t, index)));
                region.push(index);
            }
        }
        let mut open = BTreeSet::from([start]);
        let mut passed = Vec::new();
        for index in region {
            open.extend(graph.nodes()[index].outputs.iter().flatten());
            open.retain(|t| last_read.get(t).is_some_and(|last| *last > index));
            if let (Some(only), 1) = (open.first(), open.len()) {
                passed.push(*only);
            }
        }
        passed
    }
}

fn patches(grids: &Grids, t: Tensor, read: &[bool]) -> bool {
    let Some(axes) = grids.axes(t) else { return true };
    axes.iter().zip(read).all(|(axis, read)| *read || !has_tokens(axis))
}

/// What is read of an input where `wanted` is what is read of output `of`; `None` where it is nothing.
fn wanted_of(
    graph: &Graph,
    grids: &Grids,
    node: &Node,
    position: usize,
    of: usize,
    wanted: &[bool],
) -> Option<Vec<bool>> {
    let input = node.inputs[position]?;
    let shape = graph.shape(input).unwrap_or_default();
    let output = node.outputs[of].and_then(|t| graph.shape(t)).unwrap_or_default();
    let all = vec![true; shape.len()];
    if wanted.len() != output.len() {
        return Some(all);
    }
    let axes = |t: Tensor| grids.axes(t).unwrap_or_default();
    let tokens_at = |t: Tensor, i: usize| axes(t).get(i).is_some_and(has_tokens);
    // Axes counted from the last, those that were repeated read as a whole.
    let aligned = || {
        let own = |i: usize| (i + output.len()).checked_sub(shape.len()).filter(|o| output[*o] == shape[i]);
        (0..shape.len()).map(|i| own(i).is_none_or(|o| wanted[o])).collect::<Vec<bool>>()
    };
    let a = &node.attributes;
    let made = node.outputs[of]?;
    let read = match &*node.op {
        "Transpose" => {
            let mut read = all;
            a.ints("perm").iter().zip(wanted).for_each(|(from, wanted)| read[*from as usize] = *wanted);
            read
        }
        "Reshape" => {
            let holding = |t: Tensor| (0..axes(t).len()).filter(move |i| tokens_at(t, *i)).collect::<Vec<_>>();
            let (from, to) = (holding(input), holding(made));
            let mut read = all;
            if from.len() == to.len() {
                from.iter().zip(to).for_each(|(from, to)| read[*from] = wanted[to]);
            }
            read
        }
        "MatMul" if shape.len() >= 2 && output.len() >= 2 => {
            let mut read = aligned();
            let (rows, columns) = (shape.len() - 2, shape.len() - 1);
            read[rows] = position == 1 || wanted[output.len() - 2];
            read[columns] = position == 0 || wanted[output.len() - 1];
            read
        }
        "Gemm" if position < 2 => {
            let flipped = a.flag(["transA", "transB"][position]);
            let mut read = all;
            read[usize::from(flipped != (position == 1))] = wanted[position];
            read
        }
        "Slice" => {
            let mut read = wanted.to_vec();
            let ranges = a.ints("starts").iter().zip(a.ints("steps")).zip(a.ints("counts"));
            for (axis, ((start, step), count)) in a.ints("axes").iter().zip(ranges) {
                read[*axis as usize] =
                    of_part(axes(input), axes(made), *axis as usize, (*start, *step, *count), wanted);
            }
            read
        }
        "Split" => {
            let along = a.int("axis") as usize;
            let start = a.ints("split")[..of].iter().sum();
            let mut read = wanted.to_vec();
            read[along] = of_part(axes(input), axes(made), along, (start, 1, a.ints("split")[of]), wanted);
            read
        }
        "Gather" if position == 0 => {
            let along = a.int("axis") as usize;
            let indices = node.inputs.get(1).copied().flatten()?;
            let extent = shape.get(along).and_then(|d| d.known());
            let extras = axes(input).get(along).and_then(|axis| gathers_extras(axis, extent, graph, indices));
            let behind = &wanted[along + graph.shape(indices)?.len()..];
            [&wanted[..along], &[extras != Some(true)], behind].concat()
        }
        "Concat" => {
            let along = a.int("axis") as usize;
            let mut read = wanted.to_vec();
            let is_grid = axes(input).get(along).is_some_and(|axis| axis.iter().any(Factor::is_spatial));
            if !wanted[along] && is_grid && tokens_at(made, along) && !tokens_at(input, along) {
                return None;
            }
            read[along] = wanted[along] || !tokens_at(input, along);
            read
        }
        "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceProd" | "ArgMax" => {
            let one = [a.get("axis").map_or(-1, |_| a.int("axis"))];
            let over = if &*node.op == "ArgMax" { &one[..] } else { a.ints("axes") };
            let (mut left, keep) = (wanted.iter(), a.flag("keepdims"));
            let axis = |i: usize| {
                let gone = over.contains(&(i as i64));
                let wanted = if gone && !keep { None } else { left.next() };
                gone || wanted.is_none_or(|wanted| *wanted)
            };
            (0..shape.len()).map(axis).collect()
        }
        "Softmax" | "LogSoftmax" | "CumSum" => {
            let mut read = wanted.to_vec();
            read[a.int("axis") as usize] = true;
            read
        }
        "Conv" | "ConvTranspose" | "MaxPool" | "AveragePool" | "GlobalAveragePool" | "GlobalMaxPool" | "LRN"
        | "DepthToSpace" | "TopK" | "GatherElements" | "ScatterElements" | "Gather" => all,
        _ => aligned(),
    };
    Some(read)
}

/// Whether a slice (start, step, count) of an axis reads patches.
fn of_part(input: &[Axis], output: &[Axis], along: usize, part: (i64, i64, i64), wanted: &[bool]) -> bool {
    let (start, step, count) = part;
    if input.get(along).is_some_and(|axis| slices_extras(axis, start, step, count)) {
        return false;
    }
    wanted[along] || !output.get(along).is_some_and(has_tokens)
}
