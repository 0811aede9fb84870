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


def run(engine, given):
    names = [o.name for o in engine.get_outputs()]
    return dict(zip(names, engine.run(names, given)))


def targets(document, batch, asked):
    """The target input, where there is one: a file of every class has none."""
    target = document["target"]
    if target is None:
        return {}
    shape = [batch] + [int(d) for d in target["shape"][1:]]
    return {target["name"]: np.full(shape, asked, np.int64)}


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def infer(path):
    """Strict shape inference, by path: the weights may lie elsewhere."""
    target = path.with_suffix(".inferred")
    try:
        onnx.shape_inference.infer_shapes_path(str(path), str(target), check_type=True, strict_mode=True, data_prop=True)
        return onnx.load(str(target), load_external_data=False)
    finally:
        target.unlink(missing_ok=True)


def check(path, folder, rounds):
    """A line about a file; an exception where it is wrong."""
    onnx.checker.check_model(str(path), full_check=True)
    inferred = infer(path)
    document = json.loads({e.key: e.value for e in inferred.metadata_props}["onnxcam"])
    shapes = {o.name: [d.dim_param or d.dim_value for d in o.type.tensor_type.shape.dim] for o in inferred.graph.output}
    for m in document["maps"]:
        known = [d for d in m["shape"] if not isinstance(d, str)]
        assert shapes[m["output"]][-len(known) :] == known, (m["output"], shapes[m["output"]])

    engine = session(path)
    name = document["input"]["name"]
    first = document["input"]["shape"][0]
    for batch in [1, 3] if isinstance(first, str) else [int(first)]:
        x = fed(engine, document["input"], picture(document["input"], batch))
        for asked in [0] if document["class"] is None else [0, -1]:
            answer = run(engine, {name: x} | targets(document, batch, asked))
            for m in document["maps"]:
                assert np.isfinite(answer[m["output"]]).all(), m["output"]
                assert answer[m["output"]].shape == (batch, *[int(d) for d in m["shape"][1:]])
    said = [f"{path.name}: checked, opset {inferred.opset_import[0].version}, {path.stat().st_size} bytes"]
    original = folder / document["original"]["file"]
    if original.exists() and document["added"] is not None:
        digest = hashlib.sha256(original.read_bytes()).hexdigest()
        assert digest == document["original"]["sha256"], f"{original} is not its original"
        plain = session(original)
        if {i.name for i in plain.get_inputs()} == {name}:
            expected = run(plain, {name: x})
            differing = [output for output in expected if not same_bits(expected[output], answer[output])]
            assert not differing, f"plain outputs differ: {differing}"
            said.append("plain outputs bit-equal")
            if rounds:
                said.append(times(plain, engine, document, rounds))
    return "; ".join(said)


def times(plain, explained, document, rounds):
    x = fed(plain, document["input"], picture(document["input"], 1))
    given = {document["input"]["name"]: x}
    runs = [(plain, given), (explained, given | targets(document, 1, -1))]
    took = [[], []]
    for turn in range(rounds + 3):
        for i, (engine, inputs) in enumerate(runs):
            start = time.perf_counter()
            engine.run(None, inputs)
            if turn >= 3:
                took[i].append(1e3 * (time.perf_counter() - start))
    a, b = (statistics.median(t) for t in took)
    least = min(took[1]) / min(took[0])
    return f"plain {a:.2f} ms, explained {b:.2f} ms, ratio {b / a:.3f} (of the shortest: {least:.3f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--original", type=Path)
    parser.add_argument("--rounds", type=int, default=0)
    arguments = parser.parse_args()
    wrong = 0
    for path in arguments.files:
        try:
            print(check(path, arguments.original or path.parent, arguments.rounds), flush=True)
        except Exception as error:  # What is wrong with one file must not hide the next.
            print(f"{path.name}: {type(error).__name__}: {error}", flush=True)
            wrong += 1
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
