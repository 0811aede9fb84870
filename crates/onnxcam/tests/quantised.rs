//! Networks that ONNX Runtime's tools have quantised, on both engines, against a float64 computation of our own that passes
//! gradients straight through rounding (`references/make_quantised.py`).

#[path = "support/both.rs"]
mod both;
#[path = "support/heads.rs"]
mod heads;
#[path = "support/networks.rs"]
mod networks;

use both::{engines, explain, plan};
use networks::{Network, check_layer, dependence, reference_errors};
use onnx_graph::{DataType, ImportOptions, import};
use onnxcam::explain::{Explainer, PlanOptions};
use onnxcam::target::{HeadOptions, Layer, candidates, find_head};
use testkit::models::raw;

/// Why a network does not run on an engine.
fn refused(network: &Network, engine: &str) -> Option<&'static str> {
    (engine == "rten" && network.name.ends_with("words")).then_some("UINT16")
}

#[test]
fn scores_weights_and_maps_are_those_of_the_definition() {
    let networks = Network::quantised();
    assert_eq!(networks.len(), 6);
    let mut failures = Vec::new();
    for engine in engines() {
        for network in &networks {
            let export = &network.exports[0];
            if let Some(says) = refused(network, engine.name()) {
                let plan = plan(&export.open(), &["grad-cam"], &PlanOptions::default()).unwrap();
                let error = Explainer::new(&plan, &engine, 1, None).map(drop).unwrap_err().to_string();
                assert!(error.contains(says), "{error}");
                continue;
            }
            let errors = reference_errors(network, export, &engine);
            println!("{export} on {}: {errors}", engine.name());
            // Of words' 65,536 steps float32 does not meet every one.
            let beyond = errors.beyond(if network.name.ends_with("words") { 1e-3 } else { 1e-4 });
            if !beyond.is_empty() {
                failures.push(format!("{export} on {}: {}", engine.name(), beyond.join(", ")));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_layer_is_the_last_feature_map_as_it_is_stored() {
    for network in Network::quantised() {
        check_layer(&network, &network.exports[0]);
    }
}

#[test]
fn a_map_depends_on_its_picture_only() {
    for engine in engines() {
        for network in Network::quantised().iter().filter(|n| refused(n, engine.name()).is_none()) {
            let errors = dependence(network, &network.exports[0], &engine);
            let beyond = errors.beyond(1e-5);
            assert!(beyond.is_empty(), "{} on {}: {}", network.name, engine.name(), beyond.join(", "));
        }
    }
}

#[test]
fn straight_through_is_said() {
    for network in Network::quantised() {
        let plan = plan(&network.exports[0].open(), &["grad-cam", "grad-cam++"], &PlanOptions::default()).unwrap();
        for map in &plan.maps {
            let said = map.notes.iter().filter(|n| n.starts_with("straight-through: gradients pass `")).count();
            assert_eq!(said, 1, "{}: {:?}", network.name, map.notes);
        }
        let alone = plan.notes.iter().any(|n| n.contains("batch of 1"));
        assert_eq!(alone, network.name.ends_with("dynamic"), "{}: {:?}", network.name, plan.notes);
    }
}

/// A layer of rounded values that an integer product reads: the product's own type does not round, what follows does.
#[test]
fn an_integer_product_is_not_said_to_round() {
    let network = Network::quantised().into_iter().find(|n| n.name == "resnet18.dynamic").unwrap();
    let model = network.exports[0].open();
    let mut products = model.graph().node.iter().filter(|n| n.op_type() == "ConvInteger");
    let rounded = products.next_back().unwrap().input[0].clone();
    let options = PlanOptions { layer: Some(rounded.clone()), ..PlanOptions::default() };
    let plan = plan(&model, &["grad-cam"], &options).unwrap();
    assert_eq!(plan.layer.name, rounded);
    let said = plan.maps[0].notes.iter().find(|n| n.starts_with("straight-through")).unwrap();
    assert!(said.contains("`DynamicQuantizeLinear`"), "{said}");
}

/// What pooling made is not taken, rounded or not: the map before it has more cells.
#[test]
fn rounding_hides_no_pool() {
    let net = heads::on_trunk(5, |net| {
        net.floats("s", &[], &[0.05])
            .tensor("z", raw(DataType::U8, &[], vec![0]))
            .node("MaxPool", &["features"], &["pooled"])
            .with("kernel_shape", [2, 2])
            .with("strides", [2, 2])
            .node("QuantizeLinear", &["pooled", "s", "z"], &["q"])
            .node("DequantizeLinear", &["q", "s", "z"], &["stored"])
            .node("GlobalAveragePool", &["stored"], &["mean"])
            .node("Flatten", &["mean"], &["vector"])
            .weights("fc", &[12, 5])
            .node("MatMul", &["vector", "fc"], &["logits"])
    });
    assert_eq!(plan(&net, &["grad-cam"], &PlanOptions::default()).unwrap().layer.name, "features");
}

/// Nothing reaches the head: its range is empty, the map zero and not NaN.
#[test]
fn a_head_of_zeros() {
    let net = heads::on_trunk(5, |net| {
        net.floats("none", &[], &[0.0])
            .node("Mul", &["features", "none"], &["dead"])
            .node("Relu", &["dead"], &["last"])
            .node("GlobalAveragePool", &["last"], &["mean"])
            .node("Flatten", &["mean"], &["vector"])
            .node("DynamicQuantizeLinear", &["vector"], &["q", "scale", "zero"])
            .tensor("w", raw(DataType::I8, &[12, 5], (0..60).collect()))
            .node("MatMulInteger", &["q", "w", "zero"], &["product"])
            .node("Cast", &["product"], &["floats"])
            .with("to", 1)
            .node("Mul", &["floats", "scale"], &["logits"])
    });
    let plan = plan(&net, &["grad-cam", "grad-cam++"], &PlanOptions::default()).unwrap();
    for engine in engines() {
        for found in explain(&plan, &engine, &both::pictures(&[1, 3, 16, 16], 3), 2) {
            let zero = found.maps.iter().flatten().chain(&found.scores).all(|v| *v == 0.0);
            assert!(zero, "{}: {:?} {:?}", engine.name(), found.scores, found.maps);
            // rten's relu would hide what is not a number.
            let finite = found.weights.iter().flatten().all(|w| w.is_finite());
            assert!(finite, "{}: {:?}", engine.name(), found.weights);
        }
    }
}

/// What ONNX Runtime makes of its own files, with whatever kernels for integers it has.
#[test]
fn scores_are_the_files_own() {
    let Some(engine) = both::onnx_runtime() else { return };
    for network in Network::quantised() {
        let model = network.exports[0].open();
        let mut session = engine.load(onnxcam::engine::Source::File(&network.exports[0].file), None).unwrap();
        let own = both::run_session(&mut *session, &network.input).unwrap().remove(0);
        let plan = plan(&model, &["grad-cam"], &PlanOptions::default()).unwrap();
        let found = explain(&plan, &engine, &network.input, -1).remove(0).scores;
        let off = own.iter().zip(&found).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
        let most = own.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        assert!(off <= 1e-4 * most, "{}: {off} of {most}", network.name);
    }
}

/// What a block of a residual network begins with is read twice, by QLinearConv and QLinearAdd: it is one layer all the same.
#[test]
fn inner_layers_are_whole() {
    for network in Network::quantised().iter().filter(|n| n.name.starts_with("resnet18")) {
        let mut graph = import(&network.exports[0].open(), &ImportOptions::default()).unwrap().graph;
        let head = find_head(&mut graph, &HeadOptions::default()).unwrap();
        let layers: Vec<Layer> = candidates(&graph, &head).into_iter().map(|c| c.layer).collect();
        let pooled = match network.name.as_str() {
            "resnet18.qoperator" => "/maxpool/MaxPool_output_0_quantized",
            "resnet18.dynamic" => "/maxpool/MaxPool_output_0",
            _ => "/maxpool/MaxPool_output_0_DequantizeLinear_Output",
        };
        let found = layers.iter().find(|l| l.name == pooled);
        assert!(found.is_some_and(|l| l.module == "maxpool"), "{}: {layers:?}", network.name);
        assert!(layers.iter().all(|l| !l.name.starts_with(onnx_graph::PREFIX)), "{}: {layers:?}", network.name);
    }
}

/// Rounded values that are read back in several steps are no one layer; those that nothing reads back are none.
#[test]
fn rounded_values_as_layers() {
    let net = |second: f32| {
        heads::on_trunk(5, |net| {
            net.floats("s", &[], &[0.05])
                .floats("t", &[], &[second])
                .tensor("z", raw(DataType::U8, &[], vec![0]))
                .node("QuantizeLinear", &["features", "s", "z"], &["q"])
                .node("MaxPool", &["q"], &["pooled"])
                .with("kernel_shape", [2, 2])
                .with("strides", [2, 2])
                .node("DequantizeLinear", &["q", "s", "z"], &["a"])
                .node("DequantizeLinear", &["q", "t", "z"], &["b"])
                .node("DequantizeLinear", &["pooled", "s", "z"], &["c"])
                .node("Add", &["a", "b"], &["sum"])
                .node("GlobalAveragePool", &["sum"], &["m"])
                .node("GlobalAveragePool", &["c"], &["n"])
                .node("Add", &["m", "n"], &["mean"])
                .node("Flatten", &["mean"], &["vector"])
                .weights("fc", &[12, 5])
                .node("MatMul", &["vector", "fc"], &["logits"])
                // Off the path, and damaged.
                .node("DequantizeLinear", &[], &["nothing"])
        })
    };
    let at = |layer: &str, model: &onnx_graph::Model| {
        let options = PlanOptions { layer: Some(layer.to_owned()), ..PlanOptions::default() };
        plan(model, &["grad-cam"], &options).map(|p| p.layer.name).map_err(|e| e.to_string())
    };
    assert_eq!(at("q", &net(0.05)), Ok("a".to_owned()));
    assert!(at("q", &net(0.1)).unwrap_err().contains("did you mean a, b?"));
    assert_eq!(at("pooled", &net(0.1)), Ok("c".to_owned()));
}
