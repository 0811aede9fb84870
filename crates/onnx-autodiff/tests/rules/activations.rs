//! What guided backpropagation and deconvnet take for an activation, and what they send back through it.

use ndarray::ArrayD;
use onnx_autodiff::{ActivationRule, activations_between, gradient_by};
use onnx_graph::{Attributes, DataType, Dim, Emit, Graph, Tensor};
use testkit::evaluate;

/// What is sent back, of what came and of the derivative.
type Sent = fn(f64, f64) -> f64;

/// f, as nodes behind x, and its derivative.
struct Case {
    name: &'static str,
    graph: fn(&Emit, Tensor) -> Tensor,
    slope: fn(f64) -> f64,
    is_rectifier: bool,
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn clip(e: &Emit, x: Tensor, min: f32, max: f32) -> Tensor {
    e.node("Clip", &[x], Attributes::none().with("min", min).with("max", max))
}

fn step(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

const CASES: &[Case] = &[
    Case { name: "relu", graph: |e, x| e.relu(x), slope: |x| step(x > 0.0), is_rectifier: true },
    Case { name: "relu6", graph: |e, x| clip(e, x, 0.0, 6.0), slope: |x| step(x > 0.0 && x < 6.0), is_rectifier: true },
    Case {
        name: "leaky",
        graph: |e, x| e.node("LeakyRelu", &[x], Attributes::none().with("alpha", 0.25f32)),
        slope: |x| if x > 0.0 { 1.0 } else { 0.25 },
        is_rectifier: false,
    },
    Case {
        name: "silu of two nodes",
        graph: |e, x| e.mul(x, e.sigmoid(x)),
        slope: |x| sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x))),
        is_rectifier: false,
    },
    Case {
        // Half of it inside: x/√2 is on one way only.
        name: "gelu by tanh",
        graph: |e, x| {
            let inner = e.scale(e.add(x, e.scale(e.pow(x, 3.0), 0.044715)), (2.0 / std::f64::consts::PI).sqrt());
            let gate = e.add(e.node("Tanh", &[inner], Attributes::none()), e.scalar(1.0));
            e.scale(e.mul(x, gate), 0.5)
        },
        slope: |x| {
            let c = (2.0 / std::f64::consts::PI).sqrt();
            let t = (c * (x + 0.044715 * x.powi(3))).tanh();
            0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * c * (1.0 + 3.0 * 0.044715 * x * x)
        },
        is_rectifier: false,
    },
    Case {
        // Softplus, itself a meeting of two ways, lies inside.
        name: "mish",
        graph: |e, x| {
            let magnitude = e.node("Abs", &[x], Attributes::none());
            let log = e.node("Log", &[e.add(e.exp(e.neg(magnitude)), e.scalar(1.0))], Attributes::none());
            let softplus = e.add(e.relu(x), log);
            e.mul(x, e.node("Tanh", &[softplus], Attributes::none()))
        },
        slope: |x| {
            let s = (1.0 + x.exp()).ln();
            s.tanh() + x * (1.0 - s.tanh().powi(2)) * sigmoid(x)
        },
        is_rectifier: false,
    },
    Case {
        name: "hard swish by clip",
        graph: |e, x| e.scale(e.mul(x, clip(e, e.add(x, e.scalar(3.0)), 0.0, 6.0)), 1.0 / 6.0),
        slope: |x| {
            if x <= -3.0 {
                0.0
            } else if x >= 3.0 {
                1.0
            } else {
                (2.0 * x + 3.0) / 6.0
            }
        },
        is_rectifier: false,
    },
];

/// x [N, 5] -> f(2x) · signs, so that the gradient arriving at f is of both signs.
fn network(case: &Case) -> (Graph, Tensor, Tensor) {
    let mut graph = Graph::new();
    let x = graph.add_input("x", DataType::F32, vec![Dim::BATCH, Dim::new(5)]);
    let e = Emit::new(&mut graph);
    let y = (case.graph)(&e, e.scale(x, 2.0));
    let y = e.mul(y, e.constants_like(y, &[5], &[1.0, -1.0, 1.0, -1.0, 1.0]));
    e.finish().unwrap();
    (graph, x, y)
}

#[test]
fn every_activation_is_found_once_and_sends_back_what_the_rule_says() {
    let x = ArrayD::from_shape_vec(vec![1, 5], vec![-1.3, -0.4, 0.3, 0.9, 2.7]).unwrap();
    for case in CASES {
        let (graph, input, y) = network(case);
        let found = activations_between(&graph, &[y], &[input]);
        assert_eq!(found.len(), 1, "{}: {found:?}", case.name);
        assert_eq!(found[0].is_rectifier, case.is_rectifier, "{}", case.name);
        let rules: [(ActivationRule, Sent); 3] = [
            (ActivationRule::Exact, |dy, slope| dy * slope),
            (ActivationRule::Guided, |dy, slope| dy.max(0.0) * slope),
            (ActivationRule::Deconvnet, |dy, _| dy.max(0.0)),
        ];
        for (rule, sent) in rules {
            let mut graph = graph.clone();
            let seed = graph.add_input("seed", DataType::F32, vec![Dim::BATCH, Dim::new(5)]);
            let dx = gradient_by(&mut graph, &[(y, seed)], &[input], rule).unwrap()[0].unwrap();
            let ones = ArrayD::from_elem(vec![1, 5], 1.0);
            let feeds = [(input, x.clone()), (seed, ones)];
            let found = evaluate(&graph, 1, &feeds, &[dx]).unwrap().remove(0);
            for (i, (x, found)) in x.iter().zip(&found).enumerate() {
                let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
                let expected = 2.0 * sent(sign * behind(case), (case.slope)(2.0 * x) / behind(case));
                assert!((found - expected).abs() < 1e-6, "{}, {rule:?} at {x}: {found}, not {expected}", case.name);
            }
        }
    }
}

/// A positive factor that stands behind the activation proper, and is differentiated as always.
fn behind(case: &Case) -> f64 {
    match case.name {
        "gelu by tanh" => 0.5,
        "hard swish by clip" => 1.0 / 6.0,
        _ => 1.0,
    }
}

/// A gate of another tensor, an exact sigmoid, a square, a residual sum: none of them rectifies.
#[test]
fn gates_squares_and_sums_are_no_activations() {
    let mut graph = Graph::new();
    let x = graph.add_input("x", DataType::F32, vec![Dim::BATCH, Dim::new(4), Dim::new(3), Dim::new(3)]);
    let e = Emit::new(&mut graph);
    let gate = e.sigmoid(e.mean_spatial(x)); // Squeeze and excitation.
    let gated = e.mul(x, gate);
    let squared = e.mul(gated, gated);
    let summed = e.add(squared, gated);
    let y = e.node("Tanh", &[summed], Attributes::none());
    e.finish().unwrap();
    assert_eq!(activations_between(&graph, &[y], &[x]), []);
}

/// A gate is none however it is written, also by an operator that rectifies elsewhere; what is summed up, too, is no gate.
#[test]
fn a_gate_of_relu6_is_a_gate() {
    for (alone, count) in [(true, 0), (false, 1)] {
        let mut graph = Graph::new();
        let x = graph.add_input("x", DataType::F32, vec![Dim::BATCH, Dim::new(4), Dim::new(3), Dim::new(3)]);
        let e = Emit::new(&mut graph);
        let six = clip(&e, e.add(e.mean_spatial(x), e.scalar(3.0)), 0.0, 6.0);
        let gated = e.mul(x, e.scale(six, 1.0 / 6.0));
        let y = if alone { gated } else { e.add(gated, six) };
        e.finish().unwrap();
        assert_eq!(activations_between(&graph, &[y], &[x]).len(), count);
    }
}

/// A residual block: the sum of a branch and its input is no activation, its two ReLUs are.
#[test]
fn residual_blocks_keep_their_own() {
    let mut graph = Graph::new();
    let x = graph.add_input("x", DataType::F32, vec![Dim::BATCH, Dim::new(2), Dim::new(2)]);
    let e = Emit::new(&mut graph);
    let inner = e.relu(x);
    let branch = e.matmul(inner, e.constants_like(x, &[2, 2], &[1.0, 2.0, -3.0, 4.0]));
    let y = e.relu(e.add(branch, x));
    e.finish().unwrap();
    let found = activations_between(&graph, &[y], &[x]);
    let outputs: Vec<Tensor> = found.iter().map(|a| a.output).collect();
    assert_eq!(outputs, [inner, y]);
    assert!(found.iter().all(|a| a.is_rectifier));
}
