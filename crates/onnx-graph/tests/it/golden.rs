//! Small networks as both exporters of PyTorch write them: the canonical view, for a person to read.

use std::path::Path;

use onnx_graph::{ImportOptions, Imported, Model, Node, dump, import};

fn network(file: &str) -> Imported {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnxcam/tests/golden/networks");
    import(&Model::open(folder.join(file)).unwrap(), &ImportOptions::default()).unwrap()
}

#[test]
fn older_exporter_with_shape_arithmetic() {
    insta::assert_snapshot!(dump(&network("shufflenet_v2.old-opset11.onnx").graph));
}

#[test]
fn older_exporter_with_normalisation_written_out() {
    insta::assert_snapshot!(dump(&network("caffenet.old.onnx").graph));
}

#[test]
fn newer_exporter() {
    insta::assert_snapshot!(dump(&network("alexnet.new.onnx").graph));
}

/// Both exporters' files have the same canonical operators in the same order, making the same shapes; but the newer
/// writes global average pooling as ReduceMean.
#[test]
fn exporters_agree() {
    for name in [
        "alexnet",
        "densenet",
        "efficientnet",
        "googlenet",
        "mnasnet",
        "mobilenet_v2",
        "regnet",
        "resnet18",
        "resnet50",
        "squeezenet",
        "vgg",
    ] {
        let operators = |file: String| -> Vec<String> {
            let graph = network(&file).graph;
            let made = |node: &Node| graph.tensor(node.outputs[0].unwrap()).signature();
            let op = |node: &Node| if &*node.op == "ReduceMean" { "GlobalAveragePool" } else { &node.op }.to_owned();
            graph.nodes().iter().map(|n| format!("{} {}", op(n), made(n))).collect()
        };
        assert_eq!(operators(format!("{name}.old.onnx")), operators(format!("{name}.new.onnx")), "{name}");
    }
}

#[test]
fn nothing_is_carried_and_nothing_contradicts_itself() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnxcam/tests/golden/networks");
    let mut networks = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "onnx") {
            continue;
        }
        let imported = network(&path.file_name().unwrap().to_string_lossy());
        let carried = imported.graph.nodes().iter().find(|n| n.carried.is_some());
        assert!(carried.is_none(), "{}: {carried:?}", path.display());
        assert_eq!(imported.notes, [""; 0], "{}", path.display());
        networks += 1;
    }
    assert!(networks > 20);
}
