//! Networks with a head of one's own.

#![allow(dead_code)] // Each test program takes what it needs.

use std::path::Path;

use ndarray::{Array1, Array2, Array3, ArrayD, Axis};
use onnx_graph::Model;
use testkit::Draw;
use testkit::models::{Maker, tiny_cnn};

/// The trunk of testkit's networks up to `features`, f32[N,12,8,8] of pictures `x`, f32[N,3,16,16]; what `head` adds
/// makes `logits`.
pub fn on_trunk(classes: usize, head: impl FnOnce(Maker) -> Maker) -> Model {
    head(trunk()).output("logits", &format!("f32[N,{classes}]")).model()
}

/// The same trunk without outputs.
pub fn trunk() -> Maker {
    trunk_of(17)
}

/// The same in another version of the standard operator set.
pub fn trunk_of(opset: i64) -> Maker {
    Maker::new(opset)
        .input("x", "f32[N,3,16,16]")
        .weights("conv1.weight", &[8, 3, 3, 3])
        .weights("conv2.weight", &[12, 8, 3, 3])
        .node("Conv", &["x", "conv1.weight"], &["conv1"])
        .with("pads", [1, 1, 1, 1])
        .node("Relu", &["conv1"], &["relu1"])
        .node("MaxPool", &["relu1"], &["pool"])
        .with("kernel_shape", [2, 2])
        .with("strides", [2, 2])
        .node("Conv", &["pool", "conv2.weight"], &["conv2"])
        .with("pads", [1, 1, 1, 1])
        .node("Relu", &["conv2"], &["features"])
}

/// A model whose float initializer of this name has other elements.
pub fn edited(maker: Maker, name: &str, values: &[f32]) -> Model {
    let mut proto = maker.build();
    let graph = proto.graph.as_mut().unwrap();
    let tensor = graph.initializer.iter_mut().find(|t| t.name() == name).unwrap();
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(tensor.raw_data.as_ref().unwrap().len(), bytes.len(), "as many elements as before");
    tensor.raw_data = Some(bytes.into());
    Model::from_proto(proto, Path::new("edited.onnx")).unwrap()
}

/// The elements of a float initializer.
pub fn elements(model: &Model, name: &str) -> Vec<f32> {
    let tensor = model.graph().initializer.iter().find(|t| t.name() == name).unwrap();
    tensor.raw_data.as_ref().unwrap().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

/// `tiny_cnn` with its bias raised by 60 for one class: a network that is certain.
pub fn certain(opset: i64, classes: usize, class: usize) -> Model {
    let mut bias = elements(&tiny_cnn(opset, classes).model(), "fc.bias");
    bias[class] += 60.0;
    edited(tiny_cnn(opset, classes), "fc.bias", &bias)
}

/// A network that is only a head: its feature maps `features` are relu(x), its gradients can be written down.
pub struct Head {
    maker: Maker,
    features: [usize; 3],
    /// Weights of the layers, [in, out], float64 of float32 numbers; a relu between two.
    layers: Vec<Array2<f64>>,
    pooled: bool,
}

impl Head {
    fn new([k, h, w]: [usize; 3], layers: Vec<Array2<f64>>, pooled: bool) -> Head {
        let mut maker = Maker::new(17)
            .input("x", &format!("f32[N,{k},{h},{w}]"))
            .floats("same", &[k, 1, 1, 1], &vec![1.0; k])
            .node("Conv", &["x", "same"], &["copy"])
            .with("group", k as i64)
            .node("Relu", &["copy"], &["features"]);
        maker = match pooled {
            true => maker.node("GlobalAveragePool", &["features"], &["mean"]).node("Flatten", &["mean"], &["flat0"]),
            false => maker.node("Flatten", &["features"], &["flat0"]),
        };
        for (i, layer) in layers.iter().enumerate() {
            let values: Vec<f32> = layer.iter().map(|v| *v as f32).collect();
            let (from, weight, to) = (format!("flat{i}"), format!("w{i}"), format!("linear{i}"));
            maker = maker.floats(&weight, &[layer.nrows(), layer.ncols()], &values);
            maker = maker.node("MatMul", &[&from, &weight], &[&to]);
            if i + 1 < layers.len() {
                maker = maker.node("Relu", &[&to], &[&format!("flat{}", i + 1)]);
            } else {
                maker = maker.output(&to, &format!("f32[N,{}]", layer.ncols()));
            }
        }
        Head { maker, features: [k, h, w], layers, pooled }
    }

    /// Flatten and a linear layer, its weights class by class.
    pub fn flat(k: usize, h: usize, w: usize, rows: &[f64]) -> Head {
        let rows = Array2::from_shape_vec((rows.len() / (k * h * w), k * h * w), rows.to_vec()).unwrap();
        Head::new([k, h, w], vec![rows.t().to_owned()], false)
    }

    /// Global average pooling and a linear layer with weights of standard deviation 0.03, as in a trained ResNet.
    pub fn pooled_as_trained() -> Head {
        Head::new([64, 7, 7], vec![random(1, 64, 10, 0.03)], true)
    }

    /// Two linear layers on all cells, as in AlexNet and VGG.
    pub fn perceptron_as_trained() -> Head {
        Head::new([24, 6, 6], vec![random(2, 24 * 36, 40, 0.02), random(3, 40, 10, 0.05)], false)
    }

    pub fn model(&self) -> Model {
        self.maker.clone().model()
    }

    /// Two pictures: after the relu half the cells are zero, channels are of unlike size.
    pub fn pictures(&self) -> ArrayD<f32> {
        let [k, h, w] = self.features;
        let mut x = Draw::new(4).between(-1.0, 1.0, &[2, k, h, w]);
        for (i, mut channel) in x.axis_iter_mut(Axis(1)).enumerate() {
            channel *= 0.1 + 3.0 * (i % 7) as f64;
        }
        x.mapv(|v| v as f32)
    }

    /// A and ∂S_0/∂A of each picture, by the chain rule.
    pub fn features_and_gradients(&self) -> Vec<(Array3<f64>, Array3<f64>)> {
        let [k, h, w] = self.features;
        let cells = h * w;
        let one = |x: ndarray::ArrayViewD<f32>| {
            let a: Array3<f64> = x.mapv(|v| f64::from(v.max(0.0))).into_dimensionality().unwrap();
            let flat: Array1<f64> = match self.pooled {
                true => a.outer_iter().map(|plane| plane.sum() / cells as f64).collect(),
                false => a.iter().copied().collect(),
            };
            let mut inputs = vec![flat];
            for layer in &self.layers {
                let sum = inputs.last().unwrap().dot(layer);
                inputs.push(sum.mapv(|v| v.max(0.0)));
            }
            let mut gradient = Array1::zeros(self.layers.last().unwrap().ncols());
            gradient[0] = 1.0;
            for (i, layer) in self.layers.iter().enumerate().rev() {
                gradient = layer.dot(&gradient);
                if i > 0 {
                    gradient.zip_mut_with(&inputs[i], |g, v| *g *= f64::from(u8::from(*v > 0.0)));
                }
            }
            let cell = |(c, y, x): (usize, usize, usize)| match self.pooled {
                true => gradient[c] / cells as f64,
                false => gradient[(c * h + y) * w + x],
            };
            let gradient = Array3::from_shape_fn((k, h, w), cell);
            (a, gradient)
        };
        self.pictures().outer_iter().map(one).collect()
    }
}

/// About normal (the sum of twelve uniform numbers), rounded to float32.
fn random(seed: u64, rows: usize, columns: usize, deviation: f64) -> Array2<f64> {
    let mut draw = Draw::new(seed);
    Array2::from_shape_simple_fn((rows, columns), || {
        let normal: f64 = (0..12).map(|_| draw.number(-0.5, 0.5)).sum();
        f64::from((deviation * normal) as f32)
    })
}
