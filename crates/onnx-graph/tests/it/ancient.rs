//! Opsets 1 to 6: each old form becomes what the new form becomes.

use crate::net::*;
use onnx_graph::proto::AttributeProto;
use onnx_graph::{ModelError, show_shape};

/// A node on `x` [2, 3, 4, 5] and what else it reads: floats by their shape, int64s by their values.
fn net(opset: i64, op: &str, floats: &[&[i64]], numbers: &[&[i64]], attributes: Vec<AttributeProto>) -> Net {
    let mut net = Net::of(opset, [2i64, 3, 4, 5]);
    let mut read = vec!["x"];
    for (name, dims) in ["a", "b"].into_iter().zip(floats) {
        net = net.zeros(name, dims);
        read.push(name);
    }
    for (name, values) in ["i", "j"].into_iter().zip(numbers) {
        net = net.ints(name, values);
        read.push(name);
    }
    net.node(op, &read, &["y"], attributes).output("y")
}

#[track_caller]
fn same(old: &Net, new: &Net) {
    let lines = old.lines();
    assert!(lines.iter().all(|l| !l.contains("…")), "it is carried: {lines:?}");
    assert_eq!(lines, new.lines());
}

/// The shape of what the only node reads second.
#[track_caller]
fn second_shape(net: &Net) -> String {
    let graph = net.import().graph;
    let [node] = graph.nodes() else { panic!("one node: {:?}", net.lines()) };
    show_shape(graph.shape(node.inputs[1].unwrap()).unwrap())
}

#[test]
fn broadcasting_along_an_axis() {
    let old = |op, dims: &[i64], more: Vec<AttributeProto>| {
        let mut attributes = vec![int("broadcast", 1)];
        attributes.extend(more);
        net(6, op, &[dims], &[], attributes)
    };
    for op in ["Add", "Sub", "Mul", "Div", "Pow"] {
        same(&old(op, &[5], vec![]), &net(7, op, &[&[5]], &[], vec![]));
        same(&old(op, &[4, 5], vec![int("axis", -1)]), &net(7, op, &[&[4, 5]], &[], vec![]));
        same(&old(op, &[], vec![]), &net(7, op, &[&[]], &[], vec![]));
    }
    // The first axis of B lies along axis 1 of A: a bias for each channel.
    assert_eq!(second_shape(&old("Add", &[3], vec![int("axis", 1)])), "[3,1,1]");
    assert_eq!(second_shape(&old("Mul", &[3, 4], vec![int("axis", 1)])), "[3,4,1]");
    // Buffers that may be overwritten do not matter.
    same(
        &net(1, "Add", &[&[5]], &[], vec![int("broadcast", 1), ints("consumed_inputs", &[0, 0])]),
        &net(7, "Add", &[&[5]], &[], vec![]),
    );
    let misfit = old("Add", &[3, 4], vec![int("axis", 3)]).error();
    assert!(matches!(&misfit, ModelError::Ancient { opset: 6, .. }), "{misfit}");
    assert!(misfit.to_string().contains("2 axes do not fit behind axis 3 of 4"), "{misfit}");
}

#[test]
fn attributes_that_became_inputs() {
    same(&net(1, "Reshape", &[], &[], vec![ints("shape", &[2, -1])]), &net(7, "Reshape", &[], &[&[2, -1]], vec![]));
    same(&net(5, "Reshape", &[], &[&[0, -1]], vec![]), &net(7, "Reshape", &[], &[&[0, -1]], vec![]));
    same(&net(1, "Tile", &[], &[&[3], &[1]], vec![]), &net(7, "Tile", &[], &[&[1, 3, 1, 1]], vec![]));
    let pads = [0, 0, 1, 1, 0, 0, 2, 2];
    same(&net(1, "Pad", &[], &[], vec![ints("paddings", &pads)]), &net(7, "Pad", &[], &[], vec![ints("pads", &pads)]));
    let upsample = vec![float("height_scale", 2.0), float("width_scale", 3.0), text("mode", "nearest")];
    let scales = vec![reals("scales", &[1.0, 1.0, 2.0, 3.0]), text("mode", "nearest")];
    same(&net(1, "Upsample", &[], &[], upsample), &net(7, "Upsample", &[], &[], scales));
}

#[test]
fn split_by_an_input() {
    let split = |opset, numbers: &[&[i64]], attributes: Vec<AttributeProto>| {
        let mut net = net(opset, "Split", &[], numbers, attributes);
        net.graph().node[0].output.push("z".to_owned());
        net.output("z")
    };
    let new = split(7, &[], vec![int("axis", 1), ints("split", &[1, 2])]);
    same(&split(1, &[&[1, 2]], vec![int("axis", 1)]), &new);
}

#[test]
fn names_of_types_and_slopes_by_channel() {
    same(&net(1, "Cast", &[], &[], vec![text("to", "DOUBLE")]), &net(7, "Cast", &[], &[], vec![int("to", 11)]));
    let unknown = net(1, "Cast", &[], &[], vec![text("to", "STRING")]).error();
    assert!(unknown.to_string().contains("casts to a type that is not known"), "{unknown}");
    same(&net(6, "PRelu", &[&[1]], &[], vec![]), &net(7, "PRelu", &[&[1]], &[], vec![]));
    let by_channel = net(6, "PRelu", &[&[3]], &[], vec![]).import().graph;
    let slope = by_channel.nodes().iter().find(|node| &*node.op == "Mul").unwrap().inputs[0].unwrap();
    assert_eq!(show_shape(by_channel.shape(slope).unwrap()), "[3,1,1]");
}

/// IR version 1 and 2 had no opsets.
#[test]
fn before_opsets() {
    let mut old = net(1, "Relu", &[], &[], vec![ints("consumed_inputs", &[1])]);
    old.proto.opset_import.clear();
    assert!(matches!(old.error(), ModelError::NoOpset));
    old.proto.ir_version = Some(2);
    assert_eq!(old.lines(), ["%y = Relu(x) : f32[2,3,4,5]"]);
}

/// What the first CoreML converter wrote.
#[test]
fn experimental_operators() {
    let scaler = net(2, "ImageScaler", &[], &[], vec![float("scale", 2.0), reals("bias", &[1.0, 2.0, 3.0])]).lines();
    assert_eq!(scaler.len(), 2, "{scaler:?}");
    assert!(scaler[1].starts_with("%y = Add("), "{scaler:?}");
    let cropped = net(2, "Crop", &[], &[], vec![ints("border", &[1, 0, 2, 1])]).lines();
    assert!(cropped.last().unwrap().ends_with(": f32[2,3,3,2]"), "{cropped:?}");
    let cropped = net(2, "Crop", &[], &[], vec![ints("border", &[1, 1, 0, 0]), ints("scale", &[2, 3])]).lines();
    assert!(cropped.last().unwrap().ends_with(": f32[2,3,2,3]"), "{cropped:?}");
    let nothing = net(2, "Crop", &[], &[], vec![ints("border", &[3, 0, 2, 0])]).lines();
    assert!(nothing[0].contains("border=…"), "carried: {nothing:?}");
}
