//! From a file's nodes to the canonical view.
//!
//! One walk in topological order. Each node is *settled*: what its opset means is written out as canonical nodes
//! (defaults explicit, axes counted from the front, sizes folded with the batch symbolic), Identity and Dropout
//! become further names of their input, calls of local functions are replaced by the function's body. A node that we
//! do not know, or not in that form, is carried as it is with the reason; only a computation that has to be
//! differentiated minds. Branches on a known condition and loops of known turns are replaced by what they come to.
//!
//! Every tensor of the file keeps its name.

mod ancient;
mod attention;
mod calls;
mod composite;
mod einsum;
mod elementwise;
mod file_node;
mod formulas;
mod indexing;
mod inputs;
mod layout;
mod linear;
mod loops;
mod masks;
mod normalise;
mod norms;
mod order;
mod quantise;
mod reduce;
mod resize;
mod sequences;
mod single;
mod unpool;
mod vendor;
mod weights;
mod window;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;

use calls::Functions;
use file_node::{FileNode, Refusal, Settle};
use order::{captured, topological_order};
pub(crate) use order::{describe, reads, subgraphs};
pub(crate) use single::in_single_precision;

use crate::constant::Constant;
use crate::emit::Emit;
use crate::graph::{Carried, Graph, Tensor};
use crate::model::{Model, ModelError, constant_of};
use crate::module_path::module_path;
use crate::ops::Signature;
use crate::proto::{AttributeProto, GraphProto, NodeProto, ValueInfoProto};
use crate::text::printable;

/// What the caller knows better than the file.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Height and width of the image where the file leaves them open; 224 × 224 when this does too.
    pub input_size: Option<(usize, usize)>,
    /// Fixes a batch that the file leaves open.
    pub batch: Option<usize>,
    /// Values of inputs besides the picture, by name: one number for all elements, or one for each. From there on such an
    /// input is a constant; a size that the file leaves open is 1.
    pub values: Vec<(String, Vec<f64>)>,
    /// Reads a file in half or double precision as if it were written in float32; its weights keep their values.
    pub single_precision: bool,
}

/// The canonical view of a model.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The graph.
    pub graph: Graph,
    /// What was assumed, and where the file contradicts itself; sentences for the user.
    pub notes: Vec<String>,
    /// Whether neither file nor caller say how large the picture is.
    pub assumed_size: bool,
}

/// The operators that files have, by family, with what settles them.
const FAMILIES: &[&[(&str, Settle)]] = &[
    ancient::OPERATORS,
    attention::OPERATORS,
    composite::OPERATORS,
    einsum::OPERATORS,
    elementwise::OPERATORS,
    formulas::OPERATORS,
    indexing::OPERATORS,
    layout::OPERATORS,
    linear::OPERATORS,
    masks::OPERATORS,
    normalise::OPERATORS,
    norms::OPERATORS,
    quantise::OPERATORS,
    reduce::OPERATORS,
    resize::OPERATORS,
    unpool::OPERATORS,
    window::OPERATORS,
];

/// Every operator that is read: its domain, empty for the standard one, and its name.
pub fn operators() -> impl Iterator<Item = (&'static str, &'static str)> {
    let standard = FAMILIES.iter().copied().flatten().map(|(name, _)| ("", *name));
    standard.chain(vendor::OPERATORS.iter().map(|(name, _)| (vendor::DOMAIN, *name)))
}

/// What a note says of nodes that were exported in training mode, and are run as in the trained network.
pub const TRAINING_MODE: &str = "exported in training mode";

/// Opsets that are read.
pub const OPSETS: std::ops::RangeInclusive<i64> = 1..=28;

/// The canonical view of a model.
///
/// A file whose nodes only fit together for one image at a time, whatever its input declares, is read so.
pub fn import(model: &Model, options: &ImportOptions) -> Result<Imported, ModelError> {
    if options.single_precision
        && let Some((proto, types)) = in_single_precision(model.proto())?
    {
        let mut imported = import_as_it_is(&model.with_proto(proto), options)?;
        imported.notes.push(format!("the file is in {types}; it is computed in float32 here"));
        return Ok(imported);
    }
    import_as_it_is(model, options)
}

fn import_as_it_is(model: &Model, options: &ImportOptions) -> Result<Imported, ModelError> {
    let imported = walk(model, options)?;
    let carried = |i: &Imported| i.graph.nodes().iter().filter(|n| n.carried.is_some()).count();
    let mut inputs = imported.graph.inputs.iter().filter_map(|t| imported.graph.shape(*t));
    let open = inputs.any(|shape| shape.iter().any(|d| d.is_symbolic()));
    if !open || carried(&imported) == 0 {
        return Ok(imported);
    }
    let mut single = walk(model, &ImportOptions { batch: Some(1), ..options.clone() })?;
    if carried(&single) >= carried(&imported) {
        return Ok(imported);
    }
    single.notes.push("the network's nodes only fit together for a batch of 1; it is run so".to_owned());
    Ok(single)
}

fn walk(model: &Model, options: &ImportOptions) -> Result<Imported, ModelError> {
    let file = model.graph();
    let opset = model.opset();
    if opset == 0 {
        return Err(ModelError::NoOpset);
    }
    if !OPSETS.contains(&opset) {
        return Err(ModelError::Opset { opset, oldest: *OPSETS.start(), newest: *OPSETS.end() });
    }
    let mut graph = Graph::new();
    graph.opsets = model.opsets();
    graph.opsets.iter_mut().filter(|(d, _)| standard(d)).for_each(|(_, v)| *v = ancient::RAISED.max(*v));
    graph.functions = model.proto().functions.clone();
    let names = file.node.iter().flat_map(|n| &n.output).chain(file.input.iter().flat_map(|v| &v.name));
    names.for_each(|name| graph.reserve(name));

    let mut scope = Scope::new();
    weights::declare(file, &mut graph, &mut scope, true)?;
    let mut notes = Vec::new();
    let declared = inputs::declare(file, options, &mut graph, &mut scope, &mut notes)?;

    let outputs = file.output.iter().map(|v| v.name.as_deref().unwrap_or_default());
    let frame = Frame::new(opset, 0, &file.node, outputs.clone());
    let functions = Functions::new(&model.proto().functions);
    let (e, of_many, sequences) = (Emit::new(&mut graph), Vec::new(), HashMap::new());
    let mut walk = Walk { e, functions, declared, of_many, sequences };
    for index in topological_order(&file.node)? {
        walk.node(&file.node[index], &frame, &mut scope)?;
    }
    let Walk { e, declared, of_many, .. } = walk;
    e.finish().map_err(ModelError::Emit)?;
    notes.extend(of_many.iter().map(NoteOfMany::to_string));

    for name in outputs {
        let t = scope.get(name).copied().ok_or_else(|| ModelError::NeverMade {
            tensor: printable(name),
            reader: "an output of the graph".to_owned(),
        })?;
        graph.outputs.push(t);
    }
    inputs::check_declared(file, &declared, &graph, &scope, &mut notes);
    Ok(Imported { graph, notes, assumed_size: declared.assumed_size })
}

fn standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// Why an operator that no table has is carried.
fn unknown(domain: &str, op: &str) -> String {
    let values = "the shape of its output depends on values that only a run knows";
    match (standard(domain), op) {
        (true, "NonZero" | "Unique" | "Compress" | "NonMaxSuppression") => values.to_owned(),
        (true, "GridSample" | "AffineGrid" | "RoiAlign" | "MaxRoiPool" | "DeformConv") => {
            "sampling at places that the network computes is not supported here".to_owned()
        }
        (true, _) => "this operator is not known here".to_owned(),
        (false, _) => format!("this operator of the domain `{}` is not known here", printable(domain)),
    }
}

type Scope = HashMap<String, Tensor>;

/// The inputs of a node; absent ones are none.
type Inputs = Vec<Option<Tensor>>;

/// What a walk through one list of nodes knows: the file's own, or a function's.
struct Frame<'n> {
    opset: i64,
    /// How many calls it is away from the file's own nodes.
    depth: usize,
    /// Every name that somebody reads.
    read: HashSet<&'n str>,
}

impl<'n> Frame<'n> {
    fn new(opset: i64, depth: usize, nodes: &'n [NodeProto], outputs: impl Iterator<Item = &'n str>) -> Frame<'n> {
        Frame { opset, depth, read: nodes.iter().flat_map(reads).chain(outputs).collect() }
    }
}

struct Walk<'m, 'g> {
    e: Emit<'g>,
    functions: Functions<'m>,
    declared: inputs::Declared,
    of_many: Vec<NoteOfMany>,
    /// The elements of those sequences that nodes have put together.
    sequences: HashMap<Tensor, Vec<Tensor>>,
}

/// What holds for several nodes.
struct NoteOfMany {
    note: &'static str,
    /// The operator, and the first of the nodes in words.
    op: String,
    first: String,
    nodes: usize,
}

impl fmt::Display for NoteOfMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.nodes {
            1 => write!(f, "{} is {}", self.first, self.note),
            n => write!(f, "{} and {} more of its kind are {}", self.first, n - 1, self.note),
        }
    }
}

impl Walk<'_, '_> {
    fn node(&mut self, proto: &NodeProto, frame: &Frame, scope: &mut Scope) -> Result<(), ModelError> {
        let inputs = self.inputs(proto, scope)?;
        if let Some(function) = self.functions.called(proto) {
            let outputs = self.call(function, proto, &inputs, frame.depth + 1)?;
            return self.bind(proto, outputs, frame, scope);
        }
        if let Some(branch) = self.taken(proto, &inputs) {
            let outputs = self.branch(branch, proto, scope, frame)?;
            return self.bind(proto, outputs, frame, scope);
        }
        if let Some(counted) = self.counted(proto, &inputs)
            && let Some(outputs) = self.unroll(counted, proto, &inputs, scope, frame)?
        {
            return self.bind(proto, outputs, frame, scope);
        }
        if let Some(outputs) = self.sequence(proto, &inputs, scope, frame)? {
            return self.bind(proto, outputs, frame, scope);
        }
        self.e.mark();
        let (raised, inputs) = self.raised(proto, frame, inputs)?;
        let proto = &*raised;
        let (nodes, tensors) = self.size();
        let outputs = match self.settle(proto, frame, &inputs) {
            Ok(outputs) => outputs,
            Err(Refusal::TooLarge(reason)) => return Err(ModelError::TooLarge { node: describe(proto), reason }),
            Err(Refusal::Carry(reason)) => {
                self.e.graph_mut().truncate(nodes, tensors);
                self.carry(proto, inputs, scope, reason)?
            }
        };
        self.label(proto);
        self.bind(proto, outputs, frame, scope)
    }

    /// The node as opset 7 has it where it is older; foreign ones are as they are.
    fn raised<'p>(
        &self,
        proto: &'p NodeProto,
        frame: &Frame,
        inputs: Inputs,
    ) -> Result<(Cow<'p, NodeProto>, Inputs), ModelError> {
        if frame.opset >= ancient::RAISED || !standard(proto.domain()) {
            return Ok((Cow::Borrowed(proto), inputs));
        }
        let raised = ancient::raise(&self.e, proto, frame.opset, &inputs);
        let (node, inputs) =
            raised.map_err(|reason| ModelError::Ancient { node: describe(proto), opset: frame.opset, reason })?;
        Ok((Cow::Owned(node), inputs))
    }

    fn size(&self) -> (usize, usize) {
        let graph = self.e.graph();
        (graph.nodes().len(), graph.tensors().count())
    }

    fn inputs(&self, proto: &NodeProto, scope: &Scope) -> Result<Vec<Option<Tensor>>, ModelError> {
        let mut inputs = Vec::with_capacity(proto.input.len());
        for name in &proto.input {
            inputs.push(if name.is_empty() { None } else { Some(made(name, proto, scope)?) });
        }
        while inputs.last() == Some(&None) {
            inputs.pop();
        }
        Ok(inputs)
    }

    fn settle(
        &mut self,
        proto: &NodeProto,
        frame: &Frame,
        inputs: &[Option<Tensor>],
    ) -> Result<Vec<Option<Tensor>>, Refusal> {
        let op = proto.op_type.as_deref().unwrap_or("");
        let domain = proto.domain.as_deref().unwrap_or("");
        if !OPSETS.contains(&frame.opset) {
            return Err(format!("its function is written in opset {}", frame.opset).into());
        }
        let families = match domain {
            vendor::DOMAIN => &[vendor::OPERATORS],
            _ if standard(domain) => FAMILIES,
            _ => return Err(format!("its domain is `{}`, not the standard one", printable(domain)).into()),
        };
        let settle = families.iter().copied().flatten().find(|(name, _)| *name == op);
        let (_, settle) = settle.ok_or_else(|| unknown(domain, op))?;
        let wanted = proto.output.iter().map(|name| !name.is_empty() && frame.read.contains(name.as_str())).collect();
        let node = FileNode::new(&self.e, proto, frame.opset.max(ancient::RAISED), inputs, wanted);
        let settled = settle(&node);
        if let Some(error) = self.e.take_error() {
            return Err(error.into());
        }
        let outputs = settled?;
        node.check_all_read()?;
        let missing = |(i, name): &(usize, &String)| {
            outputs.get(*i).copied().flatten().is_none() && frame.read.contains(name.as_str()) && !name.is_empty()
        };
        if let Some((i, _)) = proto.output.iter().enumerate().find(missing) {
            return Err(format!("its output {i} is read, which is not supported here").into());
        }
        for note in node.into_notes() {
            match self.of_many.iter_mut().find(|many| many.note == note && many.op == op) {
                Some(many) => many.nodes += 1,
                None => self.of_many.push(NoteOfMany { note, op: op.to_owned(), first: describe(proto), nodes: 1 }),
            }
        }
        Ok(outputs)
    }

    /// Takes the node over as it is. Its outputs have the shapes that the file declares for them.
    fn carry(
        &mut self,
        proto: &NodeProto,
        mut inputs: Vec<Option<Tensor>>,
        scope: &Scope,
        reason: String,
    ) -> Result<Vec<Option<Tensor>>, ModelError> {
        let captured: Vec<String> = captured(proto).into_iter().map(str::to_owned).collect();
        for name in &captured {
            inputs.push(Some(made(name, proto, scope)?));
        }
        let outputs = proto
            .output
            .iter()
            .map(|name| (!name.is_empty()).then(|| self.declared.signature(name).unwrap_or(Signature::UNKNOWN)))
            .collect();
        let carried = Carried {
            domain: proto.domain.clone().unwrap_or_default(),
            overload: proto.overload.clone().unwrap_or_default(),
            attributes: proto.attribute.clone(),
            captured,
            reason,
        };
        Ok(self.e.carry(proto.op_type.as_deref().unwrap_or(""), inputs, outputs, carried))
    }

    fn label(&self, proto: &NodeProto) {
        let (first, end) = self.e.mark();
        let module = module_path(proto);
        let name = proto.name.as_deref().unwrap_or("");
        for index in first..end {
            self.e.graph_mut().label_node(index, name, &module);
        }
    }

    /// Makes a node's outputs known by their names; names inside a function are its own affair.
    fn bind(
        &self,
        proto: &NodeProto,
        outputs: Vec<Option<Tensor>>,
        frame: &Frame,
        scope: &mut Scope,
    ) -> Result<(), ModelError> {
        for (name, t) in proto.output.iter().zip(outputs) {
            let Some(t) = t.filter(|_| !name.is_empty()) else { continue };
            if frame.depth == 0 {
                self.e.graph_mut().name(t, name);
            }
            if scope.insert(name.clone(), t).is_some() {
                return Err(ModelError::MadeTwice {
                    tensor: printable(name),
                    first: "an input or initializer".to_owned(),
                    second: describe(proto),
                });
            }
        }
        Ok(())
    }
}

/// The tensor of this name, which a node reads.
fn made(name: &str, reader: &NodeProto, scope: &Scope) -> Result<Tensor, ModelError> {
    let t = scope.get(name).copied();
    t.ok_or_else(|| ModelError::NeverMade { tensor: printable(name), reader: describe(reader) })
}

/// The declared types and shapes of a file's tensors by name.
fn declared_values(file: &GraphProto) -> impl Iterator<Item = (&str, &ValueInfoProto)> {
    file.value_info.iter().chain(&file.output).filter_map(|v| Some((v.name.as_deref()?, v)))
}

/// A constant of a node's tensor attribute.
fn attribute_constant(attribute: &AttributeProto) -> Result<Constant, Refusal> {
    let proto = attribute.t.as_ref().ok_or("its tensor attribute is empty")?;
    constant_of(proto).map_err(|error| Refusal::Carry(error.to_string()))
}
