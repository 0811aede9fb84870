"""The ONNX project's own test cases of single operators, for the literal evaluator and the importer.

    python crates/testkit/tests/make_conformance.py [OUT]

Needs `onnx==1.23.2` and numpy. Writes {case}.onnx and {case}.npz into tests/conformance: models of one node as the package
`onnx` (Apache-2.0) generates them, inputs `x0`, `x1`, … and outputs `y`, `y1`, … as float64. Left out: operators that no
image classifier has, element types but float32,
float64, int32, int64 and bool, what random numbers decide, empty inputs, large tensors, and opsets below 7.
"""

import io
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases

OPERATORS = """
    Abs Add And ArgMax AveragePool BatchNormalization Cast Ceil Clip Concat Constant ConstantOfShape Conv ConvTranspose
    DepthToSpace Div Dropout Equal Erf Exp Expand Flatten Floor Gather GatherElements Gemm GlobalAveragePool
    GlobalMaxPool Greater GreaterOrEqual HardSigmoid HardSwish Identity LRN LeakyRelu Less LessOrEqual Log LogSoftmax
    MatMul Max MaxPool Min Mod Mul Neg Not Or Pad Pow Range Reciprocal ReduceMax ReduceMean ReduceMin ReduceProd
    ReduceSum Relu Reshape Shape Sigmoid Size Slice Softmax Split Sqrt Squeeze Sub Sum Swish Tanh Tile Transpose
    Unsqueeze Where
""".split()
TYPES = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL)
OLDEST = 7  # opset
LARGEST = 6200  # elements of a case


def wanted(case):
    graph = case.model.graph
    if len(graph.node) != 1 or graph.node[0].domain or graph.node[0].op_type not in OPERATORS or not case.data_sets:
        return False
    values = (*graph.input, *graph.output)
    if any(v.type.tensor_type.elem_type not in TYPES for v in values):
        return False
    if graph.node[0].op_type == "Dropout" and any(a.name == "seed" for a in graph.node[0].attribute):
        return False
    if case.model.opset_import[0].version < OLDEST or any(np.size(array(t)) == 0 for t in case.data_sets[0][0]):
        return False
    return sum(np.size(array(t)) for t in (*case.data_sets[0][0], *case.data_sets[0][1])) <= LARGEST


def array(value):
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def save_npz(path, arrays):
    """Uncompressed, no time stamps: the same bytes on every run."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, values in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.array(values, dtype=np.float64, order="C"), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.create_system = 3
            archive.writestr(entry, buffer.getvalue())


def main(out=Path(__file__).parent / "conformance"):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for old in (*out.glob("*.onnx"), *out.glob("*.npz")):
        old.unlink()
    np.random.seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = [case for case in collect_testcases(None) if case.model and wanted(case)]
    for case in cases:
        stem = case.name.removeprefix("test_")
        inputs, outputs = case.data_sets[0]
        arrays = {f"x{i}": array(t) for i, t in enumerate(inputs)}
        arrays |= {f"y{i or ''}": array(t) for i, t in enumerate(outputs)}
        onnx.save(case.model, out / f"{stem}.onnx")
        save_npz(out / f"{stem}.npz", arrays)
    print(f"{len(cases)} cases", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
