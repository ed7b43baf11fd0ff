"""The whole line in one function: it reads as the README's five commands, on a planet with known answers."""

import time
from dataclasses import replace
from pathlib import Path

from openplanet import album_recipes, recipes
from openplanet.earth.partition import adaptive
from openplanet.errors import InputError
from openplanet.evaluation.albums import evaluate_albums
from openplanet.evaluation.evaluate import evaluate
from openplanet.evaluation.report.album_figure import before_and_after
from openplanet.evaluation.report.album_section import section as album_section
from openplanet.evaluation.report.page import write_report
from openplanet.inference.finding import Names
from openplanet.inference.output import as_text
from openplanet.inference.output.about import About
from openplanet.inference.output.as_map import MapPage
from openplanet.inference.predictor import Predictor
from openplanet.photos.dataset import Dataset
from openplanet.photos.ingest.ingest import ingest, summary
from openplanet.progress import say
from openplanet.storage import write_json
from openplanet.synthetic import planet
from openplanet.training.album.fit_albums import fit_albums
from openplanet.training.fit import fit

PHOTOS_TO_LOCATE = 5


def run(out: Path, photos: int = 3000, seed: int = 0) -> str:
    """Make a synthetic planet of ``photos`` photos, learn it, and write ``out/report.html``.

    Returns the text that the command prints: the accuracy table on the test split and where the report lies.
    What an earlier run of the same planet left there is used again, a training that was stopped goes on.
    Raises InputError where ``out`` holds anything else.
    """
    start = time.monotonic()
    _check_folder(out)
    world = planet.make(out / "world", photos, seed)
    say(summary(ingest([out / "world" / "photos"], out / "dataset"), out / "dataset"))
    dataset = Dataset.open(out / "dataset")

    recipe = recipes.get("planet_cpu")
    cells = adaptive.build(dataset.coordinates("train"), recipe.max_photos, recipe.min_photos)
    cells.save(out / "partition.parquet")
    checkpoint = out / "checkpoint"
    fit(dataset, replace(recipe, seed=seed), checkpoint, partition=cells, resume=checkpoint.exists())

    predictor = Predictor.load(checkpoint)
    album_recipe, album_model = album_recipes.get("blstm"), out / "album-checkpoint"
    fit_albums(
        dataset, predictor.checkpoint, replace(album_recipe, seed=seed), album_model, resume=album_model.exists()
    )

    result = evaluate(dataset, predictor, "test", world=world)
    albums = evaluate_albums(dataset, predictor.checkpoint, "test", [album_model], world=world)
    write_json(out / "evaluation.json", result.to_dict() | {"albums": albums.to_dict()})
    sections = [album_section(albums), *filter(None, [before_and_after(albums, dataset)])]
    write_report(out / "report.html", result, predictor, dataset, "OpenPlaNet: the demo", INTRO, sections)

    say(f"locating {PHOTOS_TO_LOCATE} photos of the test split")
    test = dataset.table(["source"], split="test", located=True)["source"].to_pylist()
    files = [out / "world" / source for source in test[:: max(1, len(test) // PHOTOS_TO_LOCATE)]]
    about = About(Names(files), top=1, model=predictor.provenance)
    page = MapPage(out / "located.html", replace(about, top=5), PHOTOS_TO_LOCATE)
    answers = "".join(as_text.write(page.watch(predictor.locate_many(files[:PHOTOS_TO_LOCATE])), about))
    page.save("Located photos")
    minutes = (time.monotonic() - start) / 60
    return (
        f"{answers}\n{result.to_text()}\n\n{albums.to_text()}\n\n"
        f"report: {out / 'report.html'}   (photos located on a map: {out / 'located.html'}; {minutes:.1f} minutes)"
    )


def _check_folder(out: Path) -> None:
    """A demo begins with its world: where there is none, whatever else is in the folder is not a demo's."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file: give the name of a folder with --out")
    if out.is_dir() and not planet.is_planet(out / "world") and any(out.iterdir()):
        raise InputError(
            f"{out} is not empty and was not made by the demo: give another folder with --out, or empty it"
        )


INTRO = (
    "This planet is synthetic: its photos are drawn from known statistics, so the table can show the exact Bayes "
    "limit, the best possible accuracy. The demo shows that the pipeline works; docs/results.md has the accuracy on "
    "real photos."
)
