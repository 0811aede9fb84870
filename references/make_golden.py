"""Small networks of every structure, exported, with float64 references: the golden fixtures of the crate onnxcam.

    python references/make_golden.py [OUT]

Writes {name}.{variant}.onnx, {name}.npz, input.npy and networks.json into crates/onnxcam/tests/golden/networks; README.md
says what is in them.
"""

import json
import sys
from pathlib import Path

import onnx
import torch
from torch import nn

import network_files
import networks
import onnx_files
from arrays import save_npy, save_npz
from pictures import input_batch
from small_networks import SIZE, SMALL

GOLDEN = Path(__file__).parent.parent / "crates" / "onnxcam" / "tests" / "golden" / "networks"
# Every how many pixels the gradient at the input is kept: prime to all strides, so that every phase is met.
SAMPLING = 5
PRESERVE = torch.onnx.TrainingMode.PRESERVE

# Exports besides "old" and "new": older and newer operator sets, batch normalisation and dropout left in, a fixed batch.
EXTRA = {
    "alexnet": {"old-opset9-dropout": {"exporter": "old", "opset": 9, "training": PRESERVE}},
    "vgg": {"old-opset7": {"exporter": "old", "opset": 7}},
    "resnet18": {
        "old-static": {"exporter": "old", "static": True},
        "new-static": {"exporter": "new", "static": True},
        "old-opset13-batchnorm": {"exporter": "old", "opset": 13, "training": PRESERVE},
    },
    "mobilenet_v3": {"old-opset11": {"exporter": "old", "opset": 11}},
    "shufflenet_v2": {"old-opset11": {"exporter": "old", "opset": 11}},
}


def tidy(path):
    """Removes what depends on the machine: stack traces with their paths, and the build of PyTorch; keeps the module scopes."""
    model = onnx.load(path)
    model.producer_version = model.producer_version.split("+")[0]
    for node in model.graph.node:
        kept = [p for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes"]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    del model.graph.metadata_props[:]
    onnx.checker.check_model(model)
    onnx.save(model, path)


def write(network, out):
    """The files of one network; returns its entry in networks.json."""
    x, exports = input_batch(*network.input_size), {}
    variants = {exporter: {"exporter": exporter} for exporter in onnx_files.EXPORTERS} | EXTRA.get(network.name, {})
    for variant, options in variants.items():
        keep_dropout(network.model, "dropout" in variant)
        path = str(out / f"{network.name}.{variant}.onnx")
        onnx_files.export(network.model, x[:1] if options.get("static") else x, path, **options)
        tidy(path)
    keep_dropout(network.model, False)
    reference = network_files.arrays(network)
    for variant in variants:
        exports[variant] = network_files.describe_export(out / f"{network.name}.{variant}.onnx", network, reference)
    reference["input_gradient"] = reference["input_gradient"][..., ::SAMPLING, ::SAMPLING]
    save_npz(out / f"{network.name}.npz", **reference)
    return network_files.describe(network, reference, exports)


def keep_dropout(model, keep):
    """The exporter writes only dropout that is in training mode; below opset 12 engines skip it all the same."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.train(keep)


def main(out=GOLDEN):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for pattern in ("*.onnx", "*.npz", "*.npy", "*.json"):
        for old in out.glob(pattern):
            old.unlink()
    summary = [write(networks.build(make), out) for make in SMALL.values()]
    save_npy(out / "input.npy", input_batch(*SIZE["input_size"]).numpy())
    (out / "networks.json").write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
