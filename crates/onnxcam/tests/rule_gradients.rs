//! The gradient that every rule emits, on ONNX Runtime, against PyTorch's. (On rten the tests of `onnx-autodiff` do it.)

#[path = "support/both.rs"]
mod both;

use std::path::Path;
use std::sync::Arc;

use ndarray::ArrayD;
use onnx_graph::{DataType, ImportOptions, Model, Spelling, Tensor, import, spell};
use onnxcam::engine::{Engine, Source, Value};
use testkit::{Case, cases};

/// Of the largest element expected.
const FLOAT32: f64 = 2e-6;

/// Largest difference of a case's outputs and gradients.
fn off(case: &Case, engine: &Arc<dyn Engine>) -> Result<f64, String> {
    let mut graph = import(&case.model, &ImportOptions::default()).map_err(|e| e.to_string())?.graph;
    let (inputs, outputs) = (graph.inputs.clone(), graph.outputs.clone());
    assert_eq!((inputs.len(), outputs.len()), (case.dx.len(), case.dy.len()), "{}", case.name);
    let mut feeds: Vec<(Tensor, &ArrayD<f64>)> = inputs.iter().copied().zip(&case.x).collect();
    let mut seeds = Vec::new();
    for (i, (y, dy)) in outputs.iter().zip(&case.dy).enumerate() {
        let shape = graph.shape(*y).ok_or("the shape of an output is not known")?.to_vec();
        let dtype = graph.tensor(*y).dtype.ok_or("the type of an output is not known")?;
        let seed = graph.add_input(&format!("dy{i}"), dtype, shape);
        feeds.push((seed, dy));
        seeds.push((*y, seed));
    }
    let gradients = onnx_autodiff::gradient(&mut graph, &seeds, &inputs).map_err(|e| e.to_string())?;
    let gradients: Vec<Tensor> = gradients.into_iter().collect::<Option<_>>().ok_or("an input has no gradient")?;
    graph.outputs = [outputs, gradients].concat();

    let proto = spell(&graph, &Spelling::for_graph(&graph, 1)).map_err(|e| e.to_string())?;
    let model = Model::from_proto(proto, Path::new("gradient")).map_err(|e| e.to_string())?;
    let mut session = engine.load(Source::Bytes(model.to_bytes()), None).map_err(|e| e.to_string())?;
    let feed = |(t, x): &(Tensor, &ArrayD<f64>)| {
        let info = graph.tensor(*t);
        let float = info.dtype.is_none_or(DataType::is_float);
        let value = if float { Value::from(x.mapv(|v| v as f32)) } else { Value::from(x.mapv(|v| v as i64)) };
        (info.name.to_string(), value)
    };
    let values: Vec<(String, Value)> = feeds.iter().map(feed).collect();
    let values: Vec<(&str, &Value)> = values.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let names: Vec<String> = session.outputs().iter().map(|o| o.name.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = session.run(&values, &names).map_err(|e| e.to_string())?;

    assert_eq!(found.len(), case.y.len() + case.dx.len(), "{}", case.name);
    let mut worst = 0.0f64;
    for (found, expected) in found.into_iter().zip(case.y.iter().chain(&case.dx)) {
        worst = worst.max(difference(&found.into_f32().ok_or("an output is not float32")?, expected)?);
    }
    Ok(worst)
}

fn difference(found: &ArrayD<f32>, expected: &ArrayD<f64>) -> Result<f64, String> {
    if found.shape() != expected.shape() {
        return Err(format!("it is {:?}, expected {:?}", found.shape(), expected.shape()));
    }
    let pairs = found.iter().zip(expected);
    let off = pairs.map(|(a, b)| (f64::from(*a) - b).abs()).try_fold(0.0f64, |m, d| d.is_finite().then(|| m.max(d)));
    let off = off.ok_or("it holds what is not finite")?;
    let scale = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    Ok(if off == 0.0 { 0.0 } else { off / scale })
}

#[test]
fn every_rules_gradient_runs_on_onnx_runtime() {
    let Some(engine) = both::onnx_runtime() else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx-autodiff/tests/golden");
    let cases = cases(folder);
    let mut failures = Vec::new();
    let mut worst = (0.0, "");
    for case in &cases {
        match off(case, &engine) {
            Ok(off) if off <= FLOAT32 => worst = if off > worst.0 { (off, &case.name) } else { worst },
            Ok(off) => failures.push(format!("{}: off by {off:.1e}", case.name)),
            Err(error) => failures.push(format!("{}: {error}", case.name)),
        }
    }
    println!("{} cases, the largest difference {:.1e}, in {}", cases.len(), worst.0, worst.1);
    assert!(failures.is_empty(), "{} of {} cases fail\n{}", failures.len(), cases.len(), failures.join("\n"));
}
