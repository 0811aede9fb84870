"""What the classifiers are about: lines, pages and tables of text, digits, symbols, slices of a head, and programs."""

import gzip
import math
import textwrap

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WORDS = (
    "a map of the parts of a picture that spoke for a class is no proof of what a network knows but it is a fair question "
    "put to it and the answer can be looked at by anyone who has eyes"
).split()  # fmt: skip
BLACK, WHITE, PAPER = (0, 0, 0), (255, 255, 255), (248, 247, 242)


def text(draw, at, words, size):
    draw.text(at, words, fill=BLACK, font=ImageFont.load_default(size))


def line():
    picture = Image.new("RGB", (384, 96), PAPER)
    text(ImageDraw.Draw(picture), (14, 22), "Why did it say that?", 38)
    return picture


def page(width, height):
    """A heading and paragraphs, ragged at the right."""
    picture = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(picture)
    text(draw, (60, 50), "Questions put to a network", 34)
    rows = textwrap.wrap(" ".join(WORDS * 8).capitalize() + ".", (width - 120) // 9)
    for row, top in enumerate(range(130, height - 80, 32)):
        if row % 6 != 5:
            text(draw, (60, top), rows[row], 20)
    return picture


def table(ruled):
    """Six rows of four, with lines around the cells or without."""
    picture = Image.new("RGB", (560, 360), WHITE)
    draw = ImageDraw.Draw(picture)
    for row in range(6):
        for column in range(4):
            left, top = 20 + 130 * column, 20 + 53 * row
            if ruled:
                draw.rectangle((left, top, left + 130, top + 53), outline=BLACK, width=2)
            cell = WORDS[4 * row + column + 2] if row == 0 or column == 0 else f"{(7 * row + 13 * column) % 90 + 10}.{column}"
            text(draw, (left + 14, top + 14), cell, 20)
    return picture


def digit(d):
    picture = Image.new("RGB", (280, 280), BLACK)
    ImageDraw.Draw(picture).text((140, 140), d, fill=WHITE, font=ImageFont.load_default(210), anchor="mm", stroke_width=4)
    return picture


def strokes(*lines):
    """White lines on black as the page that collects them draws them: 8 of 224 pixels wide, 10 from the edges."""
    picture = Image.new("RGB", (224, 224), BLACK)
    draw = ImageDraw.Draw(picture)
    for points in lines:
        draw.line([(10 + 204 * x, 10 + 204 * y) for x, y in points], fill=WHITE, width=8, joint="curve")
    return picture


def infinity():
    turns = np.linspace(0, 2 * math.pi, 65)
    return strokes([(0.5 + 0.5 * math.cos(t), 0.5 + 0.45 * math.sin(t) * math.cos(t)) for t in turns])


def arrow():
    """To the right, its head bent as a hand draws it."""
    bend = [(0.75 + 0.25 * math.sin(t * math.pi / 2), 0.3 + 0.2 * t) for t in np.linspace(0, 1, 9)]
    return strokes([(0, 0.5), (1, 0.5)], bend, [(x, 1 - y) for x, y in bend])


def volume(data):
    """A NIfTI-1 file of one volume: float64 [x, y, z] from left to right, back to front, below to above."""
    raw = gzip.decompress(data)
    header = np.frombuffer(raw[:348], dtype=np.uint8)
    shape = header[42:48].view("<i2")
    dtype = {2: "u1", 4: "<i2", 16: "<f4"}[int(header[70:72].view("<i2")[0])]
    start = int(header[108:112].view("<f4")[0])
    values = np.frombuffer(raw, dtype=dtype, count=int(np.prod(shape)), offset=start)
    return values.reshape(shape, order="F").astype(np.float64)


def slice_of(values):
    """Grey levels up to the 99.5th percentile, up on the page, in a black square."""
    levels = np.clip(values / np.percentile(values, 99.5) * 255, 0, 255).astype(np.uint8)[::-1]
    side = max(levels.shape)
    picture = Image.new("L", (side, side))
    picture.paste(Image.fromarray(levels), ((side - levels.shape[1]) // 2, (side - levels.shape[0]) // 2))
    return picture.convert("RGB")


def bytes_of(program):
    """A byte a grey level, in rows whose length is the next power of two above the root of the count."""
    width = 2 ** (math.isqrt(len(program)).bit_length())
    rows = len(program) // width
    levels = np.frombuffer(program, dtype=np.uint8, count=rows * width).reshape(rows, width)
    return Image.fromarray(levels).convert("RGB")


def pictures(head, programs):
    """All pictures by name; `head` is the file of `files.HEAD`, `programs` are those of `files.PROGRAMS` by name."""
    head = volume(head)
    x, _, z = (n // 2 for n in head.shape)
    whole, sheet = page(620, 877), page(700, 700)
    return {
        "line": line(),
        "line-turned": line().transpose(Image.Transpose.ROTATE_180),
        "page": whole,
        "page-turned": whole.transpose(Image.Transpose.ROTATE_180),
        "page-left": whole.transpose(Image.Transpose.ROTATE_90),
        "sheet": sheet,
        "sheet-turned": sheet.transpose(Image.Transpose.ROTATE_180),
        "table-ruled": table(True),
        "table-open": table(False),
        "digit-3": digit("3"),
        "digit-7": digit("7"),
        "symbol-infinity": infinity(),
        "symbol-arrow": arrow(),
        "head-above": slice_of(head[:, :, z].T),
        "head-side": slice_of(head[x].T),
        **{name: bytes_of(program) for name, program in programs.items()},
    }
