//! Loops whose turns are counted when the file is read: written out, turn by turn.

use super::order::{free, topological_order};
use super::{Frame, Scope, Walk, made, standard, weights};
use crate::constant::Constant;
use crate::dtype::DataType;
use crate::graph::Tensor;
use crate::model::ModelError;
use crate::proto::{GraphProto, NodeProto};

/// How many nodes one loop may become.
const MOST_NODES: usize = 1 << 12;

/// A Loop that can be written out.
pub(super) struct Counted<'n> {
    body: &'n GraphProto,
    turns: usize,
    /// Whether the body says after each turn if there is another.
    asks: bool,
}

impl Walk<'_, '_> {
    /// A Loop of so many turns, where their number is known, is not large, and nothing is gathered from turn to turn but
    /// the values that each hands on to the next.
    pub(super) fn counted<'n>(&self, proto: &'n NodeProto, inputs: &[Option<Tensor>]) -> Option<Counted<'n>> {
        let [attribute] = proto.attribute.as_slice() else { return None };
        if proto.op_type() != "Loop" || !standard(proto.domain()) || attribute.name() != "body" {
            return None;
        }
        let body = attribute.g.as_ref()?;
        let states = inputs.len().max(2) - 2;
        let fits = body.input.len() == states + 2 && body.output.len() == states + 1;
        let given = inputs.iter().skip(2).all(Option::is_some);
        let most = usize::try_from(self.one_integer(inputs.first().copied()??)?).unwrap_or(0);
        let (asks, starts) = match inputs.get(1).copied().flatten() {
            Some(condition) => (true, self.one_integer(condition)? != 0),
            None => (false, true),
        };
        let turns = if starts { most } else { 0 };
        let small = turns.checked_mul(body.node.len().max(1)).is_some_and(|nodes| nodes <= MOST_NODES);
        (fits && given && small).then_some(Counted { body, turns, asks })
    }

    fn one_integer(&self, t: Tensor) -> Option<i64> {
        match self.e.integers(t)?.as_slice() {
            [one] => one.known(),
            _ => None,
        }
    }

    /// Writes a Loop out. `None` where that shows that something in it is known only when the network runs, or not known
    /// here: then nothing is written, and the Loop can still be carried whole.
    pub(super) fn unroll(
        &mut self,
        Counted { body, turns, asks }: Counted,
        proto: &NodeProto,
        inputs: &[Option<Tensor>],
        around: &Scope,
        frame: &Frame,
    ) -> Result<Option<Vec<Option<Tensor>>>, ModelError> {
        if self.spend(turns * body.node.len(), &|| "Loop".to_owned()).is_err() {
            return Ok(None);
        }
        let (nodes, tensors) = self.size();
        let sequences = self.sequences.clone();

        let mut outside = Scope::new();
        for name in free(body) {
            outside.insert(name.to_owned(), made(name, proto, around)?);
        }
        weights::declare(body, &mut self.e.graph_mut(), &mut outside, false)?;
        let outputs: Vec<&str> = body.output.iter().map(|v| v.name.as_deref().unwrap_or_default()).collect();
        let inner = Frame::new(frame.opset, frame.depth + 1, &body.node, outputs.iter().copied());
        let order = topological_order(&body.node)?;
        let integer = |dtype, value| Constant::integers(dtype, &[], &[value]).expect("one element");
        let mut goes_on = self.e.constant(integer(DataType::Bool, 1));
        let mut states: Vec<Tensor> = inputs.iter().skip(2).copied().flatten().collect();
        for turn in 0..turns {
            let mut scope = outside.clone();
            let counter = self.e.constant(integer(DataType::I64, turn as i64));
            for (value, t) in body.input.iter().zip([counter, goes_on].into_iter().chain(states)) {
                scope.insert(value.name.clone().unwrap_or_default(), t);
            }
            for index in &order {
                self.node(&body.node[*index], &inner, &mut scope)?;
            }
            let mut results = Vec::with_capacity(outputs.len());
            for name in &outputs {
                results.push(made(name, proto, &scope)?);
            }
            goes_on = results.remove(0);
            states = results;
            match self.one_integer(goes_on) {
                _ if !asks => {}
                Some(0) => break,
                Some(_) => {}
                None => states.clear(),
            }
            if states.is_empty() || self.carries_since(nodes) {
                self.e.graph_mut().truncate(nodes, tensors);
                self.sequences = sequences;
                return Ok(None);
            }
        }
        Ok(Some(states.into_iter().map(Some).collect()))
    }

    /// Whether a node from this one on is carried, other than to put a sequence together.
    fn carries_since(&self, first: usize) -> bool {
        let graph = self.e.graph();
        let carried = graph.nodes().iter().skip(first).filter(|n| n.carried.is_some());
        carried.into_iter().any(|n| !n.outputs.iter().flatten().all(|t| self.sequences.contains_key(t)))
    }
}
