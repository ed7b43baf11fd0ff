"""The result in a sentence, in the same words and at the same distance in every report, whoever looks good there."""

from openplanet.evaluation.answers import BAYES, BEST_POINT, EMBEDDED_NEAREST, NEAREST, PRIOR_POINTS
from openplanet.evaluation.measures.row import within
from openplanet.evaluation.result import Result

HEADLINE_KM = 25.0
SCALE = {1.0: "street", 25.0: "city", 200.0: "region", 750.0: "country", 2500.0: "continent"}
NAMES = {
    PRIOR_POINTS: "the prior's best point, which looks at no photo,",
    NEAREST: "the nearest neighbour by hand-made features",
    EMBEDDED_NEAREST: "the nearest neighbour by the network's embedding",
    BAYES: "the best that anyone could do",
}


def share(result: Result, name: str) -> str | None:
    """The share within HEADLINE_KM of the row of that name, as percent; None where there is no such row."""
    row = result.row(name)
    return None if row is None else f"{100 * row.value(within(HEADLINE_KM)):.1f} %"


def headline(result: Result) -> str:
    """What the subject places within HEADLINE_KM, and beside it the prior's best point and the other rows of NAMES."""
    text = (
        f"Within {HEADLINE_KM:g} km, of {len(result.truth.lat):,} photos of {result.where}: {result.subject} "
        f"{share(result, result.subject)} by its first guess"
    )
    if (best := share(result, f"{result.subject}{BEST_POINT}")) is not None:
        text += f", {best} by its best point"
    said = [f"{words} {found}" for name, words in NAMES.items() if (found := share(result, name)) is not None]
    return f"{text}. For comparison: {'; '.join(said)}." if said else f"{text}."


def figures(result: Result) -> list[tuple[str, str]]:
    """The shares of the headline, each with what it is: value, words."""
    rows = {
        result.subject: "first guess",
        f"{result.subject}{BEST_POINT}": "best point",
        PRIOR_POINTS: "prior's best point, without looking",
    }
    shown = [(share(result, name), f"within {HEADLINE_KM:g} km, {words}") for name, words in rows.items()]
    return [(value, words) for value, words in shown if value is not None]


def table(result: Result) -> tuple[list[tuple[str, str]], list[tuple[str, list[str]]]]:
    """The few rows that say how good it is, in plain words: columns (name, distance), and rows (words, percents)."""
    rows = {
        result.subject: "its first guess",
        f"{result.subject}{BEST_POINT}": "its best point",
        PRIOR_POINTS: "the best point without looking at the photo",
        BAYES: "the best that anyone could do",
    }
    columns = [(km, name) for km, name in SCALE.items() if km in result.distances_km]
    lines = []
    for name, words in rows.items():
        if (row := result.row(name)) is not None:
            lines.append((words, [f"{100 * row.value(within(km)):.0f} %" for km, _ in columns]))
    return [(name, f"{km:g} km") for km, name in columns], lines
