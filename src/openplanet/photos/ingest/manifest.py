"""What an ingest says of the dataset that it has made: counts, warnings, and how it was asked.

It lies in ``manifest.json`` beside the photos.
"""

from collections import Counter
from importlib import metadata
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from openplanet.earth.geo import distance_km
from openplanet.photos import dataset
from openplanet.photos.ingest import leak
from openplanet.photos.ingest.plan import Options, Plan
from openplanet.photos.ingest.settle import Settled
from openplanet.photos.ingest.split import how_to_divide, too_few

DISAGREE_KM = 1.0


def manifest_of(plan: Plan, options: Options, settled: Settled, described: list[dict[str, Any]]) -> dict[str, Any]:
    rows = settled.rows
    splits = _counts(rows["split"])
    disagree, near = _disagreements(rows), leak.report(rows)
    counts = {
        "candidates": plan.table.num_rows,
        "rows": rows.num_rows,
        "located": rows.num_rows - rows["lat"].null_count,
        "splits": {name: splits.get(name, 0) for name in dataset.SPLITS},
        "albums": pc.count_distinct(rows["album_id"]).as_py(),
        "owners": pc.count_distinct(rows["owner_id"], mode="only_valid").as_py(),
        "near_duplicates": splits.get("none", 0),
        "flagged": _counts(rows["flag"]),
        "positions_from": _counts(rows["position_from"]),
        "utc_offsets_from": _counts(rows["utc_offset_from"]),
        "rejected": reasons_of(plan, settled),
        "rejected_without_file": len(plan.more_rejected),  # folders, and rows of the table
        "table_and_exif_over_1_km_apart": disagree,
        "skipped_by_suffix": dict(sorted(plan.skipped.items())),
    }
    return {
        "format": dataset.FORMAT,
        "format_version": dataset.FORMAT_VERSION,
        "created_by": f"openplanet {metadata.version('openplanet')}",
        "fingerprint": plan.fingerprint,
        "options": {
            "side": options.side,
            "split_by": settled.divided.split_by,
            "albums": settled.divided.albums,
            "split_by_chosen_because": settled.divided.why,
            "keep_unlocated": options.keep_unlocated,
        },
        "counts": counts,
        "clocks": settled.clocks,
        "clocks_assumed": settled.assumed,
        "near_train": near,
        "warnings": _warnings(splits, settled, disagree) + leak.warnings(near),
        "shards": described,
    }


def _warnings(splits: dict[str, int], settled: Settled, disagree: int) -> list[str]:
    warnings, divided = [], settled.divided
    if divided.split_by == "none":
        warnings.append("all photos are in train: nothing can say how good a model of them is")
    elif empty := [name for name in ("train", "val", "test") if not splits.get(name)]:
        todo = how_to_divide(divided.split_by, divided.albums)
        warnings.append(f"no photo falls into {' and '.join(empty)}: {todo}")
    if divided.split_by != "none" and (few := _few(settled.rows, splits)):
        warnings.append(f"{few}: too few to choose a model by or to tell how good it is; add photos of more albums")
    if disagree:
        warnings.append(f"for {disagree} photos the table lies over {DISAGREE_KM:g} km from Exif; the table counts")
    warnings += [
        f"the clock of {clock['other']} seems {abs(clock['minutes']):g} minutes "
        f"{'ahead of' if clock['minutes'] > 0 else 'behind'} that of {clock['camera']}: their albums are out of order"
        for clock in settled.clocks
    ]
    return warnings


def _few(rows: pa.Table, splits: dict[str, int]) -> str:
    few = []
    for name in ("val", "test"):
        held = rows.filter(pc.equal(rows["split"], name))
        albums = pc.count_distinct(held["album_id"]).as_py()
        if splits.get(name) and (said := too_few(held.num_rows, albums)):
            few.append(f"{name} has {said}")
    return " and ".join(few)


def _disagreements(rows: pa.Table) -> int:
    both = rows.filter(pc.and_(rows["lat"].is_valid(), rows["exif_lat"].is_valid()))
    lat1, lng1, lat2, lng2 = (both[name].to_numpy() for name in ("lat", "lng", "exif_lat", "exif_lng"))
    return int((distance_km(lat1, lng1, lat2, lng2) > DISAGREE_KM).sum())


def reasons_of(plan: Plan, settled: Settled) -> dict[str, int]:
    reasons = Counter(_counts(settled.rejected["reason"]))
    reasons.update(rejection.reason for rejection in plan.more_rejected)
    return dict(sorted(reasons.items()))


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    counted = column.drop_null().value_counts().to_pylist()
    return dict(sorted((each["values"], each["counts"]) for each in counted))
