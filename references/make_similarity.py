"""How like another picture one is to a network, explained: small networks with float64 references.

    python references/make_similarity.py [OUT]

Writes {name}.npz into crates/onnxcam/tests/golden/similarity; README.md says what is in them. The networks and the two pictures
are those of make_golden.py; what they make of a picture is taken for its embedding.
"""

import sys
from pathlib import Path

import torch
from torch.nn import functional as F

import equations
import networks
from arrays import save_npz
from pictures import input_batch
from small_networks import SMALL

GOLDEN = Path(__file__).parent.parent / "crates" / "onnxcam" / "tests" / "golden" / "similarity"
NETWORKS = ("resnet18", "mobilenet_v3", "densenet")


def references(network):
    network.model.double()
    one, other = input_batch(*network.input_size).double().split(1)
    with torch.no_grad():
        embedding = network.score(network.features(other))
    a = network.features(one).detach().requires_grad_()
    score = F.cosine_similarity(network.score(a), embedding)
    (g,) = torch.autograd.grad(score.sum(), a)
    a = a.detach()
    out = {"embedding": embedding[0], "score": score.detach()}
    for method in ("grad_cam", "grad_cam_pp"):
        weights = getattr(equations, f"{method}_weights")(a, g)
        signed, scale = equations.weighted_sum(weights, a)
        out |= {f"{method}_weights": weights[0], f"{method}_signed": signed[0], f"{method}_scale": scale[0]}
    return {name: tensor.numpy() for name, tensor in out.items()}


def main(out=GOLDEN):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for name in NETWORKS:
        print(name, file=sys.stderr)
        save_npz(out / f"{name}.npz", **references(networks.build(SMALL[name])))


if __name__ == "__main__":
    main(*sys.argv[1:])
