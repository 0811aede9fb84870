//! The full-size networks of `references/export_networks.py` and `references/make_zoo.py`, as `golden_networks.rs` has
//! the small ones: too large for the repository, so ignored unless asked for (`references/README.md` says how).

#[path = "support/both.rs"]
mod both;
#[path = "support/networks.rs"]
mod networks;

use std::path::{Path, PathBuf};

use both::{engines, explain, plan};
use ndarray::ArrayD;
use networks::{Network, apart, check_layer, dependence, most, reference_errors, round_trip};
use onnx_graph::Model;
use onnxcam::explain::PlanOptions;
use testkit::npz;

/// The folder that `ONNXCAM_REFERENCES` names.
fn references() -> PathBuf {
    std::env::var_os("ONNXCAM_REFERENCES").expect("ONNXCAM_REFERENCES names the folder of the networks").into()
}

/// Networks whose name contains `ONNXCAM_NETWORK`; all where that is not set.
fn wanted(name: &str) -> bool {
    std::env::var("ONNXCAM_NETWORK").map_or(true, |part| name.contains(&part))
}

#[test]
#[ignore = "needs the full-size networks, 2 GB"]
fn scores_features_weights_and_maps_are_pytorchs() {
    let mut failures = Vec::new();
    for network in Network::full_size(&references()).filter(|n| wanted(&n.name)) {
        for export in &network.exports {
            check_layer(&network, export);
            for engine in engines() {
                let errors = reference_errors(&network, export, &engine);
                println!("{export} on {}: {errors}", engine.name());
                let beyond = errors.beyond(1e-4);
                if !beyond.is_empty() {
                    failures.push(format!("{export} on {}: {}", engine.name(), beyond.join(", ")));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
#[ignore = "needs the full-size networks, 2 GB"]
fn a_map_depends_on_its_picture_only() {
    for network in Network::full_size(&references()).filter(|n| wanted(&n.name)) {
        for engine in engines() {
            let export = &network.exports[0];
            let errors = dependence(&network, export, &engine);
            println!("{export} on {}: {errors}", engine.name());
            let beyond = errors.beyond(1e-4);
            assert!(beyond.is_empty(), "{export} on {}: {}", engine.name(), beyond.join(", "));
        }
    }
}

#[test]
#[ignore = "needs the full-size networks, 2 GB"]
fn loading_and_writing_back_changes_no_output() {
    for network in Network::full_size(&references()).filter(|n| wanted(&n.name)) {
        for export in &network.exports {
            for engine in engines() {
                let error = round_trip(&export.file, &engine, &network.input, &network.arrays["output"]);
                println!("{export} on {}: {error:.1e}", engine.name());
                assert!(error <= 1e-4, "{export} on {}: {error:.1e}", engine.name());
            }
        }
    }
}

/// The zoo's networks with their target layer: name, layer's shape behind the batch.
const ZOO: [(&str, &[i64]); 9] = [
    ("bvlc_alexnet", &[256, 13, 13]),
    ("densenet121", &[1024, 7, 7]),
    ("inception_v1", &[1024, 7, 7]),
    ("inception_v2", &[1024, 7, 7]),
    ("resnet50", &[2048, 7, 7]),
    ("shufflenet", &[544, 7, 7]),
    ("squeezenet", &[512, 13, 13]),
    ("vgg19", &[512, 14, 14]),
    ("zfnet512", &[512, 13, 13]),
];

/// Every zoo network with both sets of weights: the file, its input, the expected output.
fn each_of_the_zoo(mut check: impl FnMut(&str, &Path, &ArrayD<f32>, &ArrayD<f64>)) {
    let folder = references().join("zoo");
    for (name, _) in ZOO.iter().filter(|(name, _)| wanted(name)) {
        let arrays = npz(folder.join(format!("{name}.npz")));
        for weights in ["own", "random"] {
            let file = folder.join(format!("{name}.{weights}.onnx"));
            let x = arrays[&format!("{weights}_input")].mapv(|v| v as f32);
            check(name, &file, &x, &arrays[&format!("{weights}_output")]);
        }
    }
}

#[test]
#[ignore = "needs the zoo's networks, 1.4 GB"]
fn zoo_loading_and_writing_back_changes_no_output() {
    each_of_the_zoo(|_, file, x, expected| {
        for engine in engines() {
            let error = round_trip(file, &engine, x, expected);
            println!("{} on {}: {error:.1e}", file.file_stem().unwrap().display(), engine.name());
            assert!(error <= 1e-4, "{} on {}: {error:.1e}", file.display(), engine.name());
        }
    });
}

/// Maps are finite and agree between the engines; the target layer is the last of the convolutional part.
#[test]
#[ignore = "needs the zoo's networks, 1.4 GB"]
fn zoo_maps() {
    let names = ["grad-cam", "grad-cam++"];
    each_of_the_zoo(|name, file, x, _| {
        let model = Model::open(file).unwrap();
        let options = PlanOptions { signed: true, ..PlanOptions::default() };
        let plan = plan(&model, &names, &options).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let shape = plan.graph.shape(plan.layer.tensor).unwrap();
        let (_, expected) = ZOO.iter().find(|(n, _)| *n == name).unwrap();
        let stem = file.file_stem().unwrap().display();
        let made_by = &plan.graph.producer(plan.layer.tensor).unwrap().op;
        println!("{stem}: {} ({made_by}) {}; {}", plan.layer.name, onnx_graph::show_shape(shape), plan.head);
        assert!(shape.iter().skip(1).map(|d| d.known().unwrap()).eq(expected.iter().copied()), "{stem}");
        let found: Vec<_> = engines().iter().map(|engine| explain(&plan, engine, x, -1).remove(0)).collect();
        for (m, method) in names.iter().enumerate() {
            let maps: Vec<ArrayD<f32>> = found.iter().map(|e| e.maps[m].clone().into_dyn()).collect();
            assert!(maps.iter().flatten().all(|v| v.is_finite()), "{stem}: {method}");
            // Equal scores for every class, as the zoo's own weights give them, leave the class to rounding.
            for (engine, other) in maps.iter().enumerate().skip(1).filter(|(i, _)| found[*i].class == found[0].class) {
                let difference = apart(other, &maps[0], most(&maps[0]).max(f64::MIN_POSITIVE));
                println!("  {method} on engine {engine}: {difference:.1e}, largest {:.1e}", most(&maps[0]));
                assert!(difference < 1e-3, "{stem}: {method} differs between engines by {difference:.1e}");
            }
        }
    });
}
