//! From a file's nodes to the canonical view.
//!
//! One walk in topological order. Each node is *settled*: what its opset means is written out as canonical nodes
//! (defaults explicit, axes counted from the front, sizes folded with the batch symbolic), Identity and Dropout
//! become further names of their input, calls of local functions are replaced by the function's body. A node that we
//! do not know, or not in that form, is carried as it is with the reason; only a computation that has to be
//! differentiated minds.
//!
//! Every tensor of the file keeps its name.

mod elementwise;
mod file_node;
mod inputs;
mod layout;
mod linear;
mod normalise;
mod reduce;
mod window;

use std::collections::{HashMap, HashSet};

use file_node::{FileNode, Refusal, Settle};

use crate::constant::Constant;
use crate::emit::Emit;
use crate::graph::{Carried, Graph, Tensor};
use crate::model::{Model, ModelError, constant_of};
use crate::module_path::module_path;
use crate::ops::Signature;
use crate::proto::{AttributeProto, FunctionProto, NodeProto, ValueInfoProto};
use crate::text::printable;

/// What the caller knows better than the file.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Height and width of the image where the file leaves them open; 224 × 224 when this does too.
    pub input_size: Option<(usize, usize)>,
    /// Fixes a batch that the file leaves open.
    pub batch: Option<usize>,
}

/// The canonical view of a model.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The graph.
    pub graph: Graph,
    /// What was assumed, and where the file contradicts itself; sentences for the user.
    pub notes: Vec<String>,
}

/// The operators that files have, by family, with what settles them.
const FAMILIES: &[&[(&str, Settle)]] = &[
    elementwise::OPERATORS,
    layout::OPERATORS,
    linear::OPERATORS,
    normalise::OPERATORS,
    reduce::OPERATORS,
    window::OPERATORS,
];

/// How deep local functions may call each other.
const DEEPEST_CALL: usize = 32;

/// Opsets that we read.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=28;

/// The canonical view of a model.
pub fn import(model: &Model, options: &ImportOptions) -> Result<Imported, ModelError> {
    let file = model.graph();
    let mut graph = Graph::new();
    graph.opsets = model.opsets();
    graph.functions = model.proto().functions.clone();
    let opset = model.opset();
    if !OPSETS.contains(&opset) {
        return Err(ModelError::Opset { opset, oldest: *OPSETS.start(), newest: *OPSETS.end() });
    }

    let mut scope = HashMap::new();
    for initializer in &file.initializer {
        let name = initializer.name.as_deref().unwrap_or_default();
        let constant = constant_of(initializer)?;
        scope.insert(name.to_owned(), graph.add_constant(name, constant));
    }
    let mut notes = Vec::new();
    let declared = inputs::declare(file, options, &mut graph, &mut notes)?;
    for input in &graph.inputs {
        scope.insert(graph.tensor(*input).name.to_string(), *input);
    }

    let order = topological_order(&file.node)?;
    let functions = model.proto().functions.iter().map(|f| (function_key(f), f)).collect();
    let mut walk = Walk { e: Emit::new(&mut graph), functions, declared, notes };
    for index in order {
        walk.node(&file.node[index], opset, &mut scope, 0)?;
    }
    let Walk { e, mut notes, declared, .. } = walk;
    e.finish().map_err(ModelError::Emit)?;

    for output in &file.output {
        let name = output.name.as_deref().unwrap_or_default();
        let t = scope.get(name).copied().ok_or_else(|| ModelError::NeverMade {
            tensor: printable(name),
            reader: "an output of the graph".to_owned(),
        })?;
        graph.outputs.push(t);
    }
    inputs::check_declared(file, &declared, &graph, &scope, &mut notes);
    Ok(Imported { graph, notes })
}

type FunctionKey<'a> = (&'a str, &'a str, &'a str);

fn function_key(f: &FunctionProto) -> FunctionKey<'_> {
    (f.domain.as_deref().unwrap_or(""), f.name.as_deref().unwrap_or(""), f.overload.as_deref().unwrap_or(""))
}

struct Walk<'m, 'g> {
    e: Emit<'g>,
    functions: HashMap<FunctionKey<'m>, &'m FunctionProto>,
    declared: inputs::Declared,
    notes: Vec<String>,
}

type Scope = HashMap<String, Tensor>;

impl Walk<'_, '_> {
    fn node(&mut self, proto: &NodeProto, opset: i64, scope: &mut Scope, depth: usize) -> Result<(), ModelError> {
        let inputs = self.inputs(proto, scope)?;
        let domain = proto.domain.as_deref().unwrap_or("");
        let op = proto.op_type.as_deref().unwrap_or("");
        let key = (domain, op, proto.overload.as_deref().unwrap_or(""));
        if let Some(function) = self.functions.get(&key).copied() {
            let outputs = self.call(function, proto, &inputs, depth)?;
            return Ok(self.bind(proto, outputs, scope));
        }
        self.e.mark();
        let outputs = match self.settle(proto, opset, &inputs) {
            Ok(outputs) => outputs,
            Err(Refusal(reason)) => self.carry(proto, inputs, reason),
        };
        self.label(proto);
        self.bind(proto, outputs, scope);
        Ok(())
    }

    fn inputs(&self, proto: &NodeProto, scope: &Scope) -> Result<Vec<Option<Tensor>>, ModelError> {
        let mut inputs = Vec::with_capacity(proto.input.len());
        for name in &proto.input {
            inputs.push(match name.as_str() {
                "" => None,
                name => Some(
                    scope
                        .get(name)
                        .copied()
                        .ok_or_else(|| ModelError::NeverMade { tensor: printable(name), reader: describe(proto) })?,
                ),
            });
        }
        while inputs.last() == Some(&None) {
            inputs.pop();
        }
        Ok(inputs)
    }

    fn settle(
        &mut self,
        proto: &NodeProto,
        opset: i64,
        inputs: &[Option<Tensor>],
    ) -> Result<Vec<Option<Tensor>>, Refusal> {
        let op = proto.op_type.as_deref().unwrap_or("");
        let domain = proto.domain.as_deref().unwrap_or("");
        if !matches!(domain, "" | "ai.onnx") {
            return Err(Refusal(format!("its domain is `{}`, not the standard one", printable(domain))));
        }
        let settle = FAMILIES.iter().copied().flatten().find(|(name, _)| *name == op);
        let (_, settle) = settle.ok_or_else(|| Refusal("this operator is not known here".to_owned()))?;
        let node = FileNode::new(&self.e, proto, opset, inputs);
        let outputs = settle(&node)?;
        if let Some(error) = self.e.take_error() {
            return Err(Refusal(error.misfit));
        }
        node.check_all_read()?;
        self.notes.extend(node.into_notes());
        Ok(outputs)
    }

    /// Takes the node over as it is. Its outputs have the shapes that the file declares for them.
    fn carry(&mut self, proto: &NodeProto, inputs: Vec<Option<Tensor>>, reason: String) -> Vec<Option<Tensor>> {
        let outputs = proto
            .output
            .iter()
            .map(|name| (!name.is_empty()).then(|| self.declared.signature(name).unwrap_or(Signature::UNKNOWN)))
            .collect();
        let carried = Carried {
            domain: proto.domain.clone().unwrap_or_default(),
            overload: proto.overload.clone().unwrap_or_default(),
            attributes: proto.attribute.clone(),
            reason,
        };
        self.e.carry(proto.op_type.as_deref().unwrap_or(""), inputs, outputs, carried)
    }

    fn label(&self, proto: &NodeProto) {
        let (first, end) = self.e.mark();
        let module = module_path(proto);
        let name = proto.name.as_deref().unwrap_or("");
        for index in first..end {
            self.e.graph_mut().label_node(index, name, &module);
        }
    }

    fn bind(&self, proto: &NodeProto, outputs: Vec<Option<Tensor>>, scope: &mut Scope) {
        for (name, t) in proto.output.iter().zip(outputs) {
            if let Some(t) = t.filter(|_| !name.is_empty()) {
                self.e.graph_mut().name(t, name);
                scope.insert(name.clone(), t);
            }
        }
    }

    /// Replaces a call by the function's body.
    fn call(
        &mut self,
        function: &FunctionProto,
        proto: &NodeProto,
        inputs: &[Option<Tensor>],
        depth: usize,
    ) -> Result<Vec<Option<Tensor>>, ModelError> {
        if depth >= DEEPEST_CALL {
            return Err(ModelError::FunctionDepth { function: printable(proto.op_type.as_deref().unwrap_or("")) });
        }
        let version = |d: &str| d.is_empty() || d == "ai.onnx";
        let import = function.opset_import.iter().find(|o| version(o.domain.as_deref().unwrap_or("")));
        let opset = import.and_then(|o| o.version).unwrap_or(*OPSETS.end());
        let mut scope = Scope::new();
        for (name, t) in function.input.iter().zip(inputs) {
            scope.extend(t.map(|t| (name.clone(), t)));
        }
        for index in topological_order(&function.node)? {
            let mut node = function.node[index].clone();
            node.attribute = node.attribute.iter().filter_map(|a| argument(a, function, proto)).collect();
            node.input
                .iter_mut()
                .filter(|i| function.input.contains(*i) && !scope.contains_key(*i))
                .for_each(String::clear);
            if node.metadata_props.is_empty() {
                node.metadata_props = proto.metadata_props.clone();
            }
            self.node(&node, opset, &mut scope, depth + 1)?;
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

/// A file's node in words.
pub(crate) fn describe(proto: &NodeProto) -> String {
    let op = printable(proto.op_type.as_deref().unwrap_or("?"));
    match proto.name.as_deref().filter(|n| !n.is_empty()) {
        Some(name) => format!("`{op}` (node \"{}\")", printable(name)),
        None => format!("`{op}` (the node that makes {:?})", printable(proto.output.first().map_or("", |o| o))),
    }
}

/// Indices of the nodes so that each stands behind what it reads; the file's order where that is one already.
fn topological_order(nodes: &[NodeProto]) -> Result<Vec<usize>, ModelError> {
    let mut maker: HashMap<&str, usize> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            if let Some(earlier) = maker.insert(output, index) {
                return Err(ModelError::MadeTwice {
                    tensor: printable(output),
                    first: describe(&nodes[earlier]),
                    second: describe(node),
                });
            }
        }
    }
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut waiting = vec![0usize; nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        let makers: HashSet<usize> = node.input.iter().filter_map(|i| maker.get(i.as_str()).copied()).collect();
        waiting[index] = makers.len();
        makers.into_iter().for_each(|m| readers[m].push(index));
    }
    let mut ready: std::collections::BTreeSet<usize> = (0..nodes.len()).filter(|i| waiting[*i] == 0).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(index) = ready.pop_first() {
        order.push(index);
        for reader in &readers[index] {
            waiting[*reader] -= 1;
            if waiting[*reader] == 0 {
                ready.insert(*reader);
            }
        }
    }
    match (0..nodes.len()).find(|i| waiting[*i] > 0) {
        Some(stuck) => Err(ModelError::Cycle { node: describe(&nodes[stuck]) }),
        None => Ok(order),
    }
}

/// The declared types and shapes of a file's tensors by name.
fn declared_values(file: &crate::proto::GraphProto) -> impl Iterator<Item = (&str, &ValueInfoProto)> {
    file.value_info.iter().chain(&file.output).filter_map(|v| Some((v.name.as_deref()?, v)))
}

/// A constant of a node's tensor attribute.
fn attribute_constant(attribute: &AttributeProto) -> Result<Constant, Refusal> {
    let proto = attribute.t.as_ref().ok_or_else(|| Refusal("its tensor attribute is empty".to_owned()))?;
    constant_of(proto).map_err(|error| Refusal(error.to_string()))
}
