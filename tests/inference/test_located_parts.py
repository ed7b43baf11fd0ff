"""Located in parts, by whatever runner: the same bytes as in one run."""

import json
import os
import pickle
from pathlib import Path

import pytest
from click.testing import CliRunner

from inference.conftest import picture
from openplanet.cli import cli
from openplanet.errors import InputError
from openplanet.inference import located_parts
from openplanet.inference.engines.export import export
from openplanet.inference.engines.registry import ENGINES
from openplanet.inference.finding import Names, Paths
from openplanet.inference.located_parts import LocateJob
from openplanet.models.checkpoint import Checkpoint
from openplanet.runners.job import Share
from openplanet.runners.registry import run


def job(folder: Path, model: Path, photos: list[Path], **more: object) -> LocateJob:
    return LocateJob(folder, str(model), tuple(photos), Names(photos), per_part=2, all_pictures=True, **more)  # type: ignore[arg-type]


def test_in_parts_the_command_prints_what_it_prints_in_one_run(
    model: Path, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(located_parts, "PHOTOS", 2)
    photos[1].write_bytes(picture(1, 300))
    asked = ["locate", *map(str, photos), "--checkpoint", str(model), "--json"]
    whole = CliRunner().invoke(cli, asked, catch_exceptions=False)
    parts = ["--parts", str(tmp_path / "parts")]
    early = CliRunner().invoke(cli, [*asked, *parts, "--shard", "2/2"], catch_exceptions=False)
    assert early.exit_code == 0 and early.stdout == "" and "shard 2/2 is done" in early.stderr
    assert len(list((tmp_path / "parts").iterdir())) == 1
    again = CliRunner().invoke(cli, [*asked, *parts], catch_exceptions=False)
    got, want = json.loads(again.stdout), json.loads(whole.stdout)
    assert [each["photo"] for each in got["photos"]] == [f"{number}.png" for number in range(5)]
    assert got["photos"][2]["status"] == "failed" and got["photos"][1]["status"] == "located"
    assert got.keys() == want.keys() and got["model"] == want["model"]
    assert [each["status"] for each in got["photos"]] == [each["status"] for each in want["photos"]]
    assert len(list((tmp_path / "parts").iterdir())) == 3
    monkeypatch.setattr(located_parts, "open_locator", lambda *_, **__: pytest.fail("what was done is done again"))
    assert CliRunner().invoke(cli, [*asked, *parts], catch_exceptions=False).stdout == again.stdout


def test_whole_batches_give_the_same_bytes(model: Path, photos: list[Path], tmp_path: Path) -> None:
    many, names = tuple(photos[:4] * 16), Names(photos)
    one = LocateJob(tmp_path / "one", str(model), many, names, per_part=64, all_pictures=True)
    two = LocateJob(tmp_path / "two", str(model), many, names, per_part=32, all_pictures=True)
    for each in (one, two):
        run(each)
    assert (one.count, two.count) == (1, 2)
    assert list(one.records()) == list(two.records())


@pytest.mark.slow
def test_ray_and_shards_write_the_same_files_bit_for_bit(
    model: Path, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    if not ENGINES["onnx"].installed():
        pytest.skip("onnx is not installed")
    export(model, "onnx", "fp32")  # workers then start in a second
    jobs = {name: job(tmp_path / name, model, photos) for name in ("local", "ray", "shards")}
    run(jobs["local"])
    for index in (2, 1):
        run(jobs["shards"], share=Share(index, 2))
    run(jobs["ray"], "ray")
    files = {name: {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in jobs}
    assert len(files["local"]) == 3 and files["local"] == files["shards"] == files["ray"]


def test_a_part_of_another_checkpoint_or_photo_is_not_taken(model: Path, photos: list[Path], tmp_path: Path) -> None:
    def now(**more: object) -> LocateJob:
        return job(tmp_path / "parts", model, photos, **more)

    parts = range(3)
    names = [now().file(part).name for part in parts]
    run(now())
    assert now().done(parts) == {0, 1, 2} and now().done([2]) == {2}
    photos[3].write_bytes(picture(77))
    os.utime(photos[3], (1, 1))
    assert now().done(parts) == {0, 2}
    with pytest.raises(InputError, match="1 of 3 parts"):
        list(now().records())
    assert not now(top=3).done(parts)
    checkpoint = Checkpoint.load(model)
    checkpoint.calibration = type(checkpoint.calibration)(0.7)
    checkpoint.save_calibration(model)
    assert not now().done(parts)
    run(now())
    assert len(list(now().records())) == 6 and not {now().file(part).name for part in parts} & set(names)


def test_each_photo_is_asked_once_for_its_size_and_the_folder_listed_not_asked_for_each_part(
    model: Path, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, stamp = list[Path](), located_parts._stamp
    monkeypatch.setattr(located_parts, "_stamp", lambda photo: (asked.append(photo), stamp(photo))[1])
    monkeypatch.setattr(Path, "is_file", lambda self: self.parent != tmp_path / "parts" or pytest.fail("asked for"))
    whole = job(tmp_path / "parts", model, photos)
    run(whole, share=Share(2, 2))
    assert asked == photos[2:4], "a shard asks for its own photos only"
    run(whole)
    assert len(list(whole.records())) == 6 and sorted(asked) == photos
    assert len(pickle.dumps(whole.for_workers())) < 2000 and str(photos[0]) in str(whole.given(0))


def test_a_list_of_files_is_located_as_the_files_are(model: Path, photos: list[Path], tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"\xff odd.png")
    odd.write_bytes(picture(9))
    listed = tmp_path / "list.txt"
    listed.write_bytes(b"\n".join(os.fsencode(path) for path in [*photos, odd, tmp_path / "gone.png"]) + b"\n\n")
    asked = ["locate", "--checkpoint", str(model), "--json", "--all-pictures"]
    given = CliRunner().invoke(cli, [*asked, *map(str, [*photos, odd])], catch_exceptions=False)
    for more in ([], ["--parts", str(tmp_path / "parts")]):
        done = CliRunner().invoke(cli, [*asked, "--files-from", str(listed), *more], catch_exceptions=False)
        *found, gone = json.loads(done.stdout)["photos"]
        assert found == json.loads(given.stdout)["photos"] and len(found) == 6
        assert (gone["photo"], gone["status"]) == ("gone.png", "failed")
    stdin = CliRunner().invoke(cli, [*asked, "--files-from", "-"], input=listed.read_bytes(), catch_exceptions=False)
    assert stdin.stdout == done.stdout
    listed.write_text("\n")
    empty = CliRunner().invoke(cli, [*asked, "--files-from", str(listed)])
    assert empty.exit_code == 1 and "lists no photo" in str(empty.exception)


def test_a_million_paths_take_their_characters() -> None:
    paths = Paths(b"/photos/2019/%07d.jpg" % number for number in range(1000))
    assert paths[-1] == Path("/photos/2019/0000999.jpg") and paths[1:3] == tuple(list(paths)[1:3])
    assert len(paths._bytes) == 24_000 and sum(1 for _ in paths) == 1000


def test_parts_of_two_engines_are_not_put_together(model: Path, photos: list[Path], tmp_path: Path) -> None:
    asked = job(tmp_path / "parts", model, photos)
    run(asked)
    file = asked.file(2)
    opening, *rest = file.read_text().splitlines(keepends=True)
    file.write_text(opening.replace('"model": {', '"model": {"engine": "other", ') + "".join(rest))
    with pytest.raises(InputError, match="another engine"):
        list(asked.records())


def test_options_that_do_not_go_together(photos: list[Path]) -> None:
    for options in (
        ["--runner", "ray"],
        ["--shard", "1/2", "--json"],
        ["--parts", "x"],
        ["--parts", "x", "--json", "--album"],
    ):
        done = CliRunner().invoke(cli, ["locate", str(photos[0]), "--checkpoint", "none", *options])
        assert done.exit_code == 2 and "--parts" in done.output
