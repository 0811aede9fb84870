//! A graph copied node by node, with some nodes replaced on the way.

use std::collections::HashMap;

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

fn mapped(graph: &Graph, copy: &mut Graph, map: &mut HashMap<Tensor, Tensor>, t: Tensor) -> Tensor {
    *map.entry(t).or_insert_with(|| copy.add_tensor(graph.tensor(t).clone()))
}
