"""The command that answers on a port: the page and its API."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from openplanet.cli.base import LOCATION, PATH, Command, show
from openplanet.errors import InputError
from openplanet.stores.location import Location

if TYPE_CHECKING:
    from openplanet.inference.prediction import Finest
    from openplanet.serve.engine import Engine

TOKEN = "OPENPLANET_TOKEN"
LEAST_TOKEN = 16  # characters
PER_MINUTE = 600.0  # photos a client, where others can reach the server
AT_ONCE = 16  # requests of a client, there


@click.command(
    cls=Command,
    example="openplanet serve --checkpoint model\n"
    "OPENPLANET_TOKEN=$(openssl rand -hex 16) openplanet serve --checkpoint model --host 0.0.0.0",
)
@click.option(
    "--checkpoint",
    type=LOCATION,
    help="Checkpoint folder, hf:OWNER/NAME, or a downloaded model [default: the only downloaded one].",
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen at; not loopback: with a token."
)
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 for any that is free."
)
@click.option(
    "--finest",
    default="cell",
    show_default=True,
    type=click.Choice(["country", "region", "city", "cell"]),
    help="Finest level that anyone is told; coordinates only for cell.",
)
@click.option("--token", "token_file", type=PATH, metavar="FILE", help=f"File of the token [default: {TOKEN}, if set].")
@click.option("--reference", type=LOCATION, metavar="DATASET", help="Dataset whose most similar photos are evidence.")
@click.option("--game", metavar="DATASET|NAME:PATH", help="Photos for the game, which the page then has.")
@click.option("--world", type=PATH, help="With --game: folder of the synthetic planet, for its Bayes limit.")
@click.option(
    "--allow-origin", "origins", multiple=True, metavar="URL", help="Another origin whose pages may ask; repeatable."
)
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), metavar="N",
    help=f"Photos per minute and client [default: no limit on loopback, else {PER_MINUTE:g}].",
)  # fmt: skip
def serve(
    checkpoint: Location | None,
    host: str,
    port: int,
    finest: "Finest",
    token_file: Path | None,
    reference: Location | None,
    game: str | None,
    world: Path | None,
    origins: tuple[str, ...],
    rate: float | None,
) -> None:
    """Serve a page that locates photos, and its HTTP API.

    Photos are kept in memory until they are answered, and are never written to disk. The page needs nothing from
    elsewhere. Ctrl-C stops the server once it has answered what it has taken.
    """
    try:
        from openplanet.serve.app import create_app
        from openplanet.serve.engine import Engine
        from openplanet.serve.guard import is_loopback
        from openplanet.serve.limits import Limits
        from openplanet.serve.server import listen, server
    except ModuleNotFoundError as error:
        raise InputError(f"serving needs the package {error.name}: pip install 'openplanet[serve]'") from error
    from openplanet.models import hub

    token = _token(token_file)
    if token is None and not is_loopback(host):
        raise InputError(
            f"at {host} others can reach the server: give it a token, in a file with --token FILE or in {TOKEN}"
        )
    limits = Limits(per_minute=rate)
    if not is_loopback(host):
        limits = Limits(per_minute=rate or PER_MINUTE, client_requests=AT_ONCE)
    with listen(host, port) as bound:
        engine = Engine(checkpoint or hub.only_kept(), limits, reference)
        shown = f"[{host}]" if ":" in host else host
        rounds = None if game is None else _rounds(game, engine, world)
        show(f"http://{shown}:{bound.getsockname()[1]}/{'' if token is None else '#token=TOKEN'}  (Ctrl-C stops)")
        server(create_app(engine, limits, finest, host, token, origins, rounds)).run(sockets=[bound])


def _rounds(photos: str, engine: "Engine", world: Path | None) -> dict[str, Any]:
    from openplanet.evaluation.testsets.opening import open_set
    from openplanet.serve.game import make_game

    return make_game(open_set(photos), locator=engine.predictor, world=world)


def _token(file: Path | None) -> str | None:
    if file is None:
        token = os.environ.get(TOKEN)
    else:
        try:
            token = file.read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            raise InputError(f"{file}: the token cannot be read ({error})") from error
    if token is not None and (len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable()):
        raise InputError(
            f"a token has {LEAST_TOKEN} or more printable ASCII characters: openssl rand -hex 16 makes one"
        )
    return token
