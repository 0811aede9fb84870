"""Exporting networks, and asking an exported file what is in it."""

import logging
import warnings
from collections import Counter

import numpy as np
import onnx
import onnxruntime

EXPORTERS = ("old", "new")


def export(model, x, path, exporter, static=False, external_data=False, opset=None, **options):
    """Writes `model` as ONNX by PyTorch's older or newer exporter, the batch dimension dynamic unless `static`.

    `opset` is 17 for the older exporter and the exporter's own choice for the newer one, unless given.
    """
    import torch  # The scripts for other frameworks do without.

    names = {"input_names": ["input"], "output_names": ["logits"]}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        if exporter == "old":
            axes = None if static else {"input": {0: "batch"}, "logits": {0: "batch"}}
            torch.onnx.export(model, (x,), path, dynamo=False, opset_version=opset or 17, dynamic_axes=axes, **names, **options)
        else:
            shapes = None if static else ({0: torch.export.Dim("batch")},)
            options |= {"dynamic_shapes": shapes, "external_data": external_data, "opset_version": opset, "verbose": False}
            torch.onnx.export(model, (x,), path, dynamo=True, **names, **options)


def session(model, optimise=True):
    """An ONNX Runtime session on two threads, for a path or serialised bytes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(path, x):
    """The first output of a model file for a single input."""
    s = session(path)
    return s.run(None, {s.get_inputs()[0].name: np.asarray(x)})[0]


def input_shape(path):
    """The declared shape of the first input: a number, or a name, for each dimension."""
    model = onnx.load(path, load_external_data=False)
    return [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]


def tensors_equal_to(path, x, wanted, tolerance=1e-3):
    """Names of the tensors whose value for input x is `wanted`, in the file's order, and which operator makes each."""
    model = onnx.load(path)
    makers = {name: node.op_type for node in model.graph.node for name in node.output if name}
    declared = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in makers if name not in declared)
    s = session(model.SerializeToString(), optimise=False)
    found = []
    limit = tolerance * np.abs(wanted).max()
    for name, value in zip((o.name for o in s.get_outputs()), s.run(None, {s.get_inputs()[0].name: x})):
        if isinstance(value, np.ndarray) and value.shape == wanted.shape and np.abs(value - wanted).max() <= limit:
            found.append((name, makers[name]))
    return found


def operators(path):
    """Opset versions by domain, and how often each operator occurs (functions included)."""
    model = onnx.load(path, load_external_data=False)
    opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    nodes = list(model.graph.node) + [node for function in model.functions for node in function.node]
    return opsets, Counter(f"{node.domain}::{node.op_type}" if node.domain else node.op_type for node in nodes)
