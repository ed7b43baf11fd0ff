"""Small real JPEG files for the tests of ingest: noise that no two seeds share, with Exif where asked."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from openplanet.photos.files import images
from openplanet.photos.ingest import parts
from openplanet.photos.ingest.read import Reading, Task, read_photo
from openplanet.runners.job import Work


def picture(seed: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A coarse random pattern: it survives JPEG, and differs for every seed."""
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize(size, Image.Resampling.BICUBIC)


def save(
    path: Path,
    seed: int,
    lat: float | None = None,
    lng: float = 0.0,
    time: str | None = None,
    serial: str | None = None,
    size: tuple[int, int] = (64, 48),
    model: str = "Canon EOS 40D",
) -> Path:
    """Write a JPEG; with ``lat`` (>= 0, degrees) it has Exif GPS."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", model
    if time is not None:
        exif.get_ifd(0x8769)[0x9003] = time
    if serial is not None:
        exif.get_ifd(0x8769)[0xA431] = serial
    if lat is not None:
        gps = exif.get_ifd(0x8825)
        gps[1], gps[2], gps[3], gps[4] = "N", _dms(lat), "E" if lng >= 0 else "W", _dms(abs(lng))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed, size).save(path, "JPEG", quality=90, exif=exif)
    return path


def _dms(degrees: float) -> tuple[TiffImagePlugin.IFDRational, ...]:
    return (
        TiffImagePlugin.IFDRational(round(degrees * 1_000_000), 1_000_000),
        *[TiffImagePlugin.IFDRational(0, 1)] * 2,
    )


class FragileReadJob(parts.ReadJob):
    """Its process dies on bomb.jpg, and runs out of memory on huge.jpg."""

    def open(self) -> Work:
        def fragile(task: Task, side: int) -> tuple[Reading, bytes | None]:
            if task.path.endswith("bomb.jpg"):
                os._exit(139)
            with pytest.MonkeyPatch.context() as patch:
                if task.path.endswith("huge.jpg"):
                    patch.setattr(images, "load", out_of_memory)
                return read_photo(task, side)

        def out_of_memory(*_: object) -> Image.Image:
            raise MemoryError

        parts.read_photo = fragile
        return super().open()
