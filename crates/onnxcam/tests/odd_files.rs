//! Files as strangers have them: each is explained as the plain network that it stands for, on both engines, or refused by
//! the name of what is in the way (R12, R25, R30, R50).

#[path = "support/both.rs"]
mod both;
#[path = "support/networks.rs"]
mod networks;

use both::{agreed, engines, explain, explainer, picture, pictures, plan, run};
use half::f16;
use ndarray::{Array1, ArrayD, Axis};
use networks::{Network, apart, most};
use onnx_graph::proto::type_proto::Value;
use onnx_graph::proto::{DimensionValue, ModelProto, TensorProto};
use onnx_graph::{DataType, ImportOptions, Model};
use onnxcam::explain::{Explained, PlanOptions};
use testkit::models::{Maker, raw, tiny_cnn, tiny_nhwc};

const METHODS: [&str; 3] = ["grad-cam", "grad-cam++", "cam"];

fn x() -> ArrayD<f32> {
    pictures(&[2, 3, 16, 16], 7)
}

fn model(proto: ModelProto) -> Model {
    Model::from_proto(proto, "odd.onnx".as_ref()).unwrap()
}

/// What each engine makes of a model; the first also by definition.
fn explained(model: &Model, options: &PlanOptions, x: &ArrayD<f32>) -> Vec<Vec<Explained>> {
    agreed(model, &METHODS, options, x, -1);
    let plan = plan(model, &METHODS, options).unwrap();
    engines().iter().map(|engine| explain(&plan, engine, x, -1)).collect()
}

/// Explained to the bit as the plain one.
#[track_caller]
fn same(odd: &Model, plain: &Model) {
    let [odd, plain] = [odd, plain].map(|m| explained(m, &PlanOptions::default(), &x()));
    assert!(plain.iter().flatten().flat_map(|e| &e.maps[1]).any(|v| *v > 0.0));
    assert_eq!(odd, plain);
}

#[track_caller]
fn refused(model: &Model, parts: &[&str]) {
    let error = plan(model, &METHODS, &PlanOptions::default()).map(|_| ()).unwrap_err().to_string();
    parts.iter().for_each(|part| assert!(error.contains(part), "{part:?} is not in {error:?}"));
}

fn notes(model: &Model) -> Vec<String> {
    plan(model, &METHODS, &PlanOptions::default()).unwrap().notes
}

/// The file with the batch of its input fixed, as exporters without dynamic axes write it.
fn fixed(mut proto: ModelProto, batch: i64) -> Model {
    let input = proto.graph.iter_mut().flat_map(|g| &mut g.input).next().unwrap();
    let Some(Value::TensorType(tensor)) = input.r#type.as_mut().and_then(|t| t.value.as_mut()) else { unreachable!() };
    tensor.shape.as_mut().unwrap().dim[0].value = Some(DimensionValue::DimValue(batch));
    model(proto)
}

/// A batch of 1, 2 or 8 in the file; fewer pictures, as many, and more: to the bit what the open network makes of so many
/// at once, and every picture's result is its own.
#[test]
fn batches_of_one_two_and_eight() {
    let golden = |name: &str| {
        let networks = Network::golden();
        let export = networks.iter().flat_map(|n| &n.exports).find(|e| e.file.ends_with(name)).unwrap();
        export.open().proto().clone()
    };
    let pictures_of = |size: [usize; 2]| pictures(&[11, 3, size[0], size[1]], 5);
    for (proto, x) in [
        (tiny_cnn(17, 5).build(), pictures_of([16, 16])),
        (golden("shufflenet_v2.old-opset11.onnx"), pictures_of([80, 96])),
        (golden("squeezenet.new.onnx"), pictures_of([80, 96])),
    ] {
        let open = plan(&model(proto.clone()), &["grad-cam", "grad-cam++"], &PlanOptions::default()).unwrap();
        for batch in [1, 2, 8] {
            let fixed = fixed(proto.clone(), batch as i64);
            let fixed = plan(&fixed, &["grad-cam", "grad-cam++"], &PlanOptions::default()).unwrap();
            assert_eq!(fixed.fixed_batch(), Some(batch));
            for engine in engines() {
                let mut alone = explainer(&open, &engine, 1);
                let mut at_once = explainer(&open, &engine, batch);
                let mut as_fixed = explainer(&fixed, &engine, 3);
                assert_eq!(as_fixed.batch(), batch);
                for count in [1, batch, 11] {
                    let x = x.select(Axis(0), &(0..count).collect::<Vec<_>>());
                    let found = run(&mut as_fixed, &x, -1);
                    assert_eq!(found, run(&mut at_once, &x, -1), "{count} in batches of {batch} on {}", engine.name());
                    for (i, found) in found.iter().enumerate() {
                        let alone = run(&mut alone, &picture(&x, i), -1).remove(0);
                        assert_eq!(found.class, alone.class);
                        close(found, &alone);
                    }
                }
            }
        }
    }
}

/// Within what float32 loses when an engine adds in another order.
#[track_caller]
fn close(found: &Explained, expected: &Explained) {
    let arrays = |e: &Explained| {
        let maps = e.maps.iter().map(|map| map.clone().into_dyn());
        [Array1::from(e.scores.clone()).into_dyn()].into_iter().chain(maps).collect::<Vec<_>>()
    };
    for (found, expected) in arrays(found).iter().zip(&arrays(expected)) {
        assert!(apart(found, expected, most(expected)) < 1e-5, "{found} instead of {expected}");
    }
}

/// Conv, batch normalisation, relu, dropout, pooling, linear; the nodes that differ are made by the caller.
fn normalised(opset: i64, norm: impl FnOnce(Maker) -> Maker, dropout: impl FnOnce(Maker) -> Maker) -> Model {
    let net = Maker::new(opset)
        .seed(3)
        .input("x", "f32[N,3,16,16]")
        .weights("w", &[6, 3, 3, 3])
        .floats("scale", &[6], &[0.7, 1.2, 0.9, -1.1, 1.0, 0.8])
        .floats("shift", &[6], &[0.2, -0.1, 0.3, 0.1, 0.4, 0.0])
        .floats("mean", &[6], &[0.1, -0.3, 0.2, 0.0, 0.5, -0.2])
        .floats("variance", &[6], &[1.5, 0.6, 0.9, 2.0, 1.1, 0.4])
        .node("Conv", &["x", "w"], &["conv"])
        .with("kernel_shape", [3, 3]);
    let net = norm(net).node("Relu", &["normal"], &["features"]);
    dropout(net)
        .node("GlobalAveragePool", &["dropped"], &["pooled"])
        .node("Flatten", &["pooled"], &["flat"])
        .weights("fc", &[6, 5])
        .node("MatMul", &["flat", "fc"], &["logits"])
        .output("logits", "f32[N,5]")
        .model()
}

fn norm(net: Maker, outputs: &[&str]) -> Maker {
    net.node("BatchNormalization", &["conv", "scale", "shift", "mean", "variance"], outputs)
}

fn dropout(net: Maker, more: &[&str]) -> Maker {
    net.node("Dropout", &[&["features"], more].concat(), &["dropped"])
}

/// R25: files exported in training mode are run as the trained network, which is said: batch normalisation with its
/// training outputs, with `training_mode`; dropout that is left active, with a seed or without.
#[test]
fn left_in_training_mode() {
    let plain = normalised(15, |net| norm(net, &["normal"]), |net| dropout(net, &[]));
    assert_eq!(notes(&plain), Vec::<String>::new());
    let five = ["normal", "m", "v", "saved_m", "saved_v"];
    let active = |net: Maker| {
        let net = net.floats("ratio", &[], &[0.5]).tensor("yes", raw(DataType::Bool, &[], vec![1]));
        dropout(net, &["ratio", "yes"]).with("seed", 7)
    };
    let seedless = |net: Maker| {
        dropout(net.floats("ratio", &[], &[0.5]).tensor("yes", raw(DataType::Bool, &[], vec![1])), &["ratio", "yes"])
    };
    for (odd, said) in [
        (normalised(9, |net| norm(net, &five), |net| dropout(net, &[]).with("ratio", 0.5f32)), 1),
        (normalised(7, |net| norm(net, &five), |net| dropout(net, &[])), 1),
        (normalised(15, |net| norm(net, &["normal"]).with("training_mode", 1), |net| dropout(net, &[])), 1),
        (normalised(15, |net| norm(net, &["normal", "m", "v"]).with("training_mode", 1), active), 2),
        (normalised(12, |net| norm(net, &["normal"]), seedless), 1),
        (normalised(13, |net| norm(net, &["normal", "", ""]), |net| dropout(net, &["", ""])), 0),
        // Caffe2's, opset 6: `is_test` says that the network is trained.
        (normalised(6, |net| norm(net, &["normal"]).with("is_test", 1), |net| dropout(net, &[]).with("is_test", 1)), 0),
    ] {
        same(&odd, &plain);
        let notes = notes(&odd);
        assert_eq!(notes.iter().filter(|note| note.contains("training mode")).count(), said, "{notes:?}");
    }
}

/// The same nodes in every opset that has them in this form, and in the forms of old.
#[test]
fn opsets_of_ten_years() {
    let plain = tiny_cnn(17, 5);
    for opset in (7..=28).filter(|opset| *opset != 17) {
        let mut odd = plain.clone().build();
        odd.opset_import[0].version = Some(opset);
        same(&model(odd), &plain.clone().model());
    }
    for opset in 1..=6 {
        let mut odd = plain.clone().weights_as_inputs().build();
        odd.opset_import[0].version = Some(opset);
        for node in odd.graph.iter_mut().flat_map(|g| &mut g.node) {
            let attribute = |name: &str| Maker::new(1).node("Relu", &[], &[]).with(name, 1).build().graph.unwrap().node;
            match node.op_type() {
                "Gemm" => node.attribute.extend(attribute("broadcast").remove(0).attribute),
                "Flatten" if opset == 1 => node.attribute.clear(),
                _ => {}
            }
        }
        same(&model(odd), &plain.clone().model());
    }
}

/// R12: weights in float16, with and without inputs and outputs so: computed in float32 from the rounded weights.
#[test]
fn half_precision() {
    let elements = |tensor: &TensorProto| -> Vec<f32> {
        let bytes = tensor.raw_data.as_ref().unwrap();
        bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    };
    let mut rounded = tiny_cnn(17, 5).build();
    for tensor in rounded.graph.iter_mut().flat_map(|g| &mut g.initializer) {
        let values = elements(tensor).into_iter().map(|v| f16::from_f32(v).to_f32());
        tensor.raw_data = Some(values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>().into());
    }
    let mut halves = rounded.clone();
    let graph = halves.graph.as_mut().unwrap();
    for tensor in &mut graph.initializer {
        let values: Vec<u8> = elements(tensor).into_iter().flat_map(|v| f16::from_f32(v).to_le_bytes()).collect();
        (tensor.data_type, tensor.raw_data) = (Some(DataType::F16 as i32), Some(values.into()));
    }
    let rounded = model(rounded);
    // Converted with its inputs and outputs kept in float32: a Cast at either end.
    let mut kept = halves.clone();
    let nodes = &mut kept.graph.as_mut().unwrap().node;
    nodes.iter_mut().flat_map(|n| &mut n.input).filter(|i| *i == "x").for_each(|i| *i = "x16".to_owned());
    nodes.iter_mut().flat_map(|n| &mut n.output).filter(|o| *o == "logits").for_each(|o| *o = "logits16".to_owned());
    let casts = Maker::new(17)
        .node("Cast", &["x"], &["x16"])
        .with("to", DataType::F16 as i64)
        .node("Cast", &["logits16"], &["logits"])
        .with("to", DataType::F32 as i64);
    nodes.splice(..0, casts.build().graph.unwrap().node);
    same(&model(kept), &rounded);
    let graph = halves.graph.as_mut().unwrap();
    for value in graph.input.iter_mut().chain(&mut graph.output) {
        let Some(Value::TensorType(t)) = value.r#type.as_mut().and_then(|t| t.value.as_mut()) else { unreachable!() };
        t.elem_type = Some(DataType::F16 as i32);
    }
    let halves = model(halves);
    same(&halves, &rounded);
    assert_eq!(notes(&halves), ["the file is in float16; it is computed in float32 here"]);
}

/// A network whose relu stands in a branch of an If.
fn branching(condition: impl FnOnce(Maker) -> Maker) -> Model {
    let branch =
        |op: &str| Maker::new(17).node(op, &["conv2"], &["taken"]).output("taken", "f32").build().graph.unwrap();
    let mut proto = tiny_cnn(17, 5).build();
    let chosen = condition(Maker::new(17))
        .node("If", &["condition"], &["features"])
        .with("then_branch", branch("Relu"))
        .with("else_branch", branch("Sigmoid"))
        .build()
        .graph
        .unwrap();
    let graph = proto.graph.as_mut().unwrap();
    let at = graph.node.iter().position(|n| n.output == ["features"]).unwrap();
    graph.node.splice(at..=at, chosen.node);
    graph.initializer.extend(chosen.initializer);
    model(proto)
}

/// A condition that is a constant of the file, made by a Constant node, or computed of shapes: its branch is the network.
#[test]
fn branches_that_are_known() {
    let plain = tiny_cnn(17, 5).model();
    let yes = || raw(DataType::Bool, &[], vec![1]);
    same(&branching(|net| net.tensor("condition", yes())), &plain);
    same(&branching(|net| net.node("Constant", &[], &["condition"]).with("value", yes())), &plain);
    let compared = |net: Maker, size: i64| {
        net.integers("axis", &[], &[1])
            .integers("size", &[], &[size])
            .node("Shape", &["conv2"], &["shape"])
            .node("Gather", &["shape", "axis"], &["channels"])
            .node("Equal", &["channels", "size"], &["condition"])
    };
    same(&branching(|net| compared(net, 12)), &plain);
    let mut other = tiny_cnn(17, 5).build();
    let relu = other.graph.iter_mut().flat_map(|g| &mut g.node).find(|n| n.output == ["features"]).unwrap();
    relu.op_type = Some("Sigmoid".to_owned());
    same(&branching(|net| compared(net, 13)), &model(other));
}

/// A block as a local function, called twice.
#[test]
fn local_functions() {
    let net = |block: &dyn Fn(Maker, &str, &str, &str) -> Maker| {
        let net = Maker::new(17)
            .seed(9)
            .input("x", "f32[N,3,16,16]")
            .weights("w1", &[6, 3, 3, 3])
            .weights("w2", &[8, 6, 3, 3]);
        block(block(net, "x", "w1", "small"), "small", "w2", "features")
            .node("GlobalAveragePool", &["features"], &["mean"])
            .node("Flatten", &["mean"], &["flat"])
            .weights("fc", &[8, 5])
            .node("MatMul", &["flat", "fc"], &["logits"])
            .output("logits", "f32[N,5]")
    };
    let plain = net(&|net, x, w, y| {
        let inner = format!("{y} conv");
        net.node("Conv", &[x, w], &[&inner])
            .with("kernel_shape", [3, 3])
            .node("LeakyRelu", &[&inner], &[y])
            .with("alpha", 0.2f32)
    });
    let body = Maker::new(17)
        .input("a", "f32")
        .input("weight", "f32")
        .node("Conv", &["a", "weight"], &["conv"])
        .with("kernel_shape", [3, 3])
        .node("LeakyRelu", &["conv"], &["b"])
        .with("alpha", 0.2f32)
        .output("b", "f32");
    let called = net(&|net, x, w, y| net.node("Block", &[x, w], &[y]).of_domain("blocks"));
    same(&called.domain("blocks", 1).function("blocks", "Block", &[], body).model(), &plain.model());
}

/// R50: operators of others off the way to the scores are carried, and change nothing; on it they are named.
#[test]
fn operators_of_others() {
    let net = |net: Maker, classes: &str| {
        net.node("GlobalAveragePool", &[classes], &["mean"])
            .node("Flatten", &["mean"], &["flat"])
            .weights("fc", &[12, 5])
            .node("MatMul", &["flat", "fc"], &["logits"])
            .output("logits", "f32[N,5]")
    };
    let trunk = || {
        Maker::new(17)
            .seed(4)
            .input("x", "f32[N,3,16,16]")
            .weights("w", &[12, 3, 3, 3])
            .node("Conv", &["x", "w"], &["conv"])
            .node("Relu", &["conv"], &["features"])
    };
    let strange = |net: Maker, x: &str, y: &str| {
        net.domain("com.example", 1)
            .node("Strange", &[x], &[y])
            .of_domain("com.example")
            .named("odd one")
            .with("mode", 3)
    };
    let plain = net(trunk(), "features").model();
    let beside = net(strange(trunk(), "features", "extra"), "features").output("extra", "f32[N,7]");
    same(&beside.model(), &plain);
    let behind = strange(net(trunk(), "features"), "logits", "verdict").output("verdict", "f32").model();
    same(&behind, &plain);
    let between = net(strange(trunk(), "features", "odd").declare("odd", "f32[N,12,14,14]"), "odd").model();
    refused(
        &between,
        &["cannot differentiate `Strange` (node \"odd one\", input 0: f32[N,12,14,14])", "its domain is `com.example`"],
    );
    let undeclared = net(strange(trunk(), "features", "odd"), "odd").model();
    refused(
        &undeclared,
        &["`Strange` (node \"odd one\", input 0: f32[N,12,14,14])", "its domain is `com.example`", "hint"],
    );
}

/// An input that leaves every size open, its channels behind, as Keras' networks of any size come.
#[test]
fn open_pictures_with_channels_behind() {
    let mut proto = tiny_nhwc(17, 5).build();
    let open = Maker::new(17).input("x", "f32[unk__1,unk__2,unk__3,unk__4]").build().graph.unwrap();
    proto.graph.as_mut().unwrap().input = open.input;
    let import = ImportOptions { input_size: Some((16, 16)), ..ImportOptions::default() };
    let sized = PlanOptions { import, ..PlanOptions::default() };
    let x = pictures(&[2, 16, 16, 3], 7);
    let [open, plain] = [model(proto), tiny_nhwc(17, 5).model()].map(|m| explained(&m, &sized, &x));
    assert_eq!(open, plain);
}
