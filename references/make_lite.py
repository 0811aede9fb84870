"""EfficientNet-Lite0, 1 and 2 with their trained weights on photographs: logits, and for Lite0 maps and the two-object picture.

    python references/make_lite.py [OUT] [--inputs FOLDER]

Writes {photograph}.crop.png and {photograph}.logits.npy into the folders lite0, lite1 and lite2 of crates/onnxcam/tests/golden,
and {photograph}.npz and two_objects.json into lite0; with --inputs also Lite0's inputs and the two-object pictures, which are
large. README.md says what is in them.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.nn import functional as F
from torchvision import transforms
from torchvision.transforms import InterpolationMode

import equations
from arrays import save_npy, save_npz
from networks import trained_efficientnet_lite
from pictures import photograph

GOLDEN = Path(__file__).parent.parent / "crates" / "onnxcam" / "tests" / "golden"
# The photographs for each member of the family.
PHOTOGRAPHS = {0: ("chelsea", "coffee", "rocket"), 1: ("chelsea", "rocket"), 2: ("chelsea", "rocket")}
TIGER_CAT, EGYPTIAN_CAT, ESPRESSO = CLASSES = (282, 285, 967)
METHODS = ("grad_cam", "grad_cam_pp")


def normalised(image):
    """Pixels as the network was trained on them: (255 x - 127) / 128. float32 [1, 3, H, W]."""
    return ((transforms.functional.to_tensor(image) * 255 - 127) / 128)[None]


def centre(image, size):
    """Short side to size + 32, bicubic, then the central size x size: the authors pad every crop by 32."""
    return transforms.CenterCrop(size)(transforms.Resize(size + 32, InterpolationMode.BICUBIC)(image))


def explain(network, x, classes=None):
    """The references of equations.py for one input; for its predicted class unless others are named."""
    if classes is None:
        with torch.no_grad():
            classes = [int(network.model(x.double()).argmax())]
    return equations.references(network.features, network.score, x, classes)


def write_logits(network, name, out):
    """What the network sees of a photograph, and what it says of it. Returns its input."""
    crop = centre(photograph(name), network.input_size[0])
    crop.save(out / f"{name}.crop.png", optimize=True)
    x = normalised(crop)
    with torch.no_grad():
        save_npy(out / f"{name}.logits.npy", network.model(x.double())[0].numpy().astype(np.float32))
    return x


def write_maps(network, name, x, out):
    found = explain(network, x)
    kept = {"class": found["classes"][0]}
    for method in METHODS:
        for part in ("weights", "map", "scale"):
            kept[f"{method}_{part}"] = found[f"{method}_{part}"][0, 0]
    save_npz(out / f"{name}.npz", **kept)


def two_objects():
    """A cat on the left, a cup of coffee on the right: 900 x 300."""
    picture = Image.new("RGB", (900, 300))
    for left, name in ((0, "chelsea"), (450, "coffee")):
        picture.paste(photograph(name).resize((450, 300), Image.Resampling.BICUBIC), (left, 0))
    return picture


def shares(network, picture):
    """The share of the map's positive mass in the left half, by method and class, and the top class."""
    x = normalised(picture.resize((224, 224), Image.Resampling.BICUBIC))
    found = explain(network, x, CLASSES)
    probabilities = torch.softmax(torch.from_numpy(found["logits"][0]), 0)
    result = {"top_class": int(probabilities.argmax()), "top_probability": round(float(probabilities.max()), 6)}
    for method in METHODS:
        maps = torch.from_numpy(found[f"{method}_map"])
        full = F.interpolate(maps, size=picture.size[::-1], mode="bilinear", align_corners=False)[:, 0]
        left = full[:, :, : picture.width // 2].sum((1, 2)) / full.sum((1, 2))
        result[method] = {str(c): round(float(s), 6) for c, s in zip(CLASSES, left)}
    return x, result


def write_two_objects(network, out, inputs):
    results = {}
    for name, picture in (("plain", two_objects()), ("mirrored", ImageOps.mirror(two_objects()))):
        x, results[name] = shares(network, picture)
        if inputs:
            save_npy(inputs / f"two_objects.{name}.input.npy", x.numpy())
            picture.save(inputs / f"two_objects.{name}.png")
    (out / "two_objects.json").write_text(json.dumps(results, indent=1) + "\n")


def main(out=GOLDEN, inputs=None):
    for number, photographs in PHOTOGRAPHS.items():
        network = trained_efficientnet_lite(number)
        network.model.double()
        folder = Path(out) / f"lite{number}"
        for path in filter(None, (folder, inputs)):
            path.mkdir(parents=True, exist_ok=True)
        for name in photographs:
            x = write_logits(network, name, folder)
            if number == 0:
                write_maps(network, name, x, folder)
                if inputs:
                    save_npy(inputs / f"{name}.input.npy", x.numpy())
        if number == 0:
            write_two_objects(network, folder, inputs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="?", type=Path, default=GOLDEN)
    parser.add_argument("--inputs", type=Path)
    main(**vars(parser.parse_args()))
