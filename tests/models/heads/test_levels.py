"""Cells within cells, and the product along the hierarchy."""

import numpy as np
import pytest
import torch

from openplanet.earth.partition.adaptive import Partition, Thresholds, build, build_many
from openplanet.errors import PartitionError
from openplanet.models.heads.levels import ancestors, product_log_probs


@pytest.fixture(scope="module")
def nested() -> list[Partition]:
    rng = np.random.default_rng(0)
    photos = (rng.normal(40, 8, 600).clip(-80, 80), rng.normal(10, 15, 600))
    return build_many([photos], [Thresholds(300, 5), Thresholds(100, 5), Thresholds(25, 5)], nested=True)


def test_ancestors_hold_their_cells(nested: list[Partition]) -> None:
    *coarser, finest = nested
    levels = ancestors(coarser, finest)
    assert levels.sizes == tuple(len(p) for p in coarser) and levels.class_LC.shape == (2, len(finest))
    for partition, row_C in zip(coarser, levels.class_LC, strict=True):
        # a cell's centroid lies in it, and so in its ancestor
        assert partition.assign(finest.centroid_lat, finest.centroid_lng).tolist() == row_C.tolist()


def test_partitions_that_do_not_nest_are_refused(nested: list[Partition]) -> None:
    with pytest.raises(PartitionError, match="nested"):
        ancestors([nested[2]], nested[0])
    elsewhere = build([(np.full(20, -40.0), np.full(20, 100.0))], 30, 1)
    with pytest.raises(PartitionError, match="do not lie"):
        ancestors([elsewhere], nested[0])


def test_the_product_by_hand() -> None:
    fine, coarse = torch.tensor([[0.5, 0.25, 0.25]]).log(), torch.tensor([[0.2, 0.8]]).log()
    result = product_log_probs([fine + 3, coarse - 1], torch.tensor([[0, 1, 1]])).exp()  # logits may be shifted
    expected = torch.tensor([[0.5 * 0.2, 0.25 * 0.8, 0.25 * 0.8]])
    torch.testing.assert_close(result, expected / expected.sum())


def test_no_coarser_level_changes_nothing() -> None:
    logits = torch.randn(3, 5)
    torch.testing.assert_close(product_log_probs([logits], torch.empty(0, 5)), torch.log_softmax(logits, dim=1))
