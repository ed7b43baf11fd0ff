"""Plan, apply and undo over servers that behave as documented, and over ones that do not."""

import pytest

from geotagging.standins import KEY, ImmichStandIn, PhotoPrismStandIn, serving
from openplanet import geotagging
from openplanet.errors import InputError
from openplanet.geotagging import immich, photoprism, remote, server
from openplanet.geotagging.run import HAND, Run
from openplanet.geotagging.server import Patience, ServerError, base_url

PARIS, NEAR_PARIS = (48.86, 2.35), (48.87, 2.36)
HASTY = Patience(connect=2, read=0.5, whole=5, attempts=3, backoff=0.01, longest_wait=0.05)


@pytest.fixture(autouse=True)
def _hasty(monkeypatch):
    monkeypatch.setenv(immich.KEY, KEY)
    monkeypatch.setenv(photoprism.KEY, KEY)
    monkeypatch.setattr(server, "Patience", lambda: HASTY)


@pytest.fixture
def photos():
    """Immich with two known places, one photo between them, one after, a heap elsewhere in time without either."""
    stand_in = ImmichStandIn()
    stand_in.add("a", 0, PARIS)
    stand_in.add("b", 5)
    stand_in.add("c", 10, NEAR_PARIS)
    stand_in.add("d", 20)
    stand_in.add("gone", 6, isTrashed=True)
    stand_in.add("partner", 7, ownerId="bob")
    with serving(stand_in) as host:
        stand_in.url = f"immich://{host}"
        yield stand_in


@pytest.fixture
def prism():
    stand_in = PhotoPrismStandIn()
    stand_in.add("pa", 0, PARIS, "meta")
    stand_in.add("pb", 5)
    stand_in.add("pc", 10, NEAR_PARIS, "manual")
    stand_in.add("pd", 20, (1.0, 1.0), "estimate")
    stand_in.add("pv", 6, Type="video")
    with serving(stand_in) as host:
        stand_in.url = f"photoprism://{host}"
        yield stand_in


def places(stand_in):
    if isinstance(stand_in, ImmichStandIn):
        return {name: (each["exifInfo"]["latitude"], each["exifInfo"]["longitude"])
                for name, each in stand_in.assets.items()}  # fmt: skip
    return {name: (each["Lat"], each["Lng"], each["PlaceSrc"]) for name, each in stand_in.assets.items()}


def decide(run, file, **changes):
    opened = Run.open(run)
    opened.rows = [type(row)(**{**vars(row), **(changes if row.file == file else {})}) for row in opened.rows]
    opened.save_rows()


@pytest.mark.parametrize("keeps_zero", [True, False])
def test_immich_end_to_end(photos, tmp_path, keeps_zero):
    photos.keeps_zero = keeps_zero
    before = places(photos)
    run = geotagging.plan([photos.url], tmp_path / "run")
    assert places(photos) == before and photos.keys == {KEY}
    by = {row.file: row for row in run.rows}
    assert set(by) == {"b/b.jpg", "d/d.jpg", "partner/partner.jpg"}
    assert by["b/b.jpg"].source == "between anchors" and by["d/d.jpg"].source == "near in time"
    assert by["partner/partner.jpg"].left_out  # another owner's photos place nothing
    assert (tmp_path / "run" / run.photos["b/b.jpg"].thumb).read_bytes()[:2] == b"\xff\xd8"
    written = [path.read_text(errors="replace") for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert len(written) > 4 and not any(KEY in text for text in written)

    outcome = geotagging.apply(tmp_path / "run", least=0.5)
    assert sorted(outcome.done) == ["b/b.jpg", "d/d.jpg"] and not outcome.skipped
    assert places(photos)["b"] == pytest.approx((48.865, 2.355), abs=1e-6)
    assert places(photos)["d"] == NEAR_PARIS
    assert {name: at for name, at in places(photos).items() if name not in "bd"} == {
        name: at for name, at in before.items() if name not in "bd"
    }
    assert sorted(geotagging.apply(tmp_path / "run", least=0.5).already) == ["b/b.jpg", "d/d.jpg"]

    outcome = geotagging.undo(tmp_path / "run")
    if keeps_zero:  # it cannot take a place away: said by name
        assert places(photos)["b"] == (0.0, 0.0) and not outcome.done
        assert all("cannot take a place away" in reason for _, reason in outcome.skipped)
        again = geotagging.plan([photos.url], tmp_path / "again")
        assert "b/b.jpg" in again.photos  # 0, 0 is no place
    else:
        assert places(photos) == before and sorted(outcome.done) == ["b/b.jpg", "d/d.jpg"]
        assert geotagging.undo(tmp_path / "run").done == []


def test_the_model_sees_the_pictures_of_the_neighbours_too(photos, tmp_path, checkpoint):
    """Those with a position only where the model needs them; a picture that does not come costs one photo."""
    photos.trouble = lambda method, path, count: 404 if path == "/api/assets/partner/thumbnail" else None
    run = geotagging.plan([photos.url], tmp_path / "run", checkpoint)
    assert "404" in {row.file: row for row in run.rows}["partner/partner.jpg"].left_out
    assert ("GET", "/api/assets/a/thumbnail") not in photos.asked  # anchors placed what lies about it
    photos.add("later", 50, dateTimeOriginal="", localDateTime="")
    photos.assets["later"]["exifInfo"]["dateTimeOriginal"] = "2024-05-08T08:00:00.000Z"
    photos.assets["later"]["localDateTime"] = "2024-05-08T10:00:00.000Z"
    again = geotagging.plan([photos.url], tmp_path / "again", checkpoint)
    later = again.photos["later/later.jpg"]
    assert len(later.candidates) == 4 and ("GET", "/api/assets/a/thumbnail") in photos.asked


def test_assets_of_one_place_go_in_one_request(photos, tmp_path):
    photos.add("e", 21)
    geotagging.plan([photos.url], tmp_path / "run")
    photos.bodies.clear()
    geotagging.apply(tmp_path / "run", least=0.5)
    assert sorted(len(body["ids"]) for body in photos.bodies) == [1, 2]


def test_what_changed_meanwhile_is_skipped_and_stays(photos, tmp_path):
    geotagging.plan([photos.url], tmp_path / "run")
    photos.assets["b"]["exifInfo"] |= {"latitude": 1.5, "longitude": 2.5}
    photos.assets["d"]["checksum"] = "other"
    outcome = geotagging.apply(tmp_path / "run", least=0.5)
    assert dict(outcome.skipped) == {
        "b/b.jpg": "it has a position",
        "d/d.jpg": "its picture changed since the plan: plan again",
    }
    assert places(photos)["b"] == (1.5, 2.5)


def test_undo_refuses_what_somebody_moved(photos, tmp_path):
    geotagging.plan([photos.url], tmp_path / "run")
    geotagging.apply(tmp_path / "run", least=0.5)
    photos.assets["b"]["exifInfo"]["latitude"] = 47.0
    outcome = geotagging.undo(tmp_path / "run")
    assert ("b/b.jpg", "changed since it was written") in outcome.skipped
    assert places(photos)["b"][0] == 47.0


def test_a_place_that_is_not_read_back_is_put_back(photos, tmp_path, monkeypatch):
    geotagging.plan([photos.url], tmp_path / "run")
    answer = photos.answer

    def rounds(method, path, query, body):
        if method == "PUT" and body["latitude"]:
            body = body | {"latitude": round(body["latitude"], 1)}
        return answer(method, path, query, body)

    monkeypatch.setattr(photos, "answer", rounds)
    outcome = geotagging.apply(tmp_path / "run", least=0.5)
    assert not outcome.done and all("the server made it 48.9" in reason for _, reason in outcome.skipped)


@pytest.mark.parametrize("trouble", [429, 503, "half", "slow", "rubbish"])
def test_trouble_that_passes_costs_nothing(photos, tmp_path, trouble):
    # rubbish with status 200 does not pass by itself: it is told for the one photo
    photos.trouble = lambda method, path, count: trouble if count == 1 and trouble != "rubbish" else None
    geotagging.plan([photos.url], tmp_path / "run")
    photos.asked.clear()
    if trouble == "rubbish":
        photos.trouble = lambda method, path, count: "rubbish" if (method, path) == ("GET", "/api/assets/b") else None
        outcome = geotagging.apply(tmp_path / "run", least=0.5)
        assert outcome.done == ["d/d.jpg"] and "is no JSON" in outcome.skipped[0][1]
    else:
        assert sorted(geotagging.apply(tmp_path / "run", least=0.5).done) == ["b/b.jpg", "d/d.jpg"]


def test_a_server_that_dies_in_the_middle_and_comes_back(photos, tmp_path):
    """The request took effect, its answer never came: the next apply reads what is, and goes on."""
    geotagging.plan([photos.url], tmp_path / "run")
    answer = photos.answer
    photos.trouble = lambda method, path, count: (
        "half" if method == "GET" and path == "/api/assets/d" and count > 1 else None
    )
    first = geotagging.apply(tmp_path / "run", least=0.5)
    assert first.done == ["b/b.jpg"] and "not read back" in first.skipped[0][1]
    photos.trouble = lambda *_: None
    again = geotagging.apply(tmp_path / "run", least=0.5)
    assert sorted(again.already) == ["b/b.jpg", "d/d.jpg"] and photos.answer == answer


def test_keys(photos, tmp_path, monkeypatch):
    monkeypatch.setenv(immich.KEY, "wrong")
    with pytest.raises(ServerError, match=f"refuses the key in {immich.KEY}"):
        geotagging.plan([photos.url], tmp_path / "run")
    monkeypatch.delenv(immich.KEY)
    with pytest.raises(InputError, match=f"environment variable {immich.KEY}"):
        geotagging.plan([photos.url], tmp_path / "run")
    assert "example.org" not in photos.keys


def test_a_key_that_is_refused_in_the_middle_stops_everything(photos, tmp_path):
    geotagging.plan([photos.url], tmp_path / "run")
    photos.trouble = lambda method, *_: 403 if method == "PUT" else None
    with pytest.raises(InputError, match="refuses the key"):
        geotagging.apply(tmp_path / "run", least=0.5)
    assert photos.asked["PUT", "/api/assets"] == 1


def test_the_key_goes_nowhere_else(photos):
    photos.trouble = lambda *_: 302
    with pytest.raises(ServerError, match="sends us elsewhere"):
        remote.open_service(photos.url)
    assert base_url("immich://photos.lan") == "https://photos.lan"
    assert base_url("immich+http://photos.lan:2283/x/") == "http://photos.lan:2283/x"
    assert base_url("photoprism://127.0.0.1:1").startswith("http://")
    for bad in ("immich://", "immich://me:secret@photos.lan", "immich://photos.lan?key=1"):
        with pytest.raises(InputError) as caught:
            base_url(bad)
        assert "secret" not in str(caught.value)


def test_old_versions_are_refused(photos):
    photos.version = {"major": 1, "minor": 90, "patch": 0}
    with pytest.raises(InputError, match=r"Immich 1\.90\.0: 1\.106\.0 or newer"):
        remote.open_service(photos.url)


def test_photoprism_end_to_end(prism, tmp_path):
    before = places(prism)
    run = geotagging.plan([prism.url], tmp_path / "run")
    by = {row.file.partition("/")[0]: row for row in run.rows}
    assert set(by) == {"pb", "pd"} and by["pb"].source == "between anchors"
    assert by["pd"].left_out.startswith("the server guessed")
    file = by["pd"].file
    decide(tmp_path / "run", file, accept="yes", lat=48.0, lng=2.0, source=HAND)
    outcome = geotagging.apply(tmp_path / "run", least=0.5)
    assert len(outcome.done) == 2
    assert places(prism)["pb"] == (48.865, 2.355, "estimate")  # outranks nothing that is true
    assert places(prism)["pd"] == (48.0, 2.0, "manual")  # a person said so
    assert len(geotagging.undo(tmp_path / "run").done) == 2
    assert places(prism) == before


def test_a_guess_that_would_outrank_is_put_back(prism, tmp_path):
    prism.forces = "manual"
    before = places(prism)
    geotagging.plan([prism.url], tmp_path / "run")
    outcome = geotagging.apply(tmp_path / "run", least=0.5)
    assert (
        not outcome.done
        and "the server made it 48.865, 2.355 manual, and was told to put back" in outcome.skipped[0][1]
    )
    assert places(prism) == before


@pytest.mark.parametrize("known", [False, True])
def test_pages_are_read_to_their_end(prism, tmp_path, known):
    for number in range(5):
        prism.add(f"x{number}", 30 + number, PARIS if known else None, "meta" if known else "")
    found = {asset.id for asset in remote.open_service(prism.url).assets()}
    assert found == {"pa", "pb", "pc", "pd", *(f"x{number}" for number in range(5))}
