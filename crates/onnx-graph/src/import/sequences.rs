//! Sequences of tensors. The nodes that put one together are carried; what takes a known one apart needs no sequence.

use super::file_node::{FileNode, Refusal};
use super::{Frame, Scope, Walk, standard};
use crate::constant::Constant;
use crate::dim::Dim;
use crate::graph::Tensor;
use crate::model::ModelError;
use crate::ops::axis;
use crate::proto::NodeProto;

impl Walk<'_, '_> {
    /// The outputs of an operator on a sequence whose elements are known; `None` for any other node.
    pub(super) fn sequence(
        &mut self,
        proto: &NodeProto,
        inputs: &[Option<Tensor>],
        scope: &Scope,
        frame: &Frame,
    ) -> Result<Option<Vec<Option<Tensor>>>, ModelError> {
        if !standard(proto.domain()) {
            return Ok(None);
        }
        self.e.mark();
        if let Some(elements) = self.put_together(proto, inputs) {
            let outputs = self.carry(proto, inputs.to_vec(), scope, "it makes a sequence".to_owned())?;
            self.label(proto);
            self.sequences.extend(outputs.first().copied().flatten().map(|made| (made, elements)));
            return Ok(Some(outputs));
        }
        let known = inputs.first().copied().flatten().and_then(|t| self.sequences.get(&t));
        let node = FileNode::new(&self.e, proto, frame.opset, inputs, vec![true]);
        let read = known.and_then(|elements| take_apart(&node, elements).ok());
        let read = read.filter(|_| node.check_all_read().is_ok() && self.e.take_error().is_none());
        self.label(proto);
        Ok(read.map(|t| vec![Some(t)]))
    }

    /// The elements of the sequence that a node makes.
    fn put_together(&self, proto: &NodeProto, inputs: &[Option<Tensor>]) -> Option<Vec<Tensor>> {
        let known = || self.sequences.get(&inputs.first().copied()??).cloned();
        match proto.op_type() {
            "SequenceEmpty" => Some(Vec::new()),
            "SequenceConstruct" => inputs.iter().copied().collect(),
            "SequenceInsert" => {
                let (mut elements, new) = (known()?, inputs.get(1).copied()??);
                let at = match inputs.get(2).copied().flatten() {
                    Some(at) => place(&self.e.integers(at)?.first()?.known()?, elements.len() + 1, elements.len())?,
                    None => elements.len(),
                };
                elements.insert(at, new);
                Some(elements)
            }
            "SequenceErase" => {
                let mut elements = known()?;
                let at = match inputs.get(1).copied().flatten() {
                    Some(at) => place(&self.e.integers(at)?.first()?.known()?, elements.len(), elements.len())?,
                    None => elements.len().checked_sub(1)?,
                };
                elements.remove(at);
                Some(elements)
            }
            _ => None,
        }
    }
}

/// A position below `end`; a negative one counts back from `len`.
fn place(at: &i64, end: usize, len: usize) -> Option<usize> {
    let at = if *at < 0 { at.checked_add(len as i64)? } else { *at };
    usize::try_from(at).ok().filter(|at| *at < end)
}

/// What a node reads from a sequence of these elements.
fn take_apart(n: &FileNode, elements: &[Tensor]) -> Result<Tensor, Refusal> {
    match n.op() {
        "SequenceLength" => Ok(n.e.constant(Constant::i64s(&[], &[elements.len() as i64]))),
        "SequenceAt" => {
            let at = n.integers(1)?;
            let found = at.first().and_then(|at| place(at, elements.len(), elements.len()));
            found.map(|at| elements[at]).ok_or_else(|| "it reads beyond its sequence".into())
        }
        "ConcatFromSequence" => {
            let shape = elements.first().and_then(|t| n.e.graph().shape(*t).map(<[_]>::to_vec));
            let rank = shape.ok_or("its sequence is empty, or of unknown shapes")?.len();
            let along = n.int("axis").ok_or("its attribute `axis` is missing")?;
            if n.int_or("new_axis", 0) == 0 {
                return Ok(n.e.concat(elements, axis(along, rank)?));
            }
            let along = axis(along, rank + 1)?;
            let rows = elements.iter().map(|t| {
                let mut shape = n.e.graph().shape(*t).ok_or("a shape is not known")?.to_vec();
                shape.insert(along, Dim::new(1));
                Ok(n.e.reshape(*t, shape))
            });
            Ok(n.e.concat(&rows.collect::<Result<Vec<_>, Refusal>>()?, along))
        }
        _ => Err("it reads no sequence".into()),
    }
}
