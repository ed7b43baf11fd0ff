"""One part after the other in this process: networks and readers use all cores by themselves."""

from collections.abc import Sequence

from openplanet.progress import track
from openplanet.runners.job import Job


def run(job: Job, parts: Sequence[int]) -> None:
    """Do these parts."""
    if parts:
        work = job.open()
        for part in track(parts, job.what, unit="part"):
            work(part)
