"""A small dataset in a store: photos that tell their place by colour, in several row groups and shards."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from openplanet.photos import dataset as stored
from openplanet.storage import read_json, write_json
from openplanet.stores import cache, ranges
from openplanet.stores.location import Location, location

PLACES = {(48.8, 2.3): (200, 40, 40), (-33.9, 151.2): (40, 200, 40), (35.7, 139.7): (40, 40, 200)}
GROUP = 40


def rows(count: int, side: int = 40) -> list[dict[str, Any]]:
    """Two thirds of them to train on."""
    rng, made = np.random.default_rng(0), []
    for index in range(count):
        (lat, lng), colour = list(PLACES.items())[index % len(PLACES)]
        file = io.BytesIO()
        noise = rng.normal(0, 25, (side, side, 3)) + np.array(colour)
        Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(file, "JPEG")
        name = hashlib.sha256(str(index).encode()).hexdigest()
        made.append({
            "photo_id": name, "image": {"bytes": file.getvalue(), "path": f"{name}.jpg"},
            "lat": lat + rng.normal(0, 0.05), "lng": lng + rng.normal(0, 0.05), "album_id": f"album{index % 7}",
            "album_order": index, "width": side, "height": side, "dhash": index, "source": f"made/{name}.jpg",
            "licence": "CC0", "split": ("train", "train", "train", "train", "val", "test")[index // 3 % 6],
        })  # fmt: skip
    return made


def write(folder: Path, count: int = 160, shards: int = 2) -> Path:
    """The dataset as a local folder."""
    folder.mkdir(parents=True)
    made, described = rows(count), []
    for number in range(shards):
        path = folder / stored.shard_name(f"{number:016x}")
        part = made[number * count // shards : (number + 1) * count // shards]
        with stored.open_writer(path) as writer:
            for start in range(0, len(part), GROUP):
                writer.write_table(pa.Table.from_pylist(part[start : start + GROUP], schema=stored.SCHEMA))
        described.append(stored.describe_shard(path, len(part)))
    manifest = {"format": stored.FORMAT, "format_version": stored.FORMAT_VERSION, "options": {"side": 40}}
    write_json(folder / stored.MANIFEST, manifest | {"shards": described})
    return folder


def uploaded(folder: Path, url: str) -> Location:
    """The same folder in a store."""
    place = location(url)
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            (place / file.relative_to(folder).as_posix()).upload(file)  # type: ignore[union-attr]
    return place


def forget() -> None:
    """As another process: nothing in memory, nothing open."""
    cache._recent.clear()
    ranges._open.clear()


def renamed(folder: Path, number: int) -> None:
    """Give the shards of a dataset names that no other dataset has, as names from their bytes are."""
    manifest = read_json(folder / stored.MANIFEST)
    for index, entry in enumerate(manifest["shards"]):
        name = stored.shard_name(f"{number:08x}{index:08x}")
        (folder / entry["file"]).rename(folder / f".{name}")
        entry["file"] = name
    for entry in manifest["shards"]:
        (folder / f".{entry['file']}").rename(folder / entry["file"])
    write_json(folder / stored.MANIFEST, manifest)
