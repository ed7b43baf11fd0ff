"""One thread asks the model; photos that wait meanwhile, of whatever request, go through it together.

No request waits for company: a photo that comes while the thread is idle is looked at alone. Under load batches grow by
themselves, and with them the throughput.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
T = TypeVar("T")

BATCH = 32
MEMORY = 0.9  # weight of what was before in the mean time of a photo


class Batcher(Generic[Asked, Answer]):
    """Batches what is asked of ``answer``, a function from a list to a list. Belongs to the event loop that it is
    started in."""

    def __init__(self, answer: Callable[[list[Asked]], Sequence[Answer]], most: int = BATCH) -> None:
        self._answer, self._most = answer, most
        self._thread = ThreadPoolExecutor(1, "model")
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._new = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.seconds = 0.05
        """What a photo takes now, seconds."""
        self.batches = 0

    def start(self) -> None:
        """Begin to answer."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End after the batch that is being answered; what waits then is cancelled."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for _, future in self._waiting:
            future.cancel()
        self._thread.shutdown()

    async def ask(self, asked: Asked) -> Answer:
        """The answer to one; raises what the function raises."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, future))
        self._new.set()
        return await future

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function in the model's thread: what is more than one look at a photo."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    async def _run(self) -> None:
        while True:
            await self._new.wait()
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            if not self._waiting:
                self._new.clear()
            batch = [(asked, future) for asked, future in batch if not future.done()]  # others have gone
            if batch:
                await self._one(batch)

    async def _one(self, batch: list[tuple[Asked, "asyncio.Future[Answer]"]]) -> None:
        start = time.monotonic()
        try:
            answers = await self.run(self._answer, [asked for asked, _ in batch])
        except Exception as error:  # whatever it is, it is the askers'; the thread goes on
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)
        self.batches += 1
        self.seconds = MEMORY * self.seconds + (1 - MEMORY) * (time.monotonic() - start) / len(batch)
