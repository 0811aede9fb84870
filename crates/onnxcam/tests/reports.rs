//! What users of other tools and of the engines ran into (R20, R27, R28, R29, R30, R48, R52), and files that fix their
//! batch: each from the file to the map, on both engines.

#[path = "support/both.rs"]
mod both;
#[path = "support/heads.rs"]
mod heads;
#[path = "support/networks.rs"]
mod networks;

use both::{agreed, engines, explain, explainer, outputs, picture, pictures, plan, run};
use heads::{elements, on_trunk};
use ndarray::{ArrayD, Axis};
use networks::{Network, apart};
use onnx_graph::proto::ValueInfoProto;
use onnx_graph::{ImportOptions, Model, import};
use onnxcam::engine::Source;
use onnxcam::explain::{Explained, PlanOptions};
use testkit::models::{Maker, tiny_cnn, tiny_weights_first};

const METHODS: [&str; 3] = ["grad-cam", "grad-cam++", "cam"];
const GRADIENTS: [&str; 2] = ["grad-cam", "grad-cam++"];

fn x() -> ArrayD<f32> {
    pictures(&[2, 3, 16, 16], 7)
}

fn at(layer: &str) -> PlanOptions {
    PlanOptions { layer: Some(layer.to_owned()), ..PlanOptions::default() }
}

fn value(name: &str, signature: &str) -> ValueInfoProto {
    Maker::new(17).input(name, signature).build().graph.unwrap().input.remove(0)
}

/// A model that declares its input and output otherwise.
fn redeclared(maker: Maker, input: &str, output: &str) -> Model {
    let mut proto = maker.build();
    let graph = proto.graph.as_mut().unwrap();
    let image = graph.input.iter_mut().find(|v| v.name() == "x").unwrap();
    *image = value("x", input);
    graph.output[0] = value(graph.output[0].name.clone().unwrap().as_str(), output);
    Model::from_proto(proto, "redeclared.onnx".as_ref()).unwrap()
}

fn expected() -> Vec<Explained> {
    agreed(&tiny_cnn(17, 5).model(), &METHODS, &PlanOptions::default(), &x(), -1)
}

fn notes(model: &Model) -> Vec<String> {
    plan(model, &METHODS, &PlanOptions::default()).unwrap().notes
}

/// R27: one batch under two names; sizes declared wrongly at the output, or in between, which is said.
#[test]
fn declared_shapes_are_hints() {
    let agree = |model: &Model| assert_eq!(agreed(model, &METHODS, &PlanOptions::default(), &x(), -1), expected());
    let two_names = redeclared(tiny_cnn(17, 5), "f32[unk__6,3,16,16]", "f32[unk__7,5]");
    agree(&two_names);
    assert_eq!(notes(&two_names), Vec::<String>::new());
    agree(&redeclared(tiny_cnn(17, 5), "f32[N,3,16,16]", "f32[1,5]"));
    let wrong = redeclared(tiny_cnn(17, 5).declare("features", "f32[N,7,3,3]"), "f32[N,3,16,16]", "f32[N,9]");
    agree(&wrong);
    let said = notes(&wrong);
    assert!(said.len() == 2, "{said:?}");
    for part in ["declares \"features\" as [N,7,3,3], its nodes make [N,12,8,8]", "declares \"logits\" as [N,9]"] {
        assert!(said.iter().any(|note| note.contains(part)), "{part} in {said:?}");
    }
}

/// A batch given as a symbol, as −1, as 0, or not at all, and a size that is left open.
#[test]
fn open_batches_and_sizes() {
    for input in ["f32[batch,3,16,16]", "f32[-1,3,16,16]", "f32[0,3,16,16]", "f32[?,3,16,16]"] {
        let model = redeclared(tiny_cnn(17, 5), input, "f32[?,5]");
        assert_eq!(agreed(&model, &METHODS, &PlanOptions::default(), &x(), -1), expected(), "{input}");
    }
    let import = ImportOptions { input_size: Some((16, 16)), ..Default::default() };
    let sized = PlanOptions { import, ..PlanOptions::default() };
    for input in ["f32[N,3,h,w]", "f32[N,3,?,-1]", "f32[?,?,?,?]", "f32"] {
        let model = redeclared(tiny_cnn(17, 5), input, "f32");
        assert_eq!(agreed(&model, &METHODS, &sized, &x(), -1), expected(), "{input}");
        let assumed = plan(&model, &["grad-cam"], &PlanOptions::default()).unwrap();
        let shape = assumed.graph.shape(assumed.input).unwrap();
        assert_eq!(shape[2..].iter().map(|d| d.known()).collect::<Vec<_>>(), [Some(224); 2]);
        assert!(assumed.notes.iter().any(|note| note.contains("224")), "{:?}", assumed.notes);
    }
}

/// R28: pooling as the standard has it, whatever the installed engine makes of the node: by hand.
#[test]
fn average_pooling_at_the_edges() {
    let pooled = |opset: i64, x: ArrayD<f32>, attributes: &[(&str, &[i64])], flags: &[(&str, i64)]| {
        let sizes: Vec<String> = x.shape().iter().map(usize::to_string).collect();
        let mut maker = Maker::new(opset).input("x", &format!("f32[{}]", sizes.join(",")));
        maker = maker.node("AveragePool", &["x"], &["y"]);
        maker = attributes.iter().fold(maker, |m, (name, values)| m.with(name, values.to_vec()));
        maker = flags.iter().fold(maker, |m, (name, value)| m.with(name, *value));
        let graph = import(&maker.output("y", "f32").model(), &ImportOptions::default()).unwrap().graph;
        let found: Vec<Vec<f32>> =
            engines().iter().map(|engine| outputs(&graph, engine, &x).remove(0).into_iter().collect()).collect();
        assert!(found.iter().all(|values| *values == found[0]), "{found:?}");
        found[0].clone()
    };
    let line = |values: &[f32]| ArrayD::from_shape_vec(vec![1, 1, values.len()], values.to_vec()).unwrap();
    let square = |n: usize| ArrayD::from_elem(vec![1, 1, n, n], 1.0f32);
    let k2s2: [(&str, &[i64]); 2] = [("kernel_shape", &[2]), ("strides", &[2])];
    for opset in [11, 17, 19, 22] {
        // The last window hangs over, and is divided by the cells that it has.
        let up = line(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(pooled(opset, up, &k2s2, &[("ceil_mode", 1), ("count_include_pad", 1)]), [1.5, 3.5, 5.0]);
        // Asymmetric pads that count.
        let pads: [(&str, &[i64]); 2] = [("kernel_shape", &[2, 2]), ("pads", &[0, 0, 1, 1])];
        assert_eq!(pooled(opset, square(2), &pads, &[("count_include_pad", 1)]), [1.0, 0.5, 0.5, 0.25]);
        assert_eq!(pooled(opset, square(2), &pads, &[("count_include_pad", 0)]), [1.0; 4]);
        // The same with a window that hangs over: two cells of padding, then nothing.
        let pads: [(&str, &[i64]); 3] = [("kernel_shape", &[3, 3]), ("strides", &[2, 2]), ("pads", &[0, 0, 1, 1])];
        let flags = [("ceil_mode", 1), ("count_include_pad", 1)];
        assert_eq!(pooled(opset, square(4), &pads, &flags), [1.0, 2.0 / 3.0, 2.0 / 3.0, 4.0 / 9.0]);
        assert_eq!(pooled(opset, square(4), &pads, &[("ceil_mode", 1)]), [1.0; 4]);
        // A window wholly in padding is dropped.
        let inside: [(&str, &[i64]); 3] = [("kernel_shape", &[3]), ("strides", &[3]), ("pads", &[1, 1])];
        assert_eq!(pooled(opset, line(&[3.0, 6.0]), &inside, &[("ceil_mode", 1)]), [4.5]);
    }
}

/// R28: such pools between layer and score, forward and backward, against the definition.
#[test]
fn pools_at_the_edges_backward() {
    let net = |op: &'static str, attributes: &'static [(&str, &[i64])], flags: &'static [(&str, i64)], cells: usize| {
        on_trunk(5, move |net| {
            let mut net = net.node(op, &["features"], &["small"]);
            net = attributes.iter().fold(net, |m, (name, values)| m.with(name, values.to_vec()));
            net = flags.iter().fold(net, |m, (name, value)| m.with(name, *value));
            net.node("Flatten", &["small"], &["flat"]).weights("fc", &[12 * cells, 5]).node(
                "MatMul",
                &["flat", "fc"],
                &["logits"],
            )
        })
    };
    let over: &[(&str, &[i64])] = &[("kernel_shape", &[3, 3]), ("strides", &[2, 2])];
    let asymmetric: &[(&str, &[i64])] = &[("kernel_shape", &[3, 2]), ("strides", &[3, 2]), ("pads", &[0, 1, 2, 0])];
    let x = pictures(&[2, 3, 16, 16], 8);
    for model in [
        net("MaxPool", over, &[("ceil_mode", 1)], 16),
        net("MaxPool", over, &[], 9),
        net("MaxPool", asymmetric, &[("ceil_mode", 1)], 15),
        net("AveragePool", over, &[("ceil_mode", 1)], 16),
        net("AveragePool", over, &[("ceil_mode", 1), ("count_include_pad", 1)], 16),
        net("AveragePool", asymmetric, &[("ceil_mode", 1), ("count_include_pad", 1)], 15),
        net("AveragePool", asymmetric, &[("ceil_mode", 1)], 15),
    ] {
        for layer in ["features", "relu1"] {
            agreed(&model, &GRADIENTS, &at(layer), &x, -1);
        }
    }
}

/// R29: an input that is left out is "", and what stands behind it keeps its place.
#[test]
fn inputs_that_are_left_out() {
    let clipped = |inputs: &'static [&'static str]| {
        on_trunk(5, move |net| {
            net.floats("half", &[], &[0.5])
                .floats("low", &[], &[0.1])
                .node("Clip", inputs, &["clipped"])
                .node("GlobalAveragePool", &["clipped"], &["mean"])
                .node("Flatten", &["mean"], &["flat"])
                .weights("fc", &[12, 5])
                .node("MatMul", &["flat", "fc"], &["logits"])
        })
    };
    let most = |model: &Model| {
        let plan = plan(model, &["grad-cam"], &at("clipped")).unwrap();
        let features = both::Definition::of(&plan, &picture(&x(), 0), 0).features;
        let least = features.iter().copied().fold(f64::INFINITY, f64::min);
        (least, features.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    };
    for (inputs, expected) in [
        (&["conv2", "", "half"][..], (None, Some(0.5))),
        (&["conv2", "low"], (Some(0.1), None)),
        (&["conv2", "low", ""], (Some(0.1), None)),
        (&["conv2", "low", "half"], (Some(0.1), Some(0.5))),
    ] {
        let model = clipped(inputs);
        let (least, largest) = most(&model);
        let is = |found: f64, bound: Option<f64>| match bound {
            Some(bound) => (found - bound).abs() < 1e-6,
            None => found.abs() > 0.6,
        };
        assert!(is(least, expected.0) && is(largest, expected.1), "{inputs:?}: {least} to {largest}");
        agreed(&model, &GRADIENTS, &at("conv2"), &x(), -1);
    }
}

/// R29: Resize(x, "", "", sizes), before the network and inside, forward and backward.
#[test]
fn resizing() {
    let before = Maker::new(17)
        .input("x", "f32[N,3,24,20]")
        .integers("sizes", &[4], &[1, 3, 16, 16])
        .integers("batch axis", &[1], &[0])
        .integers("from", &[1], &[1])
        .integers("to", &[1], &[4])
        .node("Shape", &["x"], &["shape"])
        .node("Gather", &["shape", "batch axis"], &["batch"])
        .node("Slice", &["sizes", "from", "to"], &["rest"])
        .node("Concat", &["batch", "rest"], &["wanted"])
        .with("axis", 0)
        .node("Resize", &["x", "", "", "wanted"], &["small"])
        .with("mode", "linear")
        .weights("w", &[6, 3, 3, 3])
        .node("Conv", &["small", "w"], &["conv"])
        .with("pads", [1, 1, 1, 1])
        .node("Relu", &["conv"], &["features"])
        .floats("no region", &[0], &[])
        .floats("scales", &[4], &[1.0, 1.0, 1.5, 2.0])
        .node("Resize", &["features", "no region", "scales"], &["large"])
        .with("mode", "cubic")
        .weights("v", &[6, 6, 3, 3])
        .node("Conv", &["large", "v"], &["last"])
        .node("GlobalAveragePool", &["last"], &["mean"])
        .node("Flatten", &["mean"], &["flat"])
        .weights("fc", &[6, 5])
        .node("MatMul", &["flat", "fc"], &["logits"])
        .output("logits", "f32[N,5]")
        .model();
    for layer in ["small", "conv", "features", "large", "last"] {
        agreed(&before, &GRADIENTS, &at(layer), &pictures(&[2, 3, 24, 20], 3), -1);
    }
}

/// Resize as the canonical view has it, on both engines, is what ONNX Runtime makes of the node itself.
#[test]
fn resizing_as_onnx_runtime_does() {
    let Some(runtime) = both::onnx_runtime() else { return };
    let x = pictures(&[1, 2, 5, 7], 3);
    let mut compared = 0;
    for mode in ["nearest", "linear", "cubic"] {
        for coordinates in ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"] {
            for sizes in [[1i64, 2, 10, 14], [1, 2, 3, 4], [1, 2, 8, 5], [1, 2, 1, 7]] {
                for rounding in ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"] {
                    if mode != "nearest" && rounding != "floor" {
                        continue;
                    }
                    let model = Maker::new(17)
                        .input("x", "f32[1,2,5,7]")
                        .integers("sizes", &[4], &sizes)
                        .node("Resize", &["x", "", "", "sizes"], &["y"])
                        .with("mode", mode)
                        .with("coordinate_transformation_mode", coordinates)
                        .with("nearest_mode", rounding)
                        .output("y", "f32")
                        .model();
                    let mut session = runtime.load(Source::Bytes(model.to_bytes()), None).unwrap();
                    let expected = both::run_session(&mut *session, &x).unwrap().remove(0);
                    let graph = import(&model, &ImportOptions::default()).unwrap().graph;
                    for engine in engines() {
                        let found = outputs(&graph, &engine, &x).remove(0);
                        let error = apart(&found, &expected, 2.0);
                        let case = format!("{mode} {coordinates} {rounding} {sizes:?} on {}", engine.name());
                        assert!(error < 1e-5, "{case}: {error:.1e}");
                        compared += 1;
                    }
                }
            }
        }
    }
    assert!(compared > 100);
}

/// R10: ConvNeXt's block, transformers' activations, and normalisations that are formulas: forward as ONNX Runtime has the
/// node itself, backward as the definition has it.
#[test]
fn composite_operators() {
    let bumpy = |count: usize, from: f32| (0..count).map(|i| from + 0.1 * (i % 5) as f32).collect::<Vec<f32>>();
    let net = |opset: i64, op: &str, inputs: &[(&str, usize)], attributes: &dyn Fn(Maker) -> Maker| {
        let mut maker = Maker::new(opset).input("x", "f32[N,3,6,8]").weights("w", &[6, 3, 3, 3]);
        maker = maker.node("Conv", &["x", "w"], &["conv"]);
        for (i, (name, count)) in inputs.iter().enumerate() {
            let dims: &[usize] = if *name == "slope" { &[*count, 1, 1] } else { &[*count] };
            maker = maker.floats(name, dims, &bumpy(*count, 0.5 - i as f32));
        }
        let names: Vec<&str> = ["conv"].into_iter().chain(inputs.iter().map(|(name, _)| *name)).collect();
        attributes(maker.node(op, &names, &["formula"]))
            .weights("v", &[4, 6, 3, 3])
            .node("Conv", &["formula", "v"], &["last"])
            .node("Flatten", &["last"], &["flat"])
            .weights("fc", &[4 * 2 * 4, 5])
            .node("MatMul", &["flat", "fc"], &["logits"])
            .output("logits", "f32[N,5]")
            .model()
    };
    let none: &dyn Fn(Maker) -> Maker = &|m| m;
    let groups: &dyn Fn(Maker) -> Maker = &|m| m.with("num_groups", 3);
    let tanh: &dyn Fn(Maker) -> Maker = &|m| m.with("approximate", "tanh");
    let from_axis: &dyn Fn(Maker) -> Maker = &|m| m.with("axis", 3).with("epsilon", 0.01);
    let models = [
        net(17, "LayerNormalization", &[("scale", 6), ("bias", 6)], none),
        net(17, "LayerNormalization", &[("scale", 6)], from_axis),
        net(17, "InstanceNormalization", &[("scale", 6), ("bias", 6)], none),
        net(18, "GroupNormalization", &[("scale", 3), ("bias", 3)], groups),
        net(21, "GroupNormalization", &[("scale", 6), ("bias", 6)], groups),
        net(20, "Gelu", &[], none),
        net(20, "Gelu", &[], tanh),
        net(17, "Elu", &[], &|m| m.with("alpha", 0.7)),
        net(17, "Selu", &[], none),
        net(17, "PRelu", &[("slope", 6)], none),
        net(17, "Softplus", &[], none),
        net(17, "Softsign", &[], none),
        net(18, "Mish", &[], none),
    ];
    let x = pictures(&[2, 3, 6, 8], 3);
    for model in &models {
        let op = model.graph().node[1].op_type();
        // Grad-CAM's mean of the gradient is zero before a normalisation over cells.
        let found = agreed(model, &["grad-cam++"], &PlanOptions { signed: true, ..at("conv") }, &x, -1);
        assert!(found.iter().flat_map(|e| &e.maps[0]).any(|v| *v != 0.0), "{op}");
        let Some(runtime) = both::onnx_runtime() else { continue };
        let mut session = runtime.load(Source::Bytes(model.to_bytes()), None).unwrap();
        let expected = both::run_session(&mut *session, &x).unwrap().remove(0);
        for (found, expected) in found.iter().zip(expected.outer_iter()) {
            let largest = expected.iter().fold(0.0, |m: f32, v| m.max(v.abs()));
            assert!(found.scores.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5 * largest), "{op}");
        }
    }
}

/// R20: layers that standardise their weights (BiT's, NFNets') come as a BatchNormalization of the weights in training
/// mode, which is by the weights' own statistics, whatever the file has beside.
#[test]
fn weights_that_are_standardised() {
    let head = |net: Maker, weights: &str| {
        net.node("Conv", &["features", weights], &["last"])
            .node("Relu", &["last"], &["bent"])
            .node("GlobalAveragePool", &["bent"], &["mean"])
            .node("Flatten", &["mean"], &["flat"])
            .weights("fc", &[6, 5])
            .node("MatMul", &["flat", "fc"], &["logits"])
    };
    let inside = on_trunk(5, |net| {
        let net = net
            .weights("raw", &[6, 12, 3, 3])
            .integers("rows", &[3], &[1, 6, -1])
            .integers("as before", &[4], &[6, 12, 3, 3])
            .floats("ones", &[6], &[1.0; 6])
            .floats("zeros", &[6], &[0.0; 6])
            .node("Reshape", &["raw", "rows"], &["flattened"])
            .node("BatchNormalization", &["flattened", "ones", "zeros", "zeros", "ones"], &["even"])
            .with("training_mode", 1)
            .with("epsilon", 1e-6f32)
            .node("Reshape", &["even", "as before"], &["weights"]);
        head(net, "weights")
    });
    let raw = elements(&inside, "raw");
    let standardised = raw.chunks(108).flat_map(|row| {
        let mean = row.iter().sum::<f32>() / 108.0;
        let variance = row.iter().map(|w| (w - mean).powi(2)).sum::<f32>() / 108.0;
        row.iter().map(move |w| (w - mean) / (variance + 1e-6).sqrt())
    });
    let standardised: Vec<f32> = standardised.collect();
    let outside = on_trunk(5, |net| {
        let net = net.weights("raw", &[6, 12, 3, 3]); // So that later weights are drawn alike.
        head(net.floats("weights", &[6, 12, 3, 3], &standardised), "weights")
    });
    assert_eq!(notes(&inside), Vec::<String>::new());
    let found = [&inside, &outside].map(|model| agreed(model, &GRADIENTS, &at("features"), &x(), -1));
    for (a, b) in found[0].iter().zip(&found[1]) {
        assert_eq!(a.class, b.class);
        for (a, b) in a.maps.iter().zip(&b.maps) {
            let most = b.iter().fold(0.0, |m: f32, v| m.max(v.abs()));
            assert!(most > 0.0 && apart(&a.clone().into_dyn(), &b.clone().into_dyn(), f64::from(most)) < 1e-5);
        }
    }
}

/// R30: files of old list every weight as an input, before the picture.
#[test]
fn weights_among_the_inputs() {
    let model = tiny_weights_first(17, 5).model();
    assert_eq!(model.graph().input[0].name(), "conv1.weight");
    let plan = plan(&model, &METHODS, &PlanOptions::default()).unwrap();
    assert_eq!(plan.graph.tensor(plan.input).name.as_ref(), "x");
    assert_eq!(agreed(&model, &METHODS, &PlanOptions::default(), &x(), -1), expected());
}

/// R30: opsets that are too old or too new are refused by number.
#[test]
fn opsets_out_of_range() {
    for opset in [-1, 29] {
        let mut proto = tiny_cnn(17, 5).build();
        proto.opset_import[0].version = Some(opset);
        let model = Model::from_proto(proto, "old.onnx".as_ref()).unwrap();
        let text = plan(&model, &["grad-cam"], &PlanOptions::default()).unwrap_err().to_string();
        assert!(text.contains(&format!("opset {opset}; opsets 1 to 28 can be read")), "{text}");
    }
}

/// R48: nodes that leave to their defaults whatever has one.
#[test]
fn bare_nodes() {
    let net = |op: &'static str| {
        let net = Maker::new(17)
            .input("x", "f32[N,3,16,16]")
            .weights("w1", &[6, 3, 3, 3])
            .node("Conv", &["x", "w1"], &["conv"])
            .node("Relu", &["conv"], &["relu"])
            .weights("w2", &[6, 4, 2, 2])
            .node("ConvTranspose", &["relu", "w2"], &["wider"])
            .node(op, &["wider"], &["pooled"])
            .with("kernel_shape", [2, 3])
            .weights("w3", &[4, 4, 3, 3])
            .node("Conv", &["pooled", "w3"], &["last"])
            .node("GlobalAveragePool", &["last"], &["mean"])
            .node("Flatten", &["mean"], &["flat"])
            .weights("fc", &[4, 5])
            .node("Gemm", &["flat", "fc"], &["logits"]);
        net.output("logits", "f32[N,5]").model()
    };
    for op in ["MaxPool", "AveragePool"] {
        for layer in ["conv", "wider", "pooled", "last"] {
            agreed(&net(op), &GRADIENTS, &at(layer), &x(), -1);
        }
    }
}

/// R48: SAME_LOWER pads before, SAME_UPPER behind.
#[test]
fn automatic_padding() {
    for (padding, expected) in [("SAME_LOWER", [1.0, 3.0, 5.0]), ("SAME_UPPER", [2.0, 4.0, 5.0])] {
        let model = Maker::new(17)
            .input("x", "f32[N,1,5]")
            .node("MaxPool", &["x"], &["y"])
            .with("kernel_shape", [2])
            .with("strides", [2])
            .with("auto_pad", padding)
            .output("y", "f32[N,1,3]")
            .model();
        let graph = import(&model, &ImportOptions::default()).unwrap().graph;
        let x = ArrayD::from_shape_vec(vec![1, 1, 5], vec![1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        for engine in engines() {
            let found: Vec<f32> = outputs(&graph, &engine, &x).remove(0).into_iter().collect();
            assert_eq!(found, expected, "{padding} on {}", engine.name());
        }
    }
    for padding in ["SAME_LOWER", "SAME_UPPER"] {
        let model = on_trunk(5, |net| {
            net.weights("w3", &[6, 12, 4, 3])
                .node("Conv", &["features", "w3"], &["last"])
                .with("strides", [3, 2])
                .with("auto_pad", padding)
                .node("GlobalAveragePool", &["last"], &["mean"])
                .node("Flatten", &["mean"], &["flat"])
                .weights("fc", &[6, 5])
                .node("MatMul", &["flat", "fc"], &["logits"])
        });
        agreed(&model, &GRADIENTS, &at("features"), &x(), -1);
    }
}

/// R52: one network by both of PyTorch's exporters gives one map.
#[test]
fn both_exporters_give_one_map() {
    for network in Network::golden() {
        let exports: Vec<_> =
            ["old", "new"].map(|variant| networks::golden().join(format!("{}.{variant}.onnx", network.name))).to_vec();
        for engine in engines() {
            let explained: Vec<Vec<Explained>> = exports
                .iter()
                .map(|file| {
                    let model = Model::open(file).unwrap();
                    let plan = plan(&model, &network.method_names(), &PlanOptions::default()).unwrap();
                    explain(&plan, &engine, &network.input, network.classes[0])
                })
                .collect();
            for (i, (old, new)) in explained[0].iter().zip(&explained[1]).enumerate() {
                for (m, (method, key)) in network.methods().into_iter().enumerate() {
                    let maps = [old, new].map(|e| e.maps[m].clone().into_dyn());
                    let error = apart(&maps[0], &maps[1], network.scale(key, 0, i));
                    assert!(error <= 1e-5, "{} on {}, {method}: {error:.1e}", network.name, engine.name());
                }
            }
        }
    }
}

/// A file for batches of four: pictures come alone, in fours and in between, and each map is its picture's.
#[test]
fn a_batch_that_the_file_fixes() {
    let fixed = redeclared(tiny_cnn(17, 5), "f32[4,3,16,16]", "f32[4,5]");
    let open = tiny_cnn(17, 5).model();
    let x = pictures(&[6, 3, 16, 16], 7);
    for engine in engines() {
        let plans = [&fixed, &open].map(|m| plan(m, &METHODS, &PlanOptions::default()).unwrap());
        assert_eq!(plans[0].fixed_batch(), Some(4));
        let mut in_fours = explainer(&plans[0], &engine, 1);
        assert_eq!(in_fours.batch(), 4);
        let mut singly = explainer(&plans[1], &engine, 1);
        let found = run(&mut in_fours, &x, -1);
        assert_eq!(found.len(), 6);
        for (i, found) in found.iter().enumerate() {
            let alone = run(&mut singly, &picture(&x, i), -1).remove(0);
            assert_eq!(found.class, alone.class);
            for (a, b) in found.maps.iter().zip(&alone.maps) {
                let most = b.iter().fold(0.0, |m: f32, v| m.max(v.abs()));
                assert!(apart(&a.clone().into_dyn(), &b.clone().into_dyn(), f64::from(most)) < 1e-5);
            }
        }
        let error = in_fours.run(&x, &[-1; 6]).unwrap_err().to_string();
        assert_eq!(error, "the input is [6, 3, 16, 16], the network takes [4, 3, 16, 16] (N pictures first)");
        assert_eq!(x.len_of(Axis(0)), 6);
    }
}

/// An exporter's common mistake: the input's batch is open, a Reshape inside is for one picture. It is run so, and said.
#[test]
fn a_batch_that_only_a_reshape_fixes() {
    let baked = |sizes: [i64; 2]| {
        on_trunk(5, move |net| {
            net.node("GlobalAveragePool", &["features"], &["mean"])
                .integers("all", &[1], &[-1])
                .integers("one", &[2], &sizes)
                .node("Reshape", &["mean", "all"], &["list"])
                .declare("list", "f32[?]") // Of 12 a picture: that is no contradiction.
                .node("Reshape", &["list", "one"], &["flat"])
                .weights("fc", &[12, 5])
                .node("MatMul", &["flat", "fc"], &["logits"])
        })
    };
    let sound = on_trunk(5, |net| {
        net.node("GlobalAveragePool", &["features"], &["mean"])
            .node("Flatten", &["mean"], &["flat"])
            .weights("fc", &[12, 5])
            .node("MatMul", &["flat", "fc"], &["logits"])
    });
    let expected = agreed(&sound, &METHODS, &PlanOptions::default(), &x(), -1);
    assert!(!elements(&sound, "fc").is_empty());
    for sizes in [[1, 12], [1, -1]] {
        let model = baked(sizes);
        let plan = plan(&model, &METHODS, &PlanOptions::default()).unwrap();
        assert_eq!(plan.fixed_batch(), Some(1), "{sizes:?}");
        assert_eq!(plan.notes, ["the network's nodes only fit together for a batch of 1; it is run so"]);
        for (found, expected) in agreed(&model, &METHODS, &PlanOptions::default(), &x(), -1).iter().zip(&expected) {
            for (a, b) in found.maps.iter().zip(&expected.maps) {
                let most = b.iter().fold(0.0, |m: f32, v| m.max(v.abs()));
                assert!(apart(&a.clone().into_dyn(), &b.clone().into_dyn(), f64::from(most)) < 1e-5);
            }
        }
    }
}
