"""PyTorch's gradients of single operators, in float64, for the rules of onnx-autodiff.

    python references/make_operator_gradients.py [OUT]

Writes {operator}-{case}.onnx and .npz into crates/onnx-autodiff/tests/golden; README.md says what is in them.
"""

import sys
from pathlib import Path

from operators import elementwise, indexing, linear, pooling, quantise, reduction, resize, shape
from operators.case import write

GOLDEN = Path(__file__).parent.parent / "crates" / "onnx-autodiff" / "tests" / "golden"


def main(out=GOLDEN):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for old in (*out.glob("*.onnx"), *out.glob("*.npz")):
        old.unlink()
    cases = [case for family in (linear, elementwise, pooling, reduction, shape, indexing, resize, quantise) for case in family.CASES]
    assert len({case.stem for case in cases}) == len(cases), "two cases of one name"
    for case in cases:
        write(case, out)
    print(f"{len(cases)} operator cases in {out.name}", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
