"""Whether pytorch-grad-cam computes what the definitions do, where the two should agree.

    python references/check_peers.py

A line for each method and network: the largest difference as a part of the map's largest magnitude. Ends with an error
where one is more than 1e-3, which float32 does not explain.
"""

import sys

import numpy as np
import torch
from pytorch_grad_cam import FinerCAM, FullGrad, GradCAM
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection_kernel

import networks
from equations import finer_cam_authors_weights, kpca_cam_map, weighted_sum
from make_family import FUSED, GOLDEN, NETWORKS, fused
from make_pixels import full_grad, predicted
from pictures import input_batch
from small_networks import SMALL


def apart(found, expected):
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def kpca_cam(a):
    """Up to its sign, which is scikit-learn's there."""
    ours, theirs = kpca_cam_map(torch.from_numpy(a), None).numpy(), get_2d_projection_kernel(a, "sigmoid", None)
    return max(min(apart(one, other), apart(one, -other)) for one, other in zip(theirs, ours))


def stretched(maps):
    """Each map from 0 to 1."""
    low, high = maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True)
    return (maps - low) / (high - low)


def full_grad_map(network, x):
    """Of networks whose modules run in the order that they are listed in: the peer takes one for the other."""
    c = predicted(network, x)
    ours, _ = full_grad(network, x, c)
    with FullGrad(network.model, []) as peer:
        return apart(peer(x.double(), [ClassifierOutputTarget(c)] * len(x)), stretched(ours.numpy()))


def finer_cam(network, x):
    """Of the predicted classes; up-sampled by the peer, so that the first picture's map is compared with its own resize."""
    a = network.features(x.double()).detach().requires_grad_()
    scores = network.score(a)
    classes = scores.argmax(1).tolist()
    weights = torch.stack([finer_cam_authors_weights(a, scores, c)[i] for i, c in enumerate(classes)])
    maps = weighted_sum(weights, a)[0].clamp(min=0).detach().numpy()
    layer = network.model.get_submodule(network.module)
    with FinerCAM(network.model, [layer]) as peer:
        return apart(peer(x.double()), stretched(scale_cam_image(stretched(maps), x.shape[:1:-1])))


def fused_layers(network, x, modules):
    c = predicted(network, x)
    ours = fused(network, x, c, modules)["grad_cam"].numpy()
    with GradCAM(network.model, [network.model.get_submodule(name) for name in modules]) as peer:
        return apart(peer(x.double(), [ClassifierOutputTarget(c)] * len(x)), stretched(ours))


def main():
    worst = 0.0
    for name in NETWORKS:
        network = networks.build(SMALL[name])
        network.model.double()
        x = input_batch(*network.input_size)
        with np.load(GOLDEN / "networks" / f"{name}.npz") as golden:
            a = golden["features"].astype(np.float64)
        found = {"kpca-cam": kpca_cam(a)}
        if name in ("alexnet", "vgg"):
            found["full-grad"] = full_grad_map(network, x)
        if network.module:
            found["finer-cam (authors)"] = finer_cam(network, x)
        if name in FUSED:
            found["several layers"] = fused_layers(network, x, FUSED[name])
        worst = max(worst, *found.values())
        print(name, *(f"{method} {error:.1e}" for method, error in found.items()))
    sys.exit(worst > 1e-3)


if __name__ == "__main__":
    main()
