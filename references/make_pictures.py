"""Small pictures of every kind that is read, and the pixels that must come of them.

    python references/make_pictures.py [OUT]

Writes them, {expected}.png and cases.json into crates/onnxcam/tests/golden/pictures, and one picture in eight orientations into
orientations beside it. The pixels are Pillow's, turned
upright by its own function, but for what docs/pictures.md says differently: 16-bit samples are scaled, and alpha is
composed over white; there they are made by definition. What Pillow cannot write is put together here, byte by byte.
"""

import io
import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageOps

from pictures import photograph

GOLDEN = Path(__file__).parent.parent / "crates" / "onnxcam" / "tests" / "golden" / "pictures"
WIDTH, HEIGHT = 37, 29  # neither a multiple of a block, a byte or a tile

PHOTO = photograph("chelsea").crop((150, 90, 150 + 2 * WIDTH, 90 + 2 * HEIGHT)).resize((WIDTH, HEIGHT))
GREY = PHOTO.convert("L")
FADE = Image.fromarray((np.add.outer(np.arange(HEIGHT) * 3, np.arange(WIDTH) * 5) * 255 // (28 * 3 + 36 * 5)).astype(np.uint8))
ALPHA = PHOTO.copy()
ALPHA.putalpha(FADE)
FEW = PHOTO.quantize(14, dither=Image.Dither.NONE)  # a palette of 14 colours
INDICES = np.asarray(FEW)
PALETTE = np.array(FEW.getpalette()[: 14 * 3], np.uint8).reshape(-1, 3)
ONE_BIT = GREY.convert("1")
DEEP = (np.asarray(PHOTO).astype(np.uint32) * 40503 + 7 * np.arange(WIDTH)[None, :, None] + 13) % 65536  # 16 bits


def pixels(image):
    """Pillow's pixels, upright."""
    return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def over_white(rgb, alpha):
    """c a + 255 (1 - a), rounded."""
    rgb, alpha = np.asarray(rgb).astype(int), np.asarray(alpha).astype(int)[..., None]
    return ((rgb * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def scaled(samples):
    """0..65535 to 0..255, rounded."""
    return ((np.asarray(samples).astype(np.int64) + 128) // 257).astype(np.uint8)


def grey(samples):
    return np.repeat(np.asarray(samples)[..., None], 3, axis=-1).astype(np.uint8)


def saved(image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


# --- JPEG


def jpeg(image=PHOTO, **options):
    return saved(image, "JPEG", **({"quality": 92} | options))


def segment(data, marker):
    """Start and end of a JPEG's segment."""
    at = data.index(bytes([0xFF, marker]))
    return at, at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]


def without(data, marker):
    start, end = segment(data, marker)
    return data[:start] + data[end:]


def jpegs():
    cmyk = jpeg(PHOTO.convert("CMYK"))
    adobe = cmyk.index(b"Adobe")
    rgb = jpeg(keep_rgb=True)
    yield "baseline.jpg", jpeg(subsampling="4:2:0")
    yield "half-across.jpg", jpeg(subsampling="4:2:2")
    yield "full-colour.jpg", jpeg(subsampling="4:4:4")
    yield "progressive.jpg", jpeg(progressive=True, subsampling="4:2:0")
    yield "progressive-full-colour.jpg", jpeg(progressive=True, subsampling="4:4:4")
    yield "restarts.jpg", jpeg(restart_marker_blocks=2)
    yield "coarse.jpg", jpeg(quality=8)
    yield "grey.jpg", jpeg(GREY)
    yield "grey-progressive.jpg", jpeg(GREY, progressive=True)
    yield "rgb.jpg", rgb
    yield "rgb-by-its-names.jpg", without(rgb, 0xEE)
    yield "cmyk.jpg", cmyk
    yield "cmyk-progressive.jpg", jpeg(PHOTO.convert("CMYK"), progressive=True)
    yield "cmyk-no-marker.jpg", without(cmyk, 0xEE)
    yield "ycck.jpg", cmyk[: adobe + 11] + b"\2" + cmyk[adobe + 12 :]
    yield "no-jfif.jpg", without(jpeg(), 0xE0)
    yield "two-pictures.jpg", jpeg() + jpeg(GREY)  # as cameras append a preview


# --- PNG


def png(*chunks):
    out = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        out += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return out


def rows(samples, bits):
    """Samples [H, W, C] packed, a filter byte before each row."""
    height = samples.shape[0]
    if bits == 16:
        packed = samples.astype(">u2").reshape(height, -1).view(np.uint8)
    elif bits == 8:
        packed = samples.astype(np.uint8).reshape(height, -1)
    else:
        each = np.unpackbits(samples.astype(np.uint8).reshape(height, -1, 1), axis=2)[:, :, 8 - bits :]
        packed = np.packbits(each.reshape(height, -1), axis=1)
    return b"".join(b"\0" + row.tobytes() for row in packed)


def png_of(samples, color, bits, *extra, interlaced=False):
    samples = np.asarray(samples)
    samples = samples[..., None] if samples.ndim == 2 else samples
    height, width = samples.shape[:2]
    if interlaced:  # Adam7: start and step of each pass
        passes = [(0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2), (1, 2, 0, 1)]
        data = b"".join(rows(samples[y::dy, x::dx], bits) for y, dy, x, dx in passes if samples[y::dy, x::dx].size)
    else:
        data = rows(samples, bits)
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, int(interlaced))
    return png((b"IHDR", header), *extra, (b"IDAT", zlib.compress(data, 9)), (b"IEND", b""))


def apng(frames, still=None):
    """Frames of one size; `still` is a picture that is not one of them."""
    file = io.BytesIO()
    images = ([still] if still else []) + frames
    images[0].save(file, "PNG", save_all=True, append_images=images[1:], default_image=still is not None, duration=100)
    return file.getvalue()


def pngs():
    rgb, levels = np.asarray(PHOTO), np.asarray(GREY)
    for bits in (1, 2, 4):
        few = levels >> (8 - bits)
        yield f"grey-{bits}-bit.png", png_of(few, 0, bits), grey(few * (255 // (2**bits - 1)))
    plte = (b"PLTE", PALETTE.tobytes())
    yield "palette-8-bit.png", png_of(INDICES, 3, 8, plte), PALETTE[INDICES]
    yield "palette-4-bit.png", png_of(INDICES, 3, 4, plte), PALETTE[INDICES]
    yield "palette-2-bit.png", png_of(INDICES % 4, 3, 2, plte), PALETTE[INDICES % 4]
    yield "palette-1-bit.png", png_of(INDICES % 2, 3, 1, plte), PALETTE[INDICES % 2]
    yield "rgb.png", png_of(rgb, 2, 8), rgb
    yield "interlaced.png", png_of(rgb, 2, 8, interlaced=True), rgb
    yield "interlaced-1-bit.png", png_of(levels >> 7, 0, 1, interlaced=True), grey((levels >> 7) * 255)
    yield "gamma.png", png_of(rgb, 2, 8, (b"gAMA", struct.pack(">I", 100000)), (b"sRGB", b"\0")), rgb
    yield "frames.png", apng([PHOTO, PHOTO.rotate(180)]), rgb
    yield "still-and-frames.png", apng([PHOTO.rotate(180), PHOTO.rotate(90)], still=PHOTO), rgb
    yield "turned.png", saved(PHOTO.transpose(Image.Transpose.ROTATE_90), "PNG", exif=orientation(6)), rgb

    # Pillow differs: alpha.
    fade = np.asarray(FADE)
    yield "alpha.png", png_of(np.asarray(ALPHA), 6, 8), over_white(rgb, fade), "alpha"
    yield "grey-alpha.png", png_of(np.dstack([levels, fade]), 4, 8), over_white(grey(levels), fade), "alpha"
    key = levels == levels[3, 4]
    trns = (b"tRNS", struct.pack(">H", levels[3, 4]))
    yield "grey-key.png", png_of(levels, 0, 8, trns), over_white(grey(levels), ~key * 255), "alpha"
    key = (rgb == rgb[3, 4]).all(axis=-1)
    trns = (b"tRNS", struct.pack(">3H", *rgb[3, 4]))
    yield "rgb-key.png", png_of(rgb, 2, 8, trns), over_white(rgb, ~key * 255), "alpha"
    opacity = np.array([255, 0, 100, 200] + [255] * 10, np.uint8)
    trns = (b"tRNS", opacity[:4].tobytes())
    yield "palette-alpha.png", png_of(INDICES, 3, 4, plte, trns), over_white(PALETTE[INDICES], opacity[INDICES]), "alpha"
    # Pillow differs: it clips 16-bit grey, and takes the upper byte of RGB.
    yield "grey-16-bit.png", png_of(DEEP[..., 0], 0, 16), grey(scaled(DEEP[..., 0])), "deep"
    yield "rgb-16-bit.png", png_of(DEEP, 2, 16), scaled(DEEP), "deep"
    yield "interlaced-16-bit.png", png_of(DEEP, 2, 16, interlaced=True), scaled(DEEP), "deep"
    deep = np.dstack([DEEP, DEEP[::-1, :, 0]])
    yield "alpha-16-bit.png", png_of(deep, 6, 16), over_white(scaled(DEEP), scaled(DEEP[::-1, :, 0])), "deep"


# --- WebP, GIF


def webps():
    lossy, lossless = {"quality": 80}, {"lossless": True}
    frames = [PHOTO, PHOTO.rotate(180), PHOTO.rotate(90)]
    turned = PHOTO.transpose(Image.Transpose.ROTATE_90)
    yield "lossy.webp", saved(PHOTO, "WEBP", **lossy)
    yield "lossless.webp", saved(PHOTO, "WEBP", **lossless)
    yield "few-colours.webp", saved(FEW.convert("RGB"), "WEBP", **lossless)
    yield "frames.webp", saved(PHOTO, "WEBP", save_all=True, append_images=frames[1:], **lossless)
    yield "lossy-frames.webp", saved(PHOTO, "WEBP", save_all=True, append_images=frames[1:], **lossy)
    yield "turned.webp", saved(turned, "WEBP", exif=orientation(6), **lossless)
    for name, options in [("alpha", lossy), ("lossless-alpha", lossless | {"exact": True})]:
        data = saved(ALPHA, "WEBP", **options)
        seen = Image.open(io.BytesIO(data))
        yield f"{name}.webp", data, over_white(np.asarray(seen)[..., :3], np.asarray(seen)[..., 3]), "alpha"


def gifs():
    few = FEW.convert("RGB")
    frames = [few, few.rotate(180), few.rotate(90)]
    yield "plain.gif", saved(FEW, "GIF", interlace=0)
    yield "interlaced.gif", saved(FEW, "GIF", interlace=1)
    yield "grey.gif", saved(GREY, "GIF")
    yield "frames.gif", saved(few, "GIF", save_all=True, append_images=frames[1:], duration=50)
    clear = INDICES == INDICES[3, 4]
    data = saved(FEW, "GIF", transparency=int(INDICES[3, 4]))
    yield "transparent.gif", data, over_white(PALETTE[INDICES], ~clear * 255), "alpha"
    # A first frame that covers a part of the canvas.
    plain = saved(FEW, "GIF", interlace=0)
    at = plain.index(b"," + bytes(4))
    canvas = struct.pack("<HH", WIDTH + 6, HEIGHT + 4)
    placed = plain[:6] + canvas + plain[10:at] + b"," + struct.pack("<HH", 5, 3) + plain[at + 5 :]
    expected = np.full((HEIGHT + 4, WIDTH + 6, 3), 255, np.uint8)
    expected[3 : 3 + HEIGHT, 5 : 5 + WIDTH] = PALETTE[INDICES]
    yield "part-of-its-canvas.gif", placed, expected, "alpha"


# --- BMP


def bmp(data, bits, compression=0, palette=b"", header=40, masks=b"", top_down=False, size=(WIDTH, HEIGHT)):
    info = struct.pack("<Iii", header, size[0], -size[1] if top_down else size[1])
    info += struct.pack("<HHIIiiII", 1, bits, compression, len(data), 2835, 2835, len(palette) // 4, 0)
    if header > 40:
        info = info + masks.ljust(16, b"\0") + b"sRGB".ljust(header - 56, b"\0")
    else:
        info += masks
    offset = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + info + palette + data


def bmp_rows(packed, top_down=False):
    """Rows [H, bytes], padded to four bytes, the lowest first."""
    padded = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 4)))
    return (padded if top_down else padded[::-1]).tobytes()


def run_lengths(indices, bits):
    """BMP's run-length code: runs, and here and there pixels as they are."""
    out = b""
    for y, row in enumerate(indices[::-1]):
        x = 0
        while x < len(row):
            run = 1
            while x + run < len(row) and row[x + run] == row[x] and run < 255:
                run += 1
            if run == 1 and x + 6 <= len(row) and y % 2:
                out += b"\0\6"
                if bits == 8:
                    out += bytes(row[x : x + 6])
                else:
                    out += bytes(a << 4 | b for a, b in row[x : x + 6].reshape(3, 2)) + b"\0"
                x += 6
            else:
                out += bytes([run, row[x] if bits == 8 else row[x] << 4 | row[x]])
                x += run
        out += b"\0\0"
    return out + b"\0\1"


def bmps():
    rgb = np.asarray(PHOTO).astype(np.uint32)
    r, g, b = (rgb[..., i] for i in range(3))
    bgrx = np.dstack([b, g, r, 0 * r]).astype(np.uint8).reshape(HEIGHT, -1)
    palette = np.pad(PALETTE[:, ::-1], ((0, 2), (0, 1))).tobytes()
    fifteen = (r >> 3 << 10 | g >> 3 << 5 | b >> 3).astype("<u2").view(np.uint8).reshape(HEIGHT, -1)
    sixteen = (r >> 3 << 11 | g >> 2 << 5 | b >> 3).astype("<u2").view(np.uint8).reshape(HEIGHT, -1)
    nibbles = np.pad(INDICES, ((0, 0), (0, WIDTH % 2)))
    nibbles = (nibbles[:, ::2] << 4 | nibbles[:, 1::2]).astype(np.uint8)
    yield "rgb.bmp", saved(PHOTO, "BMP")
    yield "grey.bmp", saved(GREY, "BMP")
    yield "1-bit.bmp", saved(ONE_BIT, "BMP")
    yield "palette.bmp", saved(FEW, "BMP")
    yield "top-down.bmp", bmp(bmp_rows(np.asarray(PHOTO)[..., ::-1].reshape(HEIGHT, -1), True), 24, top_down=True)
    yield "32-bit.bmp", bmp(bmp_rows(bgrx), 32)
    yield "4-bit.bmp", bmp(bmp_rows(nibbles), 4, palette=palette)
    yield "15-bit.bmp", bmp(bmp_rows(fifteen), 16)
    yield "16-bit.bmp", bmp(bmp_rows(sixteen), 16, 3, masks=struct.pack("<3I", 0xF800, 0x7E0, 0x1F))
    yield "run-lengths.bmp", bmp(run_lengths(INDICES, 8), 8, 1, palette)
    yield "run-lengths-4-bit.bmp", bmp(run_lengths(INDICES, 4), 4, 2, palette)
    core = bmp_rows(np.asarray(PHOTO)[..., ::-1].reshape(HEIGHT, -1))
    core = b"BM" + struct.pack("<IHHI", 26 + len(core), 0, 0, 26) + struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, 24) + core
    yield "os2.bmp", core
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    bgra = np.dstack([b, g, r, np.asarray(FADE)]).astype(np.uint8).reshape(HEIGHT, -1)
    yield "alpha.bmp", bmp(bmp_rows(bgra), 32, 3, header=108, masks=masks), over_white(rgb, FADE), "alpha"
    yield "empty-alpha.bmp", bmp(bmp_rows(bgrx), 32, 3, header=124, masks=masks), np.asarray(PHOTO)


# --- TIFF


def tiff(image=PHOTO, **options):
    return saved(image, "TIFF", **options)


def tiled(array, **options):
    file = io.BytesIO()
    options = {"software": False, "metadata": None, "photometric": "rgb"} | options
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


def handmade_tiff(data, bits, photometric, *tags):
    """One strip, little endian. Tags: (tag, values as shorts)."""
    entries = {256: [WIDTH], 257: [HEIGHT], 258: [bits], 259: [1], 262: [photometric], 277: [1], 278: [HEIGHT]} | dict(tags)
    count = len(entries) + 2
    at = 8 + 2 + 12 * count + 4
    extra, directory = b"", b""
    shorts = {tag: struct.pack(f"<{len(values)}H", *values) for tag, values in entries.items()}
    for tag, packed in shorts.items():
        if len(packed) > 4:
            entries[tag] = (len(packed) // 2, at + len(extra))
            extra += packed
    for tag in sorted([*entries, 273, 279]):
        if tag in (273, 279):
            directory += struct.pack("<HHII", tag, 4, 1, at + len(extra) if tag == 273 else len(data))
        elif len(shorts[tag]) > 4:
            directory += struct.pack("<HHII", tag, 3, *entries[tag])
        else:
            directory += struct.pack("<HHI", tag, 3, len(shorts[tag]) // 2) + shorts[tag].ljust(4, b"\0")
    return b"II*\0" + struct.pack("<IH", 8, count) + directory + bytes(4) + extra + data


def tiffs():
    rgb, levels, fade = np.asarray(PHOTO), np.asarray(GREY), np.asarray(FADE)
    for method in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        yield f"rgb-{method.removeprefix('tiff_').replace('_', '-')}.tif", tiff(compression=method)
    yield "lzw-differences.tif", tiff(compression="tiff_lzw", tiffinfo={317: 2})
    yield "strips.tif", tiff(compression="tiff_adobe_deflate", strip_size=WIDTH * 3 * 5)
    yield "jpeg.tif", tiff(compression="jpeg", quality=92)
    yield "jpeg-strips.tif", tiff(compression="jpeg", quality=92, strip_size=WIDTH * 3 * 16)
    yield "grey-jpeg.tif", tiff(GREY, compression="jpeg", quality=92)
    yield "grey.tif", tiff(GREY)
    yield "1-bit.tif", tiff(ONE_BIT)
    yield "fax.tif", tiff(ONE_BIT, compression="group4")
    yield "palette.tif", tiff(FEW)
    yield "palette-lzw.tif", tiff(FEW, compression="tiff_lzw")
    yield "cmyk.tif", tiff(PHOTO.convert("CMYK"))
    yield "cmyk-lzw.tif", tiff(PHOTO.convert("CMYK"), compression="tiff_lzw")
    yield "pages.tif", tiff(save_all=True, append_images=[PHOTO.rotate(180), GREY])
    yield "turned.tif", tiff(PHOTO.transpose(Image.Transpose.ROTATE_90), tiffinfo={274: 6})
    yield "big-endian.tif", tiled(rgb, byteorder=">"), rgb
    yield "eight-byte-offsets.tif", tiled(rgb, bigtiff=True), rgb
    yield "eight-byte-offsets-big-endian.tif", tiled(rgb, bigtiff=True, byteorder=">"), rgb, "unread"
    yield "tiles.tif", tiled(rgb, tile=(16, 16)), rgb
    yield "one-tile.tif", tiled(rgb, tile=(64, 64), compression="zlib"), rgb
    yield "tiles-deflate.tif", tiled(rgb, tile=(16, 32), compression="zlib"), rgb
    yield "planes.tif", tiled(rgb.transpose(2, 0, 1), planarconfig="separate"), rgb
    yield "planes-tiles.tif", tiled(rgb.transpose(2, 0, 1), planarconfig="separate", tile=(16, 16)), rgb
    yield "white-is-zero.tif", tiled(255 - levels, photometric="miniswhite"), grey(levels)
    nibbles = np.pad(INDICES, ((0, 0), (0, 1)))
    nibbles = (nibbles[:, :-1:2] << 4 | nibbles[:, 1::2]).astype(np.uint8)
    colors = np.pad(PALETTE, ((0, 2), (0, 0))).T.ravel().astype(int)
    yield "palette-4-bit.tif", handmade_tiff(nibbles.tobytes(), 4, 3, (320, colors * 257)), PALETTE[INDICES]
    yield "palette-by-256.tif", handmade_tiff(nibbles.tobytes(), 4, 3, (320, colors * 256)), PALETTE[INDICES]
    yield "grey-4-bit.tif", handmade_tiff(nibbles.tobytes(), 4, 1), grey(INDICES * 17)
    yield "extra-channel.tif", tiled(np.dstack([rgb, fade]), extrasamples=["unspecified"]), rgb

    # Pillow differs.
    yield "alpha.tif", tiff(ALPHA), over_white(rgb, fade), "alpha"
    yield "alpha-lzw.tif", tiff(ALPHA, compression="tiff_lzw"), over_white(rgb, fade), "alpha"
    yield "grey-alpha.tif", tiff(Image.merge("LA", [GREY, FADE])), over_white(grey(levels), fade), "alpha"
    multiplied = (rgb.astype(int) * fade[..., None] + 127) // 255
    shown = (multiplied + 255 - fade[..., None]).astype(np.uint8)
    yield "multiplied-alpha.tif", tiled(np.dstack([multiplied, fade]).astype(np.uint8), extrasamples=["assocalpha"]), shown, "alpha"
    deep = DEEP.astype(np.uint16)
    yield "rgb-16-bit.tif", tiled(deep), scaled(deep), "deep"
    yield "rgb-16-bit-big-endian.tif", tiled(deep, byteorder=">"), scaled(deep), "deep"
    yield "grey-16-bit.tif", tiled(deep[..., 0], photometric="minisblack"), grey(scaled(deep[..., 0])), "deep"
    lzw = tiff(Image.fromarray(deep[..., 0]), compression="tiff_lzw")
    yield "grey-16-bit-lzw.tif", lzw, grey(scaled(deep[..., 0])), "deep"
    cmyk = np.dstack([deep, deep[::-1, :, 1]])
    c, k = scaled(cmyk).astype(int)[..., :3], 255 - scaled(cmyk).astype(int)[..., 3:]
    yield "cmyk-16-bit.tif", tiled(cmyk, photometric="separated"), (k - (c * k + 127) // 255).astype(np.uint8), "deep"


# What undoes each orientation: what is stored is shown turned or mirrored back.
UNDO = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def orientations():
    """One picture in eight orientations and four formats, all showing the same."""
    # A JPEG turned and coded anew stays the same where each of its blocks is of one colour.
    blocks = PHOTO.resize((WIDTH // 8, HEIGHT // 8)).resize((WIDTH // 8 * 8, HEIGHT // 8 * 8), Image.Resampling.NEAREST)
    for value, undo in UNDO.items():
        stored = PHOTO.transpose(undo) if undo is not None else PHOTO
        files = {
            "png": saved(stored, "PNG", exif=orientation(value)),
            "webp": saved(stored, "WEBP", lossless=True, exif=orientation(value)),
            "tif": saved(stored, "TIFF", compression="tiff_lzw", tiffinfo={274: value, 317: 2}),
            "jpg": jpeg(blocks.transpose(undo) if undo is not None else blocks, subsampling="4:4:4", exif=orientation(value)),
        }
        for suffix, data in files.items():
            assert suffix == "jpg" or np.array_equal(pixels(Image.open(io.BytesIO(data))), np.asarray(PHOTO)), (value, suffix)
            yield f"{value}.{suffix}", data


def emptied(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    return folder


def main(out=GOLDEN):
    turned = emptied(Path(out).parent / "orientations")
    for name, data in orientations():
        (turned / name).write_bytes(data)
    out = emptied(Path(out))
    cases, known = [], {}
    for kind, make in {"jpeg": jpegs, "png": pngs, "webp": webps, "gif": gifs, "bmp": bmps, "tiff": tiffs}.items():
        for name, data, *definition in make():
            (out / name).write_bytes(data)
            if len(definition) == 2:  # Pillow differs, or does not read it
                expected, differs = definition
            else:
                expected, differs = pixels(Image.open(io.BytesIO(data))), None
                if definition:
                    assert np.array_equal(expected, definition[0]), name
            key = expected.shape, expected.tobytes()
            if key not in known:
                known[key] = name.replace(".", "-") + ".expected.png"
                Image.fromarray(expected).save(out / known[key], optimize=True)
            cases.append({"file": name, "kind": kind, "expected": known[key], "differs": differs})
    (out / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
