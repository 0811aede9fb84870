"""CAM, Grad-CAM, Grad-CAM++ and their family as the papers have them, with autograd in float64.

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


def grad_cam_pp_no_relu_weights(a, g):
    """Eq. 13: w_k = sum_ij alpha g, alpha = g^2 / (2 g^2 + (sum A) g^3), 0 where the denominator is 0. [N, K]"""
    denominator = 2 * g**2 + a.sum((2, 3), keepdim=True) * g**3
    alpha = torch.where(denominator != 0, g**2 / denominator, 0)
    return (alpha * g).sum((2, 3))


def grad_cam_plus_weights(a, g):
    """Lerma and Lucas 2022: w_k = mean_ij relu(g). [N, K]"""
    return g.clamp(min=0).mean((2, 3))


def hirescam_weights(a, g):
    """Draelos and Carin 2020: the gradient itself, cell by cell; no relu follows. [N, K, h, w]"""
    return g


def layercam_weights(a, g):
    """Jiang et al. 2021: w_kij = relu(g_kij). [N, K, h, w]"""
    return g.clamp(min=0)


def xgrad_cam_weights(a, g):
    """Fu et al. 2020: w_k = sum_ij A_kij / (sum_ab A_kab) g_kij; 0 where sum A is 0. [N, K]"""
    total = a.sum((2, 3), keepdim=True)
    return (torch.where(total != 0, a / total, 0) * g).sum((2, 3))


def grad_cam_elementwise_weights(a, g):
    """Pillai and Pirsiavash 2021: the map is sum_k relu(g A), so that the weights are g where g A > 0. [N, K, h, w]"""
    return torch.where(g * a > 0, g, 0)


def first_singular_vector(m):
    """V_1 of m [N, K, h, w] as a matrix of cells and channels, its sign such that its sum is not negative. [N, K]"""
    _, _, vh = torch.linalg.svd(m.flatten(2).transpose(1, 2), full_matrices=False)
    v = vh[:, 0]
    return torch.where(v.sum(1, keepdim=True) < 0, -v, v)


def eigen_cam_weights(a, g):
    """Muhammad and Yeasin 2020: the map is A V_1. [N, K]"""
    return first_singular_vector(a)


def eigen_grad_cam_weights(a, g):
    """The map is M V_1 for M = g A. [N, K, h, w]"""
    return first_singular_vector(g * a)[:, :, None, None] * g


def shapley_cam_weights(a, g, h_a):
    """Cai 2025: w_k = mean_ij (g - H A / 2), H the second derivative of the score. [N, K]"""
    return (g - h_a / 2).mean((2, 3))


def kpca_cam_map(a, g):
    """Karmani et al. 2024: the cells' first coordinate of kernel PCA, k(x, y) = tanh(x y / K + 1), cells less their mean.

    A [N, K, h, w] -> sqrt(lambda_1) u_1 [N, h, w], its sign such that its product with sum_k A_k is not negative.
    """
    x = a.flatten(2).transpose(1, 2)  # [N, Z, K]
    x = x - x.mean(1, keepdim=True)
    k = torch.tanh(x @ x.transpose(1, 2) / x.shape[-1] + 1)
    centre = torch.eye(x.shape[1], dtype=a.dtype) - 1 / x.shape[1]
    values, vectors = torch.linalg.eigh(centre @ k @ centre)
    found = vectors[:, :, -1] * values[:, -1:].clamp(min=0).sqrt()
    agrees = (found * a.sum(1).flatten(1)).sum(1, keepdim=True) >= 0
    return torch.where(agrees, found, -found).unflatten(1, a.shape[2:])


def nearest_classes(scores, c):
    """The three classes whose scores are nearest to that of class c: [classes] -> 3 or fewer numbers."""
    order = (scores - scores[c]).abs().argsort(stable=True).tolist()
    return [d for d in order if d != c][:3]


def finer_cam_weights(a, scores, c):
    """Zhang et al. 2025: w_k = mean_ij of the mean over similar classes d of d(S_c - S_d)/dA, class by class. [N, K]"""
    out = []
    for i, row in enumerate(scores):
        gradients = [torch.autograd.grad(row[c] - row[d], a, retain_graph=True)[0][i] for d in nearest_classes(row, c)]
        out.append(torch.stack([g.mean((1, 2)) for g in gradients]).mean(0))
    return torch.stack(out)


def finer_cam_authors_weights(a, scores, c):
    """FinerWeightedTarget of Imageomics/Finer-CAM and pytorch-grad-cam 1.5.7, without its 1e-9. [N, K]"""
    out = []
    for i, row in enumerate(scores):
        near = nearest_classes(row, c)
        p = torch.softmax(row, 0)[near]
        target = (p * (row[c] - row[near])).sum() / p.sum()
        out.append(torch.autograd.grad(target, a, retain_graph=True)[0][i].mean((1, 2)))
    return torch.stack(out)


def grad_cam_pp_literal_weights(a, g):
    """Eq. 5 and 9 to the letter: sum A is not clamped; alpha is 0 where g <= 0 or the denominator is 0. [N, K]"""
    denominator = 2 * g**2 + a.sum((2, 3), keepdim=True) * g**3
    alpha = torch.where((g > 0) & (denominator != 0), g**2 / denominator, 0)
    return (alpha * g.clamp(min=0)).sum((2, 3))


def grad_cam_pp_authors_weights(a, g):
    """adityac94/Grad_CAM_plus_plus, misc/utils.py, commit 65653fe, without exp(S), which all weights share. [N, K]"""
    denominator = 2 * g**2 + a.sum((2, 3), keepdim=True) * g**3
    alpha = g**2 / torch.where(denominator != 0, denominator, 1)
    positive = g.clamp(min=0)
    total = torch.where(positive != 0, alpha, 0).sum((2, 3), keepdim=True)
    return (positive * alpha / torch.where(total != 0, total, 1)).sum((2, 3))


def grad_cam_pp_pytorch_grad_cam_weights(a, g):
    """pytorch-grad-cam 1.5.7, grad_cam_plusplus.py. [N, K]"""
    alpha = g**2 / (2 * g**2 + a.sum((2, 3), keepdim=True) * g**3 + 1e-6)
    return (g.clamp(min=0) * torch.where(g != 0, alpha, 0)).sum((2, 3))


def grad_cam_pp_torch_cam_weights(a, g):
    """torch-cam 0.5.0, methods/gradient.py: the division does not reach alpha, which stays g^2. [N, K]"""
    return (g**2 * g.clamp(min=0)).sum((2, 3))


def grad_cam_pp_tf_keras_vis_weights(a, g):
    """tf-keras-vis 0.8.7, gradcam_plus_plus.py, without exp(S), which all weights share. [N, K]"""
    second = g**2
    denominator = 2 * second + a.sum((2, 3), keepdim=True) * g**3
    alpha = second / (denominator + (second == 0))
    total = alpha.sum((2, 3), keepdim=True)
    return (g.clamp(min=0) * alpha / (total + (total == 0))).sum((2, 3))


def grad_cam_pp_xplique_weights(a, g):
    """Xplique 2.0.2, attributions/grad_cam_pp.py. [N, K]"""
    denominator = 2 * g**2 + a.mean((2, 3), keepdim=True) * g**3
    return (g**2 / (denominator + (denominator == 0) * 1e-4) * g.clamp(min=0)).mean((2, 3))


# Methods of feature maps and one gradient, besides the paper's: weights [N, K] or [N, K, h, w] by (a, g).
FAMILY = {
    "grad_cam_pp_no_relu": grad_cam_pp_no_relu_weights,
    "grad_cam_plus": grad_cam_plus_weights,
    "hirescam": hirescam_weights,
    "layercam": layercam_weights,
    "xgrad_cam": xgrad_cam_weights,
    "grad_cam_elementwise": grad_cam_elementwise_weights,
    "eigen_cam": eigen_cam_weights,
    "eigen_grad_cam": eigen_grad_cam_weights,
}

# Those whose maps are no weighted sums: maps [N, h, w] by (a, g).
MAPS = {"kpca_cam": kpca_cam_map}

# Those of differences to similar classes: weights [N, K] by (a, scores of a, class).
FINER = {"finer_cam": finer_cam_weights, "finer_cam_authors": finer_cam_authors_weights}

# What goes by the name of Grad-CAM++: keys are grad_cam_pp_{variant}.
VARIANTS = {
    "grad_cam_pp_literal": grad_cam_pp_literal_weights,
    "grad_cam_pp_authors": grad_cam_pp_authors_weights,
    "grad_cam_pp_pytorch_grad_cam": grad_cam_pp_pytorch_grad_cam_weights,
    "grad_cam_pp_torch_cam": grad_cam_pp_torch_cam_weights,
    "grad_cam_pp_tf_keras_vis": grad_cam_pp_tf_keras_vis_weights,
    "grad_cam_pp_xplique": grad_cam_pp_xplique_weights,
}


def weighted_sum(weights, a):
    """The map before any relu, and the scale that errors are measured against.

    weights [N, K] or [N, K, h, w] -> sum_k w_k A_k [N, h, w], max_ij sum_k |w_k A_k| [N]
    """
    terms = (weights if weights.ndim == 4 else weights[:, :, None, None]) * a
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
