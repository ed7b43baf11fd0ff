"""Many photos in one request: each as soon as it is looked at, then all together, as JSON lines."""

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from openplanet.errors import OpenPlaNetError
from openplanet.inference.located import Located
from openplanet.inference.output.about import About
from openplanet.inference.output.as_map import CELLS_OF_A_PAGE, FEWEST_CELLS, journey
from openplanet.inference.output.prediction_map import MOST_CELLS
from openplanet.serve import asked as forms
from openplanet.serve.asked import Asked
from openplanet.serve.engine import Seen
from openplanet.serve.limits import Held
from openplanet.serve.service import Service
from openplanet.serve.uploads import Upload, check_length, uploads

AHEAD = 16
"""Photos that are read of a body before they are looked at."""
PART = 4
"""An album holds about a PARTth of all bytes that may be held: it is read on when there is room."""


class AlbumAnswer(Response):
    """Reads the request and answers it; a response of its own, so that the request is counted until its last line."""

    media_type = "application/x-ndjson"

    def __init__(self, service: Service, asked: Asked, together: bool, anchors: bool) -> None:
        super().__init__()
        self._service, self._asked, self._together, self._anchors = service, asked, together, anchors
        self._about, self._cells = service.about(asked), MOST_CELLS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises RefusedError before the first line; later errors are lines."""
        request, limits = Request(scope, receive), self._service.limits
        check_length(request, limits.album_bytes)
        with self._service.taken(request, album=True) as (client, held):
            tasks = deque[asyncio.Task[Seen]]()
            try:
                await self._read(request, client, held, tasks)
                self._cells = min(MOST_CELLS, max(FEWEST_CELLS, CELLS_OF_A_PAGE // max(1, len(tasks))))
                await self._answer(request, tasks, send)
            except ClientDisconnect:
                return  # nobody is there to be answered
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, request: Request, client: str, held: Held, tasks: deque[asyncio.Task[Seen]]) -> None:
        limits = self._service.limits
        async for upload in uploads(request, limits, held, album=True):
            self._service.rate.take(client)
            tasks.append(asyncio.create_task(self._see(upload, held)))
            while waiting := [task for task in tasks if not task.done()]:
                if len(waiting) < AHEAD and held.bytes < limits.held_bytes // PART:
                    break
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)

    async def _see(self, upload: Upload, held: Held) -> Seen:
        try:
            return await self._service.engine.see(upload, self._asked.thumbnail, self._asked.all_pictures)
        finally:
            held.give(len(upload.content))

    async def _answer(self, request: Request, tasks: deque[asyncio.Task[Seen]], send: Send) -> None:
        headers = [(b"content-type", self.media_type.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            photos = list[Seen]()
            while tasks:
                async with asyncio.timeout(self._service.limits.answer_seconds):
                    seen = await tasks[0]
                    line = await self._service.engine.in_threads(self._photo, len(photos), seen)
                tasks.popleft()  # only what the album needs is held until its end
                kept = None if self._together and seen.embedding_D is not None else seen.prediction
                photos.append(replace(seen, prediction=kept, pixels_3HW=None, thumbnail=None))
                await self._line(send, line)
                if await request.is_disconnected():
                    raise ClientDisconnect
            async with asyncio.timeout(self._service.limits.answer_seconds):
                line = await self._all(photos)
            await self._line(send, line)
        except OpenPlaNetError as error:
            await self._line(send, {"type": "error", "error": str(error)})
        except TimeoutError:
            await self._line(send, {"type": "error", "error": "the answer takes too long"})
        await send({"type": "http.response.body", "body": b""})

    @staticmethod
    async def _line(send: Send, value: dict[str, Any]) -> None:
        text = json.dumps(value, ensure_ascii=False) + "\n"
        await send({"type": "http.response.body", "body": text.encode("utf-8"), "more_body": True})

    def _photo(self, place: int, seen: Seen) -> dict[str, Any]:
        record = forms.record(seen.located, self._about, self._asked, seen.thumbnail, self._cells)
        return {"type": "photo", "index": place, "record": record}

    async def _all(self, photos: Sequence[Seen]) -> dict[str, Any]:
        """The last line: the album in order of capture, or the single photos in the order sent."""
        engine = self._service.engine
        if not self._together or all(seen.embedding_D is None for seen in photos):
            located, places, about = [seen.located for seen in photos], list(range(len(photos))), self._about
        else:
            found = await engine.album(photos, self._anchors, None)
            album, places = forms.named(found, photos)
            model = engine.album_predictor.provenance
            located, about = list(album.photos), forms.about_of(self._asked, self._service.finest, model, album)
        return await engine.in_threads(self._whole, located, places, about)

    def _whole(self, located: Sequence[Located], places: Sequence[int], about: About) -> dict[str, Any]:
        asked = replace(self._asked, thumbnail=False, map=False)  # sent with each photo
        records = [
            forms.record(each, about, asked) | {"index": place} for each, place in zip(located, places, strict=True)
        ]
        told = {"type": "answer"} | forms.whole(records, located, about, asked)
        if self._asked.map and about.album is not None and about.shows_points:
            told["map"] = journey(about.album, about)
        return told
