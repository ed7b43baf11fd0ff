import contextlib
import io
import os
import struct
import threading
import time
import warnings
import zlib

import numpy as np
import pytest
from exif_blocks import LONG, SHORT, block, chunk, encoded, entry, gps, jpeg, picture, png, tiff
from PIL import Image, ImageCms, ImageFile, ImageFilter, ImageOps, PngImagePlugin

from openplanet.errors import PhotoError
from openplanet.photos.files import images, opening


def marked(size=(40, 24)):
    """A grey picture whose upper left corner is red."""
    image = Image.new("RGB", size, (128, 128, 128))
    image.paste((255, 0, 0), (0, 0, size[0] // 2, size[1] // 2))
    return image


def scene(number, size=(480, 360)):
    """Something like a photo: smooth random shapes of several sizes, with a little noise."""
    random = np.random.default_rng(number)
    total = np.zeros((size[1], size[0], 3))
    for grid, weight in ((3, 1.0), (7, 0.7), (20, 0.4), (60, 0.2)):
        coarse = Image.fromarray(random.integers(0, 256, (grid, grid, 3), dtype=np.uint8))
        total += weight * np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), dtype=float)
    total = total / 2.3 + random.normal(0, 3, total.shape)
    return Image.fromarray(total.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_upright(tmp_path, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo"
    path.write_bytes(encoded(marked(), kind, exif=exif))
    with Image.open(path) as opened:
        expected = ImageOps.exif_transpose(opened).convert("RGB")
    found = images.load(path)
    assert found.mode == "RGB" and found.size == expected.size
    assert found.size == ((40, 24) if orientation < 5 else (24, 40))
    assert np.abs(np.asarray(found, float) - np.asarray(expected, float)).max() <= 2
    assert not found.info and not found.getexif()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_follows_its_container_and_else_exif(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    by_container = encoded(marked((64, 48)), "HEIF", exif=exif.tobytes(), quality=95)
    by_exif = encoded(marked((64, 48)), "HEIF", exif=exif, quality=95)
    assert (b"irot" in by_container or b"imir" in by_container) == (orientation > 1)
    with Image.open(io.BytesIO(jpeg(block(main=[entry(0x0112, SHORT, orientation)]), image=marked((64, 48))))) as like:
        expected = ImageOps.exif_transpose(like)
    for data in (by_container, by_exif):
        found = images.load(data)
        assert found.size == expected.size
        assert np.abs(np.asarray(found, float) - np.asarray(expected, float)).mean() < 8


def test_damaged_exif_does_not_cost_the_picture():
    for exif in (b"", b"garbage", b"II*\0\xff\xff\xff\xff", block(gps())[:300]):
        assert images.load(jpeg(exif)).size == (16, 12)


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [
        ((480, 360), 120, (160, 120)),
        ((360, 480), 120, (120, 160)),
        ((480, 360), 500, (480, 360)),
        ((480, 360), None, (480, 360)),
        ((481, 359), 200, (268, 200)),
        ((3000, 2), 1, (1500, 1)),
        ((1, 900), 5, (1, 900)),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_size(kind, size, short_side, expected):
    assert images.load(encoded(Image.new("RGB", size), kind), short_side).size == expected


def test_short_side_must_be_positive():
    with pytest.raises(ValueError, match="short_side"):
        images.load(jpeg(), 0)


def test_scaled_decoding_is_as_good_as_whole():
    photo = scene(1, (1600, 1200)).filter(ImageFilter.GaussianBlur(1))
    data = encoded(photo, "JPEG", quality=92)
    whole = np.asarray(images.load(data).resize((160, 120), Image.Resampling.LANCZOS), float)
    scaled = np.asarray(images.load(data, 120), float)
    assert np.sqrt(((whole - scaled) ** 2).mean()) < 1.5


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F", "LAB"])
@pytest.mark.parametrize("short_side", [None, 8])
def test_modes_are_shown_as_they_are_meant(mode, short_side):
    ramp = np.repeat(np.linspace(0, 255, 32)[None], 16, axis=0)
    grey = Image.fromarray(ramp.astype(np.uint8))
    if mode == "I;16":
        image = Image.fromarray((ramp * 257).astype(np.uint16))
    elif mode == "I":
        image = Image.fromarray((ramp * 257).astype(np.int32))
    elif mode == "F":
        image = Image.fromarray((ramp / 255).astype(np.float32))
    elif mode == "LAB":
        flat = Image.new("L", grey.size, 128)
        image = Image.merge("LAB", (grey, flat, flat))
    else:
        source = grey if mode in ("1", "P") else grey.convert("RGB")
        image = source.convert(mode, dither=Image.Dither.NONE)
    kinds = {"LA": ["PNG"], "P": ["PNG", "TIFF"], "YCbCr": ["JPEG", "TIFF"], "CMYK": ["JPEG", "TIFF"]}
    kinds |= {"1": ["PNG", "TIFF"], "I;16": ["PNG", "TIFF"], "I": ["TIFF"], "F": ["TIFF"], "LAB": ["TIFF"]}
    for kind in kinds.get(mode, ["PNG"]):
        found = images.load(encoded(image, kind), short_side)
        values = np.asarray(found, float)
        assert found.mode == "RGB"
        assert np.ptp(values, axis=2).max() <= 12  # grey stays grey
        middle = values.mean(axis=(0, 2))
        assert (np.diff(middle) >= -1).all() and middle[0] < 12 and middle[-1] > 243
        if mode not in ("1", "LAB"):
            assert middle.mean() == pytest.approx(127.5, abs=6)


def test_sixteen_bits_of_either_order_and_colour():
    values = (np.arange(32, dtype=np.uint16) * 2048).reshape(4, 8)
    for order in ("I;16", "I;16B"):
        out = Image.new(order, (8, 4))
        out.frombytes(values.astype("<u2" if order == "I;16" else ">u2").tobytes())
        found = np.asarray(images.load(encoded(out, "TIFF")))[:, :, 0]
        assert (found == values >> 8).all()
    rows = b"".join(b"\0" + struct.pack(">6H", 65535, 0, 32768, 0, 65535, 256) for _ in range(2))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert np.asarray(images.load(data))[0].tolist() == [[255, 0, 128], [0, 255, 1]]


@pytest.mark.parametrize("short_side", [None, 4])
def test_transparency_lies_over_white(short_side):
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    clear.paste((0, 0, 255, 255), (0, 0, 4, 8))
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 255, 0, 0, 0])
    palette.paste(0, (0, 0, 4, 8))
    keyed = Image.new("RGB", (8, 8), (1, 2, 3))
    keyed.paste((0, 0, 255), (0, 0, 4, 8))
    for data in (
        encoded(clear, "PNG"),
        encoded(clear, "WEBP", lossless=True),
        encoded(palette, "PNG", transparency=1),
        encoded(keyed, "PNG", transparency=(1, 2, 3)),
    ):
        found = np.asarray(images.load(data, short_side)).astype(int)
        assert np.abs(found[:, 0] - (0, 0, 255)).max() < 40
        assert np.abs(found[:, -1] - (255, 255, 255)).max() < 40


@pytest.mark.parametrize("kind", ["WEBP", "PNG", "TIFF", "MPO"])
def test_first_frame_of_several(kind):
    first, second = Image.new("RGB", (16, 16), "blue"), Image.new("RGB", (16, 16), "yellow")
    found = np.asarray(images.load(encoded(first, kind, save_all=True, append_images=[second]))).astype(int)
    assert np.abs(found - (0, 0, 255)).max() < 12


def test_profile_becomes_srgb():
    """A profile with red and blue swapped: following it is visible."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at = {bytes(profile[i : i + 4]): i for i in range(132, 132 + 12 * struct.unpack(">I", profile[128:132])[0], 12)}
    red, blue = at[b"rXYZ"], at[b"bXYZ"]
    profile[red + 4 : red + 12], profile[blue + 4 : blue + 12] = (
        profile[blue + 4 : blue + 12],
        profile[red + 4 : red + 12],
    )
    profile = profile.replace(b"s\0R\0G\0B", b"x\0R\0G\0B").replace(b"sRGB", b"xRGB")
    data = encoded(Image.new("RGB", (8, 8), (255, 0, 0)), "PNG", icc_profile=bytes(profile))
    found = np.asarray(images.load(data))[0, 0].tolist()
    assert found[2] > 240 and found[0] < 15
    for damaged in (bytes(profile[:200]), b"x" * 500, b"\0" * 16 + b"RGB " + b"\xff" * 400):
        assert images.load(encoded(Image.new("RGB", (8, 8)), "PNG", icc_profile=damaged)).size == (8, 8)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_cut_pixels_are_refused(tmp_path, kind):
    path = tmp_path / "cut.jpg"
    data = encoded(scene(2, (256, 192)), kind)
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(PhotoError, match=r"cut\.jpg.*damaged") as caught:
        images.load(path, 100)
    assert caught.value.reason == "corrupt"


def header_only(kind, width, height):
    if kind == "PNG":
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    if kind == "WEBP":
        size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        return b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + size
    if kind == "TIFF":
        return tiff([entry(256, LONG, width), entry(257, LONG, height)])
    data = encoded(picture(), "JPEG")
    return data.replace(struct.pack(">HH", 12, 16), struct.pack(">HH", height, width), 1)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_too_many_pixels(kind):
    for size in ((60_000, 60_000), (20_001, 10_000)):
        with pytest.raises(PhotoError, match="200,000,000 pixels") as caught:
            images.load(header_only(kind, *size))
        assert caught.value.reason == "too large"


def test_largest_telephones_are_welcome():
    """Over Pillow's own limit, under ours: refused only because this one's pixels end early."""
    with pytest.raises(PhotoError) as caught:
        images.load(header_only("PNG", 16_320, 12_240))
    assert caught.value.reason == "corrupt"


def test_progressive_bomb():
    data = encoded(picture(size=(2000, 2000)), "JPEG", progressive=True)
    scan = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    end = data.index(b"\xff\xda", scan + 2)
    start = time.process_time()
    with pytest.raises(PhotoError, match="scans"):
        images.load(data[:end] + data[scan:end] * 3000 + data[end:])
    assert time.process_time() - start < 1
    assert images.load(data).size == (2000, 2000)


def test_long_text_does_not_cost_the_picture():
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", "x" * 3_000_000, zip=True)
    text.add_text("Comment", "y" * 3_000_000, zip=True)
    assert images.load(encoded(picture(), "PNG", pnginfo=text)).size == (16, 12)
    assert images.load(png(late=[chunk(b"zTXt", b"a\0\0" + zlib.compress(b"0" * 10**7))])).size == (16, 12)


def test_what_is_no_regular_file(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "gone.jpg")
    for name in ("folder.jpg", "pipe.jpg", "dangling.jpg", "missing.jpg", "nul\0.jpg"):
        with pytest.raises(PhotoError) as caught:
            images.load(tmp_path / name)
        assert caught.value.reason == "unreadable" and name in str(caught.value)
    (tmp_path / "link.jpg").symlink_to(tmp_path / "real.jpg")
    (tmp_path / "real.jpg").write_bytes(jpeg())
    assert images.load(tmp_path / "link.jpg").size == (16, 12)


def test_too_many_bytes(tmp_path, monkeypatch):
    path = tmp_path / "sparse.jpg"
    with path.open("wb") as out:
        out.truncate(opening.MAX_BYTES + 1)
    with pytest.raises(PhotoError, match="bytes") as caught:
        images.load(path)
    assert caught.value.reason == "too large"
    monkeypatch.setattr(images, "MAX_BYTES", 10)
    with pytest.raises(PhotoError, match="bytes"):
        images.load(jpeg())


def test_a_failing_disk_is_no_damaged_photo(tmp_path, monkeypatch):
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg(block()))
    monkeypatch.setattr(opening.os, "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "not allowed")))
    with pytest.raises(PhotoError, match="not allowed") as caught:
        images.load(path)
    assert caught.value.reason == "unreadable"


def test_warnings_and_limits_are_as_before():
    """Pillow warns of this TIFF; nothing of it comes out, from several threads at once either."""
    data = tiff([entry(0x0112, SHORT, 6), (282, 5, 2**20, b"\0\0\0\0\0")])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        filters, pixels = list(warnings.filters), Image.MAX_IMAGE_PIXELS
        with opening.quiet_pillow:
            warnings.warn("inside", stacklevel=1)
        threads = [threading.Thread(target=lambda: [images.load(jpeg()) for _ in range(20)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        with contextlib.suppress(PhotoError):
            images.load(data)
        for thread in threads:
            thread.join()
        assert list(warnings.filters) == filters and pixels == Image.MAX_IMAGE_PIXELS
        warnings.warn("outside", stacklevel=1)
    assert [str(one.message) for one in caught] == ["outside"]


def test_encode_jpeg_carries_pixels_alone():
    image = Image.open(io.BytesIO(jpeg(block(gps()))))
    image.info["comment"] = b"secret"
    image.info["icc_profile"] = b"secret"
    for one in (image, image.convert("RGBA"), image.convert("L")):
        data = images.encode_jpeg(one)
        assert data.startswith(b"\xff\xd8") and b"Exif" not in data and b"secret" not in data
        assert images.load(data).size == (16, 12)
    assert len(images.encode_jpeg(scene(3), 60)) < len(images.encode_jpeg(scene(3), 95))


def test_dhash_by_hand():
    falling = Image.fromarray(np.repeat(np.linspace(255, 0, 9)[None], 8, axis=0).astype(np.uint8))
    assert images.dhash(falling) == 2**64 - 1
    assert images.dhash(ImageOps.mirror(falling)) == 0
    half = Image.new("L", (9, 8))
    half.paste(falling.crop((0, 0, 9, 1)), (0, 0))
    assert images.dhash(half) >> 56 == 0xFF  # the first row is the highest byte


def distance(one, other):
    return (images.dhash(one) ^ images.dhash(other)).bit_count()


def test_dhash_survives_rescaling_and_encoding_again():
    scenes = [scene(number) for number in range(20)]
    for photo in scenes:
        for scale, quality in ((1, 60), (0.5, 80), (0.25, 90), (1.7, 75)):
            size = (round(photo.width * scale), round(photo.height * scale))
            again = images.load(images.encode_jpeg(photo.resize(size), quality))
            assert distance(photo, again) <= 6
    assert min(distance(a, b) for i, a in enumerate(scenes) for b in scenes[:i]) > 12


def test_dhash_of_real_photos(real_photos):
    names = sorted((real_photos / "files").rglob("*.jpg"))[::200][:20]
    photos = [images.load(name, 320) for name in names]
    for photo in photos:
        smaller = photo.resize((max(1, photo.width * 2 // 3), max(1, photo.height * 2 // 3)))
        assert distance(photo, images.load(images.encode_jpeg(smaller, 80))) <= 6
    assert min(distance(a, b) for i, a in enumerate(photos) for b in photos[:i]) > 6


def test_pillow_is_not_left_lenient():
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
