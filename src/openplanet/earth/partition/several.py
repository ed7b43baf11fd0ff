"""Several partitions asked for at once: coarse to fine and nested, or of turned spheres; a file for each."""

from collections.abc import Sequence
from itertools import pairwise

from openplanet.earth.partition import file
from openplanet.earth.partition.adaptive import Batches, Partition, build_many
from openplanet.earth.partition.combinatorial import build_turned, random_turns
from openplanet.earth.partition.count_tree import TargetCells, Thresholds
from openplanet.errors import InputError
from openplanet.storage import Kind, check_outputs, html_page, json_file
from openplanet.stores.location import Location


def rules_of(
    max_photos: int | None, min_photos: int | None, target_cells: str | None, max_level: int
) -> list[Thresholds | TargetCells]:
    """The rule for each partition: thresholds for one, or numbers of cells ("354,3000,26000") from coarse to fine.

    Raises InputError where neither or both are given, and where the numbers do not grow.
    """
    if target_cells is None and max_photos is not None and min_photos is not None:
        return [Thresholds(max_photos, min_photos, max_level)]
    if target_cells is None or max_photos is not None:
        raise InputError("give --max-photos and --min-photos, or --target-cells")
    try:
        cells = [int(part) for part in target_cells.split(",")]
    except ValueError:
        cells = [0]
    if cells[0] < 1 or any(coarse >= fine for coarse, fine in pairwise(cells)):
        raise InputError(f"--target-cells {target_cells!r}: give a number, or several from coarse to fine: 354,3000")
    return [TargetCells(each, min_photos, max_level) for each in cells]


def build_set(
    batches: Batches, rules: Sequence[Thresholds | TargetCells], turned: int = 1, seed: int = 0
) -> list[Partition]:
    """One partition for each rule, read once and nested; or ``turned`` ones of one rule, each of another sphere.

    The first of the turned ones is of the Earth as it is, the others lie askew (combinatorial.py). Raises
    as ``partition.build_many`` and ``combinatorial.build_turned``.
    """
    if turned > 1:
        return build_turned(batches, rules, random_turns(turned, seed))
    return build_many(batches, rules, nested=len(rules) > 1)


def numbered(path: Location, number: int, of: int) -> Location:
    """The file of partition ``number`` (from 1): ``path`` where there is one, else cells-1.parquet, cells-2.parquet."""
    return path if of == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")


PARTITION = Kind("a partition", ".parquet", file.is_partition)
CELLS, REPORT = json_file("cells"), html_page("partition")


def check_files(source: Location, out: Location, geojson: Location | None, report: Location | None, of: int) -> None:
    """Refuse, before any work, names under which ``of`` partitions and what goes with them would destroy something.

    Raises InputError where a file would take the place of the source, of another output, or of a file that is not
    of its kind. Partitions, maps and pages of an earlier run are replaced.
    """
    asked = [(path, kind) for path, kind in ((out, PARTITION), (geojson, CELLS), (report, REPORT)) if path is not None]
    check_outputs([(numbered(path, n, of), kind) for path, kind in asked for n in range(1, of + 1)], [source])
