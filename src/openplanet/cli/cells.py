"""The command that divides the Earth."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from openplanet.cli.base import LOCATION, PATH, Command, runner_options, show
from openplanet.errors import InputError
from openplanet.stores.location import Location

if TYPE_CHECKING:
    from openplanet.earth.partition.adaptive import Batches


@click.command(
    cls=Command,
    example="openplanet partition photos.ds --max-photos 100 --min-photos 5 --out cells.parquet\n"
    "openplanet partition photos.ds --target-cells 354,3000,26000 --out cells.parquet",
)
@click.argument("source", type=LOCATION, metavar="DATASET|COORDINATES")
@click.option("--max-photos", type=click.IntRange(1), help="Maximum photos per cell; fuller cells are split.")
@click.option("--min-photos", type=click.IntRange(1), help="Minimum photos per cell; emptier cells are dropped.")
@click.option("--target-cells", metavar="N[,N...]", help="Number of cells; chooses --max-photos to reach it.")
@click.option("--turned", default=1, type=click.IntRange(1, 16), help="Number of rotated partitions (CPlaNet).")
@click.option("--max-level", default=30, show_default=True, type=click.IntRange(0, 30), help="Finest S2 level.")
@click.option("--parts", type=PATH, metavar="FOLDER", help="Sort the positions in parts, which FOLDER keeps.")
@runner_options
@click.option("--out", required=True, type=LOCATION, help="Partition file to write (Parquet).")
@click.option("--geojson", type=LOCATION, help="Write the cells as GeoJSON.")
@click.option("--report", type=LOCATION, help="Write a self-contained HTML page with maps of the cells.")
def partition(
    source: Location,
    max_photos: int | None,
    min_photos: int | None,
    target_cells: str | None,
    turned: int,
    max_level: int,
    parts: Path | None,
    runner: str,
    shard: str | None,
    out: Location,
    geojson: Location | None,
    report: Location | None,
) -> None:
    """Divide the Earth into cells, by photo density.

    Cells are smaller where photos are denser (PlaNet, section 3). Reads the train split of a dataset, or all rows
    of a Parquet or CSV file with columns lat and lng, in constant memory (temporary files in TMPDIR take 8 bytes
    per photo).

    Give --max-photos and --min-photos, or --target-cells. With --target-cells, --min-photos defaults to 1/200 of
    the --max-photos found, the paper's ratio of 50 to 10,000.

    Several partitions in one pass: --target-cells with several numbers, coarse to fine, gives nested ones, --turned
    gives rotated ones. They are written to cells-1.parquet, cells-2.parquet and so on, likewise --geojson and
    --report. Partitions of an earlier run are replaced; other files are not.
    """
    from openplanet.earth.geojson import cells_feature_collection
    from openplanet.earth.partition.positions import pieces_of
    from openplanet.earth.partition.run_parts import build_in_parts
    from openplanet.earth.partition.several import build_set, check_files, numbered, rules_of
    from openplanet.maps.partition_page import write_report
    from openplanet.photos import positions
    from openplanet.photos.dataset import Dataset
    from openplanet.runners.job import Share
    from openplanet.storage import generator, write_json

    try:
        rules = rules_of(max_photos, min_photos, target_cells, max_level)
    except InputError as error:
        raise click.UsageError(str(error)) from error
    if parts is None and (runner != "local" or shard is not None):
        raise click.UsageError("--runner and --shard go with --parts")
    if not source.exists():
        raise InputError(f"{source} does not exist: give a dataset folder, or a Parquet or CSV file with lat and lng")
    check_files(source, out, geojson, report, len(rules) if turned == 1 else turned)
    if parts is not None:
        pieces = positions.pieces_of(Dataset.open(source)) if source.is_dir() else pieces_of(source)
        built = build_in_parts(pieces, parts, rules, turned, runner, None if shard is None else Share.parse(shard))
        if shard is not None:
            show(f"{parts}: shard {shard} is done; without --shard the cells are made")
    else:
        built = build_set(_batches(source), rules, turned)
    for number, cells in enumerate(built, 1):
        file, nested = numbered(out, number, len(built)), turned == 1 and number > 1
        cells.save(file)
        if geojson is not None:
            write_json(numbered(geojson, number, len(built)), generator("cells") | cells_feature_collection(cells))
        if report is not None:
            write_report(numbered(report, number, len(built)), cells, source.name, nested)
        levels = cells.level
        if target_cells is not None:
            show(f"found --max-photos {cells.max_photos} --min-photos {cells.min_photos}")
        dropped = (
            f"; {cells.dropped_cells:,} cells with fewer than {cells.min_photos} photos"
            f"{' or outside the coarser cells' if nested else ''} were dropped with their "
            f"{cells.dropped_photos:,} photos"
        )
        show(
            f"{file}: {len(cells):,} cells at levels {levels.min()} to {levels.max()} hold {cells.count.sum():,} of "
            f"{cells.total_photos:,} photos{dropped if cells.dropped_photos else ''}"
        )


def _batches(source: Location) -> "Batches":
    from openplanet.earth.partition.positions import from_file
    from openplanet.photos.dataset import Dataset

    if not source.is_dir():
        return from_file(source)
    data = Dataset.open(source)
    data.check_train()
    return data.coordinates("train")
