"""How much longer a network takes with OpenVINO XAI's branch in it, on OpenVINO on the CPU.

    python references/bench_openvino_xai.py MODEL.onnx [MODEL.onnx ...] [--threads 2] [--rounds 30] [--f32]

Each file takes one picture, [N, 3, 224, 224]. It needs openvino_xai and openvino, which want packages of their own:
requirements-openvino-xai.txt, in a virtual environment of its own. The plain network and the one with the branch take
turns; Recipro-CAM's branch makes the maps of all classes, and one class costs as much; an activation map knows no class.
OpenVINO computes in bfloat16 where the processor can, unless told --f32. Prints one JSON object with the milliseconds and ratios.
"""

import argparse
import json
import statistics
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import openvino
import openvino_xai
from openvino_xai.common.parameters import Method, Task

METHODS = {"recipro-cam": Method.RECIPROCAM, "activation-map": Method.ACTIVATIONMAP}


def compiled(core, model, threads, f32):
    model.reshape([1, 3, 224, 224])
    options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    return core.compile_model(model, "CPU", options | ({"INFERENCE_PRECISION_HINT": "f32"} if f32 else {}))


def contenders(path, threads, f32):
    """{name: compiled network}: plain, and with each method's branch."""
    core = openvino.Core()
    models = {"plain": core.read_model(path)}
    for name, method in METHODS.items():
        model = openvino_xai.insert_xai(core.read_model(path), task=Task.CLASSIFICATION, explain_method=method)
        models[name] = model
    return {name: compiled(core, model, threads, f32) for name, model in models.items()}


def measure(networks, rounds):
    """{name: milliseconds of each round}, after three rounds of warming up."""
    x = np.random.default_rng(0).standard_normal((1, 3, 224, 224), dtype=np.float32)
    requests = {name: network.create_infer_request() for name, network in networks.items()}
    times = {name: [] for name in networks}
    for round_ in range(rounds + 3):
        for name, request in requests.items():
            start = time.perf_counter()
            request.infer([x])
            if round_ >= 3:
                times[name].append((time.perf_counter() - start) * 1e3)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.onnx")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--f32", action="store_true")
    arguments = parser.parse_args()
    found = {}
    for path in arguments.models:
        networks = contenders(path, arguments.threads, arguments.f32)
        times = measure(networks, arguments.rounds)
        shapes = {name: [list(o.shape) for o in network.outputs] for name, network in networks.items()}
        plain = statistics.median(times["plain"])
        found[path.name] = {
            name: {
                "median_ms": round(statistics.median(ms), 2),
                "min_ms": round(min(ms), 2),
                "ratio": round(statistics.median(ms) / plain, 3),
                "outputs": shapes[name],
            }
            for name, ms in times.items()
        }
    versions = {package: version(package) for package in ("openvino", "openvino_xai")}
    print(json.dumps({"versions": versions, "threads": arguments.threads, "f32": arguments.f32, "networks": found}, indent=1))


if __name__ == "__main__":
    main()
