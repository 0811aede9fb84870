//! Products.

use super::index::{at, broadcast, table};
use super::{Definition, Operands, Value, one, reshaped};

pub(super) const OPERATORS: &[(&str, Definition)] = &[("MatMul", matmul), ("Gemm", gemm)];

/// numpy's rule: a vector on the left is a row, on the right a column, and that axis goes again; leading axes broadcast.
fn matmul(o: &Operands) -> Result<Vec<Value>, String> {
    let (a, b) = (o.input(0)?, o.input(1)?);
    let row = if a.ndim() == 1 { reshaped(a, &[1, a.len()])? } else { a.clone() };
    let column = if b.ndim() == 1 { reshaped(b, &[b.len(), 1])? } else { b.clone() };
    if row.ndim() < 2 || column.ndim() < 2 {
        return Err("scalars are not matrices".to_owned());
    }
    let (stack_a, matrix_a) = row.shape().split_at(row.ndim() - 2);
    let (stack_b, matrix_b) = column.shape().split_at(column.ndim() - 2);
    let (m, k, n) = (matrix_a[0], matrix_a[1], matrix_b[1]);
    if matrix_b[0] != k {
        return Err(format!("{:?} times {:?}", a.shape(), b.shape()));
    }
    let stack = broadcast(&[stack_a, stack_b])?;
    let product = table(&[&stack[..], &[m, n]].concat(), |i| {
        let (stack, cell) = i.split_at(i.len() - 2);
        let term =
            |j: usize| at(&row, &[stack, &[cell[0], j]].concat()) * at(&column, &[stack, &[j, cell[1]]].concat());
        (0..k).map(term).sum()
    });
    let mut shape = stack;
    shape.extend((a.ndim() > 1).then_some(m));
    shape.extend((b.ndim() > 1).then_some(n));
    one(reshaped(&product, &shape)?)
}

/// α · A' · B' + β · C, C broadcast.
fn gemm(o: &Operands) -> Result<Vec<Value>, String> {
    let (a, b, c) = (o.input(0)?, o.input(1)?, o.optional(2));
    let (alpha, beta) = (o.float("alpha"), o.float("beta"));
    let (trans_a, trans_b) = (o.attributes().flag("transA"), o.attributes().flag("transB"));
    let (&[a0, a1], &[b0, b1]) = (a.shape(), b.shape()) else { return Err("A and B are matrices".to_owned()) };
    let (m, k) = if trans_a { (a1, a0) } else { (a0, a1) };
    let (k_b, n) = if trans_b { (b1, b0) } else { (b0, b1) };
    if k != k_b {
        return Err(format!("inner sizes {k} and {k_b}"));
    }
    one(table(&[m, n], |i| {
        let left = |j: usize| if trans_a { a[[j, i[0]]] } else { a[[i[0], j]] };
        let right = |j: usize| if trans_b { b[[i[1], j]] } else { b[[j, i[1]]] };
        let product: f64 = (0..k).map(|j| left(j) * right(j)).sum();
        alpha * product + c.map_or(0.0, |c| beta * at(c, i))
    }))
}
