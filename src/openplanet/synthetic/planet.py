"""The synthetic planet as files: JPEG photos with Exif in album folders, and the truth about each of them.

    out/photos/<owner>/<album>/NNN.jpg    what a person would have: pictures, GPS, capture time, camera
    out/world.parquet                     what only the maker knows: site and cues of every photo

The generative model is ``world.py``, the pictures are ``drawing.py``. The same seed gives the same bytes, whatever
the number of workers: every photo has a random stream of its own, spawned by its number.
"""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from openplanet.errors import InputError
from openplanet.progress import Progress
from openplanet.storage import atomic_path, parse_json, read_json, write_json
from openplanet.synthetic.cultures import CUES, STREET
from openplanet.synthetic.drawing import draw
from openplanet.synthetic.world import (
    SITES,
    VERSION,
    Cues,
    Photos,
    World,
    log_p_cues_given_site,
    posterior,
    sample_albums,
)

__all__ = ["World", "cues_of", "load_world", "log_p_cues_given_site", "make", "posterior", "sample_albums"]

TRUTH = "world.parquet"
UNFINISHED = "unfinished.json"  # there from the first photo to the last: such a folder is ours to go on with
CAMERAS = (("Helios", "Orrery 5"), ("Camena", "Field 20"), ("Lumen & Sons", "Traveller"), ("Kite", "K-3"))
JPEG_QUALITY = 90
CHUNK = 50


@dataclass(frozen=True)
class _Job:
    """All that a worker needs to write one photo."""

    path: Path
    cues: dict[str, str]
    lat: float
    lng: float
    taken_at: str
    offset_hours: int
    owner: int
    seed: tuple[int, ...]


def make(out: Path, photos: int = 3000, seed: int = 0, workers: int | None = None, sites: int = SITES) -> Path:
    """Write a synthetic planet of ``photos`` photos into ``out`` and return ``out``.

    A finished planet of the same parameters is left as it is, an unfinished one is completed. Raises InputError
    where ``out`` holds anything else. ``workers`` processes draw (default: as many as there are cores).
    """
    out = Path(out)
    if photos < 1:
        raise InputError(f"a synthetic planet needs at least 1 photo, not {photos}")
    wanted = {"seed": seed, "photos": photos, "sites": sites, "version": VERSION}
    if _finished(out, wanted):
        return out
    world = World.make(seed, sites)
    write_json(out / UNFINISHED, wanted)
    sample = sample_albums(world, photos, np.random.default_rng(np.random.SeedSequence([seed, VERSION, 1])))
    jobs = _jobs(out, sample, seed)
    workers = workers or os.cpu_count() or 1
    photo_ids: list[str] = []
    with Progress("synthetic planet", photos) as progress:
        for ids in _run(jobs, workers):
            photo_ids += ids
            progress.advance(len(ids))
    table = _truth(out, world, sample, jobs, photo_ids)
    described = table.replace_schema_metadata({"openplanet": json.dumps(wanted | {"world": _fingerprint(world)})})
    with atomic_path(out / TRUTH) as temporary:
        pq.write_table(described, temporary)
    (out / UNFINISHED).unlink()
    return out


def is_planet(out: Path) -> bool:
    """Whether ``out`` holds a planet made by ``make``, finished or not."""
    return (Path(out) / TRUTH).is_file() or (Path(out) / UNFINISHED).is_file()


def load_world(out: Path) -> tuple[World, pa.Table]:
    """The world of a planet made by ``make``, and its table of truth: a row for each photo.

    Raises InputError where ``out`` holds none, an unfinished one, or one of another version of the model.
    """
    path = Path(out) / TRUTH
    parameters = _parameters(path)
    if parameters is None:
        raise InputError(
            f"{path}: there is no finished synthetic planet here; make one with: openplanet synthetic FOLDER"
        )
    if parameters.get("version") != VERSION:
        raise InputError(f"{path} is of another version of the synthetic planet: delete the folder, make it again")
    world = World.make(parameters["seed"], parameters["sites"])
    if parameters["world"] != _fingerprint(world):
        raise InputError(f"{path} was made with other city data or another model: delete the folder, make it again")
    return world, pq.read_table(path)


def cues_of(table: pa.Table) -> Cues:
    """The cues [N] of rows of the table of truth, as ``posterior`` takes them; -1 where a photo does not show one."""
    cues = {}
    for name, values in CUES.items():
        index = {value: number for number, value in enumerate(values)}
        cues[name] = np.array([index.get(value, -1) for value in table[f"cue_{name}"].to_pylist()], dtype=np.int64)
    return cues


def _parameters(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        metadata = pq.read_schema(path).metadata or {}
        parameters = parse_json(metadata[b"openplanet"])
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise InputError(f"{path} is damaged or not ours ({error}): choose another folder") from error
    return dict(parameters)


def _finished(out: Path, wanted: dict[str, int]) -> bool:
    """Whether ``out`` is done; clears an unfinished planet away; refuses what is not this planet."""
    if not out.exists():
        return False
    if (out / UNFINISHED).is_file():
        if read_json(out / UNFINISHED) != wanted:
            raise InputError(f"{out} holds an unfinished synthetic planet of other parameters: delete it first")
        shutil.rmtree(out / "photos", ignore_errors=True)
        return False
    there = _parameters(out / TRUTH) if out.is_dir() else None
    if there is not None and all(there.get(key) == value for key, value in wanted.items()):
        return True
    if there is not None or not out.is_dir() or any(out.iterdir()):
        raise InputError(f"{out} is not empty and is not this synthetic planet: choose another folder or delete it")
    return False


def _fingerprint(world: World) -> str:
    """Of all that the posterior depends on; rounded, so that the last bit of a logarithm does not matter."""
    digest = hashlib.sha256(json.dumps([world.city, world.province_S.tolist()]).encode())
    for table in (world.weight_S, *(np.exp(world.log_p[name]) for name in CUES)):
        digest.update(np.round(table * 1e6).astype(np.int64).tobytes())
    return digest.hexdigest()


def _jobs(out: Path, sample: Photos, seed: int) -> list[_Job]:
    jobs = []
    for index in range(len(sample)):
        owner, album = int(sample.owner_N[index]), int(sample.album_N[index])
        taken_at, offset = sample.taken_at(index)
        name = f"{int(sample.order_N[index]) + 1:03d}.jpg"
        jobs.append(
            _Job(
                path=out / "photos" / f"owner-{owner:04d}" / f"trip-{album:04d}" / name,
                cues={
                    cue: values[sample.cues[cue][index]] for cue, values in CUES.items() if sample.cues[cue][index] >= 0
                },
                lat=float(sample.lat_N[index]),
                lng=float(sample.lng_N[index]),
                taken_at=taken_at.strftime("%Y:%m:%d %H:%M:%S"),
                offset_hours=offset,
                owner=owner,
                seed=(seed, VERSION, 2, index),
            )
        )
    return jobs


def _run(jobs: list[_Job], workers: int) -> Iterator[list[str]]:
    """SHA-256 of the written files, in the order of the jobs, a chunk at a time."""
    for folder in {job.path.parent for job in jobs}:
        folder.mkdir(parents=True, exist_ok=True)
    chunks = [jobs[start : start + CHUNK] for start in range(0, len(jobs), CHUNK)]
    if workers == 1 or len(chunks) == 1:
        yield from map(_write, chunks)
        return
    # Spawned, not forked: the caller may already run threads (torch, a progress bar).
    with ProcessPoolExecutor(min(workers, len(chunks)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(_write, chunks)


def _write(jobs: list[_Job]) -> list[str]:
    ids = []
    for job in jobs:
        picture = draw(job.cues, np.random.default_rng(np.random.SeedSequence(job.seed)))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=JPEG_QUALITY, exif=_exif(job))
        job.path.write_bytes(buffer.getvalue())
        ids.append(hashlib.sha256(buffer.getvalue()).hexdigest())
    return ids


def _exif(job: _Job) -> Image.Exif:
    """Camera, owner's serial number, local time with its offset, position to a ten-thousandth of a second of arc."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = CAMERAS[job.owner % len(CAMERAS)]
    sign = "-" if job.offset_hours < 0 else "+"
    exif.get_ifd(0x8769).update(
        {
            0x9003: job.taken_at,  # DateTimeOriginal
            0x9011: f"{sign}{abs(job.offset_hours):02d}:00",  # OffsetTimeOriginal
            0xA431: f"OP{job.owner:06d}",  # BodySerialNumber: tells one owner's camera from another's
        }
    )
    exif.get_ifd(0x8825).update(
        {
            1: "N" if job.lat >= 0 else "S",
            2: _degrees(job.lat),
            3: "E" if job.lng >= 0 else "W",
            4: _degrees(job.lng),
        }
    )
    return exif


def _degrees(angle: float) -> tuple[IFDRational, IFDRational, IFDRational]:
    units = round(abs(angle) * 3600 * 10_000)
    minutes, seconds = divmod(units, 60 * 10_000)
    return IFDRational(minutes // 60, 1), IFDRational(minutes % 60, 1), IFDRational(seconds, 10_000)


def _truth(out: Path, world: World, sample: Photos, jobs: list[_Job], photo_ids: list[str]) -> pa.Table:
    columns: dict[str, Any] = {
        "file": [job.path.relative_to(out).as_posix() for job in jobs],
        "photo_id": photo_ids,
        "owner": sample.owner_N,
        "album": sample.album_N,
        "album_order": sample.order_N,
        "lat": sample.lat_N,
        "lng": sample.lng_N,
        "taken_at": [sample.taken_at(index)[0] for index in range(len(sample))],
        "offset_hours": [job.offset_hours for job in jobs],
        "day": sample.day_N,
        "slot": sample.slot_N,
        "site": sample.site_N,
        "city": [world.city[site] for site in sample.site_N],
        "country_code": [world.country_code[site] for site in sample.site_N],
        "ambiguous": sample.cues["scene"] != STREET,
    }
    for name in CUES:
        columns[f"cue_{name}"] = pa.array([job.cues.get(name) for job in jobs], pa.string())
    return pa.table(columns)
