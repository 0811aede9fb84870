//! The folder of bad files: each is refused with an error that a person can use.

use std::fs;
use std::path::{Path, PathBuf};

use onnx_graph::{ImportOptions, Model, import};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad")
}

#[test]
fn every_bad_file_is_refused() {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "onnx"));
    paths.sort();
    assert!(paths.len() >= crate::hostile::cases().len());
    let mut errors = String::new();
    for path in paths {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        // By its bytes, so that no message depends on where the repository lies.
        let bytes = fs::read(&path).unwrap().into();
        let answer =
            Model::read(bytes, Path::new("bad.onnx")).and_then(|model| import(&model, &ImportOptions::default()));
        let Err(error) = answer else { panic!("{name} is taken for good") };
        errors += &format!("{name}: {error}\n");
    }
    insta::assert_snapshot!(errors);
}

/// The folder is what `hostile` says; `cargo test -p onnx-graph -- --ignored write_bad_files` writes it anew.
#[test]
fn the_folder_holds_every_case() {
    for (name, bytes) in crate::hostile::cases() {
        assert_eq!(fs::read(folder().join(format!("{name}.onnx"))).ok(), Some(bytes), "{name}");
    }
}

#[test]
#[ignore = "writes files into the repository"]
fn write_bad_files() {
    for (name, bytes) in crate::hostile::cases() {
        fs::write(folder().join(format!("{name}.onnx")), bytes).unwrap();
    }
}
