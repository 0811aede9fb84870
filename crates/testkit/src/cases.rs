//! Reference cases: a model of one operator beside arrays that another implementation made.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::ArrayD;
use onnx_graph::Model;

use crate::npz;

/// A case `{name}.onnx` with `{name}.npz`.
#[derive(Clone, Debug)]
pub struct Case {
    /// File name without suffix, `conv-stride2-odd`.
    pub name: String,
    /// The model.
    pub model: Model,
    /// Inputs: arrays `x0`, `x1`, …
    pub x: Vec<ArrayD<f64>>,
    /// Outputs: `y`, `y1`, …
    pub y: Vec<ArrayD<f64>>,
    /// What is sent back for each output: `dy`, `dy1`, …; empty where a case has no gradients.
    pub dy: Vec<ArrayD<f64>>,
    /// Gradients with respect to the inputs: `dx0`, `dx1`, …; empty likewise.
    pub dx: Vec<ArrayD<f64>>,
}

/// Every case of a folder, by name.
///
/// # Panics
///
/// Where the folder holds no case, or a file of it cannot be read.
pub fn cases(folder: impl AsRef<Path>) -> Vec<Case> {
    let folder = folder.as_ref();
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a folder's entry can be read").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|suffix| suffix == "onnx"));
    paths.sort();
    assert!(!paths.is_empty(), "{} holds no case", folder.display());
    let read = |path: &std::path::PathBuf| {
        let arrays = npz(path.with_extension("npz"));
        Case {
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            model: Model::open(path).unwrap_or_else(|e| panic!("{e}")),
            x: numbered(&arrays, "x", "x0"),
            y: numbered(&arrays, "y", "y"),
            dy: numbered(&arrays, "dy", "dy"),
            dx: numbered(&arrays, "dx", "dx0"),
        }
    };
    paths.iter().map(read).collect()
}

/// `first`, then `{stem}1`, `{stem}2`, … as far as there are any.
fn numbered(arrays: &BTreeMap<String, ArrayD<f64>>, stem: &str, first: &str) -> Vec<ArrayD<f64>> {
    let name = |i: usize| if i == 0 { first.to_owned() } else { format!("{stem}{i}") };
    (0..).map_while(|i| arrays.get(&name(i)).cloned()).collect()
}
