import math

import numpy as np
import pytest

from openplanet.earth import geo
from openplanet.evaluation.contestants import neighbours
from openplanet.evaluation.contestants.neighbours import Kernel, Kernels


def test_nearest_is_the_obvious_search() -> None:
    rng = np.random.default_rng(0)
    train, asked = rng.normal(size=(300, 6)).astype(np.float32), rng.normal(size=(270, 6)).astype(np.float32)
    asked[5, 2] = np.nan
    index, far = neighbours.nearest(train, asked, seen=7)
    assert (index[5] == -1).all() and np.isnan(far[5]).all()
    for n in set(range(0, 270, 9)) - {5}:
        slow = sorted(range(300), key=lambda m: float(np.square(train[m] - asked[n]).sum()))[:7]
        assert index[n].tolist() == slow
        np.testing.assert_allclose(far[n], [np.linalg.norm(train[m] - asked[n]) for m in slow], rtol=1e-3)


def test_densest_is_the_sum_of_kernels() -> None:
    rng = np.random.default_rng(1)
    lat, lng = 50 + rng.normal(0, 0.5, 40), rng.normal(0, 0.5, 40)
    far = np.sort(rng.uniform(1, 3, (1, 40))).astype(np.float32)
    index = rng.permutation(40)[None]
    kernel = Kernel(30, 15.0)
    got_lat, got_lng = neighbours.densest(index, far, lat, lng, kernel, 3)
    near = index[0, :30].tolist()
    density = {}
    for a in near:
        density[a] = sum(
            (far[0, 0] / far[0, r]) ** 4
            * math.exp(-0.5 * (float(geo.distance_km(lat[a], lng[a], lat[b], lng[b])) / 15) ** 2)
            for r, b in enumerate(near)
        )
    best = max(density, key=density.get)
    assert (got_lat[0, 0], got_lng[0, 0]) == (lat[best], lng[best])
    apart = geo.distance_km(got_lat[0, :1], got_lng[0, :1], got_lat[0, 1:], got_lng[0, 1:])
    assert np.nanmin(apart) > 30


def test_many_that_agree_outvote_the_nearest() -> None:
    """The nearest neighbour lies alone; five others, a little less alike, are from one town."""
    lat = np.array([60.0, 10.0, 10.01, 10.02, 10.0, 10.01])
    index, far = np.arange(6)[None], np.array([[1.0, 1.1, 1.1, 1.1, 1.1, 1.1]], np.float32)
    got, _ = neighbours.densest(index, far, lat, np.zeros(6), Kernel(6, 20.0), 2)
    assert got[0, 0] == pytest.approx(10, abs=0.03) and got[0, 1] == 60.0


def test_kernel_is_chosen_by_score_and_no_neighbour_is_no_guess() -> None:
    lat, lng = np.array([60.0, 10.0, 10.01, 10.02, 10.0, 10.01]), np.zeros(6)
    index, far = np.tile(np.arange(6), (4, 1)), np.tile(np.array([1, 1.1, 1.1, 1.1, 1.1, 1.1], np.float32), (4, 1))
    chosen = neighbours.fit_kernels(index, far, lat, lng, np.full(4, 10.0), np.zeros(4), (200.0,)).first
    assert chosen.sigma_km >= 1
    got, _ = neighbours.densest(index, far, lat, lng, chosen, 1)
    assert abs(got[0, 0] - 10) < 0.1
    none = neighbours.fit_kernels(index[:0], far[:0], lat, lng, np.zeros(0), np.zeros(0), (1.0, 25.0))
    assert none == Kernels(Kernel(), (Kernel(), Kernel()))
    none_lat, _ = neighbours.densest(np.full((1, 6), -1), far[:1], lat, lng, Kernel(), 2)
    assert np.isnan(none_lat).all()


def test_each_distance_has_the_kernel_that_places_most_within_it() -> None:
    rng = np.random.default_rng(0)
    lat, lng = rng.uniform(-1, 1, 60), rng.uniform(-1, 1, 60)
    index = np.stack([rng.permutation(60)[:40] for _ in range(30)])
    far = np.sort(rng.uniform(0.5, 1, index.shape).astype(np.float32), axis=1)
    truth_lat, truth_lng, distances = rng.uniform(-1, 1, 30), rng.uniform(-1, 1, 30), (1.0, 25.0, 60.0, 100.0)
    found = neighbours.fit_kernels(index, far, lat, lng, truth_lat, truth_lng, distances)

    def share(kernel: Kernel, km: float) -> float:
        lat_NK, lng_NK = neighbours.densest(index, far, lat, lng, kernel, 1)
        return float((geo.distance_km(lat_NK[:, 0], lng_NK[:, 0], truth_lat, truth_lng) <= km).mean())

    tried = [Kernel(count, sigma) for count in neighbours.NEIGHBOURS for sigma in neighbours.SIGMAS_KM]
    for kernel, km in zip(found.each, distances, strict=True):
        assert share(kernel, km) == max(share(other, km) for other in tried)
    mean = [np.mean([share(kernel, km) for km in distances]) for kernel in tried]
    assert found.first == tried[int(np.argmax(mean))] and len(set(found.each)) > 1
