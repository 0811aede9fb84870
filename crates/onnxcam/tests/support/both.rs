//! The engines that a test runs on, and one call from a model to its maps.

#![allow(dead_code)] // Each test program takes what it needs.

use std::env;
use std::path::Path;
use std::sync::Arc;

use ndarray::{ArrayD, Axis, Slice};
use onnx_graph::{Graph, Model, Spelling, spell};
use onnxcam::engine::{Choice, Engine, EngineError, Kind, Rten, Search, Session, Source, Value, choose};
use onnxcam::explain::{Explained, Explainer, Plan, PlanError, PlanOptions, legal};
use onnxcam::method::{self, Method};
use testkit::{Draw, evaluate};

/// rten, and ONNX Runtime where this machine has it; with `ONNXCAM_REQUIRE_ORT=1` it must.
pub fn engines() -> Vec<Arc<dyn Engine>> {
    let rten: Arc<dyn Engine> = Arc::new(Rten);
    [rten].into_iter().chain(onnx_runtime()).collect()
}

/// ONNX Runtime where this machine has it. Without it the caller has nothing to test, which is said.
pub fn onnx_runtime() -> Option<Arc<dyn Engine>> {
    match choose(Choice::Ort, &Search::from_env(None)) {
        Ok(chosen) => Some(chosen.engine),
        Err(e) if env::var_os("ONNXCAM_REQUIRE_ORT").is_some_and(|v| v == "1") => panic!("{e}"),
        Err(e) => {
            eprintln!("skipped, for ONNX Runtime is not here: {e}");
            None
        }
    }
}

/// Methods by name.
pub fn methods(names: &[&str]) -> Vec<&'static dyn Method> {
    names.iter().map(|name| method::find(name).unwrap()).collect()
}

/// The plan for these methods.
pub fn plan(model: &Model, names: &[&str], options: &PlanOptions) -> Result<Plan, PlanError> {
    Plan::new(model, &methods(names), options)
}

/// Every picture of `x` explained for one class (−1: the predicted one), in one batch, or singly where the file fixes a
/// batch of 1; the weights w_k among the results.
pub fn explain(plan: &Plan, engine: &Arc<dyn Engine>, x: &ArrayD<f32>, class: i64) -> Vec<Explained> {
    run(&mut explainer(plan, engine, x.len_of(Axis(0))), x, class)
}

/// A plan made ready for batches of this size.
pub fn explainer(plan: &Plan, engine: &Arc<dyn Engine>, batch: usize) -> Explainer {
    Explainer::with_weights(plan, engine, batch, None).unwrap_or_else(|e| panic!("{}: {e}", engine.name()))
}

/// Every picture of `x`, as many at a time as the explainer takes.
pub fn run(explainer: &mut Explainer, x: &ArrayD<f32>, class: i64) -> Vec<Explained> {
    let batch = explainer.batch();
    let mut run = |x: ArrayD<f32>| explainer.run(&x, &vec![class; x.len_of(Axis(0))]).unwrap();
    x.axis_chunks_iter(Axis(0), batch).flat_map(|chunk| run(chunk.to_owned())).collect()
}

/// Picture `i` of `x`, [1, …].
pub fn picture(x: &ArrayD<f32>, i: usize) -> ArrayD<f32> {
    x.slice_axis(Axis(0), Slice::from(i..i + 1)).to_owned()
}

/// Every picture explained on every engine, and by the definition of each operator in float64: they agree within 1e-5 of
/// what errors of scores, weights and maps are measured against. Answers rten's, which is everywhere.
pub fn agreed(model: &Model, names: &[&str], options: &PlanOptions, x: &ArrayD<f32>, class: i64) -> Vec<Explained> {
    let plan = plan(model, names, options).unwrap_or_else(|e| panic!("{e}"));
    let pictures: Vec<Definition> =
        (0..x.len_of(Axis(0))).map(|i| Definition::of(&plan, &picture(x, i), class)).collect();
    let mut explained = engines().into_iter().map(|engine| {
        let found = explain(&plan, &engine, x, class);
        for (i, (found, expected)) in found.iter().zip(&pictures).enumerate() {
            expected.check(found, &format!("picture {i} on {}", engine.name()));
        }
        found
    });
    let first = explained.next().expect("rten");
    explained.for_each(drop);
    first
}

/// What a plan computes for one picture, operator by operator in float64.
pub struct Definition {
    pub scores: Vec<f64>,
    pub class: usize,
    /// A, [K, h, w].
    pub features: ArrayD<f64>,
    /// w_k of each method, or one a cell; empty where it has none.
    pub weights: Vec<Vec<f64>>,
    /// Each method's map, [h, w].
    pub maps: Vec<ArrayD<f64>>,
}

impl Definition {
    pub fn of(plan: &Plan, x: &ArrayD<f32>, class: i64) -> Definition {
        let batch = plan.fixed_batch().unwrap_or(1);
        let x = x.select(Axis(0), &vec![0; batch]).mapv(f64::from);
        let target = ArrayD::from_elem(vec![batch], class as f64);
        let maps = plan.maps.iter().flat_map(|m| m.weights.into_iter().chain([m.map]));
        let wanted: Vec<_> = [plan.head.scores, plan.class, plan.features].into_iter().chain(maps).collect();
        let values = evaluate(&plan.graph, batch, &[(plan.input, x), (plan.target, target)], &wanted);
        let values = values.unwrap_or_else(|e| panic!("{e}")).into_iter();
        let mut values = values.map(|v| v.index_axis(Axis(0), 0).to_owned());
        let mut next = || values.next().unwrap();
        let (scores, class, features) = (next(), next(), next());
        let maps =
            plan.maps.iter().map(|m| (m.weights.map(|_| next().into_iter().collect()).unwrap_or_default(), next()));
        let (weights, maps) = maps.unzip();
        let class = class.first().copied().unwrap() as usize;
        Definition { scores: scores.into_iter().collect(), class, features, weights, maps }
    }

    /// max_ij Σ_k |w_k A^k_ij|: what errors of a map are measured against; its maximum where it has no weights.
    pub fn scale(&self, method: usize) -> f64 {
        let weights = &self.weights[method];
        if weights.is_empty() {
            return self.maps[method].iter().fold(f64::MIN_POSITIVE, |most, v| most.max(v.abs()));
        }
        let cells = self.features.len() / self.features.len_of(Axis(0));
        let of_cell = if weights.len() == self.features.len() { 1 } else { cells };
        let mut sum = vec![0.0; cells];
        for (i, a) in self.features.iter().enumerate() {
            sum[i % cells] += (a * weights[i / of_cell]).abs();
        }
        sum.into_iter().fold(f64::MIN_POSITIVE, f64::max)
    }

    fn check(&self, found: &Explained, what: &str) {
        let close = |found: &[f32], expected: &[f64], scale: f64, of: &str| {
            assert_eq!(found.len(), expected.len(), "{what}: {of}");
            for (a, b) in found.iter().zip(expected) {
                assert!((f64::from(*a) - b).abs() <= 1e-5 * scale, "{what}: {of}: {a} instead of {b}");
            }
        };
        let most = |values: &[f64]| values.iter().fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()));
        close(&found.scores, &self.scores, most(&self.scores), "scores");
        assert_eq!(found.class, self.class, "{what}: class");
        for m in 0..self.maps.len() {
            close(&found.weights[m], &self.weights[m], most(&self.weights[m]), "weights");
            let map: Vec<f64> = self.maps[m].iter().copied().collect();
            close(found.maps[m].as_slice().unwrap(), &map, self.scale(m), "map");
        }
    }
}

/// Seeded pictures, elements in [−2, 2).
pub fn pictures(shape: &[usize], seed: u64) -> ArrayD<f32> {
    Draw::new(seed).uniform(shape).mapv(|v| v as f32)
}

/// The float outputs of a graph for a batch, what the engine lacks lowered.
pub fn outputs(graph: &Graph, engine: &Arc<dyn Engine>, x: &ArrayD<f32>) -> Vec<ArrayD<f32>> {
    let graph = legal(graph, &graph.outputs, engine.lacks()).unwrap();
    let proto = spell(&graph, &Spelling::for_graph(&graph, x.len_of(Axis(0)))).unwrap();
    let model = Model::from_proto(proto, Path::new("spelled")).unwrap();
    let mut session = engine.load(Source::Bytes(model.to_bytes()), None).unwrap();
    run_session(&mut *session, x).unwrap()
}

/// Every float output of a session with one input, which may be of whole numbers.
pub fn run_session(session: &mut dyn Session, x: &ArrayD<f32>) -> Result<Vec<ArrayD<f32>>, EngineError> {
    let input = session.inputs()[0].name.clone();
    let x = match session.inputs()[0].kind {
        Some(Kind::Int) => Value::from(x.mapv(|v| v as i64)),
        _ => Value::from(x.clone()),
    };
    let names: Vec<String> = session.outputs().iter().filter(|o| o.kind.is_some()).map(|o| o.name.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let values = session.run(&[(&input, &x)], &names)?;
    Ok(values.into_iter().filter_map(Value::into_f32).collect())
}
