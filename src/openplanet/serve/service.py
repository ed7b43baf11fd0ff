"""What the server does of a request: count it, read it, ask the engine, and word the answer."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect, Request

from openplanet.inference.output import FORMATS
from openplanet.inference.output.about import About
from openplanet.inference.prediction import Finest
from openplanet.serve import asked as forms
from openplanet.serve.asked import Asked
from openplanet.serve.engine import Engine, Seen
from openplanet.serve.limits import Gate, Held, Limits, Rate, RefusedError, client_of
from openplanet.serve.uploads import FIELD_BYTES, check_length, uploads

LOOKS = 10
"""Photos that an explanation counts for, of a client's rate."""


class Service:
    """One engine behind its limits."""

    def __init__(self, engine: Engine, limits: Limits, finest: Finest, game: dict[str, Any] | None = None) -> None:
        self.engine, self.limits, self.finest, self.game = engine, limits, finest, game
        self.rate, self.gate = Rate(limits.per_minute), Gate(limits, lambda: engine.model.seconds)

    @contextmanager
    def taken(self, request: Request, album: bool = False) -> Iterator[tuple[str, Held]]:
        """While inside, the request is counted; gives its client, and what it holds. Raises RefusedError (429, 503)."""
        client = client_of(None if request.client is None else request.client.host)
        self.rate.check(client)
        with self.gate.hold(client, album) as held:
            yield client, held

    @asynccontextmanager
    async def seen(self, request: Request, asked: Asked, name: str, looks: int = 1) -> AsyncIterator[Seen]:
        """The one photo of a request, looked at; inside, there is time for an answer. Raises RefusedError."""
        check_length(request, self.limits.photo_bytes + FIELD_BYTES)
        with self.taken(request) as (client, held):
            try:
                photos = [upload async for upload in uploads(request, self.limits, held, name)]
            except ClientDisconnect:
                raise RefusedError(400, "the sender has gone") from None
            for _ in range(looks):
                self.rate.take(client)
            try:
                async with asyncio.timeout(self.limits.answer_seconds):
                    yield await self.engine.see(photos[0], asked.thumbnail, asked.all_pictures)
            except TimeoutError:
                raise RefusedError(503, "the answer takes too long", 30) from None

    async def locate(self, request: Request, asked: Asked, name: str, form: str) -> Response:
        """One photo in the form that is asked for; 422 where it cannot be read."""
        async with self.seen(request, asked, name) as seen:
            about, status = self.about(asked), 200 if seen.error is None else 422
            if form != "json":
                text = await self.engine.in_threads(lambda: "".join(FORMATS[form](iter([seen.located]), about)))
                return Response(text, status, media_type=forms.MEDIA_TYPES[form])
            return JSONResponse(await self.engine.in_threads(self._whole, seen, about, asked), status)

    async def explain(self, request: Request, asked: Asked, name: str) -> Response:
        """One photo with evidence. Raises InputError where there is no answer to explain."""
        about = self.about(asked)
        if not about.shows_points:
            raise RefusedError(403, "evidence tells positions, which this server or request does not")
        async with self.seen(request, asked, name, LOOKS) as seen:
            found = await self.engine.explain(seen, asked.within)
            located = dataclasses.replace(seen.located, evidence=found)
            told = await self.engine.in_threads(forms.record, located, about, asked, seen.thumbnail)
            if asked.thumbnail and self.engine.pictures is not None:
                shown = await self.engine.in_threads(self.engine.pictures.of, [each.photo_id for each in found.alike])
                told["evidence"]["alike"] = [
                    dict(each, picture=picture)
                    for each, picture in zip(told["evidence"]["alike"], shown, strict=True)
                ]  # fmt: skip
            return JSONResponse(forms.whole([told], [located], about, asked))

    def about(self, asked: Asked) -> About:
        """What is said of photos as a whole, of single ones."""
        return forms.about_of(asked, self.finest, self.engine.predictor.provenance)

    def models(self) -> dict[str, Any]:
        """The model that answers, what the server tells at most, and its limits."""
        engine = self.engine
        return {
            "models": [
                {
                    "name": engine.name,
                    **engine.predictor.provenance,
                    "album_model": engine.album_predictor.variant,
                    "image_size": engine.predictor.framing.image_size,
                }
            ],
            "finest": self.finest,
            "game": self.game is not None,
            "reference": engine.reference is not None,
            "formats": list(FORMATS),
            "limits": dataclasses.asdict(self.limits),
        }

    @staticmethod
    def _whole(seen: Seen, about: About, asked: Asked) -> dict[str, Any]:
        return forms.whole([forms.record(seen.located, about, asked, seen.thumbnail)], [seen.located], about, asked)
