"""How near the photos held out come to those that train, in time and space.

Shapes: N rows, K photos held out, T photos that train.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.spatial import cKDTree

HOURS, METRES = 1.0, 200.0
WARN_SHARE = 0.01
_RADIUS = 6_371_008.8
Points = npt.NDArray[np.float64]


def report(rows: pa.Table) -> dict[str, Any]:
    """For val and test: ``photos`` with a position, and how many of them lie ``near_place`` (within METRES of a photo
    that trains) and ``near`` (that, and within HOURS of it)."""
    split_N = np.asarray(rows["split"].to_pylist(), "U5")
    located_N = rows["lat"].is_valid().to_numpy()
    xyz_N = _on_earth(rows)
    time_N = rows["taken_at"].cast(pa.int64()).to_numpy() / 3.6e9
    timed_N = rows["taken_at"].is_valid().to_numpy()
    train = np.flatnonzero((split_N == "train") & located_N)
    found: dict[str, Any] = {"hours": HOURS, "metres": METRES}
    places = cKDTree(xyz_N[train]) if len(train) else None
    # near in a cube of time and space: of those that are, few need a second look
    timed = train[timed_N[train]]
    moments = cKDTree(_with_time(xyz_N, time_N, timed)) if len(timed) else None
    for name in ("val", "test"):
        held = np.flatnonzero((split_N == name) & located_N)
        near_place = near = 0
        if places is not None and len(held):
            near_place = int((places.query(xyz_N[held], distance_upper_bound=METRES)[0] <= METRES).sum())
        held = held[timed_N[held]]
        if moments is not None and len(held):
            distance, _ = moments.query(_with_time(xyz_N, time_N, held), p=np.inf, distance_upper_bound=METRES)
            near = int((distance <= METRES).sum())
        found[name] = {"photos": int(((split_N == name) & located_N).sum()), "near_place": near_place, "near": near}
    return found


def warnings(found: dict[str, Any]) -> list[str]:
    """A line for each split of which over WARN_SHARE comes near the photos that train."""
    said = []
    for name in ("test", "val"):
        each = found[name]
        if each["near"] > WARN_SHARE * each["photos"]:
            said.append(
                f"{each['near']:,} of {each['photos']:,} {name} photos were taken within {HOURS:g} hour and"
                f" {METRES:g} m of a train photo: a model can know their places by heart. Name the owners in a"
                " table (--coordinates), or divide by sessions (--albums sessions)"
            )
    return said


def line(found: dict[str, Any]) -> str:
    """For a person: how near test photos come to train photos."""
    each = found["test"]
    return (
        f"test photos near train photos: {each['near']:,} of {each['photos']:,} within {HOURS:g} hour and {METRES:g} m,"
        f" {each['near_place']:,} within {METRES:g} m at any time"
    )


def _on_earth(rows: pa.Table) -> Points:
    """Metres from the Earth's centre: over 200 m a chord is as long as its arc."""
    lat, lng = (np.radians(rows[name].to_numpy()) for name in ("lat", "lng"))
    return _RADIUS * np.stack([np.cos(lat) * np.cos(lng), np.cos(lat) * np.sin(lng), np.sin(lat)], axis=1)


def _with_time(xyz_N: Points, time_N: Points, at_K: npt.NDArray[np.int64]) -> Points:
    """Time as a fourth axis on which HOURS is as long as METRES."""
    return np.column_stack([xyz_N[at_K], time_N[at_K] * (METRES / HOURS)])
