//! Scores that are a part of an output, or a computation on outputs: each against the model that has it built in.

#[path = "support/both.rs"]
mod both;

#[path = "support/networks.rs"]
mod networks;

use std::path::Path;
use std::sync::Arc;

use both::{agreed, engines, explain, picture, pictures, plan};
use ndarray::Array1;
use networks::{Errors, Failures, Network, apart, golden, most};
use onnxcam::Target;
use onnxcam::engine::Chosen;
use onnxcam::explain::PlanOptions;
use onnxcam::method::GradCam;
use onnxcam::picture::Picture;
use onnxcam::target::{AxisPart, HeadOptions, Part, Score, Similarity};
use testkit::models::{Maker, tiny_cnn};
use testkit::npz;

const METHODS: [&str; 2] = ["grad-cam", "grad-cam++"];

fn of(score: Score) -> PlanOptions {
    let head = HeadOptions { score: Some(score), ..HeadOptions::default() };
    PlanOptions { layer: Some("features".to_owned()), head, ..PlanOptions::default() }
}

fn part(text: &str) -> PlanOptions {
    of(Score::Part(text.parse().unwrap_or_else(|e| panic!("{e}"))))
}

/// A trunk with a segmentation output [N, 5, 6, 8], a detector's [N, 9, 12], and an embedding [N, 12].
fn trunk() -> Maker {
    Maker::new(17)
        .input("x", "f32[N,3,12,16]")
        .weights("w1", &[12, 3, 3, 3])
        .node("Conv", &["x", "w1"], &["c1"])
        .with("strides", vec![2i64, 2])
        .with("pads", vec![1i64, 1, 1, 1])
        .node("Relu", &["c1"], &["features"])
        .weights("w2", &[5, 12, 3, 3])
        .node("Conv", &["features", "w2"], &["seg"])
        .with("pads", vec![1i64, 1, 1, 1])
        .weights("w3", &[9, 12, 3, 3])
        .node("Conv", &["features", "w3"], &["b"])
        .with("strides", vec![2i64, 2])
        .with("pads", vec![1i64, 1, 1, 1])
        .integers("as_boxes", &[3], &[0, 9, -1])
        .node("Reshape", &["b", "as_boxes"], &["boxes"])
        .node("GlobalAveragePool", &["features"], &["p"])
        .node("Flatten", &["p"], &["embedding"])
}

fn network() -> onnx_graph::Model {
    trunk().output("seg", "f32[N,5,6,8]").output("boxes", "f32[N,9,12]").output("embedding", "f32[N,12]").model()
}

/// The same maps and scores as a model whose only output they are.
#[track_caller]
fn same(options: &PlanOptions, built_in: Maker) {
    let x = pictures(&[2, 3, 12, 16], 1);
    let built_in = built_in.output("scores", "f32[N,C]").model();
    let layer = PlanOptions { layer: Some("features".to_owned()), ..PlanOptions::default() };
    for class in [-1, 2] {
        let found = agreed(&network(), &METHODS, options, &x, class);
        let expected = agreed(&built_in, &METHODS, &layer, &x, class);
        assert!(found[0].maps.iter().all(|map| map.iter().any(|v| *v > 0.0)));
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!((found.class, found.scores.len()), (expected.class, expected.scores.len()));
            for (a, b) in found.maps.iter().zip(&expected.maps) {
                let most = b.iter().fold(0f32, |most, v| most.max(v.abs()));
                assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 2e-6 * most), "{a} is not {b}");
            }
        }
    }
}

/// Rows 1 to 2, columns 2 to 4 of a segmentation: each class's mean score there.
fn region() -> Maker {
    trunk()
        .integers("from", &[2], &[1, 2])
        .integers("to", &[2], &[3, 5])
        .integers("axes", &[2], &[2, 3])
        .node("Slice", &["seg", "from", "to", "axes"], &["part"])
        .node("ReduceMean", &["part"], &["scores"])
        .with("axes", vec![2i64, 3])
        .with("keepdims", 0i64)
}

#[test]
fn a_region_of_a_segmentation() {
    same(&part("seg[c, 1:3, 2:5]"), region());
    same(&part("seg[c, 1:-3, -6:5]"), region());
}

#[test]
fn a_box_of_a_detector() {
    let built_in = trunk()
        .integers("box", &[], &[7])
        .node("Gather", &["boxes", "box"], &["row"])
        .with("axis", 2i64)
        .integers("from", &[1], &[4])
        .integers("to", &[1], &[9])
        .integers("axes", &[1], &[1])
        .node("Slice", &["row", "from", "to", "axes"], &["scores"]);
    same(&part("boxes[c4:, 7]"), built_in);
}

/// Beside the classes nothing is named: the mean over all that is left.
#[test]
fn what_is_not_named_is_averaged() {
    let built_in = trunk().node("ReduceMean", &["seg"], &["scores"]).with("axes", vec![2i64, 3]).with("keepdims", 0i64);
    same(&part("seg[c]"), built_in);
}

#[test]
fn a_graph_and_a_closure_make_the_same_scores() {
    let graph = Maker::new(13)
        .input("seg", "f32[N,5,6,8]")
        .integers("from", &[2], &[1, 2])
        .integers("to", &[2], &[3, 5])
        .integers("axes", &[2], &[2, 3])
        .node("Slice", &["seg", "from", "to", "axes"], &["part"])
        .node("ReduceMean", &["part"], &["m"])
        .with("axes", vec![2i64, 3])
        .with("keepdims", 0i64)
        .output("m", "f32[N,5]")
        .model();
    same(&of(Score::graph(&graph).unwrap()), region());
    let emitted = Score::Emitted(Arc::new(|e, outputs| {
        let rows = e.slice(outputs[0], 2, 1, 1, 2);
        e.reduce("ReduceMean", e.slice(rows, 3, 2, 1, 3), &[2, 3], false)
    }));
    same(&of(emitted), region());
}

/// One number a picture: the similarity of an embedding to another, the distance of two outputs, whatever.
#[test]
fn a_single_score_has_one_class() {
    let direction: Vec<f32> = (0..12).map(|i| (i as f32 * 0.7).sin()).collect();
    let graph = Maker::new(17)
        .input("embedding", "f32[N,12]")
        .floats("to", &[12], &direction)
        .node("Mul", &["embedding", "to"], &["product"])
        .node("ReduceL2", &["embedding"], &["length"])
        .with("axes", vec![1i64])
        .with("keepdims", 1i64)
        .node("Div", &["product", "length"], &["shares"])
        .integers("one", &[1], &[1])
        .node("ReduceSum", &["shares", "one"], &["cosine"])
        .with("keepdims", 0i64)
        .output("cosine", "f32[N]")
        .model();
    let x = pictures(&[2, 3, 12, 16], 1);
    let found = agreed(&network(), &METHODS, &of(Score::graph(&graph).unwrap()), &x, -1);
    for found in &found {
        assert_eq!((found.class, found.scores.len()), (0, 1));
        assert!(found.maps[1].iter().any(|v| *v > 0.0));
    }
    assert_ne!(found[0].scores, found[1].scores);
}

#[test]
fn parts_are_read_as_they_are_written() {
    let read: Part = "out:0[c4:, -2, 3:, :5, :]".parse().unwrap();
    let mean = AxisPart::Mean;
    let axes = vec![
        AxisPart::Classes(Some(4), None),
        AxisPart::Index(-2),
        mean(Some(3), None),
        mean(None, Some(5)),
        mean(None, None),
    ];
    assert_eq!((read.output.as_str(), &read.axes), ("out:0", &axes));
    assert_eq!(read.to_string(), "out:0[c4:, -2, 3:, :5, :]");
    for (text, reason) in [
        ("out", "it does not end in ]"),
        ("out]", "it has no ["),
        ("[c]", "the output is not named"),
        ("out[c, c]", "two axes cannot both be the classes"),
        ("out[c, x]", "\"x\" is no entry"),
        ("out[]", "\"\" is no entry"),
        ("out[1:2:3]", "\"1:2:3\" is no entry"),
    ] {
        let error = text.parse::<Part>().unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains("hint: "), "{text}: {error}");
    }
}

#[test]
fn what_does_not_fit_is_said() {
    let refused = |options: &PlanOptions| plan(&network(), &["grad-cam"], options).unwrap_err().to_string();
    for (text, words) in [
        ("none[c]", "the model has no output \"none\""),
        ("seg[c, 1, 2, 3]", "4 entries for 3 axes"),
        ("seg[c, 6]", "nothing of axis 2, which has 6, is left"),
        ("seg[c, -7]", "nothing of axis 2"),
        ("seg[c, 4:2]", "nothing of axis 2"),
    ] {
        let error = refused(&part(text));
        assert!(error.contains(words), "{text}: {error}");
    }
    let graph = |input: &str, output: &str| {
        let net = Maker::new(17).input("seg", input).node("Neg", &["seg"], &["y"]).output("y", output);
        refused(&of(Score::graph(&net.model()).unwrap()))
    };
    assert!(
        graph("f32[N,5,6,9]", "f32[N,5,6,9]").contains("its input \"seg\" is f32[N,5,6,9], the output f32[N,5,6,8]")
    );
    assert!(graph("f32[N,5,6,8]", "f32[N,5,6,8]").contains("is f32[N,5,6,8]\nhint: scores are floats"));
    let other = Maker::new(17).input("z", "f32[N,5]").node("Neg", &["z"], &["y"]).output("y", "f32[N,5]").model();
    assert!(refused(&of(Score::graph(&other).unwrap())).contains("its input \"z\" is no output of the model"));
    let all = Score::Emitted(Arc::new(|e, outputs| e.reduce("ReduceMean", outputs[0], &[0, 1, 2, 3], false)));
    assert!(refused(&of(all)).contains("the score, a closure, is f32[]"));
}

/// 1e-4 of max Σ_k |w_k A^k|, against PyTorch's gradients in float64 (`references/make_similarity.py`).
#[test]
fn how_like_another_picture_is_pytorchs() {
    let mut failures = Failures::default();
    let mut count = 0;
    for network in Network::golden() {
        let file = golden().with_file_name("similarity").join(format!("{}.npz", network.name));
        if !file.exists() {
            continue;
        }
        let reference = npz(file);
        let embedding = reference["embedding"].iter().map(|v| *v as f32).collect();
        let similarity = Similarity { output: None, embedding, to: "the second".to_owned() };
        let head = HeadOptions { score: Some(Score::Similarity(similarity)), ..HeadOptions::default() };
        let options = PlanOptions { head, signed: true, ..PlanOptions::default() };
        for export in network.exports.iter().filter(|e| !e.to_string().contains("static")) {
            for engine in engines() {
                let plan = plan(&export.open(), &METHODS, &options).unwrap_or_else(|e| panic!("{export}: {e}"));
                let found = explain(&plan, &engine, &picture(&network.input, 0), -1).remove(0);
                let mut errors = Errors::default();
                errors.add("score", (f64::from(found.scores[0]) - reference["score"][[0]]).abs());
                for (m, key) in ["grad_cam", "grad_cam_pp"].into_iter().enumerate() {
                    let of = |what: &str| &reference[&format!("{key}_{what}")];
                    let weights = Array1::from(found.weights[m].clone()).into_dyn();
                    errors.add(format!("{key} w"), apart(&weights, of("weights"), most(of("weights"))));
                    errors.add(key, apart(&found.maps[m].clone().into_dyn(), of("signed"), of("scale")[[]]));
                }
                failures.note(export, &engine, &errors, errors.beyond(1e-4));
                count += 1;
            }
        }
    }
    assert!(count >= 6, "{count}");
    failures.are_none();
}

/// The other picture is prepared and run as the one explained; a picture is as like itself as can be.
#[test]
fn another_picture_runs_first() {
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("net.onnx");
    std::fs::write(&path, tiny_cnn(17, 5).bytes()).unwrap();
    let model = onnxcam::Model::open(&path).unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let [one, other] = ["chelsea.jpg", "coffee.jpg"].map(|name| Picture::open(examples.join(name)).unwrap());
    let methods: [&'static dyn onnxcam::method::Method; 1] = [&GradCam];
    for engine in engines() {
        let chosen = Chosen { engine: engine.clone(), why: None };
        let mut plain = model.explain_with(&methods).settle().unwrap().load(&chosen).unwrap();
        let mut embedding = |picture: &Picture| -> Vec<f64> {
            let found = plain.run(picture, Target::Predicted).unwrap();
            found.scores().iter().map(|s| f64::from(*s)).collect()
        };
        let (a, b) = (embedding(&one), embedding(&other));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let cosine = dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt();
        for (picture, expected) in [(&other, cosine), (&one, 1.0)] {
            let setup = model.explain_with(&methods).similar_to(picture, "other.jpg", &chosen).unwrap();
            let settled = setup.settle().unwrap();
            assert_eq!(settled.subject().notes()[0], "explained is the cosine similarity to other.jpg");
            let found = settled.load(&chosen).unwrap().run(&one, Target::Predicted).unwrap();
            assert_eq!((found.scores().len(), found.probability()), (1, None));
            assert!((f64::from(found.scores()[0]) - expected).abs() < 1e-5, "{} {:?}", engine.name(), found.scores());
        }
    }
}

/// An embedding of another length, of nothing but zeros, or one number alone.
#[test]
fn embeddings_that_cannot_be_compared() {
    let refused = |model: &onnx_graph::Model, embedding: Vec<f32>| {
        let similarity = Similarity { output: Some("embedding".to_owned()), embedding, to: "b.jpg".to_owned() };
        plan(model, &["grad-cam"], &of(Score::Similarity(similarity))).unwrap_err().to_string()
    };
    let of_twelve = network();
    for (embedding, reason) in [
        (vec![1.0; 5], "it is of 5 numbers, and output \"embedding\" of 12"),
        (vec![0.0; 12], "its length is 0, and it has no direction"),
        (vec![f32::NAN; 12], "its length is NaN, and it has no direction"),
    ] {
        let error = refused(&of_twelve, embedding);
        let expected = format!("the embedding of b.jpg cannot be compared with: {reason}\nhint: ");
        assert!(error.contains(&expected), "{error}");
    }
    let of_one = trunk().weights("one", &[12, 1]).node("MatMul", &["embedding", "one"], &["y"]);
    let of_one = of_one.output("y", "f32[N,1]").model();
    let similarity = Similarity { output: None, embedding: vec![1.0], to: "b.jpg".to_owned() };
    let error = plan(&of_one, &["grad-cam"], &of(Score::Similarity(similarity))).unwrap_err().to_string();
    assert!(error.contains("it is of 1 numbers, and output \"y\" of 1"), "{error}");
}
