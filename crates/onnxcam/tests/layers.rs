//! The target layer: the automatic one (R15), names (R51), and what is refused.

#[path = "support/both.rs"]
mod both;
#[path = "support/heads.rs"]
mod heads;
#[path = "support/networks.rs"]
mod networks;

use both::{agreed, pictures, plan};
use heads::{on_trunk, trunk, trunk_of};
use networks::Network;
use onnx_graph::{ImportOptions, Model, import};
use onnxcam::explain::{PlanError, PlanOptions};
use onnxcam::target::{HeadOptions, LayerError, candidates, find_head};
use testkit::models::{Maker, tiny_cnn, tiny_conv_head, tiny_nhwc};

fn at(layer: &str) -> PlanOptions {
    PlanOptions { layer: Some(layer.to_owned()), ..PlanOptions::default() }
}

fn automatic(model: &Model) -> String {
    plan(model, &["grad-cam"], &PlanOptions::default()).unwrap_or_else(|e| panic!("{e}")).layer.name
}

fn layer(model: &Model, name: &str) -> Result<String, PlanError> {
    plan(model, &["grad-cam"], &at(name)).map(|plan| plan.layer.name)
}

fn golden(file: &str) -> Model {
    Model::open(networks::golden().join(file)).unwrap()
}

fn pooled_head(net: Maker, from: &str, channels: usize) -> Maker {
    net.node("GlobalAveragePool", &[from], &["mean"])
        .node("Flatten", &["mean"], &["flat"])
        .weights("fc", &[channels, 5])
        .node("MatMul", &["flat", "fc"], &["logits"])
}

/// R15: behind the addition and its ReLU, not the branch before.
#[test]
fn residual_blocks_are_taken_whole() {
    let block = |net: Maker| {
        net.weights("w3", &[12, 12, 3, 3])
            .node("Conv", &["features", "w3"], &["branch"])
            .with("pads", [1, 1, 1, 1])
            .node("Add", &["branch", "features"], &["sum"])
            .node("Relu", &["sum"], &["block"])
    };
    let model = on_trunk(5, |net| pooled_head(block(net), "block", 12));
    assert_eq!(automatic(&model), "block");
    let model = on_trunk(5, |net| pooled_head(block(net), "sum", 12));
    assert_eq!(automatic(&model), "sum", "MobileNetV2 has no ReLU behind the addition");
    agreed(&model, &["grad-cam", "grad-cam++"], &at("branch"), &pictures(&[2, 3, 16, 16], 1), -1);
}

/// What `onnxcam layers` lists: each passed by every path, first to last, one of them marked.
#[test]
fn candidates_are_passed_by_every_path() {
    let mut graph = import(&golden("resnet18.old.onnx"), &ImportOptions::default()).unwrap().graph;
    let head = find_head(&mut graph, &HeadOptions::default()).unwrap();
    let found = candidates(&graph, &head);
    let modules: Vec<&str> = found.iter().map(|c| c.layer.module.as_str()).collect();
    assert!(modules.contains(&"layer1.0.relu_1") && modules.contains(&"maxpool"), "{modules:?}");
    assert!(!modules.iter().any(|m| m.contains("conv2") || m.contains("downsample")), "branches: {modules:?}");
    let marked: Vec<_> = found.iter().filter(|c| c.automatic).collect();
    assert_eq!(marked.len(), 1);
    assert_eq!((marked[0].layer.module.as_str(), &*marked[0].op), ("layer4.0.relu_1", "Relu"));
    assert_eq!(onnx_graph::show_shape(&marked[0].shape), "[N,20,3,3]");
    let positions: Vec<_> = found.iter().map(|c| graph.producer_index(c.layer.tensor)).collect();
    assert!(positions.is_sorted());
}

/// R51: one ResNet-18 by both exporters, by module, ending, tensor and node.
#[test]
fn names_of_both_exporters() {
    let names: [(&str, &[&str]); 2] = [
        ("resnet18.old.onnx", &["layer4", "layer4.0", "layer4.0.relu_1", "/layer4/layer4.0/relu_1/Relu"]),
        ("resnet18.new.onnx", &["layer4", "layer4.0", "relu_8", "node_relu_8"]),
    ];
    for (file, names) in names {
        let model = golden(file);
        for name in names {
            assert_eq!(
                layer(&model, name).unwrap_or_else(|e| panic!("{file}: {e}")),
                automatic(&model),
                "{file}: {name}"
            );
        }
    }
    for (file, name, tensor) in [
        ("vgg.old.onnx", "features.14", "/features/features.14/Relu_output_0"),
        ("vgg.new.onnx", "features.14", "relu_5"),
        ("vgg.new.onnx", "features.13", "conv2d_5"),
        ("googlenet.old.onnx", "inception5b", "/inception5b/Concat_output_0"),
        ("efficientnet.new.onnx", "features.5", "silu_15"),
        ("shufflenet_v2.old-opset11.onnx", "conv5", "/conv5/conv5.2/Relu_output_0"),
    ] {
        assert_eq!(layer(&golden(file), name).unwrap_or_else(|e| panic!("{file}: {e}")), tensor, "{file}: {name}");
    }
}

/// Endings stand for a module where only one has them. (Exporters fold batch normalisation into the convolution before;
/// the older one calls what is left by the convolution, the newer by the normalisation.)
#[test]
fn endings_of_names() {
    for (file, ending, example) in [
        ("resnet18.old.onnx", "conv2", "layer1.0.conv2"),
        ("resnet18.new.onnx", "bn2", "layer1.0.bn2"),
        ("resnet18.old.onnx", "downsample.0", "layer4.0.downsample.0"),
        ("resnet18.new.onnx", "downsample.1", "layer4.0.downsample.1"),
        ("googlenet.old.onnx", "branch4.1.conv", "inception5b.branch4.1.conv"),
    ] {
        let error = plan(&golden(file), &["grad-cam"], &at(ending)).unwrap_err();
        let PlanError::Layer(LayerError::Ambiguous { query, matches }) = &error else { panic!("{file}: {error}") };
        assert_eq!(query, ending);
        assert!(matches.len() > 1 && matches.iter().all(|m| m.ends_with(&format!(".{ending}"))), "{matches:?}");
        assert!(matches.contains(&example.to_owned()), "{matches:?}");
    }
    let unique = trunk_with_modules();
    assert_eq!(layer(&unique, "block.relu").unwrap(), "features");
    assert_eq!(layer(&unique, "relu").unwrap(), "features");
}

/// Nodes named as the older exporter does.
fn trunk_with_modules() -> Model {
    let mut proto = pooled_head(trunk(), "features", 12).output("logits", "f32[N,5]").build();
    let nodes = &mut proto.graph.as_mut().unwrap().node;
    let names = ["/body/stem/conv/Conv", "/body/stem/act/Relu", "/body/pool/MaxPool", "/body/block/conv/Conv"];
    for (node, name) in nodes.iter_mut().zip(names.iter().chain(&["/body/block/relu/Relu"])) {
        node.name = Some((*name).to_owned());
    }
    Model::from_proto(proto, "modules.onnx".as_ref()).unwrap()
}

/// torchvision's blocks call one ReLU module twice: which call is meant has to be said.
#[test]
fn modules_that_are_called_twice() {
    for (file, calls) in [
        ("resnet18.old.onnx", ["/layer4/layer4.0/relu/Relu_output_0", "/layer4/layer4.0/relu_1/Relu_output_0"]),
        ("resnet18.new.onnx", ["relu_7", "relu_8"]),
    ] {
        let model = golden(file);
        let error = plan(&model, &["grad-cam"], &at("layer4.0.relu")).unwrap_err();
        let PlanError::Layer(LayerError::Ambiguous { matches, .. }) = &error else { panic!("{file}: {error}") };
        assert_eq!(matches, &calls, "{file}");
        let text = error.to_string();
        assert_eq!(
            text,
            format!("\"layer4.0.relu\" stands for several layers\nhint: did you mean {}?", calls.join(", "))
        );
        for call in calls {
            assert_eq!(layer(&model, call).unwrap(), call);
        }
    }
}

#[test]
fn unknown_names_list_the_nearest() {
    for (file, query, near) in [
        ("resnet18.old.onnx", "layer5", "layer4"),
        ("resnet18.new.onnx", "layer4.0.relo", "layer4.0.relu"),
        ("vgg.old.onnx", "feature.14", "features.14"),
        ("resnet18.new.onnx", "rellu_8", "relu_8"),
    ] {
        let error = plan(&golden(file), &["grad-cam"], &at(query)).unwrap_err();
        let PlanError::Layer(LayerError::Unknown { nearest, .. }) = &error else { panic!("{query}: {error}") };
        assert!(nearest.len() == 5 && nearest.iter().any(|n| n == near), "{query}: {nearest:?}");
    }
    // What the exporter folded into another module is near to that: by an ending as well.
    for (query, near) in [("conv2", ".bn2"), ("downsample.0", ".downsample.1"), ("layer4.0.conv2", "layer4.0.bn2")] {
        let error = plan(&golden("resnet18.new.onnx"), &["grad-cam"], &at(query)).unwrap_err();
        let PlanError::Layer(LayerError::Unknown { nearest, .. }) = &error else { panic!("{query}: {error}") };
        assert!(nearest.iter().any(|n| n.ends_with(near)), "{query}: {nearest:?}");
    }
    let error = plan(&tiny_cnn(17, 5).model(), &["grad-cam"], &at("")).unwrap_err().to_string();
    assert!(error.starts_with("no layer is called \"\"\nhint: nearest are "), "{error}");
    let error = plan(&tiny_cnn(17, 5).model(), &["grad-cam"], &at("a\u{1b}[2Jb")).unwrap_err().to_string();
    assert!(!error.contains('\u{1b}'), "{error:?}");
}

/// R51: a target inside Conv, BatchNormalization, Relu, all of which an engine makes one; and inside x · sigmoid(x).
#[test]
fn targets_survive_what_engines_fuse() {
    let x = pictures(&[2, 3, 16, 16], 6);
    let names = ["grad-cam", "grad-cam++"];
    let bumpy = |from: f32| (0..12).map(|i| from + 0.1 * (i % 5) as f32).collect::<Vec<f32>>();
    let normalised = on_trunk(5, |net| {
        let net = net
            .weights("w3", &[12, 12, 3, 3])
            .node("Conv", &["features", "w3"], &["conv3"])
            .with("pads", [1, 1, 1, 1])
            .floats("scale", &[12], &bumpy(0.8))
            .floats("shift", &[12], &bumpy(-0.2))
            .floats("mean3", &[12], &bumpy(0.1))
            .floats("variance", &[12], &bumpy(0.5))
            .node("BatchNormalization", &["conv3", "scale", "shift", "mean3", "variance"], &["norm3"])
            .node("Relu", &["norm3"], &["relu3"]);
        pooled_head(net, "relu3", 12)
    });
    for name in ["conv3", "norm3", "relu3", "features", "conv2", "relu1", "conv1"] {
        agreed(&normalised, &names, &at(name), &x, 1);
    }
    let gated = on_trunk(5, |net| {
        let net = net
            .weights("w3", &[12, 12, 1, 1])
            .node("Conv", &["features", "w3"], &["conv3"])
            .node("Sigmoid", &["conv3"], &["gate"])
            .node("Mul", &["conv3", "gate"], &["silu"]);
        pooled_head(net, "silu", 12)
    });
    assert_eq!(automatic(&gated), "silu");
    for name in ["conv3", "gate", "silu"] {
        let found = agreed(&gated, &names, &at(name), &x, 1);
        // x · sigmoid(x) is curved in x, and linear in either factor.
        assert_eq!(found[0].notes[1].iter().any(|note| note.starts_with("alpha: first-order")), name == "conv3");
    }
}

/// The input itself is a layer too, if a poor one.
#[test]
fn the_picture_as_layer() {
    agreed(&tiny_cnn(17, 5).model(), &["grad-cam", "grad-cam++"], &at("x"), &pictures(&[1, 3, 16, 16], 2), 1);
}

/// Tokens that attend to each other: what they make is the layer, each in its place; and any layer before it is one, too.
#[test]
fn attention_keeps_the_grid() {
    let model = on_trunk(5, |net| {
        net.weights("patch", &[8, 12, 2, 2])
            .node("Conv", &["features", "patch"], &["patches"])
            .with("strides", [2, 2])
            .integers("grid", &[3], &[0, 8, 16])
            .node("Reshape", &["patches", "grid"], &["columns"])
            .node("Transpose", &["columns"], &["tokens"])
            .with("perm", [0, 2, 1])
            .weights("wq", &[8, 8])
            .weights("wk", &[8, 8])
            .weights("wv", &[8, 8])
            .node("MatMul", &["tokens", "wq"], &["q"])
            .node("MatMul", &["tokens", "wk"], &["k"])
            .node("MatMul", &["tokens", "wv"], &["v"])
            .node("Transpose", &["k"], &["kt"])
            .with("perm", [0, 2, 1])
            .node("MatMul", &["q", "kt"], &["affinity"])
            .named("/attention/MatMul")
            .node("Softmax", &["affinity"], &["attention"])
            .with("axis", -1)
            .node("MatMul", &["attention", "v"], &["mixed"])
            .node("ReduceMean", &["mixed"], &["mean"])
            .with("axes", [1])
            .with("keepdims", 0)
            .weights("fc", &[8, 5])
            .node("MatMul", &["mean", "fc"], &["logits"])
    });
    assert_eq!(automatic(&model), "mixed");
    for name in ["mixed", "v", "tokens", "columns", "patches"] {
        let found = agreed(&model, &["grad-cam", "grad-cam++"], &at(name), &pictures(&[2, 3, 16, 16], 1), -1);
        assert_eq!(found[0].maps[0].dim(), (4, 4), "{name}");
    }
}

/// MLP-Mixer has no attention, and mixes tokens all the same. Where nothing is added that keeps them in their places, none
/// are left. A linear layer that classifies each cell does not mix them.
#[test]
fn mixers_without_a_grid_are_refused() {
    let tokens = |net: Maker| {
        net.integers("grid", &[3], &[0, 12, 64])
            .node("Reshape", &["features", "grid"], &["columns"])
            .weights("w1", &[64, 20])
            .node("MatMul", &["columns", "w1"], &["hidden"])
    };
    let mixer = on_trunk(5, |net| {
        tokens(net)
            .node("Relu", &["hidden"], &["bent"])
            .weights("w2", &[20, 64])
            .node("MatMul", &["bent", "w2"], &["mixed"])
            .named("/mixer/MatMul")
            .node("ReduceMean", &["mixed"], &["mean"])
            .with("axes", [2])
            .with("keepdims", 0)
            .weights("fc", &[12, 5])
            .node("MatMul", &["mean", "fc"], &["logits"])
    });
    let text = plan(&mixer, &["grad-cam"], &PlanOptions::default()).unwrap_err().to_string();
    assert!(text.contains("\"features\" [N,12,8,8]") && text.contains("node \"/mixer/MatMul\""), "{text}");
    assert!(text.contains("leaves no grid to follow") && text.contains("hint: --layer takes this"), "{text}");
    let by_cell = on_trunk(5, |net| {
        net.integers("grid", &[3], &[0, 12, 64])
            .node("Reshape", &["features", "grid"], &["columns"])
            .node("Transpose", &["columns"], &["cells"])
            .with("perm", [0, 2, 1])
            .weights("fc", &[12, 5])
            .node("MatMul", &["cells", "fc"], &["scores"])
            .node("ReduceMax", &["scores"], &["logits"])
            .with("axes", [1])
            .with("keepdims", 0)
    });
    assert_eq!(automatic(&by_cell), "features");
    agreed(&by_cell, &["grad-cam", "grad-cam++"], &PlanOptions::default(), &pictures(&[2, 3, 16, 16], 1), -1);
}

/// A mere Transpose to channels last, as TensorFlow writes it, is no layer; the one before it is.
#[test]
fn channels_last_at_the_end() {
    let model = on_trunk(5, |net| {
        net.node("Transpose", &["features"], &["nhwc"])
            .with("perm", [0, 2, 3, 1])
            .node("ReduceMean", &["nhwc"], &["mean"])
            .with("axes", [1, 2])
            .with("keepdims", 0)
            .weights("fc", &[12, 5])
            .node("MatMul", &["mean", "fc"], &["logits"])
    });
    assert_eq!(automatic(&model), "features");
    let bent = on_trunk(5, |net| {
        net.node("Transpose", &["features"], &["nhwc"])
            .with("perm", [0, 2, 3, 1])
            .node("Relu", &["nhwc"], &["rectified"])
            .node("ReduceMean", &["rectified"], &["mean"])
            .with("axes", [1, 2])
            .with("keepdims", 0)
            .weights("fc", &[12, 5])
            .node("MatMul", &["mean", "fc"], &["logits"])
    });
    assert_eq!(automatic(&bent), "rectified", "its channels are last");
    let found =
        agreed(&bent, &["grad-cam", "grad-cam++", "cam"], &PlanOptions::default(), &pictures(&[2, 3, 16, 16], 1), -1);
    assert_eq!(found[0].maps[0].dim(), (8, 8));
    let found = agreed(&model, &["grad-cam", "grad-cam++"], &PlanOptions::default(), &pictures(&[1, 3, 16, 16], 1), -1);
    assert_eq!(found[0].maps[0].dim(), (8, 8));
    assert_eq!(automatic(&tiny_nhwc(17, 5).model()), "features", "channels last at the input");
    let shape = [2, 16, 16, 3];
    agreed(
        &tiny_nhwc(17, 5).model(),
        &["grad-cam", "grad-cam++", "cam"],
        &PlanOptions::default(),
        &pictures(&shape, 1),
        -1,
    );
}

/// Group normalisation, an operator or written out as the newer exporter does, leaves the channels where they were; what
/// moves them between two Reshapes does not.
#[test]
fn group_normalisation_hides_no_layer() {
    let written_out = |net: Maker| {
        net.integers("groups", &[3], &[0, 3, -1])
            .floats("ones", &[3], &[1.0; 3])
            .floats("zeros", &[3], &[0.0; 3])
            .node("Reshape", &["conv3", "groups"], &["grouped"])
            .node("InstanceNormalization", &["grouped", "ones", "zeros"], &["whitened"])
            .node("Shape", &["conv3"], &["shape"])
            .node("Reshape", &["whitened", "shape"], &["restored"])
            .weights("scale", &[12, 1, 1])
            .node("Mul", &["restored", "scale"], &["normalised"])
    };
    let operator = |net: Maker| {
        net.weights("scale", &[12])
            .floats("shift", &[12], &[0.0; 12])
            .node("GroupNormalization", &["conv3", "scale", "shift"], &["normalised"])
            .with("num_groups", 3)
    };
    let moved = |net: Maker| {
        net.integers("groups", &[4], &[0, 64, 3, 4])
            .node("Reshape", &["conv3", "groups"], &["grouped"])
            .node("Transpose", &["grouped"], &["shuffled"])
            .with("perm", [0, 2, 1, 3])
            .integers("maps", &[4], &[0, 12, 8, 8])
            .node("Reshape", &["shuffled", "maps"], &["normalised"])
    };
    for (opset, normalised, taken) in
        [(17, &written_out as &dyn Fn(Maker) -> Maker, "block"), (21, &operator, "block"), (17, &moved, "conv3")]
    {
        let net = trunk_of(opset).weights("w3", &[12, 12, 1, 1]).node("Conv", &["features", "w3"], &["conv3"]);
        let net = normalised(net).node("Relu", &["normalised"], &["block"]);
        let model = pooled_head(net, "block", 12).output("logits", "f32[N,5]").model();
        assert_eq!(automatic(&model), taken, "opset {opset}");
    }
}

/// The maps that a convolution makes for each class are not feature maps of the class; as many channels as classes before
/// a linear layer are.
#[test]
fn class_maps() {
    assert_eq!(automatic(&tiny_conv_head(17, 5).model()), "features");
    let rectified = on_trunk(5, |net| {
        net.weights("w", &[5, 12, 1, 1])
            .node("Conv", &["features", "w"], &["maps"])
            .node("Relu", &["maps"], &["positive"])
            .node("GlobalAveragePool", &["positive"], &["mean"])
            .node("Flatten", &["mean"], &["logits"])
    });
    assert_eq!(automatic(&rectified), "features", "as SqueezeNet ends");
    assert_eq!(automatic(&tiny_cnn(17, 12).model()), "features", "12 channels, 12 classes");
}

/// Layers made by pooling are passed over, whatever the operator.
#[test]
fn pooled_maps_are_passed_over() {
    let ending = |op: &'static str| {
        on_trunk(5, move |net| {
            net.node(op, &["features"], &["small"])
                .with("kernel_shape", [2, 2])
                .with("strides", [2, 2])
                .node("Flatten", &["small"], &["flat"])
                .weights("fc", &[12 * 16, 5])
                .node("MatMul", &["flat", "fc"], &["logits"])
        })
    };
    for op in ["MaxPool", "AveragePool"] {
        let model = ending(op);
        assert_eq!(automatic(&model), "features", "{op}");
        let x = pictures(&[2, 3, 16, 16], 1);
        agreed(&model, &["grad-cam", "grad-cam++"], &PlanOptions::default(), &x, -1);
        agreed(&model, &["grad-cam", "grad-cam++"], &at("small"), &x, -1);
    }
}

#[test]
fn layers_that_are_refused() {
    let model = trunk()
        .weights("side.weight", &[4, 12, 1, 1])
        .node("Conv", &["features", "side.weight"], &["side"])
        .floats("grid", &[1, 1, 8, 8], &[0.5; 64])
        .floats("ones", &[12, 1, 1, 1], &[1.0; 12])
        .node("Conv", &["grid", "ones"], &["position"])
        .node("Add", &["features", "position"], &["placed"]);
    let model = pooled_head(model, "placed", 12).output("logits", "f32[N,5]").output("side", "f32[N,4,8,8]").model();
    assert_eq!(automatic(&model), "placed");
    let text = |name: &str| plan(&model, &["grad-cam"], &at(name)).unwrap_err().to_string();
    assert_eq!(text("side"), "the scores do not depend on layer \"side\"");
    assert_eq!(text("position"), "layer \"position\" does not depend on the picture");
    assert_eq!(text("conv1.weight"), "layer \"conv1.weight\" does not depend on the picture");
    assert_eq!(
        text("flat"),
        "layer \"flat\" is f32[N,12]; a map needs feature maps [N, channels, height, width], or tokens of a grid that can be followed from a convolution on"
    );

    // What lies between has to have a gradient.
    let odd = on_trunk(5, |net| {
        pooled_head(net.node("Bernoulli", &["features"], &["odd"]).named("/odd/Bernoulli"), "odd", 12)
    });
    let odd = Model::from_proto(
        {
            let mut proto = odd.proto().clone();
            let declared = Maker::new(17).declare("odd", "f32[N,12,8,8]").build().graph.unwrap().value_info;
            proto.graph.as_mut().unwrap().value_info = declared;
            proto
        },
        "odd.onnx".as_ref(),
    );
    let text = plan(&odd.unwrap(), &["grad-cam"], &at("features")).unwrap_err().to_string();
    let start = "cannot differentiate `Bernoulli` (node \"/odd/Bernoulli\", input 0: f32[N,12,8,8]): this operator is not known here";
    assert!(text.starts_with(start), "{text}");
    assert!(
        text.contains("it lies between \"features\" and") && text.contains("hint: choose a layer after it"),
        "{text}"
    );

    // A way of pixels past every feature map.
    let bypassed = Maker::new(17)
        .input("x", "f32[N,3,4,4]")
        .weights("v", &[6, 3, 3, 3])
        .node("Conv", &["x", "v"], &["conv"])
        .node("GlobalAveragePool", &["conv"], &["mean"])
        .node("Flatten", &["mean"], &["pooled"])
        .node("Flatten", &["x"], &["flat"])
        .node("Concat", &["pooled", "flat"], &["both"])
        .with("axis", 1)
        .weights("w", &[54, 5])
        .node("MatMul", &["both", "w"], &["logits"])
        .output("logits", "f32[N,5]")
        .model();
    let error = plan(&bypassed, &["grad-cam"], &PlanOptions::default()).unwrap_err();
    assert!(matches!(error, PlanError::Layer(LayerError::NoneFound)), "{error}");
}

/// Four axes of space are one too many; series and volumes are in `ranks.rs`.
#[test]
fn networks_of_four_axes_of_space_are_refused() {
    let net = Maker::new(17).input("x", "f32[N,3,4,6,5,4]").floats("w", &[2, 3, 3, 3, 3, 3], &[0.5; 486]);
    let net = net.node("Conv", &["x", "w"], &["maps"]).node("GlobalAveragePool", &["maps"], &["mean"]);
    let model = net.node("Flatten", &["mean"], &["scores"]).output("scores", "f32[N,2]").model();
    let error = plan(&model, &["grad-cam"], &PlanOptions::default()).unwrap_err().to_string();
    let expected = "the feature maps have 4 axes behind their channels, the last are \"maps\" [N,2,2,4,3,2]";
    assert!(error.contains(expected), "{error}");
}

/// A perceptron of pictures or of vectors has nothing that a map could be drawn of.
#[test]
fn networks_without_feature_maps_are_refused() {
    for input in ["f32[N,3,4,4]", "f32[N,48]"] {
        let model = Maker::new(17)
            .input("x", input)
            .node("Flatten", &["x"], &["flat"])
            .weights("w", &[48, 6])
            .node("MatMul", &["flat", "w"], &["hidden"])
            .node("Relu", &["hidden"], &["relu"])
            .weights("fc", &[6, 5])
            .node("MatMul", &["relu", "fc"], &["logits"])
            .output("logits", "f32[N,5]")
            .model();
        let error = plan(&model, &["grad-cam"], &PlanOptions::default()).unwrap_err().to_string();
        assert!(
            error.starts_with("the network has no feature maps: nothing between its input and its scores"),
            "{error}"
        );
    }
}

/// Every golden network's target is also among its candidates, by both exporters, and marked.
#[test]
fn the_recorded_layers_are_candidates() {
    for network in Network::golden() {
        for export in &network.exports {
            let mut graph = import(&export.open(), &ImportOptions::default()).unwrap().graph;
            let head = find_head(&mut graph, &HeadOptions::default()).unwrap();
            let marked: Vec<_> = candidates(&graph, &head).into_iter().filter(|c| c.automatic).collect();
            let recorded = export.features.iter().filter_map(|name| graph.find(name)).collect::<Vec<_>>();
            assert!(marked.len() == 1 && recorded.contains(&marked[0].layer.tensor), "{export}");
        }
    }
}
