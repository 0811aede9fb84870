"""Full-size torchvision networks with random weights, and EfficientNet-Lite0 with its own: ONNX files and references.

    python references/export_networks.py OUT [NAME ...]

Writes OUT/{name}.{old,new}.onnx, OUT/{name}.npz and OUT/{name}.json; README.md says what is in them. About 2 GB.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

import equations
import networks
import onnx_files
from arrays import save_npz
from pictures import input_batch


def write_reference(network, out, exporters=onnx_files.EXPORTERS):
    """Exports one network and writes its reference; fails where PyTorch and ONNX Runtime disagree."""
    x = input_batch(*network.input_size)
    files = {}
    for exporter in exporters:
        files[exporter] = out / f"{network.name}.{exporter}.onnx"
        onnx_files.export(network.model, x, str(files[exporter]), exporter)
    if network.name == "resnet18":
        for exporter in exporters:
            onnx_files.export(
                network.model, x[:1], str(out / f"resnet18.static.{exporter}.onnx"), exporter, static=True, external_data=True
            )

    with torch.no_grad():
        logits = network.model(x)
    network.model.double()
    classes = [int(logits[0].argmax()), 7]
    arrays = equations.references(network.features, network.score, x, classes, network.cam_matrix())
    assert np.abs(arrays["logits"] - logits.numpy()).max() < 1e-3 * np.abs(arrays["logits"]).max()

    tensors, opsets = {}, {}
    for exporter, path in files.items():
        error = np.abs(onnx_files.run(str(path), x.numpy()) - arrays["logits"]).max()
        assert error < 1e-3 * np.abs(arrays["logits"]).max(), (path, error)
        tensors[exporter] = onnx_files.tensors_equal_to(str(path), x.numpy(), arrays["features"])
        assert tensors[exporter], path
        opsets[exporter] = onnx_files.operators(str(path))[0]
    for name in ("features", "gradient"):
        arrays[name] = arrays[name].astype(np.float32)
    save_npz(out / f"{network.name}.npz", input=x.numpy(), **arrays)
    summary = {
        "name": network.name,
        "module": network.module,
        "tensors": tensors,
        "opsets": opsets,
        "classes": classes,
        "features": list(arrays["features"].shape),
        "cam": network.cam_head is not None,
        "negative_sums": float((arrays["features"].sum((2, 3)) < 0).mean()),
    }
    (out / f"{network.name}.json").write_text(json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary), file=sys.stderr)


def main():
    out, wanted = Path(sys.argv[1]), sys.argv[2:]
    out.mkdir(parents=True, exist_ok=True)
    for name, make in networks.FULL_SIZE.items():
        if not wanted or name in wanted:
            write_reference(networks.build(make), out)
    if not wanted or "efficientnet_lite0" in wanted:
        write_reference(networks.efficientnet_lite0(), out)


if __name__ == "__main__":
    main()
