"""The independent route: PyTorch's autograd in float64, at the tensor that equals the one onnxcam chose."""

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

import equations

METHODS = {"grad-cam": equations.grad_cam_weights, "grad-cam++": equations.grad_cam_pp_weights}

# How far from the wanted values, relative to their largest, a tensor may be.
SAME = 1e-3


class Cuts(TorchFunctionMode):
    """While a network runs, finds the results that equal one of the wanted arrays [1, K, h, w], and cuts there.

    `found[i]` lists (tensor, channels_last) for the i-th array. The network goes on with a copy, so that what it does in
    place leaves the tensor as it was.
    """

    def __init__(self, wanted):
        super().__init__()
        self.wanted = [torch.from_numpy(array).double() for array in wanted]
        self.found = [[] for _ in wanted]

    def __torch_function__(self, function, types, args=(), kwargs=None):
        return self.look(function(*args, **(kwargs or {})))

    def look(self, result):
        if type(result) in (tuple, list):
            return type(result)(self.look(part) for part in result)
        if not isinstance(result, torch.Tensor) or result.dim() != 4 or not result.requires_grad:
            return result
        pairs = [(wanted, found, last) for wanted, found in zip(self.wanted, self.found) for last in (False, True)]
        equal = [(found, last) for wanted, found, last in pairs if same(result, wanted, last)]
        if not equal:
            return result
        cut = result.clone()
        for found, channels_last in equal:
            found.append((cut, channels_last))
        return cut.clone()


def same(result, wanted, channels_last):
    """Whether a tensor [N, K, h, w], or [N, h, w, K], holds the wanted values."""
    values = to_channels_first(result.detach(), channels_last)
    return values.shape == wanted.shape and bool((values - wanted).abs().max() <= SAME * wanted.abs().max())


def to_channels_first(tensor, channels_last):
    return tensor.permute(0, 3, 1, 2) if channels_last else tensor


def references(model, x, layers, classes):
    """Logits [classes], and for each layer and class a list of {method: (map, scale)}, one for each equal tensor.

    Maps [h, w] are before the relu. `model` is left in float64. x float32 [1, 3, H, W], layers: arrays [1, K, h, w].
    """
    model.double()
    cuts = Cuts(layers)
    with cuts:
        # The network works in place: not on a leaf.
        logits = model(x.double().requires_grad_() * 1.0)
    maps = [[candidate(logits[0, c], *cut) for cut in found] for found, c in zip(cuts.found, classes)]
    return logits[0].detach().numpy(), maps


def candidate(score, cut, channels_last):
    """{method: (map, scale)} for one tensor of the network, or {} where the score does not depend on it."""
    (g,) = torch.autograd.grad(score, cut, retain_graph=True, allow_unused=True)
    if g is None:
        return {}
    a, g = (to_channels_first(tensor, channels_last) for tensor in (cut.detach(), g))
    sums = {method: equations.weighted_sum(weights(a, g), a) for method, weights in METHODS.items()}
    return {method: (signed[0].numpy(), float(scale[0])) for method, (signed, scale) in sums.items()}


def error(map, reference, scale):
    """The largest difference, relative to max_ij sum_k |w_k A_k|."""
    return float(np.abs(map.astype(np.float64) - reference).max() / scale)
