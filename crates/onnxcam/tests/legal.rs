//! What rten lacks, written for it as other nodes, computes what the operator's definition says.

#[path = "support/both.rs"]
mod both;

use ndarray::{ArrayD, IxDyn};
use onnx_graph::{Attributes, Constant, DataType, Dim, Emit, Graph, Tensor};
use testkit::{Draw, evaluate};

/// An operator applied to `x`, whose outcome is float32: by definition and on every engine.
#[track_caller]
fn agrees(what: &str, x: &ArrayD<f32>, build: impl Fn(&Emit, Tensor) -> Tensor) {
    let mut graph = Graph::new();
    let shape = x.shape().iter().map(|n| Dim::from(*n)).collect();
    let input = graph.add_input("x", DataType::F32, shape);
    let e = Emit::new(&mut graph);
    let y = build(&e, input);
    e.finish().unwrap();
    graph.outputs.push(y);
    let expected = evaluate(&graph, 1, &[(input, x.mapv(f64::from))], &[y]).unwrap().remove(0);
    for engine in both::engines() {
        let found = both::outputs(&graph, &engine, x).remove(0);
        assert_eq!(found.shape(), expected.shape(), "{what} on {}", engine.name());
        for (a, b) in found.iter().zip(&expected) {
            let near = (f64::from(*a) - b).abs() <= 1e-5 * b.abs().max(1.0) || f64::from(*a) == *b;
            assert!(near, "{what} on {}: {found} instead of {expected}", engine.name());
        }
    }
}

fn floats(shape: &[usize], values: &[f32]) -> ArrayD<f32> {
    ArrayD::from_shape_vec(IxDyn(shape), values.to_vec()).unwrap()
}

#[test]
fn all_but_zero_is_true() {
    let x = floats(&[2, 4], &[0.5, 0.0, 2.0, -0.25, 1.0, -1.0, 1e-30, -3.0]);
    agrees("Cast", &x, |e, x| e.cast(e.cast(x, DataType::Bool), DataType::F32));
    agrees("Cast of integers", &x, |e, x| e.cast(e.cast(e.cast(x, DataType::I32), DataType::Bool), DataType::F32));
}

#[test]
fn matrices_by_a_vector() {
    for shape in [&[2, 3, 4][..], &[1, 2, 3, 4], &[3, 4]] {
        let x = Draw::new(1).uniform(shape).mapv(|v| v as f32);
        agrees("MatMul", &x, |e, x| e.matmul(x, e.constant(Constant::f32s(&[4], &[1.0, -2.0, 0.5, 3.0]))));
    }
}

#[test]
fn dilated_pools() {
    let x = Draw::new(2).uniform(&[1, 2, 9, 8]).mapv(|v| v as f32);
    for (op, counted) in [("MaxPool", None), ("AveragePool", Some(false)), ("AveragePool", Some(true))] {
        for (strides, pads, ceil) in [([1, 1], [0, 0, 0, 0], false), ([2, 3], [1, 0, 2, 1], true)] {
            let a = Attributes::none()
                .with("kernel_shape", vec![3, 2])
                .with("strides", strides.to_vec())
                .with("dilations", vec![2, 3])
                .with("pads", pads.to_vec())
                .with("ceil_mode", ceil);
            let a = counted.into_iter().fold(a, |a, counted| a.with("count_include_pad", counted));
            agrees(op, &x, |e, x| e.node(op, &[x], a.clone()));
        }
    }
}

#[test]
fn arithmetic_of_bytes() {
    let x = floats(&[1, 1, 2, 3], &[0.0, 1.0, 7.0, 30.0, 100.0, 120.0]);
    for byte in [DataType::U8, DataType::I8] {
        let three = || Constant::integers(byte, &[], &[3]).unwrap();
        for op in ["Sub", "Div", "Mod", "Min"] {
            let apply = |e: &Emit, x| e.node(op, &[x, e.constant(three())], Attributes::none());
            let x = if op == "Sub" { x.mapv(|v| v.max(3.0)) } else { x.clone() };
            agrees(op, &x, |e, x| e.cast(apply(e, e.cast(x, byte)), DataType::F32));
        }
        agrees("Greater", &x, |e, x| e.cast(e.compare("Greater", e.cast(x, byte), e.constant(three())), DataType::F32));
    }
}
