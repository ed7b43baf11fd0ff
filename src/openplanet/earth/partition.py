"""The adaptive partition of the Earth: S2 cells with about equally many photos, the classes of the model.

Paper, section 3: start at the 6 faces, split every cell that holds more than ``max_photos``, then drop every
cell with fewer than ``min_photos``, and the photos in it.

Shapes: N photos, C cells. ``cell_index`` is 0..C-1, cells ascending by id; -1 is no cell.
"""

import json
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from openplanet import progress, storage
from openplanet.earth import geo, places, s2
from openplanet.errors import InputError, PartitionError

Ids = NDArray[np.uint64]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SCHEMA = pa.schema(
    [
        pa.field(name, kind, nullable=False)
        for name, kind in {
            "cell_token": pa.string(),
            "cell_id": pa.uint64(),
            "level": pa.int64(),
            "count": pa.int64(),
            "lat": pa.float64(),
            "lng": pa.float64(),
            "centroid_lat": pa.float64(),
            "centroid_lng": pa.float64(),
            "area_km2": pa.float64(),
            "country": pa.string(),
            "region": pa.string(),
            "city": pa.string(),
        }.items()
    ]
)
THRESHOLDS = ("max_photos", "min_photos", "max_level", "total_photos", "dropped_photos", "dropped_cells")
METADATA_KEY = b"openplanet"
CHUNK = 1 << 16  # photos whose unit vectors are in memory at a time


@dataclass(frozen=True, eq=False)
class Partition:
    """Disjoint cells, ascending by id, and what is known of each. Position in degrees, arrays [C]."""

    cell_id: Ids
    count: Ints  # photos in each
    lat: Floats  # the cell's centre
    lng: Floats
    centroid_lat: Floats  # the mean on the sphere of its photos; lies in the cell
    centroid_lng: Floats
    area_km2: Floats
    country: tuple[str, ...]  # of the city nearest to the centroid
    region: tuple[str, ...]
    city: tuple[str, ...]
    max_photos: int
    min_photos: int
    max_level: int
    total_photos: int  # all that were given: count.sum() + dropped_photos
    dropped_photos: int
    dropped_cells: int  # cells that had photos, but too few; empty cells are not counted

    def __len__(self) -> int:
        return len(self.cell_id)

    @cached_property
    def cell_token(self) -> list[str]:
        """Each cell's id in hexadecimal, for files, JSON and the browser."""
        return s2.to_token(self.cell_id)

    @cached_property
    def level(self) -> Ints:
        """Each cell's level, 0 (a face of the cube) to 30 (1 cm)."""
        return s2.level_of(self.cell_id)

    @cached_property
    def _ranges(self) -> tuple[Ids, Ids]:
        return s2.range_min(self.cell_id), s2.range_max(self.cell_id)

    def assign(self, lat_N: ArrayLike, lng_N: ArrayLike) -> Ints:
        """The cell_index int64[N] of the cell that holds each position, -1 where none does.

        Raises InputError on NaN and on coordinates out of range.
        """
        return self.assign_leaves(s2.leaf_ids(lat_N, lng_N))

    def assign_leaves(self, leaf_N: ArrayLike) -> Ints:
        """As ``assign``, for leaf cell ids."""
        leaf = np.atleast_1d(np.asarray(leaf_N, np.uint64))
        first_C, last_C = self._ranges
        index = np.searchsorted(first_C, leaf, side="right") - 1
        return np.where((index >= 0) & (leaf <= last_C[index]), index, -1).astype(np.int64)

    def save(self, path: Path) -> None:
        """Write one Parquet file, atomically; the same partition gives the same bytes.

        The thresholds and totals are JSON under the schema's metadata key ``openplanet``.
        """
        columns = {name: getattr(self, name) for name in SCHEMA.names}
        facts = json.dumps({name: getattr(self, name) for name in THRESHOLDS})
        table = pa.table(columns, schema=SCHEMA.with_metadata({METADATA_KEY: facts.encode()}))
        with storage.atomic_path(Path(path)) as temporary:
            pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)

    @staticmethod
    def load(path: Path) -> "Partition":
        """Read what ``save`` wrote.

        Raises PartitionError, naming the file, where it is missing, damaged, or no partition.
        """
        path = Path(path)
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                table = file.read()
            _check_schema(table.schema)
            partition = Partition(**_columns(table), **_thresholds(table.schema))
            _check(partition, table)
        except FileNotFoundError as error:
            raise PartitionError(f"{path} does not exist; make it with: openplanet partition") from error
        except (pa.ArrowException, OSError, ValueError, InputError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise PartitionError(
                f"{path} is no partition, or is damaged ({reason}); make it again with: openplanet partition"
            ) from error
        return partition


def _check_schema(schema: pa.Schema) -> None:
    for field in SCHEMA:
        if field.name not in schema.names:
            raise ValueError(f"it has no column {field.name}")
        if schema.field(field.name).type != field.type:
            raise ValueError(f"column {field.name} is {schema.field(field.name).type}, not {field.type}")
    if METADATA_KEY not in (schema.metadata or {}):
        raise ValueError("its thresholds are missing")


def _thresholds(schema: pa.Schema) -> dict[str, Any]:
    facts = json.loads(schema.metadata[METADATA_KEY])
    if not isinstance(facts, dict) or any(not isinstance(facts.get(name), int) for name in THRESHOLDS):
        raise ValueError("its thresholds are not whole numbers")
    return {name: facts[name] for name in THRESHOLDS}


def _columns(table: pa.Table) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name in SCHEMA.names:
        column = table[name]
        if column.null_count:
            raise ValueError(f"column {name} has empty values")
        if name in ("cell_token", "level"):  # follow from cell_id; compared in _check
            continue
        columns[name] = tuple(column.to_pylist()) if column.type == pa.string() else column.to_numpy()
    return columns


def _check(partition: Partition, table: pa.Table) -> None:
    """Raise ValueError (or InputError) where the columns and the thresholds do not agree with each other."""
    if len(partition) == 0:
        raise ValueError("it has no cell")
    if not s2.is_valid(partition.cell_id).all():
        raise ValueError("a cell_id is no S2 cell")
    if (s2.range_min(partition.cell_id[1:]) <= s2.range_max(partition.cell_id[:-1])).any():
        raise ValueError("its cells are not in ascending order, or overlap")
    if table["cell_token"].to_pylist() != partition.cell_token:
        raise ValueError("cell_token and cell_id do not agree")
    if table["level"].to_pylist() != partition.level.tolist():
        raise ValueError("level and cell_id do not agree")
    geo.check_coordinates(partition.lat, partition.lng, "lat, lng")
    geo.check_coordinates(partition.centroid_lat, partition.centroid_lng, "centroid_lat, centroid_lng")
    if not (partition.area_km2 > 0).all():
        raise ValueError("a cell has no area")
    _check_thresholds(partition.max_photos, partition.min_photos, partition.max_level)
    too_full = (partition.count > partition.max_photos) & (partition.level < partition.max_level)
    if (partition.count < partition.min_photos).any() or too_full.any():
        raise ValueError("a cell's count is outside its thresholds")
    if int(partition.count.sum()) + partition.dropped_photos != partition.total_photos:
        raise ValueError("the counts do not add up to the total")


def build(
    batches: Iterable[tuple[ArrayLike, ArrayLike]], max_photos: int, min_photos: int, max_level: int = 30
) -> Partition:
    """The partition of photos whose positions come in batches (lat_N, lng_N), by the paper's rule.

    Holds 8 bytes for each photo. The order of the photos and how they are cut into batches do not matter: the
    result is the same to the last bit. A cell of ``max_level`` may hold more than ``max_photos``.
    Raises InputError on NaN or coordinates out of range, PartitionError for thresholds that make no sense,
    for no photos and where no cell is left.
    """
    _check_thresholds(max_photos, min_photos, max_level)
    leaf_N = _sorted_leaves(batches)
    if len(leaf_N) == 0:
        raise PartitionError("there are no photos with a position to make a partition from; give some")
    cell_id, start = _split(leaf_N, max_photos, max_level)
    count = np.diff(np.append(start, len(leaf_N)))
    kept = count >= min_photos
    if not kept.any():
        raise PartitionError(
            f"none of the {len(cell_id)} cells holds min_photos={min_photos} of the {len(leaf_N)} photos "
            f"(the fullest has {count.max()}); lower min_photos"
        )
    lat, lng = s2.center(cell_id[kept])
    centroid_lat, centroid_lng = _centroids(leaf_N, cell_id[kept], start[kept], count[kept])
    found = places.nearest(centroid_lat, centroid_lng)
    return Partition(
        cell_id=cell_id[kept],
        count=count[kept],
        lat=lat,
        lng=lng,
        centroid_lat=centroid_lat,
        centroid_lng=centroid_lng,
        area_km2=s2.area_km2(cell_id[kept]),
        country=tuple(place.country for place in found),
        region=tuple(place.region for place in found),
        city=tuple(place.city for place in found),
        max_photos=int(max_photos),
        min_photos=int(min_photos),
        max_level=int(max_level),
        total_photos=len(leaf_N),
        dropped_photos=int(count[~kept].sum()),
        dropped_cells=int((~kept).sum()),
    )


def build_from_file(path: Path, max_photos: int, min_photos: int, max_level: int = 30) -> Partition:
    """``build`` for all rows of a Parquet file with columns lat and lng; raises as both of its parts do."""
    return build(coordinates_from_parquet(path), max_photos, min_photos, max_level)


def coordinates_from_parquet(path: Path, batch_size: int = 1 << 16) -> Iterator[tuple[Floats, Floats]]:
    """Stream (lat_N, lng_N) from any Parquet file with such columns, reading no other.

    Rows where either is null have no position: they are left out, and their number is said at the end. NaN
    and values out of range are errors of the file: InputError names it and the row (from 0), as it does for a
    file that is missing, damaged or without the columns.
    """
    path = Path(path)
    row = without = 0
    try:
        with pq.ParquetFile(path) as file:
            missing = [name for name in ("lat", "lng") if name not in file.schema_arrow.names]
            if missing:
                raise InputError(f"{path} has no column {' and no '.join(missing)} (degrees); add it")
            for batch in file.iter_batches(batch_size, columns=["lat", "lng"]):
                lat, lng = (batch.column(name).cast(pa.float64()) for name in ("lat", "lng"))
                known = lat.is_valid().to_numpy(False) & lng.is_valid().to_numpy(False)
                lat_N, lng_N = (np.where(known, column.to_numpy(False), 0.0) for column in (lat, lng))
                geo.check_coordinates(lat_N, lng_N, str(path), first_row=row)
                row += len(known)
                without += int((~known).sum())
                yield lat_N[known], lng_N[known]
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {' '.join(str(error).split())}") from error
    if without:
        progress.say(f"{path}: {without} of {row} rows have no position and are left out")


def _check_thresholds(max_photos: int, min_photos: int, max_level: int) -> None:
    if max_photos < 1:
        raise PartitionError(f"max_photos={max_photos}: a cell is split when it holds more; give 1 or more")
    if min_photos < 1:
        raise PartitionError(f"min_photos={min_photos}: no cell is learned without photos; give 1 or more")
    if min_photos > max_photos:
        raise PartitionError(
            f"min_photos={min_photos} is above max_photos={max_photos}: every cell would be dropped; lower it"
        )
    if not 0 <= max_level <= s2.MAX_LEVEL:
        raise PartitionError(f"max_level={max_level}: S2 has levels 0 to {s2.MAX_LEVEL}")


def _sorted_leaves(batches: Iterable[tuple[ArrayLike, ArrayLike]]) -> Ids:
    """The leaf ids of all photos, ascending. One buffer, sorted in place: 8 bytes a photo."""
    leaves = array("Q")  # grows by realloc, which moves the pages of a large block and does not copy them
    for number, (lat_N, lng_N) in enumerate(batches):
        geo.check_coordinates(lat_N, lng_N, f"batch {number} of coordinates")
        leaves.frombytes(s2.leaf_ids(lat_N, lng_N).tobytes())
    leaf_N = np.frombuffer(leaves, np.uint64)
    leaf_N.sort()
    return leaf_N


def _split(leaf_N: Ids, max_photos: int, max_level: int) -> tuple[Ids, Ints]:
    """Cells that hold photos and are not to be split, ascending, and where the photos of each start."""
    final_cells, final_starts = [], []
    cells = s2.face_cells()
    for level in range(max_level + 1):
        start = np.searchsorted(leaf_N, s2.range_min(cells))
        count = np.searchsorted(leaf_N, s2.range_max(cells), side="right") - start
        split = (count > max_photos) & (level < max_level)
        final = (count > 0) & ~split
        final_cells.append(cells[final])
        final_starts.append(start[final])
        cells = s2.children(cells[split]).ravel()
        if len(cells) == 0:
            break
    cell_id, start = np.concatenate(final_cells), np.concatenate(final_starts)
    order = np.argsort(cell_id)
    return cell_id[order], start[order].astype(np.int64)


def _centroids(leaf_N: Ids, cell_id: Ids, start: Ints, count: Ints) -> tuple[Floats, Floats]:
    """Mean positions of each cell's photos leaf_N[start : start + count], taken as their leaves' centres.

    They cannot cancel out: a cell lies within one face, which spans less than a hemisphere. Summed as offsets
    from the cell's centre, so that rounding is small beside the cell and the mean stays in it. Chunks start
    at fixed places in the sorted leaves, so that the sums round the same way however the photos came.
    """
    middle_C3 = s2.center_xyz(cell_id)
    offset_C3 = np.zeros_like(middle_C3)
    for low in range(0, len(leaf_N), CHUNK):
        position = np.arange(low, min(low + CHUNK, len(leaf_N)))
        cell = np.searchsorted(start, position, side="right") - 1
        inside = (cell >= 0) & (position < start[cell] + count[cell])
        cell = cell[inside]
        offset = s2.center_xyz(leaf_N[position[inside]]) - middle_C3[cell]
        for axis in range(3):
            offset_C3[:, axis] += np.bincount(cell, weights=offset[:, axis], minlength=len(start))
    return geo.from_xyz(middle_C3 + offset_C3 / count[:, None])
