"""The command line as a user meets it: in a process of its own, judged by exit status and what is printed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from openplanet import cli as commands
from openplanet.cli import cli

COMMANDS = (
    "ingest", "partition", "train", "train-albums", "evaluate", "compare", "play", "locate", "recipes",
    "synthetic", "demo",
)  # fmt: skip


def openplanet(*arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "openplanet", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=1100,
    )
    assert done.returncode == status, done.stderr
    return done


def here(*arguments: object) -> Result:
    """As ``openplanet``, in this process: what every process loads anew is loaded once."""
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def error_line(*arguments: object) -> str:
    """The one line on standard error of a command that must fail with status 1."""
    done = openplanet(*arguments, status=1)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("openplanet: error: ")
    return lines[0]


@pytest.mark.parametrize("arguments", ["recipes --json", "recipes"])
def test_a_full_disk_is_one_line(arguments: str) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "openplanet", *arguments.split()]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=240)
    assert done.returncode == 1
    assert done.stderr == "openplanet: error: the output: No space left on device\n"


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "ascii", "utf-8:strict"])
def test_letters_that_the_output_cannot_hold_are_escaped_as_json_has_them(encoding: str) -> None:
    text = "Zürich, Łódź, 東京, 😀, caf\udce9"
    program = (
        "import click, json, openplanet.cli as c\n"
        "@c.cli.command()\n"
        f"def say(): click.echo(json.dumps({text!r}, ensure_ascii=False))\n"
        "import sys; sys.argv[1:] = ['say']; c.main()"
    )
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr
    codec = encoding.split(":")[0]
    printed = done.stdout.decode("utf-8" if codec == "ascii" else codec)  # click writes UTF-8 for ASCII
    assert json.loads(printed) in (text, text.replace("\udce9", "?"))


def test_windows_is_refused_in_one_line() -> None:
    program = "import sys; sys.modules['fcntl'] = None; import openplanet.cli as c\n"
    program += "sys.platform = 'win32'; sys.argv[1:] = ['recipes']; c.main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240)
    wanted = "openplanet: error: Windows is not supported: run openplanet in the Windows Subsystem for Linux (WSL)\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", wanted)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_an_example(command: str) -> None:
    text = openplanet(command, "--help").stdout
    assert "Example:" in text
    assert f"openplanet {command}" in text.split("Example:")[1]


def test_version() -> None:
    assert openplanet("--version").stdout.startswith("openplanet, version ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nosuchcommand"],
        ["partition", "x"],
        ["train", "x", "--recipe", "planet_cpu", "--out", "y", "--set", "epochs"],
        ["train", "x", "--recipe", "planet_cpu"],
        ["evaluate", "x", "--checkpoint", "y", "--distances", "near"],
        ["locate", "x", "--checkpoint", "y", "--json", "--geojson"],
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str]) -> None:
    done = openplanet(*arguments, status=2)
    assert "Traceback" not in done.stderr
    assert "Error" in done.stderr


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    thresholds = ["--max-photos", 10, "--min-photos", 1, "--out", tmp_path / "cells.parquet"]
    assert "nowhere" in error_line("ingest", nowhere, "--out", tmp_path / "ds")
    assert "nowhere" in error_line("partition", nowhere, *thresholds)
    assert "nowhere" in error_line("train", nowhere, "--recipe", "planet_cpu", "--out", tmp_path / "model")
    assert "nowhere" in error_line("evaluate", nowhere, "--checkpoint", tmp_path)
    assert "nowhere" in error_line("locate", nowhere, "--checkpoint", tmp_path)


def test_names_of_files_cannot_steer_the_terminal(tmp_path: Path) -> None:
    evil = tmp_path / "\x1b[31mred\x07\n.jpg"
    line = error_line("locate", evil, "--checkpoint", tmp_path)
    assert "\\x1b[31mred\\x07" in line and line.isprintable()
    usage = openplanet("partition", tmp_path, "--max-photos", "\x1b[31m", "--min-photos", 1, "--out", "x", status=2)
    assert "\x1b" not in usage.stderr
    (tmp_path / "\x1b[2J.jpg").write_bytes(b"no photo")
    assert "\x1b" not in openplanet("ingest", tmp_path, "--out", tmp_path / "ds", status=1).stderr


def test_a_demo_is_not_written_among_other_files(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("mine")
    line = error_line("demo", "--out", tmp_path)
    assert "not empty" in line and "--out" in line
    assert "is a file" in error_line("demo", "--out", tmp_path / "report.html")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_misspelt_names_get_a_suggestion(tmp_path: Path) -> None:
    train = ["train", tmp_path, "--out", tmp_path / "model"]
    assert "planet_cpu" in error_line(*train, "--recipe", "planet_cpo")
    assert "epochs" in error_line(*train, "--recipe", "planet_cpu", "--set", "epoch=3")


def test_recipes_lists_those_of_albums_too() -> None:
    lines = openplanet("recipes").stdout.splitlines()
    for name in ("planet_2016", "probe", "blstm", "travel"):
        assert any(line.startswith(f"{name}  (") for line in lines)


def test_recipes_as_json() -> None:
    rows = json.loads(openplanet("recipes", "--json").stdout)
    by_name = {row["name"]: row for row in rows}
    assert set(by_name) >= {"planet_2016", "planet_cpu"}
    assert by_name["planet_2016"]["parameters_at_26263_cells"] == pytest.approx(97_321_048, rel=0.03)
    for row in rows:
        assert row["description"] and row["seen"]


def test_the_five_commands_on_a_small_planet(tmp_path: Path) -> None:
    """From photo files to a located photo, as README shows it."""
    world, data, cells = tmp_path / "world", tmp_path / "data", tmp_path / "cells.parquet"
    here("synthetic", world, "--photos", 200)
    here("ingest", world / "photos", "--out", data, "--side", 64)
    said = here(
        *("partition", data, "--max-photos", 60, "--min-photos", 2, "--out", cells),
        *("--geojson", tmp_path / "cells.geojson"),
    ).stdout
    assert " cells at levels " in said
    assert json.loads((tmp_path / "cells.geojson").read_text())["type"] == "FeatureCollection"

    tiny = ["--set", "epochs=1", "--set", "image_size=32", "--set", "batch_size=16"]
    checkpoint = tmp_path / "model"
    here("train", data, "--recipe", "planet_cpu", "--partition", cells, "--out", checkpoint, *tiny)
    table = here(
        *("evaluate", data, "--checkpoint", checkpoint, "--split", "test", "--world", world),
        *("--json", tmp_path / "scores.json", "--report", tmp_path / "scores.html"),
    ).stdout
    for row in ("prior", "nearest neighbour", "model", "Bayes limit"):
        assert row in table
    assert json.loads((tmp_path / "scores.json").read_text())
    assert "<svg" in (tmp_path / "scores.html").read_text()

    folder = next(path for path in sorted((world / "photos").iterdir()))
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"not a photo")
    done = here(
        *("locate", folder, broken, "--checkpoint", checkpoint, "--top", 3, "--json"),
        *("--map", tmp_path / "map.html"),
    )
    answers = json.loads(done.stdout)["photos"]
    assert [answer["status"] for answer in answers].count("failed") == 1
    assert answers[-1]["error"] and answers[-1]["best"] is None
    first = answers[0]
    assert [candidate["rank"] for candidate in first["top"]] == [1, 2, 3]
    assert first["best"]["within_km"] == 25 and set(first["best"]["radius_km"]) == {"0.68", "0.95"}
    assert set(first["top"][0]["place"]) >= {"country", "region", "city"}
    assert "1 of" in done.stderr
    requests = r"""(src|href)\s*=\s*["']?(https?:)?//|url\((?!data:|#)|@import"""
    for page in ("map.html", "scores.html"):  # tests of pages watch a browser too
        assert not re.search(requests, (tmp_path / page).read_text())
    assert "broken.jpg" in error_line("locate", broken, "--checkpoint", checkpoint)


def test_without_pytorch_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def missing(**_: object) -> None:
        raise ModuleNotFoundError("No module named 'timm'", name="timm")

    monkeypatch.setattr(commands.cli, "main", missing)
    with pytest.raises(SystemExit) as ended:
        commands.main()
    assert ended.value.code == 1 and "needs PyTorch (timm is not installed)" in capsys.readouterr().err
