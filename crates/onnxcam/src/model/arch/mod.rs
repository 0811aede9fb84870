//! Architectures: networks as we define them, to be filled with somebody's weights.
//!
//! An architecture says, through [`Network`], which nodes there are and which weights they want;
//! the weights come from a checkpoint. Nodes are named as PyTorch's exporter would name them: by
//! the path of their module, then their operator (`/blocks.3/bn1/BatchNormalization`), and a
//! node's output by the node, then `_output_0`.

pub mod efficientnet_lite;

use std::collections::HashMap;

use bytes::Bytes;
use onnx_graph::proto::{
    AttributeProto, AttributeType, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use prost::Message;

use super::checkpoint::{Checkpoint, CheckpointError};

/// `TensorProto.DataType.FLOAT`.
const FLOAT: i32 = 1;
/// Operator set of what we write, and the first IR version that may name it.
const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;

/// A network without its weights: a graph in the making.
#[derive(Debug, Default)]
pub struct Network {
    graph: GraphProto,
    weights: Vec<Weight>,
    uses: HashMap<String, usize>,
}

/// A weight that a network wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weight {
    /// Its name in the graph, as PyTorch names parameters: `blocks.3.bn1.running_var`.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// A batch of square feature maps in the graph: float32 [N, channels, size, size].
#[derive(Debug, Clone)]
pub struct Features {
    /// Name of the tensor.
    pub tensor: String,
    /// Number of channels.
    pub channels: usize,
    /// Height and width.
    pub size: usize,
}

/// A convolution without bias whose output has ceil(size / stride) rows and columns.
#[derive(Debug, Clone, Copy)]
pub struct Conv {
    /// Channels of the output.
    pub channels: usize,
    /// Height and width of the kernel.
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
    /// Number of groups that the channels fall into.
    pub groups: usize,
}

impl Network {
    /// Declares the graph's input: float32 [N, channels, size, size], with N left open.
    pub fn input(&mut self, name: &str, channels: usize, size: usize) -> Features {
        let shape = [channels, size, size];
        self.graph.input.push(value_info(name, &shape));
        Features { tensor: name.to_owned(), channels, size }
    }

    /// Declares the graph's output: float32 [N, classes], with N left open.
    pub fn output(&mut self, name: &str, classes: usize) {
        self.graph.output.push(value_info(name, &[classes]));
    }

    /// The weights that the nodes want, in the order of the nodes.
    pub fn weights(&self) -> &[Weight] {
        &self.weights
    }

    fn weight(&mut self, module: &str, parameter: &str, shape: &[usize]) -> String {
        let name = format!("{}.{parameter}", module.replace('/', "."));
        self.weights.push(Weight { name: name.clone(), shape: shape.to_vec() });
        name
    }

    /// Y = W * X, "same" padding: where an odd number of rows is missing, one more goes below.
    ///
    /// `W [channels, X.channels / groups, kernel, kernel]`
    pub fn conv(&mut self, module: &str, x: &Features, conv: Conv) -> Features {
        let Conv { channels, kernel, stride, groups } = conv;
        let shape = [channels, x.channels / groups, kernel, kernel];
        let weight = self.weight(module, "weight", &shape);
        let (before, after) = same_padding(x.size, kernel, stride);
        let attributes = vec![
            ints("dilations", &[1, 1]),
            int("group", groups),
            ints("kernel_shape", &[kernel, kernel]),
            ints("pads", &[before, before, after, after]),
            ints("strides", &[stride, stride]),
        ];
        Features {
            tensor: self.node(module, "Conv", &[&x.tensor, &weight], attributes),
            channels,
            size: x.size.div_ceil(stride),
        }
    }

    /// Y = scale (X - mean) / sqrt(variance + epsilon) + bias, per channel.
    pub fn batch_norm(&mut self, module: &str, x: &Features, epsilon: f32) -> Features {
        let parameters = ["weight", "bias", "running_mean", "running_var"];
        let [scale, bias, mean, variance] = parameters.map(|parameter| self.weight(module, parameter, &[x.channels]));
        let inputs = [&x.tensor, &scale, &bias, &mean, &variance];
        let attributes = vec![float("epsilon", epsilon)];
        Features { tensor: self.node(module, "BatchNormalization", &inputs, attributes), ..x.clone() }
    }

    /// Y = min(max(X, 0), 6)
    pub fn relu6(&mut self, module: &str, x: &Features) -> Features {
        let bounds = [("relu6.min", 0.0), ("relu6.max", 6.0)];
        let [min, max] = bounds.map(|(name, value)| self.scalar(name, value));
        Features { tensor: self.node(module, "Clip", &[&x.tensor, &min, &max], vec![]), ..x.clone() }
    }

    /// Y = A + B
    pub fn add(&mut self, module: &str, a: &Features, b: &Features) -> Features {
        Features { tensor: self.node(module, "Add", &[&a.tensor, &b.tensor], vec![]), ..a.clone() }
    }

    /// Global average pooling and flattening: X [N, C, h, w] -> [N, C]. Returns the tensor's name.
    pub fn pool(&mut self, module: &str, x: &Features) -> String {
        let mean = self.node(module, "GlobalAveragePool", &[&x.tensor], vec![]);
        self.node("", "Flatten", &[&mean], vec![int("axis", 1)])
    }

    /// Y = X · Wᵀ + b, which gets the name given;  `X [N, inputs], W [outputs, inputs], b [outputs] -> Y [N, outputs]`.
    pub fn linear(&mut self, module: &str, x: &str, [inputs, outputs]: [usize; 2], name: &str) {
        let weight = self.weight(module, "weight", &[outputs, inputs]);
        let bias = self.weight(module, "bias", &[outputs]);
        self.node(module, "Gemm", &[x, &weight, &bias], vec![int("transB", 1)]);
        if let Some(gemm) = self.graph.node.last_mut() {
            gemm.output = vec![name.to_owned()];
        }
    }

    /// Adds a node and returns the name of its output. A module that works a second time is called
    /// `…_1`, and so on. No module, `""`, is the network itself.
    fn node(
        &mut self,
        module: &str,
        operator: &str,
        inputs: &[impl AsRef<str>],
        attributes: Vec<AttributeProto>,
    ) -> String {
        let uses = self.uses.entry(format!("{module}/{operator}")).or_default();
        let name = match (module, *uses) {
            ("", _) => format!("/{operator}"),
            (_, 0) => format!("/{module}/{operator}"),
            (_, n) => format!("/{module}_{n}/{operator}"),
        };
        *uses += 1;
        let output = format!("{name}_output_0");
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|input| input.as_ref().to_owned()).collect(),
            output: vec![output.clone()],
            name: Some(name),
            op_type: Some(operator.to_owned()),
            attribute: attributes,
            ..Default::default()
        });
        output
    }

    /// A scalar constant, made once per name.
    fn scalar(&mut self, name: &str, value: f32) -> String {
        let known = &mut self.graph.initializer;
        if known.iter().all(|tensor| tensor.name() != name) {
            known.push(tensor(name, &[], &[value]));
        }
        name.to_owned()
    }

    /// The network as an ONNX model without its weights.
    pub fn skeleton(&self, name: &str, metadata: &[(&str, &str)]) -> ModelProto {
        let graph = GraphProto { name: Some(name.to_owned()), ..self.graph.clone() };
        // No version of ours: it would change the file, and so its name in the cache, for nothing.
        ModelProto {
            ir_version: Some(IR_VERSION),
            opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET) }],
            producer_name: Some("onnxcam".to_owned()),
            graph: Some(graph),
            metadata_props: metadata
                .iter()
                .map(|(key, value)| StringStringEntryProto {
                    key: Some((*key).to_owned()),
                    value: Some((*value).to_owned()),
                })
                .collect(),
            ..Default::default()
        }
    }

    /// The bytes of the ONNX file: the skeleton with the weights from a checkpoint, where they
    /// have the names that `rename` gives them.
    ///
    /// # Errors
    /// If the checkpoint lacks a weight, has it in another shape, or has more than the network.
    pub fn encode(
        &self,
        mut skeleton: ModelProto,
        mut checkpoint: Checkpoint,
        rename: impl Fn(&str) -> String,
    ) -> Result<Vec<u8>, CheckpointError> {
        let graph = skeleton.graph.get_or_insert_default();
        for Weight { name, shape } in &self.weights {
            let elements = checkpoint.take(&rename(name), shape)?;
            graph.initializer.push(tensor(name, shape, &elements));
        }
        checkpoint.finish()?;
        Ok(skeleton.encode_to_vec())
    }
}

/// Rows to add before and after, so that windows of `kernel` rows at steps of `stride` make
/// ceil(size / stride) rows.
fn same_padding(size: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let reach = (size.div_ceil(stride) - 1) * stride + kernel;
    let missing = reach.saturating_sub(size);
    (missing / 2, missing - missing / 2)
}

fn tensor(name: &str, shape: &[usize], elements: &[f32]) -> TensorProto {
    let bytes: Vec<u8> = elements.iter().flat_map(|e| e.to_le_bytes()).collect();
    TensorProto {
        dims: shape.iter().map(|&extent| extent as i64).collect(),
        data_type: Some(FLOAT),
        name: Some(name.to_owned()),
        raw_data: Some(Bytes::from(bytes)),
        ..Default::default()
    }
}

/// A float32 tensor at the graph's border: [N, shape…].
fn value_info(name: &str, shape: &[usize]) -> ValueInfoProto {
    let batch = DimensionValue::DimParam("N".to_owned());
    let extents = shape.iter().map(|&extent| DimensionValue::DimValue(extent as i64));
    let dim = std::iter::once(batch).chain(extents).map(|value| Dimension { value: Some(value), ..Default::default() });
    let tensor = type_proto::Tensor { elem_type: Some(FLOAT), shape: Some(TensorShapeProto { dim: dim.collect() }) };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() }),
        ..Default::default()
    }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(kind as i32), ..Default::default() }
}

fn int(name: &str, value: usize) -> AttributeProto {
    AttributeProto { i: Some(value as i64), ..attribute(name, AttributeType::Int) }
}

fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto { ints: values.iter().map(|&value| value as i64).collect(), ..attribute(name, AttributeType::Ints) }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::Float) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the definition: as few rows as make the windows fit, the odd one after.
    #[test]
    fn same_padding_is_the_least_that_fits() {
        for (kernel, stride) in [(1, 1), (1, 2), (3, 1), (3, 2), (5, 1), (5, 2)] {
            for size in 1..40_usize {
                let windows = |rows: usize| rows.checked_sub(kernel).map_or(0, |r| r / stride + 1);
                let wanted = size.div_ceil(stride);
                let least = (0..).find(|pad| windows(size + pad) >= wanted).unwrap();
                let (before, after) = same_padding(size, kernel, stride);
                assert_eq!(before + after, least, "{size} {kernel} {stride}");
                assert!(after == before || after == before + 1);
            }
        }
    }
}
