//! What is in the files.

use onnx_graph::proto::DimensionValue;
use onnxcam::Model;
use onnxcam::engine::Choice;
use onnxcam::heatmap::Colormap;
use onnxcam::method::{GradCam, GradCamPlusPlus};
use onnxcam::picture::{Fit, Picture};
use onnxcam::{Target, classifier::Preprocessing};
use testkit::models::{Maker, tiny_cnn, tiny_nhwc, tiny_two_outputs};

use crate::desk::{CLASSES, Desk, declaring};

#[test]
fn the_program_writes_what_the_library_makes() {
    let desk = Desk::with(&["a.png"]);
    desk.explain(&[
        "a.png",
        "--method",
        "grad-cam,grad-cam++",
        "--class",
        "4",
        "--save",
        "map,overlay",
        "--colormap",
        "jet",
    ])
    .well();

    let model = Model::open(desk.path("net.onnx")).unwrap();
    let mut explainer = model.explain_with(&[&GradCam, &GradCamPlusPlus]).build(Choice::Rten).unwrap();
    let picture = Picture::open(desk.path("a.png")).unwrap();
    let result = explainer.run(&picture, Target::Class(4)).unwrap();
    assert_eq!((result.class(), result.label().as_str(), result.scores().len()), (4, "class 4", CLASSES));
    assert!(explainer.subject().preprocessing_note().unwrap().contains("torchvision"));
    for map in result.maps() {
        let name = map.method().name();
        assert_eq!(map.heatmap().raw(), desk.read_map(&format!("a.{name}.map.npy")));
        let overlay = map.overlay(&picture, Colormap::Jet, 0.5).unwrap();
        assert_eq!(overlay.image(), &desk.read_picture(&format!("a.{name}.overlay.png")));
    }
    assert!(result.map(1).heatmap().raw().iter().any(|v| *v > 0.0));
}

#[test]
fn overlays_and_heatmaps_are_as_large_as_the_picture() {
    let desk = Desk::new();
    for (name, size) in [("wide", (300, 20)), ("tall", (20, 300)), ("dot", (1, 1)), ("large", (700, 600))] {
        desk.picture(format!("{name}.png"), size);
        desk.explain(&[format!("{name}.png").as_str(), "--save", "overlay,heatmap,panel"]).well();
        for kind in ["overlay", "heatmap"] {
            assert_eq!(desk.read_picture(&format!("{name}.grad-cam++.{kind}.png")).dimensions(), size);
        }
        assert!(desk.read_picture(&format!("{name}.panel.png")).width() > 400);
    }
}

#[test]
fn alpha_is_the_share_of_the_map() {
    let desk = Desk::with(&["a.png"]);
    let with = |alpha: &str| {
        desk.explain(&["a.png", "--fit", "stretch", "--alpha", alpha, "--save", "overlay,heatmap"]).well();
        (desk.read_picture("a.grad-cam++.overlay.png"), desk.read_picture("a.grad-cam++.heatmap.png"))
    };
    assert_eq!(with("0").0, desk.read_picture("a.png"));
    let (overlay, heatmap) = with("1");
    assert_eq!(overlay, heatmap);
}

#[test]
fn the_assumed_preprocessing_is_said_and_can_be_overridden() {
    let desk = Desk::with(&["a.png"]);
    let ran = desk.explain(&["a.png"]).well();
    assert!(
        ran.err.contains("preprocessing is assumed, as torchvision does: shorter side to 18, centre 16×16"),
        "{ran:?}"
    );
    let ran = desk.explain(&["a.png", "--preset", "torchvision"]).well();
    assert!(!ran.err.contains("assumed"), "{ran:?}");

    // The same numbers by name and by hand.
    let top =
        |arguments: &[&str]| desk.explain(&[&["a.png", "--json"], arguments].concat()).well().json()[0]["top"].clone();
    let by_name = top(&["--preset", "efficientnet-lite", "--fit", "crop", "--resize", "17"]);
    let by_hand =
        top(&["--scale", "1", "--mean", "127", "--std", "128,128,128", "--filter", "bicubic", "--resize", "17"]);
    assert_eq!(by_name, by_hand);
    assert_ne!(by_name, top(&["--preset", "efficientnet-lite", "--resize", "18"]));
    assert_ne!(top(&["--channels", "bgr"]), top(&["--channels", "rgb"]));
}

#[test]
fn signed_maps_keep_what_spoke_against_the_class() {
    let desk = Desk::with(&["a.png"]);
    let classes = ["0", "1", "2", "3", "4", "5"];
    let maps = |arguments: &[&str]| {
        let all = classes.join(",");
        let common = ["a.png", "--method", "grad-cam", "--save", "map", "--class", &all];
        desk.explain(&[&common, arguments].concat()).well();
        classes.map(|class| desk.read_map(&format!("a.class{class}.grad-cam.map.npy")))
    };
    let (signed, plain) = (maps(&["--signed"]), maps(&[]));
    let has = |negative: bool| signed.iter().flatten().any(|v| if negative { *v < 0.0 } else { *v > 0.0 });
    assert!(has(true) && has(false));
    assert_eq!(signed.map(|map| map.mapv(|v| v.max(0.0))), plain);
}

#[test]
fn an_open_size_is_224_unless_told_otherwise_and_that_is_said() {
    let desk = Desk::with(&["a.png"]);
    let open = || [None, Some(DimensionValue::DimValue(3)), Some(DimensionValue::DimParam("h".to_owned())), None];
    desk.net_of("open.onnx", declaring(tiny_cnn(17, CLASSES), open()));
    let size = |arguments: &[&str]| {
        let ran = desk.explain(&[&["a.png", "--model", "open.onnx", "--save", "map"], arguments].concat()).well();
        (desk.read_map("a.grad-cam++.map.npy").dim(), ran.err)
    };
    let (assumed, said) = size(&[]);
    assert_eq!(assumed, (112, 112));
    assert!(said.contains("224"), "{said}");
    assert_eq!(size(&["--input-size", "16"]).0, (8, 8));
    assert_eq!(size(&["--input-size", "16x24"]).0, (8, 12));
}

#[test]
fn channels_may_stand_last() {
    let desk = Desk::with(&["a.png"]);
    desk.net("last.onnx", tiny_nhwc(17, CLASSES));
    let top = |net: &str| desk.explain(&["a.png", "--json", "--model", net]).well().json()[0]["top"].clone();
    let scores = |net: &str| {
        let top = top(net);
        top.as_array()
            .unwrap()
            .iter()
            .map(|t| (t["class"].as_u64().unwrap(), t["score"].as_f64().unwrap()))
            .collect::<Vec<_>>()
    };
    for (first, last) in scores("net.onnx").iter().zip(scores("last.onnx")) {
        assert!(first.0 == last.0 && (first.1 - last.1).abs() < 1e-4);
    }
    desk.explain(&["a.png", "--layout", "nhwc"]).badly(&["16 channels", "nhwc"]);
}

/// As TensorFlow's classifiers often are: bytes in, normalised inside.
#[test]
fn a_network_of_bytes_is_fed_samples_as_they_are() {
    let desk = Desk::with(&["a.png"]);
    let cast = Maker::new(17).input("bytes", "u8[N,3,16,16]").node("Cast", &["bytes"], &["x"]).with("to", 1);
    let (mut model, cast) = (tiny_cnn(17, CLASSES).build(), cast.build().graph.unwrap());
    let graph = model.graph.as_mut().unwrap();
    graph.input = cast.input;
    graph.node.splice(0..0, cast.node);
    desk.net_of("bytes.onnx", model);
    let bytes = desk.explain(&["a.png", "--json", "--model", "bytes.onnx"]).well();
    assert!(bytes.err.contains("whole numbers"), "{bytes:?}");
    let floats = desk.explain(&["a.png", "--json", "--scale", "1", "--mean", "0", "--std", "1"]).well();
    assert_eq!(bytes.json()[0]["top"], floats.json()[0]["top"]);
}

#[test]
fn of_several_outputs_the_classifier_is_taken() {
    let desk = Desk::with(&["a.png"]);
    desk.net("two.onnx", tiny_two_outputs(17, CLASSES));
    let top =
        |arguments: &[&str]| desk.explain(&[&["a.png", "--json"], arguments].concat()).well().json()[0]["top"].clone();
    assert_eq!(top(&["--model", "two.onnx"]), top(&["--model", "net.onnx"]));
    assert_ne!(top(&["--model", "two.onnx", "--output", "feat"]), top(&["--model", "net.onnx"]));
}

#[test]
fn a_stretched_picture_is_seen_whole() {
    let desk = Desk::with(&["a.png"]);
    let model = Model::open(desk.path("net.onnx")).unwrap();
    let stretched = Preprocessing { fit: Some(Fit::Stretch), ..Preprocessing::default() };
    let mut explainer = model.explain_with(&[&GradCam]).preprocess(stretched).build(Choice::Rten).unwrap();
    let picture = Picture::open(desk.path("a.png")).unwrap();
    let result = explainer.run(&picture, Target::Predicted).unwrap();
    assert_eq!(result.map(0).placed().seen(), (0..30, 0..20));
    assert_eq!(result.class(), result.top(1)[0].class);
}
