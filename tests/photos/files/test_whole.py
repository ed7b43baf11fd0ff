"""Photos that lack pixels are refused, whatever the format and whatever took the pixels; whole ones are not."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from openplanet.errors import PhotoError
from openplanet.photos.files import images


def scene(width: int = 320, height: int = 240) -> Image.Image:
    """A picture as busy as a photo."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack([128 + 100 * np.sin(x / 40 + y / 90), 128 + 90 * np.cos(y / 33), 128 + 80 * np.sin((x + y) / 50)])
    return Image.fromarray((waves.transpose(1, 2, 0) + rng.normal(0, 12, (height, width, 3))).clip(1, 255).astype("u1"))


def encoded(kind: str, image: Image.Image | None = None, **how: object) -> bytes:
    out = io.BytesIO()
    (image or scene()).save(out, kind, **how)
    return out.getvalue()


FORMS = {
    "jpeg": ("JPEG", {"quality": 85}),
    "optimized jpeg": ("JPEG", {"quality": 85, "optimize": True}),
    "progressive jpeg": ("JPEG", {"quality": 85, "progressive": True}),
    "jpeg with restarts": ("JPEG", {"restart_marker_blocks": 8}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {"quality": 90}),
    "lossless webp": ("WEBP", {"lossless": True}),
    "lzw tiff": ("TIFF", {"compression": "tiff_lzw"}),
    "deflated tiff": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "tiff of jpegs": ("TIFF", {"compression": "jpeg"}),
    "heic": ("HEIF", {"quality": 90}),
    "avif": ("AVIF", {"quality": 90}),
}
WHOLE = {name: encoded(kind, **how) for name, (kind, how) in FORMS.items()} | {"plain tiff": encoded("TIFF")}


def damages(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Cut off, ended with a marker, filled with zeros to the end, or with a hole of zeros."""
    end = b"\xff\xd9" if "jpeg" in name and "tiff" not in name else b""
    for share in (0.3, 0.55, 0.85):
        at = int(len(data) * share)
        if "tiff" not in name:  # its directory may lie at the end
            yield f"cut at {share}", data[:at]
        if end:
            yield f"cut at {share}, with an end marker", data[:at] + end
            yield f"zeros from {share}, with an end marker", data[:at] + bytes(len(data) - at - 2) + end
        if "tiff" not in name or name == "plain tiff":
            yield f"zeros from {share}", data[: at + 1] + bytes(len(data) - at - 1)
        if name != "plain tiff":
            hole = min(6000, len(data) // 3)
            at = int(len(data) * share * 0.7)
            yield f"a hole at {share}", data[:at] + bytes(hole) + data[at + hole :]


CASES = [
    pytest.param(damaged, id=f"{name}, {what}") for name, data in WHOLE.items() for what, damaged in damages(name, data)
]


@pytest.mark.parametrize("name", WHOLE)
def test_whole_photos_are_read(name: str) -> None:
    assert images.load(WHOLE[name], 100).size == (133, 100)


@pytest.mark.parametrize("data", CASES)
def test_a_photo_that_lacks_pixels_is_corrupt(data: bytes) -> None:
    with pytest.raises(PhotoError) as caught:
        images.load(data, 100)
    assert caught.value.reason == "corrupt"


def rows_of_png(share: float, image: Image.Image) -> bytes:
    """A PNG whose stream is in order and has some of its rows only."""
    raw = b"".join(b"\0" + np.asarray(image)[row].tobytes() for row in range(int(image.height * share)))

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", *image.size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def test_a_png_of_a_third_of_its_rows() -> None:
    black_below = scene()
    black_below.paste("black", (0, 150, 320, 240))
    assert images.load(rows_of_png(1.0, black_below), 100).size == (133, 100)
    for share in (0.33, 0.6, 0.99):
        with pytest.raises(PhotoError, match="end early"):
            images.load(rows_of_png(share, black_below), 100)


@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
def test_black_pngs_are_whole(mode: str, interlace: int) -> None:
    """Pillow writes no interlaced PNGs; odd sizes ask every pass for its own number of rows."""
    image = Image.new(mode, (37, 29))
    assert images.load(encoded("PNG", image), 16).mode == "RGB"
    if interlace and mode == "L":
        sizes = [(5, 4), (5, 4), (10, 4), (9, 8), (19, 7), (18, 15), (37, 14)]
        raw = b"".join((b"\0" + bytes(columns)) * rows for columns, rows in sizes)
        data = encoded("PNG", image)
        start, end = data.index(b"IDAT") - 4, data.index(b"IEND") - 4
        head = data[16:28] + b"\1"
        body = zlib.compress(raw)
        parts = [
            data[:16] + head + struct.pack(">I", zlib.crc32(b"IHDR" + head)),
            struct.pack(">I", len(body)) + b"IDAT" + body + struct.pack(">I", zlib.crc32(b"IDAT" + body)),
        ]
        assert start > 0
        assert images.load(b"".join(parts) + data[end:], 16).size == (20, 16)


@pytest.mark.parametrize("colour", ["black", "white", "grey"])
@pytest.mark.parametrize("name", FORMS)
def test_blank_pictures_are_whole(name: str, colour: str) -> None:
    """Their coded pixels are the likeliest to hold runs of zeros: black frames, white pages, a star in the night."""
    kind, how = FORMS[name]
    blank = Image.new("RGB", (640, 480), colour)
    assert images.load(encoded(kind, blank, **how), 64).size == (85, 64)
    blank.paste((200, 190, 180), (320, 240, 324, 244))
    assert images.load(encoded(kind, blank, **how), 64).size == (85, 64)
    blank.paste(scene(640, 240), (0, 0))
    assert images.load(encoded(kind, blank, **how), 64).size == (85, 64)


def test_a_scan_with_black_borders_is_whole() -> None:
    scan = scene()
    scan.paste("black", (0, 200, 320, 240))
    scan.paste("black", (290, 0, 320, 240))
    assert images.load(encoded("TIFF", scan), 100).size == (133, 100)
    corner = scene()
    corner.paste("black", (200, 239, 320, 240))  # the end of one row alone
    assert images.load(encoded("PNG", corner), 100).size == (133, 100)


def test_pixels_are_those_of_pillow() -> None:
    """libjpeg-turbo by another way, with the same result: no figure of a trained model changes."""
    for how in ({}, {"progressive": True}, {"subsampling": 0}, {"subsampling": 1}, {"quality": 40}):
        for image in (scene(), scene(333, 257), scene().convert("L")):
            data = encoded("JPEG", image, **how)
            for side in (None, 30, 64, 100):
                by_pillow, ours = (JpegImagePlugin.JpegImageFile(io.BytesIO(data)) for _ in range(2))
                for each in (by_pillow, ours):
                    if side is not None:
                        each.draft(None, tuple(max(1, round(length * side / min(image.size))) for length in image.size))
                strict = images._strictly(io.BytesIO(data), ours)
                assert (np.asarray(strict) == np.asarray(by_pillow)).all()
