"""Operators that move values without changing them."""

import numpy as np
import torch
from torch.nn import functional as F

from .case import Case, Constant, eighths

X = eighths(2, 3, 4, 5)
FAR = 2**63 - 1  # "to the end", as exporters write it


def joins():
    parts = [eighths(2, c, 3, seed=c) for c in (1, 2, 3)]
    yield Case("Concat", "channels", parts, lambda *p: torch.cat(p, 1), {"axis": 1})
    yield Case("Concat", "last-axis", [eighths(2, 3), eighths(2, 2, seed=1)], lambda a, b: torch.cat((a, b), -1), {"axis": -1})
    yield Case("Concat", "same-tensor", [eighths(2, 3)], lambda x: torch.cat((x, x), 1), {"axis": 1}, same=2)
    constant = eighths(2, 2, 3, seed=5)
    yield Case("Concat", "constant", [parts[0], Constant(constant)], lambda x: torch.cat((x, torch.from_numpy(constant)), 1), {"axis": 1})
    yield Case("Split", "equal", [eighths(2, 6, 3)], lambda x: x.split(2, 1), {"axis": 1}, outputs=3)
    yield Case("Split", "sizes", [eighths(2, 6, 3), Constant([1, 5])], lambda x: x.split([1, 5], 1), {"axis": 1}, outputs=2)
    yield Case("Split", "opset11", [eighths(2, 6, 3)], lambda x: x.split([2, 4], 1), {"axis": 1, "split": [2, 4]}, opset=11, outputs=2)
    yield Case("Split", "opset18", [eighths(2, 3, 5)], lambda x: x.split([3, 2], 2), {"axis": -1, "num_outputs": 2}, opset=18, outputs=2)


def slices():
    def flip_step(x, axis, start, count, step):
        return x.index_select(axis, torch.tensor([start + i * step for i in range(count)]))

    def case(name, starts, ends, axes, steps, function, opset=17):
        inputs = [X, Constant(starts), Constant(ends)]
        if axes is not None:
            inputs.append(Constant(axes))
        if steps is not None:
            inputs.append(Constant(steps))
        return Case("Slice", name, inputs, function, opset=opset)

    yield case("plain", [1, 0], [3, 2], [1, 3], None, lambda x: x[:, 1:3, :, 0:2])
    yield case("no-axes", [0, 1], [1, 3], None, None, lambda x: x[0:1, 1:3])
    yield case("steps", [0, 1], [FAR, FAR], [2, 3], [2, 3], lambda x: x[:, :, ::2, 1::3])
    yield case("negative-indices", [-2], [-1], [-1], [1], lambda x: x[..., -2:-1])
    yield case("reverse", [-1], [-FAR], [3], [-1], lambda x: x.flip(3))
    yield case("negative-steps", [3, 4], [0, -FAR], [2, 3], [-2, -3], lambda x: flip_step(flip_step(x, 2, 3, 2, -2), 3, 4, 2, -3))
    yield case("clamped", [-100], [100], [1], [2], lambda x: x[:, ::2])
    yield Case("Slice", "opset9", [X], lambda x: x[:, 1:3], {"axes": [1], "starts": [1], "ends": [3]}, opset=9)


def pads():
    def case(name, pads, torch_pads, mode="constant", value=None, axes=None, opset=17, onnx_mode=None):
        inputs = [X, Constant(pads)] + ([] if value is None and axes is None else [None if value is None else Constant(value)])
        if axes is not None:
            inputs.append(Constant(axes))
        torch_mode = "replicate" if mode == "edge" else mode
        arguments = {} if value is None else {"value": value}
        return Case("Pad", name, inputs, lambda x: F.pad(x, torch_pads, mode=torch_mode, **arguments), {"mode": onnx_mode or mode}, opset=opset)

    yield case("zeros", [0, 0, 1, 2, 0, 0, 0, 1], (2, 1, 1, 0))
    yield case("value", [0, 1, 0, 2, 0, 0, 1, 1], (2, 1, 0, 1, 1, 0), value=-1.5)
    yield case("cropping", [0, 0, -1, 1, 0, 0, 0, -2], (1, -2, -1, 0))
    yield case("reflect", [0, 0, 2, 1, 0, 0, 1, 3], (1, 3, 2, 1), "reflect")
    yield case("edge", [0, 0, 2, 1, 0, 0, 0, 3], (1, 3, 2, 0), "edge")
    yield case("axes-opset18", [1, 2, 0, 1], (2, 1, 1, 0), axes=[2, 3], opset=18)
    yield case("wrap", [0, 0, 2, 1, 0, 0, 1, 3], (1, 3, 2, 1), "circular", onnx_mode="wrap", opset=19)
    yield Case("Pad", "opset2", [X], lambda x: F.pad(x, (2, 1, 1, 0), value=0.5), {"pads": [0, 0, 1, 2, 0, 0, 0, 1], "value": 0.5}, opset=9)


def shapes():
    yield Case("Reshape", "flatten", [X, Constant([2, -1])], lambda x: x.reshape(2, -1))
    yield Case("Reshape", "copied-dimension", [X, Constant([0, 0, -1])], lambda x: x.reshape(2, 3, 20))
    yield Case("Reshape", "channel-groups", [eighths(2, 6, 2, 3), Constant([2, 2, 3, 2, 3])], lambda x: x.reshape(2, 2, 3, 2, 3))
    for axis in (0, 1, 2, 4, -1):
        name = f"axis{axis}" if axis >= 0 else "last-axis"
        rows = int(np.prod(X.shape[:axis]))
        yield Case("Flatten", name, [X], lambda x, rows=rows: x.reshape(rows, -1), {"axis": axis})
    narrow = eighths(2, 1, 3, 1)
    yield Case("Squeeze", "axes", [narrow, Constant([1, -1])], lambda x: x.reshape(2, 3))
    yield Case("Squeeze", "one-axis", [narrow, Constant([3])], lambda x: x.squeeze(3))
    yield Case("Squeeze", "all", [narrow], lambda x: x.reshape(2, 3))
    yield Case("Squeeze", "opset11", [narrow], lambda x: x.squeeze(1), {"axes": [1]}, opset=11)
    yield Case("Unsqueeze", "ends", [eighths(2, 3), Constant([0, -1])], lambda x: x.reshape(1, 2, 3, 1))
    yield Case("Unsqueeze", "unordered", [eighths(2, 3), Constant([3, 1])], lambda x: x.reshape(2, 1, 3, 1))
    yield Case("Unsqueeze", "opset11", [eighths(2, 3)], lambda x: x.reshape(2, 3, 1, 1), {"axes": [2, 3]}, opset=11)
    yield Case("Transpose", "reversed", [eighths(2, 3, 4)], lambda x: x.permute(2, 1, 0))
    yield Case("Transpose", "nchw-to-nhwc", [X], lambda x: x.permute(0, 2, 3, 1), {"perm": [0, 2, 3, 1]})
    yield Case("Transpose", "shuffle", [eighths(1, 2, 3, 2, 2)], lambda x: x.transpose(1, 2), {"perm": [0, 2, 1, 3, 4]})
    yield Case("Expand", "spatial", [eighths(2, 3, 1, 1), Constant([2, 3, 4, 5])], lambda x: x.expand(2, 3, 4, 5))
    yield Case("Expand", "new-axes", [eighths(3, 1), Constant([2, 3, 4])], lambda x: x.expand(2, 3, 4))
    yield Case("Expand", "two-way", [eighths(3, 4), Constant([2, 1, 4])], lambda x: x.expand(2, 3, 4))
    yield Case("Gather", "rows", [eighths(4, 3), Constant([2, 0, 2])], lambda x: x[[2, 0, 2]])
    yield Case("Gather", "negative-channels", [X, Constant([[-1, 0], [1, -1]])], lambda x: x[:, [[2, 0], [1, 2]]], {"axis": 1})
    yield Case("Gather", "scalar", [X, Constant(1)], lambda x: x[:, 1], {"axis": 1})
    yield Case("Gather", "last-axis", [X, Constant([4, 1])], lambda x: x[..., [4, 1]], {"axis": -1})
    yield Case("Tile", "axes", [eighths(2, 3, 2), Constant([1, 2, 3])], lambda x: x.repeat(1, 2, 3))
    deep = eighths(2, 12, 2, 3)
    depth_first = lambda x: x.reshape(2, 2, 2, 3, 2, 3).permute(0, 3, 4, 1, 5, 2).reshape(2, 3, 4, 6)
    yield Case("DepthToSpace", "depth-first", [deep], depth_first, {"blocksize": 2})
    yield Case("DepthToSpace", "column-first", [deep], lambda x: F.pixel_shuffle(x, 2), {"blocksize": 2, "mode": "CRD"})
    yield Case("SpaceToDepth", "plain", [eighths(2, 3, 4, 6)], lambda x: x.reshape(2, 3, 2, 2, 3, 2).permute(0, 3, 5, 1, 2, 4).reshape(2, 12, 2, 3), {"blocksize": 2})
    yield Case("Identity", "plain", [X], lambda x: x * 1)
    yield Case("Dropout", "inference", [X, Constant(0.5)], lambda x: x * 1)
    yield Case("Dropout", "opset7", [X], lambda x: x * 1, {"ratio": 0.5}, opset=7)


CASES = [*joins(), *slices(), *pads(), *shapes()]
