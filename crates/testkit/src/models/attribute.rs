//! Attribute values.

use onnx_graph::proto::{AttributeProto, AttributeType, GraphProto, TensorProto};

/// A value of an attribute, made from what Rust would write: `2`, `[1, 1]`, `0.5`, `"SAME_UPPER"`, a tensor, a graph.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Attr {
    Int(i64),
    Ints(Vec<i64>),
    Float(f32),
    Floats(Vec<f32>),
    Text(String),
    Tensor(TensorProto),
    Graph(GraphProto),
    /// The attribute of this name and type of the function that a node stands in.
    Reference(String, AttributeType),
}

impl Attr {
    pub(super) fn proto(self, name: &str) -> AttributeProto {
        let mut proto = AttributeProto { name: Some(name.to_owned()), ..AttributeProto::default() };
        let kind = match self {
            Attr::Int(value) => {
                proto.i = Some(value);
                AttributeType::Int
            }
            Attr::Ints(values) => {
                proto.ints = values;
                AttributeType::Ints
            }
            Attr::Float(value) => {
                proto.f = Some(value);
                AttributeType::Float
            }
            Attr::Floats(values) => {
                proto.floats = values;
                AttributeType::Floats
            }
            Attr::Text(text) => {
                proto.s = Some(text.into());
                AttributeType::String
            }
            Attr::Tensor(tensor) => {
                proto.t = Some(tensor);
                AttributeType::Tensor
            }
            Attr::Graph(graph) => {
                proto.g = Some(graph);
                AttributeType::Graph
            }
            Attr::Reference(of, kind) => {
                proto.ref_attr_name = Some(of);
                kind
            }
        };
        proto.r#type = Some(kind as i32);
        proto
    }
}

impl From<i32> for Attr {
    fn from(value: i32) -> Attr {
        Attr::Int(value.into())
    }
}

impl From<i64> for Attr {
    fn from(value: i64) -> Attr {
        Attr::Int(value)
    }
}

impl<const N: usize> From<[i32; N]> for Attr {
    fn from(values: [i32; N]) -> Attr {
        Attr::Ints(values.into_iter().map(i64::from).collect())
    }
}

impl From<Vec<i64>> for Attr {
    fn from(values: Vec<i64>) -> Attr {
        Attr::Ints(values)
    }
}

impl From<f32> for Attr {
    fn from(value: f32) -> Attr {
        Attr::Float(value)
    }
}

impl From<Vec<f32>> for Attr {
    fn from(values: Vec<f32>) -> Attr {
        Attr::Floats(values)
    }
}

impl From<&str> for Attr {
    fn from(text: &str) -> Attr {
        Attr::Text(text.to_owned())
    }
}

impl From<TensorProto> for Attr {
    fn from(tensor: TensorProto) -> Attr {
        Attr::Tensor(tensor)
    }
}

impl From<GraphProto> for Attr {
    fn from(graph: GraphProto) -> Attr {
        Attr::Graph(graph)
    }
}
