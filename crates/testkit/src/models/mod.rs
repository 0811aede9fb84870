//! Tiny ONNX models, written as one would read them.

mod attribute;
mod nets;

pub use attribute::Attr;
pub use nets::*;

use std::path::Path;

use bytes::Bytes;
use onnx_graph::proto::{
    AttributeProto, Dimension, DimensionValue, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use onnx_graph::{DataType, Model};

use crate::Draw;

/// Makes a model, node by node.
///
/// ```
/// let model = testkit::models::Maker::new(17)
///     .input("x", "f32[N,3,8,8]")
///     .weights("w", &[4, 3, 3, 3])
///     .node("Conv", &["x", "w"], &["c"]).with("pads", [1, 1, 1, 1]).named("/stem/conv/Conv")
///     .node("Relu", &["c"], &["y"])
///     .output("y", "f32[N,4,8,8]")
///     .model();
/// assert_eq!(model.graph().node.len(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct Maker {
    model: ModelProto,
    graph: GraphProto,
    draw: Draw,
}

impl Maker {
    /// An empty model in this version of the standard operator set.
    pub fn new(opset: i64) -> Maker {
        let model = ModelProto {
            ir_version: Some(ir_version(opset)),
            producer_name: Some("testkit".to_owned()),
            opset_import: vec![import("", opset)],
            ..ModelProto::default()
        };
        let graph = GraphProto { name: Some("tiny".to_owned()), ..GraphProto::default() };
        Maker { model, graph, draw: Draw::new(opset as u64) }
    }

    /// Seed of the weights that follow.
    pub fn seed(mut self, seed: u64) -> Maker {
        self.draw = Draw::new(seed);
        self
    }

    /// Another operator set.
    pub fn domain(mut self, domain: &str, version: i64) -> Maker {
        self.model.opset_import.push(import(domain, version));
        self
    }

    /// An input of this signature: `f32[N,3,16,16]`; a size is a number, a symbol, or `?` for nothing; without
    /// brackets no shape is declared.
    pub fn input(mut self, name: &str, signature: &str) -> Maker {
        self.graph.input.push(value_info(name, signature));
        self
    }

    /// An output, as an input.
    pub fn output(mut self, name: &str, signature: &str) -> Maker {
        self.graph.output.push(value_info(name, signature));
        self
    }

    /// A declared type and shape of a tensor between.
    pub fn declare(mut self, name: &str, signature: &str) -> Maker {
        self.graph.value_info.push(value_info(name, signature));
        self
    }

    /// An initializer.
    pub fn tensor(mut self, name: &str, tensor: TensorProto) -> Maker {
        self.graph.initializer.push(TensorProto { name: Some(name.to_owned()), ..tensor });
        self
    }

    /// A float32 initializer of these elements.
    pub fn floats(self, name: &str, dims: &[usize], values: &[f32]) -> Maker {
        let data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(name, raw(DataType::F32, dims, data))
    }

    /// An int64 initializer of these elements.
    pub fn integers(self, name: &str, dims: &[usize], values: &[i64]) -> Maker {
        let data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(name, raw(DataType::I64, dims, data))
    }

    /// A float32 initializer of seeded weights: uniform, with variance 2 / fan-in (He et al. 2015), where fan-in is
    /// the number of elements behind the first axis. Signals keep their size through Conv and Relu.
    pub fn weights(mut self, name: &str, dims: &[usize]) -> Maker {
        let fan_in: usize = dims.iter().skip(1).product::<usize>().max(1);
        let bound = (6.0 / fan_in as f64).sqrt();
        let values: Vec<f32> = self.draw.between(-bound, bound, dims).iter().map(|v| *v as f32).collect();
        self.floats(name, dims, &values)
    }

    /// A node.
    pub fn node(mut self, op: &str, inputs: &[&str], outputs: &[&str]) -> Maker {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        self.graph.node.push(NodeProto {
            op_type: Some(op.to_owned()),
            input: owned(inputs),
            output: owned(outputs),
            ..NodeProto::default()
        });
        self
    }

    /// An attribute of the last node.
    pub fn with(self, name: &str, value: impl Into<Attr>) -> Maker {
        let attribute = value.into().proto(name);
        self.attribute(attribute)
    }

    /// The same, as the schema has it.
    pub fn attribute(mut self, attribute: AttributeProto) -> Maker {
        self.last().attribute.push(attribute);
        self
    }

    /// The last node's name.
    pub fn named(mut self, name: &str) -> Maker {
        self.last().name = Some(name.to_owned());
        self
    }

    /// The last node's domain; [`Maker::domain`] imports it.
    pub fn of_domain(mut self, domain: &str) -> Maker {
        self.last().domain = Some(domain.to_owned());
        self
    }

    /// Metadata of the last node.
    pub fn metadata(mut self, key: &str, value: &str) -> Maker {
        let entry = StringStringEntryProto { key: Some(key.to_owned()), value: Some(value.to_owned()) };
        self.last().metadata_props.push(entry);
        self
    }

    fn last(&mut self) -> &mut NodeProto {
        self.graph.node.last_mut().expect("a node comes first")
    }

    /// A local function of the nodes, inputs, outputs and operator sets of `body`, which is made by a [`Maker`] too;
    /// `attributes` are the names that its nodes refer to.
    pub fn function(mut self, domain: &str, name: &str, attributes: &[&str], body: Maker) -> Maker {
        let names = |values: &[ValueInfoProto]| values.iter().filter_map(|v| v.name.clone()).collect();
        self.model.functions.push(FunctionProto {
            name: Some(name.to_owned()),
            domain: Some(domain.to_owned()),
            input: names(&body.graph.input),
            output: names(&body.graph.output),
            attribute: attributes.iter().map(|a| (*a).to_owned()).collect(),
            node: body.graph.node,
            opset_import: body.model.opset_import,
            ..FunctionProto::default()
        });
        self
    }

    /// Lists every initializer as an input too, before the others, as files of IR version 3 have to.
    pub fn weights_as_inputs(mut self) -> Maker {
        let listed = self.graph.initializer.iter().map(|t| {
            let sizes: Vec<String> = t.dims.iter().map(i64::to_string).collect();
            let dtype = t.data_type.and_then(DataType::from_number).expect("made with an element type");
            value_info(t.name.as_deref().unwrap_or(""), &format!("{dtype}[{}]", sizes.join(",")))
        });
        let weights: Vec<_> = listed.collect();
        self.graph.input.splice(0..0, weights);
        self.model.ir_version = Some(3);
        self
    }

    /// The message.
    pub fn build(self) -> ModelProto {
        ModelProto { graph: Some(self.graph), ..self.model }
    }

    /// The model, as if read from a file `tiny.onnx` in the current folder.
    ///
    /// # Panics
    ///
    /// Where [`Model::from_proto`] refuses it.
    pub fn model(self) -> Model {
        Model::from_proto(self.build(), Path::new("tiny.onnx")).unwrap_or_else(|e| panic!("{e}"))
    }

    /// The bytes of the file.
    pub fn bytes(self) -> Bytes {
        self.model().to_bytes()
    }
}

fn import(domain: &str, version: i64) -> OperatorSetIdProto {
    OperatorSetIdProto { domain: Some(domain.to_owned()), version: Some(version) }
}

/// The oldest IR version of an opset, but at least 4: from there on weights need not be inputs.
fn ir_version(opset: i64) -> i64 {
    match opset {
        ..=9 => 4,
        10 => 5,
        11 => 6,
        12..=14 => 7,
        15..=18 => 8,
        19..=20 => 9,
        21..=22 => 10,
        23 => 11,
        24 => 12,
        25 => 13,
        _ => 14,
    }
}

/// A tensor of little-endian elements.
pub fn raw(dtype: DataType, dims: &[usize], data: Vec<u8>) -> TensorProto {
    TensorProto {
        dims: dims.iter().map(|d| *d as i64).collect(),
        data_type: Some(dtype as i32),
        raw_data: Some(data.into()),
        ..TensorProto::default()
    }
}

/// A declaration `f32[N,3,16,16]`; see [`Maker::input`].
fn value_info(name: &str, signature: &str) -> ValueInfoProto {
    let (dtype, shape) = match signature.split_once('[') {
        Some((dtype, rest)) => (dtype, Some(rest.strip_suffix(']').expect("a signature ends with its shape"))),
        None => (signature, None),
    };
    let dtype = (0..32).filter_map(DataType::from_number).find(|t| t.to_string() == dtype);
    let dtype = dtype.unwrap_or_else(|| panic!("`{signature}` begins with an element type"));
    let dimension = |text: &str| Dimension {
        value: match text.trim() {
            "?" => None,
            size if size.parse::<i64>().is_ok() => size.parse().ok().map(DimensionValue::DimValue),
            symbol => Some(DimensionValue::DimParam(symbol.to_owned())),
        },
        denotation: None,
    };
    let shape =
        shape.map(|s| TensorShapeProto { dim: s.split(',').filter(|d| !d.is_empty()).map(dimension).collect() });
    let tensor = type_proto::Tensor { elem_type: Some(dtype as i32), shape };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), denotation: None }),
        ..ValueInfoProto::default()
    }
}

#[cfg(test)]
mod tests;
