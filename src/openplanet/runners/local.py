"""This machine: one part after the other in this process, or as many at a time as the job has processes.

A process that dies (of a file that a decoder cannot bear, say) takes along the parts that were under way; each of them
is then done again alone, so that the deadly one is known.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from openplanet.progress import Progress
from openplanet.runners.job import Job, Work


def run(job: Job, parts: Sequence[int]) -> None:
    """Do these parts."""
    if not parts:
        return
    with Progress(job.what, sum(map(job.size, parts)), job.unit) as progress:
        if not job.processes:
            work = job.open()
            for part in parts:
                work(job.given(part))
                progress.advance(job.size(part))
            return
        for suspect in _run(job, iter(parts), min(job.processes, len(parts)), progress):
            if _run(job, iter([suspect]), 1, progress):
                job.give_up(suspect, "ended its process twice")
                progress.advance(job.size(suspect))


def _run(job: Job, waiting: Iterator[int], processes: int, progress: Progress) -> list[int]:
    """Do the parts; returns those that were under way when a process died."""
    suspects, part = list[int](), next(waiting, None)
    while part is not None:
        under_way: dict[Future[None], int] = {}
        executor = _executor(job, processes)
        try:
            while part is not None or under_way:
                while part is not None and len(under_way) < 2 * processes:  # one to do, one at hand
                    under_way[executor.submit(_do, job.given(part))] = part
                    part = next(waiting, None)
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    future.result()
                    progress.advance(job.size(under_way.pop(future)))
        except BrokenProcessPool:
            suspects.extend(under_way.values())
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
    return suspects


def _executor(job: Job, processes: int) -> ProcessPoolExecutor:
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if "forkserver" in methods:
        context.set_forkserver_preload([__name__, type(job).__module__, *job.preload])
    return ProcessPoolExecutor(processes, mp_context=context, initializer=_start, initargs=(job.for_workers(),))


_work: Work | None = None
"""Of a worker process."""


def _start(job: Job) -> None:
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    parent = multiprocessing.parent_process()

    def end_with_parent() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)  # a killed parent must not leave workers that wait for ever

    threading.Thread(target=end_with_parent, daemon=True).start()
    _work = job.open()


def _do(given: object) -> None:
    assert _work is not None
    _work(given)
