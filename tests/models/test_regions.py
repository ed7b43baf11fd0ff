"""Regions hold what they say: on photos that the fit has not seen, whatever the model believes of itself."""

import dataclasses

import numpy as np
import pytest

from openplanet.earth import geo
from openplanet.earth.partition.adaptive import Partition, build
from openplanet.earth.partition.best_point import PointFinder
from openplanet.models.regions import SHARES, RegionFitter, Regions, radii_km

Answers = list[tuple[np.ndarray, float, float, int]]


@pytest.fixture(scope="module")
def cells() -> Partition:
    rng = np.random.default_rng(0)
    middle = rng.uniform(-40, 40, (12, 2))[rng.integers(12, size=3000)]
    return build([tuple((middle + rng.normal(0, 0.5, (3000, 2))).T)], max_photos=40, min_photos=5)


def answers(cells: Partition, count: int, seed: int, sharpness: float) -> Answers:
    """Photos where a model with noisy scores, too sure by ``sharpness``, answers; some lie in no cell."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        cell = int(rng.choice(len(cells), p=cells.count / cells.count.sum()))
        lat = cells.centroid_lat[cell] + rng.normal(0, 0.1)
        lng = cells.centroid_lng[cell] + rng.normal(0, 0.1)
        if rng.random() < 0.08:
            lat, lng = 70.0, 120.0  # where there is no cell
        far = geo.distance_km(lat, lng, cells.centroid_lat, cells.centroid_lng)
        scores = sharpness * (-far / 300 + rng.normal(0, 1.5, len(cells)))
        probability = np.exp(scores - scores.max())
        found.append((probability / probability.sum(), float(lat), float(lng), int(cells.assign(lat, lng)[0])))
    return found


@pytest.fixture(scope="module", params=[0.3, 1.0, 4.0], ids=["too modest", "about right", "far too sure"])
def fitted(request: pytest.FixtureRequest, cells: Partition) -> tuple[Regions, Answers]:
    fitter = RegionFitter(cells)
    for probability, lat, lng, cell in answers(cells, 500, 1, request.param):
        fitter.add(probability, lat, lng, cell)
    return fitter.fit(), answers(cells, 600, 2, request.param)


@pytest.mark.parametrize("share", SHARES)
def test_radii_hold_their_share_of_new_photos(cells: Partition, fitted: tuple[Regions, Answers], share: float) -> None:
    regions, fresh = fitted
    inside = 0
    for probability, lat, lng, _ in fresh:
        (at_lat,), (at_lng,), _ = PointFinder.of(cells).best_within(probability, 25.0)
        (radius,) = regions.radii_km(cells, probability, at_lat, at_lng, (share,))
        inside += geo.distance_km(at_lat, at_lng, lat, lng) <= radius
    assert inside / len(fresh) == pytest.approx(share, abs=0.06)  # of 500 and 600 photos: three standard deviations


def test_a_larger_share_never_has_a_smaller_radius(cells: Partition) -> None:
    regions = Regions(99, {"0.5": 0.2, "0.68": 3.0, "0.9": 0.5, "0.95": 0.6})
    probability = np.full(len(cells), 1 / len(cells))
    radii = regions.radii_km(cells, probability, 0.0, 0.0)
    assert radii == sorted(radii) and radii[1] == radii[2]
    assert regions.radii_km(cells, probability, 0.0, 0.0, (0.68, 0.95)) == [radii[1], radii[3]]


@pytest.mark.parametrize("share", (0.5, 0.9))
def test_sets_of_cells_hold_their_share_and_photos_in_no_cell_count(
    cells: Partition, fitted: tuple[Regions, Answers], share: float
) -> None:
    regions, fresh = fitted
    outside = np.mean([cell < 0 for *_, cell in fresh])
    covered = np.mean([cell in regions.cells(probability, share).tolist() for probability, _, _, cell in fresh])
    assert 0 < outside < 0.3
    if regions.mass[str(share)] <= 1:
        assert covered >= share - 0.06
    else:  # no set of cells is large enough
        assert covered == pytest.approx(1 - outside)


def test_too_few_photos_say_nothing(cells: Partition) -> None:
    fitter = RegionFitter(cells)
    for probability, lat, lng, cell in answers(cells, 20, 3, 1.0):
        fitter.add(probability, lat, lng, cell)
    assert fitter.fit() == Regions() and not fitter.fit().fitted


def test_they_come_back_from_json() -> None:
    regions = Regions(99, {"0.5": 1.5}, {"0.9": 2.0})
    assert Regions.from_dict(dataclasses.asdict(regions)) == regions
    for wrong in ({"photos": "many"}, {"mass": {"x": 1.0}}, {"mass": {"0.5": -1.0}}, {"wings": 2}):
        with pytest.raises((ValueError, TypeError)):
            Regions.from_dict(wrong)


def test_a_radius_reaches_to_the_far_side_of_a_cell(cells: Partition) -> None:
    probability = np.zeros(len(cells))
    probability[3] = 1.0
    (radius,) = radii_km(cells, probability, cells.centroid_lat[3], cells.centroid_lng[3], (0.5,))
    assert radius == pytest.approx(np.sqrt(cells.area_km2[3] / np.pi))
