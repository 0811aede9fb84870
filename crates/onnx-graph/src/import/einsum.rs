//! Einsum (opset 12) as products of two operands at a time, from the left.
//!
//! `bij,bjk->bik`: labels that both have and somebody still needs (b) are the batch of a MatMul, labels that both have and
//! nobody needs (j) are summed over by it, the others (i; k) are its rows and columns. A label twice in one operand is its
//! diagonal. `...` stands for axes without letters, which broadcast.

use std::collections::HashMap;

use super::file_node::{FileNode, Refusal, Settle, one};
use crate::dim::{Dim, element_count};
use crate::dtype::DataType;
use crate::emit::Emit;
use crate::graph::Tensor;

pub(super) const OPERATORS: &[(&str, Settle)] = &[("Einsum", einsum)];

/// What an axis is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Label {
    /// An axis of `...`, counted from its last.
    Unnamed(usize),
    Letter(char),
}

/// A tensor and what its axes are called, each once.
struct Operand {
    tensor: Tensor,
    labels: Vec<Label>,
}

fn einsum(n: &FileNode) -> Result<Vec<Option<Tensor>>, Refusal> {
    let equation: String = n.text_or("equation", "").chars().filter(|c| !c.is_whitespace()).collect();
    let (left, right) = match equation.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (equation.as_str(), None),
    };
    let terms: Vec<&str> = left.split(',').collect();
    if terms.len() != n.inputs.len() {
        return Err(
            format!("its equation {equation:?} is for {} inputs, it has {}", terms.len(), n.inputs.len()).into()
        );
    }
    let mut operands = Vec::with_capacity(terms.len());
    for (i, term) in terms.iter().enumerate() {
        if !n.e.graph().tensor(n.input(i)?).dtype.is_some_and(DataType::is_float) {
            return Err("only floats are multiplied here".into());
        }
        operands.push(Operand { tensor: n.input(i)?, labels: labels(term, Some(n.shape(i)?.len()))? });
    }
    let wanted = match right {
        Some(right) => output_labels(right, &operands)?,
        None => implied(&operands),
    };
    let operands: Vec<Operand> = operands.into_iter().map(|o| diagonal(n.e, o)).collect::<Result<_, _>>()?;
    let operands = without_broadcast(n.e, operands)?;
    one(contracted(n.e, operands, &wanted)?)
}

/// The labels of a term for a tensor of this rank.
fn labels(term: &str, rank: Option<usize>) -> Result<Vec<Label>, String> {
    let bad = || format!("{term:?} in its equation is not understood");
    let letters = |part: &str| -> Result<Vec<Label>, String> {
        part.chars().map(|c| if c.is_ascii_alphabetic() { Ok(Label::Letter(c)) } else { Err(bad()) }).collect()
    };
    let named = match term.split_once("...") {
        None => letters(term)?,
        Some((before, behind)) => {
            let (before, behind) = (letters(before)?, letters(behind)?);
            let unnamed = rank.map_or(Some(0), |rank| rank.checked_sub(before.len() + behind.len())).ok_or_else(bad)?;
            before.into_iter().chain((0..unnamed).rev().map(Label::Unnamed)).chain(behind).collect()
        }
    };
    match rank {
        Some(rank) if rank != named.len() => {
            Err(format!("{term:?} in its equation is for another number of axes than {rank}"))
        }
        _ => Ok(named),
    }
}

/// The labels behind the arrow; `...` stands there for all unnamed axes of the operands.
fn output_labels(term: &str, operands: &[Operand]) -> Result<Vec<Label>, String> {
    let letters = term.replace("...", "").len();
    let unnamed = if term.contains("...") { unnamed(operands) } else { 0 };
    let wanted = labels(term, Some(letters + unnamed))?;
    let known = |label: &Label| operands.iter().any(|o| o.labels.contains(label));
    let twice = (1..wanted.len()).any(|i| wanted[..i].contains(&wanted[i]));
    if twice || !wanted.iter().all(known) {
        return Err(format!("{term:?} behind the arrow of its equation is not understood"));
    }
    Ok(wanted)
}

fn unnamed(operands: &[Operand]) -> usize {
    let all = operands.iter().flat_map(|o| &o.labels);
    all.map(|l| if let Label::Unnamed(from_last) = l { from_last + 1 } else { 0 }).max().unwrap_or(0)
}

/// Without an arrow: the unnamed axes, then the letters that occur once, in the alphabet's order.
fn implied(operands: &[Operand]) -> Vec<Label> {
    let mut count: HashMap<Label, usize> = HashMap::new();
    operands.iter().flat_map(|o| &o.labels).for_each(|l| *count.entry(*l).or_default() += 1);
    let once = |(label, times): (Label, usize)| (matches!(label, Label::Letter(_)) && times == 1).then_some(label);
    let mut letters: Vec<Label> = count.into_iter().filter_map(once).collect();
    letters.sort_unstable();
    (0..unnamed(operands)).rev().map(Label::Unnamed).chain(letters).collect()
}

/// One axis for each label: of a square over axes of one name, every (n + 1)-th element.
fn diagonal(e: &Emit, mut o: Operand) -> Result<Operand, Refusal> {
    while let Some((first, second)) = twice(&o.labels) {
        let shape = e.shape(o.tensor);
        let extent = shape[first].known().filter(|_| shape[first] == shape[second]);
        let extent = extent.ok_or("a label that it has twice is of two sizes")?;
        let rest: Vec<usize> = (0..shape.len()).filter(|i| *i != first && *i != second).collect();
        let perm: Vec<i64> = rest.iter().chain([&first, &second]).map(|i| *i as i64).collect();
        let mut flat: Vec<Dim> = rest.iter().map(|i| shape[*i]).collect();
        flat.push(shape[first].mul(shape[second]).ok_or("the sizes overflow")?);
        let square = e.reshape(e.transpose(o.tensor, &perm), flat);
        o.tensor = e.slice(square, rest.len(), 0, extent + 1, extent);
        o.labels = rest.iter().map(|i| o.labels[*i]).chain([o.labels[first]]).collect();
    }
    Ok(o)
}

fn twice(labels: &[Label]) -> Option<(usize, usize)> {
    (0..labels.len()).find_map(|second| Some((labels[..second].iter().position(|l| *l == labels[second])?, second)))
}

/// Axes of one element that stand for more in another operand are dropped: there is nothing to multiply along them.
fn without_broadcast(e: &Emit, operands: Vec<Operand>) -> Result<Vec<Operand>, Refusal> {
    let mut sizes: HashMap<Label, Dim> = HashMap::new();
    for o in &operands {
        for (label, dim) in o.labels.iter().zip(e.shape(o.tensor)) {
            let known = sizes.entry(*label).or_insert(dim);
            if *known == Dim::new(1) {
                *known = dim;
            } else if *known != dim && dim != Dim::new(1) {
                return Err(format!("an axis is {known} in one input and {dim} in another").into());
            }
        }
    }
    let narrowed = operands.into_iter().map(|o| {
        let shape = e.shape(o.tensor);
        let kept: Vec<usize> = (0..shape.len()).filter(|i| shape[*i] == sizes[&o.labels[*i]]).collect();
        let tensor = e.reshape(o.tensor, kept.iter().map(|i| shape[*i]).collect());
        Operand { tensor, labels: kept.iter().map(|i| o.labels[*i]).collect() }
    });
    Ok(narrowed.collect())
}

/// All operands as one, in the order that is wanted.
fn contracted(e: &Emit, operands: Vec<Operand>, wanted: &[Label]) -> Result<Tensor, Refusal> {
    let mut rest: std::collections::VecDeque<Operand> = operands.into();
    let mut product = rest.pop_front().ok_or("it has no inputs")?;
    loop {
        let needed = |label: &Label| wanted.contains(label) || rest.iter().any(|o| o.labels.contains(label));
        product = summed(e, product, needed);
        let Some(next) = rest.pop_front() else { break };
        let needed = |label: &Label| wanted.contains(label) || rest.iter().any(|o| o.labels.contains(label));
        let next = summed(e, next, |label| needed(label) || product.labels.contains(label));
        product = multiplied(e, product, next, needed)?;
    }
    let place = |label: &Label| product.labels.iter().position(|l| l == label).map(|i| i as i64);
    let perm: Option<Vec<i64>> = wanted.iter().map(place).collect();
    Ok(e.transpose(product.tensor, &perm.ok_or("an axis of its output is in no input")?))
}

/// Summed over the axes that nobody needs.
fn summed(e: &Emit, o: Operand, needed: impl Fn(&Label) -> bool) -> Operand {
    let axes: Vec<i64> = (0..o.labels.len()).filter(|i| !needed(&o.labels[*i])).map(|i| i as i64).collect();
    let tensor = e.reduce("ReduceSum", o.tensor, &axes, false);
    Operand { tensor, labels: o.labels.into_iter().filter(needed).collect() }
}

/// The product of two operands over what nobody needs behind it.
fn multiplied(e: &Emit, a: Operand, b: Operand, needed: impl Fn(&Label) -> bool) -> Result<Operand, Refusal> {
    let (shared, rows): (Vec<Label>, Vec<Label>) = a.labels.iter().partition(|l| b.labels.contains(l));
    let (batch, inner): (Vec<Label>, Vec<Label>) = shared.into_iter().partition(|l| needed(l));
    let columns: Vec<Label> = b.labels.iter().copied().filter(|l| !a.labels.contains(l)).collect();
    let (a_sizes, b_sizes) = (sizes_of(e, &a, &[&batch, &rows])?, sizes_of(e, &b, &[&columns])?);
    let made: Vec<Dim> = [a_sizes.clone(), b_sizes.clone()].concat();
    let labels = [batch.as_slice(), &rows, &columns].concat();
    let one = |count: usize| vec![Dim::new(1); count];
    if inner.is_empty() {
        let left = e.reshape(ordered(e, &a, &[&batch, &rows]), [a_sizes, one(columns.len())].concat());
        let right_shape = [sizes_of(e, &b, &[&batch])?, one(rows.len()), b_sizes].concat();
        let right = e.reshape(ordered(e, &b, &[&batch, &columns]), right_shape);
        return Ok(Operand { tensor: e.mul(left, right), labels });
    }
    let count = |dims: Vec<Dim>| element_count(&dims).ok_or_else(|| Refusal::from("the sizes overflow"));
    let (height, width) = (count(sizes_of(e, &a, &[&rows])?)?, count(b_sizes)?);
    let depth = count(sizes_of(e, &a, &[&inner])?)?;
    let over = sizes_of(e, &a, &[&batch])?;
    let left = e.reshape(ordered(e, &a, &[&batch, &rows, &inner]), [over.clone(), vec![height, depth]].concat());
    let right = e.reshape(ordered(e, &b, &[&batch, &inner, &columns]), [over, vec![depth, width]].concat());
    Ok(Operand { tensor: e.reshape(e.matmul(left, right), made), labels })
}

fn ordered(e: &Emit, o: &Operand, order: &[&Vec<Label>]) -> Tensor {
    let place = |label: &Label| o.labels.iter().position(|l| l == label).unwrap_or_default() as i64;
    let perm: Vec<i64> = order.iter().copied().flatten().map(place).collect();
    e.transpose(o.tensor, &perm)
}

/// The sizes of these axes; a product before that failed has none.
fn sizes_of(e: &Emit, o: &Operand, order: &[&Vec<Label>]) -> Result<Vec<Dim>, Refusal> {
    let shape = e.shape(o.tensor);
    let size = |label: &Label| shape.get(o.labels.iter().position(|l| l == label)?).copied();
    let sizes: Option<Vec<Dim>> = order.iter().copied().flatten().map(size).collect();
    sizes.ok_or_else(|| "a product in it is not possible".into())
}
