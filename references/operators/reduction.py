"""Reductions, Softmax, and the normalisations."""

import torch
from torch.nn import functional as F

from .case import Case, Constant, distinct, eighths, tied

SHAPE = (2, 3, 4, 5)
FORMS = {"spatial": ([2, 3], 1), "spatial-flat": ([2, 3], 0), "last": ([-1], 0), "channel": ([1], 1), "all": (None, 1), "all-flat": (None, 0)}


def reductions():
    functions = {"ReduceMean": torch.mean, "ReduceSum": torch.sum, "ReduceMax": torch.amax, "ReduceMin": torch.amin}
    for operator, function in functions.items():
        for name, (axes, keep) in FORMS.items():

            def reduce(x, function=function, axes=axes, keep=keep):
                return function(x, axes if axes else tuple(range(x.dim())), keepdim=bool(keep))

            x = distinct(*SHAPE) if operator in ("ReduceMax", "ReduceMin") else eighths(*SHAPE)
            for opset in (11, 17, 18):
                if opset != 17 and name != "spatial":
                    continue
                # Axes became an input with opset 13 for ReduceSum, 18 for the others.
                as_input = opset >= 18 or (opset >= 13 and operator == "ReduceSum")
                attributes = {"keepdims": keep} | ({"axes": axes} if axes and not as_input else {})
                inputs = [x] + ([Constant(axes)] if axes and as_input else [])
                suffix = "" if opset == 17 else f"-opset{opset}"
                yield Case(operator, name + suffix, inputs, reduce, attributes, opset=opset)
    # amax and amin: equal shares among the ties.
    yield Case("ReduceMax", "ties", [tied(*SHAPE)], lambda x: torch.amax(x, (2, 3), keepdim=True), {"axes": [2, 3]})
    yield Case("ReduceMin", "ties", [tied(*SHAPE)], lambda x: torch.amin(x, (2, 3), keepdim=True), {"axes": [2, 3]})
    yield Case("ReduceMax", "ties-last", [tied(*SHAPE)], lambda x: torch.amax(x, -1), {"axes": [-1], "keepdims": 0})


def products_and_norms():
    x = eighths(2, 3, 4)
    zeros = x.copy()
    zeros[0, 0, 1] = zeros[0, 1, :2] = zeros[1, 2] = 0
    for name, values in (("plain", x), ("zeros", zeros)):
        yield Case("ReduceProd", name, [values], lambda x: torch.prod(x, -1), {"axes": [-1], "keepdims": 0})
        yield Case("ReduceProd", f"{name}-all", [values[:1, :, :2].copy()], torch.prod, {"keepdims": 0})
        yield Case("ReduceL2", name, [values], lambda x: torch.linalg.vector_norm(x, 2, -1), {"axes": [-1], "keepdims": 0})
        yield Case("ReduceL1", name, [values], lambda x: torch.linalg.vector_norm(x, 1, -1), {"axes": [-1], "keepdims": 0})
    yield Case("ReduceLogSumExp", "plain", [x], lambda x: torch.logsumexp(x, (1, 2), keepdim=True), {"axes": [1, 2]})


def softmaxes():
    x = eighths(2, 3, 4)
    for operator, function in (("Softmax", torch.softmax), ("LogSoftmax", torch.log_softmax)):
        yield Case(operator, "default", [eighths(2, 5)], lambda x, f=function: f(x, -1))
        for axis in (0, 1, -1):
            name = f"axis{axis}" if axis >= 0 else "last-axis"
            yield Case(operator, name, [x], lambda x, f=function, a=axis: f(x, a), {"axis": axis})
        # Below opset 13 everything from the axis (default 1) on is one.
        yield Case(operator, "opset11", [x], lambda x, f=function: f(x.flatten(1), 1).reshape(x.shape), opset=11)
        yield Case(operator, "opset11-axis2", [x], lambda x, f=function: f(x, 2), {"axis": 2}, opset=11)


def normalisations():
    scale, bias, mean = (eighths(3, seed=s) for s in (1, 2, 3))
    variance = abs(eighths(3, seed=4))
    statistics = [Constant(v) for v in (scale, bias, mean, variance)]

    def normalise(x, epsilon):
        s, b, m, v = map(torch.from_numpy, (scale, bias, mean, variance))
        return F.batch_norm(x, m, v, s, b, eps=epsilon)

    for name, shape in (("plain", (2, 3, 4, 5)), ("1d", (2, 3, 6)), ("flat", (4, 3))):
        yield Case("BatchNormalization", name, [eighths(*shape), *statistics], lambda x: normalise(x, 1e-5))
    yield Case("BatchNormalization", "epsilon", [eighths(2, 3, 2, 2), *statistics], lambda x: normalise(x, 0.125), {"epsilon": 0.125})
    yield Case("BatchNormalization", "opset9", [eighths(2, 3, 2, 2), *statistics], lambda x: normalise(x, 1e-5), opset=9)

    wide = eighths(2, 7, 3, 2)
    yield Case("LRN", "alexnet", [wide], lambda x: F.local_response_norm(x, 5, 1e-4, 0.75, 1.0), {"size": 5, "alpha": 1e-4, "beta": 0.75, "bias": 1.0})
    yield Case("LRN", "strong", [wide], lambda x: F.local_response_norm(x, 3, 2.0, 0.5, 2.0), {"size": 3, "alpha": 2.0, "beta": 0.5, "bias": 2.0})
    yield Case("LRN", "wider-than-channels", [eighths(1, 3, 2, 2)], lambda x: F.local_response_norm(x, 9, 0.5, 0.75, 1.0), {"size": 9, "alpha": 0.5})


CASES = [*reductions(), *products_and_norms(), *softmaxes(), *normalisations()]
