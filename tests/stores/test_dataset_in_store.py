from pathlib import Path

import made
import pytest
from s3_server import S3

from openplanet.errors import DatasetError, InputError
from openplanet.photos.dataset import MANIFEST, Dataset
from openplanet.photos.row_groups import row_groups
from openplanet.stores import ranges
from openplanet.stores.location import location


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return Dataset.open(made.write(tmp_path_factory.mktemp("made") / "photos.ds"))


@pytest.fixture(autouse=True)
def _small_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """As small beside these shards as the real ones are beside real shards."""
    monkeypatch.setattr(ranges, "JOINED", 1 << 14)
    monkeypatch.setattr(ranges, "TAIL", 1 << 14)


def test_it_reads_as_a_local_one(local: Dataset, memory: str) -> None:
    there = Dataset.open(str(made.uploaded(Path(str(local.path)), f"{memory}/photos.ds")))
    assert there.table() == local.table() and there.count("val", located=True) == local.count("val", located=True)
    batches = zip(there.batches(["photo_id"], "train"), local.batches(["photo_id"], "train"), strict=True)
    assert all(one == other for one, other in batches)
    theirs, ours = row_groups(there), row_groups(local)
    assert theirs[1].read(["image"], "train") == ours[1].read(["image"], "train")
    there.verify()


def test_requests_are_few_and_the_cache_answers_the_second_time(local: Dataset, s3: S3) -> None:
    url = str(made.uploaded(Path(str(local.path)), "s3://bucket/few/photos.ds"))
    s3.reset()
    there = Dataset.open(url)
    assert (s3.count(), s3.count("GET .*list-type"), s3.count(MANIFEST)) == (2, 1, 1)
    s3.reset()
    groups = row_groups(there)
    assert s3.count() <= 2 * len(there.shards)  # what it is, and the footer
    s3.reset()
    for group in groups:
        group.read(["lat", "lng"])
    small = s3.sent
    assert s3.count() <= len(groups)
    for group in groups:
        group.read(["photo_id", "image"])
    assert s3.count() <= 2 * len(groups) + len(there.shards) and small < s3.sent / 2
    made.forget()
    s3.reset()
    assert there.table(["photo_id", "image"]) == local.table(["photo_id", "image"])
    assert s3.count("GET") == 0


def test_a_changed_object_is_never_answered_from_the_cache(local: Dataset, s3: S3, tmp_path: Path) -> None:
    url = str(made.uploaded(Path(str(local.path)), "s3://bucket/changing/photos.ds"))
    before = Dataset.open(url)
    shard = before.shards[0]
    before.table(["lat"])
    other = made.write(tmp_path / "other", count=200)
    (location(url) / shard.name).upload(other / shard.name)  # type: ignore[union-attr]
    made.forget()
    with pytest.raises(InputError, match=rf"{shard.name} .*changed while it was read"):
        before.table(["image"])
    with pytest.raises(DatasetError, match="where the manifest says"):
        Dataset.open(url)
    (location(url) / MANIFEST).upload(other / MANIFEST)  # type: ignore[union-attr]
    (location(url) / before.shards[1].name).upload(other / before.shards[1].name)  # type: ignore[union-attr]
    assert Dataset.open(url).table() == Dataset.open(other).table()


def test_faults_that_pass_are_outlived(local: Dataset, s3: S3) -> None:
    url = str(made.uploaded(Path(str(local.path)), "s3://bucket/faulty/photos.ds"))

    def fault(method: str, path: str, before: int) -> str | None:
        if method != "GET" or before > 1:
            return None
        return "cut" if ".parquet" in path and before == 1 else "slow down"

    s3.reset(fault)
    assert Dataset.open(url).table() == local.table()
    assert s3.count("GET /bucket/faulty/photos.ds/photos") > 3


def test_faults_that_stay_are_one_line(local: Dataset, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    url = str(made.uploaded(Path(str(local.path)), "s3://bucket/denied/photos.ds"))
    with pytest.raises(DatasetError, match=r"s3://bucket/none/x.ds: no dataset there. Make one with"):
        Dataset.open("s3://bucket/none/x.ds")
    with pytest.raises(InputError, match=r"s3://nobucket/x.ds cannot be read: there is no such bucket"):
        Dataset.open("s3://nobucket/x.ds")
    s3.reset(lambda method, path, before: "denied")
    with pytest.raises(InputError, match=rf"{url} cannot be read: permission denied; check the credentials") as raised:
        Dataset.open(url)
    assert "test" not in str(raised.value)
    s3.reset(lambda method, path, before: "denied" if MANIFEST in path else None)
    with pytest.raises(DatasetError, match=rf"{MANIFEST} cannot be read: permission denied; [^.]*$"):
        Dataset.open(url)
    s3.reset(lambda method, path, before: "cut" if ".parquet" in path else None)
    with pytest.raises(InputError, match=r"parquet cannot be read: "):
        Dataset.open(url).table()
    (location(url) / MANIFEST).unlink()  # type: ignore[union-attr]
    s3.reset()
    with pytest.raises(DatasetError, match="its ingest did not finish"):
        Dataset.open(url)
