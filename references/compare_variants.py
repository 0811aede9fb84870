"""What the packages themselves compute as Grad-CAM++, beside the formulas that go by their names here.

    python references/compare_variants.py

A and g of the golden networks are given to each package that this Python has: pytorch-grad-cam and torch-cam where
references/requirements.txt is installed; Xplique and tf-keras-vis in an environment of their own, with

    pip install tensorflow-cpu==2.20.0 scipy==1.15.3 scikit-learn==1.7.2 scikit-image==0.25.2 einops deprecated \\
        opencv-python-headless matplotlib packaging imageio tensorflow-probability==0.25.0 tf-keras==2.20.1
    pip install --no-deps xplique==2.0.2 tf-keras-vis==0.8.7

The head is a linear layer whose weights are g, so that g is its gradient. Prints, for each package and each formula of
crates/onnxcam/tests/golden/family, how far the map (divided by its maximum) is from the formula's at most, over all networks,
classes and pictures, as docs/grad-cam-variants.md has it: near to 0 for the package's own formula, and for no other.
"""

import importlib.util
from importlib.metadata import version
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent.parent / "crates" / "onnxcam" / "tests" / "golden"
VARIANTS = ("literal", "authors", "pytorch-grad-cam", "torch-cam", "tf-keras-vis", "xplique")


def torch_head(g):
    """Feature maps -> feature maps -> score, as a PyTorch module with the layer `features`."""
    import torch
    from torch import nn

    head = nn.Sequential(nn.Identity(), nn.Flatten(), nn.Linear(g.size, 1, bias=False))
    head[2].weight.data = torch.from_numpy(g.reshape(1, -1).copy())
    return head.eval()


def pytorch_grad_cam(a, g):
    import torch
    from pytorch_grad_cam import GradCAMPlusPlus
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    head = torch_head(g)
    with GradCAMPlusPlus(model=head, target_layers=[head[0]]) as cam:
        x = torch.from_numpy(a)[None].requires_grad_()
        cam(input_tensor=x, targets=[ClassifierOutputTarget(0)])
        # What the package keeps is scaled; its weights are asked for by the method that it calls itself.
        kept = (cam.activations_and_grads.activations[0].numpy(), cam.activations_and_grads.gradients[0].numpy())
        weights = cam.get_cam_weights(None, None, None, *kept)[0]
    return weighted(weights, a)


def torch_cam(a, g):
    import torch
    from torchcam.methods import GradCAMpp

    head = torch_head(g)
    with GradCAMpp(head, "0", input_shape=a.shape) as cam:
        scores = head(torch.from_numpy(a)[None].requires_grad_())
        return cam(0, scores, normalized=False)[0][0].numpy()


def xplique(a, g):
    import tensorflow as tf
    from xplique.attributions.grad_cam_pp import GradCAMPP

    last = [tf.constant(np.moveaxis(t, 0, -1)[None]) for t in (g, a)]
    return weighted(GradCAMPP._compute_weights(*last).numpy().reshape(-1), a)


def tf_keras_vis(a, g):
    import tensorflow as tf
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus

    a, g = (np.moveaxis(t, 0, -1) for t in (a, g))
    x = tf.keras.Input(a.shape)
    features = tf.keras.layers.Activation("linear", name="features")(x)
    dense = tf.keras.layers.Dense(1, use_bias=False)
    model = tf.keras.Model(x, dense(tf.keras.layers.Flatten()(features)))
    dense.set_weights([g.reshape(-1, 1)])
    cam = GradcamPlusPlus(model)
    options = {"penultimate_layer": "features", "seek_penultimate_conv_layer": False}
    return cam(lambda out: out[:, 0], a[None], expand_cam=False, normalize_cam=False, **options)[0]


# Package, module, and what computes its map.
PACKAGES = (
    ("grad-cam", "pytorch_grad_cam", pytorch_grad_cam),
    ("torchcam", "torchcam", torch_cam),
    ("xplique", "xplique", xplique),
    ("tf-keras-vis", "tf_keras_vis", tf_keras_vis),
)


def weighted(weights, a):
    return np.tensordot(weights, a, 1)


def shape_of(cam):
    """A map without what pictures do not show: its positive part, the maximum 1."""
    cam = np.maximum(np.asarray(cam, np.float64), 0)
    return cam / cam.max() if cam.max() > 0 else cam


def measure(package):
    worst = dict.fromkeys(VARIANTS, 0.0)
    for file in sorted((GOLDEN / "family").glob("*.npz")):
        source = GOLDEN / "networks" / file.name
        if not source.exists():
            continue
        with np.load(source) as golden, np.load(file) as family:
            for c, i in np.ndindex(golden["gradient"].shape[:2]):
                found = shape_of(package(golden["features"][i], golden["gradient"][c, i]))
                for variant in VARIANTS:
                    expected = shape_of(family[f"grad_cam_pp_{variant.replace('-', '_')}_signed"][c, i])
                    worst[variant] = max(worst[variant], np.abs(found - expected).max())
    return worst


def main():
    print("| package |", " | ".join(VARIANTS), "|")
    print("|---|" + "---|" * len(VARIANTS))
    for name, module, package in PACKAGES:
        if importlib.util.find_spec(module):
            worst = measure(package)
            print(f"| {name} {version(name)} |", " | ".join(f"{worst[v]:.1e}" for v in VARIANTS), "|")


if __name__ == "__main__":
    main()
