//! The explained model as a file: what it computes, what is in it, and how it comes apart again.

#[path = "support/both.rs"]
mod both;
#[path = "support/networks.rs"]
mod networks;

use std::sync::Arc;

use both::{engines, methods, picture, pictures};
use half::f16;
use ndarray::{ArrayD, Axis, IxDyn};
use networks::{Network, apart};
use onnx_graph::DataType;
use onnx_graph::proto::{ModelProto, type_proto};
use onnxcam::Model;
use onnxcam::classifier::Settled;
use onnxcam::engine::{Engine, Rten, Source, Value};
use onnxcam::explain::{Explained, Explainer, Rival};
use onnxcam::export::{Document, ExportError, ExportOptions, Exported, Gradients, Outputs, strip};
use onnxcam::target::Score;
use testkit::models::{Maker, tiny_cnn, tiny_cnn_ending_in, tiny_conv_head};

fn settled(model: &Model, names: &[&str]) -> Settled {
    model.explain_with(&methods(names)).settle().unwrap_or_else(|e| panic!("{e}"))
}

fn exported(model: &Model, settled: &Settled, options: &ExportOptions) -> Exported {
    Exported::of(model, settled, options).unwrap_or_else(|e| panic!("{}: {e}", model.path().display()))
}

/// A made model as a file, in a folder that lives as long as it.
fn open(maker: Maker) -> (Model, tempfile::TempDir) {
    open_proto(maker.build())
}

fn open_proto(proto: ModelProto) -> (Model, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.onnx");
    onnx_graph::Model::from_proto(proto, &path).unwrap().save(&path).unwrap();
    (Model::open(&path).unwrap(), folder)
}

/// The network with its weights, input and output in float16.
fn halves(maker: Maker) -> ModelProto {
    let mut proto = maker.build();
    let graph = proto.graph.as_mut().unwrap();
    for tensor in &mut graph.initializer {
        let bytes = tensor.raw_data.take().unwrap();
        let halves = bytes.as_chunks::<4>().0.iter().map(|b| f16::from_f32(f32::from_le_bytes(*b)).to_le_bytes());
        tensor.raw_data = Some(halves.flatten().collect::<Vec<u8>>().into());
        tensor.data_type = Some(DataType::F16 as i32);
    }
    for value in graph.input.iter_mut().chain(&mut graph.output) {
        let declared = value.r#type.as_mut().and_then(|t| t.value.as_mut());
        let Some(type_proto::Value::TensorType(tensor)) = declared else { unreachable!() };
        tensor.elem_type = Some(DataType::F16 as i32);
    }
    proto
}

/// What an engine makes of a file: these outputs, for pictures and targets.
fn run(
    file: &onnx_graph::Model,
    engine: &Arc<dyn Engine>,
    x: &ArrayD<f32>,
    targets: &ArrayD<i64>,
    of: &[&str],
) -> Vec<Value> {
    let document = Document::of(file).unwrap();
    let mut session = engine.load(Source::Bytes(file.to_bytes()), None).unwrap_or_else(|e| panic!("{e}"));
    let (x, targets) = (Value::from(x.clone()), Value::from(targets.clone()));
    let target = document.target.as_ref().map(|port| (port.name.as_str(), &targets));
    let given: Vec<_> = [(document.input.name.as_str(), &x)].into_iter().chain(target).collect();
    session.run(&given, of).unwrap_or_else(|e| panic!("{e}"))
}

fn list(targets: &[i64]) -> ArrayD<i64> {
    ArrayD::from_shape_vec(IxDyn(&[targets.len()]), targets.to_vec()).unwrap()
}

/// Class and maps that the file says.
fn said(
    file: &onnx_graph::Model,
    engine: &Arc<dyn Engine>,
    x: &ArrayD<f32>,
    targets: &ArrayD<i64>,
) -> (ArrayD<i64>, Vec<ArrayD<f32>>) {
    let document = Document::of(file).unwrap();
    let class = document.class.as_ref().expect("a class").name.clone();
    let names: Vec<&str> =
        [class.as_str()].into_iter().chain(document.maps.iter().map(|m| m.output.as_str())).collect();
    let mut answers = run(file, engine, x, targets, &names).into_iter();
    (answers.next().and_then(Value::into_i64).unwrap(), answers.map(|v| v.into_f32().unwrap()).collect())
}

/// What the program says.
fn told(settled: &Settled, engine: &Arc<dyn Engine>, x: &ArrayD<f32>, targets: &[i64]) -> Vec<Explained> {
    Explainer::new(settled.plan(), engine, targets.len(), None).unwrap().run(x, targets).unwrap()
}

fn most(map: &ArrayD<f32>) -> f64 {
    networks::most(map).max(f64::MIN_POSITIVE)
}

/// The file says what the program says, of these pictures in one batch.
fn check_says_the_same(
    file: &onnx_graph::Model,
    settled: &Settled,
    engine: &Arc<dyn Engine>,
    x: &ArrayD<f32>,
    targets: &[i64],
) {
    let expected = told(settled, engine, x, targets);
    let (class, maps) = said(file, engine, x, &list(targets));
    for (i, expected) in expected.iter().enumerate() {
        let what = format!("{} on {}, picture {i}", file.path().display(), engine.name());
        assert_eq!(class[[i]], expected.class as i64, "{what}");
        for (map, expected) in maps.iter().zip(&expected.maps) {
            let (map, expected) = (map.index_axis(Axis(0), i).to_owned(), expected.clone().into_dyn());
            let error = apart(&map, &expected, most(&expected));
            assert!(error < 1e-4, "{what}: {error} of the map's largest");
        }
    }
}

/// Several layers in one map are exported as one layer is.
#[test]
fn several_layers() {
    let network = Network::golden().into_iter().find(|n| n.name == "resnet18").unwrap();
    let model = Model::open(&network.exports[0].file).unwrap();
    let settled =
        model.explain_with(&methods(&["grad-cam", "grad-cam++"])).layers(["layer3", "layer4"]).settle().unwrap();
    let file = exported(&model, &settled, &ExportOptions::default()).to_model();
    for engine in engines() {
        check_says_the_same(&file, &settled, &engine, &network.input, &[-1, 1]);
    }
    assert!(Document::of(&file).unwrap().maps.iter().all(|map| map.layer.contains(", ")));
}

/// Every small network by both exporters, on both engines: the file says what the program says, of one picture and of all
/// in one batch; its own outputs are untouched, its gradients the scores' slopes; and without what was added it is the file
/// it was.
#[test]
fn golden_networks_as_files() {
    let engines = engines();
    let mut opsets = std::collections::BTreeSet::new();
    for network in Network::golden() {
        for export in &network.exports {
            let model = Model::open(&export.file).unwrap();
            let settled = settled(&model, &network.method_names());
            let mut exported = exported(&model, &settled, &ExportOptions::default());
            exported.certify(&engines).unwrap_or_else(|e| panic!("{export}: {e}"));
            let file = exported.to_model();
            opsets.insert(file.opset());
            let (nodes, bytes) = exported.size_added();
            assert!(nodes < 130 && bytes < 25_000, "{export}: {nodes} nodes, {bytes} bytes: weights are not copied");
            for (engine, certificate) in engines.iter().zip(&exported.document().certificates) {
                // rten takes neither Dropout nor pools that are declared as of three axes.
                if matches!(certificate.outputs, Outputs::NotCompared(_)) {
                    assert_eq!(engine.name(), "rten", "{export}: {certificate}");
                    assert!(
                        ["alexnet.old-opset9-dropout", "caffenet.old", "caffenet.new"].contains(&&*export.to_string())
                    );
                    continue;
                }
                assert_eq!(certificate.outputs, Outputs::Equal, "{export}: {certificate}");
                let curved = ["alexnet", "caffenet", "vgg"].iter().any(|name| export.to_string().starts_with(name));
                let limit = if curved { 0.1 } else { 1e-5 }; // ReLUs and pools lie between, or nothing but linear layers.
                assert!(matches!(certificate.gradients, Gradients::Agree(by) if by < limit), "{export}: {certificate}");
                let class = network.classes[0];
                check_says_the_same(&file, &settled, engine, &picture(&network.input, 0), &[-1]);
                if settled.plan().fixed_batch().is_none() {
                    let targets: Vec<i64> =
                        (0..network.input.len_of(Axis(0)) as i64).map(|i| if i == 1 { -1 } else { class }).collect();
                    check_says_the_same(&file, &settled, engine, &network.input, &targets);
                }
            }
            let stripped = strip(&file).unwrap();
            assert_eq!(stripped.proto(), model.file().proto(), "{export}");
            let again = onnx_graph::Model::read(file.to_bytes(), &export.file).unwrap();
            assert_eq!(Document::of(&again).unwrap(), *exported.document(), "{export}");
        }
    }
    assert_eq!(opsets.into_iter().collect::<Vec<_>>(), [11, 13, 17, 20], "of 7, 9, 11, 13, 17 and 20");
}

/// Heads of other kinds, and every opset that a network can stay in; three pictures in one batch.
#[test]
fn heads_and_opsets() {
    let x = pictures(&[3, 3, 16, 16], 7);
    let mut nets: Vec<(Maker, i64)> = (7..=24).map(|opset| (tiny_cnn(opset, 5), opset.max(9))).collect();
    nets.extend([9, 12, 13, 18].map(|opset| (tiny_conv_head(opset, 5), opset)));
    nets.extend(["Softmax", "LogSoftmax", "Sigmoid"].map(|end| (tiny_cnn_ending_in(end, 12, 5), 12)));
    for (net, opset) in nets {
        let (model, _folder) = open(net);
        let settled = settled(&model, &["grad-cam", "grad-cam++"]);
        let file = exported(&model, &settled, &ExportOptions::default()).to_model();
        assert_eq!(file.opset(), opset);
        for engine in engines() {
            check_says_the_same(&file, &settled, &engine, &x, &[-1, 4, 0]);
        }
        assert_eq!(strip(&file).unwrap().proto(), model.file().proto());
    }
}

/// A layer in the middle, so that convolutions, pools and their masks are in the gradient.
#[test]
fn a_layer_in_the_middle() {
    let x = pictures(&[2, 3, 16, 16], 3);
    for opset in [7, 9, 11, 13, 17, 21] {
        let (model, _folder) = open(tiny_cnn(opset, 5));
        let settled = model.explain_with(&methods(&["grad-cam++"])).layer("relu1").settle().unwrap();
        let mut exported = exported(&model, &settled, &ExportOptions::default());
        exported.certify(&engines()).unwrap();
        for certificate in &exported.document().certificates {
            assert_eq!(certificate.outputs, Outputs::Equal, "{certificate}");
            assert!(matches!(certificate.gradients, Gradients::Agree(_)), "{certificate}");
        }
        for engine in engines() {
            check_says_the_same(&exported.to_model(), &settled, &engine, &x, &[-1, 2]);
        }
        assert_eq!(
            exported.to_model().opset(),
            opset.max(11),
            "MaxPool's gradient compares floats, which opset 11 brought"
        );
        assert_eq!(strip(&exported.to_model()).unwrap().proto(), model.file().proto());
    }
}

/// The k likeliest classes, or given ones: what the file says of each is what one for that class alone says.
#[test]
fn several_classes() {
    let x = pictures(&[2, 3, 16, 16], 7);
    let (model, _folder) = open(tiny_cnn(17, 5));
    let settled = settled(&model, &["grad-cam++", "cam"]);
    let options = ExportOptions { classes: Some(3), ..Default::default() };
    let mut exported = exported(&model, &settled, &options);
    exported.certify(&engines()).unwrap();
    let file = exported.to_model();
    let document = Document::of(&file).unwrap();
    assert_eq!(document.target.unwrap().shape_in_words(), "[N,3]");
    assert_eq!(document.maps[0].shape_in_words(), "[N,3,8,8]");
    for engine in engines() {
        let targets = ArrayD::from_shape_vec(IxDyn(&[2, 3]), vec![-1, -1, 4, 0, -1, 0]).unwrap();
        let (class, maps) = said(&file, &engine, &x, &targets);
        for i in 0..2 {
            let scores = &told(&settled, &engine, &picture(&x, i), &[-1])[0].scores;
            let mut ranked: Vec<i64> = (0..5).collect();
            ranked.sort_by(|a, b| scores[*b as usize].total_cmp(&scores[*a as usize]));
            for k in 0..3 {
                let expected = if targets[[i, k]] < 0 { ranked[k] } else { targets[[i, k]] };
                assert_eq!(class[[i, k]], expected, "picture {i}, place {k}");
                let alone = &told(&settled, &engine, &picture(&x, i), &[expected])[0];
                for (m, expected) in alone.maps.iter().enumerate() {
                    let (found, expected) = (maps[m].index_axis(Axis(0), i), expected.clone().into_dyn());
                    let error = apart(&found.index_axis(Axis(0), k).to_owned(), &expected, most(&expected));
                    assert!(error < 1e-5, "picture {i}, place {k}, map {m}: {error}");
                }
            }
        }
    }
    assert_eq!(strip(&file).unwrap().proto(), model.file().proto());
    let options = ExportOptions { classes: Some(6), ..Default::default() };
    let error = Exported::of(&model, &settled, &options).unwrap_err();
    assert_eq!(error.to_string(), "6 classes were asked for, the network has 5");
}

/// Every class from one run: what the file says of each is what one for that class alone says, on every small network, for
/// every method; all pictures in one batch where the file takes them.
#[test]
fn every_class() {
    let engines = engines();
    let mut checked = 0;
    for network in Network::golden() {
        for export in &network.exports {
            let model = Model::open(&export.file).unwrap();
            let settled = settled(&model, &network.method_names());
            let options = ExportOptions { all_classes: true, ..Default::default() };
            let mut exported = exported(&model, &settled, &options);
            exported.certify(&engines).unwrap_or_else(|e| panic!("{export}: {e}"));
            let file = exported.to_model();
            let document = exported.document();
            let classes = settled.plan().head.classes;
            assert_eq!((document.target.as_ref(), &document.maps[0].shape[1]), (None, &classes.into()));
            assert_eq!(strip(&file).unwrap().proto(), model.file().proto(), "{export}");
            let count = settled.plan().fixed_batch().unwrap_or(network.input.len_of(Axis(0)));
            let x = network.input.select(Axis(0), &(0..count).collect::<Vec<_>>());
            for (engine, certificate) in engines.iter().zip(&document.certificates) {
                if matches!(certificate.outputs, Outputs::NotCompared(_)) {
                    continue; // As with one class.
                }
                assert_eq!(certificate.outputs, Outputs::Equal, "{export}: {certificate}");
                assert!(!matches!(certificate.gradients, Gradients::Differ(_)), "{export}: {certificate}");
                let (predicted, maps) = said(&file, engine, &x, &list(&[]));
                let mut explainer = Explainer::new(settled.plan(), engine, 1, None).unwrap();
                for i in 0..count {
                    let x = picture(&x, i);
                    let each = |class: usize| explainer.run(&x, &[class as i64]).unwrap().remove(0);
                    let each: Vec<Explained> = (0..classes).map(each).collect();
                    let highest = each[0].scores[predicted[[i]] as usize];
                    assert!(each[0].scores.iter().all(|s| *s <= highest), "{export}");
                    for (m, map) in maps.iter().enumerate() {
                        // Where what speaks for and against a class cancels, rounding is what is left: of the largest map.
                        let scale = each.iter().map(|e| most(&e.maps[m].clone().into_dyn())).fold(0.0, f64::max);
                        for (class, alone) in each.iter().enumerate() {
                            let found = map.index_axis(Axis(0), i).index_axis(Axis(0), class).to_owned();
                            let error = apart(&found, &alone.maps[m].clone().into_dyn(), scale);
                            assert!(error < 1e-5, "{export}, {}, class {class}: {error}", engine.name());
                            checked += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(checked > 1000, "{checked}");
}

/// A map as large as the input: between the centres of cells linear, beyond them constant.
#[test]
fn maps_as_large_as_the_input() {
    let x = pictures(&[2, 3, 16, 16], 7);
    let (model, _folder) = open(tiny_cnn(17, 5));
    let settled = settled(&model, &["grad-cam++"]);
    let file = exported(&model, &settled, &ExportOptions { resize_to_input: true, ..Default::default() }).to_model();
    assert_eq!(Document::of(&file).unwrap().maps[0].shape_in_words(), "[N,16,16]");
    for engine in engines() {
        let (_, maps) = said(&file, &engine, &x, &list(&[-1, 3]));
        for (i, explained) in told(&settled, &engine, &x, &[-1, 3]).iter().enumerate() {
            let small = &explained.maps[0];
            let at = |v: f32| (v.clamp(0.0, 7.0).floor() as usize, v.clamp(0.0, 7.0).fract());
            let cell = |y: usize, x: usize| small[[y.min(7), x.min(7)]];
            let expected = ArrayD::from_shape_fn(IxDyn(&[16, 16]), |at_| {
                let ((y, p), (x, q)) = (at((at_[0] as f32 + 0.5) / 2.0 - 0.5), at((at_[1] as f32 + 0.5) / 2.0 - 0.5));
                let row = |y: usize| cell(y, x) * (1.0 - q) + cell(y, x + 1) * q;
                row(y) * (1.0 - p) + row(y + 1) * p
            });
            assert!(apart(&maps[0].index_axis(Axis(0), i).to_owned(), &expected, most(&expected)) < 1e-6);
        }
    }
    let text = Maker::new(17)
        .input("x", "f32[N,7,16,16]")
        .weights("w", &[4, 7, 3, 3])
        .node("Conv", &["x", "w"], &["conv"])
        .with("kernel_shape", [3, 3])
        .node("Relu", &["conv"], &["features"])
        .node("GlobalAveragePool", &["features"], &["pooled"])
        .node("Flatten", &["pooled"], &["flat"])
        .weights("fc", &[4, 5])
        .node("MatMul", &["flat", "fc"], &["logits"])
        .output("logits", "f32[N,5]");
    let (model, _folder) = open(text);
    let settled = self::settled(&model, &["grad-cam"]);
    let options = ExportOptions { resize_to_input: true, ..Default::default() };
    let error = Exported::of(&model, &settled, &options).unwrap_err().to_string();
    assert!(error.starts_with("maps cannot be as large as the network's input: "), "{error}");
}

/// Maps only: neither scores nor what makes them, and the class as it is given.
#[test]
fn maps_only() {
    let x = pictures(&[2, 3, 16, 16], 7);
    for (maker, left) in [(tiny_cnn(17, 5), ["fc.bias", "logits"]), (tiny_conv_head(9, 5), ["head.bias", "logits"])] {
        let (model, _folder) = open(maker);
        let settled = settled(&model, &["grad-cam++"]);
        let mut exported = exported(&model, &settled, &ExportOptions { lite: true, ..Default::default() });
        exported.certify(&engines()).unwrap();
        let file = exported.to_model();
        let graph = file.graph();
        let outputs: Vec<_> = graph.output.iter().map(|o| o.name.as_deref().unwrap()).collect();
        assert_eq!(outputs, ["onnxcam.grad-cam++"]);
        let names: Vec<&str> = onnx_graph::tensor_names(graph).collect();
        for name in left {
            assert!(!names.contains(&name), "{name} is still there: {names:?}");
        }
        for engine in engines() {
            let map = run(&file, &engine, &x, &list(&[1, 3]), &["onnxcam.grad-cam++"]).remove(0).into_f32().unwrap();
            for (i, explained) in told(&settled, &engine, &x, &[1, 3]).iter().enumerate() {
                let expected = explained.maps[0].clone().into_dyn();
                assert!(apart(&map.index_axis(Axis(0), i).to_owned(), &expected, most(&expected)) < 1e-5);
            }
        }
        let error = strip(&file).unwrap_err().to_string();
        assert!(error.contains("holds a part of its original only"), "{error}");
    }
}

/// A network in half precision keeps its halves; what is new computes in float32.
#[test]
fn half_precision() {
    let x = pictures(&[2, 3, 16, 16], 7);
    let (model, _folder) = open_proto(halves(tiny_cnn(17, 5)));
    let settled = settled(&model, &["grad-cam", "grad-cam++"]);
    let mut exported = exported(&model, &settled, &ExportOptions::default());
    exported.certify(&engines()).unwrap();
    let file = exported.to_model();
    assert_eq!(strip(&file).unwrap().proto(), model.file().proto());
    for (engine, certificate) in engines().iter().zip(&exported.document().certificates) {
        assert_eq!(certificate.outputs, Outputs::Equal, "{certificate}");
        let expected = told(&settled, engine, &x, &[-1, 2]);
        let (class, maps) = said(&file, engine, &x, &list(&[-1, 2]));
        for (i, expected) in expected.iter().enumerate() {
            assert_eq!(class[[i]], expected.class as i64);
            for (map, expected) in maps.iter().zip(&expected.maps) {
                let (map, expected) = (map.index_axis(Axis(0), i).to_owned(), expected.clone().into_dyn());
                let error = apart(&map, &expected, most(&expected));
                assert!(error < 1e-2, "{}: {error}", engine.name()); // The features are rounded to halves.
            }
        }
    }
}

/// Weights that are inputs too, as old files have it; nodes in local functions, whose inside the file does not have; an output
/// of nodes that are not understood.
#[test]
fn files_of_other_kinds() {
    let x = pictures(&[2, 3, 16, 16], 7);
    let body = Maker::new(17)
        .input("a", "f32")
        .node("MaxPool", &["a"], &["inner"])
        .with("kernel_shape", [2, 2])
        .with("strides", [2, 2])
        .node("Sigmoid", &["inner"], &["b"])
        .output("b", "f32");
    let with_function = Maker::new(17)
        .domain("local", 1)
        .function("local", "Pool", &[], body)
        .input("x", "f32[N,3,16,16]")
        .weights("w", &[4, 3, 3, 3])
        .node("Conv", &["x", "w"], &["conv"])
        .with("kernel_shape", [3, 3])
        .node("Relu", &["conv"], &["features"])
        .node("Pool", &["features"], &["pooled"])
        .of_domain("local")
        .node("Flatten", &["pooled"], &["flat"])
        .weights("fc", &[196, 5])
        .node("MatMul", &["flat", "fc"], &["logits"])
        .output("logits", "f32[N,5]");
    let aside = tiny_cnn(17, 5).node("NonZero", &["relu1"], &["where"]).output("where", "i64[4,M]");
    for (net, layer) in
        [(tiny_cnn(9, 5).weights_as_inputs(), "relu1"), (with_function, "features"), (aside, "features")]
    {
        let (model, _folder) = open(net);
        let settled = model.explain_with(&methods(&["grad-cam", "grad-cam++"])).layer(layer).settle().unwrap();
        let mut exported = exported(&model, &settled, &ExportOptions::default());
        exported.certify(&engines()).unwrap();
        let mut running = Vec::new();
        for (engine, certificate) in engines().into_iter().zip(&exported.document().certificates) {
            if engine.name() == "rten" && matches!(certificate.outputs, Outputs::NotCompared(_)) {
                assert!(certificate.to_string().contains("local/Pool operator not supported"), "{certificate}");
                continue;
            }
            assert_eq!(certificate.outputs, Outputs::Equal, "{certificate}");
            assert!(matches!(certificate.gradients, Gradients::Agree(_)), "{certificate}");
            running.push(engine);
        }
        let file = exported.to_model();
        for engine in running {
            check_says_the_same(&file, &settled, &engine, &x, &[-1, 3]);
        }
        assert_eq!(strip(&file).unwrap().proto(), model.file().proto());
    }
}

/// An open height and width are settled in the file, as the explanation is of that size; an input that always has one value
/// need not be fed any more; both come apart again.
#[test]
fn what_the_file_leaves_open() {
    let net = |input: &str| {
        Maker::new(17)
            .input("x", input)
            .input("factor", "f32[1]")
            .weights("w", &[4, 3, 3, 3])
            .node("Conv", &["x", "w"], &["conv"])
            .with("kernel_shape", [3, 3])
            .node("Relu", &["conv"], &["features"])
            .node("GlobalAveragePool", &["features"], &["pooled"])
            .node("Flatten", &["pooled"], &["flat"])
            .weights("fc", &[4, 5])
            .node("MatMul", &["flat", "fc"], &["scores"])
            .node("Mul", &["scores", "factor"], &["logits"])
            .output("logits", "f32[N,5]")
    };
    let x = pictures(&[2, 3, 12, 10], 7);
    for (declared, settled_as) in [("f32[batch,3,h,w]", "batch"), ("f32[?,3,?,?]", "N"), ("f32", "N")] {
        let (model, _folder) = open(net(declared));
        let setup = model.explain_with(&methods(&["grad-cam++"])).input_size(12, 10).input_value("factor", &[2.0]);
        let settled = setup.settle().unwrap();
        let mut exported = exported(&model, &settled, &ExportOptions::default());
        exported.certify(&engines()).unwrap();
        let file = exported.to_model();
        for engine in engines() {
            check_says_the_same(&file, &settled, &engine, &x, &[-1, 3]);
            let plain = run(&file, &engine, &x, &list(&[0, 0]), &["logits"]).remove(0).into_f32().unwrap();
            let scores = &told(&settled, &engine, &x, &[0, 0])[1].scores;
            let scores = ArrayD::from_shape_vec(IxDyn(&[5]), scores.clone()).unwrap();
            assert!(apart(&plain.index_axis(Axis(0), 1).to_owned(), &scores, most(&scores)) < 1e-5);
        }
        let text = format!("{:?}", file.graph().input.last().unwrap());
        assert!(text.contains(settled_as), "{text}");
        let larger = pictures(&[1, 3, 20, 20], 7);
        let mut session = Rten.load(Source::Bytes(file.to_bytes()), None).unwrap();
        let (larger, target) = (Value::from(larger), Value::from(list(&[-1])));
        let error = session.run(&[("x", &larger), ("onnxcam.target", &target)], &["onnxcam.class"]).unwrap_err();
        assert!(error.to_string().contains("12"), "{error}");
        assert_eq!(strip(&file).unwrap().proto(), model.file().proto(), "{declared}");
    }
}

/// Names that the file has are left to it.
#[test]
fn names_that_clash() {
    let x = pictures(&[1, 3, 16, 16], 7);
    for (from, to) in [
        ("features", "onnxcam.target"),
        ("pool", "onnxcam.t3"),
        ("conv1.bias", "onnxcam.grad-cam++"),
        ("fc.bias", "onnxcam.t40"),
    ] {
        let mut proto = tiny_cnn(17, 5).build();
        let graph = proto.graph.as_mut().unwrap();
        let read = graph.node.iter_mut().flat_map(|n| n.input.iter_mut().chain(&mut n.output));
        let weights = graph.initializer.iter_mut().flat_map(|t| &mut t.name);
        read.chain(weights).filter(|n| *n == from).for_each(|n| *n = to.to_owned());
        let (model, _folder) = open_proto(proto);
        let settled = settled(&model, &["grad-cam", "grad-cam++"]);
        let file = exported(&model, &settled, &ExportOptions::default()).to_model();
        let names: Vec<&str> = onnx_graph::tensor_names(file.graph()).collect();
        let once: std::collections::HashSet<&&str> = names.iter().collect();
        assert_eq!(once.len(), names.len(), "{from} is called {to}");
        for engine in engines() {
            check_says_the_same(&file, &settled, &engine, &x, &[-1]);
        }
        let document = Document::of(&file).unwrap();
        assert_eq!(
            document.target.unwrap().name,
            if to == "onnxcam.target" { "onnxcam.target@2" } else { "onnxcam.target" }
        );
        assert_eq!(
            document.maps[1].output,
            if to.ends_with("++") { "onnxcam.grad-cam++@2" } else { "onnxcam.grad-cam++" }
        );
        assert_eq!(strip(&file).unwrap().proto(), model.file().proto());
    }
}

/// What cannot be exported says why.
#[test]
fn refusals() {
    let refused = |maker: Maker| {
        let (model, _folder) = open(maker);
        let settled = settled(&model, &["grad-cam++"]);
        Exported::of(&model, &settled, &ExportOptions::default()).map(|_| ()).unwrap_err()
    };
    let ancient = refused(tiny_cnn(6, 5)).to_string();
    assert!(ancient.contains("the file is in opset 6; from opset 7 on") && ancient.contains("hint: "), "{ancient}");
    let training = Maker::new(17)
        .input("x", "f32[N,3,8,8]")
        .weights("w", &[4, 3, 3, 3])
        .node("Conv", &["x", "w"], &["conv"])
        .with("kernel_shape", [3, 3])
        .floats("one", &[4], &[1.0; 4])
        .node("BatchNormalization", &["conv", "one", "one", "one", "one"], &["features", "mean", "var"])
        .with("training_mode", 1)
        .named("bn1")
        .node("GlobalAveragePool", &["features"], &["pooled"])
        .node("Flatten", &["pooled"], &["flat"])
        .weights("fc", &[4, 5])
        .node("MatMul", &["flat", "fc"], &["logits"])
        .output("logits", "f32[N,5]");
    let training = refused(training);
    assert!(matches!(training, ExportError::Training { .. }) && training.to_string().contains("bn1"), "{training}");
    // MaxPool's gradient needs opset 11, and Upsample is no more from opset 10 on.
    let upsample = Maker::new(9)
        .input("x", "f32[N,3,8,8]")
        .floats("scales", &[4], &[1.0, 1.0, 2.0, 2.0])
        .node("Upsample", &["x", "scales"], &["larger"])
        .with("mode", "nearest")
        .named("up")
        .weights("w", &[4, 3, 3, 3])
        .node("Conv", &["larger", "w"], &["conv"])
        .with("kernel_shape", [3, 3])
        .node("Relu", &["conv"], &["features"])
        .node("MaxPool", &["features"], &["pool"])
        .with("kernel_shape", [2, 2])
        .with("strides", [2, 2])
        .node("Flatten", &["pool"], &["flat"])
        .weights("fc", &[196, 5])
        .node("MatMul", &["flat", "fc"], &["logits"])
        .output("logits", "f32[N,5]");
    let upsample = refused(upsample).to_string();
    assert!(
        upsample.contains("opset 10 changed `Upsample`, which the file has as `Upsample` (node \"up\")"),
        "{upsample}"
    );

    let (model, folder) = open(tiny_cnn(17, 5));
    let path = folder.path().join("explained.onnx");
    exported(&model, &settled(&model, &["grad-cam++"]), &ExportOptions::default()).save(&path).unwrap();
    let twice = Model::open(&path).unwrap();
    let error =
        Exported::of(&twice, &settled(&twice, &["grad-cam"]), &ExportOptions::default()).unwrap_err().to_string();
    assert!(
        error.contains("is an explained model already (Grad-CAM++ at \"features\")\nhint: `onnxcam strip`"),
        "{error}"
    );
    let plain = strip(model.file()).unwrap_err().to_string();
    assert!(plain.contains("is no explained model"), "{plain}");
    let mut shortened = twice.file().proto().clone();
    shortened.graph.as_mut().unwrap().output.clear();
    let shortened = onnx_graph::Model::from_proto(shortened, &path).unwrap();
    let error = strip(&shortened).unwrap_err().to_string();
    assert!(error.contains("is not as onnxcam wrote it"), "{error}");
}

/// Weights stay in the original's file: the explained one is small, and runs from there.
#[test]
fn weights_that_are_shared() {
    let x = pictures(&[2, 3, 16, 16], 7);
    let (model, folder) = open(tiny_cnn(17, 200));
    let settled = settled(&model, &["grad-cam++"]);
    let exported = exported(&model, &settled, &ExportOptions::default());
    let (whole, shared) = (folder.path().join("whole.onnx"), folder.path().join("shared.onnx"));
    exported.save(&whole).unwrap();
    exported.save_sharing_weights(&shared).unwrap();
    let size = |path: &std::path::Path| std::fs::metadata(path).unwrap().len();
    assert!(size(&shared) + 9600 < size(&whole), "{} of {}", size(&shared), size(&whole)); // fc.weight alone.
    let reread = Model::open(&shared).unwrap();
    assert_eq!(reread.file().proto(), Model::open(&whole).unwrap().file().proto());
    assert_eq!(strip(reread.file()).unwrap().proto(), model.file().proto());
    for engine in engines() {
        let mut session = engine.load(Source::File(&shared), None).unwrap();
        let (x_, targets) = (Value::from(x.clone()), Value::from(list(&[-1, 3])));
        let given = [("x", &x_), ("onnxcam.target", &targets)];
        let map = session.run(&given, &["onnxcam.grad-cam++"]).unwrap().remove(0).into_f32().unwrap();
        assert_eq!(
            map,
            said(Model::open(&whole).unwrap().file(), &engine, &x, &list(&[-1, 3])).1[0],
            "{}",
            engine.name()
        );
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let error = exported.save_sharing_weights(&elsewhere.path().join("a.onnx")).unwrap_err().to_string();
    assert!(error.contains("they are not in one folder\nhint: "), "{error}");
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

/// A part of an output as the score, and a class that is contrasted: the file says what the program says, and what it is of.
#[test]
fn scores_that_are_parts_and_rivals() {
    let (model, _folder) = open(tiny_cnn(17, 5).node("Relu", &["features"], &["seg"]).output("seg", "f32[N,12,8,8]"));
    let x = pictures(&[2, 3, 16, 16], 7);
    let part = || Score::Part("seg[c, 2:5, 1:4]".parse().unwrap_or_else(|e| panic!("{e}")));
    for (rival, score) in [(Some("second"), false), (Some("2"), false), (None, true), (Some("2"), true)] {
        let mut setup = model.explain_with(&methods(&["grad-cam++"])).layer("relu1");
        setup = if score { setup.score(part()) } else { setup };
        setup = rival.into_iter().fold(setup, |setup, rival| setup.against(rival));
        let settled = setup.settle().unwrap_or_else(|e| panic!("{e}"));
        for all_classes in [false, true] {
            let options = ExportOptions { all_classes, ..Default::default() };
            let mut exported = exported(&model, &settled, &options);
            exported.certify(&engines()).unwrap_or_else(|e| panic!("{e}"));
            let file = exported.to_model();
            let document = Document::of(&file).unwrap();
            assert_eq!(document, *exported.document());
            let expected = match rival {
                Some("second") => Some(Rival::RunnerUp),
                rival => rival.map(|class| Rival::Class(class.parse().unwrap())),
            };
            assert_eq!(document.rival, expected);
            assert_eq!(document.notes.iter().any(|note| note.starts_with("explained is seg[")), score);
            for engine in engines() {
                if !all_classes {
                    check_says_the_same(&file, &settled, &engine, &x, &[-1, 1]);
                    continue;
                }
                let (_, maps) = said(&file, &engine, &x, &list(&[]));
                let alone = told(&settled, &engine, &x, &[1, 1]);
                for (i, alone) in alone.iter().enumerate() {
                    let expected = alone.maps[0].clone().into_dyn();
                    let found = maps[0].index_axis(Axis(0), i).index_axis(Axis(0), 1).to_owned();
                    assert!(apart(&found, &expected, most(&expected)) < 1e-5);
                }
            }
            assert_eq!(strip(&file).unwrap().proto(), model.file().proto());
        }
    }
}

/// What would not fit: at the size of the layer, a number for each class and feature map.
#[test]
fn too_many_classes_at_once() {
    let net = |size: usize| {
        Maker::new(17)
            .input("x", &format!("f32[N,3,{size},{size}]"))
            .weights("w", &[64, 3, 3, 3])
            .node("Conv", &["x", "w"], &["conv"])
            .with("kernel_shape", [3, 3])
            .node("Relu", &["conv"], &["features"])
            .weights("w2", &[64, 64, 3, 3])
            .node("Conv", &["features", "w2"], &["further"])
            .with("kernel_shape", [3, 3])
            .node("Relu", &["further"], &["bent"])
            .node("GlobalAveragePool", &["bent"], &["pooled"])
            .node("Flatten", &["pooled"], &["flat"])
            .weights("fc", &[64, 500])
            .node("MatMul", &["flat", "fc"], &["logits"])
            .output("logits", "f32[N,500]")
    };
    let options = ExportOptions { all_classes: true, ..Default::default() };
    for (size, fits) in [(18, true), (128, false)] {
        let (model, _folder) = open(net(size));
        let settled = model.explain_with(&methods(&["grad-cam"])).layer("features").settle().unwrap();
        let made = Exported::of(&model, &settled, &options);
        assert_eq!(made.is_ok(), fits);
        let Err(error) = made.map(drop) else { continue };
        assert!(matches!(error, ExportError::EveryClass { .. }));
        let error = error.to_string();
        assert!(error.contains(",64,124,124] would be too large: not every class can be explained"), "{error}");
        assert!(error.contains("\nhint: --classes top5"), "{error}");
    }
}

/// In the space of the picture the file has what the method says of every sample, whatever size maps are brought to. What is
/// made of many runs is no file.
#[test]
fn attributions_are_exported_and_many_runs_are_not() {
    let (model, _folder) = open(tiny_cnn(17, 5));
    let settled_for = |names: &[&str]| settled(&model, names);
    let names = ["guided-grad-cam++", "gradient", "grad-cam"];
    let (both, alone) = (settled_for(&names), settled_for(&["gradient"]));
    let x = pictures(&[2, 3, 16, 16], 4);
    for engine in engines() {
        for (settled, count) in [(&both, 3), (&alone, 1)] {
            let options = ExportOptions { resize_to_input: true, ..ExportOptions::default() };
            let mut file = exported(&model, settled, &options);
            file.certify(std::slice::from_ref(&engine)).unwrap(); // Though an output is called as what it looks at.
            let file = file.to_model();
            let (_, found) = said(&file, &engine, &x, &list(&[-1, 2]));
            assert_eq!(found.len(), count);
            for (i, expected) in told(settled, &engine, &x, &[-1, 2]).iter().enumerate() {
                for (found, expected) in found.iter().zip(&expected.attributions) {
                    let Some(expected) = expected else { continue };
                    assert_eq!(found.shape(), [2, 3, 16, 16]);
                    assert!(apart(&found.index_axis(Axis(0), i).to_owned(), expected, most(expected)) < 1e-5);
                }
            }
        }
    }
    let error = Exported::of(&model, &settled_for(&["rise"]), &ExportOptions::default()).unwrap_err();
    assert!(matches!(error, ExportError::Runs { .. }) && error.to_string().contains("RISE is made of many runs"));
}
