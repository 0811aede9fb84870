"""Arithmetic with broadcasting, activations, powers, Cast."""

import numpy as np
import torch
from onnx import TensorProto
from torch.nn import functional as F

from .case import Case, Constant, eighths, tied

FULL = (2, 3, 4, 2)
BROADCASTS = {
    "same-shape": (FULL, FULL),
    "channel": (FULL, (3, 1, 1)),
    "left": ((4, 1), FULL),
    "both": ((2, 1, 4, 1), (3, 1, 2)),
    "scalar": (FULL, ()),
}


def nonzero(*shape, seed=0):
    """Powers of two with either sign: exact, and exact as divisors."""
    generator = np.random.default_rng([seed, *shape])
    return np.asarray(generator.choice([-1.0, 1.0], shape) * 2.0 ** generator.integers(-2, 3, shape))


def arithmetic():
    functions = {"Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div}
    for operator, function in functions.items():
        for name, (a, b) in BROADCASTS.items():
            second = (nonzero if operator == "Div" else eighths)(*b, seed=1)
            yield Case(operator, name, [eighths(*a), second], function)
        yield Case(operator, "same-tensor", [nonzero(2, 3)], lambda x, f=function: f(x, x), same=2)
    constant = eighths(3, 1, 1, seed=1)
    for operator in ("Add", "Mul"):
        scale = torch.from_numpy(constant)
        yield Case(operator, "constant", [eighths(*FULL), Constant(constant)], lambda x, s=scale, f=functions[operator]: f(x, s))
    scale = torch.from_numpy(nonzero(3, 1, 1, seed=1))
    yield Case("Sub", "from-constant", [Constant(scale.numpy()), eighths(*FULL)], lambda x: scale - x)
    yield Case("Div", "of-constant", [Constant(scale.numpy()), nonzero(*FULL)], lambda x: scale / x)
    yield Case("Div", "by-constant", [eighths(*FULL), Constant(scale.numpy())], lambda x: x / scale)
    yield Case("Sum", "three-broadcast", [eighths(*FULL), eighths(3, 1, 2, seed=1), eighths(4, 1, seed=2)], lambda a, b, c: a + b + c)
    yield Case("Sum", "one", [eighths(2, 3)], lambda x: x * 1)
    yield Case("Neg", "plain", [eighths(2, 3)], torch.neg)


def extremes():
    """Equal shares at ties: torch.maximum's convention."""
    a, b = tied(2, 3, 4), tied(3, 1, seed=1)
    yield Case("Max", "ties-broadcast", [a, b], torch.maximum)
    yield Case("Min", "ties-broadcast", [a, b], torch.minimum)
    yield Case("Max", "three", [eighths(2, 3), eighths(2, 3, seed=1), eighths(3, seed=2)], lambda a, b, c: torch.maximum(torch.maximum(a, b), c))


def activations():
    x = eighths(2, 3, 4, low=-40, high=40)
    edges = np.array([-4, -3.125, -3, -2.5, -1, -0.125, 0, 0.125, 1, 2.5, 3, 5.875, 6, 6.125])
    yield Case("Relu", "plain", [x], torch.relu)
    yield Case("Relu", "zero", [edges], torch.relu)
    yield Case("LeakyRelu", "default", [x], lambda x: F.leaky_relu(x, 0.01))
    yield Case("LeakyRelu", "zero", [edges], lambda x: F.leaky_relu(x, 0.25), {"alpha": 0.25})
    # hardtanh, unlike clamp, sends nothing back at its edges: the convention of DESIGN.md, and relu6's.
    yield Case("Clip", "relu6", [x, Constant(0.0), Constant(6.0)], F.relu6)
    yield Case("Clip", "edges", [edges, Constant(-3.0), Constant(6.0)], lambda x: F.hardtanh(x, -3, 6))
    yield Case("Clip", "min-only", [edges, Constant(-1.0)], lambda x: F.hardtanh(x, -1, float("inf")))
    yield Case("Clip", "max-only", [edges, None, Constant(2.5)], lambda x: F.hardtanh(x, -float("inf"), 2.5))
    yield Case("Clip", "opset6", [edges], F.relu6, {"min": 0.0, "max": 6.0}, opset=7)
    yield Case("Abs", "zero", [edges], torch.abs)
    yield Case("Sigmoid", "plain", [x], torch.sigmoid)
    yield Case("HardSigmoid", "default", [x], lambda x: F.hardtanh(0.2 * x + 0.5, 0, 1))
    yield Case("HardSigmoid", "edges", [edges], lambda x: F.hardtanh(0.25 * x + 0.25, 0, 1), {"alpha": 0.25, "beta": 0.25})
    sixth = float(np.float32(1 / 6))  # the attribute is a float32
    yield Case("HardSigmoid", "sixth", [x], lambda x: F.hardtanh(sixth * x + 0.5, 0, 1), {"alpha": sixth, "beta": 0.5})
    yield Case("HardSwish", "plain", [x], F.hardswish)
    yield Case("HardSwish", "edges", [edges], F.hardswish)
    yield Case("Swish", "plain", [x], F.silu, opset=24)
    yield Case("Swish", "alpha", [x], lambda x: x * torch.sigmoid(1.5 * x), {"alpha": 1.5}, opset=24)
    yield Case("Tanh", "plain", [x], torch.tanh)
    yield Case("Exp", "plain", [x], torch.exp)
    yield Case("Log", "plain", [np.abs(x)], torch.log)
    yield Case("Reciprocal", "plain", [nonzero(2, 3, 4)], torch.reciprocal)
    yield Case("Erf", "plain", [x], torch.erf)
    yield Case("Sin", "plain", [x], torch.sin)
    yield Case("Cos", "plain", [x], torch.cos)
    # Formulas, at their kinks too.
    yield Case("Elu", "zero", [edges], lambda x: F.elu(x, 0.5), {"alpha": 0.5})
    yield Case("Selu", "zero", [edges], F.selu)
    yield Case("Celu", "zero", [edges], lambda x: F.celu(x, 0.5), {"alpha": 0.5})
    slope = torch.tensor([0.25], dtype=torch.float64)
    yield Case("PRelu", "zero", [edges, Constant(slope.numpy())], lambda x: F.prelu(x, slope))
    yield Case("ThresholdedRelu", "edges", [edges], lambda x: F.threshold(x, 1.0, 0.0), {"alpha": 1.0})
    yield Case("Shrink", "edges", [edges], lambda x: F.softshrink(x, 1.0), {"lambd": 1.0, "bias": 1.0})
    yield Case("Softplus", "zero", [edges], F.softplus)
    yield Case("Mish", "zero", [edges], F.mish, opset=18)
    yield Case("Sqrt", "plain", [np.abs(x)], torch.sqrt)
    yield Case("Pow", "square", [x, Constant(2.0)], lambda x: x**2)
    yield Case("Pow", "cube", [x, Constant(3.0)], lambda x: x**3)
    yield Case("Pow", "three-quarters", [np.abs(x), Constant(0.75)], lambda x: x**0.75)


def choices():
    condition = tied(2, 3, 1) > 0.25
    truth = torch.from_numpy(condition)
    yield Case("Where", "broadcast", [Constant(condition), eighths(2, 3, 4), eighths(4, seed=1)], lambda a, b: torch.where(truth, a, b))


def casts():
    x = eighths(2, 3)
    yield Case("Cast", "float", [x], lambda x: x * 1, {"to": TensorProto.FLOAT})
    yield Case("Cast", "double", [x], lambda x: x * 1, {"to": TensorProto.DOUBLE}, output_type=TensorProto.DOUBLE)


CASES = [*arithmetic(), *extremes(), *activations(), *choices(), *casts()]
