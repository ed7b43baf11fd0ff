"""The command line: one command for each arrow of the pipeline.

Exit status 0 when done; 1 with one line on standard error for anything that a user can put right; 2 for usage.
Commands import what they need when they run, so that ``--help`` and ``recipes`` answer at once.
"""

import codecs
import io
import os
import sys
from contextlib import suppress
from pathlib import Path

import click

from openplanet.cli.albums import train_albums
from openplanet.cli.base import PATH, Command, show
from openplanet.cli.cells import partition
from openplanet.cli.evaluation import compare, evaluate, play
from openplanet.cli.geotag import geotag
from openplanet.cli.locate import locate
from openplanet.cli.models import calibrate, download, embed, export
from openplanet.cli.photos import collect, ingest, synthetic
from openplanet.cli.serve import serve
from openplanet.cli.training import push, recipes, train
from openplanet.errors import InputError, OpenPlaNetError
from openplanet.progress import on_terminal, plain

ESCAPED = "openplanet.escaped"
"""Name of the error handler of ``_escaped``."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="openplanet", prog_name="openplanet")
def cli() -> None:
    """Photo geolocation: from the pixels of a photo to a probability over the Earth.

    The pipeline: ingest, partition, train, evaluate, locate. `openplanet demo` runs all of it on a synthetic
    planet.
    """
    _check_platform()
    click.get_current_context().with_resource(on_terminal())


@cli.command(cls=Command, example="openplanet demo --out demo")
@click.option("--out", default=Path("demo"), show_default=True, type=PATH, help="Output folder.")
@click.option(
    "--photos", default=3000, show_default=True, type=click.IntRange(200, 1_000_000), help="Number of photos."
)
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0, 2**32 - 1), help="Random seed of the planet."
)
def demo(out: Path, photos: int, seed: int) -> None:
    """Run the whole pipeline on a synthetic planet.

    In minutes it makes photos, cells, an image and an album model, an accuracy table and a map.
    """
    from openplanet.demo import run

    show(run(out, photos, seed))


for command in (
    ingest,
    collect,
    partition,
    download,
    calibrate,
    export,
    train,
    push,
    embed,
    train_albums,
    evaluate,
    compare,
    play,
    locate,
    serve,
    geotag,
    recipes,
    synthetic,
):
    cli.add_command(command)


def _check_platform() -> None:
    """Raise InputError on Windows, where an open file can be neither renamed nor deleted and os.pwrite and file locks
    are missing: outputs would not be whole or absent."""
    if sys.platform == "win32":
        raise InputError("Windows is not supported: run openplanet in the Windows Subsystem for Linux (WSL)")


def main() -> None:
    """Entry point: errors that a user can put right become one line and exit status 1."""
    for stream in (sys.stdout, sys.stderr):
        # letters that the terminal's encoding lacks, and bytes of names that are no UTF-8; also valid inside JSON
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ESCAPED)
    try:
        status = cli.main(standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()  # at exit a full disk would be told by a traceback
    except OpenPlaNetError as error:
        click.echo(f"openplanet: error: {plain(' '.join(str(error).split()))}", err=True)
        status = 1
    except click.ClickException as error:
        usage = io.StringIO()
        error.show(usage)
        click.echo("\n".join(map(plain, usage.getvalue().splitlines())), err=True)
        status = error.exit_code
    except click.Abort:
        click.echo("openplanet: stopped", err=True)
        status = 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader (head, less) has gone: nothing is left to say
        status = 1
    except OSError as error:  # of files, ours become OpenPlaNetError where they are opened
        where = plain(str(error.filename)) if error.filename else "the output"
        _forget_output()
        click.echo(f"openplanet: error: {where}: {error.strerror or error}", err=True)
        status = 1
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "torchvision", "timm"):
            raise
        needs = f"this needs PyTorch ({error.name} is not installed): pip install 'openplanet[torch]'"
        click.echo(f"openplanet: error: {needs}", err=True)
        status = 1
    except RecursionError:
        click.echo("openplanet: error: an input is nested too deeply; correct it", err=True)
        status = 1
    sys.exit(status)


def _forget_output() -> None:
    """Let what is still buffered for standard output go, so that closing it does not fail again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Letters that cannot be encoded as escapes that JSON has too: \\u00e9, and two of them beyond \\uffff."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    units = letters.encode("utf-16-be", "surrogatepass")
    pairs = (units[at : at + 2].hex() for at in range(0, len(units), 2))
    return "".join(f"\\u{pair}" for pair in pairs), error.end


codecs.register_error(ESCAPED, _escaped)
