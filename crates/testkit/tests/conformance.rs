//! The evaluator, and with it the importer, against what PyTorch says that operators compute. (The ONNX project's cases are
//! tried by `crates/onnxcam/tests/operators.rs`, on engines as well.)

use std::path::Path;

use onnx_graph::{Graph, ImportOptions, Model, Spelling, import, spell};
use testkit::{Case, cases, evaluate};

/// PyTorch in float64. What differs are attributes, which are float32 in the file and float64 in PyTorch.
#[test]
fn pytorch_operators() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx-autodiff/tests/golden");
    let mut failures = Vec::new();
    for case in cases(folder) {
        if let Err(error) = understood(&case, &case.model).and_then(|graph| check(&case, &graph, 1e-7)) {
            failures.push(format!("{}: {error}", case.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Written as ONNX for an opset and read again, PyTorch's cases still give the same. Opset 19 is the first to have every
/// operator as the canonical view does (AveragePool's dilations), before 18 axes are attributes.
#[test]
fn spelled_operators() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx-autodiff/tests/golden");
    let mut failures = Vec::new();
    for case in cases(folder) {
        let graph = understood(&case, &case.model).unwrap();
        let batch = case.x[0].shape().first().copied().unwrap_or(1);
        for opset in [17, 18, 19, 21, 24, 28] {
            let spelled = spell(&graph, &Spelling { opset, batch }).unwrap();
            let model = Model::from_proto(spelled, Path::new("spelled.onnx")).unwrap();
            if let Err(error) = understood(&case, &model).and_then(|graph| check(&case, &graph, 1e-7)) {
                failures.push(format!("{}, opset {opset}: {error}", case.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The imported graph, if every node of it is.
fn understood(case: &Case, model: &Model) -> Result<Graph, String> {
    let imported = import(model, &ImportOptions::default()).map_err(|e| e.to_string())?;
    match imported.graph.nodes().iter().find_map(|n| n.carried.as_ref()) {
        Some(carried) => Err(carried.reason.clone()),
        None if imported.graph.outputs.len() != case.y.len() => Err("outputs are missing".to_owned()),
        None => Ok(imported.graph),
    }
}

/// Every output within `tolerance` of max(1, |expected|), not-a-number where it is expected.
fn check(case: &Case, graph: &Graph, tolerance: f64) -> Result<(), String> {
    let feeds: Vec<_> = graph.inputs.iter().copied().zip(case.x.iter().cloned()).collect();
    let outputs = evaluate(graph, 1, &feeds, &graph.outputs)?;
    for (i, (found, expected)) in outputs.iter().zip(&case.y).enumerate() {
        if found.shape() != expected.shape() {
            return Err(format!("output {i} is {:?}, expected {:?}", found.shape(), expected.shape()));
        }
        for ((index, found), expected) in found.indexed_iter().zip(expected) {
            let same = found == expected || found.is_nan() && expected.is_nan();
            let close = (found - expected).abs() <= tolerance * expected.abs().max(1.0);
            if !same && !close {
                return Err(format!("output {i} at {index:?}: expected {expected}, found {found}"));
            }
        }
    }
    Ok(())
}
