//! What model files come with: weights beside them, names of classes, inputs besides the picture.

use std::fs;
use std::path::Path;

use onnx_graph::proto::{ModelProto, StringStringEntryProto, TensorProto};
use prost::Message;
use testkit::models::{Maker, tiny_cnn};

use crate::desk::{CLASSES, Desk, Ran};

fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: Some(key.to_owned()), value: Some(value.to_owned()) }
}

/// `net.onnx` with its weights in a file of this name; answers the model's bytes and the weights'.
fn split(data: &str) -> (Vec<u8>, Vec<u8>) {
    let mut model = tiny_cnn(17, CLASSES).build();
    let mut weights = Vec::new();
    for tensor in model.graph.iter_mut().flat_map(|g| &mut g.initializer) {
        let bytes = tensor.raw_data.take().unwrap();
        let (offset, length) = (weights.len().to_string(), bytes.len().to_string());
        let entries = vec![entry("location", data), entry("offset", &offset), entry("length", &length)];
        *tensor = TensorProto { external_data: entries, data_location: Some(1), ..tensor.clone() };
        weights.extend_from_slice(&bytes);
    }
    (model.encode_to_vec(), weights)
}

/// The map that a run wrote, and what it printed.
fn found(desk: &Desk, ran: Ran) -> (Vec<f32>, String) {
    let ran = ran.well();
    let line = ran.json().remove(0);
    let file = line["explanations"][0]["files"][0].as_str().unwrap();
    (desk.read_map(file).into_iter().collect(), line["top"].to_string())
}

fn explain(desk: &Desk, model: &str) -> Ran {
    desk.explain(&["a.png", "--json", "--save", "map", "--overwrite", "-o", "maps", "--model", model])
}

fn write(path: impl AsRef<Path>, bytes: &[u8]) {
    fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// R23: the data file keeps the name that the model has for it, whatever the model is called and wherever one stands.
#[test]
fn weights_beside_the_model() {
    let desk = Desk::with(&["a.png"]);
    let expected = found(&desk, explain(&desk, "net.onnx"));
    assert!(expected.0.iter().any(|v| *v > 0.0));
    for data in ["net.onnx.data", "weights_0001.bin", "0f3c1d9e-8f52-4f0e-9d5b-3c1a2b4d5e6f", "문서 a.b"] {
        let (model, weights) = split(data);
        write(desk.path("deep/er/renamed model.onnx"), &model);
        write(desk.path("deep/er").join(data), &weights);
        assert_eq!(found(&desk, explain(&desk, "deep/er/renamed model.onnx")), expected, "{data}");
        let whole = desk.path("deep/er/renamed model.onnx");
        assert_eq!(found(&desk, explain(&desk, whole.to_str().unwrap())), expected, "{data}, by its whole path");
    }
}

/// R23: what is missing is named in full, with what to do.
#[test]
fn weights_that_are_not_there() {
    let desk = Desk::with(&["a.png"]);
    let (model, weights) = split("weights.bin");
    write(desk.path("deep/net.onnx"), &model);
    let file = Path::new("deep").join("weights.bin").display().to_string();
    explain(&desk, "deep/net.onnx").badly(&["conv1.weight", &file, "hint: keep the data file beside the model"]);
    write(desk.path("deep/weights.bin"), &weights[..weights.len() - 1]);
    let (last, short) = ("fc.bias", format!("which has {}", weights.len() - 1));
    explain(&desk, "deep/net.onnx").badly(&[last, &file, &short, "hint: was the data file copied whole?"]);
    write(desk.path("deep/weights.bin"), &weights);
    explain(&desk, "deep/net.onnx").well();
}

/// R23: a hub's cache, where both are links into a folder of blobs that are named by their hashes.
#[cfg(unix)]
#[test]
fn weights_in_the_cache_of_a_hub() {
    use std::os::unix::fs::symlink;
    let desk = Desk::with(&["a.png"]);
    let (model, weights) = split("model.onnx_data");
    write(desk.path("hub/blobs/5d41402a"), &model);
    write(desk.path("hub/blobs/7d793037"), &weights);
    write(desk.path("hub/blobs/model.onnx_data"), &[0; 8]); // Another model's: not the one that is meant.
    fs::create_dir_all(desk.path("hub/snapshots/1f2e")).unwrap();
    symlink("../../blobs/5d41402a", desk.path("hub/snapshots/1f2e/model.onnx")).unwrap();
    symlink("../../blobs/7d793037", desk.path("hub/snapshots/1f2e/model.onnx_data")).unwrap();
    let expected = found(&desk, explain(&desk, "net.onnx"));
    assert_eq!(found(&desk, explain(&desk, "hub/snapshots/1f2e/model.onnx")), expected);
    fs::remove_file(desk.path("hub/snapshots/1f2e/model.onnx_data")).unwrap();
    explain(&desk, "hub/snapshots/1f2e/model.onnx")
        .badly(&["model.onnx_data", "hint: keep the data file beside the model"]);
}

fn with_metadata(key: &str, value: &str) -> ModelProto {
    ModelProto { metadata_props: vec![entry(key, value)], ..tiny_cnn(17, CLASSES).build() }
}

/// Ultralytics writes its classes' names into the file: they are shown, can be asked for, and are said to be from there.
#[test]
fn names_of_classes_in_the_file() {
    let desk = Desk::with(&["a.png"]);
    let names = "{0: 'tench', 1: 'dragon\\'s head', 2: \"great white shark\", 3: 'hammerhead', 4: 'cock', 5: 'hen'}";
    desk.net_of("named.onnx", with_metadata("names", names));
    let ran = desk.explain(&["a.png", "--model", "named.onnx", "--class", "hammerhead"]).well();
    let shown = ["tench", "dragon's head", "great white shark", "hammerhead", "cock", "hen"];
    assert_eq!(shown.iter().filter(|name| ran.out.contains(*name)).count(), 5, "the five likeliest: {}", ran.out);
    assert!(!ran.out.contains("class "), "{}", ran.out);
    assert!(ran.err.contains("the names of the classes are from the file's metadata, `names`; --labels names others"));
    desk.explain(&["a.png", "--model", "named.onnx", "--class", "hammer shark"])
        .badly(&["no class is called", "hammerhead"]);
    // The user's come first; names that are not as many as the classes are none.
    fs::write(desk.path("mine.txt"), "a\nb\nc\nd\ne\nf\n").unwrap();
    let mine = desk.explain(&["a.png", "--model", "named.onnx", "--labels", "mine.txt"]).well();
    assert!(!mine.out.contains("hammerhead") && !mine.err.contains("metadata"), "{mine:?}");
    desk.net_of("others.onnx", with_metadata("names", "{0: 'person', 1: 'bicycle'}"));
    assert!(desk.explain(&["a.png", "--model", "others.onnx"]).well().out.contains(" class "));
}

/// An input that is no picture: what it is called, how to give it a value, and that the value matters.
#[test]
fn inputs_besides_the_picture() {
    let desk = Desk::with(&["a.png"]);
    let scaled = |net: Maker| {
        let mut model = net.node("Mul", &["logits", "temperature"], &["scaled"]).output("scaled", "f32[N,6]").build();
        model.graph.as_mut().unwrap().output.remove(0);
        model
    };
    desk.net_of("scaled.onnx", scaled(tiny_cnn(17, CLASSES).input("temperature", "f32[1]")));
    let explain = |more: &[&str]| {
        let given = [&["a.png", "--json", "--save", "map", "--model", "scaled.onnx", "-o", "maps"], more].concat();
        desk.explain(&given)
    };
    explain(&[]).badly(&["  temperature  f32[1]", "--input 'temperature=VALUE'"]);
    explain(&["--input", "temprature=1"]).badly(&["no input \"temprature\"", "x, temperature"]);
    let words = explain(&["--input", "temperature"]);
    assert!(words.status == Some(2) && words.err.contains("is_training=0"), "{words:?}");
    let plain = found(&desk, desk.explain(&["a.png", "--json", "--save", "map", "-o", "maps"]));
    assert_eq!(found(&desk, explain(&["--input", "temperature=1"])), plain);
    assert_ne!(found(&desk, explain(&["--input", "temperature=0.25"])), plain);
    explain(&["--input", "temperature=1", "--input", "temperature=2"]).badly(&["\"temperature\" is given two values"]);
    let counted = |net: Maker| {
        let cast = net.node("Cast", &["count"], &["temperature"]).with("to", 1);
        scaled(cast.input("count", "u8[1]"))
    };
    desk.net_of("counted.onnx", counted(tiny_cnn(17, CLASSES)));
    let explain = |value: &str| {
        let given = ["a.png", "--json", "--save", "map", "--model", "counted.onnx", "-o", "maps", "--input", value];
        desk.explain(&given)
    };
    assert_eq!(found(&desk, explain("count=1")), plain);
    for value in ["count=256", "count=-1", "count=0.5"] {
        explain(value).badly(&["\"count\" is u8[1]: it takes whole numbers from 0 to 255"]);
    }
    let layers = desk.command().args(["layers", "scaled.onnx", "--input", "temperature=1"]).output().unwrap();
    assert!(layers.status.success() && String::from_utf8_lossy(&layers.stdout).contains("features"), "{layers:?}");
}
