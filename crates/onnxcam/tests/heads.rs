//! The class score: R02 (what enters the last activation), R04 (which output), heads of one score.

#[path = "support/both.rs"]
mod both;
#[path = "support/heads.rs"]
mod heads;

use both::{agreed, engines, pictures, plan, run_session};
use heads::{certain, edited, elements, on_trunk, trunk};
use ndarray::{Array2, ArrayD};
use onnx_graph::{DataType, Model};
use onnxcam::engine::Source;
use onnxcam::explain::{Explained, PlanError, PlanOptions};
use onnxcam::target::{Activation, HeadError, HeadOptions};
use testkit::models::{
    Maker, raw, tiny_binary, tiny_binary_vector, tiny_cnn, tiny_cnn_ending_in, tiny_conv_head, tiny_two_outputs,
};

const METHODS: [&str; 3] = ["grad-cam", "grad-cam++", "cam"];

fn x() -> ArrayD<f32> {
    pictures(&[2, 3, 16, 16], 5)
}

/// Signed, so that nothing is cut off.
fn maps(model: &Model, class: i64) -> Vec<Explained> {
    agreed(model, &METHODS, &PlanOptions { signed: true, ..PlanOptions::default() }, &x(), class)
}

/// Activation, and whether it was found in the graph.
fn activation(model: &Model) -> (Activation, bool) {
    let head = plan(model, &["grad-cam"], &PlanOptions::default()).unwrap().head;
    (head.activation, head.found)
}

fn output(name: &str) -> PlanOptions {
    PlanOptions {
        head: HeadOptions { output: Some(name.to_owned()), ..HeadOptions::default() },
        ..PlanOptions::default()
    }
}

#[track_caller]
fn close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= tolerance), "{found:?} instead of {expected:?}");
}

/// Same scores and maps, to rounding.
#[track_caller]
fn same(found: &[Explained], expected: &[Explained]) {
    for (found, expected) in found.iter().zip(expected) {
        close(&found.scores, &expected.scores, 1e-5);
        assert_eq!(found.class, expected.class);
        for (a, b) in found.maps.iter().zip(&expected.maps) {
            let most = b.iter().fold(0.0, |m: f32, v| m.max(v.abs()));
            assert!(most > 0.0, "the map is not empty");
            close(a.as_slice().unwrap(), b.as_slice().unwrap(), 1e-6 * most);
        }
    }
}

fn softmax(scores: &[f32]) -> Vec<f32> {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = scores.iter().map(|s| (s - most).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|p| p / sum).collect()
}

/// What the file itself answers, picture by picture.
fn answers(model: &Model) -> Vec<Vec<f32>> {
    let mut session = engines()[0].load(Source::Bytes(model.to_bytes()), None).unwrap();
    let values = run_session(&mut *session, &x()).unwrap().remove(0);
    values.outer_iter().map(|row| row.iter().copied().collect()).collect()
}

/// Weights of the last layer in bytes are its rows as floats are: every method, CAM too.
#[test]
fn a_head_stored_in_bytes() {
    let net = |stored: bool| {
        let bytes: Vec<u8> = (0..60).map(|i| (i * 37 % 251) as u8).collect();
        let floats: Vec<f32> = bytes.iter().map(|b| (f32::from(*b) - 128.0) * 0.015625).collect();
        on_trunk(5, |net| {
            let net = net.node("GlobalAveragePool", &["features"], &["mean"]).node("Flatten", &["mean"], &["vector"]);
            let net = if stored {
                net.tensor("w8", raw(DataType::U8, &[12, 5], bytes))
                    .floats("step", &[], &[0.015625])
                    .tensor("middle", raw(DataType::U8, &[], vec![128]))
                    .node("DequantizeLinear", &["w8", "step", "middle"], &["w"])
            } else {
                net.floats("w", &[12, 5], &floats)
            };
            net.node("MatMul", &["vector", "w"], &["logits"])
        })
    };
    same(&maps(&net(true), 3), &maps(&net(false), 3));
}

/// A quantised network's answer is rounded, as floats or as bytes; its scores are what was rounded.
#[test]
fn rounded_answers() {
    let net = |end: &dyn Fn(Maker) -> Maker| {
        let head = Maker::new(17)
            .input("x", "f32[N,3,16,16]")
            .floats("step", &[], &[1.0 / 256.0])
            .floats("wide", &[], &[1.0 / 16.0])
            .tensor("zero", raw(DataType::U8, &[], vec![0]))
            .tensor("middle", raw(DataType::U8, &[], vec![128]));
        let mut proto = end(head).build();
        let bare = tiny_cnn(17, 5).build().graph.unwrap();
        let graph = proto.graph.as_mut().unwrap();
        graph.node.splice(..0, bare.node);
        graph.initializer.extend(bare.initializer);
        Model::from_proto(proto, std::path::Path::new("rounded.onnx")).unwrap()
    };
    let expected = maps(&tiny_cnn(17, 5).model(), 3);
    let probabilities = net(&|m| {
        m.node("Softmax", &["logits"], &["p"])
            .node("QuantizeLinear", &["p", "step", "zero"], &["q"])
            .node("DequantizeLinear", &["q", "step", "zero"], &["probabilities"])
            .output("probabilities", "f32[N,5]")
    });
    assert_eq!(activation(&probabilities), (Activation::Softmax, true));
    same(&maps(&probabilities, 3), &expected);
    let bytes = net(&|m| {
        m.node("Softmax", &["logits"], &["p"])
            .node("QuantizeLinear", &["p", "step", "zero"], &["q"])
            .output("q", "u8[N,5]")
    });
    assert_eq!(activation(&bytes), (Activation::Softmax, true));
    same(&maps(&bytes, 3), &expected);
    let scores = net(&|m| m.node("QuantizeLinear", &["logits", "wide", "middle"], &["q"]).output("q", "u8[N,5]"));
    assert_eq!(activation(&scores), (Activation::Softmax, false));
    same(&maps(&scores, 3), &expected);
}

/// R02: one network saved bare, with Softmax, with LogSoftmax, with Reshape or Flatten behind.
#[test]
fn the_score_is_what_enters_the_last_activation() {
    let bare = tiny_cnn(17, 5).model();
    let expected = maps(&bare, 3);
    assert_eq!(activation(&bare), (Activation::Softmax, false));
    let reshaped = tiny_cnn_ending_in("Softmax", 17, 5)
        .integers("shape", &[2], &[-1, 5])
        .node("Reshape", &["probabilities", "shape"], &["out"])
        .node("Flatten", &["out"], &["flat out"])
        .node("Identity", &["flat out"], &["same"]);
    let mut reshaped = reshaped.build();
    reshaped.graph.as_mut().unwrap().output[0].name = Some("same".to_owned());
    let models = [
        tiny_cnn_ending_in("Softmax", 17, 5).model(),
        tiny_cnn_ending_in("Softmax", 11, 5).model(),
        tiny_cnn_ending_in("LogSoftmax", 17, 5).model(),
        Model::from_proto(reshaped, "reshaped.onnx".as_ref()).unwrap(),
    ];
    for model in &models {
        assert_eq!(activation(model), (Activation::Softmax, true));
        let found = maps(model, 3);
        let opset = model.opset();
        let other_weights = opset != 17; // The seed is the opset.
        let expected = if other_weights { maps(&tiny_cnn(opset, 5).model(), 3) } else { expected.clone() };
        same(&found, &expected);
        // The file's answer is the softmax of these scores: no softmax of a softmax.
        for (found, answer) in found.iter().zip(answers(model)) {
            let probabilities = softmax(&found.scores);
            let logarithms: Vec<f32> = probabilities.iter().map(|p| p.ln()).collect();
            let log = answer.iter().any(|v| *v < 0.0);
            close(&answer, if log { &logarithms } else { &probabilities }, 1e-5);
        }
    }
}

/// R02: a bias of 60 makes the network certain, the gradient of its probability zero, and that of its score no other.
#[test]
fn certainty_changes_no_map() {
    let expected = maps(&tiny_cnn(17, 5).model(), 3);
    let found = maps(&certain(17, 5, 3), 3);
    for (found, expected) in found.iter().zip(&expected) {
        assert!(softmax(&found.scores)[3] > 0.999_999);
        assert_eq!((&found.maps, &found.weights), (&expected.maps, &expected.weights));
    }
    let mut bias = elements(&tiny_cnn_ending_in("Softmax", 17, 5).model(), "fc.bias");
    bias[3] += 60.0;
    let with_softmax = edited(tiny_cnn_ending_in("Softmax", 17, 5), "fc.bias", &bias);
    assert!(answers(&with_softmax).iter().all(|row| row[3] == 1.0), "the file is certain");
    same(&maps(&with_softmax, 3), &found);
}

/// A softmax that is not over the classes is not the last activation; nor is one inside.
#[test]
fn other_softmaxes() {
    let gate = on_trunk(5, |net| {
        net.node("GlobalAveragePool", &["features"], &["mean"])
            .node("Flatten", &["mean"], &["flat"])
            .node("Softmax", &["flat"], &["soft"])
            .with("axis", 1)
            .weights("w", &[12, 5])
            .node("MatMul", &["soft", "w"], &["logits"])
    });
    assert_eq!(activation(&gate), (Activation::Softmax, false));
    maps_of_gradient(&gate);
    let over_pictures = tiny_cnn_ending_in("Softmax", 17, 5).build();
    let mut over_pictures = over_pictures;
    let node = over_pictures.graph.as_mut().unwrap().node.last_mut().unwrap();
    node.attribute[0].i = Some(0);
    let model = Model::from_proto(over_pictures, "over_pictures.onnx".as_ref()).unwrap();
    assert_eq!(activation(&model), (Activation::Softmax, false), "it is over the batch");
}

fn maps_of_gradient(model: &Model) {
    let found = agreed(model, &["grad-cam", "grad-cam++"], &PlanOptions::default(), &x(), -1);
    assert!(found.iter().flat_map(|e| &e.maps).any(|map| map.iter().any(|v| *v > 0.0)));
}

#[test]
fn the_activation_can_be_said() {
    for activation in [Activation::Sigmoid, Activation::None, Activation::Softmax] {
        let head = HeadOptions { activation: Some(activation), ..HeadOptions::default() };
        let options = PlanOptions { head, ..PlanOptions::default() };
        for model in [tiny_cnn(17, 5).model(), tiny_cnn_ending_in("Softmax", 17, 5).model()] {
            assert_eq!(plan(&model, &["grad-cam"], &options).unwrap().head.activation, activation);
        }
    }
}

/// Several classes at once, each for itself.
#[test]
fn multi_label_heads() {
    let model = tiny_cnn_ending_in("Sigmoid", 17, 5).model();
    assert_eq!(activation(&model), (Activation::Sigmoid, true));
    for class in [0, 4] {
        same(&maps(&model, class), &maps(&tiny_cnn(17, 5).model(), class));
    }
}

/// One score: class 1 by it, class 0 by its negative, the predicted one by its sign.
#[test]
fn heads_of_one_score() {
    let with_sigmoid = |maker: Maker| {
        let mut proto = maker.node("Sigmoid", &["logits"], &["probability"]).build();
        proto.graph.as_mut().unwrap().output[0].name = Some("probability".to_owned());
        Model::from_proto(proto, "sigmoid.onnx".as_ref()).unwrap()
    };
    let scores: Vec<f32> = answers(&tiny_binary(17).model()).concat();
    // Shifted by the mean, one picture is on each side.
    let shift = -(scores[0] + scores[1]) / 2.0 + elements(&tiny_binary(17).model(), "fc.bias")[0];
    let models = [
        (edited(tiny_binary(17), "fc.bias", &[shift]), false),
        (edited(tiny_binary_vector(17), "fc.bias", &[shift]), false),
        (with_sigmoid(tiny_binary(17)), true),
        (with_sigmoid(tiny_binary_vector(17)), true),
    ];
    for (model, found_in_model) in &models {
        let head = plan(model, &["grad-cam"], &PlanOptions::default()).unwrap().head;
        assert_eq!((head.classes, head.binary), (2, true));
        assert_eq!((head.activation, head.found), (Activation::Sigmoid, *found_in_model));
        let [for_it, against, predicted] = [1, 0, -1].map(|class| maps(model, class));
        let answers = answers(model);
        for i in 0..2 {
            let [no, yes] = for_it[i].scores[..] else { panic!("two scores") };
            assert_eq!(no, -yes);
            let answer = if *found_in_model { 1.0 / (1.0 + (-yes).exp()) } else { yes };
            close(&answers[i], &[answer], 1e-5);
            assert_eq!(predicted[i].class, usize::from(yes > 0.0));
            let by_sign = if yes > 0.0 { &for_it[i] } else { &against[i] };
            assert_eq!(&predicted[i], by_sign);
            // Grad-CAM and CAM are linear in the gradient.
            for m in [0, 2] {
                let negative = for_it[i].maps[m].mapv(|v| -v);
                close(against[i].maps[m].as_slice().unwrap(), negative.as_slice().unwrap(), 0.0);
                assert!(negative.iter().any(|v| *v != 0.0));
            }
        }
    }
    let signs: Vec<bool> = maps(&models[0].0, 1).iter().map(|e| e.scores[1] > 0.0).collect();
    assert_ne!(signs[0], signs[1]);
    let most = plan(&models[0].0, &["grad-cam"], &PlanOptions::default()).unwrap();
    for engine in engines() {
        let error = both::explainer(&most, &engine, 1).run(&pictures(&[1, 3, 16, 16], 5), &[2]).unwrap_err();
        assert_eq!(error.to_string(), "class 2 was asked for, the network has 2, counted from 0");
    }
}

/// Class maps pooled to [N, C, 1, 1], with and without a softmax over the channels.
#[test]
fn outputs_with_axes_of_one() {
    let expected = maps(&tiny_conv_head(17, 5).model(), 2);
    let ending = |opset: i64, softmax: bool| {
        let mut proto = tiny_conv_head(17, 5).build();
        let graph = proto.graph.as_mut().unwrap();
        graph.node.pop(); // Flatten.
        proto.opset_import[0].version = Some(opset);
        let mut maker_output = "mean";
        if softmax {
            let with = Maker::new(opset).node("Softmax", &["mean"], &["out"]).with("axis", 1).build();
            graph.node.extend(with.graph.unwrap().node);
            maker_output = "out";
        }
        graph.output[0] =
            Maker::new(opset).output(maker_output, "f32[N,5,1,1]").build().graph.unwrap().output.remove(0);
        Model::from_proto(proto, "axes.onnx".as_ref()).unwrap()
    };
    for (opset, softmax) in [(17, false), (17, true), (11, true)] {
        let model = ending(opset, softmax);
        assert_eq!(activation(&model), (Activation::Softmax, softmax));
        same(&maps(&model, 2), &expected);
    }
}

/// R04: features before scores; auxiliary heads; scores beside their probabilities, or beside the class that wins.
#[test]
fn the_obvious_one_of_several_outputs() {
    let chosen = |model: &Model| plan(model, &["grad-cam"], &PlanOptions::default()).unwrap().head.output;
    let two = tiny_two_outputs(17, 5).model();
    assert_eq!(two.graph().output[0].name(), "feat");
    assert_eq!(chosen(&two), "logits");
    same(&maps(&two, 3), &maps(&tiny_cnn(17, 5).model(), 3));

    let beside = |maker: Maker| maker.node("Softmax", &["logits"], &["probabilities"]).with("axis", 1);
    for names in [["logits", "probabilities"], ["probabilities", "logits"]] {
        let mut maker = beside(tiny_cnn(17, 5));
        let declared = maker.clone().output("probabilities", "f32[N,5]").build().graph.unwrap().output;
        maker = maker.output("probabilities", "f32[N,5]");
        let mut proto = maker.build();
        proto.graph.as_mut().unwrap().output =
            names.map(|name| declared.iter().find(|o| o.name() == name).unwrap().clone()).to_vec();
        let model = Model::from_proto(proto, "beside.onnx".as_ref()).unwrap();
        assert_eq!((chosen(&model), activation(&model)), ("probabilities".to_owned(), (Activation::Softmax, true)));
        same(&maps(&model, 3), &maps(&tiny_cnn(17, 5).model(), 3));
    }

    let label = tiny_cnn(17, 5)
        .node("ArgMax", &["logits"], &["label"])
        .with("axis", 1)
        .with("keepdims", 0)
        .output("label", "i64[N]")
        .model();
    assert_eq!(chosen(&label), "logits");

    // GoogLeNet in training mode: the auxiliary heads branch off earlier.
    let auxiliary = |name: &str| {
        let linear = |net: Maker, from: &str, channels: usize, n: &str, out: &str| {
            let [mean, flat, w] = ["mean", "flat", "w"].map(|s| format!("{s}{n}"));
            net.node("GlobalAveragePool", &[from], &[&mean])
                .node("Flatten", &[&mean], &[&flat])
                .weights(&w, &[channels, 5])
                .node("MatMul", &[&flat, &w], &[out])
                .output(out, "f32[N,5]")
        };
        linear(linear(trunk(), "relu1", 8, "a", name), "features", 12, "b", "main").model()
    };
    let model = auxiliary("aux_logits");
    assert_eq!(chosen(&model), "main");
    let plan = plan(&model, &["grad-cam"], &PlanOptions::default()).unwrap();
    assert_eq!(plan.layer.name, "features", "the auxiliary branch does not matter");
    maps_of_gradient(&model);
    assert_eq!(chosen(&auxiliary("scores")), "scores", "the telling name");
}

/// R04: two tasks: the user is asked, and answers.
#[test]
fn outputs_that_have_to_be_named() {
    let task = |net: Maker, name: &str, classes: usize| {
        let weight = format!("{name}.weight");
        net.weights(&weight, &[12, classes])
            .node("MatMul", &["flat", &weight], &[name])
            .output(name, &format!("f32[N,{classes}]"))
    };
    let net = trunk().node("GlobalAveragePool", &["features"], &["mean"]).node("Flatten", &["mean"], &["flat"]);
    let model = task(task(net, "age", 7), "colour", 3).output("features", "f32[N,12,8,8]").model();
    let refusal = |options: &PlanOptions| plan(&model, &["grad-cam"], options).unwrap_err();
    let error = refusal(&PlanOptions::default());
    assert!(matches!(error, PlanError::Head(HeadError::Ambiguous { .. })));
    let text = error.to_string();
    for part in ["age  f32[N,7]", "colour  f32[N,3]", "hint: name one with --output"] {
        assert!(text.contains(part), "{part} in: {text}");
    }
    assert!(!text.contains("features"), "a feature map is no candidate: {text}");
    for (name, classes) in [("age", 7), ("colour", 3)] {
        let head = plan(&model, &["grad-cam"], &output(name)).unwrap().head;
        assert_eq!((head.output.as_str(), head.classes), (name, classes));
        agreed(&model, &METHODS, &output(name), &x(), -1);
    }
    let text = refusal(&output("colours")).to_string();
    assert!(text.starts_with("the model has no output \"colours\"\n") && text.contains("  colour  f32[N,3]"), "{text}");
    let error = refusal(&output("features"));
    assert!(matches!(error, PlanError::Head(HeadError::Shape { .. })), "{error}");
}

/// A network without class scores: a detector, a segmenter.
#[test]
fn outputs_that_are_no_scores() {
    let model = trunk().output("features", "f32[N,12,8,8]").model();
    let error = plan(&model, &["grad-cam"], &PlanOptions::default()).unwrap_err();
    assert!(matches!(error, PlanError::Head(HeadError::NoCandidate { .. })), "{error}");
    assert!(error.to_string().contains("features  f32[N,12,8,8]"), "{error}");
}

/// Two thousand million scores would be a list of classes of 16 GB, before any of them is computed.
#[test]
fn more_scores_than_there_are_classes() {
    let net = trunk()
        .integers("flat", &[2], &[0, -1])
        .node("Reshape", &["features", "flat"], &["vector"])
        .integers("many", &[2], &[1, 2_000_000])
        .node("Tile", &["vector", "many"], &["logits"]);
    let error = plan(&net.output("logits", "f32[N,1536000000]").model(), &["grad-cam"], &PlanOptions::default());
    let error = error.unwrap_err();
    assert!(matches!(error, PlanError::Head(HeadError::NoCandidate { .. })), "{error}");
    assert!(error.to_string().contains("logits  f32[N,1536000000]"), "{error}");
}

/// An operator that is not understood, and no declared shape behind it: the error names it. With the shape declared the
/// network is explained all the same, as that node lies before the layer.
#[test]
fn scores_of_unknown_shape() {
    let model = |declared: bool| {
        let net = Maker::new(17)
            .input("x", "f32[N,3,16,16]")
            .node("Bernoulli", &["x"], &["odd"])
            .named("/odd/Bernoulli")
            .weights("w", &[6, 3, 3, 3])
            .node("Conv", &["odd", "w"], &["features"])
            .node("GlobalAveragePool", &["features"], &["mean"])
            .node("Flatten", &["mean"], &["flat"])
            .weights("fc", &[6, 5])
            .node("MatMul", &["flat", "fc"], &["logits"])
            .output("logits", "f32");
        if declared { net.declare("odd", "f32[N,3,16,16]").model() } else { net.model() }
    };
    for options in [PlanOptions::default(), output("logits")] {
        let text = plan(&model(false), &["grad-cam"], &options).unwrap_err().to_string();
        let start = "the shape of output \"logits\" is not known, as `Bernoulli` (node \"/odd/Bernoulli\"";
        assert!(
            text.starts_with(start) && text.contains("is not understood: this operator is not known here"),
            "{text}"
        );
    }
    let plan = plan(&model(true), &["grad-cam"], &PlanOptions::default()).unwrap();
    assert_eq!(plan.layer.name, "features");
    if let Some(runtime) = both::onnx_runtime() {
        let found = both::explain(&plan, &runtime, &x(), 1);
        assert!(found[0].maps[0].iter().any(|v| *v > 0.0), "it is carried to the engine");
    }
}

/// Heads whose last layer is no linear layer get a one-hot seed instead of a row of weights: the same gradient.
#[test]
fn heads_without_a_last_linear_layer() {
    let scaled = on_trunk(5, |net| {
        net.node("GlobalAveragePool", &["features"], &["mean"])
            .node("Flatten", &["mean"], &["flat"])
            .weights("w", &[12, 5])
            .node("MatMul", &["flat", "w"], &["product"])
            .floats("temperature", &[], &[2.0])
            .node("Mul", &["product", "temperature"], &["logits"])
    });
    let plain = on_trunk(5, |net| {
        net.node("GlobalAveragePool", &["features"], &["mean"])
            .node("Flatten", &["mean"], &["flat"])
            .weights("w", &[12, 5])
            .node("Gemm", &["flat", "w"], &["logits"])
            .with("alpha", 2.0)
    });
    let names = ["grad-cam", "grad-cam++"];
    let found = [&scaled, &plain].map(|m| agreed(m, &names, &PlanOptions::default(), &x(), 1));
    same(&found[0], &found[1]);
    // Weights that another node computes are no constants.
    let transposed = on_trunk(5, |net| {
        net.node("GlobalAveragePool", &["features"], &["mean"])
            .node("Flatten", &["mean"], &["flat"])
            .weights("w", &[5, 12])
            .node("Transpose", &["w"], &["wt"])
            .with("perm", [1, 0])
            .node("MatMul", &["flat", "wt"], &["logits"])
    });
    let linear = agreed(&transposed, &METHODS, &PlanOptions::default(), &x(), 1);
    let weights = Array2::from_shape_vec((5, 12), elements(&transposed, "w")).unwrap();
    close(&linear[0].weights[2], weights.row(1).as_slice().unwrap(), 0.0);
}
