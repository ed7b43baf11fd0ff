"""``result.html``: one page that opens anywhere and asks nothing of the network.

Text from photos (file names) and from place names is escaped by the template; only figures that are drawn
here go in as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

from markupsafe import Markup

from openplanet.evaluation.answers import BAYES
from openplanet.evaluation.measures.row import COUNTRY, GEOSCORE, MEDIAN
from openplanet.evaluation.report import charts, maps, photo_tables, samples
from openplanet.evaluation.report import headline as headlines
from openplanet.evaluation.report.learning import learning
from openplanet.evaluation.result import Result
from openplanet.evaluation.testsets.photoset import PhotoSet, of_dataset
from openplanet.inference.locator import Locator
from openplanet.maps.page import environment
from openplanet.photos.dataset import Dataset
from openplanet.storage import is_stream, write_text
from openplanet.stores.location import Location

TITLE = "Where was this photo taken?"
EXTREMES = 3
SEED = 0


@dataclass(frozen=True)
class Section:
    """A section that the caller adds. ``figure`` is escaped unless it is ``Markup``."""

    title: str
    text: str = ""
    figure: str | Markup = ""
    shown: bool = False  # before the tables, and not behind the fold


def write_report(
    path: Location,
    result: Result,
    predictor: Locator | None,
    photos: Dataset | PhotoSet,
    title: str = TITLE,
    intro: str = "",
    sections: Sequence[Section] = (),
    drawn: int = 6,
) -> None:
    """Write the page: three photos, a table, the curve; behind a fold all tables, cells, errors, ``drawn`` photos at
    random, the best and the worst.

    ``result`` must be of ``predictor`` on ``photos``; None where only guesses of others were measured: then there are
    no photos, cells and learning curves to show. ``title`` and ``intro`` open the page; ``sections`` that are ``shown``
    come before the table, the others behind the fold. Raises InputError where the file cannot be written.
    """
    photoset = of_dataset(photos, result.split) if isinstance(photos, Dataset) else photos
    page = (
        environment("openplanet.evaluation.report")
        .get_template("report.html.j2")
        .render(
            title=title,
            intro=intro,
            sections=sections,
            headline=headlines.headline(result),
            figures=figures(result),
            photos=f"{len(result.truth.lat):,}",
            where=result.where,
            cells=f"{result.cells:,}",
            blocks=result.blocks(),
            curve=charts.svg(charts.share_curve(result), "Share of photos against distance"),
            best_of=charts.svg(charts.best_of_curves(result), "Share of photos against distance, best of one to five"),
            best_of_table=photo_tables.best_of_block(result.model),
            probable=_probable(result),
            breakdowns=[
                (block, each.rule)
                for block, each in zip(photo_tables.breakdown_blocks(result), result.breakdowns, strict=True)
            ],
            subject=result.subject,
            limited=result.row(BAYES) is not None,
            learning=predictor and learning(predictor),
            partition_map=predictor and maps.cells(predictor),
            errors_map=maps.errors(result),
            errors_shown=maps.errors_text(result),
            story=[] if predictor is None else _story(result, predictor, photoset),
            plain_table=headlines.table(result),
            groups=[] if predictor is None else _groups(result, predictor, photoset, drawn),
            notes=result.notes,
            version=version("openplanet"),
        )
    )
    write_text(path, page)


def _probable(result: Result) -> dict[str, object] | None:
    """The figures of the model's probabilities; None for a subject without any."""
    row = result.model
    if row.distribution is None:
        return None
    sure = [each for each in result.rows if each.distribution is not None]
    return {
        "reliability": charts.svg(charts.reliability_diagram(row), "How often it is right against how sure it is"),
        "recall": charts.svg(charts.recall_area(sure), "Share of photos found against area searched"),
        "levels": photo_tables.level_block(row),
        "named": row.answers.naming and charts.svg(charts.named_rightly(row), "Share named rightly of those answered"),
    }


def write_tables(report: Location, result: Result) -> None:
    """Write the tables beside a report, as .csv, .md and .tex of the same name; none beside a device or a pipe."""
    if is_stream(report):
        return
    for suffix, text in ((".csv", result.to_csv()), (".md", result.to_markdown()), (".tex", result.to_latex())):
        write_text(report.with_suffix(suffix), text)


def _story(result: Result, predictor: Locator, photoset: PhotoSet) -> list[tuple[str, Markup]]:
    chosen = samples.story(result, predictor, photoset, SEED)
    shown = samples.describe(result, predictor, photoset, chosen)
    return [(words, shown[index]) for index, words in chosen.items()]


def _groups(result: Result, predictor: Locator, photoset: PhotoSet, drawn: int) -> list[dict[str, object]]:
    groups = samples.choose(result, drawn, EXTREMES, SEED)
    wanted = [index for group in groups for index in group.indices]
    shown = samples.describe(result, predictor, photoset, wanted)
    return [
        {"title": group.title, "text": group.text, "samples": [shown[i] for i in group.indices]} for group in groups
    ]


def figures(result: Result) -> list[dict[str, object]]:
    """The large figures at the top: those of the headline, then the model's others."""
    model = result.model
    found = [
        *headlines.figures(result),
        (samples.km_words(model.value(MEDIAN)), "median distance from the truth"),
        (f"{100 * model.value(COUNTRY):.1f} %", "in the right country"),
        (f"{model.value(GEOSCORE):,.0f}", "GeoScore, of 5,000"),
    ]
    return [{"value": value, "what": what, "model": index == 0} for index, (value, what) in enumerate(found)]
