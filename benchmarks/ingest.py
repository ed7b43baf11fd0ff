"""What ingest costs: photos a second against decoding and resizing alone, a second run, near-duplicates.

python benchmarks/ingest.py throughput   [--photos 60]      one worker; ratio to the fastest decoders that are installed
python benchmarks/ingest.py incremental  [--photos 2000]    1 % new or renamed against the first run; --size
python benchmarks/ingest.py duplicates   [--photos 1000000] seconds, memory, recall; a tenth of them are the test split
python benchmarks/ingest.py copies --like FOLDER            the share of copies of these photos that is found

Photos are synthetic: coarse structure with the noise of a sensor, so that they weigh what a camera's weigh (12
megapixels, 5 MB). simplejpeg and pyvips are compared where they are installed; the package itself needs neither.
"""

import argparse
import ctypes
import hashlib
import importlib
import io
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from openplanet.photos.files import exif, flags, images
from openplanet.photos.ingest import duplicates, hash_pairs, ingest, read

SIZES = {
    "12 megapixels": (4000, 3000),
    "3 megapixels": (2048, 1536),
    "0.8 megapixels": (1024, 768),
    "0.3 megapixels": (640, 480),
}
SIDE = 320
ROUNDS = 5


def camera_photo(seed: int, size: tuple[int, int], quality: int = 90) -> bytes:
    """A JPEG with Exif GPS: large shapes, finer ones, and noise."""
    rng = np.random.default_rng(seed)
    width, height = size
    layers = [rng.integers(0, 256, (height // step + 2, width // step + 2, 3), dtype=np.uint8) for step in (800, 60)]
    large, fine = (
        np.asarray(Image.fromarray(layer).resize(size, Image.Resampling.BICUBIC)).astype(np.int16) for layer in layers
    )
    noise = np.asarray(Image.effect_noise(size, 12)).astype(np.int16)[..., None] - 128
    pixels = np.clip(large * 3 // 4 + fine // 4 + noise, 0, 255).astype(np.uint8)
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "Canon EOS 40D"
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "N", (float(seed % 80), 1.0, 2.0), "E", (float(seed % 170), 3.0, 4.0)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality, exif=exif)
    return out.getvalue()


def best_of(repeats: int, work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """The least seconds that ``work`` took, of this process (other work on the machine does not count)."""
    seconds = []
    for _ in range(repeats):
        start = clock()
        work()
        seconds.append(clock() - start)
    return min(seconds)


def decoders() -> dict[str, Callable[[bytes], object]]:
    """Decode at reduced scale and resize to the short side, and nothing else."""
    goal = {}

    def pillow(data: bytes, gap: int) -> object:
        image = Image.open(io.BytesIO(data))
        factor = SIDE / min(image.size)
        image.draft("RGB", (round(image.width * factor * gap), round(image.height * factor * gap)))
        return image.resize((round(SIDE * image.width / image.height), SIDE), Image.Resampling.LANCZOS)

    goal["Pillow, at least the size"] = lambda data: pillow(data, 1)
    goal["Pillow, at least twice the size"] = lambda data: pillow(data, 2)
    try:
        simplejpeg = importlib.import_module("simplejpeg")

        def simple(data: bytes) -> object:
            array = simplejpeg.decode_jpeg(data, "RGB", True, True, min_height=SIDE, min_width=SIDE)
            image = Image.fromarray(array)
            return image.resize((round(SIDE * image.width / image.height), SIDE), Image.Resampling.LANCZOS)

        goal["simplejpeg, at least the size"] = simple
    except ImportError:
        pass
    try:
        pyvips = importlib.import_module("pyvips")
        goal["pyvips thumbnail"] = lambda data: pyvips.Image.thumbnail_buffer(data, 4000, height=SIDE).write_to_memory()
    except (ImportError, OSError):
        pass
    return goal


def throughput(photos: int) -> None:
    """Milliseconds a photo, one core; our whole reading against decode and resize alone."""
    for name, size in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            _one_size(name, size, max(4, photos if size[0] < 2000 else photos // 4), Path(folder))


def _one_size(name: str, size: tuple[int, int], count: int, folder: Path) -> None:
    files = [folder / f"{seed}.jpg" for seed in range(count)]
    for seed, file in enumerate(files):
        file.write_bytes(camera_photo(seed, size))
    data = [file.read_bytes() for file in files]
    print(f"{name}: {count} photos of {sum(map(len, data)) / count / 1e6:.2f} MB")
    tasks = [read.Task(bytes(16), str(file)) for file in files]
    reading_all = {label: partial(lambda each: [each(one) for one in data], each) for label, each in decoders().items()}
    alone = list(reading_all)
    reading_all["ingest, reading"] = lambda: [read.read_photo(task, SIDE) for task in tasks]
    reading_all["ingest, the whole run"] = partial(_whole_run, folder, folder.with_name(f"{folder.name}.ds"))
    took = dict.fromkeys(reading_all, math.inf)
    for _ in range(ROUNDS):  # in turn, so that what else the machine does falls on all of them
        for label, work in reading_all.items():
            took[label] = min(took[label], best_of(1, work) / count * 1e3)
    fastest = min(alone, key=took.__getitem__)
    for label, milliseconds in took.items():
        print(f"  {label:34} {milliseconds:7.1f} ms   {milliseconds / took[fastest]:5.2f}")
    unlocated = io.BytesIO()
    Image.open(io.BytesIO(data[0])).save(unlocated, "JPEG", quality=90)
    files[0].write_bytes(unlocated.getvalue())
    no_gps = read.Task(bytes(16), str(files[0]), needs_gps=True)
    rejected = best_of(5, lambda: [read.read_photo(no_gps, SIDE) for _ in range(20)]) / 20 * 1e3
    print(f"  {'a rejected photo (no position)':34} {rejected:7.2f} ms")
    image = images.load(data[0], SIDE)
    steps = {
        "load": lambda: images.load(data[0], SIDE),
        "encode": lambda: images.encode_jpeg(image),
        "dhash": lambda: images.dhash(image),
        "thumbnail": lambda: duplicates.thumbnail(image),
        "flags (a camera's)": lambda: flags.judge(image, *size, True),
        "flags (others)": lambda: flags.judge(image, *size, False),
        "exif": lambda: exif.read(data[0]),
        "sha256": lambda: hashlib.sha256(data[0]).digest(),
    }
    print("  " + ", ".join(f"{step} {best_of(5, work) * 1e3:.2f} ms" for step, work in steps.items()))


def _whole_run(root: Path, out: Path) -> None:
    """Ingest in this very process, so that its CPU time holds all but the queue between processes."""
    shutil.rmtree(out, ignore_errors=True)
    ingest.ingest([root], out, workers=0)
    shutil.rmtree(out, ignore_errors=True)


def cpu(command: Sequence[str]) -> float:
    """CPU seconds of a command and of all processes that it starts (Linux): its workers become our children."""
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    with suppress(ChildProcessError):
        while True:
            os.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def incremental(photos: int, name: str) -> None:
    """The first run, then with nothing new, 1 % new in folders of their own, 1 % renamed, 1 % new anywhere."""
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder) / "photos", Path(folder) / "out"
        # Each picture 50 times: were they fewer, most photos would be near-duplicates, which costs time of its own.
        data = [camera_photo(seed, SIZES[name]) for seed in range(max(40, photos // 50))]

        def add(seeds: range, albums: str) -> None:
            for seed in seeds:
                file = root / albums.format(seed // 60) / f"{seed:07d}.jpg"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data[seed % len(data)] + f"{seed}".encode())  # behind the end of the JPEG

        def run(what: str) -> float:
            seconds = cpu([sys.executable, "-m", "openplanet", "ingest", str(root), "--out", str(out)])
            shards = {file.stat().st_ino for file in out.glob("photos-*.parquet")}
            print(f"  {what:24} {seconds:8.2f} s   {seconds / times.get('first', seconds):7.2%}   {len(shards)} shards,"
                  f" {len(shards - kept)} of them new", flush=True)  # fmt: skip
            kept.update(shards)
            return seconds

        kept, times, one = set[int](), dict[str, float](), photos // 100
        print(f"{photos:,} photos of {name}, CPU seconds of all processes")
        add(range(photos), "album {:05d}")
        times["first"] = run("first run")
        run("nothing new")
        add(range(photos, photos + one), "new {:05d}")
        run("1 % new, own folders")
        for seed in range(one):
            file = root / f"album {seed // 60:05d}" / f"{seed:07d}.jpg"
            file.rename(file.with_name(f"renamed {seed}.jpg"))
        run("1 % renamed")
        for seed in range(photos + one, photos + 2 * one):
            file = root / f"album {seed % one * 100 // 60:05d}" / f"{seed:07d}.jpg"
            file.write_bytes(data[seed % len(data)] + f"{seed}".encode())
        run("1 % new, in old folders")


class Mixed:
    """Hashes and thumbnails as varied as asked for, spread like those of real photos: each is one photo above a line
    (or left of it) and another below, with noise. (Share of strangers up to 10 bits apart: 5.5e-5 of 6,372 real
    ones, 3.7e-5 of these, none of random hashes.)"""

    def __init__(self, folder: Path) -> None:
        pictures = [Image.open(file).convert("RGB") for file in sorted(folder.glob("*.jpg"))]
        self._dhash = np.array([images.dhash(picture) for picture in pictures], np.uint64)
        self._grey = np.frombuffer(b"".join(map(duplicates.thumbnail, pictures)), np.uint8).reshape(-1, 256)
        rows = np.arange(8)[:, None] >= np.arange(8)[:, None, None] * np.ones((1, 1, 8), int)
        self._masks = np.concatenate([rows[1:], rows[1:].transpose(0, 2, 1)])  # 14 of 8 x 8

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        one, other, cut = (rng.integers(0, top, count) for top in (len(self._dhash), len(self._dhash), 14))
        bits = np.packbits(self._masks.reshape(14, 64), axis=1).view(">u8").ravel().astype(np.uint64)[cut]
        dhash = (self._dhash[one] & ~bits) | (self._dhash[other] & bits)
        dhash ^= np.packbits(rng.random((count, 64), np.float32) < 0.02, axis=1).view(np.uint64).ravel()
        below = self._masks.repeat(2, axis=1).repeat(2, axis=2).reshape(14, 256)[cut]
        noise = rng.integers(-40, 41, (count, 256), np.int16)
        return dhash, np.clip(np.where(below, self._grey[other], self._grey[one]) + noise, 0, 255).astype(np.uint8)


def near_duplicates(photos: int, like: Path | None) -> None:
    """A tenth of the photos are the test split; 10,000 of the rest are copies, 0 to 10 bits away."""
    rng = np.random.default_rng(0)
    mixed = None if like is None else Mixed(like)
    test, rest = photos // 10, photos - photos // 10
    dhash = rng.integers(0, 2**64, photos, np.uint64, endpoint=False)
    dhash_K, dhash_N = dhash[:test], dhash[test:]
    with tempfile.NamedTemporaryFile() as file:
        grey = np.memmap(file.name, np.uint8, "w+", shape=(photos, 256))
        for start in range(0, photos, 100_000):
            part = slice(start, min(start + 100_000, photos))
            if mixed is not None:
                dhash[part], grey[part] = mixed.draw(part.stop - start, rng)
            else:
                grey[part] = rng.integers(0, 256, (part.stop - start, 256), np.uint8)
        copies = rng.choice(rest, min(11_000, rest // 10), replace=False)
        distance = np.arange(len(copies)) % 11
        for at, copy in enumerate(copies):
            hash_ = dhash_K[at]
            for bit in rng.choice(64, distance[at], replace=False):
                hash_ ^= np.uint64(1) << np.uint64(bit)
            dhash_N[copy] = hash_
            grey[test + copy] = grey[at]
        thumbs = duplicates.Thumbnails(grey, np.arange(test)), duplicates.Thumbnails(grey, np.arange(test, photos))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start, cpu = time.perf_counter(), time.process_time()
        found = duplicates.near_duplicates(dhash_K, thumbs[0], dhash_N, thumbs[1])
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    hit = found[copies] == np.arange(len(copies))
    bits = hash_pairs.sample_bits(rest)
    took = f"{seconds:.1f} s ({cpu:.1f} of one core)"
    print(f"{photos:,} photos, {test:,} of them test: {took}, {grown:,.0f} MiB more than before")
    for bit in range(11):
        share, stated = hit[distance == bit].mean(), hash_pairs.recall(bit, bits)
        print(f"  copies {bit:2d} bits away: found {share:.3f} (stated for tables: {stated:.3f})")
    print(f"  others accused: {int((found >= 0).sum() - hit.sum())}")


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(out).convert("RGB")


def cut(image: Image.Image, share: float) -> Image.Image:
    left, top = round(image.width * share), round(image.height * share)
    return image.crop((left, top, image.width - left, image.height - top))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half the size, quality 50": lambda image: jpeg(image.resize((image.width // 2, image.height // 2)), 50),
    "brighter by 1.3": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "contrast 1.3": lambda image: ImageEnhance.Contrast(image).enhance(1.3),
    "2 % off every edge": lambda image: cut(image, 0.02),
    "5 % off every edge": lambda image: cut(image, 0.05),
}


def copies(photos: int, folder: Path) -> None:
    """Real photos and changed copies of them: found where every pair is compared, and by tables among millions."""
    pictures = [Image.open(file).convert("RGB") for file in sorted(folder.glob("*.jpg"))]
    pictures = pictures[:: max(1, len(pictures) // photos)]

    def told(images_: list[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
        grey = np.frombuffer(b"".join(map(duplicates.thumbnail, images_)), np.uint8).reshape(-1, 256)
        return np.array([images.dhash(image) for image in images_], np.uint64), grey

    dhash, grey = told(pictures)
    for name, change in CHANGES.items():
        changed, changed_grey = told([change(image) for image in pictures])
        alone = [slice(k, k + 1) for k in range(len(pictures))]
        nearest = [duplicates.near_duplicates(dhash[k], grey[k], changed[k], changed_grey[k])[0] for k in alone]
        exact = np.array(nearest) >= 0
        away = np.bitwise_count(duplicates.upward_hash(grey) ^ duplicates.upward_hash(changed_grey))
        tried = exact & (away <= duplicates.MAX_UPWARD)
        distance = np.bitwise_count(dhash ^ changed)
        among = {}
        for millions in (1, 10):
            bits = hash_pairs.sample_bits(millions * 1_000_000)
            met = np.array([hash_pairs.recall(int(d), bits) for d in distance])
            among[millions] = f"{(met * tried).mean():.2%} among {millions}M"
        print(f"{name:26} {len(pictures)} copies: {exact.mean():.2%} of every pair, {', '.join(among.values())}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["throughput", "incremental", "duplicates", "copies"])
    parser.add_argument("--photos", type=int)
    parser.add_argument("--size", choices=list(SIZES), default="3 megapixels", help="incremental: of the photos")
    parser.add_argument(
        "--like",
        type=Path,
        help="duplicates: hashes spread like those of the photos in this folder; copies: these photos",
    )
    arguments = parser.parse_args()
    if arguments.what == "throughput":
        throughput(arguments.photos or 60)
    elif arguments.what == "incremental":
        incremental(arguments.photos or 2000, arguments.size)
    elif arguments.what == "copies":
        copies(arguments.photos or 2000, arguments.like)
    else:
        near_duplicates(arguments.photos or 1_000_000, arguments.like)


if __name__ == "__main__":
    main()
