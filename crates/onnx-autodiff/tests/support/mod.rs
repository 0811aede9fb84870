//! What the suites share.

use ndarray::{ArrayD, IxDyn};
use onnx_graph::{Graph, Model, Spelling, Tensor, spell};
use rten::{ModelOptions, ValueOrView};
use rten_tensor::prelude::*;

/// The values of `wanted` as the engine rten computes them, in float32, from the graph written as ONNX.
pub fn rten(
    graph: &Graph,
    batch: usize,
    feeds: &[(Tensor, ArrayD<f64>)],
    wanted: &[Tensor],
) -> Result<Vec<ArrayD<f64>>, String> {
    let mut graph = graph.clone();
    graph.outputs = wanted.to_vec();
    graph.outputs.sort_unstable();
    graph.outputs.dedup();
    let proto = spell(&graph, &Spelling::for_graph(&graph, batch)).map_err(|e| e.to_string())?;
    let bytes = Model::from_proto(proto, "gradient.onnx".as_ref()).map_err(|e| e.to_string())?.to_bytes();
    let model = ModelOptions::with_all_ops().load(bytes.to_vec()).map_err(|e| e.to_string())?;
    let mut inputs: Vec<(rten::NodeId, ValueOrView)> = Vec::new();
    for (t, value) in feeds {
        let place = graph.inputs.iter().position(|i| i == t).ok_or("only inputs are fed")?;
        let shape = value.shape();
        let float = graph.tensor(*t).dtype.is_none_or(|dtype| dtype.is_float());
        let value = if float {
            let elements: Vec<f32> = value.iter().map(|v| *v as f32).collect();
            rten::Value::from(rten_tensor::Tensor::from_data(shape, elements))
        } else {
            let elements: Vec<i32> = value.iter().map(|v| *v as i32).collect();
            rten::Value::from(rten_tensor::Tensor::from_data(shape, elements))
        };
        inputs.push((model.input_ids()[place], value.into()));
    }
    let made = model.run(inputs, model.output_ids(), None).map_err(|e| e.to_string())?;
    let mut values = Vec::new();
    for value in made {
        let rten::Value::FloatTensor(value) = value else { return Err("an output is not float32".to_owned()) };
        let shape = value.shape().to_vec();
        let elements = value.into_data().into_iter().map(f64::from).collect();
        values.push(ArrayD::from_shape_vec(IxDyn(&shape), elements).map_err(|e| e.to_string())?);
    }
    let place = |t: &Tensor| graph.outputs.binary_search(t).expect("every wanted tensor is an output");
    Ok(wanted.iter().map(|t| values[place(t)].clone()).collect())
}

/// The largest difference of two tensors, relative to the largest element expected; an error where shapes differ, or
/// where one holds NaN or an infinity. Where zeros are expected, everything else is infinitely far off.
pub fn difference(found: &ArrayD<f64>, expected: &ArrayD<f64>) -> Result<f64, String> {
    if found.shape() != expected.shape() {
        return Err(format!("it is {:?}, expected {:?}", found.shape(), expected.shape()));
    }
    let largest = |a: &ArrayD<f64>| a.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    if let Some(bad) = found.iter().chain(expected).find(|v| !v.is_finite()) {
        return Err(format!("it holds {bad}"));
    }
    match (largest(&(found - expected)), largest(expected)) {
        (0.0, _) => Ok(0.0),
        (off, scale) => Ok(off / scale),
    }
}
