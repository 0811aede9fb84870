//! Normalisation.

use super::index::table;
use super::{Definition, Operands, Value, one};

pub(super) const OPERATORS: &[(&str, Definition)] = &[
    ("BatchNormalization", batch_normalization),
    ("LRN", lrn),
    ("Softmax", |o| along_axis(o, |x, all| x.exp() / all.iter().map(|v| v.exp()).sum::<f64>())),
    ("LogSoftmax", |o| along_axis(o, |x, all| x - all.iter().map(|v| v.exp()).sum::<f64>().ln())),
];

/// Y = (X − mean) / √(var + ε) · scale + B, by channel.
fn batch_normalization(o: &Operands) -> Result<Vec<Value>, String> {
    let (x, scale, b, mean, var) = (o.input(0)?, o.input(1)?, o.input(2)?, o.input(3)?, o.input(4)?);
    let epsilon = o.float("epsilon");
    one(table(x.shape(), |i| {
        let c = i[1];
        (x[i] - mean[[c]]) / (var[[c]] + epsilon).sqrt() * scale[[c]] + b[[c]]
    }))
}

/// Y = X / (bias + α/size · S)^β with S = Σ X² over the channels from max(0, c − ⌊(size−1)/2⌋) to
/// min(C − 1, c + ⌈(size−1)/2⌉).
fn lrn(o: &Operands) -> Result<Vec<Value>, String> {
    let x = o.input(0)?;
    let size = usize::try_from(o.attributes().int("size")).ok().filter(|s| *s > 0).ok_or("its size is not positive")?;
    let (alpha, beta, bias) = (o.float("alpha"), o.float("beta"), o.float("bias"));
    one(table(x.shape(), |i| {
        let (c, channels) = (i[1], x.shape()[1]);
        let first = c.saturating_sub((size - 1) / 2);
        let last = (c + (size - 1).div_ceil(2)).min(channels - 1);
        let square = |channel: usize| {
            let mut from = i.to_vec();
            from[1] = channel;
            x[from.as_slice()].powi(2)
        };
        let sum: f64 = (first..=last).map(square).sum();
        x[i] / (bias + alpha / size as f64 * sum).powf(beta)
    }))
}

/// Each element with all elements of its line along the axis, both less the line's maximum (which changes neither
/// function, but keeps the exponentials finite).
fn along_axis(o: &Operands, f: impl Fn(f64, &[f64]) -> f64) -> Result<Vec<Value>, String> {
    let (x, along) = (o.input(0)?, o.axis(0)?);
    one(table(x.shape(), |i| {
        let mut from = i.to_vec();
        let mut line = Vec::new();
        for place in 0..x.shape()[along] {
            from[along] = place;
            line.push(x[from.as_slice()]);
        }
        let most = line.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let shifted: Vec<f64> = line.iter().map(|v| v - most).collect();
        f(x[i] - most, &shifted)
    }))
}
