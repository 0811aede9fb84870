"""Builds the seed corpus from files that the repository's tests have anyway.

    python fuzz/seed.py

Copies each into corpus/{target}/, named by its digest; what is there stays.
"""

import hashlib
from pathlib import Path

HERE = Path(__file__).parent
CRATES = HERE.parent / "crates"
LARGEST = 64 * 1024  # libFuzzer would cut them off, and large inputs are slow ones

# target: where its seeds are, as patterns below crates/
SEEDS = {
    "model_import": ["*/tests/**/*.onnx", "*/tests/**/regression/model_import/*"],
    "canonical_gradient": ["*/tests/**/*.onnx", "*/tests/**/regression/canonical_gradient/*"],
    "checkpoint": ["onnxcam/tests/data/checkpoint/*.pth", "*/tests/**/regression/checkpoint/*"],
    "picture": [
        *(f"onnxcam/tests/{folder}/*.{suffix}" for folder in ("golden/pictures", "pictures", "bad")
          for suffix in ("jpg", "png", "webp", "gif", "bmp", "tif")),
        "*/tests/**/regression/picture/*",
    ],
    "npy": ["*/tests/**/*.npy", "*/src/**/*.npy", "*/tests/**/regression/npy/*"],
    "labels": ["onnxcam/src/model/imagenet.txt", "*/tests/**/cases.json", "*/tests/**/regression/labels/*"],
}
# What no file has: the forms that a list of names may take.
TEXTS = {
    "labels": [b'["cat", "dog"]', b'{"0": "cat", "1": ["n02123045", "tabby"]}', b"cat\ndog\n", b"\xef\xbb\xbfcat\r\ndog\r\n"],
}


def main():
    for target, patterns in SEEDS.items():
        corpus = HERE / "corpus" / target
        corpus.mkdir(parents=True, exist_ok=True)
        seeds = [path.read_bytes() for pattern in patterns for path in CRATES.glob(pattern)] + TEXTS.get(target, [])
        seeds = [seed for seed in seeds if len(seed) <= LARGEST]
        for seed in seeds:
            (corpus / hashlib.sha256(seed).hexdigest()[:40]).write_bytes(seed)
        print(f"{target}: {len(seeds)} seeds")


if __name__ == "__main__":
    main()
