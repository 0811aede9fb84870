//! The explained graph in two parts: several classes from one pass of the backbone, and what crosses between them.

#[path = "support/both.rs"]
mod both;
#[path = "support/networks.rs"]
mod networks;

use std::sync::Arc;

use both::{engines, explainer, picture, pictures, plan, run};
use ndarray::{ArrayD, Axis};
use networks::{Errors, Network, apart, most};
use onnx_graph::{Model, Tensor};
use onnxcam::engine::Engine;
use onnxcam::explain::{Explained, Plan, PlanOptions, Split, SplitExplainer};
use testkit::models::{Maker, tiny_cnn};

/// What a plan's tail computes.
fn wanted(plan: &Plan) -> Vec<Tensor> {
    [plan.head.scores, plan.class].into_iter().chain(plan.maps.iter().map(|m| m.map)).collect()
}

/// The predicted class and these, of every picture, from one pass of the backbone each.
fn split(plan: &Plan, engine: &Arc<dyn Engine>, x: &ArrayD<f32>, classes: &[i64]) -> Option<Vec<Vec<Explained>>> {
    let mut split = SplitExplainer::new(plan, engine, x.len_of(Axis(0)), None).unwrap()?;
    let mut handed = Vec::new();
    for chunk in x.axis_chunks_iter(Axis(0), split.batch()) {
        handed.extend(split.backbone(&chunk.to_owned()).unwrap());
    }
    let of = |split: &mut SplitExplainer, handed| {
        let rows: Vec<_> = [-1].iter().chain(classes).map(|class| (handed, *class)).collect();
        split.tail(&rows).unwrap()
    };
    Some(handed.iter().map(|handed| of(&mut split, handed)).collect())
}

/// How far scores and maps are from those of a run of the whole graph for each class alone.
fn errors(plan: &Plan, engine: &Arc<dyn Engine>, x: &ArrayD<f32>, classes: &[i64], errors: &mut Errors) -> bool {
    let Some(found) = split(plan, engine, x, classes) else { return false };
    let mut whole = explainer(plan, engine, x.len_of(Axis(0)));
    for (c, class) in [-1].iter().chain(classes).enumerate() {
        for (i, expected) in run(&mut whole, x, *class).iter().enumerate() {
            let found = &found[i][c];
            assert_eq!(found.class, expected.class);
            assert_eq!(found.notes, expected.notes);
            let scores = |e: &Explained| ndarray::Array1::from(e.scores.clone()).into_dyn();
            errors.add("scores", apart(&scores(found), &scores(expected), f64::from(most_of(&expected.scores))));
            for (found, expected) in found.maps.iter().zip(&expected.maps) {
                let (found, expected) = (found.clone().into_dyn(), expected.clone().into_dyn());
                errors.add("maps", apart(&found, &expected, most(&expected).max(1e-12)));
            }
        }
    }
    true
}

fn most_of(values: &[f32]) -> f32 {
    values.iter().fold(f32::MIN_POSITIVE, |most, v| most.max(v.abs()))
}

/// One class alone, by a run of the whole graph, and the same among others agree to rounding: within 1e-4 of the map's
/// maximum, as cancelling terms have rounded otherwise.
#[test]
fn several_classes_from_one_pass_are_those_of_a_run_each() {
    let mut count = 0;
    for engine in engines() {
        for network in Network::golden() {
            for export in &network.exports {
                let plan = plan(&export.open(), &network.method_names(), &PlanOptions::default()).unwrap();
                let classes: Vec<i64> = network.classes.iter().copied().chain([0, 3, 5, 9]).collect();
                let mut worst = Errors::default();
                assert!(errors(&plan, &engine, &network.input, &classes, &mut worst), "{export} runs in two parts");
                println!("{export} on {}: {worst}", engine.name());
                let beyond = worst.beyond(1e-4);
                assert!(beyond.is_empty(), "{export} on {}: {}", engine.name(), beyond.join(", "));
                count += 1;
            }
        }
    }
    assert!(count >= 35, "{count}");
}

/// Every activation of networks with shortcuts, so that paths lead around most of them.
#[test]
fn any_layer_will_do() {
    let mut crossing = 0;
    let mut layers = 0_usize;
    for network in Network::golden().iter().filter(|n| ["resnet18", "densenet", "googlenet"].contains(&&*n.name)) {
        let model = network.exports[0].open();
        let automatic = plan(&model, &["grad-cam"], &PlanOptions::default()).unwrap();
        let of_maps = |t: &Tensor| automatic.graph.shape(*t).is_some_and(|s| s.len() == 4 && s[2].known() > Some(1));
        let relus = automatic.graph.nodes().iter().filter(|n| &*n.op == "Relu" && !n.name.is_empty());
        let relus = relus.flat_map(|n| n.outputs.iter().flatten()).filter(|t| of_maps(t));
        for relu in relus.map(|t| automatic.graph.tensor(*t).name.to_string()) {
            let options = PlanOptions { layer: Some(relu.clone()), ..PlanOptions::default() };
            let plan = plan(&model, &["grad-cam", "grad-cam++"], &options).unwrap();
            let split = Split::of(&plan, &wanted(&plan)).unwrap();
            crossing += usize::from(split.backbone.outputs.len() > 1);
            layers += 1;
            for engine in engines() {
                let mut worst = Errors::default();
                assert!(errors(&plan, &engine, &network.input, &[0, 4], &mut worst));
                let beyond = worst.beyond(1e-4);
                assert!(beyond.is_empty(), "{}, {relu} on {}: {}", network.name, engine.name(), beyond.join(", "));
            }
        }
    }
    assert!(layers >= 30 && crossing >= 8, "{layers} layers, {crossing} with paths around them");
}

/// Each convolution is in one part: the backbone computes nothing for a class, the tail nothing of the picture.
#[test]
fn no_work_is_done_twice() {
    let model = tiny_cnn(17, 5).model();
    let plan = plan(&model, &["grad-cam++"], &PlanOptions::default()).unwrap();
    let split = Split::of(&plan, &wanted(&plan)).unwrap();
    let count = |graph: &onnx_graph::Graph, op: &str| graph.nodes().iter().filter(|n| &*n.op == op).count();
    let names = |graph: &onnx_graph::Graph, tensors: &[Tensor]| -> Vec<String> {
        tensors.iter().map(|t| graph.tensor(*t).name.to_string()).collect()
    };
    assert_eq!(names(&split.backbone, &split.backbone.inputs), ["x"]);
    assert_eq!(names(&split.tail, &split.tail.inputs), [&*plan.layer.name, "onnxcam.target"]);
    assert_eq!(count(&split.backbone, "Conv"), count(&plan.graph, "Conv"));
    assert_eq!((count(&split.tail, "Conv"), count(&split.backbone, "ArgMax"), count(&split.tail, "ArgMax")), (0, 0, 1));
}

/// Rows of two pictures of two classes each in one run of the tail.
#[test]
fn rows_are_of_their_pictures() {
    let model = tiny_cnn(17, 5).model();
    let plan = plan(&model, &["grad-cam++"], &PlanOptions::default()).unwrap();
    let x = pictures(&[3, 3, 16, 16], 5);
    for engine in engines() {
        let mut split = SplitExplainer::new(&plan, &engine, 2, None).unwrap().unwrap();
        let handed = split.backbone(&x.select(Axis(0), &[0, 1])).unwrap();
        let last = split.backbone(&picture(&x, 2)).unwrap();
        let rows = [(&last[0], 4), (&handed[1], 0), (&handed[0], 4), (&handed[1], 4), (&handed[0], 0)];
        let found = split.tail(&rows).unwrap();
        let mut whole = explainer(&plan, &engine, 1);
        for (found, (i, class)) in found.iter().zip([(2, 4), (1, 0), (0, 4), (1, 4), (0, 0)]) {
            let expected = run(&mut whole, &picture(&x, i), class).remove(0);
            let error = apart(&found.maps[0].clone().into_dyn(), &expected.maps[0].clone().into_dyn(), 1.0);
            assert!(found.class == expected.class && error < 1e-5, "picture {i}, class {class}: {error}");
        }
    }
}

/// Where pictures of a batch are mixed in what crosses, the graph runs whole.
#[test]
fn what_has_no_row_for_each_picture_is_not_handed_over() {
    // The mean of a picture's channel scales its scores: one number a picture, in a tensor whose first axis is not the batch.
    let model = |perm: [i32; 2]| -> Model {
        Maker::new(17)
            .input("x", "f32[N,3,16,16]")
            .weights("conv.weight", &[6, 3, 3, 3])
            .weights("fc.weight", &[6, 5])
            .node("Conv", &["x", "conv.weight"], &["conv"])
            .node("Relu", &["conv"], &["features"])
            .node("GlobalAveragePool", &["features"], &["mean"])
            .node("Flatten", &["mean"], &["flat"])
            .node("MatMul", &["flat", "fc.weight"], &["linear"])
            .node("GlobalMaxPool", &["x"], &["most"])
            .node("Flatten", &["most"], &["brightest"])
            .node("ReduceMean", &["brightest"], &["brightness"])
            .with("axes", [1])
            .with("keepdims", 1)
            .node("Transpose", &["brightness"], &["side"])
            .with("perm", perm)
            .node("Transpose", &["side"], &["back"])
            .with("perm", perm)
            .node("Mul", &["linear", "back"], &["logits"])
            .output("logits", "f32[N,5]")
            .model()
    };
    let options = PlanOptions { layer: Some("features".to_owned()), ..PlanOptions::default() };
    for (perm, splits) in [([0, 1], true), ([1, 0], false)] {
        let plan = plan(&model(perm), &["grad-cam"], &options).unwrap();
        // The tail reads what was transposed once only where the second one is in it; so ask for that as well.
        let side = plan.graph.find("side").unwrap();
        let wanted: Vec<Tensor> = wanted(&plan).into_iter().chain([side]).collect();
        assert_eq!(Split::of(&plan, &wanted).is_some(), splits, "{perm:?}");
    }
}
