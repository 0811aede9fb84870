//! Which class, and how likely it is.

use std::fs;

use onnx_graph::proto::ModelProto;
use serde_json::Value;
use testkit::models::{Maker, tiny_binary, tiny_binary_vector, tiny_cnn, tiny_cnn_ending_in};

use crate::desk::{CLASSES, Desk, Ran, edited};

fn top(ran: &Ran) -> Vec<(u64, f64)> {
    let line = ran.json().remove(0);
    let pair = |t: &Value| (t["class"].as_u64().unwrap(), t["probability"].as_f64().unwrap());
    line["top"].as_array().unwrap().iter().map(pair).collect()
}

#[test]
fn a_class_has_a_number_or_a_name() {
    let desk = Desk::with(&["a.png"]);
    fs::write(desk.path("names.txt"), "tench\ncrane\ntiger cat\nEgyptian cat\ncrane\ntea\n").unwrap();
    let named = |class: &str| desk.explain(&["a.png", "--json", "--labels", "names.txt", "--class", class]);
    for (class, number) in [("2", 2), ("tiger cat", 2), ("TIGER_CAT", 2), ("egyptian", 3), (" tea ", 5)] {
        assert_eq!(named(class).well().json()[0]["explanations"][0]["class"], number, "{class}");
    }
    named("crane").badly(&["fits 2 classes", "1 crane", "4 crane"]);
    named("cat").badly(&["2 tiger cat", "3 Egyptian cat"]);
    named("tent").badly(&["no class is called", "nearest", "0 tench"]);
    named("6").badly(&["there is no class 6", "0 to 5"]);
    named("2,dog").badly(&["\"dog\""]);
    named("top0").badly(&["top0"]);
    let classes = |class: &str| {
        let explanations = named(class).well().json()[0]["explanations"].clone();
        explanations.as_array().unwrap().iter().map(|e| e["class"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(classes("tea,0,tiger"), [5, 0, 2]);
    let ranked: Vec<u64> = top(&named("0").well()).into_iter().map(|t| t.0).collect();
    assert_eq!(classes("top3"), ranked[..3]);
    assert_eq!(classes("top99").len(), CLASSES);
    assert_eq!(desk.explain(&["a.png", "--json"]).well().json()[0]["explanations"][0]["class"], ranked[0]);
}

#[test]
fn without_names_classes_have_numbers() {
    let desk = Desk::with(&["a.png"]);
    let ran = desk.explain(&["a.png"]).well();
    assert!(ran.out.contains(" class "), "{ran:?}");
    desk.explain(&["a.png", "--class", "tabby"]).badly(&["have no names", "--labels"]);
    fs::write(desk.path("names.txt"), "one\ntwo\n").unwrap();
    desk.explain(&["a.png", "--labels", "names.txt"]).badly(&["2 class names", "6 classes"]);
    desk.explain(&["a.png", "--labels", "missing.txt"]).badly(&["missing.txt"]);
}

#[test]
fn a_thousand_classes_are_taken_for_imagenets_and_that_is_said() {
    let desk = Desk::with(&["a.png"]);
    desk.net("thousand.onnx", tiny_cnn(17, 1000));
    let ran = desk.explain(&["a.png", "--model", "thousand.onnx", "--class", "tabby", "--json"]).well();
    assert_eq!(ran.json()[0]["explanations"][0]["class"], 281);
    assert!(ran.err.contains("assumed to be ImageNet's"), "{ran:?}");
}

#[test]
fn both_classes_of_a_binary_head_are_shown() {
    let desk = Desk::with(&["a.png"]);
    for (name, net) in [("column.onnx", tiny_binary(17)), ("vector.onnx", tiny_binary_vector(17))] {
        desk.net(name, net);
        let ran =
            desk.explain(&["a.png", "--json", "--model", name, "--class", "0,1", "--signed", "--save", "map"]).well();
        let top = top(&ran);
        assert_eq!(top.len(), 2);
        assert!((top[0].1 + top[1].1 - 1.0).abs() < 1e-12 && top[0].1 >= 0.5);
        // Class 0 is the negative of class 1.
        let [zero, one] = [0, 1].map(|c| desk.read_map(&format!("a.class{c}.grad-cam++.map.npy")));
        assert_ne!(zero, one);
        let [zero, one] = [0, 1].map(|c| {
            let of = ["a.png", "--model", name, "--class", &c.to_string(), "--signed", "--method", "grad-cam"];
            desk.explain(&[&of[..], &["--save", "map", "-o", "x.npy", "--overwrite"]].concat()).well();
            desk.read_map("x.npy")
        });
        let scale = one.iter().fold(0f32, |most, v| most.max(v.abs()));
        assert!(scale > 0.0 && zero.iter().zip(&one).all(|(z, o)| (z + o).abs() < 1e-5 * scale));
    }
}

#[test]
fn the_last_activation_changes_neither_probabilities_nor_maps() {
    let desk = Desk::with(&["a.png"]);
    let explained = |net: &str| {
        let ran = desk.explain(&["a.png", "--json", "--model", net, "--save", "map", "--class", "3"]).well();
        (top(&ran), desk.read_map("a.grad-cam++.map.npy"))
    };
    let bare = explained("net.onnx");
    assert!(bare.1.iter().any(|v| *v > 0.0));
    for activation in ["Softmax", "LogSoftmax"] {
        desk.net("ends.onnx", tiny_cnn_ending_in(activation, 17, CLASSES));
        assert_eq!(explained("ends.onnx"), bare, "{activation}");
    }
}

/// The gradient of a probability near 1 is nothing; that of the score before the softmax is what it always is.
#[test]
fn a_certain_network_is_explained_all_the_same() {
    let desk = Desk::with(&["a.png"]);
    let map = |net: ModelProto| {
        desk.net_of("sure.onnx", net);
        let ran = desk.explain(&["a.png", "--json", "--model", "sure.onnx", "--save", "map", "--class", "3"]).well();
        (top(&ran)[0], desk.read_map("a.grad-cam++.map.npy"))
    };
    let plain = map(tiny_cnn(17, CLASSES).build()).1;
    assert!(plain.iter().any(|v| *v > 0.0));
    for activation in ["Softmax", "LogSoftmax"] {
        let raised = |i: usize, bias: f32| if i == 3 { bias + 60.0 } else { bias };
        let (best, raised) = map(edited(tiny_cnn_ending_in(activation, 17, CLASSES), "fc.bias", raised));
        assert_eq!(best, (3, 1.0), "{activation}");
        assert_eq!(raised, plain, "{activation}");
    }
}

/// e^s / Σ e^s written out, which nobody knows for a softmax.
fn written_out_softmax() -> ModelProto {
    let end = Maker::new(12)
        .node("Exp", &["logits"], &["powers"])
        .node("ReduceSum", &["powers"], &["sum"])
        .with("axes", [1])
        .with("keepdims", 1)
        .node("Div", &["powers", "sum"], &["answer"])
        .output("answer", &format!("f32[N,{CLASSES}]"));
    let mut model = tiny_cnn(12, CLASSES).build();
    let (graph, end) = (model.graph.as_mut().unwrap(), end.build().graph.unwrap());
    graph.node.extend(end.node);
    graph.output = end.output;
    model
}

#[test]
fn no_softmax_of_a_softmax() {
    let desk = Desk::with(&["a.png"]);
    desk.net("bare.onnx", tiny_cnn(12, CLASSES));
    desk.net_of("written.onnx", written_out_softmax());
    let of = |net: &str| desk.explain(&["a.png", "--json", "--model", net]).well();
    let (bare, written) = (of("bare.onnx"), of("written.onnx"));
    for ((class, p), (other, q)) in top(&bare).into_iter().zip(top(&written)) {
        assert!(class == other && (p - q).abs() < 1e-5, "{bare:?} {written:?}");
    }
    assert!(written.err.contains("shown as they are") && !bare.err.contains("shown as they are"), "{written:?}");
}

/// The rival is in the file's name, its text, and the JSON; `second` is found by the network.
#[test]
fn a_class_is_contrasted_with_another() {
    let desk = Desk::with(&["a.png"]);
    let ran = desk.explain(&["a.png", "--class", "3", "--against", "1", "--save", "overlay,panel", "--json"]).well();
    let found: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&found["explanations"][0]["class"], &found["explanations"][0]["against"]), (&3.into(), &1.into()));
    let text = onnxcam::heatmap::read_png_text(&desk.path("a.against1.grad-cam++.overlay.png")).unwrap();
    assert!(text.contains(&("against".to_owned(), "1".to_owned())), "{text:?}");
    let several = desk.explain(&["a.png", "--class", "top2", "--against", "second", "--json"]).well();
    let found: serde_json::Value = serde_json::from_str(&several.out).unwrap();
    let pair = |i: usize| {
        [&found["explanations"][i]["class"], &found["explanations"][i]["against"]].map(|v| v.as_u64().unwrap())
    };
    assert_eq!(pair(0), [pair(1)[1], pair(1)[0]], "the best two are each other's rivals");
    let made = desk.made(".");
    assert!(made.contains(&format!("a.class{}.against-second.grad-cam++.overlay.png", pair(0)[0])), "{made:?}");
    desk.explain(&["a.png", "--against", "1,2"]).badly(&["is not one class", "hint: "]);
    let alone = desk.explain(&["a.png", "--json"]).well();
    assert!(alone.out.contains("\"against\":null"));
}

/// Nothing sets a class apart from itself: named twice, or where it is the one predicted.
#[test]
fn a_class_against_itself_is_an_error() {
    let desk = Desk::with(&["a.png"]);
    fs::write(desk.path("names.txt"), "tench\ncrane\ntiger cat\nEgyptian cat\nkite\ntea\n").unwrap();
    let with_names = |more: &[&str]| desk.explain(&[&["a.png", "--labels", "names.txt"], more].concat());
    let both = ["the class explained is 2 (tiger cat), and it is contrasted with 2 (tiger cat)", "hint: --class names"];
    with_names(&["--class", "2", "--against", "tiger"]).badly(&both);
    with_names(&["--class", "4,tiger", "--against", "2"]).badly(&both);
    let predicted = top(&with_names(&["--json"]).well())[0].0.to_string();
    let twice = format!("the class explained is {predicted} (");
    with_names(&["--against", &predicted]).badly(&[&twice, &format!("contrasted with {predicted} (")]);
    with_names(&["--against", "second"]).well();
}

/// An output taken for an embedding: a picture is as like itself as can be, and every map says what was explained.
#[test]
fn how_like_another_picture() {
    let desk = Desk::with(&["a.png"]);
    desk.picture("b.png", (90, 20));
    let score = |other: &str| {
        let ran =
            desk.explain(&["a.png", "--similar-to", other, "--json", "-o", other.trim_end_matches(".png")]).well();
        let line = ran.json().remove(0);
        assert_eq!(line["model"]["score"], format!("the cosine similarity to {other}"), "{line}");
        assert!(line["top"].as_array().unwrap().len() == 1 && line["top"][0]["probability"].is_null(), "{line}");
        line["top"][0]["score"].as_f64().unwrap()
    };
    assert!((score("a.png") - 1.0).abs() < 1e-5);
    assert!(score("b.png") < 1.0 - 1e-4);
    let text = onnxcam::heatmap::read_png_text(&desk.path("b/a.grad-cam++.overlay.png")).unwrap();
    assert!(text.iter().any(|(_, value)| value.contains("the cosine similarity to b.png")), "{text:?}");
    desk.explain(&["a.png", "--similar-to", "missing.png"]).badly(&["missing.png"]);
    // What is compared with is never replaced.
    fs::copy(desk.path("b.png"), desk.path("a.grad-cam++.overlay.png")).unwrap();
    let replaced = ["a.png", "--similar-to", "a.grad-cam++.overlay.png", "--overwrite"];
    desk.explain(&replaced).badly(&["a.grad-cam++.overlay.png"]);
    for with in [["--class", "1"], ["--against", "1"], ["--score", "scores[c]"]] {
        let ran = desk.explain(&[&["a.png", "--similar-to", "b.png"], &with[..]].concat());
        assert!(ran.status == Some(2) && ran.err.contains("cannot be used with"), "{ran:?}");
    }
}
