"""MaxPool, AveragePool and the global pools."""

import math

import torch
from torch.nn import functional as F

from .case import Case, Constant, distinct, eighths, tied
from .linear import same_pads


def windows(sizes, kernel, strides, pads, dilations, ceil_mode):
    """For each axis: how many cells of padding follow the declared ones so that the last window is whole.

    In ceil_mode a window that would begin beyond the input and its leading pad is left out.
    """
    rank, extra = len(sizes), []
    for axis in range(rank):
        reach = dilations[axis] * (kernel[axis] - 1) + 1
        padded = sizes[axis] + pads[axis] + pads[axis + rank]
        steps = (padded - reach) / strides[axis]
        count = (math.ceil(steps) if ceil_mode else math.floor(steps)) + 1
        if ceil_mode and (count - 1) * strides[axis] >= sizes[axis] + pads[axis]:
            count -= 1
        extra.append(max((count - 1) * strides[axis] + reach - padded, 0))
    return extra


def pad(x, pads, extra, value):
    """Pads by ONNX pads (beginnings, then ends), the ends enlarged by `extra`."""
    rank = len(extra)
    amounts = [p for axis in reversed(range(rank)) for p in (pads[axis], pads[axis + rank] + extra[axis])]
    return F.pad(x, amounts, value=value)


def max_pool(x, kernel, strides, pads, dilations, ceil_mode):
    extra = windows(x.shape[2:], kernel, strides, pads, dilations, ceil_mode)
    pool = F.max_pool1d if len(kernel) == 1 else F.max_pool2d
    return pool(pad(x, pads, extra, -math.inf), kernel, stride=strides, dilation=dilations)


def average_pool(x, kernel, strides, pads, ceil_mode, count_include_pad):
    """Sum over the window, divided by the cells of it that lie in the input, or in the input and its declared pads."""
    rank = len(kernel)
    extra = windows(x.shape[2:], kernel, strides, pads, [1] * rank, ceil_mode)
    ones = torch.ones_like(x)
    ones = pad(pad(ones, pads, [0] * rank, 1.0), [0] * 2 * rank, extra, 0.0) if count_include_pad else pad(ones, pads, extra, 0.0)
    pool = F.avg_pool1d if rank == 1 else F.avg_pool2d
    return pool(pad(x, pads, extra, 0.0), kernel, stride=strides) / pool(ones, kernel, stride=strides)


def pool(operator, name, x, kernel, strides=None, pads=None, dilations=None, ceil_mode=0, auto_pad=None, include=None, opset=17):
    """A pooling case for the array x. Attributes left None are left out of the node."""
    rank = len(kernel)
    attributes = {
        "kernel_shape": kernel, "strides": strides, "pads": pads, "dilations": dilations,
        "auto_pad": auto_pad, "count_include_pad": include,
    }  # fmt: skip
    attributes = {key: value for key, value in attributes.items() if value is not None}
    if ceil_mode:
        attributes["ceil_mode"] = 1
    strides = strides or [1] * rank
    if auto_pad and auto_pad.startswith("SAME"):
        pads = same_pads(x.shape[2:], kernel, strides, auto_pad == "SAME_UPPER")
    pads, dilations = pads or [0] * 2 * rank, dilations or [1] * rank

    def function(x):
        if operator == "MaxPool":
            return max_pool(x, kernel, strides, pads, dilations, ceil_mode)
        return average_pool(x, kernel, strides, pads, ceil_mode, include)

    return Case(operator, name, [x], function, attributes, opset=opset)


MAX = [
    pool("MaxPool", "halving", distinct(2, 2, 4, 6), [2, 2], [2, 2]),
    pool("MaxPool", "halving-odd", distinct(1, 2, 5, 7), [2, 2], [2, 2]),
    pool("MaxPool", "overlapping", distinct(1, 2, 7, 9), [3, 3], [2, 2]),
    pool("MaxPool", "overlapping-ties", tied(2, 3, 7, 9), [3, 3], [2, 2]),
    pool("MaxPool", "padded", distinct(1, 2, 8, 7), [3, 3], [2, 2], [1, 1, 1, 1]),
    pool("MaxPool", "padded-ties", tied(2, 2, 8, 8), [3, 3], [2, 2], [1, 1, 1, 1]),
    pool("MaxPool", "padded-negative", distinct(1, 2, 6, 6) - 10, [3, 3], [2, 2], [1, 1, 1, 1]),
    pool("MaxPool", "stride1-ties", tied(1, 2, 5, 6), [3, 3], [1, 1], [1, 1, 1, 1]),
    pool("MaxPool", "default-strides", distinct(1, 2, 4, 5), [2, 3]),
    pool("MaxPool", "ceil", distinct(1, 2, 6, 8), [3, 3], [2, 2], ceil_mode=1),
    pool("MaxPool", "ceil-ties", tied(1, 3, 8, 6), [3, 3], [2, 2], ceil_mode=1),
    pool("MaxPool", "ceil-padded", distinct(1, 2, 7, 6) - 10, [2, 3], [2, 2], [0, 1, 0, 1], ceil_mode=1),
    # Only from opset 22 on does the standard itself drop a window that begins beyond the input.
    pool("MaxPool", "ceil-window-dropped", distinct(1, 2, 5, 5) - 10, [2, 2], [2, 2], [1, 1, 1, 1], ceil_mode=1, opset=22),
    pool("MaxPool", "asymmetric-pads", distinct(1, 2, 5, 6) - 10, [3, 2], [2, 1], [0, 1, 2, 0]),
    pool("MaxPool", "stride-beyond-kernel", distinct(1, 2, 7, 8), [2, 1], [3, 2]),
    pool("MaxPool", "dilated", distinct(1, 2, 7, 8), [2, 3], [1, 2], dilations=[3, 2]),
    pool("MaxPool", "dilated-padded-ties", tied(1, 2, 7, 7), [3, 3], [2, 2], [1, 1, 1, 1], dilations=[2, 2]),
    pool("MaxPool", "same-upper", distinct(1, 2, 5, 6), [3, 3], [2, 2], auto_pad="SAME_UPPER"),
    pool("MaxPool", "same-lower", distinct(1, 2, 5, 6), [3, 3], [2, 2], auto_pad="SAME_LOWER"),
    pool("MaxPool", "1d", distinct(2, 2, 9), [3], [2], [1, 1]),
    pool("MaxPool", "opset8", distinct(1, 2, 6, 6), [3, 3], [2, 2], [0, 0, 1, 1], opset=8),
]

AVERAGE = [
    pool("AveragePool", "halving", eighths(1, 2, 4, 6), [2, 2], [2, 2]),
    pool("AveragePool", "overlapping", eighths(1, 2, 7, 8), [3, 3], [2, 2]),
    pool("AveragePool", "padded", eighths(2, 2, 5, 6), [3, 3], [1, 1], [1, 1, 1, 1]),
    pool("AveragePool", "padded-include", eighths(2, 2, 5, 6), [3, 3], [1, 1], [1, 1, 1, 1], include=1),
    pool("AveragePool", "padded-stride2", eighths(1, 2, 6, 7), [3, 3], [2, 2], [1, 1, 1, 1], include=0),
    pool("AveragePool", "padded-stride2-include", eighths(1, 2, 6, 7), [3, 3], [2, 2], [1, 1, 1, 1], include=1),
    pool("AveragePool", "asymmetric-pads", eighths(1, 2, 5, 6), [3, 2], [2, 1], [0, 1, 2, 0]),
    pool("AveragePool", "asymmetric-pads-include", eighths(1, 2, 5, 6), [3, 2], [2, 1], [0, 1, 2, 0], include=1),
    pool("AveragePool", "ceil", eighths(1, 2, 6, 8), [3, 3], [2, 2], ceil_mode=1, opset=19),
    pool("AveragePool", "ceil-padded", eighths(1, 2, 6, 8), [3, 3], [2, 2], [1, 1, 1, 1], ceil_mode=1, opset=19),
    pool("AveragePool", "ceil-padded-include", eighths(1, 2, 6, 8), [3, 3], [2, 2], [1, 1, 1, 1], ceil_mode=1, include=1, opset=19),
    pool("AveragePool", "same-upper", eighths(1, 2, 5, 6), [2, 3], [2, 2], auto_pad="SAME_UPPER"),
    pool("AveragePool", "default-strides", eighths(1, 2, 4, 5), [2, 3]),
    pool("AveragePool", "1d-ceil", eighths(2, 2, 8), [3], [2], ceil_mode=1, opset=19),
]

GLOBAL = [
    Case("GlobalAveragePool", "plain", [eighths(2, 3, 4, 5)], lambda x: x.mean((2, 3), keepdim=True)),
    Case("GlobalAveragePool", "1d", [eighths(2, 3, 5)], lambda x: x.mean(2, keepdim=True)),
    Case("GlobalMaxPool", "plain", [distinct(2, 3, 4, 5)], lambda x: F.adaptive_max_pool2d(x, 1)),
    Case("GlobalMaxPool", "ties", [tied(2, 3, 4, 5)], lambda x: F.adaptive_max_pool2d(x, 1)),
]

WITHIN = torch.tensor([[[[0, 7], [13, 10]], [[5, 2], [8, 15]]]])  # Cells of planes of 4 × 4, as PyTorch counts them.
UNPOOL = [
    Case("MaxUnpool", "plain", [eighths(1, 2, 2, 2), Constant((WITHIN + torch.tensor([0, 16]).reshape(1, 2, 1, 1)).numpy())], lambda x: F.max_unpool2d(x, WITHIN, 2), {"kernel_shape": [2, 2], "strides": [2, 2]}),
]

CASES = UNPOOL + MAX + AVERAGE + GLOBAL
