"""Figures that others report of their systems on the public test sets: printed beside ours, never run by us."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Published:
    """One system on one test set, as its source reports it. Shares are 0 to 1."""

    system: str
    year: int
    testset: str  # key of testsets.known
    source: str
    confirmed: bool  # False: the figures stand on memory, no stored text confirms them
    distances_km: tuple[float, ...]
    within: tuple[float, ...]
    geoscore: float | None = None
    mean_km: float | None = None

    def at(self, distances_km: Sequence[float]) -> tuple[float | None, ...]:
        """Its shares at these distances; None where it reports none."""
        known = dict(zip(self.distances_km, self.within, strict=True))
        return tuple(known.get(km) for km in distances_km)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, marked for what they are."""
        return {**asdict(self), "status": "published, not run"}


def published_on(testset: str) -> tuple[Published, ...]:
    """What is reported on a test set, the oldest first; nothing for a set that nobody reports on."""
    return tuple(each for each in _all() if each.testset == testset)


@lru_cache(maxsize=1)
def _all() -> tuple[Published, ...]:
    data = json.loads(files("openplanet.evaluation.testsets").joinpath("published.json").read_text(encoding="utf-8"))
    found = []
    for system in data["systems"]:
        for testset, figures in system["figures"].items():
            found.append(
                Published(
                    system=system["name"],
                    year=system["year"],
                    testset=testset,
                    source=system["source"],
                    confirmed=not figures.get("from_memory", False),
                    distances_km=tuple(data["distances_km"]) if "within" in figures else (),
                    within=tuple(share / 100 for share in figures.get("within", ())),
                    geoscore=figures.get("geoscore"),
                    mean_km=figures.get("mean_km"),
                )
            )
    return tuple(sorted(found, key=lambda each: each.year))
