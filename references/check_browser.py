"""Checks the page of `examples/browser`: `python references/check_browser.py EXPLAINED.onnx PHOTOGRAPH [DRAWING.png]`.

First `npm install` in `examples/browser`; the browser is $CHROMIUM, else /usr/bin/chromium. The page runs there,
headless, with onnxruntime-web; Python's onnxruntime then runs the file on the very input that the page made. Class and map
have to agree, the map within 1e-4 of its largest cell. Prints one line; the exit status is 1 where they do not.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime

PAGE = Path(__file__).parent.parent / "examples" / "browser"


def main():
    model, photograph, *drawing = sys.argv[1:]
    command = ["node", PAGE / "test.mjs", model, photograph, *drawing]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    document = json.loads(session.get_modelmeta().custom_metadata_map["onnxcam"])
    sized = lambda port: [d if isinstance(d, int) else 1 for d in port["shape"]]
    given = {document["input"]["name"]: np.float32(found["x"]).reshape(sized(document["input"]))}
    if document["target"]:
        given[document["target"]["name"]] = np.full(sized(document["target"]), -1, np.int64)
    label, maps = session.run([document["class"]["name"], document["maps"][0]["output"]], given)
    label = int(label.ravel()[0])
    shape = [found["height"], found["width"]]
    expected = maps.reshape(-1, *shape)[0 if document["target"] else label]
    error = np.abs(np.float32(found["map"]).reshape(shape) - expected).max() / expected.max()
    print(f"Chromium {found['browser']}: {found['said']}; onnxruntime {onnxruntime.__version__}: class {label}; "
          f"maps differ by {error:.1e} of the largest cell")
    sys.exit(0 if found["label"] == label and error <= 1e-4 else 1)


if __name__ == "__main__":
    main()
