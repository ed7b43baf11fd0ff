"""Ray: an actor for each GPU, else for each core (or OMP_NUM_THREADS of them), holds a loaded model and does parts.

RAY_ADDRESS names a cluster, whose machines see the same files under the same paths; without it a local one is started.
A worker that dies costs the part that it was doing, which another one does.
"""

import os
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from openplanet.errors import InputError, OpenPlaNetError
from openplanet.progress import Progress, say
from openplanet.runners.job import Job, Work, threads_asked

MOST_LOSSES = 3
"""Workers that may die of one part: then it is the part that kills them."""


class _Worker:
    """Opens the job with its first part, so that what goes wrong there is an error of that part."""

    def __init__(self, job: Job, threads: int) -> None:
        self._job = job
        self._work: Work | None = None
        # the cluster may have been started with other threads; a job may have brought torch along
        os.environ["OMP_NUM_THREADS"] = str(threads)
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(threads)

    def do(self, given: Any) -> None:
        if self._work is None:
            self._work = self._job.open()
        self._work(given)


def run(job: Job, parts: Sequence[int]) -> None:
    """Do these parts. Raises what a part raises; InputError where one kills MOST_LOSSES workers (unless the job knows
    better), and where Ray is not installed or its cluster does not answer."""
    if not parts:
        return
    with cluster() as ray, Progress(job.what, sum(map(job.size, parts)), job.unit) as progress:
        there, threads = ray.cluster_resources(), threads_asked() or 1
        gpus, cores = int(there.get("GPU", 0)) if job.on_gpu else 0, int(there.get("CPU", 1))
        # a worker that asks for more cores than any machine has is never started
        cpus = min(threads, max(int(each["Resources"].get("CPU", 1)) for each in ray.nodes() if each["Alive"]))
        kind = ray.remote(num_cpus=cpus, num_gpus=1 if gpus else 0, max_restarts=0)(_Worker)
        workers, shared = max(1, min(len(parts), gpus or cores, cores // cpus)), ray.put(job.for_workers())
        pool = _Pool(ray, job, lambda: kind.remote(shared, threads), workers)
        try:
            pool.do(parts, progress)
        finally:
            pool.end()


class _Pool:
    """Workers, and which part each is doing."""

    def __init__(self, ray: Any, job: Job, start: Callable[[], Any], workers: int) -> None:
        self._ray, self._job, self._start = ray, job, start
        self._free = [start() for _ in range(workers)]
        self._doing: dict[Any, tuple[Any, int]] = {}
        self._losses = Counter[int]()

    def do(self, parts: Sequence[int], progress: Progress) -> None:
        waiting = deque(parts)
        while waiting or self._doing:
            while waiting and self._free:
                worker, part = self._free.pop(), waiting.popleft()
                self._doing[worker.do.remote(self._job.given(part))] = worker, part
            (ended, *_), _ = self._ray.wait(list(self._doing), num_returns=1)
            worker, part = self._doing.pop(ended)
            if self._finished(ended, part):
                self._free.append(worker)
                progress.advance(self._job.size(part))
                continue
            self._free.append(self._start())
            if self._losses[part] < MOST_LOSSES:
                say(f"a worker died; part {part} is done again")
                waiting.appendleft(part)
            else:
                self._job.give_up(part, f"killed {MOST_LOSSES} workers")
                progress.advance(self._job.size(part))

    def _finished(self, ended: Any, part: int) -> bool:
        """Whether the part is done; False where its worker died. Raises what the part raised."""
        try:
            self._ray.get(ended)
        except self._ray.exceptions.RayActorError:
            self._losses[part] += 1
            return False
        except self._ray.exceptions.RayTaskError as error:
            raise (error.cause if isinstance(error.cause, OpenPlaNetError) else error) from None
        return True

    def end(self) -> None:
        """Give back what the workers hold, in a cluster that lives on."""
        for worker in [*self._free, *(worker for worker, _ in self._doing.values())]:
            self._ray.kill(worker)


@contextmanager
def cluster() -> Iterator[Any]:
    """Ray, connected; a cluster that this starts is ended with it. Raises InputError where none answers."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to its makers
    try:
        ray = import_module("ray")
    except ModuleNotFoundError as error:
        raise InputError("--runner ray needs a package:  pip install 'openplanet[ray]'") from error
    if ray.is_initialized():
        yield ray
        return
    address = os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {} if address else {"include_dashboard": False}
    try:
        ray.init(address=address or "local", log_to_driver=False, configure_logging=False, **options)
    except (ConnectionError, RuntimeError) as error:
        raise InputError(f"Ray's cluster at {address} does not answer: {_line(error)}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
