"""The methods besides the paper's, and what else goes by the name of Grad-CAM++, by their definitions in float64: of the golden networks, and of EfficientNet-Lite0.

    python references/make_family.py

Reads {network}.npz in crates/onnxcam/tests/golden/networks, which stay as they are, and the photographs; writes {network}.npz
and lite0.{photograph}.npz into crates/onnxcam/tests/golden/family. README.md says what is in them.
"""

from pathlib import Path

import numpy as np
import torch

from arrays import save_npz
from equations import FAMILY, VARIANTS, weighted_sum
from make_lite import PHOTOGRAPHS, centre, normalised
from networks import trained_efficientnet_lite
from pictures import photograph

GOLDEN = Path(__file__).parent.parent / "crates" / "onnxcam" / "tests" / "golden"
# Heads with and without global average pooling, a class map of convolutions, feature maps with negative cells.
NETWORKS = ("alexnet", "vgg", "squeezenet", "resnet18", "densenet", "efficientnet", "mobilenet_v3")


def references(a, gradients):
    """Of each method: weights where they are one a feature map, the signed map, and the scale of its errors.

    A [N, K, h, w], gradients [C, N, K, h, w] -> {key}_weights [C, N, K], {key}_signed [C, N, h, w], {key}_scale [C, N]
    """
    out = {}
    for key, weights_of in (FAMILY | VARIANTS).items():
        weights = torch.stack([weights_of(a, g) for g in gradients])
        maps, scales = zip(*(weighted_sum(w, a) for w in weights))
        if weights.ndim == 3:
            out[f"{key}_weights"] = weights
        out[f"{key}_signed"], out[f"{key}_scale"] = torch.stack(maps), torch.stack(scales)
    return {key: tensor.numpy().astype(np.float32) for key, tensor in out.items()}


def of_network(name):
    with np.load(GOLDEN / "networks" / f"{name}.npz") as golden:
        features, gradient = (torch.from_numpy(golden[key]).double() for key in ("features", "gradient"))
        return {"classes": golden["classes"]} | references(features, gradient)


def of_photograph(network, name):
    """As of a network, for the predicted class."""
    x = normalised(centre(photograph(name), network.input_size[0])).double()
    a = network.features(x).requires_grad_()
    scores = network.score(a)
    (gradient,) = torch.autograd.grad(scores.max(), a)
    return {"class": scores.argmax().numpy()} | references(a.detach(), gradient[None])


def main(out=GOLDEN / "family"):
    out.mkdir(parents=True, exist_ok=True)
    for name in NETWORKS:
        save_npz(out / f"{name}.npz", **of_network(name))
    network = trained_efficientnet_lite(0)
    network.model.double()
    for name in PHOTOGRAPHS[0]:
        save_npz(out / f"lite0.{name}.npz", **of_photograph(network, name))


if __name__ == "__main__":
    main()
