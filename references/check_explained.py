"""Checks files that `onnxcam export` wrote: `python references/check_explained.py FILE… [--original FOLDER] [--rounds N]`.

For each file: onnx.checker with full checking, strict shape inference with data propagation, and ONNX Runtime: one picture
and three in one batch, the predicted class and a given one. Where the original lies in FOLDER (the file's own by default),
the plain outputs are compared bit for bit, and with --rounds both are timed in alternation. Prints a line a file; the exit
status is 1 where anything is wrong. Seeded noise is the picture.
"""

import argparse
import hashlib
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime


def session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def picture(port, batch):
    rng = np.random.default_rng(7)
    shape = [batch if isinstance(d, str) and i == 0 else int(d) for i, d in enumerate(port["shape"])]
    if port["type"] == "float32":
        return rng.standard_normal(shape, dtype=np.float32)
    return rng.integers(0, 256, shape)


def fed(engine, port, values):
    """The values in the type that the file declares."""
    kinds = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
    kinds |= {f"tensor({t})": np.dtype(t) for t in ("uint8", "int8", "int32", "int64")}
    declared = next(i.type for i in engine.get_inputs() if i.name == port["name"])
    return values.astype(kinds[declared])


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def check(path, folder, rounds):
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(str(path))
    size = path.stat().st_size
    if size < 2**31 and not any(t.data_location for t in model.graph.initializer):
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    else:  # Larger ones, and those whose weights lie elsewhere, go by their paths.
        target = path.with_suffix(".inferred")
        onnx.shape_inference.infer_shapes_path(str(path), str(target), check_type=True, strict_mode=True, data_prop=True)
        inferred = onnx.load(str(target), load_external_data=False)
        target.unlink()
    document = json.loads({e.key: e.value for e in model.metadata_props}["onnxcam"])
    shapes = {o.name: [d.dim_param or d.dim_value for d in o.type.tensor_type.shape.dim] for o in inferred.graph.output}
    for m in document["maps"]:
        known = [d for d in m["shape"] if not isinstance(d, str)]
        assert shapes[m["output"]][-len(known):] == known, (m["output"], shapes[m["output"]])

    engine = session(path)
    target = document["target"]
    batches = [1, 3] if isinstance(document["input"]["shape"][0], str) else [int(document["input"]["shape"][0])]
    for batch in batches:
        x = fed(engine, document["input"], picture(document["input"], batch))
        shape = [batch] + [int(d) for d in target["shape"][1:]]
        asked = np.zeros(shape, np.int64) if document["class"] is None else np.full(shape, -1, np.int64)
        answer = dict(zip([o.name for o in engine.get_outputs()], engine.run(None, {document["input"]["name"]: x, target["name"]: asked})))
        for m in document["maps"]:
            assert np.isfinite(answer[m["output"]]).all(), m["output"]
            assert answer[m["output"]].shape == (batch, *[int(d) for d in m["shape"][1:]])
    result = [f"{path.name}: checked, {size} bytes"]
    original = folder / document["original"]["file"]
    if original.exists() and document["added"] is not None:
        assert hashlib.sha256(original.read_bytes()).hexdigest() == document["original"]["sha256"], "another original"
        plain = session(original)
        fixed = {i.name for i in plain.get_inputs()} - {document["input"]["name"]}
        if not fixed:
            given = {document["input"]["name"]: x}
            expected = dict(zip([o.name for o in plain.get_outputs()], plain.run(None, given)))
            equal = all(same_bits(expected[name], answer[name]) for name in expected)
            result.append("plain outputs bit-equal" if equal else "plain outputs DIFFER")
            if rounds:
                result.append(times(plain, engine, document, rounds))
    print("; ".join(result), flush=True)
    return "DIFFER" not in result[-1]


def times(plain, explained, document, rounds):
    x = fed(plain, document["input"], picture(document["input"], 1))
    target = np.full([1] + [int(d) for d in document["target"]["shape"][1:]], -1, np.int64)
    given = {document["input"]["name"]: x}
    runs = [(plain, given), (explained, given | {document["target"]["name"]: target})]
    took = [[], []]
    for round_ in range(rounds + 3):
        for i, (engine, inputs) in enumerate(runs):
            start = time.perf_counter()
            engine.run(None, inputs)
            if round_ >= 3:
                took[i].append(1e3 * (time.perf_counter() - start))
    a, b = (statistics.median(t) for t in took)
    return f"plain {a:.2f} ms, explained {b:.2f} ms, ratio {b / a:.3f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--original", type=Path)
    parser.add_argument("--rounds", type=int, default=0)
    arguments = parser.parse_args()
    right = True
    for path in arguments.files:
        try:
            right &= check(path, arguments.original or path.parent, arguments.rounds)
        except Exception as error:  # What is wrong with one file must not hide the next.
            print(f"{path.name}: {type(error).__name__}: {error}", flush=True)
            right = False
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
