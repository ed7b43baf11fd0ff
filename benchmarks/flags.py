"""Precision and recall of the rules of photos/files/flags.py: real photos, and drawn screenshots, documents, clip art.

python benchmarks/flags.py FOLDER_OF_PHOTOS [--photos 2000] [--labelled FOLDER]

The photos are judged as if they named no camera, which is the harder case. The drawn pictures are our own idea of what
they stand for: the recall says that the rules do what they say, not how many of the world's screenshots they find.
``--labelled``: real ones, in folders named "screenshot", "document", "clip art".
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from openplanet.errors import PhotoError
from openplanet.photos.files import flags, images

sys.path.append(str(Path(__file__).parents[1] / "tests" / "photos"))
from flag_pictures import DRAWN


def verdicts(files: Iterable[Path]) -> Counter[str | None]:
    """How often each flag was given, None for none."""
    found: Counter[str | None] = Counter()
    for file in files:
        try:
            with Image.open(file) as opened:
                size = opened.size
            flag, reason = flags.judge(images.load(file, 320), *size, False)
        except PhotoError:
            continue
        found[flag] += 1
        print(f"  {file.parent.name}/{file.name}: {flag} ({reason})")
    return found


def drawn(kind: str) -> Counter[str | None]:
    """The verdicts on 100 pictures that we have drawn."""
    found: Counter[str | None] = Counter()
    for seed in range(100):
        image = DRAWN[kind](np.random.default_rng(1000 + seed))
        factor = min(1.0, 320 / min(image.size))
        small = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)
        found[flags.judge(small, *image.size, False)[0]] += 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--labelled", type=Path)
    arguments = parser.parse_args()
    files = sorted(path for path in arguments.folder.rglob("*") if path.suffix.lower() in images.SUFFIXES)
    found = {"photo": verdicts(files[:: max(1, len(files) // arguments.photos)][: arguments.photos])}
    for kind in DRAWN:
        if arguments.labelled is not None and (arguments.labelled / kind).is_dir():
            found[kind] = verdicts(sorted((arguments.labelled / kind).iterdir()))
    for kind, counts in found.items():
        print(f"{counts.total()} of kind {kind}: {dict(counts)}")
    for flag in list(found)[1:]:
        given = sum(counts[flag] for counts in found.values())
        print(f"flag {flag}: given {given} times, {found[flag][flag]} right, {found['photo'][flag]} to photos")
    for kind in DRAWN:
        print(f"100 drawn as {kind}: {dict(drawn(kind))}")


if __name__ == "__main__":
    main()
