//! Gradients checked against central differences.
//!
//! For y = f(x) and a fixed dy, the gradient of s(x) = ⟨f(x), dy⟩ is what a vector-Jacobian product makes. Moving x by
//! h along a direction v changes s at the rate (s(x + hv) − s(x − hv)) / 2h ≈ ⟨∇s, v⟩, with an error of the order h²
//! from f's curvature and 10⁻¹⁶/h from rounding: below 10⁻⁹ together for h = 10⁻⁵ and smooth functions of order 1.
//! What remains of an allowed difference of 10⁻⁷ and more is for the float32 constants that a rule may emit.

use ndarray::{ArrayD, Dimension as _};
use onnx_graph::{DataType, Dim, Emit, Graph, Tensor};

use crate::{Draw, evaluate};

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
        let y = net.value(inputs)?;
        let dy = draw.between(-1.0, 1.0, y.shape());
        let gradients = net.gradients(inputs, &dy, &net.x, &gradient)?;
        self.compare(&net, inputs, &dy, &gradients, &mut draw)?;
        for (i, x) in net.x.iter().enumerate().filter(|_| net.x.len() > 1) {
            let alone = net.gradients(inputs, &dy, &[*x], &gradient)?;
            let same = alone[0].iter().zip(&gradients[i]).all(|(a, b)| self.close(*b, *a));
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
        Ok((net.value(inputs)?, net.gradients(inputs, dy, &net.x, &gradient)?))
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
        let shape = graph.shape(y).ok_or("the shape of y is not known")?.to_vec();
        let dtype = graph.tensor(y).dtype.unwrap_or(DataType::F32);
        let dy = graph.add_input("dy", dtype, shape);
        Ok(Net { graph, batch: batch.unwrap_or(1), x, y, dy })
    }

    /// Never true of what is not a number.
    fn close(&self, expected: f64, found: f64) -> bool {
        (expected - found).abs() <= self.tolerance * expected.abs().max(1.0)
    }

    fn compare(
        &self,
        net: &Net,
        inputs: &[ArrayD<f64>],
        dy: &ArrayD<f64>,
        gradients: &[ArrayD<f64>],
        draw: &mut Draw,
    ) -> Result<(), String> {
        for (i, input) in inputs.iter().enumerate() {
            let every = input.len().div_ceil(self.coordinates.max(1)).max(1);
            for (cell, (index, _)) in input.indexed_iter().enumerate().filter(|(cell, _)| cell % every == 0) {
                let mut direction: Vec<ArrayD<f64>> = inputs.iter().map(|x| ArrayD::zeros(x.raw_dim())).collect();
                direction[i][&index] = 1.0;
                let expected = net.slope(inputs, dy, &direction, self.step)?;
                let found = gradients[i][&index];
                if !self.close(expected, found) {
                    return Err(format!(
                        "gradient of input {i} at {:?} (element {cell}, x = {}): expected {expected}, found {found}\n\
                         differences: {}\n   gradient: {}",
                        index.slice(),
                        input[&index],
                        self.row(net, inputs, dy, i)?,
                        shown(&gradients[i]),
                    ));
                }
            }
        }
        for number in 0..self.directions {
            let direction: Vec<ArrayD<f64>> = inputs.iter().map(|x| draw.between(-1.0, 1.0, x.shape())).collect();
            let expected = net.slope(inputs, dy, &direction, self.step)?;
            let found: f64 = gradients.iter().zip(&direction).map(|(g, v)| (g * v).sum()).sum();
            if !self.close(expected, found) {
                return Err(format!("gradient along random direction {number}: expected {expected}, found {found}"));
            }
        }
        Ok(())
    }

    /// The first differences of an input, for an error.
    fn row(&self, net: &Net, inputs: &[ArrayD<f64>], dy: &ArrayD<f64>, i: usize) -> Result<String, String> {
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

/// A graph of inputs x, an output y and a seed dy.
struct Net {
    graph: Graph,
    batch: usize,
    x: Vec<Tensor>,
    y: Tensor,
    dy: Tensor,
}

impl Net {
    fn feeds(&self, inputs: &[ArrayD<f64>]) -> Vec<(Tensor, ArrayD<f64>)> {
        self.x.iter().copied().zip(inputs.iter().cloned()).collect()
    }

    fn value(&self, inputs: &[ArrayD<f64>]) -> Result<ArrayD<f64>, String> {
        Ok(evaluate(&self.graph, self.batch, &self.feeds(inputs), &[self.y])?.remove(0))
    }

    /// The central difference of ⟨y, dy⟩ along a direction.
    fn slope(&self, inputs: &[ArrayD<f64>], dy: &ArrayD<f64>, v: &[ArrayD<f64>], h: f64) -> Result<f64, String> {
        let moved = |by: f64| -> Result<ArrayD<f64>, String> {
            self.value(&inputs.iter().zip(v).map(|(x, v)| x + &(v * by)).collect::<Vec<_>>())
        };
        Ok(((moved(h)? - moved(-h)?) * dy).sum() / (2.0 * h))
    }

    fn gradients(
        &self,
        inputs: &[ArrayD<f64>],
        dy: &ArrayD<f64>,
        wrt: &[Tensor],
        gradient: &impl Fn(&mut Graph, Tensor, Tensor, &[Tensor]) -> Vec<Option<Tensor>>,
    ) -> Result<Vec<ArrayD<f64>>, String> {
        let mut graph = self.graph.clone();
        let made = gradient(&mut graph, self.y, self.dy, wrt);
        if made.len() != wrt.len() {
            return Err(format!("{} gradients for {} tensors", made.len(), wrt.len()));
        }
        let mut feeds = self.feeds(inputs);
        feeds.push((self.dy, dy.clone()));
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

#[cfg(test)]
mod tests {
    use onnx_graph::Attributes;

    use super::*;

    /// dx of y = x², right or (with another factor) wrong.
    fn square(factor: f32) -> impl Fn(&mut Graph, Tensor, Tensor, &[Tensor]) -> Vec<Option<Tensor>> {
        move |graph, _, dy, wrt| {
            let e = Emit::new(graph);
            let dx = e.scale(e.mul(wrt[0], dy), factor);
            e.finish().unwrap();
            vec![Some(dx)]
        }
    }

    #[test]
    fn a_right_gradient_passes_and_a_wrong_one_is_told() {
        let x = [Draw::new(1).uniform(&[2, 3])];
        let build = |e: &Emit, x: &[Tensor]| e.mul(x[0], x[0]);
        check_vjp(build, &x, square(2.0)).unwrap();
        let batched = Check { batched: vec![0], ..Check::default() };
        batched.vjp(build, &x, square(2.0)).unwrap();
        let error = check_vjp(build, &x, square(2.00001)).unwrap_err();
        assert!(error.starts_with("gradient of input 0 at [0, 0] (element 0, x = "), "{error}");
        assert!(error.contains("expected") && error.contains("found"), "{error}");
    }

    #[test]
    fn one_wrong_element_is_found_by_its_coordinate() {
        let x = [Draw::new(2).away_from(&[0.0], &[5])];
        let build = |e: &Emit, x: &[Tensor]| e.relu(x[0]);
        let wrong = |graph: &mut Graph, y: Tensor, dy: Tensor, _: &[Tensor]| {
            let e = Emit::new(graph);
            let last = e.constant(onnx_graph::Constant::f32s(&[5], &[0.0, 0.0, 0.0, 0.0, 1.0]));
            let dx = e.add(e.mul(dy, e.positive(y)), last);
            e.finish().unwrap();
            vec![Some(dx)]
        };
        let error = check_vjp(build, &x, wrong).unwrap_err();
        assert!(error.starts_with("gradient of input 0 at [4] (element 4"), "{error}");
    }

    #[test]
    fn no_gradient_stands_for_zero() {
        let x = [Draw::new(3).uniform(&[4])];
        let floor = |e: &Emit, x: &[Tensor]| e.node("Floor", &[x[0]], Attributes::none());
        check_vjp(floor, &x, |_, _, _, _| vec![None]).unwrap();
        let neg = |e: &Emit, x: &[Tensor]| e.neg(x[0]);
        assert!(check_vjp(neg, &x, |_, _, _, _| vec![None]).unwrap_err().contains("found 0"));
    }

    #[test]
    fn a_gradient_of_another_shape_is_told() {
        let x = [Draw::new(4).uniform(&[3]), Draw::new(5).uniform(&[2, 3])];
        let build = |e: &Emit, x: &[Tensor]| e.add(x[0], x[1]);
        let unsummed = |_: &mut Graph, _: Tensor, dy: Tensor, wrt: &[Tensor]| vec![Some(dy); wrt.len()];
        let error = check_vjp(build, &x, unsummed).unwrap_err();
        assert_eq!(error, "gradient of input 0 is [2, 3], the input [3]");
    }

    #[test]
    fn a_gradient_that_depends_on_what_else_is_asked_for_is_told() {
        let x = [Draw::new(6).uniform(&[3]), Draw::new(7).uniform(&[3])];
        let build = |e: &Emit, x: &[Tensor]| e.add(x[0], x[1]);
        let careless = |_: &mut Graph, _: Tensor, dy: Tensor, wrt: &[Tensor]| match wrt {
            [_] => vec![None],
            _ => vec![Some(dy), Some(dy)],
        };
        let error = check_vjp(build, &x, careless).unwrap_err();
        assert!(error.starts_with("input 0: its gradient is another"), "{error}");
    }

    #[test]
    fn gradients_at_a_kink() {
        let x = [ArrayD::from_shape_vec(vec![2], vec![0.0, 1.0]).unwrap()];
        let dy = ArrayD::from_shape_vec(vec![2], vec![5.0, 7.0]).unwrap();
        let masked = |graph: &mut Graph, y: Tensor, dy: Tensor, _: &[Tensor]| {
            let e = Emit::new(graph);
            let dx = e.mul(dy, e.positive(y));
            e.finish().unwrap();
            vec![Some(dx)]
        };
        let (y, dx) = Check::default().gradients(|e, x| e.relu(x[0]), &x, &dy, masked).unwrap();
        assert_eq!((y.as_slice().unwrap(), dx[0].as_slice().unwrap()), (&[0.0, 1.0][..], &[0.0, 7.0][..]));
    }
}
