"""The order in which photos come: known for every batch of every epoch before it is read.

That is what makes a run repeatable, lets it go on in the middle of an epoch, and gives every process its photos
without a word between them.

A step of the optimizer is made of a fixed number of batches, its shares: as many as processes times batches that each
accumulates, when training starts. Share number i is the same photos whoever trains on it, so that a run may go on with
any number of processes that divides the shares: each then takes more, or fewer, of them in a step.

Shapes: N photos, B photos in a batch, G groups of photos that are stored, and read, together.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch.utils.data import DataLoader, Sampler

Rows = npt.NDArray[np.int64]

LANES = 4
"""A share reads so many parts of its photos at once, each batch from one: with up to as many workers (if they
divide it) no photo is read by two of them, and yet the order does not depend on their number."""


class BatchOrder(Sampler[list[int]]):
    """Row numbers in batches, in an order that depends on seed, epoch and ``shares`` only; those of one process of
    ``world``.

    ``shares``: batches of a step in all processes, a multiple of ``world`` [default: one a process]. Process r takes
    those numbered r, r + world, ... of each step; all steps are whole.
    Every photo comes once in an epoch, in one process. Batches differ by one photo at most: a last batch of one photo
    would break batch norm. ``groups`` None: all photos are shuffled together. Else (their sizes, [G]): groups in random
    order, cut into one run a share, and of that photos are shuffled among ``buffer`` at a time, so that so many are in
    memory at most, and few groups are read twice.
    """

    def __init__(
        self,
        photos: int,
        batch_size: int,
        seed: int,
        shuffle: bool = True,
        groups: Sequence[int] | None = None,
        buffer: int = 0,
        rank: int = 0,
        world: int = 1,
        shares: int | None = None,
    ) -> None:
        self.photos, self.seed, self.shuffle, self.epoch = photos, seed, shuffle, 0
        self.world, self.shares, self.buffer = world, shares or world, buffer
        self.mine = range(rank, self.shares, world)
        self.groups = np.asarray(groups, np.int64) if groups is not None and shuffle and photos > buffer else None
        self.steps = math.ceil(photos / (self.shares * batch_size))
        self._skip = (-1, 0)

    def __len__(self) -> int:
        return self.steps * len(self.mine)

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before every epoch."""
        self.epoch = epoch

    def skip(self, epoch: int, batches: int) -> None:
        """Leave out the first ``batches`` of that epoch: they have been trained on already."""
        self._skip = (epoch, batches)

    def __iter__(self) -> Iterator[list[int]]:
        start = self._skip[1] if self._skip[0] == self.epoch else 0
        batches = self._of_all() if self.groups is None else self._of_groups(self.groups)
        for index, rows in enumerate(batches):
            if index >= start:
                yield rows.tolist()

    def _of_all(self) -> Iterator[Rows]:
        order = np.arange(self.photos)
        if self.shuffle:
            np.random.default_rng([self.seed, self.epoch]).shuffle(order)
        for rows in np.array_split(order, max(1, self.steps)):
            for share in self.mine:
                yield rows[share :: self.shares]

    def _of_groups(self, sizes_G: Rows) -> Iterator[Rows]:
        order_G = np.random.default_rng([self.seed, self.epoch]).permutation(len(sizes_G))
        shares = [self._of_share(share, sizes_G, order_G) for share in self.mine]
        for batches in zip(*shares, strict=True):
            yield from batches

    def _of_share(self, share: int, sizes_G: Rows, order_G: Rows) -> Iterator[Rows]:
        """A batch of each step."""
        ends_G, base_G = np.cumsum(sizes_G[order_G]), np.cumsum(sizes_G) - sizes_G
        first, last = (self.photos * part // self.shares for part in (share, share + 1))
        count, steps = last - first, self.steps
        size_of = [count // steps + (index < count % steps) for index in range(steps)]
        lanes = min(LANES, steps)
        lane_sizes = [sum(size_of[lane::lanes]) for lane in range(lanes)]
        pools = [
            _Pool(size, max(1, self.buffer // lanes), [self.seed, self.epoch, share, lane])
            for lane, size in enumerate(lane_sizes)
        ]
        lane_first = first + np.cumsum([0, *lane_sizes])
        for index, size in enumerate(size_of):
            lane = index % lanes
            place_B = lane_first[lane] + pools[lane].take(size)
            at_B = np.searchsorted(ends_G, place_B, side="right")
            group_B = order_G[at_B]
            yield base_G[group_B] + place_B - (ends_G[at_B] - sizes_G[group_B])


class _Pool:
    """0, 1, ... count-1, shuffled within runs of ``size``."""

    def __init__(self, count: int, size: int, seed: list[int]) -> None:
        self.count, self.size, self.seed, self.taken = count, size, seed, 0
        self._run = (-1, np.empty(0, np.int64))

    def take(self, number: int) -> Rows:
        parts = []
        while number:
            run, offset = divmod(self.taken, self.size)
            if self._run[0] != run:
                length = min(self.size, self.count - run * self.size)
                self._run = (run, run * self.size + np.random.default_rng([*self.seed, run]).permutation(length))
            part = self._run[1][offset : offset + number]
            parts.append(part)
            self.taken, number = self.taken + len(part), number - len(part)
        return np.concatenate(parts) if parts else np.empty(0, np.int64)


class ResumableLoader(DataLoader[dict[str, Any]]):
    """A loader of a ``BatchOrder`` that knows how many batches of this epoch it has given.

    Lightning saves its state, and gives it back before the first batch.
    """

    given = 0

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        order = self._order
        self.given = order._skip[1] if order._skip[0] == order.epoch else 0
        for batch in super().__iter__():
            self.given += 1
            yield batch

    @property
    def _order(self) -> BatchOrder:
        assert isinstance(self.sampler, BatchOrder)
        return self.sampler

    def state_dict(self) -> dict[str, int]:
        """Epoch, and how many of its batches were given in all processes."""
        return {"epoch": self._order.epoch, "batches": self.given * self._order.world}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on behind those batches."""
        self._order.set_epoch(state["epoch"])
        self._order.skip(state["epoch"], state["batches"] // self._order.world)
