"""The API: its answers are those of `openplanet locate`, and nothing of an upload is kept."""

import base64
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image
from serving import Running, Served, dated, photo
from test_uploads import form

from dataset_files import write_dataset
from openplanet.inference.album_predictor import AlbumPredictor
from openplanet.inference.finding import Names
from openplanet.inference.located import Located
from openplanet.inference.output import FORMATS
from openplanet.inference.output.about import About
from openplanet.inference.predictor import Predictor
from openplanet.serve.limits import Limits


def about_of(served: Served, name: str, predictor: Predictor, content: bytes) -> tuple[Located, About]:
    return Located(name, predictor.locate(content), None), About(Names(()), model=predictor.provenance)


@pytest.mark.parametrize("form_", sorted(FORMATS))
def test_an_answer_is_what_the_command_prints(served: Served, checkpoint: Path, form_: str) -> None:
    located, about = about_of(served, "a.jpg", Predictor.load(checkpoint, "cpu"), photo(3))
    answer = served.post(f"/api/locate?name=a.jpg&format={form_}", photo(3))
    expected = "".join(FORMATS[form_](iter([located]), about))
    assert answer.status == 200
    if form_ == "json":
        assert answer.json() == json.loads(expected)
    else:
        assert answer.data.decode() == expected


def test_a_form_is_taken_and_heic_has_a_thumbnail_that_browsers_show(served: Served) -> None:
    heic = io.BytesIO()
    pillow_heif.from_pillow(Image.open(io.BytesIO(photo(4, (600, 800))))).save(heic)
    body, headers = form(("IMG_1.HEIC", heic.getvalue()))
    told = served.post("/api/locate?thumbnail=true&files=kml,gpx,nonsense", body, headers=headers).json()
    (record,) = told["photos"]
    assert (record["photo"], record["status"]) == ("IMG_1.HEIC", "located")
    kind, data = record["thumbnail"].split(",", 1)
    assert kind == "data:image/jpeg;base64" and len(data) < 200_000
    assert set(told["files"]) == {"kml", "gpx"} and "IMG_1.HEIC" in told["files"]["kml"]


def test_what_cannot_be_read_is_422_and_what_shows_no_place_has_no_answer(served: Served) -> None:
    bad = served.post("/api/locate?name=b.jpg", photo()[:400])
    assert bad.status == 422 and bad.json()["photos"][0]["status"] == "failed" and bad.json()["photos"][0]["error"]
    for path, best in (("/api/locate", False), ("/api/locate?all_pictures=true", True)):
        blank = io.BytesIO()
        Image.new("RGB", (300, 300), "grey").save(blank, "PNG")
        record = served.post(path, blank.getvalue()).json()["photos"][0]
        assert (record["status"] == "located") == best and (record["best"] is not None) == best
        assert best or record["flag"].startswith("blank")
    assert served.post("/api/explain", photo()[:400]).status == 422
    assert "top" in served.post("/api/locate?top=0", photo()).json()["error"]


def test_a_photo_of_too_many_pixels_is_not_decoded(running: Running) -> None:
    with running(Limits(photo_pixels=10_000)) as one:
        record = one.post("/api/locate", photo()).json()["photos"][0]
        assert record["status"] == "failed" and "10,000 pixels" in record["error"]


def test_an_explanation_has_what_the_answer_hangs_on_and_the_photos_most_alike(
    running: Running, tmp_path: Path
) -> None:
    rows = [
        {"photo_id": f"{n:064x}", "image": {"bytes": photo(n), "path": None}, "source": f"{n}.jpg", "split": "train",
         "lat": 10.0 + n, "lng": 20.0, "attribution": "<b>Ann</b>"} for n in range(6)
    ]  # fmt: skip
    write_dataset(tmp_path / "ds", rows)
    with running(reference=tmp_path / "ds") as one:
        assert one.get("/api/models").json()["reference"] is True
        evidence = one.post("/api/explain?thumbnail=true", photo(2)).json()["photos"][0]["evidence"]
    assert np.shape(evidence["drop_when_covered"]) == (7, 7)
    assert evidence["alike"][0]["lat"] == 12.0 and evidence["alike"][0]["attribution"] == "<b>Ann</b>"
    picture = Image.open(io.BytesIO(base64.b64decode(evidence["alike"][0]["picture"].split(",", 1)[1])))
    assert picture.size == (128, 96)


def lines_of(served: Served, query: str, *parts: tuple[str, bytes]) -> list[dict[str, Any]]:
    body, headers = form(*parts)
    answer = served.post(f"/api/album{query}", body, headers=headers)
    assert answer.status == 200
    return [json.loads(line) for line in answer.data.splitlines()]


def test_an_album_is_told_photo_by_photo_and_then_as_the_command_places_it(
    served: Served, checkpoint: Path, tmp_path: Path
) -> None:
    sent = [("c.jpg", dated(1, 30)), ("a.jpg", dated(2, 10, (40, 20))), ("b.jpg", dated(3, 20)), ("x.jpg", b"none")]
    *each, last = lines_of(served, "?anchors=true&files=gpx&thumbnail=true", *sent)
    assert [(line["type"], line["index"], line["record"]["photo"]) for line in each] == [
        ("photo", n, name) for n, (name, _) in enumerate(sent)
    ]
    assert each[0]["record"]["thumbnail"] and each[3]["record"]["status"] == "failed"
    for name, content in sent:
        (tmp_path / name).write_bytes(content)
    expected = AlbumPredictor.load(checkpoint, "cpu").locate(tmp_path, anchors=True)
    assert [record["photo"] for record in last["photos"]] == [Path(str(one.photo)).name for one in expected.photos]
    assert [record["index"] for record in last["photos"]] == [1, 2, 0, 3]
    for record, one in zip(last["photos"], expected.photos, strict=True):
        assert (record["status"], record["source"], record["camera"]) == (one.status, one.source, one.camera or None)
        if one.position is not None:
            assert (record["best"]["lat"], record["best"]["lng"]) == pytest.approx(one.position)
    assert last["album"]["variant"] == "travel" and "<trk>" in last["files"]["gpx"]


def test_photos_that_are_no_album_are_told_singly_and_an_album_of_none_has_no_answer(served: Served) -> None:
    *_, last = lines_of(served, "?together=false&files=csv", ("a", photo(1)), ("a", photo(2)))
    assert last["album"] is None and [record["index"] for record in last["photos"]] == [0, 1]
    assert len(last["files"]["csv"].splitlines()) == 3
    *_, last = lines_of(served, "", ("a", b"none"))
    assert [record["status"] for record in last["photos"]] == ["failed"]


def test_no_finer_than_the_server_tells(running: Running) -> None:
    with running(finest="region") as one:
        texts = [one.post(f"/api/locate?finest=cell&map=true&format={form_}", dated(1, 1)).data.decode()
                 for form_ in FORMATS]  # fmt: skip
        texts += [json.dumps(lines_of(one, "?anchors=true&map=true", ("a", dated(1, 1, (40, 20))), ("b", photo(2))))]
        for text in texts:
            assert '"lat"' not in text and "coordinates" not in text and "cell_token" not in text
        assert one.post("/api/explain", photo()).status == 403
        assert one.get("/api/models").json()["finest"] == "region"


def test_nothing_of_an_upload_is_written(served: Served) -> None:
    opened: list[tuple[Any, ...]] = []
    watching = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event in ("open", "os.mkdir", "tempfile.mkstemp", "tempfile.mkdtemp"):
            opened.append((event, *arguments))

    sys.addaudithook(hook)  # it cannot be taken away again: hence ``watching``
    large = photo(size=(1500, 1500), form="PNG")  # 7 MB: Starlette's forms write from 1 MB on
    body, headers = form(("/tmp/../a.png", large), ("b.png", large))
    assert served.post("/api/album?thumbnail=true", body, headers=headers).status == 200
    assert served.post("/api/locate", large).status == 200
    watching = False
    written = [each for each in opened if each[0] != "open" or (isinstance(each[3], int) and each[3] & 3)]
    assert not [each for each in written if "serials" not in str(each)], written


def test_the_description_of_the_api_names_every_address(served: Served) -> None:
    paths = served.get("/api/openapi.json").json()["paths"]
    assert set(paths) == {"/api/locate", "/api/album", "/api/explain", "/api/models", "/api/game", "/healthz"}
    assert {"429", "503"} <= set(paths["/api/locate"]["post"]["responses"])
