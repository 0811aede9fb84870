"""Resize and Upsample: along each axis, cells weighed by their distance."""

import numpy as np
import torch
from torch.nn import functional as F

from .case import Case, Constant, eighths

X = eighths(1, 2, 5, 6)


def resize(name, x, function, scales=None, sizes=None, opset=18, **attributes):
    """A Resize case for the array x, to `sizes` or by `scales`."""
    given = [None, None, Constant(np.array(sizes))] if sizes else [None, Constant(np.array(scales, dtype=np.float32))]
    return Case("Resize", name, [x, *given], function, attributes, opset=opset)


def to(size, mode, **more):
    return lambda x: F.interpolate(x, size=size, mode=mode, **more)


def moved(function, *order):
    """The same of the axes in another order, and back."""
    back = np.argsort(order).tolist()
    return lambda x: function(x.permute(order)).permute(back)


def cases():
    nearest = dict(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    yield resize("nearest-larger", X, to((10, 12), "nearest"), scales=[1, 1, 2, 2], **nearest)
    yield resize("nearest-smaller", X, to((3, 4), "nearest"), sizes=[1, 2, 3, 4], **nearest)
    yield resize("linear-larger", X, to((9, 7), "bilinear"), sizes=[1, 2, 9, 7], mode="linear", opset=13)
    yield resize("linear-corners", X, to((9, 7), "bilinear", align_corners=True), sizes=[1, 2, 9, 7], mode="linear", coordinate_transformation_mode="align_corners", opset=13)
    yield resize("cubic", X, to((8, 7), "bicubic"), sizes=[1, 2, 8, 7], mode="cubic", cubic_coeff_a=-0.75)
    # PyTorch leaves out what lies outside; so does this attribute, which ONNX Runtime knows for cubic only.
    yield resize("cubic-antialias", X, to((3, 4), "bicubic", antialias=True), sizes=[1, 2, 3, 4], mode="cubic", cubic_coeff_a=-0.5, antialias=1, exclude_outside=1)
    yield resize("axes", X, to((9, 7), "bilinear"), sizes=[9, 7], mode="linear", axes=[2, 3])
    yield resize("one-axis", eighths(2, 3, 5), to(9, "linear"), sizes=[2, 3, 9], mode="linear")
    yield resize("channels-last", eighths(1, 5, 6, 2), moved(to((10, 12), "bilinear"), 0, 3, 1, 2), scales=[1, 2, 2, 1], mode="linear")
    yield resize("three-axes", eighths(1, 2, 3, 4, 2), to((6, 8, 4), "trilinear"), scales=[1, 1, 2, 2, 2], mode="linear")
    # Both by 1.6, the least that either size asks for: 8 rows, and 9.6, rounded, columns.
    shared = lambda x: x[:, :, [0, 0, 1, 1, 2, 3, 3, 4]][..., [0, 0, 1, 1, 2, 3, 3, 4, 5, 5]]
    yield resize("not-larger", X, shared, sizes=[8, 12], keep_aspect_ratio_policy="not_larger", axes=[2, 3], **nearest)
    small = lambda x: x[:, :, [0, 2, 4]][..., [0, 2, 4]]
    yield Case("Resize", "smaller-opset10", [eighths(1, 2, 6, 5), Constant(np.array([1, 1, 0.5, 0.6], dtype=np.float32))], small, {"mode": "nearest"}, opset=10)
    yield Case("Upsample", "opset9", [X, Constant(np.array([1, 1, 2, 3], dtype=np.float32))], to((10, 18), "nearest"), {"mode": "nearest"}, opset=9)
    yield Case("Upsample", "opset7", [X], to((10, 12), "nearest"), {"mode": "nearest", "scales": [1.0, 1.0, 2.0, 2.0]}, opset=7)


CASES = [*cases()]
