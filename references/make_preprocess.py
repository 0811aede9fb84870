"""Small pictures, and what torchvision makes of them: references for resizing, cropping and normalisation.

    python references/make_preprocess.py [OUT]

Writes {picture}.png, {picture}.{case}.npy and cases.json into crates/onnxcam/tests/golden/preprocess; README.md says what
is in them. All transforms work on Pillow images, whose resize rounds to whole levels after each of its two passes.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, functional
from torchvision.transforms._presets import ImageClassification

from arrays import save_npy
from pictures import photograph

GOLDEN = Path(__file__).parent.parent / "crates" / "onnxcam" / "tests" / "golden" / "preprocess"
FILTERS = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}

# name: (fit, size, crop, filter, preset). "shorter": short side to `size`, then a centre crop of `crop`; "stretch": the whole
# picture to `size` (height, width). The crops include both of Python's half-to-even roundings of the margin.
CASES = {
    "torchvision": ("shorter", 48, 42, "bilinear", "torchvision"),
    "torchvision-odd-crop": ("shorter", 48, 43, "bilinear", "torchvision"),
    "torchvision-bicubic-enlarged": ("shorter", 120, 49, "bicubic", "torchvision"),
    "efficientnet-lite": ("shorter", 51, 44, "bicubic", "efficientnet-lite"),
    "caffe": ("shorter", 48, 42, "bilinear", "caffe"),
    "tf-stretch": ("stretch", (32, 32), None, "bicubic", "tf"),
    "unit-stretch": ("stretch", (40, 56), None, "bilinear", "unit"),
}


def pictures():
    """A portrait and a landscape crop of photographs; the first also in grey and with a transparent corner."""
    portrait = photograph("chelsea").crop((140, 60, 140 + 97, 60 + 131))
    landscape = photograph("coffee").crop((180, 120, 180 + 131, 120 + 97))
    ramp = np.add.outer(np.arange(131), np.arange(97)) * 255 // (130 + 96)
    transparent = portrait.copy()
    transparent.putalpha(Image.fromarray(ramp.astype(np.uint8)))
    return {"portrait": portrait, "landscape": landscape, "grey": portrait.convert("L"), "transparent": transparent}


def on_white(image):
    """What a viewer shows: RGB, transparent parts over white."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def normalise(x, preset):
    """x in [0, 1], RGB, [3, H, W] -> what networks of that tradition were trained on."""
    if preset == "torchvision":
        return functional.normalize(x, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    if preset == "efficientnet-lite":
        return (x * 255 - 127) / 128
    if preset == "tf":
        return x * 2 - 1
    if preset == "caffe":
        return (x * 255).flip(0) - torch.tensor([103.939, 116.779, 123.68])[:, None, None]
    return x


def transform(image, fit, size, crop, filter, preset):
    if fit == "shorter":
        bare = ImageClassification(crop_size=crop, resize_size=size, interpolation=FILTERS[filter], mean=(0,) * 3, std=(1,) * 3)
        return normalise(bare(image), preset)
    return normalise(functional.to_tensor(functional.resize(image, list(size), FILTERS[filter])), preset)


def main(out=GOLDEN):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for pattern in ("*.png", "*.npy", "*.json"):
        for old in out.glob(pattern):
            old.unlink()
    summary = []
    for picture, image in pictures().items():
        image.save(out / f"{picture}.png", optimize=True)
        for name, (fit, size, crop, filter, preset) in CASES.items():
            if picture in ("grey", "transparent") and name != "torchvision":
                continue
            x = transform(on_white(image), fit, size, crop, filter, preset).numpy()
            save_npy(out / f"{picture}.{name}.npy", x)
            summary.append(
                {"picture": f"{picture}.png", "expected": f"{picture}.{name}.npy", "fit": fit, "size": size, "crop": crop}
                | {"filter": filter, "preset": preset, "shape": list(x.shape)}
            )
    (out / "cases.json").write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
