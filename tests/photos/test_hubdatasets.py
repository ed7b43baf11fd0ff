import os
from pathlib import Path

import datasets
import pytest
from photo_files import save

from openplanet.errors import InputError, PhotoError
from openplanet.photos import hub
from openplanet.photos.ingest import ingest
from openplanet.photos.shards import Dataset

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
        list(hub.entries(f"hf:{tmp_path / 'd'}"))
    with pytest.raises(InputError, match="cannot be opened"):
        list(hub.entries(f"hf:{tmp_path / 'gone'}"))


def test_a_row_without_a_picture_is_unreadable(tmp_path: Path) -> None:
    features = datasets.Features({"image": datasets.Image()})
    datasets.Dataset.from_dict({"image": [None]}, features).save_to_disk(tmp_path / "d")
    with pytest.raises(PhotoError, match="row 0"):
        hub.read(f"hf:{tmp_path / 'd'}", 0)
