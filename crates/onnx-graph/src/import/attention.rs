//! Attention and rotary positions, written out as products and a softmax.

use super::file_node::{FileNode, Refusal, Settle, one};
use super::masks::places;
use crate::attributes::Attributes;
use crate::constant::Constant;
use crate::dim::Dim;
use crate::dtype::DataType;
use crate::emit::Emit;
use crate::graph::Tensor;

pub(super) const OPERATORS: &[(&str, Settle)] = &[("Attention", attention), ("RotaryEmbedding", rotary_embedding)];

type Settled = Result<Vec<Option<Tensor>>, Refusal>;

/// softmax(s Q Kᵀ + bias) V for each head; opset 23 on. Q is [N, heads, T, d], or [N, T, heads · d] where the attributes say
/// how many heads there are, and so are K and V, whose heads may be fewer: each serves several of Q's, one after the other.
///
/// Further outputs are the keys and values with the past ones before them, and by `qk_matmul_output_mode` what enters the
/// softmax, or leaves it.
fn attention(n: &FileNode) -> Settled {
    n.ignore(&["softmax_precision"]); // The precision of what lies between.
    let (e, rank) = (n.e, n.shape(0)?.len());
    let (query_heads, key_heads) = (n.int("q_num_heads"), n.int("kv_num_heads"));
    let q = by_head(n, n.input(0)?, query_heads)?; // [N, heads, T, d]
    let after = |past: usize, own: usize| -> Result<Tensor, Refusal> {
        let own = by_head(n, n.input(own)?, key_heads)?;
        Ok(n.optional(past).map_or(own, |past| e.concat(&[past, own], 2)))
    };
    let (keys, values) = (after(4, 1)?, after(5, 2)?);
    let past = n.optional(4).map(|_| extent(n, &n.shape(4)?, 2)).transpose()?;
    let (k, v) = (repeated(n, keys, q)?, repeated(n, values, q)?); // [N, heads, S, d], [N, heads, S, d']
    let size = extent(n, &e.shape(q), 3)?;
    let scale = n.float("scale").map_or_else(|| 1.0 / (size as f64).sqrt(), f64::from);
    let product = e.matmul(e.scale(q, scale), e.swap_last(k)); // [N, heads, T, S]
    let capped = match n.float_or("softcap", 0.0) {
        0.0 => product,
        cap => {
            let bent = e.node("Tanh", &[e.scale(product, 1.0 / f64::from(cap))], Attributes::none());
            e.scale(bent, cap)
        }
    };
    let bias = bias(n, q, k, past)?;
    let biased = bias.map_or(capped, |bias| e.add(capped, bias));
    let softmax = |a: Tensor| e.node("Softmax", &[a], Attributes::none().with("axis", 3));
    let weights = match bias.filter(|bias| may_exclude_all(e, *bias)) {
        None => softmax(biased),
        Some(bias) => {
            // A query with no key to attend gets zeros, where a softmax of −∞ alone would be no number.
            let last = e.rank(bias) as i64 - 1;
            let most = e.reduce("ReduceMax", bias, &[last], true);
            let none = e.compare("Equal", most, e.number_like(most, f64::NEG_INFINITY));
            let zero = e.number_like(q, 0.0);
            let choose = |a: Tensor| e.node("Where", &[none, zero, a], Attributes::none());
            choose(softmax(choose(biased)))
        }
    };
    let y = e.matmul(weights, v); // [N, heads, T, d']
    let y = if rank == 3 { side_by_side(n, y)? } else { y };
    let looked_at = match n.int_or("qk_matmul_output_mode", 0) {
        0 => product,
        1 => capped,
        2 => biased,
        3 => weights,
        other => return Err(format!("its qk_matmul_output_mode is {other}").into()),
    };
    Ok(vec![Some(y), Some(keys), Some(values), Some(looked_at)])
}

/// The extent of an axis, which has to be known.
fn extent(n: &FileNode, shape: &[Dim], axis: usize) -> Result<i64, Refusal> {
    let known = shape.get(axis).and_then(|d| d.known());
    known.ok_or_else(|| format!("an axis of a tensor of `{}` is not known", n.op()).into())
}

/// [N, T, heads · d] as [N, heads, T, d]; what has four axes is that already.
fn by_head(n: &FileNode, x: Tensor, heads: Option<i64>) -> Result<Tensor, Refusal> {
    match n.e.shape(x).as_slice() {
        [_, _, _, _] => Ok(x),
        [batch, tokens, width] => {
            let heads = Dim::new(heads.ok_or("the number of its heads is missing")?);
            let size = width.div(heads).filter(|size| size.mul(heads) == Some(*width));
            let size = size.ok_or("its width is no multiple of its heads")?;
            Ok(n.e.transpose(n.e.reshape(x, vec![*batch, *tokens, heads, size]), &[0, 2, 1, 3]))
        }
        shape => Err(format!("one of its inputs has {} axes", shape.len()).into()),
    }
}

/// [N, heads, T, d] as [N, T, heads · d].
fn side_by_side(n: &FileNode, y: Tensor) -> Result<Tensor, Refusal> {
    let shape = n.e.shape(y);
    let width = shape.get(1).zip(shape.get(3)).and_then(|(heads, d)| heads.mul(*d));
    let width = width.ok_or("the size of its heads is not known")?;
    Ok(n.e.reshape(n.e.transpose(y, &[0, 2, 1, 3]), vec![shape[0], shape[2], width]))
}

// Of ONNX Runtime's domain: what its tools make of attention written out.

/// Attention of projections [N, T, heads · d], each with its part of one bias. Masks of padding and past keys are for texts.
pub(super) fn multi_head_attention(n: &FileNode) -> Settled {
    refuse_texts(n, &[4, 6, 7, 8, 9])?;
    let mut parts = [n.input(0)?, n.input(1)?, n.input(2)?];
    if let Some(bias) = n.optional(3) {
        let mut first = 0;
        for part in &mut parts {
            let width = extent(n, &n.e.shape(*part), 2)?;
            *part = n.e.add(*part, n.e.slice(bias, 0, first, 1, width));
            first += width;
        }
    }
    of_parts(n, parts)
}

/// The same with the projections in it: x W + b is queries, keys and values side by side.
pub(super) fn attention_with_projections(n: &FileNode) -> Settled {
    refuse_texts(n, &[3, 4, 6])?;
    let e = n.e;
    let product = e.matmul(n.input(0)?, n.input(1)?);
    let all = n.optional(2).map_or(product, |bias| e.add(product, bias));
    let width = extent(n, &e.shape(all), 2)?;
    let widths = n.ints("qkv_hidden_sizes").unwrap_or_else(|| vec![width / 3; 3]);
    let &[q, k, v] = widths.as_slice() else { return Err("its qkv_hidden_sizes are not three".into()) };
    if [q, k, v].iter().any(|width| *width <= 0) || q.checked_add(k).and_then(|both| both.checked_add(v)) != Some(width)
    {
        return Err(format!("{q}, {k} and {v} columns are not the {width} of its weights").into());
    }
    of_parts(n, [e.slice(all, 2, 0, 1, q), e.slice(all, 2, q, 1, k), e.slice(all, 2, q + k, 1, v)])
}

/// softmax(s Q Kᵀ + bias) V, the heads side by side.
fn of_parts(n: &FileNode, parts: [Tensor; 3]) -> Settled {
    let (e, heads) = (n.e, n.int("num_heads"));
    let [q, k, v] = parts.map(|part| by_head(n, part, heads));
    let (q, k, v) = (q?, k?, v?);
    let size = extent(n, &e.shape(q), 3)?;
    let scale = n.float("scale").filter(|scale| *scale != 0.0).map_or_else(|| 1.0 / (size as f64).sqrt(), f64::from);
    let product = e.matmul(e.scale(q, scale), e.swap_last(k));
    let biased = n.optional(5).map_or(product, |bias| e.add(product, bias));
    let weights = e.node("Softmax", &[biased], Attributes::none().with("axis", 3));
    one(side_by_side(n, e.matmul(weights, v))?)
}

/// Refuses masks, past keys and rotations, as networks of texts have them.
fn refuse_texts(n: &FileNode, inputs: &[usize]) -> Result<(), Refusal> {
    n.ignore(&["mask_filter_value", "past_present_share_buffer", "rotary_embedding_dim"]);
    if let Some(i) = inputs.iter().find(|i| n.optional(**i).is_some()) {
        return Err(format!("its input {i}, a mask or past keys, is not supported here").into());
    }
    match ["unidirectional", "do_rotary"].into_iter().find(|name| n.int_or(name, 0) != 0) {
        Some(name) => Err(format!("its attribute `{name}` is not supported here").into()),
        None => Ok(()),
    }
}

/// Keys or values with as many heads as the queries: each of theirs so many times, one after the other.
fn repeated(n: &FileNode, x: Tensor, q: Tensor) -> Result<Tensor, Refusal> {
    let (e, shape) = (n.e, n.e.shape(x));
    let (heads, own) = (extent(n, &e.shape(q), 1)?, extent(n, &shape, 1)?);
    if own == heads {
        return Ok(x);
    }
    let times = heads.checked_rem(own).filter(|rest| *rest == 0).map(|_| heads / own);
    let times = times.ok_or_else(|| format!("{heads} heads of queries do not share {own} of keys"))?;
    let with = |count: i64| vec![shape[0], shape[1], Dim::new(count), shape[2], shape[3]];
    let several = e.expand(e.reshape(x, with(1)), with(times));
    Ok(e.reshape(several, vec![shape[0], Dim::new(heads), shape[2], shape[3]]))
}

/// What is added to the products, broadcast to [N, heads, T, S]: the mask, and −∞ where a query may not attend a key; none
/// where each may attend all. `past` keys precede those of the queries.
fn bias(n: &FileNode, q: Tensor, k: Tensor, past: Option<i64>) -> Result<Option<Tensor>, Refusal> {
    let e = n.e;
    let (queries, keys) = (extent(n, &e.shape(q), 2)?, extent(n, &e.shape(k), 2)?);
    let mask = n.optional(3).map(|_| mask(n, keys)).transpose()?;
    let dtype = |t: Tensor| e.graph().tensor(t).dtype;
    let (boolean, added) = match mask {
        Some(mask) if dtype(mask) == Some(DataType::Bool) => (Some(mask), None),
        added => (None, added),
    };
    let number = |value: i64| e.constant(Constant::i64s(&[], &[value]));
    let column = places(n, 0, Dim::new(keys), 0)?; // [S]
    let valid = match n.optional(6) {
        Some(valid) => {
            let valid = e.cast(valid, DataType::I64);
            let images = *e.shape(valid).first().ok_or("the number of valid keys is no vector")?;
            let one = Dim::new(1);
            Some(e.reshape(valid, vec![images, one, one, one]))
        }
        None => None,
    };
    // Each query's place among the keys: [T, 1], or [N, 1, T, 1].
    let row = places(n, 0, Dim::new(queries), 1)?;
    let place = match (past, valid) {
        (None, Some(valid)) => e.add(row, e.sub(valid, number(queries))),
        (past, _) => e.add(row, number(past.unwrap_or(0))),
    };
    let mut allowed: Vec<Tensor> = boolean.into_iter().collect();
    if n.int_or("is_causal", 0) != 0 {
        allowed.push(e.compare("LessOrEqual", column, place));
    }
    let window = |name| match n.int_or(name, -1) {
        size @ -1.. => Ok(Some(size).filter(|size| *size >= 0)),
        other => Err(Refusal::from(format!("its {name} is {other}"))),
    };
    if let Some(left) = window("left_window_size")? {
        allowed.push(e.compare("GreaterOrEqual", column, e.sub(place, number(left))));
    }
    if let Some(right) = window("right_window_size")? {
        allowed.push(e.compare("LessOrEqual", column, e.add(place, number(right))));
    }
    allowed.extend(valid.map(|valid| e.compare("Less", column, valid)));
    let Some(allowed) = allowed.into_iter().reduce(|a, b| e.compare("And", a, b)) else { return Ok(added) };
    let least = e.number_like(q, f64::NEG_INFINITY);
    let added = added.unwrap_or_else(|| e.number_like(q, 0.0));
    Ok(Some(e.node("Where", &[allowed, added, least], Attributes::none())))
}

/// The mask; of fewer keys than there are, the rest may not be attended.
fn mask(n: &FileNode, keys: i64) -> Result<Tensor, Refusal> {
    let (e, mask, shape) = (n.e, n.input(3)?, n.shape(3)?);
    let last = shape.len().checked_sub(1).ok_or("its mask is a single number")?;
    let missing = keys - extent(n, &shape, last)?;
    if missing <= 0 {
        return Ok(mask);
    }
    let mut pads = vec![0; 2 * shape.len()];
    pads[shape.len() + last] = missing;
    if e.graph().tensor(mask).dtype == Some(DataType::Bool) {
        let padded = e.pad(e.cast(mask, DataType::F32), &pads, 0.0);
        return Ok(e.compare("Greater", padded, e.number_like(padded, 0.0)));
    }
    Ok(e.pad(mask, &pads, f32::NEG_INFINITY))
}

/// Whether a query may be left without any key: not, where the bias is known and has a number in each row.
fn may_exclude_all(e: &Emit, bias: Tensor) -> bool {
    let graph = e.graph();
    let Some(constant) = graph.constant(bias) else { return true };
    let (Some(keys), Ok(values)) = (constant.dims().last().filter(|keys| **keys > 0), constant.to_f64()) else {
        return true;
    };
    values.chunks(*keys).any(|row| row.iter().all(|v| *v == f64::NEG_INFINITY))
}

/// Pairs of each head's channels, turned by angles whose cosines and sines are given: the first half with the second, or
/// every other one with the next. Opset 23 on; x is [N, heads, T, d] or [N, T, heads · d].
fn rotary_embedding(n: &FileNode) -> Settled {
    let (e, rank) = (n.e, n.shape(0)?.len());
    let heads = n.int("num_heads").filter(|heads| *heads > 0);
    let x = by_head(n, n.input(0)?, heads)?;
    let shape = e.shape(x);
    let size = extent(n, &shape, 3)?;
    let turned = match n.int_or("rotary_embedding_dim", 0) {
        0 => size,
        some if some % 2 == 0 && (0..=size).contains(&some) => some,
        other => return Err(format!("its rotary_embedding_dim is {other}, of {size}").into()),
    };
    let cache = |i: usize| -> Result<Tensor, Refusal> {
        let (mut cache, places) = (n.input(i)?, n.optional(3));
        if let Some(places) = places {
            cache = e.node("Gather", &[cache, places], Attributes::none().with("axis", 0));
        }
        let mut shape = e.shape(cache);
        if shape.len() != 3 {
            return Err(format!("input {i} gives a tensor of {} axes", shape.len()).into());
        }
        shape.insert(1, Dim::new(1));
        Ok(e.reshape(cache, shape)) // [N, 1, T, d/2]
    };
    let (cos, sin, half) = (cache(1)?, cache(2)?, turned / 2);
    let interleaved = n.int_or("interleaved", 0) != 0;
    let [a, b] = match interleaved {
        true => [e.slice(x, 3, 0, 2, half), e.slice(x, 3, 1, 2, half)],
        false => [e.slice(x, 3, 0, 1, half), e.slice(x, 3, half, 1, half)],
    };
    let real = e.sub(e.mul(cos, a), e.mul(sin, b));
    let imaginary = e.add(e.mul(sin, a), e.mul(cos, b));
    let mut y = match interleaved {
        true => {
            let column = |t: Tensor| e.reshape(t, [&shape[..3], &[Dim::new(half), Dim::new(1)]].concat());
            let pairs = e.concat(&[column(real), column(imaginary)], 4);
            e.reshape(pairs, [&shape[..3], &[Dim::new(turned)]].concat())
        }
        false => e.concat(&[real, imaginary], 3),
    };
    if turned < size {
        y = e.concat(&[y, e.slice(x, 3, turned, 1, size - turned)], 3);
    }
    if rank == 3 {
        y = e.reshape(e.transpose(y, &[0, 2, 1, 3]), n.shape(0)?);
    }
    one(y)
}
