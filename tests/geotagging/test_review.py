"""The review page in a real browser, as a file and served; who may ask the server; what decisions may say."""

import json
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest

from browsers import browser
from geotagging.libraries import NEAR_PARIS, trip
from openplanet import geotagging
from openplanet.errors import InputError
from openplanet.geotagging import decisions
from openplanet.geotagging.review import serving
from openplanet.geotagging.run import HAND, Run

BOX = (
    "((element) => { const { x, y, width, height } = element.getBoundingClientRect(); return [x, y, width, height]; })"
)


@pytest.fixture
def run(tmp_path):
    geotagging.plan([trip(tmp_path / "<b>trip")], tmp_path / "run")
    return tmp_path / "run"


def rows(run):
    return {row.file.rpartition("/")[2]: row for row in Run.open(run).rows}


@pytest.mark.slow
def test_in_a_browser_decisions_are_kept_at_once(run):
    with serving(Run.open(run)) as url, browser("chromium") as page:
        page.open(url)
        assert page.ask("document.querySelectorAll('.photo').length") == 2  # those with a place
        assert page.ask("document.querySelector('.album h2').textContent") == "<b>trip"
        page.wait("document.querySelector('.photo img').naturalWidth > 0")
        page.wait("document.querySelector('#map .op-map')?.dataset.engine")
        page.ask("document.getElementById('yes').click()")
        page.wait("document.getElementById('state').textContent.endsWith('; kept')")
        assert rows(run)["b.jpg"].accept == "yes"
        # the map is asked for the middle of what it shows: a click there moves the point
        page.ask("document.querySelectorAll('.photo')[1].click()")
        before = rows(run)["d.jpg"]
        box = page.ask(f"{BOX}(document.querySelector('.op-canvas'))")
        page.click(box[0] + box[2] * 0.7, box[1] + box[3] * 0.4)
        page.wait("document.getElementById('about').textContent.includes('by hand')")
        page.ask("document.getElementById('no').click()")
        page.wait("document.getElementById('state').textContent.includes('1 rejected; kept')")
        after = rows(run)["d.jpg"]
        assert (after.accept, after.source) == ("no", HAND)
        assert 1e-5 < abs(after.lat - before.lat) + abs(after.lng - before.lng) < 20
        page.ask("document.getElementById('back').click()")
        page.wait("!document.getElementById('about').textContent.includes('by hand')")
        # the pin is dragged
        pin = page.ask(f"{BOX}(document.querySelector('.op-pin'))")
        start = (pin[0] + pin[2] / 2, pin[1] + pin[3] / 2)
        for kind, x, y in (
            ("mousePressed", *start),
            ("mouseMoved", start[0] + 20, start[1]),
            ("mouseReleased", start[0] + 40, start[1]),
        ):
            page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)
        page.wait("document.getElementById('about').textContent.includes('by hand')")
        page.wait("document.getElementById('state').textContent.includes('kept')")
        page.ask("document.getElementById('back').click()")
        # all of an album
        page.ask("document.querySelectorAll('.album button')[0].click()")
        page.wait("document.getElementById('state').textContent.includes('2 accepted, 0 rejected; kept')")
        again = rows(run)["d.jpg"]
        assert again.accept == "yes" and (again.lat, again.lng) == NEAR_PARIS
        assert not page.errors
        assert all(
            urlsplit(each).hostname == "127.0.0.1" for each in page.requests if not each.startswith(("blob", "data"))
        )


@pytest.mark.slow
def test_as_a_file_it_saves_decisions_for_apply(run):
    with browser("chromium") as page:
        page.open((run / "review.html").as_uri())
        page.wait("document.querySelector('.photo img').naturalWidth > 0")
        page.ask("document.getElementById('least').value = '95'; document.getElementById('above').click()")
        saved = page.ask(
            "new Promise((done) => { URL.createObjectURL = (blob) => { blob.text().then(done); return 'blob:none'; };"
            " document.getElementById('save').click(); })"
        )
        assert not page.errors and all(each.startswith(("file:", "blob:", "data:")) for each in page.requests)
    told = json.loads(saved)
    assert {file.rpartition("/")[2]: one for file, one in told["decisions"].items()} == {
        "b.jpg": {"accept": "yes"}, "d.jpg": {"accept": "yes"}
    }  # fmt: skip
    opened = Run.open(run)
    assert decisions.take(opened, told) == 2 and {row.accept for row in opened.rows} == {"yes", ""}


def ask(url, method="GET", body=None, **headers):
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_only_whoever_knows_the_address_is_served(run):
    opened = Run.open(run)
    thumb = next(photo.thumb for photo in opened.photos.values())
    with serving(opened) as url:
        assert ask(url)[0] == 200 and ask(url + thumb)[1][:2] == b"\xff\xd8"
        root = url[: url.index("/", 8)]
        for path in ("/", "/wrong/", "/" + url.rsplit("/", 2)[1][:-1] + "x/"):
            assert ask(root + path)[0] == 403
        assert ask(url, Host="evil.example")[0] == 403  # a name that somebody made lead here
        for path in ("run.json", "../library", "thumbs/../run.json", "%2e%2e/run.json"):
            assert ask(url + path)[0] in (403, 404)
        body = json.dumps({"run": opened.about.run, "decisions": {}}).encode()
        assert ask(url + "decisions", "POST", body)[0] == 200
        assert (
            ask(url + "decisions", "POST", body, **{"Content-Type": "text/plain"})[0] == 400
        )  # a form of another page
        assert ask(root + "/decisions", "POST", body)[0] == 403
        assert ask(url + "decisions", "POST", b"{")[0] == 400


@pytest.mark.parametrize(
    ("one", "words"),
    [
        ({"accept": "maybe"}, "none of yes, no and nothing"),
        ({"accept": "yes", "lat": "1", "lng": 2}, "are numbers"),
        ({"accept": "yes", "lat": 91, "lng": 2}, "is no position"),
        ({"accept": "yes", "lat": 1}, "are numbers"),
        ("yes", "none of yes"),
    ],
)
def test_decisions_that_cannot_be_meant_change_nothing(run, one, words):
    opened = Run.open(run)
    before = list(opened.rows)
    files = [row.file for row in opened.rows]
    with pytest.raises(InputError, match=words):
        decisions.take(opened, {"run": opened.about.run, "decisions": {files[0]: {"accept": "yes"}, files[1]: one}})
    assert opened.rows == before
    with pytest.raises(InputError, match="not of"):
        decisions.take(opened, {"run": "other", "decisions": {}})


def test_names_of_files_cannot_end_the_script(tmp_path):
    geotagging.plan([trip(tmp_path / "<script>alert(1)<" / "x")], tmp_path / "run")
    text = (tmp_path / "run" / "review.html").read_text()
    assert "<script>alert" not in text
