"""Learned embeddings of cells."""

import torch

from openplanet.models.heads.embeddings import FIRST_SCALE, CellEmbeddings
from openplanet.models.heads.head import ClassMap

ANCESTORS = torch.tensor([[0, 0, 0, 1], [0, 0, 1, 2]])  # of 4 fine cells, in levels of 2 and of 4 cells (one empty)


def head() -> CellEmbeddings:
    torch.manual_seed(0)
    return CellEmbeddings(8, ClassMap((2, 4), ANCESTORS))


def test_cells_are_the_sum_of_what_stands_above_them() -> None:
    module = head()
    fine, coarse, middle = module.tables()
    own_fine, own_coarse, own_middle = module.own
    torch.testing.assert_close(fine[2], own_fine[2] + own_coarse[0] + own_middle[1])
    torch.testing.assert_close(coarse, own_coarse)
    torch.testing.assert_close(middle[2], own_middle[2] + own_coarse[1])
    torch.testing.assert_close(middle[3], own_middle[3])  # holds no fine cell: its ancestor is not known


def test_logits_are_scaled_cosines() -> None:
    module = head()
    photo = torch.randn(5, 8)
    fine, coarse, middle = module(photo)
    assert fine.shape == (5, 4) and coarse.shape == (5, 2) and middle.shape == (5, 4)
    cosine = torch.nn.functional.cosine_similarity(photo[1], module.tables()[0][3], dim=0)
    torch.testing.assert_close(fine[1, 3], cosine * FIRST_SCALE)
    torch.testing.assert_close(module(photo * 7)[0], fine)  # the length of the embedding says nothing


def test_every_table_learns() -> None:
    module = head()
    module(torch.randn(5, 8))[0].square().sum().backward()  # the finest level alone moves its ancestors too
    assert all(table.grad is not None and table.grad.abs().sum() > 0 for table in module.own)
