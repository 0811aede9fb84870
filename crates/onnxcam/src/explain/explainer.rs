//! An explained graph on an engine.

use std::sync::Arc;

use ndarray::{Array1, Array2, ArrayD, ArrayViewD, Axis, Ix2, Ix3};
use onnx_graph::{EmitError, Model, ModelError, SpellError, Spelling, Tensor, spell};

use tempfile::TempDir;

use super::legal::legal;
use super::plan::Plan;
use crate::engine::{Engine, EngineError, Session, Source, Value};

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
    /// One raw map [h, w] a method, in the plan's order.
    pub maps: Vec<Array2<f32>>,
    /// What each method in the space of the picture says of every sample, of the picture's shape without the batch.
    pub attributions: Vec<Option<ArrayD<f32>>>,
    /// A method's weights, [K] or [K, h, w], one after the other, where they were asked for and it has some.
    pub weights: Vec<Vec<f32>>,
    /// What has to be said of each map.
    pub notes: Vec<Vec<String>>,
}

/// A plan ready to run, with one batch shape: fewer pictures are padded, so that a picture's result does not depend on
/// how many came with it.
#[derive(Debug)]
pub struct Explainer {
    session: Box<dyn Session>,
    /// Holds the model where the engine had it from a file, which it may have mapped: dropped after the session.
    _folder: Option<TempDir>,
    batch: usize,
    input: String,
    /// Its other input: the classes asked for.
    target: String,
    /// Whether the network takes whole numbers.
    integer: bool,
    outputs: Vec<String>,
    expected: Vec<i64>,
    classes: usize,
    maps: usize,
    /// Which of them also answer an attribution.
    attributions: Vec<bool>,
    /// Which of them also answer their weights.
    weights: Vec<bool>,
    /// Notes of every map, and the one of those pictures whose caveat is negative.
    notes: Vec<(Vec<String>, Option<&'static str>)>,
}

/// Loads a model from memory, or where it is too large for that, from a temporary folder, its weights beside it.
fn load(
    engine: &dyn Engine,
    model: &Model,
    threads: Option<usize>,
) -> Result<(Box<dyn Session>, Option<TempDir>), RunError> {
    let size = model.byte_count();
    if size <= engine.largest_in_memory() {
        return Ok((engine.load(Source::Bytes(model.to_bytes()), threads)?, None));
    }
    let folder = tempfile::Builder::new().prefix("onnxcam-").tempdir();
    let folder = folder.map_err(|error| RunError::TemporaryFile { size, error })?;
    let path = folder.path().join("explained.onnx");
    model.save(&path)?;
    Ok((engine.load(Source::File(&path), threads)?, Some(folder)))
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
        let mut wanted: Vec<Tensor> = vec![plan.head.scores, plan.class];
        wanted.extend(plan.maps.iter().map(|m| m.map));
        wanted.extend(plan.maps.iter().filter_map(|m| m.caveat).map(|c| c.tensor));
        let attributions: Vec<bool> = plan.maps.iter().map(|m| m.attribution.is_some()).collect();
        wanted.extend(plan.maps.iter().filter_map(|m| m.attribution));
        let weights: Vec<bool> = plan.maps.iter().map(|m| weights && m.weights.is_some()).collect();
        wanted.extend(plan.maps.iter().zip(&weights).filter_map(|(m, wanted)| m.weights.filter(|_| *wanted)));
        let graph = legal(&plan.graph, &wanted, engine.lacks())?;
        let proto = spell(&graph, &Spelling::for_graph(&graph, batch))?;
        let outputs = proto.graph.iter().flat_map(|g| &g.output).filter_map(|o| o.name.clone()).collect();
        let model = Model::from_proto(proto, std::path::Path::new("explained"))?;
        let (session, folder) = load(&**engine, &model, threads)?;
        let shape = plan.graph.shape(plan.input).unwrap_or_default();
        Ok(Explainer {
            session,
            _folder: folder,
            batch,
            input: plan.graph.tensor(plan.input).name.to_string(),
            target: plan.graph.tensor(plan.target).name.to_string(),
            integer: plan.graph.tensor(plan.input).dtype.is_some_and(|d| !d.is_float()),
            outputs,
            expected: shape.iter().map(|d| d.at(batch)).collect(),
            classes: plan.head.classes,
            maps: plan.maps.len(),
            attributions,
            weights,
            notes: plan.maps.iter().map(|m| (m.notes.clone(), m.caveat.map(|c| c.note))).collect(),
        })
    }

    /// How many pictures fit into one run.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Explains up to [`batch`](Explainer::batch) pictures, [n, …] in the network's layout; one target a picture, −1 for
    /// the predicted class.
    pub fn run(&mut self, pictures: &ArrayD<f32>, targets: &[i64]) -> Result<Vec<Explained>, RunError> {
        let count = self.check(pictures, targets)?;
        let rows: Vec<usize> = (0..self.batch).map(|i| i.min(count - 1)).collect();
        let input = pictures.select(Axis(0), &rows);
        let input = if self.integer { Value::from(input.mapv(|v| v.round() as i64)) } else { Value::from(input) };
        let target = Value::from(Array1::from_iter(rows.iter().map(|i| targets[*i])));
        let names: Vec<&str> = self.outputs.iter().map(String::as_str).collect();
        let answers = self.session.run(&[(&self.input, &input), (&self.target, &target)], &names)?;
        self.read(answers, count)
    }

    fn check(&self, pictures: &ArrayD<f32>, targets: &[i64]) -> Result<usize, RunError> {
        let shape = pictures.shape();
        let count = shape.first().copied().unwrap_or(0);
        let rest = shape.iter().skip(1).map(|d| *d as i64).eq(self.expected.iter().skip(1).copied());
        if !rest || count == 0 || count > self.batch || targets.len() != count {
            return Err(RunError::InputShape { found: shape.to_vec(), expected: self.expected.clone() });
        }
        match targets.iter().find(|t| !(-1..self.classes as i64).contains(*t)) {
            Some(class) => Err(RunError::Class { class: *class, classes: self.classes }),
            None => Ok(count),
        }
    }

    fn read(&self, answers: Vec<Value>, count: usize) -> Result<Vec<Explained>, RunError> {
        let mut answers = answers.into_iter();
        let scores = read_floats(&mut answers, "scores")?;
        let shape = scores.shape().to_vec();
        let scores = scores.into_dimensionality::<Ix2>().map_err(|_| RunError::Answer { what: "scores", shape })?;
        let class = answers.next();
        let shape = class.as_ref().map(|v| v.shape().to_vec()).unwrap_or_default();
        let class = class.and_then(Value::into_i64).filter(|c| c.len() == self.batch);
        let class = class.ok_or(RunError::Answer { what: "classes", shape })?;
        let mut floats = |what| read_floats(&mut answers, what);
        let mut several = |what, count: usize| (0..count).map(|_| floats(what)).collect::<Result<Vec<_>, _>>();
        let maps = several("a map", self.maps)?;
        let caveats = several("a caveat", self.notes.iter().filter(|(_, caveat)| caveat.is_some()).count())?;
        let attributions = several("an attribution", self.attributions.iter().filter(|has| **has).count())?;
        let weights = several("weights", self.weights.iter().filter(|has| **has).count())?;
        (0..count)
            .map(|i| {
                Ok(Explained {
                    scores: scores.row(i).to_vec(),
                    class: class.iter().nth(i).and_then(|c| usize::try_from(*c).ok()).unwrap_or(0),
                    maps: maps.iter().map(|m| plane(m, i)).collect::<Result<_, _>>()?,
                    attributions: dealt(&self.attributions, &attributions, i, |a| a.to_owned()),
                    weights: self.weights_of(&weights, i),
                    notes: self.notes_of(&caveats, i),
                })
            })
            .collect()
    }

    /// The weights of each map of picture `i`.
    fn weights_of(&self, weights: &[ArrayD<f32>], i: usize) -> Vec<Vec<f32>> {
        let weights = dealt(&self.weights, weights, i, |w| w.iter().copied().collect());
        weights.into_iter().map(Option::unwrap_or_default).collect()
    }

    /// The notes of each map of picture `i`.
    fn notes_of(&self, caveats: &[ArrayD<f32>], i: usize) -> Vec<Vec<String>> {
        let mut caveats = caveats.iter();
        let notes = self.notes.iter().map(|(always, caveat)| {
            let applies = caveat.filter(|_| caveats.next().and_then(|c| c.iter().nth(i)).is_some_and(|v| *v < 0.0));
            always.iter().cloned().chain(applies.map(str::to_owned)).collect()
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
