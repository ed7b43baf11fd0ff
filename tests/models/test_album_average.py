"""The two means, against numpy; anchors count as photos that are certain."""

import album_cases as cases
import numpy as np
import pytest

from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import RecipeError
from openplanet.models.album.average import SURE
from openplanet.models.album.base import AlbumConfig
from openplanet.models.album.embedded import batch
from openplanet.models.album.registry import build

ALBUMS = [cases.album(3), cases.album(1), cases.album(6)]


def _answer(variant: str, anchors: list[np.ndarray] | None = None) -> tuple[np.ndarray, np.ndarray]:
    partition: Partition = cases.cells()
    made = batch(ALBUMS, cases.image_model(), partition, anchors)
    model = build(AlbumConfig(variant), partition, made.embedding_BTD.shape[2])
    return model(made).exp().detach().numpy(), made.log_probs_BTC.exp().detach().numpy()


def test_arithmetic_mean() -> None:
    answer_BTC, p_BTC = _answer("average")
    for row, album in enumerate(ALBUMS):
        expected_C = p_BTC[row, : len(album)].mean(axis=0)
        np.testing.assert_allclose(answer_BTC[row, : len(album)], np.tile(expected_C, (len(album), 1)), rtol=1e-5)


def test_geometric_mean() -> None:
    answer_BTC, p_BTC = _answer("geometric_mean")
    for row, album in enumerate(ALBUMS):
        expected_C = np.exp(np.log(p_BTC[row, : len(album)]).mean(axis=0))
        np.testing.assert_allclose(answer_BTC[row, 0], expected_C / expected_C.sum(), rtol=1e-5)


@pytest.mark.parametrize("variant", ["average", "geometric_mean"])
def test_anchors(variant: str) -> None:
    given = [np.zeros(len(album), dtype=bool) for album in ALBUMS]
    given[0][0] = True
    answer_BTC, p_BTC = _answer(variant, given)
    cell, count = ALBUMS[0].cells(cases.cells())[0], p_BTC.shape[2]
    certain_C = np.full(count, 0.0 if variant == "average" else (1 - SURE) / (count - 1))
    certain_C[cell] = 1.0 if variant == "average" else SURE
    p_TC = np.stack([certain_C, *p_BTC[0, 1:3]])
    expected_C = p_TC.mean(axis=0) if variant == "average" else np.exp(np.log(p_TC).mean(axis=0))
    np.testing.assert_allclose(answer_BTC[0, 2], expected_C / expected_C.sum(), rtol=1e-4)
    without, _ = _answer(variant)
    np.testing.assert_array_equal(answer_BTC[2], without[2])


def test_a_misspelt_variant_is_answered_with_the_near_one() -> None:
    with pytest.raises(RecipeError, match="did you mean average"):
        build(AlbumConfig("averge"), cases.cells(), 8)
    with pytest.raises(RecipeError, match=r"does not take these options: options\.speed"):
        build(AlbumConfig("average", options={"speed": 3}), cases.cells(), 8)
