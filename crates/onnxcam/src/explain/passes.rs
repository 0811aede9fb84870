//! Many runs of a network for one picture, as methods ask for them that are no nodes in the graph.

use std::ops::ControlFlow;
use std::sync::Arc;

use ndarray::{Array2, ArrayD, ArrayViewD, ArrayViewMut2, ArrayViewMutD, Axis, Ix2};
use onnx_graph::{Tensor, cut};

use super::explainer::{Feed, Handed, RunError, padded};
use super::piece::Piece;
use super::plan::{Plan, PlannedRuns};
use super::split::Split;
use crate::engine::{Engine, Value};
use crate::method::Made;
use crate::target::Activation;

/// Pictures in one run. More gain nothing on processors, and take memory.
const PICTURES: usize = 8;

/// Changed feature maps in one run of the tail, which is small where the layer lies deep: the cells of 7 × 7.
const ROWS: usize = 49;

/// What the user says about methods of many runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunSettings {
    /// From which noise and random masks are drawn: the same seed, the same map.
    pub seed: u64,
    /// How many noisy pictures, masks or steps are averaged over; each method has a number of its own.
    pub samples: Option<usize>,
    /// Leave the last relu of each method out.
    pub signed: bool,
}

/// How far a method of many runs has come with a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The method's name.
    pub method: &'static str,
    /// Runs done, a run being one picture, or one set of changed feature maps.
    pub done: usize,
    /// Of how many. A method may make several rounds.
    pub of: usize,
}

/// What is explained: a class, or what speaks for it rather than for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The class.
    pub class: usize,
    /// The class it is contrasted with.
    pub rival: Option<usize>,
}

impl From<usize> for Asked {
    fn from(class: usize) -> Asked {
        Asked { class, rival: None }
    }
}

/// Is told of progress, and says whether to go on.
pub type Watch<'a> = dyn FnMut(Progress) -> ControlFlow<()> + 'a;

/// A plan's methods of many runs on an engine. What they need is loaded when they first need it.
#[derive(Debug)]
pub struct Runner {
    plan: Plan,
    engine: Arc<dyn Engine>,
    threads: Option<usize>,
    scores: Option<Piece>,
    backbone: Option<Piece>,
    tail: Option<Piece>,
    /// The picture to its feature maps, where nothing runs from changed ones.
    maps: Option<Piece>,
    /// By what they end in.
    gradients: Vec<(Tensor, Piece)>,
}

/// What a method sees of the picture, the network and the user.
pub struct Passes<'r> {
    runner: &'r mut Runner,
    planned: PlannedRuns,
    picture: &'r ArrayD<f32>,
    classes: &'r [Asked],
    settings: RunSettings,
    watch: &'r mut Watch<'r>,
    handed: Option<Handed>,
}

impl Runner {
    /// The methods of many runs of this plan.
    pub fn new(plan: &Plan, engine: &Arc<dyn Engine>, threads: Option<usize>) -> Runner {
        Runner {
            plan: plan.clone(),
            engine: engine.clone(),
            threads,
            scores: None,
            backbone: None,
            tail: None,
            maps: None,
            gradients: Vec::new(),
        }
    }

    /// Every such method's results for one picture, [1, …] in the network's layout: for each method, in the plan's order,
    /// one a class.
    ///
    /// # Errors
    /// [`RunError::Stopped`] where `watch` says so, and as [`Explainer::run`](super::Explainer::run).
    pub fn run(
        &mut self,
        picture: &ArrayD<f32>,
        classes: &[Asked],
        settings: RunSettings,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Vec<Made>>, RunError> {
        if self.plan.runs.is_empty() {
            return Ok(Vec::new());
        }
        Feed::of(&self.plan, 1).check(picture, 1)?;
        let named = classes.iter().flat_map(|asked| [Some(asked.class), asked.rival]).flatten();
        if let Some(class) = named.into_iter().find(|class| *class >= self.plan.head.classes) {
            return Err(RunError::Class { class: class as i64, classes: self.plan.head.classes });
        }
        let picture = picture.index_axis(Axis(0), 0).to_owned();
        let mut made = Vec::new();
        for planned in self.plan.runs.clone() {
            let Some(runs) = planned.method.runs() else { continue };
            let mut notes = planned.notes.clone();
            notes.extend(runs.is_random().then(|| format!("drawn from seed {}", settings.seed)));
            let mut watch = |progress: Progress| watch(progress);
            let mut passes =
                Passes { runner: self, planned, picture: &picture, classes, settings, watch: &mut watch, handed: None };
            let maps = runs.maps(&mut passes)?.into_iter();
            made.push(maps.map(|map| Made { notes: [notes.clone(), map.notes].concat(), ..map }).collect());
        }
        Ok(made)
    }

    fn batch(&self, size: usize) -> usize {
        self.plan.fixed_batch().unwrap_or(size)
    }

    fn load(&self, from: &[Tensor], to: &[Tensor], batch: usize) -> Result<Piece, RunError> {
        let graph = cut(&self.plan.graph, from, to);
        Piece::load(&graph, &graph.outputs, &self.engine, batch, self.threads)
    }

    fn load_split(&mut self) -> Result<(), RunError> {
        if self.tail.is_none() {
            let split = Split::wherever_pictures_lie(&self.plan, &[self.plan.head.scores]);
            let split = split
                .filter(|_| self.plan.layer.view.can_be_put_back())
                .ok_or_else(|| RunError::Whole { layer: self.plan.layer.name.clone() })?;
            let load = |graph, batch| Piece::load(graph, &graph.outputs, &self.engine, batch, self.threads);
            let (backbone, tail) = (load(&split.backbone, self.batch(1))?, load(&split.tail, self.batch(ROWS))?);
            (self.backbone, self.tail) = (Some(backbone), Some(tail));
        }
        Ok(())
    }
}

/// What a score is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// S, before any softmax.
    Score,
    /// The class's probability, by the model's own activation; the score where it has none.
    Probability,
}

impl Passes<'_> {
    /// The classes asked for, at least one.
    pub fn classes(&self) -> &[Asked] {
        self.classes
    }

    /// What the user said.
    pub fn settings(&self) -> RunSettings {
        self.settings
    }

    /// How many samples to average over, where the method's own number is `usual`; at least one.
    pub fn samples(&self, usual: usize) -> usize {
        self.settings.samples.unwrap_or(usual).max(1)
    }

    /// The network's input for the picture, without the batch: [C, H, W] or [H, W, C].
    pub fn picture(&self) -> &ArrayD<f32> {
        self.picture
    }

    /// Which axis of [`picture`](Passes::picture) is the channels.
    fn channels(&self) -> usize {
        self.planned.channels.map_or(0, |axis| axis - 1)
    }

    /// Which axes of [`picture`](Passes::picture) are rows and columns.
    fn spatial(&self) -> (usize, usize) {
        if self.channels() == 0 { (1, 2) } else { (0, 1) }
    }

    /// Height and width of the network's input.
    pub fn size(&self) -> (usize, usize) {
        let (down, across) = self.spatial();
        let size = |axis: usize| self.picture.shape().get(axis).copied().unwrap_or(1);
        (size(down), size(across))
    }

    /// A value for every sample of the picture as one for every pixel.
    pub fn over_channels(&self, samples: &ArrayD<f64>, fold: impl Fn(f64, f64) -> f64) -> Array2<f32> {
        let pixels = samples.fold_axis(Axis(self.channels()), 0.0, |sum, v| fold(*sum, *v)).mapv(|v| v as f32);
        let shape = self.size();
        pixels.into_dimensionality::<Ix2>().unwrap_or_else(|_| Array2::zeros(shape))
    }

    /// The feature maps A of the picture, [K, h, w], from one run of the backbone.
    pub fn features(&mut self) -> Result<ArrayD<f32>, RunError> {
        let shape = || RunError::Answer { what: "feature maps", shape: Vec::new() };
        if let Some(handed) = &self.handed {
            let maps = handed.layer().and_then(|layer| self.runner.plan.layer.view.maps(layer));
            return Ok(maps.ok_or_else(shape)?.index_axis_move(Axis(0), 0));
        }
        let batch = self.runner.batch(1);
        let plan = &self.runner.plan;
        let mut piece = match self.runner.maps.take() {
            Some(piece) => piece,
            None => self.runner.load(&[plan.input], &[plan.features], batch)?,
        };
        let picture = self.picture.clone().insert_axis(Axis(0));
        let maps = Feed::of(&self.runner.plan, batch).backbone(&mut piece, &picture, batch);
        self.runner.maps = Some(piece);
        Ok(maps?.swap_remove(0).layer().ok_or_else(shape)?.index_axis(Axis(0), 0).to_owned())
    }

    /// The same, and from now on the network may be run from [`changed`](Passes::changed) feature maps.
    ///
    /// # Errors
    /// Where it cannot, as what lies behind the layer needs more than one picture's share of it.
    pub fn features_to_change(&mut self) -> Result<ArrayD<f32>, RunError> {
        self.handed()?;
        self.features()
    }

    fn handed(&mut self) -> Result<&Handed, RunError> {
        let handed = match self.handed.take() {
            Some(handed) => handed,
            None => {
                self.runner.load_split()?;
                let batch = self.runner.batch(1);
                let feed = Feed::of(&self.runner.plan, batch);
                let backbone = self.runner.backbone.as_mut().expect("loaded above");
                let picture = self.picture.clone().insert_axis(Axis(0));
                feed.backbone(backbone, &picture, batch)?.swap_remove(0)
            }
        };
        Ok(self.handed.insert(handed))
    }

    /// The classes' scores, [count, classes], or their differences to their rivals', for `count` pictures: `fill` is given
    /// the number of each and the network's input, which it changes.
    pub fn scores(
        &mut self,
        count: usize,
        reading: Reading,
        fill: impl FnMut(usize, ArrayViewMutD<f32>),
    ) -> Result<Array2<f64>, RunError> {
        let batch = self.runner.batch(PICTURES);
        let mut piece = match self.runner.scores.take() {
            Some(piece) => piece,
            None => self.runner.load(&[self.runner.plan.input], &[self.runner.plan.head.scores], batch)?,
        };
        let feed = Feed::of(&self.runner.plan, batch);
        let mut scores = Array2::zeros((count, self.classes.len()));
        let base = self.picture.clone();
        let (activation, classes) = (self.runner.plan.head.activation, self.classes);
        let done = self.batches(count, batch, &base, fill, |first, rows, values| {
            let answers = piece.run(&[feed.value(values)])?;
            read_scores(answers, rows, reading, activation, classes, &mut scores, first)
        });
        self.runner.scores = Some(piece);
        done.map(|()| scores)
    }

    /// The same for the picture multiplied with `count` masks, each [H, W]; `mask` writes over the one before.
    pub fn masked(
        &mut self,
        count: usize,
        reading: Reading,
        mut mask: impl FnMut(usize, ArrayViewMut2<f32>),
    ) -> Result<Array2<f64>, RunError> {
        let channels = self.channels();
        let mut current = Array2::zeros(self.size());
        self.scores(count, reading, |i, mut picture| {
            mask(i, current.view_mut());
            for mut channel in picture.axis_iter_mut(Axis(channels)) {
                channel *= &current;
            }
        })
    }

    /// The classes' scores, [count, classes], for `count` changed sets of feature maps: `change` is given the number of
    /// each and A, [K, h, w], which it changes. Class and register tokens stay as they are. Only the tail runs.
    pub fn changed(
        &mut self,
        count: usize,
        reading: Reading,
        change: impl FnMut(usize, ArrayViewMutD<f32>),
    ) -> Result<Array2<f64>, RunError> {
        let base = self.features_to_change()?;
        let batch = self.runner.batch(ROWS);
        let handed = self.handed()?.clone();
        let mut piece = self.runner.tail.take().expect("loaded with the feature maps");
        let target = Value::from(ndarray::Array1::<i64>::zeros(batch));
        let rest = handed.rest(batch);
        let view = self.runner.plan.layer.view.clone();
        let mut scores = Array2::zeros((count, self.classes.len()));
        let (activation, classes) = (self.runner.plan.head.activation, self.classes);
        let done = self.batches(count, batch, &base, change, |first, rows, values| {
            let shape = values.shape().to_vec();
            let layer = match handed.layer() {
                _ if view.is_identity() => Some(values),
                one => one.and_then(|one| view.put_back(&values, one)),
            };
            let layer = layer.ok_or(RunError::Answer { what: "feature maps", shape })?;
            let mut inputs = vec![Value::from(layer)];
            inputs.extend(rest.iter().cloned());
            inputs.push(target.clone());
            read_scores(piece.run(&inputs)?, rows, reading, activation, classes, &mut scores, first)
        });
        self.runner.tail = Some(piece);
        done.map(|()| scores)
    }

    /// The gradient of a class's score for `count` pictures, at the feature maps or, where that is what the method needs, at
    /// the picture: `fill` changes the network's input, `take` is given the number of each and its gradient.
    pub fn gradients(
        &mut self,
        asked: Asked,
        count: usize,
        fill: impl FnMut(usize, ArrayViewMutD<f32>),
        mut take: impl FnMut(usize, ArrayViewD<f32>),
    ) -> Result<(), RunError> {
        let plan = &self.runner.plan;
        let Some(gradient) = self.planned.gradient else { return Ok(()) };
        let batch = self.runner.batch(PICTURES);
        let known = self.runner.gradients.iter().position(|(of, _)| *of == gradient);
        let mut piece = match known {
            Some(known) => self.runner.gradients.swap_remove(known).1,
            None => self.runner.load(&[plan.input, plan.target], &[gradient], batch)?,
        };
        let feed = Feed::of(plan, batch);
        let target = Value::from(ndarray::Array1::from_elem(batch, asked.class as i64));
        let base = self.picture.clone();
        let done = self.batches(count, batch, &base, fill, |first, rows, values| {
            let answer = piece.run(&[feed.value(values), target.clone()])?.pop().and_then(Value::into_f32);
            let answer = answer.ok_or(RunError::Answer { what: "gradients", shape: Vec::new() })?;
            answer.outer_iter().take(rows).enumerate().for_each(|(i, g)| take(first + i, g));
            Ok(())
        });
        self.runner.gradients.push((gradient, piece));
        done
    }

    /// Runs `count` rows that begin as `base`, a batch at a time, the last one padded.
    fn batches(
        &mut self,
        count: usize,
        batch: usize,
        base: &ArrayD<f32>,
        mut fill: impl FnMut(usize, ArrayViewMutD<f32>),
        mut run: impl FnMut(usize, usize, ArrayD<f32>) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let method = self.planned.method.name();
        let shape: Vec<usize> = [batch].iter().chain(base.shape()).copied().collect();
        for first in (0..count).step_by(batch) {
            if (self.watch)(Progress { method, done: first, of: count }).is_break() {
                return Err(RunError::Stopped);
            }
            let rows = batch.min(count - first);
            let mut values = base.broadcast(shape.clone()).expect("a row more in front").to_owned();
            for (i, row) in values.outer_iter_mut().take(rows).enumerate() {
                fill(first + i, row);
            }
            let values = if rows < batch { values.select(Axis(0), &padded(rows, batch)) } else { values };
            run(first, rows, values)?;
        }
        if (self.watch)(Progress { method, done: count, of: count }).is_break() {
            return Err(RunError::Stopped);
        }
        Ok(())
    }
}

/// The classes' scores of a batch, into the rows from `first` on.
fn read_scores(
    answers: Vec<Value>,
    rows: usize,
    reading: Reading,
    activation: Activation,
    classes: &[Asked],
    into: &mut Array2<f64>,
    first: usize,
) -> Result<(), RunError> {
    let shape = answers.first().map(|v| v.shape().to_vec()).unwrap_or_default();
    let scores = answers.into_iter().next().and_then(Value::into_f32);
    let scores = scores.and_then(|scores| scores.into_dimensionality::<Ix2>().ok());
    let scores = scores.ok_or(RunError::Answer { what: "scores", shape })?;
    for (i, row) in scores.outer_iter().take(rows).enumerate() {
        let row: Vec<f64> = row.iter().map(|s| f64::from(*s)).collect();
        let row = match reading {
            Reading::Score => row,
            Reading::Probability => activation.probabilities(&row).unwrap_or(row),
        };
        for (c, asked) in classes.iter().enumerate() {
            into[[first + i, c]] = row[asked.class] - asked.rival.map_or(0.0, |rival| row[rival]);
        }
    }
    Ok(())
}
