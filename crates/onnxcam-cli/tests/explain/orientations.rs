//! One picture, stored in eight orientations: the same scores, the same maps, the same overlays, bit for bit.

use std::path::PathBuf;

use image::imageops;
use serde_json::Value;

use crate::desk::{Desk, Ran};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../onnxcam/tests/golden").join(name)
}

/// What was found, without names of files.
fn findings(mut line: Value) -> Value {
    line.as_object_mut().unwrap().remove("file");
    for explanation in line["explanations"].as_array_mut().unwrap() {
        explanation.as_object_mut().unwrap().remove("files");
    }
    line
}

/// Where the engine is missing, that is an error if `required`.
fn all_eight_are_one(engine: &str, required: bool) {
    let desk = Desk::new();
    for suffix in ["png", "webp", "tif", "jpg"] {
        let files: Vec<PathBuf> = (1..=8).map(|n| golden(&format!("orientations/{n}.{suffix}"))).collect();
        let mut command = desk.command();
        command
            .arg("explain")
            .args(&files)
            .args(["--model".as_ref(), golden("networks/resnet18.old.onnx").as_os_str()]);
        command.args(["--class", "top2", "--method", "grad-cam,grad-cam++", "--save", "overlay,map", "--json"]);
        command.args(["--engine", engine, "-o", suffix]);
        let ran = Ran::from(command.output().unwrap());
        if !required && ran.status != Some(0) && ran.err.contains("ONNX Runtime") {
            return;
        }
        let lines = ran.well().json();
        assert_eq!(lines.len(), 8);

        let made = desk.made(suffix);
        assert_eq!(made.len(), 8 * 2 * 2 * 2, "{made:?}");
        for name in made.iter().filter(|name| name.starts_with("1.")) {
            for other in 2..=8 {
                let turned = format!("{suffix}/{other}{}", name.strip_prefix('1').unwrap());
                let upright = format!("{suffix}/{name}");
                if name.ends_with(".npy") {
                    let (one, other) = (desk.read_map(&upright), desk.read_map(&turned));
                    assert!(one.iter().map(|v| v.to_bits()).eq(other.iter().map(|v| v.to_bits())), "{turned}");
                } else {
                    assert_eq!(desk.read_picture(&upright), desk.read_picture(&turned), "{turned}");
                }
            }
        }
        for line in &lines {
            assert_eq!(findings(line.clone()), findings(lines[0].clone()), "{suffix} on {engine}");
            assert_eq!(line["engine"], engine);
        }
        // The picture has no symmetry that would hide a turn, and its map shows something.
        let overlay = desk.read_picture(&format!("{suffix}/{}", made.iter().find(|n| n.contains("overlay")).unwrap()));
        assert_eq!(overlay.dimensions(), if suffix == "jpg" { (32, 24) } else { (37, 29) });
        assert_ne!(overlay, imageops::flip_horizontal(&overlay));
        assert_ne!(overlay, imageops::rotate180(&overlay));
        assert!(lines[0]["explanations"].as_array().unwrap().iter().any(|e| e["flat"] == false), "{}", lines[0]);
    }
}

#[test]
fn all_eight_are_one_on_rten() {
    all_eight_are_one("rten", true);
}

/// Where ONNX Runtime is found; `ONNXCAM_REQUIRE_ORT=1` says that it must be.
#[test]
fn all_eight_are_one_on_onnx_runtime() {
    all_eight_are_one("ort", std::env::var_os("ONNXCAM_REQUIRE_ORT").is_some_and(|v| v == "1"));
}
