//! Files in half or double precision, read as float32.

use crate::net::*;
use half::{bf16, f16};
use onnx_graph::proto::*;
use onnx_graph::{DataType, ImportOptions, Imported, dump, import};

const F16: i32 = DataType::F16 as i32;
const BF16: i32 = DataType::BF16 as i32;
const F64: i32 = DataType::F64 as i32;

fn read(net: &Net) -> Imported {
    import(&net.open().unwrap(), &ImportOptions { single_precision: true, ..Default::default() }).unwrap()
}

/// The net with an input of this type.
fn fed(mut net: Net, number: i32) -> Net {
    for value in &mut net.graph().input {
        let Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), .. }) = &mut value.r#type else {
            panic!("a tensor");
        };
        tensor.elem_type = Some(number);
    }
    net
}

fn raw(name: &str, number: i32, dims: &[i64], bytes: Vec<u8>) -> TensorProto {
    TensorProto { raw_data: Some(bytes.into()), ..typed(name, dims, number) }
}

fn halves(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect()
}

/// x · w + c, with w [2] as it is given and a constant of its type.
fn product(number: i32, w: TensorProto, c: TensorProto) -> Net {
    let constant = vec![tensor_value("value", c)];
    let net = fed(Net::of(17, [3i64, 2]), number).weight(w).node("Constant", &[], &["c"], constant);
    net.node("Mul", &["x", "w"], &["p"], vec![]).node("Add", &["p", "c"], &["y"], vec![]).output("y")
}

#[test]
fn weights_keep_their_values() {
    let values = [0.1f32, -65504.0];
    let expected = "x: f32[3,2]\n%p = Mul(x, w) : f32[3,2]\n%y = Add(%p, c) : f32[3,2]\nreturn %y\n";
    let brain = |v: &[f32]| v.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect::<Vec<u8>>();
    let double = |v: &[f32]| v.iter().flat_map(|v| (f64::from(*v) + 1e-12).to_le_bytes()).collect::<Vec<u8>>();
    type Bytes<'a> = &'a dyn Fn(&[f32]) -> Vec<u8>;
    let cases: [(i32, Bytes, [f32; 2], &str); 3] = [
        (F16, &halves, values.map(|v| f16::from_f32(v).to_f32()), "float16"),
        (BF16, &brain, values.map(|v| bf16::from_f32(v).to_f32()), "bfloat16"),
        (F64, &double, values, "float64"),
    ];
    for (number, bytes, wanted, name) in cases {
        let (w, c) = (raw("w", number, &[2], bytes(&values)), raw("", number, &[1], bytes(&[0.5])));
        let imported = read(&product(number, w, c));
        assert_eq!(dump(&imported.graph), expected, "{name}");
        let found = imported.graph.find("w").and_then(|w| imported.graph.constant(w)).unwrap();
        assert_eq!((found.dtype(), found.to_f32().unwrap()), (DataType::F32, wanted.to_vec()));
        assert_eq!(imported.notes, [format!("the file is in {name}; it is computed in float32 here")]);
    }
}

/// As converters write it that leave the file's inputs and outputs alone.
#[test]
fn casts_between_floats_are_nothing() {
    let to = |number: i32| vec![int("to", i64::from(number))];
    let net = Net::of(17, [3i64, 2]).weight(raw("w", F16, &[2], halves(&[1.0, 2.0])));
    let net = net.node("Cast", &["x"], &["h"], to(F16)).node("Mul", &["h", "w"], &["p"], vec![]);
    let net = net.node("Cast", &["p"], &["y"], to(1)).output("y");
    assert_eq!(lines(&read(&net).graph), ["%p = Mul(x, w) : f32[3,2]"]);
    let as_it_is = net.lines();
    assert!(as_it_is[0].starts_with("%h = Cast(x) {to=10} : f16"), "unless it is asked for: {as_it_is:?}");
}

/// Sizes are often computed in doubles, which must not be rounded.
#[test]
fn a_float32_file_stays_as_it_is() {
    let net = Net::of(17, [3i64, 2]).node("Cast", &["x"], &["y"], vec![int("to", i64::from(F64))]).output("y");
    let imported = read(&net);
    assert_eq!(lines(&imported.graph), ["%y = Cast(x) {to=11} : f64[3,2]"]);
    assert!(imported.notes.is_empty());
}

/// Other types in the same file stay.
#[test]
fn only_the_types_of_the_weights_change() {
    let net = fed(Net::of(17, [3i64, 2]), F16).node("Cast", &["x"], &["d"], vec![int("to", i64::from(F64))]);
    let net = net.node("Cast", &["d"], &["y"], vec![int("to", i64::from(F16))]).output("y");
    let lines = lines(&read(&net).graph);
    assert_eq!(lines, ["%d = Cast(x) {to=11} : f64[3,2]", "%y = Cast(%d) {to=1} : f32[3,2]"]);
}

/// Inside what we carry, in subgraphs and functions, too: otherwise types would not fit there.
#[test]
fn inside_of_what_is_carried() {
    let body = GraphProto {
        node: vec![node("Cast", &["p"], &["b"], vec![int("to", i64::from(F16))])],
        initializer: vec![raw("k", F16, &[1], halves(&[1.5]))],
        output: vec![ValueInfoProto { name: Some("b".to_owned()), ..Default::default() }],
        ..Default::default()
    };
    let net = fed(Net::of(17, [3i64, 2]), F16).node("Relu", &["x"], &["p"], vec![]);
    let net = net.node("Odd", &["p"], &["y"], vec![subgraph("body", body), int("dtype", i64::from(F16))]).output("y");
    let graph = read(&net).graph;
    let carried = graph.nodes().iter().find_map(|n| n.carried.as_ref()).expect("it is not known");
    let body = carried.attributes[0].g.as_ref().unwrap();
    assert_eq!(body.initializer[0].data_type, Some(1));
    assert_eq!(body.initializer[0].raw_data.as_deref(), Some(&1.5f32.to_le_bytes()[..]));
    assert_eq!(body.node[0].attribute[0].i, Some(1));
    assert_eq!(carried.attributes[1].i, Some(1));
}

#[test]
fn a_damaged_weight_is_named() {
    let net = fed(Net::of(17, [3i64, 2]), F16).weight(raw("w", F16, &[2], vec![0; 3]));
    let net = net.node("Mul", &["x", "w"], &["y"], vec![]).output("y");
    let options = ImportOptions { single_precision: true, ..Default::default() };
    let error = import(&net.open().unwrap(), &options).map(|i| dump(&i.graph)).unwrap_err();
    assert!(error.to_string().contains("initializer \"w\": shape [2] of f16 needs 4 bytes"), "{error}");
}
