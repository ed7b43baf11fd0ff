"""What the commands share."""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from openplanet.progress import plain
from openplanet.storage import Kind, check_outputs, is_stream
from openplanet.stores.location import Location, RemotePath, is_url, location


class LocalPath(click.Path):
    """A path of this machine."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if is_url(value):
            self.fail(f"{value} is a URL, and a path on this machine is needed here: copy it first", param, ctx)
        return super().convert(value, param, ctx)


class LocationType(click.Path):
    """A path, or a URL of an object store: what datasets, checkpoints and outputs are named by."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)
        self.name = "path|url"  # as help shows it

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return location(value) if is_url(value) else super().convert(value, param, ctx)


PATH = LocalPath(path_type=Path)
LOCATION = LocationType()
engine_option = click.option(
    "--engine",
    metavar="NAME",
    help="What runs the network: pytorch, or an exported one such as openvino or onnx-int8 [default: the fastest].",
)


def runner_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--runner and --shard, of commands whose work is done in parts (openplanet.runners)."""
    runner = click.option(
        "--runner",
        default="local",
        show_default=True,
        type=click.Choice(["local", "ray"]),
        help="What does the parts; ray: a local cluster, or the one that RAY_ADDRESS names.",
    )
    shard = click.option("--shard", metavar="I/N", help="Do every N-th part only, from part I on (1 to N).")
    return runner(shard(command))


class OutputFile(LocationType):
    """A file of ``kind`` to be written, with those of the kinds ``beside`` it: the same name, another suffix."""

    def __init__(self, kind: Kind, *beside: Kind) -> None:
        super().__init__()
        self.kind, self.beside = kind, beside

    def files(self, path: Location) -> list[tuple[Location, Kind]]:
        """All files that are written where ``path`` is given; nothing lies beside a device or a pipe."""
        beside = () if is_stream(path) else self.beside
        return [(path, self.kind), *((path.with_suffix(kind.suffix), kind) for kind in beside)]


class Command(click.Command):
    """A command whose help ends with an example, kept as typed, and that writes over nothing but its own files."""

    def __init__(self, *args: Any, example: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example

    def invoke(self, ctx: click.Context) -> Any:
        _check_outputs(self.params, ctx.params)
        return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Example"):
            for line in self.example.strip().splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line.strip()}\n")  # not wrapped: to be copied


def _check_outputs(params: Sequence[click.Parameter], values: Mapping[str, Any]) -> None:
    inputs: list[Location] = []
    outputs: list[tuple[Location, Kind]] = []
    for param in params:
        given = values.get(param.name or "")
        for value in given if isinstance(given, tuple) else (given,):
            if isinstance(param.type, OutputFile) and value is not None:
                outputs += param.type.files(value)
            elif isinstance(value, RemotePath):
                inputs.append(value)
            elif is_url(value):
                inputs.append(RemotePath(str(value)))  # a dataset; or an address of something else, which is no output
            elif isinstance(value, str | Path):  # NAME:PATH is a test set
                inputs += [Path(value), Path(str(value).partition(":")[2])]
    check_outputs(outputs, inputs)


def show(text: str) -> None:
    """Print lines of text on standard output; what names of files and places hold cannot steer the terminal."""
    click.echo("\n".join(map(plain, text.split("\n"))))


def terminal_width() -> int | None:
    """Letters in a line where standard output is a terminal; None where it is a file or a pipe, which take any."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def pairs(overrides: tuple[str, ...]) -> dict[str, str]:
    """The values of --set KEY=VALUE."""
    for text in overrides:
        if "=" not in text:
            raise click.UsageError(f"--set takes KEY=VALUE, not {text!r}")
    return dict(text.split("=", 1) for text in overrides)
