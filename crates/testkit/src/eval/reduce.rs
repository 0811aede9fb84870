//! Reductions.

use std::cmp::Ordering;

use super::index::{axis, each, table};
use super::{Definition, Operands, Value, one, reshaped};

pub(super) const OPERATORS: &[(&str, Definition)] = &[
    ("ReduceMean", |o| reduce(o, |v| v.iter().sum::<f64>() / v.len() as f64)),
    ("ReduceSum", |o| reduce(o, |v| v.iter().sum())),
    ("ReduceMax", |o| reduce(o, |v| v.iter().copied().fold(f64::NEG_INFINITY, f64::max))),
    ("ReduceMin", |o| reduce(o, |v| v.iter().copied().fold(f64::INFINITY, f64::min))),
    ("ReduceProd", |o| reduce(o, |v| v.iter().product())),
    ("ArgMax", argmax),
    ("CumSum", cumulated),
];

fn reduce(o: &Operands, f: impl Fn(&[f64]) -> f64) -> Result<Vec<Value>, String> {
    let rank = o.input(0)?.ndim();
    let axes: Vec<usize> = o.attributes().ints("axes").iter().map(|a| axis(*a, rank)).collect::<Result<_, _>>()?;
    over(o, &axes, f)
}

/// The first of equal maxima.
fn argmax(o: &Operands) -> Result<Vec<Value>, String> {
    over(o, &[o.axis(0)?], |elements| {
        let mut best = 0;
        for (i, v) in elements.iter().enumerate() {
            if *v > elements[best] {
                best = i;
            }
        }
        best as f64
    })
}

/// The sum of the elements at the place and before it (behind it where `reverse`), without the place's own where
/// `exclusive`.
fn cumulated(o: &Operands) -> Result<Vec<Value>, String> {
    let (x, along) = (o.input(0)?, o.axis(0)?);
    let (exclusive, reverse) = (o.attributes().flag("exclusive"), o.attributes().flag("reverse"));
    one(table(x.shape(), |i| {
        let counts = |place: &usize| match (*place).cmp(&i[along]) {
            Ordering::Equal => !exclusive,
            Ordering::Less => !reverse,
            Ordering::Greater => reverse,
        };
        let element = |place: usize| {
            let mut from = i.to_vec();
            from[along] = place;
            x[from.as_slice()]
        };
        (0..x.shape()[along]).filter(counts).map(element).sum()
    }))
}

/// `f` of all elements that differ in their place along `axes` only.
fn over(o: &Operands, axes: &[usize], f: impl Fn(&[f64]) -> f64) -> Result<Vec<Value>, String> {
    let x = o.input(0)?;
    let reduced: Vec<usize> = axes.iter().map(|a| x.shape()[*a]).collect();
    let mut kept = x.shape().to_vec();
    axes.iter().for_each(|a| kept[*a] = 1);
    let values = table(&kept, |i| {
        let mut from = i.to_vec();
        let mut elements = Vec::new();
        each(&reduced, |places| {
            for (along, place) in axes.iter().zip(places) {
                from[*along] = *place;
            }
            elements.push(x[from.as_slice()]);
        });
        f(&elements)
    });
    if o.attributes().flag("keepdims") {
        return one(values);
    }
    let left: Vec<usize> = (0..x.ndim()).filter(|a| !axes.contains(a)).map(|a| x.shape()[a]).collect();
    one(reshaped(&values, &left)?)
}
