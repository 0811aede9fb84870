"""Small networks quantised by ONNX Runtime's tools, with float64 references: crates/onnxcam/tests/golden/quantised.

    python references/make_quantised.py [OUT]

From the networks of make_golden.py. Rounding to integers passes gradients straight through, as `straight_through` defines
it. README.md says what the arrays are.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from onnxruntime import quantization
from onnxruntime.quantization import QuantFormat, QuantType
from torch.nn import functional as F

import equations
import onnx_files
from arrays import save_npz

CRATE = Path(__file__).parent.parent / "crates" / "onnxcam" / "tests" / "golden"
BYTES = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QUInt8}
QDQ = BYTES | {"quant_format": QuantFormat.QDQ}

# name, the network it is made of, how, and the operator that reads the target layer.
QUANTISED = [
    ("resnet18.qdq", "resnet18.old", QDQ | {"per_channel": True}, "GlobalAveragePool"),
    ("resnet18.qoperator", "resnet18.old", BYTES | {"quant_format": QuantFormat.QOperator}, "QLinearGlobalAveragePool"),
    ("resnet18.words", "resnet18.old", QDQ | {"activation_type": QuantType.QUInt16}, "GlobalAveragePool"),
    ("resnet18.dynamic", "resnet18.old", None, "GlobalAveragePool"),
    ("vgg.qdq", "vgg.old-opset7", QDQ, "MaxPool"),
    ("mobilenet_v3.qdq", "mobilenet_v3.old", QDQ, "GlobalAveragePool"),
]
CLASSES = [0, 7]
# What is rounded lies this far from the middle of two integers, so that float32 rounds it to the same one. Of words' 65,536
# steps float32 does not meet every one.
MARGIN = {"resnet18.words": 0.0, "mobilenet_v3.qdq": 2e-6}
TOLERANCE = {"resnet18.words": 1e-3}


class Undecided(Exception):
    """Something lies near the middle of two integers."""


class Rounding(torch.autograd.Function):
    """saturate(round(x)), straight through where nothing is cut off."""

    margin = 0.0

    @staticmethod
    def forward(ctx, x, low, high):
        if ((x - x.floor()) - 0.5).abs().min() < Rounding.margin:
            raise Undecided
        rounded = x.round()
        ctx.save_for_backward((rounded >= low) & (rounded <= high))
        return rounded.clamp(low, high)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0], None, None


class Reader(quantization.CalibrationDataReader):
    def __init__(self, name, batches):
        self.feeds = iter([{name: batch} for batch in batches])

    def get_next(self):
        return next(self.feeds, None)


class Network:
    """An ONNX file, node by node in torch and float64; integers are whole numbers that gradients pass."""

    def __init__(self, path):
        self.graph = onnx.load(path).graph
        self.constants, self.kinds = {}, {}
        for tensor in self.graph.initializer:
            array = numpy_helper.to_array(tensor)
            self.kinds[tensor.name] = array.dtype
            self.constants[tensor.name] = torch.from_numpy(array.astype(np.float64)) if array.dtype != np.int64 else array
        self.input = next(i.name for i in self.graph.input if i.name not in self.constants)

    def nodes(self):
        attributes = lambda node: {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        return [(node, attributes(node)) for node in self.graph.node]

    def run(self, values, stop=None):
        """The values of every tensor from `values` on, whose makers are not run."""
        values = self.constants | values
        for node, attributes in self.nodes():
            if node.output[0] in values:
                continue
            if any(name and name not in values for name in node.input):
                continue
            read = [values[name] if name else None for name in node.input]
            made = getattr(self, node.op_type)(*read, node=node, **attributes)
            values.update(zip(node.output, made if isinstance(made, tuple) else (made,)))
        return values

    # Rounding.

    def limits(self, zero_point):
        kind = self.kinds.get(zero_point, np.dtype(np.uint8))
        return np.iinfo(kind).min, np.iinfo(kind).max

    def rounded(self, x, scale, zero, zero_point):
        return Rounding.apply(x / scale + zero, *self.limits(zero_point))

    @staticmethod
    def shaped(scale, like, axis):
        return scale.reshape([-1 if a == axis % like.ndim else 1 for a in range(like.ndim)]) if scale.numel() > 1 else scale.reshape([])

    def QuantizeLinear(self, x, scale, zero, node, axis=1):
        return self.rounded(x, self.shaped(scale, x, axis), self.shaped(zero, x, axis), node.input[2])

    def DequantizeLinear(self, q, scale, zero=None, node=None, axis=1):
        zero = torch.zeros(()) if zero is None else zero
        return (q - self.shaped(zero, q, axis)) * self.shaped(scale, q, axis)

    def DynamicQuantizeLinear(self, x, node):
        low, high = min(0.0, x.min().item()), max(0.0, x.max().item())
        scale = torch.tensor(float(np.float32(high - low) / np.float32(255)), dtype=torch.float64)
        zero = torch.tensor(-low / scale.item()).round().clamp(0, 255)
        return Rounding.apply(x / scale + zero, 0, 255), scale, zero

    # Products.

    def Conv(self, x, w, b=None, node=None, group=1, strides=(1, 1), pads=(0,) * 4, dilations=(1, 1), kernel_shape=None, auto_pad=None):
        top, left, bottom, right = pads
        return F.conv2d(F.pad(x, (left, right, top, bottom)), w, b, stride=strides, dilation=dilations, groups=group)

    def Gemm(self, a, b, c=None, node=None, alpha=1.0, beta=1.0, transA=0, transB=0):
        y = alpha * (a.T if transA else a) @ (b.T if transB else b)
        return y if c is None else y + beta * c

    def MatMul(self, a, b, node):
        return a @ b

    def ConvInteger(self, x, w, x_zero=0.0, w_zero=0.0, node=None, **window):
        return self.Conv(x - x_zero, w - w_zero, **window)

    def MatMulInteger(self, a, b, a_zero=0.0, b_zero=0.0, node=None):
        return (a - a_zero) @ (b - b_zero)

    def QLinearConv(self, x, x_scale, x_zero, w, w_scale, w_zero, scale, zero, bias=None, node=None, **window):
        weights = self.DequantizeLinear(w, w_scale, w_zero, axis=0)
        bias = None if bias is None else bias * x_scale * w_scale
        return self.rounded(self.Conv((x - x_zero) * x_scale, weights, bias, **window), scale, zero, node.input[7])

    def QLinearAdd(self, a, a_scale, a_zero, b, b_scale, b_zero, scale, zero, node):
        return self.rounded((a - a_zero) * a_scale + (b - b_zero) * b_scale, scale, zero, node.input[7])

    def QLinearGlobalAveragePool(self, x, x_scale, x_zero, scale, zero, node, channels_last=0):
        return self.rounded(((x - x_zero) * x_scale).mean((2, 3), keepdim=True), scale, zero, node.input[4])

    def QGemm(self, a, a_scale, a_zero, b, b_scale, b_zero, c, scale, zero, node, alpha=1.0, transA=0, transB=0):
        bias = c * alpha * a_scale * b_scale
        y = self.Gemm((a - a_zero) * a_scale, (b - b_zero) * b_scale, bias, alpha=alpha, transA=transA, transB=transB)
        return self.rounded(y, scale, zero, node.input[8])

    # The rest.

    def Relu(self, x, node):
        return x.relu()

    def Clip(self, x, low=None, high=None, node=None):
        return F.hardtanh(x, low.item(), high.item())

    def HardSigmoid(self, x, node, alpha=0.2, beta=0.5):
        return F.hardtanh(alpha * x + beta, 0, 1)

    def HardSwish(self, x, node):
        return x * F.hardtanh(x / 6 + 0.5, 0, 1)

    def Add(self, a, b, node):
        return a + b

    def Mul(self, a, b, node):
        return a * b

    def Cast(self, x, node, to):
        return x

    def MaxPool(self, x, node, kernel_shape, strides=(1, 1), pads=(0,) * 4, ceil_mode=0, dilations=(1, 1), auto_pad=None, storage_order=0):
        assert pads[:2] == pads[2:] or not any(pads)
        return F.max_pool2d(x, kernel_shape, strides, tuple(pads[:2]), dilations, bool(ceil_mode))

    def AveragePool(self, x, node, kernel_shape, strides=(1, 1), pads=(0,) * 4, ceil_mode=0, count_include_pad=0, auto_pad=None):
        assert not any(pads) and not ceil_mode
        return F.avg_pool2d(x, kernel_shape, strides)

    def GlobalAveragePool(self, x, node):
        return x.mean((2, 3), keepdim=True)

    def ReduceMean(self, x, axes=None, node=None, keepdims=1, **others):
        axes = others.get("axes", axes)
        return x.mean(tuple(int(a) for a in axes), keepdim=bool(keepdims))

    def Flatten(self, x, node, axis=1):
        return x.flatten(1)

    def Reshape(self, x, shape, node, allowzero=0):
        return x.reshape([x.shape[i] if n == 0 else int(n) for i, n in enumerate(shape)])


def quantise(source, target, options, batches):
    name = onnx.load(source).graph.input[0].name
    with tempfile.TemporaryDirectory() as folder:
        prepared = str(Path(folder) / "prepared.onnx")
        quantization.shape_inference.quant_pre_process(str(source), prepared, skip_symbolic_shape=True)
        if options is None:
            quantization.quantize_dynamic(prepared, target, weight_type=QuantType.QUInt8, op_types_to_quantize=["Conv", "Gemm", "MatMul"])
        else:
            quantization.quantize_static(prepared, target, Reader(name, batches), **options)


def reference(path, x, reader):
    """The arrays for one picture, by the chain rule from the layer that the last `reader` reads."""
    network = Network(path)
    stored = [node.input[0] for node, _ in network.nodes() if node.op_type == reader][-1]
    maker = {name: node for node, _ in network.nodes() for name in node.output}
    integers = reader.startswith("QLinear")
    last = [node for node, _ in network.nodes() if node.op_type == reader][-1]
    output = network.graph.output[0].name

    def features(x):
        value = network.run({network.input: x})[stored]
        return (value - network.constants[last.input[2]]) * network.constants[last.input[1]] if integers else value

    def score(a):
        if integers:
            a = a / network.constants[last.input[1]] + network.constants[last.input[2]]
        return network.run({stored: a})[output]

    arrays = equations.references(features, score, x, CLASSES)
    return {k: v for k, v in arrays.items() if k != "input_gradient"}, stored


def main(out=CRATE / "quantised"):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for old in (*out.glob("*.onnx"), *out.glob("*.npz"), *out.glob("*.txt")):
        old.unlink()
    pictures = np.load(CRATE / "networks" / "input.npy")
    for name, source, options, reader in QUANTISED:
        path = str(out / f"{name}.onnx")
        quantise(CRATE / "networks" / f"{source}.onnx", path, options, [pictures, pictures[::-1, :, ::-1].copy()])
        for trial in range(400):
            picture, factor = trial % 2, np.float32(1 - trial / 1000)
            x = pictures[picture : picture + 1] * factor
            Rounding.margin = MARGIN.get(name, 2e-5)
            try:
                arrays, layer = reference(path, torch.from_numpy(x), reader)
                break
            except Undecided:
                continue
        else:
            sys.exit(f"{name}: every picture has something near the middle of two integers")
        engine = onnx_files.session(path, optimise=False)
        theirs = engine.run(None, {engine.get_inputs()[0].name: x})[0]
        off = np.abs(theirs - arrays["logits"]).max() / np.abs(arrays["logits"]).max()
        print(f"{name}: layer {layer}, picture {trial}, scores within {off:.1e} of ONNX Runtime's", file=sys.stderr)
        assert off <= TOLERANCE.get(name, 1e-5), name
        save_npz(out / f"{name}.npz", picture=np.int64(picture), factor=factor, **arrays)
        (out / f"{name}.txt").write_text(layer + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
