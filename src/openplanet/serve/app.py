"""The HTTP API and the page: which address answers what."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp

from openplanet import __version__
from openplanet.errors import InputError
from openplanet.inference.prediction import Finest
from openplanet.serve.albums import AlbumAnswer
from openplanet.serve.asked import Asked, Form
from openplanet.serve.engine import Engine
from openplanet.serve.guard import Guard, answer
from openplanet.serve.limits import Limits, RefusedError
from openplanet.serve.service import Service
from openplanet.serve.static_files import static_files

PAGES = {"/": "index.html", "/docs": "docs.html", "/game": "game.html"}
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"photo": {"type": "string", "format": "binary"}}}
            },
        },
    }
}
MANY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"photo": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            }
        },
    }
}
Options = Annotated[Asked, Depends()]
Name = Annotated[str, Query(max_length=1000, description="What to call a photo that is sent as raw bytes.")]
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"description": why, "content": {"application/json": {"example": {"error": why}}}}
    for status, why in (
        (400, "no photo in the body"),
        (401, "a token is needed"),
        (403, "another origin"),
        (408, "the body comes too slowly"),
        (413, "too large, or too many photos"),
        (422, "the photo cannot be read, or an option is out of range"),
        (429, "too many photos in a short time; see Retry-After"),
        (503, "the server is busy; see Retry-After"),
    )
}


def create_app(
    engine: Engine,
    limits: Limits,
    finest: Finest = "cell",
    host: str = "127.0.0.1",
    token: str | None = None,
    origins: Sequence[str] = (),
    game: dict[str, Any] | None = None,
) -> ASGIApp:
    """The server as an ASGI application. ``finest``: the finest level that it tells anyone; ``game``: what
    ``make_game`` gives, where there is one to play."""
    service = Service(engine, limits, finest, game)

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        engine.start()
        yield
        await engine.stop()

    app = FastAPI(
        title="OpenPlaNet",
        version=__version__,
        description="Where was this photo taken? A probability over the Earth, from its pixels alone.",
        docs_url=None,  # FastAPI's page loads scripts from elsewhere: ours is static/docs.html
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=running,
    )
    _api(app, service)
    _pages(app)
    _errors(app)
    return Guard(app, host, token, origins, limits.send_seconds)


def _api(app: FastAPI, service: Service) -> None:
    @app.post("/api/locate", openapi_extra=BODY, responses=REFUSALS, summary="Locate one photo")
    async def locate(request: Request, asked: Options, name: Name = "", format: Form = "json") -> Response:
        """The object that `openplanet locate --json` prints, or another of its formats."""
        return await service.locate(request, asked, name, format)

    @app.post("/api/explain", openapi_extra=BODY, responses=REFUSALS, summary="Locate one photo, with evidence")
    async def explain(request: Request, asked: Options, name: Name = "") -> Response:
        """As /api/locate, with `evidence`: about 50 looks at the photo. With `thumbnail`, each of the photos most
        alike has a small `picture`."""
        return await service.explain(request, asked, name)

    @app.post("/api/album", openapi_extra=MANY, responses=REFUSALS, summary="Locate many photos")
    async def album(
        request: Request,
        asked: Options,
        together: Annotated[bool, Query(description="Each photo helps to place the others.")] = True,
        anchors: Annotated[bool, Query(description="Positions that photos have stand, and place the others.")] = False,
    ) -> Response:
        """JSON lines: `{"type": "photo", "index", "record"}` for each photo by itself, in the order sent, then
        `{"type": "answer", ...}`, the object of `openplanet locate --json` (in order of capture, each record with its
        `index`), or `{"type": "error", "error"}`."""
        return AlbumAnswer(service, asked, together, anchors)

    @app.get("/api/models", responses=REFUSALS, summary="Which model answers, and within which limits")
    async def models() -> dict[str, Any]:
        return service.models()

    @app.get("/api/game", responses=REFUSALS, summary="Photos to be placed, with answers")
    async def game() -> dict[str, Any]:
        """What the page /game plays; 404 where the server has no game."""
        if service.game is None:
            raise HTTPException(404, "this server has no game: start it with --game")
        return service.game

    @app.get("/healthz", summary="Whether the server answers")
    async def healthz() -> dict[str, Any]:
        return {"status": "ok", "requests": service.gate.requests}


def _pages(app: FastAPI) -> None:
    static = static_files()

    def sent(name: str, request: Request) -> Response:
        if name not in static:
            raise HTTPException(404, "no such page")
        file, headers = static[name], {"vary": "Accept-Encoding", "etag": static[name].etag}
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(file.packed, media_type=file.kind, headers=headers | {"content-encoding": "gzip"})
        return Response(file.content, media_type=file.kind, headers=headers)

    def page(name: str) -> Callable[[Request], Response]:
        return lambda request: sent(name, request)

    for path, name in PAGES.items():
        app.add_route(path, page(name), include_in_schema=False)

    @app.get("/static/{name}", include_in_schema=False)
    async def static_file(name: str, request: Request) -> Response:
        return sent(name, request)


def _errors(app: FastAPI) -> None:
    """Every error is JSON with ``error``."""

    @app.exception_handler(RefusedError)
    async def refused(_: Request, error: RefusedError) -> Response:
        return answer(error)

    @app.exception_handler(InputError)
    async def of_input(_: Request, error: InputError) -> Response:
        return JSONResponse({"error": str(error)}, 422)

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        said = "; ".join(f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors())
        return JSONResponse({"error": said}, 422)

    @app.exception_handler(Exception)
    async def ours(_: Request, error: Exception) -> Response:
        return JSONResponse({"error": "an error of the server's own; its log has more"}, 500)
