//! R33: networks that normalise pictures themselves are not fed normalised ones; channels last; bytes.

#[path = "support/both.rs"]
mod both;

use both::onnx_runtime;
use onnx_graph::DataType;
use onnxcam::classifier::{Preprocessing, Setup};
use onnxcam::engine::Choice;
use onnxcam::method::GradCamPlusPlus;
use onnxcam::picture::{ChannelOrder, Layout, Picture, Preset};
use onnxcam::{Explanation, Model, Target};
use testkit::models::{Maker, raw, tiny_cnn};

/// `tiny_cnn` behind nodes that make `net`, f32[N,3,16,16].
fn behind(front: Maker) -> Model {
    let mut proto = tiny_cnn(17, 5).build();
    let graph = proto.graph.as_mut().unwrap();
    let front = front.build().graph.unwrap();
    graph.node.iter_mut().flat_map(|n| &mut n.input).filter(|i| *i == "x").for_each(|i| *i = "net".to_owned());
    graph.input = front.input;
    graph.initializer.extend(front.initializer);
    graph.node.splice(..0, front.node);
    let file = tempfile::NamedTempFile::new().unwrap();
    onnx_graph::Model::from_proto(proto, file.path()).unwrap().save(file.path()).unwrap();
    Model::open(file.path()).unwrap()
}

fn plain() -> Model {
    behind(Maker::new(17).input("x", "f32[N,3,16,16]").node("Identity", &["x"], &["net"]))
}

/// Every channel of its own, darker to one side, with a bright square.
fn photo() -> Picture {
    let pixel = |x: u32, y: u32| match (4..9).contains(&x) && (5..12).contains(&y) {
        true => [250, 180, 20],
        false => [(x * 9) as u8, 90 + y as u8, 200 - (y * 8) as u8],
    };
    let image = image::RgbImage::from_fn(20, 20, |x, y| image::Rgb(pixel(x, y)));
    Picture::from_rgb(image, "photo")
}

fn explained(model: &Model, set: impl Fn(Setup<'_>) -> Setup<'_>) -> (Vec<Explanation>, Option<String>) {
    let choices = [Choice::Rten, Choice::Ort].into_iter().filter(|c| *c == Choice::Rten || onnx_runtime().is_some());
    let mut note = None;
    let all = choices.map(|choice| {
        let mut explainer = set(model.explain_with(&[&GradCamPlusPlus])).build(choice).unwrap();
        note = explainer.subject().preprocessing_note().map(str::to_owned);
        explainer.run(&photo(), Target::Predicted).unwrap()
    });
    (all.collect(), note)
}

/// By default the first explains as the second does when it is fed so.
#[track_caller]
fn same(inside: &Model, plain: &Model, fed: &Preprocessing) -> String {
    let (found, note) = explained(inside, |setup| setup);
    let (expected, _) = explained(plain, |setup| setup.preprocess(fed.clone()));
    for (found, expected) in found.iter().zip(&expected) {
        close(found.scores(), expected.scores());
        let raw = |e: &Explanation| e.map(0).heatmap().raw().iter().copied().collect::<Vec<f32>>();
        assert!(raw(expected).iter().any(|v| *v > 0.0));
        close(&raw(found), &raw(expected));
    }
    note.unwrap_or_default()
}

#[track_caller]
fn close(found: &[f32], expected: &[f32]) {
    let most = expected.iter().fold(0.0, |m: f32, v| m.max(v.abs()));
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 2e-5 * most), "{found:?} instead of {expected:?}");
}

fn fed(scale: f32, mean: [f32; 3], std: [f32; 3]) -> Preprocessing {
    Preprocessing { scale: Some(scale), mean: Some(mean), std: Some(std), ..Preprocessing::default() }
}

fn imagenet() -> Preprocessing {
    fed(1.0 / 255.0, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
}

/// As Keras writes MobileNet and EfficientNetV2: channels last, resized, x/127.5 − 1, then the network.
#[test]
fn a_rescaling_layer() {
    let front = |normalise: bool| {
        let net = Maker::new(17)
            .input("image", "f32[N,20,20,3]")
            .floats("scales", &[4], &[1.0, 0.8, 0.8, 1.0])
            .node("Resize", &["image", "", "scales"], &["small"])
            .with("mode", "linear");
        let net = if normalise {
            net.floats("factor", &[], &[1.0 / 127.5])
                .floats("one", &[1], &[1.0])
                .node("Mul", &["small", "factor"], &["scaled"])
                .node("Sub", &["scaled", "one"], &["ready"])
        } else {
            net.node("Identity", &["small"], &["ready"])
        };
        net.node("Transpose", &["ready"], &["net"]).with("perm", [0, 3, 1, 2])
    };
    let note = same(&behind(front(true)), &behind(front(false)), &fed(1.0 / 127.5, [1.0; 3], [1.0; 3]));
    assert_eq!(
        note,
        "the model normalises inside: x/127.5 − 1; pictures are fed as 0..255, not normalised again; assumed: shorter \
         side to 23, centre 20×20, bilinear, rgb; --preset says otherwise"
    );
}

/// As converted TensorFlow Lite models take pictures: bytes, signed ones too, that a DequantizeLinear spreads over −1..1; and
/// floats that are rounded first.
#[test]
fn rounded_pictures() {
    let front = |kind: &str, step: f32, zero: (DataType, u8)| {
        let net = Maker::new(17)
            .input("image", &format!("{kind}[N,16,16,3]"))
            .floats("step", &[], &[step])
            .tensor("zero", raw(zero.0, &[], vec![zero.1]));
        let net = match kind {
            "f32" => net
                .node("QuantizeLinear", &["image", "one", "none"], &["rounded"])
                .floats("one", &[], &[1.0])
                .tensor("none", raw(DataType::U8, &[], vec![0])),
            _ => net.node("Identity", &["image"], &["rounded"]),
        };
        net.node("DequantizeLinear", &["rounded", "step", "zero"], &["ready"])
            .node("Transpose", &["ready"], &["net"])
            .with("perm", [0, 3, 1, 2])
    };
    let (usual, wide) = (1.0 / 127.5, 0.02); // 0..255 in steps of 0.02 is no usual range, −128..127 is.
    let cases = [
        (front("u8", usual, (DataType::U8, 128)), usual, "x/127.5 − 1.0039; pictures are fed as 0..255"),
        (front("f32", usual, (DataType::U8, 128)), usual, "x/127.5 − 1.0039; pictures are fed as 0..255"),
        (front("i8", usual, (DataType::I8, 0)), usual, "x/127.5; pictures are fed as −128..127"),
        (front("i8", wide, (DataType::I8, 0)), wide, "x/50; pictures are fed as −128..127"),
    ];
    for (net, step, says) in cases {
        let note = same(&behind(net), &plain(), &fed(step, [128.0 * step; 3], [1.0; 3]));
        assert!(note.contains(says), "{note}");
    }
}

fn imagenet_inside(net: Maker, from: &str) -> Maker {
    net.floats("mu", &[1, 3, 1, 1], &[0.485, 0.456, 0.406])
        .floats("std", &[3, 1, 1], &[0.229, 0.224, 0.225])
        .node("Sub", &[from, "mu"], &["centred"])
        .node("Div", &["centred", "std"], &["net"])
}

#[test]
fn bytes_divided_by_255_then_imagenets_mean_and_deviation() {
    let front = Maker::new(17)
        .input("bytes", "u8[N,3,16,16]")
        .floats("most", &[], &[255.0])
        .node("Cast", &["bytes"], &["floats"])
        .with("to", DataType::F32 as i64)
        .node("Div", &["floats", "most"], &["unit"]);
    let note = same(&behind(imagenet_inside(front, "unit")), &plain(), &imagenet());
    let said = "inside: (x − [123.68, 116.28, 103.53]) / [58.395, 57.12, 57.375]; pictures are fed as 0..255";
    assert!(note.contains(said), "{note}");
}

/// The same on samples 0..=1, as torchvision's models are wrapped.
#[test]
fn samples_from_0_to_1() {
    let front = imagenet_inside(Maker::new(17).input("x", "f32[N,3,16,16]"), "x");
    let note = same(&behind(front), &plain(), &imagenet());
    assert!(note.contains("pictures are fed as 0..1, not normalised again"), "{note}");
}

/// As caffe's: red, green, blue in reverse, less their means, channels last.
#[test]
fn means_of_bytes() {
    let front = Maker::new(17)
        .input("x", "f32[N,16,16,3]")
        .integers("last", &[1], &[-1])
        .integers("all", &[1], &[i64::MIN])
        .node("Slice", &["x", "last", "all", "last", "last"], &["bgr"])
        .floats("mu", &[3], &[103.939, 116.779, 123.68])
        .node("Sub", &["bgr", "mu"], &["centred"])
        .node("Transpose", &["centred"], &["net"])
        .with("perm", [0, 3, 1, 2]);
    let caffe = Preprocessing { preset: Some(Preset::Caffe), ..Preprocessing::default() };
    let note = same(&behind(front), &plain(), &caffe);
    assert!(note.contains("inside: x − [123.68, 116.78, 103.94]; pictures are fed as 0..255"), "{note}");
}

fn batch_normalised(mean: f32, variance: f32) -> Model {
    let front = Maker::new(17)
        .input("x", "f32[N,3,16,16]")
        .floats("ones", &[3], &[1.0; 3])
        .floats("zeros", &[3], &[0.0; 3])
        .floats("mu", &[3], &[mean; 3])
        .floats("variance", &[3], &[variance; 3])
        .node("BatchNormalization", &["x", "ones", "zeros", "mu", "variance"], &["net"])
        .with("epsilon", 0.0f32);
    behind(front)
}

/// MXNet's ResNets begin with one: that of bytes normalises, that of normalised pictures does nothing of the kind.
#[test]
fn a_batch_normalization_on_the_picture() {
    let note = same(&batch_normalised(120.0, 3600.0), &plain(), &fed(1.0, [120.0; 3], [60.0; 3]));
    assert!(note.contains("inside: x/60 − 2; pictures are fed as 0..255"), "{note}");
    for (mean, variance) in [(0.0, 1.0), (0.1, 1.3), (0.0, 0.01)] {
        let note = same(&batch_normalised(mean, variance), &batch_normalised(mean, variance), &imagenet());
        assert!(note.starts_with("preprocessing is assumed, as torchvision does: "), "{note}");
    }
}

#[test]
fn the_users_word_comes_first() {
    let inside = behind(imagenet_inside(Maker::new(17).input("x", "f32[N,3,16,16]"), "x"));
    let settled = |preprocessing: Preprocessing| {
        let settled = inside.explain_with(&[&GradCamPlusPlus]).preprocess(preprocessing).settle().unwrap();
        let subject = settled.subject();
        (subject.preprocess().unwrap().clone(), subject.preprocessing_note().map(str::to_owned))
    };
    let (preset, note) = settled(Preprocessing { preset: Some(Preset::Torchvision), ..Preprocessing::default() });
    assert_eq!((preset.mean, preset.std, note), ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225], None));
    let (said, note) = settled(fed(1.0, [3.0; 3], [2.0; 3]));
    assert_eq!((said.scale, said.mean, said.std), (1.0, [3.0; 3], [2.0; 3]));
    assert!(!note.unwrap().contains("inside"));
    let (order, note) = settled(Preprocessing { order: Some(ChannelOrder::Bgr), ..Preprocessing::default() });
    assert_eq!((order.order, order.scale, order.mean), (ChannelOrder::Bgr, 1.0 / 255.0, [0.0; 3]));
    assert!(note.unwrap().contains("assumed: shorter side to 18, centre 16×16, bilinear; --preset"));
}

/// A shape that leaves the layout open: the network says it by moving the last axis forward.
#[test]
fn the_first_transpose_tells_the_layout() {
    let layout = |input: &str, perm: [i32; 4], rounded: bool| {
        let net = Maker::new(17)
            .input("x", input)
            .floats("step", &[], &[0.5])
            .tensor("zero", raw(DataType::U8, &[], vec![0]));
        let net = match rounded {
            true => net.node("QuantizeLinear", &["x", "step", "zero"], &["bytes"]).node(
                "DequantizeLinear",
                &["bytes", "step", "zero"],
                &["first"],
            ),
            false => net.node("Identity", &["x"], &["first"]),
        };
        let net = net
            .node("Transpose", &["first"], &["net"])
            .with("perm", perm)
            .weights("w", &[4, 3, 1, 1])
            .node("Conv", &["net", "w"], &["features"])
            .node("GlobalAveragePool", &["features"], &["mean"])
            .node("Flatten", &["mean"], &["logits"])
            .output("logits", "f32[N,4]");
        let file = tempfile::NamedTempFile::new().unwrap();
        net.model().save(file.path()).unwrap();
        let model = Model::open(file.path()).unwrap();
        let settled = model.explain_with(&[&GradCamPlusPlus]).layer("features").settle().unwrap();
        settled.subject().preprocess().unwrap().layout
    };
    for rounded in [false, true] {
        assert_eq!(layout("f32[N,3,8,3]", [0, 3, 1, 2], rounded), Layout::Nhwc);
        assert_eq!(layout("f32[N,3,8,3]", [0, 1, 3, 2], rounded), Layout::Nchw);
    }
}

/// What reads the input first has its channels in front, whatever the sizes look like (R21: eleven channels, one column).
#[test]
fn a_convolution_on_the_input_tells_the_layout() {
    let settled = |input: &str, weights: [usize; 4]| {
        let net = Maker::new(17)
            .input("x", input)
            .weights("w", &weights)
            .node("Conv", &["x", "w"], &["features"])
            .node("GlobalAveragePool", &["features"], &["mean"])
            .node("Flatten", &["mean"], &["logits"])
            .output("logits", "f32[N,4]");
        let file = tempfile::NamedTempFile::new().unwrap();
        net.model().save(file.path()).unwrap();
        let model = Model::open(file.path()).unwrap();
        let settled = model.explain_with(&[&GradCamPlusPlus]).layer("features").settle().unwrap();
        settled.subject().preprocess().map(|p| (p.layout, p.size)).map_err(|e| e.to_string())
    };
    assert_eq!(settled("f32[N,3,8,1]", [4, 3, 1, 1]), Ok((Layout::Nchw, (8, 1))));
    let refused = settled("f32[N,11,60,1]", [4, 11, 3, 1]).unwrap_err();
    assert!(refused.contains("[N,11,60,1] has 11 channels as nchw"), "{refused}");
}
