"""A partition on disk: one Parquet file, whose columns and thresholds must agree with each other.

The thresholds, totals and the turn are JSON under the schema's metadata key ``openplanet``. C cells.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from openplanet import storage
from openplanet.earth import geo, places, s2
from openplanet.earth.partition.count_tree import Thresholds
from openplanet.errors import InputError, PartitionError
from openplanet.stores.location import Location, location

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
            "country_code": pa.string(),
            "country": pa.string(),
            "region": pa.string(),
            "city": pa.string(),
        }.items()
    ]
)
WHOLE_NUMBERS = ("max_photos", "min_photos", "max_level", "total_photos", "dropped_photos", "dropped_cells")
METADATA_KEY = b"openplanet"
MOST_CELLS = 1 << 24
"""A partition of so many is damaged, or meant to fill the memory: the paper has 26,263."""


def write(path: Location, columns: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Write atomically; the same partition gives the same bytes."""
    table = pa.table(dict(columns), schema=SCHEMA.with_metadata({METADATA_KEY: json.dumps(facts).encode()}))
    with storage.atomic_path(location(path)) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)


def is_partition(path: Location) -> bool:
    """Whether the file says of itself that it is a partition; whether it is whole, ``read`` finds out."""
    try:
        with storage.open_input(path) as opened:
            return METADATA_KEY in (pq.read_schema(opened).metadata or {})
    except (OSError, pa.ArrowException):
        return False


def read(path: Location) -> dict[str, Any]:
    """All fields of the partition that ``write`` wrote. A file from before the column country_code gets it from the
    cities.

    Raises PartitionError, naming the file, where it is missing, damaged, or no partition.
    """
    path = location(path)
    try:
        with storage.open_input(path) as opened, pq.ParquetFile(opened, page_checksum_verification=True) as file:
            if file.metadata.num_rows > MOST_CELLS:
                raise ValueError(f"it has {file.metadata.num_rows:,} rows")
            table = file.read()
        _check_schema(table.schema)
        columns, facts = _columns(table), _facts(table.schema)
        _check(columns, facts)
        if "country_code" not in columns:
            columns["country_code"] = _country_codes(columns)
    except FileNotFoundError as error:
        raise PartitionError(f"{path} does not exist; make it with: openplanet partition") from error
    except (pa.ArrowException, OSError, ValueError, InputError, PartitionError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PartitionError(
            f"{path} is no partition, or is damaged ({reason}); make it again with: openplanet partition"
        ) from error
    return {name: columns[name] for name in columns if name not in ("cell_token", "level")} | facts


def _check_schema(schema: pa.Schema) -> None:
    for field in SCHEMA:
        if field.name not in schema.names:
            if field.name == "country_code":
                continue
            raise ValueError(f"it has no column {field.name}")
        if schema.field(field.name).type != field.type:
            raise ValueError(f"column {field.name} is {schema.field(field.name).type}, not {field.type}")
    if METADATA_KEY not in (schema.metadata or {}):
        raise ValueError("its thresholds are missing")


def _facts(schema: pa.Schema) -> dict[str, Any]:
    facts = storage.parse_json(schema.metadata[METADATA_KEY])
    if not isinstance(facts, dict) or any(type(facts.get(name)) is not int for name in WHOLE_NUMBERS):
        raise ValueError("its thresholds are not whole numbers")
    area, turn = facts.get("dropped_area_km2", 0.0), facts.get("turn", list(geo.NO_TURN))
    if not isinstance(area, float) or not 0 <= area < math.inf:
        raise ValueError("dropped_area_km2 is no area")
    if not isinstance(turn, list) or [type(part) for part in turn] != [float] * 4:
        raise ValueError("its turn is not four numbers")
    if not abs(math.hypot(*turn) - 1) < 1e-9:
        raise ValueError("its turn is not of length 1")
    whole = {name: facts[name] for name in WHOLE_NUMBERS}
    return whole | {"dropped_area_km2": area, "turn": tuple(turn)}


def _columns(table: pa.Table) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name in SCHEMA.names:
        if name not in table.column_names:
            continue
        column = table[name]
        if column.null_count:
            raise ValueError(f"column {name} has empty values")
        # not by to_numpy, which imports pandas where there is one: half a second of the first answer
        text = column.type == pa.string()
        columns[name] = tuple(column.to_pylist()) if text else np.array(np.from_dlpack(column.combine_chunks()))
    return columns


def _country_codes(columns: Mapping[str, Any]) -> tuple[str, ...]:
    """From where the names came too; the names themselves may have changed since."""
    found = places.nearest(columns["centroid_lat"], columns["centroid_lng"])
    return tuple(place.country_code for place in found)


def _check(columns: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Raise ValueError (or InputError) where the columns and the thresholds do not agree with each other."""
    cell_id, count, level = columns["cell_id"], columns["count"], columns["level"]
    if len(cell_id) == 0:
        raise ValueError("it has no cell")
    if not s2.is_valid(cell_id).all():
        raise ValueError("a cell_id is no S2 cell")
    if (s2.range_min(cell_id[1:]) <= s2.range_max(cell_id[:-1])).any():
        raise ValueError("its cells are not in ascending order, or overlap")
    if list(columns["cell_token"]) != s2.to_token(cell_id):
        raise ValueError("cell_token and cell_id do not agree")
    if not np.array_equal(level, s2.level_of(cell_id)):
        raise ValueError("level and cell_id do not agree")
    geo.check_coordinates(columns["lat"], columns["lng"], "lat, lng")
    geo.check_coordinates(columns["centroid_lat"], columns["centroid_lng"], "centroid_lat, centroid_lng")
    if not (columns["area_km2"] > 0).all():
        raise ValueError("a cell has no area")
    rule = Thresholds(facts["max_photos"], facts["min_photos"], facts["max_level"])
    too_full = (count > rule.max_photos) & (level < rule.max_level)
    if (count < rule.min_photos).any() or too_full.any():
        raise ValueError("a cell's count is outside its thresholds")
    if int(count.sum()) + facts["dropped_photos"] != facts["total_photos"]:
        raise ValueError("the counts do not add up to the total")
