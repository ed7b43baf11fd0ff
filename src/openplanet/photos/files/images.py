"""Pixels of a photo: upright, RGB, reduced; JPEG without metadata; a perceptual hash.

Whatever Pillow's decoders raise becomes a PhotoError, and their warnings stay inside. Truncated pictures are
refused (Pillow's LOAD_TRUNCATED_IMAGES stays False), for a grey lower half teaches a model grey.
"""

import io
import re
import struct
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile, JpegImagePlugin

from openplanet.errors import PhotoError
from openplanet.photos.files import exif, whole
from openplanet.photos.files.budget import AFTERWARDS, WHOLE, budget, kept, needed
from openplanet.photos.files.containers import read_header
from openplanet.photos.files.opening import MAX_BYTES, MAX_PIXELS, open_file, quiet_pillow, too_many_pixels

__all__ = ["MAX_BYTES", "MAX_PIXELS", "SUFFIXES", "dhash", "encode_jpeg", "load"]

_JPEG = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")
_HEIF = (".heic", ".heif", ".hif", ".avif")
SUFFIXES = frozenset((*_JPEG, *_HEIF, ".png", ".webp", ".tif", ".tiff"))
"""Lower-case suffixes of files that are looked at in a folder; what a file is, its content says."""

# A JPEG is decoded at no less than the wanted size, then resized: libjpeg's scaling keeps the low frequencies of each
# block. Against decoding all of it (Lanczos both), real photos that are sharp to the pixel and cameras' soft ones: PSNR
# 33 dB just above half or a quarter of a scale, 37 to 49 dB below: what a box filter costs (33 to 38 dB), and no more
# than our own JPEG does (33 to 35 dB); dhash at most 2 bits, thumbnails correlated over 0.995. It halves the time.
REDUCING_GAP = 1.0
MAX_SIDE = 65_500  # pixels of a side that a JPEG can have
MAX_PROFILE = 4 << 20  # bytes of a colour profile that we let lcms look at
MAX_SCANNED = 10 * MAX_PIXELS  # pixels times scans of a progressive JPEG; cameras write about ten scans
MAX_SCANS = 500  # what libjpeg-turbo's authors advise: each takes time, however few its bytes

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")  # between scans: not a stuffed byte, not a restart
_BAND = 256  # rows
_PLAIN = ("RGB", "L", "CMYK", "YCbCr", "LAB", "RGBA", "LA")  # modes that can be resized as they are
_PNG_KEPT = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"iCCP", b"gAMA")


def load(source: Path | str | bytes, short_side: int | None = None, known: exif.Metadata | None = None) -> Image.Image:
    """Decode a photo: mode RGB, upright by its orientation, the short side at most ``short_side`` pixels.

    Never enlarged; the aspect is kept. Of an animation the first frame, of HEIC the primary image.
    Transparency is laid over white, 16 bits become 8 by scaling, a colour profile is turned into sRGB. The
    image returned carries no metadata. ``known``: what `exif.read` gave for this very photo, so that it is not
    looked for again.

    Raises PhotoError with reason "unreadable", "not a photo", "corrupt" (also for pixels that end early) or
    "too large" (more than MAX_PIXELS pixels or MAX_BYTES bytes; checked before decoding).
    """
    if short_side is not None and short_side < 1:
        raise ValueError(f"short_side must be at least 1, got {short_side}")
    name = f"photo of {len(source):,} bytes" if isinstance(source, bytes) else str(source)
    if isinstance(source, bytes) and len(source) > MAX_BYTES:
        raise PhotoError(f"{name}: more than {MAX_BYTES:,} bytes; leave it out", "too large")
    with io.BytesIO(source) if isinstance(source, bytes) else open_file(Path(source)) as stream:
        if known is None:
            header = read_header(stream, name)
            kind, orientation = header.format, exif.orientation_of(header, exif.read_blocks(header, name))
            size = header.width, header.height
        else:
            kind, orientation, size = known.format, known.orientation, (known.width, known.height)
        taken = 0
        if kind == "WEBP":  # takes its memory when it is opened
            taken = size[0] * size[1] * WHOLE[kind] + kept(*size, short_side) * AFTERWARDS
        with quiet_pillow, budget.hold(taken, name):
            try:
                image = _decode(stream, kind, short_side, name)
            except PhotoError:
                raise
            except Image.DecompressionBombError:
                raise too_many_pixels(name) from None
            except Exception as error:  # decoders raise whatever their libraries do
                what = str(error) or type(error).__name__
                message = f"{name}: is damaged ({what}); export it again or leave it out"
                raise PhotoError(message, "corrupt") from None
    if orientation in _TURNS and kind != "TIFF":  # which Pillow turns while it loads it
        image = image.transpose(_TURNS[orientation])
    image.info = {}
    return image


def _decode(stream: BinaryIO, kind: str, short_side: int | None, name: str) -> Image.Image:
    try:
        return _decoded(stream, kind, short_side, name)
    except ValueError as error:
        if kind != "PNG" or str(error) == whole.EARLY:
            raise
        # Pillow refuses a PNG whose text (a long XMP, or a bomb) inflates to over a megabyte.
        return _decoded(_without_text(stream), kind, short_side, name)


def _decoded(stream: BinaryIO, kind: str, short_side: int | None, name: str) -> Image.Image:
    """The picture reduced, within the memory that there is for it."""
    image = _open(stream, kind)
    full = image.size
    if short_side is not None and isinstance(image, JpegImagePlugin.JpegImageFile):
        factor = short_side * REDUCING_GAP / min(full)
        if factor < 1:
            target = tuple(max(1, round(side * factor)) for side in full)
            image.draft(None, (target[0], target[1]))  # decodes at 1/2, 1/4 or 1/8, no smaller than this
    with nullcontext() if kind == "WEBP" else budget.hold(needed(image, kind, short_side, full), name):
        if isinstance(image, JpegImagePlugin.JpegImageFile):
            return _reduced(_strictly(stream, image), short_side)
        image.load()
        whole.check(stream, kind, image)
        return _reduced(image, short_side)


def _strictly(stream: BinaryIO, image: JpegImagePlugin.JpegImageFile) -> Image.Image:
    """The same pixels as Pillow's decoder gives, by libjpeg-turbo with warnings as errors: where coded pixels are
    missing, libjpeg fills in grey and Pillow keeps its warning to itself."""
    if image.mode not in ("RGB", "L"):
        image.load()
        return image
    stream.seek(0)
    space = "RGB" if image.mode == "RGB" else "GRAY"
    width, height = image.size
    pixels = simplejpeg.decode_jpeg(stream.read(), colorspace=space, min_height=height, min_width=width, strict=True)
    decoded = Image.fromarray(pixels if image.mode == "RGB" else pixels[..., 0])
    if decoded.size != image.size:
        raise ValueError(f"decodes to {decoded.size} pixels, not to {image.size}")
    decoded.info = image.info
    return decoded


def _open(stream: BinaryIO, kind: str) -> Image.Image:
    stream.seek(0)
    if kind == "JPEG":  # not Image.open, which goes after the further pictures of a JPEG (MPO)
        image: Image.Image = JpegImagePlugin.JpegImageFile(stream)
    else:
        image = Image.open(stream, formats=[kind])
    if image.width * image.height > MAX_PIXELS:
        raise Image.DecompressionBombError
    if "progressive" in image.info:
        scans = _scans(stream)
        if scans > MAX_SCANS or image.width * image.height * scans > MAX_SCANNED:
            raise ValueError("a progressive JPEG of absurdly many scans")
    return image


def _scans(stream: BinaryIO) -> int:
    """Scans of the JPEG whose first one begins here; each costs a pass over all pixels, in a few bytes."""
    scans, at, data = 1, 0, stream.read()
    while (marker := _MARKER.search(data, at)) is not None and scans <= MAX_SCANS:
        kind, at = data[marker.end() - 1], marker.end()
        if kind == 0xD9:
            break
        scans += kind == 0xDA
        at += int.from_bytes(data[at : at + 2], "big")  # over the segment: what is in it is no marker
    return scans


def _without_text(stream: BinaryIO) -> BinaryIO:
    stream.seek(0)
    kept = [stream.read(8)]
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind in _PNG_KEPT:
            kept += [head, stream.read(length + 4)]
        else:
            stream.seek(length + 4, io.SEEK_CUR)
    return io.BytesIO(b"".join(kept))


def _reduced(image: Image.Image, short_side: int | None) -> Image.Image:
    """First small, then RGB: the costly steps on few pixels, except for modes that cannot be mixed."""
    profile = image.info.get("icc_profile")
    if image.mode not in _PLAIN or "transparency" in image.info:
        image = _plain(image)
    if short_side is not None and min(image.size) > short_side:
        factor = short_side / min(image.size)
        size = tuple(max(short_side, round(side * factor)) for side in image.size)
        image = image.resize((size[0], size[1]), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return _rgb(image, profile)


def _plain(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return _eight_bits(image)
    if image.mode == "P" and "transparency" not in image.info:
        return image.convert("RGB")
    if image.mode == "La":
        return image.convert("LA")
    if image.mode in ("P", "PA", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits or floating point, scaled to 8 bits (Pillow's own conversion clips it)."""
    bands = [(0, top, image.width, min(top + _BAND, image.height)) for top in range(0, image.height, _BAND)]
    reduced = Image.new("L", image.size)
    if image.mode.startswith("I;16"):
        for band in bands:
            reduced.paste(Image.fromarray((np.asarray(image.crop(band)) >> 8).astype(np.uint8)), band)
        return reduced
    ends = [(values.min(), values.max()) for values in (_values(image, band) for band in bands)]
    low, high = float(min(low for low, _ in ends)), float(max(high for _, high in ends))
    tops = [1.0, 65535.0] if image.mode == "F" else [65535.0]
    if image.mode == "F" and high > 1 and high <= 255:
        tops = [255.0]
    top = next((top for top in tops if high <= top), high)
    low = 0.0 if low >= 0 else low
    for band in bands:
        scaled = (_values(image, band) - low) * (255 / ((top - low) or 1)) + 0.5
        reduced.paste(Image.fromarray(scaled.astype(np.uint8)), band)
    return reduced


def _values(image: Image.Image, band: tuple[int, int, int, int]) -> NDArray[np.float32]:
    """A band of rows, so that a large picture is never there in several forms."""
    return np.nan_to_num(np.asarray(image.crop(band), dtype=np.float32))


def _rgb(image: Image.Image, profile: object) -> Image.Image:
    if image.mode in ("RGBA", "LA"):
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    if image.mode in ("RGB", "CMYK") and isinstance(profile, bytes) and 128 < len(profile) <= MAX_PROFILE:
        image = _to_srgb(image, profile)
    if image.mode == "LAB":
        image = _transform(image, ImageCms.createProfile("LAB"))
    if image.mode == "RGB" and not isinstance(image, ImageFile.ImageFile):
        return image
    return image.convert("RGB")  # of an open file a copy, which no longer holds the file


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Colours as the profile (Display P3, Adobe RGB, a press's CMYK) means them; a damaged one is ignored."""
    if {"RGB": b"RGB ", "CMYK": b"CMYK"}[image.mode] != profile[16:20]:
        return image
    if b"sRGB" in profile[:4096]:  # by far the commonest, and nothing to do
        return image
    try:
        return _transform(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image


def _transform(image: Image.Image, profile: object) -> Image.Image:
    srgb = ImageCms.createProfile("sRGB")
    result = ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB")  # type: ignore[arg-type]
    assert result is not None  # None only when working in place
    return result


def encode_jpeg(image: Image.Image, quality: int = 88) -> bytes:
    """An image as JPEG bytes: pixels alone, no Exif, position, comment or profile. ``quality`` 1..95.

    Raises PhotoError "too large" where a side is over MAX_SIDE.
    """
    if max(image.size) > MAX_SIDE:
        size = f"{image.width:,} x {image.height:,}"
        raise PhotoError(f"a picture of {size} pixels, which no JPEG can hold ({MAX_SIDE:,}); cut it", "too large")
    clean = image
    if image.mode != "RGB" or image.info:
        clean = image.convert("RGB")
        clean.info = {}
    out = io.BytesIO()
    clean.save(out, "JPEG", quality=quality)
    return out.getvalue()


def dhash(image: Image.Image) -> int:
    """64-bit difference hash: of the image as 9 x 8 grey, bit 1 where the left neighbour is the brighter.

    Rows from the top, the highest bit first. Measured on 200 real photos: rescaled by 0.5 to 2 and encoded
    again at quality 60 to 90, at most 4 bits turned; no two different photos were within 6. Pictures
    without structure (fog, a blank wall) hash alike: a small distance is a suspicion, not a proof.
    """
    # Floating point and a wide filter: on real photos half as many bits turn as with a box filter. Averaging boxes
    # of a ninth first turns 0.04 bits more in the mean, and takes a third of the time.
    grey = image.convert("L").convert("F").resize((9, 8), Image.Resampling.LANCZOS, reducing_gap=9.0)
    grey_89 = np.asarray(grey)
    bits = (grey_89[:, :-1] > grey_89[:, 1:]).reshape(-1)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
