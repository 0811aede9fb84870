"""One operator, one set of attributes, one pair of files."""

from dataclasses import dataclass, field
from typing import Any, Callable

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

import onnx_files
from arrays import save_npz


@dataclass
class Case:
    """`{operator}-{name}`: a model of one node, and PyTorch's gradients for it in float64.

    `inputs` in the node's order: a float64 array is a differentiable graph input x0, x1, ...; a `Constant` is an
    initializer; None is an input left out. `function` maps the differentiable inputs (torch, float64) to the output or
    a tuple of outputs. `same` repeats input 0 that many times, as one tensor used more than once.
    `unread` outputs follow that are none of the graph's. `then` are nodes behind it, each an operator, what it reads behind the
    last output (`Constant`s, or the name of another output) and its attributes.
    """

    operator: str
    name: str
    inputs: list
    function: Callable
    attributes: dict = field(default_factory=dict)
    opset: int = 17
    outputs: int = 1
    same: int = 1
    output_type: int = TensorProto.FLOAT
    unread: int = 0
    then: tuple = ()

    @property
    def stem(self):
        return f"{self.operator.lower()}-{self.name}"


@dataclass
class Constant:
    """An input that is part of the model: float arrays become float32, integers and truths stay what they are."""

    value: Any

    def array(self):
        value = np.asarray(self.value)
        return value.astype(np.float32) if value.dtype.kind == "f" else value


def eighths(*shape, seed=0, low=-16, high=16):
    """Seeded multiples of 1/8 in [-2, 2], never 0: exact in float32, and away from the kink of a relu."""
    whole = np.random.default_rng([seed, *shape]).integers(low, high, size=shape)
    return np.asarray(np.where(whole >= 0, whole + 1, whole) / 8)


def distinct(*shape, seed=0):
    """All values different (multiples of 1/8 around 0, shuffled): no ties for a maximum."""
    count = int(np.prod(shape))
    return (np.random.default_rng([seed, *shape]).permutation(count).reshape(shape) - count // 2) / 8


def tied(*shape, seed=0):
    """Only 0, 0.5 and 1, so that most maxima are shared, as they are after a relu."""
    return np.random.default_rng([seed, *shape]).integers(0, 3, size=shape) / 2


def model(case, shapes):
    """The model of a case: inputs x0, ..., outputs y, y1, ..., initializers c1, ... by input position.

    `shapes` are the outputs'. Where nodes follow, the first one's outputs are q, q1, q2, ...
    """
    names, graph_inputs, initializers = [], [], []
    for position, value in enumerate(case.inputs):
        if value is None:
            names.append("")
        elif isinstance(value, Constant):
            names.append(f"c{position}")
            initializers.append(numpy_helper.from_array(value.array(), names[-1]))
        else:
            names.append(f"x{len(graph_inputs)}")
            graph_inputs.append(helper.make_tensor_value_info(names[-1], TensorProto.FLOAT, value.shape))
    outputs = ["y"] + [f"y{i}" for i in range(1, case.outputs)]
    unread = [f"unread{i}" for i in range(case.unread)]
    made = ["q", "q1", "q2"][: 1 + case.unread] if case.then else outputs + unread
    nodes = [helper.make_node(case.operator, names * case.same, made, name="node", **case.attributes)]
    last = made[0]
    for number, (operator, reads, attributes) in enumerate(case.then):
        read = [last]
        for position, value in enumerate(reads):
            read.append(value if isinstance(value, str) else f"c{number}.{position}")
            if isinstance(value, Constant):
                initializers.append(numpy_helper.from_array(value.array(), read[-1]))
        last = "y" if number + 1 == len(case.then) else f"t{number}"
        nodes.append(helper.make_node(operator, read, [last], name=f"then{number}", **attributes))
    infos = [helper.make_tensor_value_info(name, case.output_type, shape) for name, shape in zip(outputs, shapes)]
    graph = helper.make_graph(nodes, case.stem, graph_inputs, infos, initializers)
    opset = [helper.make_opsetid("", case.opset)]
    ir = 8 if case.opset <= 17 else helper.find_min_ir_version_for(opset)
    made = helper.make_model(graph, opset_imports=opset, ir_version=ir, producer_name="onnxcam references")
    onnx.checker.check_model(made, full_check=True)
    return made


def write(case, folder):
    """Checks PyTorch against ONNX Runtime and writes {stem}.onnx and {stem}.npz."""
    values = [v for v in case.inputs if isinstance(v, np.ndarray)]
    for value in values:
        assert (value.astype(np.float32) == value).all(), f"{case.stem}: an input is not exact in float32"
    tensors = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values]
    result = case.function(*tensors)
    results = result if isinstance(result, tuple) else (result,)
    assert len(results) == case.outputs, case.stem
    suffix = [""] + [str(i) for i in range(1, case.outputs)]
    upstream = [torch.from_numpy(eighths(*r.shape, seed=9 + i)) for i, r in enumerate(results)]
    gradients = torch.autograd.grad(results, tensors, upstream)

    made = model(case, [r.shape for r in results])
    feeds = {f"x{i}": v.astype(np.float32) for i, v in enumerate(values)}
    engine = onnx_files.session(made.SerializeToString()).run(None, feeds)
    for ours, theirs in zip(results, engine):
        ours = ours.detach().numpy()
        assert ours.shape == theirs.shape, f"{case.stem}: {ours.shape} in PyTorch, {theirs.shape} in ONNX Runtime"
        assert np.abs(ours - theirs).max(initial=0) <= 1e-5 * max(1, np.abs(ours).max(initial=0)), f"{case.stem}: values differ"

    arrays = {f"x{i}": v for i, v in enumerate(values)}
    arrays |= {f"y{s}": r.detach().numpy() for s, r in zip(suffix, results)}
    arrays |= {f"dy{s}": u.numpy() for s, u in zip(suffix, upstream)}
    arrays |= {f"dx{i}": g.numpy() for i, g in enumerate(gradients)}
    onnx.save(made, folder / f"{case.stem}.onnx")
    save_npz(folder / f"{case.stem}.npz", **arrays)
