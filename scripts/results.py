"""Writes the demo's table into docs/results.md, between its two marks: no figure there is copied by hand.

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
    return "\n".join([BEGIN, "", *said, "", *lines, "", END])


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
