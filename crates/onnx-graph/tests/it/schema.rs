//! Every field of every message comes back.

use onnx_graph::proto::*;
use prost::Message;

fn text(t: &str) -> Option<String> {
    Some(t.to_owned())
}

fn entries(key: &str) -> Vec<StringStringEntryProto> {
    vec![StringStringEntryProto { key: text(key), value: text("value") }]
}

fn tensor(name: &str) -> TensorProto {
    TensorProto {
        dims: vec![1, -2],
        data_type: Some(1),
        segment: Some(Segment { begin: Some(3), end: Some(4) }),
        float_data: vec![1.5],
        int32_data: vec![-2],
        string_data: vec![vec![0xff].into()],
        int64_data: vec![i64::MIN],
        name: text(name),
        doc_string: text("doc"),
        raw_data: Some(vec![1, 2, 3].into()),
        external_data: entries("location"),
        data_location: Some(DataLocation::External as i32),
        double_data: vec![2.5],
        uint64_data: vec![u64::MAX],
        metadata_props: entries("tensor"),
    }
}

fn sparse() -> SparseTensorProto {
    SparseTensorProto { values: Some(tensor("values")), indices: Some(tensor("indices")), dims: vec![5] }
}

/// One type of every kind, nested in each other.
fn types() -> Vec<TypeProto> {
    use type_proto::Value::*;
    let of = |value| TypeProto { value: Some(value), denotation: text("IMAGE") };
    let dim = vec![
        Dimension { value: Some(DimensionValue::DimValue(0)), denotation: text("DATA_BATCH") },
        Dimension { value: Some(DimensionValue::DimParam("N".to_owned())), denotation: None },
    ];
    let dense = || type_proto::Tensor { elem_type: Some(1), shape: Some(TensorShapeProto { dim: dim.clone() }) };
    let boxed = |value| Some(Box::new(of(value)));
    vec![
        of(TensorType(dense())),
        of(SequenceType(Box::new(type_proto::Sequence { elem_type: boxed(TensorType(dense())) }))),
        of(MapType(Box::new(type_proto::Map { key_type: Some(7), value_type: boxed(TensorType(dense())) }))),
        of(OpaqueType(type_proto::Opaque { domain: text("d"), name: text("n") })),
        of(SparseTensorType(dense())),
        of(OptionalType(Box::new(type_proto::Sequence { elem_type: boxed(SparseTensorType(dense())) }))),
    ]
}

fn values(name: &str) -> Vec<ValueInfoProto> {
    let value = |r#type| ValueInfoProto {
        name: text(name),
        r#type: Some(r#type),
        doc_string: text("doc"),
        metadata_props: entries("value"),
    };
    types().into_iter().map(value).collect()
}

fn attribute(g: Option<GraphProto>) -> AttributeProto {
    AttributeProto {
        name: text("attribute"),
        ref_attr_name: text("ref"),
        doc_string: text("doc"),
        r#type: Some(AttributeType::TypeProtos as i32),
        f: Some(0.0),
        i: Some(0),
        s: Some(vec![0xfe].into()),
        t: Some(tensor("t")),
        g: g.clone(),
        sparse_tensor: Some(sparse()),
        tp: types().pop(),
        floats: vec![0.0, 1.0],
        ints: vec![0, -1],
        strings: vec![vec![].into(), vec![7].into()],
        tensors: vec![tensor("tensors")],
        graphs: g.into_iter().collect(),
        sparse_tensors: vec![sparse()],
        type_protos: types(),
    }
}

fn node(g: Option<GraphProto>) -> NodeProto {
    let spec = ShardingSpecProto {
        tensor_name: text("x"),
        device: vec![0, 1],
        index_to_device_group_map: vec![IntIntListEntryProto { key: Some(2), value: vec![3, 4] }],
        sharded_dim: vec![ShardedDimProto {
            axis: Some(-1),
            simple_sharding: vec![
                SimpleShardedDimProto { dim: Some(DimensionValue::DimValue(8)), num_shards: Some(2) },
                SimpleShardedDimProto { dim: Some(DimensionValue::DimParam("H".to_owned())), num_shards: Some(4) },
            ],
        }],
    };
    NodeProto {
        input: vec!["x".to_owned(), String::new()],
        output: vec!["y".to_owned()],
        name: text("node"),
        op_type: text("Op"),
        domain: text("domain"),
        overload: text("overload"),
        attribute: vec![attribute(g)],
        doc_string: text("doc"),
        metadata_props: entries("node"),
        device_configurations: vec![NodeDeviceConfigurationProto {
            configuration_id: text("device"),
            sharding_spec: vec![spec],
            pipeline_stage: Some(1),
        }],
    }
}

fn graph(g: Option<GraphProto>) -> GraphProto {
    GraphProto {
        node: vec![node(g)],
        name: text("graph"),
        initializer: vec![tensor("w")],
        sparse_initializer: vec![sparse()],
        doc_string: text("doc"),
        input: values("x"),
        output: values("y"),
        value_info: values("h"),
        quantization_annotation: vec![TensorAnnotation {
            tensor_name: text("q"),
            quant_parameter_tensor_names: entries("SCALE_TENSOR"),
        }],
        metadata_props: entries("graph"),
    }
}

fn model() -> ModelProto {
    let opsets = vec![OperatorSetIdProto { domain: text(""), version: Some(28) }];
    ModelProto {
        ir_version: Some(14),
        opset_import: opsets.clone(),
        producer_name: text("producer"),
        producer_version: text("1"),
        domain: text("domain"),
        model_version: Some(-1),
        doc_string: text(""),
        graph: Some(graph(Some(graph(None)))),
        metadata_props: entries("model"),
        training_info: vec![TrainingInfoProto {
            initialization: Some(graph(None)),
            algorithm: Some(graph(None)),
            initialization_binding: entries("initialization"),
            update_binding: entries("update"),
        }],
        functions: vec![FunctionProto {
            name: text("function"),
            input: vec!["a".to_owned()],
            output: vec!["b".to_owned()],
            attribute: vec!["alpha".to_owned()],
            attribute_proto: vec![attribute(None)],
            node: vec![node(None)],
            doc_string: text("doc"),
            opset_import: opsets,
            domain: text("local"),
            overload: text("overload"),
            value_info: values("h"),
            metadata_props: entries("function"),
        }],
        configuration: vec![DeviceConfigurationProto {
            name: text("device"),
            num_devices: Some(2),
            device: vec!["cpu".to_owned()],
        }],
    }
}

#[test]
fn every_field_comes_back() {
    let model = model();
    let bytes = model.encode_to_vec();
    let back = ModelProto::decode(bytes.as_slice()).unwrap();
    assert_eq!(back, model);
    assert_eq!(back.encode_to_vec(), bytes);
}

/// What the bytes are, not only that they come back: numbers as `onnx.proto` has them, lists packed where it says so.
#[test]
fn the_bytes_are_the_schemas() {
    let tensor = TensorProto { dims: vec![2, 3], float_data: vec![1.0], ..Default::default() };
    assert_eq!(tensor.encode_to_vec(), [0x08, 2, 0x08, 3, 0x22, 4, 0, 0, 0x80, 0x3f]);
    let attribute = AttributeProto { name: text("a"), ints: vec![5, 6], r#type: Some(7), ..Default::default() };
    assert_eq!(attribute.encode_to_vec(), [0x0a, 1, b'a', 0x40, 5, 0x40, 6, 0xa0, 1, 7]);
    // Other writers pack what the schema does not, and the reverse: both are read.
    let packed = [0x0a, 2, 2, 3];
    assert_eq!(TensorProto::decode(&packed[..]).unwrap().dims, [2, 3]);
    let unpacked = [0x25, 0, 0, 0x80, 0x3f];
    assert_eq!(TensorProto::decode(&unpacked[..]).unwrap().float_data, [1.0]);
}
