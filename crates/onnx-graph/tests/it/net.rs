//! Small models, written down in a line or two.

use onnx_graph::proto::*;
use onnx_graph::{Graph, ImportOptions, Imported, Model, ModelError, dump, import};
use prost::Message as _;
use std::path::Path;

/// A size of a declared shape.
#[derive(Clone, Copy)]
pub enum Size {
    Is(i64),
    Named(&'static str),
    Open,
}

impl From<i64> for Size {
    fn from(size: i64) -> Size {
        Size::Is(size)
    }
}

impl From<&'static str> for Size {
    fn from(name: &'static str) -> Size {
        Size::Named(name)
    }
}

/// A model under construction. Its opset is the one to test.
#[derive(Clone)]
pub struct Net {
    pub proto: ModelProto,
}

impl Net {
    pub fn new(opset: i64) -> Net {
        let import = OperatorSetIdProto { domain: Some(String::new()), version: Some(opset) };
        let graph = GraphProto { name: Some("net".to_owned()), ..Default::default() };
        Net {
            proto: ModelProto {
                ir_version: Some(8),
                opset_import: vec![import],
                graph: Some(graph),
                ..Default::default()
            },
        }
    }

    /// One input `x` of these sizes.
    pub fn of(opset: i64, sizes: impl IntoIterator<Item = impl Into<Size>>) -> Net {
        Net::new(opset).input("x", sizes)
    }

    pub fn graph(&mut self) -> &mut GraphProto {
        self.proto.graph.as_mut().unwrap()
    }

    pub fn input(mut self, name: &str, sizes: impl IntoIterator<Item = impl Into<Size>>) -> Net {
        self.graph().input.push(value(name, sizes));
        self
    }

    /// A declared shape of a tensor between.
    pub fn declare(mut self, name: &str, sizes: impl IntoIterator<Item = impl Into<Size>>) -> Net {
        self.graph().value_info.push(value(name, sizes));
        self
    }

    pub fn output(mut self, name: &str) -> Net {
        let value = ValueInfoProto { name: Some(name.to_owned()), ..Default::default() };
        self.graph().output.push(value);
        self
    }

    pub fn weight(mut self, tensor: TensorProto) -> Net {
        self.graph().initializer.push(tensor);
        self
    }

    /// An initializer of float zeros.
    pub fn zeros(self, name: &str, dims: &[i64]) -> Net {
        let count = dims.iter().product::<i64>() as usize;
        self.weight(floats(name, dims, &vec![0.0; count]))
    }

    /// An initializer of int64s with one axis.
    pub fn ints(self, name: &str, values: &[i64]) -> Net {
        self.weight(int64s(name, &[values.len() as i64], values))
    }

    /// A node; absent inputs and outputs are empty.
    pub fn node(mut self, op: &str, inputs: &[&str], outputs: &[&str], attributes: Vec<AttributeProto>) -> Net {
        self.graph().node.push(node(op, inputs, outputs, attributes));
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.proto.encode_to_vec()
    }

    pub fn open(&self) -> Result<Model, ModelError> {
        Model::from_proto(self.proto.clone(), Path::new("net.onnx"))
    }

    pub fn try_import(&self) -> Result<Imported, ModelError> {
        import(&self.open()?, &ImportOptions::default())
    }

    #[track_caller]
    pub fn import(&self) -> Imported {
        self.try_import().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The error that opening or importing gives, as the user reads it.
    #[track_caller]
    pub fn error(&self) -> ModelError {
        self.try_import().map(|i| dump(&i.graph)).expect_err("the model is bad")
    }

    /// The dump's nodes.
    #[track_caller]
    pub fn lines(&self) -> Vec<String> {
        lines(&self.import().graph)
    }
}

/// The dump of a graph without its inputs and outputs.
pub fn lines(graph: &Graph) -> Vec<String> {
    dump(graph).lines().filter(|l| l.contains(" = ")).map(str::to_owned).collect()
}

pub fn node(op: &str, inputs: &[&str], outputs: &[&str], attribute: Vec<AttributeProto>) -> NodeProto {
    let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    NodeProto {
        op_type: Some(op.to_owned()),
        input: owned(inputs),
        output: owned(outputs),
        attribute,
        ..Default::default()
    }
}

pub fn value(name: &str, sizes: impl IntoIterator<Item = impl Into<Size>>) -> ValueInfoProto {
    let dim = sizes.into_iter().map(|size| {
        let value = match size.into() {
            Size::Is(size) => Some(DimensionValue::DimValue(size)),
            Size::Named(name) => Some(DimensionValue::DimParam(name.to_owned())),
            Size::Open => None,
        };
        Dimension { value, denotation: None }
    });
    let shape = Some(TensorShapeProto { dim: dim.collect() });
    let tensor = type_proto::Tensor { elem_type: Some(1), shape };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), denotation: None }),
        ..Default::default()
    }
}

fn tensor(name: &str, dims: &[i64], data_type: i32) -> TensorProto {
    TensorProto { name: Some(name.to_owned()), dims: dims.to_vec(), data_type: Some(data_type), ..Default::default() }
}

pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    TensorProto { raw_data: Some(raw.into()), ..tensor(name, dims, 1) }
}

pub fn int64s(name: &str, dims: &[i64], values: &[i64]) -> TensorProto {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    TensorProto { raw_data: Some(raw.into()), ..tensor(name, dims, 7) }
}

/// A tensor of the type with this number whose elements stand in a typed field, to be filled in.
pub fn typed(name: &str, dims: &[i64], data_type: i32) -> TensorProto {
    tensor(name, dims, data_type)
}

// Attributes.

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(kind as i32), ..Default::default() }
}

pub fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { i: Some(i), ..attribute(name, AttributeType::Int) }
}

pub fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { f: Some(f), ..attribute(name, AttributeType::Float) }
}

pub fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto { ints: ints.to_vec(), ..attribute(name, AttributeType::Ints) }
}

pub fn reals(name: &str, floats: &[f32]) -> AttributeProto {
    AttributeProto { floats: floats.to_vec(), ..attribute(name, AttributeType::Floats) }
}

pub fn text(name: &str, s: &str) -> AttributeProto {
    AttributeProto { s: Some(s.as_bytes().to_vec().into()), ..attribute(name, AttributeType::String) }
}

pub fn tensor_value(name: &str, t: TensorProto) -> AttributeProto {
    AttributeProto { t: Some(t), ..attribute(name, AttributeType::Tensor) }
}

pub fn subgraph(name: &str, g: GraphProto) -> AttributeProto {
    AttributeProto { g: Some(g), ..attribute(name, AttributeType::Graph) }
}

/// The attribute takes the value of the function's attribute `of`.
pub fn reference(name: &str, kind: AttributeType, of: &str) -> AttributeProto {
    AttributeProto { ref_attr_name: Some(of.to_owned()), ..attribute(name, kind) }
}
