"""Operators of ONNX Runtime's own domain, with the outputs that it computes, for crates/testkit/tests/vendor/.

    python references/make_vendor.py [OUT]
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from arrays import save_npz

OUT = Path(__file__).parents[1] / "crates/testkit/tests/vendor"
DOMAIN = "com.microsoft"

# name, operator, shapes of the inputs, attributes
CASES = [
    ("fusedconv", "FusedConv", [(2, 3, 7, 6), (4, 3, 3, 3), (4,)], dict(activation="Relu", pads=[1, 1, 1, 1])),
    ("fusedconv-add", "FusedConv", [(1, 2, 5, 5), (3, 2, 3, 3), (3,), (1, 3, 3, 3)], dict(activation="Relu")),
    ("fusedconv-leaky", "FusedConv", [(1, 4, 5, 5), (4, 1, 3, 3)],
     dict(activation="LeakyRelu", activation_params=[0.3], group=4, strides=[2, 2])),
    ("fusedconv-clip", "FusedConv", [(1, 2, 5, 5), (3, 2, 1, 1)], dict(activation="Clip", activation_params=[-0.5, 0.75])),
    ("fusedconv-hardsigmoid", "FusedConv", [(1, 2, 5, 5), (3, 2, 1, 1)],
     dict(activation="HardSigmoid", activation_params=[0.25, 0.4])),
    ("fusedconv-sigmoid", "FusedConv", [(1, 2, 5, 5), (3, 2, 1, 1)], dict(activation="Sigmoid")),
    ("fusedconv-tanh", "FusedConv", [(1, 2, 5, 5), (3, 2, 1, 1)], dict(activation="Tanh")),
    ("fusedgemm", "FusedGemm", [(3, 4), (5, 4), (5,)], dict(transB=1, alpha=0.5, activation="Relu")),
    ("fusedgemm-leaky", "FusedGemm", [(3, 4), (4, 5), (5,)], dict(activation="LeakyRelu", activation_alpha=0.2)),
    ("fusedmatmul", "FusedMatMul", [(2, 4, 3), (2, 5, 4)], dict(transA=1, transB=1, alpha=0.5)),
    ("fusedmatmul-plain", "FusedMatMul", [(2, 3, 4), (4, 5)], dict()),
    ("fusedmatmul-batch", "FusedMatMul", [(3, 2, 4), (2, 4, 5)], dict(transBatchA=1)),
    ("fusedmatmul-batches", "FusedMatMul", [(4, 2, 6, 3), (5, 2, 6, 4)], dict(transA=1, transBatchA=1, transB=1, transBatchB=1)),
    ("gelu", "Gelu", [(2, 9)], dict()),
    ("biasgelu", "BiasGelu", [(2, 3, 4), (4,)], dict()),
    ("fastgelu", "FastGelu", [(2, 3, 4)], dict()),
    ("fastgelu-bias", "FastGelu", [(2, 3, 4), (4,)], dict()),
    ("quickgelu", "QuickGelu", [(2, 9)], dict()),
    ("quickgelu-alpha", "QuickGelu", [(2, 9)], dict(alpha=1.0)),
]

# name, operator, what is read behind the first rounded tensor (arrays, and x1 … for further rounded ones), attributes. Inputs
# are rounded to bytes in steps of 1/32 from −3 on, outputs are read in steps of 1/16 from −4 on.
IN, FROM, OUT_STEP, OUT_FROM = np.float32(1 / 32), np.uint8(96), np.float32(1 / 16), np.uint8(64)
ROUNDED = [
    ("qlinearadd", "QLinearAdd", [(2, 3, 4), (3, 4)], ["x0", "x1", "out"], {}),
    ("qlinearmul", "QLinearMul", [(2, 3, 4), (4,)], ["x0", "x1", "out"], {}),
    ("qlinearsigmoid", "QLinearSigmoid", [(2, 9)], ["x0", "out"], {}),
    ("qlinearleakyrelu", "QLinearLeakyRelu", [(2, 9)], ["x0", "out"], dict(alpha=0.3)),
    ("qlinearsoftmax", "QLinearSoftmax", [(2, 9)], ["x0", "out"], dict(axis=-1, opset=13)),
    ("qlinearglobalaveragepool", "QLinearGlobalAveragePool", [(2, 3, 4, 5)], ["x0", "out"], {}),
    ("qlinearglobalaveragepool-last", "QLinearGlobalAveragePool", [(2, 4, 5, 3)], ["x0", "out"], dict(channels_last=1)),
    ("qlinearaveragepool", "QLinearAveragePool", [(2, 3, 6, 5)], ["x0", "out"],
     dict(kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1], count_include_pad=1)),
    ("qlinearconcat", "QLinearConcat", [(2, 3, 4), (2, 1, 4)], ["out", "x0", "x1"], dict(axis=1)),
    ("qgemm", "QGemm", [(3, 4)], ["x0", "weights", "bias", "out"], dict(transB=1, alpha=0.5)),
    ("qgemm-floats", "QGemm", [(3, 4)], ["x0", "weights"], dict(transB=1)),
]


# As the first, without an input where there is no shape.
ATTENTION = [
    ("multiheadattention", "MultiHeadAttention", [(2, 5, 12), (2, 5, 12), (2, 5, 12), (36,)], dict(num_heads=3)),
    ("multiheadattention-cross", "MultiHeadAttention", [(2, 3, 8), (2, 5, 8), (2, 5, 12)], dict(num_heads=4, scale=0.3)),
    ("multiheadattention-bias", "MultiHeadAttention",
     [(1, 4, 6), (1, 4, 6), (1, 4, 6), None, None, (1, 2, 4, 4)], dict(num_heads=2)),
    ("attention", "Attention", [(2, 5, 7), (7, 24), (24,)], dict(num_heads=2)),
    ("attention-sizes", "Attention", [(1, 4, 6), (6, 28), (28,)], dict(num_heads=2, qkv_hidden_sizes=[8, 8, 12])),
]


def rounded_model(name, op, shapes, reads, attributes):
    """Inputs rounded, the operator between, its output in floats."""
    rng = np.random.default_rng(8)
    arrays = {
        "step": IN, "from": FROM, "out_step": OUT_STEP, "out_from": OUT_FROM,
        "w": rng.integers(0, 256, (5, 4)).astype(np.uint8),
        "w_step": (2.0 ** -rng.integers(6, 9, 5)).astype(np.float32),
        "w_from": np.full(5, 128, np.uint8),
        "b": rng.integers(-500, 500, 5).astype(np.int32),
    }
    weights, bias, out = ["w", "w_step", "w_from"], ["b"], ["out_step", "out_from"]
    nodes, inputs = [], []
    for i, shape in enumerate(shapes):
        nodes.append(helper.make_node("QuantizeLinear", [f"x{i}", "step", "from"], [f"q{i}"]))
        inputs.append(helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, shape))
    parts = {"x0": ["q0", "step", "from"], "x1": ["q1", "step", "from"], "weights": weights, "bias": bias, "out": out}
    names = [part for read in reads for part in parts[read]]
    in_floats = "out" not in reads
    nodes.append(helper.make_node(op, names, ["y" if in_floats else "q"], domain=DOMAIN, **attributes))
    if not in_floats:
        nodes.append(helper.make_node("DequantizeLinear", ["q", "out_step", "out_from"], ["y"]))
    used = {name for node in nodes for name in node.input}
    initializers = [numpy_helper.from_array(np.asarray(v), k) for k, v in arrays.items() if k in used]
    return helper.make_graph(nodes, name, inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], initializers)


def plain_model(name, op, shapes, attributes):
    given = [shape for shape in shapes if shape is not None]
    inputs = [helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, shape) for i, shape in enumerate(given)]
    names = iter(i.name for i in inputs)
    names = ["" if shape is None else next(names) for shape in shapes]
    node = helper.make_node(op, names, ["y"], domain=DOMAIN, **attributes)
    return helper.make_graph([node], name, inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])


def main(out=OUT):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for old in (*out.glob("*.onnx"), *out.glob("*.npz")):
        old.unlink()
    rng = np.random.default_rng(7)
    graphs = [(plain_model(name, op, shapes, attributes), shapes) for name, op, shapes, attributes in CASES]
    graphs += [(rounded_model(*case), case[2]) for case in ROUNDED]
    graphs += [(plain_model(name, op, shapes, attributes), shapes) for name, op, shapes, attributes in ATTENTION]
    for graph, shapes in graphs:
        name = graph.name
        shapes = [shape for shape in shapes if shape is not None]
        feeds = {f"x{i}": rng.standard_normal(shape).astype(np.float32) for i, shape in enumerate(shapes)}
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        (y,) = session.run(None, feeds)
        onnx.save(model, out / f"{name}.onnx")
        save_npz(out / f"{name}.npz", **{k: v.astype(np.float64) for k, v in feeds.items()}, y=y.astype(np.float64))
    print(f"{len(graphs)} cases", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
