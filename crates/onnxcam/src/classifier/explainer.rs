//! Pictures in, explanations out.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use ndarray::{ArrayD, Axis, concatenate};

use super::explanation::Explanation;
use super::probability::ranks;
use super::{Error, Input, Subject, Target, Targets};
use crate::engine::{Chosen, Engine};
use crate::explain::{Asked, Explained, Explainer, Handed, Plan, Progress, RunSettings, Runner, SplitExplainer};
use crate::method::{Made, Method};
use crate::picture::Picture;

/// A classifier on an engine, ready to explain pictures.
///
/// One class of a picture takes one run. Where several are asked for, the network runs in two parts: what comes before
/// the target layer once a picture, the rest for each class. Each way is loaded when it is first needed.
#[derive(Debug)]
pub struct PictureExplainer {
    plan: Plan,
    whole: Option<Explainer>,
    split: Option<SplitExplainer>,
    /// For the methods of many runs.
    runner: Runner,
    settings: RunSettings,
    watch: Watcher,
    /// Whether the graph was found to run whole only.
    never_split: bool,
    batch: usize,
    threads: Option<usize>,
    subject: Arc<Subject>,
    methods: Vec<&'static dyn Method>,
    engine: Arc<dyn Engine>,
    notes: Vec<String>,
}

/// Who is told of progress.
struct Watcher(Box<dyn FnMut(Progress) -> ControlFlow<()> + Send>);

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher")
    }
}

/// The class of an input to run: an index into the inputs, and the class or −1.
type Row = (usize, i64);

impl PictureExplainer {
    /// Loads what explaining these targets needs.
    pub(super) fn new(
        plan: Plan,
        subject: Arc<Subject>,
        chosen: &Chosen,
        targets: &Targets,
        batch: usize,
        threads: Option<usize>,
        settings: RunSettings,
    ) -> Result<PictureExplainer, Error> {
        let engine = chosen.why.iter().map(|why| format!("engine: {why}"));
        let notes = subject.notes.iter().cloned().chain(engine).collect();
        let mut explainer = PictureExplainer {
            whole: None,
            split: None,
            runner: Runner::new(&plan, &chosen.engine, threads),
            settings,
            watch: Watcher(Box::new(|_| ControlFlow::Continue(()))),
            never_split: false,
            batch: plan.fixed_batch().unwrap_or(batch).max(1),
            threads,
            subject,
            methods: plan.methods.clone(),
            engine: chosen.engine.clone(),
            notes,
            plan,
        };
        match targets.is_several() && explainer.split()?.is_some() {
            true => {}
            false => drop(explainer.whole()?),
        }
        Ok(explainer)
    }

    /// The network as one.
    fn whole(&mut self) -> Result<&mut Explainer, Error> {
        let whole = match self.whole.take() {
            Some(whole) => whole,
            None => Explainer::new(&self.plan, &self.engine, self.batch, self.threads)?,
        };
        Ok(self.whole.insert(whole))
    }

    /// The network in two parts, where it has two.
    fn split(&mut self) -> Result<Option<&mut SplitExplainer>, Error> {
        if self.split.is_none() && !self.never_split {
            self.split = SplitExplainer::new(&self.plan, &self.engine, self.batch, self.threads)?;
            self.never_split = self.split.is_none();
        }
        Ok(self.split.as_mut())
    }

    /// What is explained.
    pub fn subject(&self) -> &Arc<Subject> {
        &self.subject
    }

    /// The engine.
    pub fn engine(&self) -> &dyn Engine {
        self.engine.as_ref()
    }

    /// How many pictures run at once.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// What was assumed about model and engine; sentences for the user. [`Subject::preprocessing_note`] is not among
    /// them.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Has somebody told how far methods of many runs have come with a picture. Where the answer is to break off,
    /// explaining ends in [`RunError::Stopped`](crate::explain::RunError::Stopped).
    pub fn watch(&mut self, watcher: impl FnMut(Progress) -> ControlFlow<()> + Send + 'static) {
        self.watch = Watcher(Box::new(watcher));
    }

    /// Explains one class of a picture; of [`Target::Top`] the first.
    ///
    /// # Errors
    /// Where the picture does not become the network's input, there is no such class, or the engine fails.
    pub fn run(&mut self, picture: &Picture, target: Target) -> Result<Explanation, Error> {
        let input = self.subject.input(picture)?;
        let mut explained = self.explain(&[input], &Targets::from(target))?;
        Ok(explained.remove(0).remove(0))
    }

    /// Explains several classes of several pictures: for each picture, one explanation a class, in the order of the
    /// targets. Each run of the engine has one batch shape, fewer pictures or classes are padded, so that results do not
    /// depend on what else was asked for; one class alone and among others agree to rounding.
    ///
    /// # Errors
    /// As [`PictureExplainer::run`].
    pub fn explain(&mut self, inputs: &[Input], targets: &Targets) -> Result<Vec<Vec<Explanation>>, Error> {
        for input in inputs {
            self.subject.check_array(input.tensor.shape(), "an input")?;
        }
        let mut explanations = Vec::with_capacity(inputs.len());
        for inputs in inputs.chunks(self.batch) {
            explanations.extend(self.explain_batch(inputs, targets)?);
        }
        Ok(explanations)
    }

    /// The same for at most a batch.
    fn explain_batch(&mut self, inputs: &[Input], targets: &Targets) -> Result<Vec<Vec<Explanation>>, Error> {
        let mut runs = match targets.is_several() && self.split()?.is_some() {
            true => {
                let pictures = pictures(inputs, 0..inputs.len());
                let split = self.split.as_mut().expect("it was asked for");
                Runs::Split(split.backbone(&pictures)?, split)
            }
            false => Runs::Whole(inputs, self.whole()?),
        };
        let fixed = targets.fixed();
        // Where a class depends on the scores, the predicted one is explained first and brings them.
        let first: Vec<Option<Explained>> = match fixed {
            Some(_) => inputs.iter().map(|_| None).collect(),
            None => {
                let rows: Vec<Row> = (0..inputs.len()).map(|i| (i, -1)).collect();
                runs.run(&rows)?.into_iter().map(Some).collect()
            }
        };
        let classes: Vec<Vec<usize>> = first
            .iter()
            .map(|first| match (first, &fixed) {
                (Some(first), _) => targets.of(&ranks(&first.scores)),
                (None, fixed) => fixed.clone().unwrap_or_default(),
            })
            .collect();
        let known = |i: usize, class: usize| first[i].as_ref().filter(|e| e.class == class);
        let pairs: Vec<(usize, usize)> =
            classes.iter().enumerate().flat_map(|(i, classes)| classes.iter().map(move |c| (i, *c))).collect();
        let rows: Vec<Row> =
            pairs.iter().filter(|(i, c)| known(*i, *c).is_none()).map(|(i, c)| (*i, *c as i64)).collect();
        let mut others = runs.run(&rows)?.into_iter();

        let mut explained: Vec<Vec<Explained>> = inputs.iter().map(|_| Vec::new()).collect();
        for (i, class) in pairs {
            let of_class = known(i, class).cloned().or_else(|| others.next());
            explained[i].push(of_class.expect("a row for each class that was not known"));
        }
        inputs.iter().zip(explained).map(|(input, explained)| self.finish(input, explained)).collect()
    }

    /// The classes of one picture, with the maps of methods of many runs among the others.
    fn finish(&mut self, input: &Input, explained: Vec<Explained>) -> Result<Vec<Explanation>, Error> {
        if let Some(itself) = explained.iter().find(|e| e.rival == Some(e.class)) {
            return Err(self.subject.against_itself(itself.class));
        }
        let asked: Vec<Asked> = explained.iter().map(|e| Asked { class: e.class, rival: e.rival }).collect();
        let made = self.runner.run(&input.tensor, &asked, self.settings, &mut self.watch.0)?;
        let of_class = |(c, explained): (usize, Explained)| {
            let made = made.iter().map(|classes| classes[c].clone()).collect();
            let explained = in_order(&self.methods, explained, made);
            Explanation::new(&self.subject, &self.methods, input, explained)
        };
        Ok(explained.into_iter().enumerate().map(of_class).collect())
    }
}

/// What was explained in the graph, and what methods of many runs made, in the methods' order.
fn in_order(methods: &[&'static dyn Method], explained: Explained, made: Vec<Made>) -> Explained {
    if made.is_empty() {
        return explained;
    }
    let Explained { maps, attributions, weights, notes, .. } = explained;
    let in_graph = maps.into_iter().zip(attributions).zip(weights.into_iter().zip(notes));
    let mut in_graph = in_graph.map(|((map, attribution), (weights, notes))| Made { map, weights, attribution, notes });
    let mut made = made.into_iter();
    let mut merged = Explained {
        maps: Vec::new(),
        fields: Vec::new(),
        attributions: Vec::new(),
        weights: Vec::new(),
        notes: Vec::new(),
        scores: explained.scores,
        class: explained.class,
        rival: explained.rival,
    };
    for method in methods {
        let next = if method.runs().is_some() { made.next() } else { in_graph.next() };
        let Made { map, weights, attribution, notes } = next.expect("a map for each method");
        merged.maps.push(map);
        merged.attributions.push(attribution);
        merged.weights.push(weights);
        merged.notes.push(notes);
    }
    merged
}

/// How rows are run: from the picture on, or from what the backbone handed over of each.
enum Runs<'a> {
    Whole(&'a [Input], &'a mut Explainer),
    Split(Vec<Handed>, &'a mut SplitExplainer),
}

impl Runs<'_> {
    fn run(&mut self, rows: &[Row]) -> Result<Vec<Explained>, Error> {
        match self {
            Runs::Split(handed, split) => {
                let rows: Vec<(&Handed, i64)> = rows.iter().map(|(i, class)| (&handed[*i], *class)).collect();
                Ok(split.tail(&rows)?)
            }
            Runs::Whole(inputs, whole) => {
                let mut explained = Vec::with_capacity(rows.len());
                for rows in rows.chunks(whole.batch()) {
                    let pictures = pictures(inputs, rows.iter().map(|(i, _)| *i));
                    let targets: Vec<i64> = rows.iter().map(|(_, class)| *class).collect();
                    explained.extend(whole.run(&pictures, &targets)?);
                }
                Ok(explained)
            }
        }
    }
}

/// Some of the inputs as one batch.
fn pictures(inputs: &[Input], rows: impl Iterator<Item = usize>) -> ArrayD<f32> {
    let tensors: Vec<_> = rows.map(|i| inputs[i].tensor.view()).collect();
    concatenate(Axis(0), &tensors).expect("inputs of one network have one shape")
}
