//! Files that are wrong on purpose: each gives an error that names what is wrong.

use crate::net::*;
use onnx_graph::proto::{GraphProto, ModelProto, TensorProto};
use prost::Message as _;

/// Small files that are refused, by name; `tests/bad` holds them.
pub fn cases() -> Vec<(&'static str, Vec<u8>)> {
    let relu = |net: Net| net.node("Relu", &["x"], &["y"], vec![]).output("y");
    let good = || relu(Net::of(13, [2, 3]));
    let tensor = |t: TensorProto| good().weight(t).output("w").bytes();
    let three = || floats("w", &[3], &[0.0; 3]);
    vec![
        ("empty", vec![]),
        ("text", b"this is no model".to_vec()),
        ("no-graph", ModelProto { ir_version: Some(8), ..Default::default() }.encode_to_vec()),
        ("empty-graph", ModelProto { graph: Some(GraphProto::default()), ..Default::default() }.encode_to_vec()),
        ("cut", good().bytes()[..40].to_vec()),
        ("opset-0", relu(Net::of(0, [2, 3])).bytes()),
        ("opset-99", relu(Net::of(99, [2, 3])).bytes()),
        ("opset-negative", relu(Net::of(-13, [2, 3])).bytes()),
        ("no-opset", {
            let mut net = good();
            net.proto.opset_import.clear();
            net.bytes()
        }),
        ("no-input", Net::new(13).zeros("w", &[1]).node("Relu", &["w"], &["y"], vec![]).output("y").bytes()),
        ("cycle", {
            let net = Net::of(13, [2, 3]).node("Add", &["x", "c"], &["a"], vec![]).node("Relu", &["a"], &["b"], vec![]);
            net.node("Neg", &["b"], &["c"], vec![]).node("Exp", &["c"], &["y"], vec![]).output("y").bytes()
        }),
        ("cycle-of-one", Net::of(13, [2]).node("Add", &["x", "y"], &["y"], vec![]).output("y").bytes()),
        ("missing-initializer", Net::of(13, [2, 3]).node("MatMul", &["x", "w"], &["y"], vec![]).output("y").bytes()),
        ("missing-output", good().output("z").bytes()),
        ("two-nodes-make-it", {
            let net = good().node("Neg", &["x"], &["y"], vec![]);
            net.bytes()
        }),
        ("one-node-makes-it-twice", Net::of(13, [2]).node("Split", &["x"], &["y", "y"], vec![]).output("y").bytes()),
        ("initializer-twice", good().zeros("w", &[3]).zeros("w", &[3]).bytes()),
        ("initializer-and-node", good().zeros("y", &[3]).bytes()),
        ("input-twice", relu(Net::of(13, [2, 3]).input("x", [2, 3])).bytes()),
        ("input-and-node", Net::of(13, [2]).node("Relu", &["x"], &["x"], vec![]).output("x").bytes()),
        ("input-and-node-2", Net::of(13, [2]).input("a", [2]).node("Relu", &["x"], &["a"], vec![]).output("a").bytes()),
        ("weight-one-byte-short", tensor(TensorProto { raw_data: Some(vec![0; 11].into()), ..three() })),
        ("weight-without-data", tensor(TensorProto { raw_data: None, ..three() })),
        ("weight-of-negative-size", tensor(TensorProto { dims: vec![-3], ..three() })),
        ("weight-of-huge-size", tensor(TensorProto { dims: vec![i64::MAX, 4], ..three() })),
        ("weight-of-overflowing-bytes", tensor(TensorProto { dims: vec![1 << 61], ..three() })),
        ("weight-empty-and-huge", tensor(TensorProto { dims: vec![0, i64::MAX], raw_data: None, ..three() })),
        ("weight-of-many-axes", tensor(TensorProto { dims: vec![1; 1000], ..floats("w", &[1], &[0.0]) })),
        ("input-of-huge-size", relu(Net::of(13, [1, 3, i64::MAX, i64::MAX])).bytes()),
        ("constant-of-shape-weight", {
            let net = Net::of(13, [1, 1 << 20]).ints("s", &[1 << 20, 1 << 20]);
            let net = net.node("ConstantOfShape", &["s"], &["w"], vec![]);
            net.node("MatMul", &["x", "w"], &["y"], vec![]).output("y").bytes()
        }),
        ("constant-of-shape-activation", {
            let net = Net::new(13).input("x", ["N".into(), Size::Is(1)]).ints("zero", &[0]).ints("one", &[1]);
            let net = net.ints("large", &[1 << 40]).node("Shape", &["x"], &["s"], vec![]);
            let net = net.node("Slice", &["s", "zero", "one"], &["n"], vec![]);
            let net = net.node("Concat", &["n", "large"], &["t"], vec![int("axis", 0)]);
            net.node("ConstantOfShape", &["t"], &["h"], vec![])
                .node("Add", &["x", "h"], &["y"], vec![])
                .output("y")
                .bytes()
        }),
        ("expand-to-2-to-the-40", {
            let net = Net::of(13, [1, 1]).ints("s", &[1 << 20, 1 << 20]);
            net.node("Expand", &["x", "s"], &["y"], vec![]).output("y").bytes()
        }),
        ("tile-to-2-to-the-62", {
            let net = Net::of(13, [1, 1]).ints("s", &[1 << 31, 1 << 31]);
            net.node("Tile", &["x", "s"], &["y"], vec![]).output("y").bytes()
        }),
        ("pad-to-2-to-the-40", {
            let net = Net::of(13, [1, 1]).ints("p", &[0, 0, 1 << 40, 0]);
            net.node("Pad", &["x", "p"], &["y"], vec![]).output("y").bytes()
        }),
        ("deep-subgraphs", {
            let mut graph = GraphProto::default();
            for _ in 0..200 {
                let inner = node("If", &["x"], &["y"], vec![subgraph("then_branch", graph)]);
                graph = GraphProto { node: vec![inner], ..Default::default() };
            }
            let mut net = good();
            net.graph().node.push(graph.node.remove(0));
            net.bytes()
        }),
        ("names-with-escapes", {
            let evil = "\u{1b}]0;owned\u{7}\r\n";
            Net::of(13, [2]).node(evil, &[evil], &["y"], vec![]).output("y").bytes()
        }),
    ]
}

/// A file that has all that makes others slow: it is answered, not waited for.
#[test]
fn many_of_everything() {
    use std::time::{Duration, Instant};
    let start = Instant::now();
    // Ten thousand weights that are listed as inputs, as old files do.
    let mut net = Net::of(9, [2, 3]);
    for i in 0..10_000 {
        let name = format!("w{i}");
        net = net.input(&name, [1]).zeros(&name, &[1]);
    }
    assert_eq!(net.node("Add", &["x", "w9999"], &["y"], vec![]).output("y").import().graph.inputs.len(), 1);
    // Pads, strides and axes by the hundred thousand.
    let long = vec![1; 100_000];
    for (op, name) in
        [("MaxPool", "pads"), ("Unsqueeze", "axes"), ("Squeeze", "axes"), ("ReduceMean", "axes"), ("Transpose", "perm")]
    {
        let mut attributes = vec![ints(name, &long)];
        attributes.extend((op == "MaxPool").then(|| ints("kernel_shape", &[1, 1])));
        let lines = Net::of(11, [1, 1, 4, 4]).node(op, &["x"], &["y"], attributes).output("y").lines();
        assert!(lines[0].contains("=…"), "{op} is carried: {lines:?}");
    }
    // A chain of folded tensors, each as large as folding allows: the budget ends it.
    let mut net = Net::of(13, [1]).ints("h0", &[1; 4096]);
    for i in 0..3000 {
        net = net.node("Add", &[&format!("h{i}"), &format!("h{i}")], &[&format!("h{}", i + 1)], vec![]);
    }
    let graph = net.output("h3000").import().graph;
    assert!((1000..3000).contains(&graph.nodes().len()), "{} nodes are left to the engine", graph.nodes().len());
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

/// A megabyte of empty attributes would be a gigabyte in memory.
#[test]
fn a_crowd_of_attributes() {
    let mut net = Net::of(13, [2, 3]).node("Relu", &["x"], &["y"], vec![]).output("y");
    net.graph().node[0].attribute = vec![Default::default(); 400_000];
    let bytes = net.bytes();
    assert!(bytes.len() < 1 << 20);
    let error = onnx_graph::Model::read(bytes.into(), std::path::Path::new("crowd.onnx")).map(|_| ()).unwrap_err();
    assert!(
        error.to_string().starts_with("crowd.onnx has more nodes and attributes than memory is given to"),
        "{error}"
    );
}
