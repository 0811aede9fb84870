//! Every rule against PyTorch's own gradients, at kinks too. `references/make_operator_gradients.py` made the cases.

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use ndarray::ArrayD;
use onnx_graph::{DataType, Graph, ImportOptions, Tensor, import};
use support::difference;
use testkit::{Case, cases, evaluate};

/// Relative to the largest element, in f64. What is left of a difference are float32 constants: attributes of the file
/// (α, ε …), and 1/n, α/6 … in rules, each off by at most 6·10⁻⁸ of itself.
const EXACT: f64 = 1e-7;
/// The same, computed by rten in float32.
const FLOAT32: f64 = 1e-6;

/// Cases whose forward computation rten refuses or gets wrong, so that it cannot say anything about gradients.
const NOT_ON_RTEN: &[(&str, &str)] = &[
    ("lrn-alexnet", "it has no LRN"),
    ("lrn-strong", "it has no LRN"),
    ("lrn-wider-than-channels", "it has no LRN"),
    ("matmul-vector-right", "it leaves an axis of 1 where several matrices meet a vector"),
    ("maxpool-dilated-padded-ties", "it has no dilated MaxPool"),
    ("maxpool-dilated", "it has no dilated MaxPool"),
    ("quantizelinear-words", "it has no 16-bit integers"),
    ("quantizelinear-signed-words", "it has no 16-bit integers"),
];

/// A case's graph with its gradients.
struct Differentiated {
    graph: Graph,
    feeds: Vec<(Tensor, ArrayD<f64>)>,
    gradients: Vec<Tensor>,
}

/// Outputs of integers get no seed, inputs of integers have no gradient.
fn differentiate(case: &Case) -> Result<Differentiated, String> {
    let imported = import(&case.model, &ImportOptions::default()).map_err(|e| e.to_string())?;
    let mut graph = imported.graph;
    let (inputs, outputs) = (graph.inputs.clone(), graph.outputs.clone());
    if inputs.len() != case.x.len() || outputs.len() != case.dy.len() || inputs.len() != case.dx.len() {
        return Err("its arrays do not belong to its model".to_owned());
    }
    let mut feeds: Vec<_> = inputs.iter().copied().zip(case.x.iter().cloned()).collect();
    let mut seeds = Vec::new();
    for (i, (y, dy)) in outputs.iter().zip(&case.dy).enumerate() {
        let shape = graph.shape(*y).ok_or("the shape of an output is not known")?.to_vec();
        let dtype = graph.tensor(*y).dtype.unwrap_or(DataType::F32);
        let seed = graph.add_input(&format!("dy{i}"), dtype, shape);
        feeds.push((seed, dy.clone()));
        seeds.push((*y, seed));
    }
    let made = onnx_autodiff::gradient(&mut graph, &seeds, &inputs).map_err(|e| e.to_string())?;
    let gradients = made.into_iter().collect::<Option<Vec<_>>>().ok_or("an input has no gradient")?;
    Ok(Differentiated { graph, feeds, gradients })
}

fn all(check: impl Fn(&Case) -> Result<f64, String>, tolerance: f64) {
    let cases = cases(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"));
    let mut failures = Vec::new();
    let (mut worst, mut at) = (0.0, "");
    for case in &cases {
        match check(case) {
            Ok(off) if off <= tolerance => {
                if off > worst {
                    (worst, at) = (off, &case.name);
                }
            }
            Ok(off) => failures.push(format!("{}: off by {off:.1e}", case.name)),
            Err(error) => failures.push(format!("{}: {error}", case.name)),
        }
    }
    println!("{} cases, the largest difference {worst:.1e}, in {at}", cases.len());
    assert!(failures.is_empty(), "{} of {} cases fail\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn largest_difference(found: &[ArrayD<f64>], case: &Case) -> Result<f64, String> {
    let expected = case.y.iter().chain(&case.dx);
    let names = (0..case.y.len()).map(|i| format!("y{i}")).chain((0..case.dx.len()).map(|i| format!("dx{i}")));
    let mut worst = 0.0f64;
    for ((found, expected), name) in found.iter().zip(expected).zip(names) {
        worst = worst.max(difference(found, expected).map_err(|e| format!("{name}: {e}"))?);
    }
    Ok(worst)
}

#[test]
fn in_f64_by_definition() {
    let check = |case: &Case| {
        let Differentiated { graph, feeds, gradients } = differentiate(case)?;
        let wanted = [graph.outputs.clone(), gradients].concat();
        largest_difference(&evaluate(&graph, 1, &feeds, &wanted)?, case)
    };
    all(check, EXACT);
}

#[test]
fn in_float32_on_rten() {
    let check = |case: &Case| {
        let Differentiated { graph, feeds, gradients } = differentiate(case)?;
        let forward = support::rten(&graph, 1, &feeds, &graph.outputs.clone());
        if let Some((_, reason)) = NOT_ON_RTEN.iter().find(|(name, _)| *name == case.name) {
            let right = forward.is_ok_and(|y| difference(&y[0], &case.y[0]).is_ok_and(|off| off <= FLOAT32));
            return if right { Err(format!("rten computes it, though {reason}")) } else { Ok(0.0) };
        }
        let wanted = [graph.outputs.clone(), gradients].concat();
        largest_difference(&support::rten(&graph, 1, &feeds, &wanted)?, case)
    };
    all(check, FLOAT32);
}

/// Nobody's rule rests on our word alone; but for the remainder of floats, which ONNX Runtime, that every case is held
/// against, refuses (central differences check it).
#[test]
fn every_rule_has_a_case() {
    let mut met = BTreeSet::new();
    for case in cases(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")) {
        let graph = import(&case.model, &ImportOptions::default()).unwrap().graph;
        met.extend(graph.nodes().iter().map(|n| n.op.to_string()));
    }
    let without: Vec<&str> = onnx_autodiff::RULES
        .iter()
        .filter(|(op, rule)| matches!(rule, onnx_autodiff::Rule::Vjp(_)) && !met.contains(*op))
        .map(|(op, _)| *op)
        .collect();
    assert_eq!(without, ["Mod"]);
}
