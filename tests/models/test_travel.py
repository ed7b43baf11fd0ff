"""The hidden Markov model: equal to summing over all paths, whole where cells are left out, bounded in memory."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from openplanet.earth.partition.adaptive import build
from openplanet.errors import RecipeError
from openplanet.models.album.base import UNKNOWN, AlbumConfig, Albums
from openplanet.models.album.embedded import EmbeddedAlbum, single_photo_log_probs
from openplanet.models.album.movement import UNTIMED, Movement, buckets
from openplanet.models.album.registry import build as build_model
from openplanet.models.album.travel import Transitions, Travel, prior_of
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageConfig, ImageModel

USUAL_SZR = torch.from_numpy(Movement.usual().share_SZR)


@pytest.fixture(scope="module")
def partition():
    """Some 30 cells of very different sizes: crowded about one city, sparse elsewhere."""
    rng = np.random.default_rng(0)
    lat = np.concatenate([rng.normal(48.0, 0.2, 300), rng.normal(45.0, 8.0, 100)])
    lng = np.concatenate([rng.normal(2.0, 0.3, 300), rng.normal(10.0, 20.0, 100)])
    return build([(lat, lng)], max_photos=25, min_photos=2)


def said(partition, photos, seed=0):
    scores = np.random.default_rng(seed).normal(0, 2, (photos, len(partition)))
    return torch.log_softmax(torch.from_numpy(scores), dim=1).float()


def unknown(photos):
    return torch.full((photos,), UNKNOWN)


def batch(albums, embedding=3):
    """Pad (log_probs_TC, seconds_T, anchor_T) to one length."""
    longest, cells = max(len(each[0]) for each in albums), albums[0][0].shape[1]
    size = (len(albums), longest)
    found = Albums(
        torch.zeros(*size, embedding),
        torch.full((*size, cells), -float(np.log(cells))),
        torch.zeros(size, dtype=torch.bool),
        torch.full(size, np.nan, dtype=torch.float64),
        torch.full(size, UNKNOWN),
    )
    for row, (log_probs_TC, seconds_T, anchor_T) in enumerate(albums):
        length = len(log_probs_TC)
        found.log_probs_BTC[row, :length], found.present_BT[row, :length] = log_probs_TC, True
        found.seconds_BT[row, :length], found.anchor_BT[row, :length] = seconds_T, anchor_T
    return found


def test_rows_over_all_cells_are_probabilities_and_near_cells_are_likelier(partition):
    jump = 0.02
    matrix_SKK = Transitions(partition, jump).among(torch.arange(len(partition)), USUAL_SZR)
    np.testing.assert_allclose(matrix_SKK.sum(dim=2), 1.0, atol=1e-12)
    prior_C = prior_of(partition)
    assert (matrix_SKK >= jump * prior_C * (1 - 1e-12)).all()
    staying_SK = torch.diagonal(matrix_SKK, dim1=1, dim2=2)
    assert (staying_SK[0] > staying_SK[UNTIMED - 1]).all()  # a minute leaves one where one is, weeks do not
    biggest, smallest = int(partition.area_km2.argmax()), int(partition.area_km2.argmin())
    assert (staying_SK[:, biggest] > staying_SK[:, smallest]).all()


def test_part_of_the_cells_has_the_same_transitions_as_all(partition):
    transitions = Transitions(partition, 0.02)
    some_K = torch.tensor([1, 4, 5, 11])
    whole = transitions.among(torch.arange(len(partition)), USUAL_SZR)
    torch.testing.assert_close(transitions.among(some_K, USUAL_SZR), whole[:, some_K][:, :, some_K])


@pytest.mark.parametrize("anchor", [None, 2])
@pytest.mark.parametrize("exponent", [1.0, 0.4])
def test_equals_the_sum_over_all_paths(partition, exponent, anchor):
    photos = 4
    small = build([(partition.lat, partition.lng)], max_photos=12, min_photos=1)
    cells = len(small)
    seconds_T = torch.tensor([0.0, 40.0, np.nan, 90_000.0], dtype=torch.float64)
    log_probs_TC, anchor_T = said(small, photos), unknown(photos)
    if anchor is not None:
        anchor_T[2] = anchor
    model = Travel.over(small, exponent=exponent, own=exponent, jump=0.05)
    matrix_SKK = model.transitions.among(torch.arange(cells), USUAL_SZR).numpy()
    general_C = torch.softmax(torch.arange(cells).double() / cells, dim=0)
    model.general_C.copy_(general_C)
    prior_C = general_C.numpy()
    emission_TC = (log_probs_TC.double().exp().numpy() / prior_C) ** exponent
    if anchor is not None:
        emission_TC[2] = np.arange(cells) == anchor
    step_T = buckets(seconds_T.numpy())
    marginal_TC = np.zeros((photos, cells))
    for path in itertools.product(range(cells), repeat=photos):
        weight = prior_C[path[0]] * emission_TC[0, path[0]]
        for t in range(1, photos):
            weight *= matrix_SKK[step_T[t - 1], path[t - 1], path[t]] * emission_TC[t, path[t]]
        marginal_TC[np.arange(photos), path] += weight
    total = marginal_TC[0].sum()
    answer_TC = model.album(log_probs_TC, seconds_T, anchor_T)
    np.testing.assert_allclose(answer_TC.exp(), marginal_TC / total, atol=1e-6)
    assert model.likelihood(log_probs_TC, seconds_T, anchor_T) == pytest.approx(np.log(total))


def test_a_long_album_of_photos_that_say_nothing_stays_where_photos_are(partition):
    """What the image model says of every photo is no evidence, however often it is said."""
    photos = 200
    general_C = prior_of(partition) ** 0.2
    general_C /= general_C.sum()
    log_probs_TC = general_C.log().float().expand(photos, -1)
    model = Travel.over(partition, general_C=general_C)
    answer_TC = model.album(log_probs_TC, torch.full((photos,), np.nan, dtype=torch.float64), unknown(photos)).exp()
    fullest = int(prior_of(partition).argmax())
    assert answer_TC[100, fullest] > answer_TC[100].median()
    assert answer_TC.max() < 0.5


def test_one_photo_alone_is_what_the_image_model_says(partition):
    log_probs_TC = said(partition, 1)
    answer_TC = Travel.over(partition, exponent=0.3).album(
        log_probs_TC, torch.tensor([np.nan], dtype=torch.float64), unknown(1)
    )
    torch.testing.assert_close(answer_TC, log_probs_TC, atol=1e-5, rtol=0)


def test_padding_and_neighbours_in_the_batch_change_nothing(partition):
    albums = [(said(partition, n, seed=n), torch.arange(n).double() * 600, unknown(n)) for n in (5, 1, 3)]
    model = Travel.over(partition, exponent=0.5)
    together = model(batch(albums))
    for row, album in enumerate(albums):
        torch.testing.assert_close(together[row, : len(album[0])], model.album(*album))
    assert not list(model.parameters())
    assert not model.needs_training


def test_an_anchor_draws_its_neighbours_in_time(partition):
    photos = 9
    log_probs_TC = torch.full((photos, len(partition)), -float(np.log(len(partition))))
    anchor_T = unknown(photos)
    anchor_T[4] = 3
    answer_TC = Travel.over(partition).album(log_probs_TC, torch.arange(photos).double() * 20, anchor_T)
    at_anchor_T = answer_TC[:, 3].exp()
    assert at_anchor_T[4] == 1.0
    assert (at_anchor_T[3:6] > 0.5).all()
    assert (torch.diff(at_anchor_T[:5]) > 0).all()
    assert (torch.diff(at_anchor_T[4:]) < 0).all()


def test_few_cells_come_near_to_all_and_stay_normalised(partition):
    log_probs_TC = said(partition, 6) * 3
    log_probs_TC = torch.log_softmax(log_probs_TC, dim=1)
    album = (log_probs_TC, torch.arange(6).double() * 600, unknown(6))
    album[2][5] = int(log_probs_TC.logsumexp(dim=0).argmin())  # an anchor where no photo looks
    exact = Travel.over(partition).album(*album)
    few = Travel.over(partition, top=len(partition) // 2).album(*album)
    torch.testing.assert_close(few.exp().sum(dim=1), torch.ones(6))
    assert (few[:5].argmax(dim=1) == exact[:5].argmax(dim=1)).all()
    assert float((few.exp() - exact.exp()).abs().sum(dim=1).max()) < 0.2
    assert few[5].argmax() == album[2][5]


def test_certain_photos_and_empty_probabilities_stay_numbers(partition):
    log_probs_TC = torch.full((4, len(partition)), -200.0)
    log_probs_TC[torch.arange(4), torch.tensor([0, 20, 0, 20])] = 0.0
    anchor_T = unknown(4)
    anchor_T[1] = 7  # against all that the photo shows
    answer_TC = Travel.over(partition).album(log_probs_TC, torch.arange(4).double(), anchor_T)
    assert not answer_TC.isnan().any()
    assert answer_TC[[0, 2, 3]].isfinite().all()
    assert answer_TC.argmax(dim=1).tolist() == [0, 7, 0, 20]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak of memory")
def test_long_albums_of_many_cells_stay_small():
    """500 photos over 26,263 cells: less than 400 MB beside the 53 MB that go in."""
    rng = np.random.default_rng(0)
    cells = 26_263

    class Many:
        centroid_lat, centroid_lng = np.degrees(np.arcsin(rng.uniform(-1, 1, cells))), rng.uniform(-180, 180, cells)
        area_km2, count = np.full(cells, 1e4), np.ones(cells)

        def __len__(self):
            return cells

    scores_TC = torch.from_numpy(rng.normal(0, 3, (500, cells)).astype(np.float32))
    model = Travel.over(Many(), exponent=0.5, top=512)  # type: ignore[arg-type]
    log_probs_TC = torch.log_softmax(scores_TC, dim=1)
    del scores_TC
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before = resident("VmRSS")
    answer_TC = model.album(log_probs_TC, torch.arange(500).double() * 60, unknown(500))
    assert resident("VmHWM") - before < 400e6
    assert float((answer_TC.double().exp().sum(dim=1) - 1).abs().max()) < 1e-4


def resident(name):
    """Bytes of this process's memory, now (VmRSS) or at most (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def test_statistics_are_counted_kept_with_the_weights_and_used_at_once(partition):
    """A model that was asked before must not go on with what it held before."""
    album = (said(partition, 3), torch.tensor([0.0, 20.0, 40.0], dtype=torch.float64), unknown(3))
    model, other = Travel.over(partition), Travel.over(partition)
    before = model.album(*album)
    at_T = np.arange(60) * 7 % len(partition)  # someone who is elsewhere every twenty seconds
    where = partition.centroid_lat[at_T], partition.centroid_lng[at_T]
    torch.manual_seed(0)
    config = ImageConfig("test_resnet", 32)
    image = Checkpoint(ImageModel(config, len(partition)).eval(), partition, {}, config, {})
    torch.nn.init.normal_(image.model.head.weight, std=0.5)
    embedding_TD = torch.randn(60, image.model.embedding_dim)
    restless = EmbeddedAlbum("a", [""] * 60, embedding_TD, *where, np.arange(60) * 20.0)
    model.fit_statistics([restless], image)
    after = model.album(*album)
    assert model.movement.steps_S[0] == 59
    said_TC = single_photo_log_probs(image.model, embedding_TD).double().exp()
    expected_C = (said_TC.sum(dim=0) + 1 / len(partition)) / 61
    torch.testing.assert_close(model.general_C, expected_C)
    assert float(expected_C.max() / expected_C.min()) > 2
    assert float((after.exp() - before.exp()).abs().max()) > 0.05
    other.album(*album)
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other.album(*album), after)


def test_options_out_of_range_are_refused(partition):
    for options in ({"exponent": 0.0}, {"jump": 1.0}, {"own": -1.0}, {"top": 0}):
        with pytest.raises(RecipeError, match=f"{next(iter(options))} must be at (least|most)"):
            build_model(AlbumConfig("travel", options=options), partition, 3)
