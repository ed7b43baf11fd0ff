"""One album drawn before and after: where its photos are placed one by one, and where together.

Shapes: N photos of the split, T photos of the album.
"""

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from openplanet.earth.geo import distance_km
from openplanet.evaluation.measures.row import Row
from openplanet.evaluation.report.album_tables import best, ways
from openplanet.evaluation.report.page import Section
from openplanet.evaluation.report.samples import km_words
from openplanet.evaluation.result import Result
from openplanet.maps import description
from openplanet.maps.description import Description
from openplanet.maps.page import embedded
from openplanet.photos.dataset import Dataset

LEAST_PHOTOS = 5


def before_and_after(found: Result, dataset: Dataset) -> Section | None:
    """A section with two maps of the album that gained most by the best variant; None where no album is long enough."""
    truth = found.truth
    order = dataset.table(["album_order"], found.split, located=True)["album_order"].fill_null(0).to_numpy()
    one, together = ways(found)[0], best(found)
    chosen = _most_gained(found, one, together)
    if chosen is None:
        return None
    rows_T = np.flatnonzero(found.groups.group_N == chosen)
    rows_T = rows_T[np.argsort(order[rows_T], kind="stable")]
    lat_T, lng_T = truth.lat[rows_T], truth.lng[rows_T]
    parts = []
    for each, how in ((one, "one by one"), (together, f"together, by {together.name}")):
        guess_T2 = np.stack([each.answers.lat[rows_T, 0], each.answers.lng[rows_T, 0]], axis=1)
        km_T = distance_km(guess_T2[:, 0], guess_T2[:, 1], lat_T, lng_T)
        figures = f"median error {km_words(float(np.nanmedian(km_T)))}"
        drawn = embedded(_drawn(guess_T2, lat_T, lng_T, km_T, how))
        parts.append(Markup("<div><h3>{}: {}</h3>{}</div>").format(how.capitalize(), figures, drawn))
    text = (
        f"The album of the {found.split} split that gained most by being placed together ({len(rows_T)} photos): it is "
        "picked for that, so it shows what an album can do, not what it does on average. Green dots are where the "
        "photos were taken; the others, joined in order of capture, where they were put."
    )
    figure = Markup('<div class="pair">{}</div>').format(Markup("").join(parts))
    return Section("An album, before and after", text, figure, shown=True)


def _most_gained(found: Result, one: Row, together: Row) -> int | None:
    """Number of the album whose photos gained most, over all distances; of the same gain the first."""
    gain_N = (together.hits.astype(np.float64) - one.hits).mean(axis=1)
    group_N = found.groups.group_N
    size_G = np.bincount(group_N)
    gain_G = np.bincount(group_N, weights=gain_N) / size_G
    gain_G[size_G < LEAST_PHOTOS] = -np.inf
    return int(gain_G.argmax()) if np.isfinite(gain_G).any() else None


def _drawn(
    guess_T2: NDArray[np.float64],
    lat_T: NDArray[np.float64],
    lng_T: NDArray[np.float64],
    km_T: NDArray[np.float64],
    how: str,
) -> Description:
    stops = [
        description.point(*at, title=f"{km_words(float(km))} off", truth=description.point(lat, lng))
        for at, lat, lng, km in zip(guess_T2, lat_T, lng_T, km_T, strict=True)
        if np.isfinite(at).all()
    ]
    return {"label": f"An album placed {how}", "route": stops, "labels": description.labels(lat_T, lng_T)}
