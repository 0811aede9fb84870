"""The ONNX project's own test cases of single operators, for `crates/onnxcam/tests/operators.rs`.

    python crates/testkit/tests/make_conformance.py [OUT]

Needs `onnx==1.23.2` and numpy. Writes into tests/conformance, for every operator of the standard domain that the package
`onnx` (Apache-2.0) has cases of, whether onnxcam reads it or not:

- {Operator}.zip: of each case {case}/model.onnx, as the package generates it, {case}/x0.npy, x1.npy, … and {case}/y0.npy,
  y1.npy, …; bfloat16 and float16 as float32. Where the standard defines the operator by a function, {case}/expanded….onnx has
  its body in the node's place.
- left_out.tsv: operator, case and reason of those that are not in the archives.
- operators.tsv: every operator of the standard domain, the opsets that changed it, and the one that took it back.
"""

import io
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, defs, numpy_helper
from onnx.backend.test.case.node import collect_testcases

TYPES = "FLOAT DOUBLE FLOAT16 BFLOAT16 BOOL INT8 INT16 INT32 INT64 UINT8 UINT16 UINT32 UINT64".split()
LARGEST = 50_000  # elements of a case
LOSSES = "NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"


BODY = "_expanded"  # in the names of cases that have the operator's function body in the node's place


def left_out(case):
    """Why a case is not taken, or nothing."""
    node = case.model.graph.node[0]
    for value in (*case.model.graph.input, *case.model.graph.output):
        kind = value.type.WhichOneof("value").removesuffix("_type")
        if kind != "tensor":
            return "sequences and optional values"
        name = TensorProto.DataType.Name(value.type.tensor_type.elem_type)
        if name not in TYPES:
            return "strings" if name == "STRING" else "floats of 8 bits and fewer, integers of fewer than 8"
    if node.op_type in LOSSES:
        return "a loss, which no classifier has"
    if node.op_type == "Bernoulli" or node.op_type == "Dropout" and "training" in case.name:
        return "random numbers decide its result"
    size = sum(array(t).size for values in case.data_sets[0] for t in values)
    return f"more than {LARGEST} elements" if size > LARGEST else None


def array(value):
    values = numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)
    return values if values.dtype.kind in "biu" or values.dtype in (np.float32, np.float64) else values.astype(np.float32)


def write(archive, name, data):
    """An archive's member, without a time stamp: the same bytes on every run."""
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, data, compresslevel=9)


def npy(values):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array(values, order="C"), allow_pickle=False)
    return buffer.getvalue()


def lines(path, rows):
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8", newline="\n")


def history():
    """Operator, opsets that changed it, and where it was deprecated."""
    versions = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "":
            versions.setdefault(schema.name, {})[schema.since_version] = schema.deprecated
    ended = {name: max(of) for name, of in versions.items() if of[max(of)]}
    return [(name, ",".join(map(str, sorted(of))), str(ended.get(name, ""))) for name, of in sorted(versions.items())]


def main(out=Path(__file__).parent / "conformance"):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for old in out.iterdir():
        old.unlink()
    np.random.seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = [case for case in collect_testcases(None) if case.model and case.data_sets]
    operators, refused, bodies = {}, [], {}
    for case in cases:
        node = case.model.graph.node[0]
        stem, body, version = case.name.removeprefix("test_").partition(BODY)
        if body:
            bodies.setdefault(stem, []).append((f"expanded{version}", case.model))
            continue
        if node.domain:
            continue
        reason = left_out(case)
        if reason:
            refused.append((node.op_type, stem, reason))
        else:
            operators.setdefault(node.op_type, []).append((stem, case))
    for operator, taken in operators.items():
        with zipfile.ZipFile(out / f"{operator}.zip", "w") as archive:
            for stem, case in sorted(taken, key=lambda pair: pair[0]):
                write(archive, f"{stem}/model.onnx", case.model.SerializeToString(deterministic=True))
                for name, body in bodies.get(stem, []):
                    write(archive, f"{stem}/{name}.onnx", body.SerializeToString(deterministic=True))
                for letter, values in zip("xy", case.data_sets[0]):
                    for i, value in enumerate(values):
                        write(archive, f"{stem}/{letter}{i}.npy", npy(array(value)))
    lines(out / "left_out.tsv", sorted(refused))
    lines(out / "operators.tsv", history())
    print(f"{sum(map(len, operators.values()))} cases, {len(refused)} left out", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
