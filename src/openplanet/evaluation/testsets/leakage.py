"""Whether the test is cleaner than it looks: what of it was in the training photos.

Each guard reports what it found; ``refuse`` turns findings into an error. Looked for: the same file, near-duplicate
pictures, owners and albums on both sides, and, for locators that answer with a place from a gallery, the very
positions of test photos in that gallery.

Shapes: N test photos, M training photos, K of them suspected, P pairs, 256 grey values of a thumbnail.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openplanet.errors import InputError, PhotoError
from openplanet.evaluation.testsets.photoset import PhotoSet
from openplanet.photos.dataset import Dataset
from openplanet.photos.files import images
from openplanet.photos.ingest import duplicates
from openplanet.progress import track

Floats = NDArray[np.float64]

SIDE = 320  # the short side at which ingest takes the hash and the thumbnail
SAME_POSITION = 6  # decimals of a degree: 0.1 m
NAMED = 3  # examples in a finding
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Leak:
    """One guard's finding. ``photos`` of ``of`` test photos are touched; 0: looked and found nothing."""

    guard: str
    what: str
    photos: int
    of: int
    examples: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The finding in a sentence."""
        if self.photos == 0:
            return f"{self.guard}: none of {self.of:,} test photos"
        named = f" (such as {', '.join(self.examples)})" if self.examples else ""
        return f"{self.guard}: {self.photos:,} of {self.of:,} test photos {self.what}{named}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def check(photoset: PhotoSet, train: Dataset, looked_at: bool = True) -> tuple[Leak, ...]:
    """All guards between a set and the train split of ``train``. ``looked_at``: compare the pictures too."""
    columns = ["photo_id", "owner_id", "album_id", "dhash", "lat", "lng"]
    table = train.table(columns, split="train")
    truth = photoset.truth
    # a set of files has names for ids: what is in them decides
    files: list[str] = []
    if looked_at and photoset.of_files:
        files = [hashlib.sha256(photo).hexdigest() for photo in photoset.images()]
    found = [
        _shared("the same file", "are training photos", files or truth.photo_id, table["photo_id"].to_pylist()),
        _shared("owners", "are by someone whose photos train", truth.owner, table["owner_id"].to_pylist()),
        _shared("albums", "are of an album that trains", truth.album, table["album_id"].to_pylist()),
    ]
    if looked_at:
        found.append(near_duplicates(photoset, train, table["dhash"].to_numpy()))
    return tuple(found)


def check_gallery(photoset: PhotoSet, lat_M: Floats, lng_M: Floats) -> Leak:
    """Whether the very position of a test photo is one that a retrieval locator can answer with."""
    truth = photoset.truth
    gallery = set(zip(np.round(lat_M, SAME_POSITION).tolist(), np.round(lng_M, SAME_POSITION).tolist(), strict=True))
    asked = zip(np.round(truth.lat, SAME_POSITION).tolist(), np.round(truth.lng, SAME_POSITION).tolist(), strict=True)
    hit = [position in gallery for position in asked]
    return _leak("gallery", "stand in the gallery with their exact position", hit, truth.photo_id)


def blind_spots(
    train: Dataset | None, held_out: bool, looked_at: bool, trained_on: Iterable[Mapping[str, Any] | None]
) -> tuple[str, ...]:
    """Why the guards cannot vouch for a set, each reason in a sentence; none where they could look everywhere.

    ``trained_on``: for each model that is measured what its checkpoint says of its training (``locator.trained_on``);
    None for one of which nothing is known.
    """
    if not held_out:
        return ("the train split is what was trained on.",)
    if train is None:
        return ("no training dataset is named, so nothing was looked for.",)
    found = []
    if not looked_at:
        found.append("pictures were not compared: only positions of the set were read.")
    for training in trained_on:
        if training is None:
            found.append("what the model was trained on is not known; it was looked for in the named dataset alone.")
            continue
        theirs = training.get("manifest", {}).get("fingerprint")
        if theirs is not None and theirs != train.manifest.get("fingerprint", theirs):
            name = training.get("dataset", "another dataset")
            found.append(
                f"the checkpoint was trained on {name} (fingerprint {theirs[:8]}), not on what {train.path.name} holds "
                f"now (fingerprint {train.manifest['fingerprint'][:8]}), where it was looked for."
            )
    return tuple(dict.fromkeys(found))


def refuse(leaks: Iterable[Leak], blind: Sequence[str] = ()) -> None:
    """Raise InputError where any guard found something, or could not look (``--strict``)."""
    found = [leak for leak in leaks if leak.photos]
    if found:
        raise InputError(
            f"the test leaks into training: {'; '.join(leak.text for leak in found)}. "
            "Ingest again with --split-by owner, take those photos out, or measure without --strict"
        )
    if blind:
        raise InputError(
            f"the test may leak into training: {' '.join(blind)} Name the dataset that the model was trained on "
            "(evaluate SET TRAIN_DATASET), or measure without --strict"
        )


def near_duplicates(photoset: PhotoSet, train: Dataset, dhash_M: NDArray[np.uint64]) -> Leak:
    """Test photos of which a training photo is the same picture (``photos.likeness``).

    Hashes find the suspects; only those training photos are decoded.
    """
    asked = list(track(map(_fingerprint, photoset.images()), "looking for near-duplicates", total=len(photoset)))
    read = [index for index, each in enumerate(asked) if each is not None]
    dhash_N = np.array([asked[index][0] for index in read], np.uint64)  # type: ignore[index]
    suspects = _suspects(dhash_N, dhash_M)
    hit = np.zeros(len(photoset), dtype=bool)
    if len(suspects):
        grey_N256 = np.stack([asked[index][1] for index in read])  # type: ignore[index]
        grey_K256 = np.stack(list(_thumbnails(train, suspects)))
        found = duplicates.near_duplicates(dhash_M[suspects], grey_K256, dhash_N, grey_N256) >= 0
        hit[np.array(read)[found]] = True
    return _leak("near-duplicates", "are pictures that train", hit.tolist(), photoset.truth.photo_id)


def _suspects(dhash_N: NDArray[np.uint64], dhash_M: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Training photos within the hash distance of any test photo."""
    near_M = np.zeros(len(dhash_M), dtype=bool)
    step = max(1, _BLOCK // max(1, len(dhash_N)))
    for start in range(0, len(dhash_M), step):
        distance = np.bitwise_count(dhash_M[start : start + step, None] ^ dhash_N[None, :])
        near_M[start : start + step] = (distance <= duplicates.MAX_DISTANCE).any(axis=1)
    return np.flatnonzero(near_M)


def _thumbnails(train: Dataset, wanted: NDArray[np.int64]) -> Iterable[NDArray[np.uint8]]:
    chosen, row = set(wanted.tolist()), -1
    for batch in train.batches(["image"], split="train", batch_size=256):
        for data in batch["image"].field("bytes"):
            row += 1
            if row in chosen:
                found = _fingerprint(data.as_py() or b"")
                yield np.zeros(256, np.uint8) if found is None else found[1]


def _fingerprint(photo: bytes) -> tuple[int, NDArray[np.uint8]] | None:
    try:
        image = images.load(photo, short_side=SIDE)
    except PhotoError:
        return None
    return images.dhash(image), np.frombuffer(duplicates.thumbnail(image), np.uint8)


def _shared(guard: str, what: str, asked: Sequence[str | None], trained: Sequence[str | None]) -> Leak:
    known = {each for each in trained if each}
    hit = [each in known for each in asked]
    return _leak(guard, what, hit, [each or "" for each in asked])


def _leak(guard: str, what: str, hit: Sequence[bool], names: Sequence[str]) -> Leak:
    examples = dict.fromkeys(name for name, is_hit in zip(names, hit, strict=True) if is_hit)
    return Leak(guard, what, sum(hit), len(hit), tuple(examples)[:NAMED])
