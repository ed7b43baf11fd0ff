"""How well geotag fills in positions that are hidden from it, by source, beside the neighbour in time alone.

    python benchmarks/geotagging.py --photos ../shared/photos --dataset photos.ds --checkpoint travel --work /tmp/geotag

Copies of real photos get Exif (time where it is known, position unless it is hidden); then plan, apply all rows of at
least 50 %, read the sidecars by exiftool, undo. Two libraries: photos of the albums that the checkpoint was not trained
on (test and val splits of --dataset; few have times), and all photos with times, in which every third of one walker is
a point of his GPX track instead. Radii were fitted on the albums of one half; what they hold is told for the other too.
"""

import argparse
import csv
import hashlib
import shutil
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path

import numpy as np

from openplanet import geotagging
from openplanet.earth.geo import distance_km
from openplanet.geotagging.exiftool import ExifTool
from openplanet.geotagging.planning import Options
from openplanet.geotagging.run import Run
from openplanet.geotagging.tags import READ
from openplanet.inference.between import CLOSE_KM, by_anchors
from openplanet.models.regions import WITHIN_KM
from openplanet.photos.albums import zones
from openplanet.photos.dataset import Dataset
from openplanet.progress import on_terminal

HIDDEN = (
    ("half of each album", 0.5, False),
    ("90 % of each album", 0.9, False),
    ("half of the albums, whole", 0.5, True),
)

NO_TIME = time()  # midnight to the second: the day alone is known
WALKER = ("Maurice van Creij", "WoollyMittens")  # one person's two names


@dataclass(frozen=True)
class Shot:
    """A photo with its truth; ``half``: of the albums, 1 was not fitted on."""

    source: Path
    name: str  # ALBUM/NUMBER.jpg
    album: str
    lat: float
    lng: float
    time: datetime | None
    half: int
    owner: str


def shots(photos: Path) -> dict[str, Shot]:
    """All real photos by the path in their table."""
    found, count = {}, defaultdict[str, int](int)
    with (photos / "photos.csv").open(encoding="utf-8") as file:
        for row in sorted(csv.DictReader(file), key=lambda row: (row["album"], int(row["album_order"] or 0))):
            album = "".join(letter if letter.isalnum() else "-" for letter in row["album"])
            count[album] += 1
            half = len(count) % 2
            taken = datetime.fromisoformat(row["taken_at"]) if row["taken_at"] else None
            name = f"{album}/{count[album]:04d}.jpg"
            found[row["file"]] = Shot(
                photos / row["file"], name, album, float(row["lat"]), float(row["lng"]), taken, half, row["owner"]
            )
    return found


def make_library(folder: Path, some: list[Shot], hidden: set[str], tool: ExifTool, work: Path) -> None:
    """Copies with Exif."""
    for shot in some:
        tags = {"EXIF:Make": "Maker"}
        if shot.time is not None:
            tags["EXIF:DateTimeOriginal"] = f"{shot.time:%Y:%m:%d %H:%M:%S}"
        if shot.name not in hidden:
            tags |= {
                "GPS:GPSLatitude": f"{abs(shot.lat):.7f}", "GPS:GPSLatitudeRef": "N" if shot.lat >= 0 else "S",
                "GPS:GPSLongitude": f"{abs(shot.lng):.7f}", "GPS:GPSLongitudeRef": "E" if shot.lng >= 0 else "W",
            }  # fmt: skip
        link = work / "in.jpg"
        link.unlink(missing_ok=True)
        link.symlink_to(shot.source.resolve())
        tool.write(link, work / "out.jpg", tags)
        (folder / shot.name).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(work / "out.jpg", folder / shot.name)


def hide(some: list[Shot], share: float, whole: bool, seed: int) -> set[str]:
    """Names of the photos whose positions are hidden."""
    draw = np.random.default_rng(seed)
    albums = sorted({shot.album for shot in some})
    if whole:
        chosen = set(draw.permutation(albums)[: round(share * len(albums))].tolist())
        return {shot.name for shot in some if shot.album in chosen}
    hidden = set[str]()
    for album in albums:
        names = [shot.name for shot in some if shot.album == album]
        hidden |= set(draw.permutation(names)[: round(share * len(names))].tolist())
    return hidden


def write_gpx(path: Path, some: list[Shot]) -> None:
    """A track of where and when photos were taken."""
    points = []
    for shot in some:
        assert shot.time is not None
        offset = zones.offset_minutes(zones.zone_at(shot.lat, shot.lng), shot.time) or 0
        points.append((shot.time - timedelta(minutes=offset), shot.lat, shot.lng))
    text = "".join(
        f'<trkpt lat="{lat}" lon="{lng}"><time>{time.isoformat()}Z</time></trkpt>\n'
        for time, lat, lng in sorted(points)
    )
    path.write_text(f'<gpx xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{text}</trkseg></trk></gpx>')


def neighbour(some: list[Shot], hidden: set[str]) -> dict[str, tuple[float, float]]:
    """The position of the photo of the same album nearest in time (within 36 hours); by order where there is none."""
    found = {}
    for album in {shot.album for shot in some}:
        members = [shot for shot in some if shot.album == album]
        known = [(k, shot) for k, shot in enumerate(members) if shot.name not in hidden]
        for place, shot in enumerate(members):
            if shot.name not in hidden:
                continue
            now = shot.time
            if now is not None:
                near = [
                    (abs((other.time - now).total_seconds()), other) for _, other in known if other.time is not None
                ]
                near = [each for each in near if each[0] <= 36 * 3600]
            else:
                near = [(abs(k - place), other) for k, other in known if other.time is None]
            if near:
                best = min(near, key=lambda each: each[0])[1]
                found[shot.name] = (best.lat, best.lng)
    return found


def tree(folder: Path) -> dict[str, str]:
    """SHA-256 by name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*") if path.is_file()
    }  # fmt: skip


def line(label: str, count: int, errors: list[float], held: list[tuple[bool, int]]) -> str:
    """A row of the table."""
    if not errors:
        return f"| {label} | 0 | | | | |"
    cover = f"{np.mean([inside for inside, _ in held]):.0%}" if held else ""
    fresh = [inside for inside, half in held if half == 1]
    other = f"{np.mean(fresh):.0%} of {len(fresh)}" if fresh else ""
    off = f"{np.median(errors):.2f} | {np.quantile(errors, 0.9):.2f}"
    return f"| {label} | {len(errors) / count:.0%} | {off} | {cover} | {other} |"


def measure(name: str, some: list[Shot], gpx: Path | None, checkpoint: Path | None, work: Path, seed: int) -> None:
    """Print the tables of a library."""
    truth = {shot.name: shot for shot in some}
    for what, share, whole in HIDDEN:
        folder, run = work / "library", work / "run"
        for old in (folder, run):
            shutil.rmtree(old, ignore_errors=True)
        hidden = hide(some, share, whole, seed)
        with ExifTool(work / "tool") as tool:
            make_library(folder, some, hidden, tool, work)
        before = tree(folder)
        geotagging.plan([folder], run, checkpoint, Options(gpx=() if gpx is None else (gpx,)))
        outcome = geotagging.apply(run, least=0.5)
        by: dict[str, list[tuple[str, float, bool, int]]] = defaultdict(list)
        moved = sum(before[each] != now for each, now in tree(folder).items() if each in before)
        rows = {row.file: row for row in Run.open(run).rows}
        with ExifTool(work / "tool") as tool:
            for file in outcome.done:
                row, shot = rows[file], truth[file.partition("/")[2]]
                told = tool.read([Path(f"{folder / shot.name}.xmp")], READ)[0]
                if "XMP-exif:GPSLatitude" not in told:
                    by["names alone"].append((shot.name, float("nan"), False, shot.half))
                    continue
                km = float(distance_km(shot.lat, shot.lng, told["XMP-exif:GPSLatitude"], told["XMP-exif:GPSLongitude"]))
                inside = km <= told["XMP-exif:GPSHPositioningError"] / 1000
                by[row.source].append((shot.name, km, inside, shot.half))
        undone = geotagging.undo(run)
        after = tree(folder)
        left = {name for name in after.keys() | before.keys() if after.get(name) != before.get(name)}
        print(f"\n{name}: {what}: {len(hidden)} of {len(some)} positions hidden\n")
        print("| source | placed | median km | 90 % km | radius holds | of unseen albums |\n|---|---|---|---|---|---|")
        everything = [each for source, found in by.items() if source != "names alone" for each in found]
        for source, found in [*sorted(by.items()), ("all", everything)]:
            known = [] if source == "names alone" else found
            print(
                line(
                    source, len(hidden), [km for _, km, _, _ in known], [(inside, half) for _, _, inside, half in known]
                )
            )
        if by["names alone"]:
            print(f"\nnames without a point: {len(by['names alone'])}")
        at = neighbour(some, hidden)
        off = [float(distance_km(truth[n].lat, truth[n].lng, *at[n])) for n in at]
        print(line("neighbour in time alone", len(hidden), off, []))
        alike = [float(distance_km(truth[n].lat, truth[n].lng, *at[n])) for n, *_ in everything if n in at]
        print(line("the same, of the photos that geotag placed", len(hidden), alike, []))
        print(
            f"\nfiles of photos changed: {moved}; skipped: {len(outcome.skipped)}; put back: {len(undone.done)}; "
            f"other than before after undo: {len(left)}",
            flush=True,
        )


def certainty(every: list[Shot]) -> None:
    """How many of the photos that anchors place lie within 25 km, beside what radii say: all albums, no files."""
    said = defaultdict[tuple[str, bool, bool], list[tuple[float, bool]]](list)
    albums = defaultdict[tuple[str, bool], list[Shot]](list)
    for shot in every:
        albums[shot.album, shot.time is not None].append(shot)
    for share, seed in ((share, seed) for share in (0.5, 0.9) for seed in range(3)):
        draw = np.random.default_rng(seed)
        for (_, timed), shots_T in albums.items():
            if timed:
                shots_T.sort(key=lambda shot: shot.time or datetime.min)
            lat_T, lng_T = (np.array([getattr(shot, name) for shot in shots_T]) for name in ("lat", "lng"))
            seconds_T = np.array([shot.time.timestamp() if shot.time else np.nan for shot in shots_T])
            known_T = np.ones(len(shots_T), bool)
            known_T[draw.permutation(len(shots_T))[: round(share * len(shots_T))]] = False
            for t, at in enumerate(by_anchors(lat_T, lng_T, seconds_T, known_T, CLOSE_KM)):
                if at is not None and not known_T[t]:
                    sure = 1 - 0.05 ** ((WITHIN_KM / at.radius_km) ** 2)  # placing.within, without its bound
                    there = bool(distance_km(lat_T[t], lng_T[t], at.lat, at.lng) <= WITHIN_KM)
                    said[at.kind, at.hours is not None, sure >= 0.999].append((sure, there))
    print("| by | radius says | photos | said | within 25 km |\n|---|---|---|---|---|")
    for (kind, in_time, certain), found in sorted(said.items()):
        told, got = np.mean(found, axis=0)
        how = f"{kind} in {'time' if in_time else 'order'}"
        print(f"| {how} | {'99.9 % or more' if certain else 'less'} | {len(found)} | {told:.2%} | {got:.2%} |")


def main() -> None:
    """Both libraries, or (``--library none``) how sure anchors may be."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--library", choices=("both", "times", "unseen", "none"), default="both")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    every = shots(asked.photos)
    if asked.library == "none":
        return certainty(list(every.values()))
    fresh = set[str]()
    for split in ("val", "test"):
        fresh |= {
            Path(source).name for source in Dataset.open(asked.dataset).table(["source"], split)["source"].to_pylist()
        }
    unseen = [shot for file, shot in every.items() if Path(file).name in fresh]
    timed = [shot for shot in every.values() if shot.time is not None]
    recorded = [shot for shot in timed if shot.owner in WALKER and shot.time and shot.time.time() != NO_TIME][::3]
    write_gpx(asked.work / "track.gpx", recorded)
    with on_terminal():
        if asked.library != "unseen":
            left = [shot for shot in timed if shot not in recorded]
            measure("photos with times", left, asked.work / "track.gpx", None, asked.work, asked.seed)
        if asked.library != "times":
            measure("unseen albums", unseen, None, asked.checkpoint, asked.work, asked.seed)


if __name__ == "__main__":
    main()
