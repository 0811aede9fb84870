//! What the conformance cases leave out: the evaluator's own contract, and operators without cases.

use ndarray::{arr0, array};
use onnx_graph::{Attributes, Constant, Dim, Emit};

use super::*;

fn with_input(shape: &[Dim]) -> (Graph, Tensor) {
    let mut graph = Graph::new();
    let x = graph.add_input("x", DataType::F32, shape.to_vec());
    (graph, x)
}

/// One operator on constants of these types, which inference and folding see as inputs.
fn apply_to(op: &str, attributes: Attributes, inputs: &[(DataType, Value)]) -> Result<Value, String> {
    let mut graph = Graph::new();
    let shape = |v: &Value| v.shape().iter().map(|n| Dim::from(*n)).collect();
    let fed: Vec<_> = inputs.iter().map(|(dtype, v)| (graph.add_input("", *dtype, shape(v)), v.clone())).collect();
    let e = Emit::new(&mut graph);
    let y = e.nodes(op, &fed.iter().map(|(t, _)| Some(*t)).collect::<Vec<_>>(), attributes)[0];
    e.finish().map_err(|e| e.to_string())?;
    Ok(evaluate(&graph, 1, &fed, &[y])?.remove(0))
}

fn float(op: &str, x: f64) -> f64 {
    apply_to(op, Attributes::none(), &[(DataType::F32, arr0(x).into_dyn())]).unwrap()[[]]
}

#[test]
fn every_canonical_operator_is_defined() {
    let defined: Vec<&str> = FAMILIES.iter().copied().flatten().map(|(name, _)| *name).collect();
    let canonical: Vec<&str> = onnx_graph::ops::names().collect();
    assert_eq!(defined, canonical);
}

#[test]
fn sizes_that_depend_on_the_batch() {
    let (mut graph, x) = with_input(&[Dim::BATCH, Dim::new(3)]);
    let e = Emit::new(&mut graph);
    let shape = e.dims(vec![Dim::BATCH, Dim::new(3)]);
    let flat = e.reshape(x, vec![Dim::BATCH.mul(Dim::new(3)).unwrap()]);
    e.finish().unwrap();
    let x_value = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]].into_dyn();
    let values = evaluate(&graph, 2, &[(x, x_value)], &[shape, flat]).unwrap();
    assert_eq!(values[0], array![2.0, 3.0].into_dyn());
    assert_eq!(values[1], array![1.0, 2.0, 3.0, 4.0, 5.0, 6.0].into_dyn());
}

#[test]
fn nothing_before_a_fed_tensor_runs() {
    let (mut graph, x) = with_input(&[Dim::new(1)]);
    let e = Emit::new(&mut graph);
    let middle = e.exp(x);
    let y = e.neg(middle);
    e.finish().unwrap();
    assert_eq!(evaluate(&graph, 1, &[(middle, array![5.0].into_dyn())], &[y]).unwrap()[0], array![-5.0].into_dyn());
    assert_eq!(evaluate(&graph, 1, &[], &[y]).unwrap_err(), "\"x\", f32[1], is neither fed nor made");
    assert!(evaluate_named(&graph, 1, &[("z", array![0.0].into_dyn())], &["x"]).unwrap_err().contains("\"z\""));
}

#[test]
fn a_carried_node_is_an_error_with_its_reason() {
    use crate::models::Maker;
    let model = Maker::new(17).domain("vendor", 1).input("x", "f32[N,2]");
    let model = model.node("Magic", &["x"], &["y"]).of_domain("vendor").named("m").output("y", "f32[N,2]").model();
    let graph = onnx_graph::import(&model, &onnx_graph::ImportOptions::default()).unwrap().graph;
    let error = evaluate_named(&graph, 1, &[("x", array![[1.0, 2.0]].into_dyn())], &["y"]).unwrap_err();
    assert!(error.starts_with("`Magic` (node \"m\", input 0: f32[N,2]): it is carried"), "{error}");
    assert!(error.contains("vendor"), "{error}");
}

#[test]
fn values_have_to_be_of_the_tensor() {
    let (graph, x) = with_input(&[Dim::BATCH, Dim::new(2)]);
    let error = evaluate(&graph, 3, &[(x, array![[1.0, 2.0]].into_dyn())], &[x]).unwrap_err();
    assert_eq!(error, "the value fed to \"x\", f32[N,2], is [1, 2] for a batch of 3");
    let half = [(DataType::I64, array![0.5].into_dyn())];
    assert!(apply_to("Neg", Attributes::none(), &half).unwrap_err().ends_with("i64[1], holds 0.5"));
    let two = [(DataType::Bool, array![2.0].into_dyn())];
    assert!(apply_to("Not", Attributes::none(), &two).unwrap_err().ends_with("bool[1], holds 2"));
}

#[test]
fn integers_are_divided_towards_zero() {
    let operands = |b: f64| [(DataType::I64, array![7.0, -7.0].into_dyn()), (DataType::I64, array![b].into_dyn())];
    assert_eq!(apply_to("Div", Attributes::none(), &operands(2.0)).unwrap(), array![3.0, -3.0].into_dyn());
    assert!(apply_to("Div", Attributes::none(), &operands(0.0)).unwrap_err().contains("divided by zero"));
    assert!(apply_to("Mod", Attributes::none(), &operands(0.0)).unwrap_err().contains("divided by zero"));
}

#[test]
fn casts() {
    let cast = |to: DataType, v: f64| {
        let attributes = Attributes::none().with("to", i64::from(to as i32));
        apply_to("Cast", attributes, &[(DataType::F32, arr0(v).into_dyn())]).map(|y| y[[]])
    };
    assert_eq!(cast(DataType::I64, -2.7), Ok(-2.0));
    assert_eq!(cast(DataType::Bool, -0.5), Ok(1.0));
    assert_eq!(cast(DataType::F16, 0.1), Ok(0.1));
    assert!(cast(DataType::U8, 256.0).unwrap_err().ends_with("256 is outside u8"));
    assert!(cast(DataType::I32, f64::NAN).unwrap_err().ends_with("NaN is outside i32"));
}

#[test]
fn negation_of_booleans() {
    let flags = [(DataType::Bool, array![0.0, 1.0].into_dyn())];
    assert_eq!(apply_to("Not", Attributes::none(), &flags).unwrap(), array![1.0, 0.0].into_dyn());
}

/// Abramowitz and Stegun, Handbook of Mathematical Functions, table 7.1.
#[test]
fn the_error_function() {
    for (x, y) in [(0.0, 0.0), (0.5, 0.5204998778), (1.0, 0.8427007929), (2.0, 0.9953222650)] {
        assert!((float("Erf", x) - y).abs() < 5e-11 && (float("Erf", -x) + y).abs() < 5e-11, "{x}");
    }
    assert_eq!((float("Erf", 9.0), float("Erf", -9.0)), (1.0, -1.0));
    assert!((float("Erf", 5.999) - 1.0).abs() < 1e-15);
}

#[test]
fn indices_outside_are_errors() {
    let mut graph = Graph::new();
    let x = graph.add_input("x", DataType::F32, vec![Dim::new(3)]);
    let e = Emit::new(&mut graph);
    let last = e.constant(Constant::i64s(&[1], &[3]));
    let y = e.node("Gather", &[x, last], Attributes::none().with("axis", 0));
    e.finish().unwrap();
    let error = evaluate(&graph, 1, &[(x, array![1.0, 2.0, 3.0].into_dyn())], &[y]).unwrap_err();
    assert!(error.ends_with("index 3 is outside an axis of 3"), "{error}");
}

/// Pooling 5 cells by 2 with a pad at each end and `ceil_mode`: the windows start at −1, 1, 3 and 5, of which the last
/// lies in the end padding alone and is left out.
#[test]
fn pooling_over_the_end() {
    let pool = |op: &str, kernel: i64, include: bool| {
        let attributes = Attributes::none()
            .with("kernel_shape", vec![kernel])
            .with("strides", vec![2])
            .with("dilations", vec![1])
            .with("pads", vec![1, 1])
            .with("ceil_mode", true);
        let attributes = if op == "MaxPool" { attributes } else { attributes.with("count_include_pad", include) };
        apply_to(op, attributes, &[(DataType::F32, array![[[-1.0, -2.0, -3.0, -4.0, -5.0]]].into_dyn())]).unwrap()
    };
    assert_eq!(pool("MaxPool", 2, false), array![[[-1.0, -2.0, -4.0]]].into_dyn());
    assert_eq!(pool("AveragePool", 2, false), array![[[-1.0, -2.5, -4.5]]].into_dyn());
    assert_eq!(pool("AveragePool", 2, true), array![[[-0.5, -2.5, -4.5]]].into_dyn());
    // By 4: windows −1..3, 1..5, 3..7; the last has cells 3 and 4, one pad, and one cell behind the padding.
    assert_eq!(pool("AveragePool", 4, true), array![[[-6.0 / 4.0, -14.0 / 4.0, -9.0 / 3.0]]].into_dyn());
    assert_eq!(pool("AveragePool", 4, false), array![[[-6.0 / 3.0, -14.0 / 4.0, -9.0 / 2.0]]].into_dyn());
}
