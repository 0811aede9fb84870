//! The two states of the registry: every rule has a case, what is zero is zero; and what is refused says so.

use std::collections::BTreeSet;

use onnx_autodiff::{GradientError, RULES, Rule, gradient};
use onnx_graph::{DataType, Dim, Emit, Graph, ImportOptions, Tensor, import};
use testkit::models::Maker;

use crate::{a, elementwise, indexing, layout, linear, normalise, quantise, reduce, window};

fn operators(state: fn(&Rule) -> bool) -> BTreeSet<&'static str> {
    RULES.iter().filter(|(_, rule)| state(rule)).map(|(op, _)| *op).collect()
}

#[test]
fn every_rule_has_a_case() {
    let families = [
        elementwise::OPERATORS,
        indexing::OPERATORS,
        layout::OPERATORS,
        linear::OPERATORS,
        normalise::OPERATORS,
        quantise::OPERATORS,
        quantise::STRAIGHT_THROUGH,
        reduce::OPERATORS,
        window::OPERATORS,
    ];
    let tested: BTreeSet<&str> = families.concat().into_iter().collect();
    assert_eq!(tested, operators(|rule| matches!(rule, Rule::Vjp(_))));
}

/// Operators whose gradient is zero, by what they take.
const ZERO: &[(&str, Takes)] = &[
    ("Floor", Takes::Floats(1)),
    ("Ceil", Takes::Floats(1)),
    ("Not", Takes::Booleans(1)),
    ("And", Takes::Booleans(2)),
    ("Or", Takes::Booleans(2)),
    ("Equal", Takes::Floats(2)),
    ("Greater", Takes::Floats(2)),
    ("Less", Takes::Floats(2)),
    ("GreaterOrEqual", Takes::Floats(2)),
    ("LessOrEqual", Takes::Floats(2)),
    ("ArgMax", Takes::Floats(1)),
    ("TopK", Takes::Floats(1)),
];

enum Takes {
    Floats(usize),
    Booleans(usize),
}

/// A graph of inputs x [2, 3] and u [2, 3], and an operator on them, its output as floats.
fn with(op: &'static str, takes: &Takes) -> (Graph, [Tensor; 2], Tensor) {
    let mut graph = Graph::new();
    let shape = vec![Dim::new(2), Dim::new(3)];
    let inputs = ["x", "u"].map(|name| graph.add_input(name, DataType::F32, shape.clone()));
    let e = Emit::new(&mut graph);
    let operands: Vec<Tensor> = match takes {
        Takes::Floats(count) => inputs[..*count].to_vec(),
        Takes::Booleans(count) => inputs[..*count].iter().map(|x| e.cast(*x, DataType::Bool)).collect(),
    };
    let y = e.node(op, &operands, a().with("axis", 1i64).with("keepdims", true).with("k", 2i64).with("largest", true));
    let y = e.cast(y, DataType::F32);
    e.finish().unwrap();
    (graph, inputs, y)
}

fn seed(graph: &mut Graph, y: Tensor) -> Tensor {
    let (dtype, shape) = (graph.tensor(y).dtype.unwrap(), graph.shape(y).unwrap().to_vec());
    graph.add_input("dy", dtype, shape)
}

#[test]
fn what_is_zero_sends_nothing_back() {
    let tested: BTreeSet<&str> = ZERO.iter().map(|(op, _)| *op).collect();
    assert_eq!(tested, operators(|rule| matches!(rule, Rule::Zero)));
    for (op, takes) in ZERO {
        let (mut graph, x, y) = with(op, takes);
        let dy = seed(&mut graph, y);
        assert_eq!(gradient(&mut graph, &[(y, dy)], &x), Ok(vec![None, None]), "{op}");
    }
}

/// The gradient of the first output with respect to the first input.
fn of_model(maker: Maker) -> Result<Option<Tensor>, GradientError> {
    let mut graph = import(&maker.model(), &ImportOptions::default()).unwrap().graph;
    let (x, y) = (graph.inputs[0], graph.outputs[0]);
    let dy = seed(&mut graph, y);
    Ok(gradient(&mut graph, &[(y, dy)], &[x])?[0])
}

#[test]
fn an_unknown_operator_is_no_zero() {
    let model = Maker::new(17)
        .input("x", "f32[N,3]")
        .domain("com.example", 1)
        .node("Warp", &["x"], &["warped"])
        .of_domain("com.example")
        .named("neck/warp")
        .declare("warped", "f32[N,3]")
        .node("Relu", &["warped"], &["y"])
        .output("y", "f32[N,3]");
    let expected = "cannot differentiate `Warp` (node \"neck/warp\", input 0: f32[N,3]): its domain is `com.example`, not the \
                    standard one\n  it lies between \"x\" and \"y\"";
    assert_eq!(of_model(model).unwrap_err().to_string(), expected);
}

#[test]
fn an_unknown_operator_of_integers_is_no_zero_either() {
    let model = Maker::new(17)
        .input("x", "f32[N,3]")
        .floats("scale", &[], &[0.1])
        .tensor("zero", testkit::models::raw(DataType::U8, &[], vec![0]))
        .node("QuantizeLinear", &["x", "scale", "zero"], &["bytes"])
        .node("BitwiseNot", &["bytes"], &["q"])
        .declare("q", "u8[N,3]")
        .node("Reshape", &["q", "flat"], &["r"])
        .integers("flat", &[1], &[-1])
        .node("Cast", &["r"], &["y"])
        .with("to", 1)
        .output("y", "f32[?]");
    assert!(of_model(model).unwrap_err().to_string().starts_with("cannot differentiate `BitwiseNot`"));
}

#[test]
fn outside_the_slice_an_unknown_operator_does_not_matter() {
    let model = Maker::new(17)
        .input("x", "f32[N,3]")
        .input("side", "f32[N,3]")
        .domain("com.example", 1)
        .node("Warp", &["side"], &["warped"])
        .of_domain("com.example")
        .declare("warped", "f32[N,3]")
        .node("Mul", &["x", "warped"], &["y"])
        .output("y", "f32[N,3]")
        .node("Warp", &["x"], &["other"])
        .of_domain("com.example")
        .output("other", "f32[N,3]");
    assert!(of_model(model).unwrap().is_some());
}

#[test]
fn a_tensor_of_unknown_shape_is_named() {
    let model = Maker::new(17)
        .input("x", "f32[N,3]")
        .input("side", "f32[N,3]")
        .domain("com.example", 1)
        .node("Warp", &["side"], &["warped"])
        .of_domain("com.example")
        .node("Mul", &["x", "warped"], &["p"])
        .named("neck/mul")
        .node("ReduceSum", &["p"], &["y"])
        .output("y", "f32[?]");
    let mut graph = import(&model.model(), &ImportOptions::default()).unwrap().graph;
    let (x, p) = (graph.inputs[0], graph.find("p").unwrap());
    let dy = graph.add_tensor(onnx_graph::TensorInfo { name: "dy".into(), ..graph.tensor(p).clone() });
    let error = gradient(&mut graph, &[(p, dy)], &[x]).unwrap_err().to_string();
    let expected = "cannot differentiate `Mul` (node \"neck/mul\", input 0: f32[N,3], input 1: ?[?]): the shape of \
                    \"warped\" is not known, as `Warp` (the node that makes \"warped\", input 0: f32[N,3]) is not \
                    understood: its domain is `com.example`, not the standard one\n  it lies between \"x\" and \"p\"";
    assert_eq!(error, expected);
}

/// The node that does not fit is to blame, not the first behind it that reads what it makes.
#[test]
fn what_makes_a_shape_unknown_is_named() {
    let model = Maker::new(17)
        .input("x", "f32[N,3,4]")
        .integers("sizes", &[2], &[-1, 7])
        .node("Relu", &["x"], &["relu"])
        .node("Reshape", &["relu", "sizes"], &["flat"])
        .named("neck/flatten")
        .weights("w", &[7, 2])
        .node("MatMul", &["flat", "w"], &["product"])
        .node("Softmax", &["product"], &["y"])
        .output("y", "f32[N,2]");
    let error = of_model(model).unwrap_err().to_string();
    let start = "cannot differentiate `Reshape` (node \"neck/flatten\", input 0: f32[N,3,4], input 1: i64[2]): ";
    assert!(error.starts_with(start), "{error}");
    assert!(error.contains("[N,3,4]") && !error.contains("not known"), "{error}");
}

#[test]
fn what_a_rule_does_not_support_it_refuses() {
    let weights = Maker::new(17)
        .input("x", "f32[N,3,4,4]")
        .input("u", "f32[2,3,3,3]")
        .node("Relu", &["u"], &["w"])
        .node("Conv", &["x", "w"], &["y"])
        .named("conv")
        .output("y", "f32[N,2,2,2]");
    let mut graph = import(&weights.model(), &ImportOptions::default()).unwrap().graph;
    let (u, y) = (graph.inputs[1], graph.outputs[0]);
    let dy = seed(&mut graph, y);
    let error = gradient(&mut graph, &[(y, dy)], &[u]).unwrap_err().to_string();
    assert!(error.contains("(node \"conv\", input 0: f32[N,3,4,4], input 1: f32[2,3,3,3])"), "{error}");
    assert!(error.contains("the gradient of its input 1 is not supported: its weights are computed"), "{error}");
}

#[test]
fn joining_along_the_batch_is_refused_whichever_input_is_asked_for() {
    for asked in 0..2 {
        let mut graph = Graph::new();
        let x = ["a", "b"].map(|name| graph.add_input(name, DataType::F32, vec![Dim::BATCH, Dim::new(3)]));
        let e = Emit::new(&mut graph);
        let y = e.concat(&x, 0);
        e.finish().unwrap();
        let dy = seed(&mut graph, y);
        let error = gradient(&mut graph, &[(y, dy)], &[x[asked]]).unwrap_err().to_string();
        assert!(error.contains(&format!("input {asked} is not supported: it joins along the batch")), "{error}");
    }
}

/// Factors of one place need each other's product, of places that are computed nobody knows whether they are one.
#[test]
fn factors_that_may_meet_are_refused() {
    for constant in [true, false] {
        let mut graph = Graph::new();
        let shape = vec![Dim::new(2), Dim::new(3)];
        let [x, u] = ["x", "u"].map(|name| graph.add_input(name, DataType::F32, shape.clone()));
        let e = Emit::new(&mut graph);
        let indices = match constant {
            true => e.constant(onnx_graph::Constant::i64s(&[2, 3], &[0, 1, -3, 0, 1, 2])),
            false => e.cast(x, DataType::I64),
        };
        let y = e.node("ScatterElements", &[x, indices, u], a().with("axis", 1i64).with("reduction", "mul"));
        e.finish().unwrap();
        let dy = seed(&mut graph, y);
        assert!(gradient(&mut graph.clone(), &[(y, dy)], &[x]).is_ok());
        let error = gradient(&mut graph, &[(y, dy)], &[u]).unwrap_err().to_string();
        assert!(error.contains("input 2 is not supported: several updates may be multiplied at one place"), "{error}");
    }
}

#[test]
fn padding_and_averaging_over_the_batch_are_refused() {
    let mut graph = Graph::new();
    let x = graph.add_input("x", DataType::F32, vec![Dim::BATCH, Dim::new(3)]);
    let e = Emit::new(&mut graph);
    let padded = e.pad(x, &[1, 0, 0, 0], 0.0);
    let mean = e.reduce("ReduceMean", x, &[0], true);
    e.finish().unwrap();
    for (y, reason) in [(padded, "it pads the batch"), (mean, "the mean runs over the batch")] {
        let mut graph = graph.clone();
        let dy = seed(&mut graph, y);
        let error = gradient(&mut graph, &[(y, dy)], &[x]).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_seed_has_its_tensor_s_type_and_shape() {
    let mut graph = Graph::new();
    let x = graph.add_input("x", DataType::F32, vec![Dim::BATCH, Dim::new(3)]);
    let y = Emit::new(&mut graph).relu(x);
    graph.name(y, "y");
    let short = graph.add_input("short", DataType::F32, vec![Dim::BATCH, Dim::new(1)]);
    let double = graph.add_input("double", DataType::F64, vec![Dim::BATCH, Dim::new(3)]);
    for (dy, found) in [(short, "f32[N,1]"), (double, "f64[N,3]")] {
        let error = gradient(&mut graph, &[(y, dy)], &[x]).unwrap_err().to_string();
        assert_eq!(error, format!("the seed of \"y\", f32[N,3], is {found}"));
    }
}
