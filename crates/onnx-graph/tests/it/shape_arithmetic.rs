//! Flattening as exporters write it, with the batch symbolic however the file spells it.

use crate::net::*;
use onnx_graph::proto::TensorProto;

/// `x` [batch, 8, 2, 2] to `y` [batch, 32] through Shape, and the nodes that `chain` adds to make `wanted`.
fn flattened(batch: Size, chain: impl FnOnce(Net) -> Net) -> Vec<String> {
    let net = Net::new(13).input("x", [batch, 8.into(), 2.into(), 2.into()]);
    let net = chain(net.node("Shape", &["x"], &["shape"], vec![]));
    net.node("Reshape", &["x", "wanted"], &["y"], vec![]).output("y").lines()
}

const SYMBOLIC: &str = "%y = Reshape(x) {shape=[N,32]} : f32[N,32]";

fn index(name: &str, value: i64) -> TensorProto {
    int64s(name, &[], &[value])
}

/// PyTorch: `x.view(x.size(0), -1)`, which makes Gather, Unsqueeze, Concat.
fn gathered(net: Net) -> Net {
    net.weight(index("zero", 0))
        .ints("front", &[0])
        .ints("rest", &[-1])
        .node("Gather", &["shape", "zero"], &["n"], vec![int("axis", 0)])
        .node("Unsqueeze", &["n", "front"], &["n1"], vec![])
        .node("Concat", &["n1", "rest"], &["wanted"], vec![int("axis", 0)])
}

/// Keras: a slice of the shape through int32.
fn sliced(net: Net) -> Net {
    net.ints("zero", &[0])
        .ints("one", &[1])
        .weight(TensorProto { int32_data: vec![-1], ..typed("rest", &[1], 6) })
        .node("Cast", &["shape"], &["s32"], vec![int("to", 6)])
        .node("Slice", &["s32", "zero", "one"], &["n"], vec![])
        .node("Concat", &["n", "rest"], &["w32"], vec![int("axis", 0)])
        .node("Cast", &["w32"], &["wanted"], vec![int("to", 7)])
}

/// `x.view(N, C·H·W)` with the product written out.
fn multiplied(net: Net) -> Net {
    let pick = |net: Net, i: i64| {
        let (at, out) = (format!("i{i}"), format!("d{i}"));
        net.weight(index(&at, i)).node("Gather", &["shape", &at], &[&out], vec![])
    };
    let net = (0..4).fold(net, pick).ints("front", &[0]);
    net.node("Mul", &["d1", "d2"], &["p"], vec![])
        .node("Mul", &["p", "d3"], &["q"], vec![])
        .node("Unsqueeze", &["d0", "front"], &["u0"], vec![])
        .node("Unsqueeze", &["q", "front"], &["u1"], vec![])
        .node("Concat", &["u0", "u1"], &["wanted"], vec![int("axis", 0)])
}

/// `x.view(-1, numel / n)`: a division by the batch, and the −1 on the batch axis.
fn divided(net: Net) -> Net {
    net.weight(index("zero", 0))
        .ints("front", &[0])
        .ints("rest", &[-1])
        .node("Size", &["x"], &["all"], vec![])
        .node("Gather", &["shape", "zero"], &["n"], vec![])
        .node("Div", &["all", "n"], &["per"], vec![])
        .node("Unsqueeze", &["per", "front"], &["u"], vec![])
        .node("Concat", &["rest", "u"], &["wanted"], vec![int("axis", 0)])
}

#[test]
fn chains_keep_the_batch() {
    for batch in [Size::Named("N"), Size::Named("unk__6"), Size::Is(-1), Size::Is(0), Size::Open] {
        for chain in [gathered as fn(Net) -> Net, sliced, multiplied, divided] {
            assert_eq!(flattened(batch, chain), [SYMBOLIC]);
        }
    }
}

#[test]
fn a_batch_that_the_file_fixes_is_kept() {
    for chain in [gathered as fn(Net) -> Net, sliced, multiplied, divided] {
        assert_eq!(flattened(Size::Is(3), chain), ["%y = Reshape(x) {shape=[3,32]} : f32[3,32]"]);
    }
}

/// Sizes of an up-sampling: integers through floats and back.
#[test]
fn floats_in_between() {
    let net = Net::of(13, [1, 1, 5, 7])
        .node("Shape", &["x"], &["shape"], vec![])
        .node("Cast", &["shape"], &["f"], vec![int("to", 1)])
        .weight(floats("factor", &[4], &[1.0, 1.0, 0.5, 2.0]))
        .node("Mul", &["f", "factor"], &["g"], vec![])
        .node("Floor", &["g"], &["h"], vec![])
        .node("Cast", &["h"], &["wanted"], vec![int("to", 7)])
        .weight(floats("one", &[], &[1.0]))
        .node("Expand", &["one", "wanted"], &["y"], vec![])
        .node("Add", &["x", "x"], &["z"], vec![])
        .output("y")
        .output("z");
    let graph = net.import().graph;
    assert_eq!(graph.tensor(graph.find("y").unwrap()).signature(), "f32[1,1,2,14]");
}

/// `Expand` as exporters write it: Where(shape == −1, 1, shape) leaves the batch symbolic.
#[test]
fn comparisons_of_the_batch() {
    let net = Net::new(13)
        .input("x", ["N".into(), Size::Is(3)])
        .node("Shape", &["x"], &["shape"], vec![])
        .ints("minus", &[-1])
        .ints("ones", &[1, 1])
        .node("Equal", &["shape", "minus"], &["open"], vec![])
        .node("Where", &["open", "ones", "shape"], &["wanted"], vec![])
        .weight(floats("one", &[1, 1], &[1.0]))
        .node("Expand", &["one", "wanted"], &["y"], vec![])
        .output("y");
    assert_eq!(net.lines(), ["%y = Expand(one) {shape=[N,3]} : f32[N,3]"]);
}

#[test]
fn casts_to_booleans_are_truths() {
    let net = |values: TensorProto| {
        let graph = Net::of(13, [1])
            .weight(values)
            .node("Cast", &["v"], &["b"], vec![int("to", 9)])
            .node("Cast", &["b"], &["y"], vec![int("to", 7)])
            .output("y")
            .import()
            .graph;
        let y = graph.constant(graph.find("y").unwrap()).unwrap().clone();
        y.to_i64().unwrap().unwrap()
    };
    assert_eq!(net(int64s("v", &[4], &[0, 1, 256, -3])), [0, 1, 1, 1]);
    assert_eq!(net(floats("v", &[3], &[0.0, 0.5, -2.0])), [0, 1, 1]);
}

#[test]
fn an_index_outside_folds_to_nothing() {
    let net = Net::of(13, [2, 3])
        .weight(int64s("m", &[2, 3], &[1, 2, 3, 4, 5, 6]))
        .ints("i", &[5])
        .node("Gather", &["m", "i"], &["y"], vec![int("axis", 1)])
        .output("y");
    assert_eq!(net.lines(), ["%y = Gather(m, i) {axis=1} : i64[2,1]"]);
}

#[test]
fn ranges_and_counts() {
    let range = |start, limit, delta| {
        let net = Net::of(13, [1])
            .weight(index("s", start))
            .weight(index("l", limit))
            .weight(index("d", delta))
            .node("Range", &["s", "l", "d"], &["y"], vec![])
            .output("y");
        let graph = net.import().graph;
        graph.constant(graph.find("y").unwrap()).map(|c| c.to_i64().unwrap().unwrap())
    };
    assert_eq!(range(1, 8, 3), Some(vec![1, 4, 7]));
    assert_eq!(range(3, 0, -1), Some(vec![3, 2, 1]));
    assert_eq!(range(3, 0, 1), Some(vec![]));
    for bad in [(0, 5, 0), (i64::MIN, i64::MAX, 1), (0, i64::MAX, 1), (0, i64::MIN, -1)] {
        assert_eq!(range(bad.0, bad.1, bad.2), None, "{bad:?}");
    }
}
