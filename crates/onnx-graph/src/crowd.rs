//! A look at the bytes of a model before they are decoded: how much memory its messages will take.
//!
//! An empty attribute is two bytes in the file and more than a thousand in memory, so that a small file of nothing else
//! would fill any memory. Here they are counted without being made; weights are stepped over.

use std::mem::size_of;

use prost::encoding::decode_varint;

use crate::proto::*;

/// What the messages of a model may take, without its weights.
const MOST_BYTES: usize = 512 << 20;

/// As deep as `prost` decodes.
const DEEPEST: usize = 100;

/// The messages that hold others, and the leaves that come in numbers.
#[derive(Clone, Copy)]
enum Part {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Sparse,
    Value,
    Type,
    TensorType,
    Sequence,
    Map,
    Shape,
    Dimension,
    Function,
    Training,
    Annotation,
    Device,
    NodeDevice,
    Sharding,
    ShardedDim,
    Entry,
    Text,
}

/// Whether the messages of these bytes fit into memory. What is no protobuf is not judged: decoding it fails.
pub(crate) fn fits(bytes: &[u8]) -> bool {
    let mut left = MOST_BYTES;
    count(Part::Model, bytes, DEEPEST, &mut left).is_some()
}

/// Takes off `left` what the message holds; `None` where that is not enough.
fn count(part: Part, mut bytes: &[u8], depth: usize, left: &mut usize) -> Option<()> {
    while let Ok(key) = decode_varint(&mut bytes) {
        let length = match key & 7 {
            0 => decode_varint(&mut bytes).map(|_| 0).ok(),
            1 => Some(8),
            5 => Some(4),
            2 => decode_varint(&mut bytes).ok(),
            _ => Some(0), // Groups, which the schema does not have: what is in them is counted as if it were around them.
        };
        let Some(length) = length.and_then(|l| usize::try_from(l).ok()).filter(|l| *l <= bytes.len()) else {
            break;
        };
        let (value, rest) = bytes.split_at(length);
        bytes = rest;
        if let (2, Some(child)) = (key & 7, child(part, key >> 3)) {
            *left = left.checked_sub(size(child))?;
            if depth > 0 {
                count(child, value, depth - 1, left)?;
            }
        }
    }
    Some(())
}

/// The message in a field, by its number.
fn child(part: Part, field: u64) -> Option<Part> {
    use Part::*;
    Some(match (part, field) {
        (Model, 7) | (Attribute, 6 | 11) | (Training, 1 | 2) => Graph,
        (Model, 20) => Training,
        (Model, 25) => Function,
        (Model, 26) => Device,
        (Graph, 1) | (Function, 7) => Node,
        (Node, 5) | (Function, 11) => Attribute,
        (Graph, 5) | (Attribute, 5 | 10) | (Sparse, 1 | 2) => Tensor,
        (Graph, 15) | (Attribute, 22 | 23) => Sparse,
        (Graph, 11..=13) | (Function, 12) => Value,
        (Graph, 14) => Annotation,
        (Node, 10) => NodeDevice,
        (Value, 2) | (Attribute, 14 | 15) | (Sequence, 1) | (Map, 2) => Type,
        (Type, 1 | 8) => TensorType,
        (Type, 4 | 9) => Sequence,
        (Type, 5) => Map,
        (TensorType, 2) => Shape,
        (Shape, 1) => Dimension,
        (NodeDevice, 2) => Sharding,
        (Sharding, 4) => ShardedDim,
        (ShardedDim, 2) => Dimension,
        (Model, 8 | 14) | (Graph, 16) | (Node, 9) | (Tensor, 13 | 16) | (Value, 4) | (Function, 9 | 14) => Entry,
        (Training, 3 | 4) | (Annotation, 2) | (Sharding, 3) => Entry,
        (Node, 1 | 2) | (Function, 4..=6) | (Attribute, 9) | (Tensor, 6) | (Device, 3) => Text,
        _ => return None,
    })
}

fn size(part: Part) -> usize {
    match part {
        Part::Model => size_of::<ModelProto>(),
        Part::Graph => size_of::<GraphProto>(),
        Part::Node => size_of::<NodeProto>(),
        Part::Attribute => size_of::<AttributeProto>(),
        Part::Tensor => size_of::<TensorProto>(),
        Part::Sparse => size_of::<SparseTensorProto>(),
        Part::Value => size_of::<ValueInfoProto>(),
        Part::Type | Part::TensorType | Part::Sequence | Part::Map => size_of::<TypeProto>(),
        Part::Shape | Part::Dimension => size_of::<Dimension>(),
        Part::Function => size_of::<FunctionProto>(),
        Part::Training => size_of::<TrainingInfoProto>(),
        Part::Annotation => size_of::<TensorAnnotation>(),
        Part::Device => size_of::<DeviceConfigurationProto>(),
        Part::NodeDevice => size_of::<NodeDeviceConfigurationProto>(),
        Part::Sharding => size_of::<ShardingSpecProto>(),
        Part::ShardedDim => size_of::<ShardedDimProto>(),
        Part::Entry => size_of::<StringStringEntryProto>(),
        Part::Text => size_of::<bytes::Bytes>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These bytes as the field of this number.
    fn field(number: u64, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        prost::encoding::encode_varint(number << 3 | 2, &mut bytes);
        prost::encoding::encode_varint(payload.len() as u64, &mut bytes);
        bytes.extend(payload);
        bytes
    }

    /// Every message that comes in numbers, empty and by the million, where the schema has it.
    #[test]
    fn crowds_of_empty_messages() {
        let paths: [&[u64]; 17] = [
            &[7, 1, 5],
            &[7, 1],
            &[7, 5],
            &[7, 15],
            &[7, 11],
            &[7, 13],
            &[7, 1, 5, 10],
            &[7, 1, 5, 11],
            &[7, 1, 5, 23],
            &[7, 1, 5, 6, 1, 5],
            &[7, 1, 9],
            &[7, 11, 2, 1, 2, 1],
            &[7, 1, 1],
            &[25, 7, 5],
            &[25],
            &[20, 1, 1],
            &[14],
        ];
        for path in paths {
            let (last, outer) = path.split_last().unwrap();
            let crowd = |n: usize| {
                let many = field(*last, &[]).repeat(n);
                outer.iter().rev().fold(many, |payload, number| field(*number, &payload))
            };
            assert!(fits(&crowd(1000)), "{path:?}");
            assert!(!fits(&crowd(MOST_BYTES / 16)), "{path:?}");
        }
    }

    #[test]
    fn weights_and_rubbish_are_not_counted() {
        let weight = field(7, &field(5, &field(9, &[0x2a; 1 << 20])));
        assert!(fits(&weight));
        assert!(fits(&[0xff; 64]));
        assert!(fits(&field(7, &field(1, &[0x2a, 0x7f]))), "a length beyond the end");
    }

    /// Behind a group, which decoding skips, the counting goes on.
    #[test]
    fn groups() {
        let crowd = field(5, &[]).repeat(1 << 20);
        let node = [&[0x9b, 0x06, 0x9c, 0x06][..], &crowd].concat(); // Field 99 begins and ends a group.
        assert!(!fits(&field(7, &field(1, &node))));
    }
}
