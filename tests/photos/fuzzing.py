"""Damaging photos at random, as no camera would: for test_fuzz.py, and by hand for longer:

python tests/photos/fuzzing.py --photos 200000 --found found/

Seeds are small photos of every format and the kept corpus (fuzz_corpus/: files that are odd in ways of their own, or
once did harm). Each is read whole, as ingest reads it, in a child process; what kills the child, takes over
MOST_SECONDS or MOST_MIB, or ends as an unexpected error is written to --found.
"""

import argparse
import hashlib
import io
import os
import random
import resource
import signal
import struct
import tempfile
import time
import traceback
from pathlib import Path

import exif_blocks
import numpy as np
from exif_blocks import block, chunk, encoded, gps, jpeg, png, tiff, webp
from PIL import Image

from openplanet.photos.ingest import read as reading
from openplanet.progress import on_terminal, say

CORPUS = Path(__file__).parent / "fuzz_corpus"
MOST_SECONDS, MOST_MIB = 5.0, 700
HANGS_AFTER = 60  # seconds in which a child may read nothing more
A_RUN = 300  # photos of one child
REASONS = {
    "no gps",
    "blank gps",
    "incomplete gps",
    "out of range",
    "null island",
    "not a photo",
    "corrupt",
    "too large",
}
# Numbers at which readers of lengths, counts and offsets go wrong.
EDGES = [0, 1, 2, 3, 4, 6, 7, 8, 9, 127, 128, 255, 256, 32767, 32768, 65534, 65535, 2**31 - 1, 2**31, 2**32 - 1]
WORDS = [
    b"Exif\0\0", b"II*\0", b"MM\0*", b"II+\0", b"\xff\xd8", b"\xff\xd9", b"\xff\xda", b"\xff\xe1", b"\xff\xc0",
    b"\xff\xc2", b"\xff\xc4", b"IHDR", b"IDAT", b"eXIf", b"iCCP", b"tRNS", b"PLTE", b"acTL", b"RIFF", b"VP8X", b"VP8L",
    b"EXIF", b"ALPH", b"ANIM", b"ftyp", b"meta", b"iloc", b"ipma", b"irot", b"ispe", b"av1C", b"hvcC", b"\x69\x87",
    b"\x88\x25", b"\x25\x88", b"<x:xmpmeta", b"http://ns.adobe.com/xap/1.0/\0",
]  # fmt: skip


def seeds() -> list[bytes]:
    """Small photos of each format that is read, with what can go wrong in them: positions, turns, profiles, text."""
    whole = block(gps(), main=[exif_blocks.entry(0x0112, exif_blocks.SHORT, 6)])
    small = exif_blocks.picture(size=(40, 24))
    xmp = exif_blocks.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><a lat='1'/></x:xmpmeta>")
    grey16 = Image.fromarray(np.arange(24 * 40, dtype=np.uint16).reshape(24, 40) * 60)
    return [
        jpeg(whole), jpeg(whole, image=small, before=xmp), encoded(small, "JPEG", progressive=True, exif=whole),
        encoded(small.convert("CMYK"), "JPEG"), encoded(small.convert("L"), "JPEG", restart_marker_blocks=2),
        png(chunk(b"eXIf", whole)), encoded(small.convert("P"), "PNG", transparency=0), encoded(grey16, "PNG"),
        encoded(small, "PNG", icc_profile=b"\0" * 16 + b"RGB " + b"\0" * 200),
        webp(whole), encoded(small.convert("RGBA"), "WEBP", lossless=True), encoded(small, "WEBP", quality=30),
        tiff([]), encoded(small, "TIFF", compression="tiff_lzw"),
        encoded(small, "TIFF", compression="tiff_adobe_deflate"),
        encoded(small.convert("CMYK"), "TIFF", compression="jpeg"), encoded(grey16, "TIFF"),
        encoded(exif_blocks.picture(size=(64, 48)), "AVIF", exif=b"Exif\0\0" + whole),
        encoded(exif_blocks.picture(size=(64, 48)), "HEIF", exif=b"Exif\0\0" + whole),
    ]  # fmt: skip


def damaged(data: bytes, dice: random.Random) -> bytes:
    """``data`` changed in one to six places: bits, numbers, words, pieces doubled, moved or lost."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, 6)):
        at, kind = dice.randrange(len(changed) + 1), dice.randrange(7)
        span = dice.choice((1, 2, 4, 8, dice.randrange(1, 200)))
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << dice.randrange(8)
        elif kind == 1:
            changed[at : at + span] = dice.randbytes(span)
        elif kind == 2:
            width = dice.choice("BHIQ")
            number = struct.pack(dice.choice("<>") + width, dice.choice(EDGES) % 2 ** (8 * struct.calcsize(width)))
            changed[at : at + len(number)] = number
        elif kind == 3:
            word = dice.choice(WORDS)
            changed[at : at + len(word) * dice.randrange(2)] = word
        elif kind == 4:
            changed[at:at] = changed[at : at + span] * dice.choice((1, 2, 50))
        elif kind == 5:
            del changed[at : at + span]
        else:
            del changed[max(at, 16) :]
        changed = changed or bytearray(b"\0")
    return bytes(changed[: 1 << 16])


def read(data: bytes, path: Path, side: int = 16) -> str | None:
    """Read ``data`` as ingest would; the reason why it is of no use, None for a photo. AssertionError for a defect."""
    path.write_bytes(data)
    found, image = reading.read_photo(reading.Task(bytes(16), str(path)), side)
    assert (found.reason is None) == (image is not None), found
    assert found.reason is None or found.reason in REASONS, found
    if image is not None:
        assert (found.lat is None) == (found.lng is None) == (found.position_from is None), found
        assert found.lat is None or abs(found.lat) <= 90 >= abs(found.lng or 0) - 90, found
        with Image.open(io.BytesIO(image)) as again:
            assert again.mode == "RGB" and min(again.size) >= 1, found
    return found.reason


def campaign(photos: int, found: Path, start: int) -> None:
    """Children that each read A_RUN damaged photos, until so many were read to their end."""
    found.mkdir(parents=True, exist_ok=True)
    pool = seeds() + [file.read_bytes() for file in sorted(CORPUS.iterdir())]
    number, harm, done = start, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        current = Path(folder) / "current.jpg"
        while done < photos:
            child = os.fork()
            if child == 0:
                os._exit(_child(pool, number, current))
            status = os.waitpid(child, 0)[1]
            if status:
                data = current.read_bytes()
                name = f"{hashlib.sha256(data).hexdigest()[:12]}"
                (found / name).write_bytes(data)
                say(f"{name}: run {number} ended with {status}, {len(data)} bytes")
                harm += 1
            else:
                done += A_RUN
            number += 1
            if number % 100 == 0:
                say(f"{done:,} of {photos:,} damaged photos")
    say(f"{done:,} damaged photos read, besides {harm} runs that ended in harm; runs {start} to {number - 1}")


def _child(pool: list[bytes], number: int, current: Path) -> int:
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    dice = random.Random(number)
    for _ in range(A_RUN):
        signal.alarm(HANGS_AFTER)  # kills the child: a hang ends its run as a crash does
        data = damaged(dice.choice(pool), dice)
        begun = time.process_time()
        try:
            read(data, current)
        except BaseException:
            traceback.print_exc()
            return 1
        taken, used = time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        if taken > MOST_SECONDS or used > MOST_MIB:
            say(f"{taken:.1f} s, {used:.0f} MiB")
            return 2
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=3000, help="damaged photos to read")
    parser.add_argument("--found", type=Path, default=Path("found"))
    parser.add_argument("--start", type=int, default=0, help="number of the first run: each damages differently")
    args = parser.parse_args()
    with on_terminal():
        campaign(args.photos, args.found, args.start)
