"""OSV-5M's own accuracies: by the names that its authors give to places.

Shapes: N photos.
"""

import unicodedata
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from openplanet.earth import places

Floats = NDArray[np.float64]


def label_accuracy(
    labels: Mapping[str, tuple[str, ...]], lat_N: Floats, lng_N: Floats
) -> tuple[tuple[str, float], ...]:
    """OSV-5M's own accuracies: the names that its authors give against those of the city nearest to the guess.

    Names are compared as its authors join them: region_country, area_region_country, city_area_region_country. A
    photo without a name is left out of that measure; a photo without a guess is wrong.
    """
    if not labels:
        return ()
    given = np.flatnonzero(~np.isnan(lat_N))
    named = dict(zip(given.tolist(), places.nearest_parts(lat_N[given], lng_N[given]), strict=True))
    found = []
    for measure, truth in labels.items():
        counted = [n for n, name in enumerate(truth) if name and name.lower() != "nan"]
        right = [n in named and _plain(_joined(measure, *named[n])) == _plain(truth[n]) for n in counted]
        found.append((measure, float(np.mean(right)) if right else 0.0))
    return tuple(found)


def _plain(name: str) -> str:
    """Without accents and case: the authors' list of cities writes some names otherwise than ours."""
    parts = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


def _joined(measure: str, code: str, region: str, area: str, city: str) -> str:
    return {
        "country": code,
        "region": f"{region}_{code}",
        "area": f"{area}_{region}_{code}",
        "city": f"{city}_{area}_{region}_{code}",
    }[measure]
