"""Makes the small pictures beside this file and the malformed ones in ../bad.

Pillow 13.0.0, NumPy; run from anywhere: python make.py
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

HERE = Path(__file__).parent
BAD = HERE.parent / "bad"

# What undoes each Exif orientation, as the standard defines them.
UNDO = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,  # counter-clockwise: stored so, shown turned clockwise
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def scene(width=48, height=32):
    """Four plain quarters, so that turns show and JPEG keeps them: red, green / blue, white."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = (200, 30, 30)
    pixels[: height // 2, width // 2 :] = (30, 180, 60)
    pixels[height // 2 :, : width // 2] = (40, 60, 210)
    pixels[height // 2 :, width // 2 :] = (240, 240, 240)
    return Image.fromarray(pixels)


def jpeg(image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", **({"quality": 95, "subsampling": 0} | options))
    return file.getvalue()


def orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()


def with_thumbnail():
    """A JPEG whose Exif block holds a whole small JPEG, end-of-image marker included."""
    thumbnail = jpeg(scene(24, 16))
    ifd0 = struct.pack("<HHHII", 1, 0x0112, 3, 1, 1) + struct.pack("<I", 8 + 18)
    ifd1 = struct.pack("<H", 2)
    ifd1 += struct.pack("<HHII", 0x0201, 4, 1, 8 + 18 + 30)
    ifd1 += struct.pack("<HHII", 0x0202, 4, 1, len(thumbnail)) + struct.pack("<I", 0)
    tiff = b"II*\0" + struct.pack("<I", 8) + ifd0 + ifd1 + thumbnail
    return jpeg(scene(), exif=b"Exif\0\0" + tiff)


def ycck(cmyk):
    """The same file with Adobe's transform flag set: its samples are then read as YCCK."""
    at = cmyk.index(b"Adobe")
    return cmyk[: at + 11] + b"\2" + cmyk[at + 12 :]


def without_adobe(cmyk):
    at = cmyk.index(b"Adobe") - 4
    return cmyk[:at] + cmyk[at + 2 + struct.unpack(">H", cmyk[at + 2 : at + 4])[0] :]


def png(*chunks):
    out = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        out += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return out


def header(width, height, depth=8, color=2):
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)


def main():
    for value, undo in UNDO.items():
        stored = scene().transpose(undo) if undo is not None else scene()
        data = jpeg(stored, exif=orientation(value))
        shown = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        assert shown.size == (48, 32) and shown.getpixel((5, 5))[0] > 150, value
        (HERE / f"orientation-{value}.jpg").write_bytes(data)
    scene().transpose(UNDO[6]).save(HERE / "orientation-6.png", exif=orientation(6))

    cmyk = jpeg(scene().convert("CMYK"))
    good = {
        "baseline.jpg": jpeg(scene(), subsampling=2),
        "progressive.jpg": jpeg(scene(), progressive=True),
        "restarts.jpg": jpeg(scene(), restart_marker_blocks=2),
        "grey.jpg": jpeg(scene().convert("L")),
        "rgb.jpg": jpeg(scene(), keep_rgb=True),
        "cmyk.jpg": cmyk,
        "cmyk-no-marker.jpg": without_adobe(cmyk),
        "ycck.jpg": ycck(cmyk),
        "thumbnail.jpg": with_thumbnail(),
    }
    for name, data in good.items():
        (HERE / name).write_bytes(data)
        # The reference that the tests compare with: Pillow's pixels, as a PNG.
        if "cmyk" in name or "ycck" in name:
            Image.open(io.BytesIO(data)).convert("RGB").save(HERE / name.replace(".jpg", ".png"))

    baseline, thumbnail = good["baseline.jpg"], good["thumbnail.jpg"]
    thumbnail_end = thumbnail.index(b"\xff\xd9") + 2
    assert thumbnail_end < len(thumbnail)
    size = baseline.index(b"\xff\xc0") + 5
    pixels = zlib.compress(bytes(48 * 3 + 1) * 32)
    ordinary = png(header(48, 32), (b"IDAT", pixels), (b"IEND", b""))
    bad = {
        "cut.jpg": baseline[: baseline.index(b"\xff\xda") + 30],
        "cut-progressive.jpg": good["progressive.jpg"][: good["progressive.jpg"].rindex(b"\xff\xda") + 12],
        "cut-after-thumbnail.jpg": thumbnail[: thumbnail_end + 60],
        "no-end.jpg": baseline[:-2],
        "no-picture.jpg": b"\xff\xd8\xff\xd9",
        "claims-65535.jpg": baseline[:size] + b"\xff\xff\xff\xff" + baseline[size + 4 :],
        "claims-16384.jpg": baseline[:size] + b"\x40\x00\x40\x00" + baseline[size + 4 :],
        "cut.png": ordinary[:-20],
        "no-end.png": ordinary[:-12],
        "few-rows.png": png(header(48, 33), (b"IDAT", pixels), (b"IEND", b"")),
        "wrong-checksum.png": ordinary[:-18] + bytes([ordinary[-18] ^ 1]) + ordinary[-17:],
        "claims-2-to-the-30.png": png(header(1 << 30, 1 << 30), (b"IDAT", pixels), (b"IEND", b"")),
        "claims-16384.png": png(header(16384, 16384), (b"IDAT", pixels), (b"IEND", b"")),
        "no-width.png": png(header(0, 32), (b"IDAT", pixels), (b"IEND", b"")),
        "no-palette.png": png(header(48, 32, color=3), (b"IDAT", pixels), (b"IEND", b"")),
        "gif-inside.jpg": b"GIF89a\x01\0\x01\0\0\0\0;",
        "webp-inside.png": b"RIFF\x1a\0\0\0WEBPVP8L",
        "text.png": b"this is no picture\n",
        "empty.jpg": b"",
    }
    for name, data in bad.items():
        (BAD / name).write_bytes(data)


main()
