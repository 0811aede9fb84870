"""Paddle's networks by Paddle2ONNX, with gradients by Paddle in float64.

    python references/make_paddle.py [OUT]

Needs exporters/requirements-paddle.txt. Writes {name}.{variant}.onnx, {name}.npz and paddle.json into
crates/onnxcam/tests/golden/exporters; README.md says what is in them.
"""

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

os.environ |= {"CUDA_VISIBLE_DEVICES": "", "GLOG_minloglevel": "3"}

import numpy as np
import onnx
import paddle
import paddle2onnx
from paddle import nn

from exporters import files
from exporters.pictures import input_pixels, warm_up_pixels

GOLDEN = Path(__file__).parent.parent / "crates" / "onnxcam" / "tests" / "golden" / "exporters"
SIZE = (40, 48)
CLASSES = 10
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


class ConvNorm(nn.Sequential):
    def __init__(self, inputs, outputs, kernel, stride=1, groups=1, activation=nn.ReLU):
        conv = nn.Conv2D(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias_attr=False)
        super().__init__(conv, nn.BatchNorm2D(outputs), *([activation()] if activation else []))


class Squeeze(nn.Layer):
    """Squeeze and excitation, as PP-LCNet and PaddleOCR's classifiers have it."""

    def __init__(self, channels):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2D(1)
        self.reduce, self.expand = nn.Conv2D(channels, channels // 4, 1), nn.Conv2D(channels // 4, channels, 1)

    def forward(self, x):
        return x * nn.functional.hardsigmoid(self.expand(nn.functional.relu(self.reduce(self.pool(x)))))


class LCNet(nn.Layer):
    """PP-LCNet: depthwise blocks with hard swish, a 1x1 convolution behind the pooling, flatten, linear, softmax."""

    def __init__(self):
        super().__init__()
        self.stem = ConvNorm(3, 8, 3, 2, activation=nn.Hardswish)
        blocks = []
        shapes = ((8, 16, 3, 1, False), (16, 24, 3, 2, False), (24, 32, 5, 2, True))
        for inputs, outputs, kernel, stride, squeeze in shapes:
            blocks += [ConvNorm(inputs, inputs, kernel, stride, inputs, nn.Hardswish)]
            blocks += [Squeeze(inputs)] if squeeze else []
            blocks += [ConvNorm(inputs, outputs, 1, activation=nn.Hardswish)]
        self.blocks = nn.Sequential(*blocks)
        self.pool, self.last_conv = nn.AdaptiveAvgPool2D(1), nn.Conv2D(32, 24, 1, bias_attr=False)
        self.flatten, self.dropout, self.fc = nn.Flatten(), nn.Dropout(0.2), nn.Linear(24, CLASSES)

    def features(self, x):
        return self.blocks(self.stem(x))

    def score(self, a):
        return self.fc(self.dropout(self.flatten(nn.functional.hardswish(self.last_conv(self.pool(a))))))

    def forward(self, x):
        return nn.functional.softmax(self.score(self.features(x)))


class Residual(nn.Layer):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.convs = nn.Sequential(ConvNorm(inputs, outputs, 3, stride), ConvNorm(outputs, outputs, 3, activation=None))
        # ResNet-vd: the shortcut pools, then a 1x1 convolution.
        self.short = nn.Sequential(nn.AvgPool2D(2, 2, ceil_mode=True), ConvNorm(inputs, outputs, 1, activation=None))

    def forward(self, x):
        return nn.functional.relu(self.convs(x) + self.short(x))


class ResNet(nn.Layer):
    """ResNet-vd, PaddleClas' usual backbone: three convolutions as stem, shortcuts that pool."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(ConvNorm(3, 8, 3, 2), ConvNorm(8, 8, 3), ConvNorm(8, 12, 3), nn.MaxPool2D(3, 2, 1))
        self.blocks = nn.Sequential(Residual(12, 16, 2), Residual(16, 20, 2))
        self.pool, self.fc = nn.AdaptiveAvgPool2D(1), nn.Linear(20, CLASSES)

    def features(self, x):
        return self.blocks(self.stem(x))

    def score(self, a):
        return self.fc(paddle.reshape(self.pool(a), [-1, 20]))

    def forward(self, x):
        return self.score(self.features(x))


@dataclass
class Network:
    name: str
    make: Callable[[], nn.Layer]
    # By variant: the opset, and the batch of the export, None where it is open.
    exports: dict
    # Whether global average pooling joins the features to a linear head.
    cam: bool


NETWORKS = [
    Network("paddle_lcnet", LCNet, {"opset13": (13, None), "opset9-static": (9, 1)}, False),
    Network("paddle_resnet", ResNet, {"opset11": (11, None), "opset17": (17, None)}, True),
]


def normalised(pixels):
    """uint8 [N, H, W, 3] -> float32 [N, 3, H, W]"""
    return ((pixels / 255 - MEAN) / STD).transpose(0, 3, 1, 2).astype(np.float32)


@paddle.no_grad()
def warm_up(model):
    """Makes a random network behave like a trained one, in its scales: as networks.warm_up does PyTorch's."""
    generator = np.random.default_rng(23)
    norms = [layer for layer in model.sublayers() if isinstance(layer, nn.BatchNorm2D)]
    dropouts = [layer for layer in model.sublayers() if isinstance(layer, nn.Dropout)]
    for norm in norms:
        norm.weight.set_value(generator.uniform(0.6, 1.4, norm.weight.shape).astype(np.float32))
        norm.bias.set_value(generator.normal(0, 0.2, norm.bias.shape).astype(np.float32))
        norm._momentum = 0.0
    rates = [dropout.p for dropout in dropouts]
    for dropout in dropouts:
        dropout.p = 0.0
    x = paddle.to_tensor(normalised(warm_up_pixels(*SIZE)))
    model.train()
    model.features(x)
    model.eval()
    for dropout, rate in zip(dropouts, rates):
        dropout.p = rate
    logits = model.score(model.features(x)).numpy()
    model.fc.weight.set_value(model.fc.weight * float(2.0 ** np.round(np.log2(4 / logits.std(1).mean()))))


def export(model, path, opset, batch):
    with tempfile.TemporaryDirectory() as folder:
        prefix = f"{folder}/inference"
        spec = [paddle.static.InputSpec([batch, 3, *SIZE], "float32", name="x")]
        paddle.jit.save(paddle.jit.to_static(model, input_spec=spec, full_graph=True), prefix)
        program = next(p for p in (f"{prefix}.json", f"{prefix}.pdmodel") if os.path.exists(p))
        paddle2onnx.export(program, f"{prefix}.pdiparams", path, opset_version=opset, verbose=False)


def reference(network, model, x):
    """The arrays of README.md; leaves the model in float64."""
    model.to(dtype="float64")
    x = paddle.to_tensor(x.astype(np.float64), stop_gradient=False)
    features = model.features(x)
    logits = model.score(features)
    classes = files.two_classes(logits.numpy())
    gradients = [paddle.grad(logits[:, c].sum(), [features, x], retain_graph=True) for c in classes]
    cam = model.fc.weight.numpy().T if network.cam else None
    of_layer, of_input = ([g.numpy() for g in part] for part in zip(*gradients))
    features, logits, output = (t.numpy() for t in (features, logits, model(x)))
    return files.references(features, of_layer, of_input, logits, output, classes, "nchw", cam)


def write(network, out):
    paddle.seed(0)
    model = network.make()
    warm_up(model)
    paths = {}
    for variant, (opset, batch) in network.exports.items():
        paths[variant] = out / f"{network.name}.{variant}.onnx"
        export(model, str(paths[variant]), opset, batch)
    x = normalised(input_pixels(*SIZE))
    return files.write(out, network.name, x, reference(network, model, x), paths, network.cam)


def main(out=GOLDEN):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("paddle*"):
        old.unlink()
    files.write_summary(out, "paddle", [write(network, out) for network in NETWORKS])


if __name__ == "__main__":
    main(*sys.argv[1:])
