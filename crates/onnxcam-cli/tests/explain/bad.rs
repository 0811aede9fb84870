//! Bad files, and maps that show nothing.

use std::fs;

use testkit::models::tiny_cnn;

use crate::desk::{CLASSES, Desk, edited};

/// A whole JPEG file.
fn jpeg() -> Vec<u8> {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/coffee.jpg");
    fs::read(examples).unwrap()
}

#[test]
fn a_truncated_jpeg_is_a_bad_file_and_the_rest_is_done() {
    let desk = Desk::with(&["a.png", "z.png"]);
    let jpeg = jpeg();
    fs::write(desk.path("cut.jpg"), &jpeg[..jpeg.len() / 2]).unwrap();
    let ran =
        desk.explain(&["a.png", "cut.jpg", "missing.jpg", "z.png"]).badly(&["cut.jpg is truncated", "missing.jpg"]);
    assert!(ran.err.contains("2 of 4 images could not be explained"), "{ran:?}");
    assert_eq!(desk.made("."), ["a.grad-cam++.overlay.png", "z.grad-cam++.overlay.png"]);
    assert!(ran.out.contains("a.png\n") && ran.out.contains("z.png\n") && !ran.out.contains("cut.jpg"));
    fs::write(desk.path("whole.jpg"), &jpeg).unwrap();
    desk.explain(&["whole.jpg"]).well();
}

#[test]
fn a_bad_file_alone_says_why() {
    let desk = Desk::new();
    fs::write(desk.path("cut.jpg"), &jpeg()[..5000]).unwrap();
    let ran = desk.explain(&["cut.jpg"]).badly(&["cut.jpg"]);
    assert_eq!((ran.out.as_str(), desk.made(".").len()), ("", 0));
}

#[test]
fn a_map_without_positive_evidence_is_announced_and_drawn_empty() {
    let desk = Desk::with(&["a.png"]);
    desk.net_of("against.onnx", edited(tiny_cnn(17, CLASSES), "fc.weight", |_, w| -w.abs()));
    let arguments = ["a.png", "--model", "against.onnx", "--method", "grad-cam,grad-cam++", "--fit", "stretch"];
    let ran = desk.explain(&[&arguments[..], &["--save", "overlay,map,panel", "--json"]].concat()).well();
    assert_eq!(ran.err.matches("a.png: grad-cam").count(), 2, "{ran:?}");
    assert!(ran.err.contains("no positive evidence"), "{ran:?}");
    for explanation in ran.json()[0]["explanations"].as_array().unwrap() {
        assert_eq!(explanation["flat"], true);
        assert!(explanation["notes"].to_string().contains("no positive evidence"));
    }
    assert!(desk.read_map("a.grad-cam.map.npy").iter().all(|v| *v == 0.0));
    assert_eq!(desk.read_picture("a.grad-cam.overlay.png"), desk.read_picture("a.png"));
}

#[test]
fn a_map_of_nan_is_announced_and_drawn_empty() {
    let desk = Desk::with(&["a.png"]);
    desk.net_of("nan.onnx", edited(tiny_cnn(17, CLASSES), "fc.weight", |_, _| f32::NAN));
    let ran =
        desk.explain(&["a.png", "--model", "nan.onnx", "--method", "cam", "--class", "1", "--fit", "stretch"]).well();
    assert!(ran.err.contains("NaN"), "{ran:?}");
    assert_eq!(desk.read_picture("a.cam.overlay.png"), desk.read_picture("a.png"));
}

#[test]
fn bad_words_on_the_command_line_are_named() {
    let desk = Desk::with(&["a.png"]);
    let badly = |arguments: &[&str], words: &[&str]| {
        let ran = desk.explain(&[&["a.png"], arguments].concat());
        assert!(matches!(ran.status, Some(1 | 2)), "{ran:?}");
        words.iter().for_each(|word| assert!(ran.err.contains(word), "{word:?} is not in {ran:?}"));
        assert!(desk.made(".").is_empty());
    };
    badly(&["--method", "grad-cam,gradcam"], &["gradcam", "grad-cam++"]);
    badly(&["--colormap", "hot"], &["hot", "turbo"]);
    badly(&["--alpha", "1.5"], &["1.5", "opacity"]);
    badly(&["--save", "overlay,gif"], &["gif", "heatmap"]);
    badly(&["--preset", "imagenet"], &["imagenet", "torchvision"]);
    badly(&["--mean", "1,2"], &["1,2"]);
    badly(&["--std", "0"], &["standard deviation of 0"]);
    badly(&["--layer", "featurez"], &["featurez", "features"]);
    badly(&["--output", "none"], &["none", "logits"]);
    badly(&["--model", "missing.onnx"], &["missing.onnx"]);
    badly(&["--fit", "stretch", "--resize", "20"], &["--resize"]);
    badly(&["--engine", "tract"], &["tract"]);
    std::fs::write(desk.path("broken.onnx"), b"\x08\x07\x12\xFF").unwrap();
    badly(&["--model", "broken.onnx"], &["broken.onnx", "hint"]);
}
