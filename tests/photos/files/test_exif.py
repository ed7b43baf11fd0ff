import contextlib
import csv
import os
import resource
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from exif_blocks import (
    ASCII,
    DOUBLE,
    FLOAT,
    LONG,
    RATIONAL,
    SHORT,
    SRATIONAL,
    UNDEFINED,
    block,
    chunk,
    directory,
    encoded,
    entry,
    gps,
    jpeg,
    picture,
    png,
    segment,
    tiff,
    webp,
)
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from PIL import Image

from openplanet.errors import PhotoError
from openplanet.photos.files import exif, images

LAT, LNG = 48.5, 11.25
PLAIN = block(gps())


def read(tmp_path, data):
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    return exif.read(path)


def outcome(tmp_path, entries, order="<"):
    return read(tmp_path, jpeg(block(entries, order=order))).position


CUT = {"original/pigallery2__broken_orientation_exif.jpg"}
"""Pictures that Pillow decodes though they are cut: this one is grey from row 450 of 3,024 on."""


def cases():
    """Rows of cases.csv, found as conftest.py finds it; else one row, which the fixture skips."""
    shared = Path(os.environ.get("OPENPLANET_SHARED", Path(__file__).parents[4] / "shared"))
    table = shared / "exif_cases" / "cases.csv"
    if not table.is_file():
        return [pytest.param(None, id="folder-absent")]
    with table.open(newline="") as lines:
        return [pytest.param(row, id=row["file"]) for row in csv.DictReader(lines)]


@pytest.mark.parametrize("row", cases())
def test_case(exif_cases, row):
    path = exif_cases / row["file"]
    expected = row["expected_outcome"]
    start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = failed = None
    try:
        found = exif.read(path)
    except PhotoError as error:
        assert str(path) in str(error)
    read_growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    try:
        image = images.load(path)
        assert (image.width, image.height) == (found.width, found.height)
    except PhotoError as error:
        failed = error
    assert time.process_time() - start < 5
    assert read_growth < 64 * 1024  # KiB
    if expected == "corrupt":
        assert failed is not None
        return
    assert (failed is not None) == ("corrupt picture" in expected or row["file"] in CUT)
    assert expected.startswith(found.position)
    if found.position == "gps":
        assert found.lat == pytest.approx(float(row["expected_lat"]), abs=1e-6)
        assert found.lng == pytest.approx(float(row["expected_lng"]), abs=1e-6)
    else:
        assert found.lat is None and found.lng is None
    assert found.orientation == (int(row["orientation"] or 1) or 1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_plain_position(tmp_path, order):
    found = read(tmp_path, jpeg(block(gps(order=order), order=order)))
    assert (found.lat, found.lng, found.position) == (LAT, LNG, "gps")
    assert (found.width, found.height, found.format) == (16, 12, "JPEG")


@pytest.mark.parametrize(
    ("kind", "lat", "expected"),
    [
        (RATIONAL, (48, 1, 30, 1), 48.5),
        (RATIONAL, (485, 10), 48.5),
        (RATIONAL, (48, 1, 30, 1, 0, 1, 7, 1), 48.5),
        (RATIONAL, (47, 1, 90, 1, 0, 1), 48.5),
        (SRATIONAL, (48, 1, 30, 1, 0, 1), 48.5),
        (SRATIONAL, (-48, -1, 30, 1, 0, 1), 48.5),
        (FLOAT, (48.0, 30.0, 0.0), 48.5),
        (DOUBLE, (48.5,), 48.5),
        (LONG, (48, 30, 0), 48.5),
        (SHORT, (48, 30, 0), 48.5),
        (1, (48, 30, 0), 48.5),
        (ASCII, (b"48,30.0,0\0",), 48.5),
        (ASCII, (b"48.5\0\0\0",), 48.5),
        (UNDEFINED, (b"48 30 0",), 48.5),
        (SRATIONAL, (-485, 10), -48.5),
        (DOUBLE, (-48.5,), -48.5),
    ],
)
def test_ways_to_write_degrees(tmp_path, kind, lat, expected):
    entries = [*gps(lat=None), entry(2, kind, *lat)]
    found = read(tmp_path, jpeg(block(entries)))
    assert found.position == "gps"
    assert found.lat == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("refs", "signs"),
    [
        ((b"S\0", b"W\0"), (-1, -1)),
        ((b"s\0", b"w\0"), (-1, -1)),
        ((b"South\0", b"WEST"), (-1, -1)),
        ((b"N", b"E\0\0\0\0\0\0\0"), (1, 1)),
        ((b"n ", b" e\0"), (1, 1)),
    ],
)
def test_hemispheres(tmp_path, refs, signs):
    found = read(tmp_path, jpeg(block(gps(refs=refs))))
    assert (found.lat, found.lng) == (LAT * signs[0], LNG * signs[1])


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], "no gps"),
        ([entry(5, 1, 0), entry(6, RATIONAL, 10, 1)], "no gps"),
        (gps(lat=None, lng=None), "blank gps"),
        (gps(lat=(0, 0, 0, 0, 0, 0)), "blank gps"),
        (gps(lat=(48, 1, 30, 1, 0, 0)), "blank gps"),
        (gps(lng=(11, 0, 0, 1, 0, 1)), "blank gps"),
        (gps(lat=(float("nan"),), lng=(11.0,), kind=DOUBLE), "blank gps"),
        (gps(lat=(48.0,), lng=(float("-inf"),), kind=DOUBLE), "blank gps"),
        (gps(lng=None), "incomplete gps"),
        (gps(lng=None, refs=(b"N\0", None)), "incomplete gps"),
        (gps(refs=(None, b"E\0")), "incomplete gps"),
        (gps(refs=(b"\0\0", b"E\0")), "incomplete gps"),
        (gps(refs=(b"X\0", b"E\0")), "incomplete gps"),
        (gps(refs=(b"E\0", b"N\0")), "incomplete gps"),
        (gps(refs=(b"N\0", b"O\0")), "incomplete gps"),  # West in French, East in German
        (gps(refs=(b"S\0", b"E\0"), lat=(-48, 1), kind=SRATIONAL), "incomplete gps"),
        (gps(lat=(-48, 1, 30, 1, 0, 1), kind=SRATIONAL), "incomplete gps"),
        (gps(lat=(90, 1, 0, 1, 1, 1)), "out of range"),
        (gps(lat=(2**32 - 48, 1)), "out of range"),
        (gps(lng=(180, 1, 0, 1, 1, 100)), "out of range"),
        (gps(lat=(0, 1), lng=(0, 1)), "null island"),
        (gps(lat=(90, 1), lng=(180, 1)), "gps"),
        ([*gps(lat=None), entry(2, UNDEFINED, struct.pack("<6I", 48, 1, 30, 1, 0, 1))], "incomplete gps"),
        ([*gps(lat=None), entry(2, ASCII, b"unknown\0")], "incomplete gps"),
        ([*gps(lat=None), entry(2, RATIONAL, 48, 1, count=2**32 - 1)], "incomplete gps"),
        ([*gps(lat=None), entry(2, RATIONAL, count=0)], "incomplete gps"),
        ([*gps(lat=None), (2, 99, 3, b"\0" * 24)], "incomplete gps"),
    ],
)
def test_positions_that_cannot_be_used(tmp_path, entries, expected):
    found = read(tmp_path, jpeg(block(entries)))
    assert found.position == expected
    assert (found.lat is None) == (found.lng is None) == (expected != "gps")


def test_antimeridian_and_sign_of_zero(tmp_path):
    found = read(tmp_path, jpeg(block(gps(lat=(0, 1), lng=(180, 1), refs=(b"S\0", b"W\0")))))
    assert (found.lat, found.lng) == (0, -180)


@pytest.mark.parametrize(
    "pointer",
    [
        entry(0x8825, ASCII, b"12\0"),
        entry(0x8825, LONG, 8),
        entry(0x8825, LONG, 2**32 - 1),
        entry(0x8825, LONG, 2008, 2008),
        entry(0x8825, RATIONAL, 2008, 1),
    ],
)
def test_pointer_to_nowhere_is_no_gps(tmp_path, pointer):
    assert read(tmp_path, jpeg(block(gps(), gps_pointer=pointer))).position == "no gps"


def test_gps_below_the_exif_directory(tmp_path):
    data = block(gps(), exif=[entry(0x8825, LONG, 2008)], gps_pointer=entry(0x8827, SHORT, 100))
    assert read(tmp_path, jpeg(data)).lat == LAT


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0", b"Exif\0\0Exif\0\0", b"\0\0\0\6Exif\0\0"])
@pytest.mark.parametrize("flag", [True, False])
def test_webp(tmp_path, prefix, flag):
    found = read(tmp_path, webp(prefix + PLAIN, flag))
    assert (found.lat, found.width, found.height, found.format) == (LAT, 16, 12, "WEBP")


@pytest.mark.parametrize("options", [{"lossless": True}, {}])
def test_webp_sizes(tmp_path, options):
    found = read(tmp_path, encoded(picture(size=(301, 203)), "WEBP", **options))
    assert (found.width, found.height, found.position) == (301, 203, "no gps")


def test_png(tmp_path):
    before, late = png(chunk(b"eXIf", PLAIN)), png(late=[chunk(b"eXIf", b"Exif\0\0" + PLAIN)])
    profile = b"\nexif\n    3008\n" + PLAIN.hex("\n", 36).encode()
    raw = png(chunk(b"tEXt", b"Raw profile type exif\0" + profile))
    for data in (before, late, raw):
        found = read(tmp_path, data)
        assert (found.lat, found.width, found.height, found.format) == (LAT, 16, 12, "PNG")


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff(tmp_path, order):
    data = tiff([entry(0x0110, ASCII, b"Camera\0", order=order), entry(0x0112, SHORT, 6, order=order)], order)
    found = read(tmp_path, data)
    assert (found.model, found.orientation) == ("Camera", 6)
    assert (found.width, found.height, found.format) == (2, 4, "TIFF")


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_heif_and_avif(tmp_path, kind):
    found = read(tmp_path, encoded(picture(size=(64, 48)), kind, exif=b"Exif\0\0" + PLAIN))
    assert (found.lat, found.width, found.height, found.format) == (LAT, 64, 48, kind)


def test_burst_of_pictures_is_a_jpeg(tmp_path):
    both = encoded(picture(), "MPO", save_all=True, append_images=[picture(size=(8, 8))], exif=b"Exif\0\0" + PLAIN)
    found = read(tmp_path, both)
    assert (found.lat, found.format, found.width) == (LAT, "JPEG", 16)


def test_several_exif_segments(tmp_path):
    nothing = block(main=[entry(0x0110, ASCII, b"First\0")])
    found = read(tmp_path, jpeg(nothing, PLAIN))
    assert (found.lat, found.model) == (LAT, "First")
    cut = read(tmp_path, jpeg(PLAIN[:1000], PLAIN[1000:]))  # one block over two segments
    assert cut.lat == LAT


def test_other_segments_and_padding_before_exif(tmp_path):
    before = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>") + segment(0xFE, b"text") + b"junk\xff\xff"
    assert read(tmp_path, jpeg(PLAIN, before=before)).lat == LAT


def test_xmp_alone_is_no_gps(tmp_path):
    xmp = b'http://ns.adobe.com/xap/1.0/\0<x exif:GPSLatitude="48,30N" exif:GPSLongitude="11,15E"/>'
    assert read(tmp_path, jpeg(before=segment(0xE1, xmp))).position == "no gps"


@pytest.mark.parametrize(("value", "shown"), [(1, 1), (6, 6), (8, 8), (0, 1), (9, 1), (65535, 1)])
def test_orientation(tmp_path, value, shown):
    found = read(tmp_path, jpeg(block(main=[entry(0x0112, SHORT, value)])))
    assert found.orientation == shown
    assert (found.width, found.height) == ((12, 16) if shown >= 5 else (16, 12))


def test_camera(tmp_path):
    main = [entry(0x010F, ASCII, b"Maker  \0\0"), entry(0x0110, ASCII, b"M\xe9\x01odel\0rest")]
    found = read(tmp_path, jpeg(block(main=main, exif=[entry(0xA431, ASCII, b"0042\0")])))
    assert (found.make, found.model, found.serial) == ("Maker", "M\N{REPLACEMENT CHARACTER}odel", "0042")
    empty = read(tmp_path, jpeg(block(main=[entry(0x010F, ASCII, b"   \0")])))
    assert (empty.make, empty.model, empty.serial) == (None, None, None)


ORIGINAL, DIGITIZED, MODIFIED = 0x9003, 0x9004, 0x0132
NOON = b"2020:06:01 12:00:00\0"
GPS_NINE = [entry(29, ASCII, b"2020:06:01\0"), entry(7, RATIONAL, 9, 1, 30, 1, 155, 10)]


@pytest.mark.parametrize(
    ("entries", "expected", "is_utc"),
    [
        ([(ORIGINAL, NOON)], datetime(2020, 6, 1, 12), False),
        ([(DIGITIZED, b"2019:01:01 00:00:00\0"), (ORIGINAL, NOON)], datetime(2020, 6, 1, 12), False),
        ([(ORIGINAL, b"0000:00:00 00:00:00\0"), (DIGITIZED, NOON)], datetime(2020, 6, 1, 12), False),
        ([(MODIFIED, NOON)], datetime(2020, 6, 1, 12), False),
        ([(ORIGINAL, NOON), (0x9011, b"+02:00\0")], datetime(2020, 6, 1, 10), True),
        ([(ORIGINAL, NOON), (0x9011, b"-09:30\0")], datetime(2020, 6, 1, 21, 30), True),
        ([(ORIGINAL, NOON), (0x9011, b"Z\0")], datetime(2020, 6, 1, 12), True),
        ([(ORIGINAL, NOON), (0x9011, b"+99:00\0")], datetime(2020, 6, 1, 12), False),
        ([(ORIGINAL, NOON), (0x9011, b"   :  \0")], datetime(2020, 6, 1, 12), False),
        ([(ORIGINAL, NOON), (0x9010, b"+02:00\0")], datetime(2020, 6, 1, 10), True),  # Lightroom
        ([(ORIGINAL, NOON), (0x9012, b"+02:00\0")], datetime(2020, 6, 1, 10), True),
        ([(ORIGINAL, NOON), (0x9010, b"-05:00\0"), (0x9012, b"+02:00\0")], datetime(2020, 6, 1, 17), True),
        (
            [(ORIGINAL, NOON), (MODIFIED, b"2020:06:01 12:00:03\0"), (0x9010, b"+02:00\0")],
            datetime(2020, 6, 1, 10),
            True,
        ),
        # edited weeks later, who knows where
        (
            [(ORIGINAL, NOON), (MODIFIED, b"2020:07:20 12:00:00\0"), (0x9010, b"+02:00\0")],
            datetime(2020, 6, 1, 12),
            False,
        ),
        ([(ORIGINAL, NOON), (0x9011, b"+2:00\0")], datetime(2020, 6, 1, 10), True),
        ([(ORIGINAL, NOON), (0x9011, b"+02\0")], datetime(2020, 6, 1, 10), True),
        ([(ORIGINAL, NOON), (0x9011, b"+0200\0")], datetime(2020, 6, 1, 10), True),
        ([(ORIGINAL, b"2020:06:01 24:08:19\0")], datetime(2020, 6, 1, 0, 8, 19), False),
        ([(ORIGINAL, b"2020:06:01 05:14:26 PM\0")], datetime(2020, 6, 1, 17, 14, 26), False),
        ([(ORIGINAL, NOON), (0x9291, b"25\0")], datetime(2020, 6, 1, 12, 0, 0, 250_000), False),
        ([(ORIGINAL, b"2018:06:26 17:46:33.847\0")], datetime(2018, 6, 26, 17, 46, 33, 847_000), False),
        ([(ORIGINAL, b"2020-06-01T12:00:00+02:00\0")], datetime(2020, 6, 1, 10), True),
        ([(ORIGINAL, b"    :  :     :  :  \0")], None, False),
        ([(ORIGINAL, b"2020:13:01 12:00:00\0")], None, False),
        ([(ORIGINAL, b"1825:12:31 23:59:59\0")], None, False),
        ([(ORIGINAL, b"9999:12:31 23:59:59\0"), (0x9011, b"-12:00\0")], None, False),
        ([(ORIGINAL, b"\xff\xfe\x00\x01")], None, False),
    ],
)
def test_time(tmp_path, entries, expected, is_utc):
    fields = [entry(tag, ASCII, text) for tag, text in entries]
    found = read(tmp_path, jpeg(block(exif=fields)))
    assert (found.taken_at, found.taken_at_is_utc) == (expected, is_utc)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"2020:06:01 18:31:40\0", 540),
        (b"2020:06:01 15:17:00\0", 345),  # Nepal
        (b"2020:05:31 22:30:30\0", -660),
        (b"2020:06:01 18:36:00\0", None),  # an old fix, or a clock that is off
        (b"2020:06:03 09:32:35\0", None),
    ],
)
def test_the_gps_clock_tells_the_offset_of_the_camera(tmp_path, text, expected):
    found = read(tmp_path, jpeg(block(exif=[entry(ORIGINAL, ASCII, text)], gps=GPS_NINE)))
    assert not found.taken_at_is_utc  # it stays the camera's own time
    assert (found.utc_offset_minutes, found.utc_offset_from) == (expected, expected and "gps")


@pytest.mark.parametrize(("offset", "expected"), [(b"+02:00\0", True), (b"+09:00\0", False)])
def test_the_offset_of_a_later_edit_counts_where_it_is_that_of_the_place(tmp_path, offset, expected):
    main = [entry(MODIFIED, ASCII, b"2020:07:20 12:00:00\0")]
    exif = [entry(ORIGINAL, ASCII, NOON), entry(0x9010, ASCII, offset)]
    found = read(tmp_path, jpeg(block(main=main, exif=exif, gps=gps())))  # in Bavaria
    assert found.taken_at_is_utc == expected
    assert found.taken_at.hour == (10 if expected else 12)


def test_time_of_the_far_future_is_none(tmp_path):
    late = (datetime.now() + timedelta(days=800)).strftime("%Y:%m:%d %H:%M:%S\0").encode()
    assert read(tmp_path, jpeg(block(exif=[entry(ORIGINAL, ASCII, late)]))).taken_at is None


def test_gps_time_only_where_the_camera_has_none(tmp_path):
    alone = read(tmp_path, jpeg(block(GPS_NINE)))
    assert (alone.taken_at, alone.taken_at_is_utc) == (datetime(2020, 6, 1, 9, 30, 15, 500_000), True)
    both = read(tmp_path, jpeg(block(GPS_NINE, exif=[entry(ORIGINAL, ASCII, NOON)])))
    assert (both.taken_at, both.taken_at_is_utc) == (datetime(2020, 6, 1, 12), False)
    for clock in ((25, 1, 0, 1, 0, 1), (9, 0, 0, 1, 0, 1), (9, 1)):
        bad = [GPS_NINE[0], entry(7, RATIONAL, *clock)]
        assert read(tmp_path, jpeg(block(bad))).taken_at is None


def hostile():
    loop = b"II*\0" + struct.pack("<I", 8) + directory([entry(0x8769, LONG, 8), entry(0x8825, LONG, 8)], 8, following=8)
    full = b"II*\0" + struct.pack("<IH", 8, 65535) + struct.pack("<HHII", 0x9003, 2, 2**32 - 1, 8) * 5000
    claims = [(tag, kind, 2**32 - 1, b"\x08\0\0\0\0") for tag in (0x010F, 0x0110, 0x8769) for kind in (2, 5, 12)]
    return {
        "loop": jpeg(loop),
        "65535 entries": jpeg(full),
        "gigabytes claimed": jpeg(block(gps(), main=claims)),
        "directory outside": jpeg(b"MM\0*" + struct.pack(">I", 2**32 - 1)),
        "block cut": jpeg(PLAIN[:1500]),
        "header alone": jpeg(b"II*\0"),
        "no header": jpeg(b"garbage" * 100),
        "empty": jpeg(b""),
        "text bomb": png(chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"0" * 10**8))),
        "many chunks": png(chunk(b"teXt", b"") * 100_000),
        "endless chunk": png()[:40] + b"\xff\xff\xff\xffeXIf",
        "bigtiff": b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**64 - 1) + b"\0" * 4000,
        "tiff loop": tiff([entry(0x8769, LONG, 16), entry(0x8825, LONG, 16)]),
    }


@pytest.mark.parametrize("name", hostile())
def test_hostile_files_cost_little(tmp_path, name):
    data = hostile()[name]
    path = tmp_path / "hostile"
    path.write_bytes(data)
    tracemalloc.start()
    start = time.process_time()
    try:
        assert exif.read(path).position == ("gps" if name == "gigabytes claimed" else "no gps")
    except PhotoError as error:
        assert error.reason == "corrupt" and name in ("bigtiff", "endless chunk")
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.process_time() - start < 3
    assert peak < 48 * 2**20


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "corrupt"),
        (b"a text", "not a photo"),
        (b"\0\0" + jpeg(), "not a photo"),
        (encoded(picture("P"), "GIF"), "not a photo"),
        (encoded(picture(), "BMP"), "not a photo"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "not a photo"),
        (b"\xff\xd8\xff", "corrupt"),
        (b"\xff\xd8\xff\xe0\0\0", "corrupt"),
        (b"\xff\xd8" + b"\xff\xfe\0\2" * 20_000, "corrupt"),
        (b"\xff\xd8\xff" + b"\0" * 2_000_000, "corrupt"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "corrupt"),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + b"\xff" * 100, "corrupt"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "corrupt"),
        (b"II*\0\xff\xff\xff\xff", "corrupt"),
        (png()[:20], "corrupt"),
        (tiff([entry(256, UNDEFINED, b"abcdefgh")]), "corrupt"),
        (tiff([entry(257, RATIONAL, 1, 0)]), "corrupt"),
        (
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)),
            "too large",
        ),
    ],
)
def test_files_that_are_refused(tmp_path, data, reason):
    path = tmp_path / "refused.jpg"
    path.write_bytes(data)
    for action in (exif.read, images.load):
        with pytest.raises(PhotoError, match=r"refused\.jpg") as caught:
            action(path)
        assert caught.value.reason == reason


def test_torch_and_pixels_are_not_needed(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(jpeg(PLAIN))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("pixels were decoded"))
    assert exif.read(tmp_path / "a.jpg").lat == LAT
    code = "import sys, openplanet.photos.files.images; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


SEEDS = (
    jpeg(block(gps(), main=[entry(0x0112, SHORT, 6)], exif=[entry(ORIGINAL, ASCII, NOON)])),
    png(chunk(b"eXIf", PLAIN)),
    webp(PLAIN),
    tiff([entry(0x0112, SHORT, 3), entry(0x010F, ASCII, b"A maker of cameras\0")]),
    encoded(picture(), "TIFF", compression="tiff_lzw"),
    encoded(picture(size=(64, 48)), "AVIF", exif=b"Exif\0\0" + PLAIN),
)


@seed(20260101)
@settings(max_examples=200, deadline=None, database=None)
@given(
    which=st.integers(0, len(SEEDS) - 1),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), max_size=8),
    cut=st.floats(0, 1) | st.none(),
)
def test_damage_never_escapes(tmp_path_factory, which, changes, cut):
    data = bytearray(SEEDS[which])
    for place, raw in changes:
        at = int(place * len(data))
        data[at : at + len(raw)] = raw
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes(data[: int(cut * len(data))] if cut is not None else data)
    try:
        found = exif.read(path)
        assert (found.position == "gps") == (found.lat is not None) == (found.lng is not None)
    except PhotoError:
        pass
    with contextlib.suppress(PhotoError):
        assert images.load(path, 8).mode == "RGB"
