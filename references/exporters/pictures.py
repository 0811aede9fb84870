"""Photographs (scikit-image, CC0 and public domain) as bytes."""

import numpy as np
import skimage.data
from PIL import Image


def pixels(name, height, width, box=None):
    """A part of a photograph (left, top, right, bottom as shares) stretched to this size: uint8 [height, width, 3]."""
    image = Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
    left, top, right, bottom = box or (0, 0, 1, 1)
    box = (left * image.width, top * image.height, right * image.width, bottom * image.height)
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC, box=box))


def input_pixels(height, width):
    """The two inputs of every reference: chelsea, and seeded noise. uint8 [2, height, width, 3]."""
    noise = np.random.default_rng(20).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return np.stack([pixels("chelsea", height, width), noise])


def warm_up_pixels(height, width):
    """Eight other inputs, for batch-norm statistics: parts of photographs, and noise. uint8 [8, height, width, 3]."""
    generator = np.random.default_rng(21)
    inputs = []
    for name in ("coffee", "rocket", "astronaut") * 2:
        left, top = generator.uniform(0, 0.4, 2)
        inputs.append(pixels(name, height, width, (left, top, left + 0.6, top + 0.6)))
    inputs += list(generator.integers(0, 256, (2, height, width, 3), dtype=np.uint8))
    return np.stack(inputs)
