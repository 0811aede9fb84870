"""Operators of ONNX Runtime's own domain, with the outputs that it computes, for crates/testkit/tests/vendor/.

    python references/make_vendor.py [OUT]
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

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


def main(out=OUT):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for old in (*out.glob("*.onnx"), *out.glob("*.npz")):
        old.unlink()
    rng = np.random.default_rng(7)
    for name, op, shapes, attributes in CASES:
        feeds = {f"x{i}": rng.standard_normal(shape).astype(np.float32) for i, shape in enumerate(shapes)}
        inputs = [helper.make_tensor_value_info(k, TensorProto.FLOAT, v.shape) for k, v in feeds.items()]
        node = helper.make_node(op, list(feeds), ["y"], domain=DOMAIN, **attributes)
        graph = helper.make_graph([node], name, inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        (y,) = session.run(None, feeds)
        onnx.save(model, out / f"{name}.onnx")
        save_npz(out / f"{name}.npz", **{k: v.astype(np.float64) for k, v in feeds.items()}, y=y.astype(np.float64))
    print(f"{len(CASES)} cases", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
