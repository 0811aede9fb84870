//! Which output is the classifier's, and what enters its last activation.

use std::fmt;
use std::str::FromStr;

use onnx_graph::{DataType, Dim, Emit, Graph, Node, PREFIX, Tensor, printable};

use super::{HeadError, Score};

/// How scores become probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// One class of many: e^s over the sum of all.
    Softmax,
    /// Each class for itself, or two classes from one score: 1 / (1 + e^−s).
    Sigmoid,
    /// Scores stay scores.
    None,
}

impl Activation {
    /// Probabilities of one picture's scores; none without an activation.
    pub fn probabilities(self, scores: &[f64]) -> Option<Vec<f64>> {
        match self {
            Activation::Softmax => {
                let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let powers: Vec<f64> = scores.iter().map(|s| (s - highest).exp()).collect();
                let sum: f64 = powers.iter().sum();
                Some(powers.iter().map(|p| p / sum).collect())
            }
            Activation::Sigmoid => Some(scores.iter().map(|s| 1.0 / (1.0 + (-s).exp())).collect()),
            Activation::None => None,
        }
    }
}

impl FromStr for Activation {
    type Err = String;

    fn from_str(name: &str) -> Result<Activation, String> {
        match name {
            "softmax" => Ok(Activation::Softmax),
            "sigmoid" => Ok(Activation::Sigmoid),
            "none" => Ok(Activation::None),
            other => Err(format!("there is no activation {other:?}; choose softmax, sigmoid or none")),
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Activation::Softmax => "softmax",
            Activation::Sigmoid => "sigmoid",
            Activation::None => "none",
        })
    }
}

/// What the user says about the head.
#[derive(Clone, Debug, Default)]
pub struct HeadOptions {
    /// Name of the output with the class scores.
    pub output: Option<String>,
    /// Overrides the activation that was found or assumed.
    pub activation: Option<Activation>,
    /// What is explained instead of an output as it is. It has no probabilities unless `activation` says so.
    pub score: Option<Score>,
}

/// The classifier's head.
#[derive(Clone, Debug)]
pub struct Head {
    /// The file's output, by name.
    pub output: String,
    /// The class scores S, [N, classes]: what enters the last Softmax, LogSoftmax or Sigmoid; else the output itself.
    pub scores: Tensor,
    /// The tensor that the scores were reshaped from: the file's own. For a binary head its one score a picture.
    pub raw: Tensor,
    /// Number of classes; 2 for a binary head.
    pub classes: usize,
    /// Whether one output tells two classes apart: class 1 by the score, class 0 by its negative.
    pub binary: bool,
    /// How the scores become probabilities.
    pub activation: Activation,
    /// Whether the activation was found in the graph, rather than assumed.
    pub found: bool,
    /// What is explained instead of the output as it is: a part of it, or a computation.
    pub score: Option<String>,
    /// Names of the classes, one each, where a ZipMap pairs them with the scores.
    pub names: Vec<String>,
}

/// Finds the head, and adds the nodes that bring its scores into the form [N, classes].
///
/// Of several outputs those are left out that do not look like scores, that another output is computed from, or that
/// are named as auxiliary; then a telling name decides. What is still open is asked for.
pub fn find_head(graph: &mut Graph, options: &HeadOptions) -> Result<Head, HeadError> {
    if let Some(score) = &options.score {
        return scored(graph, score, options.activation);
    }
    let output = match &options.output {
        Some(name) => named_output(graph, name)?,
        None => obvious_output(graph)?,
    };
    let name = graph.tensor(output).name.to_string();
    let names = zip_map(graph, output).map(class_names).unwrap_or_default();
    let output = paired_with_names(graph, output);
    let (raw, found) = before_activation(graph, output);
    let unfit = || unknown_shape(graph, output).unwrap_or_else(|| shape_error(graph, output));
    let classes = score_count(graph, raw).ok_or_else(unfit)?;
    let batch = graph.shape(raw).and_then(|s| s.first().copied()).unwrap_or(Dim::BATCH);
    let binary = classes == 1;

    let e = Emit::new(graph);
    let flat = e.reshape(raw, vec![batch, Dim::from(classes)]);
    let scores = if binary { e.concat(&[e.neg(flat), flat], 1) } else { flat };
    e.finish()?;

    let natural = if binary { Activation::Sigmoid } else { Activation::Softmax };
    Ok(Head {
        output: name,
        scores,
        raw,
        classes: if binary { 2 } else { classes },
        binary,
        activation: options.activation.or(found).unwrap_or(natural),
        found: found.is_some(),
        score: None,
        names: if names.len() == classes { names } else { Vec::new() },
    })
}

/// The head that a [`Score`] makes.
fn scored(graph: &mut Graph, score: &Score, activation: Option<Activation>) -> Result<Head, HeadError> {
    let output = score.output(graph);
    let scores = score.emit(graph)?;
    let classes = graph.shape(scores).and_then(|s| s.get(1)?.known()).and_then(|c| usize::try_from(c).ok());
    Ok(Head {
        output,
        scores,
        raw: scores,
        classes: classes.unwrap_or(1),
        binary: false,
        activation: activation.unwrap_or(Activation::None),
        found: false,
        score: Some(format!("{score:?}")),
        names: Vec::new(),
    })
}

/// What was rounded where a tensor holds rounded values.
fn unrounded(graph: &Graph, t: Tensor) -> Tensor {
    let rounded = graph.producer(t).filter(|n| &*n.op == "QuantizeLinear" && n.carried.is_none());
    rounded.and_then(|n| n.inputs[0]).unwrap_or(t)
}

/// The ZipMap that makes an output a list of maps from names to scores, as skl2onnx and the CoreML converter end.
fn zip_map(graph: &Graph, output: Tensor) -> Option<&Node> {
    let node = graph.producer(output)?;
    (&*node.op == "ZipMap" && node.carried.as_ref()?.domain == "ai.onnx.ml").then_some(node)
}

/// The scores that an output pairs with names; any other output itself.
fn paired_with_names(graph: &Graph, output: Tensor) -> Tensor {
    zip_map(graph, output).and_then(|node| node.inputs.first().copied().flatten()).unwrap_or(output)
}

/// The names that a ZipMap pairs scores with; none where it counts the classes.
fn class_names(zip_map: &Node) -> Vec<String> {
    let attributes = zip_map.carried.iter().flat_map(|carried| &carried.attributes);
    let names = attributes.filter(|a| a.name.as_deref() == Some("classlabels_strings")).flat_map(|a| &a.strings);
    names.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

/// No classifier tells more classes apart.
const MOST_CLASSES: usize = 1 << 24;

/// How many scores a picture has: [N, C], [N, C, 1, 1], [N]; `None` where the shape is no list of scores.
fn score_count(graph: &Graph, t: Tensor) -> Option<usize> {
    let info = graph.tensor(unrounded(graph, t));
    let (batch, rest) = info.shape.as_deref()?.split_first()?;
    let images = batch.is_symbolic() || *batch == graph.shape(*graph.inputs.first()?)?.first().copied()?;
    let sizes: Vec<i64> = rest.iter().map(|d| d.known()).collect::<Option<_>>()?;
    let large = sizes.iter().filter(|s| **s > 1).count();
    let count = usize::try_from(sizes.iter().product::<i64>()).ok()?;
    (info.dtype?.is_float() && images && large <= 1 && (1..=MOST_CLASSES).contains(&count)).then_some(count)
}

fn shape_error(graph: &Graph, t: Tensor) -> HeadError {
    let info = graph.tensor(t);
    HeadError::Shape { name: printable(&info.name), signature: info.signature() }
}

/// Why the shape of an output is not known: the first node before it that is carried without one.
fn unknown_shape(graph: &Graph, output: Tensor) -> Option<HeadError> {
    if graph.shape(output).is_some() {
        return None;
    }
    let node = &graph.nodes()[graph.shape_lost_at(output)?];
    let reason = node.carried.as_ref()?.reason.clone();
    let standard = node.carried.as_ref().is_some_and(|c| matches!(c.domain.as_str(), "" | "ai.onnx"));
    let (name, node) = (printable(&graph.tensor(output).name), graph.describe(node));
    let hint = match standard {
        true => "`onnx.shape_inference` may write the missing shapes into the file",
        false => "the way to the scores has to be of standard operators; a linear classifier can be written as Gemm",
    };
    Some(HeadError::UnknownShape { name, node, reason, hint })
}

fn list(graph: &Graph, tensors: &[Tensor]) -> String {
    let line = |t: &Tensor| {
        let info = graph.tensor(*t);
        format!("  {}  {}", printable(&info.name), info.signature())
    };
    tensors.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub(super) fn named_output(graph: &Graph, name: &str) -> Result<Tensor, HeadError> {
    let found = graph.find(name).filter(|t| graph.outputs.contains(t));
    found.ok_or_else(|| unknown_output(graph, name))
}

pub(super) fn unknown_output(graph: &Graph, name: &str) -> HeadError {
    HeadError::Unknown { name: printable(name), outputs: list(graph, &graph.outputs) }
}

fn obvious_output(graph: &Graph) -> Result<Tensor, HeadError> {
    let mut open: Vec<Tensor> = graph.outputs.clone();
    open.dedup();
    let ours = |t: &Tensor| graph.tensor(*t).name.starts_with(PREFIX);
    if !open.iter().all(ours) {
        open.retain(|t| !ours(t)); // The file is an explained one: these are its maps.
    }
    open.retain(|t| score_count(graph, paired_with_names(graph, *t)).is_some());
    if open.is_empty() {
        let may_be_scores = |t: &&Tensor| graph.tensor(**t).dtype.is_none_or(DataType::is_float);
        let (paired, rest): (Vec<&Tensor>, _) =
            graph.outputs.iter().filter(may_be_scores).partition(|t| zip_map(graph, **t).is_some());
        let unknown = paired.into_iter().chain(rest).find_map(|t| unknown_shape(graph, *t));
        return Err(unknown.unwrap_or_else(|| HeadError::NoCandidate { outputs: list(graph, &graph.outputs) }));
    }
    // Features that the scores are computed from, logits beside their probabilities: the later one tells more.
    let feeds = |t: Tensor| {
        let others: Vec<Tensor> = open.iter().copied().filter(|o| *o != t).collect();
        let needed = graph.needed_for(&others);
        graph.producer_index(t).is_some_and(|i| needed[i])
    };
    let ends: Vec<Tensor> = open.iter().copied().filter(|t| !feeds(*t)).collect();
    let name = |t: &Tensor| graph.tensor(*t).name.to_ascii_lowercase();
    let main: Vec<Tensor> = ends.iter().copied().filter(|t| !name(t).contains("aux")).collect();
    let left = if main.is_empty() { ends } else { main };
    const TELLING: [&str; 6] = ["logit", "prob", "score", "class", "pred", "softmax"];
    let telling: Vec<Tensor> = left.iter().copied().filter(|t| TELLING.iter().any(|w| name(t).contains(w))).collect();
    match (left.as_slice(), telling.as_slice()) {
        ([one], _) | (_, [one]) => Ok(*one),
        _ => Err(HeadError::Ambiguous { candidates: list(graph, &left) }),
    }
}

/// What enters the last activation, looking through reshapes and rounding.
fn before_activation(graph: &Graph, output: Tensor) -> (Tensor, Option<Activation>) {
    let mut t = output;
    while let Some(node) = graph.producer(t).filter(|n| n.carried.is_none()) {
        let Some(input) = node.inputs.first().copied().flatten() else { break };
        let found = match &*node.op {
            "Softmax" | "LogSoftmax" if over_classes(graph, input, node.attributes.int("axis")) => Activation::Softmax,
            "Sigmoid" => Activation::Sigmoid,
            "Reshape" if score_count(graph, input) == score_count(graph, t) => {
                t = input;
                continue;
            }
            "QuantizeLinear" | "DequantizeLinear" => {
                t = input; // Probabilities that were rounded.
                continue;
            }
            _ => break,
        };
        return (input, Some(found));
    }
    (unrounded(graph, output), None)
}

/// Whether a softmax along this axis is one over the classes.
fn over_classes(graph: &Graph, input: Tensor, axis: i64) -> bool {
    let Some(shape) = graph.shape(input) else { return false };
    let one = Dim::new(1);
    axis > 0 && shape.iter().enumerate().skip(1).all(|(i, d)| i == axis as usize || *d == one)
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = if self.found { "found in the model" } else { "assumed" };
        write!(f, "output \"{}\", {} classes, {} ({source})", printable(&self.output), self.classes, self.activation)
    }
}
