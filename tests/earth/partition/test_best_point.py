"""The point for a purpose, against a slow search over all cells."""

import numpy as np
import pytest

from openplanet.earth.geo import distance_km
from openplanet.earth.partition import adaptive, best_point
from openplanet.earth.partition.best_point import PointFinder


@pytest.fixture(scope="module")
def cells() -> adaptive.Partition:
    rng = np.random.default_rng(3)
    lat, lng = rng.uniform(-60, 60, 3000), rng.uniform(-180, 180, 3000)
    return adaptive.build([(lat, lng)], max_photos=60, min_photos=5)


@pytest.mark.parametrize("km", [1.0, 750.0, 2500.0, 20100.0])
def test_most_probability_within_the_distance(cells: adaptive.Partition, km: float) -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        probability = rng.dirichlet(np.full(len(cells), 0.3))
        lat, lng, mass = PointFinder(cells).best_within(probability, km)
        all_masses = [
            probability[distance_km(a, b, cells.centroid_lat, cells.centroid_lng) <= km].sum()
            for a, b in zip(cells.centroid_lat, cells.centroid_lng, strict=True)
        ]
        assert mass[0] == pytest.approx(max(all_masses))
        reached = distance_km(lat[0], lng[0], cells.centroid_lat, cells.centroid_lng) <= km
        assert probability[reached].sum() == pytest.approx(mass[0])


@pytest.fixture(scope="module")
def many_cells() -> adaptive.Partition:
    """Cities, with cells far smaller than what lies between them."""
    rng = np.random.default_rng(4)
    middle = rng.choice(60, 9000, p=np.arange(60, 0, -1) / np.arange(61).sum())
    lat, lng = rng.uniform(-55, 65, 60)[middle], rng.uniform(-180, 180, 60)[middle]
    return adaptive.build([(lat + rng.normal(0, 0.4, 9000), lng + rng.normal(0, 0.4, 9000))], 12, 3)


@pytest.mark.parametrize("km", [5.0, 60.0, 900.0, 6000.0])
def test_grouped_and_listed_find_the_same(
    many_cells: adaptive.Partition, km: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = PointFinder(many_cells)
    rng = np.random.default_rng(6)
    for flat in (0.02, 0.3, 3.0):
        probability = rng.dirichlet(np.full(len(many_cells), flat))
        expected = listed.best_within(probability, km)
        with monkeypatch.context() as patch:
            patch.setattr(best_point, "MOST_PAIRS", 0)
            patch.setattr(best_point, "MOST_GROUPS", 40)
            found = PointFinder(many_cells).best_within(probability, km, 5)
        assert found[2][0] == pytest.approx(expected[2][0], abs=1e-12)
        for a, b, mass in zip(*found, strict=True):
            reached = distance_km(a, b, many_cells.centroid_lat, many_cells.centroid_lng) <= km
            assert mass == pytest.approx(probability[reached].sum(), abs=1e-9)
            assert mass >= listed.best_within(probability, km)[2][0] - best_point.SHORT
            probability = np.where(reached, 0.0, probability)


def test_a_city_of_many_cells_that_are_unlikely_one_by_one(many_cells: adaptive.Partition) -> None:
    """What the audit constructed: 70 % spread over cells that lie alone, 30 % over those of one city."""
    spot = np.argmax(many_cells.count)
    far = distance_km(many_cells.centroid_lat[spot], many_cells.centroid_lng[spot],
                      many_cells.centroid_lat, many_cells.centroid_lng)  # fmt: skip
    city, alone = far <= 12, far > 60
    probability = 0.3 * city / city.sum() + 0.7 * alone / alone.sum()
    probability[np.flatnonzero(alone)[:130]] *= 1.01  # the likeliest cells are elsewhere
    lat, lng, mass = PointFinder(many_cells).best_within(probability, 25.0)
    assert mass[0] >= 0.3 - 1e-9
    assert distance_km(lat[0], lng[0], many_cells.centroid_lat[spot], many_cells.centroid_lng[spot]) < 40


def test_near_nothing_else_it_is_the_likeliest_cells(cells: adaptive.Partition) -> None:
    probability = np.random.default_rng(7).dirichlet(np.ones(len(cells)))
    lat, _, mass = PointFinder(cells).best_within(probability, 0.001, k=5)
    likeliest = np.argsort(-probability)[:5]
    assert lat.tolist() == cells.centroid_lat[likeliest].tolist()
    np.testing.assert_allclose(mass, probability[likeliest])


def test_further_points_take_what_is_left(cells: adaptive.Partition) -> None:
    probability = np.random.default_rng(9).dirichlet(np.ones(len(cells)))
    _, _, mass = PointFinder(cells).best_within(probability, 3000.0, k=5)
    assert (np.diff(mass) <= 0).all()
    assert mass.sum() <= 1 + 1e-9


@pytest.mark.parametrize("flat", [0.02, 0.3, 3.0])
def test_leaving_out_cells_that_cannot_be_the_best_changes_no_bit(
    many_cells: adaptive.Partition, flat: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(best_point, "SEEDS", len(many_cells))
    rng = np.random.default_rng(8)
    asked = [rng.dirichlet(np.full(len(many_cells), flat)) for _ in range(20)]
    expected = [PointFinder.of(many_cells).best_within(each, 60.0, 3) for each in asked]
    monkeypatch.setattr(best_point, "SEEDS", 24)
    monkeypatch.setattr(best_point, "MANY_NEAR", 0)
    for each, want in zip(asked, expected, strict=True):
        for got, column in zip(PointFinder.of(many_cells).best_within(each, 60.0, 3), want, strict=True):
            np.testing.assert_array_equal(got, column)


def test_distances_from_a_point_are_the_great_circles(many_cells: adaptive.Partition) -> None:
    finder = PointFinder.of(many_cells)
    for lat, lng in ((many_cells.centroid_lat[3], many_cells.centroid_lng[3]), (-89.9, 12.0), (0.0, 179.9)):
        exact = distance_km(lat, lng, many_cells.centroid_lat, many_cells.centroid_lng)
        np.testing.assert_allclose(finder.km_from(lat, lng), exact, atol=1e-6)
