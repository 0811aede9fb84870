//! A small network, cut at every byte and with every bit flipped: good or an error, never a panic.

use std::path::Path;

use crate::net::*;
use onnx_graph::proto::TensorProto;
use onnx_graph::{ImportOptions, Model, Spelling, dump, import, spell};

/// A classifier with a bit of everything: convolution, pooling, normalisation, shape arithmetic, a typed and a raw
/// weight, a foreign node, a local function.
fn network() -> Vec<u8> {
    let mut net = Net::new(13)
        .input("x", ["N".into(), Size::Is(2), Size::Is(6), Size::Is(6)])
        .weight(floats("w", &[2, 2, 3, 3], &[0.1; 36]))
        .weight(TensorProto { float_data: vec![1.0, 2.0], ..typed("b", &[2], 1) })
        .weight(floats("head", &[18, 3], &[0.2; 54]))
        .weight(floats("six", &[], &[6.0]))
        .weight(int64s("zero", &[], &[0]))
        .ints("front", &[0])
        .ints("rest", &[-1])
        .node("Conv", &["x", "w", "b"], &["c"], vec![ints("pads", &[1, 1, 1, 1]), ints("strides", &[1, 1])])
        .node("Clip", &["c", "", "six"], &["r"], vec![])
        .node(
            "MaxPool",
            &["r"],
            &["p"],
            vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2]), int("ceil_mode", 1)],
        )
        .node("LRN", &["p"], &["l"], vec![int("size", 3), float("alpha", 0.1)])
        .node("Half", &["l"], &["f"], vec![])
        .node("Shape", &["f"], &["s"], vec![])
        .node("Gather", &["s", "zero"], &["n"], vec![int("axis", 0)])
        .node("Unsqueeze", &["n", "front"], &["u"], vec![])
        .node("Concat", &["u", "rest"], &["t"], vec![int("axis", 0)])
        .node("Reshape", &["f", "t"], &["flat"], vec![])
        .node("Gemm", &["flat", "head"], &["g"], vec![float("alpha", 0.5)])
        .node("Softmax", &["g"], &["y"], vec![int("axis", 1)])
        .node("Strange", &["y"], &["z"], vec![text("mode", "odd")])
        .declare("z", ["N".into(), Size::Is(3)])
        .output("y")
        .output("z");
    net.graph().node[4].domain = Some("local".to_owned());
    net.proto.functions.push(onnx_graph::proto::FunctionProto {
        name: Some("Half".to_owned()),
        domain: Some("local".to_owned()),
        input: vec!["a".to_owned()],
        output: vec!["b".to_owned()],
        node: vec![node("Sigmoid", &["a"], &["h"], vec![]), node("Mul", &["a", "h"], &["b"], vec![])],
        opset_import: net.proto.opset_import.clone(),
        ..Default::default()
    });
    net.bytes()
}

/// Reads, imports, shows and writes; whether that went well.
fn survives(bytes: &[u8]) -> bool {
    let model = Model::read(bytes.to_vec().into(), Path::new("damaged.onnx"));
    let Ok(imported) = model.and_then(|model| import(&model, &ImportOptions::default())) else { return false };
    let shown = dump(&imported.graph);
    let written = spell(&imported.graph, &Spelling::for_graph(&imported.graph, 2));
    !shown.is_empty() && written.is_ok()
}

#[test]
fn whole() {
    assert!(survives(&network()));
}

#[test]
fn cut_at_every_byte() {
    let bytes = network();
    let survivors = (0..bytes.len()).filter(|end| survives(&bytes[..*end])).count();
    assert!(survivors < bytes.len() / 10, "{survivors} of {} pieces are taken for whole", bytes.len());
}

#[test]
fn every_bit_flipped() {
    let bytes = network();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            survives(&damaged);
        }
    }
}

#[test]
fn every_byte_overwritten() {
    let bytes = network();
    for at in 0..bytes.len() {
        for byte in [0x00, 0x7f, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] = byte;
            survives(&damaged);
            let end = (at + 9).min(damaged.len());
            damaged[at..end].fill(byte); // Numbers as large as a varint may be.
            survives(&damaged);
        }
    }
}
