"""Photographs (scikit-image, CC0 and public domain) as network inputs."""

import numpy as np
import skimage.data
import torch
from PIL import Image

MEAN = np.array([0.485, 0.456, 0.406])
STD = np.array([0.229, 0.224, 0.225])


def photograph(name):
    """A photograph that ships inside scikit-image, as an RGB Pillow image."""
    return Image.fromarray(getattr(skimage.data, name)()).convert("RGB")


def centre_square(image):
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def normalised(image, height, width):
    """The image stretched to height x width, ImageNet-normalised: float64 [3, height, width]."""
    pixels = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float64) / 255
    return ((pixels - MEAN) / STD).transpose(2, 0, 1)


def input_batch(height, width):
    """The two inputs of every network reference: chelsea, and seeded Gaussian noise. float32 [2, 3, height, width]."""
    noise = np.random.default_rng(20).standard_normal((3, height, width))
    chelsea = normalised(centre_square(photograph("chelsea")), height, width)
    return torch.from_numpy(np.stack([chelsea, noise]).astype(np.float32))


def warm_up_batch(height, width):
    """Eight other inputs, for batch-norm statistics: crops of three photographs, and noise. float64 [8, 3, height, width]."""
    generator = np.random.default_rng(21)
    inputs = []
    for name in ("coffee", "rocket", "astronaut") * 2:
        image = photograph(name)
        side = min(image.size) * 2 // 3
        left, top = generator.integers(image.width - side), generator.integers(image.height - side)
        inputs.append(normalised(image.crop((left, top, left + side, top + side)), height, width))
    inputs += list(generator.standard_normal((2, 3, height, width)))
    return torch.from_numpy(np.stack(inputs))
