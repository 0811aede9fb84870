"""Small transformers, hybrids and networks with channels last, exported, with float64 references.

    python references/make_tokens.py [OUT]

Writes {name}.{old,new}.onnx, {name}.npz, input.npy and networks.json into crates/onnxcam/tests/golden/tokens; README.md
says what is in them. Inputs are 64 x 96: a grid whose rows and columns are mistaken for each other is another one.

The target layer is a module's output, taken by a hook; how it becomes feature maps [N, K, h, w] is written down here, not
read from a graph: the module's own grid, and how many class and register tokens stand before and behind it.
"""

import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Callable

import numpy as np
import torch
from timm.models import cait, deit, maxxvit, mambaout, mlp_mixer, pit, vision_transformer, xcit
from torch import nn
from torch.nn import functional as F
from torchvision.models import swin_transformer

import equations
import network_files
import onnx_files
from arrays import save_npy, save_npz
from make_golden import tidy
from networks import Network, warm_up
from pictures import input_batch

GOLDEN = Path(__file__).parent.parent / "crates" / "onnxcam" / "tests" / "golden" / "tokens"
SIZE = (64, 96)
CLASSES = 10


@dataclass
class Tokens:
    """A classifier, and its target layer: `module`'s output, of `layout`.

    - tokens: [N, before + h w + after, K]
    - last: [N, h, w, K]
    - first: [N, K, h, w]
    """

    make: Callable[[], nn.Module]
    module: str
    grid: tuple[int, int]
    layout: str = "tokens"
    before: int = 0
    after: int = 0
    last: str = "head"
    cam: bool = False
    # What the older exporter writes of windows is some hundred kilobytes of shape arithmetic. (The newer one picks what it
    # has pooled out one by one, which is a Reshape.)
    exporters: tuple[str, ...] = onnx_files.EXPORTERS


class Pixels(nn.Module):
    """A transformer without a convolution: patches are cut by reshaping and made tokens by a linear layer. Its registers
    stand behind the patches, its head takes the mean of the patches."""

    def __init__(self, patch=16, width=16, registers=2):
        super().__init__()
        self.patch, self.registers = patch, registers
        self.embed = nn.Linear(3 * patch * patch // 16, width)
        self.position = nn.Parameter(torch.randn(1, 24, width) * 0.3)
        self.register = nn.Parameter(torch.randn(1, registers, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.qkv = nn.ModuleList(nn.Linear(width, 3 * width) for _ in range(3))
        self.project = nn.ModuleList(nn.Linear(width, width) for _ in range(3))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x):
        x = F.avg_pool2d(x, 4)
        n, c, height, width = x.shape
        p = self.patch // 4
        x = x.reshape(n, c, height // p, p, width // p, p).permute(0, 2, 4, 3, 5, 1).reshape(n, -1, p * p * c)
        x = self.embed(x) + self.position
        x = torch.cat([x, self.register.expand(n, -1, -1)], 1)
        for norm, qkv, project in zip(self.norms, self.qkv, self.project):
            q, k, v = qkv(norm(x)).chunk(3, -1)
            x = x + project(F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0])
        return self.head(self.norm(x)[:, : -self.registers].mean(1))


class Convolutional(nn.Module):
    """A hybrid: a convolutional stem, attention over its cells, and a convolution in the form of a picture again."""

    def __init__(self, width=16):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 4, 4), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, width, 2, 2), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.act = nn.ReLU()
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x):
        x = self.stem(x)
        n, c, height, width = x.shape
        tokens = x.flatten(2).transpose(1, 2)
        normed = self.norm(tokens)
        tokens = tokens + self.attention(normed, normed, normed, need_weights=False)[0]
        x = tokens.transpose(1, 2).reshape(n, c, height, width)
        return self.head(self.act(self.conv(x)).mean((2, 3)))


def vit(**options):
    kinds = {"patch_size": 16, "embed_dim": 12, "depth": 2, "num_heads": 2, "mlp_ratio": 2, "num_classes": CLASSES}
    return vision_transformer.VisionTransformer(img_size=SIZE, **kinds | options)


def swin(**options):
    kinds = {"patch_size": [8, 8], "embed_dim": 8, "depths": [2, 2], "num_heads": [2, 2], "window_size": [2, 2]}
    return swin_transformer.SwinTransformer(**kinds, mlp_ratio=2, num_classes=CLASSES, stochastic_depth_prob=0, **options)


def swin_v2():
    block, merging = swin_transformer.SwinTransformerBlockV2, swin_transformer.PatchMergingV2
    return swin(block=block, downsample_layer=merging)


def maxxvit_of(kinds, window):
    attention = maxxvit.MaxxVitTransformerCfg(dim_head=8, window_size=window, grid_size=window)
    config = maxxvit.MaxxVitCfg(embed_dim=(8, 8), depths=(1, 1), block_type=kinds, stem_width=8, transformer_cfg=attention)
    return maxxvit.MaxxVit(config, img_size=SIZE, num_classes=CLASSES)


def pooling_vit():
    return pit.PoolingVisionTransformer(
        img_size=SIZE, patch_size=16, stride=8, stem_type="overlap", base_dims=(8, 8), depth=(1, 2), heads=(1, 2), mlp_ratio=2,
        num_classes=CLASSES,
    )  # fmt: skip


NETWORKS = {
    "vit_registers": Tokens(
        partial(vit, reg_tokens=3), "blocks.1.norm1", (4, 6), before=4, exporters=(*onnx_files.EXPORTERS, "new-opset23")
    ),
    "vit_mean": Tokens(
        partial(vit, class_token=False, global_pool="avg", fc_norm=False), "norm", (4, 6), cam=True
    ),
    "vit_attention_pool": Tokens(partial(vit, class_token=False, global_pool="map"), "norm", (4, 6)),
    "deit_distilled": Tokens(
        lambda: deit.VisionTransformerDistilled(
            img_size=SIZE, patch_size=16, embed_dim=12, depth=2, num_heads=2, mlp_ratio=2, num_classes=CLASSES
        ),
        "blocks.1.norm1", (4, 6), before=2,
    ),  # fmt: skip
    "pixels": Tokens(Pixels, "norm", (4, 6), after=2, cam=True, exporters=(*onnx_files.EXPORTERS, "new-opset23")),
    "hybrid": Tokens(Convolutional, "act", (8, 12), layout="first", cam=True),
    "swin": Tokens(swin, "norm", (4, 6), layout="last", cam=True, exporters=("new",)),
    "swin_v2": Tokens(swin_v2, "norm", (4, 6), layout="last", cam=True, exporters=("new",)),
    "maxvit": Tokens(
        lambda: maxxvit_of(("C", "M"), (2, 2)),
        "norm", (8, 12), layout="first", last="head.fc", cam=True, exporters=("new",),
    ),  # fmt: skip
    "coatnet": Tokens(
        lambda: maxxvit_of(("C", "T"), None), "norm", (8, 12), layout="first", last="head.fc", cam=True
    ),
    "pit": Tokens(pooling_vit, "transformers.1.blocks.1.norm1", (4, 6), before=1),
    "cait": Tokens(
        lambda: cait.Cait(
            img_size=SIZE, patch_size=16, embed_dim=8, depth=2, num_heads=2, mlp_ratio=2, depth_token_only=2, num_classes=CLASSES
        ),
        "blocks.1", (4, 6),
    ),  # fmt: skip
    "xcit": Tokens(
        lambda: xcit.Xcit(img_size=SIZE, patch_size=16, embed_dim=8, depth=2, num_heads=2, mlp_ratio=2, num_classes=CLASSES),
        "cls_attn_blocks.1.norm1", (4, 6), before=1,
    ),  # fmt: skip
    "mixer": Tokens(
        lambda: mlp_mixer.MlpMixer(num_classes=CLASSES, img_size=SIZE, patch_size=16, num_blocks=2, embed_dim=12),
        "norm", (4, 6), cam=True,
    ),  # fmt: skip
    "mambaout": Tokens(
        lambda: mambaout.MambaOut(num_classes=CLASSES, depths=(1, 1), dims=(12, 16), kernel_size=3),
        "stages.1.blocks.0", (8, 12), layout="last", last="head.fc",
    ),  # fmt: skip
}


def feature_maps(tensor, of):
    """A module's output as [N, K, h, w]."""
    if of.layout == "first":
        return tensor
    if of.layout == "tokens":
        tensor = tensor[:, of.before : tensor.shape[1] - of.after].unflatten(1, of.grid)
    return tensor.permute(0, 3, 1, 2)


def arrays(model, of, x):
    """The reference arrays; leaves the model in float64."""
    model.double()
    seen = []
    hook = model.get_submodule(of.module).register_forward_hook(lambda module, inputs, output: seen.append(output))
    logits = model(x.double().requires_grad_())
    hook.remove()
    (layer,) = seen
    predicted = int(logits[0].argmax())
    classes = [predicted, network_files.other_class(predicted)]
    a = feature_maps(layer.detach(), of)
    assert a.shape[2:] == of.grid, f"{tuple(layer.shape)} is not of {of.grid}"
    found = {"logits": logits.detach(), "output": logits.detach(), "classes": torch.as_tensor(classes), "features": a.float()}
    gradients = [torch.autograd.grad(logits[:, c].sum(), layer, retain_graph=True)[0] for c in classes]
    gradients = [feature_maps(g, of) for g in gradients]
    methods = {
        "grad_cam": [equations.grad_cam_weights(a, g) for g in gradients],
        "grad_cam_pp": [equations.grad_cam_pp_weights(a, g) for g in gradients],
    }
    if of.cam:
        methods["cam"] = [model.get_submodule(of.last).weight.detach()[c].expand(len(x), -1) for c in classes]
    for method, weights in methods.items():
        maps, scales = zip(*(equations.weighted_sum(w, a) for w in weights))
        found[f"{method}_weights"] = torch.stack(weights)
        found[f"{method}_signed"] = torch.stack(maps)
        if method != "cam":
            found[f"{method}_map"] = torch.stack(maps).clamp(min=0)
        found[f"{method}_scale"] = torch.stack(scales)
    return {name: tensor.numpy() for name, tensor in found.items()}


def enliven(model):
    """Layer scales, tokens and heads that start as almost nothing, or as nothing, get the size that training gives them."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "gamma" in name:
                parameter.normal_(0.7, 0.3)
            elif any(part in name for part in ("token", "pos_embed", "latent")) or name == "head.weight":
                parameter.normal_(0, 0.7)


def build(name, of):
    torch.manual_seed(0)
    model = of.make().eval()
    enliven(model)
    last = model.get_submodule(of.last)
    warm_up(Network(name, model, lambda x: x, model, None, input_size=SIZE), last=last)
    return model


def write(name, of, out):
    model = build(name, of)
    x, exports = input_batch(*SIZE), {}
    for exporter in of.exporters:
        path = str(out / f"{name}.{exporter}.onnx")
        by, _, opset = exporter.partition("-opset")  # From 23 on attention is one operator.
        onnx_files.export(model, x, path, by, opset=int(opset) if opset else None)
        tidy(path)
        exports[exporter] = {"feature_tensors": []}
    reference = arrays(model, of, x)
    for exporter in exports:
        path = str(out / f"{name}.{exporter}.onnx")
        batches = [x] if onnx_files.input_shape(path)[0] != 1 else [x[:1], x[1:]]
        found = np.concatenate([onnx_files.run(path, batch) for batch in batches])
        wanted = reference["output"]
        assert abs(found - wanted).max() <= 1e-3 * abs(wanted).max(), f"{name}.{exporter} computes something else"
    save_npz(out / f"{name}.npz", **reference)
    layer = {"module": of.module, "grid": of.grid, "before": of.before, "after": of.after}
    return {"name": name, "cam": of.cam, "classes": reference["classes"].tolist(), **layer, "exports": exports}


def main(out=GOLDEN):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for pattern in ("*.onnx", "*.npz", "*.npy", "*.json"):
        for old in out.glob(pattern):
            old.unlink()
    torch.backends.mha.set_fastpath_enabled(False)  # A fused operator of its own, which the older exporter does not take.
    described = [write(name, of, out) for name, of in NETWORKS.items()]
    save_npy(out / "input.npy", input_batch(*SIZE).numpy())
    (out / "networks.json").write_text(json.dumps(described, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
