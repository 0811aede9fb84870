//! EfficientNet-Lite: EfficientNet (Tan & Le 2019) without squeeze-and-excitation, with ReLU6 in
//! place of Swish, and with a stem and a head that do not grow with the width.
//!
//! Inverted residual blocks: 1×1 convolution that widens, depthwise convolution, 1×1 convolution
//! that narrows, each with batch normalization, ReLU6 after the first two; and the block's input
//! added where the shape allows it.

use super::{Conv, Features, Network};

/// One member of the family.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EfficientNetLite {
    /// Factor on the channels of each stage.
    pub width: f64,
    /// Factor on the blocks of each stage, but for the first and the last.
    pub depth: f64,
    /// Height and width of the input.
    pub size: usize,
    /// Number of classes.
    pub classes: usize,
}

struct Stage {
    blocks: usize,
    kernel: usize,
    stride: usize,
    expansion: usize,
    channels: usize,
}

const fn stage(blocks: usize, kernel: usize, stride: usize, expansion: usize, channels: usize) -> Stage {
    Stage { blocks, kernel, stride, expansion, channels }
}

/// Blocks, kernel, stride of the first block, expansion, channels (Tan & Le 2019, table 1).
const STAGES: [Stage; 7] = [
    stage(1, 3, 1, 1, 16),
    stage(2, 3, 2, 6, 24),
    stage(2, 5, 2, 6, 40),
    stage(3, 3, 2, 6, 80),
    stage(3, 5, 1, 6, 112),
    stage(4, 5, 2, 6, 192),
    stage(1, 3, 1, 6, 320),
];

/// Channels of the stem and of the head.
const STEM: usize = 32;
const HEAD: usize = 1280;
/// What the family's batch normalizations add to the variance.
const EPSILON: f32 = 1e-3;

/// Name of the input: float32 [N, 3, size, size].
pub const INPUT: &str = "input";
/// Name of the output: float32 [N, classes], before softmax.
pub const OUTPUT: &str = "logits";

impl EfficientNetLite {
    /// The smallest, trained at 224×224.
    pub const LITE0: Self = Self { width: 1.0, depth: 1.0, size: 224, classes: 1000 };
    /// Deeper, trained at 240×240.
    pub const LITE1: Self = Self { width: 1.0, depth: 1.1, size: 240, classes: 1000 };
    /// Deeper and wider, trained at 260×260.
    pub const LITE2: Self = Self { width: 1.1, depth: 1.2, size: 260, classes: 1000 };

    /// The network, layer by layer.
    pub fn network(&self) -> Network {
        let mut net = Network::default();
        let image = net.input(INPUT, 3, self.size);
        let stem = Conv { channels: STEM, kernel: 3, stride: 2, groups: 1 };
        let x = net.conv("conv_stem", &image, stem);
        let x = net.batch_norm("bn0", &x, EPSILON);
        let mut x = net.relu6("relu6", &x);

        for (index, (stage, stride, channels)) in self.blocks().enumerate() {
            x = block(&mut net, &format!("blocks.{index}"), &x, stage, stride, channels);
        }

        let x = net.conv("conv_head", &x, pointwise(HEAD));
        let x = net.batch_norm("bn1", &x, EPSILON);
        let x = net.relu6("relu6", &x);
        let pooled = net.pool("avg_pooling", &x);
        net.linear("fc", &pooled, [HEAD, self.classes], OUTPUT);
        net.output(OUTPUT, self.classes);
        net
    }

    /// How many trained parameters it has.
    pub fn parameters(&self) -> usize {
        let network = self.network();
        let trained = network.weights().iter().filter(|w| !w.name.contains("running"));
        trained.map(|w| w.shape.iter().product::<usize>()).sum()
    }

    /// Each block's stage, stride and output channels.
    fn blocks(&self) -> impl Iterator<Item = (&'static Stage, usize, usize)> {
        let (width, depth) = (self.width, self.depth);
        STAGES.iter().enumerate().flat_map(move |(i, stage)| {
            let grows = (1..STAGES.len() - 1).contains(&i);
            let blocks = if grows { round_blocks(stage.blocks, depth) } else { stage.blocks };
            let channels = round_channels(stage.channels, width);
            (0..blocks).map(move |block| (stage, if block == 0 { stage.stride } else { 1 }, channels))
        })
    }
}

fn block(net: &mut Network, module: &str, input: &Features, stage: &Stage, stride: usize, channels: usize) -> Features {
    let part = |name: &str| format!("{module}/{name}");
    let wide = input.channels * stage.expansion;
    let mut x = input.clone();
    if stage.expansion > 1 {
        x = net.conv(&part("expand_conv"), &x, pointwise(wide));
        x = net.batch_norm(&part("bn0"), &x, EPSILON);
        x = net.relu6(&part("relu6"), &x);
    }
    let depthwise = Conv { channels: wide, kernel: stage.kernel, stride, groups: wide };
    x = net.conv(&part("depthwise_conv"), &x, depthwise);
    x = net.batch_norm(&part("bn1"), &x, EPSILON);
    x = net.relu6(&part("relu6"), &x);
    x = net.conv(&part("project_conv"), &x, pointwise(channels));
    x = net.batch_norm(&part("bn2"), &x, EPSILON);
    if stride == 1 && input.channels == channels {
        x = net.add(module, &x, input);
    }
    x
}

fn pointwise(channels: usize) -> Conv {
    Conv { channels, kernel: 1, stride: 1, groups: 1 }
}

/// A stage's blocks, scaled: rounded up.
fn round_blocks(blocks: usize, depth: f64) -> usize {
    (blocks as f64 * depth).ceil() as usize
}

/// A stage's channels, scaled: the nearest multiple of 8 that is not below nine tenths.
fn round_channels(channels: usize, width: f64) -> usize {
    let exact = channels as f64 * width;
    let rounded = ((exact + 4.0) as usize / 8 * 8).max(8);
    if (rounded as f64) < 0.9 * exact { rounded + 8 } else { rounded }
}

/// The name that the package's checkpoint has for a weight: modules begin with an underscore,
/// `blocks.3.bn1.weight` is `_blocks.3._bn1.weight`.
pub fn name_in_checkpoint(weight: &str) -> String {
    let mut parts: Vec<String> = weight.split('.').map(str::to_owned).collect();
    let modules = parts.len().saturating_sub(1);
    for part in &mut parts[..modules] {
        if !part.starts_with(|c: char| c.is_ascii_digit()) {
            part.insert(0, '_');
        }
    }
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Lite0 has 4,652,008 trained parameters (the family's table says 4.7 million), in 49
    /// convolutions, as many batch normalizations and one linear layer.
    #[test]
    fn lite0_has_the_published_size() {
        assert_eq!(EfficientNetLite::LITE0.parameters(), 4_652_008);
        let net = EfficientNetLite::LITE0.network();
        let model = net.skeleton("lite0", &[]);
        let nodes = model.graph.unwrap().node;
        let count = |operator| nodes.iter().filter(|n| n.op_type() == operator).count();
        assert_eq!((count("Conv"), count("BatchNormalization"), count("Gemm")), (49, 49, 1));
        assert_eq!((count("Clip"), count("Add")), (33, 9));
    }

    /// Parameters, blocks and convolutions as the package's PyTorch networks have them.
    #[test]
    fn lite1_and_lite2_have_the_size_of_their_reference() {
        for (lite, parameters) in [(EfficientNetLite::LITE1, 5_416_680), (EfficientNetLite::LITE2, 6_092_072)] {
            assert_eq!(lite.parameters(), parameters);
            let nodes = lite.network().skeleton("lite", &[]).graph.unwrap().node;
            assert_eq!(nodes.iter().filter(|n| n.op_type() == "Conv").count(), 64);
            assert_eq!(lite.blocks().count(), 21);
        }
    }

    /// Channels and blocks of the larger members, as their published tables have them.
    #[test]
    fn scaling_rounds_as_the_family_does() {
        let lite4 = EfficientNetLite { width: 1.4, depth: 1.8, size: 300, classes: 1000 };
        let mut stages: Vec<(usize, usize)> = Vec::new();
        for (_, _, channels) in lite4.blocks() {
            match stages.last_mut() {
                Some((last, blocks)) if *last == channels => *blocks += 1,
                _ => stages.push((channels, 1)),
            }
        }
        let expected = [(24, 1), (32, 4), (56, 4), (112, 6), (160, 6), (272, 8), (448, 1)];
        assert_eq!(stages, expected);
    }

    #[test]
    fn every_tensor_is_made_once_before_it_is_used() {
        let net = EfficientNetLite::LITE0.network();
        let graph = net.skeleton("lite0", &[]).graph.unwrap();
        let mut known: HashSet<String> = net.weights().iter().map(|w| w.name.clone()).collect();
        assert_eq!(known.len(), net.weights().len());
        known.extend(graph.initializer.iter().map(|t| t.name().to_owned()));
        known.extend(graph.input.iter().map(|v| v.name().to_owned()));
        let (mut names, mut used) = (HashSet::new(), HashSet::new());
        for node in &graph.node {
            assert!(names.insert(node.name()));
            for input in &node.input {
                assert!(known.contains(input), "{input} of {}", node.name());
                used.insert(input.clone());
            }
            for output in &node.output {
                assert!(known.insert(output.clone()), "{output} is made twice");
            }
        }
        let unused: Vec<_> = known.difference(&used).collect();
        assert_eq!(unused, [OUTPUT]);
    }

    #[test]
    fn nodes_have_the_path_of_their_module() {
        let graph = EfficientNetLite::LITE0.network().skeleton("lite0", &[]).graph.unwrap();
        let names: Vec<&str> = graph.node.iter().map(|n| n.name()).collect();
        assert_eq!(names[..3], ["/conv_stem/Conv", "/bn0/BatchNormalization", "/relu6/Clip"]);
        for name in ["/blocks.15/bn2/BatchNormalization", "/blocks.2/Add", "/blocks.3/relu6_1/Clip"] {
            assert!(names.contains(&name), "{name}");
        }
        let tail = ["/relu6_1/Clip", "/avg_pooling/GlobalAveragePool", "/Flatten", "/fc/Gemm"];
        assert_eq!(names[names.len() - 4..], tail);
        let clip = &graph.node[2];
        assert_eq!(clip.output, ["/relu6/Clip_output_0"]);
    }

    #[test]
    fn weights_have_their_checkpoints_names() {
        assert_eq!(name_in_checkpoint("blocks.3.bn1.running_var"), "_blocks.3._bn1.running_var");
        assert_eq!(name_in_checkpoint("conv_stem.weight"), "_conv_stem.weight");
    }
}
