"""Reading a model and writing it changes no output: shown on every .onnx file under a folder.

    cargo build -p onnx-graph --examples
    python references/check_round_trip.py FOLDER [--programs target/debug/examples] [--batch 2] [--tolerance 1e-4]

Each model is written twice, by the examples `rewrite` (as it is) and `canonical` (the canonical view, spelled for a
batch), into a folder of its own and under another name. All three run in ONNX Runtime on one seeded input. The
rewritten file has to give the same bits; the canonical one the same numbers within the tolerance, relative to the
largest output. Both have to pass onnx.checker with full checking, the rewritten one where the original does.
Exit status 1 where one does not.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--programs", type=Path, default=Path("target/debug/examples"))
    parser.add_argument("--batch", type=int, default=2, help="for models that leave it open")
    parser.add_argument("--size", type=int, default=224, help="height and width where a model leaves them open")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    args = parser.parse_args()
    onnxruntime.set_default_logger_severity(3)  # Errors only.
    models = sorted(args.folder.rglob("*.onnx"))
    failed = [path for path in models if not agrees(path, args)]
    print(f"{len(models)} models, {len(failed)} failed")
    sys.exit(1 if failed or not models else 0)


def agrees(path, args):
    """Checks one model and prints one line about it."""
    with tempfile.TemporaryDirectory() as folder:
        rewritten, canonical = Path(folder, "re written.onnx"), Path(folder, "canonical.onnx")
        try:
            expected, feed, batch = run_original(path, args)
            program(args, "rewrite", path, rewritten)
            said = program(args, "canonical", path, canonical, batch)
            got = run(rewritten, feed)
            same = all(a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in zip(expected, got, strict=True))
            difference = max(relative(a, b) for a, b in zip(expected, run(canonical, feed), strict=True))
            complaints = [check(path), check(rewritten), check(canonical)]
        except Exception as error:  # Any failure is this model's; the others are still worth knowing.
            print(f"FAILED {path}: {error}")
            return False
    good = same and difference <= args.tolerance and not complaints[2] and (complaints[0] or not complaints[1])
    print(
        f"{'ok' if good else 'FAILED'} {path}: rewritten {'equal' if same else 'DIFFERS'}, "
        f"canonical within {difference:.1e}"
    )
    for name, complaint in zip(("original", "rewritten", "canonical"), complaints):
        if complaint:
            print(f"  checker, {name}: {complaint}")
    for line in said:
        print(f"  {line}")
    return good


def run_original(path, args):
    """Outputs of the model as it is, the input that gave them, and its batch size."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    random, feed, batch = np.random.default_rng(0), {}, args.batch
    for value in session.get_inputs():
        open_sizes = {0: args.batch, 2: args.size, 3: args.size}
        shape = [size if isinstance(size, int) and size > 0 else open_sizes[i] for i, size in enumerate(value.shape)]
        feed[value.name] = random.standard_normal(shape).astype(TYPES[value.type])
        batch = shape[0] if shape else batch
    return session.run(None, feed), feed, batch


def run(path, feed):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, feed)


def program(args, name, *arguments):
    """Runs an example; answers what it said on standard error."""
    command = [str(args.programs / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{name}: {done.stderr.strip()}")
    return done.stderr.splitlines()


def relative(expected, got):
    """Largest difference, relative to the largest finite value; infinite where shapes or the places of NaN and infinity
    differ."""
    expected, got = expected.astype(np.float64), got.astype(np.float64)
    finite = np.isfinite(expected)
    if expected.shape != got.shape or not np.array_equal(expected[~finite], got[~finite], equal_nan=True):
        return float("inf")
    difference = np.abs(expected - got, where=finite, out=np.zeros(expected.shape)).max(initial=0)
    if np.isnan(difference) or difference == 0:
        return float(np.nan_to_num(difference, nan=np.inf))
    return float(difference / max(np.abs(expected[finite]).max(), np.finfo(np.float32).tiny))


def check(path):
    """The checker's complaint, or nothing."""
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        return str(error).splitlines()[0]
    return None


if __name__ == "__main__":
    main()
