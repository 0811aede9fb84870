"""The independent route: PyTorch's autograd in float64, at the tensor that equals the one onnxcam chose."""

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

import equations

METHODS = {"grad-cam": equations.grad_cam_weights, "grad-cam++": equations.grad_cam_pp_weights}

# How far from the wanted values, relative to their largest, a tensor may be.
SAME = 1e-3


# Orders of the axes in which PyTorch may hold what the file holds: channels first or last, tokens before pictures.
ORDERS = {3: [(0, 1, 2), (1, 0, 2), (0, 2, 1)], 4: [(0, 1, 2, 3), (0, 3, 1, 2), (0, 2, 3, 1)]}


class Cuts(TorchFunctionMode):
    """While a network runs, finds the results that equal one of the wanted arrays, in any of ORDERS, and cuts there.

    `found[i]` lists (tensor, order) for the i-th array. The network goes on with a copy, so that what it does in place
    leaves the tensor as it was.
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
        if not isinstance(result, torch.Tensor) or not result.requires_grad:
            return result
        pairs = [(wanted, found) for wanted, found in zip(self.wanted, self.found) if wanted.numel() == result.numel()]
        orders = ORDERS.get(result.dim(), [])
        equal = [(found, order) for wanted, found in pairs for order in orders if same(result, wanted, order)]
        if not equal:
            return result
        cut = result.clone()
        for found, order in equal:
            found.append((cut, order))
        return cut.clone()


def same(result, wanted, order):
    """Whether a tensor with its axes in this order holds the wanted values."""
    values = result.detach().permute(order)
    return values.shape == wanted.shape and bool((values - wanted).abs().max() <= SAME * wanted.abs().max())


def prefix_tokens(model):
    """How many class and register tokens the model says to have before its patches."""
    names = ("cls_token", "dist_token", "class_token", "cls_token4")  # The last is CoaT's, which has one a stage.
    tokens = [getattr(model, name, None) for name in names]
    named = sum(token.shape[1] for token in tokens if isinstance(token, torch.Tensor))  # [1, tokens, K]
    if any(type(module).__name__ == "AttentionPool2d" for module in model.modules()):
        return 1  # The mean of the cells, put before them.
    return getattr(model, "num_prefix_tokens", named)


def feature_maps(tensor, grid, prefix):
    """A layer's value in the file's form, [1, K, h, w], [1, h, w, K], [1, T, K], [1, 1, T, K] or [1, K, T], as [1, K, h, w].

    T is `prefix` class and register tokens, or none of them, and the cells row by row. None where it is of another form.
    """
    height, width = grid
    if tensor.dim() == 4:
        if tensor.shape[2:] == grid:
            return tensor
        if tensor.shape[1:3] == grid:
            return tensor.permute(0, 3, 1, 2)
        tensor = tensor.squeeze(1)  # One window.
    for extra in (prefix, 0):
        for tokens in (tensor, tensor.transpose(1, 2)):
            if tokens.dim() == 3 and tokens.shape[1] == extra + height * width:
                return tokens[:, extra:].unflatten(1, grid).permute(0, 3, 1, 2)
    return None


def references(model, x, layers, grids, classes):
    """Logits [classes], and for each layer and class a list of {method: (map, scale)}, one for each equal tensor.

    Maps [h, w] are before the relu. `model` is left in float64. x float32 [1, 3, H, W]; layers: arrays as the file has
    them, `grids` their cells (h, w).
    """
    model.double()
    cuts = Cuts(layers)
    with cuts:
        # The network works in place: not on a leaf.
        logits = model(x.double().requires_grad_() * 1.0)
    prefix = prefix_tokens(model)
    found = zip(cuts.found, grids, classes)
    maps = [[candidate(logits[0, c], *cut, grid, prefix) for cut in cuts] for cuts, grid, c in found]
    return logits[0].detach().numpy(), maps


def candidate(score, cut, order, grid, prefix):
    """{method: (map, scale)} for one tensor of the network, or {} where the score does not depend on it."""
    (g,) = torch.autograd.grad(score, cut, retain_graph=True, allow_unused=True)
    if g is None:
        return {}
    a, g = (feature_maps(tensor.permute(order), grid, prefix) for tensor in (cut.detach(), g))
    if a is None:
        return {}
    sums = {method: equations.weighted_sum(weights(a, g), a) for method, weights in METHODS.items()}
    return {method: (signed[0].numpy(), float(scale[0])) for method, (signed, scale) in sums.items()}


def error(map, reference, scale):
    """The largest difference, relative to max_ij sum_k |w_k A_k|."""
    return float(np.abs(map.astype(np.float64) - reference).max() / scale)
