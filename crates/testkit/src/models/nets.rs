//! Ready networks: a classifier of 3 × 16 × 16 pictures in the shapes that exporters give it.
//!
//! All share one trunk: Conv 3 → 8, Relu, MaxPool to 8 × 8, Conv 8 → 12, Relu (`features`, `f32[N,12,8,8]`),
//! then the head. The input is `x`, scores are `logits`, weights are seeded.

use super::Maker;

const FEATURES: usize = 12;

fn weights(opset: i64) -> Maker {
    Maker::new(opset)
        .weights("conv1.weight", &[8, 3, 3, 3])
        .weights("conv1.bias", &[8])
        .weights("conv2.weight", &[FEATURES, 8, 3, 3])
        .weights("conv2.bias", &[FEATURES])
}

fn trunk(maker: Maker, x: &str) -> Maker {
    maker
        .node("Conv", &[x, "conv1.weight", "conv1.bias"], &["conv1"])
        .with("kernel_shape", [3, 3])
        .with("pads", [1, 1, 1, 1])
        .named("/conv1/Conv")
        .node("Relu", &["conv1"], &["relu1"])
        .named("/relu1/Relu")
        .node("MaxPool", &["relu1"], &["pool"])
        .with("kernel_shape", [2, 2])
        .with("strides", [2, 2])
        .named("/pool/MaxPool")
        .node("Conv", &["pool", "conv2.weight", "conv2.bias"], &["conv2"])
        .with("kernel_shape", [3, 3])
        .with("pads", [1, 1, 1, 1])
        .named("/conv2/Conv")
        .node("Relu", &["conv2"], &["features"])
        .named("/relu2/Relu")
}

fn head(maker: Maker, classes: usize, logits: &str) -> Maker {
    maker
        .node("GlobalAveragePool", &["features"], &["mean"])
        .named("/avgpool/GlobalAveragePool")
        .node("Flatten", &["mean"], &["flat"])
        .with("axis", 1)
        .named("/Flatten")
        .weights("fc.weight", &[classes, FEATURES])
        .weights("fc.bias", &[classes])
        .node("Gemm", &["flat", "fc.weight", "fc.bias"], &[logits])
        .with("transB", 1)
        .named("/fc/Gemm")
}

fn image(maker: Maker) -> Maker {
    maker.input("x", "f32[N,3,16,16]")
}

fn scores(name: &str, classes: usize) -> impl FnOnce(Maker) -> Maker {
    move |maker| maker.output(name, &format!("f32[N,{classes}]"))
}

/// Global average pooling, Flatten, Gemm: `logits`, `f32[N,classes]`.
pub fn tiny_cnn(opset: i64, classes: usize) -> Maker {
    scores("logits", classes)(head(trunk(image(weights(opset)), "x"), classes, "logits"))
}

/// [`tiny_cnn`] with `activation`, one of Softmax, LogSoftmax and Sigmoid, behind the scores: `probabilities`.
pub fn tiny_cnn_ending_in(activation: &str, opset: i64, classes: usize) -> Maker {
    let net = head(trunk(image(weights(opset)), "x"), classes, "logits");
    let net = net.node(activation, &["logits"], &["probabilities"]).named(&format!("/{activation}"));
    scores("probabilities", classes)(if activation == "Sigmoid" { net } else { net.with("axis", 1) })
}

/// A head as SqueezeNet's: a 1 × 1 Conv makes one map for each class (`maps`), global average pooling its score.
pub fn tiny_conv_head(opset: i64, classes: usize) -> Maker {
    let net = trunk(image(weights(opset)), "x")
        .weights("head.weight", &[classes, FEATURES, 1, 1])
        .weights("head.bias", &[classes])
        .node("Conv", &["features", "head.weight", "head.bias"], &["maps"])
        .with("kernel_shape", [1, 1])
        .named("/head/Conv")
        .node("GlobalAveragePool", &["maps"], &["mean"])
        .named("/avgpool/GlobalAveragePool")
        .node("Flatten", &["mean"], &["logits"])
        .with("axis", 1)
        .named("/Flatten");
    scores("logits", classes)(net)
}

/// One score, of class 1 against class 0: `logits`, `f32[N,1]`.
pub fn tiny_binary(opset: i64) -> Maker {
    tiny_cnn(opset, 1)
}

/// One score as a vector: `logits`, `f32[N]`.
pub fn tiny_binary_vector(opset: i64) -> Maker {
    let net = head(trunk(image(weights(opset)), "x"), 1, "column").integers("vector", &[1], &[-1]);
    net.node("Reshape", &["column", "vector"], &["logits"]).named("/Reshape").output("logits", "f32[N]")
}

/// Two outputs, the picture's features before its scores: `feat`, `f32[N,12]`, and `logits`.
pub fn tiny_two_outputs(opset: i64, classes: usize) -> Maker {
    let net = head(trunk(image(weights(opset)), "x"), classes, "logits");
    let net = net.node("Identity", &["flat"], &["feat"]).named("/Identity").output("feat", "f32[N,12]");
    scores("logits", classes)(net)
}

/// Pictures with their channels last, `x` `f32[N,16,16,3]`, transposed first as TensorFlow's exporter does.
pub fn tiny_nhwc(opset: i64, classes: usize) -> Maker {
    let net = weights(opset).input("x", "f32[N,16,16,3]").node("Transpose", &["x"], &["nchw"]);
    let net = net.with("perm", [0, 3, 1, 2]).named("/Transpose");
    scores("logits", classes)(head(trunk(net, "nchw"), classes, "logits"))
}

/// [`tiny_cnn`] as files of IR version 3 are: every weight is listed as an input, before the picture.
pub fn tiny_weights_first(opset: i64, classes: usize) -> Maker {
    tiny_cnn(opset, classes).weights_as_inputs()
}
