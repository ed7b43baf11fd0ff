"""What a plan makes of the model's answers, and whom it leaves out."""

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from geotagging.libraries import NEAR_PARIS, PARIS, SIDECAR, photo, trip
from geotagging.test_placing import item
from openplanet import geotagging
from openplanet.cli import cli
from openplanet.errors import InputError
from openplanet.geotagging.placing import Placed, Windows
from openplanet.geotagging.planning import NO_EVIDENCE, row_of
from openplanet.geotagging.run import Run
from openplanet.inference.prediction import Prediction
from openplanet.inference.predictor import Predictor
from openplanet.photos.files.xmp import GEOTAG
from openplanet.photos.sources import takeout


def by_name(run):
    return {row.file.rpartition("/")[2]: row for row in Run.open(run).rows}


def test_the_model_places_what_anchors_do_not(tmp_path, checkpoint):
    library = trip(tmp_path / "trip")
    geotagging.plan([library], tmp_path / "run", checkpoint)
    rows, run = by_name(tmp_path / "run"), Run.open(tmp_path / "run")
    assert rows["b.jpg"].source == "between anchors"
    assert rows["e.jpg"].source == "model" or rows["e.jpg"].left_out == NO_EVIDENCE
    assert len(run.photos["trip/e.jpg"].candidates) == 4
    assert run.about.model["album_model"] == "travel" and len(run.about.model["sha256"]) == 64
    assert run.about.method("model") == f"openplanet travel+{checkpoint.name} {run.about.model['sha256'][:12]}"


@pytest.mark.parametrize(
    ("probabilities", "level"),
    [((0.9, 0.1, 0, 0), "point"), ((0.4, 0.35, 0.25, 0), "nothing"), ((0.3, 0.25, 0.25, 0.2), "nothing")],
)
def test_a_point_a_name_or_nothing(checkpoint, probabilities, level):
    partition = Predictor.load(checkpoint).partition
    with np.errstate(divide="ignore"):
        placed = Placed(None, Prediction(partition, np.log(np.array(probabilities, float))))
    row, candidates = row_of(item("a", 0), placed, Windows(), True)
    assert (row.lat is not None) == (level == "point")
    assert bool(row.country) == (level != "nothing") and (row.left_out == NO_EVIDENCE) == (level == "nothing")
    assert candidates[0].probability == pytest.approx(max(probabilities))
    assert (row.radius_m is not None) == (level == "point")


def test_names_alone_where_two_towns_of_one_country_are_likely(checkpoint):
    partition = Predictor.load(checkpoint).partition
    codes = partition.country_code
    likely = [0.45 if k < 2 else 0.05 for k in range(len(codes))]
    object.__setattr__(partition, "country_code", ["FR"] * len(codes))
    object.__setattr__(partition, "country", ["France"] * len(codes))
    row, _ = row_of(item("a", 0), Placed(None, Prediction(partition, np.log(likely))), Windows(confidence=0.6), True)
    assert row.lat is None and row.country == "France" and row.source == "model" and row.city == ""


def test_what_is_no_photograph_is_left_out_with_the_reason(tmp_path):
    library = tmp_path / "trip"
    photo(library / "a.jpg", 0, PARIS)
    Image.new("RGB", (400, 300), "white").save(library / "blank.jpg")
    (library / "broken.jpg").write_bytes(b"no photo")
    geotagging.plan([library], tmp_path / "run")
    rows = by_name(tmp_path / "run")
    assert rows["blank.jpg"].left_out.startswith("blank: ") and "broken.jpg" in rows["broken.jpg"].left_out
    assert not any(row.writes for row in rows.values())


def test_positions_of_sidecars_and_takeouts_count(tmp_path):
    library = tmp_path / "Takeout" / "Google Photos" / "Photos from 2024"
    photo(library / "a.jpg", 0)
    (library / "a.jpg.json").write_text(
        '{"title": "a.jpg", "geoData": {"latitude": 48.86, "longitude": 2.35}, "photoTakenTime": {"timestamp": "1"}}'
    )
    assert takeout.read((library / "a.jpg.json").read_bytes()).lat == PARIS[0]
    photo(library / "b.jpg", 5)
    (library / "b.jpg.xmp").write_text(
        SIDECAR.format("xmlns:exif='http://ns.adobe.com/exif/1.0/' exif:GPSLatitude='48.87' exif:GPSLongitude='2.36'")
    )
    photo(library / "c.jpg", 6)
    geotagging.plan([tmp_path / "Takeout"], tmp_path / "run")
    (row,) = Run.open(tmp_path / "run").rows
    assert row.file.endswith("c.jpg") and (row.lat, row.lng) == NEAR_PARIS


def test_guesses_of_earlier_runs_are_no_anchors(tmp_path):
    library = tmp_path / "trip"
    photo(library / "a.jpg", 0)
    (library / "a.jpg.xmp").write_text(
        SIDECAR.format(
            f"xmlns:exif='http://ns.adobe.com/exif/1.0/' exif:GPSLatitude='48,51.6N' exif:GPSLongitude='2,21.0E'"
            f" xmlns:o='{GEOTAG}' o:EstimatedLatitude='48.86' o:EstimatedLongitude='2.35'"
        )
    )
    photo(library / "b.jpg", 5)
    geotagging.plan([library], tmp_path / "run")
    rows = by_name(tmp_path / "run")
    assert "earlier run" in rows["a.jpg"].left_out and rows["b.jpg"].left_out.startswith(NO_EVIDENCE)


def test_a_library_that_lacks_nothing_says_so(tmp_path):
    photo(tmp_path / "trip" / "a.jpg", 0, PARIS)
    with pytest.raises(InputError, match="all 1 photos have a position"):
        geotagging.plan([tmp_path / "trip"], tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_command_plans_with_a_track_and_names_what_it_was_asked(tmp_path):
    library = trip(tmp_path / "trip")
    gpx = tmp_path / "walk.gpx"
    gpx.write_text(
        '<gpx xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg><trkpt lat="48.5" lon="2.5">'
        "<time>2024-05-03T08:00:30Z</time></trkpt></trkseg></trk></gpx>"
    )
    run = tmp_path / "run"
    arguments = ["geotag", str(library), "--checkpoint", "none", "--gpx", str(gpx), "--out", str(run)]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0 and str(run / "review.html") in done.stdout
    assert by_name(run)["e.jpg"].source == "track"  # ten o'clock by the clocks of Paris
    for wrong in (["geotag"], ["geotag", str(library), "--undo", str(run)]):
        assert CliRunner().invoke(cli, wrong).exit_code == 2
