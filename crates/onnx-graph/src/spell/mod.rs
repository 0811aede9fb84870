//! A graph as ONNX again: canonical nodes in the form that an opset wants.
//!
//! Where opsets differ (axes as attribute or input, …) is known here and nowhere else. [`spell`] writes a whole graph for
//! one batch size, [`attach`] writes what a file lacks of a graph behind the file's own nodes, for whatever batch the file
//! takes.

mod attach;
mod forms;
mod sizes;

use std::collections::{HashMap, HashSet};

use crate::attributes::Attribute;
use crate::carried;
use crate::constant::Constant;
use crate::dim::Dim;
use crate::dtype::DataType;
use crate::graph::{Carried, Graph, Known, Node, Tensor};
use crate::ops::LARGEST;
use crate::proto::{
    AttributeProto, AttributeType, Dimension, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use crate::text::printable;

use attach::Host;
pub use attach::{Added, AttachError, Attached, Attachment, attach, detach, keep_outputs, tensor_names};
use sizes::Batch;

/// How to write a graph.
#[derive(Clone, Copy, Debug)]
pub struct Spelling {
    /// The standard operator set to write in, 9 or newer.
    pub opset: i64,
    /// The batch size to fix.
    pub batch: usize,
}

impl Spelling {
    /// The oldest opset that says all of this graph: 17 or what its operators need; with nodes that are carried, the
    /// file's own (13 at least), so that they mean what they meant.
    pub fn for_graph(graph: &Graph, batch: usize) -> Spelling {
        let dtype = |t: Option<&Option<Tensor>>| t.and_then(|t| graph.tensor((*t)?).dtype);
        let of = |node: &Node| dtype(node.inputs.first());
        let wide = |t: Option<DataType>| matches!(t, Some(DataType::U16 | DataType::I16));
        let needs = |node: &Node| match &*node.op {
            _ if node.carried.is_some() => FIRM,
            "AveragePool" if node.attributes.ints("dilations").iter().any(|d| *d != 1) => 19,
            "HardSwish" => 14,
            "ReduceMax" | "ReduceMin" if of(node) == Some(DataType::Bool) => 20,
            "QuantizeLinear" if wide(dtype(node.outputs.first())) => 21,
            "DequantizeLinear" if wide(of(node)) => 21,
            "QuantizeLinear" | "DequantizeLinear" if dtype(node.inputs.get(1)) != Some(DataType::F32) => 19,
            "Mod" if of(node).is_some_and(DataType::is_float) => 28,
            "ScatterElements" => match node.attributes.text("reduction") {
                "none" => FIRM,
                "add" | "mul" => 16,
                _ => 18,
            },
            _ => FIRM,
        };
        let base = match carried::opset_of(graph) {
            Some(file) if file >= FIRM => file,
            _ => 17,
        };
        Spelling { opset: graph.nodes().iter().map(needs).fold(base, i64::max), batch }
    }
}

/// The oldest opset that a whole graph is written in.
const FIRM: i64 = 13;

/// The oldest opset that is written.
const OLDEST: i64 = 9;

/// Why a graph cannot be written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)]
pub enum SpellError {
    #[error("\"{tensor}\" would have {elements} elements\nhint: no image classifier needs that; is the file damaged?")]
    TooLarge { tensor: String, elements: usize },
    #[error(
        "{node} cannot be written in opset {opset}: opset {since} changed `{op}`, the file is in {file}\nhint: convert the model with `onnx.version_converter`, or export it anew in opset 13 or newer"
    )]
    Outlived { node: String, op: String, since: i64, file: i64, opset: i64 },
    #[error("{node} cannot be written in opset {opset}: it needs opset {since}")]
    TooOld { node: String, op: String, since: i64, opset: i64 },
    #[error("the size of \"{tensor}\" is {size} for a batch of {batch}")]
    Size { tensor: String, size: i64, batch: usize },
}

/// A splat below this many bytes is written out, above it becomes a ConstantOfShape.
const DENSE_SPLAT: usize = 1 << 20;

/// Bytes of splats that are written out in all.
const DENSE_BUDGET: usize = 64 << 20;

/// Writes what the graph's outputs need.
pub fn spell(graph: &Graph, spelling: &Spelling) -> Result<ModelProto, SpellError> {
    let mut writer = Writer::new(graph, spelling.opset, Batch::Fixed(spelling.batch));
    writer.file.name = Some("onnxcam".to_owned());
    for input in &graph.inputs {
        let value = writer.value_info(*input)?;
        writer.file.input.push(value);
    }
    let needed = graph.needed_for(&graph.outputs);
    let nodes = graph.nodes().iter().zip(needed).filter(|(_, needed)| *needed).map(|(node, _)| node);
    for node in nodes.clone() {
        writer.node(node)?;
    }
    for output in &graph.outputs {
        writer.output(*output)?;
    }
    name_once(&mut writer.file.node);
    let (functions, foreign) = carried::needs(graph, nodes);
    let mut opset_import = vec![import("", spelling.opset)];
    opset_import.extend(foreign.iter().map(|(domain, version)| import(domain, *version)));
    Ok(ModelProto {
        ir_version: Some(ir_version(spelling.opset)),
        producer_name: Some("onnxcam".to_owned()),
        producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        opset_import,
        graph: Some(writer.file),
        functions,
        ..Default::default()
    })
}

/// A node of the file may have become several: the last one keeps its name.
fn name_once(nodes: &mut [NodeProto]) {
    let mut seen = HashSet::new();
    for node in nodes.iter_mut().rev() {
        node.name = node.name.take().filter(|name| seen.insert(name.clone()));
    }
}

fn import(domain: &str, version: i64) -> OperatorSetIdProto {
    OperatorSetIdProto { domain: Some(domain.to_owned()), version: Some(version) }
}

/// The oldest IR version that may hold an opset (the table in ONNX's `docs/Versioning.md`).
fn ir_version(opset: i64) -> i64 {
    match opset {
        ..=18 => 8,
        19..=20 => 9,
        21..=22 => 10,
        23 => 11,
        24 => 12,
        25 => 13,
        _ => 14,
    }
}

struct Writer<'g> {
    graph: &'g Graph,
    opset: i64,
    batch: Batch,
    file: GraphProto,
    /// Constants that spelling adds, by content, so that each stands once.
    made: HashMap<Vec<i64>, String>,
    /// Sizes that the run knows, likewise.
    sizes: HashMap<Vec<Dim>, String>,
    /// Constants that are written.
    written: HashSet<Tensor>,
    named: HashSet<String>,
    /// Outputs that are written.
    given: HashSet<Tensor>,
    /// The opset of carried nodes.
    file_opset: Option<i64>,
    dense_left: usize,
    count: usize,
    /// What stands in the file already, where there is one to write behind.
    host: Option<Host>,
    /// Names that are not the graph's.
    renamed: HashMap<Tensor, String>,
}

impl<'g> Writer<'g> {
    fn new(graph: &'g Graph, opset: i64, batch: Batch) -> Writer<'g> {
        Writer {
            graph,
            opset,
            batch,
            file: GraphProto::default(),
            made: HashMap::new(),
            sizes: HashMap::new(),
            written: HashSet::new(),
            named: HashSet::new(),
            given: HashSet::new(),
            file_opset: carried::opset_of(graph),
            dense_left: DENSE_BUDGET,
            count: 0,
            host: None,
            renamed: HashMap::new(),
        }
    }
}

impl Writer<'_> {
    fn name(&self, t: Tensor) -> String {
        self.renamed.get(&t).cloned().unwrap_or_else(|| self.graph.tensor(t).name.to_string())
    }

    fn fresh(&mut self, stem: &str) -> String {
        loop {
            self.count += 1;
            let name = format!("{}spelled.{stem}{}", crate::PREFIX, self.count);
            if self.graph.find(&name).is_none() && !self.host.as_ref().is_some_and(|host| host.makes(&name)) {
                return name;
            }
        }
    }

    fn value_info(&self, t: Tensor) -> Result<ValueInfoProto, SpellError> {
        let info = self.graph.tensor(t);
        let shape = match &info.shape {
            None => None,
            Some(shape) => {
                let size = |d: &Dim| Ok(Dimension { value: Some(self.declared(*d, &info.name)?), denotation: None });
                Some(TensorShapeProto { dim: shape.iter().map(size).collect::<Result<_, _>>()? })
            }
        };
        let tensor = type_proto::Tensor { elem_type: info.dtype.map(|t| t as i32), shape };
        let known = info.dtype.is_some();
        Ok(ValueInfoProto {
            name: Some(self.name(t)),
            r#type: known.then_some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), denotation: None }),
            ..Default::default()
        })
    }

    /// An output of the graph; one that is an input or a constant, or an output already, goes through Identity.
    fn output(&mut self, t: Tensor) -> Result<(), SpellError> {
        let mut value = self.value_info(t)?;
        if self.graph.producer_index(t).is_none() || !self.given.insert(t) {
            let name = self.fresh("output");
            let input = self.input(t)?;
            self.push("Identity", vec![input], vec![name.clone()], vec![]);
            value.name = Some(name);
        }
        self.file.output.push(value);
        Ok(())
    }

    /// The name of a tensor, its value written where it is a constant.
    fn input(&mut self, t: Tensor) -> Result<String, SpellError> {
        let name = self.name(t);
        if self.is_hosted(t) {
            return Ok(self.hosted(t, name));
        }
        let Some(known) = &self.graph.tensor(t).known else { return Ok(name) };
        if self.graph.producer_index(t).is_some() || !self.written.insert(t) {
            return Ok(name);
        }
        match known {
            Known::Constant(constant) => self.constant(&name, constant)?,
            Known::Dims(dims) => self.known_sizes(t, &name, dims)?,
        }
        Ok(name)
    }

    fn constant(&mut self, name: &str, constant: &Constant) -> Result<(), SpellError> {
        if i64::try_from(constant.len()).is_ok_and(|n| n > LARGEST) {
            return Err(SpellError::TooLarge { tensor: printable(name), elements: constant.len() });
        }
        let dense = constant.as_splat().is_none() || self.afford(constant.len() * constant.dtype().size());
        match constant.bytes() {
            Ok(bytes) if dense => self.initializer(TensorProto {
                dims: constant.dims().iter().map(|d| *d as i64).collect(),
                data_type: Some(constant.dtype() as i32),
                name: Some(name.to_owned()),
                raw_data: Some(bytes),
                ..Default::default()
            }),
            _ => {
                let shape: Vec<i64> = constant.dims().iter().map(|d| *d as i64).collect();
                let shape = self.integers(&shape);
                let element = constant.as_splat().and_then(|one| one.bytes().ok()).unwrap_or_default();
                let value = TensorProto {
                    dims: vec![1],
                    data_type: Some(constant.dtype() as i32),
                    raw_data: Some(element),
                    ..Default::default()
                };
                self.push("ConstantOfShape", vec![shape], vec![name.to_owned()], vec![tensor_attribute(value)]);
            }
        }
        Ok(())
    }

    /// A constant; a node where the file is of an IR version that has every initializer among the inputs.
    fn initializer(&mut self, tensor: TensorProto) {
        if !self.host.as_ref().is_some_and(|host| host.lists_initializers) {
            return self.file.initializer.push(tensor);
        }
        let name = tensor.name.clone().unwrap_or_default();
        self.push("Constant", vec![], vec![name], vec![tensor_attribute(tensor)]);
    }

    /// Whether a splat of so many bytes is written out.
    fn afford(&mut self, bytes: usize) -> bool {
        let left = self.dense_left.checked_sub(bytes).filter(|_| bytes <= DENSE_SPLAT);
        self.dense_left = left.unwrap_or(self.dense_left);
        left.is_some()
    }

    /// A constant of int64s with one axis.
    fn integers(&mut self, values: &[i64]) -> String {
        if let Some(name) = self.made.get(values) {
            return name.clone();
        }
        let name = self.fresh("i");
        self.made.insert(values.to_vec(), name.clone());
        self.initializer(TensorProto {
            dims: vec![values.len() as i64],
            data_type: Some(DataType::I64 as i32),
            name: Some(name.clone()),
            raw_data: Some(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into()),
            ..Default::default()
        });
        name
    }

    /// A constant scalar of a tensor's element type.
    fn scalar(&mut self, value: f32, like: Tensor) -> String {
        let dtype = self.graph.tensor(like).dtype.unwrap_or(DataType::F32);
        let constant = Constant::floats(dtype, &[], &[f64::from(value)])
            .or_else(|| Constant::integers(dtype, &[], &[value as i64]));
        let name = self.fresh("c");
        self.initializer(TensorProto {
            data_type: Some(dtype as i32),
            name: Some(name.clone()),
            raw_data: constant.and_then(|c| c.bytes().ok()),
            ..Default::default()
        });
        name
    }

    fn push(&mut self, op: &str, input: Vec<String>, output: Vec<String>, attribute: Vec<AttributeProto>) {
        self.file.node.push(NodeProto { op_type: Some(op.to_owned()), input, output, attribute, ..Default::default() });
    }

    fn node(&mut self, node: &Node) -> Result<(), SpellError> {
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            inputs.push(input.map_or(Ok(String::new()), |t| self.input(t))?);
        }
        let mut outputs = Vec::with_capacity(node.outputs.len());
        for output in &node.outputs {
            outputs.push(match output {
                None => String::new(),
                Some(t) if self.is_hosted(*t) => self.fresh("again"), // A node of several outputs, of which the file has this.
                Some(t) => self.name(*t),
            });
        }
        if let Some(carried) = &node.carried {
            return self.carried(node, carried, inputs, outputs);
        }
        let first = self.file.node.len();
        self.canonical(node, inputs, outputs)?;
        let name = self.node_name(node);
        if let Some(written) = self.file.node[first..].last_mut() {
            written.name = name;
        }
        Ok(())
    }

    /// The node's name, once: one node of the file may have become several, and ONNX Runtime wants names to differ.
    fn node_name(&mut self, node: &Node) -> Option<String> {
        let new = !node.name.is_empty() && self.named.insert(node.name.clone());
        new.then(|| node.name.clone())
    }

    fn carried(
        &mut self,
        node: &Node,
        carried: &Carried,
        mut inputs: Vec<String>,
        outputs: Vec<String>,
    ) -> Result<(), SpellError> {
        let opset = self.opset;
        let file = self.file_opset.unwrap_or(opset);
        if let Some((op, since)) = carried::outlived(&node.op, carried, file, opset) {
            let (node, op) = (self.graph.describe(node), printable(op));
            return Err(SpellError::Outlived { node, op, since, file, opset });
        }
        let captured = inputs.split_off(carried.own_inputs(inputs.len()));
        let name = self.node_name(node);
        self.file.node.push(NodeProto {
            name,
            op_type: Some(node.op.to_string()),
            domain: Some(carried.domain.clone()),
            overload: Some(carried.overload.clone()).filter(|o| !o.is_empty()),
            input: inputs,
            output: outputs,
            attribute: carried::attributes(carried, &captured),
            ..Default::default()
        });
        Ok(())
    }
}

fn tensor_attribute(tensor: TensorProto) -> AttributeProto {
    AttributeProto {
        name: Some("value".to_owned()),
        r#type: Some(AttributeType::Tensor as i32),
        t: Some(tensor),
        ..Default::default()
    }
}

/// An attribute that is none of sizes.
fn named_attribute(name: &str, value: &Attribute) -> AttributeProto {
    let mut proto = AttributeProto { name: Some(name.to_owned()), ..Default::default() };
    let kind = match value {
        Attribute::Int(i) => {
            proto.i = Some(*i);
            AttributeType::Int
        }
        Attribute::Float(f) => {
            proto.f = Some(*f);
            AttributeType::Float
        }
        Attribute::Text(s) => {
            proto.s = Some(s.clone().into());
            AttributeType::String
        }
        Attribute::Ints(ints) => {
            proto.ints = ints.clone();
            AttributeType::Ints
        }
        Attribute::Dims(_) => unreachable!("sizes are inputs"),
    };
    proto.r#type = Some(kind as i32);
    proto
}
