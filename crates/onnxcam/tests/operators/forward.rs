//! What a case's graph computes: by definition, and on an engine.

use std::path::Path;

use ndarray::ArrayD;
use onnx_graph::{DataType, Graph, Model, Spelling, spell};
use onnxcam::engine::{Engine, Source, Value};
use onnxcam::explain::legal;
use testkit::{Case, evaluate};

use crate::reading::Read;

/// By definition, in f64.
pub fn on_evaluator(read: &Read) -> Result<Vec<ArrayD<f64>>, String> {
    let feeds: Vec<_> = read.graph.inputs.iter().copied().zip(read.x.iter().cloned()).collect();
    evaluate(&read.graph, 1, &feeds, &read.graph.outputs)
}

/// On an engine, from the graph as it is written for it.
pub fn on_engine(read: &Read, engine: &dyn Engine) -> Result<Vec<ArrayD<f64>>, String> {
    let graph = legal(&read.graph, &read.graph.outputs, engine.lacks()).map_err(|e| e.to_string())?;
    let proto = spell(&graph, &Spelling::for_graph(&graph, 1)).map_err(|e| e.to_string())?;
    let model = Model::from_proto(proto, Path::new("case")).map_err(|e| e.to_string())?;
    let mut session = engine.load(Source::Bytes(model.to_bytes()), Some(1)).map_err(|e| e.to_string())?;
    let feed = |(t, x): (&onnx_graph::Tensor, &ArrayD<f64>)| {
        let info = graph.tensor(*t);
        let float = info.dtype.is_some_and(DataType::is_float);
        let value = if float { Value::from(x.mapv(|v| v as f32)) } else { Value::from(x.mapv(|v| v as i64)) };
        (info.name.to_string(), value)
    };
    let values: Vec<(String, Value)> = graph.inputs.iter().zip(&read.x).map(feed).collect();
    let values: Vec<(&str, &Value)> = values.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let names: Vec<String> = session.outputs().iter().map(|o| o.name.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = session.run(&values, &names).map_err(|e| e.to_string())?;
    let wide = |value| match value {
        Value::F32(a) => a.mapv(f64::from),
        Value::I64(a) => a.mapv(|v| v as f64),
    };
    Ok(found.into_iter().map(wide).collect())
}

/// Every output within `tolerance` (or its type's precision) of max(1, |expected|), integers exactly, not-a-number where
/// it is expected. Answers the largest such difference among float32 outputs.
pub fn compare(case: &Case, graph: &Graph, found: &[ArrayD<f64>], tolerance: f64) -> Result<f64, String> {
    if found.len() != case.y.len() {
        return Err(format!("{} outputs, expected {}", found.len(), case.y.len()));
    }
    let mut worst = 0.0f64;
    for (i, (found, expected)) in found.iter().zip(&case.y).enumerate() {
        if found.shape() != expected.shape() {
            return Err(format!("output {i} is {:?}, expected {:?}", found.shape(), expected.shape()));
        }
        let tolerance = match graph.tensor(graph.outputs[i]).dtype {
            Some(DataType::F16) => 2e-3,
            Some(DataType::BF16) => 2e-2,
            Some(dtype) if !dtype.is_float() => 0.0,
            _ => tolerance,
        };
        for ((index, found), expected) in found.indexed_iter().zip(expected) {
            let same = found == expected || found.is_nan() && expected.is_nan();
            let off = (found - expected).abs() / expected.abs().max(1.0);
            if !same && (off > tolerance || off.is_nan()) {
                return Err(format!(
                    "output {i} at {:?}: expected {expected}, found {found}",
                    ndarray::Dimension::slice(&index)
                ));
            }
            worst = if same { worst } else { worst.max(off) };
        }
    }
    Ok(worst)
}
