//! What the user says about a classifier, and settling the rest.

use std::sync::Arc;

use super::probability::Probabilities;
use super::{Error, Model, PictureExplainer, Preprocessing, Subject, Target, Targets};
use crate::cache::Cache;
use crate::engine::{Choice, Chosen, Search, choose};
use crate::explain::{Layers, Plan, PlanOptions, Rival, RunSettings};
use crate::method::Method;
use crate::model::{Labels, labels_in};
use crate::picture::{Picture, Preset};
use crate::target::{Activation, Head, Score, Similarity, channel_axis};

/// The metadata with which a model of ours names its preset and its classes.
const PREPROCESSING: &str = "preprocessing";
const LABELS: &str = "labels";
const IMAGENET: &str = "imagenet-1k";

/// How a classifier is to be explained. What is not said is found in the file, or assumed and then said.
#[derive(Clone, Debug)]
pub struct Setup<'m> {
    model: &'m Model,
    methods: Vec<&'static dyn Method>,
    options: PlanOptions,
    preprocessing: Preprocessing,
    labels: Option<Labels>,
    rival: Option<String>,
    batch: usize,
    threads: Option<usize>,
    runs: RunSettings,
}

/// A classifier with head, layer, labels and preprocessing settled, not yet on an engine.
#[derive(Clone, Debug)]
pub struct Settled {
    plan: Plan,
    subject: Arc<Subject>,
    signed: bool,
    batch: usize,
    threads: Option<usize>,
    runs: RunSettings,
}

impl<'m> Setup<'m> {
    pub(super) fn new(model: &'m Model, methods: &[&'static dyn Method]) -> Setup<'m> {
        Setup {
            model,
            methods: methods.to_vec(),
            options: PlanOptions::default(),
            preprocessing: Preprocessing::default(),
            labels: None,
            rival: None,
            batch: 1,
            threads: None,
            runs: RunSettings::default(),
        }
    }

    /// The target layer by tensor, node or module name; else the last feature maps that everything passes through.
    pub fn layer(mut self, name: impl Into<String>) -> Self {
        self.options.layer = Some(name.into());
        self
    }

    /// Several target layers, by name: one map is made of them, the mean of each one's map stretched to 0..=1 and up-sampled to
    /// the picture. They share one forward and one backward pass.
    pub fn layers<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        let mut names = names.into_iter().map(Into::into);
        self.options.layer = names.next();
        self.options.fused = names.collect();
        self
    }

    /// The output with the class scores; else the one that looks like it.
    pub fn output(mut self, name: impl Into<String>) -> Self {
        self.options.head.output = Some(name.into());
        self
    }

    /// What makes probabilities of the scores; else what the file ends in, else softmax, or sigmoid for one output.
    pub fn activation(mut self, activation: Activation) -> Self {
        self.options.head.activation = Some(activation);
        self
    }

    /// Height and width of the input where the file leaves them open; else 224 × 224.
    pub fn input_size(mut self, height: usize, width: usize) -> Self {
        self.options.import.input_size = Some((height, width));
        self
    }

    /// What is explained instead of an output as it is: a part of a larger one, or a computation on the outputs.
    pub fn score(mut self, score: Score) -> Self {
        self.options.head.score = Some(score);
        self
    }

    /// What is explained is how like another picture this one is to the network: the cosine of what it makes of both, for
    /// networks whose output is an embedding. The other picture, called `name`, is run here, prepared as pictures will be:
    /// say first what is to be said of the model's input and of preprocessing.
    ///
    /// # Errors
    /// As [`Setup::settle`] and [`PictureExplainer::run`], for the other picture.
    pub fn similar_to(mut self, other: &Picture, name: impl Into<String>, chosen: &Chosen) -> Result<Setup<'m>, Error> {
        let options = PlanOptions { layer: None, rival: None, ..self.options.clone() };
        let alone = Setup { methods: Vec::new(), labels: None, rival: None, batch: 1, options, ..self.clone() };
        let mut network = alone.settle()?.load(chosen)?;
        let input = network.subject().input(other)?;
        let scores = network.explain(&[input], &Targets::default())?.remove(0).remove(0).scores().to_vec();
        let embedding = if network.subject().head().binary { scores[1..].to_vec() } else { scores };
        let output = self.options.head.output.clone();
        self.options.head.score = Some(Score::Similarity(Similarity { output, embedding, to: name.into() }));
        Ok(self)
    }

    /// The value that an input besides the picture always has, such as `is_training` or `keep_prob`: one number for all
    /// its elements, or one for each.
    pub fn input_value(mut self, name: impl Into<String>, values: &[f64]) -> Self {
        self.options.import.values.push((name.into(), values.to_vec()));
        self
    }

    /// How pictures become the input; else what the file's metadata names, else what the network's own normalisation
    /// wants, else as torchvision does.
    pub fn preprocess(mut self, preprocessing: Preprocessing) -> Self {
        self.preprocessing = preprocessing;
        self
    }

    /// The preset of the preprocessing.
    pub fn preset(mut self, preset: Preset) -> Self {
        self.preprocessing.preset = Some(preset);
        self
    }

    /// Names of the classes; else those in the file's metadata or its ZipMap, else ImageNet's where there are 1,000
    /// classes, else none.
    pub fn labels(mut self, labels: Labels) -> Self {
        self.labels = Some(labels);
        self
    }

    /// Explains the difference to the score of another class, S = S_class − S_rival: why this class, rather than that? A class's
    /// number or name, or `second` for the one with the highest score beside the class explained.
    pub fn against(mut self, class: impl Into<String>) -> Self {
        self.rival = Some(class.into());
        self
    }

    /// Leaves the last relu of each method out, so that raw maps show negative evidence too.
    pub fn signed(mut self, signed: bool) -> Self {
        self.options.signed = signed;
        self
    }

    /// From which noise and random masks are drawn; 0 if not said. The same seed makes the same map.
    pub fn seed(mut self, seed: u64) -> Self {
        self.runs.seed = seed;
        self
    }

    /// How many noisy pictures, masks or steps methods of many runs average over; else each its own number.
    pub fn samples(mut self, samples: usize) -> Self {
        self.runs.samples = Some(samples);
        self
    }

    /// How many pictures run at once; 1 if not said. A batch size that the file fixes comes before it.
    pub fn batch(mut self, pictures: usize) -> Self {
        self.batch = pictures.max(1);
        self
    }

    /// How many threads compute; else as many as there are cores.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Settles everything and loads the result into an engine, looked for in the usual places.
    ///
    /// # Errors
    /// As [`Setup::settle`] and [`Settled::load`], and where an engine is asked for that is not there.
    pub fn build(self, engine: Choice) -> Result<PictureExplainer, Error> {
        let settled = self.settle()?;
        let cache = Cache::locate(None).ok().map(|cache| cache.root().to_owned());
        settled.load(&choose(engine, &Search::from_env(cache))?)
    }

    /// Finds head, layer, labels and preprocessing, and adds the explanation to the graph.
    ///
    /// # Errors
    /// [`Error::Plan`] where the model cannot be explained so, [`Error::Labels`] where names and classes differ in number.
    pub fn settle(mut self) -> Result<Settled, Error> {
        self.options.layout = self.preprocessing.layout;
        self.options.rival = self.rival()?;
        let path = self.model.path().to_owned();
        let plan = Plan::new(self.model.file(), &self.methods, &self.options);
        let plan = plan.and_then(|plan| plan.check_pictures().map(|()| plan));
        let plan = plan.map_err(|error| Error::Plan { path: path.clone(), error })?;
        let mut notes = plan.notes.clone();
        let (labels, said) = self.labels_of(&plan.head)?;
        notes.extend(said);
        let input = plan.graph.tensor(plan.input);
        let shape = input.shape.clone().unwrap_or_default();
        let named = self.model.metadata(PREPROCESSING);
        let preprocessing = self.preprocessing.settle(&plan.graph, plan.input, plan.head.raw, named);
        let subject = Subject {
            path,
            digest: self.model.digest(),
            probabilities: Probabilities::of(&plan.head, self.options.head.activation),
            head: plan.head.clone(),
            layer: plan.layer.clone(),
            input: input.name.to_string(),
            channels: channel_axis(&plan.graph, plan.input, self.options.layout),
            labels,
            preprocessing,
            shape,
            notes,
        };
        let (signed, batch, threads) = (self.options.signed, self.batch, self.threads);
        let runs = RunSettings { signed, ..self.runs };
        Ok(Settled { plan, subject: Arc::new(subject), signed, batch, threads, runs })
    }
}

impl Setup<'_> {
    /// The names of the classes, and where they are from.
    fn labels_of(&self, head: &Head) -> Result<(Labels, Option<String>), Error> {
        let classes = head.classes;
        match &self.labels {
            Some(labels) if labels.len() != classes => {
                let path = self.model.path().to_owned();
                Err(Error::Labels { path, labels: labels.len(), classes })
            }
            Some(labels) => Ok((labels.clone(), None)),
            None if let Some((key, labels)) = labels_in(|key| self.model.metadata(key), classes) => {
                let from =
                    format!("the names of the classes are from the file's metadata, `{key}`; --labels names others");
                Ok((labels, Some(from)))
            }
            None if !head.names.is_empty() => {
                let from = "the names of the classes are from the file's ZipMap; --labels names others".to_owned();
                Ok((Labels::new(head.names.iter().cloned()), Some(from)))
            }
            None if classes == Labels::imagenet().len() => {
                let named = self.model.metadata(LABELS) == Some(IMAGENET);
                let from = format!("the {classes} classes are assumed to be ImageNet's; --labels names others");
                Ok((Labels::imagenet().clone(), (!named).then_some(from)))
            }
            None => Ok((Labels::new([]), None)),
        }
    }

    /// The rival that was named.
    fn rival(&self) -> Result<Option<Rival>, Error> {
        match self.rival.as_deref() {
            None => Ok(None),
            Some("second") => Ok(Some(Rival::RunnerUp)),
            Some(text) => {
                let failed = |error| Error::Plan { path: self.model.path().to_owned(), error };
                let head = Layers::head_of(self.model.file(), &self.options).map_err(failed)?;
                let (labels, _) = self.labels_of(&head)?;
                match Targets::parse(text, &labels, head.classes)?.as_slice() {
                    [Target::Class(class)] => Ok(Some(Rival::Class(*class))),
                    [Target::Predicted | Target::Top(_)] | [] | [_, _, ..] => {
                        Err(Error::Rival { text: text.to_owned() })
                    }
                }
            }
        }
    }
}

impl Settled {
    /// What was settled.
    pub fn subject(&self) -> &Arc<Subject> {
        &self.subject
    }

    /// The explained graph.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether the last relu of each method is left out.
    pub fn is_signed(&self) -> bool {
        self.signed
    }

    /// Loads it into an engine, for one class a picture; see [`Settled::load_for`].
    ///
    /// # Errors
    /// Where the engine does not take the model.
    pub fn load(self, chosen: &Chosen) -> Result<PictureExplainer, Error> {
        self.load_for(chosen, &Targets::default())
    }

    /// Loads what explaining these targets takes. Others can be explained, too: what they take is loaded then.
    ///
    /// # Errors
    /// Where the engine does not take the model, and [`Error::AgainstItself`].
    pub fn load_for(self, chosen: &Chosen, targets: &Targets) -> Result<PictureExplainer, Error> {
        if let Some((Rival::Class(rival), _)) = self.plan.rival
            && targets.fixed().is_some_and(|classes| classes.contains(&rival))
        {
            return Err(self.subject.against_itself(rival));
        }
        PictureExplainer::new(self.plan, self.subject, chosen, targets, self.batch, self.threads, self.runs)
    }
}
