//! Tiny ONNX models, built where they are used.

use bytes::Bytes;
use onnx_graph::proto::{
    AttributeProto, AttributeType, DataLocation, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use prost::Message;

/// Element types by the schema's numbers.
pub const FLOAT: i32 = 1;
pub const UINT8: i32 = 2;
pub const INT32: i32 = 6;
pub const INT64: i32 = 7;
pub const BOOL: i32 = 9;
pub const FLOAT16: i32 = 10;
pub const DOUBLE: i32 = 11;

/// A dimension of any size.
pub const ANY: i64 = -1;

/// A model under construction, opset 17, IR version 8.
#[derive(Clone, Default)]
pub struct Net(GraphProto);

impl Net {
    pub fn new() -> Self {
        Self(GraphProto { name: Some("net".into()), ..Default::default() })
    }

    pub fn input(mut self, name: &str, element: i32, dims: &[i64]) -> Self {
        self.0.input.push(value(name, element, Some(dims)));
        self
    }

    /// Rank and sizes are left for the engine to find out.
    pub fn output(mut self, name: &str, element: i32) -> Self {
        self.0.output.push(value(name, element, None));
        self
    }

    pub fn node(mut self, op: &str, inputs: &[&str], outputs: &[&str], attributes: &[(&str, &[i64])]) -> Self {
        let strings = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        self.0.node.push(NodeProto {
            name: Some(format!("the_{}_of_{}", op.to_lowercase(), outputs[0])), // ONNX Runtime wants unique names
            op_type: Some(op.into()),
            input: strings(inputs),
            output: strings(outputs),
            attribute: attributes.iter().map(|(name, values)| attribute(name, values)).collect(),
            ..Default::default()
        });
        self
    }

    pub fn weight(mut self, name: &str, dims: &[i64], data: &[f32]) -> Self {
        self.0.initializer.push(floats(name, dims, data));
        self
    }

    pub fn ints(mut self, name: &str, dims: &[i64], data: &[i64]) -> Self {
        let raw: Vec<u8> = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.0.initializer.push(tensor(name, INT64, dims, Some(raw.into())));
        self
    }

    /// A float weight whose bytes lie in `location`, from `offset` on.
    pub fn weight_in(mut self, name: &str, dims: &[i64], location: &str, offset: usize) -> Self {
        let length = 4 * dims.iter().product::<i64>();
        let entry = |key: &str, value: String| StringStringEntryProto { key: Some(key.into()), value: Some(value) };
        self.0.initializer.push(TensorProto {
            data_location: Some(DataLocation::External.into()),
            external_data: vec![
                entry("location", location.into()),
                entry("offset", offset.to_string()),
                entry("length", length.to_string()),
            ],
            ..tensor(name, FLOAT, dims, None)
        });
        self
    }

    pub fn bytes(self) -> Bytes {
        let model = ModelProto {
            ir_version: Some(8),
            opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(17) }],
            graph: Some(self.0),
            ..Default::default()
        };
        model.encode_to_vec().into()
    }
}

/// One integer alone is an `int`, several or none are `ints`.
fn attribute(name: &str, values: &[i64]) -> AttributeProto {
    let one = AttributeProto { name: Some(name.into()), ..Default::default() };
    match values {
        [i] => AttributeProto { i: Some(*i), r#type: Some(AttributeType::Int.into()), ..one },
        ints => AttributeProto { ints: ints.to_vec(), r#type: Some(AttributeType::Ints.into()), ..one },
    }
}

fn floats(name: &str, dims: &[i64], data: &[f32]) -> TensorProto {
    let raw: Vec<u8> = data.iter().flat_map(|x| x.to_le_bytes()).collect();
    tensor(name, FLOAT, dims, Some(raw.into()))
}

fn tensor(name: &str, element: i32, dims: &[i64], raw_data: Option<Bytes>) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        data_type: Some(element),
        dims: dims.to_vec(),
        raw_data,
        ..Default::default()
    }
}

fn value(name: &str, element: i32, dims: Option<&[i64]>) -> ValueInfoProto {
    let size = |d: &i64| match *d {
        ANY => DimensionValue::DimParam("N".into()),
        n => DimensionValue::DimValue(n),
    };
    let dim = |d: &i64| Dimension { value: Some(size(d)), ..Default::default() };
    let tensor = type_proto::Tensor {
        elem_type: Some(element),
        shape: dims.map(|dims| TensorShapeProto { dim: dims.iter().map(dim).collect() }),
    };
    let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: Some(name.into()), r#type: Some(r#type), ..Default::default() }
}
