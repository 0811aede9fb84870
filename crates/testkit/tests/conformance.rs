//! The evaluator, and with it the importer, against what others say that operators compute.

use std::path::Path;

use ndarray::ArrayD;
use onnx_graph::proto::{ModelProto, TensorProto};
use onnx_graph::{Constant, DataType, Graph, ImportOptions, Model, Spelling, import, spell};
use testkit::{Case, cases, evaluate, models};

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

/// Cases of the ONNX project that the importer refuses, and the reason it gives.
const REFUSED: &[(&str, &str)] = &[
    ("argmax_default_axis_example_select_last_index", LAST_MAXIMUM),
    ("argmax_default_axis_random_select_last_index", LAST_MAXIMUM),
    ("argmax_keepdims_example_select_last_index", LAST_MAXIMUM),
    ("argmax_keepdims_random_select_last_index", LAST_MAXIMUM),
    ("argmax_negative_axis_keepdims_example_select_last_index", LAST_MAXIMUM),
    ("argmax_negative_axis_keepdims_random_select_last_index", LAST_MAXIMUM),
    ("argmax_no_keepdims_example_select_last_index", LAST_MAXIMUM),
    ("argmax_no_keepdims_random_select_last_index", LAST_MAXIMUM),
    ("batchnorm_epsilon_training_mode", OUTPUT),
    ("batchnorm_example_training_mode", OUTPUT),
    ("maxpool_with_argmax_2d_precomputed_pads", OUTPUT),
    ("maxpool_with_argmax_2d_precomputed_strides", OUTPUT),
    ("mod_int64_fmod", C_REMAINDER),
    ("mod_mixed_sign_float32", C_REMAINDER),
    ("mod_mixed_sign_float64", C_REMAINDER),
    ("range_float_type_positive_delta", "input 0 is computed when the network runs"),
];
const OUTPUT: &str = "its output 1 is read, which is not supported here";
const LAST_MAXIMUM: &str = "taking the last of equal maxima is not supported";
const C_REMAINDER: &str = "C's fmod is not supported";

/// The tolerance of the ONNX project's cases: float32, and values typed in by hand to four digits in one of them.
fn tolerance(name: &str) -> f64 {
    if name == "averagepool_2d_ceil_last_window_starts_on_pad" { 1e-4 } else { 2e-6 }
}

/// The ONNX project's cases, float32. Each is tried with its inputs as they are, with all but the first as constants, and
/// with all as constants: what is understood has to be right, and one way has to be.
#[test]
fn onnx_operators() {
    let mut failures = Vec::new();
    for case in cases(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")) {
        let mut reasons = Vec::new();
        for first_constant in (0..=case.x.len()).rev().filter(|n| *n < 2 || *n == case.x.len()) {
            match understood(&case, &with_constants(&case, first_constant)) {
                Ok(graph) => {
                    if let Err(error) = check(&case, &graph, tolerance(&case.name)) {
                        failures.push(format!("{}, constants from {first_constant}: {error}", case.name));
                    }
                }
                Err(reason) => reasons.push(reason),
            }
        }
        let refused = reasons.len() == case.x.len().min(2) + 1;
        let expected = REFUSED.iter().find(|(name, _)| *name == case.name).map(|(_, reason)| *reason);
        match expected {
            None if refused => failures.push(format!("{}: {}", case.name, reasons.join("; "))),
            Some(_) if !refused => failures.push(format!("{} is not refused any more", case.name)),
            Some(expected) if !reasons.iter().all(|r| r.contains(expected)) => {
                failures.push(format!("{} is refused, but: {}", case.name, reasons.join("; ")));
            }
            _ => {}
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
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

/// The case's model with the inputs from this one on as initializers, and an input that nothing reads, for files have one.
fn with_constants(case: &Case, first: usize) -> Model {
    let mut proto: ModelProto = case.model.proto().clone();
    let graph = proto.graph.as_mut().unwrap();
    let constants = graph.input.split_off(first);
    for (value, elements) in constants.iter().zip(&case.x[first..]) {
        graph.initializer.push(initializer(value, elements));
    }
    let spare = models::Maker::new(17).input("spare", "f32[1]").build().graph.unwrap().input;
    graph.input.extend(spare);
    Model::from_proto(proto, case.model.path()).unwrap()
}

fn initializer(value: &onnx_graph::proto::ValueInfoProto, elements: &ArrayD<f64>) -> TensorProto {
    use onnx_graph::proto::type_proto::Value::TensorType;
    let Some(TensorType(declared)) = value.r#type.clone().and_then(|t| t.value) else {
        panic!("{value:?} is a tensor")
    };
    let dtype = declared.elem_type.and_then(DataType::from_number).unwrap();
    let floats: Vec<f64> = elements.iter().copied().collect();
    let integers: Vec<i64> = floats.iter().map(|v| *v as i64).collect();
    let constant = Constant::floats(dtype, elements.shape(), &floats)
        .or_else(|| Constant::integers(dtype, elements.shape(), &integers));
    let data = constant.unwrap().bytes().unwrap().to_vec();
    TensorProto { name: value.name.clone(), ..models::raw(dtype, elements.shape(), data) }
}

/// Every output within `tolerance` of max(1, |expected|), not-a-number where it is expected.
fn check(case: &Case, graph: &Graph, tolerance: f64) -> Result<(), String> {
    let feeds: Vec<_> = graph.inputs.iter().copied().zip(case.x.iter().cloned()).collect();
    let feeds: Vec<_> = feeds.into_iter().filter(|(t, _)| &*graph.tensor(*t).name != "spare").collect();
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
