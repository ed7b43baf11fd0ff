"""What is written, what is never written over, and that undo puts back every byte."""

import csv
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from geotagging.libraries import PARIS, SIDECAR, needs_exiftool, photo, tree, trip
from openplanet import geotagging
from openplanet.geotagging import exiftool
from openplanet.geotagging.exiftool import ExifTool
from openplanet.geotagging.planning import Options
from openplanet.geotagging.run import Run
from openplanet.geotagging.tags import READ
from openplanet.photos.files import exif, xmp
from openplanet.photos.ingest.ingest import ingest

pytestmark = needs_exiftool


def read(tmp_path, file, *tags):
    with ExifTool(tmp_path / "reading") as tool:
        return tool.read([Path(file)], tags or READ)[0]


def decide(run, **rows):
    """Write decisions into plan.csv: file stem -> accept, or columns."""
    opened = Run.open(run)
    for number, row in enumerate(opened.rows):
        asked = rows.get(Path(row.file).stem)
        if asked is not None:
            opened.rows[number] = type(row)(**{**vars(row), **({"accept": asked} if isinstance(asked, str) else asked)})
    opened.save_rows()


@pytest.mark.parametrize("write", ["xmp", "exif"])
def test_plan_apply_undo_end_to_end(tmp_path, write):
    library, run = trip(tmp_path / "trip"), tmp_path / "run"
    (library / "d.jpg.xmp").write_text(SIDECAR.format(""))
    for path in library.iterdir():
        os.utime(path, ns=(10**18, 10**18 + 1))
    before = tree(library)
    geotagging.plan([library], run)
    assert tree(library) == before
    by = {Path(row.file).stem: row for row in Run.open(run).rows}
    assert set(by) == {"b", "d", "e"}
    assert (by["b"].source, by["d"].source) == ("between anchors", "near in time")
    assert by["b"].radius_m < by["d"].radius_m and by["e"].left_out.startswith("not enough evidence")

    decide(run, b="yes", d="yes", e="yes")
    outcome = geotagging.apply(run, write)
    assert outcome.done == ["trip/b.jpg", "trip/d.jpg"]
    assert outcome.skipped == [("trip/e.jpg", "it has neither a point nor a name: give lat and lng, or write no")]
    after = tree(library)
    written = {"b.jpg.xmp", "d.jpg.xmp"} if write == "xmp" else {"b.jpg", "d.jpg"}
    assert {name for name in after if after[name] != before.get(name)} == written
    assert all(after[name][1] == 10**18 + 1 for name in before)  # times of what was there
    told = read(tmp_path, library / ("b.jpg.xmp" if write == "xmp" else "b.jpg"))
    group = "XMP-exif" if write == "xmp" else "GPS"
    assert told[f"{group}:GPSLatitude"] == pytest.approx(48.865) and told[f"{group}:GPSHPositioningError"] == 849
    assert told[f"{group}:GPSProcessingMethod"].startswith("openplanet")
    assert told["XMP-photoshop:City"] == told["XMP-iptcExt:LocationCreatedCity"] == "Paris"
    assert told["XMP-iptcExt:LocationCreatedCountryCode"] == "FR"
    assert told["XMP-openplanet:Run"] == Run.open(run).about.run

    assert geotagging.apply(run, write).already == ["trip/b.jpg", "trip/d.jpg"]
    assert sorted(geotagging.undo(run).done) == ["trip/b.jpg", "trip/d.jpg"]
    assert tree(library) == before
    assert geotagging.undo(run).done == []


def test_a_sidecar_keeps_every_other_property(tmp_path):
    library = trip(tmp_path / "trip")
    (library / "b.xmp").write_text(SIDECAR.format(""))  # the one that exists is written
    geotagging.plan([library], tmp_path / "run")
    geotagging.apply(tmp_path / "run", least=0.5)
    assert not (library / "b.jpg.xmp").exists()
    text = (library / "b.xmp").read_text()
    assert "kept" in text and read(tmp_path, library / "b.xmp", "XMP-xmp:Rating")["XMP-xmp:Rating"] == 4
    entry = xmp.read((library / "b.xmp").read_bytes())
    assert (entry.lat, entry.lng) == entry.estimate == pytest.approx((48.865, 2.355))


@pytest.mark.skipif(shutil.which("exiv2") is None, reason="exiv2 is not installed: apt install exiv2")
def test_another_reader_reads_the_same(tmp_path):
    """exiv2, by which digiKam, darktable and GNOME read."""
    library = trip(tmp_path / "trip")
    geotagging.plan([library], tmp_path / "run")
    geotagging.apply(tmp_path / "run", least=0.5)
    done = subprocess.run(["exiv2", "-pa", library / "b.jpg.xmp"], capture_output=True, text=True, check=True)
    told = {line.split()[0]: line.split(maxsplit=3)[3] for line in done.stdout.splitlines() if len(line.split()) > 3}
    assert told["Exif.GPSInfo.GPSLatitude"] == "48deg 51' 54\"" and told["Exif.GPSInfo.GPSLongitudeRef"] == "East"
    assert told["Xmp.photoshop.City"] == "Paris" and told["Xmp.openplanet.Source"] == "between anchors"
    assert told["Xmp.iptcExt.LocationCreated[1]/Iptc4xmpExt:CountryCode"] == "FR"


def test_adobe_names_and_two_photos_of_one_stem(tmp_path):
    library = tmp_path / "trip"
    photo(library / "a.jpg", 0, PARIS)
    photo(library / "b.jpg", 1)
    photo(library / "b.jpeg", 2)
    geotagging.plan([library], tmp_path / "run")
    outcome = geotagging.apply(tmp_path / "run", naming="adobe", least=0.5)
    assert sorted(each.name for each in library.glob("*.xmp")) == ["b.xmp"]
    assert len(outcome.done) == 1 and len(outcome.skipped) == 1
    assert "b.xmp belongs to trip/b.j" in outcome.skipped[0][1]


def test_places_of_others_are_never_written_over(tmp_path):
    """A position that appears after the plan, in any place; names of a place that somebody gave."""
    library, run = tmp_path / "trip", tmp_path / "run"
    photo(library / "a.jpg", 0, PARIS)
    for number, name in enumerate(("own", "side", "other", "names", "zero"), 1):
        photo(library / f"{name}.jpg", number)
    (library / "names.jpg.xmp").write_text(
        SIDECAR.format("xmlns:photoshop='http://ns.adobe.com/photoshop/1.0/' photoshop:City='Home'")
    )
    geotagging.plan([library], run)
    decide(run, own="yes", side="yes", other="yes", names="yes", zero="yes")
    gps = "xmlns:exif='http://ns.adobe.com/exif/1.0/' exif:GPSLatitude='{}' exif:GPSLongitude='2,3.0E'"
    state = Run.open(run)
    photo(library / "own.jpg", 1, PARIS)
    (library / "side.jpg.xmp").write_text(SIDECAR.format(gps.format("48,51.0N")))
    (library / "other.xmp").write_text(SIDECAR.format(gps.format("north")))  # unreadable, but somebody's
    # even where the plan had seen them so: the guard does not rest on what the plan saw
    for name in ("own", "side", "other"):
        known = state.photos[f"trip/{name}.jpg"].state
        known["sha256"] = tree(library)[f"{name}.jpg"][0]
        known["sidecars"] |= {str(path): tree(library)[path.name][0] for path in library.glob(f"{name}*.xmp")}
    state.save()
    before = tree(library)
    outcome = geotagging.apply(run)
    assert outcome.done == ["trip/names.jpg", "trip/zero.jpg"]
    assert dict(outcome.skipped) == {
        "trip/own.jpg": "it has a position",
        "trip/side.jpg": "it has a position",
        "trip/other.jpg": "other.xmp has a position",
    }
    told = read(tmp_path, library / "names.jpg.xmp")
    assert told["XMP-photoshop:City"] == "Home" and "XMP-photoshop:Country" not in told
    assert told["XMP-exif:GPSLatitude"] == pytest.approx(PARIS[0])
    assert {name for name, each in tree(library).items() if before.get(name) != each} == {
        "names.jpg.xmp", "zero.jpg.xmp"
    }  # fmt: skip


def test_what_changed_since_the_plan_is_skipped_by_name(tmp_path):
    library, run = trip(tmp_path / "trip"), tmp_path / "run"
    geotagging.plan([library], run)
    photo(library / "b.jpg", 6)
    (library / "d.jpg").unlink()
    outcome = geotagging.apply(run, least=0.5)
    assert outcome.done == []
    assert dict(outcome.skipped) == {
        "trip/b.jpg": "b.jpg changed since the plan: plan again",
        "trip/d.jpg": "it is no longer there",
    }


def test_undo_refuses_by_name_what_changed_since(tmp_path):
    library, run = trip(tmp_path / "trip"), tmp_path / "run"
    geotagging.plan([library], run)
    geotagging.apply(run, least=0.5)
    with (library / "b.jpg.xmp").open("a") as file:
        file.write("<!-- mine -->")
    outcome = geotagging.undo(run)
    assert outcome.done == ["trip/d.jpg"]
    assert outcome.skipped == [("trip/b.jpg", "b.jpg.xmp: changed since it was written")]
    assert (library / "b.jpg.xmp").exists() and not (library / "d.jpg.xmp").exists()


def test_only_a_country_is_sure_names_and_no_point(tmp_path):
    library, run = trip(tmp_path / "trip"), tmp_path / "run"
    geotagging.plan([library], run)
    decide(run, e={"accept": "yes", "country": "France", "country_code": "FR", "source": "model"})
    geotagging.apply(run)
    told = read(tmp_path, library / "e.jpg.xmp")
    assert told["XMP-photoshop:Country"] == "France" and told["XMP-iptcExt:LocationCreatedCountryCode"] == "FR"
    assert not any("GPS" in name or "City" in name for name in told)


def test_a_point_by_hand_is_a_position_for_good(tmp_path):
    library, run = trip(tmp_path / "trip"), tmp_path / "run"
    geotagging.plan([library], run)
    decide(run, e={"accept": "yes", "lat": -33.86, "lng": 151.2})
    geotagging.apply(run, "exif")
    told = read(tmp_path, library / "e.jpg")
    assert told["XMP-photoshop:City"] == "Sydney" and told["GPS:GPSProcessingMethod"] == "MANUAL"
    assert (exif.read(library / "e.jpg").lat, exif.read(library / "e.jpg").lng) == pytest.approx((-33.86, 151.2))
    geotagging.plan([library], tmp_path / "again")
    assert "trip/e.jpg" not in Run.open(tmp_path / "again").photos


def test_only_what_an_earlier_run_wrote_is_renewed(tmp_path):
    library = trip(tmp_path / "trip")
    geotagging.plan([library], tmp_path / "one")
    geotagging.apply(tmp_path / "one", least=0.5)
    before = tree(library)
    geotagging.plan([library], tmp_path / "two")
    assert all("earlier run" in row.left_out for row in Run.open(tmp_path / "two").rows[:2])
    assert geotagging.apply(tmp_path / "two", least=0.0).done == []
    assert tree(library) == before

    # somebody corrects one in another program, which knows nothing of our namespace
    sidecar = library / "d.jpg.xmp"
    sidecar.write_text(re.sub(r"(GPSLatitude>)48", r"\g<1>47", sidecar.read_text()))
    geotagging.plan([library], tmp_path / "three", options=Options(overwrite_own=True))
    assert [row.file for row in Run.open(tmp_path / "three").rows] == ["trip/b.jpg", "trip/e.jpg"]
    decide(tmp_path / "three", b="yes")
    assert geotagging.apply(tmp_path / "three").done == ["trip/b.jpg"]
    told = read(tmp_path, library / "b.jpg.xmp")
    assert told["XMP-openplanet:Run"] == Run.open(tmp_path / "three").about.run
    assert told["XMP-photoshop:City"] == told["XMP-iptcExt:LocationCreatedCity"] == "Paris"  # once, not twice
    geotagging.undo(tmp_path / "three")
    assert tree(library)["b.jpg.xmp"] == before["b.jpg.xmp"]


def test_names_of_files_cannot_steer_exiftool(tmp_path):
    library = tmp_path / "trip"
    photo(library / "a.jpg", 0, PARIS)
    names = ["-overwrite_original.jpg", "two\nlines.jpg", "#[CSTR]x.jpg", os.fsdecode(b"caf\xe9.jpg")]
    for number, name in enumerate(names, 1):
        photo(library / name, number)
    before = tree(library)
    geotagging.plan([library], tmp_path / "run")
    assert len(geotagging.apply(tmp_path / "run", least=0.5).done) == len(names)
    assert {path.name for path in library.glob("*.xmp")} == {f"{name}.xmp" for name in names}
    geotagging.undo(tmp_path / "run")
    assert tree(library) == before


def test_hard_links_and_broken_photos_are_skipped_and_the_rest_is_written(tmp_path):
    library, run = trip(tmp_path / "trip"), tmp_path / "run"
    (tmp_path / "elsewhere.jpg").hardlink_to(library / "b.jpg")
    geotagging.plan([library], run)
    outcome = geotagging.apply(run, "exif", least=0.5)
    assert outcome.done == ["trip/d.jpg"] and "hard links" in outcome.skipped[0][1]


def test_one_line_where_exiftool_is_missing(tmp_path, monkeypatch):
    library = trip(tmp_path / "trip")
    geotagging.plan([library], tmp_path / "run")
    monkeypatch.setattr(exiftool, "found", lambda: None)
    with pytest.raises(exiftool.InputError, match="apt install libimage-exiftool-perl"):
        geotagging.apply(tmp_path / "run", least=0.5)


def test_a_plan_is_never_written_over(tmp_path):
    library = trip(tmp_path / "trip")
    geotagging.plan([library], tmp_path / "run")
    with pytest.raises(exiftool.InputError, match="exists"):
        geotagging.plan([library], tmp_path / "run")


@pytest.mark.parametrize("write", ["xmp", "exif"])
def test_ingest_does_not_learn_from_guesses(tmp_path, write):
    library = trip(tmp_path / "trip")
    geotagging.plan([library], tmp_path / "run")
    decide(tmp_path / "run", b="yes", d={"accept": "yes", "lat": 48.9, "lng": 2.4})
    geotagging.apply(tmp_path / "run", write)
    ingest([library], tmp_path / "ds")
    with (tmp_path / "ds" / "rejected.csv").open() as file:
        reasons = {Path(row["file"]).name: row["reason"] for row in csv.DictReader(file)}
    assert reasons["b.jpg"] == "estimated position"
    assert "d.jpg" not in reasons  # a person said so
