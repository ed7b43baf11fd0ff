import numpy as np
import pytest

from openplanet.evaluation import bootstrap
from openplanet.evaluation.bootstrap import Groups


def alone(count: int) -> Groups:
    return Groups(np.arange(count), count, "photos")


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
    low, high = bootstrap.mean_intervals(right[:, None], alone(2000))
    half = 1.96 * np.sqrt(0.3 * 0.7 / 2000)
    assert (high[0] - low[0]) / 2 == pytest.approx(half, rel=0.1)
    assert low[0] < right.mean() < high[0]


def test_photos_of_one_album_are_one_draw() -> None:
    """100 albums of 20 photos that are all right or all wrong tell as much as 100 photos."""
    album_right = (np.random.default_rng(1).random(100) < 0.3).astype(float)
    right = np.repeat(album_right, 20)
    low, high = bootstrap.mean_intervals(right[:, None], Groups(np.repeat(np.arange(100), 20), 100, "albums"))
    single_low, single_high = bootstrap.mean_intervals(album_right[:, None], alone(100))
    assert high[0] - low[0] == pytest.approx(single_high[0] - single_low[0], rel=1e-9)
    naive_low, naive_high = bootstrap.mean_intervals(right[:, None], alone(2000))
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
        low, high = bootstrap.mean_intervals(values[:, None], groups, replicates=200, seed=seed)
        covered += low[0] <= 0 <= high[0]
    assert 0.88 <= covered / 300 <= 0.98


def test_median_interval_is_the_slow_one() -> None:
    rng = np.random.default_rng(3)
    km = rng.lognormal(5, 2, 201)
    km[:20] = np.inf
    low, high = bootstrap.median_interval(km, alone(201), replicates=2000)
    slow = np.sort([np.sort(rng.choice(km, 201))[100] for _ in range(2000)])
    assert low == pytest.approx(slow[50], rel=0.15) and high == pytest.approx(slow[1949], rel=0.15)


def test_a_real_difference_is_found_and_none_is_not() -> None:
    rng = np.random.default_rng(4)
    hard = rng.random(800)  # photos are hard or easy for both: pairing removes that
    a = (rng.random(800) < hard * 0.8 + 0.1).astype(float)
    better = np.where(rng.random(800) < 0.12, 1.0, a)
    same = a[:]
    (found,) = bootstrap.compare(["within 25 km"], better[:, None], a[:, None], alone(800))
    assert found.difference == pytest.approx(better.mean() - a.mean()) and found.low > 0 and found.p < 0.01
    (none,) = bootstrap.compare(["within 25 km"], same[:, None], a[:, None], alone(800))
    assert none.p == 1.0 and none.low == none.high == 0


def test_p_is_uniform_where_there_is_no_difference() -> None:
    rng = np.random.default_rng(5)
    p = []
    for seed in range(200):
        a, b = rng.normal(size=(2, 40, 1))
        p.append(bootstrap.compare(["x"], a, b, alone(40), replicates=200, seed=seed)[0].p)
    assert np.mean(np.array(p) < 0.05) < 0.1 and 0.4 < np.mean(p) < 0.6


def test_exchange_is_by_album() -> None:
    """Nine albums that differ the same way: 2 in 512 exchanges are as large, whatever their photos."""
    a = np.ones((900, 1))
    groups = Groups(np.repeat(np.arange(9), 100), 9, "albums")
    (found,) = bootstrap.compare(["x"], a, np.zeros((900, 1)), groups, replicates=4000)
    assert found.p == pytest.approx(2 / 512, rel=0.5)
    (exact,) = bootstrap.compare(["x"], a, np.zeros((900, 1)), groups, exchanges=512)
    assert exact.p == 2 / 512 == bootstrap.smallest_p(groups, 512)


def test_drawn_exchanges_agree_with_all_of_them() -> None:
    rng = np.random.default_rng(6)
    a, b = rng.normal(0.5, 1, (2, 12, 3))
    b -= 0.5
    exact = bootstrap.compare("xyz", a, b, alone(12), exchanges=4096)
    drawn = bootstrap.compare("xyz", a, b, alone(12), exchanges=4095)
    for one, other in zip(exact, drawn, strict=True):
        assert one.p == pytest.approx(other.p, abs=0.03) and one.p * 4096 == int(one.p * 4096)


def test_many_clear_differences_stay_clear_when_corrected() -> None:
    a = np.ones((100, 7))
    count = bootstrap.exchanges_for(70)
    p = [each.p for each in bootstrap.compare("abcdefg", a, 0 * a, alone(100), exchanges=count)] * 10
    assert max(bootstrap.holm(p)) < 0.05


def test_holm_is_the_published_rule() -> None:
    # four tests, multiplied by 4, 3, 2, 1 in order of size, never decreasing
    assert bootstrap.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert bootstrap.holm([0.9, 0.8]) == [1.0, 1.0] and bootstrap.holm([]) == []
