import numpy as np
import pytest

from openplanet.evaluation.measures import bootstrap, paired
from openplanet.evaluation.measures.bootstrap import Groups


def alone(count: int) -> Groups:
    return Groups(np.arange(count), count, "photos")


def test_a_real_difference_is_found_and_none_is_not() -> None:
    rng = np.random.default_rng(4)
    hard = rng.random(800)  # photos are hard or easy for both: pairing removes that
    a = (rng.random(800) < hard * 0.8 + 0.1).astype(float)
    better = np.where(rng.random(800) < 0.12, 1.0, a)
    same = a[:]
    (found,) = paired.compare(["within 25 km"], better[:, None], a[:, None], alone(800))
    assert found.difference == pytest.approx(better.mean() - a.mean()) and found.low > 0 and found.p < 0.01
    (none,) = paired.compare(["within 25 km"], same[:, None], a[:, None], alone(800))
    assert none.p == 1.0 and none.low == none.high == 0


def test_p_is_uniform_where_there_is_no_difference() -> None:
    rng = np.random.default_rng(5)
    p = []
    for seed in range(200):
        a, b = rng.normal(size=(2, 40, 1))
        p.append(paired.compare(["x"], a, b, alone(40), replicates=200, seed=seed)[0].p)
    assert np.mean(np.array(p) < 0.05) < 0.1 and 0.4 < np.mean(p) < 0.6


def test_exchange_is_by_album() -> None:
    """Nine albums that differ the same way: 2 in 512 exchanges are as large, whatever their photos."""
    a = np.ones((900, 1))
    groups = Groups(np.repeat(np.arange(9), 100), 9, "albums")
    (found,) = paired.compare(["x"], a, np.zeros((900, 1)), groups, replicates=4000)
    assert found.p == pytest.approx(2 / 512, rel=0.5)
    (exact,) = paired.compare(["x"], a, np.zeros((900, 1)), groups, exchanges=512)
    assert exact.p == 2 / 512 == paired.smallest_p(groups, 512)


def test_drawn_exchanges_agree_with_all_of_them() -> None:
    rng = np.random.default_rng(6)
    a, b = rng.normal(0.5, 1, (2, 12, 3))
    b -= 0.5
    exact = paired.compare("xyz", a, b, alone(12), exchanges=4096)
    drawn = paired.compare("xyz", a, b, alone(12), exchanges=4095)
    for one, other in zip(exact, drawn, strict=True):
        assert one.p == pytest.approx(other.p, abs=0.03) and one.p * 4096 == int(one.p * 4096)


def test_many_clear_differences_stay_clear_when_corrected() -> None:
    a = np.ones((100, 7))
    count = paired.exchanges_for(70)
    p = [each.p for each in paired.compare("abcdefg", a, 0 * a, alone(100), exchanges=count)] * 10
    assert max(paired.holm(p)) < 0.05


def test_holm_is_the_published_rule() -> None:
    # four tests, multiplied by 4, 3, 2, 1 in order of size, never decreasing
    assert paired.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert paired.holm([0.9, 0.8]) == [1.0, 1.0] and paired.holm([]) == []


def slow_median(km: np.ndarray) -> float:
    return float(np.median(km))


def slow_ece(rows: np.ndarray) -> float:
    """Fifteen bins, photo by photo."""
    error = 0.0
    for k in range(15):
        inside = [(c, r) for c, r in rows.tolist() if k / 15 <= c < (k + 1) / 15 or (k == 14 and c == 1)]
        error += abs(sum(r for _, r in inside) - sum(c for c, _ in inside)) / len(rows)
    return error


def slow_nll(rows: np.ndarray) -> float:
    return float(rows.mean())


def answers(kind: str, rng: np.random.Generator, count: int) -> np.ndarray:
    if kind == "calibration":
        confidence = rng.random(count)
        return np.column_stack([confidence, rng.random(count) < confidence])
    return rng.lognormal(5, 2, (count, 1))


KINDS = {
    "median": (bootstrap.median, slow_median),
    "calibration": (bootstrap.calibration, slow_ece),
    "means": (bootstrap.means, slow_nll),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("photos", [40, 41])
def test_figures_intervals_and_p_are_the_slow_ones(kind: str, photos: int) -> None:
    """Photos drawn one by one into lists, and all 2^8 ways to exchange tried one by one."""
    statistic, slow = KINDS[kind]
    rng = np.random.default_rng(7)
    a, b = answers(kind, rng, photos), answers(kind, rng, photos)
    group = np.append(np.arange(8), rng.integers(8, size=photos - 8))
    groups = Groups(group, 8, "albums")
    (found,) = paired.compare(["x"], a, b, groups, replicates=200, exchanges=256, statistic=statistic)
    assert (found.a, found.b) == pytest.approx((slow(a), slow(b))) and found.differ == 8

    draws = np.random.default_rng(0).integers(8, size=(200, 8))
    photos_of = [np.concatenate([np.flatnonzero(group == g) for g in drawn]) for drawn in draws]
    differences = sorted(slow(a[rows]) - slow(b[rows]) for rows in photos_of)
    assert (found.low, found.high) == pytest.approx((differences[5], differences[194]))
    low, high = bootstrap.interval(statistic(a, groups), groups, replicates=200)
    alone_a = sorted(slow(a[rows]) for rows in photos_of)
    assert (low[0], high[0]) == pytest.approx((alone_a[5], alone_a[194]))

    as_large = 0
    for way in range(256):
        swapped = np.array([way >> g & 1 for g in group], bool)[:, None]
        apart = slow(np.where(swapped, b, a)) - slow(np.where(swapped, a, b))
        as_large += abs(apart) >= abs(slow(a) - slow(b)) - 1e-9
    assert found.p == as_large / 256


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_difference_is_found_and_chance_is_not(kind: str) -> None:
    statistic, _ = KINDS[kind]
    rng = np.random.default_rng(8)
    groups = Groups(np.repeat(np.arange(60), 10), 60, "albums")
    a = answers(kind, rng, 600)
    worse = a * 1.5
    if kind == "calibration":
        worse = np.column_stack([np.sqrt(a[:, 0]), a[:, 1]])  # surer than it is right
    (found,) = paired.compare(["x"], a, worse, groups, statistic=statistic)
    assert found.p < 0.01 and found.high < 0 and found.difference < 0
    p = []
    for seed in range(100):
        one, other = answers(kind, rng, 120), answers(kind, rng, 120)
        albums = Groups(np.repeat(np.arange(30), 4), 30, "albums")
        p.append(paired.compare(["x"], one, other, albums, 20, seed, 200, statistic)[0].p)
    assert np.mean(np.array(p) < 0.05) < 0.12 and 0.4 < np.mean(p) < 0.6


def test_a_measure_in_which_nobody_differs_is_not_tested() -> None:
    a, b = np.zeros((30, 2)), np.zeros((30, 2))
    a[:12, 1] = 1
    nothing, something = paired.compare("xy", a, b, alone(30))
    assert (nothing.differ, nothing.p) == (0, 1.0)
    assert something.differ == 12 and something.p < 0.01


def test_groups_of_some_photos_are_numbered_anew() -> None:
    part = Groups(np.array([0, 0, 1, 2, 2]), 3, "albums").part(np.array([0, 3, 4]))
    assert part.group_N.tolist() == [0, 1, 1] and part.count == 2 and part.what == "albums"
