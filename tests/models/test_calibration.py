"""Temperature scaling: it finds what the scores were made with, and says when it cannot."""

import math

import pytest
import torch

from openplanet.models.calibration import LEAST_PHOTOS, RANGE, Calibration, fit_temperature


def drawn(photos: int, sharpness: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores of a model that is ``sharpness`` times too sure: true cells are drawn from what it should say."""
    generator = torch.Generator().manual_seed(seed)
    right_NC = 2 * torch.randn(photos, 12, generator=generator)
    cell_N = torch.multinomial(torch.softmax(right_NC, dim=1), 1, generator=generator)[:, 0]
    return right_NC * sharpness, cell_N


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_it_finds_how_much_too_sure_the_scores_are(sharpness: float) -> None:
    scores_NC, cell_N = drawn(20_000, sharpness)
    found = fit_temperature(scores_NC, cell_N)
    assert found.temperature == pytest.approx(sharpness, rel=0.03) and found.photos == 20_000 and not found.note
    slow = {t: float(torch.nn.functional.cross_entropy(scores_NC / t, cell_N)) for t in (1.0, found.temperature)}
    assert found.loss_before == pytest.approx(slow[1.0], rel=1e-5)
    assert found.loss_after == pytest.approx(slow[found.temperature], rel=1e-5)
    for other in (0.97, 1.03):  # nothing near is better
        near = torch.nn.functional.cross_entropy(scores_NC / (found.temperature * other), cell_N)
        assert float(near) > slow[found.temperature]


def test_log_probabilities_may_stand_in_for_logits() -> None:
    scores_NC, cell_N = drawn(500, 2.0)
    direct = fit_temperature(scores_NC, cell_N)
    assert fit_temperature(torch.log_softmax(scores_NC, 1), cell_N).temperature == pytest.approx(
        direct.temperature, rel=1e-4
    )


def test_photos_in_no_cell_are_left_out() -> None:
    scores_NC, cell_N = drawn(400, 2.0)
    alone = fit_temperature(scores_NC[:300], cell_N[:300])
    cell_N[300:] = -1
    assert fit_temperature(scores_NC, cell_N) == alone and alone.photos == 300


def test_few_photos_leave_it_at_one_and_say_so() -> None:
    scores_NC, cell_N = drawn(LEAST_PHOTOS - 1, 3.0)
    found = fit_temperature(scores_NC, cell_N)
    assert found.temperature == 1 and found.photos == 0
    assert (
        found.describe()
        == f"temperature 1, not fitted: {LEAST_PHOTOS - 1} validation photos in cells, and 50 are needed"
    )
    scores_NC, cell_N = drawn(LEAST_PHOTOS, 3.0)
    assert fit_temperature(scores_NC, cell_N).temperature > 1.5
    scores_NC[3, 3] = math.nan
    assert "no numbers" in fit_temperature(scores_NC, cell_N).describe()


def test_it_stays_in_its_range_where_every_answer_is_right_or_wrong() -> None:
    scores_NC, _ = drawn(100, 1.0)
    right = fit_temperature(scores_NC, scores_NC.argmax(dim=1))
    wrong = fit_temperature(scores_NC, scores_NC.argmin(dim=1))
    assert right.temperature == pytest.approx(RANGE[0], rel=1e-3)
    assert wrong.temperature == pytest.approx(RANGE[1], rel=1e-3)
    assert "outside 0.2 to 10" in right.describe() and "outside" in wrong.note


def test_what_it_makes_of_scores() -> None:
    scores_NC, _ = drawn(5, 1.0)
    made = Calibration(2.0).log_probs(scores_NC)
    slow = [[s / 2 - math.log(sum(math.exp(o / 2) for o in row)) for s in row] for row in scores_NC.tolist()]
    torch.testing.assert_close(made, torch.tensor(slow))
