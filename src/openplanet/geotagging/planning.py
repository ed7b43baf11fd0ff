"""The plan: a row for each photo without a position, and nothing written to any photo."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openplanet.earth import places
from openplanet.errors import InputError
from openplanet.geotagging.items import Item, camera_of, read_library
from openplanet.geotagging.pictures import Pictures
from openplanet.geotagging.placing import Fetch, Placed, Windows, place, source_of, within
from openplanet.geotagging.review import make_thumbnails, write_page
from openplanet.geotagging.run import About, Candidate, Photo, Row, Run, new_id
from openplanet.geotagging.service import Service
from openplanet.inference.between import Anchored
from openplanet.inference.place_tree import CellPlace, Level
from openplanet.inference.prediction import NO_EVIDENCE, Prediction
from openplanet.models import hub
from openplanet.models.regions import WITHIN_KM
from openplanet.photos.albums.tracks import Tracks
from openplanet.progress import say
from openplanet.storage import sha256_of

if TYPE_CHECKING:  # torch, without which given positions and tracks place photos
    from openplanet.inference.album_predictor import AlbumPredictor

CANDIDATES = 5


@dataclass(frozen=True)
class Options:
    """What a plan goes by. ``gpx``: track files; ``timezone``: of clocks without an offset, for tracks."""

    windows: Windows = field(default_factory=Windows)
    gpx: tuple[Path, ...] = ()
    timezone: str | None = None
    overwrite_own: bool = False


def plan_files(
    paths: Sequence[Path],
    out: Path,
    checkpoint: Path | str | None,
    options: Options = Options(),
) -> Run:
    """Plan for the photos of folders, and write the run to ``out``. ``checkpoint``: None: anchors and tracks alone."""
    check_out(out)
    items = read_library(paths, out, options.overwrite_own)
    roots = tuple(str(path.absolute()) for path in paths)
    return plan_items(items, out, "files", roots, checkpoint, options)


def plan_server(address: str, out: Path, checkpoint: Path | str | None, options: Options, service: Service) -> Run:
    """Plan for the photos of a server, and write the run to ``out``."""
    check_out(out)
    pictures = Pictures(service, out, options.overwrite_own)
    items = pictures.items()
    return plan_items(items, out, service.kind, (address,), checkpoint, options, pictures.fetch)


def check_out(out: Path) -> None:
    """Raise InputError where ``out`` holds anything: a plan may have decisions in it."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists: give the name of a new folder with --out")


def plan_items(
    items: list[Item],
    out: Path,
    kind: str,
    roots: tuple[str, ...],
    checkpoint: Path | str | None,
    options: Options,
    fetch: Fetch | None = None,
) -> Run:
    """Place the items of any library, and write the run."""
    wanted = [item for item in items if not item.located]
    asks = any(not item.left_out and not item.read.error for item in wanted)
    model = None if checkpoint is None or not asks else _load(checkpoint)
    if not wanted:
        raise InputError(f"all {len(items)} photos have a position: there is nothing to do")
    tracks = Tracks.read(options.gpx, options.timezone) if options.gpx else None
    placed = place(items, options.windows, tracks, model, fetch)
    about = About(
        run=new_id(), kind=kind, roots=roots, model={} if model is None else _model(model, checkpoint),
        options=_plain(options), created=f"{datetime.now():%Y-%m-%dT%H:%M:%S}",
    )  # fmt: skip
    run = Run(out, about, [])
    for item in wanted:
        row, candidates = row_of(item, placed.get(item.file, Placed()), options.windows, model is not None)
        run.rows.append(row)
        planned = None if row.lat is None or row.lng is None else (row.lat, row.lng)
        run.photos[item.file] = Photo(
            item.file, item.id or str(item.read.path), item.state, planned, candidates, item.thumb, item.ours
        )
    out.mkdir(parents=True, exist_ok=True)
    if kind == "files":
        make_thumbnails(run)
    write_page(run)
    run.save()
    say(summary(run, len(items)))
    return run


def row_of(item: Item, placed: Placed, windows: Windows, with_model: bool) -> tuple[Row, tuple[Candidate, ...]]:
    """The row of a photo, and what a reviewer can choose from."""
    taken_at = placed.taken_at or item.facts.taken_at
    about: dict[str, Any] = {
        "accept": "", "file": item.file, "album": placed.album or item.group.partition("\0")[0],
        "taken_at": "" if taken_at is None else taken_at.isoformat(), "camera": camera_of(item.facts),
    }  # fmt: skip
    candidates: tuple[Candidate, ...] = ()
    why = item.left_out or item.read.error or placed.error
    if why:
        return Row(**about, left_out=why), ()
    if placed.anchored is not None:
        told = _by_anchors(placed.anchored, windows)
    elif placed.prediction is not None:
        told, candidates = _by_model(placed.prediction, windows), _candidates(placed.prediction)
    else:
        reason = "" if with_model else " near it, and no model was given"
        return Row(**about, left_out=f"{NO_EVIDENCE}: no position or track{reason}"), ()
    if not told.get("country"):
        return Row(**about, left_out=NO_EVIDENCE), candidates
    return Row(**about, **told), candidates


def _by_anchors(at: Anchored, windows: Windows) -> dict[str, Any]:
    """Names no finer than the radius allows, and a point where it is likely enough to lie within 25 km."""
    place_there = places.named([at.lat], [at.lng])[0]
    level: Level = "city" if at.radius_km <= WITHIN_KM else "region"
    name = CellPlace(place_there.country, place_there.region, place_there.city, place_there.country_code)
    told = _named(name.at(level) if place_there.distance_km <= places.CITY_KM else name.at("country"))
    told |= {"source": source_of(at), "probability": within(at.radius_km)}
    if told["probability"] < windows.confidence:
        return {}
    return told | {"lat": round(at.lat, 6), "lng": round(at.lng, 6), "radius_m": round(1000 * at.radius_km)}


def _by_model(prediction: Prediction, windows: Windows) -> dict[str, Any]:
    answer = prediction.answer(windows.confidence)
    best = prediction.best_point()
    told = _named(answer.place) | {"source": "model", "probability": answer.probability}
    if answer.level is None:
        return {}
    if best.probability >= windows.confidence:
        told |= {"lat": round(best.lat, 6), "lng": round(best.lng, 6), "probability": best.probability}
        told["radius_m"] = round(1000 * best.radius_km["0.95"])
    return told


def _named(place_there: CellPlace) -> dict[str, Any]:
    return {
        "city": place_there.city, "region": place_there.region, "country": place_there.country,
        "country_code": place_there.country_code,
    }  # fmt: skip


def _candidates(prediction: Prediction) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(round(each.lat, 6), round(each.lng, 6), round(each.probability, 4), each.place.text)
        for each in prediction.top(CANDIDATES)
    )


def _load(checkpoint: Path | str) -> "AlbumPredictor":
    from openplanet.inference.album_predictor import AlbumPredictor

    return AlbumPredictor.load(checkpoint)


def _model(model: "AlbumPredictor", checkpoint: Path | str | None) -> dict[str, Any]:
    """``name`` and ``revision`` for people and GPSProcessingMethod, ``sha256`` of its config.json."""
    sha256 = sha256_of(hub.resolve(checkpoint or "") / "config.json")  # which holds those of the weights
    name = f"{model.variant}+{Path(str(checkpoint)).name}"
    return model.provenance | {"name": name, "revision": sha256[:12], "sha256": sha256}


def _plain(options: Options) -> dict[str, Any]:
    return asdict(options.windows) | {
        "gpx": [str(path) for path in options.gpx],
        "timezone": options.timezone,
        "overwrite_own": options.overwrite_own,
    }


def summary(run: Run, photos: int) -> str:
    """How many photos have what, in lines."""
    points = Counter(row.source for row in run.rows if row.lat is not None)
    names = sum(row.lat is None and row.writes for row in run.rows)
    lines = [f"{photos} photos, {photos - len(run.rows)} with a position, {len(run.rows)} without:"]
    lines += [f"  {count} {source}" for source, count in points.most_common()]
    lines += [f"  {names} with a name of a place and no point"] * bool(names)
    left = Counter(row.left_out.partition(":")[0] for row in run.rows if row.left_out)
    lines += [f"  {count} left out: {reason}" for reason, count in left.most_common()]
    return "\n".join(lines)
