//! A node of the file as the settling functions see it.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use crate::constant::Constant;
use crate::dim::Dim;
use crate::emit::{Emit, EmitError};
use crate::graph::Tensor;
use crate::ops::{MOST_AXES, axis};
use crate::proto::{AttributeProto, AttributeType, NodeProto};

/// Why a node is not settled.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is carried as it is.
    Carry(String),
    /// What it makes is larger than any memory: the model is refused.
    TooLarge(String),
}

impl From<String> for Refusal {
    fn from(reason: String) -> Refusal {
        Refusal::Carry(reason)
    }
}

impl From<&str> for Refusal {
    fn from(reason: &str) -> Refusal {
        Refusal::Carry(reason.to_owned())
    }
}

impl From<EmitError> for Refusal {
    fn from(error: EmitError) -> Refusal {
        if error.too_large { Refusal::TooLarge(error.misfit) } else { Refusal::Carry(error.misfit) }
    }
}

/// Writes a node out in canonical form and answers its outputs.
pub(super) type Settle = fn(&FileNode) -> Result<Vec<Option<Tensor>>, Refusal>;

/// A node with typed access to its attributes. Every attribute has to be asked for, as the type that it has: one that
/// nobody reads means something that we do not know.
pub(super) struct FileNode<'a, 'g> {
    pub e: &'a Emit<'g>,
    pub proto: &'a NodeProto,
    pub opset: i64,
    pub inputs: &'a [Option<Tensor>],
    wanted: Vec<bool>,
    read: RefCell<HashSet<&'a str>>,
    mistyped: Cell<Option<&'static str>>,
    notes: RefCell<Vec<&'static str>>,
}

impl<'a, 'g> FileNode<'a, 'g> {
    /// `wanted` says of each output whether somebody reads it.
    pub fn new(
        e: &'a Emit<'g>,
        proto: &'a NodeProto,
        opset: i64,
        inputs: &'a [Option<Tensor>],
        wanted: Vec<bool>,
    ) -> Self {
        let (read, mistyped, notes) = (RefCell::default(), Cell::default(), RefCell::default());
        FileNode { e, proto, opset, inputs, wanted, read, mistyped, notes }
    }

    pub fn op(&self) -> &str {
        self.proto.op_type.as_deref().unwrap_or("")
    }

    /// Whether output `i` is read.
    pub fn wants(&self, i: usize) -> bool {
        self.wanted.get(i) == Some(&true)
    }

    /// What may hold for many nodes of a file, and is said once: `exported so; run otherwise`.
    pub fn note_of_many(&self, note: &'static str) {
        self.notes.borrow_mut().push(note);
    }

    pub fn into_notes(self) -> Vec<&'static str> {
        self.notes.into_inner()
    }

    pub fn check_all_read(&self) -> Result<(), Refusal> {
        if let Some(name) = self.mistyped.get() {
            return Err(format!("its attribute `{name}` is of another type than it should be").into());
        }
        let read = self.read.borrow();
        match self.proto.attribute.iter().find(|a| !read.contains(a.name.as_deref().unwrap_or(""))) {
            Some(unread) => Err(format!("its attribute `{}` is not known here", name_of(unread)).into()),
            None => Ok(()),
        }
    }

    // Inputs.

    pub fn input(&self, i: usize) -> Result<Tensor, Refusal> {
        self.optional(i).ok_or_else(|| format!("input {i} is missing").into())
    }

    pub fn optional(&self, i: usize) -> Option<Tensor> {
        self.inputs.get(i).copied().flatten()
    }

    pub fn shape(&self, i: usize) -> Result<Vec<Dim>, Refusal> {
        let t = self.input(i)?;
        let shape = self.e.graph().shape(t).map(<[Dim]>::to_vec);
        shape.ok_or_else(|| format!("the shape of input {i} is not known").into())
    }

    /// The integers of an input, which has to be a constant or computed from shapes.
    pub fn sizes(&self, i: usize) -> Result<Vec<Dim>, Refusal> {
        let values = self.e.integers(self.input(i)?);
        values.ok_or_else(|| format!("input {i} is computed when the network runs").into())
    }

    /// The same, without the batch in it.
    pub fn integers(&self, i: usize) -> Result<Vec<i64>, Refusal> {
        let known: Option<Vec<i64>> = self.sizes(i)?.into_iter().map(Dim::known).collect();
        known.ok_or_else(|| format!("input {i} depends on the batch size").into())
    }

    /// The one number of an input, which has to be constant.
    pub fn number(&self, i: usize) -> Result<f64, Refusal> {
        let graph = self.e.graph();
        let constant = graph.constant(self.input(i)?).filter(|c| c.len() == 1);
        let values = constant.and_then(|c| c.to_f64().ok());
        values.map(|v| v[0]).ok_or_else(|| format!("input {i} is no constant number").into())
    }

    /// Axes given as an input from some opset on, as an attribute before.
    pub fn input_or_attribute(
        &self,
        i: usize,
        name: &'static str,
        input_since: i64,
    ) -> Result<Option<Vec<i64>>, Refusal> {
        if self.opset < input_since {
            return Ok(self.ints(name));
        }
        self.optional(i).map(|_| self.integers(i)).transpose()
    }

    /// Axes counted from the front, ascending.
    pub fn axes(&self, axes: &[i64], rank: usize) -> Result<Vec<i64>, Refusal> {
        if axes.len() > MOST_AXES {
            return Err(format!("{} axes are too many", axes.len()).into());
        }
        let mut counted = axes.iter().map(|a| Ok(axis(*a, rank)? as i64)).collect::<Result<Vec<i64>, String>>()?;
        counted.sort_unstable();
        counted.dedup();
        Ok(counted)
    }

    // Attributes.

    fn attribute(&self, name: &'static str) -> Option<&'a AttributeProto> {
        self.read.borrow_mut().insert(name);
        self.proto.attribute.iter().find(|a| a.name.as_deref() == Some(name))
    }

    /// The attribute of this name and type. Some writers leave zeros out, so its value may be absent; the oldest leave
    /// the type out, then the value `has` to be there.
    fn typed(
        &self,
        name: &'static str,
        kind: AttributeType,
        has: fn(&AttributeProto) -> bool,
    ) -> Option<&'a AttributeProto> {
        let attribute = self.attribute(name)?;
        let fits = match attribute.r#type.unwrap_or_default() {
            _ if !attribute.ref_attr_name().is_empty() => false, // Only a function's nodes may refer to its attributes.
            0 => has(attribute),
            declared => declared == kind as i32,
        };
        if !fits {
            self.mistyped.set(Some(name));
        }
        fits.then_some(attribute)
    }

    /// Attributes that do not matter for the result of inference.
    pub fn ignore(&self, names: &[&'static str]) {
        self.read.borrow_mut().extend(names);
    }

    pub fn int(&self, name: &'static str) -> Option<i64> {
        self.typed(name, AttributeType::Int, |a| a.i.is_some()).map(|a| a.i.unwrap_or_default())
    }

    pub fn int_or(&self, name: &'static str, default: i64) -> i64 {
        self.int(name).unwrap_or(default)
    }

    pub fn float(&self, name: &'static str) -> Option<f32> {
        self.typed(name, AttributeType::Float, |a| a.f.is_some()).map(|a| a.f.unwrap_or_default())
    }

    pub fn float_or(&self, name: &'static str, default: f32) -> f32 {
        self.float(name).unwrap_or(default)
    }

    pub fn ints(&self, name: &'static str) -> Option<Vec<i64>> {
        self.typed(name, AttributeType::Ints, |a| !a.ints.is_empty()).map(|a| a.ints.clone())
    }

    pub fn floats(&self, name: &'static str) -> Option<Vec<f32>> {
        self.typed(name, AttributeType::Floats, |a| !a.floats.is_empty()).map(|a| a.floats.clone())
    }

    pub fn text_or(&self, name: &'static str, default: &str) -> String {
        let text =
            self.typed(name, AttributeType::String, |a| a.s.is_some()).map(|a| a.s.as_deref().unwrap_or_default());
        text.map_or_else(|| default.to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    pub fn tensor(&self, name: &'static str) -> Result<Option<Constant>, Refusal> {
        self.attribute(name).map(super::attribute_constant).transpose()
    }
}

fn name_of(attribute: &AttributeProto) -> String {
    crate::text::printable(attribute.name.as_deref().unwrap_or(""))
}

/// One output.
pub(super) fn one(t: Tensor) -> Result<Vec<Option<Tensor>>, Refusal> {
    Ok(vec![Some(t)])
}
