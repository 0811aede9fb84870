//! An explained graph on an engine.

use std::sync::Arc;

use ndarray::{Array1, Array2, ArrayD, ArrayViewD, Axis, Ix2, Ix3, concatenate};
use onnx_graph::{EmitError, Graph, ModelError, SpellError, Tensor, cut, printable};

use super::piece::Piece;
use super::plan::{Plan, Rival};
use super::split::Split;
use crate::engine::{Engine, EngineError, Value};

/// Why explaining failed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum RunError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Emit(#[from] EmitError),
    #[error(transparent)]
    Spell(#[from] SpellError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("a model of {size} bytes needs a temporary file, and none could be made: {error}")]
    TemporaryFile { size: usize, error: std::io::Error },
    #[error("the input is {found:?}, the network takes {expected:?} (N pictures first)")]
    InputShape { found: Vec<usize>, expected: Vec<i64> },
    #[error("class {class} was asked for, the network has {classes}, counted from 0")]
    Class { class: i64, classes: usize },
    #[error(
        "what lies behind layer \"{}\" cannot run by itself: pictures of a batch are mixed there, or the file fixes a batch of several\nhint: export the model for a batch of 1, or choose another layer",
        printable(layer)
    )]
    Whole { layer: String },
    #[error(
        "{engine} computes nothing of three spatial axes, and the network has {node}\nhint: ONNX Runtime does: `onnxcam engine install`, or --engine ort"
    )]
    Volumes { engine: &'static str, node: String },
    #[error("stopped")]
    Stopped,
    #[error("the engine answered {what} in another shape than expected: {shape:?}")]
    Answer { what: &'static str, shape: Vec<usize> },
}

/// The explanation of one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// The class scores, before any softmax.
    pub scores: Vec<f32>,
    /// The class explained.
    pub class: usize,
    /// The class it was contrasted with.
    pub rival: Option<usize>,
    /// One raw map [h, w] a method, in the plan's order; none of series and volumes.
    pub maps: Vec<Array2<f32>>,
    /// Of series and volumes, one raw map a method, \[l\] or [d, h, w]; none of pictures.
    pub fields: Vec<ArrayD<f32>>,
    /// What each method in the space of the picture says of every sample, of the picture's shape without the batch.
    pub attributions: Vec<Option<ArrayD<f32>>>,
    /// A method's weights, \[K\] or [K, h, w], one after the other, where they were asked for and it has some.
    pub weights: Vec<Vec<f32>>,
    /// What has to be said of each map.
    pub notes: Vec<Vec<String>>,
}

/// A plan ready to run, with one batch shape: fewer pictures are padded, so that a picture's result does not depend on
/// how many came with it.
#[derive(Debug)]
pub struct Explainer {
    piece: Piece,
    batch: usize,
    feed: Feed,
    answers: Answers,
}

impl Explainer {
    /// Readies a plan for batches of `batch` pictures. A batch size that the file fixes comes before it.
    pub fn new(
        plan: &Plan,
        engine: &Arc<dyn Engine>,
        batch: usize,
        threads: Option<usize>,
    ) -> Result<Explainer, RunError> {
        Explainer::build(plan, engine, batch, threads, false)
    }

    /// The same, with the weights w_k among the results.
    pub fn with_weights(
        plan: &Plan,
        engine: &Arc<dyn Engine>,
        batch: usize,
        threads: Option<usize>,
    ) -> Result<Explainer, RunError> {
        Explainer::build(plan, engine, batch, threads, true)
    }

    fn build(
        plan: &Plan,
        engine: &Arc<dyn Engine>,
        batch: usize,
        threads: Option<usize>,
        weights: bool,
    ) -> Result<Explainer, RunError> {
        let batch = plan.fixed_batch().unwrap_or(batch).max(1);
        let (answers, wanted) = Answers::of(plan, weights);
        let graph = cut(&plan.graph, &[plan.input, plan.target], &wanted);
        let piece = Piece::load(&graph, &graph.outputs, engine, batch, threads)?;
        Ok(Explainer { piece, batch, feed: Feed::of(plan, batch), answers })
    }

    /// How many pictures fit into one run.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Explains up to [`batch`](Explainer::batch) pictures, [n, …] in the network's layout; one target a picture, −1 for
    /// the predicted class.
    pub fn run(&mut self, pictures: &ArrayD<f32>, targets: &[i64]) -> Result<Vec<Explained>, RunError> {
        let count = self.feed.check(pictures, self.batch)?;
        if targets.len() != count {
            return Err(self.feed.unfit(pictures));
        }
        self.answers.check(targets)?;
        let rows = padded(count, self.batch);
        let input = self.feed.value(pictures.select(Axis(0), &rows));
        let target = Value::from(Array1::from_iter(rows.iter().map(|i| targets[*i])));
        let answers = self.piece.run(&[input, target])?;
        self.answers.read(answers, count, self.batch)
    }
}

/// A plan in two parts: one pass of the backbone a picture, whatever the number of its classes, and for each class a row
/// of the tail.
///
/// Both have one batch shape, as [`Explainer`] has; results differ from its by rounding only.
#[derive(Debug)]
pub struct SplitExplainer {
    backbone: Piece,
    tail: Piece,
    batch: usize,
    rows: usize,
    feed: Feed,
    answers: Answers,
}

/// What the backbone hands over of one picture: the target layer, and whatever else the tail reads.
#[derive(Clone, Debug)]
pub struct Handed(Vec<Value>);

impl Handed {
    /// The target layer's tensor: feature maps [1, K, h, w], tokens, or with its channels last.
    pub fn layer(&self) -> Option<&ArrayD<f32>> {
        self.0.first().and_then(Value::as_f32)
    }

    /// What was handed over besides A, for as many rows.
    pub(super) fn rest(&self, rows: usize) -> Vec<Value> {
        let repeated = |value: &Value| match value {
            _ if rows == 1 => value.clone(),
            Value::F32(a) => Value::from(a.select(Axis(0), &vec![0; rows])),
            Value::I64(a) => Value::from(a.select(Axis(0), &vec![0; rows])),
        };
        self.0.iter().skip(1).map(repeated).collect()
    }
}

impl SplitExplainer {
    /// Readies a plan in two parts, for batches of `batch` pictures. `None` where it runs whole only, see
    /// [`Split::of`], or where a method goes back to the picture.
    pub fn new(
        plan: &Plan,
        engine: &Arc<dyn Engine>,
        batch: usize,
        threads: Option<usize>,
    ) -> Result<Option<SplitExplainer>, RunError> {
        let (answers, wanted) = Answers::of(plan, false);
        if plan.maps.iter().any(|m| m.method.needs().pixels.is_some()) {
            return Ok(None); // Their gradients go through the whole network.
        }
        let Some(split) = Split::of(plan, &wanted) else { return Ok(None) };
        let batch = plan.fixed_batch().unwrap_or(batch).max(1);
        let rows = plan.fixed_batch().unwrap_or(ROWS);
        let load = |graph: &Graph, batch| Piece::load(graph, &graph.outputs, engine, batch, threads);
        let (backbone, tail) = (load(&split.backbone, batch)?, load(&split.tail, rows)?);
        Ok(Some(SplitExplainer { backbone, tail, batch, rows, feed: Feed::of(plan, batch), answers }))
    }

    /// How many pictures fit into one run of the backbone.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Runs the backbone on up to [`batch`](SplitExplainer::batch) pictures, [n, …] in the network's layout.
    pub fn backbone(&mut self, pictures: &ArrayD<f32>) -> Result<Vec<Handed>, RunError> {
        self.feed.backbone(&mut self.backbone, pictures, self.batch)
    }

    /// Runs the tail for any number of rows: what was handed over of a picture, and a class, −1 for the predicted one.
    pub fn tail(&mut self, rows: &[(&Handed, i64)]) -> Result<Vec<Explained>, RunError> {
        let mut explained = Vec::with_capacity(rows.len());
        for rows in rows.chunks(self.rows) {
            let padded = padded(rows.len(), self.rows);
            let targets: Vec<i64> = padded.iter().map(|i| rows[*i].1).collect();
            self.answers.check(&targets)?;
            let handed: Vec<&Handed> = padded.iter().map(|i| rows[*i].0).collect();
            let mut inputs = stacked(&handed)?;
            inputs.push(Value::from(Array1::from(targets)));
            let answers = self.tail.run(&inputs)?;
            explained.extend(self.answers.read(answers, rows.len(), self.rows)?);
        }
        Ok(explained)
    }
}

/// Rows of the tail in one run. More cost a picture of few classes time that padding takes; fewer cost heads of large
/// linear layers, whose weights are read once a run.
const ROWS: usize = 4;

/// The rows of a batch: `count` of them, the last one repeated.
pub(super) fn padded(count: usize, batch: usize) -> Vec<usize> {
    (0..batch).map(|i| i.min(count.saturating_sub(1))).collect()
}

/// What was handed over of several pictures, as one batch.
fn stacked(handed: &[&Handed]) -> Result<Vec<Value>, RunError> {
    let [first, others @ ..] = handed else { return Ok(Vec::new()) };
    if others.is_empty() {
        return Ok(first.0.clone());
    }
    let stack = |i: usize| match &first.0[i] {
        Value::F32(_) => joined(handed.iter().filter_map(|h| h.0[i].as_f32())),
        Value::I64(_) => joined(handed.iter().filter_map(|h| h.0[i].as_i64())),
    };
    (0..first.0.len()).map(stack).collect()
}

fn joined<'a, T: Clone + 'a>(rows: impl Iterator<Item = &'a ArrayD<T>>) -> Result<Value, RunError>
where
    Value: From<ArrayD<T>>,
{
    let rows: Vec<_> = rows.map(|row| row.view()).collect();
    let shape = rows.first().map(|r| r.shape().to_vec()).unwrap_or_default();
    concatenate(Axis(0), &rows).map(Value::from).map_err(|_| RunError::Answer { what: "feature maps", shape })
}

/// The network's input: its shape, and whether it takes whole numbers.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    expected: Vec<i64>,
    integer: bool,
}

impl Feed {
    pub fn of(plan: &Plan, batch: usize) -> Feed {
        let shape = plan.graph.shape(plan.input).unwrap_or_default();
        Feed {
            expected: shape.iter().map(|d| d.at(batch)).collect(),
            integer: plan.graph.tensor(plan.input).dtype.is_some_and(|d| !d.is_float()),
        }
    }

    /// How many pictures these are: at least one, at most a batch.
    pub fn check(&self, pictures: &ArrayD<f32>, batch: usize) -> Result<usize, RunError> {
        let shape = pictures.shape();
        let count = shape.first().copied().unwrap_or(0);
        let rest = shape.iter().skip(1).map(|d| *d as i64).eq(self.expected.iter().skip(1).copied());
        if rest && (1..=batch).contains(&count) { Ok(count) } else { Err(self.unfit(pictures)) }
    }

    fn unfit(&self, pictures: &ArrayD<f32>) -> RunError {
        RunError::InputShape { found: pictures.shape().to_vec(), expected: self.expected.clone() }
    }

    pub fn value(&self, batch: ArrayD<f32>) -> Value {
        if self.integer { Value::from(batch.mapv(|v| v.round() as i64)) } else { Value::from(batch) }
    }

    /// Runs a backbone on up to `batch` pictures.
    pub fn backbone(
        &self,
        backbone: &mut Piece,
        pictures: &ArrayD<f32>,
        batch: usize,
    ) -> Result<Vec<Handed>, RunError> {
        let count = self.check(pictures, batch)?;
        let input = self.value(pictures.select(Axis(0), &padded(count, batch)));
        let values = backbone.run(&[input])?;
        if batch == 1 {
            return Ok(vec![Handed(values)]);
        }
        let row = |value: &Value, i: usize| match value {
            Value::F32(a) => Value::from(a.select(Axis(0), &[i])),
            Value::I64(a) => Value::from(a.select(Axis(0), &[i])),
        };
        Ok((0..count).map(|i| Handed(values.iter().map(|v| row(v, i)).collect())).collect())
    }
}

/// What a run answers, in the order that it is asked for.
#[derive(Clone, Debug)]
struct Answers {
    rival: Option<Rival>,
    classes: usize,
    maps: usize,
    /// Which of them also answer an attribution.
    attributions: Vec<bool>,
    /// Which of them also answer their weights.
    weights: Vec<bool>,
    /// Notes of every map, and the one of those pictures whose caveat is negative.
    notes: Vec<(Vec<String>, Option<&'static str>)>,
}

impl Answers {
    /// What a plan answers, and the tensors that it is.
    fn of(plan: &Plan, weights: bool) -> (Answers, Vec<Tensor>) {
        let mut wanted: Vec<Tensor> = vec![plan.head.scores, plan.class];
        wanted.extend(plan.maps.iter().map(|m| m.map));
        wanted.extend(plan.maps.iter().filter_map(|m| m.caveat).map(|c| c.tensor));
        let attributions: Vec<bool> = plan.maps.iter().map(|m| m.attribution.is_some()).collect();
        wanted.extend(plan.maps.iter().filter_map(|m| m.attribution));
        let weights: Vec<bool> = plan.maps.iter().map(|m| weights && m.weights.is_some()).collect();
        wanted.extend(plan.maps.iter().zip(&weights).filter_map(|(m, wanted)| m.weights.filter(|_| *wanted)));
        let rival = plan.rival.map(|(rival, _)| rival);
        wanted.extend(plan.rival.filter(|(rival, _)| *rival == Rival::RunnerUp).map(|(_, t)| t));
        let answers = Answers {
            rival,
            classes: plan.head.classes,
            maps: plan.maps.len(),
            attributions,
            weights,
            notes: plan.maps.iter().map(|m| (m.notes.clone(), m.caveat.map(|c| c.note))).collect(),
        };
        (answers, wanted)
    }

    /// Whether there are such classes.
    fn check(&self, targets: &[i64]) -> Result<(), RunError> {
        match targets.iter().find(|t| !(-1..self.classes as i64).contains(*t)) {
            Some(class) => Err(RunError::Class { class: *class, classes: self.classes }),
            None => Ok(()),
        }
    }

    fn read(&self, answers: Vec<Value>, count: usize, batch: usize) -> Result<Vec<Explained>, RunError> {
        let mut answers = answers.into_iter();
        let scores = read_floats(&mut answers, "scores")?;
        let shape = scores.shape().to_vec();
        let scores = scores.into_dimensionality::<Ix2>().map_err(|_| RunError::Answer { what: "scores", shape })?;
        let class = read_classes(&mut answers, batch)?;
        let mut floats = |what| read_floats(&mut answers, what);
        let mut several = |what, count: usize| (0..count).map(|_| floats(what)).collect::<Result<Vec<_>, _>>();
        let (pictures, fields): (Vec<_>, Vec<_>) =
            several("a map", self.maps)?.into_iter().partition(|map| map.ndim() == 3);
        let caveats = several("a caveat", self.notes.iter().filter(|(_, caveat)| caveat.is_some()).count())?;
        let attributions = several("an attribution", self.attributions.iter().filter(|has| **has).count())?;
        let weights = several("weights", self.weights.iter().filter(|has| **has).count())?;
        let runner_up = match self.rival {
            Some(Rival::RunnerUp) => Some(read_classes(&mut answers, batch)?),
            _ => None,
        };
        (0..count)
            .map(|i| {
                let rival = match self.rival {
                    Some(Rival::Class(rival)) => Some(rival),
                    _ => runner_up.as_ref().map(|classes| classes[i]),
                };
                Ok(Explained {
                    scores: scores.row(i).to_vec(),
                    class: class[i],
                    rival,
                    maps: pictures.iter().map(|m| plane(m, i)).collect::<Result<_, _>>()?,
                    fields: fields.iter().map(|m| m.index_axis(Axis(0), i).to_owned()).collect(),
                    attributions: dealt(&self.attributions, &attributions, i, |a| a.to_owned()),
                    weights: self.weights_of(&weights, i),
                    notes: self.notes_of(&caveats, i, rival == Some(class[i])),
                })
            })
            .collect()
    }

    /// The weights of each map of picture `i`.
    fn weights_of(&self, weights: &[ArrayD<f32>], i: usize) -> Vec<Vec<f32>> {
        let weights = dealt(&self.weights, weights, i, |w| w.iter().copied().collect());
        weights.into_iter().map(Option::unwrap_or_default).collect()
    }

    /// The notes of each map of picture `i`, whose class may be its own rival.
    fn notes_of(&self, caveats: &[ArrayD<f32>], i: usize, itself: bool) -> Vec<Vec<String>> {
        let mut caveats = caveats.iter();
        let notes = self.notes.iter().map(|(always, caveat)| {
            let applies = caveat.filter(|_| caveats.next().and_then(|c| c.iter().nth(i)).is_some_and(|v| *v < 0.0));
            let itself = itself.then_some("the class is contrasted with itself, and there is no difference");
            always.iter().cloned().chain(applies.into_iter().chain(itself).map(str::to_owned)).collect()
        });
        notes.collect()
    }
}

/// Picture `i` of each answer, to those that have one.
fn dealt<T>(has: &[bool], answers: &[ArrayD<f32>], i: usize, read: impl Fn(ArrayViewD<f32>) -> T) -> Vec<Option<T>> {
    let mut answers = answers.iter();
    let mut next = || answers.next().map(|a| read(a.index_axis(Axis(0), i)));
    has.iter().map(|has| if *has { next() } else { None }).collect()
}

/// A class a picture.
fn read_classes(answers: &mut impl Iterator<Item = Value>, batch: usize) -> Result<Vec<usize>, RunError> {
    let value = answers.next();
    let shape = value.as_ref().map(|v| v.shape().to_vec()).unwrap_or_default();
    let classes = value.and_then(Value::into_i64).filter(|c| c.len() == batch);
    let classes = classes.ok_or(RunError::Answer { what: "classes", shape })?;
    Ok(classes.iter().map(|class| usize::try_from(*class).unwrap_or(0)).collect())
}

fn read_floats(answers: &mut impl Iterator<Item = Value>, what: &'static str) -> Result<ArrayD<f32>, RunError> {
    let value = answers.next();
    let shape = value.as_ref().map(|v| v.shape().to_vec()).unwrap_or_default();
    value.and_then(Value::into_f32).ok_or(RunError::Answer { what, shape })
}

/// Map `i` of [N, h, w].
fn plane(maps: &ArrayD<f32>, i: usize) -> Result<Array2<f32>, RunError> {
    let planes = maps.view().into_dimensionality::<Ix3>();
    let planes = planes.map_err(|_| RunError::Answer { what: "a map", shape: maps.shape().to_vec() })?;
    Ok(planes.index_axis(Axis(0), i).to_owned())
}
