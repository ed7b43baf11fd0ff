"""Precision and recall of the rules of photos/flags.py: real photos against drawn screenshots, documents, clip art.

python benchmarks/flags.py FOLDER_OF_PHOTOS [--photos 2000]

The photos are judged as if they named no camera, which is the harder case. The drawn pictures are our own idea of what
they stand for: the recall says that the rules do what they say, not how many of the world's screenshots they find.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from openplanet.errors import PhotoError
from openplanet.photos import flags, images

sys.path.append(str(Path(__file__).parents[1] / "tests" / "photos"))
from flag_pictures import DRAWN


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=2000)
    arguments = parser.parse_args()
    files = sorted(path for path in arguments.folder.rglob("*") if path.suffix.lower() in images.SUFFIXES)
    files = files[:: max(1, len(files) // arguments.photos)][: arguments.photos]
    wrong: Counter[str | None] = Counter()
    for file in files:
        try:
            with Image.open(file) as opened:
                size = opened.size
            flag, reason = flags.judge(images.load(file, 320), *size, False)
        except PhotoError:
            continue
        wrong[flag] += 1
        if flag is not None:
            print(f"  {file.name}: {flag} ({reason})")
    print(f"{sum(wrong.values())} real photos: {dict(wrong)}")
    for kind, draw in DRAWN.items():
        found: Counter[str | None] = Counter()
        for seed in range(100):
            image = draw(np.random.default_rng(1000 + seed))
            factor = min(1.0, 320 / min(image.size))
            small = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)
            found[flags.judge(small, *image.size, False)[0]] += 1
        print(f"100 drawn as {kind}: {dict(found)}")


if __name__ == "__main__":
    main()
