"""Reading, network and answers at the same time: photos are read ahead while the network looks at those before them.

Shapes: B photos in a batch, H W pixels.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np

from openplanet.errors import PhotoError
from openplanet.models.preprocess import Pixels

P = TypeVar("P")
A = TypeVar("A")
Answered = list[A | PhotoError]


def ahead(
    photos: Iterable[P], read: Callable[[P], Pixels], look: Callable[[Pixels], Sequence[A]], batch_size: int
) -> Iterator[tuple[P, A | PhotoError]]:
    """Each photo with its answer, in the order of ``photos``, or with the PhotoError that ``read`` raised.

    ``read`` gives uint8 [3, H, W] and runs in a thread for each core. ``look`` takes the good photos of a batch,
    [B, 3, H, W], and runs in one thread. While the caller has the answers of a batch, the network looks at the next
    one. Memory holds two batches, and ``photos``, which may be endless, is taken from two batches ahead at most.
    """
    source, waiting = iter(photos), deque[tuple[list[P], Future[Answered[A]]]]()
    readers, network = ThreadPoolExecutor(os.cpu_count()), ThreadPoolExecutor(1)

    def looked(reading: list[Future[Pixels]]) -> Answered[A]:
        pixels = [_pixels(each) for each in reading]
        good = [each for each in pixels if not isinstance(each, PhotoError)]
        answers = iter(look(np.stack(good))) if good else iter(())
        return [each if isinstance(each, PhotoError) else next(answers) for each in pixels]

    try:
        while batch := list(islice(source, batch_size)):
            reading = [readers.submit(read, photo) for photo in batch]
            waiting.append((batch, network.submit(looked, reading)))
            if len(waiting) > 1:
                yield from _finished(*waiting.popleft())
        while waiting:
            yield from _finished(*waiting.popleft())
    finally:
        for pool in (readers, network):  # an answer that nobody waits for is not computed
            pool.shutdown(wait=True, cancel_futures=True)


def _finished(batch: list[P], answers: Future[Answered[A]]) -> Iterator[tuple[P, A | PhotoError]]:
    return zip(batch, answers.result(), strict=True)


def _pixels(reading: Future[Pixels]) -> Pixels | PhotoError:
    try:
        return reading.result()
    except PhotoError as error:
        return error
