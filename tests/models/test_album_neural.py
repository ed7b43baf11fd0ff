"""What all trained album models must answer: one parametrised test asks all of them."""

import dataclasses
from itertools import pairwise

import album_cases as cases
import numpy as np
import pytest
import torch
from torch import Tensor

from openplanet.errors import RecipeError
from openplanet.models.album.base import AlbumConfig, AlbumModel, Albums
from openplanet.models.album.bidirectional import BidirectionalLSTM, chosen, starts
from openplanet.models.album.embedded import batch
from openplanet.models.album.neural import NeuralAlbumModel
from openplanet.models.album.registry import ALBUM_MODELS, build
from openplanet.models.album.transformer import gaps
from openplanet.models.calibration import Calibration
from openplanet.models.checkpoint import Checkpoint

DIM = 12
NEURAL = ("lstm", "lstm_offset1", "lstm_offset2", "lstm_repeated", "blstm", "transformer")
LENGTHS = (1, 3, 7, 12)


def _model(variant: str, residual: bool = False) -> AlbumModel:
    torch.manual_seed(1)
    options = {"window": 4} if variant == "blstm" else {}
    made = build(AlbumConfig(variant, width=8, residual=residual, options=options), cases.cells(), DIM).eval()
    if isinstance(made, NeuralAlbumModel):
        torch.nn.init.normal_(made.head.weight)  # as it starts it hardly says anything
    return made


def _albums(lengths: tuple[int, ...] = LENGTHS) -> Albums:
    """Random ones, with what the image model says of each photo random too; every fourth photo is an anchor."""
    albums = [cases.album(length, dim=DIM) for length in lengths]
    given = [np.arange(len(album)) % 4 == 1 for album in albums]
    made = batch(albums, cases.image_model(), cases.cells(), given, with_log_probs=False)
    rng = torch.Generator().manual_seed(2)
    rows = [torch.randn(length, len(cases.cells()), generator=rng.manual_seed(length)) for length in lengths]
    return dataclasses.replace(
        made, log_probs_BTC=torch.nn.utils.rnn.pad_sequence(rows, True, 0.0).log_softmax(dim=2)
    )  # uniform at padding


def _padded(albums: Albums, photos: int) -> Albums:
    """With so many photos of padding more; it holds rubbish where the contract says nothing."""

    def longer(values: Tensor, fill: float) -> Tensor:
        return torch.cat([values, values.new_full((len(values), photos, *values.shape[2:]), fill)], dim=1)

    return Albums(
        longer(albums.embedding_BTD, 0.0),
        longer(albums.log_probs_BTC, -float(np.log(albums.log_probs_BTC.shape[2]))),
        longer(albums.present_BT, False),
        longer(albums.seconds_BT, torch.nan),
        longer(albums.anchor_BT, -1),
    )


def _near(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("variant", ALBUM_MODELS)
def test_neither_padding_nor_neighbours_change_an_answer(variant: str, residual: bool) -> None:
    model, together = _model(variant, residual), _albums()
    answer_BTC = model(together).detach()
    _near(answer_BTC[together.present_BT].exp().sum(dim=1), torch.ones(sum(LENGTHS)))
    for row, length in enumerate(LENGTHS):
        alone_TC = model(_albums((length,))).detach()[0]
        _near(answer_BTC[row, :length], alone_TC)
        _near(model(_padded(_albums((length,)), 5)).detach()[0, :length], alone_TC)


@pytest.mark.parametrize("lengths", [(5,), LENGTHS])
@pytest.mark.parametrize("variant", ALBUM_MODELS)
def test_calibrating_in_place_changes_neither_answers_nor_what_was_asked(
    variant: str, lengths: tuple[int, ...]
) -> None:
    model, albums = _model(variant), _albums(lengths)
    model.calibration = dataclasses.replace(model.calibration, alone=Calibration(2.0), anchored=Calibration(3.0))
    asked_BTC = albums.log_probs_BTC.clone()
    with torch.inference_mode():
        scores_BTC = model(albums)
        answer_BTC = model.answer(albums)
    assert torch.equal(albums.log_probs_BTC, asked_BTC)
    given = (albums.anchor_BT >= 0).any(dim=1)
    for row, of in enumerate(given.tolist()):
        assert torch.equal(answer_BTC[row], Calibration(3.0 if of else 2.0).log_probs(scores_BTC[row]))


@pytest.mark.parametrize("variant", NEURAL)
def test_without_residual_the_image_models_answer_is_not_read(variant: str) -> None:
    model, albums = _model(variant), _albums()
    none_BT0 = albums.log_probs_BTC[..., :0]
    assert not model.reads_log_probs and _model(variant, residual=True).reads_log_probs
    _near(model(dataclasses.replace(albums, log_probs_BTC=none_BT0)), model(albums))


@pytest.mark.parametrize("variant", NEURAL)
def test_an_anchor_tells_the_others_something(variant: str) -> None:
    model, albums = _model(variant), _albums((7,))
    nothing = torch.full_like(albums.anchor_BT, -1)
    without_TC = model(dataclasses.replace(albums, anchor_BT=nothing)).detach()[0]
    assert (model(albums).detach()[0, 3] - without_TC[3]).abs().max() > 1e-3


def _sees(variant: str, photos: int = 7) -> Tensor:
    """[photos, photos]: whether the answer for a photo (row) changes with the embedding of another (column)."""
    model, albums = _model(variant), _albums((photos,))
    before_TC = model(albums).detach()[0]
    columns = []
    for photo in range(photos):
        changed = albums.embedding_BTD.clone()
        changed[0, photo] += 1.0
        after_TC = model(dataclasses.replace(albums, embedding_BTD=changed)).detach()[0]
        columns.append((after_TC - before_TC).abs().amax(dim=1) > 1e-9)
    return torch.stack(columns, dim=1)


def test_who_sees_whom() -> None:
    all_pairs = torch.ones(7, 7, dtype=torch.bool)
    assert torch.equal(_sees("lstm"), all_pairs.tril())
    assert torch.equal(_sees("lstm_offset1"), all_pairs.tril(1))
    assert torch.equal(_sees("lstm_offset2"), all_pairs.tril(2))
    assert torch.equal(_sees("lstm_repeated"), all_pairs)
    assert torch.equal(_sees("transformer"), all_pairs)
    blstm = _sees("blstm")  # windows of 4 photos at 0, 2 and 3
    assert blstm[0].tolist() == [True] * 4 + [False] * 3
    assert blstm[6].tolist() == [False] * 3 + [True] * 4


@pytest.mark.parametrize("variant", ALBUM_MODELS)
def test_a_variant_says_whether_it_reads_times(variant: str) -> None:
    model, albums = _model(variant), _albums()
    for name, values in model.named_parameters():
        if "counts" in name:  # what the transformer learns of gaps begins at zero
            torch.nn.init.normal_(values)
    untimed = dataclasses.replace(albums, seconds_BT=torch.full_like(albums.seconds_BT, torch.nan))
    with torch.inference_mode():
        same = torch.equal(model(albums)[albums.present_BT], model(untimed)[albums.present_BT])
    assert same != model.reads_times


def test_the_transformer_needs_no_order() -> None:
    model, albums = _model("transformer", residual=True), _albums((7,))
    order = torch.randperm(7, generator=torch.Generator().manual_seed(0))
    turned = Albums(*(getattr(albums, field.name)[:, order] for field in dataclasses.fields(Albums)))
    _near(model(turned).detach(), model(albums).detach()[:, order])


def test_steps_of_time() -> None:
    seconds_BT = torch.tensor([[0.0, 30.0, 3600.0, torch.nan]], dtype=torch.float64)
    assert gaps(seconds_BT)[0].tolist() == [[1, 2, 5, 0], [2, 1, 4, 0], [5, 4, 1, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize(("length", "window"), [(1, 25), (25, 25), (26, 25), (60, 25), (1000, 25), (9, 2), (10, 3)])
def test_windows_cover_every_photo_with_room_on_both_sides(length: int, window: int) -> None:
    start, chosen_T = np.array(starts(length, window)), chosen(length, window)
    place_T = np.arange(length) - start[chosen_T]
    assert (place_T >= 0).all() and (place_T < window).all()
    assert start[-1] == max(0, length - window) and all(0 < b - a <= window // 2 for a, b in pairwise(start))
    room_T = np.minimum(
        np.where(start[chosen_T] == 0, window, place_T),
        np.where(start[chosen_T] + window >= length, window, window - 1 - place_T),
    )
    assert (room_T >= (window - window // 2) // 2).all()


def test_a_short_album_is_one_window() -> None:
    torch.manual_seed(0)
    short, long = (
        BidirectionalLSTM(cases.cells(), DIM, AlbumConfig("blstm", width=8), window=window) for window in (12, 50)
    )
    long.load_state_dict(short.state_dict())
    _near(short(_albums()), long(_albums()))


def test_features_are_standardised_by_the_training_albums() -> None:
    model = _model("lstm")
    assert isinstance(model, NeuralAlbumModel)
    albums = [cases.album(length, dim=DIM) for length in (30, 40)]
    for album in albums:
        album.embedding_TD.mul_(3).add_(2)
        album.embedding_TD[:, 0] = 7.0
    image = Checkpoint(cases.image_model(), cases.cells(), {}, cases.IMAGE, {})
    model.fit_statistics(albums, image)
    step_BTD = model.steps(batch(albums, cases.image_model(), cases.cells(), with_log_probs=False))
    step_ND = torch.cat([step_BTD[0, :30], step_BTD[1]]).detach()
    torch.testing.assert_close(step_ND.mean(dim=0), torch.zeros(DIM), atol=1e-5, rtol=0)
    torch.testing.assert_close(step_ND[:, 1:].std(dim=0, correction=0), torch.ones(DIM - 1))
    assert not step_ND[:, 0].any()


def test_impossible_settings_are_told() -> None:
    with pytest.raises(RecipeError, match="window must be at least 2"):
        build(AlbumConfig("blstm", options={"window": 1}), cases.cells(), DIM)
    with pytest.raises(RecipeError, match="width 8 cannot be cut into 3 heads"):
        build(AlbumConfig("transformer", width=8, options={"heads": 3}), cases.cells(), DIM)
