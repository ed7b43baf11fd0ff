"""The point for a purpose, against a slow search over all cells."""

import numpy as np
import pytest

from openplanet.earth.geo import distance_km
from openplanet.earth.partition import adaptive
from openplanet.inference.best_point import PointFinder


@pytest.fixture(scope="module")
def cells() -> adaptive.Partition:
    rng = np.random.default_rng(3)
    lat, lng = rng.uniform(-60, 60, 3000), rng.uniform(-180, 180, 3000)
    return adaptive.build([(lat, lng)], max_photos=60, min_photos=5)


@pytest.mark.parametrize("km", [1.0, 750.0, 2500.0, 20100.0])
def test_most_probability_within_the_distance(cells: adaptive.Partition, km: float) -> None:
    assert len(cells) <= 128  # so that every cell is a candidate and the slow search is the whole truth
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
