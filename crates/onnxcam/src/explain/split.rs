//! The explained graph in two: what comes before the target layer, and what depends on it.
//!
//! The *backbone* makes the feature maps A of a picture, the *tail* makes scores, class and maps of them. One pass of the
//! backbone serves any number of classes, and any number of changed feature maps.

use std::collections::HashSet;

use onnx_graph::{Dim, Graph, Tensor, cut};

use super::plan::Plan;

/// A plan's graph, cut at its target layer.
///
/// The tail is every node that depends on A or on the class asked for, gradients included. Where the layer is not all
/// that it reads, for `--layer` may name one that paths lead around, the backbone hands it the rest, too. What depends
/// on no picture stands in both.
#[derive(Clone, Debug)]
pub struct Split {
    /// The picture to A, and behind it what else is handed over.
    pub backbone: Graph,
    /// What was handed over, and last the class asked for, to the tensors wanted.
    pub tail: Graph,
}

impl Split {
    /// Cuts a plan where its tail is to compute `wanted`. `None` where something handed over has no row for each picture:
    /// such a graph runs whole only. So does one whose target layer is the picture.
    pub fn of(plan: &Plan, wanted: &[Tensor]) -> Option<Split> {
        let rows = is_a_row_a_picture(&plan.graph, plan.layer.tensor, plan.fixed_batch());
        if rows { Split::wherever_pictures_lie(plan, wanted) } else { None }
    }

    /// The same of a layer that need not hold a row a picture, for one picture at a time: its view tells where they lie.
    pub(super) fn wherever_pictures_lie(plan: &Plan, wanted: &[Tensor]) -> Option<Split> {
        let graph = &plan.graph;
        let features = plan.layer.tensor;
        if features == plan.input || plan.fixed_batch().is_some_and(|batch| batch != 1) {
            return None;
        }
        let behind = depending(graph, &[features, plan.target]);
        let on_picture = depending(graph, &[plan.input]);
        let needed = graph.needed_for(wanted);
        let in_tail = graph.nodes().iter().zip(needed).filter(|(node, needed)| {
            *needed && node.outputs.iter().flatten().any(|t| behind.contains(t) && *t != features)
        });
        let read = in_tail.flat_map(|(node, _)| node.inputs.iter().flatten()).chain(wanted);
        let mut handed = vec![features];
        for t in read.filter(|t| on_picture.contains(t) && !behind.contains(t)) {
            if !handed.contains(t) {
                handed.push(*t);
            }
        }
        if !handed.iter().skip(1).all(|t| is_a_row_a_picture(graph, *t, plan.fixed_batch())) {
            return None;
        }
        let given: Vec<Tensor> = handed.iter().copied().chain([plan.target]).collect();
        Some(Split { backbone: cut(graph, &[plan.input], &handed), tail: cut(graph, &given, wanted) })
    }
}

/// Whether what a tensor holds of one picture is its row, whatever the batch; of a fixed batch, only of one picture.
fn is_a_row_a_picture(graph: &Graph, t: Tensor, fixed: Option<usize>) -> bool {
    if let Some(batch) = fixed {
        return batch == 1;
    }
    let shape = graph.shape(t).and_then(|shape| shape.split_first());
    shape.is_some_and(|(first, rest)| *first == Dim::BATCH && rest.iter().all(|d| !d.is_symbolic()))
}

/// These tensors and everything that is computed from them.
pub(crate) fn depending(graph: &Graph, on: &[Tensor]) -> HashSet<Tensor> {
    let mut found: HashSet<Tensor> = on.iter().copied().collect();
    for node in graph.nodes() {
        // What makes one of them does not depend on it.
        if node.inputs.iter().flatten().any(|t| found.contains(t)) {
            found.extend(node.outputs.iter().flatten());
        }
    }
    found
}
