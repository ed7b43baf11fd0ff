"""Which photos train, which choose, which test: by group, stable, and with near-duplicates kept apart.

Shapes: N photos, 256 grey values of a thumbnail.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from openplanet.photos.ingest.duplicates import Thumbnails, near_duplicates

Split = Literal["train", "val", "test"]
MOST = 0.5  # of the photos in one group: the others are too few to train or to test by
MIN_TO_JUDGE = 20  # photos
FEW_PHOTOS, FEW_ALBUMS = 100, 5  # held out: fewer tell little of a model


@dataclass(frozen=True)
class Divided:
    """By what train, val and test are divided: ``split_by`` owner, album or none (all train), ``albums`` folder or
    sessions.

    ``why``: where ingest chose it itself, the reason.
    """

    split_by: str
    albums: str
    why: str = ""


def assign_split(group_key: str) -> Split:
    """The split of a group: 80 % train, 10 % val, 10 % test by SHA-256 of its key.

    Depends on nothing but the key, so that photos added later never move those that are there.
    """
    digest = hashlib.sha256(group_key.encode("utf-8", "surrogateescape")).digest()
    tenth = int.from_bytes(digest[:8], "big") % 10
    return "train" if tenth < 8 else "val" if tenth == 8 else "test"


def group_keys(owners: Sequence[str | None], albums: Sequence[str], split_by: str) -> list[str]:
    """The key of each photo's group; photos of one group are never cut apart.

    ``split_by="album"``: the album. ``split_by="owner"``: albums and owners that share a photo belong
    together, so that neither an owner nor an album is ever cut in two; the key is the first owner in
    alphabetical order, or the album where no owner is known. So photos that are added move others only
    where they tie together groups that were apart: an owner seen for the first time in another owner's (or
    in an ownerless) album.
    """
    if split_by == "album":
        return [f"album:{album}" for album in albums]
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for owner, album in set(zip(owners, albums, strict=True)):
        first, second = root(f"album:{album}"), root(f"album:{album}" if owner is None else f"owner:{owner}")
        # Owners win over albums, then the alphabet: the root is the key whatever the order of the photos.
        small, large = sorted((first, second), key=lambda node: (node.startswith("album:"), node))
        parent[large] = small
    return [root(f"album:{album}") for album in albums]


def too_few(photos: int, albums: int) -> str:
    """'19 photos of 2 albums' where so many held out tell little of a model; '' where they are enough."""
    if photos >= FEW_PHOTOS and albums >= FEW_ALBUMS:
        return ""
    return f"{photos:,} photo{'s' * (photos != 1)} of {albums:,} album{'s' * (albums != 1)}"


def how_to_divide(split_by: str, albums: str) -> str:
    """What to do where groups are too few to fill train, val and test; the options as ingest takes them."""
    if split_by == "none":
        return "--split-by none puts all photos into train; without it some are held out"
    kept, more, flags = "an album", "albums", []
    if split_by == "owner":
        kept, more, flags = "an owner (or camera) or album", "owners", ["--split-by album"]
    if albums == "folder":
        flags.append("--albums sessions")
    again = f"ingest again with {' and '.join(flags)} (smaller groups), or " if flags else ""
    return f"the photos of {kept} stay together, and there are too few of them: {again}add photos of more {more}"


def mark_near_duplicates(
    splits: npt.ArrayLike,
    dhash_N: npt.NDArray[np.uint64],
    thumbnails: npt.NDArray[np.uint8],
    at_N: npt.NDArray[np.int64] | None = None,
) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.int64]]:
    """Take near-duplicates of test photos out of train and val, and of val photos out of train.

    ``thumbnails`` [M, 256] may lie in a file; photo n has row ``at_N[n]`` (None: row n). Returns the splits
    [N] with ``none`` for those taken out, and for each photo the index of the photo it repeats (-1: none).
    """
    split_N = np.array(splits, dtype="U5")
    of_N = np.full(len(split_N), -1, np.int64)
    rows_N = np.arange(len(split_N)) if at_N is None else at_N
    for kept, cleaned in (("test", ("val", "train")), ("val", ("train",))):
        kept_K = np.flatnonzero(split_N == kept)
        checked = np.flatnonzero(np.isin(split_N, cleaned))
        thumbs = Thumbnails(thumbnails, rows_N[kept_K]), Thumbnails(thumbnails, rows_N[checked])
        nearest = near_duplicates(dhash_N[kept_K], thumbs[0], dhash_N[checked], thumbs[1])
        found = nearest >= 0
        split_N[checked[found]] = "none"
        of_N[checked[found]] = kept_K[nearest[found]]
    return split_N, of_N
