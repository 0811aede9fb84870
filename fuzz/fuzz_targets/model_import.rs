//! Any bytes as a model: read, seen canonically, printed, spelled again for an engine.
#![no_main]

use std::path::Path;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use onnx_graph::{ImportOptions, Model, Spelling, dump, import, spell};
use prost::bytes::Bytes;

fuzz_target!(|bytes: &[u8]| {
    let Ok(model) = Model::read(Bytes::copy_from_slice(bytes), Path::new("nowhere/model.onnx")) else { return };
    let _ = model.to_bytes();
    let Ok(imported) = import(&model, &ImportOptions::default()) else { return };
    let _ = dump(&imported.graph);
    for batch in [1, 3] {
        let _ = spell(&imported.graph, &Spelling::for_graph(&imported.graph, batch));
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    match onnxcam_fuzz::mutate_model(&data[..size], max_size, seed) {
        // One in eight as bytes.
        Some(changed) if seed % 8 != 0 => {
            data[..changed.len()].copy_from_slice(&changed);
            changed.len()
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
});
