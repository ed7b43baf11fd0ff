"""One table for one set: the model between what it has to beat and what nobody can beat.

Shapes: N photos, M training photos, K guesses per photo.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openplanet.errors import DatasetError
from openplanet.evaluation import baselines, metrics
from openplanet.evaluation.bayes import limit_of
from openplanet.evaluation.metrics import TOP_K
from openplanet.evaluation.result import BAYES, MODEL, NEAREST, PRIOR, Evaluation, Row, Truth
from openplanet.inference.predictor import Predictor
from openplanet.photos.shards import Dataset
from openplanet.progress import track

Floats = NDArray[np.float64]

NEAREST_MOST_TRAIN = 20_000  # training photos that nearest neighbour looks through: about 160 MB of features


def evaluate(
    dataset: Dataset,
    predictor: Predictor,
    split: str = "test",
    world: Path | None = None,
    extra_distances: Sequence[float] = (),
) -> Evaluation:
    """Measure ``predictor`` on the located photos of a split, beside the prior and nearest neighbours.

    ``world`` (the folder of the synthetic planet) adds the Bayes limit; ``extra_distances`` in km join the
    standard ones. The baselines are fitted on the dataset's train split. Raises DatasetError where the split
    has no photo with a position.
    """
    truth = read_truth(dataset, split)
    distances_km = tuple(sorted({*metrics.DISTANCES_KM, *map(float, extra_distances)}))
    train = read_truth(dataset, "train", needed=False)
    kept = _spread(len(train.lat), NEAREST_MOST_TRAIN)

    def row(name: str, what: str, guesses: tuple[Floats, Floats]) -> Row:
        return Row(name, what, *guesses, metrics.summarise(*guesses, truth.lat, truth.lng, distances_km))

    partition = predictor.partition
    rows = [
        row(
            PRIOR,
            WHAT[PRIOR],
            baselines.prior_guesses(partition, train.lat, train.lng, len(truth.lat), TOP_K),
        )
    ]
    if len(kept) and split != "train":
        guesses = nearest_neighbours(dataset, split, kept, train, len(truth.lat))
        rows.append(row(NEAREST, WHAT[NEAREST], guesses))
    rows.append(row(MODEL, WHAT[MODEL], model_guesses(dataset, predictor, split, len(truth.lat))))
    if world is not None:
        rows.append(bayes_row(world, truth, distances_km))
    outside = int((partition.assign(truth.lat, truth.lng) < 0).sum())
    return Evaluation(
        split=split,
        truth=truth,
        distances_km=distances_km,
        outside=outside,
        cells=len(partition),
        rows=tuple(rows),
        notes=notes(rows, len(train.lat), len(kept), outside, len(partition)),
    )


WHAT = {
    PRIOR: "always the cells that hold most training photos, whatever the photo shows",
    NEAREST: "the places of the training photos that look most alike by colour, layout and edges",
    MODEL: "the trained network: the centre of gravity of the most probable cells",
    BAYES: "the best that anyone could do, for each distance by itself: from the exact posterior, which is known "
    "because the planet is synthetic (on few photos luck can carry a model above it)",
}


def read_truth(dataset: Dataset, split: str, needed: bool = True) -> Truth:
    """The located photos of a split in stored order; DatasetError where ``needed`` and there is none."""
    table = dataset.table(["photo_id", "source", "lat", "lng"], split=split, located=True)
    if needed and table.num_rows == 0:
        raise DatasetError(
            f"{dataset.path}: no photo of the {split} split has a position, so there is nothing to measure; "
            "ingest more photos (a split is cut by owner or album) or choose another split"
        )
    return Truth(
        photo_id=tuple(table["photo_id"].to_pylist()),
        source=tuple(table["source"].to_pylist()),
        lat=table["lat"].to_numpy().astype(np.float64),
        lng=table["lng"].to_numpy().astype(np.float64),
    )


def bayes_row(world: Path, truth: Truth, distances_km: Sequence[float]) -> Row:
    """The Bayes limit on the photos of the synthetic planet in folder ``world`` (or its ``world.parquet``).

    Raises InputError where no planet is there, DatasetError where a photo is not of it.
    """
    folder = world.parent if world.is_file() else world
    limit = limit_of(folder, truth.photo_id, truth.lat, truth.lng, distances_km)
    return Row(BAYES, WHAT[BAYES], limit.lat_NK, limit.lng_NK, limit.summary, per_distance=True)


def read_images(dataset: Dataset, split: str) -> Iterator[bytes]:
    """The encoded located photos of a split, in the order of ``read_truth``, a few in memory at a time."""
    for batch in dataset.batches(["image"], split=split, located=True, batch_size=256):
        yield from batch["image"].field("bytes").to_pylist()


def model_guesses(dataset: Dataset, predictor: Predictor, split: str, photos: int) -> tuple[Floats, Floats]:
    """Positions of the model's most probable cells, lat and lng [N, K]; NaN for a photo it cannot read."""
    lat_NK, lng_NK = np.full((photos, TOP_K), np.nan), np.full((photos, TOP_K), np.nan)
    located = predictor.locate_many(read_images(dataset, split))
    for row, each in enumerate(track(located, "locating", total=photos)):
        if each.prediction is not None:
            cells = each.prediction.top_cells(TOP_K)
            lat_NK[row, : len(cells)] = predictor.partition.centroid_lat[cells]
            lng_NK[row, : len(cells)] = predictor.partition.centroid_lng[cells]
    return lat_NK, lng_NK


def nearest_neighbours(
    dataset: Dataset, split: str, kept: NDArray[np.int64], train: Truth, photos: int
) -> tuple[Floats, Floats]:
    """Guesses of nearest neighbour among the ``kept`` training photos, lat and lng [N, K]."""
    wanted = set(kept.tolist())
    shown = (image for index, image in enumerate(read_images(dataset, "train")) if index in wanted)
    train_features = baselines.features(track(shown, "looking at training photos", total=len(kept)))
    asked = baselines.features(track(read_images(dataset, split), "comparing", total=photos))
    return baselines.nearest_guesses(train_features, train.lat[kept], train.lng[kept], asked, TOP_K)


def notes(rows: Sequence[Row], trained: int, kept: int, outside: int, cells: int) -> tuple[str, ...]:
    """How the table was measured, in sentences."""
    summary = next(row.summary for row in rows if row.name == MODEL)
    found = [
        f"{summary.photos:,} photos with a known position. {summary.failed:,} could not be read and count as wrong.",
        f"{outside:,} of them were taken outside all {cells:,} cells; they count like any other.",
        "Distances are great circles on a sphere of 6371.0088 km; within means at most. A guess is the mean "
        "position of the training photos of a cell; best of five takes the nearest of the five likeliest.",
        f"Country: {metrics.COUNTRY_METHOD}; near a border that can be the neighbour's.",
        "In the mean, a photo that could not be read counts as half way round the Earth.",
        *[f"{row.name}: {row.what}." for row in rows],
    ]
    if kept < trained:
        found.append(f"Nearest neighbour looked through {kept:,} of the {trained:,} training photos.")
    if NEAREST not in [row.name for row in rows]:
        found.append("No nearest neighbour: there is no train split with positions, or it is what was measured.")
    return tuple(found)


def _spread(total: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` indices below ``total``, evenly spread."""
    return np.linspace(0, total - 1, min(total, most)).astype(np.int64)
