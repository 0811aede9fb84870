"""The structures of `networks.FULL_SIZE`, narrow and shallow enough to live in the repository.

torchvision's own classes and blocks; ten classes; inputs 80 x 96, so that height and width cannot be mistaken for each
other, and feature maps have 6 to 120 cells.
"""

from functools import partial

from efficientnet_lite_pytorch import EfficientNet as LiteNet
from efficientnet_lite_pytorch.utils import BlockDecoder, get_model_params
from torch import nn
from torchvision import models
from torchvision.models import inception, mnasnet, resnet
from torchvision.models.efficientnet import EfficientNet, MBConvConfig
from torchvision.models.googlenet import BasicConv2d, Inception
from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3
from torchvision.models.regnet import BlockParams, RegNet
from torchvision.models.squeezenet import Fire
from torchvision.ops.misc import Conv2dNormActivation

import networks
from networks import Network, chain

CLASSES = 10
SIZE = {"input_size": (80, 96)}


def perceptron(inputs, hidden):
    return nn.Sequential(nn.Dropout(), nn.Linear(inputs, hidden), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(hidden, CLASSES))


def alexnet():
    model = models.AlexNet(num_classes=CLASSES)
    relu, pool = partial(nn.ReLU, inplace=True), partial(nn.MaxPool2d, kernel_size=3, stride=2)
    model.features = nn.Sequential(
        nn.Conv2d(3, 8, 11, stride=4, padding=2), relu(), pool(),
        nn.Conv2d(8, 12, 5, padding=2), relu(), pool(),
        nn.Conv2d(12, 16, 3, padding=1), relu(), nn.Conv2d(16, 16, 3, padding=1), relu(),
        nn.Conv2d(16, 12, 3, padding=1), relu(), pool(),
    )  # fmt: skip
    model.avgpool = nn.AdaptiveAvgPool2d((1, 2))
    model.classifier = perceptron(24, 16)
    return networks.alexnet_like("alexnet", model, 11, **SIZE)


class CaffeNet(nn.Module):
    """AlexNet as the Caffe zoo has it: local response normalisation, and convolutions in two groups."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 11, stride=4), nn.ReLU(), nn.MaxPool2d(3, 2), nn.LocalResponseNorm(5, alpha=0.5),
            nn.Conv2d(8, 12, 5, padding=2, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.LocalResponseNorm(5, alpha=0.5),
            nn.Conv2d(12, 12, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(2, 2, ceil_mode=True),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Flatten(), *perceptron(48, 16), nn.Softmax(1))

    def forward(self, x):
        return self.classifier(self.features(x))


def caffenet():
    """Its output is a probability; the class score is what enters the softmax."""
    model = CaffeNet()
    head = chain(*model.features[10:], *model.classifier[:-1])
    return Network("caffenet", model, chain(*model.features[:10]), head, "features.9", **SIZE)


def vgg():
    layers = models.vgg.make_layers([8, "M", 8, "M", 12, 12, "M", 16, 16, "M"])
    model = models.VGG(layers, num_classes=CLASSES, init_weights=False)
    model.avgpool = nn.AdaptiveAvgPool2d((5, 3))
    model.classifier = perceptron(16 * 5 * 3, 16)
    return networks.alexnet_like("vgg", model, len(layers) - 2, **SIZE)


def small_resnet(name, block, widths, depths, **options):
    model = resnet.ResNet(block, depths, num_classes=CLASSES, **options)
    model.conv1, model.bn1, model.inplanes = nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), 8
    for stage, (planes, depth) in enumerate(zip(widths, depths), start=1):
        setattr(model, f"layer{stage}", model._make_layer(block, planes, depth, stride=1 if stage == 1 else 2))
    model.fc = nn.Linear(widths[-1] * block.expansion, CLASSES)
    return networks.resnet(name, model, **SIZE)


def squeezenet():
    model = models.SqueezeNet("1_1", num_classes=CLASSES)
    pool = partial(nn.MaxPool2d, kernel_size=3, stride=2, ceil_mode=True)
    model.features = nn.Sequential(
        nn.Conv2d(3, 12, 3, stride=2, padding=1), nn.ReLU(inplace=True), pool(),
        Fire(12, 4, 8, 8), Fire(16, 4, 8, 8), pool(), Fire(16, 6, 12, 12), pool(), Fire(24, 8, 16, 16),
    )  # fmt: skip
    model.classifier[1] = nn.Conv2d(32, CLASSES, 1)
    return networks.squeezenet("squeezenet", model, 8, **SIZE)


def densenet():
    model = models.DenseNet(growth_rate=8, block_config=(2, 2, 2, 2), num_init_features=8, bn_size=2, num_classes=CLASSES)
    return networks.densenet("densenet", model, **SIZE)


def mobilenet_v2():
    settings = [[1, 8, 1, 1], [4, 8, 2, 2], [4, 16, 2, 2], [4, 16, 1, 2], [4, 24, 1, 1]]
    model = models.MobileNetV2(CLASSES, width_mult=0.25, inverted_residual_setting=[[t, 4 * c, n, s] for t, c, n, s in settings])
    model.features[-1] = Conv2dNormActivation(24, 32, 1, activation_layer=nn.ReLU6)
    model.classifier[1] = nn.Linear(32, CLASSES)
    return networks.mobilenet_v2("mobilenet_v2", model, **SIZE)


def mobilenet_v3():
    config = partial(InvertedResidualConfig, dilation=1, width_mult=1.0)
    blocks = [
        config(8, 3, 8, 8, False, "RE", 1), config(8, 3, 24, 16, False, "RE", 2), config(16, 5, 40, 16, True, "RE", 2),
        config(16, 5, 40, 16, True, "RE", 1), config(16, 3, 48, 24, False, "HS", 2), config(24, 5, 48, 24, True, "HS", 1),
    ]  # fmt: skip
    model = MobileNetV3(blocks, last_channel=32, num_classes=CLASSES)
    model.features[-1] = Conv2dNormActivation(24, 48, 1, activation_layer=nn.Hardswish)
    model.classifier[0] = nn.Linear(48, 32)
    return networks.mobilenet_v3("mobilenet_v3", model, **SIZE)


def efficientnet():
    blocks = [
        MBConvConfig(1, 3, 1, 16, 8, 1), MBConvConfig(4, 3, 2, 8, 16, 1),
        MBConvConfig(4, 5, 2, 16, 16, 2), MBConvConfig(4, 3, 2, 16, 24, 1),
    ]  # fmt: skip
    model = EfficientNet(blocks, dropout=0.2, num_classes=CLASSES, last_channel=32)
    return networks.mobilenet_v2("efficientnet", model, **SIZE)


def efficientnet_lite():
    """Static SAME padding, which the exporters write as Pad."""
    blocks = ["r1_k3_s11_e1_i32_o8", "r2_k3_s22_e4_i8_o16", "r2_k5_s22_e4_i16_o16", "r1_k3_s22_e4_i16_o24"]
    _, options = get_model_params("efficientnet-lite0", {})
    options = options._replace(
        width_coefficient=1.0, image_size=list(SIZE["input_size"]), num_classes=CLASSES, fix_head_stem=True, drop_connect_rate=0
    )
    model = LiteNet(BlockDecoder.decode(blocks), options)
    model._conv_head = nn.Conv2d(24, 32, 1, bias=False)
    model._bn1 = nn.BatchNorm2d(32, eps=1e-3)
    model._fc = nn.Linear(32, CLASSES)
    return networks.efficientnet_lite("efficientnet_lite", model, **SIZE)


def googlenet():
    model = models.GoogLeNet(num_classes=CLASSES, aux_logits=False, init_weights=False)
    conv, block = BasicConv2d, Inception
    model.conv1, model.conv2 = conv(3, 8, kernel_size=7, stride=2, padding=3), conv(8, 8, kernel_size=1)
    model.conv3 = conv(8, 12, kernel_size=3, padding=1)
    model.inception3a, model.inception3b = block(12, 4, 4, 6, 2, 3, 3), block(16, 6, 4, 8, 2, 4, 2)
    model.inception4a, model.inception4b = block(20, 6, 4, 8, 2, 4, 2), block(20, 6, 4, 8, 2, 4, 2)
    model.inception4c = model.inception4d = nn.Identity()
    model.inception4e = block(20, 8, 4, 10, 2, 4, 2)
    model.inception5a, model.inception5b = block(24, 8, 6, 12, 3, 6, 4), block(30, 12, 6, 16, 3, 6, 6)
    model.fc = nn.Linear(40, CLASSES)
    return networks.googlenet("googlenet", model, **SIZE)


def inception_v3():
    """A thirty-second of the channels behind the stem; the repeated blocks are left out."""

    def scaled(inputs, outputs, **options):
        return BasicConv2d(inputs // 32, outputs // 32, **options)

    kinds = (inception.InceptionA, inception.InceptionB, inception.InceptionC, inception.InceptionD, inception.InceptionE)
    blocks = [BasicConv2d, *(partial(kind, conv_block=scaled) for kind in kinds), None]
    model = models.Inception3(CLASSES, aux_logits=False, inception_blocks=blocks, init_weights=False)
    model.Conv2d_1a_3x3, model.Conv2d_2a_3x3 = BasicConv2d(3, 6, kernel_size=3), BasicConv2d(6, 6, kernel_size=3)
    model.Conv2d_2b_3x3, model.Conv2d_3b_1x1 = BasicConv2d(6, 8, kernel_size=3, padding=1), BasicConv2d(8, 8, kernel_size=1)
    model.Conv2d_4a_3x3 = BasicConv2d(8, 192 // 32, kernel_size=3)
    for name in ("5d", "6c", "6d", "6e", "7c"):
        setattr(model, f"Mixed_{name}", nn.Identity())
    model.fc = nn.Linear(64, CLASSES)
    network = networks.inception_v3("inception_v3", model, **SIZE)
    network.module = "Mixed_7b"
    return network


def shufflenet_v2():
    model = models.ShuffleNetV2([2, 2, 2], [8, 16, 24, 32, 48], num_classes=CLASSES)
    return networks.shufflenet_v2("shufflenet_v2", model, **SIZE)


def mnasnet_b1():
    model = models.MNASNet(0.1, num_classes=CLASSES)
    stack = partial(mnasnet._stack, bn_momentum=0.1)
    model.layers = nn.Sequential(
        *model.layers[:8], stack(8, 8, 3, 2, 3, 2), stack(8, 16, 5, 2, 3, 2), stack(16, 16, 5, 2, 6, 1), stack(16, 24, 3, 1, 6, 1),
        nn.Conv2d(24, 32, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(inplace=True),
    )  # fmt: skip
    model.classifier[1] = nn.Linear(32, CLASSES)
    return networks.mnasnet("mnasnet", model, **SIZE)


def regnet():
    parameters = BlockParams([1, 1, 2, 1], [8, 16, 16, 24], [4, 8, 8, 12], [1.0] * 4, [2] * 4, se_ratio=0.25)
    return networks.regnet("regnet", RegNet(parameters, num_classes=CLASSES, stem_width=8), **SIZE)


SMALL = {
    "alexnet": alexnet,
    "caffenet": caffenet,
    "vgg": vgg,
    "resnet18": lambda: small_resnet("resnet18", resnet.BasicBlock, [8, 12, 16, 20], [1, 1, 1, 1]),
    "resnet50": lambda: small_resnet("resnet50", resnet.Bottleneck, [6, 8, 10, 12], [1, 2, 1, 1]),
    "resnext": lambda: small_resnet("resnext", resnet.Bottleneck, [8, 8, 12, 12], [1, 1, 1, 1], groups=4, width_per_group=16),
    "squeezenet": squeezenet,
    "densenet": densenet,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3": mobilenet_v3,
    "efficientnet": efficientnet,
    "efficientnet_lite": efficientnet_lite,
    "googlenet": googlenet,
    "inception_v3": inception_v3,
    "shufflenet_v2": shufflenet_v2,
    "mnasnet": mnasnet_b1,
    "regnet": regnet,
}
