//! Gradients checked against central differences.
//!
//! For y = f(x) and a fixed dy, the gradient of s(x) = ⟨f(x), dy⟩ is what a vector-Jacobian product makes. Moving x by
//! h along a direction v changes s at the rate (s(x + hv) − s(x − hv)) / 2h ≈ ⟨∇s, v⟩, with an error of the order h²
//! from f's curvature and 10⁻¹⁶/h from rounding: below 10⁻⁹ together for h = 10⁻⁵ and smooth functions of order 1.
//! What remains of an allowed difference of 10⁻⁷ and more is for the float32 constants that a rule may emit; where the
//! terms of s are large, their rounding is allowed for as well.

mod net;

use ndarray::{ArrayD, Dimension as _, IxDyn};
use net::{Gradient, Net, one_seed, seeds_for};
use onnx_graph::{DataType, Dim, Emit, Graph, Tensor};

use crate::Draw;

/// How a check is made. [`Check::default`] suits operators whose inputs, outputs and derivatives are of order 1.
#[derive(Clone, Debug)]
pub struct Check {
    /// Step of the differences.
    pub step: f64,
    /// Largest difference, relative to max(1, |expected|). Float32 constants are off by up to 6·10⁻⁸ each.
    pub tolerance: f64,
    /// Random directions, beside each coordinate of its own.
    pub directions: usize,
    /// Most coordinates of an input that are tried one by one, evenly spread where it has more.
    pub coordinates: usize,
    /// Seed of directions and dy.
    pub seed: u64,
    /// Inputs (by position) whose first axis is the batch, symbolic in the graph.
    pub batched: Vec<usize>,
}

impl Default for Check {
    fn default() -> Check {
        Check { step: 1e-5, tolerance: 2e-7, directions: 4, coordinates: 256, seed: 1, batched: vec![] }
    }
}

/// Checks the gradient of one operator, or of a few, with the default [`Check`].
///
/// `build` applies the operator to float inputs of the shapes of `inputs`; `gradient(graph, y, dy, wrt)` adds the
/// gradient of ⟨y, dy⟩ to the graph and answers it for each tensor of `wrt`, `None` for zero. All are asked for at once
/// and each alone. An error says which input and element differ, what was expected and what was found.
pub fn check_vjp(
    build: impl Fn(&Emit, &[Tensor]) -> Tensor,
    inputs: &[ArrayD<f64>],
    gradient: impl Fn(&mut Graph, Tensor, Tensor, &[Tensor]) -> Vec<Option<Tensor>>,
) -> Result<(), String> {
    Check::default().vjp(build, inputs, gradient)
}

impl Check {
    /// See [`check_vjp`].
    pub fn vjp(
        &self,
        build: impl Fn(&Emit, &[Tensor]) -> Tensor,
        inputs: &[ArrayD<f64>],
        gradient: impl Fn(&mut Graph, Tensor, Tensor, &[Tensor]) -> Vec<Option<Tensor>>,
    ) -> Result<(), String> {
        let net = self.build(&build, inputs)?;
        let mut draw = Draw::new(self.seed);
        let dy = draw_for(&net.values(inputs)?, &mut draw);
        self.check(&net, inputs, &dy, &*one_seed(gradient), &mut draw)
    }

    /// The same for a graph as it is, its inputs' values given: of Σ ⟨y, dy⟩ over its float outputs y, with respect to its
    /// float inputs. `gradient(graph, seeds, wrt)` gets pairs (y, dy).
    ///
    /// Where a float input sits at a kink or a jump (the one-sided differences along a direction tried disagree) or holds
    /// what is not finite, all of them are moved off it, each element by its own 0.2 to 1 % of max(1, |x|) up or down.
    /// Answers whether they were. Where the second derivative jumps, or the third is large, a difference of step h is off
    /// by the order of h: what disagrees at one step is tried once more at a hundredth of it.
    pub fn graph(
        &self,
        graph: &Graph,
        values: &[ArrayD<f64>],
        gradient: impl Fn(&mut Graph, &[(Tensor, Tensor)], &[Tensor]) -> Result<Vec<Option<Tensor>>, String>,
    ) -> Result<bool, String> {
        let float = |t: &Tensor| graph.tensor(*t).dtype.is_some_and(DataType::is_float);
        let fed: Vec<_> = graph.inputs.iter().copied().zip(values.iter().cloned()).collect();
        let (x, fixed): (Vec<_>, Vec<_>) = fed.into_iter().partition(|(t, _)| float(t));
        let (x, mut inputs): (Vec<_>, Vec<_>) = x.into_iter().unzip();
        let mut graph = graph.clone();
        let y: Vec<Tensor> = graph.outputs.iter().copied().filter(float).collect();
        let dy = seeds_for(&mut graph, &y)?;
        let net = Net { graph, batch: 1, x, fixed, y, dy };
        let mut draw = Draw::new(self.seed);
        let dy = draw_for(&net.values(&inputs)?, &mut draw);
        let own = inputs.clone();
        let mut moved = false;
        for _ in 0..TRIES {
            if !self.at_a_kink(&net, &inputs, &dy, draw.clone())? {
                break;
            }
            inputs = own.iter().map(|x| off(x, &mut draw)).collect();
            moved = true;
        }
        let closer = Check { step: self.step / 100.0, ..self.clone() };
        let close = self.check(&net, &inputs, &dy, &gradient, &mut draw.clone());
        close.or_else(|_| closer.check(&net, &inputs, &dy, &gradient, &mut draw)).map(|()| moved)
    }

    fn check(
        &self,
        net: &Net,
        inputs: &[ArrayD<f64>],
        dy: &[ArrayD<f64>],
        gradient: &Gradient,
        draw: &mut Draw,
    ) -> Result<(), String> {
        let gradients = net.gradients(inputs, dy, &net.x, gradient)?;
        self.compare(net, inputs, dy, &gradients, draw)?;
        for (i, x) in net.x.iter().enumerate().filter(|_| net.x.len() > 1) {
            let alone = net.gradients(inputs, dy, &[*x], gradient)?;
            let same = alone[0].iter().zip(&gradients[i]).all(|(a, b)| self.close(*b, *a, 0.0));
            if !same {
                return Err(format!("input {i}: its gradient is another when it is the only one asked for"));
            }
        }
        Ok(())
    }

    /// The gradients themselves, for conventions at kinks and for reference values: of ⟨y, dy⟩ with respect to each
    /// input, zeros where `gradient` answers `None`. y comes first.
    pub fn gradients(
        &self,
        build: impl Fn(&Emit, &[Tensor]) -> Tensor,
        inputs: &[ArrayD<f64>],
        dy: &ArrayD<f64>,
        gradient: impl Fn(&mut Graph, Tensor, Tensor, &[Tensor]) -> Vec<Option<Tensor>>,
    ) -> Result<(ArrayD<f64>, Vec<ArrayD<f64>>), String> {
        let net = self.build(&build, inputs)?;
        let gradients = net.gradients(inputs, std::slice::from_ref(dy), &net.x, &*one_seed(gradient))?;
        Ok((net.values(inputs)?.remove(0), gradients))
    }

    fn build(&self, build: &impl Fn(&Emit, &[Tensor]) -> Tensor, inputs: &[ArrayD<f64>]) -> Result<Net, String> {
        let mut graph = Graph::new();
        let mut batch = None;
        let mut x = Vec::new();
        for (i, input) in inputs.iter().enumerate() {
            let mut shape: Vec<Dim> = input.shape().iter().map(|n| Dim::from(*n)).collect();
            if self.batched.contains(&i) {
                let size = *input.shape().first().ok_or(format!("input {i} is a scalar and has no batch"))?;
                if *batch.get_or_insert(size) != size {
                    return Err(format!("input {i} has another batch size, {size}"));
                }
                shape[0] = Dim::BATCH;
            }
            x.push(graph.add_input(&format!("x{i}"), DataType::F32, shape));
        }
        let e = Emit::new(&mut graph);
        let y = build(&e, &x);
        e.finish().map_err(|e| e.to_string())?;
        let dy = seeds_for(&mut graph, &[y])?;
        Ok(Net { graph, batch: batch.unwrap_or(1), x, fixed: vec![], y: vec![y], dy })
    }

    /// Never true of what is not a number.
    fn close(&self, expected: f64, found: f64, noise: f64) -> bool {
        (expected - found).abs() <= self.tolerance * expected.abs().max(1.0) + noise
    }

    /// Each coordinate that is tried of its own, as input and direction.
    fn axes<'a>(
        &self,
        inputs: &'a [ArrayD<f64>],
    ) -> impl Iterator<Item = (usize, usize, IxDyn, Vec<ArrayD<f64>>)> + use<'a> {
        let coordinates = self.coordinates.max(1);
        inputs.iter().enumerate().flat_map(move |(i, input)| {
            let every = input.len().div_ceil(coordinates).max(1);
            let axis = move |(cell, (index, _)): (usize, (IxDyn, &f64))| {
                let mut direction: Vec<ArrayD<f64>> = inputs.iter().map(|x| ArrayD::zeros(x.raw_dim())).collect();
                direction[i][&index] = 1.0;
                (i, cell, index, direction)
            };
            input.indexed_iter().enumerate().filter(move |(cell, _)| cell % every == 0).map(axis)
        })
    }

    /// Whether the differences to either side disagree along a direction that is tried.
    fn at_a_kink(&self, net: &Net, inputs: &[ArrayD<f64>], dy: &[ArrayD<f64>], mut draw: Draw) -> Result<bool, String> {
        let random: Vec<_> = (0..self.directions).map(|_| directions(inputs, &mut draw)).collect();
        for direction in self.axes(inputs).map(|(.., direction)| direction).chain(random) {
            let gap = net.gap(inputs, dy, &direction, self.step)?;
            if gap.is_nan() || gap > KINK {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn compare(
        &self,
        net: &Net,
        inputs: &[ArrayD<f64>],
        dy: &[ArrayD<f64>],
        gradients: &[ArrayD<f64>],
        draw: &mut Draw,
    ) -> Result<(), String> {
        let noise = net.noise(inputs, dy)? / self.step;
        for (i, cell, index, direction) in self.axes(inputs) {
            let expected = net.slope(inputs, dy, &direction, self.step)?;
            let found = gradients[i][&index];
            if !self.close(expected, found, noise) {
                return Err(format!(
                    "gradient of input {i} at {:?} (element {cell}, x = {}): expected {expected}, found {found}\n\
                     differences: {}\n   gradient: {}",
                    index.slice(),
                    inputs[i][&index],
                    self.row(net, inputs, dy, i)?,
                    shown(&gradients[i]),
                ));
            }
        }
        for number in 0..self.directions {
            let direction = directions(inputs, draw);
            let expected = net.slope(inputs, dy, &direction, self.step)?;
            let found: f64 = gradients.iter().zip(&direction).map(|(g, v)| (g * v).sum()).sum();
            if !self.close(expected, found, noise) {
                return Err(format!("gradient along random direction {number}: expected {expected}, found {found}"));
            }
        }
        Ok(())
    }

    /// The first differences of an input, for an error.
    fn row(&self, net: &Net, inputs: &[ArrayD<f64>], dy: &[ArrayD<f64>], i: usize) -> Result<String, String> {
        let mut slopes = ArrayD::zeros(inputs[i].raw_dim());
        for (index, _) in inputs[i].indexed_iter().take(SHOWN) {
            let mut direction: Vec<ArrayD<f64>> = inputs.iter().map(|x| ArrayD::zeros(x.raw_dim())).collect();
            direction[i][&index] = 1.0;
            slopes[&index] = net.slope(inputs, dy, &direction, self.step)?;
        }
        Ok(shown(&slopes))
    }
}

/// Elements that an error shows.
const SHOWN: usize = 16;

fn shown(values: &ArrayD<f64>) -> String {
    let row: Vec<String> = values.iter().take(SHOWN).map(|v| format!("{v:.6}")).collect();
    let more = if values.len() > SHOWN { ", …" } else { "" };
    format!("{:?} [{}{more}]", values.shape(), row.join(", "))
}

/// One-sided differences that are further apart are those of a kink: a curved function's differ by h f″.
const KINK: f64 = 1e-3;

/// How often inputs are moved in search of a place without a kink.
const TRIES: usize = 4;

/// Each element moved by 0.2 to 1 % of max(1, |x|), from 0 where it is not finite.
fn off(x: &ArrayD<f64>, draw: &mut Draw) -> ArrayD<f64> {
    x.mapv(|x| {
        let (x, by) = (if x.is_finite() { x } else { 0.0 }, draw.number(-0.008, 0.008));
        x + (by + by.signum() * 0.002) * x.abs().max(1.0)
    })
}

fn draw_for(y: &[ArrayD<f64>], draw: &mut Draw) -> Vec<ArrayD<f64>> {
    y.iter().map(|y| draw.between(-1.0, 1.0, y.shape())).collect()
}

fn directions(inputs: &[ArrayD<f64>], draw: &mut Draw) -> Vec<ArrayD<f64>> {
    inputs.iter().map(|x| draw.between(-1.0, 1.0, x.shape())).collect()
}

#[cfg(test)]
mod tests;
