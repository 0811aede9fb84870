//! Calls of local functions, and branches on a condition that is known: replaced by the body.

use std::collections::HashMap;

use super::order::{describe, free, topological_order};
use super::{Frame, OPSETS, Scope, Walk, made, standard, weights};
use crate::graph::Tensor;
use crate::model::ModelError;
use crate::proto::{AttributeProto, FunctionProto, GraphProto, NodeProto};
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
        self.spend(function.node.len(), &name)?;
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
            hand_on(&mut node, function, proto);
            let left_out = |i: &&mut String| function.input.contains(*i) && !scope.contains_key(*i);
            node.input.iter_mut().filter(left_out).for_each(String::clear);
            if node.metadata_props.is_empty() {
                node.metadata_props = proto.metadata_props.clone();
            }
            self.node(&node, &frame, &mut scope)?;
        }
        Ok(function.output.iter().map(|name| scope.get(name).copied()).collect())
    }

    pub(super) fn spend(&mut self, nodes: usize, name: &dyn Fn() -> String) -> Result<(), ModelError> {
        let left = self.functions.nodes_left.checked_sub(nodes);
        self.functions.nodes_left =
            left.ok_or_else(|| ModelError::FunctionSize { function: name(), most: MOST_NODES })?;
        Ok(())
    }

    /// The branch that an If takes, where its condition is known.
    pub(super) fn taken<'n>(&self, proto: &'n NodeProto, inputs: &[Option<Tensor>]) -> Option<&'n GraphProto> {
        if proto.op_type() != "If" || !standard(proto.domain()) || proto.attribute.len() != 2 {
            return None;
        }
        let condition = self.e.integers(inputs.first().copied()??)?;
        let [truth] = condition.as_slice() else { return None };
        let name = if truth.known()? != 0 { "then_branch" } else { "else_branch" };
        proto.attribute.iter().find(|a| a.name() == name)?.g.as_ref()
    }

    /// Replaces an If by the branch that it takes.
    pub(super) fn branch(
        &mut self,
        branch: &GraphProto,
        proto: &NodeProto,
        around: &Scope,
        frame: &Frame,
    ) -> Result<Vec<Option<Tensor>>, ModelError> {
        self.spend(branch.node.len(), &|| "If".to_owned())?;
        let mut scope = Scope::new();
        for name in free(branch) {
            scope.insert(name.to_owned(), made(name, proto, around)?);
        }
        weights::declare(branch, &mut self.e.graph_mut(), &mut scope, false)?;
        let outputs = branch.output.iter().map(|v| v.name.as_deref().unwrap_or_default());
        let inner = Frame::new(frame.opset, frame.depth + 1, &branch.node, outputs.clone());
        for index in topological_order(&branch.node)? {
            self.node(&branch.node[index], &inner, &mut scope)?;
        }
        outputs.map(|name| made(name, proto, &scope).map(Some)).collect()
    }
}

/// Replaces references to a function's attributes, in a node of its body and in what that holds, by the call's values or
/// the defaults; an attribute for which neither is given is left out.
fn hand_on(node: &mut NodeProto, function: &FunctionProto, call: &NodeProto) {
    node.attribute.retain_mut(|attribute| {
        let inner = attribute.g.iter_mut().chain(&mut attribute.graphs);
        inner.flat_map(|g| &mut g.node).for_each(|node| hand_on(node, function, call));
        let Some(reference) = attribute.ref_attr_name.take().filter(|r| !r.is_empty()) else { return true };
        let named = |a: &&AttributeProto| a.name() == reference;
        let given = call.attribute.iter().find(named).or_else(|| function.attribute_proto.iter().find(named));
        given.map(|given| *attribute = AttributeProto { name: attribute.name.take(), ..given.clone() }).is_some()
    });
}
