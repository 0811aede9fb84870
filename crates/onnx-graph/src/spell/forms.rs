//! The form that an opset gives each canonical operator.

use super::{OLDEST, SpellError, Writer, named_attribute};
use crate::attributes::{Attribute, Attributes};
use crate::dim::Dim;
use crate::dtype::DataType;
use crate::graph::{Graph, Node, Tensor};
use crate::ops::{Window, pool_extent};
use crate::proto::AttributeProto;
use crate::text::printable;

/// Operators by the opset that they came with, or that gave them the canonical meaning.
const SINCE: &[(&str, i64)] = &[
    ("CumSum", 11),
    ("DequantizeLinear", 10),
    ("DynamicQuantizeLinear", 11),
    ("GatherElements", 11),
    ("GreaterOrEqual", 12),
    ("HardSwish", 14),
    ("LessOrEqual", 12),
    ("Mod", 10),
    ("QuantizeLinear", 10),
    ("ScatterElements", 11),
];

/// The opset that a node needs, where that is newer than 9.
fn since(graph: &Graph, node: &Node) -> i64 {
    let a = &node.attributes;
    let dtype = |i: usize| node.inputs.get(i).copied().flatten().and_then(|t| graph.tensor(t).dtype);
    let float = dtype(0).is_none_or(DataType::is_float);
    let narrow = matches!(dtype(0), Some(DataType::U8 | DataType::I8 | DataType::U16 | DataType::I16));
    let dilated = |a: &Attributes| a.ints("dilations").iter().any(|d| *d != 1);
    let of_form = match &*node.op {
        "Add" | "Sub" | "Mul" | "Div" if narrow => 14,
        "Relu" if !float => 14,
        "Clip" | "Max" | "Min" if !float => 12,
        "MaxPool" if !float => 12,
        "Pad" if !float => 11,
        "Equal" if float => 11,
        "Gemm" if node.inputs.get(2).copied().flatten().is_none() => 11,
        "DepthToSpace" if a.text("mode") != "DCR" => 11,
        "ReduceMax" | "ReduceMin" if dtype(0) == Some(DataType::Bool) => 20,
        "ReduceMax" | "ReduceMin" if narrow => 12,
        "TopK" if !float || !a.flag("largest") => 11,
        "ArgMax" if !float => 11, // Written as TopK.
        "MaxPool" if dilated(a) || a.flag("ceil_mode") => 10,
        "AveragePool" if dilated(a) => 19,
        "AveragePool" if a.flag("ceil_mode") => 10,
        "Slice" if a.ints("steps").iter().any(|step| *step != 1) => 10,
        _ => 0,
    };
    let of_operator = SINCE.iter().find(|(op, _)| *op == &*node.op).map_or(0, |(_, since)| *since);
    of_form.max(of_operator)
}

impl Writer<'_> {
    pub(super) fn canonical(
        &mut self,
        node: &Node,
        mut inputs: Vec<String>,
        outputs: Vec<String>,
    ) -> Result<(), SpellError> {
        let a = &node.attributes;
        let x = node.inputs.first().copied().flatten();
        let opset = self.opset;
        let since = since(self.graph, node).max(OLDEST);
        if since > opset {
            let op = printable(&node.op);
            return Err(SpellError::TooOld { node: self.graph.describe(node), op, since, opset });
        }
        let mut left_out: &[&str] = &[];
        let mut more: Vec<AttributeProto> = Vec::new();
        match &*node.op {
            "Reshape" | "Expand" => {
                inputs.push(self.shape_of(node, &outputs[0])?);
                left_out = &["shape"];
            }
            "Clip" if opset < 11 => {
                let open = |name: &&str| a.float(name).is_infinite();
                left_out = match ["min", "max"].map(|name| open(&name)) {
                    [false, false] => &[],
                    [true, false] => &["min"],
                    [false, true] => &["max"],
                    [true, true] => &["min", "max"],
                };
            }
            "Clip" => {
                let like = x.expect("Clip has an input");
                let (min, max) = (a.float("min"), a.float("max"));
                inputs.push(if min == f32::NEG_INFINITY { String::new() } else { self.scalar(min, like) });
                if max != f32::INFINITY {
                    inputs.push(self.scalar(max, like));
                }
                left_out = &["min", "max"];
            }
            "Slice" => {
                let (starts, counts, steps) = (a.ints("starts"), a.ints("counts"), a.ints("steps"));
                let ends: Vec<i64> = (0..starts.len()).map(|i| end(starts[i], steps[i], counts[i])).collect();
                left_out = &["axes", "starts", "steps", "counts"];
                if opset < 10 {
                    let lists = [("starts", starts), ("ends", &ends), ("axes", a.ints("axes"))];
                    more.extend(lists.map(|(name, list)| named_attribute(name, &list.to_vec().into())));
                    self.push("Slice", inputs, outputs, more);
                    return Ok(());
                }
                for list in [starts, &ends, a.ints("axes"), steps] {
                    inputs.push(self.integers(list));
                }
            }
            "Pad" if opset < 11 => {}
            "Pad" => {
                inputs.push(self.integers(a.ints("pads")));
                if a.text("mode") == "constant" {
                    inputs.push(self.scalar(a.float("value"), x.expect("Pad has an input")));
                }
                left_out = &["pads", "value"];
            }
            "Split" if opset < 13 => {}
            "Split" => {
                inputs.push(self.integers(a.ints("split")));
                left_out = &["split"];
            }
            "Tile" => {
                inputs.push(self.integers(a.ints("repeats")));
                left_out = &["repeats"];
            }
            op if op.starts_with("Reduce") && (opset >= 18 || op == "ReduceSum" && opset >= 13) => {
                inputs.push(self.integers(a.ints("axes")));
                left_out = &["axes"];
            }
            "CumSum" => {
                inputs.push(self.integers(&[a.int("axis")]));
                left_out = &["axis"];
            }
            "TopK" => {
                let values = self.fresh("top");
                self.top(
                    inputs.swap_remove(0),
                    a.int("k"),
                    a.int("axis"),
                    a.flag("largest"),
                    [vec![values], outputs].concat(),
                );
                return Ok(());
            }
            "ScatterElements" if a.text("reduction") == "none" => left_out = &["reduction"],
            "QuantizeLinear" if a.int("to") == DataType::I32 as i64 => {
                let to = attribute(("to", &Attribute::Int(a.int("to")))).into_iter().collect();
                self.push("Cast", vec![inputs.swap_remove(0)], outputs, to);
                return Ok(());
            }
            "QuantizeLinear" => left_out = &["to"], // The zero point's type says it.
            "Swish" if opset < 24 => {
                self.swish(a.float("alpha"), x.expect("Swish has an input"), inputs, outputs);
                return Ok(());
            }
            "DepthToSpace" if opset < 11 => left_out = &["mode"],
            "Softmax" | "LogSoftmax" if opset < 13 => {
                self.along_last(node, inputs, outputs);
                return Ok(());
            }
            "ArgMax" => {
                self.first_maximum(node, inputs, outputs);
                return Ok(());
            }
            "MaxPool" | "AveragePool" => {
                if let Some(pool) = Some(node).filter(|_| a.flag("ceil_mode")).and_then(|n| hanging_pool(self.graph, n))
                {
                    self.hanging_pool(&node.op, pool, inputs, outputs);
                    return Ok(());
                }
                left_out = unknown_to_pools(&node.op, opset);
            }
            _ => {}
        }
        more.extend(a.iter().filter(|(name, _)| !left_out.contains(name)).filter_map(attribute));
        self.push(&node.op, inputs, outputs, more);
        Ok(())
    }

    /// Softmax or LogSoftmax before opset 13, which flattened the tensor from its axis on: along the last axis that is the
    /// same.
    fn along_last(&mut self, node: &Node, inputs: Vec<String>, outputs: Vec<String>) {
        let axis = node.attributes.int("axis");
        let rank =
            node.inputs.first().copied().flatten().and_then(|t| self.graph.shape(t)).map_or(1, <[Dim]>::len) as i64;
        let along = |axis: i64| vec![named_attribute("axis", &Attribute::Int(axis))];
        if axis == rank - 1 {
            return self.push(&node.op, inputs, outputs, along(axis));
        }
        let mut perm: Vec<i64> = (0..rank).collect();
        perm.swap(axis as usize, rank as usize - 1);
        let perm = || vec![named_attribute("perm", &Attribute::Ints(perm.clone()))];
        let (moved, made) = (self.fresh("moved"), self.fresh("moved"));
        self.push("Transpose", inputs, vec![moved.clone()], perm());
        self.push(&node.op, vec![moved], vec![made.clone()], along(rank - 1));
        self.push("Transpose", vec![made], outputs, perm());
    }

    /// TopK: the k largest (or smallest) values along an axis, and their indices.
    fn top(&mut self, x: String, k: i64, axis: i64, largest: bool, outputs: Vec<String>) {
        let mut attributes = vec![named_attribute("axis", &Attribute::Int(axis))];
        let mut inputs = vec![x];
        if self.opset < 10 {
            attributes.push(named_attribute("k", &Attribute::Int(k)));
        } else {
            inputs.push(self.integers(&[k]));
        }
        if !largest {
            attributes.push(named_attribute("largest", &Attribute::Int(0)));
        }
        self.push("TopK", inputs, outputs, attributes);
    }

    /// x · sigmoid(αx), for opsets without Swish.
    fn swish(&mut self, alpha: f32, like: Tensor, inputs: Vec<String>, outputs: Vec<String>) {
        let x = inputs[0].clone();
        let scaled = if alpha == 1.0 {
            x.clone()
        } else {
            let (name, factor) = (self.fresh("swish"), self.scalar(alpha, like));
            self.push("Mul", vec![x.clone(), factor], vec![name.clone()], vec![]);
            name
        };
        let gate = self.fresh("swish");
        self.push("Sigmoid", vec![scaled], vec![gate.clone()], vec![]);
        self.push("Mul", vec![x, gate], outputs, vec![]);
    }

    /// A pool with its overhang as padding; padding that counts becomes zeros of its own before that.
    fn hanging_pool(&mut self, op: &str, pool: HangingPool, mut inputs: Vec<String>, outputs: Vec<String>) {
        if let Some(pads) = pool.counted {
            let padded = self.fresh("padded");
            let mut input = vec![std::mem::replace(&mut inputs[0], padded.clone())];
            let mut attributes = vec![];
            if self.opset < 11 {
                attributes.push(named_attribute("pads", &Attribute::Ints(pads)));
            } else {
                input.push(self.integers(&pads));
            }
            self.push("Pad", input, vec![padded], attributes);
        }
        let unknown = unknown_to_pools(op, self.opset);
        let attributes =
            pool.attributes.iter().filter(|(name, _)| !unknown.contains(name)).filter_map(attribute).collect();
        self.push(op, inputs, outputs, attributes);
    }

    /// ArgMax through TopK: of equal maxima rten's ArgMax takes the last one, its TopK the first, as the standard has it.
    fn first_maximum(&mut self, node: &Node, mut inputs: Vec<String>, outputs: Vec<String>) {
        let (values, kept) = (self.fresh("top"), self.fresh("top"));
        let axis = node.attributes.int("axis");
        let flat = !node.attributes.flag("keepdims");
        let index = if flat { kept } else { outputs[0].clone() };
        self.top(inputs.swap_remove(0), 1, axis, true, vec![values, index.clone()]);
        if flat && self.opset < 13 {
            let axes = named_attribute("axes", &Attribute::Ints(vec![axis]));
            self.push("Squeeze", vec![index], outputs, vec![axes]);
        } else if flat {
            let axes = self.integers(&[axis]);
            self.push("Squeeze", vec![index, axes], outputs, vec![]);
        }
    }
}

/// Attributes that pools did not have in an opset.
fn unknown_to_pools(op: &str, opset: i64) -> &'static [&'static str] {
    match op {
        _ if opset < 10 => &["dilations", "ceil_mode"],
        "AveragePool" if opset < 19 => &["dilations"],
        _ => &[],
    }
}

/// A pool without `ceil_mode`.
struct HangingPool {
    /// Pads of all axes with zeros that count.
    counted: Option<Vec<i64>>,
    attributes: Attributes,
}

/// A pool whose windows hang over the end, as one with that much more padding there, which does not count.
///
/// Engines and opsets differ in whether a window is dropped that would lie in the padding, and in what an overhang counts
/// for. `None` where more would be padded than the kernel holds, which engines refuse.
fn hanging_pool(graph: &Graph, node: &Node) -> Option<HangingPool> {
    let a = &node.attributes;
    let shape = graph.shape(node.inputs.first().copied()??)?;
    let windows = Window::all(a);
    let overhang = |(w, dim): (&Window, &Dim)| {
        let extent = dim.known()?;
        let end = (pool_extent(*w, extent, true) - 1) * w.stride + w.span();
        Some((end - extent - w.pads.0 - w.pads.1).max(0))
    };
    let hangs: Vec<i64> = windows.iter().zip(&shape[2..]).map(overhang).collect::<Option<_>>()?;
    let average = &*node.op == "AveragePool";
    let counts = average && a.flag("count_include_pad");
    let zeros = counts && hangs.iter().any(|h| *h > 0) && windows.iter().any(|w| w.pads != (0, 0));
    let each = |value: &dyn Fn(&Window) -> i64| windows.iter().map(value).collect::<Vec<i64>>();
    let (begins, ends) = (each(&|w| w.pads.0), each(&|w| w.pads.1));
    let counted = zeros.then(|| [&[0, 0], begins.as_slice(), &[0, 0], ends.as_slice()].concat());
    let uncounted = |declared: &[i64], more: &[i64]| -> Vec<i64> {
        declared.iter().zip(more).map(|(d, m)| if zeros { *m } else { d + m }).collect()
    };
    let pads = [uncounted(&begins, &vec![0; hangs.len()]), uncounted(&ends, &hangs)].concat();
    let fits = pads.iter().zip(windows.iter().chain(&windows)).all(|(pad, w)| *pad < w.kernel);
    let dense = windows.iter().all(|w| w.dilation == 1);
    let attributes = Attributes::none()
        .with("kernel_shape", each(&|w| w.kernel))
        .with("strides", each(&|w| w.stride))
        .with("dilations", each(&|w| w.dilation))
        .with("pads", pads)
        .with("ceil_mode", false);
    let hanging = hangs.iter().any(|h| *h > 0);
    let attributes = if average { attributes.with("count_include_pad", counts && !hanging) } else { attributes };
    (fits && dense).then_some(HangingPool { counted, attributes })
}

/// Where a slice of `count` elements ends: one behind the last; below zero there is no such index, so one far outside.
fn end(start: i64, step: i64, count: i64) -> i64 {
    let end = if count == 0 { start } else { start + step * (count - 1) + step.signum() };
    if end < 0 { i64::from(i32::MIN) } else { end }
}

fn attribute((name, value): (&'static str, &Attribute)) -> Option<AttributeProto> {
    let input = matches!(value, Attribute::Dims(_)); // Written as one, above.
    (!input).then(|| named_attribute(name, value))
}
