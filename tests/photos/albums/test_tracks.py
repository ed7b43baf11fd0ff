"""Photos on GPX tracks, by UTC and by clocks that tell local time."""

from datetime import datetime, timedelta

import pytest

from openplanet.errors import InputError
from openplanet.photos.albums.tracks import Tracks

START = datetime(2024, 5, 1, 8)  # UTC


def gpx(path, points, head="", lat=48.0):
    """Points (minutes after START, lng) of one track."""
    text = "".join(
        f'<trkpt lat="{lat}" lon="{lng}"><ele>1</ele><time>{(START + timedelta(minutes=m)).isoformat()}Z</time></trkpt>'
        for m, lng in points
    )
    path.write_text(
        f'<?xml version="1.0"?>{head}<gpx xmlns="http://www.topografix.com/GPX/1/1"><metadata><time>'
        f"1999-01-01T00:00:00Z</time></metadata><trk><trkseg>{text}</trkseg></trk></gpx>"
    )
    return path


def test_between_points_in_proportion_to_time(tmp_path):
    tracks = Tracks.read([gpx(tmp_path / "a.gpx", [(0, 2.0), (4, 2.04), (60, 3.0)])])
    at = tracks.at(START + timedelta(minutes=1), True)
    assert (at.lat, at.lng) == pytest.approx((48.0, 2.01), abs=1e-4)
    assert tracks.at(START + timedelta(minutes=4), True).lng == pytest.approx(2.04)
    near, edge = tracks.at(START + timedelta(minutes=6), True), tracks.at(START + timedelta(minutes=10), True)
    assert near.lng == edge.lng == pytest.approx(2.04) and near.radius_km < edge.radius_km
    for minutes in (-11, 30, 71):  # before, in a gap that nobody knows, after
        assert tracks.at(START + timedelta(minutes=minutes), True) is None


def test_local_times_by_the_zone_of_the_track_or_the_one_given(tmp_path):
    file = gpx(tmp_path / "a.gpx", [(0, 2.0), (4, 2.04)])
    assert Tracks.read([file]).at(START + timedelta(hours=2, minutes=2), False).lng == pytest.approx(
        2.02
    )  # summer in Paris
    assert Tracks.read([file]).at(START, False) is None
    tokyo = Tracks.read([file], "Asia/Tokyo")
    assert tokyo.at(START + timedelta(hours=9, minutes=2), False).lng == pytest.approx(2.02)


def test_files_in_any_order_are_one_track(tmp_path):
    files = [gpx(tmp_path / "b.gpx", [(5, 2.05), (6, 2.06)]), gpx(tmp_path / "a.gpx", [(0, 2.0), (1, 2.01)])]
    assert Tracks.read(files).at(START + timedelta(minutes=3), True).lng == pytest.approx(2.03)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no xml", "is no GPX file"),
        ('<!DOCTYPE gpx [<!ENTITY a "b">]><gpx/>', "declares a document type"),
        ('<gpx><trk><trkseg><trkpt lat="1" lon="2"/></trkseg></trk></gpx>', "no track point with a time"),
        ('<gpx><trkpt lat="91" lon="2"><time>2024-05-01T08:00:00Z</time></trkpt></gpx>', "no track point with a time"),
    ],
)
def test_what_is_no_track_is_named(tmp_path, text, words):
    (tmp_path / "a.gpx").write_text(text)
    with pytest.raises(InputError, match=words):
        Tracks.read([tmp_path / "a.gpx"])


def test_zones_and_files_that_are_none(tmp_path):
    file = gpx(tmp_path / "a.gpx", [(0, 2.0)])
    with pytest.raises(InputError, match="no time zone"):
        Tracks.read([file], "Mars/Olympus")
    with pytest.raises(InputError, match="cannot be read"):
        Tracks.read([tmp_path / "missing.gpx"])
