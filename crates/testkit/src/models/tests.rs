use ndarray::ArrayD;
use onnx_graph::{Graph, ImportOptions, Imported, Spelling, dump, import, spell};

use super::*;
use crate::evaluate;

fn imported(maker: Maker) -> Imported {
    let imported = import(&maker.model(), &ImportOptions::default()).unwrap();
    assert!(imported.graph.nodes().iter().all(|n| n.carried.is_none()), "{}", dump(&imported.graph));
    imported
}

fn run(graph: &Graph, batch: usize) -> Vec<ArrayD<f64>> {
    let x = graph.inputs[0];
    let shape: Vec<usize> = graph.shape(x).unwrap().iter().map(|d| d.at(batch) as usize).collect();
    evaluate(graph, batch, &[(x, Draw::new(9).uniform(&shape))], &graph.outputs).unwrap()
}

/// Every net in every opset: it imports without notes, its outputs have the declared shapes and differ by class.
#[test]
fn every_net_imports_and_runs() {
    for opset in [7, 9, 11, 13, 17, 18, 21, 24, 28] {
        let nets = [
            tiny_cnn(opset, 5),
            tiny_cnn_ending_in("Softmax", opset, 5),
            tiny_cnn_ending_in("LogSoftmax", opset, 5),
            tiny_cnn_ending_in("Sigmoid", opset, 5),
            tiny_conv_head(opset, 5),
            tiny_binary(opset),
            tiny_binary_vector(opset),
            tiny_two_outputs(opset, 5),
            tiny_nhwc(opset, 5),
            tiny_weights_first(opset, 5),
        ];
        for net in nets {
            let imported = imported(net);
            assert_eq!(imported.notes, Vec::<String>::new());
            let graph = &imported.graph;
            assert_eq!(graph.inputs.len(), 1);
            for value in run(graph, 3) {
                assert!(value.iter().all(|v| v.is_finite()));
                let first = value.iter().next().unwrap();
                assert!(value.iter().any(|v| (v - first).abs() > 1e-3), "{value}");
            }
        }
    }
}

/// Exporting a graph and importing it again changes no value.
#[test]
fn spelling_and_importing_again_keeps_the_values() {
    for (opset, batch) in [(17, 1), (18, 2), (24, 3)] {
        for net in [tiny_cnn(9, 5), tiny_cnn_ending_in("Softmax", 11, 5), tiny_nhwc(13, 4), tiny_binary_vector(7)] {
            let graph = imported(net).graph;
            let proto = spell(&graph, &Spelling { opset, batch }).unwrap();
            let model = Model::from_proto(proto, Path::new("spelled.onnx")).unwrap();
            let again = import(&model, &ImportOptions::default()).unwrap().graph;
            assert_eq!(run(&graph, batch), run(&again, batch));
        }
    }
}

#[test]
fn weights_are_seeded() {
    let weights = |maker: Maker| maker.build().graph.unwrap().initializer[0].clone();
    let plain = || Maker::new(17).weights("w", &[4, 3]);
    assert_eq!(weights(plain()), weights(plain()));
    assert_ne!(weights(plain()), weights(Maker::new(17).seed(5).weights("w", &[4, 3])));
}

#[test]
fn signatures_are_read() {
    let dims = |signature: &str| {
        let Some(type_proto::Value::TensorType(t)) = value_info("x", signature).r#type.unwrap().value else { panic!() };
        (t.elem_type.unwrap(), t.shape.map(|s| s.dim.into_iter().map(|d| d.value).collect::<Vec<_>>()))
    };
    let (batch, three) = (DimensionValue::DimParam("N".to_owned()), DimensionValue::DimValue(3));
    assert_eq!(dims("f32[N,?,3]"), (1, Some(vec![Some(batch), None, Some(three)])));
    assert_eq!(dims("i64[]"), (7, Some(vec![])));
    assert_eq!(dims("bool"), (9, None));
}

#[test]
fn functions_are_inlined_with_their_attributes() {
    let body = Maker::new(17)
        .input("a", "f32")
        .node("LeakyRelu", &["a"], &["b"])
        .with("alpha", Attr::Reference("slope".to_owned(), onnx_graph::proto::AttributeType::Float))
        .output("b", "f32");
    let maker = Maker::new(17)
        .domain("local", 1)
        .function("local", "Leak", &["slope"], body)
        .input("x", "f32[N,2]")
        .node("Leak", &["x"], &["y"])
        .of_domain("local")
        .with("slope", 0.25)
        .output("y", "f32[N,2]");
    let graph = imported(maker).graph;
    let x = ArrayD::from_shape_vec(vec![1, 2], vec![-4.0, 4.0]).unwrap();
    let y = evaluate(&graph, 1, &[(graph.inputs[0], x)], &graph.outputs).unwrap();
    assert_eq!(y[0].as_slice().unwrap(), [-1.0, 4.0]);
}
