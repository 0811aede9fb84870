//! Calls of local functions, replaced by the function's body.

use std::collections::HashMap;

use super::order::{describe, topological_order};
use super::{Frame, OPSETS, Scope, Walk, standard};
use crate::graph::Tensor;
use crate::model::ModelError;
use crate::proto::{AttributeProto, FunctionProto, NodeProto};
use crate::text::printable;

/// How deep local functions may call each other.
const DEEPEST: usize = 32;

/// How many nodes calls may become in all.
const MOST_NODES: usize = 1 << 18;

/// Domain, name and overload.
type Key<'a> = (&'a str, &'a str, &'a str);

/// The local functions of a file.
pub(super) struct Functions<'m> {
    by_key: HashMap<Key<'m>, &'m FunctionProto>,
    nodes_left: usize,
}

impl<'m> Functions<'m> {
    pub fn new(functions: &'m [FunctionProto]) -> Functions<'m> {
        let by_key = functions.iter().map(|f| ((f.domain(), f.name(), f.overload()), f)).collect();
        Functions { by_key, nodes_left: MOST_NODES }
    }

    /// The function that a node calls.
    pub fn called(&self, node: &NodeProto) -> Option<&'m FunctionProto> {
        self.by_key.get(&(node.domain(), node.op_type(), node.overload())).copied()
    }
}

impl Walk<'_, '_> {
    /// Replaces a call by the function's body.
    pub(super) fn call(
        &mut self,
        function: &FunctionProto,
        proto: &NodeProto,
        inputs: &[Option<Tensor>],
        depth: usize,
    ) -> Result<Vec<Option<Tensor>>, ModelError> {
        let name = || printable(proto.op_type.as_deref().unwrap_or(""));
        if depth > DEEPEST {
            return Err(ModelError::FunctionDepth { function: name() });
        }
        let left = self.functions.nodes_left.checked_sub(function.node.len());
        self.functions.nodes_left =
            left.ok_or_else(|| ModelError::FunctionSize { function: name(), most: MOST_NODES })?;
        if inputs.len() > function.input.len() {
            return Err(ModelError::FunctionInputs {
                node: describe(proto),
                given: inputs.len(),
                taken: function.input.len(),
            });
        }
        let import = function.opset_import.iter().find(|o| standard(o.domain.as_deref().unwrap_or("")));
        let opset = import.and_then(|o| o.version).unwrap_or(*OPSETS.end());
        let mut scope = Scope::new();
        for (name, t) in function.input.iter().zip(inputs) {
            scope.extend(t.map(|t| (name.clone(), t)));
        }
        let frame = Frame::new(opset, depth, &function.node, function.output.iter().map(String::as_str));
        for index in topological_order(&function.node)? {
            let mut node = function.node[index].clone();
            node.attribute = node.attribute.iter().filter_map(|a| argument(a, function, proto)).collect();
            let left_out = |i: &&mut String| function.input.contains(*i) && !scope.contains_key(*i);
            node.input.iter_mut().filter(left_out).for_each(String::clear);
            if node.metadata_props.is_empty() {
                node.metadata_props = proto.metadata_props.clone();
            }
            self.node(&node, &frame, &mut scope)?;
        }
        Ok(function.output.iter().map(|name| scope.get(name).copied()).collect())
    }
}

/// An attribute of a function's node, with a reference to the function's own attribute replaced by the call's value or
/// the default; `None` where neither is given.
fn argument(attribute: &AttributeProto, function: &FunctionProto, call: &NodeProto) -> Option<AttributeProto> {
    let Some(reference) = attribute.ref_attr_name.as_deref().filter(|r| !r.is_empty()) else {
        return Some(attribute.clone());
    };
    let named = |a: &&AttributeProto| a.name.as_deref() == Some(reference);
    let given = call.attribute.iter().find(named).or_else(|| function.attribute_proto.iter().find(named))?;
    Some(AttributeProto { name: attribute.name.clone(), ref_attr_name: None, ..given.clone() })
}
