"""The command line: one command for each arrow of the pipeline.

Exit status 0 when done; 1 with one line on standard error for anything that a user can put right; 2 for usage.
Commands import what they need when they run, so that ``--help`` and ``recipes`` answer at once.
"""

import io
import sys
from pathlib import Path

import click

from openplanet import __version__
from openplanet.cli.albums import train_albums
from openplanet.cli.base import PATH, Command, show
from openplanet.cli.cells import partition
from openplanet.cli.evaluation import compare, evaluate, play
from openplanet.cli.locating import locate
from openplanet.cli.photos import collect, ingest, synthetic
from openplanet.cli.training import push, recipes, train
from openplanet.errors import OpenPlaNetError
from openplanet.progress import plain


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="openplanet")
def cli() -> None:
    """From the pixels of a photo, a probability over the Earth.

    The line: ingest photos, partition the Earth, train, evaluate, locate. `openplanet demo` runs all of it
    on a synthetic planet.
    """


@cli.command(cls=Command, example="openplanet demo --out demo")
@click.option("--out", default=Path("demo"), show_default=True, type=PATH, help="Folder to write.")
@click.option("--photos", default=3000, show_default=True, type=click.IntRange(200, 1_000_000), help="How many.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**32 - 1), help="Which planet.")
def demo(out: Path, photos: int, seed: int) -> None:
    """The whole line on a synthetic planet: photos, cells, training, table and map, in minutes."""
    from openplanet.demo import run

    show(run(out, photos, seed))


for command in (
    ingest,
    collect,
    partition,
    train,
    push,
    train_albums,
    evaluate,
    compare,
    play,
    locate,
    recipes,
    synthetic,
):
    cli.add_command(command)


def main() -> None:
    """Entry point: errors that a user can put right become one line and exit status 1."""
    try:
        status = cli.main(standalone_mode=False)
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
    sys.exit(status)
