"""Rounding to integers of few bits, straight through: torch.fake_quantize_*, in steps that are powers of two."""

import numpy as np
import torch
from onnx import TensorProto
from torch.nn import functional as F

from .case import Case, Constant, eighths

RANGES = {"u1": (0, 255), "i1": (-128, 127), "u2": (0, 65535), "i2": (-32768, 32767)}


def integers(values, kind):
    return Constant(np.asarray(values, kind))


def rounded(x, scale, zero, kind, axis=0):
    """x as QuantizeLinear and DequantizeLinear give it back."""
    if np.ndim(scale) == 0:
        return torch.fake_quantize_per_tensor_affine(x, float(scale), int(zero), *RANGES[kind])
    scale, zero = torch.tensor(scale, dtype=torch.float32), torch.tensor(zero, dtype=torch.float32)
    return torch.fake_quantize_per_channel_affine(x.float(), scale, zero, axis, *RANGES[kind]).double()


def there_and_back():
    x = eighths(2, 3, 4, 2)
    # Some values are cut off at either end.
    edges = np.array([-1, -0.0625, -0.0078125, 0, 0.0078125, 0.5, 3.96875, 3.984375, 4, 8])
    table = [
        ("bytes", x, 2.0**-5, 100, "u1", 0),
        ("signed", x, 2.0**-7, -3, "i1", 0),
        ("edges", edges, 2.0**-6, 0, "u1", 0),
        ("words", x * 8, 2.0**-12, 7, "u2", 0),
        ("signed-words", x * 8, 2.0**-12, -9, "i2", 0),
        ("by-channel", x, [2.0**-7, 2.0**-5, 2.0**-6], [-3, 0, 5], "i1", 1),
        ("by-last-axis", x, [2.0**-7, 2.0**-6], [120, 7], "u1", -1),
    ]
    for name, values, scale, zero, kind, axis in table:
        given = [Constant(scale), integers(zero, kind)]
        attributes = {"axis": axis} if np.ndim(scale) else {}
        function = lambda x, s=scale, z=zero, k=kind, a=axis % values.ndim: rounded(x, s, z, k, a)
        then = (("DequantizeLinear", given, attributes),)
        yield Case("QuantizeLinear", name, [values, *given], function, attributes, 21 if kind[1] == "2" else 13, then=then)
    none = (("DequantizeLinear", [Constant(2.0**-6)], {}),)
    yield Case("QuantizeLinear", "no-zero-point", [x, Constant(2.0**-6)], lambda x: rounded(x, 2.0**-6, 0, "u1"), then=none)
    through = (("Transpose", [], {"perm": [0, 2, 1]}), ("Flatten", [], {}), ("DequantizeLinear", [Constant(0.25), integers(9, "u1")], {}))
    yield Case(
        "QuantizeLinear", "moved-as-bytes", [eighths(2, 3, 4), Constant(0.125), integers(12, "u1")],
        lambda x: 0.25 * ((rounded(x, 0.125, 12, "u1") / 0.125 + 12).transpose(1, 2).flatten(1) - 9), then=through,
    )


def scales():
    """DequantizeLinear is a product of its scale."""
    q = np.random.default_rng(4).integers(0, 256, (2, 3, 4)).astype(np.uint8)
    steps = torch.from_numpy(q.astype(np.float64))
    zero = np.array([3, 128, 255], np.uint8)
    by_channel = torch.from_numpy(zero.astype(np.float64)).view(3, 1)
    yield Case("DequantizeLinear", "scale", [Constant(q), eighths()], lambda s: steps * s)
    yield Case("DequantizeLinear", "scales", [Constant(q), eighths(3), Constant(zero)], lambda s: (steps - by_channel) * s.view(3, 1))
    blocks = Constant(np.array([[[3, 7]], [[0, 255]]], np.uint8).repeat(3, 1))
    each = torch.from_numpy(blocks.value.astype(np.float64))
    spread = lambda t: t.repeat_interleave(3, 2)[..., :4]
    yield Case(
        "DequantizeLinear", "blocks", [Constant(q), eighths(2, 3, 2), blocks],
        lambda s: (steps - spread(each)) * spread(s), {"axis": 2, "block_size": 3}, 21,
    )


def dynamic():
    """The range is the tensor's own, and counts as constant."""
    x = np.concatenate([eighths(23), [255 / 32]]).reshape(2, 3, 4)

    def function(x):
        low, high = min(0.0, x.min().item()), max(0.0, x.max().item())
        scale = np.float32(high - low) / np.float32(255)
        zero = int(np.clip(np.rint(-low / scale), 0, 255))
        steps = ((x / float(scale)).round() + zero).clamp(0, 255)
        return x + ((steps - zero) * float(scale) - x).detach()

    then = (("DequantizeLinear", ["q1", "q2"], {}),)
    yield Case("DynamicQuantizeLinear", "plain", [x], function, unread=2, then=then)


def products():
    rng = np.random.default_rng(11)
    x = eighths(2, 4, 6, 5)
    w = rng.integers(-128, 128, (6, 2, 3, 3)).astype(np.int8)
    bias = rng.integers(-900, 900, 6).astype(np.int32)
    scales = 2.0 ** -rng.integers(6, 9, 6)
    window = {"group": 2, "pads": [1, 0, 1, 1], "strides": [2, 1]}
    conv = lambda x, w, b=None: F.conv2d(F.pad(x, (0, 1, 1, 1)), w, b, stride=(2, 1), groups=2)
    weights = torch.from_numpy(w.astype(np.float64))
    of_filter = torch.tensor(scales).view(-1, 1, 1, 1)
    reads = [
        Constant(2.0**-5), integers(100, "u1"), Constant(w), Constant(scales), integers([0] * 6, "i1"),
        Constant(2.0**-2), integers(90, "u1"), Constant(bias),
    ]
    yield Case(
        "QuantizeLinear", "qlinearconv", [x, Constant(2.0**-5), integers(100, "u1")],
        lambda x: rounded(conv(rounded(x, 2.0**-5, 100, "u1"), weights * of_filter, torch.from_numpy(bias * scales * 2.0**-5)), 0.25, 90, "u1"),
        then=(("QLinearConv", reads, window), ("DequantizeLinear", [Constant(2.0**-2), integers(90, "u1")], {})),
    )
    shift = rng.integers(0, 256, w.shape).astype(np.uint8)
    yield Case(
        "QuantizeLinear", "convinteger", [x, Constant(2.0**-5), integers(100, "u1")],
        lambda x: conv(rounded(x, 2.0**-5, 100, "u1") * 2.0**5, torch.from_numpy(shift.astype(np.float64)) - 131) * 2.0**-11,
        then=(
            ("ConvInteger", [Constant(shift), integers(100, "u1"), integers(131, "u1")], window),
            ("Cast", [], {"to": TensorProto.FLOAT}),
            ("Mul", [Constant(2.0**-11)], {}),
        ),
    )
    a = eighths(3, 7)
    b = rng.integers(-128, 128, (7, 5)).astype(np.int8)
    columns = 2.0 ** -rng.integers(6, 9, 5)
    matrix = torch.from_numpy(b.astype(np.float64))
    reads = [Constant(2.0**-5), integers(100, "u1"), Constant(b), Constant(columns), integers([0, 3, -7, 0, 1], "i1")]
    zeros = torch.tensor([0.0, 3, -7, 0, 1], dtype=torch.float64)
    yield Case(
        "QuantizeLinear", "qlinearmatmul", [a, Constant(2.0**-5), integers(100, "u1")],
        lambda a: rounded(rounded(a, 2.0**-5, 100, "u1") @ ((matrix - zeros) * torch.tensor(columns)), 0.125, 77, "u1"),
        then=(
            ("QLinearMatMul", [*reads, Constant(0.125), integers(77, "u1")], {}),
            ("DequantizeLinear", [Constant(0.125), integers(77, "u1")], {}),
        ),
        opset=21,
    )
    yield Case(
        "QuantizeLinear", "matmulinteger", [a, Constant(2.0**-5), integers(100, "u1")],
        lambda a: (rounded(a, 2.0**-5, 100, "u1") * 2.0**5) @ (matrix + 4) * 2.0**-9,
        then=(
            ("MatMulInteger", [Constant(b), integers(100, "u1"), integers(-4, "i1")], {}),
            ("Cast", [], {"to": TensorProto.FLOAT}),
            ("Mul", [Constant(2.0**-9)], {}),
        ),
    )


CASES = [*there_and_back(), *scales(), *dynamic(), *products()]
