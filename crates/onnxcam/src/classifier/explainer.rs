//! Pictures in, explanations out.

use std::sync::Arc;

use ndarray::{Axis, concatenate};

use super::explanation::Explanation;
use super::probability::ranks;
use super::{Error, Input, Subject, Target, Targets};
use crate::engine::{Chosen, Engine};
use crate::explain::{Explained, Explainer, Plan};
use crate::method::Method;
use crate::picture::Picture;

/// A classifier on an engine, ready to explain pictures.
#[derive(Debug)]
pub struct PictureExplainer {
    explainer: Explainer,
    subject: Arc<Subject>,
    methods: Vec<&'static dyn Method>,
    engine: Arc<dyn Engine>,
    notes: Vec<String>,
}

/// The class of an input to run: an index into the inputs, and the class or −1.
type Row = (usize, i64);

impl PictureExplainer {
    pub(super) fn new(
        plan: &Plan,
        subject: Arc<Subject>,
        methods: Vec<&'static dyn Method>,
        chosen: &Chosen,
        batch: usize,
        threads: Option<usize>,
    ) -> Result<PictureExplainer, Error> {
        let explainer = Explainer::new(plan, &chosen.engine, batch, threads)?;
        let engine = chosen.why.iter().map(|why| format!("engine: {why}"));
        let notes = subject.notes.iter().cloned().chain(engine).collect();
        Ok(PictureExplainer { explainer, subject, methods, engine: chosen.engine.clone(), notes })
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
        self.explainer.batch()
    }

    /// What was assumed about model and engine; sentences for the user. [`Subject::preprocessing_note`] is not among
    /// them.
    pub fn notes(&self) -> &[String] {
        &self.notes
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
    /// targets. Each run of the engine takes [`batch`](PictureExplainer::batch) pictures, fewer are padded, so that
    /// results do not depend on what else was asked for.
    ///
    /// # Errors
    /// As [`PictureExplainer::run`].
    pub fn explain(&mut self, inputs: &[Input], targets: &Targets) -> Result<Vec<Vec<Explanation>>, Error> {
        for input in inputs {
            self.subject.check_array(input.tensor.shape(), "an input")?;
        }
        let fixed = targets.fixed();
        // Where a class depends on the scores, the predicted one is explained first and brings them.
        let first: Vec<Option<Explained>> = match fixed {
            Some(_) => inputs.iter().map(|_| None).collect(),
            None => {
                let rows: Vec<Row> = (0..inputs.len()).map(|i| (i, -1)).collect();
                self.run_rows(inputs, &rows)?.into_iter().map(Some).collect()
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
        let mut others = self.run_rows(inputs, &rows)?.into_iter();

        let mut explanations: Vec<Vec<Explanation>> = inputs.iter().map(|_| Vec::new()).collect();
        for (i, class) in pairs {
            let explained = known(i, class).cloned().or_else(|| others.next());
            let explained = explained.expect("a row for each class that was not known");
            explanations[i].push(Explanation::new(&self.subject, &self.methods, &inputs[i], explained));
        }
        Ok(explanations)
    }

    fn run_rows(&mut self, inputs: &[Input], rows: &[Row]) -> Result<Vec<Explained>, Error> {
        let mut explained = Vec::with_capacity(rows.len());
        for rows in rows.chunks(self.batch()) {
            let tensors: Vec<_> = rows.iter().map(|(i, _)| inputs[*i].tensor.view()).collect();
            let pictures = concatenate(Axis(0), &tensors).expect("inputs of one network have one shape");
            let targets: Vec<i64> = rows.iter().map(|(_, class)| *class).collect();
            explained.extend(self.explainer.run(&pictures, &targets)?);
        }
        Ok(explained)
    }
}
