//! A normalisation that the network does itself: what its first nodes make of the picture, channel by channel.
//!
//! From the input on, as long as one node reads it: Cast, Transpose, resizing, channels in reverse, rounding to integers of
//! few bits and back, and sums and products with constants (Add, Sub, Mul, Div, BatchNormalization) compose to
//! y = x · scale + offset for each channel.

use std::fmt;

use onnx_graph::{Constant, DataType, Dim, Graph, Node, Tensor};

use crate::picture::Layout;

/// y = x · scale + offset for each channel of the input.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Normalisation {
    scale: Vec<f64>,
    offset: Vec<f64>,
}

/// Samples as a network that normalises them itself takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Samples {
    /// 0..=255.
    Bytes,
    /// 0..=1.
    Unit,
}

impl Samples {
    /// What a sample 0..=255 is multiplied with.
    pub fn scale(self) -> f32 {
        match self {
            Samples::Bytes => 1.0,
            Samples::Unit => 1.0 / 255.0,
        }
    }

    fn most(self) -> f64 {
        match self {
            Samples::Bytes => 255.0,
            Samples::Unit => 1.0,
        }
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Samples::Bytes => "0..255",
            Samples::Unit => "0..1",
        })
    }
}

impl Normalisation {
    /// What the nodes between the input and `scores` begin with, for channels in this place of the input's four axes.
    pub fn of(graph: &Graph, input: Tensor, scores: Tensor, layout: Layout) -> Option<Normalisation> {
        let axis = match layout {
            Layout::Nchw => 1,
            Layout::Nhwc => 3,
        };
        let shape = graph.shape(input).filter(|shape| shape.len() == 4)?;
        let channels = usize::try_from(shape[axis].known()?).ok()?;
        let needed = graph.needed_for(&[scores]);
        let consumers = graph.consumers();
        let mut chain = Chain { graph, axis, scale: vec![1.0; channels], offset: vec![0.0; channels], reversed: false };
        let mut at = input;
        loop {
            let readers = consumers.get(&at).into_iter().flatten().filter(|i| needed[**i]).collect::<Vec<_>>();
            let [reader] = readers[..] else { break };
            let node = &graph.nodes()[*reader];
            let (Some(()), &[Some(next)]) = (chain.step(node, at), node.outputs.as_slice()) else { break };
            at = next;
        }
        let Chain { mut scale, mut offset, reversed, .. } = chain;
        if reversed {
            scale.reverse();
            offset.reverse();
        }
        Some(Normalisation { scale, offset }).filter(|n| n.scale.iter().chain(&n.offset).all(|v| v.is_finite()))
    }

    /// The same of samples from which this is subtracted before they reach the graph.
    pub fn behind_subtraction(mut self, by: f64) -> Normalisation {
        self.offset.iter_mut().zip(&self.scale).for_each(|(offset, scale)| *offset -= by * scale);
        self
    }

    /// The samples of which this makes what networks are usually trained on; `None` where it does of neither.
    ///
    /// Usual are ranges of a width from ½ on within ±4, and bytes from which a mean is subtracted. Samples 0..=1 that
    /// stay as they are, or nearly so, may be anything: they have to become ones on both sides of 0.
    pub fn samples(&self) -> Option<Samples> {
        let all = |usual: &dyn Fn(f64, f64) -> bool, most: f64| {
            self.scale.iter().zip(&self.offset).all(|(scale, offset)| usual(*offset, scale * most + offset))
        };
        let within = |a: f64, b: f64| (b - a).abs() >= 0.5 && a.abs().max(b.abs()) <= 4.0;
        let less_a_mean = |a: f64, b: f64| (200.0..=300.0).contains(&(b - a)) && (-192.0..=-64.0).contains(&a);
        let astride = |a: f64, b: f64| within(a, b) && a.min(b) <= -0.4 && a.max(b) >= 0.4;
        [Samples::Bytes, Samples::Unit].into_iter().find(|samples| {
            let normalised: &dyn Fn(f64, f64) -> bool = if *samples == Samples::Bytes { &within } else { &astride };
            all(normalised, samples.most()) || all(&less_a_mean, samples.most())
        })
    }
}

/// What is composed so far: by channel in the order they have there, which stand on this axis.
struct Chain<'g> {
    graph: &'g Graph,
    axis: usize,
    scale: Vec<f64>,
    offset: Vec<f64>,
    reversed: bool,
}

impl Chain<'_> {
    /// Follows `x` through a node; `None` at one that is not among those we look through.
    fn step(&mut self, node: &Node, x: Tensor) -> Option<()> {
        let operands: Vec<Tensor> = node.inputs.iter().copied().collect::<Option<_>>().unwrap_or_default();
        match &*node.op {
            // Also where it is carried: whatever the filter, equal samples stay equal.
            "Resize" | "Upsample" => (node.inputs.first() == Some(&Some(x))).then_some(()),
            _ if node.carried.is_some() => None,
            "Cast" => {
                let is_float = |t: Tensor| self.graph.tensor(t).dtype.is_some_and(DataType::is_float);
                let kept = !is_float(x) || is_float(node.outputs[0]?);
                kept.then_some(())
            }
            "Transpose" => {
                self.axis = node.attributes.ints("perm").iter().position(|from| *from == self.axis as i64)?;
                Some(())
            }
            "Slice" => self.reverse(node),
            "Reshape" => self.fold_columns(x, node.outputs[0]?),
            "MatMul" => self.resize(*operands.first()?, *operands.get(1)?, x),
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(node, *operands.first()?, *operands.get(1)?, x),
            "BatchNormalization" => self.batch_normalization(node, &operands),
            "QuantizeLinear" | "DequantizeLinear" => self.rounding(node, &operands),
            _ => None,
        }
    }

    /// x / s + z or (q − z) · s, with one scale for all.
    fn rounding(&mut self, node: &Node, operands: &[Tensor]) -> Option<()> {
        let one = |t: Tensor| match self.graph.constant(t)?.to_f64().ok()?.as_slice() {
            &[value] => Some(value),
            _ => None,
        };
        let scale = one(*operands.get(1)?)?;
        let zero_point = operands.get(2).map_or(Some(0.0), |z| one(*z))?;
        let (factor, offset) = match &*node.op {
            "QuantizeLinear" => (1.0 / scale, zero_point),
            _ => (scale, -zero_point * scale),
        };
        self.scale.iter_mut().for_each(|s| *s *= factor);
        self.offset.iter_mut().for_each(|o| *o = *o * factor + offset);
        Some(())
    }

    /// Rows of columns and channels in one, as rows are resized where channels stand behind; and back.
    fn fold_columns(&mut self, x: Tensor, y: Tensor) -> Option<()> {
        let channels = Dim::from(self.scale.len());
        match (self.graph.shape(x)?, self.graph.shape(y)?, self.axis) {
            (&[n, rows, columns, c], &[m, r, both], 3) if (n, rows) == (m, r) && columns.mul(c) == Some(both) => {
                self.axis = 2;
            }
            (&[n, rows, both], &[m, r, columns, c], 2)
                if (n, rows, channels) == (m, r, c) && columns.mul(c) == Some(both) =>
            {
                self.axis = 3;
            }
            _ => return None,
        }
        Some(())
    }

    /// All channels, last to first.
    fn reverse(&mut self, node: &Node) -> Option<()> {
        let part = ["axes", "steps", "counts"].map(|name| node.attributes.ints(name));
        if part != [&[self.axis as i64][..], &[-1], &[self.scale.len() as i64]] {
            return None;
        }
        self.scale.reverse();
        self.offset.reverse();
        self.reversed = !self.reversed;
        Some(())
    }

    /// A product with a matrix over another axis than that of the channels, each of whose means weighs 1 in all.
    fn resize(&mut self, a: Tensor, b: Tensor, x: Tensor) -> Option<()> {
        let (matrix, from_left) = if b == x { (a, true) } else { (b, false) };
        let contracted = self.graph.shape(x)?.len().checked_sub(if from_left { 2 } else { 1 })?;
        let constant = self.graph.constant(matrix)?;
        let &[rows, columns] = constant.dims() else { return None };
        if contracted == self.axis {
            return None;
        }
        let values = constant.to_f64().ok()?;
        let sum = |i: usize| -> f64 {
            match from_left {
                true => values[i * columns..][..columns].iter().sum(),
                false => (0..rows).map(|row| values[row * columns + i]).sum(),
            }
        };
        let made = if from_left { rows } else { columns };
        (0..made).all(|i| (sum(i) - 1.0).abs() < 1e-3).then_some(())
    }

    fn arithmetic(&mut self, node: &Node, a: Tensor, b: Tensor, x: Tensor) -> Option<()> {
        let (other, first) = if a == x { (b, true) } else { (a, false) };
        let rank = self.graph.shape(x)?.len();
        let values = self.by_channel(self.graph.constant(other)?, rank)?;
        for ((scale, offset), value) in self.scale.iter_mut().zip(&mut self.offset).zip(values) {
            (*scale, *offset) = match (&*node.op, first) {
                ("Add", _) => (*scale, *offset + value),
                ("Sub", true) => (*scale, *offset - value),
                ("Sub", false) => (-*scale, value - *offset),
                ("Mul", _) => (*scale * value, *offset * value),
                ("Div", true) => (*scale / value, *offset / value),
                _ => return None,
            };
        }
        Some(())
    }

    /// γ (x − μ) / √(σ² + ε) + β; its channels stand on axis 1.
    fn batch_normalization(&mut self, node: &Node, operands: &[Tensor]) -> Option<()> {
        let &[_, gamma, beta, mean, variance] = operands else { return None };
        if self.axis != 1 {
            return None;
        }
        let values = |t: Tensor| self.graph.constant(t)?.to_f64().ok().filter(|v| v.len() == self.scale.len());
        let (gamma, beta, mean, variance) = (values(gamma)?, values(beta)?, values(mean)?, values(variance)?);
        let epsilon = f64::from(node.attributes.float("epsilon"));
        for c in 0..self.scale.len() {
            let factor = gamma[c] / (variance[c] + epsilon).sqrt();
            self.scale[c] *= factor;
            self.offset[c] = (self.offset[c] - mean[c]) * factor + beta[c];
        }
        Some(())
    }

    /// The elements of a constant that differ at most by channel.
    fn by_channel(&self, constant: &Constant, rank: usize) -> Option<Vec<f64>> {
        let (dims, channels) = (constant.dims(), self.scale.len());
        let missing = rank.checked_sub(dims.len())?;
        let fits = |(i, d): (usize, &usize)| *d == 1 || (missing + i == self.axis && *d == channels);
        if !dims.iter().enumerate().all(fits) {
            return None;
        }
        match constant.to_f64().ok()?.as_slice() {
            [one] => Some(vec![*one; channels]),
            several => Some(several.to_vec()),
        }
    }
}

impl fmt::Display for Normalisation {
    /// `x/127.5 − 1`, or `(x − [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let same = |values: &[f64]| values.iter().all(|v| short(*v) == short(values[0]));
        if same(&self.scale) && same(&self.offset) {
            let (scale, offset) = (self.scale[0], self.offset[0]);
            let product = match scale {
                _ if short(scale) == short(1.0) => "x".to_owned(),
                scale if scale.abs() < 1.0 => format!("x/{}", short(1.0 / scale)),
                scale => format!("x·{}", short(scale)),
            };
            return match offset {
                0.0 => f.write_str(&product),
                offset if offset < 0.0 => write!(f, "{product} − {}", short(-offset)),
                offset => write!(f, "{product} + {}", short(offset)),
            };
        }
        let list = |value: &dyn Fn(f64, f64) -> f64| {
            let values: Vec<f64> = self.scale.iter().zip(&self.offset).map(|(s, o)| value(*s, *o)).collect();
            let texts: Vec<String> = values.iter().map(|v| short(*v).to_string()).collect();
            if same(&values) { texts[0].clone() } else { format!("[{}]", texts.join(", ")) }
        };
        let (mean, deviation) = (list(&|s, o| -o / s), list(&|s, _| 1.0 / s));
        match deviation.as_str() {
            "1" => write!(f, "x − {mean}"),
            deviation => write!(f, "(x − {mean}) / {deviation}"),
        }
    }
}

/// A number to five digits.
fn short(value: f64) -> f64 {
    format!("{value:.4e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(scale: &[f64], offset: &[f64]) -> Normalisation {
        Normalisation { scale: scale.to_vec(), offset: offset.to_vec() }
    }

    #[test]
    fn what_a_normalisation_wants() {
        let imagenet = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        let scaled = |by: f64| {
            let scale: Vec<f64> = imagenet.1.iter().map(|std| by / std).collect();
            let offset: Vec<f64> = imagenet.0.iter().zip(imagenet.1).map(|(mean, std)| -mean / std).collect();
            of(&scale, &offset)
        };
        let bytes = Some(Samples::Bytes);
        let unit = Some(Samples::Unit);
        let table = [
            (of(&[1.0 / 127.5; 3], &[-1.0; 3]), bytes, "x/127.5 − 1"),
            (of(&[1.0 / 255.0], &[0.0]), bytes, "x/255"),
            (scaled(1.0 / 255.0), bytes, "(x − [123.68, 116.28, 103.53]) / [58.395, 57.12, 57.375]"),
            (of(&[1.0; 3], &[-103.939, -116.779, -123.68]), bytes, "x − [103.94, 116.78, 123.68]"),
            (of(&[1.0 / 58.0; 3], &[-2.0; 3]), bytes, "x/58 − 2"),
            (scaled(1.0), unit, "(x − [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]"),
            (of(&[2.0; 3], &[-1.0; 3]), unit, "x·2 − 1"),
            (of(&[-2.0; 3], &[1.0; 3]), unit, "x·-2 + 1"),
            (of(&[255.0; 3], &[-103.939, -116.779, -123.68]), unit, "(x − [0.4076, 0.45796, 0.48502]) / 0.0039216"),
            (of(&[1.0; 3], &[0.0; 3]), None, "x"),
            (
                of(&[0.9, 1.1, 1.2], &[0.03, -0.1, 0.2]),
                None,
                "(x − [-0.033333, 0.090909, -0.16667]) / [1.1111, 0.90909, 0.83333]",
            ),
            (of(&[30.0; 3], &[-15.0; 3]), None, "x·30 − 15"),
            (of(&[1.0 / 1000.0; 3], &[0.0; 3]), None, "x/1000"), // Bytes become a quarter wide only.
        ];
        for (normalisation, samples, text) in table {
            assert_eq!((normalisation.samples(), normalisation.to_string().as_str()), (samples, text));
        }
    }
}
