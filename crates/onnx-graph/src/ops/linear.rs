//! Products.
//!
//! | operator | attributes | |
//! |---|---|---|
//! | MatMul | | A [.., m, k], B [.., k, n] -> [.., m, n], numpy's rule for rank 1 and for the leading axes |
//! | Gemm | `transA`, `transB`, `alpha`, `beta` | A [m, k], B [k, n], C? to [m, n] -> α A B + β C |

use super::{Infer, Inputs, Misfit, Signature, broadcast};
use crate::attributes::Attributes;
use crate::dim::{Dim, show_shape};

pub(super) const OPERATORS: &[(&str, Infer)] = &[("MatMul", matmul), ("Gemm", gemm)];

fn matmul(inputs: &Inputs, _: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let (a, b) = (inputs.rank(0, 1)?, inputs.rank(1, 1)?);
    let row = [&[Dim::new(1)], a].concat();
    let column = [b, &[Dim::new(1)]].concat();
    let left = if a.len() == 1 { &row } else { a };
    let right = if b.len() == 1 { &column } else { b };
    let (batch_a, [m, k]) = left.split_at(left.len() - 2) else { unreachable!("two axes at least") };
    let (batch_b, [k2, n]) = right.split_at(right.len() - 2) else { unreachable!("two axes at least") };
    if k != k2 {
        return Err(format!("{} and {} do not multiply", show_shape(a), show_shape(b)));
    }
    let mut shape = broadcast(batch_a, batch_b)?;
    shape.extend((a.len() > 1).then_some(*m));
    shape.extend((b.len() > 1).then_some(*n));
    Ok(vec![Signature::new(inputs.dtype(0), shape)])
}

fn gemm(inputs: &Inputs, attributes: &Attributes) -> Result<Vec<Signature>, Misfit> {
    let matrix = |i: usize, transposed: bool| -> Result<(Dim, Dim), Misfit> {
        match inputs.shape(i)? {
            [r, c] => Ok(if transposed { (*c, *r) } else { (*r, *c) }),
            other => Err(format!("input {i} is no matrix but {}", show_shape(other))),
        }
    };
    let (m, k) = matrix(0, attributes.flag("transA"))?;
    let (k2, n) = matrix(1, attributes.flag("transB"))?;
    if k != k2 {
        return Err(format!("inner sizes {k} and {k2} differ"));
    }
    if inputs.has(2) && broadcast(&[m, n], inputs.shape(2)?)? != [m, n] {
        return Err(format!("C, {}, is larger than the product", show_shape(inputs.shape(2)?)));
    }
    Ok(vec![Signature::new(inputs.dtype(0), vec![m, n])])
}
