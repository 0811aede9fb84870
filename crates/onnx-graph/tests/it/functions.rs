//! Local functions, and branches that are known.

use crate::net::*;
use onnx_graph::proto::{AttributeProto, AttributeType, FunctionProto, GraphProto, NodeProto, OperatorSetIdProto};

fn local(op: &str, inputs: &[&str], outputs: &[&str], attributes: Vec<AttributeProto>) -> NodeProto {
    NodeProto { domain: Some("local".to_owned()), ..node(op, inputs, outputs, attributes) }
}

fn function(name: &str, inputs: &[&str], outputs: &[&str], nodes: Vec<NodeProto>) -> FunctionProto {
    let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    FunctionProto {
        name: Some(name.to_owned()),
        domain: Some("local".to_owned()),
        input: owned(inputs),
        output: owned(outputs),
        node: nodes,
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(13) }],
        ..Default::default()
    }
}

fn calling(call: NodeProto, functions: Vec<FunctionProto>) -> Net {
    let mut net = Net::of(13, [2, 3]).output("y");
    net.graph().node.push(call);
    net.proto.functions = functions;
    net
}

#[test]
fn attributes_are_handed_on() {
    let mut leaky = function(
        "Leaky",
        &["a"],
        &["b"],
        vec![node("LeakyRelu", &["a"], &["b"], vec![reference("alpha", AttributeType::Float, "slope")])],
    );
    let net = |given: Vec<AttributeProto>, leaky: &FunctionProto| {
        calling(local("Leaky", &["x"], &["y"], given), vec![leaky.clone()]).lines()
    };
    let line = |alpha: &str| [format!("%y = LeakyRelu(x) {{alpha={alpha}}} : f32[2,3]")];
    leaky.attribute = vec!["slope".to_owned()];
    assert_eq!(net(vec![float("slope", 0.25)], &leaky), line("0.25"));
    assert_eq!(net(vec![], &leaky), line("0.01"), "the operator's own default");
    leaky.attribute_proto = vec![float("slope", 0.5)];
    assert_eq!(net(vec![], &leaky), line("0.5"), "the function's default");
}

/// The body is in the opset that the function names, not in the file's.
#[test]
fn a_function_has_its_own_opset() {
    let mut old = function("Old", &["a"], &["b"], vec![node("Softmax", &["a"], &["b"], vec![])]);
    old.opset_import[0].version = Some(9);
    let net = calling(local("Old", &["x"], &["y"], vec![]), vec![old.clone()]);
    assert_eq!(net.lines(), ["%y = Softmax(x) {axis=1} : f32[2,3]"]);
    old.opset_import[0].version = Some(99);
    let net = calling(local("Old", &["x"], &["y"], vec![]), vec![old]);
    assert_eq!(net.lines(), ["%y = Softmax(x) : ?[?]"], "an opset that we do not know is carried");
}

#[test]
fn calls_in_calls_and_inputs_left_out() {
    let inner =
        function("Inner", &["a", "low", "high"], &["b"], vec![node("Clip", &["a", "low", "high"], &["b"], vec![])]);
    let outer = function(
        "Outer",
        &["a", "high"],
        &["b"],
        vec![local("Inner", &["a", "", "high"], &["t"], vec![]), node("Neg", &["t"], &["b"], vec![])],
    );
    let net =
        calling(local("Outer", &["x", "six"], &["y"], vec![]), vec![inner, outer]).weight(floats("six", &[], &[6.0]));
    assert_eq!(net.lines(), ["%onnxcam.t1 = Clip(x) {min=-inf, max=6} : f32[2,3]", "%y = Neg(%onnxcam.t1) : f32[2,3]"]);
    let one_more = calling(local("Inner", &["x", "x", "x", "x"], &["y"], vec![]), net.proto.functions.clone());
    let error = one_more.error().to_string();
    assert_eq!(error, "`Inner` (the node that makes \"y\") has 4 inputs, its local function takes 3");
}

#[test]
fn a_function_that_calls_itself() {
    let forever = function("Forever", &["a"], &["b"], vec![local("Forever", &["a"], &["b"], vec![])]);
    let error = calling(local("Forever", &["x"], &["y"], vec![]), vec![forever]).error().to_string();
    assert_eq!(error, "local functions call each other too deeply, in `Forever`");
}

/// Each function calls the next one ten times: 10^20 nodes, were they made.
#[test]
fn functions_that_multiply() {
    let functions = (0..20).map(|i| {
        let next = format!("F{}", i + 1);
        let names: Vec<String> = (0..=10).map(|j| format!("t{j}")).collect();
        let nodes = (0..10).map(|j| local(&next, &[&names[j]], &[&names[j + 1]], vec![])).collect();
        function(&format!("F{i}"), &["t0"], &["t10"], nodes)
    });
    let mut functions: Vec<FunctionProto> = functions.collect();
    functions.push(function("F20", &["t0"], &["t10"], vec![node("Relu", &["t0"], &["t10"], vec![])]));
    let error = calling(local("F0", &["x"], &["y"], vec![]), functions).error().to_string();
    assert!(error.starts_with("calls of local functions become more than 262144 nodes"), "{error}");
}

/// PyTorch's older exporter writes `squeeze` as an If on a size that shape arithmetic knows: its branch takes its place.
fn squeezed(sizes: [Size; 4]) -> Net {
    let body = |out: &str, nodes: Vec<NodeProto>, weights| GraphProto {
        node: nodes,
        initializer: weights,
        output: vec![value(out, [1])],
        ..Default::default()
    };
    let squeeze = node("Squeeze", &["h", "axes"], &["t"], vec![]);
    let then = body("t", vec![node("Neg", &["t"], &["t2"], vec![]), squeeze], vec![int64s("axes", &[1], &[1])]);
    let then = GraphProto { output: vec![value("t2", [1])], ..then };
    let other = body("h", vec![], vec![]);
    Net::new(13)
        .input("x", sizes)
        .node("Relu", &["x"], &["h"], vec![])
        .node("Shape", &["h"], &["s"], vec![])
        .weight(int64s("one", &[], &[1]))
        .node("Gather", &["s", "one"], &["n"], vec![])
        .node("Equal", &["n", "one"], &["flat"], vec![])
        .node("If", &["flat"], &["y"], vec![subgraph("then_branch", then), subgraph("else_branch", other)])
        .output("y")
}

#[test]
fn a_branch_that_is_known() {
    assert_eq!(
        squeezed(["N".into(), 1.into(), 2.into(), 3.into()]).lines(),
        [
            "%h = Relu(x) : f32[N,1,2,3]",
            "%onnxcam.t6 = Reshape(%h) {shape=[N,2,3]} : f32[N,2,3]",
            "%y = Neg(%onnxcam.t6) : f32[N,2,3]"
        ]
    );
    let kept = squeezed(["N".into(), 4.into(), 2.into(), 3.into()]).import().graph;
    assert_eq!(lines(&kept), ["%h = Relu(x) : f32[N,4,2,3]"]);
    assert_eq!(kept.find("y"), kept.find("h"));
    let mut open = squeezed(["N".into(), 4.into(), 2.into(), 3.into()]);
    open.graph().initializer[0] = int64s("one", &[], &[0]); // Whether the batch is 0 or not: it never is.
    assert_eq!(open.lines().len(), 1);
}

/// In a function, the branch's nodes refer to the function's attributes as well.
#[test]
fn attributes_are_handed_on_into_branches() {
    let leaky = node("LeakyRelu", &["a"], &["t"], vec![reference("alpha", AttributeType::Float, "slope")]);
    let branch = GraphProto { node: vec![leaky], output: vec![value("t", [1])], ..Default::default() };
    let branches = vec![subgraph("then_branch", branch.clone()), subgraph("else_branch", branch)];
    let body = vec![node("If", &["c"], &["b"], branches)];
    let mut net = calling(
        local("Leaky", &["x", "yes"], &["y"], vec![float("slope", 0.25)]),
        vec![function("Leaky", &["a", "c"], &["b"], body)],
    );
    net = net.weight(onnx_graph::proto::TensorProto { int32_data: vec![1], ..typed("yes", &[], 9) });
    assert_eq!(net.lines(), ["%y = LeakyRelu(x) {alpha=0.25} : f32[2,3]"]);
    // Outside of functions there is nothing to refer to.
    let astray = vec![reference("alpha", AttributeType::Float, "slope")];
    let net = Net::of(13, [2, 3]).node("LeakyRelu", &["x"], &["y"], astray).output("y");
    assert_eq!(net.lines(), ["%y = LeakyRelu(x) {alpha=…} : ?[?]"]);
}
