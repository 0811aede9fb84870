//! Scores that are not a classifier's output as it is: a part of a larger output, or a computation on the outputs.
//!
//! A segmentation network's output [N, classes, H, W] has scores for each pixel, a detector's raw output [N, boxes, 4 + classes]
//! for each box. A [`Part`] names one axis as the classes, takes one index of others, and averages over a range of the rest:
//! what is left are scores [N, classes], of which one is explained as of any classifier.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use onnx_graph::{Dim, Emit, Graph, ImportOptions, Known, Model, ModelError, Tensor, import, printable};

use super::{HeadError, HeadOptions};

/// What is explained instead of an output as it is.
#[derive(Clone)]
pub enum Score {
    /// A part of an output.
    Part(Part),
    /// A graph with inputs called like the model's outputs, and one output: scores [N, classes], or one score \[N\].
    Graph {
        /// The graph.
        graph: Arc<Graph>,
        /// Its file.
        file: String,
    },
    /// How like another picture's an output is.
    Similarity(Similarity),
    /// Scores [N, classes], or one score \[N\], emitted behind the model: a closure gets its outputs in their order.
    Emitted(Arc<EmitScore>),
}

impl fmt::Debug for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Score::Part(part) => write!(f, "{part}"),
            Score::Graph { file, .. } => write!(f, "the graph of {}", printable(file)),
            Score::Similarity(similarity) => write!(f, "the cosine similarity to {}", printable(&similarity.to)),
            Score::Emitted(_) => f.write_str("a closure"),
        }
    }
}

/// Adds nodes behind a model's outputs, and answers the scores that they make.
type EmitScore = dyn Fn(&Emit, &[Tensor]) -> Tensor + Send + Sync;

/// The cosine of an output y [N, K] and the embedding r \[K\] of another picture: S = Σ_k y_k r_k / (|y| |r|), one score a
/// picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Similarity {
    /// The output; else the one that looks like scores.
    pub output: Option<String>,
    /// r: what the network makes of the other picture there.
    pub embedding: Vec<f32>,
    /// The other picture's name.
    pub to: String,
}

/// A part of an output, as `name[c4:, 1234]` or `name[c, 10:20, :]` writes it: an entry for each axis behind the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The output.
    pub output: String,
    /// What is taken of each axis behind the batch; missing ones are averaged over.
    pub axes: Vec<AxisPart>,
}

/// What is taken of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AxisPart {
    /// One index: `17`; negative ones count from the end.
    Index(i64),
    /// The mean over a range: `10:20`, `10:`, `:20`, `:`. Bounds as in Python.
    Mean(Option<i64>, Option<i64>),
    /// The classes, or a range of them: `c`, `c4:`.
    Classes(Option<i64>, Option<i64>),
}

/// A text that is no part of an output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} names no part of an output: {reason}\nhint: behind the output's name, an entry for each axis but the batch: c for the classes, a number, or a range to average over: 'out[c, 10:20, 30:40]', 'boxes[c4:, 1234]'"
)]
pub struct PartError {
    text: String,
    reason: String,
}

impl FromStr for Part {
    type Err = PartError;

    fn from_str(text: &str) -> Result<Part, PartError> {
        let wrong = |reason: &str| PartError { text: text.to_owned(), reason: reason.to_owned() };
        let inner = text.trim().strip_suffix(']').ok_or_else(|| wrong("it does not end in ]"))?;
        let (output, entries) = inner.rsplit_once('[').ok_or_else(|| wrong("it has no ["))?;
        if output.is_empty() {
            return Err(wrong("the output is not named"));
        }
        let entry = |entry: &str| axis_part(entry).ok_or_else(|| wrong(&format!("{:?} is no entry", entry.trim())));
        let axes: Vec<AxisPart> = entries.split(',').map(entry).collect::<Result<_, _>>()?;
        if axes.iter().filter(|a| matches!(a, AxisPart::Classes(..))).count() > 1 {
            return Err(wrong("two axes cannot both be the classes"));
        }
        Ok(Part { output: output.trim().to_owned(), axes })
    }
}

fn axis_part(text: &str) -> Option<AxisPart> {
    let text = text.trim();
    let range = |text: &str| {
        let (start, end) = text.split_once(':')?;
        let bound = |text: &str| match text.trim() {
            "" => Some(None),
            number => number.parse().ok().map(Some),
        };
        Some((bound(start)?, bound(end)?))
    };
    match text.strip_prefix('c') {
        Some("") => Some(AxisPart::Classes(None, None)),
        Some(rest) => range(rest).map(|(start, end)| AxisPart::Classes(start, end)),
        None => match text.parse() {
            Ok(index) => Some(AxisPart::Index(index)),
            Err(_) => range(text).map(|(start, end)| AxisPart::Mean(start, end)),
        },
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |start: &Option<i64>, end: &Option<i64>| {
            let bound = |b: &Option<i64>| b.map(|b| b.to_string()).unwrap_or_default();
            format!("{}:{}", bound(start), bound(end))
        };
        let entry = |axis: &AxisPart| match axis {
            AxisPart::Index(index) => index.to_string(),
            AxisPart::Mean(start, end) => range(start, end),
            AxisPart::Classes(None, None) => "c".to_owned(),
            AxisPart::Classes(start, end) => format!("c{}", range(start, end)),
        };
        let entries: Vec<String> = self.axes.iter().map(entry).collect();
        write!(f, "{}[{}]", self.output, entries.join(", "))
    }
}

impl Score {
    /// The graph of a file, as it is written: [`Score::Graph`].
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn graph(model: &Model) -> Result<Score, ModelError> {
        let options = ImportOptions { single_precision: true, ..ImportOptions::default() };
        let graph = Arc::new(import(model, &options)?.graph);
        Ok(Score::Graph { graph, file: model.path().display().to_string() })
    }

    /// The output it is named after.
    pub(super) fn output(&self, graph: &Graph) -> String {
        match self {
            Score::Part(part) => part.output.clone(),
            Score::Similarity(Similarity { output: Some(output), .. }) => output.clone(),
            Score::Graph { .. } | Score::Similarity(_) | Score::Emitted(_) => {
                graph.outputs.first().map(|t| graph.tensor(*t).name.to_string()).unwrap_or_default()
            }
        }
    }

    /// Adds the nodes that compute it: scores [N, classes].
    pub(super) fn emit(&self, graph: &mut Graph) -> Result<Tensor, HeadError> {
        let outputs = graph.outputs.clone();
        let scores = match self {
            Score::Part(part) => part.emit(graph)?,
            Score::Similarity(similarity) => similarity.emit(graph)?,
            Score::Emitted(emit) => {
                let e = Emit::new(graph);
                let scores = emit(&e, &outputs);
                e.finish()?;
                scores
            }
            Score::Graph { graph: score, file } => {
                let mut fed = Vec::new();
                for input in &score.inputs {
                    let name = &score.tensor(*input).name;
                    let unfit = |reason: String| HeadError::ScoreGraph { file: printable(file), reason };
                    let missing = || unfit(format!("its input \"{}\" is no output of the model", printable(name)));
                    let output = super::head::named_output(graph, name).map_err(|_| missing())?;
                    let (declared, made) = (score.tensor(*input).signature(), graph.tensor(output).signature());
                    if declared != made {
                        let reason = format!("its input \"{}\" is {declared}, the output {made}", printable(name));
                        return Err(unfit(reason));
                    }
                    fed.push((*input, output));
                }
                let e = Emit::new(graph);
                let scores = inlined(&e, score, file, &fed)?;
                e.finish()?;
                scores
            }
        };
        let shape = graph.shape(scores).unwrap_or_default().to_vec();
        let float = graph.tensor(scores).dtype.is_some_and(|d| d.is_float());
        let batch = outputs.first().and_then(|t| graph.shape(*t)?.first().copied());
        let of_pictures =
            |shape: &[Dim]| shape.first().copied() == batch && shape[1..].iter().all(|d| d.known().is_some());
        match shape.as_slice() {
            [n] if float && of_pictures(&[*n]) => {
                let e = Emit::new(graph);
                let column = e.reshape(scores, vec![*n, Dim::new(1)]);
                e.finish()?;
                Ok(column)
            }
            [_, _] if float && of_pictures(&shape) => Ok(scores),
            _ => Err(HeadError::Score { score: format!("{self:?}"), signature: graph.tensor(scores).signature() }),
        }
    }
}

impl Similarity {
    fn emit(&self, graph: &mut Graph) -> Result<Tensor, HeadError> {
        let options = HeadOptions { output: self.output.clone(), ..HeadOptions::default() };
        let head = super::find_head(graph, &options)?;
        let size = if head.binary { 1 } else { head.classes };
        let unfit = |reason: String| HeadError::Similarity { to: printable(&self.to), reason };
        if size != self.embedding.len() || size < 2 {
            let output = printable(&head.output);
            return Err(unfit(format!("it is of {} numbers, and output \"{output}\" of {size}", self.embedding.len())));
        }
        let r: Vec<f64> = self.embedding.iter().map(|v| f64::from(*v)).collect();
        let length = r.iter().map(|v| v * v).sum::<f64>().sqrt();
        if !(length > 0.0 && length.is_finite()) {
            return Err(unfit(format!("its length is {length}, and it has no direction")));
        }
        let r: Vec<f64> = r.into_iter().map(|v| v / length).collect();
        let e = Emit::new(graph);
        let batch = e.shape(head.raw).first().copied().unwrap_or(Dim::BATCH);
        let y = e.reshape(head.raw, vec![batch, Dim::from(size)]);
        let product = e.reduce("ReduceSum", e.mul(y, e.constants_like(y, &[1, size], &r)), &[1], false);
        let length = e.sqrt(e.reduce("ReduceSum", e.mul(y, y), &[1], false));
        let cosine = e.div(product, length);
        e.finish()?;
        Ok(cosine)
    }
}

impl Part {
    fn emit(&self, graph: &mut Graph) -> Result<Tensor, HeadError> {
        let output = super::head::named_output(graph, &self.output)?;
        let signature = graph.tensor(output).signature();
        let misfit = |reason: String| HeadError::Part {
            part: printable(&self.to_string()),
            signature: signature.clone(),
            reason,
        };
        let shape = graph.shape(output).unwrap_or_default().to_vec();
        if shape.len() < 2 || self.axes.len() >= shape.len() {
            return Err(misfit(format!(
                "it has {} entries for {} axes behind the batch",
                self.axes.len(),
                shape.len().max(1) - 1
            )));
        }
        let all = AxisPart::Mean(None, None);
        let parts: Vec<AxisPart> =
            (1..shape.len()).map(|axis| self.axes.get(axis - 1).copied().unwrap_or(all)).collect();
        let mut ranges = Vec::new();
        for (axis, part) in parts.iter().enumerate() {
            let size =
                shape[axis + 1].known().ok_or_else(|| misfit(format!("the size of axis {} is open", axis + 1)))?;
            let from_front = |i: i64| if i < 0 { i + size } else { i };
            let (start, end) = match *part {
                AxisPart::Index(index) => (from_front(index), from_front(index) + 1),
                AxisPart::Mean(start, end) | AxisPart::Classes(start, end) => {
                    (from_front(start.unwrap_or(0)), from_front(end.unwrap_or(size)).min(size))
                }
            };
            if start < 0 || start >= end || end > size {
                return Err(misfit(format!("nothing of axis {}, which has {size}, is left", axis + 1)));
            }
            ranges.push((start, end));
        }
        let e = Emit::new(graph);
        let sliced = ranges.iter().enumerate().fold(output, |t, (axis, (start, end))| {
            let whole = shape[axis + 1].known() == Some(end - start);
            if whole { t } else { e.slice(t, axis + 1, *start, 1, end - start) }
        });
        let averaged: Vec<i64> = (1..shape.len())
            .filter(|axis| !matches!(parts[axis - 1], AxisPart::Classes(..)))
            .map(|axis| axis as i64)
            .collect();
        let mean = e.reduce("ReduceMean", sliced, &averaged, false);
        e.finish()?;
        Ok(mean)
    }
}

/// The only output of another graph as nodes of this one, its inputs being tensors here.
fn inlined(e: &Emit, other: &Graph, file: &str, fed: &[(Tensor, Tensor)]) -> Result<Tensor, HeadError> {
    let unfit = |reason: String| HeadError::ScoreGraph { file: printable(file), reason };
    let [output] = other.outputs.as_slice() else {
        return Err(unfit(format!("it has {} outputs, and one is wanted", other.outputs.len())));
    };
    let mut here: HashMap<Tensor, Tensor> = fed.iter().copied().collect();
    for node in other.nodes() {
        if node.carried.is_some() {
            return Err(unfit(format!("{} is not understood", other.describe(node))));
        }
        for t in node.inputs.iter().flatten() {
            match &other.tensor(*t).known {
                Some(Known::Constant(constant)) => here.entry(*t).or_insert_with(|| e.constant(constant.clone())),
                Some(Known::Dims(dims)) => here.entry(*t).or_insert_with(|| e.dims(dims.clone())),
                None => continue,
            };
        }
        let inputs: Vec<Option<Tensor>> = node.inputs.iter().map(|t| t.and_then(|t| here.get(&t).copied())).collect();
        let outputs = e.nodes(&node.op, &inputs, node.attributes.clone());
        e.take_error().map_or(Ok(()), Err)?;
        here.extend(node.outputs.iter().zip(outputs).filter_map(|(old, new)| Some(((*old)?, new))));
    }
    here.get(output).copied().ok_or_else(|| unfit("its output is constant".to_owned()))
}
