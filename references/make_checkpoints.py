"""A small checkpoint as old PyTorch wrote them, the same as new PyTorch writes them, and its values.

    python references/make_checkpoints.py

Writes legacy.pth, zip.pth and values.txt into crates/onnxcam/tests/data/checkpoint.

The old format names storages by their address, so its bytes differ from run to run; the values do not.
"""

from collections import OrderedDict
from pathlib import Path

import torch


OUT = Path(__file__).parent.parent / "crates" / "onnxcam" / "tests" / "data" / "checkpoint"


def main(out=OUT):
    torch.manual_seed(0)
    base = torch.randn(4, 6)
    tensors = OrderedDict(
        [
            ("conv.weight", torch.randn(2, 3, 1, 2)),
            ("conv.bias", torch.randn(2)),
            ("view.transposed", base.t()[1:3]),  # shares its storage, strided and with an offset
            ("bn.num_batches_tracked", torch.tensor(7)),
            ("half.weight", torch.randn(3).half()),
        ]
    )
    torch.save(tensors, out / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(tensors, out / "zip.pth")
    with open(out / "values.txt", "w", newline="\n") as file:
        for name, tensor in tensors.items():
            if tensor.dtype == torch.float32:
                values = " ".join(repr(value) for value in tensor.flatten().tolist())
                print(name, ",".join(map(str, tensor.shape)), values, file=file)


if __name__ == "__main__":
    main()
