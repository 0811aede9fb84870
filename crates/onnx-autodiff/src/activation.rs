//! Activations: what guided backpropagation and deconvnet change.
//!
//! Both were defined for networks whose only activation is Y = max(X, 0). Here an activation is whatever bends element by
//! element and is not merely a gate, a factor of other tensors and nothing else: a rectifier, leaky or capped ones too, and
//! any Y = f(X) that several nodes make of one tensor, as exporters write SiLU (X · σ(X)), GELU (X · (1 + erf(X/√2))), Mish,
//! ELU or PReLU. For these the rules are
//! generalised: what is sent back through Y is rectified first, then
//! - *guided*: differentiated as always, dX = relu(dY) f′(X);
//! - *deconvnet*: sent on as it is, dX = relu(dY).
//!
//! With f = relu that is Springenberg et al. 2015 and Zeiler & Fergus 2014.

use std::collections::{HashMap, HashSet};

use onnx_graph::{Graph, Node, Tensor};

/// What an activation sends back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ActivationRule {
    /// Its derivative: dX = dY f′(X).
    #[default]
    Exact,
    /// Guided backpropagation (Springenberg et al. 2015, arXiv 1412.6806): dX = relu(dY) f′(X).
    Guided,
    /// Deconvnet (Zeiler & Fergus 2014, arXiv 1311.2901): dX = relu(dY).
    Deconvnet,
}

/// Y = f(X), element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activation {
    /// X.
    pub input: Tensor,
    /// Y.
    pub output: Tensor,
    /// Whether f is max(X, 0), capped or not: what the rules were published for.
    pub is_rectifier: bool,
}

/// Activations of one node.
fn alone(node: &Node) -> Option<bool> {
    let floor = || node.attributes.float("min");
    match &*node.op {
        "Relu" => Some(true),
        "Clip" if floor() == 0.0 => Some(true),
        "LeakyRelu" | "HardSwish" | "Swish" => Some(false),
        _ => None,
    }
}

/// Operators that work element by element.
const ELEMENTWISE: &[&str] =
    &["Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Where", "Neg", "Cast", "Not", "And", "Or", "Equal"];

/// Those of them, and others, that bend.
const BENDING: &[&str] = &[
    "Relu",
    "LeakyRelu",
    "Clip",
    "Sigmoid",
    "HardSigmoid",
    "HardSwish",
    "Swish",
    "Tanh",
    "Exp",
    "Log",
    "Sqrt",
    "Reciprocal",
    "Abs",
    "Erf",
    "Min",
    "Max",
    "Greater",
    "Less",
    "GreaterOrEqual",
    "LessOrEqual",
];

/// What a tensor was made of, element by element: each tensor, and whether anything bends between it and the one before.
type Line = Vec<(Tensor, bool)>;

/// The activations among some nodes of a graph, given in topological order, that make something of `varying` tensors. Of one
/// inside another only the outer counts.
pub(crate) fn activations<'g>(
    graph: &Graph,
    nodes: impl Iterator<Item = &'g Node>,
    varying: impl Fn(Tensor) -> bool,
) -> Vec<Activation> {
    let mut lines: HashMap<Tensor, Line> = HashMap::new();
    let mut found: Vec<Activation> = Vec::new();
    let mut read_by: Readers = HashMap::new();
    for node in nodes {
        let computed = node.inputs.iter().flatten().copied().filter(|t| varying(*t));
        let distinct: HashSet<Tensor> = computed.collect();
        let alone_scaled = distinct.len() == 1 && matches!(&*node.op, "Mul" | "Div" | "Reshape");
        for t in &distinct {
            let made = node.outputs.first().copied().flatten().filter(|_| alone_scaled);
            read_by.entry(*t).or_default().push((made, &*node.op == "Mul" && distinct.len() > 1));
        }
        let &[Some(output)] = node.outputs.as_slice() else { continue };
        if node.carried.is_some() {
            continue;
        }
        let bends = BENDING.contains(&&*node.op);
        if !bends && !ELEMENTWISE.contains(&&*node.op) {
            continue;
        }
        let mut operands: Vec<Tensor> = node.inputs.iter().flatten().copied().filter(|t| varying(*t)).collect();
        operands.dedup();
        if operands.is_empty() || operands.iter().any(|t| graph.shape(*t) != graph.shape(output)) {
            continue;
        }
        let line = |t: &Tensor| lines.get(t).cloned().unwrap_or_else(|| vec![(*t, false)]);
        let of: Vec<Line> = operands.iter().map(line).collect();
        let Some((common, bent)) = meeting_point(&of) else { continue };
        if operands.len() > 1 && bent {
            let inside =
                |t: Tensor| of.iter().any(|l| l.iter().take_while(|(at, _)| *at != common).any(|(at, _)| *at == t));
            found.retain(|a| !inside(a.output));
            found.push(Activation { input: common, output, is_rectifier: false });
        } else if let Some(is_rectifier) = alone(node) {
            found.push(Activation { input: common, output, is_rectifier });
        }
        let before = line(&common);
        let rest = before.into_iter().enumerate().map(|(i, (t, b))| if i == 0 { (t, bends || bent) } else { (t, b) });
        lines.insert(output, [(output, false)].into_iter().chain(rest).collect());
    }
    let gates: Vec<Tensor> = found.iter().map(|a| a.output).filter(|t| is_gate(&read_by, *t)).collect();
    found.retain(|a| !gates.contains(&a.output));
    found
}

/// Who reads a tensor: what they make of it, and whether that is a product with another computed tensor.
type Readers = HashMap<Tensor, Vec<(Option<Tensor>, bool)>>;

/// Whether a tensor, multiplied with constants perhaps, does nothing but scale others, as in squeeze and excitation.
fn is_gate(read_by: &Readers, t: Tensor) -> bool {
    let mut open = vec![t];
    while let Some(t) = open.pop() {
        let readers = read_by.get(&t).map(Vec::as_slice).unwrap_or_default();
        if readers.is_empty() {
            return false;
        }
        for (made, _) in readers.iter().filter(|(_, is_product)| !is_product) {
            let Some(scaled) = made else { return false };
            open.push(*scaled);
        }
    }
    true
}

/// The nearest tensor that all are made of, and whether anything bends on the way from there.
fn meeting_point(lines: &[Line]) -> Option<(Tensor, bool)> {
    let (first, others) = lines.split_first()?;
    let (common, _) = first.iter().find(|(t, _)| others.iter().all(|line| line.iter().any(|(at, _)| at == t)))?;
    let bends = |line: &Line| {
        let to = line.iter().position(|(t, _)| t == common).unwrap_or(0);
        line[..=to].iter().any(|(_, bent)| *bent)
    };
    Some((*common, lines.iter().any(bends)))
}
