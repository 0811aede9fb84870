"""What EfficientNet-Lite0 sees of the photographs in make_lite0.py, before normalisation: 224 x 224 pixels.

    python references/make_lite0_crops.py

Writes crates/onnxcam/tests/golden/lite0/{photograph}.crop.png.
"""

from make_lite0 import GOLDEN, PHOTOGRAPHS, centre
from pictures import photograph


def main(out=GOLDEN):
    for name in PHOTOGRAPHS:
        centre(photograph(name)).save(out / f"{name}.crop.png", optimize=True)


if __name__ == "__main__":
    main()
