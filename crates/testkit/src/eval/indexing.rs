//! Elements by their indices, and the indices of elements.

use super::index::{each, table, try_table};
use super::layout::place;
use super::{Definition, Operands, Value, one};

pub(super) const OPERATORS: &[(&str, Definition)] =
    &[("GatherElements", gather_elements), ("ScatterElements", scatter_elements), ("TopK", top_k)];

fn gather_elements(o: &Operands) -> Result<Vec<Value>, String> {
    let (x, indices, along) = (o.input(0)?, o.input(1)?, o.axis(0)?);
    one(try_table(indices.shape(), |i| {
        let mut from = i.to_vec();
        from[along] = place(indices, i, x.shape()[along])?;
        x.get(from.as_slice()).copied().ok_or_else(|| format!("the indices {:?} leave the data", indices.shape()))
    })?)
}

/// One update after the other, row by row.
fn scatter_elements(o: &Operands) -> Result<Vec<Value>, String> {
    let (x, indices, updates, along) = (o.input(0)?, o.input(1)?, o.input(2)?, o.axis(0)?);
    let combine: fn(f64, f64) -> f64 = match o.attributes().text("reduction") {
        "none" => |_, update| update,
        "add" => |old, update| old + update,
        "mul" => |old, update| old * update,
        "max" => f64::max,
        "min" => f64::min,
        other => return Err(format!("reduction {other:?}")),
    };
    let (mut y, mut error) = (x.clone(), None);
    each(indices.shape(), |i| {
        let mut to = i.to_vec();
        match place(indices, i, x.shape()[along]) {
            Ok(there) => {
                to[along] = there;
                y[to.as_slice()] = combine(y[to.as_slice()], updates[i]);
            }
            Err(outside) => error = Some(outside),
        }
    });
    error.map_or_else(|| one(y), Err)
}

/// The place that comes i-th when those along the axis are ordered by their elements, equal ones by themselves.
fn top_k(o: &Operands) -> Result<Vec<Value>, String> {
    let (x, along) = (o.input(0)?, o.axis(0)?);
    let (k, largest) = (o.attributes().int("k") as usize, o.attributes().flag("largest"));
    let mut shape = x.shape().to_vec();
    shape[along] = k;
    one(table(&shape, |i| {
        let element = |place: usize| {
            let mut from = i.to_vec();
            from[along] = place;
            x[from.as_slice()]
        };
        let mut places: Vec<usize> = (0..x.shape()[along]).collect();
        places.sort_by(|a, b| {
            let order = element(*a).total_cmp(&element(*b));
            if largest { order.reverse() } else { order }
        });
        places[i[along]] as f64
    }))
}
