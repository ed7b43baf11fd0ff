"""The planet as files: real photos with Exif, a table of truth beside them, the same bytes for the same seed."""

import hashlib
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from openplanet.errors import InputError
from openplanet.photos.files import exif
from openplanet.synthetic.cultures import CUES
from openplanet.synthetic.planet import TRUTH, UNFINISHED, cues_of, load_world, make
from openplanet.synthetic.world import VERSION, posterior

PHOTOS, SITES = 60, 100


@pytest.fixture(scope="module")
def planet(tmp_path_factory):
    return make(tmp_path_factory.mktemp("planet"), photos=PHOTOS, seed=5, workers=1, sites=SITES)


def bytes_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.jpg"))}


def test_truth_names_every_photo(planet):
    world, truth = load_world(planet)
    assert truth.num_rows == PHOTOS
    files = {path.relative_to(planet).as_posix() for path in planet.rglob("*.jpg")}
    assert set(truth["file"].to_pylist()) == files
    for row in truth.slice(0, 5).to_pylist():
        assert hashlib.sha256((planet / row["file"]).read_bytes()).hexdigest() == row["photo_id"]
        assert row["city"] == world.city[row["site"]]
    assert not (planet / UNFINISHED).exists()


def test_exif_tells_position_time_and_owner(planet):
    _, truth = load_world(planet)
    serials = {}
    for row in truth.to_pylist():
        read = exif.read(planet / row["file"])
        assert read.position == "gps"
        assert read.lat == pytest.approx(row["lat"], abs=1e-7)
        assert read.lng == pytest.approx(row["lng"], abs=1e-7)
        assert read.taken_at is not None
        serials.setdefault(row["owner"], set()).add((read.make, read.model, read.serial))
        with Image.open(planet / row["file"]) as image:
            sub = image.getexif().get_ifd(0x8769)
        assert sub[0x9003] == row["taken_at"].strftime("%Y:%m:%d %H:%M:%S")
        assert int(sub[0x9011][:3]) == row["offset_hours"]
    assert all(len(cameras) == 1 for cameras in serials.values())
    assert len(set.union(*serials.values())) == len(serials)


def test_posterior_can_be_recomputed_from_the_files(planet):
    world, truth = load_world(planet)
    cues = cues_of(truth)
    assert set(cues) == set(CUES)
    np.testing.assert_array_equal(cues["scene"] != 0, truth["ambiguous"].to_numpy(zero_copy_only=False))
    probability_NS = np.exp(posterior(world, cues))
    true_N = probability_NS[np.arange(PHOTOS), truth["site"].to_numpy()]
    assert np.log(true_N).mean() > np.log(world.weight_S[truth["site"].to_numpy()]).mean() + 1


def test_bytes_do_not_depend_on_the_number_of_workers(planet, tmp_path):
    other = make(tmp_path / "two", photos=PHOTOS, seed=5, workers=2, sites=SITES)
    assert bytes_of(other) == bytes_of(planet)
    assert pq.read_table(other / TRUTH).equals(pq.read_table(planet / TRUTH))


def test_finished_planet_is_left_alone(planet):
    before = (planet / TRUTH).stat().st_mtime_ns
    assert make(planet, photos=PHOTOS, seed=5, sites=SITES) == planet
    assert (planet / TRUTH).stat().st_mtime_ns == before


def test_unfinished_planet_is_completed(planet, tmp_path):
    half = make(tmp_path / "half", photos=PHOTOS, seed=5, workers=1, sites=SITES)
    (half / TRUTH).unlink()
    next(half.rglob("*.jpg")).unlink()
    wanted = {"seed": 5, "photos": PHOTOS, "sites": SITES, "version": VERSION}
    (half / UNFINISHED).write_text(json.dumps(wanted))
    make(half, photos=PHOTOS, seed=5, workers=1, sites=SITES)
    assert bytes_of(half) == bytes_of(planet)


def test_foreign_folders_are_refused(planet, tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(InputError, match="not empty"):
        make(tmp_path, photos=PHOTOS)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]
    with pytest.raises(InputError, match="not this synthetic planet"):
        make(planet, photos=PHOTOS, seed=6, sites=SITES)


def test_no_world_and_damaged_world_are_told(tmp_path):
    with pytest.raises(InputError, match="no finished synthetic planet"):
        load_world(tmp_path)
    (tmp_path / TRUTH).write_bytes(b"not parquet")
    with pytest.raises(InputError, match="damaged"):
        load_world(tmp_path)


def test_no_photos_is_refused(tmp_path):
    with pytest.raises(InputError, match="at least 1"):
        make(tmp_path / "none", photos=0)
