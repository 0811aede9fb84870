"""The files of one network: references in the layout of README.md, and what is in its exports. Numpy only."""

import json

import numpy as np
import onnx

import onnx_files
from arrays import save_npz

# Every how many pixels the gradient at the input is kept: prime to all strides, so that every phase is met.
SAMPLING = 5


def grad_cam_weights(a, g):
    """Eq. 4: w_k = mean_ij g. [N, K]"""
    return g.mean((2, 3))


def grad_cam_pp_weights(a, g):
    """Eq. 5 and 9 with Y = exp(S), the factor exp(S) left out: alpha = 1 / (2 + relu(g) max(sum A, 0)). [N, K]"""
    total = np.maximum(a.sum((2, 3), keepdims=True), 0)
    positive = np.maximum(g, 0)
    return (positive / (2 + positive * total)).sum((2, 3))


def references(features, gradients, input_gradients, logits, output, classes, layout, cam=None):
    """The arrays of README.md, from float64 arrays.

    features [N, K, h, w], gradients [C, N, K, h, w], input_gradients [C, N, ...] in the input's layout, logits, output
    [N, classes], classes [C]; `cam` [classes, K] holds the weights of the linear head behind global average pooling.
    """
    rows, columns = (3, 4) if layout == "nchw" else (2, 3)
    sampled = [slice(None)] * 5
    sampled[rows] = sampled[columns] = slice(None, None, SAMPLING)
    weights = {
        "grad_cam": [grad_cam_weights(features, g) for g in gradients],
        "grad_cam_pp": [grad_cam_pp_weights(features, g) for g in gradients],
    }
    if cam is not None:
        weights["cam"] = [np.tile(cam[c], (len(features), 1)) for c in classes]
    out = {
        "output": output,
        "logits": logits,
        "classes": np.array(classes),
        "features": features.astype(np.float32),
        "gradient": np.array(gradients, dtype=np.float32),
        "input_gradient": np.array(input_gradients, dtype=np.float32)[tuple(sampled)],
    }
    for method, rows in weights.items():
        terms = np.array(rows)[..., None, None] * features
        out[f"{method}_weights"] = np.array(rows)
        out[f"{method}_signed"] = terms.sum(2)
        if method != "cam":
            out[f"{method}_map"] = np.maximum(terms.sum(2), 0)
        out[f"{method}_scale"] = np.abs(terms).sum(2).max((2, 3))
    return out


def two_classes(logits):
    """The class predicted for the first picture, and another."""
    predicted = int(logits[0].argmax())
    return [predicted, 7 if predicted != 7 else 3]


def describe_export(path, x, wanted, features):
    """Checks an exported file against the reference, and says what is in it."""
    path = str(path)
    x = x.astype(onnx.helper.tensor_dtype_to_np_dtype(onnx.load(path).graph.input[0].type.tensor_type.elem_type))
    at_once = 1 if onnx_files.input_shape(path)[0] == 1 else len(x)
    for i in range(0, len(x), at_once):
        found = onnx_files.tensors_equal_to(path, x[i : i + at_once], wanted[i : i + at_once])
        assert found, f"{path}: the export computes something else"
    tensors = onnx_files.tensors_equal_to(path, x[:at_once], features[:at_once])
    assert tensors, f"{path}: no tensor holds the features"
    opsets, operators = onnx_files.operators(path)
    return {"opsets": opsets, "feature_tensors": tensors, "operators": dict(sorted(operators.items()))}


def write(out, name, x, reference, files, cam):
    """The references of a network; returns its entry for the JSON. `x` is its input, bytes as they are."""
    output, features = reference["output"], reference["features"]
    exports = {variant: describe_export(path, x, output, features) for variant, path in files.items()}
    save_npz(out / f"{name}.npz", input=x, **reference)
    return {
        "name": name,
        "module": None,
        "classes": reference["classes"].tolist(),
        "features": list(reference["features"].shape),
        "cam": cam,
        "negative_channel_sums": float((reference["features"].sum((2, 3)) < 0).mean()),
        "exports": exports,
    }


def write_summary(out, framework, entries):
    (out / f"{framework}.json").write_text(json.dumps(entries, indent=1) + "\n")
