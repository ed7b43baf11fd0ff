import json
import os
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest
from photo_files import save

from openplanet.errors import InputError, PhotoError
from openplanet.photos.dataset import Dataset
from openplanet.photos.ingest.ingest import ingest
from openplanet.photos.sources import huggingface

os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture
def rows(tmp_path: Path) -> datasets.Dataset:
    photos = [save(tmp_path / f"{seed}.jpg", seed).read_bytes() for seed in range(3)]
    columns = {
        "picture": [{"bytes": photo, "path": None} for photo in photos],
        "latitude": [10.0, 11.0, None],
        "longitude": [20.0, 21.0, None],
        "license": ["CC0", None, None],
    }
    features = datasets.Features(
        {"picture": datasets.Image(), "latitude": datasets.Value("float64"), "longitude": datasets.Value("float64"),
         "license": datasets.Value("string")}
    )  # fmt: skip
    return datasets.Dataset.from_dict(columns, features)


@pytest.mark.parametrize("kind", ["arrow", "parquet"])
def test_local_datasets_are_ingested(
    rows: datasets.Dataset, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "d"
    folder.mkdir()
    if kind == "arrow":
        rows.save_to_disk(folder)
    else:
        rows.to_parquet(folder / "part-0.parquet")
    manifest = ingest([Path(f"hf:{folder}")], tmp_path / "out", workers=1)
    found = Dataset.open(tmp_path / "out").table(["lat", "position_from", "licence"]).to_pylist()
    assert [(row["lat"], row["licence"]) for row in found] == [(10, "CC0"), (11, None)]
    assert found[0]["position_from"] == "source" and manifest["counts"]["rejected"] == {"no gps": 1}
    assert ingest([Path(f"hf:{folder}")], tmp_path / "out", workers=1)["fingerprint"] == manifest["fingerprint"]


def test_our_own_datasets_open_and_are_ingested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    for seed in range(4):
        save(tmp_path / "p" / f"{seed}.jpg", seed, lat=1.0 + seed, lng=5.0)
    ingest([tmp_path / "p"], tmp_path / "ds", workers=1)
    loaded = datasets.load_dataset(str(tmp_path / "ds"), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(loaded) == 4 and loaded[0]["image"].size == (64, 48) and loaded[0]["lng"] == 5
    (tmp_path / "ds" / "README.md").write_text("mine")
    manifest = ingest([Path(f"hf:{tmp_path / 'ds'}")], tmp_path / "again", workers=1)
    assert manifest["counts"]["rows"] == 4 and manifest["counts"]["positions_from"] == {"source": 4}
    save(tmp_path / "p" / "new.jpg", 9, lat=1.0)
    ingest([tmp_path / "p"], tmp_path / "ds", workers=1)
    assert (tmp_path / "ds" / "README.md").read_text() == "mine"


def test_what_is_no_dataset_of_images_is_named(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"a": [1]}).save_to_disk(tmp_path / "d")
    with pytest.raises(InputError, match="no image column"):
        list(huggingface.entries(f"hf:{tmp_path / 'd'}"))
    with pytest.raises(InputError, match="cannot be opened"):
        list(huggingface.entries(f"hf:{tmp_path / 'gone'}"))


def test_a_row_without_a_picture_is_unreadable(tmp_path: Path) -> None:
    features = datasets.Features({"image": datasets.Image()})
    datasets.Dataset.from_dict({"image": [None]}, features).save_to_disk(tmp_path / "d")
    with pytest.raises(PhotoError, match="row 0"):
        huggingface.read(f"hf:{tmp_path / 'd'}", 0)


def _folder_of_paths(folder: Path, paths: list[str | None]) -> str:
    folder.mkdir(exist_ok=True)
    column = [None if path is None else {"bytes": None, "path": path} for path in paths]
    rows = datasets.Dataset.from_dict({"image": column}, datasets.Features({"image": datasets.Image()}))
    table = rows.with_format("arrow")[:]
    pq.write_table(table.replace_schema_metadata(rows.data.schema.metadata), folder / "a.parquet")
    return f"hf:{folder}"


@pytest.mark.timeout(60)
def test_a_row_names_files_of_its_dataset_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    folder, private = tmp_path / "evil", save(tmp_path / "private.jpg", 0)
    folder.mkdir()
    mine = save(folder / "mine.jpg", 1)
    (folder / "link.jpg").symlink_to(private)
    (folder / "folder").symlink_to(tmp_path)
    (folder / "zero.jpg").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.jpg")
    good = ["mine.jpg", str(mine), "./mine.jpg", f"../{folder.name}/mine.jpg"]
    bad = [
        str(private), "../private.jpg", f"{folder}/../private.jpg", "link.jpg", "folder/private.jpg", "zero.jpg",
        "/dev/zero", "pipe.jpg", str(folder / "pipe.jpg"), "/dev/stdin", "/proc/self/environ", "", ".", "a\0b",
        "http://127.0.0.1:9/a.jpg", "file://" + str(private), "~/x.jpg", None,
    ]  # fmt: skip
    origin = _folder_of_paths(folder, [*good, *bad])
    assert [huggingface.read(origin, index) for index in range(len(good))] == [mine.read_bytes()] * len(good)
    for index, path in enumerate(bad, len(good)):
        with pytest.raises(PhotoError, match=rf"row {index}|regular file|cannot be opened"):
            assert huggingface.read(origin, index) is None, path


@pytest.mark.timeout(60)
def test_the_parquet_files_of_a_dataset_lie_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    save(tmp_path / "other" / "x.jpg", 1)
    _folder_of_paths(tmp_path / "other", ["x.jpg"])
    folder = tmp_path / "evil"
    _folder_of_paths(folder, ["x.jpg"])
    os.mkfifo(folder / "pipe.parquet")
    assert len(list(huggingface.entries(f"hf:{folder}"))) == 1
    huggingface._open.cache_clear()
    (folder / "b.parquet").symlink_to(tmp_path / "other" / "a.parquet")
    with pytest.raises(InputError, match=r"b\.parquet leads out of the dataset"):
        list(huggingface.entries(f"hf:{folder}"))


def test_a_snapshot_of_the_hubs_cache_may_link_to_its_blobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    snapshot = tmp_path / "datasets--me--mine" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    blob = save(tmp_path / "datasets--me--mine" / "blobs" / "x.jpg", 1)
    (snapshot / "x.jpg").symlink_to(blob)
    assert huggingface.read(_folder_of_paths(snapshot, ["x.jpg"]), 0) == blob.read_bytes()


def test_only_the_first_picture_of_a_row_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    (tmp_path / "private.jpg").write_bytes(b"it would be told that this is no picture")
    features = datasets.Features({name: datasets.Image() for name in ("a", "b")} | {"lat": datasets.Value("float64")})
    columns = {"a": [None], "b": [{"bytes": None, "path": str(tmp_path / "private.jpg")}], "lat": [1.0]}
    datasets.Dataset.from_dict(columns, features).save_to_disk(tmp_path / "d")
    assert [name for name, _ in huggingface.entries(f"hf:{tmp_path / 'd'}")] == ["000000000"]


def test_a_saved_dataset_names_no_file_outside_of_itself(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"secret": [1, 2]}).save_to_disk(str(tmp_path / "private"))
    (arrow,) = (tmp_path / "private").glob("*.arrow")
    datasets.Dataset.from_dict({"image": [1]}).save_to_disk(str(tmp_path / "evil"))
    state = tmp_path / "evil" / "state.json"
    for named in (f"../private/{arrow.name}", str(arrow), "gone.arrow"):
        state.write_text(json.dumps(json.loads(state.read_text()) | {"_data_files": [{"filename": named}]}))
        with pytest.raises(InputError, match="leads out of the dataset or is not a file"):
            list(huggingface.entries(f"hf:{tmp_path / 'evil'}"))
