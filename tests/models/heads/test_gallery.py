"""A gallery of places: each speaks for its cell, and none is impossible."""

import math

import numpy as np
import pytest
import torch

from openplanet.earth.partition.adaptive import Partition, Thresholds
from openplanet.errors import RecipeError
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.heads.gallery import PRIOR_SHARE, Gallery
from openplanet.models.image_model import ImageConfig, ImageModel

LAT, LNG = np.array([48.86, 48.87, 35.68, -33.87]), np.array([2.35, 2.29, 139.69, 151.21])
TIMES = [1, 1, 1, 2]


@pytest.fixture
def cells() -> list[Partition]:
    photos = [(np.repeat(LAT, TIMES), np.repeat(LNG, TIMES))]
    return Gallery.partitions(photos, [Thresholds(100, 1)], Thresholds(2, 1), seed=0)


@pytest.fixture
def head(cells: list[Partition]) -> Gallery:
    made = Gallery(3, Gallery.class_map(cells[:1], cells[1]), places=4)
    torch.nn.init.constant_(made.log_scale, math.log(5.0))
    made.place_PD.copy_(torch.nn.functional.normalize(torch.randn(4, 3, generator=torch.Generator().manual_seed(1))))
    made.log_weight_P.copy_(torch.tensor(TIMES).log())
    made.cell_P.copy_(torch.from_numpy(cells[1].assign(LAT, LNG)))
    return made


def test_a_cell_has_the_probability_of_its_places(head: Gallery, cells: list[Partition]) -> None:
    photo = torch.tensor([[0.3, -2.0, 0.7], [1.0, 1.0, 1.0]])
    (logits,) = head(photo)
    got = head.combine([logits]).exp()
    assert len(cells[1]) == 3 and got.shape == (2, 3)
    for row in range(2):
        cosine = [
            float(torch.nn.functional.cosine_similarity(photo[row], place.float(), dim=0)) for place in head.place_PD
        ]
        scores = [count * math.exp(5.0 * each) for count, each in zip(TIMES, cosine, strict=True)]
        for cell in range(3):
            inside = [place for place in range(4) if int(head.cell_P[place]) == cell]
            model = sum(scores[place] for place in inside) / sum(scores)
            prior = sum(TIMES[place] for place in inside) / sum(TIMES)
            expected = (1 - PRIOR_SHARE) * model + PRIOR_SHARE * prior
            assert float(got[row, cell].detach()) == pytest.approx(expected, abs=2e-3)  # places are float16
    torch.testing.assert_close(got.sum(dim=1), torch.ones(2))


def test_no_cell_is_impossible(head: Gallery) -> None:
    torch.nn.init.constant_(head.log_scale, math.log(500.0))
    assert bool(torch.isfinite(head.combine(head(torch.randn(9, 3)))).all())


def test_its_checkpoint_is_one_like_any_other(head: Gallery, cells: list[Partition], tmp_path: object) -> None:
    config = ImageConfig("test_resnet", 32, embedding_dim=3, head="gallery", head_args={"places": 4})
    model = ImageModel(config, 3, Gallery.class_map(cells[:1], cells[1])).eval()
    model.head.load_state_dict(head.state_dict())
    Checkpoint(model, cells[1], {}, config, {}, coarser=(cells[0],)).save(tmp_path)  # type: ignore[arg-type]
    x = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        torch.testing.assert_close(Checkpoint.load(tmp_path).model(x), model(x))  # type: ignore[arg-type]


def test_it_is_not_trained_and_takes_no_other_arguments(head: Gallery) -> None:
    with pytest.raises(RecipeError, match="another head on its features"):
        head.classes_of(torch.tensor([0]))
    with pytest.raises(RecipeError, match="does not take"):
        ImageModel(ImageConfig("test_resnet", 32, head="gallery", head_args={"wings": 4}), 3)
