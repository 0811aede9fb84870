//! What the targets share: models changed as models, and files for what reads only files.

use std::{fs, path::PathBuf};

mod models;
mod random;

pub use models::mutate_model;

/// Calls `check` with a file of these bytes, one for each process.
pub fn with_file(suffix: &str, bytes: &[u8], check: impl FnOnce(&std::path::Path)) {
    let path: PathBuf = std::env::temp_dir().join(format!("onnxcam-fuzz-{}.{suffix}", std::process::id()));
    fs::write(&path, bytes).expect("the folder for temporary files can be written to");
    check(&path);
}
