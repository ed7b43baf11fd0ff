"""The contract of jobs and runners, by a job that counts who did what."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from openplanet.errors import InputError
from openplanet.runners import ray
from openplanet.runners.job import Job, Share, Work, listed
from openplanet.runners.registry import run
from openplanet.storage import atomic_path


@dataclass(frozen=True)
class Squares(Job):
    """Part n writes n squared. ``deadly``: a part whose worker is killed as often as ``kills`` says."""

    folder: Path
    deadly: int = -1
    kills: int = 0
    wrong: int = -1
    local_processes: int = 0
    what = "squaring"

    @property
    def count(self) -> int:
        return 7

    def file(self, part: int) -> Path:
        return self.folder / f"part-{part}"

    def done(self, parts: Sequence[int]) -> set[int]:
        there = listed(self.folder)
        return {part for part in parts if self.file(part).name in there}

    @property
    def processes(self) -> int:
        return self.local_processes

    def open(self) -> Work:
        with (self.folder / "opened").open("a") as log:
            log.write(f"{os.getpid()}\n")

        def work(part: int) -> None:
            with (self.folder / "begun").open("a") as log:
                log.write(f"{part}\n")
            if part == self.wrong:
                raise InputError(f"part {part} cannot be done")
            with atomic_path(self.file(part)) as temporary:
                temporary.write_text(f"{part * part}")
                if part == self.deadly and self._begun(part) <= self.kills:
                    os.kill(os.getpid(), 9)  # in the middle: what it has written is not there
                time.sleep(0.05)

        return work

    def _begun(self, part: int) -> int:
        return (self.folder / "begun").read_text().split().count(str(part))


def done(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.glob("part-*"))}


ALL = {f"part-{part}": str(part * part) for part in range(7)}


RUNNERS = ["local", pytest.param("processes", marks=pytest.mark.slow), pytest.param("ray", marks=pytest.mark.slow)]
ALL_RUNNERS = pytest.mark.parametrize("runner", RUNNERS, indirect=True)
SEVERAL_PROCESSES = pytest.mark.parametrize("runner", RUNNERS[1:], indirect=True)


@pytest.fixture
def runner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where it is Ray, there is a cluster, and workers have a core each; "processes": the local one with two."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    if request.param == "ray":
        request.getfixturevalue("cluster")
    return str(request.param)


def run_by(job: Squares, runner: str) -> None:
    local = runner == "processes"
    run(replace(job, local_processes=2 if local else 0), "local" if local else runner)


@ALL_RUNNERS
def test_every_part_is_done_once_by_workers_that_open_the_job_once(tmp_path: Path, runner: str) -> None:
    (tmp_path / "part-3").write_text("9")
    run_by(Squares(tmp_path), runner)
    assert done(tmp_path) == ALL
    assert sorted((tmp_path / "begun").read_text().split()) == ["0", "1", "2", "4", "5", "6"]
    workers = (tmp_path / "opened").read_text().split()
    assert len(workers) == len(set(workers)) == (1 if runner == "local" else 2)
    assert (str(os.getpid()) in workers) == (runner == "local")


@pytest.mark.slow
def test_more_threads_than_a_machine_has_cores_are_no_endless_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    run_by(Squares(tmp_path), "ray")
    assert done(tmp_path) == ALL and len(set((tmp_path / "opened").read_text().split())) == 1


@SEVERAL_PROCESSES
def test_a_killed_worker_costs_its_part_only(tmp_path: Path, runner: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "openplanet")
    run_by(Squares(tmp_path, deadly=4, kills=1), runner)
    assert done(tmp_path) == ALL, "as if nothing had happened"
    begun = (tmp_path / "begun").read_text().split()
    if runner == "ray":  # a pool of processes dies as a whole
        assert sorted(begun) == ["0", "1", "2", "3", "4", "4", "5", "6"]
        assert "a worker died; part 4 is done again" in caplog.text
    assert begun.count("4") == 2 and set(begun) == set("0123456")


@pytest.mark.slow
def test_a_part_that_kills_every_worker_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="part 4 ended its process twice"):
        run(Squares(tmp_path, deadly=4, kills=99, local_processes=2))
    assert not (tmp_path / "part-4").exists()


@dataclass(frozen=True)
class Forgiving(Squares):
    """Writes for a deadly part that it is one."""

    def give_up(self, part: int, reason: str) -> None:
        self.file(part).write_text(reason)


@SEVERAL_PROCESSES
def test_a_job_may_know_better_than_to_end_with_a_deadly_part(tmp_path: Path, runner: str) -> None:
    run_by(Forgiving(tmp_path, deadly=4, kills=99), runner)
    got = done(tmp_path)
    assert got.pop("part-4").startswith("killed" if runner == "ray" else "ended")
    assert got == {name: square for name, square in ALL.items() if name != "part-4"}


@ALL_RUNNERS
def test_an_error_of_a_part_is_the_users_to_read(tmp_path: Path, runner: str) -> None:
    with pytest.raises(InputError, match=r"^part 2 cannot be done$"):
        run_by(Squares(tmp_path, wrong=2), runner)
    run(Squares(tmp_path))  # and what was done stays
    assert done(tmp_path) == ALL


def test_shares_divide_the_parts(tmp_path: Path) -> None:
    for index in (2, 3, 1):
        run(Squares(tmp_path), share=Share.parse(f"{index}/3"))
        if index == 2:
            assert sorted(done(tmp_path)) == ["part-1", "part-4"]
    assert done(tmp_path) == ALL
    assert len((tmp_path / "begun").read_text().split()) == 7


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "-1/3", "1/", "/2", "1/0", ""])
def test_shares_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="such as 3/8"):
        Share.parse(text)


def test_an_unknown_runner_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="local, ray"):
        run(Squares(tmp_path), "slurm")


class FakeRay:
    """Ray as far as connecting goes."""

    def __init__(self, fails: bool) -> None:
        self.fails, self.done = fails, list[str]()

    def is_initialized(self) -> bool:
        return False

    def init(self, address: str, **_: object) -> None:
        self.done.append(address)
        if self.fails:
            raise ConnectionError("nobody is there")

    def shutdown(self) -> None:
        self.done.append("ended")


def test_a_cluster_that_is_started_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeRay(fails=False)
    monkeypatch.setattr(ray, "import_module", lambda _: fake)
    with pytest.raises(ZeroDivisionError), ray.cluster():
        assert fake.done == ["local"]
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0", "nothing is reported to Ray's makers"
        raise ZeroDivisionError
    assert fake.done == ["local", "ended"]


def test_a_cluster_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.7:6379")
    monkeypatch.setattr(ray, "import_module", lambda _: FakeRay(fails=True))
    with pytest.raises(InputError, match=r"10\.0\.0\.7:6379 does not answer: nobody is there"), ray.cluster():
        pass
