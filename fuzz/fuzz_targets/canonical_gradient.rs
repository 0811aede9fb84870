//! Any model through everything that is done to explain it: canonical view, head, layer, every method, spelling; and, where it
//! is no classifier, the gradient of its outputs with respect to its inputs.
#![no_main]

use std::path::Path;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use onnx_autodiff::gradient;
use onnx_graph::{Graph, ImportOptions, Model, Spelling, Tensor, import, spell};
use onnxcam::{
    explain::{Layers, Plan, PlanOptions},
    method::METHODS,
};
use prost::bytes::Bytes;

fuzz_target!(|bytes: &[u8]| {
    let Ok(model) = Model::read(Bytes::copy_from_slice(bytes), Path::new("nowhere/model.onnx")) else { return };
    let options = PlanOptions::default();
    let mut planned = false;
    // Each alone, since one that is not defined here would stop the others.
    for method in METHODS {
        if let Ok(plan) = Plan::new(&model, &[*method], &options) {
            planned = true;
            let _ = spell(&plan.graph, &Spelling::for_graph(&plan.graph, plan.fixed_batch().unwrap_or(2)));
        }
    }
    let _ = Layers::of(&model, &options);
    if !planned && let Ok(imported) = import(&model, &ImportOptions::default()) {
        differentiate(imported.graph);
    }
});

/// Outputs seeded by themselves, and so of the right type and shape.
fn differentiate(mut graph: Graph) {
    let float = |t: &&Tensor| graph.tensor(**t).dtype.is_some_and(|dtype| dtype.is_float());
    let seeds: Vec<(Tensor, Tensor)> = graph.outputs.iter().filter(float).map(|t| (*t, *t)).collect();
    let inputs: Vec<Tensor> = graph.inputs.iter().filter(float).copied().collect();
    if let Ok(gradients) = gradient(&mut graph, &seeds, &inputs) {
        graph.outputs.extend(gradients.into_iter().flatten());
        let _ = spell(&graph, &Spelling::for_graph(&graph, 2));
    }
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    match onnxcam_fuzz::mutate_model(&data[..size], max_size, seed) {
        // One in sixteen as bytes.
        Some(changed) if seed % 16 != 0 => {
            data[..changed.len()].copy_from_slice(&changed);
            changed.len()
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
});
