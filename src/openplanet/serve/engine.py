"""From the bytes of a photo to its answer: decoding in a few threads, the model in one, nothing kept.

Shapes: B photos in a batch, D embedding, H W pixels.
"""

import asyncio
import base64
import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from torch import Tensor

from openplanet.errors import InputError, PhotoError
from openplanet.inference.album_photos import AlbumPhoto
from openplanet.inference.album_predictor import AlbumPredictor, Clock
from openplanet.inference.evidence import Evidence, Reference, evidence
from openplanet.inference.finding import FLAG_SIDE
from openplanet.inference.located import Located, LocatedAlbum
from openplanet.inference.prediction import Prediction
from openplanet.models import hub
from openplanet.models.preprocess import Pixels
from openplanet.photos.dataset import Dataset
from openplanet.photos.files import exif, flags, images
from openplanet.photos.files.containers import read_header
from openplanet.photos.ingest.read import Reading, facts_of
from openplanet.photos.sources.beside import entries_of
from openplanet.serve.batcher import Batcher
from openplanet.serve.limits import Limits
from openplanet.serve.pictures import Pictures
from openplanet.serve.uploads import Upload
from openplanet.stores.location import Location

THUMBNAIL = 240  # px, short side
MOST_DECODERS = 4  # each may hold a large picture
T = TypeVar("T")


@dataclass(frozen=True)
class Seen:
    """A photo that the model has looked at: its answer, or why there is none; and what an album needs besides."""

    name: str
    prediction: Prediction | None = None
    error: str | None = None
    flag: str = ""
    thumbnail: str | None = None  # data URI
    pixels_3HW: Pixels | None = None
    embedding_D: Tensor | None = None
    facts: Reading | None = None

    @property
    def located(self) -> Located:
        """The answer to the single photo."""
        return Located(self.name, self.prediction, self.error, flag=self.flag)


class Engine:
    """A checkpoint that is asked by many at once. Belongs to the event loop that it is started in."""

    def __init__(self, checkpoint: Location | str, limits: Limits, reference: Location | None = None) -> None:
        """Raises CheckpointError where the checkpoint is none, InputError where the reference is."""
        folder = hub.resolve(checkpoint)
        self.name = folder.name.replace("--", "/") if hub.is_kept(checkpoint) else folder.resolve().name
        self.album_predictor = AlbumPredictor.load(folder)
        self.predictor = self.album_predictor.predictor
        self.limits = limits
        known = None if reference is None else Dataset.open(reference)
        self.reference = None if known is None else Reference(known, self.predictor.checkpoint.model)
        self.pictures = None if known is None else Pictures(known)
        self.model: Batcher[Pixels, tuple[Prediction, Tensor]] = Batcher(self._look)
        self._decoders = ThreadPoolExecutor(max(1, min(MOST_DECODERS, os.cpu_count() or 1)), "decode")

    def start(self) -> None:
        """Begin to answer, in the running event loop."""
        self.model.start()

    async def stop(self) -> None:
        """End the threads after what they are at."""
        await self.model.stop()
        self._decoders.shutdown()

    async def see(self, upload: Upload, thumbnail: bool, all_pictures: bool = False) -> Seen:
        """Decode a photo and look at it; a bad one has an error."""
        read = await self.in_threads(self._read, upload, thumbnail, all_pictures)
        if read.pixels_3HW is None:
            return read
        prediction, embedding_D = await self.model.ask(read.pixels_3HW)
        return replace(read, prediction=None if read.flag else prediction, embedding_D=embedding_D)

    async def explain(self, seen: Seen, within_km: float) -> Evidence:
        """What speaks for the answer to a photo. Raises InputError where it has none."""
        if seen.prediction is None or seen.pixels_3HW is None:
            raise InputError(seen.error or seen.flag or "no answer to explain")
        return await self.model.run(
            evidence, self.predictor, self.reference, seen.pixels_3HW, seen.prediction, within_km
        )

    async def album(self, photos: Sequence[Seen], anchors: bool, clock_offset: Clock) -> LocatedAlbum:
        """Place photos by each other, in order of capture. Raises InputError where none can be read.

        The answer names a photo by its place in ``photos`` ("0", "1"), for names may occur twice.
        """
        named = []
        for place, seen in enumerate(photos):
            photo = AlbumPhoto(Path(str(place)), seen.facts, seen.error, seen.embedding_D)
            shown = not seen.flag or (anchors and photo.known is not None)
            named.append(photo if shown else replace(photo, flag=seen.flag, embedding=None))
        return await self.model.run(self.album_predictor.locate_seen, named, anchors, clock_offset)

    async def in_threads(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function in the threads that decode, away from the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._decoders, function, *arguments)

    def _look(self, pixels_3HW: list[Pixels]) -> list[tuple[Prediction, Tensor]]:
        return self.predictor.look(np.stack(pixels_3HW))

    def _read(self, upload: Upload, thumbnail: bool, all_pictures: bool) -> Seen:
        try:
            return self._decoded(upload, thumbnail, all_pictures)
        except PhotoError as error:
            return Seen(upload.name, error=str(error))
        except MemoryError:
            return Seen(upload.name, error="the photo takes more memory to decode than there is")

    def _decoded(self, upload: Upload, thumbnail: bool, all_pictures: bool) -> Seen:
        name = f"photo of {len(upload.content):,} bytes"
        header = read_header(io.BytesIO(upload.content), name)
        if header.width * header.height > self.limits.photo_pixels:
            raise PhotoError(f"{name}: has more than {self.limits.photo_pixels:,} pixels; reduce it first", "too large")
        metadata = exif.read(upload.content)
        side = self.predictor.framing.decoded_side
        image = images.load(upload.content, side, metadata)
        flag, why = None, None
        if not all_pictures:
            judged = image if side == FLAG_SIDE else images.load(upload.content, FLAG_SIDE, metadata)
            flag, why = flags.judge(judged, metadata.width, metadata.height, metadata.from_camera)
        shown = None
        if thumbnail:
            small = image.copy()
            small.thumbnail((4 * THUMBNAIL, THUMBNAIL) if image.width > image.height else (THUMBNAIL, 4 * THUMBNAIL))
            shown = "data:image/jpeg;base64," + base64.b64encode(images.encode_jpeg(small)).decode("ascii")
        return Seen(
            upload.name,
            flag="" if flag is None else f"{flag}: {why}",
            thumbnail=shown,
            pixels_3HW=self.predictor.read(image),
            facts=facts_of(metadata, entries_of("", metadata, (), None)),
        )
