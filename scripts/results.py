"""Writes the demo's tables into docs/results.md, between its two marks: no figure there is copied by hand.

openplanet demo --out demo && python scripts/results.py demo/evaluation.json [docs/results.md]
"""

import sys
from pathlib import Path
from typing import Any

from openplanet.storage import read_json

LEFT_OUT = ("random", "k nearest, density, best point", "embedding, density, best point")  # they say little more
KM = (1.0, 25.0, 200.0, 750.0, 2500.0)
BEGIN, END = "<!-- begin: scripts/results.py -->", "<!-- end: scripts/results.py -->"


def row(values: dict[str, Any]) -> str:
    """A contestant's line; of points that answer each distance by itself only the shares."""
    shares = {each["km"]: each["top1"] for each in values["within_km"]}
    cells = [f"{100 * shares[km]:.1f}" for km in KM]
    if values["best_of"] is None:
        cells += [""] * 3
    else:
        median = values["median_km"]
        cells += ["–" if median is None else f"{median:,.0f} km", f"{values['geoscore']:,.0f}"]
        cells.append(f"{100 * values['country_accuracy']:.1f}")
    return f"| {values['name']} | {' | '.join(cells)} |"


def text(scores: dict[str, Any]) -> str:
    """The table and the sentences below it."""
    rows = {each["name"]: each for each in scores["rows"]}
    together = scores["drawn_together"]
    low, high = next(each["top1_interval_95"] for each in rows["model"]["within_km"] if each["km"] == 25)
    reached = next(each["share"] for each in scores["model_share_of_bayes_limit"] if each["km"] == 25)
    ece = rows["model"]["probabilities"]["levels"][0]["ece"]
    head = ["first guess, % within", *(f"{km:g} km" for km in KM), "median", "GeoScore", "country"]
    lines = [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(row(each) for each in scores["rows"] if each["name"] not in LEFT_OUT),
    ]
    groups = f"{together['count']:,} {together['what']}, worth {together['effective']:.1f} of one size"
    said = [
        f"{scores['photos']:,} test photos of {groups}. The model's first guess reaches {100 * reached:.0f} % of the"
        f" limit at 25 km; its 95 % interval there is {100 * low:.1f} to {100 * high:.1f}. Expected calibration error"
        f" over cells: {100 * ece:.1f} %.",
        *scores["headline"],
    ]
    parts = [lines, named(scores["naming"]), held(scores["naming"]), albums(scores["albums"])]
    return "\n".join([BEGIN, "", *said, "", *"\n\n".join(map("\n".join, parts)).split("\n"), "", END])


def percent(share: float | None) -> str:
    """As the tables write it."""
    return "–" if share is None else f"{100 * share:.1f}"


def named(naming: dict[str, Any]) -> list[str]:
    """How right the named places are."""
    levels = ("city", "region", "country")
    lines = [
        f"| place named, % of photos (right, % of these) | {' | '.join(levels)} | nothing |",
        f"|{'---|' * (len(levels) + 2)}",
    ]
    for each in naming["by_confidence"]:
        *told, (nothing,) = [
            [row["share"], row["right"]][: 1 if row["level"] == "nothing" else 2] for row in each["told"]
        ]
        cells = [f"{percent(share)} ({percent(right)})" for share, right in told]
        lines.append(f"| confidence {100 * each['confidence']:g} % | {' | '.join(cells)} | {percent(nothing)} |")
    return lines


def held(naming: dict[str, Any]) -> list[str]:
    """What the regions hold."""
    coverage = naming["coverage"]
    head = [f"{100 * each['share']:g} % stated" for each in coverage]
    lines = [f"| regions hold, % | {' | '.join(head)} |", f"|{'---|' * (len(head) + 1)}"]
    for key, name in (("radius", "radius about the best point"), ("cells", "set of cells")):
        lines.append(f"| {name} | {' | '.join(percent(each[key]) for each in coverage)} |")
    return lines


def albums(scores: dict[str, Any]) -> list[str]:
    """First guesses and best points of the album models."""
    point = [scores["distances_km"].index(km) for km in (25.0, 200.0)]
    head = [f"{scores['photos']:,} photos in {scores['albums']:,} albums, % within", *(f"{km:g} km" for km in KM)]
    lines = [f"| {' | '.join([*head, 'best point: 25 km', '200 km'])} |", f"|{'---|' * (len(KM) + 3)}"]
    for each in scores["rows"]:
        shares = {at["km"]: at["top1"] for at in each["within_km"]}
        cells = [percent(shares[km]) for km in KM] + [percent(each["points_within"][n]) for n in point]
        lines.append(f"| {each['name']} | {' | '.join(cells)} |")
    return lines


def replaced(page: str, new: str) -> str:
    """The page with ``new`` in place of what stands between the marks; ValueError where they are missing."""
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"the page has no {BEGIN} ... {END}")
    return before + new + after


def main(scores: str, page: str = "docs/results.md") -> None:
    """Read the scores, and write the page anew."""
    path = Path(page)
    path.write_text(replaced(path.read_text("utf-8"), text(read_json(Path(scores)))), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:3])
