//! A graph with its inputs, outputs and seeds: values, differences and gradients of it.

use ndarray::ArrayD;
use onnx_graph::{DataType, Graph, Tensor};

use crate::evaluate;

/// A graph of inputs x, outputs y and their seeds dy; other inputs have a fixed value.
pub(super) struct Net {
    pub graph: Graph,
    pub batch: usize,
    pub x: Vec<Tensor>,
    pub fixed: Vec<(Tensor, ArrayD<f64>)>,
    pub y: Vec<Tensor>,
    pub dy: Vec<Tensor>,
}

impl Net {
    pub fn feeds(&self, inputs: &[ArrayD<f64>]) -> Vec<(Tensor, ArrayD<f64>)> {
        self.x.iter().copied().zip(inputs.iter().cloned()).chain(self.fixed.iter().cloned()).collect()
    }

    pub fn values(&self, inputs: &[ArrayD<f64>]) -> Result<Vec<ArrayD<f64>>, String> {
        evaluate(&self.graph, self.batch, &self.feeds(inputs), &self.y)
    }

    /// How far Σ ⟨y, dy⟩ may be rounded.
    pub fn noise(&self, inputs: &[ArrayD<f64>], dy: &[ArrayD<f64>]) -> Result<f64, String> {
        let terms = |(y, dy): (ArrayD<f64>, &ArrayD<f64>)| (y * dy).iter().map(|t| t.abs()).sum::<f64>();
        Ok(self.values(inputs)?.into_iter().zip(dy).map(terms).sum::<f64>() * f64::EPSILON)
    }

    /// Σ ⟨y(x + hv) − y(x), dy⟩ / h.
    pub fn difference(
        &self,
        [from, to]: [f64; 2],
        inputs: &[ArrayD<f64>],
        dy: &[ArrayD<f64>],
        v: &[ArrayD<f64>],
    ) -> Result<f64, String> {
        let moved = |by: f64| -> Result<Vec<ArrayD<f64>>, String> {
            self.values(&inputs.iter().zip(v).map(|(x, v)| x + &(v * by)).collect::<Vec<_>>())
        };
        let (a, b) = (moved(from)?, moved(to)?);
        let change: f64 = a.iter().zip(&b).zip(dy).map(|((a, b), dy)| ((b - a) * dy).sum()).sum();
        Ok(change / (to - from))
    }

    /// The central difference of Σ ⟨y, dy⟩ along a direction.
    pub fn slope(&self, inputs: &[ArrayD<f64>], dy: &[ArrayD<f64>], v: &[ArrayD<f64>], h: f64) -> Result<f64, String> {
        self.difference([-h, h], inputs, dy, v)
    }

    /// How far the one-sided differences are apart, relative to max(1, |either|).
    pub fn gap(&self, inputs: &[ArrayD<f64>], dy: &[ArrayD<f64>], v: &[ArrayD<f64>], h: f64) -> Result<f64, String> {
        let (before, after) = (self.difference([-h, 0.0], inputs, dy, v)?, self.difference([0.0, h], inputs, dy, v)?);
        Ok((after - before).abs() / before.abs().max(after.abs()).max(1.0))
    }

    pub fn gradients(
        &self,
        inputs: &[ArrayD<f64>],
        dy: &[ArrayD<f64>],
        wrt: &[Tensor],
        gradient: &Gradient,
    ) -> Result<Vec<ArrayD<f64>>, String> {
        let mut graph = self.graph.clone();
        let seeds: Vec<_> = self.y.iter().copied().zip(self.dy.iter().copied()).collect();
        let made = gradient(&mut graph, &seeds, wrt)?;
        if made.len() != wrt.len() {
            return Err(format!("{} gradients for {} tensors", made.len(), wrt.len()));
        }
        let mut feeds = self.feeds(inputs);
        feeds.extend(self.dy.iter().copied().zip(dy.iter().cloned()));
        let wanted: Vec<Tensor> = made.iter().flatten().copied().collect();
        let mut values = evaluate(&graph, self.batch, &feeds, &wanted)
            .map_err(|e| format!("the gradient cannot be evaluated: {e}\n{}", onnx_graph::dump(&graph)))?
            .into_iter();
        let mut gradients = Vec::new();
        for (x, made) in wrt.iter().zip(made) {
            let i = self.x.iter().position(|t| t == x).expect("only inputs are asked for");
            let value = match made {
                Some(_) => values.next().expect("one value for each wanted tensor"),
                None => ArrayD::zeros(inputs[i].raw_dim()),
            };
            if value.shape() != inputs[i].shape() {
                let (found, shape) = (value.shape(), inputs[i].shape());
                return Err(format!("gradient of input {i} is {found:?}, the input {shape:?}"));
            }
            gradients.push(value);
        }
        Ok(gradients)
    }
}

/// What adds a gradient to a graph, for pairs (y, dy).
pub(super) type Gradient<'a> =
    dyn Fn(&mut Graph, &[(Tensor, Tensor)], &[Tensor]) -> Result<Vec<Option<Tensor>>, String> + 'a;

pub(super) fn one_seed<'a>(
    gradient: impl Fn(&mut Graph, Tensor, Tensor, &[Tensor]) -> Vec<Option<Tensor>> + 'a,
) -> Box<Gradient<'a>> {
    Box::new(move |graph, seeds, wrt| Ok(gradient(graph, seeds[0].0, seeds[0].1, wrt)))
}

/// An input dy for each y.
pub(super) fn seeds_for(graph: &mut Graph, y: &[Tensor]) -> Result<Vec<Tensor>, String> {
    let mut seeds = Vec::new();
    for y in y {
        let shape = graph.shape(*y).ok_or("the shape of y is not known")?.to_vec();
        let dtype = graph.tensor(*y).dtype.unwrap_or(DataType::F32);
        seeds.push(graph.add_input("dy", dtype, shape));
    }
    Ok(seeds)
}
