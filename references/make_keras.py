"""Keras' networks by its two ways into ONNX, with gradients by TensorFlow in float64.

    python references/make_keras.py [OUT]

Needs exporters/requirements-keras.txt. Writes {name}.{variant}.onnx, {name}.npz and keras.json into
crates/onnxcam/tests/golden/exporters; README.md says what is in them.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "TF_ENABLE_ONEDNN_OPTS": "0"}

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from keras import layers
from keras.src.applications.efficientnet import EfficientNet

from exporters import files
from exporters.pictures import input_pixels, warm_up_pixels

GOLDEN = Path(__file__).parent.parent / "crates" / "onnxcam" / "tests" / "golden" / "exporters"
SIZE = (40, 48)
LARGE = (60, 72)
CLASSES = 10


@dataclass
class Network:
    """A network whose layer `features` has the target maps."""

    name: str
    # The network with this activation behind its scores; the layers have the same weights with any.
    make: Callable[[str | None], keras.Model]
    activation: str | None
    features: str
    # The layer whose weights are CAM's, where global average pooling joins it to the features.
    cam: str | None
    # By variant, the way it is written.
    exports: dict
    layout: str = "nhwc"
    size: tuple[int, int] = SIZE


def efficientnet(activation):
    """Keras' own builder: Rescaling and Normalization, blocks with squeeze and excitation, swish, softmax."""
    block = {"kernel_size": 3, "repeats": 1, "id_skip": True, "se_ratio": 0.25}
    blocks = [
        block | {"filters_in": 320, "filters_out": 320, "expand_ratio": 1, "strides": 1},
        block | {"filters_in": 320, "filters_out": 640, "expand_ratio": 4, "strides": 2},
        block | {"filters_in": 640, "filters_out": 640, "expand_ratio": 4, "strides": 2}
        | {"repeats": 2, "kernel_size": 5},
    ]  # fmt: skip
    return EfficientNet(
        0.025, 1.0, SIZE[0], dropout_rate=0.2, drop_connect_rate=0.2, depth_divisor=8, activation="swish",
        blocks_args=blocks, weights=None, input_shape=(*SIZE, 3), classes=CLASSES,
        classifier_activation=activation,
    )  # fmt: skip


def mobilenet(activation):
    """As Keras' MobileNet is: relu6, padding by a layer of its own, and a 1x1 convolution behind the pooling."""
    x = image = keras.Input((*SIZE, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1)(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    for channels, stride in ((12, 1), (16, 2), (24, 2), (24, 1)):
        if stride == 2:
            x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
        padding = "same" if stride == 1 else "valid"
        x = layers.DepthwiseConv2D(3, strides=stride, padding=padding, use_bias=False)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
        x = layers.Conv2D(channels, 1, padding="same", use_bias=False)(x)
        x = layers.ReLU(6.0, name=f"relu_{channels}_{stride}")(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Conv2D(CLASSES, 1, padding="same", name="preds")(layers.Dropout(1e-3)(x))
    return keras.Model(image, layers.Activation(activation)(layers.Reshape((CLASSES,))(x)))


def xception(activation):
    """A network that resizes its pictures itself: separable convolutions, a shortcut, pooling that pads."""
    x = image = keras.Input((*LARGE, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1)(layers.Resizing(*SIZE, interpolation="bilinear")(x))
    x = layers.Conv2D(8, 3, strides=2, use_bias=False)(x)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    short = layers.BatchNormalization()(layers.Conv2D(16, 1, strides=2, padding="same", use_bias=False)(x))
    x = layers.BatchNormalization()(layers.SeparableConv2D(16, 3, padding="same", use_bias=False)(x))
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = layers.Add()([x, short])
    x = layers.BatchNormalization()(layers.SeparableConv2D(24, 3, padding="same", use_bias=False)(x))
    x = layers.AveragePooling2D(2, padding="same")(layers.Activation("hard_swish", name="last")(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(CLASSES, activation=activation, name="scores")(x))


def vgg(activation):
    """Flatten over channels that stand behind, two layers that are fully connected, and no softmax."""
    x = image = keras.Input((*SIZE, 3), name="image")
    x = layers.Rescaling(1 / 255)(x)
    for number, channels in enumerate((8, 12, 16)):
        x = layers.Conv2D(channels, 3, padding="same", activation="leaky_relu")(x)
        x = layers.Conv2D(channels, 3, padding="same", activation="elu", name=f"conv_{number}")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Dense(16, activation="relu")(layers.Flatten()(x))
    return keras.Model(image, layers.Dense(CLASSES, activation=activation)(layers.Dropout(0.5)(x)))


def from_keras(opset=17, dtype=tf.float32, **options):
    """tf2onnx's function for Keras."""

    def export(model, path):
        signature = [tf.TensorSpec(model.input_shape, dtype, name="image")]
        tf2onnx.convert.from_keras(model, input_signature=signature, opset=opset, output_path=path, **options)

    return export


def saved_model(model, path):
    """tf2onnx's command line, for the folder that TensorFlow's users keep."""
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, format="tf_saved_model", verbose=False)
        command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", folder, "--output", path]
        subprocess.run(command, check=True, capture_output=True)


def keras_export(model, path):
    """Keras' own function."""
    model.export(path, format="onnx", verbose=False)


NETWORKS = [
    Network(
        "keras_efficientnet", efficientnet, "softmax", "top_activation", "predictions",
        {
            "from_keras": from_keras(),
            "from_keras-uint8": from_keras(dtype=tf.uint8),
            "saved_model": saved_model,
        },
    ),
    Network(
        "keras_mobilenet", mobilenet, "softmax", "relu_24_1", "preds",
        {"from_keras-opset13": from_keras(13), "export": keras_export},
    ),
    Network(
        "keras_xception", xception, "softmax", "last", None,
        {"from_keras-uint8": from_keras(18, tf.uint8), "from_keras": from_keras(18)}, size=LARGE,
    ),
    Network(
        "keras_vgg", vgg, None, "conv_2", None,
        {"from_keras-nchw-opset9": from_keras(9, inputs_as_nchw=["image"])}, "nchw",
    ),
]  # fmt: skip


def warm_up(model):
    """Makes a random network without softmax behave like a trained one, as networks.warm_up does PyTorch's."""
    generator = np.random.default_rng(22)
    x = warm_up_pixels(*model.input_shape[1:3]).astype(np.float32)
    kept = []
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.gamma.assign(generator.uniform(0.6, 1.4, layer.gamma.shape))
            layer.beta.assign(generator.normal(0, 0.2, layer.beta.shape))
            kept.append((layer, "momentum", layer.momentum))
            layer.momentum = 0.0
        elif isinstance(layer, layers.Dropout):
            kept.append((layer, "rate", layer.rate))
            layer.rate = 0.0
        elif isinstance(layer, layers.Normalization):
            layer.adapt(x / 255)
    model(x, training=True)
    for layer, name, value in kept:
        setattr(layer, name, value)
    last = [layer for layer in model.layers if isinstance(layer, (layers.Conv2D, layers.Dense))][-1]
    last.kernel.assign(last.kernel * 2.0 ** np.round(np.log2(4 / model(x, training=False).numpy().std(1).mean())))


def with_weights(model, weights):
    model.set_weights(weights)
    for layer in model.layers:
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()  # Else it goes on with the mean and deviation that it was built with.
    return model


def reference(network, weights, x):
    """The arrays of README.md, the network built anew in float64."""
    keras.config.set_floatx("float64")
    model, scored = (with_weights(network.make(activation), weights) for activation in (network.activation, None))
    x = tf.constant(x.astype(np.float64))
    # A Resizing layer would have what follows it train unless this is said.
    output = model(x, training=False).numpy()
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        both = [scored.get_layer(network.features).output, scored.output]
        features, logits = keras.Model(scored.input, both)(x, training=False)
        classes = files.two_classes(logits.numpy())
        scores = [tf.reduce_sum(logits[:, c]) for c in classes]
    gradients = [tape.gradient(score, [features, x]) for score in scores]
    keras.config.set_floatx("float32")

    def in_front(array):
        return array.numpy().transpose(0, 3, 1, 2)

    cam = None if network.cam is None else model.get_layer(network.cam).get_weights()[0].reshape(-1, CLASSES).T
    of_input = [in_front(g) if network.layout == "nchw" else g.numpy() for _, g in gradients]
    of_layer = [in_front(g) for g, _ in gradients]
    features, logits = in_front(features), logits.numpy()
    return files.references(features, of_layer, of_input, logits, output, classes, network.layout, cam)


def write(network, out):
    keras.utils.set_random_seed(0)
    keras.backend.clear_session()
    random = network.make(None)
    warm_up(random)
    keras.backend.clear_session()
    model = with_weights(network.make(network.activation), random.get_weights())
    x = input_pixels(*network.size)
    model(x.astype(np.float32), training=False)
    paths = {}
    for variant, export in network.exports.items():
        paths[variant] = out / f"{network.name}.{variant}.onnx"
        export(model, str(paths[variant]))
    found = reference(network, model.get_weights(), x)
    if network.layout == "nchw":
        x = x.transpose(0, 3, 1, 2)
    return files.write(out, network.name, x, found, paths, network.cam is not None)


def write_normalization(out):
    """Keras' own export of the efficientnet, with inputs for what its Normalization layer holds, and their values."""
    keras.utils.set_random_seed(0)
    keras.backend.clear_session()
    random = efficientnet(None)
    warm_up(random)
    model = with_weights(efficientnet("softmax"), random.get_weights())
    model(input_pixels(*SIZE).astype(np.float32), training=False)
    keras_export(model, str(out / "normalization.onnx"))
    (layer,) = (layer for layer in model.layers if isinstance(layer, layers.Normalization))
    _, mean, variance = (value.name for value in onnx.load(out / "normalization.onnx").graph.input)
    values = {mean: layer.mean, variance: layer.variance}
    values = {name: np.array(value, dtype=np.float64).ravel().tolist() for name, value in values.items()}
    (out / "normalization.json").write_text(json.dumps(values, indent=1) + "\n")


def main(out=GOLDEN):
    out = Path(out)
    (out / "keras").mkdir(parents=True, exist_ok=True)
    for old in out.glob("keras*.*"):
        old.unlink()
    files.write_summary(out, "keras", [write(network, out) for network in NETWORKS])
    write_normalization(out / "keras")


if __name__ == "__main__":
    main(*sys.argv[1:])
