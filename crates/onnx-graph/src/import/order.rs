//! Which node stands behind which.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::model::ModelError;
use crate::proto::{GraphProto, NodeProto};
use crate::text::printable;

/// A file's node in words.
pub(crate) fn describe(proto: &NodeProto) -> String {
    let op = printable(proto.op_type.as_deref().unwrap_or("?"));
    match proto.name.as_deref().filter(|n| !n.is_empty()) {
        Some(name) => format!("`{op}` (node \"{}\")", printable(name)),
        None => {
            let made = proto.output.iter().find(|o| !o.is_empty());
            format!("`{op}` (the node that makes \"{}\")", printable(made.map_or("", String::as_str)))
        }
    }
}

/// Indices of the nodes so that each stands behind what it reads; the file's order where that is one already.
pub(super) fn topological_order(nodes: &[NodeProto]) -> Result<Vec<usize>, ModelError> {
    let mut maker: HashMap<&str, usize> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            if let Some(earlier) = maker.insert(output, index) {
                return Err(ModelError::MadeTwice {
                    tensor: printable(output),
                    first: describe(&nodes[earlier]),
                    second: describe(node),
                });
            }
        }
    }
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut waiting = vec![0usize; nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        let makers: HashSet<usize> = reads(node).filter_map(|name| maker.get(name).copied()).collect();
        waiting[index] = makers.len();
        makers.into_iter().for_each(|m| readers[m].push(index));
    }
    let mut ready: BTreeSet<usize> = (0..nodes.len()).filter(|i| waiting[*i] == 0).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(index) = ready.pop_first() {
        order.push(index);
        for reader in &readers[index] {
            waiting[*reader] -= 1;
            if waiting[*reader] == 0 {
                ready.insert(*reader);
            }
        }
    }
    match (0..nodes.len()).find(|i| waiting[*i] > 0) {
        Some(stuck) => Err(ModelError::Cycle { node: describe(on_cycle(nodes, &maker, &waiting, stuck)) }),
        None => Ok(order),
    }
}

/// A node of the cycle that `stuck`, directly or not, waits for.
fn on_cycle<'n>(
    nodes: &'n [NodeProto],
    maker: &HashMap<&str, usize>,
    waiting: &[usize],
    stuck: usize,
) -> &'n NodeProto {
    let mut at = stuck;
    for _ in 0..nodes.len() {
        let before = reads(&nodes[at]).filter_map(|name| maker.get(name).copied()).find(|m| waiting[*m] > 0);
        at = before.unwrap_or(at); // As many steps as there are nodes end on the cycle.
    }
    &nodes[at]
}

/// The names that a node reads: its inputs, and what its subgraphs capture.
pub(crate) fn reads(node: &NodeProto) -> impl Iterator<Item = &str> {
    node.input.iter().map(String::as_str).filter(|name| !name.is_empty()).chain(captured(node))
}

/// The names that a node's subgraphs read from around them, each once, in order.
pub(crate) fn captured(node: &NodeProto) -> Vec<&str> {
    let mut names = Vec::new();
    let mut seen = HashSet::new();
    for graph in subgraphs(node) {
        names.extend(free(graph).into_iter().filter(|name| seen.insert(*name)));
    }
    names
}

pub(crate) fn subgraphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs))
}

/// The names that a graph reads and does not make.
pub(super) fn free(graph: &GraphProto) -> Vec<&str> {
    let inputs = graph.input.iter().filter_map(|v| v.name.as_deref());
    let weights = graph.initializer.iter().filter_map(|t| t.name.as_deref());
    let sparse = graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref()?.name.as_deref());
    let made = graph.node.iter().flat_map(|n| n.output.iter().map(String::as_str));
    let own: HashSet<&str> = inputs.chain(weights).chain(sparse).chain(made).collect();
    let outputs = graph.output.iter().filter_map(|v| v.name.as_deref());
    let read = graph.node.iter().flat_map(reads).collect::<Vec<_>>().into_iter().chain(outputs);
    read.filter(|name| !name.is_empty() && !own.contains(name)).collect()
}
