//! A graph copied node by node, with some nodes replaced on the way, or in part.

use std::collections::{HashMap, HashSet};

use crate::emit::{Emit, EmitError};
use crate::graph::{Graph, Node, Tensor};

/// Copies what `outputs` need into a new graph with those outputs; tensors keep their names.
///
/// `replace` is asked for each node, with its inputs in the new graph: it emits another computation and answers its
/// outputs, or `None` to have the node copied. Names of replaced outputs pass on to what replaces them.
pub fn rewrite(
    graph: &Graph,
    outputs: &[Tensor],
    replace: impl Fn(&Emit, &Node, &[Option<Tensor>]) -> Option<Vec<Tensor>>,
) -> Result<Graph, EmitError> {
    let mut copy = Graph::new();
    copy.opsets = graph.opsets.clone();
    copy.functions = graph.functions.clone();
    copy.reserve_as(graph);
    let mut map: HashMap<Tensor, Tensor> = HashMap::new();
    for input in &graph.inputs {
        let t = copy.add_tensor(graph.tensor(*input).clone());
        copy.inputs.push(t);
        map.insert(*input, t);
    }
    let needed = graph.needed_for(outputs);
    for (node, _) in graph.nodes().iter().zip(needed).filter(|(_, needed)| *needed) {
        let inputs: Vec<Option<Tensor>> =
            node.inputs.iter().map(|t| t.map(|t| mapped(graph, &mut copy, &mut map, t))).collect();
        let e = Emit::new(&mut copy);
        let replaced = replace(&e, node, &inputs);
        e.finish()?;
        match replaced {
            Some(made) => {
                for (old, new) in node.outputs.iter().zip(made) {
                    if let Some(old) = old {
                        map.insert(*old, new);
                        copy.name(new, &graph.tensor(*old).name);
                    }
                }
            }
            None => {
                let outputs = node.outputs.iter().map(|t| t.map(|t| mapped(graph, &mut copy, &mut map, t)));
                let outputs = outputs.collect();
                copy.push(Node { inputs, outputs, ..node.clone() });
            }
        }
    }
    copy.outputs = outputs.iter().map(|t| mapped(graph, &mut copy, &mut map, *t)).collect();
    Ok(copy)
}

/// The part of a graph that computes `outputs` from `inputs`, which it is given instead of computing them.
///
/// Its inputs are `inputs`, in this order, and behind them those of the graph that are still needed; tensors keep their
/// names. What makes an input is left out, unless another of its outputs is needed.
pub fn cut(graph: &Graph, inputs: &[Tensor], outputs: &[Tensor]) -> Graph {
    let given: HashSet<Tensor> = inputs.iter().copied().collect();
    let mut needed = vec![false; graph.nodes().len()];
    let mut open: Vec<Tensor> = outputs.to_vec();
    let mut reached: HashSet<Tensor> = HashSet::new();
    while let Some(t) = open.pop() {
        if given.contains(&t) || !reached.insert(t) {
            continue;
        }
        if let Some(index) = graph.producer_index(t)
            && !std::mem::replace(&mut needed[index], true)
        {
            open.extend(graph.nodes()[index].inputs.iter().flatten());
        }
    }
    let mut copy = Graph::new();
    copy.opsets = graph.opsets.clone();
    copy.functions = graph.functions.clone();
    let mut map: HashMap<Tensor, Tensor> = HashMap::new();
    let still_needed = graph.inputs.iter().filter(|t| reached.contains(t) && !given.contains(t));
    for input in inputs.iter().chain(still_needed) {
        let t = mapped(graph, &mut copy, &mut map, *input);
        copy.inputs.push(t);
    }
    for (node, _) in graph.nodes().iter().zip(needed).filter(|(_, needed)| *needed) {
        let mut of = |tensors: &[Option<Tensor>]| -> Vec<Option<Tensor>> {
            tensors.iter().map(|t| t.map(|t| mapped(graph, &mut copy, &mut map, t))).collect()
        };
        let inputs = of(&node.inputs);
        // An output that is given is not made a second time.
        let made: Vec<Option<Tensor>> = node.outputs.iter().map(|t| t.filter(|t| !given.contains(t))).collect();
        let outputs = of(&made);
        copy.push(Node { inputs, outputs, ..node.clone() });
    }
    copy.outputs = outputs.iter().map(|t| mapped(graph, &mut copy, &mut map, *t)).collect();
    copy
}

fn mapped(graph: &Graph, copy: &mut Graph, map: &mut HashMap<Tensor, Tensor>, t: Tensor) -> Tensor {
    *map.entry(t).or_insert_with(|| copy.add_tensor(graph.tensor(t).clone()))
}
