//! A graph as ONNX again: canonical nodes in the form that an opset wants, for one batch size.
//!
//! Where opsets differ (axes as attribute or input, …) is known here and nowhere else.

use std::collections::{HashMap, HashSet};

use crate::attributes::{Attribute, Attributes};
use crate::carried;
use crate::constant::Constant;
use crate::dim::Dim;
use crate::dtype::DataType;
use crate::graph::{Carried, Graph, Known, Node, Tensor};
use crate::ops::{LARGEST, Window, pool_extent};
use crate::proto::{
    AttributeProto, AttributeType, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use crate::text::printable;

/// How to write a graph.
#[derive(Clone, Copy, Debug)]
pub struct Spelling {
    /// The standard operator set to write in, 13 or newer.
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
            _ if node.carried.is_some() => OLDEST,
            "AveragePool" if node.attributes.ints("dilations").iter().any(|d| *d != 1) => 19,
            "HardSwish" => 14,
            "ReduceMax" | "ReduceMin" if of(node) == Some(DataType::Bool) => 20,
            "QuantizeLinear" if wide(dtype(node.outputs.first())) => 21,
            "DequantizeLinear" if wide(of(node)) => 21,
            "QuantizeLinear" | "DequantizeLinear" if dtype(node.inputs.get(1)) != Some(DataType::F32) => 19,
            "Mod" if of(node).is_some_and(DataType::is_float) => 28,
            "ScatterElements" => match node.attributes.text("reduction") {
                "none" => OLDEST,
                "add" | "mul" => 16,
                _ => 18,
            },
            _ => OLDEST,
        };
        let base = match carried::opset_of(graph) {
            Some(file) if file >= OLDEST => file,
            _ => 17,
        };
        Spelling { opset: graph.nodes().iter().map(needs).fold(base, i64::max), batch }
    }
}

/// The oldest opset that is written.
const OLDEST: i64 = 13;

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
    #[error("the size of \"{tensor}\" is {size} for a batch of {batch}")]
    Size { tensor: String, size: i64, batch: usize },
}

/// A splat below this many bytes is written out, above it becomes a ConstantOfShape.
const DENSE_SPLAT: usize = 1 << 20;

/// Bytes of splats that are written out in all.
const DENSE_BUDGET: usize = 64 << 20;

/// Writes what the graph's outputs need.
pub fn spell(graph: &Graph, spelling: &Spelling) -> Result<ModelProto, SpellError> {
    let mut writer = Writer {
        graph,
        spelling,
        file: GraphProto::default(),
        made: HashMap::new(),
        written: HashSet::new(),
        named: HashSet::new(),
        given: HashSet::new(),
        file_opset: carried::opset_of(graph),
        dense_left: DENSE_BUDGET,
        count: 0,
    };
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
    spelling: &'g Spelling,
    file: GraphProto,
    /// Constants that spelling adds, by content, so that each stands once.
    made: HashMap<Vec<i64>, String>,
    /// Constants that are written.
    written: HashSet<Tensor>,
    named: HashSet<String>,
    /// Outputs that are written.
    given: HashSet<Tensor>,
    /// The opset of carried nodes.
    file_opset: Option<i64>,
    dense_left: usize,
    count: usize,
}

impl Writer<'_> {
    fn name(&self, t: Tensor) -> String {
        self.graph.tensor(t).name.to_string()
    }

    fn fresh(&mut self, stem: &str) -> String {
        loop {
            self.count += 1;
            let name = format!("{}spelled.{stem}{}", crate::PREFIX, self.count);
            if self.graph.find(&name).is_none() {
                return name;
            }
        }
    }

    fn size(&self, dim: Dim, tensor: &str) -> Result<i64, SpellError> {
        let size = dim.at(self.spelling.batch);
        if size < 0 {
            return Err(SpellError::Size { tensor: printable(tensor), size, batch: self.spelling.batch });
        }
        Ok(size)
    }

    fn value_info(&self, t: Tensor) -> Result<ValueInfoProto, SpellError> {
        let info = self.graph.tensor(t);
        let shape = match &info.shape {
            None => None,
            Some(shape) => {
                let size = |d: &Dim| {
                    let size = DimensionValue::DimValue(self.size(*d, &info.name)?);
                    Ok(Dimension { value: Some(size), denotation: None })
                };
                Some(TensorShapeProto { dim: shape.iter().map(size).collect::<Result<_, _>>()? })
            }
        };
        let tensor = type_proto::Tensor { elem_type: info.dtype.map(|t| t as i32), shape };
        let known = info.dtype.is_some();
        Ok(ValueInfoProto {
            name: Some(info.name.to_string()),
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
        let Some(known) = &self.graph.tensor(t).known else { return Ok(name) };
        if self.graph.producer_index(t).is_some() || !self.written.insert(t) {
            return Ok(name);
        }
        match known {
            Known::Constant(constant) => self.constant(&name, constant)?,
            Known::Dims(dims) => {
                let values: Vec<i64> = dims.iter().map(|d| d.at(self.spelling.batch)).collect();
                let shape = self.graph.shape(t).unwrap_or_default();
                let shape: Vec<usize> = shape.iter().map(|d| d.at(self.spelling.batch) as usize).collect();
                let dtype = self.graph.tensor(t).dtype.unwrap_or(DataType::I64);
                let constant = Constant::integers(dtype, &shape, &values);
                self.constant(&name, &constant.unwrap_or_else(|| Constant::i64s(&shape, &values)))?;
            }
        }
        Ok(name)
    }

    fn constant(&mut self, name: &str, constant: &Constant) -> Result<(), SpellError> {
        if i64::try_from(constant.len()).is_ok_and(|n| n > LARGEST) {
            return Err(SpellError::TooLarge { tensor: printable(name), elements: constant.len() });
        }
        let dense = constant.as_splat().is_none() || self.afford(constant.len() * constant.dtype().size());
        match constant.bytes() {
            Ok(bytes) if dense => self.file.initializer.push(TensorProto {
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
                let value = AttributeProto {
                    name: Some("value".to_owned()),
                    r#type: Some(AttributeType::Tensor as i32),
                    t: Some(value),
                    ..Default::default()
                };
                self.push("ConstantOfShape", vec![shape], vec![name.to_owned()], vec![value]);
            }
        }
        Ok(())
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
        self.file.initializer.push(TensorProto {
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
        self.file.initializer.push(TensorProto {
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
        let outputs: Vec<String> = node.outputs.iter().map(|t| t.map_or(String::new(), |t| self.name(t))).collect();
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
        let opset = self.spelling.opset;
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

    fn canonical(&mut self, node: &Node, mut inputs: Vec<String>, outputs: Vec<String>) -> Result<(), SpellError> {
        let a = &node.attributes;
        let x = node.inputs.first().copied().flatten();
        let mut left_out: &[&str] = &[];
        match &*node.op {
            "Reshape" | "Expand" => {
                let shape: Result<Vec<i64>, _> = a.dims("shape").iter().map(|d| self.size(*d, &outputs[0])).collect();
                inputs.push(self.integers(&shape?));
                left_out = &["shape"];
            }
            "Clip" => {
                let like = x.expect("Clip has an input");
                let (min, max) = (a.float("min"), a.float("max"));
                inputs.push(if min == f32::NEG_INFINITY { String::new() } else { self.scalar(min, like) });
                if max != f32::INFINITY {
                    inputs.push(self.scalar(max, like));
                }
                left_out = &["min", "max"];
            }
            "Slice" => {
                let (starts, counts, steps) = (a.ints("starts"), a.ints("counts"), a.ints("steps"));
                let ends: Vec<i64> = (0..starts.len()).map(|i| end(starts[i], steps[i], counts[i])).collect();
                for list in [starts, &ends, a.ints("axes"), steps] {
                    inputs.push(self.integers(list));
                }
                left_out = &["axes", "starts", "steps", "counts"];
            }
            "Pad" => {
                inputs.push(self.integers(a.ints("pads")));
                if a.text("mode") == "constant" {
                    inputs.push(self.scalar(a.float("value"), x.expect("Pad has an input")));
                }
                left_out = &["pads", "value"];
            }
            "Split" => {
                inputs.push(self.integers(a.ints("split")));
                left_out = &["split"];
            }
            "Tile" => {
                inputs.push(self.integers(a.ints("repeats")));
                left_out = &["repeats"];
            }
            op if op.starts_with("Reduce") && (op == "ReduceSum" || self.spelling.opset >= 18) => {
                inputs.push(self.integers(a.ints("axes")));
                left_out = &["axes"];
            }
            "CumSum" => {
                inputs.push(self.integers(&[a.int("axis")]));
                left_out = &["axis"];
            }
            "TopK" => {
                inputs.push(self.integers(&[a.int("k")]));
                let attributes = a.iter().filter(|(name, _)| *name != "k").filter_map(attribute).collect();
                let values = self.fresh("top");
                self.push("TopK", inputs, [vec![values], outputs].concat(), attributes);
                return Ok(());
            }
            "ScatterElements" if a.text("reduction") == "none" => left_out = &["reduction"],
            "QuantizeLinear" if a.int("to") == DataType::I32 as i64 => {
                let to = attribute(("to", &Attribute::Int(a.int("to")))).into_iter().collect();
                self.push("Cast", vec![inputs.swap_remove(0)], outputs, to);
                return Ok(());
            }
            "QuantizeLinear" => left_out = &["to"], // The zero point's type says it.
            "AveragePool" if self.spelling.opset < 19 => left_out = &["dilations"],
            "Swish" if self.spelling.opset < 24 => {
                self.swish(a.float("alpha"), x.expect("Swish has an input"), inputs, outputs);
                return Ok(());
            }
            "ArgMax" => {
                self.first_maximum(node, inputs, outputs);
                return Ok(());
            }
            "MaxPool" | "AveragePool" if a.flag("ceil_mode") => {
                if let Some(pool) = hanging_pool(self.graph, node) {
                    self.hanging_pool(&node.op, pool, inputs, outputs);
                    return Ok(());
                }
            }
            _ => {}
        }
        let attributes = a.iter().filter(|(name, _)| !left_out.contains(name)).filter_map(attribute).collect();
        self.push(&node.op, inputs, outputs, attributes);
        Ok(())
    }

    /// x · sigmoid(αx), for opsets without Swish.
    fn swish(&mut self, alpha: f32, like: Tensor, inputs: Vec<String>, outputs: Vec<String>) {
        let x = inputs[0].clone();
        let scaled = if alpha == 1.0 {
            x.clone()
        } else {
            let (name, factor) = (self.fresh("swish"), self.scalar(alpha, like));
            self.push("Mul", vec![x.clone(), factor], vec![name.clone()], vec![]);
            name
        };
        let gate = self.fresh("swish");
        self.push("Sigmoid", vec![scaled], vec![gate.clone()], vec![]);
        self.push("Mul", vec![x, gate], outputs, vec![]);
    }

    /// A pool with its overhang as padding; padding that counts becomes zeros of its own before that.
    fn hanging_pool(&mut self, op: &str, pool: HangingPool, mut inputs: Vec<String>, outputs: Vec<String>) {
        if let Some(pads) = pool.counted {
            let (padded, pads) = (self.fresh("padded"), self.integers(&pads));
            let input = vec![std::mem::replace(&mut inputs[0], padded.clone()), pads];
            self.push("Pad", input, vec![padded], vec![]);
        }
        let attributes = pool.attributes.iter().filter(|(name, _)| *name != "dilations" || op == "MaxPool");
        let attributes = attributes.filter_map(attribute).collect();
        self.push(op, inputs, outputs, attributes);
    }

    /// ArgMax through TopK: of equal maxima rten's ArgMax takes the last one, its TopK the first, as the standard has it.
    fn first_maximum(&mut self, node: &Node, inputs: Vec<String>, outputs: Vec<String>) {
        let one = self.integers(&[1]);
        let (values, kept) = (self.fresh("top"), self.fresh("top"));
        let axis = node.attributes.int("axis");
        let flat = !node.attributes.flag("keepdims");
        let index = if flat { kept } else { outputs[0].clone() };
        let axis_attribute = attribute(("axis", &Attribute::Int(axis))).into_iter().collect();
        self.push("TopK", vec![inputs[0].clone(), one], vec![values, index.clone()], axis_attribute);
        if flat {
            let axes = self.integers(&[axis]);
            self.push("Squeeze", vec![index, axes], outputs, vec![]);
        }
    }
}

/// A pool without `ceil_mode`.
struct HangingPool {
    /// Pads of all axes with zeros that count.
    counted: Option<Vec<i64>>,
    attributes: Attributes,
}

/// A pool whose windows hang over the end, as one with that much more padding there, which does not count.
///
/// Engines and opsets differ in whether a window is dropped that would lie in the padding, and in what an overhang counts
/// for. `None` where more would be padded than the kernel holds, which engines refuse.
fn hanging_pool(graph: &Graph, node: &Node) -> Option<HangingPool> {
    let a = &node.attributes;
    let shape = graph.shape(node.inputs.first().copied()??)?;
    let windows = Window::all(a);
    let overhang = |(w, dim): (&Window, &Dim)| {
        let extent = dim.known()?;
        let end = (pool_extent(*w, extent, true) - 1) * w.stride + w.span();
        Some((end - extent - w.pads.0 - w.pads.1).max(0))
    };
    let hangs: Vec<i64> = windows.iter().zip(&shape[2..]).map(overhang).collect::<Option<_>>()?;
    let average = &*node.op == "AveragePool";
    let counts = average && a.flag("count_include_pad");
    let zeros = counts && hangs.iter().any(|h| *h > 0) && windows.iter().any(|w| w.pads != (0, 0));
    let each = |value: &dyn Fn(&Window) -> i64| windows.iter().map(value).collect::<Vec<i64>>();
    let (begins, ends) = (each(&|w| w.pads.0), each(&|w| w.pads.1));
    let counted = zeros.then(|| [&[0, 0], begins.as_slice(), &[0, 0], ends.as_slice()].concat());
    let uncounted = |declared: &[i64], more: &[i64]| -> Vec<i64> {
        declared.iter().zip(more).map(|(d, m)| if zeros { *m } else { d + m }).collect()
    };
    let pads = [uncounted(&begins, &vec![0; hangs.len()]), uncounted(&ends, &hangs)].concat();
    let fits = pads.iter().zip(windows.iter().chain(&windows)).all(|(pad, w)| *pad < w.kernel);
    let dense = windows.iter().all(|w| w.dilation == 1);
    let attributes = Attributes::none()
        .with("kernel_shape", each(&|w| w.kernel))
        .with("strides", each(&|w| w.stride))
        .with("dilations", each(&|w| w.dilation))
        .with("pads", pads)
        .with("ceil_mode", false);
    let hanging = hangs.iter().any(|h| *h > 0);
    let attributes = if average { attributes.with("count_include_pad", counts && !hanging) } else { attributes };
    (fits && dense).then_some(HangingPool { counted, attributes })
}

/// Where a slice of `count` elements ends: one behind the last; below zero there is no such index, so one far outside.
fn end(start: i64, step: i64, count: i64) -> i64 {
    let end = if count == 0 { start } else { start + step * (count - 1) + step.signum() };
    if end < 0 { i64::from(i32::MIN) } else { end }
}

fn attribute((name, value): (&'static str, &Attribute)) -> Option<AttributeProto> {
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
        Attribute::Dims(_) => return None, // Always an input, written above.
    };
    proto.r#type = Some(kind as i32);
    Some(proto)
}
