"""A small planet with known answers: the generative model of the synthetic photos, and its exact posterior.

In four steps, each a function below:

1. ``World.make``: sites are real cities; a *culture* is a group of countries with its script, signs and roads; a
   *province* is a cluster of neighbouring sites of one culture with its own way of building. For every cue the world
   holds a table ``log_p[cue]`` of shape [S, K]: the log-probability of each of its K values at each site.
2. ``sample_albums``: a trip is a Markov chain over sites, ``P = STAY * I + NEAR * M + FAR * 1 w'``: stay, go to a
   neighbour (Metropolis moves, reversible with respect to the weights w) or fly anywhere. The first site is drawn
   from w and P leaves w unchanged, so *every* photo, wherever it stands in its album, has the prior w.
3. Given the site, the cues of a photo are drawn from its tables, independent of each other and of other photos. The
   one exception is said aloud: the light (sun and snow) follows from the date and the hour, photos of a trip share
   a season, and ``log_p["light"]`` is averaged over all dates and hours: what a picture without a date tells.
4. The picture is a function of the cues and of nuisance that knows nothing of the site (``drawing.py``). So the
   posterior of the picture is ``posterior``: Bayes' rule with the tables, nothing approximated.

Where the sea and the mountains are is the seed's choice, not the Earth's.

Legend: N photos, S sites, K values of a cue, P provinces.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openplanet.earth.geo import EARTH_RADIUS_KM, distance_km
from openplanet.synthetic.cities import choose_sites, weights
from openplanet.synthetic.cultures import CUES, CULTURES, STREET, SUN_EDGES_DEG, SUNS

VERSION = 1  # of the generative model: any change to a world or its pictures raises it
SITES = 220
JITTER_KM = 3.0  # standard deviation, east and north, of a photo about its site; independent of all cues
STAY, NEAR, FAR = 0.5, 0.38, 0.12
NEIGHBOUR_KM = 300.0  # scale of a move to a neighbour
ALBUM_SIZE = (5, 25)  # photos; 5 plus an exponential, cut at 25: 9 on average

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Cues = Mapping[str, Ints]  # cue name -> value index [N]; equally one photo as arrays of length 1


DAYS, SLOTS = 365, 20  # a day of the year and a half hour between 8:00 and 18:00, solar time, each equally likely
EPOCH = datetime(2014, 1, 1)
YEARS = 9  # a trip starts on any day of these
DAY_STEPS = (0.8, 0.15, 0.05)  # of one, two, three days from one photo of a trip to the next


@dataclass(frozen=True)
class World:
    """The planet: S sites and, for every cue, its log-probabilities there.

    ``weight_S`` is the prior of a photo (sums to 1); ``transition_SS[i, j]`` the probability that the photo after
    one at i is at j; ``log_p[cue]`` is [S, K], -inf where a value cannot occur.
    """

    seed: int
    lat_S: Floats
    lng_S: Floats
    city: tuple[str, ...]
    country_code: tuple[str, ...]
    culture_S: Ints
    province_S: Ints
    weight_S: Floats
    transition_SS: Floats
    log_p: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.lat_S)

    @staticmethod
    @lru_cache(maxsize=2)  # a second to make; nothing changes one
    def make(seed: int = 0, sites: int = SITES) -> "World":
        """The world of a seed; the same one on every machine. Raises InputError for too few or too many sites."""
        rng = np.random.default_rng(np.random.SeedSequence([seed, VERSION]))
        places, culture_S, province_S = choose_sites(sites)
        lat_S = np.array([place["latitude"] for place in places], dtype=np.float64)
        lng_S = np.array([place["longitude"] for place in places], dtype=np.float64)
        population_S = np.array([place["population"] for place in places], dtype=np.float64)
        weight_S = weights(population_S, culture_S, province_S)
        distance_SS = distance_km(lat_S[:, None], lng_S[:, None], lat_S[None], lng_S[None])
        return World(
            seed=seed,
            lat_S=lat_S,
            lng_S=lng_S,
            city=tuple(place["city"] for place in places),
            country_code=tuple(place["country_code"] for place in places),
            culture_S=culture_S,
            province_S=province_S,
            weight_S=weight_S,
            transition_SS=_transition(weight_S, distance_SS),
            log_p=MappingProxyType(_cue_tables(rng, lat_S, lng_S, weight_S, culture_S, province_S)),
        )


# --- 1. The world -----------------------------------------------------------------------------------------------


def _transition(weight_S: Floats, distance_SS: Floats) -> Floats:
    """[S, S], rows sum to 1, ``w P = w``: Metropolis-Hastings with proposals that fall off with distance."""
    proposal_SS = np.exp(-distance_SS / NEIGHBOUR_KM)
    np.fill_diagonal(proposal_SS, 0.0)
    # A site far from all others stays: its row of proposals is scaled by what it would find at one scale's distance.
    proposal_SS /= np.maximum(proposal_SS.sum(axis=1, keepdims=True), np.exp(-3.0))
    flow_SS = weight_S[:, None] * proposal_SS
    move_SS = np.minimum(flow_SS, flow_SS.T) / weight_S[:, None]
    np.fill_diagonal(move_SS, 1.0 - move_SS.sum(axis=1))
    return STAY * np.eye(len(weight_S)) + NEAR * move_SS + FAR * weight_S[None, :]


def _field(rng: np.random.Generator, lat_N: Floats, lng_N: Floats, scale_km: float) -> Floats:
    """A smooth random field over the sphere (32 random waves), about standard normal, [N]."""
    phi, lam = np.radians(lat_N), np.radians(lng_N)
    xyz = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=1)
    waves = rng.normal(size=(3, 32)) * EARTH_RADIUS_KM / scale_km
    return np.asarray(np.cos(xyz @ waves + rng.uniform(0, 2 * np.pi, 32)).sum(axis=1) / 4.0, dtype=np.float64)


def _soft(score_SK: Floats, floor: float) -> Floats:
    """Softmax over values, mixed with a uniform share ``floor``: nothing is impossible, little is certain."""
    p_SK = np.exp(score_SK - score_SK.max(axis=1, keepdims=True))
    p_SK /= p_SK.sum(axis=1, keepdims=True)
    return np.asarray((1 - floor) * p_SK + floor / p_SK.shape[1], dtype=np.float64)


def _shown(value_S: Ints, values: int, visible: float, stray: float) -> Floats:
    """[S, values]: 0 "hidden" else; value_S of the site where visible, but any other value at random with ``stray``."""
    p_SK = np.full((len(value_S), values), visible * stray / (values - 1))
    p_SK[:, 0] = 1.0 - visible
    p_SK[np.arange(len(value_S)), value_S] += visible * (1.0 - stray)
    return p_SK


def _cue_tables(
    rng: np.random.Generator, lat_S: Floats, lng_S: Floats, weight_S: Floats, culture_S: Ints, province_S: Ints
) -> dict[str, Floats]:
    """``log_p`` of every cue; what a site looks like is decided here and in the functions below, nowhere else.

    The order of the lines is that of the random draws: another order is another world.
    """
    cultures = [CULTURES[index] for index in culture_S]
    scene, sea = _shore_tables(rng.random(len(lat_S)) < 0.4)
    terrain = _terrain_table(_field(rng, lat_S, lng_S, 900.0))
    aridity_S = np.array([culture.aridity for culture in cultures]) + 0.3 * _field(rng, lat_S, lng_S, 1500.0)
    styles = 1 + rng.permutation(len(CUES["building"]) - 1)  # taken in turn: provinces that share one are few
    building_S = styles[province_S % len(styles)]
    sign_S = np.array([CUES["sign"].index(f"{culture.script} on {culture.sign}") for culture in cultures])
    line_S = np.array([CUES["line"].index(culture.line) for culture in cultures])
    car_S = np.array([CUES["car"].index(culture.side) for culture in cultures])
    tables = {
        "scene": scene,
        "light": _light_table(lat_S),
        "vegetation": _vegetation_table(lat_S, aridity_S),
        "terrain": terrain,
        "sea": sea,
        "building": _shown(building_S, len(CUES["building"]), visible=0.98, stray=0.02),
        "sign": _shown(sign_S, len(CUES["sign"]), visible=0.8, stray=0.02),
        "line": _shown(line_S, 3, visible=0.85, stray=0.03),
        "car": _shown(car_S, 3, visible=0.6, stray=0.02),
        "landmark": _landmark_table(rng, weight_S),
    }
    with np.errstate(divide="ignore"):
        return {name: np.log(table) for name, table in tables.items()}


def _shore_tables(coastal_S: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """The scene, with beaches at the coast and meadows inland, and whether the sea is seen from a street."""
    scene = np.where(coastal_S[:, None], [0.76, 0.12, 0.12, 0.0], [0.76, 0.12, 0.0, 0.12])
    sea = np.where(coastal_S[:, None], [0.35, 0.65], [0.98, 0.02])
    return scene, sea


def _terrain_table(height_S: Floats) -> Floats:
    """Flat, hills or mountains by a height about standard normal."""
    return _soft(4.0 * np.stack([-height_S - 0.5, np.full(len(height_S), 0.2), height_S - 0.5], axis=1), 0.05)


def _vegetation_table(lat_S: Floats, aridity_S: Floats) -> Floats:
    """Climates sit at a latitude and an aridity; a site grows what is near its own."""
    climates = np.array([[5, -0.6], [12, 0.2], [25, 1.0], [36, 0.4], [46, -0.1], [60, -0.1]], dtype=np.float64)
    off_SK2 = np.stack([np.abs(lat_S), aridity_S], axis=1)[:, None] - climates[None]
    return _soft(-0.5 * ((off_SK2 / [8.0, 0.35]) ** 2).sum(axis=2), 0.06)


def _landmark_table(rng: np.random.Generator, weight_S: Floats) -> Floats:
    """Each landmark stands in three of the cities with the greatest weight, and is then seen half of the time."""
    landmarks = len(CUES["landmark"]) - 1
    famous_S = np.argsort(-weight_S, kind="stable")[: 3 * landmarks]
    table = np.zeros((len(weight_S), landmarks + 1))
    table[:, 0] = 1.0
    kinds = 1 + np.concatenate([rng.permutation(landmarks) for _ in range(3)])[: len(famous_S)]
    table[famous_S] = _shown(kinds, landmarks + 1, visible=0.5, stray=0.0)
    return table


# --- The light: sun and snow from latitude, date and hour -------------------------------------------------------

OVERCAST = 0.3  # of all photos, everywhere


def sun_elevation_deg(lat: Any, day: Any, hour: Any) -> Floats:
    """Elevation of the sun in degrees at ``lat``, ``day`` of the year 0..364, ``hour`` of solar time; broadcasts."""
    declination = np.radians(-23.44 * np.cos(2 * np.pi * (np.asarray(day) + 10) / DAYS))
    phi, angle = np.radians(lat), np.radians(15.0 * (np.asarray(hour) - 12.0))
    sine = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(angle)
    return np.asarray(np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0))), dtype=np.float64)


def snow_probability(lat: Any, day: Any) -> Floats:
    """Of snow on the ground, 0..1: a logistic function of a mean temperature by latitude and season."""
    phi = np.radians(lat)
    season = np.cos(2 * np.pi * (np.asarray(day) - 200) / DAYS)  # +1 in late July
    celsius = 28.0 - 40.0 * np.sin(phi) ** 2 + 16.0 * np.sin(phi) * season
    return np.asarray(0.9 / (1.0 + np.exp(np.clip(celsius, -40.0, 40.0))), dtype=np.float64)


def slot_hour(slot: Any) -> Any:
    """Solar time at the middle of a half-hour slot 0..SLOTS-1."""
    return 8.25 + 0.5 * np.asarray(slot)


def p_light(lat: Any, day: Any, slot: Any) -> Floats:
    """[..., K]: probabilities of the values of "light" where latitude, day and half hour are known; broadcasts."""
    elevation = sun_elevation_deg(lat, day, slot_hour(slot))
    clear = np.eye(len(SUNS))[1 + np.digitize(elevation, SUN_EDGES_DEG)] * (1.0 - OVERCAST)
    clear[..., 0] = OVERCAST
    snow = np.broadcast_to(snow_probability(lat, day), elevation.shape)
    both = clear[..., :, None] * np.stack([1.0 - snow, snow], axis=-1)[..., None, :]
    return np.asarray(both.reshape(*elevation.shape, -1), dtype=np.float64)


def _light_table(lat_S: Floats) -> Floats:
    """[S, K]: the light of a photo whose date and hour are not known; the exact mean over all of them."""
    day, slot = np.arange(DAYS)[:, None], np.arange(SLOTS)[None, :]
    return np.stack([p_light(lat, day, slot).mean(axis=(0, 1)) for lat in lat_S])


# --- 2. Albums --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Photos:
    """N photos before they are drawn: truth and cues. Times are UTC, ``offset_hours_N`` the clock of the place."""

    owner_N: Ints
    album_N: Ints
    order_N: Ints
    site_N: Ints
    lat_N: Floats
    lng_N: Floats
    day_N: Ints
    slot_N: Ints
    cues: Cues

    def __len__(self) -> int:
        return len(self.site_N)

    def taken_at(self, index: int) -> tuple[datetime, int]:
        """Local time of the place, and its offset from UTC in whole hours."""
        minutes = float(slot_hour(self.slot_N[index])) * 60.0 + index % 21 - 10.0  # within its half hour
        solar = EPOCH + timedelta(days=int(self.day_N[index]), minutes=minutes, seconds=index % 60)
        lng = float(self.lng_N[index])
        offset = round(lng / 15.0)
        return (solar + timedelta(hours=offset - lng / 15.0)).replace(microsecond=0), offset


def sample_albums(world: World, photos: int, rng: np.random.Generator) -> Photos:
    """Exactly ``photos`` photos in albums, as one reads them: trips of owners, in order of time.

    Sites follow the chain of the world. Days go on by one (at times two or three) and hours are free, both without
    regard to the site; an owner has one album or a few.
    """
    rows: list[tuple[int, int, int, int, int]] = []  # owner, album, order, site, day
    owner, album = -1, -1
    initial_S, moves_SS = np.cumsum(world.weight_S), np.cumsum(world.transition_SS, axis=1)
    while len(rows) < photos:
        album += 1
        owner += int(owner < 0 or rng.random() < 0.65)
        length = min(ALBUM_SIZE[0] + int(rng.exponential(4.5)), ALBUM_SIZE[1], photos - len(rows))
        site = _draw(initial_S, rng)
        day = int(rng.integers(DAYS * YEARS))
        for order in range(length):
            if order:
                site = _draw(moves_SS[site], rng)
                day += int(rng.choice(len(DAY_STEPS), p=DAY_STEPS)) + 1
            rows.append((owner, album, order, site, day))
    owner_N, album_N, order_N, site_N, day_N = np.array(rows, dtype=np.int64).T
    slot_N = rng.integers(SLOTS, size=photos)
    north_N, east_N = rng.normal(scale=JITTER_KM, size=(2, photos))
    lat_N, lng_N = displaced(world.lat_S[site_N], world.lng_S[site_N], north_N, east_N)
    return Photos(
        owner_N=owner_N,
        album_N=album_N,
        order_N=order_N,
        site_N=site_N,
        lat_N=lat_N,
        lng_N=lng_N,
        day_N=day_N,
        slot_N=slot_N,
        cues=sample_cues(world, site_N, day_N % DAYS, slot_N, rng),
    )


def _draw(cumulative: Floats, rng: np.random.Generator) -> int:
    return min(int(np.searchsorted(cumulative, rng.random(), side="right")), len(cumulative) - 1)


def displaced(lat_N: Floats, lng_N: Floats, north_km: Any, east_km: Any) -> tuple[Floats, Floats]:
    """The points moved by kilometres north and east; for short steps far from the poles, as at all sites."""
    lat = lat_N + np.degrees(north_km / EARTH_RADIUS_KM)
    lng = lng_N + np.degrees(east_km / EARTH_RADIUS_KM) / np.cos(np.radians(lat_N))
    return np.asarray(lat, dtype=np.float64), np.asarray((lng + 180.0) % 360.0 - 180.0, dtype=np.float64)


# --- 3. Cues ----------------------------------------------------------------------------------------------------


def sample_cues(world: World, site_N: Ints, day_N: Ints, slot_N: Ints, rng: np.random.Generator) -> dict[str, Ints]:
    """Draw the cues of photos at sites; the light from the day and half hour, all else from the tables.

    Cues that a scene does not show (all but the scene itself, outside the street) are set to -1.
    """
    cues: dict[str, Ints] = {}
    for name in CUES:
        p_NK = np.exp(world.log_p[name][site_N])
        if name == "light":
            p_NK = p_light(world.lat_S[site_N], day_N, slot_N)
        drawn_N = (np.cumsum(p_NK, axis=1) <= rng.random(len(site_N))[:, None]).sum(axis=1)
        cues[name] = np.minimum(drawn_N, p_NK.shape[1] - 1).astype(np.int64)
    for name in CUES:
        if name != "scene":
            cues[name][cues["scene"] != STREET] = -1
    return cues


# --- 4. The posterior -------------------------------------------------------------------------------------------


def log_p_cues_given_site(world: World, cues: Cues) -> Floats:
    """[N, S]: log-probability of the cues of each photo at each site (-inf where impossible)."""
    total_NS = np.asarray(world.log_p["scene"].T[cues["scene"]], dtype=np.float64)
    for name in CUES:
        if name != "scene":
            shown_N = cues[name] >= 0
            total_NS[shown_N] += world.log_p[name].T[cues[name][shown_N]]
    return total_NS


def posterior(world: World, cues: Cues) -> Floats:
    """[N, S]: exact log-posterior over sites of single photos, from what their pictures show and nothing else."""
    joint_NS = log_p_cues_given_site(world, cues) + np.log(world.weight_S)
    highest_N1 = joint_NS.max(axis=1, keepdims=True)
    return np.asarray(
        joint_NS - highest_N1 - np.log(np.exp(joint_NS - highest_N1).sum(axis=1, keepdims=True)), dtype=np.float64
    )
