"""Which epoch is kept."""

from openplanet.training.callbacks import places_more


def validation(loss: float, city: float, country: float) -> dict[str, float]:
    return {"loss": loss, "within_25_km": city, "within_750_km": country}


def test_the_epoch_that_places_more_photos_is_kept_even_at_a_higher_loss() -> None:
    first, later = validation(5.1, 0.01, 0.49), validation(5.6, 0.11, 0.81)
    assert places_more(later, first)
    assert not places_more(first, later)


def test_between_equals_the_lower_loss() -> None:
    assert places_more(validation(1.0, 0.5, 0.5), validation(2.0, 0.5, 0.5))
    assert not places_more(validation(2.0, 0.5, 0.5), validation(1.0, 0.5, 0.5))


def test_without_validation_photos_the_last_one() -> None:
    nothing = {"loss": None, "within_25_km": None, "within_750_km": None}
    assert places_more(nothing, {})
    assert places_more(nothing, nothing)
