"""Every method on photographs with one object, with several of one class, and with two classes: docs/gallery.md.

    python references/make_gallery.py --program target/release/onnxcam [OUT]

Composes the pictures of examples/, runs the program on them with its default model, and writes OUT/gallery.md and a sheet a
picture into OUT/images (docs unless OUT is named).
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

REPOSITORY = Path(__file__).parent.parent
CELL, GAP, CAPTION, COLUMNS = 240, 10, 22, 6
LONG, SAMPLES = ("ss-cam", "is-cam"), 4  # which run the network so often for each channel
PLANES = ("full-grad", "rise", "occlusion")  # of one number a pixel, in the space of the picture
LICENCE = "The photographs are scikit-image's `chelsea` and `coffee`, both CC0."


def photograph(name):
    return Image.open(REPOSITORY / "examples" / f"{name}.jpg").convert("RGB")


def one():
    return photograph("chelsea").crop((60, 0, 360, 300))


def several():
    """Three cups: small, mirrored, large."""
    picture = Image.new("RGB", (600, 600), (120, 100, 80))
    cup = photograph("coffee").resize((300, 200), Image.Resampling.BICUBIC)
    picture.paste(cup.resize((600, 400), Image.Resampling.BICUBIC), (0, 200))
    picture.paste(cup, (0, 0))
    picture.paste(ImageOps.mirror(cup), (300, 0))
    return picture


def two():
    """A cat above a cup of coffee."""
    picture = Image.new("RGB", (450, 600))
    for top, name in ((0, "chelsea"), (300, "coffee")):
        picture.paste(photograph(name).resize((450, 300), Image.Resampling.BICUBIC), (0, top))
    return picture


SHEETS = [
    ("one", "One object", one, 282, "tiger cat"),
    ("several", "Several of one class", several, 967, "espresso"),
    ("two-cat", "Two classes: the cat", two, 282, "tiger cat"),
    ("two-coffee", "Two classes: the coffee", two, 967, "espresso"),
]


def run(program, *arguments):
    return subprocess.run([program, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def fitted(image):
    image.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
    cell = Image.new("RGB", (CELL, CELL), "white")
    cell.paste(image, ((CELL - image.width) // 2, (CELL - image.height) // 2))
    return cell


def sheet(program, methods, picture, class_):
    """The picture, and what each method makes of it: its overlay, or in the space of the picture its colours about grey."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        picture.save(path)
        names = [m["name"] for m in methods]
        for few, some in ((True, [n for n in names if n in LONG]), (False, [n for n in names if n not in LONG])):
            samples = ("--samples", SAMPLES) if few else ()
            run(program, "explain", path, "--fit", "stretch", "--class", class_, "--method", ",".join(some), "--save",
                "overlay,heatmap", "-o", folder, *samples)
        cells = [("", picture.copy())]
        for method in methods:
            kind = "heatmap" if method["space"] == "picture" and method["name"] not in PLANES else "overlay"
            cells.append((method["name"], Image.open(Path(folder) / f"picture.{method['name']}.{kind}.png").convert("RGB")))
        rows = -(-len(cells) // COLUMNS)
        out = Image.new("RGB", (GAP + COLUMNS * (CELL + GAP), GAP + rows * (CELL + CAPTION + GAP)), "white")
        draw, font = ImageDraw.Draw(out), ImageFont.load_default(size=15)
        for i, (title, image) in enumerate(cells):
            x, y = GAP + i % COLUMNS * (CELL + GAP), GAP + i // COLUMNS * (CELL + CAPTION + GAP)
            draw.text((x, y), title, "black", font)
            out.paste(fitted(image), (x, y + CAPTION))
        return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("out", nargs="?", default=REPOSITORY / "docs", type=Path)
    arguments = parser.parse_args()
    methods = json.loads(run(arguments.program, "methods", "--json"))
    (arguments.out / "images").mkdir(parents=True, exist_ok=True)
    lines = [
        "# Gallery",
        "",
        f"What {len(methods)} methods make of one network, EfficientNet-Lite0 with its trained weights, and of the same pictures.",
        "Overlays are of the whole picture, stretched to the network's input. What is made in the space of the picture is shown in",
        f"colours about grey. SS-CAM and IS-CAM take {SAMPLES} samples a channel.",
        "Made by `python references/make_gallery.py --program target/release/onnxcam`.",
        LICENCE,
        "",
        "These are single pictures: they show what the methods do, not which is better.",
        "",
    ]
    for name, title, make, class_, label in SHEETS:
        image = sheet(arguments.program, methods, make(), class_)
        image.save(arguments.out / "images" / f"gallery-{name}.jpg", quality=82, optimize=True)
        lines += [f"## {title}", "", f"Explained is class {class_}, {label}.", "", f"![Every method: {title}](images/gallery-{name}.jpg)", ""]
    (arguments.out / "gallery.md").write_text("\n".join(lines[:-1]) + "\n")


if __name__ == "__main__":
    main()
