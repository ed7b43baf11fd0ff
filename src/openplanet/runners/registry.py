"""The runners by name. A further one is its file and a line here."""

from openplanet.errors import InputError
from openplanet.progress import say
from openplanet.runners import local, ray
from openplanet.runners.job import Job, Run, Share

RUNNERS: dict[str, Run] = {"local": local.run, "ray": ray.run}


def run(job: Job, runner: str = "local", share: Share | None = None) -> None:
    """Do the parts of ``share`` (None: all) that are not done yet. Raises InputError for an unknown runner, and what
    a part raises: what was done until then stays."""
    if runner not in RUNNERS:
        raise InputError(f"there is no runner {runner}: give one of {', '.join(RUNNERS)}")
    wanted = (share or Share()).parts(job.count)
    done = set(job.done(wanted))
    missing = [part for part in wanted if part not in done]
    if len(missing) < len(wanted):
        say(f"{len(wanted) - len(missing)} of {len(wanted)} parts were done before")
    RUNNERS[runner](job, missing)
