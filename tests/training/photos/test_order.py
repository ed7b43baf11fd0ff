"""The order of photos: every one once, the same again, in as many processes as there are."""

import hashlib

import numpy as np
import pytest

from openplanet.training.photos.order import LANES, BatchOrder

GROUPS = np.random.default_rng(0).integers(1, 30, 40).tolist()
TOTAL = sum(GROUPS)
EARLIER = ["3507768cd533", "5e2063a1ef46"]


@pytest.mark.parametrize(("photos", "size"), [(40, 16), (33, 16), (5, 16), (64, 16)])
def test_every_photo_once_and_no_tiny_batch(photos: int, size: int) -> None:
    batches = list(BatchOrder(photos, size, seed=1))
    assert sorted(row for batch in batches for row in batch) == list(range(photos))
    lengths = [len(batch) for batch in batches]
    assert max(lengths) <= size and max(lengths) - min(lengths) <= 1
    assert len(batches) == len(BatchOrder(photos, size, seed=1))


def test_order_depends_on_seed_and_epoch_only() -> None:
    one, two = BatchOrder(50, 8, seed=3), BatchOrder(50, 8, seed=3)
    first = list(one)
    one.set_epoch(1)
    assert first == list(two) and list(one) != first
    one.set_epoch(0)
    assert list(one) == first
    assert list(BatchOrder(50, 8, seed=4)) != first
    assert [row for batch in BatchOrder(50, 8, seed=3, shuffle=False) for row in batch] == list(range(50))


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("groups", [None, GROUPS])
def test_processes_share_the_photos_without_loss_or_repetition(world: int, groups: list[int] | None) -> None:
    orders = [BatchOrder(TOTAL, 16, 0, groups=groups, buffer=100, rank=r, world=world) for r in range(world)]
    batches = [list(order) for order in orders]
    assert sorted(row for each in batches for batch in each for row in batch) == list(range(TOTAL))
    assert len({len(each) for each in batches}) == 1  # as many steps for each, or they would wait for ever
    lengths = [len(batch) for each in batches for batch in each]
    assert max(lengths) <= 16 and max(lengths) - min(lengths) <= 1


def test_two_processes_see_together_what_one_with_double_batches_sees() -> None:
    whole = list(BatchOrder(50, 16, 0))
    halves = zip(*(list(BatchOrder(50, 8, 0, rank=rank, world=2)) for rank in (0, 1)), strict=True)
    assert [sorted(a + b) for a, b in halves] == [sorted(batch) for batch in whole]


@pytest.mark.parametrize("shuffled_by", ["photos", "groups"])
@pytest.mark.parametrize(("size", "seed"), [(3, 0), (7, 5), (16, 1)])
def test_whatever_divides_the_shares_trains_on_the_same_batches_in_every_step(
    shuffled_by: str, size: int, seed: int
) -> None:
    groups = GROUPS if shuffled_by == "groups" else None

    def steps(world: int, skipped: int = 0) -> list[list[list[int]]]:
        """For each step its batches by number."""
        found = []
        for rank in range(world):
            order = BatchOrder(TOTAL, size, seed, True, groups, 40, rank, world, shares=8)
            order.set_epoch(2)
            order.skip(2, skipped * 8 // world)
            found.append(list(order))
        assert {len(batches) + skipped * 8 // world for batches in found} == {len(order)}
        return [
            [found[share % world][step * 8 // world + share // world] for share in range(8)]
            for step in range(len(order) // (8 // world) - skipped)
        ]

    whole = steps(8)
    assert sorted(row for step in whole for batch in step for row in batch) == list(range(TOTAL))
    for world in (1, 2, 4):
        assert steps(world) == whole, "the same batches, in the same steps"
        assert steps(world, skipped=3) == whole[3:], "and from the same step on"
    lengths = [len(batch) for step in whole for batch in step]
    assert max(lengths) <= size and max(lengths) - min(lengths) <= 1


def test_the_order_of_a_process_is_that_of_earlier_versions() -> None:
    """Figures in the docs depend on it."""
    by = [BatchOrder(50, 8, seed=3), BatchOrder(TOTAL, 16, 1, True, GROUPS, 40, rank=1, world=2)]
    assert [hashlib.sha256(str(list(order)).encode()).hexdigest()[:12] for order in by] == EARLIER


def test_groups_are_shuffled_and_read_nearly_once() -> None:
    sizes = np.random.default_rng(0).integers(1, 30, 400)
    orders = [BatchOrder(int(sizes.sum()), 16, seed, groups=sizes.tolist(), buffer=1600) for seed in (0, 0, 1)]
    rows = np.concatenate(list(orders[0]))
    assert list(orders[0]) == list(orders[1]) != list(orders[2])
    group_of = np.repeat(np.arange(len(sizes)), sizes)
    kept: list[int] = []
    reads = 0
    for row in rows:  # with a memory of about the buffer's size, as the reader has
        group = int(group_of[row])
        reads += group not in kept
        kept = [g for g in kept if g != group] + [group]
        while sum(sizes[g] for g in kept) > 1600 + 2 * LANES * 30:
            kept.pop(0)
    assert reads < 1.3 * len(sizes)
    assert np.abs(np.diff(group_of[rows])).astype(bool).mean() > 0.9  # neighbours are mostly of different groups


@pytest.mark.parametrize("groups", [None, GROUPS])
def test_skipping_gives_the_rest_of_that_epoch_only(groups: list[int] | None) -> None:
    order = BatchOrder(TOTAL, 16, 0, groups=groups, buffer=100)
    order.set_epoch(3)
    whole = list(order)
    order.skip(3, 5)
    assert list(order) == whole[5:] and len(order) == len(whole)
    order.set_epoch(4)
    assert len(list(order)) == len(whole)
