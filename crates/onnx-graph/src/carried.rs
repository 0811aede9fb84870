//! Writing nodes that are carried as the file has them: what they need besides themselves, and whether they still mean
//! the same in a newer opset.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::graph::{Carried, Graph, Node};
use crate::import::subgraphs;
use crate::proto::{AttributeProto, FunctionProto, GraphProto, NodeProto};

/// Standard operators that older files write in a form that is no longer valid, or means something else, from this
/// opset on. From one opset to the next others gained only attributes with a default, optional inputs or types.
const CHANGED: &[(&str, i64)] = &[
    ("BatchNormalization", 14),
    ("Clip", 11),
    ("Dropout", 12),
    ("Hardmax", 13),
    ("LogSoftmax", 13),
    ("Pad", 11),
    ("ReduceSum", 13),
    ("Resize", 11),
    ("RoiAlign", 16),
    ("Scan", 9),
    ("Scatter", 11),
    ("Slice", 10),
    ("Softmax", 13),
    ("Split", 13),
    ("Squeeze", 13),
    ("TopK", 10),
    ("Unsqueeze", 13),
    ("Upsample", 9),
    ("Upsample", 10),
];

fn is_standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// The standard opset that the graph's carried nodes are written in, if there are such nodes.
pub(crate) fn opset_of(graph: &Graph) -> Option<i64> {
    let standard = |n: &Node| n.carried.as_ref().is_some_and(|c| !parts(&n.op, c).is_empty());
    let versions = graph.opsets.iter().filter(|(d, _)| is_standard(d)).map(|(_, version)| *version);
    graph.nodes().iter().any(standard).then(|| versions.max()).flatten()
}

/// Why a carried node does not mean the same in opset `to` as in the file's, `from`: an operator in it, and the opset
/// that changed it.
pub(crate) fn outlived<'n>(op: &'n str, carried: &'n Carried, from: i64, to: i64) -> Option<(&'n str, i64)> {
    changed(parts(op, carried).into_iter(), from, to)
}

/// The same of a node as the file has it.
pub(crate) fn outlived_in_file(node: &NodeProto, from: i64, to: i64) -> Option<(&str, i64)> {
    let own = is_standard(domain(node)).then(|| node.op_type.as_deref().unwrap_or(""));
    let inner = inner_nodes(node.attribute.iter()).into_iter().filter(|n| is_standard(domain(n)));
    let ops = own.into_iter().chain(inner.map(|n| n.op_type.as_deref().unwrap_or("")));
    changed(ops, from, to)
}

fn changed<'n>(mut ops: impl Iterator<Item = &'n str>, from: i64, to: i64) -> Option<(&'n str, i64)> {
    ops.find_map(|op| {
        let changed = CHANGED.iter().find(|(name, since)| *name == op && from < *since && *since <= to);
        changed.map(|(_, since)| (op, *since))
    })
}

/// The standard operators of a carried node: its own, and those of its subgraphs.
fn parts<'n>(op: &'n str, carried: &'n Carried) -> Vec<&'n str> {
    let mut ops: Vec<&str> = is_standard(&carried.domain).then_some(op).into_iter().collect();
    let inner = inner_nodes(carried.attributes.iter());
    ops.extend(inner.into_iter().filter(|n| is_standard(domain(n))).map(|n| n.op_type.as_deref().unwrap_or("")));
    ops
}

fn domain(node: &NodeProto) -> &str {
    node.domain.as_deref().unwrap_or("")
}

fn inner_nodes<'n>(attributes: impl Iterator<Item = &'n AttributeProto>) -> Vec<&'n NodeProto> {
    let mut nodes = Vec::new();
    let mut open: Vec<&GraphProto> = attributes.flat_map(|a| a.g.iter().chain(&a.graphs)).collect();
    while let Some(graph) = open.pop() {
        nodes.extend(&graph.node);
        open.extend(graph.node.iter().flat_map(subgraphs));
    }
    nodes
}

/// The local functions and foreign domains that these nodes need.
pub(crate) fn needs<'n>(
    graph: &Graph,
    nodes: impl Iterator<Item = &'n Node>,
) -> (Vec<FunctionProto>, Vec<(String, i64)>) {
    let mut domains: BTreeSet<String> = BTreeSet::new();
    let mut open: Vec<&NodeProto> = Vec::new();
    for carried in nodes.filter_map(|n| n.carried.as_ref()) {
        domains.insert(carried.domain.clone());
        open.extend(inner_nodes(carried.attributes.iter()));
    }
    let mut called: HashSet<usize> = HashSet::new();
    while let Some(node) = open.pop() {
        domains.insert(domain(node).to_owned());
        let calls = |f: &FunctionProto| {
            (f.domain(), f.name(), f.overload()) == (node.domain(), node.op_type(), node.overload())
        };
        let Some(index) = graph.functions.iter().position(calls) else { continue };
        if called.insert(index) {
            let body = &graph.functions[index].node;
            open.extend(body.iter().chain(body.iter().flat_map(|n| inner_nodes(n.attribute.iter()))));
        }
    }
    let mut called: Vec<usize> = called.into_iter().collect();
    called.sort_unstable();
    let functions = called.into_iter().map(|i| graph.functions[i].clone()).collect();
    let foreign = graph.opsets.iter().filter(|(d, _)| !is_standard(d) && domains.contains(d)).cloned();
    (functions, foreign.collect())
}

/// A carried node's attributes, with what its subgraphs capture read under these names instead.
pub(crate) fn attributes(carried: &Carried, now: &[String]) -> Vec<AttributeProto> {
    let renamed: HashMap<&str, &str> = carried
        .captured
        .iter()
        .zip(now)
        .filter(|(old, new)| old != new)
        .map(|(o, n)| (o.as_str(), n.as_str()))
        .collect();
    let mut attributes = carried.attributes.clone();
    if !renamed.is_empty() {
        attributes.iter_mut().flat_map(|a| a.g.iter_mut().chain(&mut a.graphs)).for_each(|g| rename(g, &renamed));
    }
    attributes
}

/// Names inside a subgraph differ from those around it, so that each occurrence is a captured one.
fn rename(graph: &mut GraphProto, names: &HashMap<&str, &str>) {
    let outputs = graph.output.iter_mut().filter_map(|v| v.name.as_mut());
    for name in outputs.chain(graph.node.iter_mut().flat_map(|n| &mut n.input)) {
        if let Some(new) = names.get(name.as_str()) {
            *name = (*new).to_owned();
        }
    }
    let inner = graph.node.iter_mut().flat_map(|n| &mut n.attribute);
    inner.flat_map(|a| a.g.iter_mut().chain(&mut a.graphs)).for_each(|g| rename(g, names));
}

impl Carried {
    /// How many of a node's inputs are its own, not captured ones.
    pub(crate) fn own_inputs(&self, inputs: usize) -> usize {
        inputs - self.captured.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(attributes: Vec<AttributeProto>) -> Carried {
        Carried { domain: String::new(), overload: String::new(), attributes, captured: vec![], reason: String::new() }
    }

    #[test]
    fn what_a_newer_opset_changed() {
        assert_eq!(outlived("Resize", &carried(vec![]), 10, 17), Some(("Resize", 11)));
        assert_eq!(outlived("Resize", &carried(vec![]), 11, 17), None);
        assert_eq!(outlived("Upsample", &carried(vec![]), 9, 17), Some(("Upsample", 10)));
        assert_eq!(outlived("Elu", &carried(vec![]), 7, 17), None);
        let squeeze = NodeProto { op_type: Some("Squeeze".to_owned()), ..Default::default() };
        let body = GraphProto { node: vec![squeeze], ..Default::default() };
        let branch = AttributeProto { g: Some(body), ..Default::default() };
        assert_eq!(outlived("If", &carried(vec![branch.clone()]), 12, 17), Some(("Squeeze", 13)));
        assert_eq!(outlived("If", &carried(vec![branch]), 13, 17), None);
    }
}
