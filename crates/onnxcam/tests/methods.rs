//! The methods against their equations: by hand, literally in float64, and against formulas that are not the paper's.

#[path = "support/both.rs"]
mod both;
#[path = "methods/family.rs"]
mod family;
#[path = "methods/formulas.rs"]
mod formulas;
#[path = "support/heads.rs"]
mod heads;

use both::{Definition, agreed, engines, explain, pictures, plan};
use formulas::{OTHERS, literal};
use heads::{Head, edited};
use ndarray::{Array3, ArrayD, Axis, array};
use onnx_graph::Model;
use onnxcam::explain::{Explained, Plan, PlanError, PlanOptions};
use onnxcam::method::{METHODS, find_variant};
use testkit::evaluate;
use testkit::models::{Maker, tiny_cnn, tiny_conv_head};

fn at(layer: &str) -> PlanOptions {
    PlanOptions { layer: Some(layer.to_owned()), ..PlanOptions::default() }
}

fn signed(options: PlanOptions) -> PlanOptions {
    PlanOptions { signed: true, ..options }
}

#[track_caller]
fn close(found: impl IntoIterator<Item = f32>, expected: impl IntoIterator<Item = f64>) {
    let (found, expected): (Vec<f32>, Vec<f64>) = (found.into_iter().collect(), expected.into_iter().collect());
    assert_eq!(found.len(), expected.len());
    let most = expected.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    let fits = |(a, b): (&f32, &f64)| (f64::from(*a) - b).abs() <= 2e-6 * most;
    assert!(found.iter().zip(&expected).all(fits), "{found:?} instead of {expected:?}");
}

/// R07: two channels of 2 × 2 cells, gradients of unlike size and sign.
///
/// ΣA = 6 and 5.5; the gradient is the row of the linear layer.
#[test]
fn by_hand() {
    let features = [1.0, 2.0, 0.0, 3.0, 0.5, 0.0, 4.0, 1.0];
    let row = [0.5, -0.25, 0.1, 2.0, -1.0, 0.3, -0.05, -4.0];
    let model = Head::flat(2, 2, 2, &[row, row.map(|g| -g)].concat()).model();
    let x = ArrayD::from_shape_vec(vec![1, 2, 2, 2], features.to_vec()).unwrap();
    for engine in engines() {
        let plan = plan(&model, &["grad-cam", "grad-cam++"], &at("features")).unwrap();
        let found = explain(&plan, &engine, &x, 0).remove(0);
        // The means of the rows; then Σ_k w_k A^k, negative cells cut off.
        let (w0, w1) = (2.35 / 4.0, -4.75 / 4.0);
        close(found.weights[0].clone(), [w0, w1]);
        close(found.maps[0].clone(), [0.0, 2.0 * w0, 0.0, 3.0 * w0 + w1]);
        // α = 1 / (2 + g ΣA) where g > 0: 1/5, 1/2.6, 1/14; 1/3.65.
        let (w0, w1) = (0.5 / 5.0 + 0.1 / 2.6 + 2.0 / 14.0, 0.3 / 3.65);
        close(found.weights[1].clone(), [w0, w1]);
        close(found.maps[1].clone(), [w0 + 0.5 * w1, 2.0 * w0, 4.0 * w1, 3.0 * w0 + w1]);
        // The other class has the opposite gradient.
        let other = explain(&plan, &engine, &x, 1).remove(0);
        close(other.weights[0].clone(), [-2.35 / 4.0, 4.75 / 4.0]);
        close(other.weights[1].clone(), [0.25 / 3.5, 1.0 / 7.5 + 0.05 / 2.275 + 4.0 / 24.0]);
    }
}

/// Equations 5 to 9 as they are printed, with squares and cubes, in float64, on heads of the sizes that training gives.
#[test]
fn grad_cam_plus_plus_is_the_papers_equation() {
    for head in [Head::pooled_as_trained(), Head::perceptron_as_trained()] {
        for (i, (a, g)) in head.features_and_gradients().into_iter().enumerate() {
            for engine in engines() {
                let plan = plan(&head.model(), &["grad-cam++"], &at("features")).unwrap();
                let found = explain(&plan, &engine, &head.pictures(), 0).remove(i);
                close(found.weights[0].clone(), literal(&a, &g));
            }
        }
    }
}

/// The formulas that go by the method's name elsewhere are other ones: on such heads their weights differ visibly, a
/// factor common to all channels aside. (Where pooling makes the gradient constant over the map, Σ (A g³) is (ΣA) g³.)
#[test]
fn grad_cam_plus_plus_is_none_of_its_namesakes() {
    let share = |w: Vec<f64>| {
        let most = w.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        w.into_iter().map(|v| v / most).collect::<Vec<f64>>()
    };
    let on_head = |head: Head| {
        let plan = plan(&head.model(), &["grad-cam++"], &at("features")).unwrap();
        let found = explain(&plan, &engines()[0], &head.pictures(), 0).remove(0);
        let ours = share(found.weights[0].iter().map(|w| f64::from(*w)).collect());
        let (a, g) = head.features_and_gradients().remove(0);
        OTHERS.map(|(_, formula)| {
            let theirs = share(formula(&a, &g));
            ours.iter().zip(&theirs).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()))
        })
    };
    let (pooled, perceptron) = (on_head(Head::pooled_as_trained()), on_head(Head::perceptron_as_trained()));
    for (i, (name, _)) in OTHERS.iter().enumerate() {
        let apart = pooled[i].max(perceptron[i]);
        assert!(apart > 1e-2, "{name}: weights differ by {apart:.1e} of the largest only");
    }
}

/// Eq. 1 and 2: the class map's mean is the score, the bias aside; its weights are the head's.
#[track_caller]
fn is_cam(model: &Model, weights: &str, bias: &str) {
    let initializer = |name: &str| {
        let tensor = model.graph().initializer.iter().find(|t| t.name() == name).unwrap();
        let bytes = tensor.raw_data.as_ref().unwrap().as_chunks::<4>().0;
        bytes.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect::<Vec<f64>>()
    };
    let (weights, bias) = (initializer(weights), initializer(bias));
    let x = pictures(&[2, 3, 16, 16], 1);
    let mut negative = false;
    for class in [0, 3] {
        for found in agreed(model, &["cam"], &PlanOptions::default(), &x, class as i64) {
            let channels = found.weights[0].len();
            assert_eq!(weights.len(), channels * found.scores.len());
            close(found.weights[0].clone(), weights[class * channels..][..channels].to_vec());
            let mean = found.maps[0].mapv(f64::from).mean().unwrap();
            close([found.scores[class]], [mean + bias[class]]);
            negative |= found.maps[0].iter().any(|v| *v < 0.0);
        }
    }
    assert!(negative, "its raw map is signed");
}

#[test]
fn cam_of_pooling_and_a_linear_layer() {
    is_cam(&tiny_cnn(17, 5).model(), "fc.weight", "fc.bias");
}

/// R16, as SqueezeNet is built: a 1 × 1 convolution before pooling.
#[test]
fn cam_of_a_convolution_before_pooling() {
    is_cam(&tiny_conv_head(17, 5).model(), "head.weight", "head.bias");
}

/// R16, as BiT is built: pooling, then a 1 × 1 convolution.
#[test]
fn cam_of_a_convolution_after_pooling() {
    let model = heads::on_trunk(5, |net| {
        net.node("GlobalAveragePool", &["features"], &["mean"])
            .weights("head.weight", &[5, 12, 1, 1])
            .weights("head.bias", &[5])
            .node("Conv", &["mean", "head.weight", "head.bias"], &["scores"])
            .node("Flatten", &["scores"], &["logits"])
    });
    is_cam(&model, "head.weight", "head.bias");
}

/// Pooling spelled in other ways: a mean over both axes, a window over the whole map; the linear layer as MatMul and Add.
#[test]
fn cam_of_other_spellings() {
    let linear = |net: Maker, flat: &str| {
        net.weights("w", &[12, 5]).weights("b", &[5]).node("MatMul", &[flat, "w"], &["product"]).node(
            "Add",
            &["b", "product"],
            &["logits"],
        )
    };
    let mean = heads::on_trunk(5, |net| {
        let net = net.node("ReduceMean", &["features"], &["mean"]).with("axes", [-1, 2]).with("keepdims", 0);
        linear(net, "mean")
    });
    let window = heads::on_trunk(5, |net| {
        let net = net.node("AveragePool", &["features"], &["mean"]).with("kernel_shape", [8, 8]);
        linear(net.node("Squeeze", &["mean", "axes"], &["flat"]).integers("axes", &[2], &[2, 3]), "flat")
    });
    let x = pictures(&[1, 3, 16, 16], 1);
    let found = [mean, window].map(|m| agreed(&m, &["cam"], &PlanOptions::default(), &x, 2).remove(0));
    close(found[0].maps[0].clone(), found[1].maps[0].mapv(f64::from));
    let mean = found[0].maps[0].mapv(f64::from).mean().unwrap();
    assert!((f64::from(found[0].scores[2]) - mean).abs() > 1e-3, "the bias is not part of the map");
}

/// R16: elsewhere CAM is refused, with the reason.
#[test]
fn cam_is_refused_where_it_is_not_defined() {
    let refusal = |model: &Model| match plan(model, &["cam"], &PlanOptions::default()) {
        Err(e @ PlanError::NoPooledHead { .. }) => e.to_string(),
        other => panic!("{other:?}"),
    };
    let vgg = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/networks/vgg.old.onnx");
    let reason = refusal(&Model::open(vgg).unwrap());
    assert!(reason.contains("no global average pooling stands before its linear layer"), "{reason}");
    assert!(reason.contains("hint: grad-cam and grad-cam++ need no such head"), "{reason}");

    let maximum = heads::on_trunk(5, |net| {
        net.node("GlobalMaxPool", &["features"], &["most"])
            .node("Flatten", &["most"], &["flat"])
            .weights("w", &[12, 5])
            .node("MatMul", &["flat", "w"], &["logits"])
    });
    assert!(refusal(&maximum).contains("no global average pooling"));

    // Two linear layers: the weights of neither are those of the feature maps.
    let two = heads::on_trunk(5, |net| {
        net.node("GlobalAveragePool", &["features"], &["mean"])
            .node("Flatten", &["mean"], &["flat"])
            .weights("w1", &[12, 9])
            .weights("w2", &[9, 5])
            .node("MatMul", &["flat", "w1"], &["hidden"])
            .node("MatMul", &["hidden", "w2"], &["logits"])
    });
    assert!(refusal(&two).contains("no global average pooling"));

    let earlier = PlanOptions { layer: Some("relu1".to_owned()), ..PlanOptions::default() };
    let earlier = plan(&tiny_cnn(17, 5).model(), &["cam"], &earlier).unwrap_err().to_string();
    assert!(earlier.contains("layer \"relu1\": pooling is applied to \"features\" instead"), "{earlier}");
}

/// ∂S/∂A by central differences of what the graph computes behind the layer, in float64.
fn differences(model: &Model, layer: &str, x: &ArrayD<f32>, class: usize) -> (Array3<f64>, Array3<f64>) {
    let plan = plan(model, &["grad-cam"], &at(layer)).unwrap();
    let features = Definition::of(&plan, x, class as i64).features;
    let score = |features: &ArrayD<f64>| {
        let feed = features.clone().insert_axis(Axis(0));
        evaluate(&plan.graph, 1, &[(plan.layer.tensor, feed)], &[plan.head.scores]).unwrap()[0][[0, class]]
    };
    let mut gradient = features.clone();
    const STEP: f64 = 1e-6;
    for (index, cell) in features.indexed_iter() {
        let moved = |by: f64| {
            let mut moved = features.clone();
            moved[&index] = cell + by;
            score(&moved)
        };
        gradient[&index] = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
    }
    (features.into_dimensionality().unwrap(), gradient.into_dimensionality().unwrap())
}

/// R10: before a ReLU feature maps are negative in part, and some have a negative sum, which counts as 0 in α.
#[test]
fn layers_before_a_relu() {
    let model = tiny_cnn(17, 5).model();
    let x = pictures(&[1, 3, 16, 16], 3);
    let (a, g) = differences(&model, "conv2", &x, 2);
    let sums: Vec<f64> = a.outer_iter().map(|plane| plane.sum()).collect();
    assert!(sums.iter().any(|s| *s < 0.0) && sums.iter().any(|s| *s > 0.0), "{sums:?}");
    let weight = |(k, plane): (usize, ndarray::ArrayView2<f64>)| {
        plane.iter().map(|g| g.max(0.0) / (2.0 + g.max(0.0) * sums[k].max(0.0))).sum::<f64>()
    };
    let weights: Vec<f64> = g.outer_iter().enumerate().map(weight).collect();
    let means: Vec<f64> = g.outer_iter().map(|plane| plane.mean().unwrap()).collect();
    let map = |weights: &[f64]| {
        let terms = a.outer_iter().zip(weights).map(|(plane, w)| plane.mapv(|a| a * w));
        terms.reduce(|sum, term| sum + term).unwrap()
    };
    let names = ["grad-cam++", "grad-cam"];
    let with_sign = agreed(&model, &names, &signed(at("conv2")), &x, 2).remove(0);
    let without = agreed(&model, &names, &at("conv2"), &x, 2).remove(0);
    for (m, expected) in [weights, means].iter().enumerate() {
        let largest = expected.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        for (found, expected) in with_sign.weights[m].iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() <= 1e-5 * largest, "{found} instead of {expected}");
        }
        for (found, expected) in with_sign.maps[m].iter().zip(map(expected).iter()) {
            assert!((f64::from(*found) - expected).abs() <= 1e-4 * largest, "{found} instead of {expected}");
        }
        assert!(with_sign.maps[m].iter().any(|v| *v < 0.0), "`--signed` shows what speaks against the class");
        assert_eq!(without.maps[m], with_sign.maps[m].mapv(|v| v.max(0.0)), "without it the last relu is there");
    }
    assert_eq!(
        without.notes,
        [vec!["some feature maps have a negative sum, which is taken as 0 in α".to_owned()], vec![]]
    );
    assert_eq!(agreed(&model, &names, &at("features"), &x, 2)[0].notes, [Vec::<String>::new(), vec![]]);
}

/// A picture says for itself whether its feature maps have negative sums.
#[test]
fn negative_sums_are_noted_by_picture() {
    let ones: Vec<f32> = vec![1.0; 2 * 4];
    let model = Maker::new(17)
        .input("x", "f32[N,2,2,2]")
        .floats("same", &[2, 1, 1, 1], &[1.0, 1.0])
        .node("Conv", &["x", "same"], &["features"])
        .with("group", 2)
        .node("Flatten", &["features"], &["flat"])
        .floats("w", &[8, 2], &[ones.clone(), ones.iter().map(|v| -v).collect()].concat())
        .node("MatMul", &["flat", "w"], &["logits"])
        .output("logits", "f32[N,2]")
        .model();
    let x = array![
        [[[1.0f32, 1.0], [1.0, 1.0]], [[1.0, 1.0], [1.0, -3.5]]],
        [[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]
    ];
    let found = agreed(&model, &["grad-cam++"], &at("features"), &x.into_dyn(), 0);
    let noted: Vec<usize> = found.iter().map(|e| e.notes[0].len()).collect();
    assert_eq!(noted, [1, 0]);
}

/// Something curved between layer and score: α is of first order there, which is said, of Grad-CAM++ only.
#[test]
fn curved_heads_are_noted() {
    let model = heads::on_trunk(5, |net| {
        net.node("GlobalAveragePool", &["features"], &["mean"])
            .node("Flatten", &["mean"], &["flat"])
            .node("Tanh", &["flat"], &["bent"])
            .named("/bend/Tanh")
            .weights("w", &[12, 5])
            .node("MatMul", &["bent", "w"], &["logits"])
    });
    let found = agreed(&model, &["grad-cam++", "grad-cam"], &PlanOptions::default(), &pictures(&[1, 3, 16, 16], 3), -1);
    let [plus_plus, grad_cam] = found[0].notes.as_slice() else { panic!() };
    assert!(plus_plus.len() == 1 && plus_plus[0].starts_with("alpha: first-order, as `Tanh` (node \"/bend/Tanh\""));
    assert!(grad_cam.is_empty());
}

/// Each picture of a batch has a class of its own; −1 is the predicted one, other negatives are refused.
#[test]
fn a_class_for_each_picture() {
    let model = tiny_cnn(17, 5).model();
    let x = pictures(&[3, 3, 16, 16], 3);
    let plan = plan(&model, &["grad-cam", "grad-cam++", "cam"], &PlanOptions::default()).unwrap();
    for engine in engines() {
        let mut explainer = both::explainer(&plan, &engine, 3);
        let mixed = explainer.run(&x, &[4, -1, 0]).unwrap();
        for (i, class) in [(0, 4), (1, -1), (2, 0)] {
            let same_for_all = explainer.run(&x, &[class; 3]).unwrap();
            assert_eq!(mixed[i], same_for_all[i]);
        }
        let best = (0..5).max_by(|a, b| mixed[1].scores[*a].total_cmp(&mixed[1].scores[*b])).unwrap();
        assert_eq!((mixed[0].class, mixed[1].class, mixed[2].class), (4, best, 0));
        for class in [-2, 5, i64::MAX] {
            let error = explainer.run(&x, &[0, class, 0]).unwrap_err().to_string();
            assert_eq!(error, format!("class {class} was asked for, the network has 5, counted from 0"));
        }
    }
}

/// Equal scores: the first class is the predicted one, on every engine.
#[test]
fn ties_go_to_the_first_class() {
    let row: Vec<f32> = (0..12).map(|i| 0.1 * i as f32).collect();
    let model = heads::on_trunk(4, |net| {
        let columns: Vec<f32> = row.iter().flat_map(|w| [0.0, *w, 0.0, *w]).collect();
        net.node("GlobalAveragePool", &["features"], &["mean"])
            .node("Flatten", &["mean"], &["flat"])
            .floats("w", &[12, 4], &columns)
            .node("MatMul", &["flat", "w"], &["logits"])
    });
    let found = agreed(&model, &["grad-cam"], &PlanOptions::default(), &pictures(&[1, 3, 16, 16], 3), -1);
    assert_eq!((found[0].class, found[0].scores[1]), (1, found[0].scores[3]));
}

/// R08: nothing speaks for the class: a map of zeros, not of NaN, and of negative numbers when signed.
#[test]
fn no_evidence_is_a_zero_map() {
    let row: Vec<f32> = (0..12).map(|i| -0.1 * i as f32).collect();
    let weights = [row, vec![0.3; 12]].concat();
    let model = edited(tiny_cnn(17, 2), "fc.weight", &weights);
    let x = pictures(&[1, 3, 16, 16], 3);
    let names = ["grad-cam++", "grad-cam"];
    let found = agreed(&model, &names, &PlanOptions::default(), &x, 0).remove(0);
    assert!(found.maps.iter().flatten().all(|v| *v == 0.0));
    let found: Explained = agreed(&model, &names, &signed(PlanOptions::default()), &x, 0).remove(0);
    assert!(found.maps[0].iter().all(|v| *v == 0.0), "Grad-CAM++ has no negative weights");
    assert!(found.maps[1].iter().all(|v| *v <= 0.0) && found.maps[1].iter().any(|v| *v < 0.0));
}

/// R17: ResNet-18 at 32 × 32 ends in maps of one cell: the last layer with more is taken; asked for, it is said.
#[test]
fn layers_of_one_cell() {
    let mut net = Maker::new(17).input("x", "f32[N,3,32,32]");
    let mut from = "x".to_owned();
    let mut channels = 3;
    for stage in 1..=5 {
        let (conv, relu, weight) = (format!("conv{stage}"), format!("stage{stage}"), format!("w{stage}"));
        net = net
            .weights(&weight, &[6, channels, 3, 3])
            .node("Conv", &[&from, &weight], &[&conv])
            .with("strides", [2, 2])
            .with("pads", [1, 1, 1, 1])
            .node("Relu", &[&conv], &[&relu]);
        (from, channels) = (relu, 6);
    }
    let model = net
        .node("GlobalAveragePool", &["stage5"], &["mean"])
        .node("Flatten", &["mean"], &["flat"])
        .weights("fc", &[6, 4])
        .node("MatMul", &["flat", "fc"], &["logits"])
        .output("logits", "f32[N,4]")
        .model();
    let automatic = plan(&model, &["grad-cam"], &PlanOptions::default()).unwrap();
    assert_eq!((automatic.layer.name.as_str(), automatic.notes), ("stage4", vec![]));
    let asked = plan(&model, &["grad-cam"], &at("stage5")).unwrap();
    assert_eq!(asked.notes, ["layer \"stage5\" has one cell only: its map is the same everywhere"]);
    let found = agreed(&model, &["grad-cam", "grad-cam++", "cam"], &at("stage5"), &pictures(&[2, 3, 32, 32], 1), -1);
    assert!(found.iter().flat_map(|e| &e.maps).all(|map| map.dim() == (1, 1)));
    agreed(&model, &["grad-cam", "grad-cam++"], &PlanOptions::default(), &pictures(&[2, 3, 32, 32], 1), -1);
}

/// Dividing by a constant is straight, dividing by what depends on the layer is not.
#[test]
fn dividing_by_the_features_is_curved() {
    let net = |by_features: bool| {
        let (a, b) = if by_features { ("two", "raised") } else { ("raised", "two") };
        let net = Maker::new(17).input("x", "f32[N,3,8,8]").weights("w", &[4, 3, 3, 3]).weights("fc", &[4, 5]);
        let net = net.floats("two", &[], &[2.0]);
        let net = net.node("Conv", &["x", "w"], &["conv"]).node("Relu", &["conv"], &["features"]);
        let net = net.node("Add", &["features", "two"], &["raised"]).node("Div", &[a, b], &["quotient"]);
        let net = net.node("ReduceMean", &["quotient"], &["mean"]).with("axes", [2, 3]).with("keepdims", 0);
        net.node("MatMul", &["mean", "fc"], &["logits"]).output("logits", "f32[N,5]").model()
    };
    for by_features in [false, true] {
        let plan = plan(&net(by_features), &["grad-cam", "grad-cam++"], &at("features")).unwrap();
        assert!(plan.maps[0].notes.is_empty());
        assert_eq!(!plan.maps[1].notes.is_empty(), by_features, "{:?}", plan.maps[1].notes);
    }
}
