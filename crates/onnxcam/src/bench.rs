//! What an explanation costs: the user's file as given against the explained run, in alternation.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ndarray::{ArrayD, IxDyn};
use onnx_graph::{EmitError, Model, ModelError, SpellError, Spelling, import, spell};

use crate::engine::{Engine, EngineError, Session, Source, Value};
use crate::explain::{
    Asked, Explainer, Plan, PlanError, PlanOptions, RunError, RunSettings, Runner, SplitExplainer, legal,
};
use crate::method::Method;

/// What to measure.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// How the model is read, and where it is explained.
    pub plan: PlanOptions,
    /// Threads to compute with, as [`Engine::load`] takes them.
    pub threads: Option<usize>,
    /// Measured rounds: one plain and one explained run each.
    pub rounds: usize,
    /// Rounds before the first that counts.
    pub warm_up: usize,
    /// How many classes of the picture, where that is to be measured beside one.
    pub classes: Option<usize>,
}

impl Default for BenchOptions {
    fn default() -> Self {
        BenchOptions { plan: PlanOptions::default(), threads: None, rounds: 20, warm_up: 3, classes: None }
    }
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum BenchError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Emit(#[from] EmitError),
    #[error(transparent)]
    Spell(#[from] SpellError),
}

/// Times of one kind of run, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Times {
    /// The shortest.
    pub min: f64,
    /// The middle one, or the mean of the middle two.
    pub median: f64,
    /// The longest.
    pub max: f64,
}

impl Times {
    /// Of at least one run.
    fn of(mut runs: Vec<Duration>) -> Times {
        runs.sort();
        let ms = |i: usize| runs[i].as_secs_f64() * 1e3;
        let (last, middle) = (runs.len() - 1, runs.len() / 2);
        Times { min: ms(0), median: (ms(last / 2) + ms(middle)) / 2.0, max: ms(last) }
    }
}

/// The explained run of these methods, all in one.
#[derive(Clone, Debug)]
pub struct ExplainedTimes {
    /// The methods.
    pub methods: Vec<&'static dyn Method>,
    /// Its times.
    pub times: Times,
    /// Its median over the plain run's, both from the same rounds.
    pub ratio: f64,
    /// Several classes, where that was asked for and the graph runs in two parts.
    pub classes: Option<SeveralTimes>,
}

/// Several classes of one picture: one pass of the backbone, and the tail for each class.
#[derive(Clone, Copy, Debug)]
pub struct SeveralTimes {
    /// How many.
    pub count: usize,
    /// Its times.
    pub times: Times,
    /// Its median over that of one class alone, both from the same rounds.
    pub ratio: f64,
}

/// What was measured, batch 1.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The layer explained.
    pub layer: String,
    /// The plain run.
    pub plain: Times,
    /// Why the plain run is not the file as given but the same network written anew: the engine's objection.
    pub rewritten: Option<String>,
    /// The explained runs: each method alone, then all of several in one.
    pub explained: Vec<ExplainedTimes>,
    /// What was assumed; sentences for the user.
    pub notes: Vec<String>,
}

/// Measures a model on an engine: its file, loaded by the engine itself, against the explained run of each method
/// alone and, where there are several, of all in one. A round is one plain run, then one explained run; the picture is
/// noise, the same every time, and the class the predicted one.
///
/// # Errors
/// As for planning and running. Where only the file as given does not run, the same network as we write it takes its
/// place, see [`Bench::rewritten`].
pub fn bench(
    model: &Model,
    methods: &[&'static dyn Method],
    engine: &Arc<dyn Engine>,
    options: &BenchOptions,
) -> Result<Bench, BenchError> {
    // Planning first: it refuses files whose sizes no engine should see.
    let whole = Plan::new(model, methods, &options.plan)?;
    let shape = whole.graph.shape(whole.input).unwrap_or_default();
    let picture = noise(&shape.iter().map(|d| usize::try_from(d.at(1)).unwrap_or(0)).collect::<Vec<_>>());
    let (mut plain, rewritten) = match Plain::as_given(model, engine, &picture, options.threads) {
        Ok(plain) => (plain, None),
        Err(objection) => {
            let plain = Plain::rewritten(model, engine, &picture, options)?;
            (plain, Some(objection.to_string()))
        }
    };
    let mut sets: Vec<Vec<&'static dyn Method>> = methods.iter().map(|m| vec![*m]).collect();
    if methods.len() > 1 {
        sets.push(methods.to_vec());
    }
    let mut all_plain = Vec::new();
    let mut explained = Vec::new();
    for methods in sets {
        let plan = Plan::new(model, &methods, &options.plan)?;
        let mut explainer = Explainer::new(&plan, engine, 1, options.threads)?;
        let mut runner = Runner::new(&plan, engine, options.threads);
        let many = !plan.runs.is_empty();
        let warm_up = if many { options.warm_up.min(1) } else { options.warm_up };
        let mut split = match options.classes {
            Some(count) if !many => SplitExplainer::new(&plan, engine, 1, options.threads)?.map(|split| (count, split)),
            _ => None,
        };
        let (mut plain_runs, mut runs, mut several) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..warm_up + options.rounds.max(1) {
            let (before, ()) = timed(|| plain.run())?;
            let (with, ()) = timed(|| predicted(&mut explainer, &mut runner, &picture))?;
            let of_several = split.as_mut().map(|(count, split)| timed(|| top(split, &picture, *count))).transpose()?;
            if round >= warm_up {
                plain_runs.push(before);
                runs.push(with);
                several.extend(of_several.map(|(time, ())| time));
            }
        }
        all_plain.extend(&plain_runs);
        let times = Times::of(runs);
        let classes = split.map(|(count, _)| {
            let of_several = Times::of(several);
            SeveralTimes { count, times: of_several, ratio: of_several.median / times.median }
        });
        explained.push(ExplainedTimes { methods, times, ratio: times.median / Times::of(plain_runs).median, classes });
    }
    Ok(Bench { layer: whole.layer.name, plain: Times::of(all_plain), rewritten, explained, notes: whole.notes })
}

/// The predicted class by every method, those of many runs included.
fn predicted(explainer: &mut Explainer, runner: &mut Runner, picture: &ArrayD<f32>) -> Result<(), RunError> {
    let explained = explainer.run(picture, &[-1])?;
    let asked: Vec<Asked> = explained.iter().map(|e| Asked { class: e.class, rival: e.rival }).collect();
    runner.run(picture, &asked, RunSettings::default(), &mut |_| ControlFlow::Continue(()))?;
    Ok(())
}

/// The predicted class, which brings the scores, then as many others as make `count`.
fn top(split: &mut SplitExplainer, picture: &ArrayD<f32>, count: usize) -> Result<(), RunError> {
    let handed = split.backbone(picture)?;
    for picture in &handed {
        let classes = split.tail(&[(picture, -1)])?.first().map_or(0, |first| first.scores.len());
        let others: Vec<_> = (0..classes.min(count.saturating_sub(1))).map(|class| (picture, class as i64)).collect();
        split.tail(&others)?;
    }
    Ok(())
}

fn timed<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<(Duration, T), E> {
    let start = Instant::now();
    let made = work()?;
    Ok((start.elapsed(), made))
}

/// The network without an explanation, ready to run, with what it is fed.
struct Plain {
    session: Box<dyn Session>,
    inputs: Vec<(String, Value)>,
    outputs: Vec<String>,
}

impl Plain {
    /// The file, loaded by the engine itself, and run once to see that it does.
    fn as_given(
        model: &Model,
        engine: &Arc<dyn Engine>,
        picture: &ArrayD<f32>,
        threads: Option<usize>,
    ) -> Result<Plain, EngineError> {
        Plain::new(engine.load(Source::File(model.path()), threads)?, picture)
    }

    /// The same network as we write it for this engine.
    fn rewritten(
        model: &Model,
        engine: &Arc<dyn Engine>,
        picture: &ArrayD<f32>,
        options: &BenchOptions,
    ) -> Result<Plain, BenchError> {
        let graph = import(model, &options.plan.import)?.graph;
        let graph = legal(&graph, &graph.outputs.clone(), engine.lacks())?;
        let model = Model::from_proto(spell(&graph, &Spelling::for_graph(&graph, 1))?, model.path())?;
        let session = engine.load(Source::Bytes(model.to_bytes()), options.threads)?;
        Ok(Plain::new(session, picture)?)
    }

    fn new(session: Box<dyn Session>, picture: &ArrayD<f32>) -> Result<Plain, EngineError> {
        let inputs = session.inputs().iter().map(|port| (port.name.clone(), picture.clone().into())).collect();
        let outputs = session.outputs().iter().map(|port| port.name.clone()).collect();
        let mut plain = Plain { session, inputs, outputs };
        plain.run()?;
        Ok(plain)
    }

    fn run(&mut self) -> Result<(), EngineError> {
        let inputs: Vec<(&str, &Value)> = self.inputs.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let outputs: Vec<&str> = self.outputs.iter().map(String::as_str).collect();
        self.session.run(&inputs, &outputs).map(|_| ())
    }
}

/// Noise of a shape, evenly spread over −√3 … √3 (mean 0, variance 1 as normalised pictures have it), the same at every
/// call: SplitMix64 (Steele, Lea, Flood 2014) from a fixed seed.
pub(crate) fn noise(shape: &[usize]) -> ArrayD<f32> {
    let mut state = 0_u64;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let unit = (z >> 40) as f32 / (1_u64 << 24) as f32;
        (2.0 * unit - 1.0) * 3.0_f32.sqrt()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_odd_and_even_counts() {
        let times = |ms: &[u64]| Times::of(ms.iter().copied().map(Duration::from_millis).collect());
        assert_eq!(times(&[7]), Times { min: 7.0, median: 7.0, max: 7.0 });
        assert_eq!(times(&[9, 1, 2]), Times { min: 1.0, median: 2.0, max: 9.0 });
        assert_eq!(times(&[9, 1, 2, 4]), Times { min: 1.0, median: 3.0, max: 9.0 });
    }

    #[test]
    fn noise_is_the_same_every_time_and_normalised() {
        let a = noise(&[1, 3, 64, 64]);
        assert_eq!(a, noise(&[1, 3, 64, 64]));
        assert!(a.mean().unwrap().abs() < 0.03 && (a.var(0.0) - 1.0).abs() < 0.03);
    }
}
