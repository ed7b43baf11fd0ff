"""The checkpoint folder that a training writes: local, or in a store."""

from collections.abc import Iterator
from contextlib import contextmanager

from openplanet.errors import InputError, TrainingError
from openplanet.models.checkpoint_folder import CONFIG, RESUME
from openplanet.progress import warn
from openplanet.stores.folders import Staged, staged
from openplanet.stores.location import Location, RemotePath
from openplanet.training.callbacks import STATE
from openplanet.training.distributed import Ranks

OURS = (f"{RESUME}/*",)


@contextmanager
def output_folder(out: Location) -> Iterator[Staged]:
    """The folder to train into. Raises TrainingError where several processes would share one in a store."""
    if isinstance(out, RemotePath) and Ranks.from_environment().world > 1:
        raise TrainingError(f"{out}: several processes need a local folder to train into: upload it at the end")
    with staged(out, CONFIG, OURS, f"{RESUME}/{STATE}") as work:
        yield work


def upload_epoch(work: Staged) -> None:
    """Upload what resuming needs. Where that fails it is said, and tried again after the next epoch."""
    try:
        work.upload()
    except InputError as error:
        warn(f"{error}; training goes on")
