"""The table of albums beside an evaluation: asked for with ``--albums``, and a section of its report."""

from collections.abc import Sequence

from openplanet.errors import InputError
from openplanet.evaluation.albums import load_trained
from openplanet.evaluation.report.page import Section
from openplanet.evaluation.result import Result
from openplanet.evaluation.testsets.photoset import PhotoSet
from openplanet.inference.locator import Locator, checkpoint_of
from openplanet.models.checkpoint import Checkpoint
from openplanet.photos.dataset import Dataset
from openplanet.stores.location import Location

TEXT = (
    "The same photos, placed by the photos around them. The first row is the model of the rest of this page: it sees "
    "one photo at a time; the other rows are given all photos of the album, in order of capture."
)


def albums_of(
    photos: Dataset | PhotoSet, locator: Locator | None, album_checkpoints: Sequence[Location] = ()
) -> tuple[Dataset, Checkpoint]:
    """What ``evaluate_albums`` needs of what ``evaluate`` is asked about: to be known before a model looks at photos.

    Raises InputError where that is no dataset, or no checkpoint of ours: albums need embeddings of all their photos;
    and where an album checkpoint was not trained on those.
    """
    if not isinstance(photos, Dataset):
        raise InputError(f"--albums needs a dataset, which knows its albums; {photos.name} is a set of single photos")
    checkpoint = None if locator is None else checkpoint_of(locator)
    if checkpoint is None:
        raise InputError("--albums needs --checkpoint with a folder of `openplanet train`: its embeddings are used")
    load_trained(album_checkpoints, checkpoint)
    return photos, checkpoint


def section(found: Result) -> Section:
    """The tables as a section of the report."""
    return Section("Albums", TEXT, found.to_html())
