"""CAM, Grad-CAM and Grad-CAM++ as the paper has them, with autograd in float64.

S is the class score (a logit), A [N, K, h, w] the feature maps, g = dS/dA.
"""

import torch


def grad_cam_weights(a, g):
    """Eq. 4: w_k = mean_ij g. [N, K]"""
    return g.mean((2, 3))


def grad_cam_pp_weights(a, g):
    """Eq. 5 and 9 with Y = exp(S), the factor exp(S) left out.

    alpha = g^2 / (2 g^2 + (sum A) g^3) = 1 / (2 + g sum A) where g > 0, else 0; sum A is taken as max(sum A, 0).
    w_k = sum_ij alpha relu(g). [N, K]
    """
    total = a.sum((2, 3), keepdim=True).clamp(min=0)
    positive = g.clamp(min=0)
    return (positive / (2 + positive * total)).sum((2, 3))


def weighted_sum(weights, a):
    """The map before any relu, and the scale that errors are measured against.

    weights [N, K] -> sum_k w_k A_k [N, h, w], max_ij sum_k |w_k A_k| [N]
    """
    terms = weights[:, :, None, None] * a
    return terms.sum(1), terms.abs().sum(1).amax((1, 2))


def references(features, score, x, classes, cam_matrix=None):
    """Everything a test needs, for input x [N, ...] and every class in `classes` [C].

    `features` maps x to A, `score` maps A to logits [N, classes]; both in float64. `cam_matrix` [classes, K] holds the
    weights of the linear head that global average pooling joins to A, where there is one.
    Returns numpy arrays; the keys are described in README.md.
    """
    x = x.double().requires_grad_()
    a = features(x)
    logits = score(a)
    sums = [logits[:, c].sum() for c in classes]
    gradients, input_gradients = zip(*(torch.autograd.grad(s, (a, x), retain_graph=True) for s in sums))
    a = a.detach()
    methods = {
        "grad_cam": [grad_cam_weights(a, g) for g in gradients],
        "grad_cam_pp": [grad_cam_pp_weights(a, g) for g in gradients],
    }
    if cam_matrix is not None:
        methods["cam"] = [cam_matrix[c].double().expand(len(x), -1) for c in classes]

    out = {
        "logits": logits.detach(),
        "classes": torch.as_tensor(classes),
        "features": a,
        "gradient": torch.stack(gradients),
        "input_gradient": torch.stack(input_gradients),
    }
    for method, weights in methods.items():
        maps, scales = zip(*(weighted_sum(w, a) for w in weights))
        signed = torch.stack(maps)
        out[f"{method}_weights"] = torch.stack(weights)
        out[f"{method}_signed"] = signed
        if method != "cam":
            out[f"{method}_map"] = signed.clamp(min=0)
        out[f"{method}_scale"] = torch.stack(scales)
    return {name: tensor.detach().numpy() for name, tensor in out.items()}
