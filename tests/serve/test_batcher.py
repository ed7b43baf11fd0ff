"""What waits goes together; an error reaches those who asked, and nobody else."""

import asyncio
import threading

import pytest

from openplanet.serve.batcher import Batcher


def test_what_waits_meanwhile_goes_together_in_order() -> None:
    batches, go = list[list[int]](), threading.Event()

    def double(asked: list[int]) -> list[int]:
        batches.append(asked)
        go.wait(30)
        return [2 * each for each in asked]

    async def ask() -> list[int]:
        batcher = Batcher(double, most=4)
        batcher.start()
        tasks = [asyncio.create_task(batcher.ask(0))]
        while not batches:
            await asyncio.sleep(0.001)
        tasks += [asyncio.create_task(batcher.ask(n)) for n in range(1, 8)]
        await asyncio.sleep(0.01)
        tasks.pop(3).cancel()  # who has gone is not answered
        go.set()
        answers = await asyncio.gather(*tasks)
        await batcher.stop()
        return list(answers)

    assert asyncio.run(ask()) == [0, 2, 4, 8, 10, 12, 14]
    assert batches == [[0], [1, 2, 4], [5, 6, 7]]


def test_an_error_reaches_those_who_asked_and_the_next_are_answered() -> None:
    def fail(asked: list[int]) -> list[int]:
        if 13 in asked:
            raise ValueError("thirteen")
        return asked

    async def ask() -> int:
        batcher = Batcher(fail)
        batcher.start()
        with pytest.raises(ValueError, match="thirteen"):
            await batcher.ask(13)
        answer = await batcher.ask(1)
        await batcher.stop()
        return answer

    assert asyncio.run(ask()) == 1
