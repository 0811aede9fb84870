"""Full-size torchvision networks with random weights, and EfficientNet-Lite0 with its own: ONNX files and references.

    python references/export_networks.py OUT [NAME ...]

Writes OUT/{name}.{old,new}.onnx, OUT/{name}.npz and OUT/{name}.json; README.md says what is in them. About 2 GB.
"""

import json
import sys
from pathlib import Path

import network_files
import networks
import onnx_files
from arrays import save_npz
from pictures import input_batch


def variants(network):
    """What `onnx_files.export` is asked for, by the name of the variant."""
    found = {exporter: {"exporter": exporter} for exporter in onnx_files.EXPORTERS}
    if network.name == "resnet18":
        found |= {f"static.{e}": {"exporter": e, "static": True, "external_data": True} for e in onnx_files.EXPORTERS}
    return found


def write(network, out):
    x, exports = input_batch(*network.input_size), {}
    for variant, options in variants(network).items():
        example = x[:1] if options.get("static") else x
        onnx_files.export(network.model, example, str(out / f"{network.name}.{variant}.onnx"), **options)
    reference = network_files.arrays(network)
    for variant in variants(network):
        exports[variant] = network_files.describe_export(out / f"{network.name}.{variant}.onnx", network, reference)
    save_npz(out / f"{network.name}.npz", input=x.numpy(), **reference)
    summary = json.dumps(network_files.describe(network, reference, exports), indent=1)
    (out / f"{network.name}.json").write_text(summary + "\n")
    print(network.name, file=sys.stderr)


def main(out, *wanted):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for name, make in networks.FULL_SIZE.items():
        if not wanted or name in wanted:
            write(networks.build(make), out)
    if not wanted or "efficientnet_lite0" in wanted:
        write(networks.trained_efficientnet_lite(0), out)


if __name__ == "__main__":
    main(*sys.argv[1:])
