"""The nine old model-zoo networks that the Python package onnx carries, as they are and with random weights.

    python references/make_zoo.py OUT

Writes OUT/{name}.own.onnx, OUT/{name}.random.onnx, OUT/{name}.npz; README.md says what is in them. About 0.7 GB.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

import onnx_files
from arrays import save_npz

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def input_name(model):
    """The graph input that is no initializer: opset 9 files list their weights as inputs too."""
    weights = {initializer.name for initializer in model.graph.initializer}
    (name,) = {i.name for i in model.graph.input} - weights
    return name


def consumers(graph):
    """(node, position) of the uses of every tensor."""
    uses = {}
    for node in graph.node:
        for position, name in enumerate(node.input):
            uses.setdefault(name, []).append((node, position))
    return uses


def random_weight(shape, use, generator):
    """Values that keep activations alive: He-scaled weights, small biases, positive variances."""
    node, position = use
    if node.op_type in ("Conv", "Gemm") and position == 1:
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 1
        return generator.standard_normal(shape, dtype=np.float32) * np.float32(np.sqrt(2 / fan_in))
    if node.op_type == "BatchNormalization" and position == 4:
        return generator.uniform(0.5, 1.5, shape).astype(np.float32)
    is_scale = (node.op_type == "BatchNormalization" and position == 1) or node.op_type == "Mul"
    return (is_scale + 0.1 * generator.standard_normal(shape)).astype(np.float32)


def with_random_weights(model, seed):
    """Replaces every ConstantOfShape by an initializer of its shape, seeded in the file's order."""
    generator = np.random.default_rng(seed)
    graph, uses = model.graph, consumers(model.graph)
    shapes = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    kept, made, dropped = [], [], set()
    for node in graph.node:
        if node.op_type != "ConstantOfShape":
            kept.append(node)
            continue
        (output,), (source,) = node.output, node.input
        use = uses[output][0]
        if use[0].op_type in ("Unsqueeze", "Reshape"):  # Caffe2's broadcasting: look at who uses the result
            use = uses[use[0].output[0]][0]
        value = random_weight(tuple(int(n) for n in shapes[source]), use, generator)
        made.append(numpy_helper.from_array(value, output))
        dropped.add(source)
    still_used = {name for node in kept for name in node.input}
    initializers = [i for i in graph.initializer if i.name not in dropped or i.name in still_used]
    inputs = [i for i in graph.input if i.name not in dropped or i.name in still_used]
    inputs += [helper.make_tensor_value_info(m.name, m.data_type, m.dims) for m in made]
    for field, values in ((graph.node, kept), (graph.initializer, initializers + made), (graph.input, inputs)):
        values = list(values)
        del field[:]
        field.extend(values)
    onnx.checker.check_model(model)
    return model


def run(model, x):
    s = onnx_files.session(model.SerializeToString())
    return s.run(None, {input_name(model): x})[0]


def score_name(model):
    """The class scores: what enters the final Softmax, else the output."""
    last = model.graph.node[-1]
    return last.input[0] if last.op_type == "Softmax" else last.output[0]


def score(model, x):
    """The class scores for an input."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.append(onnx.ValueInfoProto(name=score_name(model)))
    return run(probe, x)


def spread_scores(model, x):
    """Scales the last weighted layer so that the scores for x have deviation 2: a softmax that is neither flat nor full."""
    factor = np.float32(2 / score(model, x).std())
    layer = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")][-1]
    for initializer in model.graph.initializer:
        if initializer.name in layer.input[1:]:
            scaled = numpy_helper.to_array(initializer) * factor
            initializer.CopyFrom(numpy_helper.from_array(scaled, initializer.name))


def main(out):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(LIGHT.glob("light_*.onnx")):
        name = path.stem.removeprefix("light_")
        model = onnx.load(path)
        shape = next(i for i in model.graph.input if i.name == input_name(model)).type.tensor_type.shape
        shape = tuple(d.dim_value for d in shape.dim)
        ramp = (np.arange(np.prod(shape)) / np.prod(shape)).astype(np.float32).reshape(shape)
        noise = np.random.default_rng(30).standard_normal(shape, dtype=np.float32)

        onnx.save(model, out / f"{name}.own.onnx")
        arrays = {"own_input": ramp, "own_output": run(model, ramp)}
        expected = numpy_helper.to_array(onnx.load_tensor(LIGHT / f"{path.stem}_output_0.pb"))
        assert np.abs(expected - arrays["own_output"]).max() <= 1e-6, name

        with_random_weights(model, seed=31)
        spread_scores(model, noise)
        onnx.save(model, out / f"{name}.random.onnx")
        arrays |= {"random_input": noise, "random_output": run(model, noise), "random_score": score(model, noise)}
        save_npz(out / f"{name}.npz", **arrays)
        print(name, shape, "largest output", arrays["random_output"].max(), file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
