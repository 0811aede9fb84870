//! Methods in the space of the picture against PyTorch in float64, each activation's rule written out by hand there
//! (`references/make_pixels.py`), on small networks of every structure, by both exporters, on both engines.

#[path = "support/both.rs"]
mod both;
#[path = "support/networks.rs"]
mod networks;

use both::{engines, explainer, pictures, plan, run};
use ndarray::{ArrayD, Axis, Slice};
use networks::{Errors, Failures, Network, apart, golden, most};
use onnxcam::explain::PlanOptions;
use onnxcam::picture::Layout;
use testkit::models::{Maker, tiny_cnn};
use testkit::npz;

/// Methods, and what the reference calls them.
const METHODS: [(&str, &str); 5] = [
    ("guided-backprop", "guided"),
    ("deconvnet", "deconvnet"),
    ("guided-grad-cam", "guided_grad_cam"),
    ("guided-grad-cam++", "guided_grad_cam_pp"),
    ("gradient", "input_gradient"),
];

/// Every fifth row and column.
fn sampled(attribution: &ArrayD<f32>) -> ArrayD<f32> {
    let step = |axis: usize| if axis == 0 { 1 } else { 5 };
    attribution.slice_each_axis(|a| Slice::new(0, None, step(a.axis.index()))).to_owned()
}

/// max_c |R_cij|
fn largest(attribution: &ArrayD<f32>) -> ArrayD<f32> {
    attribution.fold_axis(Axis(0), 0.0, |most: &f32, v| most.max(v.abs()))
}

#[test]
fn attributions_are_those_of_pytorch() {
    let names: Vec<&str> = METHODS.iter().map(|(method, _)| *method).chain(["full-grad"]).collect();
    let mut failures = Failures::default();
    let mut count = 0;
    for network in Network::golden() {
        let reference = npz(golden().with_file_name("pixels").join(format!("{}.npz", network.name)));
        let class = reference["class"][[]] as i64;
        let place = network.classes.iter().position(|c| *c == class).expect("the predicted class is among those");
        let exact = network.arrays["input_gradient"].index_axis(Axis(0), place);
        for (export, engine) in
            network.exports.iter().flat_map(|e| engines().into_iter().map(move |engine| (e, engine)))
        {
            let plan =
                plan(&export.open(), &names, &PlanOptions::default()).unwrap_or_else(|e| panic!("{export}: {e}"));
            let mut explainer = explainer(&plan, &engine, network.input.len_of(Axis(0)));
            let mut errors = Errors::default();
            for (i, found) in run(&mut explainer, &network.input, class).iter().enumerate() {
                for (m, (method, key)) in METHODS.iter().enumerate() {
                    let expected = if *method == "gradient" { exact.view() } else { reference[*key].view() };
                    let expected = expected.index_axis(Axis(0), i).to_owned();
                    let attribution = found.attributions[m].as_ref().expect("an attribution");
                    errors.add(*method, apart(&sampled(attribution), &expected, most(&expected)));
                    assert_eq!(found.maps[m].clone().into_dyn(), largest(attribution), "{export}: {method}");
                }
                let map = found.maps[METHODS.len()].slice_each_axis(|_| Slice::new(0, None, 5)).to_owned().into_dyn();
                let expected = reference["full_grad"].index_axis(Axis(0), i).to_owned();
                errors.add("full-grad", apart(&map, &expected, most(&expected)));
            }
            failures.note(export, &engine, &errors, errors.beyond(1e-4));
            count += 1;
        }
    }
    assert!(count >= 40, "{count} exports");
    failures.are_none();
}

/// R = X ∂S/∂X, whose sum is the score of a network without biases; the raw map is its signed sum over the channels.
#[test]
fn gradient_times_input_adds_up_to_the_score() {
    let model = Maker::new(17)
        .input("x", "f32[N,3,8,9]")
        .weights("w", &[6, 3, 3, 3])
        .node("Conv", &["x", "w"], &["c"])
        .node("Relu", &["c"], &["r"])
        .node("GlobalAveragePool", &["r"], &["p"])
        .node("Flatten", &["p"], &["f"])
        .weights("fc", &[6, 4])
        .node("MatMul", &["f", "fc"], &["scores"])
        .output("scores", "f32[N,4]")
        .model();
    let x = pictures(&[2, 3, 8, 9], 3);
    let plan = plan(&model, &["gradient-times-input", "gradient"], &PlanOptions::default()).unwrap();
    assert_eq!((plan.layer.name.as_str(), plan.layer.tensor), ("x", plan.input), "the picture is the layer");
    for engine in engines() {
        for (i, found) in run(&mut explainer(&plan, &engine, 2), &x, 2).iter().enumerate() {
            let [product, gradient] = [0, 1].map(|m| found.attributions[m].clone().unwrap());
            let x = x.index_axis(Axis(0), i);
            assert!(apart(&product, &(&x * &gradient).into_dyn(), most(&product)) < 1e-6);
            let map = product.sum_axis(Axis(0));
            assert!(apart(&found.maps[0].clone().into_dyn(), &map, most(&map)) < 1e-6);
            assert!(map.iter().any(|v| *v < 0.0), "signed");
            assert!((product.sum() - found.scores[2]).abs() < 1e-5 * found.scores[2].abs().max(1.0));
        }
    }
}

/// FullGrad by hand, for S = Σ v (x + b): the bias of a Conv, written as an Add or as a batch normalisation's, counts, and so
/// does none.
#[test]
fn biases_by_hand() {
    let (x, v) = ([1.0f32, 2.0, 3.0, 4.0], [1.0f32, -2.0, 3.0, 0.0]);
    let net = |bias: &str| {
        let net = Maker::new(17).input("x", "f32[N,1,2,2]").floats("w", &[1, 1, 1, 1], &[1.0]);
        let net = net.floats("b", &[1], &[0.5]).floats("b4", &[1, 1, 1, 1], &[0.5]).floats("one", &[1], &[1.0]);
        let net = match bias {
            "Conv" => net.node("Conv", &["x", "w", "b"], &["z"]),
            "Add" => net.node("Conv", &["x", "w"], &["c"]).node("Add", &["b4", "c"], &["z"]),
            "BatchNormalization" => net
                .node("Conv", &["x", "w"], &["c"])
                .node("BatchNormalization", &["c", "one", "one", "b", "one"], &["z"])
                .with("epsilon", 0.0f32),
            _ => net.node("Conv", &["x", "w"], &["z"]),
        };
        let columns: Vec<f32> = v.iter().flat_map(|v| [*v, 0.0]).collect();
        net.node("Flatten", &["z"], &["f"])
            .floats("v", &[4, 2], &columns)
            .node("MatMul", &["f", "v"], &["scores"])
            .output("scores", "f32[N,2]")
            .model()
    };
    let of_picture = [1.0, 4.0, 9.0, 0.0].map(|m| m / 9.0);
    let of_bias = [1.0, 2.0, 3.0, 0.0].map(|m| m / 3.0);
    for bias in ["Conv", "Add", "BatchNormalization", "none"] {
        let plan = plan(&net(bias), &["full-grad"], &PlanOptions::default()).unwrap();
        for engine in engines() {
            let x = ArrayD::from_shape_vec(vec![1, 1, 2, 2], x.to_vec()).unwrap();
            let found = |class| run(&mut explainer(&plan, &engine, 1), &x, class).remove(0).maps.remove(0);
            for (i, found) in found(0).iter().enumerate() {
                let expected = of_picture[i] + if bias == "none" { 0.0 } else { of_bias[i] };
                assert!((found - expected).abs() < 1e-6, "{bias}: {found} instead of {expected}");
            }
            assert!(found(1).iter().all(|v| *v == 0.0), "{bias}: no gradient");
        }
    }
}

/// The channels of [N, H, W, C] are the last axis; integers are differentiated behind their Cast; `layout` is believed.
#[test]
fn channels_behind_and_whole_numbers() {
    let behind = |input: &str| {
        let net = Maker::new(17).input("x", input);
        let net = if input.starts_with("u8") {
            net.node("Cast", &["x"], &["y"]).with("to", 1i64)
        } else {
            net.node("Identity", &["x"], &["y"])
        };
        net.node("Transpose", &["y"], &["t"])
            .with("perm", vec![0i64, 3, 1, 2])
            .weights("w", &[6, 3, 3, 3])
            .node("Conv", &["t", "w"], &["c"])
            .node("Relu", &["c"], &["r"])
            .node("GlobalAveragePool", &["r"], &["p"])
            .node("Flatten", &["p"], &["f"])
            .weights("fc", &[6, 4])
            .node("MatMul", &["f", "fc"], &["scores"])
            .output("scores", "f32[N,4]")
            .model()
    };
    let x = pictures(&[1, 7, 9, 3], 3).mapv(|v| (v * 60.0).round().abs());
    let names = ["guided-grad-cam++", "gradient", "full-grad"];
    let options = PlanOptions::default();
    let floats = plan(&behind("f32[N,7,9,3]"), &names, &options).unwrap();
    let bytes = plan(&behind("u8[N,7,9,3]"), &names, &options).unwrap();
    for engine in engines() {
        let of = |plan| run(&mut explainer(plan, &engine, 1), &x, 1).remove(0);
        let (found, same) = (of(&floats), of(&bytes));
        // Of a network without biases, FullGrad is what each channel of the picture contributes.
        let product =
            x.index_axis(Axis(0), 0).mapv(f64::from) * found.attributions[1].as_ref().unwrap().mapv(f64::from);
        let full = product.axis_iter(Axis(2)).map(|channel| {
            let (low, high) = channel.iter().fold((f64::MAX, 0.0f64), |(l, h), v| (l.min(v.abs()), h.max(v.abs())));
            channel.mapv(|v| (v.abs() - low) / (high - low))
        });
        let full = full.reduce(|a, b| a + b).unwrap();
        assert!(apart(&found.maps[2].clone().into_dyn(), &full, most(&full)) < 1e-5);
        assert_eq!(found.maps[2], same.maps[2]);
        for m in 0..2 {
            assert_eq!(found.maps[m].dim(), (7, 9));
            let attribution = found.attributions[m].as_ref().unwrap();
            assert_eq!(attribution.shape(), [7, 9, 3]);
            assert_eq!(Some(attribution), same.attributions[m].as_ref());
            let largest = attribution.fold_axis(Axis(2), 0.0, |most: &f32, v| most.max(v.abs()));
            assert_eq!(found.maps[m].clone().into_dyn(), largest);
        }
    }
    let said = PlanOptions { layout: Some(Layout::Nchw), ..PlanOptions::default() };
    let found = plan(&behind("f32[N,7,9,3]"), &["gradient"], &said).unwrap();
    let shape = |t| found.graph.shape(t).unwrap().iter().skip(1).map(|d| d.known().unwrap()).collect::<Vec<_>>();
    assert_eq!(shape(found.maps[0].map), [9, 3], "as it was said");
}

/// A perceptron has no feature maps, and a gradient all the same; a vector has no pixels.
#[test]
fn networks_without_feature_maps() {
    let perceptron = |input: &str| {
        Maker::new(17)
            .input("x", input)
            .node("Flatten", &["x"], &["f"])
            .weights("w1", &[60, 8])
            .node("MatMul", &["f", "w1"], &["h"])
            .node("Relu", &["h"], &["r"])
            .weights("w2", &[8, 5])
            .node("MatMul", &["r", "w2"], &["scores"])
            .output("scores", "f32[N,5]")
            .model()
    };
    let options = PlanOptions::default();
    let picture = perceptron("f32[N,3,4,5]");
    assert!(plan(&picture, &["grad-cam"], &options).unwrap_err().to_string().contains("no feature maps"));
    let x = pictures(&[2, 3, 4, 5], 3);
    let plan_of = |name| plan(&picture, &[name], &options).unwrap();
    for name in ["gradient", "guided-backprop"] {
        for engine in engines() {
            let found = run(&mut explainer(&plan_of(name), &engine, 2), &x, -1);
            assert!(found.iter().all(|f| f.maps[0].dim() == (4, 5) && f.maps[0].iter().any(|v| *v > 0.0)));
        }
    }
    let error = plan(&perceptron("f32[N,60]"), &["gradient"], &options).unwrap_err().to_string();
    assert!(error.starts_with("Gradient is made at the picture, and the input is f32[N,60]\nhint: "), "{error}");
}

/// What is said: that a rule was published for other activations.
#[test]
fn the_generalised_rule_is_announced() {
    let notes = |name: &str, method: &str| {
        let network = Network::golden().into_iter().find(|n| n.name == name).unwrap();
        plan(&network.exports[0].open(), &[method], &PlanOptions::default()).unwrap().maps[0].notes.clone()
    };
    for (network, plain) in [("vgg", true), ("mobilenet_v2", true), ("efficientnet", false), ("mobilenet_v3", false)] {
        for method in ["guided-backprop", "deconvnet", "guided-grad-cam"] {
            let said = notes(network, method);
            let announced = said.iter().any(|n| n.starts_with("its rule was published for ReLU; `"));
            assert_eq!(announced, !plain, "{network}, {method}: {said:?}");
        }
        assert!(notes(network, "gradient").is_empty(), "{network}");
    }
}

/// Where every activation is at its kink, and every window full of ties, nothing is NaN.
#[test]
fn zero_pictures_are_explained() {
    let model = tiny_cnn(17, 5).model();
    let x = ArrayD::zeros(vec![1, 3, 16, 16]);
    let names = METHODS.map(|(method, _)| method);
    let plan = plan(&model, &names, &PlanOptions::default()).unwrap();
    for engine in engines() {
        let found = run(&mut explainer(&plan, &engine, 1), &x, 0).remove(0);
        assert!(found.attributions.iter().flatten().flatten().all(|v| v.is_finite()));
    }
}
