"""The overlay of partitions: its answer against a slow, obvious computation."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from openplanet.earth.geo import distance_km
from openplanet.earth.partition.adaptive import Partition, Thresholds, build
from openplanet.earth.partition.combinatorial import build_turned, random_turns
from openplanet.errors import PartitionError, RecipeError
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.heads.head import ClassMap
from openplanet.models.heads.overlaid import Overlaid
from openplanet.models.image_model import ImageConfig, ImageModel
from openplanet.storage import sha256_of


def photos() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(40, 8, 900).clip(-80, 80), rng.normal(10, 15, 900)


@pytest.fixture(scope="module")
def answers() -> Partition:
    return build([photos()], 12, 2)


@pytest.fixture(scope="module")
def turned() -> list[Partition]:
    """Coarse, and with so large a min_photos that some places lie in no cell."""
    return build_turned([photos()], [Thresholds(120, 12)], random_turns(3, seed=1))


def test_every_cell_has_a_class_in_every_partition(answers: Partition, turned: list[Partition]) -> None:
    overlaid = Overlaid.class_map(turned, answers)
    assert overlaid.class_LC.shape == (3, len(answers)) and max(overlaid.sizes) <= max(len(p) for p in turned)
    strays = 0
    for partition, row_C, size in zip(turned, overlaid.class_LC.tolist(), overlaid.sizes, strict=True):
        assert set(row_C) == set(range(size))
        held: dict[int, int] = {}
        for lat, lng, label in zip(answers.centroid_lat, answers.centroid_lng, row_C, strict=True):
            cell = int(partition.assign(lat, lng)[0])
            if cell < 0:
                strays += 1
                cell = int(np.argmin(distance_km(lat, lng, partition.centroid_lat, partition.centroid_lng)))
            assert held.setdefault(cell, label) == label  # one class for a cell of the partition
        assert len(set(held.values())) == len(held)  # and no class for two
    assert strays > 0


def test_more_places_are_told_apart_than_there_are_classes(answers: Partition, turned: list[Partition]) -> None:
    overlaid = Overlaid(4, Overlaid.class_map(turned, answers))
    tuples = {tuple(column) for column in overlaid.class_LC.T.tolist()}
    assert overlaid.class_LF.shape == (3, len(tuples)) and len(tuples) > 1.5 * max(overlaid.sizes)
    for cell, fine in enumerate(overlaid.fine_C.tolist()):
        assert overlaid.class_LF[:, fine].tolist() == overlaid.class_LC[:, cell].tolist()


def test_the_answer_is_that_of_a_slow_computation(answers: Partition, turned: list[Partition]) -> None:
    overlaid = Overlaid(4, Overlaid.class_map(turned, answers))
    generator = torch.Generator().manual_seed(0)
    logits = [3 * torch.randn(2, size, generator=generator) for size in overlaid.sizes]
    made = overlaid.combine(logits)
    assert made.shape == (2, len(answers))
    labels = [tuple(column) for column in overlaid.class_LC.T.tolist()]
    for photo in range(2):
        log_probs = [torch.log_softmax(each[photo].double(), dim=0).tolist() for each in logits]
        score = {label: math.exp(sum(lp[c] for lp, c in zip(log_probs, label, strict=True))) for label in set(labels)}
        for cell, label in enumerate(labels):
            of_tuple = sum(int(n) for n, other in zip(answers.count, labels, strict=True) if other == label)
            expected = score[label] / sum(score.values()) * int(answers.count[cell]) / of_tuple
            assert float(made[photo, cell]) == pytest.approx(math.log(expected), abs=1e-4)


def test_what_is_known_of_the_classes(answers: Partition, turned: list[Partition]) -> None:
    overlaid = Overlaid(4, Overlaid.class_map(turned, answers))
    centres = overlaid.centres([answers, *turned])
    for row_C, (count, lat, lng) in zip(overlaid.class_LC.numpy(), centres, strict=True):
        assert count.sum() == answers.count.sum() and len(count) == row_C.max() + 1
        biggest = int(count.argmax())
        inside = row_C == biggest
        assert count[biggest] == answers.count[inside].sum()
        assert answers.centroid_lat[inside].min() <= lat[biggest] <= answers.centroid_lat[inside].max()
        assert answers.centroid_lng[inside].min() <= lng[biggest] <= answers.centroid_lng[inside].max()


def test_a_checkpoint_of_overlaid_partitions(answers: Partition, turned: list[Partition], tmp_path: object) -> None:
    image = ImageConfig("test_resnet", 32, head="overlaid")
    torch.manual_seed(0)
    model = ImageModel(image, len(answers), Overlaid.class_map(turned, answers)).eval()
    Checkpoint(model, answers, {}, image, {}, coarser=tuple(turned)).save(tmp_path)  # type: ignore[arg-type]
    loaded = Checkpoint.load(tmp_path)  # type: ignore[arg-type]
    x = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        ours, theirs = loaded.model(x), model(x)
    torch.testing.assert_close(ours, theirs)
    assert float(ours[0].exp().sum()) == pytest.approx(1, abs=1e-5)
    assert "overlay of 3 partitions" in (tmp_path / "README.md").read_text()  # type: ignore[operator]
    training = model.train()(x)
    assert [each.shape[1] for each in training] == list(model.head.sizes)
    config = json.loads((tmp_path / "config.json").read_text())  # type: ignore[operator]
    config["image"]["head"], config["overlaid"] = "softmax", True  # as it was written before
    first, *rest = (f"head.coarser.{row}.{what}" for row in range(2) for what in ("weight", "bias"))
    weights = load_file(tmp_path / "model.safetensors")  # type: ignore[operator]
    for name in (first, *rest):
        weights[name.removeprefix("head.")] = weights.pop(name)
    save_file(weights, tmp_path / "model.safetensors")  # type: ignore[operator]
    config["sha256"]["model.safetensors"] = sha256_of(tmp_path / "model.safetensors")  # type: ignore[operator]
    (tmp_path / "config.json").write_text(json.dumps(config))  # type: ignore[operator]
    with torch.inference_mode():
        torch.testing.assert_close(Checkpoint.load(tmp_path).model(x), theirs)  # type: ignore[arg-type]


def test_what_cannot_be_overlaid_is_refused(answers: Partition, turned: list[Partition]) -> None:
    whole = build([photos()], 10_000, 1, max_level=0)
    one = build([(np.full(9, 40.0), np.full(9, 10.0))], 100, 1)
    with pytest.raises(PartitionError, match="partition 1 has one class"):
        Overlaid.class_map([whole, one], answers)
    with pytest.raises(RecipeError, match="at least 2 partitions"):
        ImageModel(ImageConfig("test_resnet", 32, head="overlaid"), 5, ClassMap.flat(5))
