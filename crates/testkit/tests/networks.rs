//! Small networks of every structure, by both of PyTorch's exporters, against PyTorch in float64.

use std::path::Path;

use ndarray::Axis;
use onnx_graph::{ImportOptions, Model, import};
use testkit::{evaluate, npy, npz};

#[test]
fn older_exporter() {
    check(|variant| variant.starts_with("old"));
}

#[test]
fn newer_exporter() {
    check(|variant| variant.starts_with("new"));
}

/// Imported and evaluated for one picture, each network gives PyTorch's output within 10⁻⁶ of its largest element:
/// exporters fold batch normalisation into convolutions in float32.
fn check(wanted: impl Fn(&str) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnxcam/tests/golden/networks");
    let first = |values: ndarray::ArrayD<f64>| values.slice_axis(Axis(0), (0..1).into()).to_owned();
    let x = first(npy(folder.join("input.npy")));
    let mut failures = Vec::new();
    let mut checked = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let Some((network, _)) = stem.split_once('.').filter(|(_, variant)| wanted(variant)) else { continue };
        checked += 1;
        let expected = first(npz(folder.join(format!("{network}.npz")))["output"].clone());
        let graph = import(&Model::open(&path).unwrap(), &ImportOptions::default()).unwrap().graph;
        match evaluate(&graph, 1, &[(graph.inputs[0], x.clone())], &graph.outputs) {
            Err(error) => failures.push(format!("{stem}: {error}")),
            Ok(found) => {
                let most = expected.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
                let error = (&found[0] - &expected).iter().fold(0.0, |m: f64, v| m.max(v.abs()));
                if error.is_nan() || error > 1e-6 * most {
                    failures.push(format!("{stem}: off by {error:e} of {most}"));
                }
            }
        }
    }
    assert!(checked > 10, "{checked} networks in {}", folder.display());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
