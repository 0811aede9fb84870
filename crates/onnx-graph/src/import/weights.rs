//! The file's initializers.

use super::Scope;
use crate::dim::Dim;
use crate::emit::Emit;
use crate::graph::{Carried, Graph, Tensor};
use crate::model::{ModelError, constant_of};
use crate::ops::Signature;
use crate::proto::{AttributeProto, AttributeType, GraphProto, SparseTensorProto, TensorProto};
use crate::text::printable;

/// Adds the initializers to the graph: constants, and carried `Constant` nodes of those that we do not compute with
/// (strings, eight-bit floats, sparse tensors). Only those of the file's own graph are `named` in ours.
pub(super) fn declare(file: &GraphProto, graph: &mut Graph, scope: &mut Scope, named: bool) -> Result<(), ModelError> {
    let mut add = |graph: &mut Graph, name: &str, t: Tensor| {
        if named {
            graph.name(t, name);
        }
        match scope.insert(name.to_owned(), t) {
            Some(_) => Err(ModelError::InitializerTwice { tensor: printable(name) }),
            None => Ok(()),
        }
    };
    for tensor in &file.initializer {
        let name = tensor.name.as_deref().unwrap_or_default();
        let t = match constant_of(tensor) {
            Ok(constant) => graph.add_constant(if named { name } else { "" }, constant),
            Err(error @ ModelError::ElementType { .. }) => opaque(graph, tensor, &error.to_string()),
            Err(error) => return Err(error),
        };
        add(graph, name, t)?;
    }
    for sparse in &file.sparse_initializer {
        let name = sparse.values.as_ref().and_then(|v| v.name.as_deref()).unwrap_or_default();
        let t = carry(graph, &sparse.dims, sparse_value(sparse), "it is a sparse tensor");
        add(graph, name, t)?;
    }
    Ok(())
}

fn opaque(graph: &mut Graph, tensor: &TensorProto, reason: &str) -> Tensor {
    let value = AttributeProto {
        name: Some("value".to_owned()),
        r#type: Some(AttributeType::Tensor as i32),
        t: Some(tensor.clone()),
        ..Default::default()
    };
    carry(graph, &tensor.dims, value, reason)
}

fn sparse_value(sparse: &SparseTensorProto) -> AttributeProto {
    AttributeProto {
        name: Some("sparse_value".to_owned()),
        r#type: Some(AttributeType::SparseTensor as i32),
        sparse_tensor: Some(sparse.clone()),
        ..Default::default()
    }
}

fn carry(graph: &mut Graph, dims: &[i64], value: AttributeProto, reason: &str) -> Tensor {
    let shape = dims.iter().map(|d| Dim::new(*d)).collect();
    let signature = Signature { dtype: None, shape: Some(shape) };
    let carried = Carried {
        domain: String::new(),
        overload: String::new(),
        attributes: vec![value],
        captured: vec![],
        reason: reason.to_owned(),
    };
    let made = Emit::new(graph).carry("Constant", vec![], vec![Some(signature)], carried);
    made[0].expect("one output was asked for")
}
