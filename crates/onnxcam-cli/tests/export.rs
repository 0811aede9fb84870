//! `export`, `show` and `strip`, as a user runs them.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{Program, text};
use testkit::models::tiny_cnn;

fn library() -> Option<PathBuf> {
    std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from)
}

#[test]
fn several_layers_make_one_map() {
    let program = Program::new();
    let net = program.model("net.onnx", tiny_cnn(17, 5));
    let answer = program.alone(&["export", &net, "-o", "explained.onnx", "--layer", "relu1", "--layer", "features"]);
    assert_eq!(answer.status, 0, "{}", answer.err);
    assert!(answer.out.starts_with("explained.onnx: Grad-CAM++ of net.onnx at \"relu1, features\""), "{}", answer.out);
    assert!(answer.out.contains("onnxcam.grad-cam++  float32[N,16,16]"), "{}", answer.out);
}

#[test]
fn a_file_is_made_shown_and_stripped() {
    let program = Program::new();
    let net = program.model("net.onnx", tiny_cnn(17, 5));
    let answer = program.alone(&["export", &net, "-o", "explained.onnx"]);
    let head = "\
explained.onnx: Grad-CAM++ of net.onnx at \"features\"
  input   x                   float32[N,3,16,16]  the picture
  input   onnxcam.target      int64[N]            the class asked for, −1: the predicted one
  output  onnxcam.class       int64[N]            the class explained
  output  onnxcam.grad-cam++  float32[N,8,8]      Grad-CAM++
";
    assert_eq!(answer.status, 0, "{}", answer.err);
    let rest = answer.out.strip_prefix(head).unwrap_or_else(|| panic!("{}", answer.out));
    let lines: Vec<&str> = rest.lines().collect();
    assert!(lines[0].starts_with("added: ") && lines[0].contains(" nodes, "), "{rest}");
    assert!(lines[1].starts_with("certificate: rten "), "{rest}");
    assert!(lines[1].contains(": plain outputs are the original's, bit for bit; gradients agree with"), "{rest}");
    assert!(answer.err.contains("note: preprocessing is assumed"), "{}", answer.err);

    let shown = program.alone(&["show", "explained.onnx"]);
    assert!(shown.out.starts_with(head), "{}", shown.out);
    for said in [
        "Grad-CAM++ (paper): α^k_ij = 1 / (2 + g^k_ij Σ_ab A^k_ab)",
        "Chattopadhyay et al. 2017",
        "original: net.onnx, SHA-256 ",
        "(the file of that name beside it is the same)",
        "pictures: shorter side to 18, centre 16×16",
        lines[1],
    ] {
        assert!(shown.out.contains(said), "{said}: {}", shown.out);
    }

    let answer = program.alone(&["strip", "explained.onnx", "-o", "again.onnx"]);
    assert_eq!(
        (answer.status, answer.out.as_str()),
        (0, "again.onnx: the original, byte for byte\n"),
        "{}",
        answer.err
    );
    assert_eq!(fs::read(program.path("again.onnx")).unwrap(), fs::read(program.path("net.onnx")).unwrap());
    assert!(
        fs::read_dir(program.path("")).unwrap().all(|f| !f.unwrap().file_name().to_string_lossy().ends_with(".part"))
    );
}

/// Every class of each picture, contrasted: there is no target, and `show` says what is explained.
#[test]
fn every_class_against_another() {
    let program = Program::new();
    let net = program.model("net.onnx", tiny_cnn(17, 5));
    let head = "\
explained.onnx: Grad-CAM++ of net.onnx at \"features\"
  input   x                   float32[N,3,16,16]   the picture
  output  onnxcam.class       int64[N]             the predicted class
  output  onnxcam.grad-cam++  float32[N,5,16,16]   Grad-CAM++, of every class
";
    let answer = program.alone(&[
        "export",
        &net,
        "-o",
        "explained.onnx",
        "--all-classes",
        "--against",
        "3",
        "--resize-to-input",
    ]);
    assert_eq!(answer.status, 0, "{}", answer.err);
    let squeezed = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for shown in [answer.out, program.alone(&["show", "explained.onnx"]).out] {
        assert!(squeezed(&shown).starts_with(&squeezed(head)), "{shown}");
        assert!(shown.contains("\nexplained is the score less that of class 3\n"), "{shown}");
    }
    let shown: Value = program.alone(&["show", "explained.onnx", "--json"]).json();
    assert_eq!((&shown["rival"], &shown["target"]), (&3.into(), &Value::Null));
    let both = program.alone(&["export", &net, "--all-classes", "--classes", "top2"]);
    assert!(both.err.contains("cannot be used with"), "{}", both.err);
}

#[test]
fn json_for_programs() {
    let program = Program::new();
    let net = program.model("net.onnx", tiny_cnn(17, 5));
    let common = ["export", &net, "--method", "grad-cam,cam", "--classes", "top2", "--resize-to-input", "--json"];
    let made = match library() {
        Some(library) => program.with_library(&library, &common),
        None => program.alone(&common),
    };
    let made: Value = made.json();
    assert_eq!(text(&made["file"]), "net.explained.onnx");
    assert_eq!((&made["target"]["shape"][1], &made["maps"][1]["shape"][3]), (&2.into(), &16.into()));
    assert_eq!((text(&made["maps"][0]["output"]), text(&made["maps"][1]["method"])), ("onnxcam.grad-cam", "cam"));
    let certificates = made["certificates"].as_array().unwrap();
    assert_eq!(certificates.len(), 1 + usize::from(library().is_some()));
    assert!(certificates.iter().all(|c| c["outputs"]["is"] == "equal" && c["gradients"]["is"] == "agree"), "{made}");
    assert!(made["nodes_added"].as_u64().unwrap() > 10 && made["bytes_added"].as_u64().unwrap() > 1000, "{made}");

    let mut shown: Value = program.alone(&["show", "net.explained.onnx", "--json"]).json();
    assert_eq!(text(&shown["original_beside"]), "same");
    fs::write(program.path("net.onnx"), "another").unwrap();
    let again: Value = program.alone(&["show", "net.explained.onnx", "--json"]).json();
    assert_eq!(text(&again["original_beside"]), "other");
    for key in ["file", "nodes_added", "bytes_added", "original_beside"] {
        shown.as_object_mut().unwrap().shift_remove(key);
    }
    for (key, value) in shown.as_object().unwrap() {
        assert_eq!(value, &made[key], "{key}");
    }
}

/// An exported model is explained as its original is: by the program itself, too.
#[test]
fn explaining_an_explained_model() {
    let program = Program::new();
    let net = program.model("net.onnx", tiny_cnn(17, 5));
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/chelsea.jpg"), program.path("cat.jpg"))
        .unwrap();
    assert_eq!(program.alone(&["export", &net, "-o", "explained.onnx"]).status, 0);
    let maps = ["net.onnx", "explained.onnx"].map(|model| {
        let answer = program.alone(&["explain", "cat.jpg", "--model", model, "--save", "map"]);
        assert_eq!(answer.status, 0, "{}", answer.err);
        fs::read(program.path("cat.grad-cam++.map.npy")).unwrap()
    });
    assert_eq!(maps[0], maps[1]);
}

#[test]
fn nothing_is_replaced_by_mistake() {
    let program = Program::new();
    let net = program.model("net.onnx", tiny_cnn(17, 5));
    let before = fs::read(program.path("net.onnx")).unwrap();
    let refused = |arguments: &[&str], said: &str| {
        let answer = program.alone(arguments);
        assert!(answer.failure().contains(said), "{arguments:?}: {}", answer.err);
    };
    refused(&["export", &net, "-o", "net.onnx"], "net.onnx is an input, and would be overwritten");
    refused(&["export", &net, "-o", "net.onnx", "--overwrite"], "is an input");
    fs::write(program.path("mine.onnx"), "mine").unwrap();
    refused(&["export", &net, "-o", "mine.onnx"], "mine.onnx exists, and onnxcam did not make it");
    assert_eq!(fs::read(program.path("mine.onnx")).unwrap(), b"mine");
    assert_eq!(program.alone(&["export", &net, "-o", "mine.onnx", "--overwrite"]).status, 0);
    assert_eq!(program.alone(&["export", &net, "-o", "mine.onnx"]).status, 0, "an explained model may be replaced");
    let other = program.model("other.onnx", tiny_cnn(17, 4));
    refused(&["export", &other, "-o", "mine.onnx"], "mine.onnx exists");
    refused(&["strip", "mine.onnx", "-o", "net.onnx"], "net.onnx exists");
    refused(&["strip", "mine.onnx", "-o", "mine.onnx", "--overwrite"], "mine.onnx is an input");
    assert_eq!(program.alone(&["export", &net, "-o", "small.onnx", "--share-weights"]).status, 0);
    refused(&["strip", "small.onnx", "-o", "net.onnx", "--overwrite"], "net.onnx is an input");
    refused(
        &["export", "small.onnx", "-o", "b.onnx"],
        "small.onnx is an explained model already (Grad-CAM++ at \"features\")",
    );
    refused(&["show", &net], "net.onnx is no explained model");
    refused(&["strip", &net, "-o", "c.onnx"], "net.onnx is no explained model");
    assert_eq!(program.alone(&["export", &net, "-o", "lite.onnx", "--lite"]).status, 0);
    assert!(
        program
            .alone(&["show", "lite.onnx"])
            .out
            .starts_with("lite.onnx: Grad-CAM++ of net.onnx at \"features\", maps only\n")
    );
    refused(&["strip", "lite.onnx", "-o", "c.onnx"], "it was exported with --lite");
    assert_eq!(fs::read(program.path("net.onnx")).unwrap(), before);
    let answer = program.alone(&["export", &net, "--classes", "top9", "-o", "d.onnx"]);
    assert!(answer.failure().contains("9 classes were asked for, the network has 5"), "{}", answer.err);
    assert!(!program.path("d.onnx").exists());
}
