"""One table for one set: the model between what it has to beat and what nobody can beat.

Shapes: N photos, M training photos, K guesses per photo.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openplanet.errors import DatasetError
from openplanet.evaluation import baselines, metrics
from openplanet.evaluation.bayes import limit_of
from openplanet.evaluation.metrics import TOP_K
from openplanet.evaluation.result import BAYES, MODEL, NEAREST, POINTS, PRIOR, Evaluation, Row, Truth
from openplanet.inference.best_point import PointFinder
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
    rows += model_rows(dataset, predictor, split, truth, distances_km)
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
    POINTS: "the same network, asked for each distance by itself for the point with most probability within it "
    "(its median, mean, GeoScore and country are those of its likeliest cell)",
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


def model_rows(
    dataset: Dataset, predictor: Predictor, split: str, truth: Truth, distances_km: Sequence[float]
) -> list[Row]:
    """The model's two rows: its likeliest cells, and for each distance the points with most probability within it.

    A photo that cannot be read has NaN for guesses.
    """
    partition, finder = predictor.partition, PointFinder(predictor.partition)
    shape = (len(truth.lat), TOP_K)
    cells_NK2 = np.full((*shape, 2), np.nan)
    points_DNK2 = np.full((len(distances_km), *shape, 2), np.nan)
    located = predictor.locate_many(read_images(dataset, split))
    for row, each in enumerate(track(located, "locating", total=len(truth.lat))):
        if each.prediction is None:
            continue
        cells = each.prediction.top_cells(TOP_K)
        cells_NK2[row, : len(cells), 0] = partition.centroid_lat[cells]
        cells_NK2[row, : len(cells), 1] = partition.centroid_lng[cells]
        for distance, km in enumerate(distances_km):
            lat_K, lng_K, _ = finder.best_within(each.prediction.probabilities, km, TOP_K)
            points_DNK2[distance, row, : len(lat_K), 0] = lat_K
            points_DNK2[distance, row, : len(lat_K), 1] = lng_K
    summary = metrics.summarise(cells_NK2[..., 0], cells_NK2[..., 1], truth.lat, truth.lng, distances_km)
    within = [
        metrics.summarise(points_NK2[..., 0], points_NK2[..., 1], truth.lat, truth.lng, [km])
        for points_NK2, km in zip(points_DNK2, distances_km, strict=True)
    ]
    by_distance = replace(
        summary,
        within_top1=tuple(each.within_top1[0] for each in within),
        within_top5=tuple(each.within_top5[0] for each in within),
    )
    guesses = cells_NK2[..., 0], cells_NK2[..., 1]
    return [
        Row(MODEL, WHAT[MODEL], *guesses, summary),
        Row(POINTS, WHAT[POINTS], *guesses, by_distance, per_distance=True),
    ]


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
