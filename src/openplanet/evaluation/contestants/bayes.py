"""The Bayes limit: how well anyone could locate the photos of the synthetic planet from their pictures alone.

The exact posterior over sites is known (``photos.world.posterior``), and a photo lies about its site by a normal
step, so the probability that it lies within d km of a point r km from the site is that of a Rice distribution.
For every distance the limit names the points with most posterior mass within it, so no one guess is held to all
distances: it bounds each column of the table by itself.

Legend: N photos, S sites, P candidate points, K guesses, C cells, D distances.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import ndtri
from scipy.stats import ncx2

from openplanet.earth.geo import EARTH_RADIUS_KM, distance_km, to_xyz
from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import DatasetError
from openplanet.evaluation.answers import BAYES, Answers
from openplanet.evaluation.measures import metrics
from openplanet.synthetic.cities import SITE_SPACING_KM
from openplanet.synthetic.planet import TRUTH, cues_of, load_world
from openplanet.synthetic.world import JITTER_KM, Cues, World, displaced, posterior

Floats = NDArray[np.float64]

STEP = 1 / 6  # of the distance: spacing of the points tried between the sites
PHOTOS_AT_A_TIME = 256
OFFSETS = 64  # points that stand for the normal step about a site when it is shared out over cells
LEAST = 1e-12  # probability of a cell that no site reaches: keeps the likelihood finite


def limit_of(
    folder: Path,
    photo_ids: Sequence[str],
    distances_km: Sequence[float] = metrics.DISTANCES_KM,
    posterior_of: Callable[[World, pa.Table], Floats] | None = None,
    name: str = BAYES,
    what: str = "",
) -> Answers:
    """The limit on photos of the planet in ``folder`` (or its ``world.parquet``), matched by ``photo_id`` (as the
    dataset has it), as the answers of a contestant.

    ``posterior_of``: exact probabilities [N, S] of the sites from the photos' rows of the table of truth [default: from
    each picture alone]. Raises InputError where ``folder`` holds no planet, DatasetError where a photo is not of it.
    """
    folder = folder.parent if folder.is_file() else folder
    world, truth = load_world(folder)
    rows = rows_of(truth, photo_ids, folder)
    probability_NS = (posterior_of or _of_photos)(world, rows)
    return replace(limit_of_posterior(world, probability_NS, distances_km)[0], name=name, what=what)


def _of_photos(world: World, rows: pa.Table) -> Floats:
    return np.exp(posterior(world, cues_of(rows)))


def rows_of(truth: pa.Table, photo_ids: Sequence[str], folder: Path) -> pa.Table:
    """The rows of the table of truth for ``photo_ids``, in their order."""
    row_of = {photo_id: row for row, photo_id in enumerate(truth["photo_id"].to_pylist())}
    strangers = [photo_id for photo_id in photo_ids if photo_id not in row_of]
    if strangers:
        raise DatasetError(
            f"{folder / TRUTH} does not know {len(strangers)} of the {len(photo_ids)} photos (first: {strangers[0]}): "
            "the dataset is not of this synthetic planet; ingest the planet's photos again"
        )
    return truth.take([row_of[photo_id] for photo_id in photo_ids])


def bayes_limit(
    world: World, cues: Cues, distances_km: Sequence[float] = metrics.DISTANCES_KM
) -> tuple[Answers, tuple[float, ...]]:
    """The best achievable share within each distance, for photos with ``cues``: the answers that reach it, and the
    share [D] that they reach on average.

    Top 1 is exact up to the spacing of the candidate points (a sixth of the distance). Top 5 adds points one by
    one, each the best for what the others leave, which bounds the best five from below by a little. Median and
    GeoScore are of the site with the highest expected GeoScore; country is of the most probable country.
    """
    return limit_of_posterior(world, np.exp(posterior(world, cues)), distances_km)


def limit_of_posterior(
    world: World, probability_NS: Floats, distances_km: Sequence[float]
) -> tuple[Answers, tuple[float, ...]]:
    """``bayes_limit`` where the exact posterior of each photo over the sites is given."""
    points, expected = [], []
    for distance in distances_km:
        points_NK2, mass_N = _best_points(world, probability_NS, distance)
        points.append(points_NK2)
        expected.append(float(mass_N.mean()))
    site_NK, country_N = _best_sites(world, probability_NS), _best_country(world, probability_NS)
    return Answers(
        BAYES,
        "",
        world.lat_S[site_NK],
        world.lng_S[site_NK],
        points_DNK2=np.stack(points),
        country_N2=np.column_stack([world.lat_S[country_N], world.lng_S[country_N]]),
        is_limit=True,
    ), tuple(expected)


def cell_posterior(world: World, cues: Cues, partition: Partition) -> Floats:
    """[N, C]: the exact posterior over sites put into the cells of a partition, as log-probabilities that sum to 1.

    A site's mass is shared out by OFFSETS quasi-random normal steps; what falls outside all cells is left out.
    """
    share_SC = np.zeros((len(world), len(partition)))
    for north, east in _normal_points(OFFSETS):
        cell_S = partition.assign(*displaced(world.lat_S, world.lng_S, north * JITTER_KM, east * JITTER_KM))
        inside = np.flatnonzero(cell_S >= 0)
        share_SC[inside, cell_S[inside]] += 1 / OFFSETS
    mass_NC = np.exp(posterior(world, cues)) @ share_SC + LEAST
    return np.asarray(np.log(mass_NC / mass_NC.sum(axis=1, keepdims=True)), dtype=np.float64)


def within_probability(km: Floats, distance: float) -> Floats:
    """Probability that a photo lies within ``distance`` of a point ``km`` from its site, any shape (Rice)."""
    near = np.abs(km - distance) < 6 * JITTER_KM
    probability = (km <= distance).astype(np.float64)
    probability[near] = ncx2.cdf((distance / JITTER_KM) ** 2, 2, (km[near] / JITTER_KM) ** 2)
    return probability


def _best_points(world: World, probability_NS: Floats, distance: float) -> tuple[Floats, Floats]:
    """lat, lng [N, K, 2] of the points chosen for ``distance``, and the mass [N] within the first."""
    lat_P, lng_P = candidates(world, distance)
    within_PS = within_probability(distance_km(lat_P[:, None], lng_P[:, None], world.lat_S, world.lng_S), distance)
    count = len(probability_NS)
    points_NK2, mass_N = np.empty((count, metrics.TOP_K, 2)), np.empty(count)
    for start in range(0, count, PHOTOS_AT_A_TIME):
        rows = slice(start, start + PHOTOS_AT_A_TIME)
        left_NS = probability_NS[rows].copy()
        for guess in range(metrics.TOP_K):
            mass_NP = left_NS @ within_PS.T
            best_N = mass_NP.argmax(axis=1)
            if guess == 0:
                mass_N[rows] = mass_NP[np.arange(len(best_N)), best_N]
            points_NK2[rows, guess] = np.column_stack([lat_P[best_N], lng_P[best_N]])
            left_NS *= 1.0 - within_PS[best_N]
    return points_NK2, mass_N


def candidates(world: World, distance: float) -> tuple[Floats, Floats]:
    """Points worth guessing for ``distance``: the sites and, where one disc can hold several, points between."""
    if 2 * distance < SITE_SPACING_KM:
        return world.lat_S, world.lng_S
    count = int(4 * np.pi / (STEP * distance / EARTH_RADIUS_KM) ** 2)
    number_P = np.arange(count) + 0.5  # a Fibonacci lattice: even over the sphere
    lat_P = np.degrees(np.arcsin(1 - 2 * number_P / count))
    lng_P = (number_P * 360 / ((1 + 5**0.5) / 2) + 180) % 360 - 180
    tree = cKDTree(to_xyz(world.lat_S, world.lng_S))
    chord_P, _ = tree.query(to_xyz(lat_P, lng_P))
    near = chord_P <= 2 * np.sin(min(distance / EARTH_RADIUS_KM, np.pi) / 2)
    return np.concatenate([world.lat_S, lat_P[near]]), np.concatenate([world.lng_S, lng_P[near]])


def _best_sites(world: World, probability_NS: Floats) -> NDArray[np.int64]:
    """[N, K]: sites by expected GeoScore, best first."""
    km_SS = distance_km(world.lat_S[:, None], world.lng_S[:, None], world.lat_S, world.lng_S)
    expected_NS = probability_NS @ metrics.geoscore(km_SS).T
    first_N = expected_NS.argmax(axis=1)
    # after the first, the most probable sites that are left
    order_NS = probability_NS.copy()
    order_NS[np.arange(len(first_N)), first_N] = np.inf
    return np.argsort(-order_NS, axis=1, kind="stable")[:, : metrics.TOP_K]


def _best_country(world: World, probability_NS: Floats) -> NDArray[np.int64]:
    """[N]: the most probable site of the most probable country."""
    codes = np.array(world.country_code)
    country_SX = (codes[:, None] == np.unique(codes)[None, :]).astype(np.float64)
    best_N = (probability_NS @ country_SX).argmax(axis=1)
    return np.asarray((probability_NS * country_SX[:, best_N].T).argmax(axis=1), dtype=np.int64)


def _normal_points(count: int) -> Floats:
    """[count, 2]: standard normal points of the R2 sequence (Roberts 2018), the same every time."""
    ratio = 1.32471795724474602596
    steps = np.array([1 / ratio, 1 / ratio**2])
    uniform = (0.5 + np.arange(1, count + 1)[:, None] * steps) % 1.0
    return np.asarray(ndtri(uniform), dtype=np.float64)
