"""Methods of many runs, written out in float64, of small networks: golden fixtures of the crate onnxcam.

    python references/make_runs.py [OUT]

Writes {name}.npz and tokens/{name}.npz into crates/onnxcam/tests/golden/runs; README.md says what is in them. The networks
and their pictures are those of make_golden.py and make_tokens.py.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

import make_tokens
import network_files
import networks
from arrays import save_npz
from pictures import input_batch
from small_networks import SMALL

GOLDEN = Path(__file__).parent.parent / "crates" / "onnxcam" / "tests" / "golden" / "runs"
NETWORKS = ("alexnet", "vgg", "resnet18", "squeezenet", "densenet", "mobilenet_v3", "googlenet", "efficientnet")
SEED, SAMPLES = 11, 4
# Every how many pixels maps as large as the picture are kept.
SAMPLING = 5


# --- Random numbers: SplitMix64 from a place that seed and sample give, and Box and Muller's normal ones. ---

STEP = np.uint64(0x9E3779B97F4A7C15)


def mix(z):
    z = np.asarray(z, dtype=np.uint64)
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(seed, sample, count):
    with np.errstate(over="ignore"):
        begin = mix(np.uint64(seed) + mix(np.uint64(sample + 1)))
        states = begin + STEP * np.arange(1, count + 1, dtype=np.uint64)
    return (mix(states) >> np.uint64(11)).astype(np.float64) / 2.0**53


def normal(seed, sample, shape):
    count = int(np.prod(shape))
    u, v = uniform(seed, sample, count + count % 2).reshape(-1, 2).T
    radius = np.sqrt(-2 * np.log(1 - u))
    pairs = np.stack([radius * np.cos(2 * np.pi * v), radius * np.sin(2 * np.pi * v)], 1)
    return torch.from_numpy(pairs.reshape(-1)[:count].reshape(shape))


CELL = torch.tensor([[0.0, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=torch.float64)
GAUSSIAN = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=torch.float64) / 16

# --- The methods. x [1, 3, H, W] float64, c a class. ---


class Definitions:
    def __init__(self, network, x, samples):
        self.network, self.x, self.samples = network, x, samples
        with torch.no_grad():
            self.a = network.features(x)[0]

    def scores(self, inputs):
        """The class scores before softmax, of a list of pictures [3, H, W]."""
        with torch.no_grad():
            parts = [torch.stack(inputs[i : i + 32]) for i in range(0, len(inputs), 32)]
            return torch.cat([self.network.score(self.network.features(part)) for part in parts])

    def probabilities(self, inputs):
        return self.scores(inputs).softmax(1)

    def tail(self, changed):
        """The class scores of a list of feature maps [K, h, w]."""
        with torch.no_grad():
            return self.network.score(torch.stack(changed))

    def map(self, w):
        terms = w[:, None, None] * self.a
        return w, terms.sum(0).clamp(min=0), terms.abs().sum(0).max()

    def h(self, k):
        up = F.interpolate(self.a[None, k : k + 1], self.x.shape[2:], mode="bilinear", align_corners=False)[0, 0]
        return (up - up.min()) / (up.max() - up.min()) if up.max() > up.min() else torch.zeros_like(up)

    def score_weighted(self, c, masks):
        """softmax over the channels of the mean increase of the score over that of an empty picture."""
        base = self.scores([torch.zeros_like(self.x[0])])[0, c]
        of_each = [self.scores([self.x[0] * m for m in masks(k, self.h(k))])[:, c].mean() - base for k in range(len(self.a))]
        return self.map(torch.softmax(torch.stack(of_each), 0))

    def score_cam(self, c):
        return self.score_weighted(c, lambda k, h: [h])

    def ss_cam(self, c):
        noise = lambda i, h: 2.0 * normal(SEED, i, h.shape)
        return self.score_weighted(c, lambda k, h: [h + noise(k * self.samples + n, h) for n in range(self.samples)])

    def is_cam(self, c):
        return self.score_weighted(c, lambda k, h: [h * (i / self.samples) for i in range(1, self.samples + 1)])

    def ablation_cam(self, c):
        s, w = self.tail([self.a])[0, c], []
        for k in range(len(self.a)):
            without = self.a.clone()
            without[k] = 0
            w.append((s - self.tail([without])[0, c]) / s)
        return self.map(torch.stack(w))

    def random_cam(self, c):
        return self.map(torch.from_numpy(2 * uniform(SEED, c, len(self.a)) - 1))

    def cells(self, c, kernel):
        h, w = self.a.shape[1:]
        y = torch.zeros(h, w, dtype=torch.float64)
        for i in range(h):
            for j in range(w):
                padded = torch.zeros(h + 2, w + 2, dtype=torch.float64)
                padded[i : i + 3, j : j + 3] = kernel
                y[i, j] = self.tail([self.a * padded[1:-1, 1:-1]])[0, c]
        return y

    def recipro(self, c, kernel):
        y = self.cells(c, kernel)
        return (y - y.min()) / (y.max() - y.min())

    def recipro_cam(self, c):
        return self.recipro(c, CELL)

    def recipro_cam_gaussian(self, c):
        return self.recipro(c, GAUSSIAN)

    def rise(self, c, cells=7, keep=0.5):
        height, width = self.x.shape[2:]
        ch, cw = -(-height // cells), -(-width // cells)
        total = torch.zeros(height, width, dtype=torch.float64)
        for i in range(self.samples):
            draws = uniform(SEED, i, cells * cells + 2)
            grid = torch.from_numpy((draws[:-2] < keep).astype(np.float64)).reshape(1, 1, cells, cells)
            large = F.interpolate(grid, ((cells + 1) * ch, (cells + 1) * cw), mode="bilinear", align_corners=False)[0, 0]
            down, right = int(draws[-2] * ch), int(draws[-1] * cw)
            mask = large[down : down + height, right : right + width]
            total += self.probabilities([self.x[0] * mask])[0, c] * mask
        return total / (keep * self.samples)

    def occlusion(self, c):
        height, width = self.x.shape[2:]

        def places(side):
            square = -(-side // 7)
            return [(at, at + square) for at in [*range(0, side - square, -(-square // 2)), side - square]]

        whole = self.probabilities([self.x[0]])[0, c]
        drops, counts = (torch.zeros(height, width, dtype=torch.float64) for _ in range(2))
        for top, bottom in places(height):
            for left, right in places(width):
                covered = self.x.clone()
                covered[..., top:bottom, left:right] = 0
                drops[top:bottom, left:right] += whole - self.probabilities([covered[0]])[0, c]
                counts[top:bottom, left:right] += 1
        return drops / counts

    def gradient(self, x, c):
        x = x.clone().requires_grad_()
        return torch.autograd.grad(self.network.score(self.network.features(x))[0, c], x)[0][0]

    def noisy(self):
        deviation = 0.15 * (self.x.max() - self.x.min())
        return [self.x + deviation * normal(SEED, i, self.x.shape) for i in range(self.samples)]

    def smooth_grad(self, c):
        mean = sum(self.gradient(x, c) for x in self.noisy()) / self.samples
        return mean.abs().amax(0)

    def integrated_gradients(self, c):
        shares = [(i - 0.5) / self.samples for i in range(1, self.samples + 1)]
        return (self.x[0] * sum(self.gradient(s * self.x, c) for s in shares) / self.samples).sum(0)

    def smooth_grad_cam_pp(self, c):
        d = [0.0, 0.0, 0.0]
        for x in self.noisy():
            a = self.network.features(x).detach().requires_grad_()
            g = torch.autograd.grad(self.network.score(a)[0, c], a)[0][0]
            d = [mean + g**p / self.samples for p, mean in enumerate(d, start=1)]
        below = 2 * d[1] + d[2] * self.a.sum((1, 2), keepdim=True).clamp(min=0)
        alpha = torch.where(below == 0, torch.zeros_like(below), d[1] / below)
        return self.map((alpha * d[0].clamp(min=0)).sum((1, 2)))


WEIGHTED = ("score_cam", "ss_cam", "is_cam", "ablation_cam", "random_cam", "smooth_grad_cam_pp")
MAPS = ("recipro_cam", "recipro_cam_gaussian")
LARGE = ("rise", "occlusion", "smooth_grad", "integrated_gradients")


class Tokens:
    """A transformer as features and score: its target layer is taken by a hook, and put in place by one. Class and register
    tokens stay as they are."""

    def __init__(self, name):
        self.of = make_tokens.NETWORKS[name]
        self.model = make_tokens.build(name, self.of).double()
        self.x = input_batch(*make_tokens.SIZE)[:1].double()

    def run(self, count, hook):
        handle = self.model.get_submodule(self.of.module).register_forward_hook(hook)
        try:
            return self.model(self.x.expand(count, -1, -1, -1))
        finally:
            handle.remove()

    def features(self, x):
        seen = []
        self.run(1, lambda module, inputs, output: seen.append(output))
        return make_tokens.feature_maps(seen[0], self.of)

    def score(self, maps):
        def put(module, inputs, output):
            if self.of.layout == "first":
                return maps
            cells = maps.permute(0, 2, 3, 1)
            if self.of.layout == "last":
                return cells
            output = output.clone()
            output[:, self.of.before : output.shape[1] - self.of.after] = cells.flatten(1, 2)
            return output

        return self.run(len(maps), put)


def token_references(name):
    network = Tokens(name)
    definitions = Definitions(network, network.x, SAMPLES)
    predicted = int(network.score(definitions.a[None])[0].argmax())
    classes = [predicted, network_files.other_class(predicted)]
    weights, maps, scales = zip(*(definitions.ablation_cam(c) for c in classes))
    out = {"classes": np.array(classes), "ablation_cam_weights": torch.stack(weights).numpy()}
    out |= {"ablation_cam_map": torch.stack(maps).numpy(), "ablation_cam_scale": torch.stack(scales).numpy()}
    out["ablation_cam_spread"] = np.abs(out["ablation_cam_weights"]).max(1)
    for method, kernel in zip(MAPS, (CELL, GAUSSIAN)):
        y = torch.stack([definitions.cells(c, kernel) for c in classes])
        least, most = y.amin((1, 2)), y.amax((1, 2))
        out[f"{method}_map"] = ((y - least[:, None, None]) / (most - least)[:, None, None]).numpy()
        out[f"{method}_scale"] = np.ones(len(classes))
        out[f"{method}_spread"] = ((most - least) / y.abs().amax((1, 2))).numpy()
    return out


def references(network, x, samples=SAMPLES):
    network.model.double()
    definitions = Definitions(network, x, samples)
    with torch.no_grad():
        predicted = int(network.score(network.features(x))[0].argmax())
    classes = [predicted, network_files.other_class(predicted)]
    out = {"classes": np.array(classes), "seed": np.array(SEED), "samples": np.array(samples)}
    for name in WEIGHTED:
        weights, maps, scales = zip(*(getattr(definitions, name)(c) for c in classes))
        out[f"{name}_weights"], out[f"{name}_map"] = torch.stack(weights).numpy(), torch.stack(maps).numpy()
        out[f"{name}_scale"] = torch.stack(scales).numpy()
    for name in MAPS + LARGE:
        maps = torch.stack([getattr(definitions, name)(c) for c in classes])
        out[f"{name}_scale"] = maps.abs().amax((1, 2)).numpy()
        out[f"{name}_map"] = (maps[:, ::SAMPLING, ::SAMPLING] if name in LARGE else maps).numpy()
    return out


def main(out=GOLDEN):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for name in NETWORKS:
        print(name, file=sys.stderr)
        network = networks.build(SMALL[name])
        save_npz(out / f"{name}.npz", **references(network, input_batch(*network.input_size)[:1].double()))
    (out / "tokens").mkdir(exist_ok=True)
    for name in make_tokens.NETWORKS:
        print(name, file=sys.stderr)
        with torch.no_grad():
            save_npz(out / "tokens" / f"{name}.npz", **token_references(name))


if __name__ == "__main__":
    main(*sys.argv[1:])
