//! Changes to a model that leave it a model: bytes flipped at random rarely decode, let alone fit together.

use onnx_graph::proto::{
    AttributeProto, DimensionValue, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, type_proto,
};
use prost::{Message, bytes::Bytes};

use crate::random::Random;

/// What a node may become beside the operators that are read.
const CARRIED: &[&str] = &["DequantizeLinear", "If", "Loop", "QuantizeLinear"];

/// Attributes that a node may get.
const ATTRIBUTES: &[&str] = &[
    "axis",
    "axes",
    "kernel_shape",
    "strides",
    "pads",
    "dilations",
    "group",
    "auto_pad",
    "ceil_mode",
    "keepdims",
    "perm",
    "to",
    "mode",
    "alpha",
    "beta",
    "epsilon",
    "storage_order",
    "count_include_pad",
    "output_padding",
    "output_shape",
    "transA",
    "transB",
    "num_outputs",
    "split",
    "blocksize",
    "coordinate_transformation_mode",
    "nearest_mode",
    "exclusive",
    "upper",
    "value",
    "value_ints",
    "training_mode",
    "noop_with_empty_axes",
    "select_last_index",
    "equation",
    "num_groups",
];

/// One to three changes; `None` where the bytes are no model, or would be more than `most`.
pub fn mutate_model(bytes: &[u8], most: usize, seed: u32) -> Option<Vec<u8>> {
    let mut model = ModelProto::decode(bytes).ok()?;
    let mut random = Random::new(seed);
    for _ in 0..=random.below(3) {
        change(&mut model, &mut random)?;
    }
    let changed = model.encode_to_vec();
    (changed.len() <= most).then_some(changed)
}

fn change(model: &mut ModelProto, random: &mut Random) -> Option<()> {
    if random.below(20) == 0 {
        let opset = random.one_of_mut(&mut model.opset_import)?;
        opset.version = Some(if random.below(8) == 0 { random.number() } else { 1 + random.below(28) as i64 });
        return Some(());
    }
    let functions = model.functions.len();
    if functions > 0 && random.below(4) == 0 {
        let function = random.one_of_mut(&mut model.functions)?;
        return nodes(&mut function.node, &[], random);
    }
    graph(model.graph.as_mut()?, random)
}

fn graph(graph: &mut GraphProto, random: &mut Random) -> Option<()> {
    match random.below(10) {
        0 => value(random.one_of_mut(&mut graph.input)?, random),
        1 => value(random.one_of_mut(&mut graph.value_info)?, random),
        2 => value(random.one_of_mut(&mut graph.output)?, random),
        3 | 4 => tensor(random.one_of_mut(&mut graph.initializer)?, random),
        5 => {
            // A weight that is fed, or an input that is a weight.
            let name = graph.initializer.get(random.below(graph.initializer.len().max(1)))?.name.clone();
            let mut input = random.one_of(&graph.input)?.clone();
            input.name = name;
            graph.input.push(input);
            Some(())
        }
        _ => {
            let made = graph.node.iter().flat_map(|node| &node.output);
            let weights = graph.initializer.iter().filter_map(|tensor| tensor.name.as_ref());
            let inputs = graph.input.iter().filter_map(|input| input.name.as_ref());
            let names: Vec<String> = made.chain(weights).chain(inputs).cloned().collect();
            nodes(&mut graph.node, &names, random)
        }
    }
}

fn nodes(nodes: &mut Vec<NodeProto>, names: &[String], random: &mut Random) -> Option<()> {
    let at = random.below(nodes.len().max(1));
    let other = nodes.get(random.below(nodes.len().max(1)))?.clone();
    let node = nodes.get_mut(at)?;
    match random.below(12) {
        0 => {
            nodes.remove(at);
        }
        1 => {
            // The same once more, in a row.
            let mut copy = node.clone();
            if let (Some(input), Some(output)) = (copy.input.first_mut(), node.output.first_mut()) {
                output.push('\'');
                input.clone_from(output);
                nodes.insert(at + 1, copy);
            }
        }
        2 | 3 => {
            let known: Vec<(&str, &str)> = onnx_graph::operators().chain(CARRIED.iter().map(|op| ("", *op))).collect();
            let (domain, op) = *random.one_of(&known)?;
            (node.domain, node.op_type) = (Some(domain.to_owned()), Some(op.to_owned()));
        }
        4 => node.op_type = other.op_type,
        5 => {
            if let Some(input) = random.one_of_mut(&mut node.input) {
                *input = random.one_of(names).cloned().unwrap_or_default();
            }
        }
        6 => {
            if let Some(input) = random.one_of_mut(&mut node.input) {
                input.clear();
            }
        }
        7 => node.input.push(random.one_of(names).cloned().unwrap_or_default()),
        8 => {
            node.input.pop();
        }
        9 => node.attribute.push(random.one_of(&other.attribute)?.clone()),
        10 => {
            if random.below(3) == 0 && !node.attribute.is_empty() {
                let gone = random.below(node.attribute.len());
                node.attribute.remove(gone);
            } else {
                let name = random.one_of(ATTRIBUTES).map(|name| (*name).to_owned());
                let mut new = AttributeProto { name, ..Default::default() };
                match random.below(3) {
                    0 => (new.r#type, new.i) = (Some(2), Some(random.number())),
                    1 => (new.r#type, new.f) = (Some(1), Some(random.number() as f32)),
                    _ => {
                        new.r#type = Some(7);
                        new.ints = (0..random.below(6)).map(|_| random.number()).collect();
                    }
                }
                node.attribute.push(new);
            }
        }
        _ => attribute(random.one_of_mut(&mut node.attribute)?, random)?,
    }
    Some(())
}

fn attribute(attribute: &mut AttributeProto, random: &mut Random) -> Option<()> {
    if let Some(graph) = &mut attribute.g {
        return self::graph(graph, random);
    }
    if let Some(tensor) = &mut attribute.t {
        return self::tensor(tensor, random);
    }
    match random.below(8) {
        0 => attribute.name = random.one_of(ATTRIBUTES).map(|name| (*name).to_owned()),
        1 => attribute.r#type = Some(random.below(15) as i32),
        2 => {
            attribute.ints.pop();
        }
        3 => attribute.ints.push(random.number()),
        _ if attribute.i.is_some() => attribute.i = Some(random.number()),
        _ if attribute.f.is_some() => {
            const EDGES: [f32; 8] = [0.0, -1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-30, 1e38, 0.5];
            attribute.f = random.one_of(&EDGES).copied();
        }
        _ => *random.one_of_mut(&mut attribute.ints)? = random.number(),
    }
    Some(())
}

fn tensor(tensor: &mut TensorProto, random: &mut Random) -> Option<()> {
    match random.below(7) {
        0 => *random.one_of_mut(&mut tensor.dims)? = random.number(),
        1 => tensor.dims.push(random.number().clamp(0, 4)),
        2 => {
            tensor.dims.pop();
        }
        3 => tensor.data_type = Some(random.below(28) as i32 - 1),
        4 => *random.one_of_mut(&mut tensor.int64_data)? = random.number(),
        _ => {
            // Shapes, axes and the like: one number of eight or four bytes.
            let mut data = tensor.raw_data.as_ref()?.to_vec();
            let width = if tensor.data_type == Some(7) { 8 } else { 4 };
            let count = data.len() / width;
            if count > 0 {
                let at = random.below(count) * width;
                let number = match tensor.data_type {
                    Some(1) => (random.number() as f32).to_le_bytes().to_vec(),
                    _ => random.number().to_le_bytes()[..width].to_vec(),
                };
                data[at..at + width].copy_from_slice(&number);
            }
            tensor.raw_data = Some(Bytes::from(data));
        }
    }
    Some(())
}

fn value(value: &mut ValueInfoProto, random: &mut Random) -> Option<()> {
    let Some(type_proto::Value::TensorType(tensor)) = &mut value.r#type.as_mut()?.value else { return None };
    if random.below(4) == 0 {
        tensor.elem_type = Some(random.below(28) as i32);
        return Some(());
    }
    let dims = &mut tensor.shape.as_mut()?.dim;
    match random.below(6) {
        0 => {
            dims.pop();
        }
        1 => {
            let copy = random.one_of(dims)?.clone();
            dims.push(copy);
        }
        2 => random.one_of_mut(dims)?.value = Some(DimensionValue::DimParam("N".to_owned())),
        3 => random.one_of_mut(dims)?.value = None,
        _ => random.one_of_mut(dims)?.value = Some(DimensionValue::DimValue(random.number())),
    }
    Some(())
}
