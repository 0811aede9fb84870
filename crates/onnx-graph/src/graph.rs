//! The graph: tensors by handle and name, nodes in topological order.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::attributes::Attributes;
use crate::constant::Constant;
use crate::dim::{Dim, Shape, show_shape};
use crate::dtype::DataType;
use crate::proto::AttributeProto;
use crate::text::printable;

/// Prefix of every name that is ours rather than the file's.
pub const PREFIX: &str = "onnxcam.";

/// The input of an explained graph that names a class for each picture; −1 stands for the predicted one.
pub const TARGET: &str = "onnxcam.target";

/// A handle of a tensor in one [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tensor(u32);

impl Tensor {
    /// Position among the graph's tensors.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What is known about a tensor before the graph runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// Its elements.
    Constant(Constant),
    /// Its elements, integers that may depend on the batch size; the tensor's shape says how they lie.
    Dims(Vec<Dim>),
}

impl Known {
    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        match self {
            Known::Constant(constant) => constant.len(),
            Known::Dims(dims) => dims.len(),
        }
    }
}

/// A tensor.
#[derive(Clone, Debug)]
pub struct TensorInfo {
    /// The file's name, or one of ours under [`PREFIX`].
    pub name: Arc<str>,
    /// Element type; `None` after an operator that we carry without understanding it.
    pub dtype: Option<DataType>,
    /// Shape; `None` likewise.
    pub shape: Option<Shape>,
    /// The value, where it is known.
    pub known: Option<Known>,
}

impl TensorInfo {
    /// `f32[N,512,7,7]`, with `?` for what is not known.
    pub fn signature(&self) -> String {
        let dtype = self.dtype.map_or("?".to_owned(), |t| t.to_string());
        let shape = self.shape.as_deref().map_or("[?]".to_owned(), show_shape);
        format!("{dtype}{shape}")
    }
}

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    /// The node's name in the file; empty for our own.
    pub name: String,
    /// Where a PyTorch exporter kept it: the path of the module that the node comes from, `layer4.1.relu`.
    pub module: String,
    /// Operator, in the default domain unless `carried` says otherwise.
    pub op: Arc<str>,
    /// Inputs; an optional one that is left out is `None`. What the subgraphs of a carried node read stands behind them.
    pub inputs: Vec<Option<Tensor>>,
    /// Outputs; likewise.
    pub outputs: Vec<Option<Tensor>>,
    /// Attributes in canonical form.
    pub attributes: Attributes,
    /// Set for a node that is taken over as the file has it, since we do not know its operator.
    pub carried: Option<Carried>,
}

/// A node of the file that is carried, not understood.
#[derive(Clone, Debug)]
pub struct Carried {
    /// Its domain, empty for the default one.
    pub domain: String,
    /// Its overload, for local functions.
    pub overload: String,
    /// Its attributes, subgraphs included.
    pub attributes: Vec<AttributeProto>,
    /// Names under which its subgraphs read the node's last inputs.
    pub captured: Vec<String>,
    /// Why we could not do better, for error messages.
    pub reason: String,
}

/// A computation: a classifier, a part of one, or one with its explanation.
///
/// Tensors are handles ([`Tensor`]) into a table; nodes stand in topological order, each tensor is made once.
/// Cloning copies no weights.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    tensors: Vec<TensorInfo>,
    by_name: HashMap<Arc<str>, Tensor>,
    nodes: Vec<Node>,
    producer: HashMap<Tensor, usize>,
    /// Tensors whose name is made up by us and gives way to the first real one.
    unnamed: HashSet<Tensor>,
    /// Names under our prefix that the file uses for tensors to come.
    reserved: HashSet<Arc<str>>,
    /// Inputs, in the file's order, weights left out.
    pub inputs: Vec<Tensor>,
    /// Outputs.
    pub outputs: Vec<Tensor>,
    /// Operator sets of the file by domain; what carried nodes are written in.
    pub opsets: Vec<(String, i64)>,
    /// Local functions of the file, for carried nodes that call them.
    pub functions: Vec<crate::proto::FunctionProto>,
    fresh: usize,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Graph {
        Graph::default()
    }

    /// A tensor's name, type, shape and value.
    pub fn tensor(&self, t: Tensor) -> &TensorInfo {
        &self.tensors[t.index()]
    }

    /// The tensor of this name; names that stand for the same tensor (through Identity, Dropout) are all known.
    pub fn find(&self, name: &str) -> Option<Tensor> {
        self.by_name.get(name).copied()
    }

    /// Every tensor.
    pub fn tensors(&self) -> impl Iterator<Item = Tensor> + use<> {
        (0..self.tensors.len() as u32).map(Tensor)
    }

    /// Every name with its tensor, further names of a tensor included; in no order.
    pub fn names(&self) -> impl Iterator<Item = (&str, Tensor)> {
        self.by_name.iter().map(|(name, t)| (&**name, *t))
    }

    /// Nodes in topological order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Index of the node that makes a tensor; `None` for inputs and constants.
    pub fn producer_index(&self, t: Tensor) -> Option<usize> {
        self.producer.get(&t).copied()
    }

    /// The node that makes a tensor.
    pub fn producer(&self, t: Tensor) -> Option<&Node> {
        self.producer_index(t).map(|i| &self.nodes[i])
    }

    /// Shape of a tensor, where it is known.
    pub fn shape(&self, t: Tensor) -> Option<&[Dim]> {
        self.tensor(t).shape.as_deref()
    }

    /// The elements of a constant tensor.
    pub fn constant(&self, t: Tensor) -> Option<&Constant> {
        match &self.tensor(t).known {
            Some(Known::Constant(constant)) => Some(constant),
            _ => None,
        }
    }

    /// Adds a tensor that no node makes yet. A taken or empty name is replaced by a fresh one.
    pub fn add_tensor(&mut self, info: TensorInfo) -> Tensor {
        let mut info = info;
        let t = Tensor(u32::try_from(self.tensors.len()).expect("fewer than 2³² tensors"));
        if info.name.is_empty() || self.by_name.contains_key(&info.name) {
            info.name = self.fresh_name("t");
            self.unnamed.insert(t);
        }
        self.by_name.insert(info.name.clone(), t);
        self.tensors.push(info);
        t
    }

    /// Adds a graph input.
    pub fn add_input(&mut self, name: &str, dtype: DataType, shape: Shape) -> Tensor {
        let info = TensorInfo { name: name.into(), dtype: Some(dtype), shape: Some(shape), known: None };
        let t = self.add_tensor(info);
        self.inputs.push(t);
        t
    }

    /// Adds a constant.
    pub fn add_constant(&mut self, name: &str, constant: Constant) -> Tensor {
        self.add_tensor(TensorInfo {
            name: name.into(),
            dtype: Some(constant.dtype()),
            shape: Some(constant.dims().iter().map(|d| Dim::from(*d)).collect()),
            known: Some(Known::Constant(constant)),
        })
    }

    /// Adds a node behind all others. Its inputs are older tensors, its outputs have no producer yet.
    pub fn push(&mut self, node: Node) {
        let index = self.nodes.len();
        for output in node.outputs.iter().flatten() {
            let earlier = self.producer.insert(*output, index);
            assert!(earlier.is_none(), "`{}` is made once", self.tensor(*output).name);
        }
        self.nodes.push(node);
    }

    /// Makes `name` stand for `t`: as its own name where it has only a made-up one, else as a further name.
    /// A name that is taken stays with its tensor.
    pub fn name(&mut self, t: Tensor, name: &str) {
        if name.is_empty() || self.by_name.contains_key(name) {
            return;
        }
        let name: Arc<str> = name.into();
        self.by_name.insert(name.clone(), t);
        if self.unnamed.remove(&t) {
            let own = std::mem::replace(&mut self.tensors[t.index()].name, name);
            self.by_name.remove(&own);
        }
    }

    /// Keeps a name under our prefix free for the tensor of the file that has it.
    pub(crate) fn reserve(&mut self, name: &str) {
        if name.starts_with(PREFIX) {
            self.reserved.insert(name.into());
        }
    }

    /// Keeps those names free that another graph does, and those of its tensors.
    pub(crate) fn reserve_as(&mut self, other: &Graph) {
        self.reserved = other.reserved.clone();
        other.by_name.keys().for_each(|name| self.reserve(name));
    }

    /// Takes back the newest nodes and tensors, down to these numbers; none of them has another name yet.
    pub(crate) fn truncate(&mut self, nodes: usize, tensors: usize) {
        for node in self.nodes.drain(nodes..) {
            for output in node.outputs.iter().flatten() {
                self.producer.remove(output);
            }
        }
        for (index, info) in self.tensors.drain(tensors..).enumerate() {
            self.by_name.remove(&info.name);
            self.unnamed.remove(&Tensor((tensors + index) as u32));
        }
    }

    /// Changes a node's label: its name and module path.
    pub fn label_node(&mut self, index: usize, name: &str, module: &str) {
        self.nodes[index].name = name.to_owned();
        self.nodes[index].module = module.to_owned();
    }

    /// A name that no tensor has, `onnxcam.{stem}{n}`.
    pub fn fresh_name(&mut self, stem: &str) -> Arc<str> {
        loop {
            self.fresh += 1;
            let name = format!("{PREFIX}{stem}{}", self.fresh);
            if !self.by_name.contains_key(name.as_str()) && !self.reserved.contains(name.as_str()) {
                return name.into();
            }
        }
    }

    /// Indices of the nodes that read each tensor.
    pub fn consumers(&self) -> HashMap<Tensor, Vec<usize>> {
        let mut consumers: HashMap<Tensor, Vec<usize>> = HashMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            for input in node.inputs.iter().flatten() {
                consumers.entry(*input).or_default().push(index);
            }
        }
        consumers
    }

    /// Which nodes the tensors need, by node index.
    pub fn needed_for(&self, wanted: &[Tensor]) -> Vec<bool> {
        let mut needed = vec![false; self.nodes.len()];
        let mut open: Vec<usize> = wanted.iter().filter_map(|t| self.producer_index(*t)).collect();
        while let Some(index) = open.pop() {
            if !std::mem::replace(&mut needed[index], true) {
                open.extend(self.nodes[index].inputs.iter().flatten().filter_map(|t| self.producer_index(*t)));
            }
        }
        needed
    }

    /// Why the shape of a tensor is not known: the first node before it that is carried and makes one of unknown shape.
    pub fn shape_lost_at(&self, t: Tensor) -> Option<usize> {
        let needed = self.needed_for(&[t]);
        let loses = |node: &Node| {
            node.carried.is_some() && node.outputs.iter().flatten().any(|output| self.shape(*output).is_none())
        };
        self.nodes.iter().zip(needed).position(|(node, needed)| needed && loses(node))
    }

    /// The node in words, for messages: `` `Scan` (node "rnn/scan_3", input 0: f32[1,64,7,7]) ``.
    pub fn describe(&self, node: &Node) -> String {
        let mut parts = Vec::new();
        if !node.name.is_empty() {
            parts.push(format!("node \"{}\"", printable(&node.name)));
        } else if let Some(output) = node.outputs.iter().flatten().next() {
            parts.push(format!("the node that makes \"{}\"", printable(&self.tensor(*output).name)));
        }
        const MOST: usize = 8;
        for (i, input) in node.inputs.iter().enumerate().take(MOST) {
            if let Some(t) = input {
                parts.push(format!("input {i}: {}", self.tensor(*t).signature()));
            }
        }
        if node.inputs.len() > MOST {
            parts.push(format!("{} inputs in all", node.inputs.len()));
        }
        format!("`{}` ({})", printable(&node.op), parts.join(", "))
    }
}
