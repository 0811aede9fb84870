"""From an ONNX file: the feature maps, and the gradient of the scores by another converter's autograd in float64.

The file is cut at the target layer. What of the rest does not depend on the values there (shapes, constants, loops over
constants) is asked of ONNX Runtime and frozen; onnx2torch turns what remains into a PyTorch module.
"""

import numpy as np
import onnx
import onnx2torch
import torch
from onnx import helper, numpy_helper, version_converter
from onnx.reference import ReferenceEvaluator

import onnx_files

# The newest opset that onnx2torch knows whole.
NEWEST = 17


def names_in(graph):
    """Every tensor that the nodes of a graph read, those of its subgraphs among them."""
    return {name for node in graph.node for name in names_read(node)}


def names_read(node):
    read = {name for name in node.input if name}
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            read |= names_in(attribute.g)
    return read


def without_allowzero(graph):
    """Takes from every Reshape the attribute that says what a 0 in its shape means, which onnx2torch refuses: there is none."""
    shapes = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    for node in graph.node:
        if node.op_type == "Reshape" and any(a.name == "allowzero" for a in node.attribute):
            assert (shapes[node.input[1]] != 0).all(), node.name
            del node.attribute[:]


class Tail:
    """A file, run whole for one picture, and its end from `layer` to `score` as a model of its own."""

    def __init__(self, model, layer, score, x):
        self.layer, self.score = layer, score
        kept, frozen = self.split(model.graph)
        initializers = {i.name: i for i in model.graph.initializer}
        computed = sorted(frozen - initializers.keys())
        values = self.run(model, x, [layer, score, *computed])
        self.features, self.scores = values[layer], values[score]
        weights = [initializers[name] for name in sorted(frozen & initializers.keys())]
        weights += [numpy_helper.from_array(np.asarray(values[name]), name) for name in computed]
        described = [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, values[name].shape) for name in (layer, score)
        ]
        graph = helper.make_graph(kept, "tail", described[:1], described[1:], weights)
        self.model = helper.make_model(graph, opset_imports=model.opset_import, ir_version=max(model.ir_version, 4))
        onnx.checker.check_model(self.model)

    def split(self, graph):
        """The nodes between layer and score, in order, and the names of all else that they read."""
        dependent = {self.layer}
        for node in graph.node:
            if node.op_type not in ("Shape", "Size") and names_read(node) & dependent and self.layer not in node.output:
                dependent.update(node.output)
        assert self.score in dependent, f"{self.score} does not depend on {self.layer}"
        wanted, kept = {self.score}, []
        for node in reversed(graph.node):
            if set(node.output) & wanted and set(node.output) & dependent and self.layer not in node.output:
                kept.insert(0, node)
                wanted |= names_read(node)
        made = {name for node in kept for name in node.output}
        return kept, wanted - made - {self.layer}

    def run(self, model, x, wanted):
        """Values of tensors when the whole file is run by ONNX Runtime, unoptimised."""
        asked = onnx.ModelProto()
        asked.CopyFrom(model)
        declared = {output.name for output in asked.graph.output}
        asked.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in declared)
        session = onnx_files.session(asked.SerializeToString(), optimise=False)
        (fed,) = session.get_inputs()
        return dict(zip(wanted, session.run(wanted, {fed.name: x})))

    def module(self):
        """A function from A to the scores, float64, that autograd can follow."""
        model, (opset,) = self.model, [o.version for o in self.model.opset_import if not o.domain]
        if opset > NEWEST:
            model = version_converter.convert_version(model, NEWEST)
        without_allowzero(model.graph)
        return onnx2torch.convert(model).double().eval()

    def slopes(self, a, directions, step):
        """Central differences of every score at `a` in each direction, float64, by the package onnx' reference evaluator.

        a [1, K, h, w], directions [D, 1, K, h, w] -> [D, classes]
        """
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        graph = model.graph
        for described in (*graph.input, *graph.output):
            described.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
        for initializer in graph.initializer:
            if initializer.data_type == onnx.TensorProto.FLOAT:
                wide = numpy_helper.to_array(initializer).astype(np.float64)
                initializer.CopyFrom(numpy_helper.from_array(wide, initializer.name))
        evaluator = ReferenceEvaluator(model)
        scores = lambda a: evaluator.run([self.score], {self.layer: a})[0].reshape(-1)
        return np.stack([(scores(a + step * d) - scores(a - step * d)) / (2 * step) for d in directions])


def gradients(tail):
    """The scores [classes] and their gradients at the layer [classes, 1, K, h, w], float64.

    Held against ONNX Runtime's scores of the whole file, and beside the layer's values, where no two are equal, against
    central differences in eight directions. (At ties, which are common after an activation, there is no slope.)
    """
    module = tail.module()
    scores, found = autograd(module, tail.features.astype(np.float64))
    reference = tail.scores.reshape(-1)
    apart = np.abs(scores.numpy() - reference).max() / np.abs(reference).max()
    assert apart < 1e-4, f"{tail.score}: onnx2torch and ONNX Runtime differ by {apart:.1e}"

    generator, largest = np.random.default_rng(22), np.abs(tail.features).max()
    beside = tail.features + 1e-3 * largest * generator.standard_normal(tail.features.shape)
    directions = generator.standard_normal((8, *tail.features.shape))
    slopes = tail.slopes(beside, directions, 1e-8 * largest)
    expected = np.einsum("dnkhw,cnkhw->dc", directions, autograd(module, beside)[1].numpy())
    apart = np.abs(slopes - expected).max() / np.abs(expected).max()
    assert apart < 1e-5, f"{tail.score}: autograd and central differences differ by {apart:.1e}"
    return scores, found


def autograd(module, a):
    """Scores [classes] of A, and the gradient of each."""
    a = torch.from_numpy(a).requires_grad_()
    scores = module(a).reshape(-1)
    return scores.detach(), torch.stack([torch.autograd.grad(s, a, retain_graph=True)[0] for s in scores])
