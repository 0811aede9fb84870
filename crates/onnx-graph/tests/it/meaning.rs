//! What each opset means, case by case: the canonical node that a file's node becomes.

use crate::net::*;
use onnx_graph::proto::{AttributeProto, TensorProto};

/// A node on input `x` of these sizes, which becomes these canonical nodes.
#[track_caller]
fn becomes(opset: i64, sizes: &[i64], op: &str, attributes: Vec<AttributeProto>, expected: &[&str]) {
    let net = Net::of(opset, sizes.iter().copied()).node(op, &["x"], &["y"], attributes).output("y");
    assert_eq!(net.lines(), expected);
}

/// The same with constant integer inputs `a`, `b`, … behind `x`.
#[track_caller]
fn with_ints(opset: i64, sizes: &[i64], op: &str, inputs: &[&[i64]], attributes: Vec<AttributeProto>, y: &[&str]) {
    let names = ["x", "a", "b", "c", "d"];
    let mut net = Net::of(opset, sizes.iter().copied());
    for (name, values) in names[1..].iter().zip(inputs) {
        net = net.ints(name, values);
    }
    let net = net.node(op, &names[..=inputs.len()], &["y"], attributes).output("y");
    assert_eq!(net.lines(), y);
}

#[test]
fn defaults_of_windows_are_written_out() {
    becomes(
        12,
        &[1, 2, 5, 5],
        "MaxPool",
        vec![ints("kernel_shape", &[3, 3])],
        &[
            "%y = MaxPool(x) {kernel_shape=[3,3], strides=[1,1], dilations=[1,1], pads=[0,0,0,0], ceil_mode=0} : f32[1,2,3,3]",
        ],
    );
    let conv = |attributes| {
        Net::of(11, [1, 2, 5, 5])
            .zeros("w", &[4, 1, 3, 3])
            .node("Conv", &["x", "w"], &["y"], attributes)
            .output("y")
            .lines()
    };
    assert_eq!(
        conv(vec![int("group", 2)]),
        [
            "%y = Conv(x, w) {kernel_shape=[3,3], strides=[1,1], dilations=[1,1], pads=[0,0,0,0], group=2} : f32[1,4,3,3]"
        ]
    );
    let contradiction = conv(vec![int("group", 2), ints("kernel_shape", &[3, 1])]);
    assert_eq!(contradiction, ["%y = Conv(x, w) {group=…, kernel_shape=…} : ?[?]"], "carried: it says two kernels");
}

#[test]
fn one_axis_and_three() {
    let net = Net::of(17, [1, 2, 9]).zeros("w", &[4, 2, 3]).node(
        "Conv",
        &["x", "w"],
        &["y"],
        vec![ints("strides", &[2]), ints("pads", &[1, 0])],
    );
    assert_eq!(
        net.output("y").lines(),
        ["%y = Conv(x, w) {kernel_shape=[3], strides=[2], dilations=[1], pads=[1,0], group=1} : f32[1,4,4]"]
    );
    becomes(
        17,
        &[1, 2, 4, 4, 4],
        "AveragePool",
        vec![ints("kernel_shape", &[2, 2, 2]), ints("strides", &[2, 2, 2])],
        &["%y = AveragePool(x) {kernel_shape=[2,2,2], strides=[2,2,2], dilations=[1,1,1], pads=[0,0,0,0,0,0], \
             ceil_mode=0, count_include_pad=0} : f32[1,2,2,2,2]"],
    );
}

/// Total padding (⌈n/s⌉ − 1)s + d(k − 1) + 1 − n where that is positive; SAME_UPPER puts the odd cell behind.
#[test]
fn auto_pad() {
    let cases = [
        // mode, extent, kernel, stride -> pads, windows
        ("SAME_UPPER", 5, 2, 1, (0, 1), 5),
        ("SAME_LOWER", 5, 2, 1, (1, 0), 5),
        ("SAME_UPPER", 6, 3, 2, (0, 1), 3),
        ("SAME_LOWER", 6, 3, 2, (1, 0), 3),
        ("SAME_UPPER", 7, 3, 2, (1, 1), 4),
        ("SAME_UPPER", 5, 1, 4, (0, 0), 2), // Cells that no window needs are not padded away.
        ("VALID", 5, 2, 1, (0, 0), 4),
        ("NOTSET", 5, 2, 1, (0, 0), 4),
    ];
    for (mode, extent, kernel, stride, (before, after), windows) in cases {
        let attributes = vec![text("auto_pad", mode), ints("kernel_shape", &[kernel]), ints("strides", &[stride])];
        let net = Net::of(12, [1, 1, extent]).node("MaxPool", &["x"], &["y"], attributes).output("y");
        let expected = format!(
            "%y = MaxPool(x) {{kernel_shape=[{kernel}], strides=[{stride}], dilations=[1], pads=[{before},{after}], \
             ceil_mode=0}} : f32[1,1,{windows}]"
        );
        assert_eq!(net.lines(), [expected], "{mode} {extent} {kernel} {stride}");
    }
    let dilated = vec![text("auto_pad", "SAME_UPPER"), ints("kernel_shape", &[3]), ints("dilations", &[2])];
    let net = Net::of(12, [1, 1, 8]).node("MaxPool", &["x"], &["y"], dilated).output("y");
    assert_eq!(
        net.lines(),
        ["%y = MaxPool(x) {kernel_shape=[3], strides=[1], dilations=[2], pads=[2,2], ceil_mode=0} : f32[1,1,8]"]
    );
}

/// Windows that run over the end count with `ceil_mode`, except such as would start behind the input.
#[test]
fn ceil_mode() {
    let cases = [
        // extent, kernel, stride, pads, ceil -> windows; then ceil_mode is only left where it makes one more
        (5, 2, 2, [0, 0], 0, 2),
        (5, 2, 2, [0, 0], 1, 3),
        (6, 3, 2, [0, 0], 0, 2),
        (6, 3, 2, [0, 0], 1, 3),
        (4, 2, 2, [0, 0], 1, 2),
        (4, 1, 3, [1, 1], 1, 2), // A third would start at 6 − 1 = 5, behind the input.
        (225, 3, 2, [0, 0], 1, 112),
        (2, 2, 2, [0, 1], 1, 1), // A second would start in the padding behind.
    ];
    for (extent, kernel, stride, pads, ceil, windows) in cases {
        let attributes = vec![
            ints("kernel_shape", &[kernel]),
            ints("strides", &[stride]),
            ints("pads", &pads),
            int("ceil_mode", ceil),
            int("count_include_pad", 1),
        ];
        let net = Net::of(12, [1, 1, extent]).node("AveragePool", &["x"], &["y"], attributes).output("y");
        let ([before, after], floor) = (pads, (extent + pads[0] + pads[1] - kernel) / stride + 1);
        let ceil = i64::from(windows > floor);
        let expected = format!(
            "%y = AveragePool(x) {{kernel_shape=[{kernel}], strides=[{stride}], dilations=[1], pads=[{before},{after}], \
             ceil_mode={ceil}, count_include_pad=1}} : f32[1,1,{windows}]"
        );
        assert_eq!(net.lines(), [expected]);
    }
}

#[test]
fn pooling_over_three_axes_that_leaves_two_alone() {
    let attributes =
        vec![ints("kernel_shape", &[5, 1, 1]), ints("strides", &[1, 1, 1]), ints("pads", &[2, 0, 0, 2, 0, 0])];
    let net = Net::of(17, [2, 1, 7, 4, 3]).node("AveragePool", &["x"], &["y"], attributes).output("y");
    let lines = net.lines();
    assert!(lines[0].ends_with("= Reshape(x) {shape=[2,1,7,12]} : f32[2,1,7,12]"), "{lines:?}");
    assert!(lines[1].contains("{kernel_shape=[5,1], strides=[1,1], dilations=[1,1], pads=[2,0,2,0], "), "{lines:?}");
    assert!(lines[2].starts_with("%y = Reshape(") && lines[2].ends_with(" : f32[2,1,7,4,3]"), "{lines:?}");
}

#[test]
fn transposed_convolution() {
    let net = |attributes| {
        Net::of(17, [1, 4, 3, 3])
            .zeros("w", &[4, 2, 3, 3])
            .node("ConvTranspose", &["x", "w"], &["y"], attributes)
            .output("y")
            .lines()
    };
    let attributes =
        vec![ints("strides", &[2, 2]), ints("pads", &[1, 1, 1, 1]), ints("output_padding", &[1, 0]), int("group", 2)];
    assert_eq!(
        net(attributes),
        ["%y = ConvTranspose(x, w) {kernel_shape=[3,3], strides=[2,2], dilations=[1,1], pads=[1,1,1,1], group=2, \
             output_padding=[1,0]} : f32[1,4,6,5]"]
    );
    for bad in [
        vec![ints("output_padding", &[1])],
        vec![ints("output_padding", &[i64::MAX, 0])],
        vec![int("group", 3)],
        vec![int("group", i64::MIN)],
        vec![ints("strides", &[i64::MAX, 1])],
    ] {
        assert!(net(bad.clone())[0].ends_with(": ?[?]"), "{bad:?} is carried");
    }
}

#[test]
fn clip() {
    let line = |min: &str, max: &str| format!("%y = Clip(x) {{min={min}, max={max}}} : f32[2,3]");
    for opset in [7, 10] {
        becomes(opset, &[2, 3], "Clip", vec![float("min", 0.0), float("max", 6.0)], &[&line("0", "6")]);
        becomes(opset, &[2, 3], "Clip", vec![float("max", 6.0)], &[&line("-inf", "6")]);
        becomes(opset, &[2, 3], "Clip", vec![], &[&line("-inf", "inf")]);
    }
    // Bounds as inputs; a bound that is left out keeps its place.
    let bounds = |inputs: &[&str]| {
        Net::of(13, [2, 3])
            .weight(floats("low", &[], &[-1.0]))
            .weight(floats("high", &[], &[6.0]))
            .node("Clip", inputs, &["y"], vec![])
            .output("y")
            .lines()
    };
    assert_eq!(bounds(&["x", "low", "high"]), [line("-1", "6")]);
    assert_eq!(bounds(&["x", "", "high"]), [line("-inf", "6")]);
    assert_eq!(bounds(&["x", "low", ""]), [line("-1", "inf")]);
    assert_eq!(bounds(&["x", "low"]), [line("-1", "inf")]);
    assert_eq!(bounds(&["x"]), [line("-inf", "inf")]);
}

/// Below opset 13 everything from the axis on is one distribution.
#[test]
fn softmax() {
    becomes(13, &[2, 3, 4, 5], "Softmax", vec![], &["%y = Softmax(x) {axis=3} : f32[2,3,4,5]"]);
    becomes(13, &[2, 3, 4, 5], "LogSoftmax", vec![int("axis", -3)], &["%y = LogSoftmax(x) {axis=1} : f32[2,3,4,5]"]);
    becomes(12, &[2, 3], "Softmax", vec![], &["%y = Softmax(x) {axis=1} : f32[2,3]"]);
    becomes(12, &[2, 3, 1, 1], "Softmax", vec![], &["%y = Softmax(x) {axis=1} : f32[2,3,1,1]"]);
    becomes(
        12,
        &[2, 3, 4, 5],
        "Softmax",
        vec![],
        &[
            "%onnxcam.t1 = Reshape(x) {shape=[2,60]} : f32[2,60]",
            "%onnxcam.t2 = Softmax(%onnxcam.t1) {axis=1} : f32[2,60]",
            "%y = Reshape(%onnxcam.t2) {shape=[2,3,4,5]} : f32[2,3,4,5]",
        ],
    );
    becomes(
        11,
        &[2, 3, 4],
        "LogSoftmax",
        vec![int("axis", 0)],
        &[
            "%onnxcam.t1 = Reshape(x) {shape=[1,24]} : f32[1,24]",
            "%onnxcam.t2 = LogSoftmax(%onnxcam.t1) {axis=1} : f32[1,24]",
            "%y = Reshape(%onnxcam.t2) {shape=[2,3,4]} : f32[2,3,4]",
        ],
    );
}

/// Axes as an attribute until opset 12, as an input since 13.
#[test]
fn squeeze_and_unsqueeze() {
    let squeezed = "%y = Reshape(x) {shape=[2,3,1]} : f32[2,3,1]";
    becomes(12, &[2, 1, 3, 1], "Squeeze", vec![ints("axes", &[1])], &[squeezed]);
    becomes(11, &[2, 1, 3, 1], "Squeeze", vec![ints("axes", &[-3])], &[squeezed]);
    with_ints(13, &[2, 1, 3, 1], "Squeeze", &[&[1]], vec![], &[squeezed]);
    becomes(13, &[2, 1, 3, 1], "Squeeze", vec![], &["%y = Reshape(x) {shape=[2,3]} : f32[2,3]"]);
    becomes(12, &[2, 3], "Squeeze", vec![ints("axes", &[1])], &["%y = Squeeze(x) {axes=…} : ?[?]"]);
    // In the other opset's form it is not understood.
    becomes(13, &[2, 1], "Squeeze", vec![ints("axes", &[1])], &["%y = Squeeze(x) {axes=…} : ?[?]"]);

    let unsqueezed = "%y = Reshape(x) {shape=[1,2,3,1]} : f32[1,2,3,1]";
    becomes(12, &[2, 3], "Unsqueeze", vec![ints("axes", &[0, 3])], &[unsqueezed]);
    with_ints(13, &[2, 3], "Unsqueeze", &[&[-1, 0]], vec![], &[unsqueezed]);
    with_ints(13, &[2, 3], "Unsqueeze", &[&[0, 0]], vec![], &["%y = Unsqueeze(x, a) : ?[?]"]);
}

#[test]
fn split() {
    let outputs = |net: Net| net.output("p").output("q").lines();
    let of = |opset, sizes: [i64; 2]| Net::of(opset, sizes);
    let line =
        |sizes: &str, p, q| vec![format!("%p, %q = Split(x) {{axis=1, split={sizes}}} : f32[2,{p}], f32[2,{q}]")];
    let names: [&str; 2] = ["p", "q"];
    let attributes = vec![int("axis", 1), ints("split", &[2, 3])];
    assert_eq!(outputs(of(12, [2, 5]).node("Split", &["x"], &names, attributes)), line("[2,3]", 2, 3));
    let sizes = of(13, [2, 5]).ints("s", &[2, 3]).node("Split", &["x", "s"], &names, vec![int("axis", -1)]);
    assert_eq!(outputs(sizes), line("[2,3]", 2, 3));
    let equal = of(13, [2, 6]).node("Split", &["x"], &names, vec![int("axis", 1)]);
    assert_eq!(outputs(equal), line("[3,3]", 3, 3));
    let counted = of(18, [2, 5]).node("Split", &["x"], &names, vec![int("axis", 1), int("num_outputs", 2)]);
    assert_eq!(outputs(counted), line("[3,2]", 3, 2));
    for bad in [
        of(13, [2, 5]).node("Split", &["x"], &names, vec![int("axis", 1)]),
        of(13, [2, 5]).ints("s", &[2, 4]).node("Split", &["x", "s"], &names, vec![int("axis", 1)]),
        of(13, [2, 5]).ints("s", &[-1, 6]).node("Split", &["x", "s"], &names, vec![int("axis", 1)]),
        of(18, [2, 6]).node("Split", &["x"], &names, vec![int("axis", 1), int("num_outputs", 3)]),
    ] {
        assert!(outputs(bad)[0].ends_with(": ?[?], ?[?]"), "carried");
    }
}

/// Starts, ends and axes are attributes before opset 10. Values outside are clamped, below zero counted from the end.
#[test]
fn slice() {
    let line = |start, step, count| {
        vec![format!("%y = Slice(x) {{axes=[1], starts=[{start}], steps=[{step}], counts=[{count}]}} : f32[2,{count}]")]
    };
    let old = |starts: i64, ends: i64| {
        let attributes = vec![ints("starts", &[starts]), ints("ends", &[ends]), ints("axes", &[1])];
        Net::of(9, [2, 10]).node("Slice", &["x"], &["y"], attributes).output("y").lines()
    };
    let new = |start: i64, end: i64, step: i64| {
        let net = Net::of(13, [2, 10]).ints("s", &[start]).ints("e", &[end]).ints("a", &[-1]).ints("t", &[step]);
        net.node("Slice", &["x", "s", "e", "a", "t"], &["y"], vec![]).output("y").lines()
    };
    assert_eq!(old(2, 5), line(2, 1, 3));
    assert_eq!(old(-3, i64::MAX), line(7, 1, 3));
    assert_eq!(new(1, 9, 3), line(1, 3, 3));
    assert_eq!(new(-2, -6, -2), line(8, -2, 2));
    assert_eq!(new(i64::MAX, i64::MIN, -1), line(9, -1, 10));
    assert_eq!(new(i64::MIN, i64::MAX, 4), line(0, 4, 3));
    assert_eq!(new(i64::MIN, i64::MIN, -1), line(0, 1, 1), "a start before the first element is that one");
    assert_eq!(new(3, i64::MAX, i64::MAX), line(3, 1, 1));
    assert_eq!(new(7, 3, 1), line(0, 1, 0));
    assert_eq!(new(0, 5, 0), ["%y = Slice(x, s, e, a, t) : ?[?]"], "a step of zero is carried");
    assert_eq!(new(0, 10, 1), Vec::<String>::new(), "all of it is no slice");
    becomes(
        9,
        &[4, 5],
        "Slice",
        vec![ints("starts", &[1, 2]), ints("ends", &[3, 4])],
        &[
            "%onnxcam.t1 = Slice(x) {axes=[0], starts=[1], steps=[1], counts=[2]} : f32[2,5]",
            "%y = Slice(%onnxcam.t1) {axes=[1], starts=[2], steps=[1], counts=[2]} : f32[2,2]",
        ],
    );
}

#[test]
fn pad() {
    let line =
        |mode: &str, value: &str| format!("%y = Pad(x) {{pads=[0,1,0,2], mode=\"{mode}\", value={value}}} : f32[2,6]");
    becomes(10, &[2, 3], "Pad", vec![ints("pads", &[0, 1, 0, 2]), float("value", 1.5)], &[&line("constant", "1.5")]);
    becomes(10, &[2, 3], "Pad", vec![ints("pads", &[0, 1, 0, 2]), text("mode", "reflect")], &[&line("reflect", "0")]);
    with_ints(13, &[2, 3], "Pad", &[&[0, 1, 0, 2]], vec![text("mode", "edge")], &[&line("edge", "0")]);
    let some_axes = Net::of(18, [2, 3]).ints("p", &[1, 2]).weight(floats("v", &[], &[-1.0])).ints("a", &[-1]).node(
        "Pad",
        &["x", "p", "v", "a"],
        &["y"],
        vec![],
    );
    assert_eq!(some_axes.output("y").lines(), [line("constant", "-1")]);
    with_ints(
        13,
        &[2, 6],
        "Pad",
        &[&[0, -1, 0, -2]],
        vec![],
        &["%y = Pad(x) {pads=[0,-1,0,-2], mode=\"constant\", value=0} : f32[2,3]"],
    );
    for bad in [vec![0, 1, 0], vec![0, i64::MAX, 0, i64::MAX], vec![0, -4, 0, 0], vec![i64::MIN; 4]] {
        with_ints(13, &[2, 3], "Pad", &[&bad], vec![], &["%y = Pad(x, a) : ?[?]"]);
    }
    with_ints(13, &[2, 3], "Pad", &[&[0, 3, 0, 0]], vec![text("mode", "reflect")], &["%y = Pad(x, a) {mode=…} : ?[?]"]);
}

/// ReduceSum takes its axes as an input since opset 13, the others since 18.
#[test]
fn reductions() {
    let line =
        |op: &str, axes: &str, keep, shape: &str| format!("%y = {op}(x) {{axes={axes}, keepdims={keep}}} : f32{shape}");
    let drop = || int("keepdims", 0);
    becomes(12, &[2, 3, 4], "ReduceSum", vec![ints("axes", &[1]), drop()], &[&line("ReduceSum", "[1]", 0, "[2,4]")]);
    with_ints(13, &[2, 3, 4], "ReduceSum", &[&[-2]], vec![], &[&line("ReduceSum", "[1]", 1, "[2,1,4]")]);
    becomes(17, &[2, 3, 4], "ReduceMean", vec![ints("axes", &[2, 1])], &[&line("ReduceMean", "[1,2]", 1, "[2,1,1]")]);
    with_ints(18, &[2, 3, 4], "ReduceMax", &[&[0, 1]], vec![drop()], &[&line("ReduceMax", "[0,1]", 0, "[4]")]);
    becomes(17, &[2, 3], "ReduceMin", vec![drop()], &[&line("ReduceMin", "[0,1]", 0, "[]")]);
    becomes(18, &[2, 3], "ReduceProd", vec![], &[&line("ReduceProd", "[0,1]", 1, "[1,1]")]);
    with_ints(13, &[2, 3], "ReduceSum", &[&[]], vec![int("noop_with_empty_axes", 1), int("keepdims", 1)], &[]);
    becomes(18, &[2, 3], "ReduceMean", vec![ints("axes", &[1])], &["%y = ReduceMean(x) {axes=…} : ?[?]"]);
    becomes(
        13,
        &[2, 3, 4],
        "ArgMax",
        vec![int("axis", -1), drop()],
        &["%y = ArgMax(x) {axis=2, keepdims=0} : i64[2,3]"],
    );
}

#[test]
fn reshape_and_flatten() {
    let reshape = |wanted: &[i64], attributes| {
        let net = Net::of(14, [2, 3, 4]).ints("s", wanted);
        net.node("Reshape", &["x", "s"], &["y"], attributes).output("y").lines()
    };
    let line = |shape: &str| vec![format!("%y = Reshape(x) {{shape={shape}}} : f32{shape}")];
    assert_eq!(reshape(&[0, -1], vec![]), line("[2,12]"));
    assert_eq!(reshape(&[4, 0, 2], vec![]), line("[4,3,2]"));
    assert_eq!(reshape(&[-1], vec![]), line("[24]"));
    assert_eq!(reshape(&[0, 0, 0], vec![]), Vec::<String>::new());
    for bad in [&[-1, -1][..], &[5, -1], &[2, 3, 4, 0], &[-2, 12], &[], &[i64::MAX, i64::MAX]] {
        assert_eq!(reshape(bad, vec![]), ["%y = Reshape(x, s) : ?[?]"], "{bad:?}");
    }
    assert_eq!(reshape(&[0, 12], vec![int("allowzero", 1)]), ["%y = Reshape(x, s) {allowzero=…} : ?[?]"]);

    let flatten = |axis: Option<i64>| {
        let attributes = axis.map(|a| int("axis", a)).into_iter().collect();
        Net::of(13, [2, 3, 4]).node("Flatten", &["x"], &["y"], attributes).output("y").lines()
    };
    assert_eq!(flatten(None), line("[2,12]"));
    assert_eq!(flatten(Some(0)), line("[1,24]"));
    assert_eq!(flatten(Some(3)), line("[24,1]"));
    assert_eq!(flatten(Some(-1)), line("[6,4]"));
    assert_eq!(flatten(Some(4)), ["%y = Flatten(x) {axis=…} : ?[?]"]);
    assert_eq!(flatten(Some(i64::MIN)), ["%y = Flatten(x) {axis=…} : ?[?]"]);
}

#[test]
fn the_rest_of_layout() {
    becomes(13, &[2, 3, 4], "Transpose", vec![], &["%y = Transpose(x) {perm=[2,1,0]} : f32[4,3,2]"]);
    becomes(13, &[2, 3, 4], "Transpose", vec![ints("perm", &[0, 1])], &["%y = Transpose(x) {perm=…} : ?[?]"]);
    becomes(13, &[2, 3, 4], "Transpose", vec![ints("perm", &[0, 1, 2])], &[]);
    with_ints(13, &[2, 1, 4], "Expand", &[&[3, 1]], vec![], &["%y = Expand(x) {shape=[2,3,4]} : f32[2,3,4]"]);
    with_ints(
        13,
        &[2, 3, 4],
        "Gather",
        &[&[0, -1]],
        vec![int("axis", 1)],
        &["%y = Gather(x, a) {axis=1} : f32[2,2,4]"],
    );
    with_ints(13, &[2, 3], "Tile", &[&[2, 1]], vec![], &["%y = Tile(x) {repeats=[2,1]} : f32[4,3]"]);
    let depth = |channels: i64| {
        Net::of(13, [1, channels, 2, 2])
            .node("DepthToSpace", &["x"], &["y"], vec![int("blocksize", 2), text("mode", "CRD")])
            .output("y")
            .lines()
    };
    assert_eq!(depth(8), ["%y = DepthToSpace(x) {blocksize=2, mode=\"CRD\"} : f32[1,2,4,4]"]);
    assert_eq!(depth(6), ["%y = DepthToSpace(x) {blocksize=…, mode=…} : ?[?]"]);
    let concat = Net::of(13, [2, 3]).node("Concat", &["x", "x"], &["y"], vec![int("axis", -1)]);
    assert_eq!(concat.output("y").lines(), ["%y = Concat(x, x) {axis=1} : f32[2,6]"]);
}

#[test]
fn arithmetic() {
    let sum = Net::of(13, [2, 3]).node("Sum", &["x", "x", "x"], &["y"], vec![]).output("y");
    assert_eq!(sum.lines(), ["%onnxcam.t1 = Add(x, x) : f32[2,3]", "%y = Add(%onnxcam.t1, x) : f32[2,3]"]);
    let one = Net::of(13, [2, 3]).node("Max", &["x"], &["y"], vec![]).output("y");
    assert_eq!(one.lines(), Vec::<String>::new());
    becomes(13, &[2, 3], "LeakyRelu", vec![], &["%y = LeakyRelu(x) {alpha=0.01} : f32[2,3]"]);
    becomes(
        13,
        &[2, 3],
        "HardSigmoid",
        vec![float("alpha", 0.25)],
        &["%y = HardSigmoid(x) {alpha=0.25, beta=0.5} : f32[2,3]"],
    );
    becomes(13, &[2, 3], "Cast", vec![int("to", 11)], &["%y = Cast(x) {to=11} : f64[2,3]"]);
    becomes(13, &[2, 3], "Cast", vec![int("to", 1)], &[]);
    let gemm = Net::of(13, [2, 3]).zeros("w", &[4, 3]).zeros("b", &[4]).node(
        "Gemm",
        &["x", "w", "b"],
        &["y"],
        vec![int("transB", 1)],
    );
    assert_eq!(gemm.output("y").lines(), ["%y = Gemm(x, w, b) {transA=0, transB=1, alpha=1, beta=1} : f32[2,4]"]);
    becomes(
        13,
        &[1, 4, 2, 2],
        "LRN",
        vec![int("size", 5)],
        &["%y = LRN(x) {size=5, alpha=0.0001, beta=0.75, bias=1} : f32[1,4,2,2]"],
    );
}

/// A zero that its writer left out is a zero; an attribute of another type is not taken for absent.
#[test]
fn attributes_are_of_their_type() {
    let zero = |kind: i32, value: AttributeProto| AttributeProto { r#type: Some(kind), ..value };
    let absent = |name: &str| AttributeProto { name: Some(name.to_owned()), ..Default::default() };
    becomes(13, &[2, 3], "Softmax", vec![zero(2, absent("axis"))], &["%y = Softmax(x) {axis=0} : f32[2,3]"]);
    becomes(13, &[2, 3], "LeakyRelu", vec![zero(1, absent("alpha"))], &["%y = LeakyRelu(x) {alpha=0} : f32[2,3]"]);
    // The oldest writers leave the type out.
    becomes(9, &[2, 3], "Flatten", vec![zero(0, int("axis", 0))], &["%y = Reshape(x) {shape=[1,6]} : f32[1,6]"]);
    for wrong in [absent("axis"), float("axis", 0.0), ints("axis", &[0]), text("axis", "0")] {
        becomes(13, &[2, 3], "Softmax", vec![wrong], &["%y = Softmax(x) {axis=…} : ?[?]"]);
    }
    becomes(13, &[2, 3], "Relu", vec![int("alpha", 1)], &["%y = Relu(x) {alpha=…} : ?[?]"]);
}

#[test]
fn batch_normalization() {
    let net = |opset, outputs: &[&str], attributes| {
        let mut net = Net::of(opset, [2, 3, 4]);
        for name in ["scale", "shift", "mean", "var"] {
            net = net.zeros(name, &[3]);
        }
        net.node("BatchNormalization", &["x", "scale", "shift", "mean", "var"], outputs, attributes).output("y")
    };
    let line = "%y = BatchNormalization(x, scale, shift, mean, var) {epsilon=0.001} : f32[2,3,4]";
    let epsilon = || float("epsilon", 0.001);
    assert_eq!(net(14, &["y"], vec![epsilon(), float("momentum", 0.9)]).lines(), [line]);
    // Training mode, as older and newer opsets say it: run as inference, and said.
    for (opset, outputs, attributes) in [
        (9, &["y", "m", "v", "sm", "sv"][..], vec![epsilon()]),
        (15, &["y", "m", "v"][..], vec![epsilon(), int("training_mode", 1)]),
    ] {
        let imported = net(opset, outputs, attributes).import();
        assert_eq!(lines(&imported.graph), [line]);
        assert!(imported.notes[0].contains("training mode"), "{:?}", imported.notes);
    }
    // The oldest writers say whether it is a test.
    let is_test = |value| net(6, &["y"], vec![epsilon(), int("is_test", value)]).import().notes.len();
    assert_eq!((is_test(1), is_test(0)), (0, 1));
    // Somebody who reads the running mean wants training: carried.
    let read = net(9, &["y", "m", "v", "sm", "sv"], vec![epsilon()]).output("m").lines();
    assert!(read[0].starts_with("%y, %m, %v, %sm, %sv = BatchNormalization("), "{read:?}");
}

/// What holds for many nodes is said once for each operator.
#[test]
fn training_mode_is_said_once() {
    let mut net = Net::of(15, [2, 3, 4]).weight(floats("ratio", &[], &[0.5]));
    net = net.weight(TensorProto { int32_data: vec![1], ..typed("training", &[], 9) });
    for name in ["scale", "shift", "mean", "var"] {
        net = net.zeros(name, &[3]);
    }
    for (from, to) in [("x", "a"), ("c", "d"), ("f", "y")] {
        let read = [from, "scale", "shift", "mean", "var"];
        net = net.node("BatchNormalization", &read, &[to], vec![int("training_mode", 1)]);
    }
    for (from, to) in [("a", "c"), ("d", "f")] {
        net = net.node("Dropout", &[from, "ratio", "training"], &[to], vec![]);
    }
    let notes = [
        "`BatchNormalization` (the node that makes \"a\") and 2 more of its kind are exported in training mode; run in \
         inference mode",
        "`Dropout` (the node that makes \"c\") and 1 more of its kind are exported in training mode; left out here",
    ];
    assert_eq!(net.output("y").import().notes, notes);
}

#[test]
fn dropout_and_identity_are_other_names() {
    let net = Net::of(13, [2, 3])
        .node("Relu", &["x"], &["a"], vec![])
        .node("Dropout", &["a"], &["b", "mask"], vec![])
        .node("Identity", &["b"], &["c"], vec![])
        .node("Neg", &["c"], &["y"], vec![])
        .output("y");
    let graph = net.import().graph;
    assert_eq!(lines(&graph), ["%a = Relu(x) : f32[2,3]", "%y = Neg(%a) : f32[2,3]"]);
    let a = graph.find("a").unwrap();
    assert_eq!([graph.find("b"), graph.find("c"), graph.find("mask")], [Some(a), Some(a), None]);
    assert_eq!(&*graph.tensor(a).name, "a");
    // A mask that is read is true everywhere.
    let masked = net.output("mask").import().graph;
    let mask = masked.constant(masked.find("mask").unwrap()).unwrap();
    assert_eq!(
        (mask.dtype(), mask.dims(), mask.to_f64().unwrap()),
        (onnx_graph::DataType::Bool, &[2, 3][..], vec![1.0; 6])
    );
}

#[test]
fn indices_of_pooling_are_made_where_they_are_read() {
    let net =
        Net::of(12, [1, 1, 4]).node("MaxPool", &["x"], &["y", "at"], vec![ints("kernel_shape", &[2])]).output("y");
    assert!(net.clone().lines()[0].starts_with("%y = MaxPool(x) {kernel_shape=[2]"));
    assert_eq!(net.clone().lines().len(), 1);
    let lines = net.output("at").lines();
    assert!(lines.iter().any(|line| line.starts_with("%at = Add(") && line.contains("i64[1,1,3]")), "{lines:?}");
}

/// One scale is a scalar, also as [1]; the zero point is written out, its type is the one to round to; blocks are repeated.
#[test]
fn rounding_to_few_bits() {
    let net = |attributes| {
        Net::of(21, [2, 4])
            .weight(floats("s", &[1], &[0.5]))
            .node("QuantizeLinear", &["x", "s"], &["q"], attributes)
            .node("DequantizeLinear", &["q", "s"], &["y"], vec![])
            .output("y")
            .lines()
    };
    assert_eq!(
        net(vec![]),
        [
            "%q = QuantizeLinear(x, 0.5, 0) {axis=0, to=2} : u8[2,4]",
            "%y = DequantizeLinear(%q, 0.5) {axis=0} : f32[2,4]"
        ]
    );
    assert_eq!(net(vec![int("output_dtype", 3)])[0], "%q = QuantizeLinear(x, 0.5, 0) {axis=0, to=3} : i8[2,4]");
    for (wrong, attributes) in
        [("{output_dtype=…}", vec![int("output_dtype", 1)]), ("{block_size=…}", vec![int("block_size", 2)])]
    {
        assert_eq!(net(attributes)[0], format!("%q = QuantizeLinear(x, s) {wrong} : ?[?]"));
    }
    let blocks = Net::of(21, [2, 4])
        .weight(floats("s", &[2, 2], &[0.5, 1.0, 2.0, 4.0]))
        .ints("q", &[1, 2, 3, 4])
        .node("Cast", &["q"], &["bytes"], vec![int("to", 3)])
        .node("Unsqueeze", &["bytes", "zero"], &["row"], vec![])
        .ints("zero", &[0])
        .node("Expand", &["row", "two"], &["w"], vec![])
        .ints("two", &[2, 4])
        .node("DequantizeLinear", &["w", "s"], &["y"], vec![int("axis", 1), int("block_size", 2)])
        .output("y");
    let graph = blocks.import().graph;
    let y = graph.constant(graph.find("y").unwrap()).unwrap().to_f64().unwrap();
    assert_eq!(y, [0.5, 1.0, 3.0, 4.0, 2.0, 4.0, 12.0, 16.0]);
}

/// A node whose windows have more axes than its input is carried, whatever else it says.
#[test]
fn windows_on_a_vector() {
    for op in ["MaxPool", "AveragePool", "LpPool", "MaxUnpool"] {
        let net = Net::of(18, [4])
            .ints("i", &[0, 1, 2, 3])
            .node(op, &["x", "i"][..if op == "MaxUnpool" { 2 } else { 1 }], &["y"], vec![ints("kernel_shape", &[])])
            .output("y");
        assert!(net.lines()[0].ends_with("?[?]"), "{op}: {:?}", net.lines());
    }
}

/// Readers of one rounded tensor read it back once, whatever the form of scale and zero point, and whoever asks.
#[test]
fn rounded_values_are_read_back_once() {
    let byte = |name: &str, dims: &[i64]| TensorProto { raw_data: Some(vec![3].into()), ..typed(name, dims, 2) };
    let net = Net::of(17, [1, 2, 3, 3])
        .weight(floats("s", &[], &[0.5]))
        .weight(floats("again", &[1], &[0.5]))
        .weight(byte("z", &[]))
        .weight(byte("z1", &[1]))
        .weight(TensorProto { raw_data: Some(vec![1; 4].into()), ..typed("w", &[2, 2, 1, 1], 2) })
        .weight(floats("ws", &[2], &[0.25, 0.75]))
        .node("QuantizeLinear", &["x", "s", "z"], &["q"], vec![])
        .node("QLinearConv", &["q", "again", "z1", "w", "ws", "z", "s", "z"], &["c"], vec![])
        .node("DequantizeLinear", &["c", "again", "z1"], &["cf"], vec![])
        .node("DequantizeLinear", &["q", "s", "z"], &["xf"], vec![])
        .node("DequantizeLinear", &["c", "s", "z"], &["other"], vec![])
        .node("Add", &["cf", "xf"], &["sum"], vec![])
        .node("Add", &["sum", "other"], &["y"], vec![])
        .output("y");
    let lines = net.lines();
    let back = |of: &str| lines.iter().filter(|l| l.contains(&format!("= DequantizeLinear(%{of}, "))).count();
    assert_eq!((back("q"), back("c")), (1, 1), "{lines:#?}");
    assert_eq!(lines.iter().filter(|l| l.contains("DequantizeLinear")).count(), 3, "{lines:#?}"); // The weights'.
}

/// Blocks cover their axis once, and go with the other axes.
#[test]
fn blocks_that_do_not_fit() {
    for (dims, size) in [(&[1, 2][..], i64::MAX), (&[2], 2), (&[2, 3], 2), (&[2, 2], 1), (&[2, 2], 4), (&[3, 2], 2)] {
        let scales = floats("s", dims, &vec![1.0; dims.iter().product::<i64>() as usize]);
        let net = Net::of(21, [2, 4])
            .weight(scales)
            .ints("q", &[1, 2, 3, 4])
            .ints("two", &[2, 4])
            .node("Cast", &["q"], &["bytes"], vec![int("to", 3)])
            .node("Expand", &["bytes", "two"], &["w"], vec![])
            .node("DequantizeLinear", &["w", "s"], &["b"], vec![int("axis", 1), int("block_size", size)])
            .node("Add", &["x", "b"], &["y"], vec![])
            .output("y");
        assert!(net.lines().iter().any(|l| l.starts_with("%b = DequantizeLinear(") && l.ends_with("?[?]")), "{dims:?}");
    }
}

/// A range over several pictures is said; one over an open batch is not taken.
#[test]
fn a_measured_range_is_of_one_picture() {
    let net = |n: i64| {
        Net::of(17, [n, 3, 4, 4])
            .node("DynamicQuantizeLinear", &["x"], &["q", "s", "z"], vec![])
            .node("DequantizeLinear", &["q", "s", "z"], &["y"], vec![])
            .output("y")
            .import()
    };
    assert!(net(2).notes.iter().any(|n| n.contains("the range of all pictures of a batch")), "{:?}", net(2).notes);
    assert!(net(1).notes.is_empty(), "{:?}", net(1).notes);
    let open = Net::new(17)
        .input("x", ["N".into(), Size::Is(3)])
        .node("DynamicQuantizeLinear", &["x"], &["q", "s", "z"], vec![])
        .node("DequantizeLinear", &["q", "s", "z"], &["y"], vec![])
        .output("y")
        .import();
    assert_eq!(open.graph.shape(open.graph.inputs[0]).unwrap()[0].known(), Some(1));
    assert!(open.notes.iter().any(|n| n.contains("a batch of 1")), "{:?}", open.notes);
}
