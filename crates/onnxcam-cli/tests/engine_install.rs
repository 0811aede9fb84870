//! `onnxcam engine install` with the real package; on first use it is fetched through the package registry.

mod support;

use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{Program, text};
use testkit::models::tiny_cnn;

/// Installed once, there the second time without any package client, shown by `doctor`, taken by `auto`.
#[test]
#[ignore = "fetches 28 MB from the package registry, once"]
fn installed_once_and_found_from_then_on() {
    let program = Program::new();
    let cache = std::env::var_os("ONNXCAM_CACHE").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("onnxcam"));
    let with = |arguments: &[&str], path: Option<PathBuf>| -> Value {
        let mut command = program.command(arguments);
        for variable in ["ORT_DYLIB_PATH", "VIRTUAL_ENV", "CONDA_PREFIX"] {
            command.env_remove(variable);
        }
        if let Some(path) = path {
            command.env("PATH", path);
        }
        program.run(command.env("ONNXCAM_CACHE", &cache)).json()
    };
    let library = with(&["engine", "install", "--json"], None)["path"].clone();
    assert!(Path::new(text(&library)).starts_with(&cache));

    let offline = || Some(program.path("nowhere"));
    let again = with(&["engine", "install", "--json"], offline());
    assert_eq!((&again["path"], &again["fetched"]), (&library, &Value::Bool(false)));
    let doctor = with(&["doctor", "--json"], offline());
    assert_eq!((&doctor["taken"]["path"], text(&doctor["cache"]["release"]["state"])), (&library, "verified"));
    let net = program.model("net.onnx", tiny_cnn(17, 5));
    let measured = with(&["bench", &net, "--rounds", "1", "--json", "--engine", "ort"], offline());
    assert_eq!(text(&measured["engine"]), "ort");
}
