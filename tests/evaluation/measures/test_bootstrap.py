import numpy as np
import pytest

from openplanet.evaluation.measures import bootstrap
from openplanet.evaluation.measures.bootstrap import Groups


def alone(count: int) -> Groups:
    return Groups(np.arange(count), count, "photos")


def mean_intervals(values_NM: np.ndarray, groups: Groups, **how: int) -> tuple[np.ndarray, np.ndarray]:
    return bootstrap.interval(bootstrap.means(values_NM, groups), groups, **how)


def test_groups_are_owners_with_the_albums_they_share() -> None:
    owners = ["ann", "ann", "bob", "cem", None, None]
    albums = ["a", "b", "b", "c", "c", None]
    groups = bootstrap.groups_of(owners, albums, list("123456"))
    assert groups.group_N[0] == groups.group_N[1] == groups.group_N[2]  # ann and bob share album b
    assert groups.group_N[3] == groups.group_N[4] != groups.group_N[0]
    assert groups.count == 3 and groups.what == "owners"


def test_one_owner_of_nearly_all_is_cut_into_albums() -> None:
    groups = bootstrap.groups_of(["ann"] * 9 + ["bob"], ["a"] * 3 + ["b"] * 6 + ["c"], list("0123456789"))
    assert groups.count == 3 and groups.what == "albums"


def test_nothing_known_is_each_photo_by_itself() -> None:
    groups = bootstrap.groups_of([None] * 4, [None] * 4, list("abcd"))
    assert groups.count == 4 and groups.what == "photos"


def test_interval_of_independent_photos_is_that_of_theory() -> None:
    rng = np.random.default_rng(0)
    right = (rng.random(2000) < 0.3).astype(float)
    low, high = mean_intervals(right[:, None], alone(2000))
    half = 1.96 * np.sqrt(0.3 * 0.7 / 2000)
    assert (high[0] - low[0]) / 2 == pytest.approx(half, rel=0.1)
    assert low[0] < right.mean() < high[0]


def test_photos_of_one_album_are_one_draw() -> None:
    """100 albums of 20 photos that are all right or all wrong tell as much as 100 photos."""
    album_right = (np.random.default_rng(1).random(100) < 0.3).astype(float)
    right = np.repeat(album_right, 20)
    low, high = mean_intervals(right[:, None], Groups(np.repeat(np.arange(100), 20), 100, "albums"))
    single_low, single_high = mean_intervals(album_right[:, None], alone(100))
    assert high[0] - low[0] == pytest.approx(single_high[0] - single_low[0], rel=1e-9)
    naive_low, naive_high = mean_intervals(right[:, None], alone(2000))
    assert (high[0] - low[0]) > 3.5 * (naive_high[0] - naive_low[0])


def test_intervals_cover_as_often_as_they_say() -> None:
    """300 samples of 60 albums of unequal size: the true mean is in about 95 % of the intervals."""
    rng = np.random.default_rng(2)
    covered = 0
    for seed in range(300):
        sizes = rng.integers(1, 10, 60)
        level = rng.normal(0, 1, 60)
        values = np.repeat(level, sizes) + rng.normal(0, 1, sizes.sum())
        groups = Groups(np.repeat(np.arange(60), sizes), 60, "albums")
        low, high = mean_intervals(values[:, None], groups, replicates=200, seed=seed)
        covered += low[0] <= 0 <= high[0]
    assert 0.88 <= covered / 300 <= 0.98


def test_median_interval_is_the_slow_one() -> None:
    rng = np.random.default_rng(3)
    km = rng.lognormal(5, 2, 201)
    km[:20] = np.inf
    groups = alone(201)
    (low,), (high,) = bootstrap.interval(bootstrap.median(km[:, None], groups), groups, replicates=2000)
    slow = np.sort([np.sort(rng.choice(km, 201))[100] for _ in range(2000)])
    assert low == pytest.approx(slow[50], rel=0.15) and high == pytest.approx(slow[1949], rel=0.15)


def test_unequal_groups_are_worth_fewer() -> None:
    def groups(*sizes: int) -> Groups:
        return Groups(np.repeat(np.arange(len(sizes)), sizes), len(sizes), "albums")

    assert groups(*[7] * 30).effective == pytest.approx(30) and not groups(*[7] * 30).few
    one_large = groups(970, *[1] * 30)  # 31 albums, nearly all photos in one
    assert one_large.effective == pytest.approx(1000**2 / (970**2 + 30)) and one_large.few
    assert one_large.text == "31 albums (worth 1.1 of one size)"
    assert Groups(np.arange(200), 200, "photos").text == "200 photos"
