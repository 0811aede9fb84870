//! Methods of many runs against their definitions in float64 (`references/make_runs.py`), on small networks of different
//! structures, on both engines; seeds, progress, and what the feature maps may be like.

#[path = "support/both.rs"]
mod both;
#[path = "support/heads.rs"]
mod heads;
#[path = "support/networks.rs"]
mod networks;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use both::{engines, picture, pictures, plan};
use heads::{Head, trunk};
use ndarray::{Array1, ArrayD, Axis, Slice};
use networks::{Errors, Failures, Network, apart, golden, most};
use onnx_graph::Model;
use onnxcam::engine::Engine;
use onnxcam::explain::{Asked, PlanOptions, Progress, RunError, RunSettings, Runner};
use onnxcam::method::Made;
use testkit::models::{Maker, tiny_cnn};
use testkit::npz;

/// Methods, what the reference calls them, and whether their maps are as large as the picture.
const METHODS: [(&str, &str, bool); 12] = [
    ("score-cam", "score_cam", false),
    ("ss-cam", "ss_cam", false),
    ("is-cam", "is_cam", false),
    ("ablation-cam", "ablation_cam", false),
    ("random-cam", "random_cam", false),
    ("smooth-grad-cam++", "smooth_grad_cam_pp", false),
    ("recipro-cam", "recipro_cam", false),
    ("recipro-cam-gaussian", "recipro_cam_gaussian", false),
    ("rise", "rise", true),
    ("occlusion", "occlusion", true),
    ("smooth-grad", "smooth_grad", true),
    ("integrated-gradients", "integrated_gradients", true),
];

/// Every method's maps of these classes of the first picture.
fn maps(
    model: &Model,
    engine: &Arc<dyn Engine>,
    names: &[&str],
    x: &ArrayD<f32>,
    classes: &[usize],
    settings: RunSettings,
) -> Vec<Vec<Made>> {
    let plan = plan(model, names, &PlanOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    let asked: Vec<Asked> = classes.iter().map(|class| Asked::from(*class)).collect();
    let mut go_on = |_: Progress| ControlFlow::Continue(());
    Runner::new(&plan, engine, None).run(&picture(x, 0), &asked, settings, &mut go_on).unwrap()
}

/// Those that run the network from changed feature maps.
const TAILS: [&str; 3] = ["ablation-cam", "recipro-cam", "recipro-cam-gaussian"];

const FEW: RunSettings = RunSettings { seed: 5, samples: Some(3), signed: false };
const SIGNED: RunSettings = RunSettings { signed: true, ..FEW };

/// Whose weights are e to the scores of pictures behind stretched feature maps, over their sum.
const SOFTMAX: [&str; 3] = ["score-cam", "ss-cam", "is-cam"];

/// The measure: 1e-4 of max_ij Σ_k |w_k A^k_ij|, or of the map's largest where it is no such sum; of weights 1e-4 of
/// their largest. Where a mask is a feature map stretched to 0..1, a channel that hardly varies has a mask of rounding, and a
/// weight of it: there each channel's share, w_k A^k, is held to the measure of the map.
#[test]
fn maps_are_those_of_the_definitions() {
    let mut failures = Failures::default();
    let mut count = 0;
    for network in Network::golden() {
        let file = golden().with_file_name("runs").join(format!("{}.npz", network.name));
        if !file.exists() {
            continue;
        }
        let reference = npz(file);
        let classes: Vec<usize> = reference["classes"].iter().map(|c| *c as usize).collect();
        let number = |key: &str| reference[key][[]] as usize;
        let settings =
            RunSettings { seed: number("seed") as u64, samples: Some(number("samples")), ..RunSettings::default() };
        let features = network.arrays["features"].index_axis(Axis(0), 0);
        let largest: Vec<f64> = features.outer_iter().map(|a| most(&a.to_owned().into_dyn())).collect();
        for (export, engine) in engines().into_iter().map(|engine| (&network.exports[0], engine)) {
            let names = METHODS.map(|(name, ..)| name);
            let found = maps(&export.open(), &engine, &names, &network.input, &classes, settings);
            let errors = errors(&found, &reference, &largest);
            failures.note(export, &engine, &errors, errors.beyond(1e-4));
            count += 1;
        }
    }
    assert!(count >= 8, "{count} networks");
    failures.are_none();
}

/// How far each of [`METHODS`] is from the reference; `largest` is max_ij |A^k_ij|.
fn errors(found: &[Vec<Made>], reference: &BTreeMap<String, ArrayD<f64>>, largest: &[f64]) -> Errors {
    let mut errors = Errors::default();
    for ((name, key, large), found) in METHODS.iter().zip(found) {
        for (c, found) in found.iter().enumerate() {
            let of = |what: &str| reference[&format!("{key}_{what}")].index_axis(Axis(0), c).to_owned();
            let step = if *large { 5 } else { 1 };
            let map = found.map.slice_each_axis(|_| Slice::new(0, None, step)).to_owned().into_dyn();
            errors.add(*name, apart(&map, &of("map"), of("scale")[[]]));
            if reference.contains_key(&format!("{key}_weights")) {
                let weights = Array1::from(found.weights.clone()).into_dyn();
                let (found, expected) = (weights.mapv(f64::from), of("weights"));
                let error = match SOFTMAX.contains(name) {
                    true => {
                        let apart = (&found - &expected).mapv(f64::abs);
                        apart.iter().zip(largest).map(|(w, a)| w * a).fold(0.0, f64::max) / of("scale")[[]]
                    }
                    false => apart(&found, &expected, most(&expected)),
                };
                errors.add(format!("{name} w"), error);
            }
        }
    }
    errors
}

/// Several classes of a picture come from the same runs; the same seed makes the same map, another one another.
#[test]
fn classes_and_seeds() {
    let model = tiny_cnn(17, 5).model();
    let x = pictures(&[1, 3, 16, 16], 3);
    let names = METHODS.map(|(name, ..)| name);
    for engine in engines() {
        let together = maps(&model, &engine, &names, &x, &[4, 0, 2], FEW);
        let alone = maps(&model, &engine, &names, &x, &[2], FEW);
        let seeded = maps(&model, &engine, &names, &x, &[2], RunSettings { seed: 6, ..FEW });
        for (m, name) in names.iter().enumerate() {
            assert_eq!(together[m].len(), 3);
            assert!(together[m][2] == alone[m][0], "{name}: class 2 among others");
            assert!(together[m][0].map != together[m][1].map, "{name}: classes differ");
            let random = ["ss-cam", "random-cam", "smooth-grad-cam++", "rise", "smooth-grad"].contains(name);
            // The gradient of a network of one linear piece is the same for every noisy picture.
            if name != &"smooth-grad-cam++" {
                assert_eq!(seeded[m][0].map != alone[m][0].map, random, "{name}: another seed");
            }
            let said = alone[m][0].notes.iter().any(|note| note == "drawn from seed 5");
            assert_eq!(said, random, "{name}: {:?}", alone[m][0].notes);
        }
    }
}

/// A rival's score is taken away.
#[test]
fn against_a_rival() {
    let model = tiny_cnn(17, 5).model();
    let x = pictures(&[1, 3, 16, 16], 3);
    let plan = plan(&model, &["ablation-cam"], &PlanOptions::default()).unwrap();
    for engine in engines() {
        let mut runner = Runner::new(&plan, &engine, None);
        let mut run = |asked: &[Asked]| {
            runner.run(&x, asked, RunSettings { signed: true, ..FEW }, &mut |_| ControlFlow::Continue(())).unwrap()
        };
        let one = run(&[Asked { class: 1, rival: Some(3) }]).remove(0).remove(0);
        let other = run(&[Asked { class: 3, rival: Some(1) }]).remove(0).remove(0);
        // (S − S_k) / S, where both numerator and denominator change their sign.
        let error = apart(&one.map.clone().into_dyn(), &other.map.into_dyn(), f64::from(most_of(&one)));
        assert!(error < 1e-4, "{error}");
        assert_ne!(one.map, run(&[Asked::from(1)]).remove(0).remove(0).map);
    }
}

fn most_of(made: &Made) -> f32 {
    made.map.iter().fold(f32::MIN_POSITIVE, |most, v| most.max(v.abs()))
}

/// Whoever watches can break off, and is told of every run.
#[test]
fn progress_is_told_and_can_be_stopped() {
    let model = tiny_cnn(17, 5).model();
    let x = pictures(&[1, 3, 16, 16], 3);
    for (name, ..) in METHODS.iter().filter(|(name, ..)| *name != "random-cam") {
        let plan = plan(&model, &[name], &PlanOptions::default()).unwrap();
        let engine = engines().remove(0);
        let mut runner = Runner::new(&plan, &engine, None);
        let mut told: Vec<Progress> = Vec::new();
        let mut watch = |progress: Progress| {
            told.push(progress);
            ControlFlow::Continue(())
        };
        runner.run(&x, &[Asked::from(1)], FEW, &mut watch).unwrap();
        let (first, last) = (told.first().unwrap(), told.last().unwrap());
        assert!(first.done == 0 && last.done == last.of && last.of > 2 && last.method == *name, "{told:?}");
        let mut stop = |_: Progress| ControlFlow::Break(());
        let stopped = runner.run(&x, &[Asked::from(1)], FEW, &mut stop);
        assert!(matches!(stopped, Err(RunError::Stopped)), "{name}");
        runner.run(&x, &[Asked::from(1)], FEW, &mut |_| ControlFlow::Continue(())).unwrap(); // It runs again.
    }
}

/// R53: channel 1 alone feeds class 1, so that its weight is 1 and its map the channel; a negative score is said.
#[test]
fn ablation_of_the_only_channel_that_counts() {
    let rows = [[0.5; 4], [0.0; 4], [0.0; 4], [-0.25; 4]].concat(); // A class's weights, channel by channel.
    let model = Head::flat(2, 2, 2, &rows).model();
    let x = ArrayD::from_shape_vec(vec![1, 2, 2, 2], vec![1.0, 2.0, 0.0, 3.0, 0.5, 0.0, 4.0, 1.0]).unwrap();
    for engine in engines() {
        let plan = plan(&model, &["ablation-cam"], &at("features")).unwrap();
        let asked = [Asked::from(0), Asked::from(1)];
        let made = Runner::new(&plan, &engine, None).run(&x, &asked, FEW, &mut |_| ControlFlow::Continue(()));
        let made = made.unwrap().remove(0);
        for (class, made) in made.iter().enumerate() {
            let expected: Vec<f32> = (0..2).map(|k| f32::from(u8::from(k == class))).collect();
            assert!(made.weights.iter().zip(&expected).all(|(w, e)| (w - e).abs() < 1e-6), "{:?}", made.weights);
            let channel = x.index_axis(Axis(0), 0).index_axis(Axis(0), class).to_owned();
            assert!(apart(&made.map.clone().into_dyn(), &channel.mapv(f64::from), 1.0) < 1e-5);
            assert_eq!(made.notes.iter().any(|note| note.contains("score is negative")), class == 1);
        }
    }
}

fn at(layer: &str) -> PlanOptions {
    PlanOptions { layer: Some(layer.to_owned()), ..PlanOptions::default() }
}

/// What is no number stays none, as in other methods: a map of zeros would look like one of no evidence.
#[test]
fn nan_is_not_hidden_by_recipro_cam() {
    let model = Maker::new(17)
        .input("x", "f32[N,2,2,2]")
        .floats("one", &[], &[1.0])
        .node("Mul", &["x", "one"], &["features"])
        .node("Flatten", &["features"], &["flat"])
        .weights("fc", &[8, 3])
        .node("MatMul", &["flat", "fc"], &["logits"])
        .output("logits", "f32[N,3]")
        .model();
    let x = ArrayD::from_shape_vec(vec![1, 2, 2, 2], vec![1.0, f32::NAN, 0.0, 3.0, 0.5, 0.0, 4.0, 1.0]).unwrap();
    let plan = plan(&model, &["recipro-cam", "recipro-cam-gaussian"], &at("features")).unwrap();
    for engine in engines() {
        let mut runner = Runner::new(&plan, &engine, None);
        for made in runner.run(&x, &[Asked::from(1)], FEW, &mut |_| ControlFlow::Continue(())).unwrap() {
            assert!(made[0].map.iter().all(|v| v.is_nan()), "{}: {}", engine.name(), made[0].map);
        }
    }
}

/// R08: a feature map that is 0 everywhere masks everything, and leaves the rest finite.
#[test]
fn a_dead_channel_is_no_trouble() {
    let model = trunk()
        .node("GlobalAveragePool", &["features"], &["mean"])
        .node("Flatten", &["mean"], &["flat"])
        .weights("fc", &[12, 4])
        .node("MatMul", &["flat", "fc"], &["logits"])
        .output("logits", "f32[N,4]")
        .model();
    let x = ArrayD::zeros(vec![1, 3, 16, 16]); // No biases: every feature map is 0.
    for engine in engines() {
        for (name, ..) in METHODS {
            let made = maps(&model, &engine, &[name], &x, &[1], FEW).remove(0).remove(0);
            assert!(made.map.iter().chain(&made.weights).all(|v| v.is_finite()), "{name}");
        }
    }
}

/// Masks lie over rows and columns wherever the channels stand.
#[test]
fn channels_last() {
    let x = pictures(&[1, 3, 16, 16], 8);
    let first = tiny_cnn(17, 5).model();
    let mut proto = tiny_cnn(17, 5).build();
    let graph = proto.graph.as_mut().unwrap();
    graph.node.iter_mut().flat_map(|n| &mut n.input).filter(|i| *i == "x").for_each(|i| *i = "moved".to_owned());
    let front = Maker::new(17)
        .input("x", "f32[N,16,16,3]")
        .node("Transpose", &["x"], &["moved"])
        .with("perm", [0, 3, 1, 2])
        .build();
    graph.input = front.graph.as_ref().unwrap().input.clone();
    graph.node.splice(..0, front.graph.unwrap().node);
    let last = Model::from_proto(proto, std::path::Path::new("last.onnx")).unwrap();
    let names = ["score-cam", "rise", "occlusion", "integrated-gradients"];
    for engine in engines() {
        let expected = maps(&first, &engine, &names, &x, &[2], FEW);
        let moved = x.clone().permuted_axes(vec![0, 2, 3, 1]).as_standard_layout().to_owned();
        for ((expected, found), name) in expected.iter().zip(maps(&last, &engine, &names, &moved, &[2], FEW)).zip(names)
        {
            let error = apart(
                &found[0].map.clone().into_dyn(),
                &expected[0].map.clone().into_dyn(),
                f64::from(most_of(&expected[0])),
            );
            assert!(error < 1e-4, "{name} on {}: {error}", engine.name());
        }
    }
}

/// Ablation-CAM and Recipro-CAM at tokens, at windows' restored cells and with channels last: of each transformer and hybrid,
/// by every exporter. Class and register tokens are no part of a feature map: they stay as they are. Errors are 1e-4 at most,
/// or where the scores hardly differ (`xcit`, by 1e-3 of the score), 1e-6 of the score.
#[test]
fn tokens_are_changed_as_by_definition() {
    let methods: Vec<_> = METHODS.iter().filter(|m| TAILS.contains(&m.0)).collect();
    let mut failures = Failures::default();
    for (network, _) in Network::tokens() {
        let reference = npz(golden().with_file_name("runs").join(format!("tokens/{}.npz", network.name)));
        let classes: Vec<usize> = reference["classes"].iter().map(|c| *c as usize).collect();
        for export in &network.exports {
            for engine in engines() {
                let found = maps(&export.open(), &engine, &TAILS, &network.input, &classes, RunSettings::default());
                let mut errors = Errors::default();
                for ((name, key, _), found) in methods.iter().zip(&found) {
                    for (c, found) in found.iter().enumerate() {
                        let of = |what: &str| reference[&format!("{key}_{what}")].index_axis(Axis(0), c).to_owned();
                        let part = if network.name == "xcit" { (of("spread")[[]] / 1e-2).min(1.0) } else { 1.0 };
                        errors.add(*name, part * apart(&found.map.clone().into_dyn(), &of("map"), of("scale")[[]]));
                        if !found.weights.is_empty() {
                            let weights = Array1::from(found.weights.clone()).into_dyn();
                            let error = apart(&weights, &of("weights"), most(&of("weights")));
                            errors.add(format!("{name} w"), part * error);
                        }
                    }
                }
                failures.note(export, &engine, &errors, errors.beyond(1e-4));
            }
        }
    }
    failures.are_none();
}

/// Windows lie in front, several a picture, or pictures behind the tokens: each is run from its own cells all the same.
#[test]
fn cells_wherever_pictures_lie() {
    let patches = Maker::new(17)
        .input("x", "f32[N,3,8,12]")
        .weights("patch", &[5, 3, 2, 2])
        .node("Conv", &["x", "patch"], &["patches"])
        .with("strides", [2, 2])
        .node("Transpose", &["patches"], &["last"])
        .with("perm", [0, 2, 3, 1])
        .integers("cut", &[6], &[-1, 2, 2, 2, 3, 5])
        .node("Reshape", &["last", "cut"], &["six"])
        .node("Transpose", &["six"], &["by_window"])
        .with("perm", [0, 1, 3, 2, 4, 5])
        .integers("flat", &[3], &[-1, 6, 5])
        .node("Reshape", &["by_window", "flat"], &["windows"])
        .node("Relu", &["windows"], &["seen"])
        .node("Reshape", &["seen", "cut"], &["six_again"])
        .node("Transpose", &["six_again"], &["in_order"])
        .with("perm", [0, 1, 3, 2, 4, 5])
        .integers("list", &[3], &[-1, 24, 5])
        .node("Reshape", &["in_order", "list"], &["tokens"])
        .node("Transpose", &["tokens"], &["first"])
        .with("perm", [1, 0, 2])
        .weights("class", &[1, 1, 5])
        .node("Shape", &["patches"], &["shape"])
        .integers("zero", &[1], &[0])
        .node("Gather", &["shape", "zero"], &["images"])
        .integers("one", &[1], &[1])
        .node("Concat", &["one", "images", "one"], &["each_image"])
        .with("axis", 0)
        .node("Expand", &["class", "each_image"], &["classes"])
        .node("Concat", &["classes", "first"], &["all"])
        .with("axis", 0)
        .weights("each", &[5, 5])
        .node("MatMul", &["all", "each"], &["weighed"])
        .node("Sigmoid", &["weighed"], &["bent"])
        .node("ReduceMean", &["bent"], &["mean"])
        .with("axes", [0])
        .with("keepdims", 0)
        .weights("fc", &[5, 4])
        .node("MatMul", &["mean", "fc"], &["logits"])
        .output("logits", "f32[N,4]")
        .model();
    let x = pictures(&[1, 3, 8, 12], 8);
    for engine in engines() {
        let made = |layer: &str| {
            let plan = plan(&patches, &TAILS, &at(layer)).unwrap_or_else(|e| panic!("{layer}: {e}"));
            let mut go_on = |_: Progress| ControlFlow::Continue(());
            Runner::new(&plan, &engine, None).run(&x, &[Asked::from(2)], SIGNED, &mut go_on).unwrap()
        };
        let expected = made("tokens");
        for layer in ["seen", "first", "all"] {
            for ((found, expected), name) in made(layer).iter().zip(&expected).zip(TAILS) {
                assert!(most_of(&expected[0]) > 1e-6, "{name}");
                let [found, expected] = [&found[0], &expected[0]].map(|made| made.map.clone().into_dyn());
                let error = apart(&found, &expected, most(&expected));
                assert!(error < 1e-4, "{name} at {layer} on {}: {error}", engine.name());
            }
        }
    }
}

/// A layer with its channels last is the same feature maps moved: every method makes the same of it.
#[test]
fn a_layer_with_its_channels_last() {
    let model = Maker::new(17)
        .input("x", "f32[N,3,16,16]")
        .weights("w", &[6, 3, 3, 3])
        .node("Conv", &["x", "w"], &["conv"])
        .node("Relu", &["conv"], &["first"])
        .node("Transpose", &["first"], &["moved"])
        .with("perm", [0, 2, 3, 1])
        .floats("one", &[], &[1.0])
        .node("Mul", &["moved", "one"], &["last"])
        .node("Transpose", &["last"], &["back"])
        .with("perm", [0, 3, 1, 2])
        .node("GlobalAveragePool", &["back"], &["mean"])
        .node("Flatten", &["mean"], &["flat"])
        .weights("fc", &[6, 5])
        .node("MatMul", &["flat", "fc"], &["logits"])
        .output("logits", "f32[N,5]")
        .model();
    let x = picture(&pictures(&[1, 3, 16, 16], 8), 0);
    let at = |layer: &str, names: &[&str], engine: &Arc<dyn Engine>| {
        let options = PlanOptions { layer: Some(layer.to_owned()), ..PlanOptions::default() };
        let plan = plan(&model, names, &options).unwrap();
        let mut go_on = |_: Progress| ControlFlow::Continue(());
        Runner::new(&plan, engine, None).run(&x, &[Asked::from(2)], SIGNED, &mut go_on)
    };
    let names = [&["score-cam", "ss-cam", "is-cam", "random-cam", "smooth-grad-cam++"], &TAILS[..]].concat();
    for engine in engines() {
        let (first, last) = (at("first", &names, &engine).unwrap(), at("last", &names, &engine).unwrap());
        for ((first, last), name) in first.iter().zip(&last).zip(&names) {
            assert!(most_of(&first[0]) > 1e-6, "{name}");
            let [first, last] = [first, last].map(|made| made[0].map.clone().into_dyn());
            let error = apart(&last, &first, most(&first));
            assert!(error < 1e-5, "{name} on {}: {error}", engine.name());
        }
    }
}

/// What needs the feature maps alone needs no tail: a file that fixes a batch of 2 has none that takes a row.
#[test]
fn a_fixed_batch_of_two() {
    let mut proto = tiny_cnn(17, 5).build();
    let image = proto.graph.as_mut().unwrap().input[0].r#type.as_mut().unwrap().value.as_mut().unwrap();
    let onnx_graph::proto::type_proto::Value::TensorType(tensor) = image else { panic!("a tensor") };
    tensor.shape.as_mut().unwrap().dim[0].value = Some(onnx_graph::proto::DimensionValue::DimValue(2));
    let fixed = Model::from_proto(proto, std::path::Path::new("fixed.onnx")).unwrap();
    let (open, x) = (tiny_cnn(17, 5).model(), pictures(&[1, 3, 16, 16], 3));
    let names = ["score-cam", "random-cam", "smooth-grad-cam++", "rise"];
    for engine in engines() {
        let found = maps(&fixed, &engine, &names, &x, &[1], SIGNED);
        for ((found, expected), name) in found.iter().zip(maps(&open, &engine, &names, &x, &[1], SIGNED)).zip(names) {
            let [found, expected] = [&found[0], &expected[0]].map(|made| made.map.clone().into_dyn());
            assert!(most(&expected) > 1e-6, "{name}");
            let error = apart(&found, &expected, most(&expected));
            assert!(error < 1e-5, "{name} on {}: {error}", engine.name());
        }
    }
}

/// A file that fixes a batch of 1 is run picture by picture.
#[test]
fn a_fixed_batch_of_one() {
    let network = Network::golden().into_iter().find(|n| n.name == "resnet18").unwrap();
    let export = |what: &str| network.exports.iter().find(|e| e.to_string() == what).unwrap().open();
    let names = ["ablation-cam", "score-cam", "recipro-cam", "smooth-grad"];
    for engine in engines() {
        let expected = maps(&export("resnet18.old"), &engine, &names, &network.input, &[1], FEW);
        let found = maps(&export("resnet18.old-static"), &engine, &names, &network.input, &[1], FEW);
        for ((expected, found), name) in expected.iter().zip(&found).zip(names) {
            let (found, expected) = (&found[0].map, &expected[0]);
            let scale = f64::from(most_of(expected));
            let error = apart(&found.clone().into_dyn(), &expected.map.clone().into_dyn(), scale);
            assert!(error < 1e-3, "{name} on {}: {error}", engine.name());
        }
    }
}
