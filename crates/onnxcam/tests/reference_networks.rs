//! The full-size networks of `references/export_networks.py` and `references/make_zoo.py`, as `golden_networks.rs` has
//! the small ones: too large for the repository, so ignored unless asked for (`references/README.md` says how).

#[path = "support/both.rs"]
mod both;
#[path = "support/networks.rs"]
mod networks;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use both::{engines, explain, onnx_runtime, outputs, plan};
use ndarray::ArrayD;
use networks::{
    Failures, Network, apart, canonical_error, check_copy, check_layer, dependence, gradient_errors, most,
    reference_errors,
};
use onnx_graph::{Dim, ImportOptions, Model, import, show_shape};
use onnxcam::engine::Engine;
use onnxcam::explain::PlanOptions;
use onnxcam::target::{HeadOptions, find_head};
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
    let mut failures = Failures::default();
    for network in Network::full_size(&references()).filter(|n| wanted(&n.name)) {
        for export in &network.exports {
            check_layer(&network, export);
            for engine in engines() {
                let errors = reference_errors(&network, export, &engine);
                failures.note(export, &engine, &errors, errors.beyond(1e-4));
            }
        }
    }
    failures.are_none();
}

/// Through every layer back to the picture. Among millions of cells some lie so close to a ReLU's kink, or to another
/// cell of their pooling window, that float32 decides otherwise than float64: there gradients differ, on average they do
/// not. (VGG-16: two cells 1e-7 apart, and of all gradients at the layer this one is off.)
#[test]
#[ignore = "needs the full-size networks, 2 GB"]
fn gradients_are_pytorchs() {
    let mut failures = Failures::default();
    for network in Network::full_size(&references()).filter(|n| wanted(&n.name)) {
        for export in &network.exports {
            for engine in engines() {
                let errors = gradient_errors(&network, export, &engine);
                failures.note(export, &engine, &errors, errors.beyond_on_average(5e-2));
            }
        }
    }
    failures.are_none();
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
                check_copy(&export.file, &engine, &network.input);
                let error = canonical_error(&export.file, &engine, &network.input, &network.arrays["output"]);
                println!("{export} on {}: {error:.1e}", engine.name());
                assert!(error <= 1e-4, "{export} on {}: {error:.1e}", engine.name());
            }
        }
    }
}

/// The zoo's networks, and what their target layer is: maker and shape behind the batch.
const ZOO: [(&str, &str, [i64; 3]); 9] = [
    ("bvlc_alexnet", "Relu", [256, 12, 12]),
    ("densenet121", "Relu", [1024, 7, 7]),
    ("inception_v1", "Concat", [1024, 6, 6]),
    ("inception_v2", "Concat", [1024, 7, 7]),
    ("resnet50", "Relu", [2048, 7, 7]),
    ("shufflenet", "Relu", [544, 7, 7]),
    ("squeezenet", "Concat", [512, 13, 13]),
    ("vgg19", "Relu", [512, 14, 14]),
    ("zfnet512", "Relu", [512, 12, 12]),
];

/// A network of the zoo with one of its sets of weights.
struct ZooFile {
    name: String,
    file: PathBuf,
    /// Whether the weights are the zoo's own: all equal, so that scores are equal, and as large as 10¹⁹.
    own: bool,
    input: ArrayD<f32>,
    output: ArrayD<f64>,
    maker: &'static str,
    layer: [i64; 3],
}

fn zoo() -> impl Iterator<Item = ZooFile> {
    let folder = references().join("zoo");
    let files = move |(name, maker, layer): (&'static str, &'static str, [i64; 3])| {
        let arrays = npz(folder.join(format!("{name}.npz")));
        let file = |weights: &str| ZooFile {
            name: format!("{name}.{weights}"),
            file: folder.join(format!("{name}.{weights}.onnx")),
            own: weights == "own",
            input: arrays[&format!("{weights}_input")].mapv(|v| v as f32),
            output: arrays[&format!("{weights}_output")].clone(),
            maker,
            layer,
        };
        ["own", "random"].map(file)
    };
    ZOO.into_iter().filter(|(name, ..)| wanted(name)).flat_map(files)
}

/// What enters the last softmax.
fn scores(file: &Path, engine: &Arc<dyn Engine>, x: &ArrayD<f32>) -> ArrayD<f32> {
    let mut graph = import(&Model::open(file).unwrap(), &ImportOptions::default()).unwrap().graph;
    graph.outputs = vec![find_head(&mut graph, &HeadOptions::default()).unwrap().raw];
    outputs(&graph, engine, x).remove(0)
}

#[test]
#[ignore = "needs the zoo's networks, 1.4 GB"]
fn zoo_loading_and_writing_back_changes_no_output() {
    for ZooFile { name, file, own, input, output, .. } in zoo() {
        for engine in engines() {
            check_copy(&file, &engine, &input);
            // A softmax of scores that are equal but for rounding, and far above 1, tells of the rounding only.
            let error = match (own && engine.name() == "rten").then(onnx_runtime) {
                None => canonical_error(&file, &engine, &input, &output),
                Some(None) => continue,
                Some(Some(other)) => {
                    let expected = scores(&file, &other, &input);
                    apart(&scores(&file, &engine, &input), &expected, most(&expected))
                }
            };
            println!("{name} on {}: {error:.1e}", engine.name());
            assert!(error <= 1e-5, "{name} on {}: {error:.1e}", engine.name());
        }
    }
}

/// The target layer is the last of the convolutional part; maps there and at the picture, which the gradient reaches
/// through the whole network, are finite, and the engines agree.
#[test]
#[ignore = "needs the zoo's networks, 1.4 GB"]
fn zoo_maps() {
    let methods = ["grad-cam", "grad-cam++"];
    for ZooFile { name, file, input, output, maker, layer, .. } in zoo() {
        let class = output.iter().position(|score| *score == most(&output)).unwrap() as i64;
        let model = Model::open(&file).unwrap();
        let options = |layer| PlanOptions { signed: true, layer, ..PlanOptions::default() };
        let at_layer = plan(&model, &methods, &options(None)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let shape = at_layer.graph.shape(at_layer.layer.tensor).unwrap();
        let made_by = &*at_layer.graph.producer(at_layer.layer.tensor).unwrap().op;
        println!("{name}: layer \"{}\" by {made_by}, {}; {}", at_layer.layer.name, show_shape(shape), at_layer.head);
        assert_eq!((made_by, &shape[1..]), (maker, layer.map(Dim::new).as_slice()), "{name}");
        let picture = at_layer.graph.tensor(at_layer.input).name.to_string();
        let at_picture = plan(&model, &methods[1..], &options(Some(picture))).unwrap_or_else(|e| panic!("{name}: {e}"));
        // A mean over 50,176 pixels, as Grad-CAM takes it there, is mostly rounding.
        for (at, plan, methods) in [("layer", at_layer, &methods[..]), ("picture", at_picture, &methods[1..])] {
            let found: Vec<_> = engines().iter().map(|e| explain(&plan, e, &input, class).remove(0)).collect();
            for (m, method) in methods.iter().enumerate() {
                let maps: Vec<ArrayD<f32>> = found.iter().map(|e| e.maps[m].clone().into_dyn()).collect();
                assert!(maps.iter().flatten().all(|v| v.is_finite()), "{name}: {method}");
                assert!(most(&maps[0]) > 0.0, "{name}: {method} is zero");
                for other in &maps[1..] {
                    let difference = apart(other, &maps[0], most(&maps[0]));
                    println!("  {method} at the {at}: engines differ by {difference:.1e} of {:.1e}", most(&maps[0]));
                    assert!(difference < 1e-3, "{name}: {method} differs between engines by {difference:.1e}");
                }
            }
        }
    }
}
