"""One network of the survey, by both exporters: `check` writes a record for each.

The program is run as a user runs it. A record is JSON:

    network, exporter, group, parameters, input          what it is
    build, versions                                      what it was made with
    layer {tensor, module, operator, shape}, class       what onnxcam chose
    engines.{ort,rten} {score_error, maps {method: error}, notes, seconds, peak_mib} or {refusal}
    predicted                                            whether PyTorch predicts that class
    cost {ratio, plain_ms, explained_ms, rounds}         minima, and the ratio of these
    failure {stage, reason}                              absent where everything holds
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
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

# Scores relative to the largest, maps relative to max_ij sum_k |w_k A_k|.
TOLERANCE = 1e-3
METHODS = tuple(survey_autograd.METHODS)
PACKAGES = ("torch", "torchvision", "onnx", "onnxruntime", "onnxscript", "timm")


class Failure(Exception):
    """A stage that did not work out, and why."""

    def __init__(self, stage, reason):
        super().__init__(reason)
        self.stage, self.reason = stage, reason


def record_path(out, name, exporter):
    return Path(out) / f"{name}.{exporter}.json"


def check(member, exporters, out, program, build_name, limit_s):
    """Checks a network and writes its records."""
    network = build(member)
    x = input_batch(*network.input_size)[:1]
    base = {
        "network": member.name,
        "group": member.group,
        "parameters": sum(p.numel() for p in network.model.parameters()),
        "input": list(x.shape),
        "build": build_name,
        "versions": {package: version(package) for package in PACKAGES if package != "timm" or member.library == "timm"},
    }
    records, layers, results = {}, {}, {}
    for exporter in exporters:
        records[exporter] = base | {"exporter": exporter}
        with tempfile.TemporaryDirectory(dir=out) as folder:
            try:
                export(network.model, x, Path(folder) / "model.onnx", exporter)
                results[exporter] = run_all(Program(program, Path(folder), limit_s), x, records[exporter])
                layers[exporter] = layer_values(Path(folder), records[exporter]["layer"]["tensor"], x)
            except Failure as failure:
                records[exporter]["failure"] = {"stage": failure.stage, "reason": failure.reason}
    compare(network.model, x, records, layers, results)
    for exporter, record in records.items():
        write(record_path(out, member.name, exporter), record)


def write(path, record):
    part = path.with_suffix(".part")
    part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def export(model, x, path, exporter):
    try:
        # The newer exporter takes a batch of one for a constant.
        onnx_files.export(model, torch.cat([x, x.flip(3)]), str(path), exporter, external_data=True)
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
        """Standard output, seconds and peak memory in MiB; a Failure where it ends otherwise than well.

        What is `urgent` goes before other processes, where the system allows that.
        """
        stdout, stderr = self.folder / "stdout", self.folder / "stderr"
        start = time.monotonic()
        with stdout.open("wb") as out, stderr.open("wb") as err:
            command = [self.program, *arguments]
            process = subprocess.Popen(command, stdout=out, stderr=err, cwd=self.folder, env=self.environment)
            if urgent:
                with contextlib.suppress(PermissionError):
                    os.setpriority(os.PRIO_PROCESS, process.pid, -10)
            timer = threading.Timer(self.limit_s, process.kill)
            timer.start()
            _, status, usage = os.wait4(process.pid, 0)
            timer.cancel()
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            text = stderr.read_text(encoding="utf-8", errors="replace")
            if seconds >= self.limit_s:
                text = f"error: stopped after {self.limit_s} s"
            raise Failure(arguments[0], reason(text, process.returncode))
        unit = 2**20 if sys.platform == "darwin" else 2**10
        return stdout.read_text(encoding="utf-8"), round(seconds, 2), round(usage.ru_maxrss / unit)


def reason(stderr, status):
    """What the program said, from its error on, without notes and the folder's name."""
    lines = [line for line in stderr.splitlines() if line.strip() and not line.startswith("note:")]
    return "\n".join(lines)[:1500] or f"exit status {status}"


def run_all(program, x, record):
    """Everything the program is asked; returns {engine: {method: map}}."""
    np.save(program.folder / "input.npy", x.numpy())
    maps, record["engines"] = {}, {}
    for engine in ("ort", "rten"):
        try:
            maps[engine] = explain(program, engine, record)
        except Failure as failure:
            if engine == "ort":
                raise
            record["engines"][engine] = {"refusal": failure.reason}
    listed = json.loads(program.run("layers", "model.onnx", "--json")[0])
    record["layer"] = next(layer for layer in listed["layers"] if layer["automatic"])
    del record["layer"]["automatic"]
    record["cost"] = cost(program)
    return maps


def explain(program, engine, record):
    """Maps [h, w] of both methods by one engine; what else it said goes into the record."""
    out = program.folder / engine
    arguments = ["--model", "model.onnx", "--method", ",".join(METHODS), "--save", "map", "--json"]
    stdout, seconds, peak = program.run("explain", "input.npy", *arguments, "--engine", engine, "--out", out)
    said = json.loads(stdout)
    explained = said["explanations"]
    record["engines"][engine] = {
        "score": said["top"][0]["score"],
        "notes": sorted({note for one in explained for note in one["notes"]}),
        "flat": any(one["flat"] for one in explained),
        "seconds": seconds,
        "peak_mib": peak,
    }
    record.setdefault("class", said["top"][0]["class"])
    if record["class"] != said["top"][0]["class"]:
        raise Failure("explain", f"ONNX Runtime predicts class {record['class']}, {engine} {said['top'][0]['class']}")
    return {one["method"]: np.load(one["files"][0]).squeeze() for one in explained}


def cost(program):
    """Minima of plain and explained runs of Grad-CAM++ on ONNX Runtime. One thread: on a busy machine two wait for each other."""
    size = sum(file.stat().st_size for file in program.folder.glob("model.onnx*"))
    rounds = 20 if size < 20e6 else 10 if size < 120e6 else 5
    arguments = ["--engine", "ort", "--threads", "1", "--rounds", str(rounds), "--json"]
    measured = json.loads(program.run("bench", "model.onnx", *arguments, urgent=True)[0])
    plain, explained = measured["plain_min_ms"], measured["explained"][0]["min_ms"]
    return {"ratio": round(explained / plain, 3), "plain_ms": plain, "explained_ms": explained, "rounds": rounds}


def layer_values(folder, tensor, x):
    """The value of a tensor of model.onnx, by ONNX Runtime without its optimisations."""
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    if tensor not in [output.name for output in model.graph.output]:
        model.graph.output.append(onnx.ValueInfoProto(name=tensor))
    path = folder / "with_layer.onnx"
    onnx.save(model, path)
    session = onnx_files.session(str(path), optimise=False)
    return session.run([tensor], {session.get_inputs()[0].name: x.numpy()})[0]


def compare(model, x, records, layers, results):
    """Holds scores and maps against PyTorch's, and says in the records what differs."""
    exporters = list(layers)
    classes = [records[exporter]["class"] for exporter in exporters]
    logits, candidates = survey_autograd.references(model, x, [layers[e] for e in exporters], classes)
    largest = np.abs(logits).max()
    for exporter, found in zip(exporters, candidates):
        record = records[exporter]
        record["predicted"] = bool(logits.argmax() == record["class"])
        record["equal_tensors"] = len(found)
        for engine, maps in results[exporter].items():
            said = record["engines"][engine]
            said["score_error"] = float(abs(said.pop("score") - logits[record["class"]]) / largest)
            said["maps"] = min((map_errors(maps, one) for one in found if one), key=lambda e: max(e.values()), default=None)
        beyond = objection(record, logits)
        if beyond:
            record["failure"] = beyond


def map_errors(maps, reference):
    """{method: error}. One tensor's reference; where two equal tensors lie at a kink, the nearer one is onnxcam's."""
    return {method: survey_autograd.error(maps[method], *reference[method]) for method in METHODS}


def objection(record, logits):
    """The first thing that does not hold on ONNX Runtime, or None."""
    said, wanted = record["engines"]["ort"], np.abs(logits).max() * TOLERANCE
    if logits.max() - logits[record["class"]] > wanted:
        return {"stage": "prediction", "reason": f"PyTorch predicts class {logits.argmax()}"}
    if not said["score_error"] <= TOLERANCE:
        return {"stage": "score", "reason": f"differs by {said['score_error']:.1e}"}
    if said["maps"] is None:
        return {"stage": "layer", "reason": f"no tensor in PyTorch equals {record['layer']['tensor']}"}
    for method, error in said["maps"].items():
        if not error <= TOLERANCE:
            return {"stage": method, "reason": f"the map differs by {error:.1e}"}
    return None
