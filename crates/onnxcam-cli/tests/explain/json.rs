//! `--json`.

use std::fs;

use onnxcam::digest::Digest;
use serde_json::{Value, json};

use crate::desk::{CLASSES, Desk};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn one_object_an_image_and_line() {
    let desk = Desk::with(&["a.png", "b.png"]);
    fs::write(desk.path("bad.jpg"), b"\xFF\xD8\xFF").unwrap();
    let arguments =
        ["a.png", "bad.jpg", "b.png", "missing.png", "--json", "--class", "top2", "--method", "cam,grad-cam++"];
    let ran = desk.explain(&[&arguments[..], &["--save", "overlay,panel"]].concat()).badly(&["bad.jpg", "missing.png"]);
    let lines = ran.json();
    assert_eq!(lines.iter().map(|l| l["file"].as_str().unwrap()).collect::<Vec<_>>(), arguments[..4]);

    for line in [&lines[0], &lines[2]] {
        assert_eq!(keys(line), ["file", "model", "engine", "top", "explanations"]);
        let hash = Digest::of(&fs::read(desk.path("net.onnx")).unwrap()).to_string();
        assert_eq!(line["model"], json!({ "path": "net.onnx", "hash": hash }));
        assert_eq!(line["engine"], "rten");

        let top = line["top"].as_array().unwrap();
        assert_eq!(top.len(), 5);
        assert!(top.iter().all(|t| keys(t) == ["class", "label", "score", "probability"]));
        assert!(top.windows(2).all(|t| t[0]["score"].as_f64() >= t[1]["score"].as_f64()));
        assert_eq!(top[0]["label"], format!("class {}", top[0]["class"]));

        let explanations = line["explanations"].as_array().unwrap();
        let order = |e: &Value| (e["method"].as_str().unwrap().to_owned(), e["class"].clone());
        let expected: Vec<_> =
            top[..2].iter().flat_map(|t| ["cam", "grad-cam++"].map(|m| (m.to_owned(), t["class"].clone()))).collect();
        assert_eq!(explanations.iter().map(order).collect::<Vec<_>>(), expected);
        for explanation in explanations {
            assert_eq!(keys(explanation), ["method", "variant", "class", "against", "layer", "flat", "notes", "files"]);
            assert_eq!((&explanation["variant"], &explanation["layer"]), (&json!("paper"), &json!("features")));
            assert!(explanation["flat"].is_boolean() && explanation["notes"].is_array());
            let files: Vec<&str> =
                explanation["files"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
            assert!(files[0].contains(".overlay.") && files[1].contains(".panel."), "{files:?}");
            assert!(files.iter().all(|file| desk.path(file).is_file()));
        }
    }
    for line in [&lines[1], &lines[3]] {
        assert_eq!(keys(line), ["file", "error"]);
        assert!(line["error"].as_str().unwrap().contains(line["file"].as_str().unwrap()));
    }
}

#[test]
fn probabilities_are_those_of_all_classes() {
    let desk = Desk::with(&["a.png"]);
    let top = |arguments: &[&str]| {
        desk.explain(&[&["a.png", "--json"], arguments].concat()).well().json().remove(0)["top"].clone()
    };
    let scores: Vec<f64> = top(&[]).as_array().unwrap().iter().map(|t| t["score"].as_f64().unwrap()).collect();
    let probabilities: Vec<f64> =
        top(&[]).as_array().unwrap().iter().map(|t| t["probability"].as_f64().unwrap()).collect();
    let (sum, ratio) = (probabilities.iter().sum::<f64>(), probabilities[0] / probabilities[1]);
    assert!(sum < 1.0 && sum > 1.0 - 1.0 / CLASSES as f64, "five of six: {sum}");
    assert!((ratio.ln() - (scores[0] - scores[1])).abs() < 1e-9);
    assert_eq!(top(&["--activation", "none"])[0]["probability"], Value::Null);
    let sigmoid = top(&["--activation", "sigmoid"])[0]["probability"].as_f64().unwrap();
    assert!((sigmoid - 1.0 / (1.0 + (-scores[0]).exp())).abs() < 1e-9);
}
