"""Guided backpropagation, deconvnet, their products with maps, and FullGrad, in float64, of the small networks and of EfficientNet-Lite0.

    python references/make_pixels.py [OUT]

Writes {name}.npz into crates/onnxcam/tests/golden/pixels; README.md says what is in them. The networks and their inputs are
those of make_golden.py and make_lite.py.
"""

import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

import equations
import networks
from arrays import save_npz
from make_lite import centre, normalised
from pictures import input_batch, photograph
from small_networks import SMALL

GOLDEN = Path(__file__).parent.parent / "crates" / "onnxcam" / "tests" / "golden" / "pixels"
# Every how many pixels samples are kept: prime to all strides, so that every phase is met.
SAMPLING = 5
SAMPLING_LITE = 9

# Networks with something besides ReLU, pooling and linear layers: there biases and picture do not add up to the score.
OTHERS = ("caffenet", "mobilenet_v2", "mobilenet_v3", "efficientnet", "efficientnet_lite", "regnet", "efficientnet_lite0")

# Everything that PyTorch calls an activation and that is not a mere gate.
ACTIVATIONS = {
    F.relu, torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_, F.relu6, F.hardtanh, F.leaky_relu, F.elu,
    F.prelu, F.silu, F.hardswish, F.gelu, F.mish,
}


class Ruled(torch.autograd.Function):
    """y = f(x) that sends back relu(dy) f'(x), or relu(dy)."""

    @staticmethod
    def forward(ctx, x, f, rule):
        ctx.save_for_backward(x)
        ctx.f, ctx.rule = f, rule
        return f(x)

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        rectified = dy.clamp(min=0)
        if ctx.rule == "deconvnet":
            return rectified, None, None
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(ctx.f(x).sum(), x)
        return rectified * slope, None, None


class Rule(TorchFunctionMode):
    """Within it, every activation sends back what the rule says."""

    def __init__(self, rule):
        super().__init__()
        self.rule = rule

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function not in ACTIVATIONS:
            return function(*args, **kwargs)
        kwargs.pop("inplace", None)
        function = {torch.relu_: torch.relu, torch.Tensor.relu_: torch.relu}.get(function, function)
        x, *rest = args if args else (kwargs.pop("input"),)
        return Ruled.apply(x, lambda x: function(x, *rest, **kwargs), self.rule)


def at_pixels(network, x, c, rule):
    """dS_c/dx by the rule, [N, 3, H, W]."""
    x = x.double().requires_grad_()
    with Rule(rule):
        scores = network.score(network.features(x))
    return torch.autograd.grad(scores[:, c].sum(), x)[0]


def effective_bias(module):
    """b of a layer that adds it to every cell of its output, [C], or None."""
    if isinstance(module, nn.BatchNorm2d):
        return module.bias - module.running_mean * module.weight / torch.sqrt(module.running_var + module.eps)
    return module.bias if isinstance(module, (nn.Conv2d, nn.Linear)) else None


def psi(m, size):
    """Srinivas and Fleuret 2019: |m| from 0 to 1 in each channel, up-sampled. [N, C, h, w] -> [N, C, H, W]"""
    m = m.abs()
    low, high = m.amin((2, 3), keepdim=True), m.amax((2, 3), keepdim=True)
    m = torch.where(high > low, (m - low) / (high - low), 0)
    return F.interpolate(m, size, mode="bilinear", align_corners=False)


def full_grad(network, x, c):
    """The map of FullGrad, [N, H, W], and whether its parts add up to the score."""
    biased = []

    def keep(module, _, output):
        biased.append((effective_bias(module), output))
        return output.clone()  # What comes behind may write over it.

    layers = [m for m in network.model.modules() if effective_bias(m) is not None]
    handles = [m.register_forward_hook(keep) for m in layers]
    x = x.double().requires_grad_()
    score = network.score(network.features(x))[:, c]
    for handle in handles:
        handle.remove()
    dx, *gradients = torch.autograd.grad(score.sum(), [x] + [output for _, output in biased])
    products = [x * dx] + [b.view(-1, *[1] * (g.ndim - 2)) * g for (b, _), g in zip(biased, gradients)]
    complete = sum(p.flatten(1).sum(1) for p in products)
    maps = [psi(p, x.shape[2:]).sum(1) for p in products if p.ndim == 4]
    return sum(maps).detach(), torch.allclose(complete, score, rtol=1e-9, atol=1e-9)


def references(network, x, c, sampling):
    network.model.double()
    a = network.features(x.double()).detach().requires_grad_()
    (g,) = torch.autograd.grad(network.score(a)[:, c].sum(), a)
    a = a.detach()
    guided = at_pixels(network, x, c, "guided")
    out = {"class": torch.as_tensor(c), "guided": guided, "deconvnet": at_pixels(network, x, c, "deconvnet")}
    weights = {"grad_cam": equations.grad_cam_weights(a, g), "grad_cam_pp": equations.grad_cam_pp_weights(a, g)}
    for method, w in weights.items():
        signed, _ = equations.weighted_sum(w, a)
        up = F.interpolate(signed.clamp(min=0)[:, None], x.shape[2:], mode="bilinear", align_corners=False)
        out[f"guided_{method}"] = up * guided
    out["full_grad"], complete = full_grad(network, x, c)
    assert complete or network.name in OTHERS, f"{network.name}: FullGrad's parts are not the score"
    cut = {name: t[..., ::sampling, ::sampling].float() if t.ndim else t for name, t in out.items()}
    return {name: tensor.detach().numpy() for name, tensor in cut.items()}


def predicted(network, x):
    with torch.no_grad():
        return int(network.model.double()(x.double())[0].argmax())


def main(out=GOLDEN):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for name, make in SMALL.items():
        network = networks.build(make)
        x = input_batch(*network.input_size)
        save_npz(out / f"{network.name}.npz", **references(network, x, predicted(network, x), SAMPLING))
    lite = networks.trained_efficientnet_lite(0)
    for name in ("chelsea", "coffee"):
        x = normalised(centre(photograph(name), lite.input_size[0]))
        save_npz(out / f"lite0.{name}.npz", **references(lite, x, predicted(lite, x), SAMPLING_LITE))


if __name__ == "__main__":
    main(*sys.argv[1:])
