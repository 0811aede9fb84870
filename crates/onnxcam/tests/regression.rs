//! What fuzzing found (docs/fuzzing.md), by target; `fuzz/seed.py` begins with these files as well.

use std::fs;
use std::path::{Path, PathBuf};

use onnxcam::explain::{Plan, PlanError, PlanOptions};
use onnxcam::method::METHODS;
use onnxcam::target::HeadError;

fn files(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/regression").join(target);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

/// Each is refused with a reason; none takes memory or time that it does not hold itself.
#[test]
fn gradients_of_found_models() {
    let files = files("canonical_gradient");
    assert!(!files.is_empty());
    for file in files {
        let model = onnx_graph::Model::open(&file).unwrap();
        for method in METHODS {
            let error = Plan::new(&model, &[*method], &PlanOptions::default()).unwrap_err();
            let named = matches!(error, PlanError::Head(HeadError::Shape { .. } | HeadError::NoCandidate { .. }));
            assert!(named, "{}: {error}", file.display());
        }
    }
}
