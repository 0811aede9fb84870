//! The input, and what the file declares about its tensors.

use crate::net::*;
use onnx_graph::{ImportOptions, Imported, import};

fn with(net: &Net, options: ImportOptions) -> Imported {
    import(&net.open().unwrap(), &options).unwrap()
}

/// Signature of the input `x` declared with these sizes, and what was assumed.
fn assumed<S: Into<Size>>(sizes: impl IntoIterator<Item = S>) -> (String, Vec<String>) {
    let imported = Net::of(13, sizes).node("Relu", &["x"], &["y"], vec![]).output("y").import();
    let input = imported.graph.inputs[0];
    (imported.graph.tensor(input).signature(), imported.notes)
}

#[test]
fn open_sizes_are_fixed_and_said() {
    use Size::{Is, Named, Open};
    let (shape, notes) = assumed([Named("N"), Is(3), Named("H"), Named("W")]);
    assert_eq!(shape, "f32[N,3,224,224]");
    assert!(notes[0].contains("assumed height 224, width 224"), "{notes:?}");
    let (shape, notes) = assumed([Open, Is(-1), Is(0), Open]);
    assert_eq!(shape, "f32[N,3,224,224]");
    assert!(notes[0].contains("axis 1 as 3 channels, height 224, width 224"), "{notes:?}");
    assert_eq!(assumed([Named("N"), Open, Open, Is(3)]).0, "f32[N,224,224,3]", "channels last");
    assert_eq!(assumed([Is(1), Is(3), Is(32), Is(32)]), ("f32[1,3,32,32]".to_owned(), vec![]));

    let open =
        Net::of(13, [Named("N"), Is(3), Named("H"), Named("W")]).node("Relu", &["x"], &["y"], vec![]).output("y");
    let imported = with(&open, ImportOptions { input_size: Some((64, 48)), batch: Some(2), ..Default::default() });
    assert_eq!(imported.graph.tensor(imported.graph.inputs[0]).signature(), "f32[2,3,64,48]");
    assert_eq!(imported.notes, [""; 0]);
    let fixed = Net::of(13, [1, 3, 32, 32]).node("Relu", &["x"], &["y"], vec![]).output("y");
    let imported = with(&fixed, ImportOptions { input_size: Some((64, 48)), batch: Some(2), ..Default::default() });
    assert_eq!(imported.graph.tensor(imported.graph.inputs[0]).signature(), "f32[1,3,32,32]");
    assert!(imported.notes[0].contains("64x48 asked for is not used"), "{:?}", imported.notes);
}

/// Where the declaration leaves all open, the first node that moves the axes tells that the channels stand behind.
#[test]
fn open_sizes_of_channels_behind() {
    use Size::{Is, Named, Open};
    let signature = |sizes: [Size; 4], perm: &[i64]| {
        let net = Net::of(13, sizes)
            .weight(floats("factor", &[], &[0.5]))
            .node("Mul", &["x", "factor"], &["scaled"], vec![])
            .node("Transpose", &["scaled"], &["moved"], vec![ints("perm", perm)])
            .node("Relu", &["moved"], &["y"], vec![])
            .output("y");
        let imported = net.import();
        (imported.graph.tensor(imported.graph.inputs[0]).signature(), imported.notes)
    };
    let forward = [0, 3, 1, 2];
    for sizes in [[Open; 4], ["N", "h", "w", "c"].map(Named), [Open, Is(-1), Is(0), Open]] {
        let (shape, notes) = signature(sizes, &forward);
        assert_eq!(shape, "f32[N,224,224,3]");
        assert!(notes[0].contains("assumed height 224, width 224, axis 3 as 3 channels"), "{notes:?}");
        assert_eq!(signature(sizes, &[0, 2, 3, 1]).0, "f32[N,3,224,224]", "they stand in front");
    }
    // What is declared comes first.
    assert_eq!(signature([Open, Is(3), Open, Open], &forward).0, "f32[N,3,224,224]");
    assert_eq!(signature([Open, Open, Open, Is(7)], &forward).0, "f32[N,3,224,7]");
}

#[test]
fn an_input_without_a_shape() {
    let mut net = Net::new(13).node("Relu", &["x"], &["y"], vec![]).output("y");
    let mut x = value("x", [1]);
    let Some(onnx_graph::proto::type_proto::Value::TensorType(t)) = x.r#type.as_mut().unwrap().value.as_mut() else {
        unreachable!("a tensor")
    };
    t.shape = None;
    net.graph().input.push(x.clone());
    let imported = net.import();
    assert_eq!(imported.graph.tensor(imported.graph.inputs[0]).signature(), "f32[N,3,224,224]");
    assert!(imported.notes[0].contains("declares no shape"));
    // Nor a type: refused, by name.
    x.r#type = None;
    net.graph().input = vec![x];
    assert_eq!(
        net.error().to_string(),
        "input \"x\" is no tensor of a known element type\nhint: images come as tensors of 4 axes"
    );
}

/// Keras calls the batch `unk__6` at the input and `unk__7` at the output; both are the batch.
#[test]
fn two_names_for_one_batch() {
    let net = |output: Size| {
        let mut net = Net::new(13)
            .input("x", ["unk__6".into(), Size::Is(8), Size::Is(1), Size::Is(1)])
            .zeros("w", &[8, 5])
            .ints("s", &[-1, 8])
            .node("Reshape", &["x", "s"], &["flat"], vec![])
            .node("Gemm", &["flat", "w"], &["y"], vec![]);
        net.graph().output.push(value("y", [output, Size::Is(5)]));
        net
    };
    for output in [Size::Named("unk__7"), Size::Named("unk__6"), Size::Open, Size::Is(0), Size::Is(1)] {
        let imported = net(output).import();
        assert_eq!(imported.graph.tensor(imported.graph.outputs[0]).signature(), "f32[N,5]");
        assert_eq!(imported.notes, [""; 0]);
    }
}

/// A declared shape is a hint: where the nodes say otherwise, that is said and theirs is used.
#[test]
fn a_wrong_declaration_is_noted() {
    let net = Net::of(13, [2, 3])
        .node("Relu", &["x"], &["h"], vec![])
        .node("Neg", &["h"], &["y"], vec![])
        .declare("h", [2, 4])
        .output("y");
    let imported = net.import();
    assert_eq!(lines(&imported.graph), ["%h = Relu(x) : f32[2,3]", "%y = Neg(%h) : f32[2,3]"]);
    assert_eq!(imported.notes, ["the file declares \"h\" as [2,4], its nodes make [2,3]; the latter is used"]);
    // Many contradictions are counted, not listed.
    let mut net = Net::of(13, [2, 3]);
    for i in 0..19 {
        let name = format!("h{i}");
        net = net.node("Relu", &["x"], &[&name], vec![]).declare(&name, [7]);
    }
    let notes = net.output("h0").import().notes;
    assert_eq!((notes.len(), notes[5].as_str()), (6, "14 more declared shapes contradict the nodes"));
}

/// Old files list every weight as an input; the image is the one without a value, wherever it stands.
#[test]
fn weights_listed_as_inputs() {
    let net = Net::new(7)
        .input("w", [4, 3])
        .input("image", ["N".into(), Size::Is(3)])
        .input("b", [4])
        .zeros("b", &[4])
        .zeros("w", &[4, 3])
        .node("Gemm", &["image", "w", "b"], &["y"], vec![int("transB", 1)])
        .output("y");
    let graph = net.import().graph;
    assert_eq!(graph.inputs.len(), 1);
    assert_eq!(&*graph.tensor(graph.inputs[0]).name, "image");
    assert_eq!(lines(&graph), ["%y = Gemm(image, w, b) {transA=0, transB=1, alpha=1, beta=1} : f32[N,4]"]);
    let none = Net::new(7).input("w", [1]).zeros("w", &[1]).node("Relu", &["w"], &["y"], vec![]).output("y");
    assert_eq!(none.error().to_string(), "the model has no input to feed\nhint: every input has a default value");
}

/// The old exporter traces one image and writes its batch of 1 into Reshape, though the input is declared open.
#[test]
fn a_network_that_only_takes_one_image() {
    let net = Net::new(13)
        .input("x", ["N".into(), Size::Is(8), Size::Is(1), Size::Is(1)])
        .zeros("w", &[8, 5])
        .ints("s", &[1, -1])
        .node("Reshape", &["x", "s"], &["flat"], vec![])
        .node("Gemm", &["flat", "w"], &["y"], vec![])
        .output("y");
    let imported = net.import();
    assert_eq!(
        lines(&imported.graph),
        [
            "%flat = Reshape(x) {shape=[1,8]} : f32[1,8]",
            "%y = Gemm(%flat, w) {transA=0, transB=0, alpha=1, beta=1} : f32[1,5]"
        ]
    );
    assert!(imported.notes.iter().any(|n| n.contains("a batch of 1")), "{:?}", imported.notes);
}

#[test]
fn sizes_beyond_reason() {
    for sizes in [vec![1, 3, i64::MAX, 4], vec![1, 1 << 20, 1 << 20, 1], vec![1 << 40, 0, 1, 1]] {
        let error = Net::of(13, sizes).node("Relu", &["x"], &["y"], vec![]).output("y").error().to_string();
        assert!(error.starts_with("input \"x\" is as large as ["), "{error}");
    }
    let error = Net::of(13, [1; 1000]).node("Relu", &["x"], &["y"], vec![]).output("y").error().to_string();
    assert!(error.contains("far too many axes"), "{error}");
}
