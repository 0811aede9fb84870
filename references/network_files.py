"""The files that one network gives: ONNX exports, and float64 references for what is in them."""

import numpy as np
import torch

import equations
import onnx_files
from pictures import input_batch


def other_class(predicted):
    """The second class of a reference: any fixed one that is not predicted."""
    return 7 if predicted != 7 else 3


def arrays(network):
    """The reference arrays of README.md; leaves the model in float64."""
    x = input_batch(*network.input_size)
    network.model.double()
    with torch.no_grad():
        logits = network.score(network.features(x[:1].double()))
    predicted = int(logits.argmax())
    found = equations.references(network.features, network.score, x, [predicted, other_class(predicted)], network.cam_matrix())
    with torch.no_grad():
        found["output"] = network.model(x.double()).numpy()
    for name in ("features", "gradient", "input_gradient"):
        found[name] = found[name].astype(np.float32)
    return found


def describe_export(path, network, reference):
    """Checks an exported file against the reference and says what is in it."""
    path, x = str(path), input_batch(*network.input_size).numpy()
    wanted, features = reference["output"], reference["features"]
    batches = [x] if onnx_files.input_shape(path)[0] != 1 else [x[:1], x[1:]]
    output = np.concatenate([onnx_files.run(path, batch) for batch in batches])
    assert np.abs(output - wanted).max() <= 1e-3 * np.abs(wanted).max(), f"{path}: the export computes something else"
    tensors = onnx_files.tensors_equal_to(path, batches[0], features[: len(batches[0])])
    assert tensors, f"{path}: no tensor holds the features"
    opsets, operators = onnx_files.operators(path)
    return {"opsets": opsets, "feature_tensors": tensors, "operators": dict(sorted(operators.items()))}


def describe(network, reference, exports):
    """What a test needs to know besides the arrays, as JSON."""
    return {
        "name": network.name,
        "module": network.module,
        "classes": reference["classes"].tolist(),
        "features": list(reference["features"].shape),
        "cam": network.cam_head is not None,
        "negative_channel_sums": float((reference["features"].sum((2, 3)) < 0).mean()),
        "exports": exports,
    }
