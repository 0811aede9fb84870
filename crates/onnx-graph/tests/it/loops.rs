//! Loops of known turns, and sequences put together in the file.

use crate::net::*;
use onnx_graph::Graph;
use onnx_graph::proto::{GraphProto, NodeProto};

/// A loop's body: its inputs (counter, condition, states) and outputs (condition, states).
fn body(inputs: &[&str], nodes: Vec<NodeProto>, outputs: &[&str]) -> GraphProto {
    let values = |names: &[&str]| names.iter().map(|name| value(name, [1])).collect();
    GraphProto { node: nodes, input: values(inputs), output: values(outputs), ..Default::default() }
}

/// `y` = `x` after so many turns of the body; `w`, `one` and `yes` are there for the body to read.
fn net(turns: i64, condition: &str, body: GraphProto) -> Net {
    Net::of(13, [2, 3])
        .weight(int64s("turns", &[], &[turns]))
        .weight(int64s("one", &[], &[1]))
        .weight(onnx_graph::proto::TensorProto { int32_data: vec![1], ..typed("yes", &[], 9) })
        .zeros("w", &[3])
        .node("Loop", &["turns", condition, "x"], &["y"], vec![subgraph("body", body)])
        .output("y")
}

/// state + w, and another turn for as long as the counter is below 1.
fn adding() -> GraphProto {
    let add = node("Add", &["s", "w"], &["t"], vec![]);
    let less = node("Less", &["i", "one"], &["more"], vec![]);
    body(&["i", "c", "s"], vec![add, less], &["more", "t"])
}

#[test]
fn a_loop_is_written_out() {
    let turn = |from: &str, to: &str| format!("{to} = Add({from}, w) : f32[2,3]");
    let lines = net(3, "", adding()).lines();
    let [first, second, third] = &lines[..] else { panic!("{lines:?}") };
    let made = |line: &str| line.split(' ').next().unwrap().to_owned();
    assert_eq!(*first, turn("x", &made(first)));
    assert_eq!(*second, turn(&made(first), &made(second)));
    assert_eq!(*third, turn(&made(second), "%y"), "without a condition what the body says of it is ignored");
}

#[test]
fn a_loop_ends_when_its_body_says_so() {
    assert_eq!(net(9, "yes", adding()).lines().len(), 2);
    assert_eq!(net(1, "yes", adding()).lines().len(), 1);
}

#[test]
fn a_loop_without_turns_hands_its_states_on() {
    let mut never = net(3, "no", adding());
    never.graph().initializer.push(typed("no", &[], 9));
    never.graph().initializer.last_mut().unwrap().int32_data = vec![0];
    for net in [net(0, "", adding()), net(-5, "yes", adding()), never] {
        let graph = net.import().graph;
        assert_eq!(lines(&graph), [""; 0]);
        assert_eq!(graph.find("y"), graph.find("x"));
    }
}

/// What is not known before the network runs, not known here, or too long stays the node that it is.
#[test]
fn other_loops_are_carried_whole() {
    let carried = |net: Net| {
        let lines = net.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains(" = Loop("), "{lines:?}");
    };
    let sum = node("ReduceSum", &["s"], &["sum"], vec![int("keepdims", 0)]);
    let less = node("Less", &["sum", "sum"], &["more"], vec![]);
    let by_value = body(&["i", "c", "s"], vec![node("Add", &["s", "w"], &["t"], vec![]), sum, less], &["more", "t"]);
    carried(net(3, "yes", by_value));
    let unknown = body(&["i", "c", "s"], vec![node("Mystery", &["s"], &["t"], vec![])], &["c", "t"]);
    carried(net(3, "", unknown));
    carried(net(i64::MAX, "", adding()));
    carried(net(2049, "", adding()));
    let gathering = body(&["i", "c", "s"], vec![node("Add", &["s", "w"], &["t"], vec![])], &["c", "t", "t"]);
    let mut net = net(3, "", gathering);
    net.graph().node[0].output.push("all".to_owned());
    carried(net);
    let mut open = self::net(3, "", adding());
    open.graph().initializer.remove(0);
    carried(open.input("turns", [0; 0]));
}

/// A thousand turns of a thousand turns of a thousand turns: written out as far as that is bounded, then carried whole.
#[test]
fn loops_that_multiply() {
    let mut turn = adding();
    for _ in 0..2 {
        let inner = node("Loop", &["thousand", "", "s"], &["t"], vec![subgraph("body", turn)]);
        turn = body(&["i", "c", "s"], vec![inner], &["c", "t"]);
    }
    let lines = net(1000, "", turn).weight(int64s("thousand", &[], &[1000])).lines();
    assert_eq!(lines.len(), 1, "{} nodes", lines.len());
    assert!(lines[0].starts_with("%y = Loop("), "{lines:?}");
}

/// What was learnt of sequences while a loop was tried is forgotten when it is carried.
#[test]
fn a_carried_loop_leaves_no_sequence_behind() {
    let nodes = vec![
        node("SequenceInsert", &["s", "w"], &["t"], vec![]),
        node("Mystery", &["a"], &["a_out"], vec![]),
        node("Identity", &["b"], &["b_out"], vec![]),
    ];
    let turn = body(&["i", "c", "a", "b", "s"], nodes, &["c", "a_out", "b_out", "t"]);
    let states = ["two", "", "x", "x", "none"];
    let net = Net::of(13, [2, 3])
        .weight(int64s("two", &[], &[2]))
        .zeros("w", &[3])
        .node("SequenceEmpty", &[], &["none"], vec![])
        .node("Loop", &states, &["p", "q", "all"], vec![subgraph("body", turn)])
        .node("SequenceAt", &["all", "two"], &["y"], vec![])
        .node("SequenceLength", &["all"], &["n"], vec![])
        .output("y")
        .output("n");
    let lines = net.lines();
    assert!(lines[1].starts_with("%p, %q, %all = Loop(") && lines[2].starts_with("%y = SequenceAt(%all"), "{lines:?}");
    assert!(lines[3].starts_with("%n = SequenceLength(%all"), "{lines:?}");
}

fn integers(graph: &Graph, name: &str) -> (Vec<usize>, Vec<i64>) {
    let constant = graph.constant(graph.find(name).unwrap()).unwrap_or_else(|| panic!("{name} is not known"));
    (constant.dims().to_vec(), constant.to_i64().unwrap().unwrap())
}

/// `torch.as_strided` as PyTorch's exporter writes it: a loop over the axes, from the last to the first, that adds up
/// index · stride; the shape to broadcast with grows by a sequence of ones.
#[test]
fn the_indices_of_as_strided_are_known() {
    let to = |kind| vec![int("to", kind)];
    let first = body(&[], vec![node("Identity", &["size_j"], &["shape"], vec![])], &["shape"]);
    let later = vec![
        node("ConcatFromSequence", &["ones"], &["row"], vec![int("axis", 0)]),
        node("Cast", &["size_j"], &["size_f"], to(1)),
        node("Concat", &["size_f", "row"], &["shape_f"], vec![int("axis", 0)]),
        node("Cast", &["shape_f"], &["shape"], to(7)),
    ];
    let branches = vec![subgraph("then_branch", first), subgraph("else_branch", body(&[], later, &["shape"]))];
    let nodes = vec![
        node("Sub", &["rank", "i"], &["after"], vec![]),
        node("Sub", &["after", "one"], &["j"], vec![]),
        node("Reshape", &["j", "flat"], &["at"], vec![]),
        node("Gather", &["size", "at"], &["size_j"], vec![int("axis", 0)]),
        node("Slice", &["size", "at", "end"], &["behind"], vec![]),
        node("Gather", &["stride", "at"], &["stride_j"], vec![int("axis", 0)]),
        node("Expand", &["indices_in", "behind"], &["wide"], vec![]),
        node("Range", &["zero", "size_j", "one"], &["count"], vec![]),
        node("Mul", &["count", "stride_j"], &["steps"], vec![]),
        node("Equal", &["i", "zero"], &["innermost"], vec![]),
        node("If", &["innermost"], &["row_shape"], branches),
        node("Reshape", &["steps", "row_shape"], &["column"], vec![]),
        node("Add", &["wide", "column"], &["indices_out"], vec![]),
        node("SequenceInsert", &["ones", "unit"], &["ones_out"], vec![]),
        node("Identity", &["c"], &["c_out"], vec![]),
    ];
    let turn = body(&["i", "c", "indices_in", "ones"], nodes, &["c_out", "indices_out", "ones_out"]);
    let net = Net::of(18, [1, 6])
        .weight(int64s("rank", &[], &[3]))
        .weight(int64s("zero", &[], &[0]))
        .weight(int64s("one", &[], &[1]))
        .ints("flat", &[-1])
        .ints("end", &[3])
        .ints("size", &[1, 2, 3])
        .ints("stride", &[6, 1, 2])
        .weight(floats("unit", &[1], &[1.0]))
        .node("Reshape", &["x", "flat"], &["row"], vec![])
        .node("SequenceEmpty", &[], &["none"], vec![])
        .node("Loop", &["rank", "", "zero", "none"], &["indices", "ones_left"], vec![subgraph("body", turn)])
        .node("CastLike", &["zero", "indices"], &["offset"], vec![])
        .node("Add", &["indices", "offset"], &["places"], vec![])
        .node("Gather", &["row", "places"], &["y"], vec![])
        .output("y");
    let graph = net.import().graph;
    assert_eq!(integers(&graph, "places"), (vec![1, 2, 3], vec![0, 2, 4, 1, 3, 5]));
    let last = lines(&graph).pop().unwrap();
    assert!(last.starts_with("%y = Gather(%row, ") && last.ends_with(": f32[1,2,3]"), "{last}");
}

#[test]
fn what_is_read_from_a_known_sequence_needs_none() {
    let base = Net::of(13, [2, 3])
        .weight(int64s("back", &[], &[-2]))
        .weight(int64s("far", &[], &[7]))
        .node("Relu", &["x"], &["a"], vec![])
        .node("Neg", &["x"], &["b"], vec![])
        .node("SequenceConstruct", &["x", "a"], &["s"], vec![])
        .node("SequenceInsert", &["s", "b", "back"], &["t"], vec![])
        .output("y");
    let read = |op: &str, inputs: &[&str], attributes| {
        base.clone().node(op, inputs, &["y"], attributes).lines().pop().unwrap()
    };
    let at = |place: &str| base.clone().node("SequenceAt", &["t", place], &["y"], vec![]).import().graph;
    let graph = at("back");
    assert_eq!(graph.find("y"), graph.find("x"), "b, x, a: inserted at -2 of two");
    let joined = |line: String| line.split(" : ").map(str::to_owned).collect::<Vec<_>>();
    let line = read("ConcatFromSequence", &["t"], vec![int("axis", -1)]);
    assert_eq!(joined(line), ["%y = Concat(%b, x, %a) {axis=1}", "f32[2,9]"]);
    let line = read("ConcatFromSequence", &["t"], vec![int("axis", 1), int("new_axis", 1)]);
    assert!(line.starts_with("%y = Concat(") && line.ends_with(" {axis=1} : f32[2,3,3]"), "{line}");
    let graph = base.clone().node("SequenceLength", &["t"], &["y"], vec![]).import().graph;
    assert_eq!(integers(&graph, "y"), (vec![], vec![3]));
    let line = read("SequenceAt", &["t", "far"], vec![]);
    assert!(line.starts_with("%y = SequenceAt("), "beyond its end it is for the engine to say so: {line}");
    let erased = base.node("SequenceErase", &["t", "back"], &["u"], vec![]);
    let line = erased.node("ConcatFromSequence", &["u"], &["y"], vec![int("axis", 0)]).lines().pop().unwrap();
    assert_eq!(joined(line), ["%y = Concat(%b, %a) {axis=0}", "f32[4,3]"]);
}
