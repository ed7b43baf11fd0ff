"""What the commands share."""

from pathlib import Path
from typing import Any

import click

PATH = click.Path(path_type=Path)


class OutputFile(click.Path):
    """A file to be written, refused before any work where it cannot be."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from openplanet.storage import check_writable

        path = Path(str(super().convert(value, param, ctx)))
        check_writable(path)
        return path


OUTPUT = OutputFile(path_type=Path)


class Command(click.Command):
    """A command whose help ends with an example, kept as typed."""

    def __init__(self, *args: Any, example: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Example"):
            for line in self.example.strip().splitlines():
                formatter.write_text(line.strip())


def pairs(overrides: tuple[str, ...]) -> dict[str, str]:
    """The values of --set KEY=VALUE."""
    for text in overrides:
        if "=" not in text:
            raise click.UsageError(f"--set takes KEY=VALUE, not {text!r}")
    return dict(text.split("=", 1) for text in overrides)
