"""The methods besides the paper's, and what else goes by the name of Grad-CAM++, by their definitions in float64: of the golden networks, and of EfficientNet-Lite0.

    python references/make_family.py

Reads {network}.npz in crates/onnxcam/tests/golden/networks, which stay as they are, and the photographs; writes {network}.npz
and lite0.{photograph}.npz into crates/onnxcam/tests/golden/family. README.md says what is in them.
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

import networks
from arrays import save_npz
from equations import FAMILY, FINER, MAPS, VARIANTS, grad_cam_pp_weights, grad_cam_weights, shapley_cam_weights, weighted_sum
from make_lite import PHOTOGRAPHS, centre, normalised
from networks import trained_efficientnet_lite
from pictures import input_batch, photograph
from small_networks import SMALL

GOLDEN = Path(__file__).parent.parent / "crates" / "onnxcam" / "tests" / "golden"
# Heads with and without global average pooling, a class map of convolutions, feature maps with negative cells.
NETWORKS = ("alexnet", "vgg", "squeezenet", "resnet18", "densenet", "efficientnet", "mobilenet_v3")


def references(a, gradients, curvatures, finer):
    """Of each method: weights where they are one a feature map, the signed map, and the scale of its errors, which is the
    map's largest magnitude where it is no weighted sum.

    A [N, K, h, w], gradients and H A [C, N, K, h, w], finer {key: C times [N, K]} -> {key}_weights [C, N, K], {key}_signed [C, N, h, w], {key}_scale [C, N]
    """
    out = {}
    every = {key: [weights_of(a, g) for g in gradients] for key, weights_of in (FAMILY | VARIANTS).items()}
    every["shapley_cam"] = [shapley_cam_weights(a, g, h_a) for g, h_a in zip(gradients, curvatures)]
    every |= finer
    for key, weights in every.items():
        weights = torch.stack(weights)
        maps, scales = zip(*(weighted_sum(w, a) for w in weights))
        if weights.ndim == 3:
            out[f"{key}_weights"] = weights
        out[f"{key}_signed"], out[f"{key}_scale"] = torch.stack(maps), torch.stack(scales)
    for key, map_of in MAPS.items():
        maps = torch.stack([map_of(a, g) for g in gradients])
        out[f"{key}_signed"], out[f"{key}_scale"] = maps, maps.abs().amax((2, 3))
    return {key: tensor.numpy().astype(np.float32) for key, tensor in out.items()}


def derivatives(score, a, classes):
    """g = dS/dA and H A for each class, by autograd's own second pass: [C, N, K, h, w] both."""
    a = a.detach().requires_grad_()
    scores = score(a)
    gradients, curvatures = [], []
    for c in classes:
        (g,) = torch.autograd.grad(scores[:, c].sum(), a, create_graph=True)
        (h_a,) = torch.autograd.grad(g, a, a.detach(), retain_graph=True, allow_unused=True) if g.requires_grad else (None,)
        gradients.append(g.detach())
        curvatures.append(torch.zeros_like(g) if h_a is None else h_a.detach())
    return torch.stack(gradients), torch.stack(curvatures)


def finer(score, a, classes):
    """The weights of Finer-CAM for each class: {key: C times [N, K]}"""
    a = a.detach().requires_grad_()
    scores = score(a)
    return {key: [weights_of(a, scores, int(c)) for c in classes] for key, weights_of in FINER.items()}


def of_network(name):
    with np.load(GOLDEN / "networks" / f"{name}.npz") as golden:
        features, gradient = (torch.from_numpy(golden[key]).double() for key in ("features", "gradient"))
        classes = golden["classes"]
    network = networks.build(SMALL[name])
    network.model.double()
    again, curvatures = derivatives(network.score, features, classes)
    assert torch.allclose(again, gradient, rtol=1e-4, atol=1e-6 * float(gradient.abs().max())), f"{name} is another network"
    return {"classes": classes} | references(features, gradient, curvatures, finer(network.score, features, classes))


def of_photograph(network, name):
    """As of a network, for the predicted class."""
    with torch.no_grad():
        a = network.features(normalised(centre(photograph(name), network.input_size[0])).double())
        predicted = network.score(a).argmax()
    return {"class": predicted.numpy()} | references(a, *derivatives(network.score, a, [predicted]), finer(network.score, a, [predicted]))


# Networks, and the modules of several target layers.
FUSED = {
    "vgg": ("features.4", "features.9", "features.14"),
    "squeezenet": ("features.4", "features.8"),
    "resnet18": ("layer2", "layer3", "layer4"),
    "mobilenet_v3": ("features.3", "features.7"),
    "efficientnet": ("features.2", "features.5"),
}
# Every how many pixels of these maps is kept.
SAMPLING = 5


def fused(network, x, c, modules):
    """The maps of several layers as one: each one's relu from 0 to 1, up-sampled to the picture, averaged. {key: [N, H, W]}"""
    seen = {}

    def keep(name):
        def hook(module, inputs, output):
            seen[name] = output
            return output.clone()  # What comes behind may write over it.

        return network.model.get_submodule(name).register_forward_hook(hook)

    handles = [keep(name) for name in modules]
    scores = network.model(x.double())
    for handle in handles:
        handle.remove()
    layers = [seen[name] for name in modules]
    gradients = torch.autograd.grad(scores[:, c].sum(), layers)
    out = {}
    for key, weights_of in (("grad_cam", grad_cam_weights), ("grad_cam_pp", grad_cam_pp_weights)):
        total = 0
        for a, g in zip(layers, gradients):
            a = a.detach()
            m = weighted_sum(weights_of(a, g), a)[0].clamp(min=0)
            low, high = m.amin((1, 2), keepdim=True), m.amax((1, 2), keepdim=True)
            m = torch.where(high > low, (m - low) / (high - low), 0)
            total = total + F.interpolate(m[:, None], x.shape[2:], mode="bilinear", align_corners=False)[:, 0]
        out[key] = total / len(modules)
    return out


def fused_of(name):
    network = networks.build(SMALL[name])
    network.model.double()
    x = input_batch(*network.input_size)
    c = int(network.model(x.double())[0].argmax())
    maps = fused(network, x, c, FUSED[name])
    sampled = {key: m[:, ::SAMPLING, ::SAMPLING].numpy().astype(np.float32) for key, m in maps.items()}
    return {"class": np.array(c)} | sampled


def main(out=GOLDEN / "family"):
    out.mkdir(parents=True, exist_ok=True)
    for name in FUSED:
        save_npz(out / f"fused.{name}.npz", **fused_of(name))
    for name in NETWORKS:
        save_npz(out / f"{name}.npz", **of_network(name))
    network = trained_efficientnet_lite(0)
    network.model.double()
    for name in PHOTOGRAPHS[0]:
        save_npz(out / f"lite0.{name}.npz", **of_photograph(network, name))


if __name__ == "__main__":
    main()
