"""What the evaluation of albums found, as plain values and as tables.

Shapes: N photos, D distances.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from openplanet.evaluation.measures.bootstrap import Groups, mean_intervals
from openplanet.evaluation.report import tables
from openplanet.evaluation.report.tables import Block, Line, km_text, percents, whole_km

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

CITY_KM = 25.0  # the distance at which places in the album are compared


@dataclass(frozen=True)
class Variant:
    """One way to place the photos. ``first_ND``, ``points_ND``: 0 or 1, whether its first guess, and the point that it
    names for the distance, lie within each distance. ``guess_N2``: lat, lng of the first guesses; a limit has none."""

    name: str
    what: str
    first_ND: Floats
    points_ND: Floats
    guess_N2: Floats | None = None

    @property
    def is_limit(self) -> bool:
        """Whether it has no first guess, but a point of its own for each distance."""
        return self.guess_N2 is None


@dataclass(frozen=True)
class AnchorRow:
    """Of the photos without a position, where ``share`` of each album's have one: first guesses."""

    share: float
    name: str
    photos: int
    within: tuple[float, ...]
    median_km: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        median = self.median_km if math.isfinite(self.median_km) else None
        return {"anchors": self.share, "name": self.name, "photos": self.photos, "within": list(self.within),
                "median_km": median}  # fmt: skip


@dataclass(frozen=True)
class AlbumEvaluation:
    """All variants on the same photos. The first of ``variants`` sees one photo at a time."""

    split: str
    photos: int
    albums: int
    distances_km: tuple[float, ...]
    variants: tuple[Variant, ...]
    places: Mapping[str, Mask]  # [N], of photos in albums that are long enough
    ambiguous_N: Mask
    ambiguous_rule: str
    anchored: tuple[AnchorRow, ...]
    groups: Groups
    notes: tuple[str, ...]

    @property
    def best(self) -> Variant:
        """The variant with most photos within the city distance (first guess), the single photo apart."""
        return max(
            (each for each in self.variants[1:] if not each.is_limit),
            key=lambda each: each.first_ND[:, self._city].mean(),
        )

    @property
    def _city(self) -> int:
        return self.distances_km.index(CITY_KM)

    def blocks(self) -> list[Block]:
        """All tables."""
        names = tuple(map(km_text, self.distances_km))
        everywhere = np.ones(self.photos, dtype=bool)
        found = [
            Block("albums: first guess, % within", names, tuple(self._lines(everywhere, points=False))),
            Block("albums: point for each distance", names, tuple(self._lines(everywhere, points=True))),
            Block("albums: first guess, 95 % interval", names, tuple(self._intervals())),
            Block(f"ambiguous photos ({self.ambiguous_N.sum():,})", names,
                  tuple(self._lines(self.ambiguous_N, points=False))),
        ]  # fmt: skip
        if any(mask.any() for mask in self.places.values()):
            columns = tuple(f"{name} ({mask.sum():,})" for name, mask in self.places.items())
            found.append(Block(f"by place in the album, % within {CITY_KM:g} km", columns, tuple(self._by_place())))
        for share in dict.fromkeys(row.share for row in self.anchored):
            rows = [row for row in self.anchored if row.share == share]
            lines = tuple(Line(row.name, (*percents(row.within), whole_km(row.median_km))) for row in rows)
            photos = f"{rows[0].photos:,}"
            title = f"{100 * share:g} % are anchors: the other {photos}" if share else f"no anchors: all {photos}"
            found.append(Block(title, (*names, "median"), lines))
        return found

    def _lines(self, mask: Mask, points: bool) -> Iterator[Line]:
        def shares(each: Variant) -> Floats:
            hits_ND = (each.points_ND if points else each.first_ND)[mask]
            return np.asarray(hits_ND.mean(axis=0)) if len(hits_ND) else np.full(len(self.distances_km), np.nan)

        def over(one: Floats, other: Floats) -> tuple[str, ...]:
            pairs = zip(one.tolist(), other.tolist(), strict=True)
            return tuple("–" if not b > 0 else f"{a / b:.2f}" for a, b in pairs)

        for each in self.variants:
            yield Line(each.name, percents([None if math.isnan(s) else s for s in shares(each).tolist()]))
        best = self.best
        yield Line(f"{best.name} / {self.variants[0].name}", over(shares(best), shares(self.variants[0])))
        for limit in self.variants[-1:]:
            if limit.is_limit:
                yield Line(f"{best.name} / {limit.name}", over(shares(best), shares(limit)))

    def _intervals(self) -> Iterator[Line]:
        for each in self.variants:
            low_D, high_D = mean_intervals(each.first_ND, self.groups)
            pairs = zip(low_D.tolist(), high_D.tolist(), strict=True)
            yield Line(each.name, tuple(f"{100 * low:.1f}–{100 * high:.1f}" for low, high in pairs))

    def _by_place(self) -> Iterator[Line]:
        for each in self.variants:
            hits_N = each.first_ND[:, self._city]
            shares = [float(hits_N[mask].mean()) if mask.any() else None for mask in self.places.values()]
            yield Line(each.name, percents(shares))

    def all_notes(self) -> list[str]:
        """How it was measured."""
        return [
            f"{self.photos:,} located photos of the {self.split} split in {self.albums:,} albums; intervals by drawing "
            f"{self.groups.count:,} albums again",
            f"ambiguous: {self.ambiguous_rule}",
            *self.notes,
        ]

    def to_text(self) -> str:
        """The tables for a terminal."""
        return "\n\n".join([*map(tables.text, self.blocks()), "\n".join(self.all_notes())])

    def to_markdown(self) -> str:
        """The tables as Markdown."""
        notes = "\n".join(f"- {note}" for note in self.all_notes())
        return "\n\n".join([*map(tables.markdown, self.blocks()), notes]) + "\n"

    def to_html(self) -> Markup:
        """The tables for the report."""
        parts = [_html(block) for block in self.blocks()]
        return Markup("").join([*parts, *(Markup("<p>{}</p>").format(note) for note in self.all_notes())])

    def to_dict(self) -> dict[str, Any]:
        """All figures, JSON-safe. Shares are 0 to 1."""

        def shares(hits_ND: Floats, mask: Mask) -> list[float] | None:
            return [float(share) for share in hits_ND[mask].mean(axis=0)] if mask.any() else None

        rows = []
        for each in self.variants:
            low_D, high_D = mean_intervals(each.first_ND, self.groups)
            rows.append(
                {
                    "name": each.name,
                    "what": each.what,
                    "within": shares(each.first_ND, np.ones(self.photos, dtype=bool)),
                    "within_interval_95": np.stack([low_D, high_D], axis=1).tolist(),
                    "within_point_for_each": shares(each.points_ND, np.ones(self.photos, dtype=bool)),
                    "ambiguous": shares(each.first_ND, self.ambiguous_N),
                    "by_place": {name: shares(each.first_ND, mask) for name, mask in self.places.items()},
                }
            )
        return {
            "split": self.split,
            "photos": self.photos,
            "albums": self.albums,
            "distances_km": list(self.distances_km),
            "best": self.best.name,
            "ambiguous": {"photos": int(self.ambiguous_N.sum()), "rule": self.ambiguous_rule},
            "rows": rows,
            "anchors": [row.to_dict() for row in self.anchored],
            "notes": self.all_notes(),
        }


def _html(block: Block) -> Markup:
    """As the report's other tables."""
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(column) for column in block.columns)
    cell, line = Markup("<td>{}</td>").format, Markup("<tr>{}{}</tr>").format
    lines = Markup("").join(line(cell(each.name), Markup("").join(map(cell, each.cells))) for each in block.lines)
    form = '<div class="scroll"><table class="accuracy dense"><tbody><tr class="head"><th scope="col">{}</th>{}</tr>{}'
    return Markup(form + "</tbody></table></div>").format(block.title, head, lines)
