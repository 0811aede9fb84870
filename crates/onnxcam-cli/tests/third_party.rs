//! Classifiers that other people trained and exported, by the command that a user types, against an independent route.
//!
//! `references/third_party.py OUT` fetches them and computes the expected maps; ignored unless asked for:
//! `ONNXCAM_THIRD_PARTY=OUT cargo test -p onnxcam-cli --test third_party -- --ignored --nocapture`. What is measured goes
//! into OUT/measured.json, of which `third_party.py OUT --page` makes `docs/third-party.md`.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ndarray::{ArrayD, Axis};
use onnxcam::engine::{Choice, Search, choose};
use onnxcam::heatmap::read_npy;
use serde_json::{Value, json};
use testkit::npz;

/// The methods of each run, and what their reference values are called.
const METHODS: [(&str, &str); 2] = [("grad-cam", "grad_cam"), ("grad-cam++", "grad_cam_pp")];

/// Greatest difference that is forgiven, as a part of max_ij Σ_k |w_k A^k_ij|; of scores as a part of the largest.
const LIMIT: f64 = 1e-3;

/// The folder that `ONNXCAM_THIRD_PARTY` names.
fn folder() -> PathBuf {
    let folder = env::var_os("ONNXCAM_THIRD_PARTY").expect("ONNXCAM_THIRD_PARTY names what third_party.py made");
    fs::canonicalize(folder).unwrap()
}

fn described(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("third_party.json")).unwrap()).unwrap()
}

/// Entries of `of` whose name contains `ONNXCAM_NETWORK`; all where that is not set.
fn wanted(described: &Value, of: &str) -> Vec<Value> {
    let part = env::var("ONNXCAM_NETWORK").unwrap_or_default();
    described[of].as_array().unwrap().iter().filter(|c| text(&c["name"]).contains(&part)).cloned().collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(text).collect()
}

/// `onnxcam explain` in the folder of the files.
fn explain(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onnxcam"));
    command.current_dir(folder).arg("explain").args(arguments).output().unwrap()
}

/// rten, and ONNX Runtime where this machine has it (with `ONNXCAM_REQUIRE_ORT=1` it must): name and version.
fn engines() -> Vec<(&'static str, String)> {
    let found =
        [Choice::Rten, Choice::Ort].into_iter().filter_map(|choice| match choose(choice, &Search::from_env(None)) {
            Ok(chosen) => Some((chosen.engine.name(), chosen.engine.version())),
            Err(e) if env::var_os("ONNXCAM_REQUIRE_ORT").is_some_and(|v| v == "1") => panic!("{e}"),
            Err(_) => None,
        });
    found.collect()
}

/// Greatest difference; NaN is the worst.
fn apart(found: &ArrayD<f32>, expected: &ArrayD<f64>) -> f64 {
    assert_eq!(found.shape(), expected.shape());
    let differences = found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs());
    differences.fold(0.0, |worst, d| if d <= worst { worst } else { d })
}

/// A picture explained for its two likeliest classes: errors of the scores and of each method's maps.
fn errors(folder: &Path, classifier: &Value, picture: &str, engine: &str, signed: bool) -> BTreeMap<String, f64> {
    let name = text(&classifier["name"]);
    let what = format!("{name}, {picture}, {engine}");
    let arrays = npz(folder.join(format!("{name}.npz")));
    let array = |key: &str| &arrays[&format!("{picture}.{key}")];
    let classes: Vec<usize> = array("classes").iter().map(|c| *c as usize).collect();

    let out = tempfile::tempdir().unwrap();
    let (file, model) = (format!("{picture}.png"), format!("{name}.onnx"));
    let class = classes.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    let mut arguments = vec![file.as_str(), "--model", &model, "--class", &class, "--engine", engine, "--json"];
    arguments.extend(["--method", "grad-cam,grad-cam++", "--save", "map", "-o", out.path().to_str().unwrap()]);
    arguments.extend(texts(&classifier["flags"]));
    arguments.extend(signed.then_some("--signed"));
    let ran = explain(folder, &arguments);
    assert!(ran.status.success(), "{what}: {}", String::from_utf8_lossy(&ran.stderr));
    let answer: Value = serde_json::from_slice(&ran.stdout).unwrap();

    let mut errors = BTreeMap::new();
    let mut add = |of: &str, error: f64| {
        let worst = errors.entry(of.to_owned()).or_insert(0.0);
        *worst = if error <= *worst { *worst } else { error };
    };
    let largest = array("scores").iter().fold(0.0, |most: f64, s| most.max(s.abs()));
    for ranked in answer["top"].as_array().unwrap() {
        let class = ranked["class"].as_u64().unwrap() as usize;
        add("scores", (ranked["score"].as_f64().unwrap() - array("scores")[[class]]).abs() / largest);
    }
    assert_eq!(answer["top"][0]["class"], classes[0], "{what}");
    let explanations = answer["explanations"].as_array().unwrap();
    assert_eq!(explanations.len(), classes.len() * METHODS.len(), "{what}");
    for explanation in explanations {
        assert_eq!(explanation["layer"], classifier["layer"], "{what}");
        let place = classes.iter().position(|c| explanation["class"] == *c).unwrap();
        let (method, key) = METHODS.into_iter().find(|(method, _)| explanation["method"] == *method).unwrap();
        let expected = array(&format!("{key}_signed")).index_axis(Axis(0), place).to_owned();
        let expected = if signed { expected } else { expected.mapv(|v| v.max(0.0)) };
        let [file] = &texts(&explanation["files"])[..] else { panic!("{what}: {explanation}") };
        let found = read_npy(&folder.join(file)).unwrap();
        add(method, apart(&found, &expected) / array(&format!("{key}_scale"))[[place]]);
    }
    errors
}

#[test]
#[ignore = "needs the files of references/third_party.py"]
fn maps_of_strangers_classifiers_are_those_of_an_independent_route() {
    let folder = folder();
    let (mut measured, mut failures) = (Vec::new(), Vec::new());
    for classifier in wanted(&described(&folder), "classifiers") {
        let name = text(&classifier["name"]);
        for (engine, version) in engines() {
            let mut worst = BTreeMap::new();
            for picture in texts(&classifier["pictures"]) {
                for signed in [false, true] {
                    for (of, error) in errors(&folder, &classifier, picture, engine, signed) {
                        let so_far = worst.entry(of).or_insert(0.0);
                        *so_far = if error <= *so_far { *so_far } else { error };
                    }
                }
            }
            let shown: Vec<String> = worst.iter().map(|(of, e)| format!("{of} {e:.1e}")).collect();
            println!("{name} on {engine}: {}", shown.join(", "));
            failures.extend(
                worst
                    .iter()
                    .filter(|(_, e)| e.is_nan() || **e > LIMIT)
                    .map(|(of, e)| format!("{name} on {engine}: {of} {e:.1e}")),
            );
            measured.push(json!({ "name": name, "engine": engine, "version": version, "errors": worst }));
        }
    }
    fs::write(folder.join("measured.json"), format!("{:#}\n", Value::from(measured))).unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
#[ignore = "needs the files of references/third_party.py"]
fn what_is_no_classifier_is_refused_with_its_reason() {
    let folder = folder();
    for other in wanted(&described(&folder), "others") {
        let model = format!("{}.onnx", text(&other["name"]));
        let out = tempfile::tempdir().unwrap();
        let ran = explain(&folder, &["page.png", "--model", &model, "-o", out.path().to_str().unwrap()]);
        let said = String::from_utf8(ran.stderr).unwrap();
        println!("{model}: {said}");
        assert_eq!(ran.status.code(), Some(1), "{model}");
        assert!(said.contains(text(&other["refused"])), "{model}: {said}");
        assert!(fs::read_dir(out.path()).unwrap().next().is_none(), "{model}");
    }
}
