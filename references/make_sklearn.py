"""What scikit-learn's users export: classifiers of vectors, and such behind or beside a network.

    python references/make_sklearn.py [OUT]

Needs exporters/requirements-sklearn.txt, and reads what make_golden.py wrote. Writes {name}.onnx into
crates/onnxcam/tests/golden/exporters/sklearn; README.md says what they are.
"""

import os
import sys
import warnings
from pathlib import Path

# One thread, so that sums are made in one order.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import numpy as np
import onnx
import onnx.utils
import onnxruntime
from onnx import TensorProto, compose, helper
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from exporters.pictures import warm_up_pixels

TESTS = Path(__file__).parent.parent / "crates" / "onnxcam" / "tests" / "golden"
NETWORK = TESTS / "networks" / "resnet18.old.onnx"
FEATURES = "/Flatten_output_0"
SIZE = (80, 96)


def of_digits(*steps):
    """A pipeline that tells scikit-learn's digits apart, pictures of 8 x 8 as vectors of 64."""
    x, y = load_digits(return_X_y=True)
    pipeline = make_pipeline(*steps).fit(x.astype(np.float32), y)
    return to_onnx(pipeline, x[:1].astype(np.float32))


def behind_a_network():
    """A logistic regression on a network's pooled features, both in one file."""
    network = onnx.shape_inference.infer_shapes(onnx.load(NETWORK))
    network = onnx.utils.Extractor(network).extract_model(["input"], [FEATURES])
    pixels = warm_up_pixels(*SIZE)[:6].astype(np.float32).transpose(0, 3, 1, 2)
    session = onnxruntime.InferenceSession(network.SerializeToString(), providers=["CPUExecutionProvider"])
    (features,) = session.run(None, {"input": pixels / 127.5 - 1})
    features = features.round(3)  # The same whatever order they were summed in.
    kinds = np.array(["coffee", "rocket", "astronaut"] * 2)
    head = to_onnx(LogisticRegression().fit(features, kinds), features[:1], target_opset={"": 17, "ai.onnx.ml": 1})
    head = compose.add_prefix(head, "head/")
    network.ir_version = head.ir_version = 8
    return compose.merge_models(network, head, io_map=[(FEATURES, "head/X")])


def beside_its_scores():
    """A network that ends as skl2onnx's classifiers do: the class's name, and a map from names to probabilities."""
    model = onnx.load(NETWORK)
    names = [f"kind of thing {i}" for i in range(10)]
    nodes = [
        helper.make_node("Softmax", ["logits"], ["probabilities"], "Softmax", axis=1),
        helper.make_node(
            "ZipMap", ["probabilities"], ["output_probability"], "ZipMap", domain="ai.onnx.ml",
            classlabels_strings=names,
        ),
        helper.make_node("ArgMax", ["probabilities"], ["argmax_output"], "ArgMax", axis=1, keepdims=0),
        helper.make_node(
            "LabelEncoder", ["argmax_output"], ["output_label"], "LabelEncoder", domain="ai.onnx.ml",
            keys_int64s=list(range(10)), values_strings=names,
        ),
    ]  # fmt: skip
    model.graph.node.extend(nodes)
    del model.graph.output[:]
    pairs = helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    model.graph.output.extend([
        helper.make_tensor_value_info("output_label", TensorProto.STRING, ["batch"]),
        helper.make_value_info("output_probability", helper.make_sequence_type_proto(pairs)),
    ])  # fmt: skip
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 2))
    return model


FILES = {
    "digits_mlp": lambda: of_digits(StandardScaler(), MLPClassifier((16,), max_iter=50, random_state=0)),
    "digits_pca": lambda: of_digits(PCA(8, random_state=0), LogisticRegression(max_iter=200)),
    "behind_a_network": behind_a_network,
    "beside_its_scores": beside_its_scores,
}


def main(out=TESTS / "exporters" / "sklearn"):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    for name, make in FILES.items():
        model = make()
        onnx.checker.check_model(model)
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        onnx.save(model, out / f"{name}.onnx")


if __name__ == "__main__":
    main(*sys.argv[1:])
