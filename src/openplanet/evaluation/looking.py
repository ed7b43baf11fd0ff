"""What is expensive in an evaluation, in parts: the network's look at the photos of datasets.

What it sees is kept (models/features.py), and evaluation then finds it: the head and the scores take no time.
"""

from openplanet.errors import InputError
from openplanet.evaluation.testsets.photoset import PhotoSet
from openplanet.inference.locator import Locator, reads_features
from openplanet.models.embed_job import EmbedJob
from openplanet.photos.dataset import ALL, SPLITS, Dataset
from openplanet.stores.location import Location


def jobs(
    asked: Dataset | PhotoSet,
    train: Dataset | None,
    locator: Locator | None,
    checkpoint: Location | None,
    split: str,
    neighbours: bool,
) -> list[EmbedJob]:
    """The looks that ``evaluate`` with the same arguments needs: at the set, and at what neighbours are searched among.

    Raises InputError where the photos are no dataset, or another engine than PyTorch looks at them.
    """
    if not isinstance(asked, Dataset):
        raise InputError("--runner and --shard go with a dataset: ingest the photos first")
    if locator is None or checkpoint is None or not reads_features(locator):
        raise InputError("--runner and --shard go with an image --checkpoint that PyTorch runs: add --engine pytorch")
    held_out = split not in ("train", ALL)
    splits = {split} if split != ALL else set(SPLITS) - {"none"}
    searched = {"train", "val"} if neighbours and held_out else set[str]()
    wanted = {asked.path: splits}
    gallery = train or asked
    wanted[gallery.path] = wanted.get(gallery.path, set()) | searched
    return [EmbedJob(path, str(checkpoint), tuple(sorted(each)), located=True) for path, each in wanted.items() if each]
