"""No command writes over an input, over another output or over a file that is not of its own kind."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from openplanet.cli import cli
from openplanet.cli.base import OutputFile
from openplanet.errors import InputError
from openplanet.photos.sources.collect.collect import urls
from openplanet.storage import (
    atomic_path,
    check_outputs,
    html_page,
    inert,
    is_stream,
    json_file,
    write_json,
    write_text,
)

PAGE, SCORES = html_page("map"), json_file("evaluation")


def outputs() -> Iterator[tuple[str, str]]:
    """Every option, of every command, that takes the name of a file to be written."""
    for name, command in cli.commands.items():
        for param in command.params:
            if isinstance(param.type, OutputFile):
                yield name, param.opts[0]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [*map(str, arguments)])


def needed(name: str) -> list[str]:
    """Something for each parameter that a command needs: files that are not there."""
    words = []
    for param in cli.commands[name].params:
        if param.required and not isinstance(param.type, OutputFile):
            words += ["nowhere"] if isinstance(param, click.Argument) else [param.opts[0], "nowhere"]
    return words + (["--checkpoint", "nowhere"] if name == "evaluate" else [])


def test_there_are_outputs_to_ask() -> None:
    assert {("evaluate", "--json"), ("evaluate", "--report"), ("locate", "--map"), ("play", "--out")} <= set(outputs())


@pytest.mark.parametrize(("name", "option"), list(outputs()))
def test_another_file_is_never_replaced(name: str, option: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("years of work")
    done = run(name, *needed(name), option, mine)
    assert isinstance(done.exception, InputError) and "exists and is not an OpenPlaNet" in str(done.exception)
    assert mine.read_text() == "years of work"


def test_nor_are_files_beside_a_report(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.csv"
    theirs.write_text("photo,lat,lng\na,1,2\n")
    evaluate = ("evaluate", "nowhere", "--checkpoint", "nowhere")
    done = run(*evaluate, "--predictions", theirs, "--report", tmp_path / "theirs.html")
    assert "theirs.csv is an input" in str(done.exception)
    done = run(*evaluate, "--report", tmp_path / "theirs.html")
    assert "theirs.csv exists and is not the tables of an evaluation" in str(done.exception)
    done = run(*evaluate, "--report", tmp_path / "new.md")
    assert "new.md would be written twice" in str(done.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.csv"]


def test_an_input_is_never_replaced_even_if_it_is_of_the_kind(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text('<meta name="generator" content="OpenPlaNet map">')
    (tmp_path / "link.html").symlink_to(page)
    for given in (page, tmp_path / "link.html"):
        with pytest.raises(InputError, match="is an input"):
            check_outputs([(given, PAGE)], [page])
    check_outputs([(page, PAGE)])


def test_the_output_of_an_earlier_run_is_replaced(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"generator": "OpenPlaNet evaluation", "rows": []})
    (tmp_path / "empty.json").touch()
    check_outputs([(tmp_path / "a.json", SCORES), (tmp_path / "empty.json", SCORES)])
    with pytest.raises(InputError, match="is not an OpenPlaNet comparison"):
        check_outputs([(tmp_path / "a.json", json_file("comparison"))])


def test_collect_leaves_a_table_of_others(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("url\nhttp://127.0.0.1:9/a.jpg\n")
    for name in ("photos.csv", "failed.csv"):
        out = tmp_path / f"in {name}"
        out.mkdir()
        (out / name).write_text("file,lat,lng\nmine.jpg,1,2\n")
        with pytest.raises(InputError, match=f"{name} exists and is not"):
            urls(tmp_path / "list.csv", out)
        assert (out / name).read_text() == "file,lat,lng\nmine.jpg,1,2\n"


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"


def test_pipes_and_open_files_are_written_into(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    check_outputs([(tmp_path / "pipe", SCORES)])
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_text(tmp_path / "pipe", "through")
    assert os.read(reader, 100) == b"through" and is_stream(tmp_path / "pipe")
    os.close(reader)
    program = (
        "from pathlib import Path; from openplanet.storage import write_text; print('first');"
        "write_text(Path('/dev/stdout'), 'second\\n'); write_text(Path('/dev/null'), 'gone')"
    )
    piped = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert piped.stdout == "first\nsecond\n"
    with (tmp_path / "out").open("w") as file:
        subprocess.run([sys.executable, "-c", program], stdout=file, timeout=120, check=True)
    assert (tmp_path / "out").read_text() == "first\nsecond\n"
    assert not Path("/dev/null").is_file() and Path("/dev/stdout").is_symlink()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can make a device")
def test_a_device_stays_a_device(tmp_path: Path) -> None:
    device = tmp_path / "null"
    try:
        os.mknod(device, 0o20666, os.makedev(1, 3))
        device.write_text("x")
    except OSError:
        pytest.skip("no devices can be made here")
    write_json(device, {})
    assert device.is_char_device()


def test_a_missing_input_is_not_called_an_output(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.csv cannot be read"), atomic_path(tmp_path / "out"):
        (tmp_path / "gone.csv").read_text()
    with pytest.raises(InputError, match=r"out cannot be written"), atomic_path(tmp_path / "out") as temporary:
        temporary.unlink()
        temporary.read_text()


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "  =1", "\r=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert inert(text) == "'" + text
    assert inert(f"a{text}") == f"a{text}"
