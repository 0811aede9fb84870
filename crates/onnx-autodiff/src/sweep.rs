//! The sweep: nodes in reverse order, gradients added where a tensor is used more than once.

use std::collections::{HashMap, HashSet};

use onnx_graph::{Emit, EmitError, Graph, Node, Tensor, printable};

use crate::activation::{Activation, ActivationRule, activations};
use crate::rules::{RULES, Rule};
use crate::vjp::Vjp;

/// Why a computation cannot be differentiated. Each names the node that stands in the way.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)]
pub enum GradientError {
    #[error("cannot differentiate {node}: {reason}\n  it lies between {between}")]
    Node { node: String, reason: String, between: String },
    #[error("the seed of \"{tensor}\", {wanted}, is {found}")]
    Seed { tensor: String, wanted: String, found: String },
    #[error(transparent)]
    Emit(#[from] EmitError),
}

/// Gradients of Σ ⟨tensor, seed⟩ over the `seeds`, with respect to the tensors `wrt`, as new nodes of the graph.
///
/// A seed has the type and shape of its tensor. Only what lies between is swept. The answer has a gradient for each of
/// `wrt`, of its type and shape; `None` where no seed depends on it. At kinks the gradient is a convention, see
/// `docs/gradients.md` and each rule.
///
/// # Errors
/// A node on the way whose operator has no rule, or may not be differentiated, or reads a tensor of unknown shape; a seed
/// that does not fit its tensor. The graph then holds unused nodes more, and is otherwise as before.
pub fn gradient(
    graph: &mut Graph,
    seeds: &[(Tensor, Tensor)],
    wrt: &[Tensor],
) -> Result<Vec<Option<Tensor>>, GradientError> {
    gradient_by(graph, seeds, wrt, ActivationRule::Exact)
}

/// The same with another rule for what activations send back: what is called guided backpropagation and deconvnet, and is no
/// gradient of anything.
///
/// # Errors
/// As [`gradient`].
pub fn gradient_by(
    graph: &mut Graph,
    seeds: &[(Tensor, Tensor)],
    wrt: &[Tensor],
    rule: ActivationRule,
) -> Result<Vec<Option<Tensor>>, GradientError> {
    for (tensor, seed) in seeds {
        check_seed(graph, *tensor, *seed)?;
    }
    let seeded: Vec<Tensor> = seeds.iter().map(|(t, _)| *t).collect();
    let path = between(graph, &seeded, wrt);
    let ends = ends(graph, seeds, wrt);
    let activations = if rule == ActivationRule::Exact { HashMap::new() } else { path.activations(graph) };
    let e = Emit::new(graph);
    let mut gradients: HashMap<Tensor, Tensor> = HashMap::new();
    for (tensor, seed) in seeds {
        add(&e, &mut gradients, *tensor, *seed);
    }
    for index in path.nodes.iter().rev() {
        let node = e.graph().nodes()[*index].clone();
        let activation = node.outputs.iter().flatten().find_map(|t| activations.get(t));
        if let Some(Activation { input, output, .. }) = activation
            && let Some(dy) = gradients.get(output).copied()
        {
            let rectified = e.relu(dy);
            if rule == ActivationRule::Deconvnet {
                add(&e, &mut gradients, *input, rectified);
                continue;
            }
            gradients.insert(*output, rectified);
        }
        let output_grads: Vec<Option<Tensor>> =
            node.outputs.iter().map(|t| t.and_then(|t| gradients.get(&t).copied())).collect();
        if output_grads.iter().all(Option::is_none) {
            continue;
        }
        let stop =
            |reason: String| GradientError::Node { node: e.graph().describe(&node), reason, between: ends.clone() };
        let rule = lookup(&node);
        if let Ok(Rule::Zero) = rule {
            continue;
        }
        if let Some(t) = node.inputs.iter().flatten().find(|t| e.graph().shape(**t).is_none()) {
            let (node, reason) = shape_lost(&e.graph(), &path, &node, *t);
            return Err(GradientError::Node { node, reason, between: ends });
        }
        let Rule::Vjp(rule) = rule.map_err(stop)? else { continue };
        let wanted = node.inputs.iter().map(|t| t.is_some_and(|t| path.tensors.contains(&t))).collect();
        let mut vjp = Vjp::new(&e, &node, wanted, output_grads);
        rule(&mut vjp);
        for (input, gradient) in vjp.finish().map_err(stop)? {
            add(&e, &mut gradients, input, gradient);
        }
        e.take_error().map_or(Ok(()), Err)?;
    }
    Ok(wrt.iter().map(|t| gradients.get(t).copied()).collect())
}

fn check_seed(graph: &Graph, tensor: Tensor, seed: Tensor) -> Result<(), GradientError> {
    let (wanted, found) = (graph.tensor(tensor), graph.tensor(seed));
    if (wanted.dtype, &wanted.shape) == (found.dtype, &found.shape) {
        return Ok(());
    }
    let tensor = printable(&wanted.name);
    Err(GradientError::Seed { tensor, wanted: wanted.signature(), found: found.signature() })
}

fn lookup(node: &Node) -> Result<&'static Rule, String> {
    if let Some(carried) = &node.carried {
        return Err(carried.reason.clone());
    }
    let found = RULES.iter().find(|(op, _)| *op == &*node.op);
    found.map(|(_, rule)| rule).ok_or_else(|| "this operator has no gradient rule yet".to_owned())
}

/// What stands in the way where a node reads a tensor of unknown shape: the node on the way that is not understood
/// and so makes it unknown; else the reader, with the reason.
fn shape_lost(graph: &Graph, path: &Path, reader: &Node, t: Tensor) -> (String, String) {
    let unknown = format!("the shape of \"{}\" is not known", printable(&graph.tensor(t).name));
    let lost = graph.shape_lost_at(t).map(|index| (index, &graph.nodes()[index]));
    match lost.and_then(|(index, node)| Some((index, node, node.carried.as_ref()?.reason.clone()))) {
        Some((index, node, reason)) if path.nodes.contains(&index) => (graph.describe(node), reason),
        Some((_, node, reason)) => {
            let why = format!("{unknown}, as {} is not understood: {reason}", graph.describe(node));
            (graph.describe(reader), why)
        }
        None => (graph.describe(reader), unknown),
    }
}

fn add(e: &Emit, gradients: &mut HashMap<Tensor, Tensor>, tensor: Tensor, gradient: Tensor) {
    let sum = gradients.get(&tensor).map_or(gradient, |earlier| e.add(*earlier, gradient));
    gradients.insert(tensor, sum);
}

/// The activations between the seeds' tensors and `wrt`: what [`gradient_by`] treats by its rule, first to last.
pub fn activations_between(graph: &Graph, ends: &[Tensor], wrt: &[Tensor]) -> Vec<Activation> {
    let path = between(graph, ends, wrt);
    let mut activations: Vec<Activation> = path.activations(graph).into_values().collect();
    activations.sort_by_key(|a| graph.producer_index(a.output));
    activations
}

struct Path {
    /// Indices of the nodes that lie between, ascending.
    nodes: Vec<usize>,
    /// Tensors that depend on one of `wrt`, and these themselves.
    tensors: HashSet<Tensor>,
}

impl Path {
    /// Activations by what they make.
    fn activations(&self, graph: &Graph) -> HashMap<Tensor, Activation> {
        let nodes = self.nodes.iter().map(|index| &graph.nodes()[*index]);
        let found = activations(graph, nodes, |t| self.tensors.contains(&t));
        found.into_iter().map(|a| (a.output, a)).collect()
    }
}

fn between(graph: &Graph, ends: &[Tensor], wrt: &[Tensor]) -> Path {
    let needed = graph.needed_for(ends);
    let mut tensors: HashSet<Tensor> = wrt.iter().copied().collect();
    let mut nodes = Vec::new();
    for (index, node) in graph.nodes().iter().enumerate() {
        if needed[index] && node.inputs.iter().flatten().any(|t| tensors.contains(t)) {
            nodes.push(index);
            tensors.extend(node.outputs.iter().flatten());
        }
    }
    Path { nodes, tensors }
}

fn ends(graph: &Graph, seeds: &[(Tensor, Tensor)], wrt: &[Tensor]) -> String {
    let name = |t: &Tensor| format!("\"{}\"", printable(&graph.tensor(*t).name));
    let from: Vec<String> = wrt.iter().map(name).collect();
    let to: Vec<String> = seeds.iter().map(|(t, _)| name(t)).collect();
    format!("{} and {}", from.join(", "), to.join(", "))
}
