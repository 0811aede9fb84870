"""One network of the survey, by each exporter: `check` makes the records that survey_records.py describes.

The program is run as a user runs it.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

import onnx_files
import survey_autograd
from pictures import input_batch
from survey_members import build
from survey_records import rounded

# Scores relative to the largest, maps relative to max_ij sum_k |w_k A_k|.
TOLERANCE = 1e-3
METHODS = tuple(survey_autograd.METHODS)
PACKAGES = ("torch", "torchvision", "onnx", "onnxruntime", "onnxscript", "timm")

# Starts the program and writes its exit status and peak memory. A process's peak counts the memory of the one that
# started it, so a small one has to.
START = """
import json, resource, subprocess, sys
status = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    json.dump([status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss], file)
"""


class Failure(Exception):
    """A stage that did not work out, and why; the program's peak memory where it was the program that said so."""

    def __init__(self, stage, reason, peak_mib=None):
        super().__init__(reason)
        self.stage, self.reason, self.peak_mib = stage, reason, peak_mib


@dataclass
class Seen:
    """What the program made of a file: the predicted class, its score and the maps {method: [h, w]} by engine, and the
    target layer's value, as the file has it."""

    predicted: int = None
    scores: dict = field(default_factory=dict)
    maps: dict = field(default_factory=dict)
    features: np.ndarray = None

    def grid(self):
        """Rows and columns of the maps."""
        return self.maps["ort"][METHODS[0]].shape


def check(member, exporters, scratch, program, limit_s):
    """A network's records, but for its name and the program's commit. Files go into the folder `scratch`."""
    network = build(member)
    x = input_batch(*network.input_size)[:1]
    versions = {package: version(package) for package in PACKAGES if package != "timm" or member.library == "timm"}
    records = {exporter: {"exporter": exporter, "versions": versions} for exporter in exporters}
    seen = {}
    for exporter, record in records.items():
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            try:
                export(network.model, x, Path(folder) / "model.onnx", exporter, member.static)
                seen[exporter] = look(Program(program, Path(folder), limit_s), x, record)
            except Failure as failure:
                record["failure"] = {"stage": failure.stage, "reason": failure.reason}
                if failure.peak_mib is not None:
                    record["peak_mib"] = failure.peak_mib
    if seen:
        compare(network.model, x, records, seen)
    return list(records.values())


def export(model, x, path, exporter, static):
    # The newer exporter takes a batch of one for a constant.
    batch = x if static else torch.cat([x, x.flip(3)])
    try:
        onnx_files.export(model, batch, str(path), exporter, static=static, external_data=True)
    except Exception as error:  # whatever an exporter raises is what there is to say
        while error.__cause__:
            error = error.__cause__
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise Failure("export", f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]) from error


class Program:
    """onnxcam in a folder that holds model.onnx."""

    def __init__(self, program, folder, limit_s):
        self.program, self.folder, self.limit_s = Path(program).resolve(), folder, limit_s
        capi = Path(onnxruntime.__file__).parent / "capi"
        self.environment = os.environ | {"ORT_DYLIB_PATH": str(capi), "ONNXCAM_CACHE": str(folder / "cache")}

    def run(self, *arguments, urgent=False):
        """Standard output and peak memory in MiB; a Failure where it ends otherwise than well.

        What is `urgent` goes before other processes, where the system allows that.
        """
        stdout, stderr, usage = (self.folder / name for name in ("stdout", "stderr", "usage"))
        command = [sys.executable, "-ISc", START, usage, self.program, *arguments]
        with stdout.open("wb") as out, stderr.open("wb") as err:
            options = {"stdout": out, "stderr": err, "cwd": self.folder, "env": self.environment}
            process = subprocess.Popen(command, start_new_session=True, **options)
            if urgent:
                with contextlib.suppress(PermissionError, ProcessLookupError):
                    os.setpriority(os.PRIO_PGRP, process.pid, -10)
            try:
                process.wait(self.limit_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise Failure(arguments[0], f"stopped after {self.limit_s} s") from None
        status, peak = json.loads(usage.read_text(encoding="utf-8"))
        peak_mib = round(peak / (2**20 if sys.platform == "darwin" else 2**10))
        if status:
            raise Failure(arguments[0], reason(stderr.read_text(encoding="utf-8", errors="replace"), status), peak_mib)
        return stdout.read_text(encoding="utf-8"), peak_mib


def reason(stderr, status):
    """The program's error, without notes and hints; its exit status where it did not come to say one."""
    lines = [line for line in stderr.split("\nhint:")[0].splitlines() if line.strip() and not line.startswith("note:")]
    if not lines or not lines[0].startswith("error:"):
        lines.insert(0, f"exit status {status}")
    return " ".join(" ".join(lines).split())[:1500]


def look(program, x, record):
    """Everything the program is asked; what it says of itself goes into the record."""
    np.save(program.folder / "input.npy", x.numpy())
    seen = Seen()
    record["peak_mib"] = explain(program, "ort", seen, record)
    try:
        explain(program, "rten", seen, record)
    except Failure as failure:
        record["rten"] = {"refusal": failure.reason}
    listed = json.loads(program.run("layers", "model.onnx", "--json")[0])
    layer = next(layer for layer in listed["layers"] if layer["automatic"])
    seen.features = values(program.folder, layer["tensor"], x)
    named = {key: layer[key] for key in ("tensor", "module", "operator")}
    record["layer"] = named | {"shape": layer["maps"][1:]}
    record["cost"] = cost(program)
    return seen


def explain(program, engine, seen, record):
    """Both methods' maps by one engine, before the last relu, so that there is something to compare in every one."""
    arguments = ["--model", "model.onnx", "--method", ",".join(METHODS), "--signed", "--save", "map", "--json"]
    arguments += ["--engine", engine, "--out", program.folder / engine]
    stdout, peak_mib = program.run("explain", "input.npy", *arguments)
    said = json.loads(stdout)
    predicted, explained = said["top"][0]["class"], said["explanations"]
    if engine == "ort":
        seen.predicted = predicted
        record["notes"] = sorted({note for one in explained for note in one["notes"]})
    if predicted != seen.predicted:
        raise Failure("explain", f"{engine} predicts class {predicted}, ONNX Runtime {seen.predicted}")
    seen.scores[engine] = said["top"][0]["score"]
    seen.maps[engine] = {one["method"]: np.load(one["files"][0]).squeeze() for one in explained}
    return peak_mib


def cost(program):
    """The fastest run with Grad-CAM++ over the fastest plain one, on ONNX Runtime.

    One thread: on a busy machine two wait for each other.
    """
    size = sum(file.stat().st_size for file in program.folder.glob("model.onnx*"))
    rounds = 20 if size < 20e6 else 10 if size < 120e6 else 5
    arguments = ["--engine", "ort", "--threads", "1", "--rounds", str(rounds), "--json"]
    measured = json.loads(program.run("bench", "model.onnx", *arguments, urgent=True)[0])
    plain, explained = measured["plain_min_ms"], measured["explained"][0]["min_ms"]
    return round(explained / plain, 2)


def values(folder, tensor, x):
    """The value of a tensor of model.onnx, by ONNX Runtime without its optimisations."""
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    if tensor not in [output.name for output in model.graph.output]:
        model.graph.output.append(onnx.ValueInfoProto(name=tensor))
    path = folder / "with_layer.onnx"
    onnx.save(model, path)
    session = onnx_files.session(str(path), optimise=False)
    return session.run([tensor], {session.get_inputs()[0].name: x.numpy()})[0]


def compare(model, x, records, seen):
    """Holds scores and maps against PyTorch's, and says in the records what differs."""
    exporters = list(seen)
    classes = [seen[exporter].predicted for exporter in exporters]
    logits, candidates = survey_autograd.references(
        model, x, [seen[e].features for e in exporters], [seen[e].grid() for e in exporters], classes
    )
    largest = np.abs(logits).max()
    for exporter, found in zip(exporters, candidates):
        record, one = records[exporter], seen[exporter]
        record["errors"] = {"score": rounded(abs(one.scores["ort"] - logits[one.predicted]) / largest)}
        nearest = {engine: nearest_errors(maps, found) for engine, maps in one.maps.items()}
        record["errors"] |= {method: rounded(error) for method, error in nearest["ort"].items()}
        if "rten" in nearest:
            record["rten"] = {"error": max(map(rounded, nearest["rten"].values()), default=None)}
        beyond = objection(record, logits, one.predicted)
        if beyond:
            record["failure"] = beyond


def nearest_errors(maps, candidates):
    """{method: error}; empty without a candidate. Of two equal tensors that lie at a kink the nearer one is onnxcam's."""
    errors = [{m: survey_autograd.error(maps[m], *reference[m]) for m in METHODS} for reference in candidates if reference]
    return min(errors, key=lambda e: max(e.values()), default={})


def objection(record, logits, predicted):
    """The first thing that does not hold on ONNX Runtime, or None."""
    errors = record["errors"]
    if logits.max() - logits[predicted] > np.abs(logits).max() * TOLERANCE:
        return {"stage": "prediction", "reason": f"PyTorch predicts class {logits.argmax()}"}
    if not errors["score"] <= TOLERANCE:
        return {"stage": "score", "reason": f"differs by {errors['score']:.1e}"}
    if not all(method in errors for method in METHODS):
        return {"stage": "layer", "reason": f"no tensor in PyTorch equals {record['layer']['tensor']}"}
    for method in METHODS:
        if not errors[method] <= TOLERANCE:
            return {"stage": method, "reason": f"the map differs by {errors[method]:.1e}"}
    return None
