//! Files that are explained graphs already, and names that are ours or twice there.

#[path = "support/both.rs"]
mod both;

use both::{agreed, pictures, plan};
use ndarray::ArrayD;
use onnx_graph::{Model, Spelling, TARGET, spell};
use onnxcam::explain::{Layers, PlanError, PlanOptions};
use testkit::models::{Maker, tiny_cnn, tiny_conv_head};

const METHODS: [&str; 2] = ["grad-cam", "grad-cam++"];

fn x() -> ArrayD<f32> {
    pictures(&[1, 3, 16, 16], 7)
}

/// The model with its explanation in it, as a file: the scores first, then class, weights and maps.
fn with_explanation(model: &Model, options: &PlanOptions) -> Model {
    let plan = plan(model, &METHODS, options).unwrap();
    let mut graph = plan.graph;
    graph.outputs.push(plan.class);
    graph.outputs.extend(plan.maps.iter().flat_map(|m| m.weights.into_iter().chain([m.map])));
    let file = tempfile::NamedTempFile::new().unwrap();
    let proto = spell(&graph, &Spelling::for_graph(&graph, 1)).unwrap();
    Model::from_proto(proto, file.path()).unwrap().save(file.path()).unwrap();
    Model::open(file.path()).unwrap()
}

/// Explained once, twice, three times: the maps of the first.
#[test]
fn an_explained_model_is_explained_as_its_original() {
    for original in [tiny_cnn(17, 5).model(), tiny_conv_head(17, 5).model()] {
        let options = PlanOptions::default();
        let expected = agreed(&original, &METHODS, &options, &x(), -1);
        assert!(expected[0].maps.iter().all(|map| map.iter().any(|v| *v > 0.0)));
        let once = with_explanation(&original, &options);
        assert_eq!(once.graph().input.len(), 2);
        assert_eq!(agreed(&once, &METHODS, &options, &x(), -1), expected);
        let twice = with_explanation(&once, &options);
        assert_eq!(agreed(&twice, &METHODS, &options, &x(), -1), expected);
        assert_eq!(
            agreed(&twice, &METHODS, &options, &x(), 2),
            agreed(&original, &METHODS, &options, &x(), 2),
            "a class that is asked for"
        );
        assert_eq!(Layers::of(&once, &options).unwrap().head.output, "logits");
    }
}

/// Names of the file that are ours otherwise, and one name for a node and what it makes.
#[test]
fn names_that_clash() {
    let expected = agreed(&tiny_cnn(17, 5).model(), &METHODS, &PlanOptions::default(), &x(), -1);
    for (from, to) in [("features", TARGET), ("pool", "onnxcam.t1"), ("conv1.bias", "onnxcam.t2"), ("x", TARGET)] {
        let mut proto = tiny_cnn(17, 5).build();
        let graph = proto.graph.as_mut().unwrap();
        let read = graph.node.iter_mut().flat_map(|n| n.input.iter_mut().chain(&mut n.output));
        let declared = graph.input.iter_mut().flat_map(|v| &mut v.name);
        let weights = graph.initializer.iter_mut().flat_map(|t| &mut t.name);
        read.chain(declared).chain(weights).filter(|n| *n == from).for_each(|n| *n = to.to_owned());
        graph.node.iter_mut().for_each(|n| n.name = n.output.first().cloned());
        let model = Model::from_proto(proto, "clash.onnx".as_ref()).unwrap();
        assert_eq!(agreed(&model, &METHODS, &PlanOptions::default(), &x(), -1), expected, "{from} is called {to}");
    }
}

#[test]
fn inputs_of_one_number_are_named() {
    let model = tiny_cnn(17, 5).input("is_training", "bool[]").input("keep_prob", "f32[1]").model();
    let error = plan(&model, &METHODS, &PlanOptions::default()).unwrap_err();
    assert!(matches!(error, PlanError::Inputs { .. }));
    assert_eq!(
        error.to_string(),
        "the model has 3 inputs to feed:\n  x  f32[N,3,16,16]\n  is_training  bool[]\n  keep_prob  f32[1]\n\
         hint: one of them is the picture; --input 'is_training=VALUE' --input 'keep_prob=VALUE' gives the others what they \
         always have"
    );
    let pictures = tiny_cnn(17, 5).input("y", "f32[N,3,16,16]").model();
    let error = plan(&pictures, &METHODS, &PlanOptions::default()).unwrap_err().to_string();
    assert!(
        error.ends_with("hint: one of them is the picture; networks of several pictures cannot be explained"),
        "{error}"
    );
}

/// Inputs that always have one value: scalars, a number a channel, and one that decides which branch the network is.
#[test]
fn inputs_with_a_value() {
    let factor = |net: Maker| {
        net.weights("w", &[4, 3, 3, 3])
            .node("Sub", &["x", "mean"], &["centred"])
            .node("Conv", &["centred", "w"], &["conv"])
            .node("Relu", &["conv"], &["features"])
            .node("Dropout", &["features", "ratio", "training"], &["kept"])
            .node("GlobalAveragePool", &["kept"], &["pooled"])
            .node("Flatten", &["pooled"], &["flat"])
            .weights("fc", &[4, 5])
            .node("MatMul", &["flat", "fc"], &["scores"])
            .node("Mul", &["scores", "factor"], &["logits"])
            .output("logits", "f32[N,5]")
            .model()
    };
    let picture = || Maker::new(17).input("x", "f32[N,3,16,16]");
    let open = factor(
        picture()
            .input("mean", "f32[1,3,1,1]")
            .input("training", "bool[]")
            .input("ratio", "f32[]")
            .input("factor", "f32[M,1]"),
    );
    let plain = factor(
        picture()
            .floats("mean", &[1, 3, 1, 1], &[0.1, -0.2, 0.3])
            .tensor("training", testkit::models::raw(onnx_graph::DataType::Bool, &[], vec![0]))
            .floats("ratio", &[], &[0.5])
            .floats("factor", &[1, 1], &[2.0]),
    );
    let given = |values: &[(&str, &[f64])]| {
        let mut options = PlanOptions::default();
        options.import.values = values.iter().map(|(name, values)| ((*name).to_owned(), values.to_vec())).collect();
        options
    };
    let all: [(&str, &[f64]); 4] =
        [("training", &[0.0]), ("mean", &[0.1, -0.2, 0.3]), ("ratio", &[0.5]), ("factor", &[2.0])];
    let expected = agreed(&plain, &METHODS, &PlanOptions::default(), &x(), -1);
    assert!(expected[0].maps[1].iter().any(|v| *v > 0.0));
    assert_eq!(agreed(&open, &METHODS, &given(&all), &x(), -1), expected);

    let refused = |values: &[(&str, &[f64])], said: &str| {
        let error = plan(&open, &METHODS, &given(values)).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(said), "{said:?} is not in {error:?}");
    };
    refused(&all[..3], "the model has 2 inputs to feed:\n  x  f32[N,3,16,16]\n  factor  f32[N,1]");
    refused(
        &[("meen", &[0.0])],
        "the model has no input \"meen\" that a value could be given to\n\
         hint: its inputs are x, mean, training, ratio, factor",
    );
    refused(&[("mean", &[0.1, 0.2])], "input \"mean\" is f32[1,3,1,1]: it takes 3 values, or one for all, not 2");
    refused(&[("training", &[0.5])], "input \"training\" is bool[]: it takes whole numbers");
    refused(&[("mean", &[])], "it takes 3 values, or one for all, not 0");
}

/// A network made for 8 × 8 pictures that does not say so.
#[test]
fn a_shape_that_does_not_fit_an_assumed_size() {
    let net = |input: &str| {
        Maker::new(17)
            .input("x", input)
            .weights("w", &[4, 3, 1, 1])
            .node("Conv", &["x", "w"], &["conv"])
            .node("Relu", &["conv"], &["features"])
            .integers("shape", &[3], &[0, 4, 64])
            .node("Reshape", &["features", "shape"], &["rows"])
            .node("ReduceMean", &["rows"], &["logits"])
            .with("axes", [2])
            .with("keepdims", 0)
            .output("logits", "f32")
            .model()
    };
    let hint = |model: &Model| plan(model, &METHODS, &PlanOptions::default()).unwrap_err().to_string();
    let assumed = hint(&net("f32[N,3,h,w]"));
    assert!(assumed.contains("\nhint: the size of the input is assumed; --input-size gives"), "{assumed}");
    let declared = hint(&net("f32[N,3,9,9]"));
    assert!(declared.contains("\nhint: `onnx.shape_inference`"), "{declared}");
}
