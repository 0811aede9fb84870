//! The ONNX project's own cases of every operator that is read: by definition, on both engines, and the gradient against
//! central differences. What passes and what does not is `docs/operators.md`, which a test holds current.

#[path = "support/both.rs"]
mod both;
#[path = "operators/exclusions.rs"]
mod exclusions;
#[path = "operators/forward.rs"]
mod forward;
#[path = "operators/page.rs"]
mod page;
#[path = "operators/reading.rs"]
mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use exclusions::{At, EXCLUSIONS, exclusion};
use forward::{compare, on_engine, on_evaluator};
use onnxcam::engine::{Engine, Rten};
use reading::{Read, first_output, readings};
use testkit::{Case, Check, conformance};

/// A case as it is read.
pub struct Tried {
    /// The case; with its first output alone, where the others are refused.
    pub case: Case,
    /// Why it is not read, or not whole.
    pub refused: Option<String>,
    /// What is read of it; nothing where it is refused.
    pub read: Vec<Read>,
}

impl Tried {
    fn new(case: Case) -> Tried {
        let refused = match readings(&case) {
            Ok(read) => return Tried { case, refused: None, read },
            Err(refused) => refused,
        };
        let fewer = first_output(&case);
        match readings(&fewer) {
            Ok(read) => Tried { case: fewer, refused: Some(refused), read },
            Err(_) => Tried { case, refused: Some(refused), read: vec![] },
        }
    }

    /// What is differentiated: the reading with the most inputs that has floats to differentiate.
    pub fn differentiable(&self) -> impl Iterator<Item = &Read> {
        self.read.iter().filter(|read| read.has_floats())
    }
}

/// Every operator of the standard domain that is read, with its cases.
pub static OPERATORS: LazyLock<BTreeMap<&str, Vec<Tried>>> = LazyLock::new(|| {
    let names = onnx_graph::operators().filter(|(domain, _)| domain.is_empty()).map(|(_, name)| name);
    names.map(|name| (name, conformance::operator_cases(name).into_iter().map(Tried::new).collect())).collect()
});

/// Tries every case that is read and collects what differs from [`EXCLUSIONS`].
fn try_all(at: At, check: impl Fn(&Case, &[Read]) -> Result<(), String>) {
    let (mut wrong, mut cases) = (Vec::new(), 0);
    for Tried { case, read, .. } in OPERATORS.values().flatten().filter(|tried| !tried.read.is_empty()) {
        cases += 1;
        note(&mut wrong, at, &case.name, check(case, read));
    }
    finish(at, cases, &wrong);
}

fn note(wrong: &mut Vec<String>, at: At, case: &str, outcome: Result<(), String>) {
    match (outcome, exclusion(at, case)) {
        (Ok(()), Some(listed)) => wrong.push(format!("{case}: passes, though excluded as \"{}\"", listed.reason)),
        (Err(error), None) => wrong.push(format!("{case}: {error}")),
        (Err(error), Some(listed)) if !error.contains(listed.says) => {
            wrong.push(format!("{case}: excluded as \"{}\", but it says: {error}", listed.reason));
        }
        _ => {}
    }
}

fn finish(at: At, cases: usize, wrong: &[String]) {
    assert!(wrong.is_empty(), "{}: {} of {cases} cases\n{}", at.name(), wrong.len(), wrong.join("\n"));
    println!("{}: {cases} cases", at.name());
}

#[test]
fn every_case_is_read() {
    let mut wrong = Vec::new();
    for Tried { case, refused, .. } in OPERATORS.values().flatten() {
        note(&mut wrong, At::Import, &case.name, refused.clone().map_or(Ok(()), Err));
    }
    finish(At::Import, OPERATORS.values().flatten().count(), &wrong);
}

#[test]
fn by_definition() {
    try_all(At::Evaluator, |case, read| {
        for read in read {
            compare(case, &read.graph, &on_evaluator(read)?, tolerance(case))?;
        }
        Ok(())
    });
}

/// Operators that the standard defines by a function, written out as its body: so far as every node of it is understood.
#[test]
fn function_bodies() {
    let mut wrong = Vec::new();
    let bodies = page::understood_bodies();
    for (case, read) in &bodies {
        let base = case.name.split('/').next().unwrap_or_default();
        for read in read {
            let outcome = on_evaluator(read).and_then(|y| compare(case, &read.graph, &y, tolerance(case)));
            if let (Err(error), None) = (outcome, exclusion(At::Evaluator, base)) {
                wrong.push(format!("{}: {error}", case.name));
            }
        }
    }
    finish(At::Evaluator, bodies.len(), &wrong);
}

#[test]
fn on_rten() {
    on(At::Rten, &Rten);
}

#[test]
fn on_onnx_runtime() {
    if let Some(engine) = both::onnx_runtime() {
        on(At::Ort, &*engine);
    }
}

fn on(at: At, engine: &dyn Engine) {
    try_all(at, |case, read| compare(case, &read[0].graph, &on_engine(&read[0], engine)?, tolerance(case)).map(|_| ()));
}

/// Float32; one case's values were typed in to four digits.
fn tolerance(case: &Case) -> f64 {
    if case.name == "averagepool_2d_ceil_last_window_starts_on_pad" { 1e-4 } else { 2e-6 }
}

/// With respect to every float input; where a rule refuses that (weights have to be constants), to the first.
#[test]
fn gradients() {
    let mut moved = Vec::new();
    let (mut wrong, mut cases) = (Vec::new(), 0);
    for tried in OPERATORS.values().flatten() {
        let mut outcome = None;
        for read in tried.differentiable() {
            let found = outcome.insert(gradient(read));
            if !found.as_ref().is_err_and(|error| error.contains("cannot differentiate")) {
                break;
            }
        }
        let Some(outcome) = outcome else { continue };
        cases += 1;
        if outcome == Ok(true) {
            moved.push(tried.case.name.as_str());
        }
        note(&mut wrong, At::Vjp, &tried.case.name, outcome.map(|_| ()));
    }
    println!("moved off a kink: {}", moved.join(", "));
    finish(At::Vjp, cases, &wrong);
}

/// Whether the inputs had to be moved. Large inputs are tried at fewer places.
fn gradient(read: &Read) -> Result<bool, String> {
    let elements: usize = read.x.iter().map(ndarray::ArrayBase::len).sum();
    let check = Check { coordinates: (4_000 / elements.max(1)).clamp(3, 32), ..Check::default() };
    check.graph(&read.graph, &read.x, |graph, seeds, wrt| {
        onnx_autodiff::gradient(graph, seeds, wrt).map_err(|e| e.to_string())
    })
}

#[test]
fn every_exclusion_names_a_case() {
    let cases: BTreeSet<&str> = OPERATORS.values().flatten().map(|tried| tried.case.name.as_str()).collect();
    for exclusion in EXCLUSIONS {
        assert!(cases.iter().any(|case| exclusion.names(case)), "{}", exclusion.cases);
    }
}

/// An operator without cases, or with none that is read, is here with what tests it instead.
#[test]
fn operators_without_a_case() {
    let read = |tried: &Tried| !tried.read.is_empty();
    let without = OPERATORS.iter().filter(|(_, cases)| !cases.iter().any(read)).map(|(name, _)| *name);
    let without: Vec<&str> = without.collect();
    let listed: Vec<&str> = page::WITHOUT_A_CASE.iter().map(|(name, _)| *name).collect();
    assert_eq!(without, listed);
}

#[test]
fn the_page_is_current() {
    page::check(&page::page());
}
