//! Networks of series [N, C, L] and of volumes [N, C, D, H, W] (R21): maps have the input's axes of space. By both of PyTorch's
//! exporters, against its own gradients in float64 (`references/make_ranks.py`).

#[path = "support/both.rs"]
mod both;
#[path = "support/networks.rs"]
mod networks;

use std::collections::BTreeMap;
use std::path::Path;

use both::{engines, explain, onnx_runtime, plan};
use ndarray::{ArrayD, Axis};
use networks::{Errors, apart, most};
use onnx_graph::Model;
use onnxcam::explain::{Plan, PlanError, PlanOptions};
use onnxcam::method::{GradCam, METHODS as METHODS_OF_ALL, Method, variants};
use testkit::npz;

const METHODS: [(&str, &str); 7] = [
    ("grad-cam", "grad_cam"),
    ("grad-cam++", "grad_cam_pp"),
    ("hirescam", "hirescam"),
    ("layercam", "layercam"),
    ("xgrad-cam", "xgrad_cam"),
    ("eigen-cam", "eigen_cam"),
    ("cam", "cam"),
];

struct Network {
    name: String,
    module: String,
    grid: Vec<i64>,
    cam: bool,
    arrays: BTreeMap<String, ArrayD<f64>>,
}

impl Network {
    fn all() -> Vec<Network> {
        let described: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(folder().join("networks.json")).unwrap()).unwrap();
        let read = |of: &serde_json::Value| {
            let name = of["name"].as_str().unwrap().to_owned();
            Network {
                module: of["module"].as_str().unwrap().to_owned(),
                grid: of["grid"].as_array().unwrap().iter().map(|size| size.as_i64().unwrap()).collect(),
                cam: of["cam"].as_bool().unwrap(),
                arrays: npz(folder().join(format!("{name}.npz"))),
                name,
            }
        };
        described.as_array().unwrap().iter().map(read).collect()
    }

    fn exports(&self) -> impl Iterator<Item = (String, Model)> {
        let file = |exporter: &str| format!("{}.{exporter}.onnx", self.name);
        ["old", "new"].map(file).into_iter().map(|file| (file.clone(), Model::open(folder().join(file)).unwrap()))
    }
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/ranks")
}

/// 1e-4 of max Σ_k |w_k A^k|, as for pictures; α of Grad-CAM++ sums over all cells, however many axes they have.
#[test]
fn maps_are_pytorchs() {
    let Some(ort) = onnx_runtime() else { return };
    let mut wrong = Vec::new();
    for network in Network::all() {
        let x = network.arrays["input"].mapv(|v| v as f32);
        let methods: Vec<_> = METHODS.into_iter().filter(|(name, _)| *name != "cam" || network.cam).collect();
        let names: Vec<&str> = methods.iter().map(|(name, _)| *name).collect();
        // rten has convolutions over one axis and over two.
        let of_series = network.grid.len() == 1;
        for (export, model) in network.exports() {
            let options = PlanOptions { signed: true, ..PlanOptions::default() };
            let plan = plan(&model, &names, &options).unwrap_or_else(|e| panic!("{export}: {e}"));
            let (module, grid) = (&plan.layer.module, plan.layer.view.grid());
            // Its activation makes what the module makes.
            assert!(module.starts_with(&network.module) && grid == network.grid, "{export}: {module}, {grid:?}");
            for engine in if of_series { engines() } else { vec![ort.clone()] } {
                let mut errors = Errors::default();
                for (c, class) in network.arrays["classes"].iter().enumerate() {
                    for (i, found) in explain(&plan, &engine, &x, *class as i64).iter().enumerate() {
                        assert!(found.maps.is_empty() && found.fields.len() == names.len(), "{export}");
                        let logits = network.arrays["logits"].index_axis(Axis(0), i).to_owned();
                        let scores = ndarray::Array1::from(found.scores.clone()).into_dyn();
                        errors.add("logits", apart(&scores, &logits, most(&logits)));
                        for (map, (name, key)) in found.fields.iter().zip(&methods) {
                            let of = |what: &str| {
                                let array = &network.arrays[&format!("{key}_{what}")];
                                array.index_axis(Axis(0), c).index_axis(Axis(0), i).to_owned()
                            };
                            errors.add(*name, apart(map, &of("signed"), of("scale")[[]]));
                        }
                    }
                }
                println!("{export} on {}: {errors}", engine.name());
                let beyond = errors.beyond(1e-4);
                if !beyond.is_empty() {
                    wrong.push(format!("{export} on {}: {}", engine.name(), beyond.join(", ")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every method of one gradient at a layer makes maps there, by every formula that goes by its name.
#[test]
fn every_method_of_one_gradient() {
    let Some(ort) = onnx_runtime() else { return };
    let of_a_layer = |m: &&&dyn Method| m.runs().is_none() && m.needs().pixels.is_none() && !m.needs().pooled_head;
    let methods = METHODS_OF_ALL.iter().filter(of_a_layer).flat_map(|m| variants(m.name()));
    let methods: Vec<&'static dyn Method> = methods.collect();
    assert!(methods.len() >= 15, "{methods:?}");
    for network in Network::all() {
        let x = network.arrays["input"].mapv(|v| v as f32);
        let (export, model) = network.exports().next().unwrap();
        let plan = Plan::new(&model, &methods, &PlanOptions::default()).unwrap_or_else(|e| panic!("{export}: {e}"));
        let found = explain(&plan, &ort, &x, -1).remove(0);
        for (map, method) in found.fields.iter().zip(&methods) {
            assert!(
                map.shape().iter().map(|size| *size as i64).eq(network.grid.iter().copied()),
                "{export}: {method:?}"
            );
            assert!(map.iter().all(|v| v.is_finite()), "{export}: {method:?}");
        }
    }
}

/// rten has no convolution over three axes: it is said, with the operator and the engine that has.
#[test]
fn volumes_on_rten_are_refused() {
    let network = Network::all().into_iter().find(|n| n.name == "ct_vgg").unwrap();
    let (_, model) = network.exports().next().unwrap();
    let plan = plan(&model, &["grad-cam"], &PlanOptions::default()).unwrap();
    let error = onnxcam::explain::Explainer::new(&plan, &engines()[0], 1, None).unwrap_err().to_string();
    assert!(error.starts_with("rten computes nothing of three spatial axes, and the network has `Conv`"), "{error}");
    assert!(error.contains("hint: ONNX Runtime does"), "{error}");
}

/// What changes pictures or their feature maps, and what is made at the picture, is for pictures; so is what draws them.
#[test]
fn what_is_for_pictures_says_so() {
    for network in Network::all() {
        let (export, model) = network.exports().next().unwrap();
        for method in ["ablation-cam", "recipro-cam", "score-cam", "random-cam", "smooth-grad-cam++"] {
            let error = plan(&model, &[method], &PlanOptions::default()).unwrap_err();
            assert!(matches!(error, PlanError::OfPictures { .. }), "{export}, {method}: {error}");
        }
        for method in ["gradient", "guided-grad-cam", "rise", "occlusion"] {
            let error = plan(&model, &[method], &PlanOptions::default()).unwrap_err();
            assert!(matches!(error, PlanError::NoPixels { .. }), "{export}, {method}: {error}");
        }
        let layer = plan(&model, &["grad-cam"], &PlanOptions::default()).unwrap().layer.name;
        let twice = PlanOptions { layer: Some(layer.clone()), fused: vec![layer], ..PlanOptions::default() };
        let error = plan(&model, &["grad-cam"], &twice).unwrap_err();
        assert!(matches!(error, PlanError::NotFused { .. }), "{export}: {error}");
        let classifier = onnxcam::Model::open(folder().join(&export)).unwrap();
        let error = classifier.explain_with(&[&GradCam]).settle().unwrap_err().to_string();
        let expected = "only those of pictures, [N, channels, height, width], can be drawn";
        assert!(error.contains(expected) && error.contains("hint: the library explains series and volumes"), "{error}");
    }
}
