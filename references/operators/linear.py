"""Conv, Gemm, MatMul."""

import torch
from torch.nn import functional as F

from .case import Case, Constant, eighths


def convolution(x, weight, bias, strides, pads, dilations, groups):
    """ONNX's Conv: `pads` are all beginnings, then all ends."""
    rank = x.dim() - 2
    padding = [p for axis in reversed(range(rank)) for p in (pads[axis], pads[axis + rank])]
    conv = F.conv1d if rank == 1 else F.conv2d
    return conv(F.pad(x, padding), weight, bias, stride=strides, dilation=dilations, groups=groups)


def same_pads(sizes, kernel, strides, upper):
    """The pads that auto_pad SAME_UPPER or SAME_LOWER stands for, at dilation 1."""
    totals = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(sizes, kernel, strides)]
    begin = [t // 2 if upper else -(-t // 2) for t in totals]
    return begin + [t - b for t, b in zip(totals, begin)]


def conv(name, x, w, bias=True, strides=None, pads=None, dilations=None, groups=1, auto_pad=None):
    """A Conv case with input shape x and weight shape w. Attributes left None are left out of the node."""
    rank = len(x) - 2
    weight = eighths(*w, seed=1)
    offset = eighths(w[0], seed=2) if bias else None
    attributes = {"strides": strides, "pads": pads, "dilations": dilations, "auto_pad": auto_pad, "kernel_shape": list(w[2:])}
    attributes = {key: value for key, value in attributes.items() if value is not None}
    if groups != 1:
        attributes["group"] = groups
    strides, dilations = strides or [1] * rank, dilations or [1] * rank
    if auto_pad and auto_pad.startswith("SAME"):
        pads = same_pads(x[2:], w[2:], strides, auto_pad == "SAME_UPPER")
    pads = pads or [0] * 2 * rank

    def function(x):
        b = None if offset is None else torch.from_numpy(offset)
        return convolution(x, torch.from_numpy(weight), b, strides, pads, dilations, groups)

    inputs = [eighths(*x), Constant(weight)] + ([Constant(offset)] if bias else [])
    return Case("Conv", name, inputs, function, attributes)


CONV = [
    conv("plain", (2, 3, 5, 6), (4, 3, 3, 3)),
    conv("pointwise", (2, 3, 4, 5), (5, 3, 1, 1)),
    conv("no-bias", (2, 2, 5, 5), (3, 2, 2, 3), bias=False),
    conv("padded", (2, 2, 5, 6), (3, 2, 3, 3), pads=[1, 1, 1, 1]),
    conv("stride2-even", (1, 2, 6, 8), (3, 2, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1]),
    conv("stride2-odd", (1, 2, 7, 9), (3, 2, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1]),
    conv("stride2-pointwise", (1, 3, 6, 7), (4, 3, 1, 1), strides=[2, 2]),
    conv("stride-beyond-kernel", (1, 2, 8, 9), (3, 2, 2, 2), strides=[3, 3]),
    conv("strides-mixed", (2, 2, 8, 11), (2, 2, 3, 2), strides=[2, 3], pads=[1, 0, 1, 0]),
    conv("stem7", (1, 3, 12, 13), (4, 3, 7, 7), strides=[2, 2], pads=[3, 3, 3, 3]),
    conv("asymmetric-pads", (1, 2, 5, 6), (3, 2, 3, 3), pads=[1, 0, 2, 1]),
    conv("asymmetric-pads-stride2", (1, 2, 6, 7), (3, 2, 3, 3), strides=[2, 2], pads=[0, 1, 1, 2]),
    conv("pads-beyond-kernel", (1, 2, 3, 4), (3, 2, 1, 2), pads=[1, 2, 2, 2]),
    conv("dilated", (1, 2, 8, 9), (3, 2, 3, 3), dilations=[2, 3]),
    conv("dilated-stride2-padded", (1, 2, 9, 10), (3, 2, 3, 2), strides=[2, 2], pads=[2, 1, 1, 0], dilations=[2, 2]),
    conv("groups", (2, 4, 5, 5), (6, 2, 3, 3), pads=[1, 1, 1, 1], groups=2),
    conv("groups-stride2", (1, 6, 7, 6), (9, 2, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1], groups=3),
    conv("depthwise", (2, 4, 5, 6), (4, 1, 3, 3), pads=[1, 1, 1, 1], groups=4),
    conv("depthwise-stride2", (1, 4, 7, 6), (4, 1, 5, 5), strides=[2, 2], pads=[2, 2, 2, 2], groups=4),
    conv("depthwise-multiplier", (1, 3, 5, 5), (6, 1, 3, 3), strides=[2, 1], groups=3),
    conv("same-upper", (1, 2, 6, 7), (3, 2, 3, 4), strides=[2, 2], auto_pad="SAME_UPPER"),
    conv("same-lower", (1, 2, 6, 7), (3, 2, 3, 4), strides=[2, 2], auto_pad="SAME_LOWER"),
    conv("valid", (1, 2, 5, 6), (3, 2, 2, 3), auto_pad="VALID"),
    conv("1d", (2, 3, 9), (4, 3, 3), pads=[1, 1]),
    conv("1d-stride-groups", (2, 4, 10), (6, 2, 3), strides=[2], pads=[2, 1], groups=2),
    conv("1d-dilated", (1, 2, 11), (3, 2, 3), strides=[3], dilations=[2]),
]


def transposed(name, x, w, strides=(1, 1), padding=(0, 0), more=(0, 0), dilations=(1, 1), groups=1):
    """A ConvTranspose case with input shape x and weight shape w; `padding` is the same before and after."""
    weight = torch.from_numpy(eighths(*w, seed=1))

    def function(x):
        return F.conv_transpose2d(x, weight, None, strides, padding, more, groups, dilations)

    attributes = {"kernel_shape": list(w[2:]), "strides": strides, "pads": [*padding, *padding], "output_padding": more}
    attributes |= {"dilations": dilations, "group": groups}
    return Case("ConvTranspose", name, [eighths(*x), Constant(weight.numpy())], function, attributes)


def shaped(name, x, w, strides, cut, **attributes):
    """A ConvTranspose whose padding follows from the size of its output: `cut` cells before and after on each axis."""
    weight = torch.from_numpy(eighths(*w, seed=1))

    def function(x):
        whole = F.conv_transpose2d(x, weight, None, strides)
        return F.pad(whole, [-c for axis in reversed(cut) for c in axis])

    return Case("ConvTranspose", name, [eighths(*x), Constant(weight.numpy())], function, {"strides": strides} | attributes)


CONV_TRANSPOSE = [
    shaped("same-upper", (2, 3, 4, 3), (3, 2, 3, 4), (2, 1), [(0, 1), (1, 2)], auto_pad="SAME_UPPER"),
    shaped("same-lower", (2, 3, 4, 3), (3, 2, 3, 4), (2, 1), [(1, 0), (2, 1)], auto_pad="SAME_LOWER"),
    shaped("output-shape", (2, 3, 4, 3), (3, 2, 3, 4), (2, 2), [(2, 1), (1, 0)], output_shape=[6, 7]),
    transposed("plain", (2, 3, 4, 3), (3, 2, 3, 3)),
    transposed("stride2-padded", (1, 3, 4, 5), (3, 2, 3, 4), (2, 2), (1, 1), (1, 0)),
    transposed("groups-dilated", (1, 4, 5, 4), (4, 3, 2, 3), (2, 1), (0, 1), (0, 0), (2, 2), 2),
]


def gemm(name, a, b, c=None, constants=False, **attributes):
    """A Gemm case; `constants` makes B and C initializers, as a linear layer has them."""
    values = [eighths(*a), eighths(*b, seed=1)] + ([] if c is None else [eighths(*c, seed=2)])
    alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)

    def product(a, b, c=None):
        a = a.T if attributes.get("transA") else a
        b = b.T if attributes.get("transB") else b
        return alpha * (a @ b) + (0 if c is None else beta * c)

    if constants:
        rest = [torch.from_numpy(v) for v in values[1:]]
        return Case("Gemm", name, [values[0], *map(Constant, values[1:])], lambda a: product(a, *rest), attributes)
    return Case("Gemm", name, values, product, attributes)


GEMM = [
    gemm("plain", (2, 3), (3, 4), (4,)),
    gemm("linear-layer", (3, 5), (4, 5), (4,), constants=True, transB=1),
    gemm("no-c", (2, 3), (3, 4)),
    gemm("trans-a", (3, 2), (3, 4), (2, 4), transA=1),
    gemm("trans-b", (2, 3), (4, 3), (1, 4), transB=1),
    gemm("trans-both-scaled", (3, 2), (4, 3), (2, 1), transA=1, transB=1, alpha=0.5, beta=2.0),
    gemm("alpha-constant", (2, 3), (3, 4), (4,), constants=True, alpha=0.25, beta=0.5),
    gemm("scalar-c", (2, 3), (3, 4), (1,)),
]


def matmul(name, a, b, constant=False):
    x, w = eighths(*a), eighths(*b, seed=1)
    if constant:
        return Case("MatMul", name, [x, Constant(w)], lambda x: x @ torch.from_numpy(w))
    return Case("MatMul", name, [x, w], torch.matmul)


MATMUL = [
    matmul("plain", (2, 3), (3, 4)),
    matmul("weights", (2, 3), (3, 4), constant=True),
    matmul("batched", (2, 3, 4, 5), (2, 3, 5, 2)),
    matmul("batched-weights", (2, 4, 3), (3, 5), constant=True),
    matmul("broadcast-left", (3, 4), (2, 4, 5)),
    matmul("broadcast-both", (2, 1, 3, 4), (3, 4, 2)),
    matmul("vector-left", (3,), (3, 4)),
    matmul("vector-right", (2, 3, 4), (4,)),
    matmul("vector-both", (4,), (4,)),
]

CASES = CONV + CONV_TRANSPOSE + GEMM + MATMUL
