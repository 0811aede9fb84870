//! A graph as text, one node a line, made for reading and for snapshot tests.

use std::fmt::Write as _;

use crate::graph::{Graph, Known, Node, Tensor};
use crate::text::printable;

/// The graph as text:
///
/// ```text
/// input: f32[N,3,224,224]
/// %conv1 = Conv(input, conv1.weight) {kernel_shape=[7,7], …} : f32[N,64,112,112]
/// return %fc
/// ```
pub fn dump(graph: &Graph) -> String {
    let mut text = String::new();
    for input in &graph.inputs {
        let info = graph.tensor(*input);
        let _ = writeln!(text, "{}: {}", printable(&info.name), info.signature());
    }
    for node in graph.nodes() {
        let _ = writeln!(text, "{}", line(graph, node));
    }
    let outputs: Vec<String> = graph.outputs.iter().map(|t| reference(graph, *t)).collect();
    let _ = writeln!(text, "return {}", outputs.join(", "));
    text
}

fn line(graph: &Graph, node: &Node) -> String {
    let list = |tensors: &[Option<Tensor>]| {
        let shown: Vec<String> = tensors.iter().map(|t| t.map_or("_".to_owned(), |t| reference(graph, t))).collect();
        shown.join(", ")
    };
    let domain = node.carried.as_ref().map_or("", |c| c.domain.as_str());
    let separator = if domain.is_empty() { "" } else { ":" };
    let op = format!("{}{separator}{}", printable(domain), printable(&node.op));
    let attributes: Vec<String> = match &node.carried {
        Some(carried) => carried.attributes.iter().map(|a| format!("{}=…", printable(a.name()))).collect(),
        None => node.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect(),
    };
    let attributes = if attributes.is_empty() { String::new() } else { format!(" {{{}}}", attributes.join(", ")) };
    let made: Vec<String> = node.outputs.iter().flatten().map(|t| graph.tensor(*t).signature()).collect();
    format!("{} = {op}({}){attributes} : {}", list(&node.outputs), list(&node.inputs), made.join(", "))
}

/// A computed tensor as `%name`, a small constant as its value, anything else as its name.
fn reference(graph: &Graph, t: Tensor) -> String {
    let info = graph.tensor(t);
    let name = printable(&info.name);
    match &info.known {
        Some(Known::Constant(c)) if c.len() == 1 && name.starts_with(crate::PREFIX) => {
            let value = c.to_f64().ok().and_then(|v| v.first().copied());
            value.map_or(name, |v| v.to_string())
        }
        Some(Known::Constant(_)) => name,
        Some(Known::Dims(dims)) => format!("{dims:?}"),
        None if graph.producer_index(t).is_some() => format!("%{name}"),
        None => name,
    }
}
