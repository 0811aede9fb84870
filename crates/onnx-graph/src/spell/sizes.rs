//! Sizes: numbers where the batch is fixed, otherwise what the standard has for a batch that only the run knows.
//!
//! In Reshape a 0 keeps the input's size and one −1 takes what is left, in Expand a 1 keeps it; what cannot be said so is
//! put together of the shape of an input.

use super::{SpellError, Writer, named_attribute};
use crate::attributes::Attribute;
use crate::constant::Constant;
use crate::dim::Dim;
use crate::dtype::DataType;
use crate::graph::{Node, Tensor};
use crate::proto::DimensionValue;
use crate::text::printable;

/// What the batch size is.
#[derive(Clone, Debug)]
pub(super) enum Batch {
    /// This.
    Fixed(usize),
    /// What a run is fed; declared as this symbol.
    Open(String),
}

impl Writer<'_> {
    /// A size where it is a number.
    fn number(&self, dim: Dim, tensor: &str) -> Result<Option<i64>, SpellError> {
        let size = match &self.batch {
            Batch::Fixed(batch) => Some(dim.at(*batch)),
            Batch::Open(_) => dim.known(),
        };
        match (size, &self.batch) {
            (Some(size), Batch::Fixed(batch)) if size < 0 => {
                Err(SpellError::Size { tensor: printable(tensor), size, batch: *batch })
            }
            _ => Ok(size),
        }
    }

    /// A size as it is declared.
    pub(super) fn declared(&self, dim: Dim, tensor: &str) -> Result<DimensionValue, SpellError> {
        Ok(match (self.number(dim, tensor)?, &self.batch) {
            (Some(size), _) => DimensionValue::DimValue(size),
            (None, Batch::Open(symbol)) if dim == Dim::BATCH => DimensionValue::DimParam(symbol.clone()),
            (None, _) => DimensionValue::DimParam(format!("{dim}")),
        })
    }

    /// The shape input of a Reshape or Expand.
    pub(super) fn shape_of(&mut self, node: &Node, output: &str) -> Result<String, SpellError> {
        let wanted = node.attributes.dims("shape");
        let graph = self.graph;
        let from = node.inputs.first().copied().flatten().and_then(|t| graph.shape(t)).unwrap_or_default();
        let expand = &*node.op == "Expand";
        let shift = if expand { wanted.len() as isize - from.len() as isize } else { 0 };
        let mut sizes = Vec::with_capacity(wanted.len());
        for (i, dim) in wanted.iter().enumerate() {
            let same = usize::try_from(i as isize - shift).ok().and_then(|i| from.get(i)) == Some(dim);
            let kept = same.then_some(if expand { 1 } else { 0 });
            sizes.push(self.number(*dim, output)?.or(kept));
        }
        let open = sizes.iter().filter(|size| size.is_none()).count();
        if open == 1 && !expand {
            sizes.iter_mut().for_each(|size| *size = size.or(Some(-1)));
        }
        match sizes.into_iter().collect::<Option<Vec<i64>>>() {
            Some(sizes) => Ok(self.integers(&sizes)),
            None => Ok(self.computed(wanted)),
        }
    }

    /// Integers that may depend on the batch, in whatever shape.
    pub(super) fn known_sizes(&mut self, t: Tensor, name: &str, dims: &[Dim]) -> Result<(), SpellError> {
        let dtype = self.graph.tensor(t).dtype.unwrap_or(DataType::I64);
        let shape = self.graph.shape(t).unwrap_or_default().to_vec();
        if let Batch::Fixed(batch) = self.batch {
            let values: Vec<i64> = dims.iter().map(|d| d.at(batch)).collect();
            let shape: Vec<usize> = shape.iter().map(|d| d.at(batch) as usize).collect();
            let constant = Constant::integers(dtype, &shape, &values);
            return self.constant(name, &constant.unwrap_or_else(|| Constant::i64s(&shape, &values)));
        }
        let list = self.computed(dims);
        let shape: Vec<i64> = shape.iter().map(|d| d.at(1)).collect(); // As many as there are dims: known.
        let shape = self.integers(&shape);
        let shaped = if dtype == DataType::I64 { name.to_owned() } else { self.fresh("sizes") };
        self.push("Reshape", vec![list, shape], vec![shaped.clone()], vec![]);
        if dtype != DataType::I64 {
            let to = named_attribute("to", &Attribute::Int(dtype as i64));
            self.push("Cast", vec![shaped], vec![name.to_owned()], vec![to]);
        }
        Ok(())
    }

    /// Sizes of an open batch as a tensor of one axis.
    fn computed(&mut self, dims: &[Dim]) -> String {
        if let Some(name) = self.sizes.get(dims) {
            return name.clone();
        }
        let name = match dims {
            [dim] => self.computed_size(*dim),
            _ => {
                let mut parts = Vec::new();
                for run in dims.chunk_by(|a, b| a.known().is_some() && b.known().is_some()) {
                    let known: Option<Vec<i64>> = run.iter().map(|d| d.known()).collect();
                    parts.push(match known {
                        Some(known) => self.integers(&known),
                        None => self.computed(run),
                    });
                }
                let name = self.fresh("sizes");
                self.push("Concat", parts, vec![name.clone()], vec![named_attribute("axis", &Attribute::Int(0))]);
                name
            }
        };
        self.sizes.insert(dims.to_vec(), name.clone());
        name
    }

    /// a·N + b, \[1\].
    fn computed_size(&mut self, dim: Dim) -> String {
        let (per_batch, constant) = (dim.at(1) - dim.at(0), dim.at(0));
        let mut at = if dim == Dim::BATCH { self.batch_size() } else { self.computed(&[Dim::BATCH]) };
        for (op, by) in [("Mul", per_batch), ("Add", constant)] {
            if by != if op == "Mul" { 1 } else { 0 } {
                let (by, next) = (self.integers(&[by]), self.fresh("size"));
                self.push(op, vec![at, by], vec![next.clone()], vec![]);
                at = next;
            }
        }
        at
    }

    /// N, \[1\]: from the shape of an input that begins with it, the class asked for before the picture.
    fn batch_size(&mut self) -> String {
        let graph = self.graph;
        let rank = |t: &Tensor| graph.shape(*t).map_or(usize::MAX, <[Dim]>::len);
        let with_batch = |t: &&Tensor| graph.shape(**t).is_some_and(|s| s.first() == Some(&Dim::BATCH));
        let input = graph.inputs.iter().filter(with_batch).min_by_key(|t| rank(t)).copied();
        let input = input.expect("an open batch is the first size of an input");
        let (shape, name) = (self.fresh("shape"), self.name(input));
        self.push("Shape", vec![name], vec![shape.clone()], vec![]);
        if rank(&input) == 1 {
            return shape;
        }
        let (first, size) = (self.integers(&[0]), self.fresh("batch"));
        self.push("Gather", vec![shape, first], vec![size.clone()], vec![named_attribute("axis", &Attribute::Int(0))]);
        size
    }
}
