import threading
from collections.abc import Iterator

import numpy as np
import pytest

from openplanet.errors import PhotoError
from openplanet.inference.pipeline import ahead
from openplanet.models.preprocess import Pixels


def read(number: int) -> Pixels:
    if number % 5 == 3:
        raise PhotoError(f"{number} is bad")
    return np.full((3, 2, 2), number % 256, np.uint8)


def look(pixels_B3HW: Pixels) -> list[int]:
    return [int(each.max()) for each in pixels_B3HW]


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_answers_come_in_order_with_the_errors_of_bad_photos(batch_size: int) -> None:
    found = list(ahead(range(23), read, look, batch_size))
    assert [photo for photo, _ in found] == list(range(23))
    for photo, answer in found:
        assert str(answer) == f"{photo} is bad" if photo % 5 == 3 else answer == photo


def test_takes_two_batches_ahead_at_most() -> None:
    taken = []

    def endless() -> Iterator[int]:
        while True:
            taken.append(1)
            yield 1

    stream = ahead(endless(), read, look, 4)
    for _ in range(9):
        next(stream)
    stream.close()
    assert len(taken) == 16  # three batches begun, the fourth read ahead


def test_photos_are_read_while_the_network_looks() -> None:
    second_is_read = threading.Event()

    def reading(number: int) -> Pixels:
        if number == 4:
            second_is_read.set()
        return read(number)

    def slow(pixels_B3HW: Pixels) -> list[int]:
        assert second_is_read.wait(60), "the next batch is not read before this one is answered"
        return look(pixels_B3HW)

    assert [answer for _, answer in ahead([0, 1, 2, 4, 5, 6], reading, slow, 3)] == [0, 1, 2, 4, 5, 6]


def test_what_goes_wrong_in_the_network_reaches_the_caller() -> None:
    def broken(pixels_B3HW: Pixels) -> list[int]:
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        list(ahead(range(9), read, broken, 3))
    with pytest.raises(OSError, match="gone"):
        list(ahead(range(9), _gone, look, 3))


def _gone(number: int) -> Pixels:
    raise OSError("gone")
