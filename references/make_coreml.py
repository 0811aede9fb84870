"""A CoreML classifier by onnxmltools' converter, with gradients as central differences in float64.

    python references/make_coreml.py [OUT]

Needs exporters/requirements-coreml.txt. Writes coreml.{variant}.onnx, coreml.npz and coreml.json into
crates/onnxcam/tests/golden/exporters; README.md says what is in them.
"""

import itertools
import sys
from pathlib import Path

import numpy as np
import onnx
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder
from numpy.lib.stride_tricks import sliding_window_view
from onnxmltools.convert import convert_coreml

from exporters import files
from exporters.pictures import input_pixels

GOLDEN = Path(__file__).parent.parent / "crates" / "onnxcam" / "tests" / "golden" / "exporters"
SIZE = (40, 48)
CLASSES = 10
STEP = 1e-5
# Operator sets of the converter's heyday.
VARIANTS = {"opset7": 7, "opset9": 9}


class Squeezed:
    """SqueezeNet's way, as Apple's gallery had it: preprocessing inside, local response normalisation, a fire module,
    a 1x1 convolution for the classes, pooling, softmax, and the class's name beside its probability."""

    def __init__(self):
        random = np.random.default_rng(24)

        def conv(inputs, outputs, kernel):
            weight = random.normal(0, np.sqrt(2 / (inputs * kernel**2)), (outputs, inputs, kernel, kernel))
            return weight.astype(np.float32), random.normal(0, 0.1, outputs).astype(np.float32)

        self.conv1, self.squeeze = conv(3, 12, 3), conv(12, 8, 1)
        self.expand1, self.expand3, self.classify = conv(8, 12, 1), conv(8, 12, 3), conv(24, CLASSES, 1)
        self.scale, self.bias = 1 / 127.5, (-1.0, -0.9, -1.1)
        ranges = ((0.6, 1.4), (-0.2, 0.2), (-0.3, 0.3), (0.5, 1.5))  # Scale, shift, mean, variance.
        self.norm = [random.uniform(low, high, 12).astype(np.float32) for low, high in ranges]

    # --- In float64, by definition. ---

    def features(self, x):
        """[N, 3, H, W], 0..255 -> A [N, 24, h, w]"""
        x = x * self.scale + np.reshape(self.bias, (3, 1, 1))
        gamma, beta, mean, variance = (part.astype(np.float64)[:, None, None] for part in self.norm)
        x = relu(gamma * (convolve(x, self.conv1, stride=2) - mean) / np.sqrt(variance + 1e-5) + beta)
        x = local_response(windows(x).max((-1, -2)))
        x = windows(x).mean((-1, -2))
        x = convolve(x, self.squeeze)
        x = np.where(x < 0, 0.1 * x, x)
        return np.concatenate([relu(convolve(x, self.expand1)), relu(convolve(x, self.expand3))], 1)

    def score(self, a):
        return convolve(a, self.classify).mean((2, 3))

    # --- As CoreML has it. ---

    def spec(self):
        inputs, outputs = [("image", datatypes.Array(3, *SIZE))], [("prob", datatypes.Array(CLASSES))]
        net = NeuralNetworkBuilder(inputs, outputs, mode="classifier")

        def conv(name, weights, source, stride=1):
            weight, bias = weights
            outputs, inputs, kernel, _ = weight.shape
            weight = weight.transpose(2, 3, 1, 0)  # CoreML has [kernel, kernel, inputs, outputs].
            net.add_convolution(
                name, inputs, outputs, kernel, kernel, stride, stride, "same", 1, weight, bias, True,
                input_name=source, output_name=name,
            )  # fmt: skip

        conv("conv1", self.conv1, "image", stride=2)
        gamma, beta, mean, variance = self.norm
        net.add_batchnorm("bn1", 12, gamma, beta, mean, variance, epsilon=1e-5, input_name="conv1", output_name="bn1")
        net.add_activation("relu1", "RELU", "bn1", "relu1")
        net.add_pooling("pool1", 2, 2, 2, 2, "MAX", "VALID", "relu1", "pool1")
        net.add_lrn("norm1", "pool1", "norm1", 0.5, 0.75, 5, 1.0)
        net.add_pooling("pool2", 2, 2, 2, 2, "AVERAGE", "VALID", "norm1", "pool2")
        conv("squeeze", self.squeeze, "pool2")
        net.add_activation("squeeze_relu", "LEAKYRELU", "squeeze", "squeeze_relu", params=[0.1])
        for name, weights in (("expand1x1", self.expand1), ("expand3x3", self.expand3)):
            conv(name, weights, "squeeze_relu")
            net.add_activation(f"{name}_relu", "RELU", name, f"{name}_relu")
        net.add_elementwise("concat", ["expand1x1_relu", "expand3x3_relu"], "concat", "CONCAT")
        conv("classify", self.classify, "concat")
        net.add_pooling("pool10", 1, 1, 1, 1, "AVERAGE", "VALID", "classify", "pool10", is_global=True)
        net.add_flatten("flatten", 0, "pool10", "flatten")
        net.add_softmax("prob", "flatten", "prob")
        net.set_class_labels([f"kind of thing {i}" for i in range(CLASSES)])
        red, green, blue = self.bias
        net.set_pre_processing_parameters(
            image_input_names=["image"], image_scale=self.scale, red_bias=red, green_bias=green, blue_bias=blue
        )
        return net.spec


def relu(x):
    return np.maximum(x, 0)


def windows(x):
    """Of 2 x 2, side by side: [N, C, h, w, 2, 2]"""
    return sliding_window_view(x, (2, 2), (2, 3))[:, :, ::2, ::2]


def convolve(x, weights, stride=1):
    """Padded as SAME_UPPER."""
    weight, bias = (part.astype(np.float64) for part in weights)
    kernel = weight.shape[2]
    pads = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[2:]]
    x = np.pad(x, ((0, 0), (0, 0), *((pad // 2, pad - pad // 2) for pad in pads)))
    cells = sliding_window_view(x, (kernel, kernel), (2, 3))[:, :, ::stride, ::stride]
    return np.einsum("nchwij,ocij->nohw", cells, weight, optimize=True) + bias[:, None, None]


def local_response(x):
    """x / (1 + 0.5 / 5 * sum of the squares of five channels)^0.75"""
    squares = np.pad(x**2, ((0, 0), (2, 2), (0, 0), (0, 0)))
    return x / (1 + 0.5 / 5 * sliding_window_view(squares, 5, 1).sum(-1)) ** 0.75


def softmax(logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def differences(score, x, classes, places):
    """Central differences of the classes' scores for every picture: [C, N, *x.shape[1:]], 0 but at these places."""
    found = np.zeros((len(classes), *x.shape))
    for place in places:
        at = (slice(None), *place)
        moved = []
        for sign in (1, -1):
            there = x.copy()
            there[at] += sign * STEP
            moved.append(score(there)[:, classes])
        found[(slice(None), *at)] = ((moved[0] - moved[1]) / (2 * STEP)).T
    return found


def main(out=GOLDEN):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("coreml*"):
        old.unlink()
    net = Squeezed()
    x = input_pixels(*SIZE).transpose(0, 3, 1, 2)
    exact = x.astype(np.float64)
    spread = net.score(net.features(exact)).std(1).mean()
    net.classify = tuple(part * np.float32(2.0 ** np.round(np.log2(4 / spread))) for part in net.classify)
    paths = {}
    for variant, opset in VARIANTS.items():
        paths[variant] = out / f"coreml.{variant}.onnx"
        onnx.save(convert_coreml(net.spec(), "SqueezeNet", target_opset=opset), paths[variant])

    features = net.features(exact)
    logits = net.score(features)
    classes = files.two_classes(logits)
    of_layer = differences(net.score, features, classes, np.ndindex(features.shape[1:]))
    sampled = list(itertools.product(range(3), *(range(0, size, files.SAMPLING) for size in SIZE)))
    of_input = differences(lambda x: net.score(net.features(x)), exact, classes, sampled)
    cam = net.classify[0][:, :, 0, 0].astype(np.float64)
    found = files.references(features, of_layer, of_input, logits, softmax(logits), classes, "nchw", cam)
    files.write_summary(out, "coreml", [files.write(out, "coreml", x, found, paths, True)])


if __name__ == "__main__":
    main(*sys.argv[1:])
