//! New nodes behind a file's own: the file with what it lacks of a graph.
//!
//! Nothing of the file is changed but what [`Added`] says, and everything new stands behind what is there, so that
//! [`detach`] gives the file back. A tensor that the file makes is read from the file, whatever made it in the canonical
//! view; only what the file has not is computed by new nodes.

use std::collections::{HashMap, HashSet};

use super::sizes::Batch;
use super::{OLDEST, SpellError, Writer, named_attribute};
use crate::attributes::Attribute;
use crate::carried;
use crate::constant::Constant;
use crate::dim::Dim;
use crate::dtype::DataType;
use crate::graph::{Graph, Known, Tensor};
use crate::import::{OPSETS, in_single_precision, reads};
use crate::model::Model;
use crate::proto::{
    Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, type_proto,
};
use crate::text::printable;

/// What to add to a file.
#[derive(Clone, Copy, Debug)]
pub struct Attachment<'a> {
    /// The file's canonical view, and behind it the nodes that it has not.
    pub graph: &'a Graph,
    /// Inputs of the graph that the file has not, by the names that they are to have; these must be free in the file.
    pub inputs: &'a [(Tensor, String)],
    /// New outputs, likewise.
    pub outputs: &'a [(Tensor, String)],
}

/// A file with what was added to it.
#[derive(Clone, Debug)]
pub struct Attached {
    /// The whole.
    pub proto: ModelProto,
    /// How to take it away again.
    pub added: Added,
}

/// What was added to a file, and changed in it: all that [`detach`] has to know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Added {
    /// How many nodes stand behind the file's.
    pub nodes: usize,
    /// How many initializers.
    pub initializers: usize,
    /// How many inputs.
    pub inputs: usize,
    /// How many outputs.
    pub outputs: usize,
    /// The opset that the file had, where it was raised.
    pub opset: Option<i64>,
    /// Inputs by their position, as the file declared them, where their size was open and had to be settled.
    pub declared: Vec<(usize, ValueInfoProto)>,
}

/// Why nothing can be added to a file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)]
pub enum AttachError {
    #[error(
        "the file is in opset {opset}; from opset 7 on, nodes can be added to a file\nhint: convert it with `onnx.version_converter`, or export it anew"
    )]
    Ancient { opset: i64 },
    #[error(
        "the new nodes need opset {needed} ({by}), the file is in {opset}, and opset {since} changed `{op}`, which the file has as {node}\nhint: convert the model with `onnx.version_converter`, or export it anew in opset 13 or newer"
    )]
    Outlived { needed: i64, by: String, opset: i64, since: i64, op: String, node: String },
    #[error(transparent)]
    Spell(#[from] SpellError),
}

/// What stands in the file that is written behind.
pub(super) struct Host {
    names: HashSet<String>,
    /// Before IR version 4 every initializer is an input, too.
    pub lists_initializers: bool,
    /// Whether its floats are halves or doubles, which the graph reads as float32.
    widens: bool,
    widened: HashMap<Tensor, String>,
}

impl Host {
    fn new(file: &ModelProto, widens: bool) -> Host {
        let graph = file.graph.as_ref();
        let names = graph.into_iter().flat_map(tensor_names).map(str::to_owned).collect();
        let lists_initializers = file.ir_version.unwrap_or(0) < 4;
        Host { names, lists_initializers, widens, widened: HashMap::new() }
    }

    pub fn makes(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}

/// The names of all tensors of a file's graph, those of subgraphs left out.
pub fn tensor_names(graph: &GraphProto) -> impl Iterator<Item = &str> {
    let inputs = graph.input.iter().filter_map(|v| v.name.as_deref());
    let weights = graph.initializer.iter().filter_map(|t| t.name.as_deref());
    let sparse = graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref()?.name.as_deref());
    let nodes = graph.node.iter().flat_map(|n| &n.output).map(String::as_str);
    inputs.chain(weights).chain(sparse).chain(nodes).filter(|name| !name.is_empty())
}

impl Writer<'_> {
    /// Whether the file makes this tensor.
    pub(super) fn is_hosted(&self, t: Tensor) -> bool {
        self.host.as_ref().is_some_and(|host| host.makes(&self.graph.tensor(t).name))
    }

    /// The name under which new nodes read a tensor of the file: its own, or that of its float32 form.
    pub(super) fn hosted(&mut self, t: Tensor, name: String) -> String {
        let float = self.graph.tensor(t).dtype == Some(DataType::F32);
        let Some(host) = self.host.as_ref().filter(|host| host.widens && float) else { return name };
        if let Some(widened) = host.widened.get(&t) {
            return widened.clone();
        }
        let widened = self.fresh("float");
        let to = named_attribute("to", &Attribute::Int(DataType::F32 as i64));
        self.push("Cast", vec![name], vec![widened.clone()], vec![to]);
        if let Some(host) = &mut self.host {
            host.widened.insert(t, widened.clone());
        }
        widened
    }
}

/// Whether the file's pictures or weights are halves or doubles.
fn is_in_other_floats(model: &Model) -> bool {
    in_single_precision(model.proto()).is_ok_and(|widened| widened.is_some())
}

/// Adds to a file what it lacks of a graph's tensors. The batch stays as open as it is in the file; sizes that it leaves
/// open and the graph fixes are fixed. The opset is the file's own, or the next one that has what the new nodes need and
/// leaves the file's own nodes as they are.
///
/// # Errors
/// Where there is no such opset, naming the node that stands in the way.
pub fn attach(model: &Model, attachment: Attachment<'_>) -> Result<Attached, AttachError> {
    let (file, widens) = (model.opset(), is_in_other_floats(model));
    if file < 7 {
        return Err(AttachError::Ancient { opset: file });
    }
    let (mut opset, mut needed_by) = (file.max(OLDEST), "nodes that choose the class".to_owned());
    loop {
        if let Some((node, op, since)) = outlived(model.proto(), file, opset) {
            return Err(AttachError::Outlived { needed: opset, by: needed_by, opset: file, since, op, node });
        }
        match attach_in(model, attachment, opset, widens) {
            Err(SpellError::TooOld { node, since, .. }) if OPSETS.contains(&since) => {
                (opset, needed_by) = (since, node)
            }
            written => return Ok(written?),
        }
    }
}

/// A node of the file that means something else in opset `to`: the node, its operator, the opset that changed it.
fn outlived(file: &ModelProto, from: i64, to: i64) -> Option<(String, String, i64)> {
    let nodes = file.graph.iter().flat_map(|g| &g.node).chain(file.functions.iter().flat_map(|f| &f.node));
    let mut found = nodes.filter_map(|n| Some((n, carried::outlived_in_file(n, from, to)?)));
    found.next().map(|(node, (op, since))| (crate::import::describe(node), printable(op), since))
}

fn attach_in(model: &Model, attachment: Attachment<'_>, opset: i64, widens: bool) -> Result<Attached, SpellError> {
    let Attachment { graph, inputs, outputs } = attachment;
    let mut proto = model.proto().clone();
    let symbol = batch_symbol(model.graph(), graph);
    let open = graph.inputs.iter().any(|t| graph.shape(*t).is_some_and(|s| s.first() == Some(&Dim::BATCH)));
    let batch = if open { Batch::Open(symbol) } else { Batch::Fixed(1) };
    let mut writer = Writer::new(graph, opset, batch);
    writer.host = Some(Host::new(&proto, widens));
    writer.renamed.extend(inputs.iter().cloned());
    let plain = |t: Tensor, writer: &Writer| graph.producer_index(t).is_some() && !writer.is_hosted(t);
    for (t, name) in outputs {
        if plain(*t, &writer) && !writer.renamed.contains_key(t) {
            writer.renamed.insert(*t, name.clone());
        }
    }
    for index in lacking(&writer, outputs) {
        writer.node(&graph.nodes()[index])?;
    }
    for (t, name) in outputs {
        if writer.name(*t) != *name {
            let from = writer.input(*t)?;
            writer.push("Identity", vec![from], vec![name.clone()], vec![]);
        }
        let value = writer.value_info(*t)?;
        writer.file.output.push(ValueInfoProto { name: Some(name.clone()), ..value });
    }
    for (t, _) in inputs {
        let value = writer.value_info(*t)?;
        writer.file.input.push(value);
    }
    let declared = settle_inputs(&writer, &mut proto)?;
    let defaults = given_inputs(model.graph(), graph);
    let file = proto.graph.get_or_insert_default();
    name_nodes(&mut writer.file.node, file);
    writer.file.initializer.extend(defaults);
    let new = writer.file;
    let raised = (opset != model.opset()).then(|| model.opset());
    let added = Added {
        nodes: new.node.len(),
        initializers: new.initializer.len(),
        inputs: new.input.len(),
        outputs: new.output.len(),
        opset: raised,
        declared,
    };
    file.node.extend(new.node);
    file.initializer.extend(new.initializer);
    file.input.extend(new.input);
    file.output.extend(new.output);
    raise(&mut proto, opset);
    Ok(Attached { proto, added })
}

/// The new nodes that these outputs need, by index: what the file makes it need not make again.
fn lacking(writer: &Writer, outputs: &[(Tensor, String)]) -> Vec<usize> {
    let graph = writer.graph;
    let maker = |t: &Tensor| graph.producer_index(*t).filter(|_| !writer.is_hosted(*t));
    let mut lacking = vec![false; graph.nodes().len()];
    let mut open: Vec<usize> = outputs.iter().filter_map(|(t, _)| maker(t)).collect();
    while let Some(index) = open.pop() {
        if !std::mem::replace(&mut lacking[index], true) {
            open.extend(graph.nodes()[index].inputs.iter().flatten().filter_map(maker));
        }
    }
    (0..lacking.len()).filter(|i| lacking[*i]).collect()
}

/// Each new node is called as what it makes, where no node of the file is.
fn name_nodes(nodes: &mut [NodeProto], file: &GraphProto) {
    let taken: HashSet<&str> = file.node.iter().filter_map(|n| n.name.as_deref()).collect();
    for node in nodes {
        node.name = node.output.iter().find(|o| !o.is_empty() && !taken.contains(o.as_str())).cloned();
    }
}

/// The file's symbol for its batch, else one that it has not.
fn batch_symbol(file: &GraphProto, graph: &Graph) -> String {
    let symbols = |v: &ValueInfoProto| -> Vec<Option<String>> {
        let tensor = v.r#type.as_ref().and_then(|t| t.value.as_ref());
        let Some(type_proto::Value::TensorType(type_proto::Tensor { shape: Some(shape), .. })) = tensor else {
            return Vec::new();
        };
        let symbol = |d: &Dimension| match &d.value {
            Some(DimensionValue::DimParam(symbol)) if !symbol.is_empty() => Some(symbol.clone()),
            _ => None,
        };
        shape.dim.iter().map(symbol).collect()
    };
    let is_picture =
        |v: &&ValueInfoProto| graph.inputs.iter().any(|t| Some(&*graph.tensor(*t).name) == v.name.as_deref());
    let own = file.input.iter().find(is_picture).and_then(|v| symbols(v).into_iter().next().flatten());
    let taken: HashSet<String> = file.input.iter().chain(&file.output).flat_map(symbols).flatten().collect();
    let free = || ["N", "batch", "onnxcam.batch"].into_iter().find(|s| !taken.contains(*s)).unwrap_or("onnxcam.batch");
    own.unwrap_or_else(|| free().to_owned())
}

/// Fixes what the declared shape of an input leaves open and the graph does not; the batch stays. Answers the declarations
/// that were changed.
fn settle_inputs(writer: &Writer, proto: &mut ModelProto) -> Result<Vec<(usize, ValueInfoProto)>, SpellError> {
    let graph = writer.graph;
    let mut changed = Vec::new();
    for (i, value) in proto.graph.iter_mut().flat_map(|g| &mut g.input).enumerate() {
        let name = value.name.as_deref().unwrap_or_default();
        let Some(t) = graph.inputs.iter().find(|t| &*graph.tensor(**t).name == name) else { continue };
        let Some(shape) = graph.shape(*t) else { continue };
        let Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), .. }) = &value.r#type else {
            continue;
        };
        let old = tensor.shape.clone().filter(|s| s.dim.len() == shape.len());
        let mut dims = Vec::with_capacity(shape.len());
        for (axis, dim) in shape.iter().enumerate() {
            let declared = old.as_ref().map(|s| s.dim[axis].clone());
            dims.push(match (declared, dim.known()) {
                (Some(declared), None) => declared,
                (declared, _) => {
                    Dimension { value: Some(writer.declared(*dim, name)?), ..declared.unwrap_or_default() }
                }
            });
        }
        let settled = TensorShapeProto { dim: dims };
        if old.as_ref() == Some(&settled) {
            continue;
        }
        let tensor = type_proto::Tensor { shape: Some(settled), ..tensor.clone() };
        let denotation = value.r#type.as_ref().and_then(|t| t.denotation.clone());
        let settled = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), denotation };
        let before = ValueInfoProto { r#type: Some(settled), ..value.clone() };
        changed.push((i, std::mem::replace(value, before)));
    }
    Ok(changed)
}

/// Inputs of the file that the graph has as constants: from now on that is their default value.
fn given_inputs(file: &GraphProto, graph: &Graph) -> Vec<TensorProto> {
    let weights: HashSet<&str> = file.initializer.iter().filter_map(|t| t.name.as_deref()).collect();
    let names = file.input.iter().filter_map(|v| v.name.as_deref()).filter(|name| !weights.contains(name));
    let value = |name: &str| match &graph.tensor(graph.find(name)?).known {
        Some(Known::Constant(constant)) => initializer(name, constant),
        _ => None,
    };
    names.filter_map(value).collect()
}

fn initializer(name: &str, constant: &Constant) -> Option<TensorProto> {
    Some(TensorProto {
        dims: constant.dims().iter().map(|d| *d as i64).collect(),
        data_type: Some(constant.dtype() as i32),
        name: Some(name.to_owned()),
        raw_data: Some(constant.bytes().ok()?),
        ..Default::default()
    })
}

fn raise(proto: &mut ModelProto, opset: i64) {
    let standard = proto.opset_import.iter_mut().filter(|o| matches!(o.domain.as_deref(), None | Some("" | "ai.onnx")));
    standard.for_each(|o| o.version = Some(opset));
}

/// Takes away what [`attach`] added; `None` where the file does not hold so much.
pub fn detach(proto: &ModelProto, added: &Added) -> Option<ModelProto> {
    let mut proto = proto.clone();
    let file = proto.graph.as_mut()?;
    let left = |has: usize, added: usize| has.checked_sub(added);
    file.node.truncate(left(file.node.len(), added.nodes)?);
    file.initializer.truncate(left(file.initializer.len(), added.initializers)?);
    file.input.truncate(left(file.input.len(), added.inputs)?);
    file.output.truncate(left(file.output.len(), added.outputs)?);
    for (i, value) in &added.declared {
        *file.input.get_mut(*i)? = value.clone();
    }
    if let Some(opset) = added.opset {
        raise(&mut proto, opset);
    }
    Some(proto)
}

/// Leaves in a model only what these of its outputs need.
pub fn keep_outputs(proto: &mut ModelProto, keep: impl Fn(&str) -> bool) {
    let Some(graph) = &mut proto.graph else { return };
    graph.output.retain(|v| keep(v.name.as_deref().unwrap_or_default()));
    let mut needed: HashSet<String> = graph.output.iter().filter_map(|v| v.name.clone()).collect();
    let mut kept: Vec<bool> = vec![false; graph.node.len()];
    for (i, node) in graph.node.iter().enumerate().rev() {
        if node.output.iter().any(|name| needed.contains(name)) {
            kept[i] = true;
            needed.extend(reads(node).map(str::to_owned));
        }
    }
    let mut kept = kept.into_iter();
    graph.node.retain(|_| kept.next().unwrap_or_default());
    let has = |name: Option<&str>| name.is_some_and(|name| needed.contains(name));
    let unread = graph.initializer.iter().filter_map(|t| t.name.clone()).filter(|name| !needed.contains(name));
    let unread: HashSet<String> = unread.collect();
    graph.initializer.retain(|t| has(t.name.as_deref()));
    graph.sparse_initializer.retain(|s| has(s.values.as_ref().and_then(|v| v.name.as_deref())));
    graph.input.retain(|v| v.name.as_ref().is_none_or(|name| !unread.contains(name)));
    let made: HashSet<&str> = graph.node.iter().flat_map(|n| &n.output).map(String::as_str).collect();
    graph.value_info.retain(|v| v.name.as_deref().is_some_and(|name| made.contains(name)));
}
