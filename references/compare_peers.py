"""The same method here and in other packages: how far their maps of one picture are from the program's.

    pip install --no-deps captum==0.8.0       (it asks for an older NumPy, and runs with this one)
    python references/compare_peers.py --program PATH

Networks: ResNet-18 and SqueezeNet with random weights, in float32, exported and run by the program on ONNX Runtime; the
picture is chelsea. The packages are given the PyTorch module, the class that the program predicts and the same layer. Methods that draw random numbers are left out. Prints a line for each method and package with the largest
difference, relative to the map's maximum: of maps at a layer the positive part, as pictures show it, in the space of the
picture everything. WHY says what is behind the large ones. A few minutes.
"""

import argparse
import json
import os
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

import captum.attr
import numpy as np
import onnxruntime
import pytorch_grad_cam
import torch
import torchcam.methods
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

import networks
import onnx_files
from pictures import input_batch

# Our name: the package's class.
PYTORCH_GRAD_CAM = {
    "grad-cam": "GradCAM",
    "grad-cam++": "GradCAMPlusPlus",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "xgrad-cam": "XGradCAM",
    "grad-cam-elementwise": "GradCAMElementWise",
    "eigen-cam": "EigenCAM",
    "eigen-grad-cam": "EigenGradCAM",
    "kpca-cam": "KPCA_CAM",
    "shapley-cam": "ShapleyCAM",
    "ablation-cam": "AblationCAM",
    "score-cam": "ScoreCAM",
}
TORCH_CAM = {
    "cam": "CAM",
    "grad-cam": "GradCAM",
    "grad-cam++": "GradCAMpp",
    "layercam": "LayerCAM",
    "xgrad-cam": "XGradCAM",
    "score-cam": "ScoreCAM",
}
CAPTUM = {
    "gradient": lambda model: captum.attr.Saliency(model).attribute,
    "gradient-times-input": lambda model: captum.attr.InputXGradient(model).attribute,
    "guided-backprop": lambda model: captum.attr.GuidedBackprop(model).attribute,
    "deconvnet": lambda model: captum.attr.Deconvolution(model).attribute,
    "integrated-gradients": lambda model: captum.attr.IntegratedGradients(model).attribute,
}
CAPTUM_OPTIONS = {
    "gradient": {"abs": False},
    "integrated-gradients": {"n_steps": 50, "method": "riemann_middle", "internal_batch_size": 10},
}

WHY = {
    ("grad-cam++", "pytorch-grad-cam"): "adds 1e-6 to a denominator that is often smaller",
    ("grad-cam++", "torch-cam"): "its weights are Σ g² relu(g)",
    ("eigen-cam", "pytorch-grad-cam"): "takes the mean of each feature map away first, and has no rule for the sign",
    ("eigen-grad-cam", "pytorch-grad-cam"): "takes the mean of each feature map away first, and has no rule for the sign",
    ("kpca-cam", "pytorch-grad-cam"): "the sign is scikit-learn's; but for that the same (check_peers.py)",
    ("score-cam", "pytorch-grad-cam"): "up-samples corner on corner",
    ("score-cam", "torch-cam"): "brings A to 0 … 1 before it up-samples",
}
LAYERS = {"resnet18": "layer4", "squeezenet1_1": "features.12"}


def of_pytorch_grad_cam(name, model, layer, x, predicted):
    with getattr(pytorch_grad_cam, PYTORCH_GRAD_CAM[name])(model=model, target_layers=[layer]) as cam:
        targets = [ClassifierOutputTarget(predicted)]
        cam(input_tensor=x, targets=targets)
        kept = cam.activations_and_grads
        a, g = (kept[-1].detach().numpy() if kept else None for kept in (kept.activations, kept.gradients))
        return cam.get_cam_image(x, layer, targets, a, g, False)[0]


def of_torch_cam(name, model, layer, x, predicted):
    path = next(path for path, module in model.named_modules() if module is layer)
    options = {"fc_layer": "fc"} if name == "cam" and hasattr(model, "fc") else {}
    with getattr(torchcam.methods, TORCH_CAM[name])(model, path, input_shape=x.shape[1:], **options) as cam:
        return cam(predicted, model(x), normalized=False)[0][0].detach().numpy()


def of_captum(name, model, layer, x, predicted):
    explain = CAPTUM[name](model)
    return explain(x.clone().requires_grad_(), target=predicted, **CAPTUM_OPTIONS.get(name, {}))[0].detach().numpy()


PACKAGES = (
    ("pytorch-grad-cam", "grad-cam", PYTORCH_GRAD_CAM, of_pytorch_grad_cam),
    ("torch-cam", "torchcam", TORCH_CAM, of_torch_cam),
    ("captum", "captum", CAPTUM, of_captum),
)


def comparable(cam, pixels):
    """A map with the maximum 1; at a layer its positive part."""
    cam = np.asarray(cam, np.float64).squeeze()
    cam = cam if pixels else np.maximum(cam, 0)
    return cam / np.abs(cam).max() if cam.any() else cam


def of_program(program, network, x, methods, folder):
    """{method: map} and the predicted class."""
    onnx_files.export(network.model, torch.cat([x, x.flip(3)]), str(folder / "model.onnx"), "old")
    np.save(folder / "input.npy", x.numpy())
    command = [program, "explain", "input.npy", "--model", "model.onnx", "--method", ",".join(methods), "--save", "map"]
    command += ["--engine", "ort", "--json", "--out", "maps", "--quiet"]
    environment = os.environ | {"ORT_DYLIB_PATH": str(Path(onnxruntime.__file__).parent / "capi")}
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    said = json.loads(done.stdout)
    maps = {one["method"]: np.load(folder / one["files"][0]) for one in said["explanations"]}
    return maps, said["top"][0]["class"]


def listed(program):
    """The program's methods that any package has."""
    said = json.loads(subprocess.run([program, "methods", "--json"], stdout=subprocess.PIPE, check=True, text=True).stdout)
    here = [method["name"] for method in said]
    return [name for name in here if any(name in names for _, _, names, _ in PACKAGES)]


def plain_relus(model):
    """The model as captum wants it: no activation works in place."""
    for module in model.modules():
        if getattr(module, "inplace", False):
            module.inplace = False
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, required=True)
    program = parser.parse_args().program.resolve()
    methods = listed(program)
    print("| network | method | package | apart | why |\n|---|---|---|---|---|")
    for name in LAYERS:
        network = networks.build(networks.FULL_SIZE[name])
        model = network.model.float().eval()
        x = input_batch(*network.input_size)[:1]
        with tempfile.TemporaryDirectory() as folder:
            # The layer that it takes by itself is this one.
            maps, predicted = of_program(program, network, x, methods, Path(folder))
        plain_relus(model)
        for package, _, names, explain in PACKAGES:
            for method in (method for method in methods if method in names):
                try:
                    theirs = explain(method, model, model.get_submodule(LAYERS[name]), x, predicted)
                    pixels = names is CAPTUM
                    apart = np.abs(comparable(maps[method], pixels) - comparable(theirs, pixels)).max()
                    apart = f"{apart:.1e}"
                except Exception as error:
                    apart = type(error).__name__
                print(f"| {name} | {method} | {package} | {apart} | {WHY.get((method, package), '')} |", flush=True)
    print("\n" + ", ".join(f"{package} {version(distribution)}" for package, distribution, _, _ in PACKAGES))


if __name__ == "__main__":
    main()
