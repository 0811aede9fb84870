"""Small networks of series [N, C, L] and of volumes [N, C, D, H, W], exported, with float64 maps.

    python references/make_ranks.py [OUT]

Writes {name}.{old,new}.onnx, {name}.npz and networks.json into crates/onnxcam/tests/golden/ranks; README.md says what is in
them. The target layer is a module's output, taken by a hook.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

import equations
import onnx_files
from arrays import save_npz
from make_golden import tidy

GOLDEN = Path(__file__).parent.parent / "crates" / "onnxcam" / "tests" / "golden" / "ranks"
CLASSES = 5
METHODS = ("grad_cam", "grad_cam_pp", "hirescam", "layercam", "xgrad_cam", "eigen_cam")


class Residual(nn.Module):
    """Two convolutions of any rank and a way around them."""

    def __init__(self, conv, norm, inputs, outputs, stride, act):
        super().__init__()
        self.a, self.norm_a = conv(inputs, outputs, 3, stride, 1, bias=False), norm(outputs)
        self.b, self.norm_b = conv(outputs, outputs, 3, 1, 1, bias=False), norm(outputs)
        self.around = conv(inputs, outputs, 1, stride, bias=False)
        self.act = act()

    def forward(self, x):
        y = self.act(self.norm_a(self.a(x)))
        return self.act(self.norm_b(self.b(y)) + self.around(x))


class Pooled(nn.Module):
    """Features, the mean of their cells, a linear layer."""

    def __init__(self, features, channels):
        super().__init__()
        self.features, self.head = features, nn.Linear(channels, CLASSES)

    def forward(self, x):
        return self.head(self.features(x).flatten(2).mean(2))


class Inception(nn.Module):
    """Convolutions of several lengths side by side, as in networks of time series."""

    def __init__(self, inputs, each):
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv1d(inputs, each, k, padding=k // 2, bias=False) for k in (3, 9, 19))
        self.pool = nn.Sequential(nn.MaxPool1d(3, 1, 1), nn.Conv1d(inputs, each, 1, bias=False))
        self.norm, self.act = nn.BatchNorm1d(4 * each), nn.ReLU()

    def forward(self, x):
        return self.act(self.norm(torch.cat([*(branch(x) for branch in self.branches), self.pool(x)], 1)))


def signal_inception():
    pool = nn.MaxPool1d(2)
    return Pooled(nn.Sequential(Inception(3, 4), pool, Inception(16, 4), pool, Inception(16, 5)), 20)


def signal_resnet():
    blocks = [Residual(nn.Conv1d, nn.BatchNorm1d, i, o, 2, nn.SiLU) for i, o in ((2, 8), (8, 12), (12, 16))]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(64, 24), nn.GELU(), nn.Linear(24, CLASSES))


def video_resnet():
    stem = nn.Sequential(
        nn.Conv3d(3, 6, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False), nn.BatchNorm3d(6), nn.ReLU(),
        nn.Conv3d(6, 8, (3, 1, 1), 1, (1, 0, 0), bias=False), nn.BatchNorm3d(8), nn.ReLU(),
    )  # fmt: skip
    return Pooled(nn.Sequential(stem, Residual(nn.Conv3d, nn.BatchNorm3d, 8, 12, 2, nn.ReLU)), 12)


def ct_vgg():
    return nn.Sequential(
        nn.Conv3d(1, 6, 3, padding=1), nn.GroupNorm(2, 6), nn.ReLU(), nn.MaxPool3d(2),
        nn.Conv3d(6, 10, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2),
        nn.Conv3d(10, 12, 3, padding=1), nn.ReLU(), nn.AvgPool3d(2),
        nn.Flatten(), nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, CLASSES),
    )  # fmt: skip


# name -> network, the module that makes the target layer, its grid, the shape of an input, whether CAM is defined
NETWORKS = {
    "signal_inception": (signal_inception, "features.4", (24,), (3, 96), True),
    "signal_resnet": (signal_resnet, "2", (12,), (2, 96), False),
    "video_resnet": (video_resnet, "features.1", (3, 4, 5), (3, 6, 16, 20), True),
    "ct_vgg": (ct_vgg, "8", (2, 4, 2), (1, 8, 16, 8), False),
}


def enliven(model, x):
    """Statistics from the inputs, layers of unit variance, and logits that spread by about 4."""
    model.double()
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.weight.data.uniform_(0.6, 1.4)
        norm.bias.data.normal_(0, 0.2)
        norm.momentum = None

    def to_unit_variance(layer, _, output):
        factor = 1 / output.std()
        layer.weight.data.mul_(factor)
        if layer.bias is not None:
            layer.bias.data.mul_(factor)
        return output * factor

    layers = [m for m in model.modules() if isinstance(m, (nn.Conv1d, nn.Conv3d, nn.Linear))]
    hooks = [layer.register_forward_hook(to_unit_variance) for layer in layers]
    with torch.no_grad():
        model.train()(x)
        for hook in hooks:
            hook.remove()
        spread = model.eval()(x).std(1).mean()
        layers[-1].weight.mul_(2.0 ** torch.round(torch.log2(4 / spread)))
    return model.float().eval()


def arrays(model, module, grid, x, cam):
    model.double()
    seen = []
    hook = model.get_submodule(module).register_forward_hook(lambda module, inputs, output: seen.append(output))
    logits = model(x.double().requires_grad_())
    hook.remove()
    (layer,) = seen
    assert layer.shape[2:] == grid, tuple(layer.shape)
    predicted = int(logits[0].argmax())
    classes = [predicted, (predicted + 2) % CLASSES]
    found = {"input": x.numpy(), "logits": logits.detach().numpy(), "classes": np.array(classes)}
    # All cells in one row: the papers' sums over rows and columns are sums over all axes of space.
    a = layer.detach().flatten(2)[:, :, None]
    gradients = [torch.autograd.grad(logits[:, c].sum(), layer, retain_graph=True)[0] for c in classes]
    weights = {m: [getattr(equations, f"{m}_weights")(a, g.flatten(2)[:, :, None]) for g in gradients] for m in METHODS}
    if cam:
        weights["cam"] = [model.head.weight.detach()[c].expand(len(x), -1) for c in classes]
    for method, of_classes in weights.items():
        maps, scales = zip(*(equations.weighted_sum(w, a) for w in of_classes))
        found[f"{method}_signed"] = torch.stack([m.reshape(len(x), *grid) for m in maps]).numpy()
        found[f"{method}_scale"] = torch.stack(scales).numpy()
    return found


def main(out=GOLDEN):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    described = []
    for name, (make, module, grid, shape, cam) in NETWORKS.items():
        torch.manual_seed(3)
        model, x = make(), torch.randn(2, *shape)
        enliven(model, torch.randn(8, *shape).double())
        for exporter in onnx_files.EXPORTERS:
            path = str(out / f"{name}.{exporter}.onnx")
            onnx_files.export(model, x, path, exporter)
            tidy(path)
        reference = arrays(model, module, grid, x, cam)
        for exporter in onnx_files.EXPORTERS:
            found = onnx_files.run(str(out / f"{name}.{exporter}.onnx"), x)
            assert abs(found - reference["logits"]).max() <= 1e-3 * abs(reference["logits"]).max(), name
        save_npz(out / f"{name}.npz", **reference)
        described.append({"name": name, "module": module, "grid": grid, "cam": cam})
    (out / "networks.json").write_text(json.dumps(described, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
