import csv
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from loopback import HASTY, PHOTO, Seen, send, serve
from photo_files import save

from openplanet.errors import InputError
from openplanet.photos.dataset import Dataset
from openplanet.photos.ingest.ingest import ingest
from openplanet.photos.sources.collect import collect
from openplanet.photos.sources.collect.fetch import Fetcher


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
    with serve(lambda handler, _: send(handler, PHOTO)) as (base, _):
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


def test_one_bad_line_ends_no_run(tmp_path: Path) -> None:
    with serve(lambda handler, _: send(handler, PHOTO)) as (base, _):
        bad = ["http://[::1", "http://h:99999/", "http://h:x/", "http://a b/", "ftp://h/a.jpg", "http://h/\0.jpg"]
        bad += ["data:image/png;base64," + "A" * 1_200_000, "http://" + "a" * 70 + ".org/"]
        lines = ["url,lat,lng", *(f"{url},1,2" for url in bad), f"{base}/a.jpg,3,4"]
        # bytes that are not UTF-8 behind the part by which the encoding is judged
        (tmp_path / "list.csv").write_bytes("\n".join(lines).encode() + b"\nhttp://\xff\xfe/,1,2\n")
        assert collect.urls(tmp_path / "list.csv", tmp_path / "got", HASTY) == {"fetched": 1, "bad url": len(bad) + 1}
    with (tmp_path / "got" / "failed.csv").open(newline="") as file:
        reasons = [row["reason"] for row in csv.DictReader(file)]
    assert reasons == ["bad url"] * (len(bad) + 1)


def test_half_an_emoji_is_written_as_an_escape(tmp_path: Path) -> None:
    rows = [{"url": "http://127.0.0.1:9/\ud83d"}]
    with pytest.raises(InputError, match="none of the photos"):
        collect._collect(rows, tmp_path, Fetcher(HASTY))
    assert "/\\ud83d,bad url," in (tmp_path / "failed.csv").read_text(encoding="utf-8")


def test_lists_of_spreadsheets(tmp_path: Path) -> None:
    with serve(lambda handler, _: send(handler, PHOTO)) as (base, _):
        text = f"url ;lat;lng;owner\n{base}/a.jpg;48,5;2,25;Jos\u00e9\n"
        (tmp_path / "list.csv").write_bytes(text.encode("cp1252"))
        assert collect.urls(tmp_path / "list.csv", tmp_path / "got", HASTY) == {"fetched": 1}
    assert ",48.5,2.25,,,,Jos\u00e9," in (tmp_path / "got" / "photos.csv").read_text(encoding="utf-8")


def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "got"
    folder = out / "ab"
    folder.mkdir(parents=True)
    left = [folder / f".{'ab' * 16}.jpg.123.part", out / ".photos.csv.1.part", out / ".failed.csv.1.part"]
    mine = [folder / ".mine.jpg.123.part", out / ".notes.1.part", folder / "a.part"]
    for path in left + mine:
        path.write_bytes(b"x")
    with serve(lambda handler, _: send(handler, PHOTO)) as (base, _):
        (tmp_path / "list.csv").write_text(f"url\n{base}/a.jpg\n")
        collect.urls(tmp_path / "list.csv", out, HASTY)
    assert not any(path.exists() for path in left) and all(path.exists() for path in mine)


def test_one_collect_writes_a_folder_at_a_time(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    (tmp_path / "list.csv").write_text("url\nhttp://127.0.0.1:9/a\n")
    with collect._alone(tmp_path), pytest.raises(InputError, match="another collect is writing"):
        collect.urls(tmp_path / "list.csv", tmp_path, HASTY)
