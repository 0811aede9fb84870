//! Files of exporters other than PyTorch's that are more, or less, than a network with scores at its end; the networks
//! themselves are in `golden_networks.rs`.

#[path = "support/both.rs"]
mod both;
#[path = "support/networks.rs"]
mod networks;

use std::collections::BTreeMap;
use std::path::PathBuf;

use both::{engines, explain, plan};
use networks::{Network, apart};
use onnx_graph::Model;
use onnxcam::explain::PlanOptions;
use onnxcam::method::GradCamPlusPlus;
use onnxcam::target::Activation;

const METHODS: [&str; 3] = ["grad-cam", "grad-cam++", "cam"];

fn file(name: &str) -> PathBuf {
    networks::golden().with_file_name("exporters").join(name)
}

fn open(name: &str) -> Model {
    Model::open(file(name)).unwrap()
}

#[track_caller]
fn refused(name: &str, parts: &[&str]) {
    let error = plan(&open(name), &["grad-cam++"], &PlanOptions::default()).map(|_| ()).unwrap_err().to_string();
    parts.iter().for_each(|part| assert!(error.contains(part), "{part:?} is not in {error:?}"));
}

/// skl2onnx's ends: the class's name and a list of maps from names to probabilities. The scores are what ZipMap is given.
#[test]
fn names_paired_with_scores() {
    let network = Network::golden().into_iter().find(|n| n.name == "resnet18").unwrap();
    let plain = plan(&network.exports[0].open(), &METHODS, &PlanOptions::default()).unwrap();
    let paired = plan(&open("sklearn/beside_its_scores.onnx"), &METHODS, &PlanOptions::default()).unwrap();
    assert_eq!((paired.head.output.as_str(), paired.head.activation), ("output_probability", Activation::Softmax));
    let names: Vec<String> = (0..10).map(|i| format!("kind of thing {i}")).collect();
    assert_eq!(paired.head.names, names);
    for engine in engines() {
        let expected = explain(&plain, &engine, &network.input, -1);
        assert_eq!(explain(&paired, &engine, &network.input, -1), expected, "{}", engine.name());
    }
    let named = PlanOptions::default();
    let named = PlanOptions {
        head: onnxcam::target::HeadOptions { output: Some("output_probability".to_owned()), ..named.head },
        ..named
    };
    assert_eq!(plan(&open("sklearn/beside_its_scores.onnx"), &METHODS, &named).unwrap().head.raw, paired.head.raw);
}

/// CoreML's as well: its names are the classes', and nobody has to give them.
#[test]
fn names_of_coreml() {
    for variant in ["opset7", "opset9"] {
        let model = onnxcam::Model::open(file(&format!("coreml.{variant}.onnx"))).unwrap();
        let settled = model.explain_with(&[&GradCamPlusPlus]).settle().unwrap();
        let subject = settled.subject();
        assert_eq!(subject.label(3), "kind of thing 3");
        let said = "the names of the classes are from the file's ZipMap; --labels names others";
        assert!(subject.notes().iter().any(|note| note == said), "{:?}", subject.notes());
        let note = subject.preprocessing_note().unwrap();
        assert!(
            note.starts_with("the model normalises inside: (x − [127.5, 114.75, 140.25]) / 127.5; pictures"),
            "{note}"
        );
    }
}

/// Keras' own export makes inputs of its Normalization layer's mean and variance: named, and given their values the network
/// is the one that tf2onnx writes.
#[test]
fn inputs_too_many() {
    let name = "keras/normalization.onnx";
    let error = plan(&open(name), &METHODS, &PlanOptions::default()).map(|_| ()).unwrap_err().to_string();
    let values: BTreeMap<String, Vec<f64>> =
        serde_json::from_slice(&std::fs::read(file("keras/normalization.json")).unwrap()).unwrap();
    assert_eq!(values.len(), 2);
    for name in values.keys() {
        for said in [format!("  {name}  f32[1,1,1,3]\n"), format!("--input '{name}=VALUE'")] {
            assert!(error.contains(&said), "{said:?} is not in {error:?}");
        }
    }
    let mut given = PlanOptions::default();
    given.import.values = values.into_iter().collect();
    let network = Network::by_others().into_iter().find(|n| n.name == "keras_efficientnet").unwrap();
    let plain = plan(&network.exports[0].open(), &METHODS, &PlanOptions::default()).unwrap();
    let given = plan(&open(name), &METHODS, &given).unwrap();
    for engine in engines() {
        let [found, expected] = [&given, &plain].map(|plan| explain(plan, &engine, &network.input, network.classes[0]));
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            for (m, (method, key)) in network.methods().into_iter().enumerate() {
                let maps = [found, expected].map(|e| e.maps[m].clone().into_dyn());
                let error = apart(&maps[0], &maps[1], network.scale(key, 0, i));
                assert!(error < 1e-5, "{method} on {}: {error:.1e}", engine.name());
            }
        }
    }
}

/// A network whose scores scikit-learn's own operator makes, and classifiers of vectors: the operator is named.
#[test]
fn scores_that_foreign_operators_make() {
    let said = |output: &str, node: &str| {
        format!(
            "the shape of output \"{output}\" is not known, as {node} is not understood: its domain is `ai.onnx.ml`"
        )
    };
    let linear =
        said("head/output_probability", "`LinearClassifier` (node \"head/LinearClassifier\", input 0: f32[N,20])");
    refused("sklearn/behind_a_network.onnx", &[&linear, "hint: the way to the scores has to be of standard operators"]);
    let scaler = said("output_probability", "`Scaler` (node \"Scaler\", input 0: f32[N,64])");
    refused("sklearn/digits_mlp.onnx", &[&scaler]);
    let linear = said("output_probability", "`LinearClassifier` (node \"LinearClassifier\", input 0: f32[N,8])");
    refused("sklearn/digits_pca.onnx", &[&linear]);
}
