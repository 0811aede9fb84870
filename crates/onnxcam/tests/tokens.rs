//! Transformers, hybrids and networks with channels last (R14, R20): token tensors as grids of cells, by both of PyTorch's
//! exporters, on both engines, against PyTorch's own gradients in float64 (`references/make_tokens.py`).

#[path = "support/both.rs"]
mod both;
#[path = "support/networks.rs"]
mod networks;

use both::{agreed, engines, explain, pictures, plan};
use ndarray::{ArrayD, Axis};
use networks::{Failures, Network, dependence, reference_errors};
use onnx_graph::{ImportOptions, import};
use onnxcam::explain::PlanOptions;
use onnxcam::target::{HeadOptions, candidates, find_head};
use testkit::models::Maker;

fn at(layer: &str) -> PlanOptions {
    PlanOptions { layer: Some(layer.to_owned()), ..PlanOptions::default() }
}

/// Layer, grid, and class and register tokens are those that the module has; by its name it is the same layer.
#[test]
fn layer_and_grid_are_the_modules() {
    let networks = Network::tokens();
    assert!(networks.len() >= 15, "{}", networks.len());
    for (network, layer) in &networks {
        for export in &network.exports {
            let plan = plan(&export.open(), &["grad-cam"], &PlanOptions::default());
            let plan = plan.unwrap_or_else(|e| panic!("{export}: {e}"));
            assert_eq!(Some(&plan.layer.module), network.module.as_ref(), "{export}: \"{}\"", plan.layer.name);
            let view = &plan.layer.view;
            assert_eq!((view.grid(), view.extras()), (layer.grid.clone(), layer.extras), "{export}");
            let named = both::plan(&export.open(), &["grad-cam"], &at(&plan.layer.module)).unwrap().layer;
            assert_eq!((named.module, named.view.grid()), (plan.layer.module, layer.grid.clone()), "{export}");
        }
    }
}

/// 1e-4 of max |w_k| for weights, of max_ij Σ_k |w_k A^k_ij| for maps, as for all networks.
#[test]
fn scores_features_weights_and_maps_are_pytorchs() {
    let mut failures = Failures::default();
    for (network, _) in Network::tokens() {
        for (export, engine) in
            network.exports.iter().flat_map(|e| engines().into_iter().map(move |engine| (e, engine)))
        {
            let errors = reference_errors(&network, export, &engine);
            failures.note(export, &engine, &errors, errors.beyond(1e-4));
        }
    }
    failures.are_none();
}

#[test]
fn a_map_depends_on_its_picture_only() {
    for (network, _) in Network::tokens() {
        for (export, engine) in
            network.exports.iter().flat_map(|e| engines().into_iter().map(move |engine| (e, engine)))
        {
            let beyond = dependence(&network, export, &engine).beyond(1e-5);
            assert!(beyond.is_empty(), "{export} on {}: {}", engine.name(), beyond.join(", "));
        }
    }
}

/// Patches of 2 × 2 of a picture of 8 × 12 cells, [N, 12, 4, 6]; each is looked at for itself.
fn patches() -> Maker {
    Maker::new(17)
        .input("x", "f32[N,3,8,12]")
        .floats("patch", &[12, 3, 2, 2], &[0.25; 144])
        .node("Conv", &["x", "patch"], &["patches"])
        .with("strides", [2, 2])
}

/// A linear layer for each token of `from`, whose last axis are the channels, and the mean of all over `axes`.
fn pooled(net: Maker, from: &str, axes: impl Into<testkit::models::Attr>) -> Maker {
    net.floats("each", &[12, 12], &[0.1; 144])
        .node("MatMul", &[from, "each"], &["weighed"])
        .node("Relu", &["weighed"], &["seen"])
        .node("ReduceMean", &["seen"], &["mean"])
        .with("axes", axes)
        .with("keepdims", 0)
        .floats("fc", &[12, 3], &[0.5; 36])
        .node("MatMul", &["mean", "fc"], &["logits"])
        .output("logits", "f32[N,3]")
}

/// One patch of a grey picture is lit, and nothing else: so is one cell of the map, at the same place. Whatever way the
/// tokens take, rows stay rows and columns columns.
#[test]
fn a_patch_lights_its_own_cell() {
    let tokens = |net: Maker| {
        net.integers("list", &[3], &[0, 12, 24])
            .node("Reshape", &["patches", "list"], &["columns"])
            .node("Transpose", &["columns"], &["tokens"])
            .with("perm", [0, 2, 1])
    };
    let extra = |net: Maker, order: &[&str]| {
        net.floats("class", &[1, 1, 12], &[0.3; 12])
            .floats("registers", &[1, 2, 12], &[0.2; 24])
            .node("Shape", &["tokens"], &["shape"])
            .integers("zero", &[1], &[0])
            .node("Gather", &["shape", "zero"], &["images"])
            .integers("one", &[2], &[1, 1])
            .node("Concat", &["images", "one"], &["each_image"])
            .with("axis", 0)
            .node("Expand", &["class", "each_image"], &["classes"])
            .node("Expand", &["registers", "each_image"], &["all_registers"])
            .node("Concat", order, &["all"])
            .with("axis", 1)
    };
    let windows = |net: Maker| {
        net.node("Transpose", &["patches"], &["last"])
            .with("perm", [0, 2, 3, 1])
            .integers("cut", &[6], &[-1, 2, 2, 2, 3, 12])
            .node("Reshape", &["last", "cut"], &["six"])
            .node("Transpose", &["six"], &["by_window"])
            .with("perm", [0, 1, 3, 2, 4, 5])
            .integers("flat", &[3], &[-1, 6, 12])
            .node("Reshape", &["by_window", "flat"], &["windows"])
    };
    let restored = |net: Maker| {
        net.integers("cut_again", &[6], &[-1, 2, 2, 2, 3, 12])
            .node("Reshape", &["windows", "cut_again"], &["six_again"])
            .node("Transpose", &["six_again"], &["in_order"])
            .with("perm", [0, 1, 3, 2, 4, 5])
            .integers("picture", &[4], &[-1, 4, 6, 12])
            .node("Reshape", &["in_order", "picture"], &["restored"])
    };
    let networks = [
        ("tokens", pooled(tokens(patches()), "tokens", [1])),
        ("class token", pooled(extra(tokens(patches()), &["classes", "tokens"]), "all", [1])),
        ("registers behind", pooled(extra(tokens(patches()), &["classes", "tokens", "all_registers"]), "all", [1])),
        ("windows, and back", pooled(restored(windows(patches())), "restored", [1, 2])),
        (
            "pictures behind tokens, as torch.nn.MultiheadAttention has them",
            pooled(tokens(patches()).node("Transpose", &["tokens"], &["first"]).with("perm", [1, 0, 2]), "first", [0]),
        ),
    ];
    let named = ["windows", "by_window", "last", "restored"]
        .map(|layer| (layer, pooled(restored(windows(patches())), "restored", [1, 2]), at(layer)));
    let automatic = networks.map(|(name, net)| (name, net, PlanOptions::default()));
    for (name, net, options) in automatic.into_iter().chain(named) {
        let model = net.model();
        let plan = plan(&model, &["grad-cam", "grad-cam++"], &options).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(plan.layer.name, options.layer.as_deref().unwrap_or("seen"), "{name}");
        for engine in engines() {
            for (row, column) in [(0, 0), (0, 5), (3, 0), (1, 4)] {
                let mut x = ArrayD::zeros(vec![1, 3, 8, 12]);
                x.slice_each_axis_mut(|axis| match axis.axis.index() {
                    2 => (2 * row..2 * row + 2).into(),
                    3 => (2 * column..2 * column + 2).into(),
                    _ => (..).into(),
                })
                .fill(1.0);
                for map in &explain(&plan, &engine, &x, 0)[0].maps {
                    let what = format!("{name}, ({row}, {column}) on {}: {map}", engine.name());
                    assert_eq!(map.dim(), (4, 6), "{what}");
                    let lit = |i: (usize, usize)| i == (row, column);
                    assert!(map.indexed_iter().all(|(i, v)| (*v > 0.0) == lit(i)), "{what}");
                }
            }
        }
    }
}

/// As many channels as rows and columns: the shape says nothing about which axis is which.
#[test]
fn channels_last_by_their_way_not_by_their_size() {
    let model = Maker::new(17)
        .input("x", "f32[N,3,8,8]")
        .weights("patch", &[4, 3, 2, 2])
        .node("Conv", &["x", "patch"], &["patches"])
        .with("strides", [2, 2])
        .node("Transpose", &["patches"], &["last"])
        .with("perm", [0, 2, 3, 1])
        .node("Relu", &["last"], &["rectified"])
        .node("ReduceMean", &["rectified"], &["mean"])
        .with("axes", [1, 2])
        .with("keepdims", 0)
        .weights("fc", &[4, 3])
        .node("MatMul", &["mean", "fc"], &["logits"])
        .output("logits", "f32[N,3]")
        .model();
    let plan = plan(&model, &["grad-cam"], &PlanOptions::default()).unwrap();
    assert_eq!((plan.layer.name.as_str(), plan.layer.view.is_identity()), ("rectified", false));
    let x = pictures(&[2, 3, 8, 8], 3);
    let turned = agreed(&model, &["grad-cam"], &at("last"), &x, 0);
    let before = agreed(&model, &["grad-cam"], &at("patches"), &x, 0);
    for (turned, before) in turned.iter().zip(&before) {
        let apart = (&turned.maps[0] - &before.maps[0]).mapv(f32::abs);
        assert!(apart.iter().all(|d| *d < 1e-5), "{} instead of {}", turned.maps[0], before.maps[0]);
    }
}

/// The block whose output only its class token is read of: not listed, and where it is asked for, said to be of no use.
#[test]
fn patches_that_do_not_reach_the_score() {
    for (name, block, other) in [
        ("vit_registers", "blocks.1", "blocks.0"),
        ("deit_distilled", "blocks.1", "blocks.0"),
        ("pit", "transformers.1.blocks.1", "transformers.1.blocks.0"),
    ] {
        let networks = Network::tokens();
        let (network, _) = networks.iter().find(|(n, _)| n.name == name).unwrap();
        for export in &network.exports {
            let model = export.open();
            let mut graph = import(&model, &ImportOptions::default()).unwrap().graph;
            let head = find_head(&mut graph, &HeadOptions::default()).unwrap();
            let listed: Vec<String> = candidates(&graph, &head).into_iter().map(|c| c.layer.module).collect();
            assert!(listed.iter().any(|m| m == other) && !listed.iter().any(|m| m == block), "{export}: {listed:?}");
            let dead = plan(&model, &["grad-cam"], &at(block)).unwrap();
            let said = dead.notes.iter().any(|note| note.contains("its patches do not reach it, and the map is zero"));
            assert!(said, "{export}: {:?}", dead.notes);
            let engine = &engines()[0];
            let found = explain(&dead, engine, &network.input.select(Axis(0), &[0]), -1);
            assert!(found[0].maps[0].iter().all(|v| *v == 0.0), "{export}");
            let alive = plan(&model, &["grad-cam"], &at(other)).unwrap();
            assert!(alive.notes.iter().all(|note| !note.contains("do not reach")), "{export}: {:?}", alive.notes);
            let found = explain(&alive, engine, &network.input.select(Axis(0), &[0]), -1);
            assert!(found[0].maps[0].iter().any(|v| *v != 0.0), "{export}");
        }
    }
}

/// What is no grid is refused by name: tokens whose places a linear layer has mixed, and the heads' attention.
#[test]
fn layers_without_cells_are_refused() {
    let mixed = patches()
        .integers("list", &[3], &[0, 12, 24])
        .node("Reshape", &["patches", "list"], &["columns"])
        .weights("w", &[24, 24])
        .node("MatMul", &["columns", "w"], &["mixed"])
        .node("ReduceMean", &["mixed"], &["mean"])
        .with("axes", [2])
        .with("keepdims", 0)
        .weights("fc", &[12, 3])
        .node("MatMul", &["mean", "fc"], &["logits"])
        .output("logits", "f32[N,3]")
        .model();
    let error = plan(&mixed, &["grad-cam"], &at("mixed")).unwrap_err().to_string();
    assert!(error.starts_with("layer \"mixed\" is f32[N,12,24]; a map needs feature maps"), "{error}");
    agreed(&mixed, &["grad-cam", "grad-cam++"], &at("columns"), &pictures(&[2, 3, 8, 12], 1), -1);

    let networks = Network::tokens();
    for (network, _) in networks.iter().filter(|(n, _)| n.name == "vit_mean" || n.name == "swin") {
        for export in &network.exports {
            let graph = import(&export.open(), &ImportOptions::default()).unwrap().graph;
            let attention = graph.nodes().iter().rfind(|n| &*n.op == "Softmax").and_then(|n| n.outputs[0]).unwrap();
            let name = graph.tensor(attention).name.to_string();
            let error = plan(&export.open(), &["grad-cam"], &at(&name)).map(|plan| plan.layer).unwrap_err().to_string();
            assert!(error.contains("a map needs feature maps"), "{export}, {name}: {error}");
        }
    }
}
