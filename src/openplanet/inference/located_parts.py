"""Locating very many photos in parts that machines can divide among them, and putting the answers together.

    PARTS/part-00003-5c1e0d....jsonl    a line of JSON that says who answered, then a line for each photo

The name holds a hash of all that the answers depend on, so that parts of another checkpoint, of other options or of
photos that have changed are never taken for these.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from openplanet.errors import InputError
from openplanet.inference.finding import Names, photographs
from openplanet.inference.located import Located
from openplanet.inference.locator import exported_for, open_locator, places_albums, prefix_of
from openplanet.inference.output import as_json
from openplanet.inference.output.about import About
from openplanet.inference.photo_locator import BATCH, PhotoLocator
from openplanet.inference.prediction import Options
from openplanet.models import hub
from openplanet.models.checkpoint_folder import CONFIG
from openplanet.runners.job import Job, Work, listed
from openplanet.storage import atomic_path
from openplanet.stores.location import Location

PHOTOS = 32 * BATCH
"""Photos of a part: whole batches, so that each photo is looked at beside the same others as in one run."""
VERSION = 2


@dataclass(frozen=True)
class LocateJob(Job):
    """Locate ``photos``, and keep the answers in ``folder``. Size and time of each photo are asked for once."""

    folder: Location
    checkpoint: str
    photos: Sequence[Path]
    names: Names
    """What outputs call photos."""
    top: int = 5
    options: Options = field(default_factory=Options)
    all_pictures: bool = False
    engine: str | None = None
    per_part: int = field(default_factory=lambda: PHOTOS)
    _known: dict[int, str] = field(default_factory=dict, compare=False, repr=False)
    what = "locating"
    unit = "photo"
    on_gpu = True

    @property
    def count(self) -> int:
        return -(-len(self.photos) // self.per_part)

    def file(self, part: int) -> Location:
        """The file of a part; it is there once all of it is."""
        if part not in self._known:
            stamps = [(str(photo), *_stamp(photo)) for photo in self._photos(part)]
            key = hashlib.sha256(f"{self._asked} {stamps}".encode("utf-8", "backslashreplace")).hexdigest()[:16]
            self._known[part] = f"part-{part:05d}-{key}.jsonl"
        return self.folder / self._known[part]

    def done(self, parts: Sequence[int]) -> set[int]:
        there = listed(self.folder)
        return {part for part in parts if self.file(part).name in there}

    def size(self, part: int) -> int:
        return min(self.per_part, len(self.photos) - part * self.per_part)

    def for_workers(self) -> "LocateJob":
        return replace(self, photos=(), _known={})

    def given(self, part: int) -> tuple[Location, tuple[Path, ...]]:
        return self.file(part), self._photos(part)

    def open(self) -> Work:
        locator = open_locator(self.checkpoint, engine=self.engine)
        if places_albums(locator):
            raise InputError(f"{self.checkpoint} is a checkpoint of albums: parts are of single photos")
        about = About(self.names, self.top, locator.provenance, options=self.options)

        def work(given: tuple[Location, tuple[Path, ...]]) -> None:
            name, photos = given
            if isinstance(locator, PhotoLocator):
                answers: Iterator[Located] = locator.locate_many(photos, all_pictures=self.all_pictures)
            else:
                answers = locator.locate_many(photos)
                answers = answers if self.all_pictures else photographs(answers)
            with atomic_path(name) as temporary, temporary.open("w", encoding="utf-8") as file:
                file.write(json.dumps(as_json.head(about)) + "\n")
                for each in answers:
                    file.write(json.dumps(as_json.record(each, about)) + "\n")

        return work

    def records(self) -> Iterator[dict[str, Any]]:
        """Who answered, then the answer for each photo in order: what all parts hold. Raises InputError where parts are
        missing, or were answered by different models."""
        parts = range(self.count)
        missing = len(parts) - len(self.done(parts))
        if missing:
            raise InputError(f"{missing} of {len(parts)} parts are not in {self.folder}: run the other shards first")
        head: dict[str, Any] | None = None
        for file in map(self.file, parts):
            with file.open("r", encoding="utf-8") as lines:
                own = json.loads(next(lines))
                if head is None:
                    yield own
                elif own != head:
                    raise InputError(f"{file} was answered by another engine or version than the first part: delete it")
                head = own
                yield from map(json.loads, lines)

    def _photos(self, part: int) -> tuple[Path, ...]:
        return tuple(self.photos[part * self.per_part : (part + 1) * self.per_part])

    @cached_property
    def _asked(self) -> str:
        """All that the answer to a photo depends on, but the photo."""
        asked = [self.top, asdict(self.options), self.all_pictures, str(self.names.root)]
        return json.dumps([VERSION, *self._network(), *asked])

    def _network(self) -> tuple[str, str]:
        """What answers: a hash of the checkpoint's configuration, which has those of its files; the engine's hashes."""
        if prefix_of(self.checkpoint) is not None:
            return self.checkpoint, ""
        folder = hub.resolve(self.checkpoint)
        try:
            told = hashlib.sha256((folder / CONFIG).read_bytes()).hexdigest()
        except OSError:  # opening it says what is missing
            return self.checkpoint, ""
        chosen = exported_for(folder, None, self.engine)
        return told, "pytorch" if chosen is None else f"{chosen.name} {sorted(chosen.about.sha256.items())}"


def _stamp(photo: Path) -> tuple[int, int]:
    try:
        found = photo.stat()
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns
