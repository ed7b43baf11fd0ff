import csv
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from loopback import HASTY, Seen, send, serve
from photo_files import save

from openplanet.errors import InputError
from openplanet.photos.dataset import Dataset
from openplanet.photos.ingest.ingest import ingest
from openplanet.photos.sources.collect import collect


def photos(folder: Path) -> dict[str, bytes]:
    return {f"/{seed}.jpg": save(folder / f"{seed}.jpg", seed).read_bytes() for seed in range(4)}


def test_a_list_of_urls_becomes_a_dataset(tmp_path: Path) -> None:
    content = photos(tmp_path / "server")

    def answer(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        body = content.get(handler.path)
        send(handler, body or b"", 200 if body else 404)

    with serve(answer) as (base, seen):
        table = tmp_path / "list.csv"
        lines = [f"{base}/{seed}.jpg,{10 + seed},20,Ada,CC0" for seed in range(4)]
        table.write_text("\n".join(["url,lat,lng,owner,licence", *lines, f"{base}/gone.jpg,1,2,,", lines[0], ",,,,"]))
        counts = collect.urls(table, tmp_path / "got", HASTY)
        assert counts == {"fetched": 4, "status 404": 1}
        again = collect.urls(table, tmp_path / "got", HASTY)
        assert again == counts and seen.paths["/1.jpg"] == 1 and seen.paths["/gone.jpg"] == 2
    with (tmp_path / "got" / "failed.csv").open() as file:
        assert [row["reason"] for row in csv.DictReader(file)] == ["status 404"]
    ingest([tmp_path / "got"], tmp_path / "out", coordinates=tmp_path / "got" / "photos.csv", workers=1)
    rows = Dataset.open(tmp_path / "out").table(["lat", "owner_id", "licence", "position_from"]).to_pylist()
    assert sorted(row["lat"] for row in rows) == [10, 11, 12, 13]
    assert rows[0] == {**rows[0], "owner_id": "Ada", "licence": "CC0", "position_from": "table"}


def test_parquet_lists_and_bad_ones(tmp_path: Path) -> None:
    with serve(lambda handler, _: send(handler, b"photo")) as (base, _):
        pq.write_table(
            pa.table({"url": [f"{base}/a", f"{base}/../../b.png?x=1"], "lat": [1.0, None]}), tmp_path / "l.parquet"
        )
        assert collect.urls(tmp_path / "l.parquet", tmp_path / "got", HASTY)["fetched"] == 2
        names = [path.relative_to(tmp_path / "got") for path in (tmp_path / "got").rglob("*.*g")]
        assert len(names) == 2 and all(len(name.parts) == 2 for name in names)
    (tmp_path / "no.csv").write_text("file,lat\n")
    with pytest.raises(InputError, match="no column url"):
        collect.urls(tmp_path / "no.csv", tmp_path / "x", HASTY)
    with pytest.raises(InputError, match="cannot be read"):
        collect.urls(tmp_path / "gone.csv", tmp_path / "x", HASTY)
    (tmp_path / "bad.csv").write_text("url\nfile:///etc/passwd\n")
    with pytest.raises(InputError, match="none of the photos"):
        collect.urls(tmp_path / "bad.csv", tmp_path / "x", HASTY)
