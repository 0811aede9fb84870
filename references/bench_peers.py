"""How long PyTorch, pytorch-grad-cam and torch-cam take for one image, on the CPU.

    python references/bench_peers.py [NAME ...] [--threads 2] [--rounds 20]
    python references/bench_peers.py resnet50 --many-runs --rounds 1

NAME is a key of networks.FULL_SIZE, or efficientnet_lite0. The contenders take turns, after three rounds of warming up.
With --many-runs, pytorch-grad-cam's Ablation-CAM and Score-CAM instead, without warming up: minutes each.
Prints one JSON object: versions, threads, and per network the minimum, median and maximum in milliseconds.
"""

import argparse
import json
import platform
import statistics
import time
from functools import partial
from importlib.metadata import version

import torch
from pytorch_grad_cam import AblationCAM, GradCAMPlusPlus, ScoreCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torchcam.methods import GradCAMpp

import networks
from pictures import input_batch

DEFAULT = ("resnet50", "vgg16", "mobilenet_v2", "efficientnet_lite0")
# Where a function makes the features, the module whose output is nearest to them.
NEAREST = {"densenet121": "features", "efficientnet_lite0": "_bn1"}


def contenders(network, many_runs):
    """Calls that return their seconds. Each peer's hooks go on and off outside the clock, so that none slows another."""
    model, x = network.model.eval(), input_batch(*network.input_size)[:1]
    layer = model.get_submodule(network.module or NEAREST[network.name])
    with torch.no_grad():
        predicted = int(model(x).argmax())

    def forward():
        with torch.no_grad():
            return seconds(lambda: model(x))

    def pytorch_grad_cam(method=GradCAMPlusPlus):
        with method(model=model, target_layers=[layer]) as cam:
            return seconds(lambda: cam(input_tensor=x, targets=[ClassifierOutputTarget(predicted)]))

    def torch_cam():
        with GradCAMpp(model, target_layer=layer) as cam:
            return seconds(lambda: cam(predicted, model(x)))

    if many_runs:
        methods = {"ablation_cam": AblationCAM, "score_cam": ScoreCAM}
        return {"forward": forward} | {name: partial(pytorch_grad_cam, method) for name, method in methods.items()}
    return {"forward": forward, "pytorch_grad_cam": pytorch_grad_cam, "torch_cam": torch_cam}


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(network, rounds, many_runs):
    calls = contenders(network, many_runs)
    times = {name: [] for name in calls}
    for turn in range(0 if many_runs else -3, rounds):
        for name, call in calls.items():
            elapsed = call()
            if turn >= 0:
                times[name].append(1000 * elapsed)
    return {
        f"{name}_ms": {"min": round(min(t), 2), "median": round(statistics.median(t), 2), "max": round(max(t), 2)}
        for name, t in times.items()
    }


def build(name):
    return networks.trained_efficientnet_lite(0) if name == "efficientnet_lite0" else networks.build(networks.FULL_SIZE[name])


def main(names, threads, rounds, many_runs):
    torch.set_num_threads(threads)
    packages = ("torch", "torchvision", "grad-cam", "torchcam")
    report = {"versions": {package: version(package) for package in packages}, "machine": platform.machine()}
    report |= {"threads": threads, "rounds": rounds, "batch": 1}
    report["networks"] = {name: measure(build(name), rounds, many_runs) for name in names or DEFAULT}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--many-runs", action="store_true")
    main(**vars(parser.parse_args()))
