import io
import json
import os
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from photo_files import picture
from PIL import Image

from dataset_files import write_dataset
from openplanet.errors import DatasetError
from openplanet.photos import dataset as stored
from openplanet.photos.dataset import Dataset
from openplanet.photos.row_groups import row_groups

os.environ["HF_HUB_OFFLINE"] = "1"


def row(index: int) -> dict[str, object]:
    jpeg = io.BytesIO()
    picture(index).save(jpeg, "JPEG")
    located = index % 4 != 0
    return {
        "photo_id": f"{index:064x}",
        "image": {"bytes": jpeg.getvalue(), "path": f"{index}.jpg"},
        "lat": 10.0 + index if located else None,
        "lng": -20.0 if located else None,
        "taken_at": None,
        "taken_at_is_utc": False,
        "album_id": "a",
        "album_order": index,
        "owner_id": None,
        "width": 64,
        "height": 48,
        "dhash": 2**64 - 1 - index,
        "source": f"a/{index}.jpg",
        "licence": None,
        "split": ("train", "test", "none")[index % 3],
        "near_duplicate_of": None,
    }


def write(folder: Path, sizes: tuple[int, ...] = (7, 5)) -> Path:
    described, start = [], 0
    for number, size in enumerate(sizes):
        path = folder / stored.shard_name(str(number))
        rows = [row(index) for index in range(start, start + size)]
        with stored.open_writer(path) as writer:
            writer.write_table(pa.Table.from_pylist(rows, schema=stored.SCHEMA))
        described.append(stored.describe_shard(path, size))
        start += size
    manifest = {"format": stored.FORMAT, "format_version": stored.FORMAT_VERSION, "shards": described}
    (folder / stored.MANIFEST).write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("dataset"))


def test_reads_rows_in_order_across_shards(folder: Path) -> None:
    dataset = Dataset.open(folder)
    assert dataset.table(["album_order"])["album_order"].to_pylist() == list(range(12))
    assert dataset.table().schema.equals(stored.SCHEMA)
    assert dataset.table(["dhash"])["dhash"][0].as_py() == 2**64 - 1


@pytest.mark.parametrize("split", [None, "train", "val", "test", "none"])
@pytest.mark.parametrize("located", [False, True])
def test_filters_are_what_they_say(folder: Path, split: str | None, located: bool) -> None:
    dataset = Dataset.open(folder)
    expected = [
        index
        for index in range(12)
        if (split is None or row(index)["split"] == split) and (not located or row(index)["lat"] is not None)
    ]
    assert dataset.table(["album_order"], split, located)["album_order"].to_pylist() == expected
    assert dataset.count(split, located) == len(expected)
    batches = list(dataset.batches(["album_order"], split, located, batch_size=3))
    assert all(0 < batch.num_rows <= 3 for batch in batches)
    assert [value for batch in batches for value in batch["album_order"].to_pylist()] == expected


def test_coordinates_are_of_located_photos_of_the_split(folder: Path) -> None:
    pairs = [
        pair for lat_N, lng_N in Dataset.open(folder).coordinates("train") for pair in zip(lat_N, lng_N, strict=True)
    ]
    assert pairs == [(10.0 + index, -20.0) for index in range(0, 12, 3) if index % 4]


def test_shards_from_before_utc_offsets_are_read(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    folder = write(tmp_path / "old")
    manifest = json.loads((folder / "manifest.json").read_text())
    for entry in manifest["shards"]:
        path = folder / entry["file"]
        pq.write_table(pq.read_table(path).drop_columns(list(stored.NEWER)), path)
        entry |= stored.describe_shard(path, entry["rows"])
    (folder / "manifest.json").write_text(json.dumps(manifest))
    table = Dataset.open(folder).table()
    assert table.schema.names == stored.SCHEMA.names and table["utc_offset_minutes"].null_count == table.num_rows == 12
    assert Dataset.open(folder).table(["utc_offset_from", "photo_id"], located=True).num_rows > 0


def test_unknown_column_and_split_are_named(folder: Path) -> None:
    dataset = Dataset.open(folder)
    with pytest.raises(DatasetError, match="no column colour"):
        dataset.table(["colour"])
    with pytest.raises(DatasetError, match="no split 'dev'"):
        dataset.count("dev")


def test_opens_in_plain_pyarrow_and_duckdb(folder: Path) -> None:
    table = pq.read_table(folder / stored.shard_name("0"))
    assert table.num_rows == 7
    assert Image.open(io.BytesIO(table["image"][2].as_py()["bytes"])).size == (64, 48)
    with duckdb.connect() as connection:
        found = connection.execute(
            "select count(*), sum(octet_length(image.bytes)), max(dhash) from read_parquet(?) where split = 'train'",
            [str(folder / "photos-*.parquet")],
        ).fetchone()
    assert found is not None and found[0] == 4 and found[1] > 1000 and found[2] == 2**64 - 1


# datasets and its dependencies warn of their own use of deprecated functions, which is theirs to mend
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_opens_in_hugging_face_datasets_with_pictures(folder: Path, tmp_path: Path) -> None:
    import datasets  # noqa: PLC0415 (takes seconds, and only this test needs it)

    datasets.disable_progress_bars()
    loaded = datasets.load_dataset(
        "parquet", data_files=str(folder / "photos-*.parquet"), split="train", cache_dir=str(tmp_path)
    )
    assert len(loaded) == 12
    assert isinstance(loaded.features["image"], datasets.Image)
    picture_ = loaded[3]["image"]
    assert isinstance(picture_, Image.Image) and picture_.size == (64, 48)
    assert loaded[4]["lat"] is None and loaded[0]["dhash"] == 2**64 - 1


def test_refuses_a_folder_without_manifest(tmp_path: Path) -> None:
    (write(tmp_path) / stored.MANIFEST).unlink()
    with pytest.raises(DatasetError, match=r"did not finish.*same ingest command again"):
        Dataset.open(tmp_path)
    with pytest.raises(DatasetError, match="no dataset there"):
        Dataset.open(tmp_path / "missing")


def test_refuses_missing_short_and_changed_shards(tmp_path: Path) -> None:
    second = write(tmp_path) / stored.shard_name("1")
    whole = second.read_bytes()
    second.write_bytes(whole[:-1])
    with pytest.raises(DatasetError, match=r"photos-1\.parquet has .* bytes where"):
        Dataset.open(tmp_path)
    second.unlink()
    with pytest.raises(DatasetError, match=r"photos-1\.parquet is missing"):
        Dataset.open(tmp_path)
    second.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    with pytest.raises(DatasetError, match=r"photos-1\.parquet is damaged"):
        Dataset.open(tmp_path).verify()
    second.write_bytes(bytes(len(whole)))
    with pytest.raises(DatasetError, match=r"photos-1\.parquet cannot be read"):
        Dataset.open(tmp_path).count()


def test_flipped_bits_of_a_picture_are_told_when_it_is_read(tmp_path: Path) -> None:
    first = write(tmp_path) / stored.shard_name("0")
    whole = first.read_bytes()
    jpeg = whole.index(b"\xff\xd8\xff")
    at = whole.index(b"\xff\xda", jpeg) + 20  # in the coded pixels, where a decoder would notice nothing
    first.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    dataset = Dataset.open(tmp_path)
    assert dataset.count() == 12  # other columns are whole
    with pytest.raises(DatasetError, match=r"photos-0\.parquet cannot be read .*CRC"):
        dataset.table(["image"])
    with pytest.raises(DatasetError, match=r"photos-0\.parquet cannot be read .*CRC"):
        row_groups(dataset)[0].read(["image"])


@pytest.mark.parametrize("options", [{}, {"split_by": "album", "albums": "folder"}])
def test_what_to_do_without_training_photos(tmp_path: Path, options: dict[str, str]) -> None:
    dataset = Dataset.open(write(tmp_path))
    dataset.check_train()
    rows = [row(index) | {"split": "val"} for index in range(5)]
    path = tmp_path / stored.shard_name("0")
    with stored.open_writer(path) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema=stored.SCHEMA))
    manifest = dataset.manifest | {"shards": [stored.describe_shard(path, 5)], "options": options}
    (tmp_path / stored.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(DatasetError, match=r"train split \(those with a position: val 3\)") as caught:
        Dataset.open(tmp_path).check_train()
    assert ("--split-by album" in str(caught.value)) == (not options)
    assert "--albums sessions" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ('{"format": "something else", "shards": []}', "not the manifest of an openplanet dataset"),
        ('{"format": "openplanet dataset", "format_version": 99, "shards": []}', "format version 99"),
        ('{"format": "openplanet dataset", "format_version": 2, "shards": [{}]}', "bad shard entry"),
    ],
)
def test_refuses_manifests_that_are_not_ours(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / stored.MANIFEST).write_text(text)
    with pytest.raises(DatasetError, match=message):
        Dataset.open(tmp_path)


def test_missing_columns_and_other_types_are_named(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "d", [{"photo_id": "00" * 32, "split": "train", "lat": 1.0, "lng": 2.0}])
    shard = dataset.shards[0]
    table = pq.read_table(shard)
    as_text = table.set_column(table.schema.get_field_index("lat"), "lat", pa.array(["1.0"]))
    for changed, told in ((table.drop_columns(["lat"]), "has no column lat"), (as_text, "column lat is string")):
        pq.write_table(changed, shard)
        with pytest.raises(DatasetError, match=rf"photos-0\.parquet.*{told}"):
            dataset.count("train", located=True)
        with pytest.raises(DatasetError, match=rf"photos-0\.parquet.*{told}"):
            row_groups(dataset)[0].read(["photo_id"], "train")
