//! Every tensor of the file keeps its name; ours give way.

use crate::net::*;
use onnx_graph::{Spelling, spell};

/// An explained model, explained again: its names have our prefix and are the file's all the same.
#[test]
fn names_with_our_prefix() {
    let net = Net::of(12, [2, 3, 4])
        .node("Softmax", &["x"], &["onnxcam.t2"], vec![]) // Makes onnxcam.t1, …
        .node("Relu", &["onnxcam.t2"], &["onnxcam.t1"], vec![])
        .node("Identity", &["onnxcam.t1"], &["other"], vec![])
        .node("Neg", &["other"], &["onnxcam.grad-cam"], vec![])
        .output("onnxcam.grad-cam")
        .output("other");
    let graph = net.import().graph;
    for (name, op) in [("onnxcam.t2", "Reshape"), ("onnxcam.t1", "Relu"), ("onnxcam.grad-cam", "Neg")] {
        let t = graph.find(name).unwrap();
        assert_eq!(&*graph.tensor(t).name, name);
        assert_eq!(&*graph.producer(t).unwrap().op, op);
    }
    assert_eq!(graph.find("other"), graph.find("onnxcam.t1"));
}

/// Names inside a function do not take those of the file's own tensors.
#[test]
fn names_of_a_function_are_its_own() {
    let mut net = Net::of(13, [2, 3])
        .node("Twice", &["x"], &["a"], vec![])
        .node("Neg", &["a"], &["h"], vec![])
        .node("Exp", &["h"], &["y"], vec![])
        .output("y");
    net.graph().node[0].domain = Some("local".to_owned());
    net.proto.functions.push(onnx_graph::proto::FunctionProto {
        name: Some("Twice".to_owned()),
        domain: Some("local".to_owned()),
        input: vec!["x".to_owned()],
        output: vec!["out".to_owned()],
        node: vec![node("Relu", &["x"], &["h"], vec![]), node("Abs", &["h"], &["out"], vec![])],
        opset_import: net.proto.opset_import.clone(),
        ..Default::default()
    });
    assert_eq!(
        net.lines(),
        [
            "%onnxcam.t1 = Relu(x) : f32[2,3]",
            "%a = Abs(%onnxcam.t1) : f32[2,3]",
            "%h = Neg(%a) : f32[2,3]",
            "%y = Exp(%h) : f32[2,3]"
        ]
    );
}

/// Two outputs that are one tensor, and one that is the input, are two and one more in the file that is written.
#[test]
fn outputs_that_are_one_tensor() {
    let net = Net::of(13, [2, 3])
        .node("Relu", &["x"], &["a"], vec![])
        .node("Identity", &["a"], &["b"], vec![])
        .output("a")
        .output("b")
        .output("x");
    let graph = net.import().graph;
    let file = spell(&graph, &Spelling::for_graph(&graph, 1)).unwrap().graph.unwrap();
    let made: Vec<&str> = file.node.iter().map(|n| n.op_type()).collect();
    assert_eq!(made, ["Relu", "Identity", "Identity"]);
    let mut outputs: Vec<&str> = file.output.iter().map(|o| o.name()).collect();
    assert_eq!(outputs[0], "a");
    outputs.sort_unstable();
    outputs.dedup();
    assert_eq!(outputs.len(), 3);
}

/// A node that becomes several: engines want names of nodes to differ, the first one keeps it.
#[test]
fn names_of_nodes_differ() {
    let mut net = Net::of(12, [2, 3, 4]).node("Softmax", &["x"], &["y"], vec![]).output("y");
    net.graph().node[0].name = Some("softmax".to_owned());
    let graph = net.import().graph;
    let file = spell(&graph, &Spelling::for_graph(&graph, 1)).unwrap().graph.unwrap();
    let named: Vec<(&str, &str)> = file.node.iter().map(|n| (n.op_type(), n.name())).collect();
    assert_eq!(named, [("Reshape", "softmax"), ("Softmax", ""), ("Reshape", "")]);
}

/// Control characters in names reach neither messages nor dumps.
#[test]
fn escape_sequences_are_not_printed() {
    let evil = "a\x1b[2J\r\n\u{202e}b";
    let net = Net::of(13, [2, 3])
        .node(&format!("Op{evil}"), &["x"], &[evil], vec![int(evil, 1)])
        .node("Relu", &[evil], &["y"], vec![])
        .output("y");
    let imported = net.import();
    let dump = onnx_graph::dump(&imported.graph);
    let node = imported.graph.describe(&imported.graph.nodes()[0]);
    let never = Net::of(13, [1]).node(evil, &[evil], &["y"], vec![]).output("y").error().to_string();
    for shown in [dump.replace('\n', ""), node, never] {
        assert!(!shown.contains(|c: char| c.is_control() || c == '\u{202e}'), "{shown:?}");
    }
}
