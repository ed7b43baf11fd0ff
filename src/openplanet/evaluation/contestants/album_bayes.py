"""The album Bayes limit: how well anyone could locate a photo of the synthetic planet given its whole album.

What an album shares (``photos.world.sample_albums``): sites follow ``transition_SS`` from one photo to the next, days
go on by one, two or three, and the light of a picture follows from latitude and day. So the state of the exact chain is
(site, day of the year); hours are drawn anew for every photo and are averaged over. Given the pictures and their order,
nothing else is known to anyone: this bounds what is read from pictures. Capture times would tell the season beside it,
and their gaps, in UTC, even something of the longitude; models that read times are not bound by it.

Shapes: N photos, S sites, D days of the year (in this file), T photos of one album.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from openplanet.synthetic.planet import cues_of
from openplanet.synthetic.world import DAY_STEPS, DAYS, SLOTS, Cues, World, log_p_cues_given_site, p_light

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def of_albums(world: World, rows: pa.Table) -> Floats:
    """``album_posterior`` of rows of the table of truth: ``bayes.limit_of`` with it is the limit of albums."""
    album_N, order_N = (rows[name].to_numpy().astype(np.int64) for name in ("album", "album_order"))
    return album_posterior(world, cues_of(rows), album_N, order_N)


def album_posterior(world: World, cues: Cues, album_N: Ints, order_N: Ints) -> Floats:
    """[N, S]: exact probabilities of the sites of each photo, from the pictures of all photos of its album here.

    ``order_N``: place in the album as it was drawn; photos that are not here leave gaps, which are walked through.
    """
    dark = {**cues, "light": np.full(len(album_N), -1, dtype=np.int64)}
    seen_NS = log_p_cues_given_site(world, dark)
    light_KSD = light_by_day(world)
    found_NS = np.empty_like(seen_NS)
    for album in np.unique(album_N):
        rows = np.flatnonzero(album_N == album)
        rows = rows[np.argsort(order_N[rows], kind="stable")]
        emissions = [_emission(seen_NS[row], int(cues["light"][row]), light_KSD) for row in rows]
        found_NS[rows] = _forward_backward(world, emissions, np.diff(order_N[rows]))
    return found_NS


def light_by_day(world: World) -> Floats:
    """[K, S, D]: probability of each light at each site on each day, the hour not being known."""
    day, slot = np.arange(DAYS)[:, None], np.arange(SLOTS)[None, :]
    table_SDK = np.stack([p_light(lat, day, slot).mean(axis=1) for lat in world.lat_S])
    return np.ascontiguousarray(table_SDK.transpose(2, 0, 1))


def _emission(seen_S: Floats, light: int, light_KSD: Floats) -> Floats:
    """[S, D] or, where the picture shows no light, [S, 1]: likelihood of the picture, up to a factor."""
    likelihood_S1 = np.exp(seen_S - seen_S.max())[:, None]
    return np.asarray(likelihood_S1 * light_KSD[light]) if light >= 0 else likelihood_S1


def _forward_backward(world: World, emissions: list[Floats], steps: Ints) -> Floats:
    """[T, S]: exact marginals of the chain over (site, day), scaled at every step (Rabiner 1989)."""
    shape = (len(world), DAYS)
    before = [np.broadcast_to(world.weight_S[:, None] / DAYS, shape)]
    for emission, step in zip(emissions, steps.tolist(), strict=False):
        state_SD = _scaled(before[-1] * emission)
        for _ in range(step):
            state_SD = _days_on(world.transition_SS.T @ state_SD, 1)
        before.append(state_SD)
    after_SD = np.ones(shape)
    found = []
    for t in range(len(emissions) - 1, -1, -1):
        marginal_S = (before[t] * emissions[t] * after_SD).sum(axis=1)
        found.append(marginal_S / marginal_S.sum())
        after_SD = _scaled(after_SD * emissions[t])
        for _ in range(int(steps[t - 1]) if t else 0):
            after_SD = world.transition_SS @ _days_on(after_SD, -1)
    return np.stack(found[::-1])


def _days_on(state_SD: Floats, sign: int) -> Floats:
    """One photo further (1): mass moves to later days; or back (-1): each day takes from later ones."""
    moved = [share * np.roll(state_SD, sign * days, axis=1) for days, share in enumerate(DAY_STEPS, 1)]
    return np.asarray(np.sum(moved, axis=0))


def _scaled(state_SD: Floats) -> Floats:
    return np.asarray(state_SD / state_SD.sum())
