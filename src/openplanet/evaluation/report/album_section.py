"""The table of albums beside an evaluation: asked for with ``--albums``, and a section of its report."""

from collections.abc import Sequence
from pathlib import Path

from openplanet.errors import InputError
from openplanet.evaluation.albums import evaluate_albums, load_trained
from openplanet.evaluation.report.page import Section
from openplanet.evaluation.result import Result
from openplanet.evaluation.testsets.photoset import PhotoSet
from openplanet.inference.locator import Locator, checkpoint_of
from openplanet.models.checkpoint import Checkpoint
from openplanet.photos.dataset import Dataset

TEXT = (
    "The same photos, placed by the photos around them. The first row is the model of the rest of this page: it sees "
    "one photo at a time; the other rows are given all photos of the album, in order of capture."
)


def check_albums(photos: Dataset | PhotoSet, predictor: Locator | None, album_checkpoints: Sequence[Path] = ()) -> None:
    """Raise InputError where ``place_albums`` could not begin: to be told before a model has looked at photos."""
    load_trained(album_checkpoints, _asked(photos, predictor)[1])


def place_albums(
    photos: Dataset | PhotoSet,
    predictor: Locator | None,
    split: str,
    album_checkpoints: Sequence[Path] = (),
    world: Path | None = None,
    extra_distances: Sequence[float] = (),
    anchor_shares: Sequence[float] = (),
    strict: bool = False,
) -> Result:
    """``evaluate_albums`` of what ``evaluate`` was asked about.

    Raises InputError where that is no dataset, or no checkpoint of ours: albums need embeddings of all their photos.
    """
    dataset, checkpoint = _asked(photos, predictor)
    return evaluate_albums(dataset, checkpoint, split, album_checkpoints, world, extra_distances, anchor_shares, strict)


def _asked(photos: Dataset | PhotoSet, predictor: Locator | None) -> tuple[Dataset, Checkpoint]:
    if not isinstance(photos, Dataset):
        raise InputError(f"--albums needs a dataset, which knows its albums; {photos.name} is a set of single photos")
    checkpoint = None if predictor is None else checkpoint_of(predictor)
    if checkpoint is None:
        raise InputError("--albums needs --checkpoint with a folder of `openplanet train`: its embeddings are used")
    return photos, checkpoint


def section(found: Result) -> Section:
    """The tables as a section of the report."""
    return Section("Albums", TEXT, found.to_html())
