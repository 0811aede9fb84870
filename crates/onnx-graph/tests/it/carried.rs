//! Nodes that we do not understand are taken over as they are.

use crate::net::*;
use onnx_graph::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use onnx_graph::{Graph, SpellError, Spelling, spell};

fn written(graph: &Graph) -> Result<ModelProto, SpellError> {
    spell(graph, &Spelling::for_graph(graph, 1))
}

fn foreign(node: NodeProto) -> NodeProto {
    NodeProto { domain: Some("com.example".to_owned()), name: Some("n1".to_owned()), ..node }
}

/// An unknown node with its reason, the shape that the file declares, and itself again when it is written.
#[test]
fn a_foreign_domain() {
    let mut net = Net::new(17)
        .input("x", ["N".into(), Size::Is(3)])
        .declare("h", [Size::Named("batch"), Size::Is(4)])
        .node("Relu", &["h"], &["y"], vec![])
        .output("y");
    let strange = foreign(node("Strange", &["x", "", "x", ""], &["h", "", "i"], vec![text("mode", "odd")]));
    net.graph().node.insert(0, strange.clone());
    net.proto.opset_import.push(OperatorSetIdProto { domain: Some("com.example".to_owned()), version: Some(5) });
    net.proto.opset_import.push(OperatorSetIdProto { domain: Some("unused".to_owned()), version: Some(9) });
    let graph = net.import().graph;
    assert_eq!(
        lines(&graph),
        ["%h, _, %i = com.example:Strange(x, _, x) {mode=…} : f32[N,4], ?[?]", "%y = Relu(%h) : f32[N,4]"]
    );
    let reason = &graph.nodes()[0].carried.as_ref().unwrap().reason;
    assert_eq!(reason, "its domain is `com.example`, not the standard one");

    let file = written(&graph).unwrap();
    let back = &file.graph.as_ref().unwrap().node[0];
    assert_eq!(back.input, ["x", "", "x"], "positions stay, what is left out behind them goes");
    assert_eq!((&back.output, &back.attribute, &back.domain), (&strange.output, &strange.attribute, &strange.domain));
    let opsets: Vec<(&str, i64)> = file.opset_import.iter().map(|o| (o.domain(), o.version())).collect();
    assert_eq!(opsets, [("", 17), ("com.example", 5)]);
}

/// Resize(x, "", "", sizes): the sizes stay the fourth input.
#[test]
fn inputs_that_are_left_out_keep_their_place() {
    let net = Net::of(13, [1, 1, 2, 2])
        .ints("sizes", &[1, 1, 4, 4])
        .node("Resize", &["x", "", "", "sizes"], &["y"], vec![text("mode", "area")])
        .output("y");
    let graph = net.import().graph;
    assert_eq!(lines(&graph), ["%y = Resize(x, _, _, sizes) {mode=…} : ?[?]"]);
    let file = written(&graph).unwrap().graph.unwrap();
    assert_eq!(file.node[0].input, ["x", "", "", "sizes"]);
    assert_eq!(file.initializer.len(), 1);
}

/// Off the way to the outputs a node is not written, nor what only it needs.
#[test]
fn what_no_output_needs_is_left_out() {
    let mut net = Net::of(13, [2, 3]).zeros("w", &[3]).node("Relu", &["x"], &["y"], vec![]).output("y");
    net.graph().node.push(foreign(node("Strange", &["x", "w"], &["h"], vec![])));
    let file = written(&net.import().graph).unwrap();
    assert_eq!((file.graph.as_ref().unwrap().node.len(), file.opset_import.len()), (1, 1));
    assert_eq!(file.graph.unwrap().initializer.len(), 0);
}

/// The types of what comes behind a tensor of unknown shape are known all the same.
#[test]
fn types_behind_the_unknown() {
    let mut net = Net::of(13, [2, 3])
        .node("Greater", &["h", "x"], &["a"], vec![])
        .node("Cast", &["h"], &["b"], vec![int("to", 11)])
        .node("Where", &["a", "x", "h"], &["c"], vec![])
        .node("Relu", &["h"], &["d"], vec![])
        .output("a");
    net.graph().node.insert(0, foreign(node("Strange", &["x"], &["h"], vec![])));
    let graph = net.import().graph;
    let types: Vec<String> =
        ["a", "b", "c", "d"].iter().map(|n| graph.tensor(graph.find(n).unwrap()).signature()).collect();
    assert_eq!(types, ["bool[?]", "f64[?]", "f32[?]", "?[?]"]);
}

fn branch(name: &str, read: &str) -> AttributeProto {
    let inner = GraphProto {
        name: Some(name.to_owned()),
        node: vec![node("Relu", &[read], &[&format!("{name}_out")], vec![])],
        output: vec![value(&format!("{name}_out"), [2, 3])],
        ..Default::default()
    };
    subgraph(name, inner)
}

/// What the branches of an If read around them is an input of the If: it is made, in time, and found by name.
#[test]
fn subgraphs_capture() {
    let net = Net::of(13, [2, 3])
        .zeros("w", &[2, 3])
        .node("ReduceMax", &["x"], &["max"], vec![int("keepdims", 0)])
        .node("Cast", &["max"], &["cond"], vec![int("to", 9)])
        .node("If", &["cond"], &["y"], vec![branch("then_branch", "late"), branch("else_branch", "w")])
        .node("Neg", &["x"], &["early"], vec![])
        .node("Identity", &["early"], &["late"], vec![])
        .output("y");
    let graph = net.import().graph;
    assert_eq!(
        lines(&graph),
        [
            "%max = ReduceMax(x) {axes=[0,1], keepdims=0} : f32[]",
            "%cond = Cast(%max) {to=9} : bool[]",
            "%early = Neg(x) : f32[2,3]",
            "%y = If(%cond, %early, w) {then_branch=…, else_branch=…} : ?[?]"
        ]
    );
    let file = written(&graph).unwrap().graph.unwrap();
    let iff = file.node.last().unwrap();
    assert_eq!(iff.input, ["cond"]);
    let read = |i: usize| iff.attribute[i].g.as_ref().unwrap().node[0].input[0].clone();
    assert_eq!([read(0), read(1)], ["early", "w"], "the name that the tensor has now");
    assert_eq!(file.initializer[0].name(), "w");

    let lost = Net::of(13, [1]).node("If", &["x"], &["y"], vec![branch("then_branch", "nothing")]).output("y");
    assert_eq!(
        lost.error().to_string(),
        "tensor \"nothing\" is read by `If` (the node that makes \"y\"), but nothing makes it: no node, input or initializer"
    );
}

/// Carried nodes stay in the opset that they are written in; one that 17 changed cannot be raised to it.
#[test]
fn the_opset_of_carried_nodes() {
    let opset = |net: Net| written(&net.import().graph).map(|file| file.opset_import[0].version());
    let acos = |opset| Net::of(opset, [2, 3]).node("Acos", &["x"], &["y"], vec![]).output("y");
    let relu = |opset| Net::of(opset, [2, 3]).node("Relu", &["x"], &["y"], vec![]).output("y");
    assert_eq!(opset(relu(7)), Ok(17));
    assert_eq!(opset(relu(28)), Ok(17), "no newer than needed");
    assert_eq!(opset(acos(7)), Ok(17), "Acos is the same in 7 and 17");
    assert_eq!(opset(acos(13)), Ok(13));
    assert_eq!(opset(acos(24)), Ok(24));
    let resize = |opset: i64| {
        Net::of(opset, [1, 1, 2, 2])
            .weight(floats("scales", &[4], &[1.0, 1.0, 0.5, 0.5]))
            .node("Resize", &["x", "scales"], &["y"], vec![text("mode", "area")])
            .output("y")
    };
    let error = opset(resize(10)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`Resize` (the node that makes \"y\", input 0: f32[1,1,2,2], input 1: f32[4]) cannot be written in opset 17: \
         opset 11 changed `Resize`, the file is in 10\n\
         hint: convert the model with `onnx.version_converter`, or export it anew in opset 13 or newer"
    );
    // A foreign node does not depend on the standard opset.
    let mut net = relu(9);
    net.graph().node.push(foreign(node("Strange", &["y"], &["z"], vec![])));
    assert_eq!(opset(net.output("z")), Ok(17));
}

/// Functions are written where a subgraph that is carried calls them, and only then.
#[test]
fn functions_that_subgraphs_call() {
    let call = NodeProto { domain: Some("local".to_owned()), ..node("Twice", &["x"], &["then_out"], vec![]) };
    let then = GraphProto { node: vec![call], output: vec![value("then_out", [1])], ..Default::default() };
    let mut net = Net::of(13, [1]).node("If", &["x"], &["y"], vec![subgraph("then_branch", then)]).output("y");
    let function = |name: &str| onnx_graph::proto::FunctionProto {
        name: Some(name.to_owned()),
        domain: Some("local".to_owned()),
        input: vec!["a".to_owned()],
        output: vec!["b".to_owned()],
        node: vec![node("Relu", &["a"], &["b"], vec![])],
        opset_import: net.proto.opset_import.clone(),
        ..Default::default()
    };
    let functions = vec![function("Once"), function("Twice")];
    net.proto.functions = functions;
    net.proto.opset_import.push(OperatorSetIdProto { domain: Some("local".to_owned()), version: Some(1) });
    let file = written(&net.import().graph).unwrap();
    let names: Vec<&str> = file.functions.iter().map(|f| f.name()).collect();
    assert_eq!(names, ["Twice"]);
    assert_eq!(file.opset_import.len(), 2);
}
