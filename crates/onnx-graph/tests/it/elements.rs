//! Constants in every form that files keep them in.

use crate::net::*;
use onnx_graph::proto::{AttributeProto, TensorProto};
use onnx_graph::{Constant, DataType};

fn initializer(tensor: TensorProto) -> Constant {
    let graph = Net::of(13, [1]).weight(tensor).output("w").import().graph;
    graph.constant(graph.find("w").unwrap()).unwrap().clone()
}

fn constant(value: AttributeProto) -> Constant {
    let graph = Net::of(13, [1]).node("Constant", &[], &["w"], vec![value]).output("w").import().graph;
    graph.constant(graph.find("w").unwrap()).unwrap().clone()
}

fn numbers(constant: &Constant) -> Vec<f64> {
    constant.to_f64().unwrap()
}

/// Raw bytes and the typed field of each type; narrow types, halves among them, are kept in `int32_data`.
#[test]
fn raw_and_typed() {
    let half = 0x3e00; // 1.5
    let brain = 0xc040; // −3
    let t = |data_type| typed("w", &[1], data_type);
    let cases: Vec<(TensorProto, DataType, f64, Vec<u8>)> = vec![
        (TensorProto { float_data: vec![1.5], ..t(1) }, DataType::F32, 1.5, 1.5f32.to_le_bytes().into()),
        (TensorProto { int32_data: vec![200], ..t(2) }, DataType::U8, 200.0, vec![200]),
        (TensorProto { int32_data: vec![-2], ..t(3) }, DataType::I8, -2.0, vec![0xfe]),
        (TensorProto { int32_data: vec![60000], ..t(4) }, DataType::U16, 60000.0, 60000u16.to_le_bytes().into()),
        (TensorProto { int32_data: vec![-300], ..t(5) }, DataType::I16, -300.0, (-300i16).to_le_bytes().into()),
        (TensorProto { int32_data: vec![-7], ..t(6) }, DataType::I32, -7.0, (-7i32).to_le_bytes().into()),
        (
            TensorProto { int64_data: vec![1 << 40], ..t(7) },
            DataType::I64,
            (1i64 << 40) as f64,
            (1i64 << 40).to_le_bytes().into(),
        ),
        (TensorProto { int32_data: vec![1], ..t(9) }, DataType::Bool, 1.0, vec![1]),
        (TensorProto { int32_data: vec![half], ..t(10) }, DataType::F16, 1.5, vec![0x00, 0x3e]),
        (TensorProto { double_data: vec![0.1], ..t(11) }, DataType::F64, 0.1, 0.1f64.to_le_bytes().into()),
        (
            TensorProto { uint64_data: vec![1 << 31], ..t(12) },
            DataType::U32,
            (1u64 << 31) as f64,
            (1u32 << 31).to_le_bytes().into(),
        ),
        (
            TensorProto { uint64_data: vec![1 << 63], ..t(13) },
            DataType::U64,
            (1u64 << 63) as f64,
            (1u64 << 63).to_le_bytes().into(),
        ),
        (TensorProto { int32_data: vec![brain], ..t(16) }, DataType::BF16, -3.0, vec![0x40, 0xc0]),
    ];
    for (tensor, dtype, value, raw) in cases {
        let from_field = initializer(tensor.clone());
        assert_eq!((from_field.dtype(), numbers(&from_field)), (dtype, vec![value]));
        let number = tensor.data_type.unwrap();
        let from_raw = initializer(TensorProto { raw_data: Some(raw.into()), ..t(number) });
        assert_eq!(from_raw, from_field, "{dtype}");
        // Some writers leave empty raw data beside the typed field.
        assert_eq!(initializer(TensorProto { raw_data: Some(Default::default()), ..tensor }), from_field);
    }
}

#[test]
fn constant_nodes() {
    let w = constant(tensor_value("value", floats("", &[2, 1], &[1.0, 2.0])));
    assert_eq!((w.dims(), numbers(&w)), (&[2, 1][..], vec![1.0, 2.0]));
    let w = constant(int("value_int", -3));
    assert_eq!((w.dtype(), w.dims(), numbers(&w)), (DataType::I64, &[][..], vec![-3.0]));
    let w = constant(ints("value_ints", &[4, 5]));
    assert_eq!((w.dtype(), w.dims(), numbers(&w)), (DataType::I64, &[2][..], vec![4.0, 5.0]));
    let w = constant(float("value_float", 0.5));
    assert_eq!((w.dtype(), w.dims(), numbers(&w)), (DataType::F32, &[][..], vec![0.5]));
    let w = constant(reals("value_floats", &[0.5, -1.0]));
    assert_eq!((w.dims(), numbers(&w)), (&[2][..], vec![0.5, -1.0]));
    assert!(numbers(&constant(float("value_float", f32::NAN)))[0].is_nan());
    let strings = Net::of(13, [1]).node("Constant", &[], &["w"], vec![text("value_string", "cat")]).output("w");
    assert_eq!(strings.lines(), ["%w = Constant() {value_string=…} : ?[?]"]);
}

/// ConstantOfShape holds one element, however many there are.
#[test]
fn splats() {
    let net = |dims: &[i64], value: Vec<AttributeProto>| {
        let graph =
            Net::of(13, [1]).ints("s", dims).node("ConstantOfShape", &["s"], &["w"], value).output("w").import();
        let graph = graph.graph;
        graph.constant(graph.find("w").unwrap()).unwrap().clone()
    };
    let w = net(&[2, 3], vec![]);
    assert_eq!((w.dtype(), w.dims(), numbers(&w)), (DataType::F32, &[2, 3][..], vec![0.0; 6]));
    let ones = net(&[], vec![tensor_value("value", int64s("", &[1], &[1]))]);
    assert_eq!((ones.dims(), ones.to_i64()), (&[][..], Ok(Some(vec![1]))));
    let large = net(&[1 << 15, 1 << 15], vec![tensor_value("value", floats("", &[1], &[0.25]))]);
    assert_eq!(large.len(), 1 << 30);
    assert_eq!(numbers(&large.as_splat().unwrap()), [0.25]);
    assert!(large.to_f64().is_err(), "8 GiB are not written out");
    let two = Net::of(13, [1]).ints("s", &[2]).node(
        "ConstantOfShape",
        &["s"],
        &["w"],
        vec![tensor_value("value", floats("", &[2], &[1.0, 2.0]))],
    );
    assert_eq!(two.output("w").lines(), ["%w = ConstantOfShape(s) {value=…} : ?[?]"]);
}

/// With the batch in its shape it is an Expand.
#[test]
fn a_splat_of_the_batch() {
    let net = Net::new(13)
        .input("x", ["N".into(), Size::Is(3)])
        .node("Shape", &["x"], &["s"], vec![])
        .node("ConstantOfShape", &["s"], &["y"], vec![tensor_value("value", floats("", &[1], &[2.0]))])
        .output("y");
    assert_eq!(net.lines(), ["%y = Expand(2) {shape=[N,3]} : f32[N,3]"]);
}

/// Weights of types that we do not compute with are carried with their node, in the file's own bytes.
#[test]
fn types_that_are_not_computed_with() {
    let labels = TensorProto { string_data: vec![b"cat".to_vec().into()], ..typed("labels", &[1], 8) };
    let eight = TensorProto { raw_data: Some(vec![0x38].into()), ..typed("w8", &[1], 17) };
    let net = Net::of(19, [1])
        .weight(labels.clone())
        .weight(eight)
        .node("ArrayFeatureExtractor", &["labels", "x"], &["z"], vec![])
        .node("DequantizeLinear", &["w8", "x"], &["y"], vec![])
        .output("y")
        .output("z");
    let graph = net.import().graph;
    assert_eq!(
        lines(&graph),
        [
            "%labels = Constant() {value=…} : ?[1]",
            "%w8 = Constant() {value=…} : ?[1]",
            "%z = ArrayFeatureExtractor(%labels, x) : ?[?]",
            "%y = DequantizeLinear(%w8, x) : ?[?]"
        ]
    );
    let reason = &graph.nodes()[0].carried.as_ref().unwrap().reason;
    assert!(reason.contains("element type 8"), "{reason}");
    let spelled = onnx_graph::spell(&graph, &onnx_graph::Spelling::for_graph(&graph, 1)).unwrap().graph.unwrap();
    assert_eq!(spelled.node[0].attribute[0].t, Some(labels));
}
