"""Each score against a loop that does what the words say."""

import dataclasses
import math

import numpy as np
import pytest

from openplanet.earth import places, s2
from openplanet.earth.geo import from_xyz
from openplanet.earth.partition import adaptive as partitions
from openplanet.evaluation.measures.cell_scores import COUNTRY, MASSES, CellScorer, CellScores


@pytest.fixture(scope="module")
def cells() -> partitions.Partition:
    rng = np.random.default_rng(0)
    middle = rng.normal(size=(40, 3))
    lat, lng = from_xyz(np.repeat(middle, 60, axis=0) + rng.normal(0, 0.05, (2400, 3)))
    return partitions.build([(lat, lng)], max_photos=40, min_photos=5)


@pytest.fixture(scope="module")
def asked(cells: partitions.Partition) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log-probabilities of 60 photos, with where they were taken: some in no cell, one without an answer."""
    rng = np.random.default_rng(1)
    chosen = rng.integers(len(cells), size=60)
    lat, lng = cells.centroid_lat[chosen].copy(), cells.centroid_lng[chosen].copy()
    lat[:3], lng[:3] = -89.0, 10.0
    scores = rng.normal(0, 3, (60, len(cells)))
    scores[np.arange(60), chosen] += rng.normal(3, 3, 60)
    scores[10] = 0.0  # all cells alike: ties
    log_probs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    log_probs[-1] = -np.inf
    return log_probs.astype(np.float32), lat, lng


@pytest.fixture(scope="module")
def scores(cells: partitions.Partition, asked: tuple) -> CellScores:
    scorer = CellScorer(cells)
    log_probs, lat, lng = asked
    for start in (0, 7, 40):  # batches of any size
        rows = slice(start, {0: 7, 7: 40, 40: 60}[start])
        scorer.add(log_probs[rows], lat[rows], lng[rows])
    return scorer.finish()


def group_names(cells: partitions.Partition, level: str) -> list:
    if level == "cell":
        return list(range(len(cells)))
    if level == COUNTRY:
        return list(cells.country)
    number = int(level.split()[-1])
    return [int(s2.parent(c, min(number, int(own))).item()) for c, own in zip(cells.cell_id, cells.level, strict=True)]


def test_levels_go_from_fine_to_coarse(scores: CellScores, cells: partitions.Partition) -> None:
    assert scores.levels[0] == "cell" and scores.levels[-1] == COUNTRY and "S2 level 2" in scores.levels
    assert scores.groups[0] == len(cells)
    assert list(scores.groups[:-1]) == sorted(scores.groups[:-1], reverse=True)


def test_every_level_is_the_obvious_sum(scores: CellScores, cells: partitions.Partition, asked: tuple) -> None:
    log_probs, lat, lng = asked
    countries = [place.country for place in places.nearest(lat, lng)]
    for row, level in enumerate(scores.levels):
        names = group_names(cells, level)
        for n in range(60):
            cell = int(cells.assign(lat[n], lng[n])[0])
            true = countries[n] if level == COUNTRY else names[cell] if cell >= 0 else None
            share: dict = dict.fromkeys(names, 0.0)
            for c, name in enumerate(names):
                share[name] += math.exp(float(log_probs[n, c]))
            known = true in share
            assert scores.known_LN[row, n] == known
            p = share.get(true, 0.0)
            expected = math.log(p) if p > 0 else -math.inf
            assert scores.log_prob_LN[row, n] == pytest.approx(expected, abs=1e-4)
            brier = sum((v - (name == true)) ** 2 for name, v in share.items()) + (not known)
            assert scores.brier_LN[row, n] == pytest.approx(brier, abs=1e-5)
            assert scores.confidence_LN[row, n] == pytest.approx(max(share.values()), abs=1e-5)
            right = known and max(share, key=share.get) == true and p > 0
            if n != 10:
                assert scores.right_LN[row, n] == right


def test_regions_are_the_smallest_sets(scores: CellScores, cells: partitions.Partition, asked: tuple) -> None:
    log_probs, lat, lng = asked
    for n in range(59):
        p = np.exp(log_probs[n].astype(float))
        order = sorted(range(len(p)), key=lambda c: (-log_probs[n, c], c))
        cell = int(cells.assign(lat[n], lng[n])[0])
        for x, mass in enumerate(MASSES):
            held, region = 0.0, []
            for c in order:
                region.append(c)
                held += p[c]
                if held >= mass:
                    break
            assert scores.region_cells_XN[x, n] == pytest.approx(len(region), abs=1 if n == 10 else 0)
            if n != 10:
                assert scores.region_km2_XN[x, n] == pytest.approx(cells.area_km2[region].sum(), rel=1e-4)
            assert (scores.before_N[n] < mass) == (cell in region)


def test_area_searched_until_found(scores: CellScores, cells: partitions.Partition, asked: tuple) -> None:
    log_probs, lat, lng = asked
    for n in set(range(59)) - {10}:  # where all are alike, cells of one size are searched in any order
        density = np.exp(log_probs[n].astype(float)) / cells.area_km2
        cell = int(cells.assign(lat[n], lng[n])[0])
        searched = math.inf
        if cell >= 0:
            searched = 0.0
            for c in np.argsort(-density, kind="stable").tolist():
                searched += cells.area_km2[c]
                if c == cell:
                    break
        assert scores.searched_km2_N[n] == pytest.approx(searched, rel=1e-4)


def test_no_answer_is_wrong_everywhere(scores: CellScores) -> None:
    assert not scores.answered_N[-1] and scores.answered_N[:-1].all()
    assert not scores.right_LN[:, -1].any()
    assert (scores.confidence_LN[:, -1] == 0).all() and (scores.brier_LN[:, -1] == 1).all()
    assert np.isneginf(scores.log_prob_LN[:, -1]).all()
    assert scores.before_N[-1] == 1 and np.isinf(scores.searched_km2_N[-1])


def test_photo_in_no_cell_is_never_found(scores: CellScores) -> None:
    assert (scores.cell_N[:3] == -1).all()
    assert (scores.before_N[:3] == 1).all() and np.isinf(scores.searched_km2_N[:3]).all()
    assert not scores.known_LN[0, :3].any()


def test_batches_do_not_matter(cells: partitions.Partition, asked: tuple, scores: CellScores) -> None:
    scorer = CellScorer(cells)
    scorer.add(*asked)
    whole = scorer.finish()
    for name in ("brier_LN", "before_N", "region_km2_XN", "searched_km2_N", "right_LN"):
        np.testing.assert_allclose(getattr(whole, name), getattr(scores, name), rtol=1e-5)


def test_nothing_added_is_no_photos(cells: partitions.Partition) -> None:
    assert len(CellScorer(cells).finish()) == 0


def test_a_models_own_levels_are_scored(cells: partitions.Partition) -> None:
    rng = np.random.default_rng(3)
    lat, lng = from_xyz(np.repeat(rng.normal(size=(30, 3)), 60, axis=0) + rng.normal(0, 0.05, (1800, 3)))
    wanted = [partitions.Thresholds(400, 5), partitions.Thresholds(120, 5), partitions.Thresholds(40, 20)]
    coarse, middle, fine = partitions.build_many([(lat, lng)], wanted, nested=True)
    log_probs = rng.normal(0, 2, (100, len(fine)))
    log_probs -= np.log(np.exp(log_probs).sum(axis=1, keepdims=True))
    where = rng.permutation(1800)[:100]
    scorer = CellScorer(fine, (coarse, middle))
    scorer.add(log_probs.astype(np.float32), lat[where], lng[where])
    got = scorer.finish()
    assert [got.levels[0], got.levels[-1]] == ["cell", COUNTRY]
    assert list(got.groups[:-1]) == sorted(got.groups[:-1], reverse=True)
    lost = 0
    for own in (coarse, middle):
        row = got.levels.index(f"level of {len(own)} cells")
        held = own.assign(fine.lat, fine.lng)
        for n in range(100):
            true = own.assign(lat[where[n]], lng[where[n]])[0]
            share: dict = {}
            for c in range(len(fine)):
                share[held[c]] = share.get(held[c], 0.0) + math.exp(log_probs[n, c])
            p = share.get(true, 0.0)
            lost += true >= 0 and fine.assign(lat[where[n]], lng[where[n]])[0] < 0
            assert got.known_LN[row, n] == (true in share)
            assert math.exp(got.log_prob_LN[row, n]) == pytest.approx(p, abs=1e-5)
            expected = sum((v - (name == true)) ** 2 for name, v in share.items()) + (true not in share)
            assert got.brier_LN[row, n] == pytest.approx(expected, abs=1e-4)
            assert got.right_LN[row, n] == (max(share, key=share.get) == true)
    assert lost > 0  # some photos are in no finest cell, and yet in one of a coarser level


def test_a_cell_across_the_border_lends_the_country_nothing(cells: partitions.Partition) -> None:
    """A photo in country A, in a cell that is called after B: what the cell has is B's, not A's."""
    lat, lng = cells.centroid_lat, cells.centroid_lng
    names = np.array([place.country for place in places.nearest(lat, lng)])
    border = int(np.flatnonzero(np.array(cells.country) == names)[0])
    other = next(name for name in cells.country if name != names[border])
    moved = tuple(other if cell == border else name for cell, name in enumerate(cells.country))
    scorer = CellScorer(dataclasses.replace(cells, country=moved))
    log_probs = np.full((1, len(cells)), -np.inf, np.float32)
    own = [cell for cell, name in enumerate(moved) if name == names[border]]
    log_probs[0, border], log_probs[0, own] = math.log(0.9), math.log(0.1 / len(own))
    scorer.add(log_probs, lat[[border]], lng[[border]])
    row = scorer.finish()
    country = row.levels.index(COUNTRY)
    assert row.log_prob_LN[country, 0] == pytest.approx(math.log(0.1), abs=1e-4)
    assert row.log_prob_LN[0, 0] == pytest.approx(math.log(0.9), abs=1e-4)
