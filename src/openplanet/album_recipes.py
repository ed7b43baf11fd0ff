"""Named recipes of album models, listed by ``openplanet recipes``: the paper's, then ours.

Whatever the paper does not give was chosen on validation photos of the synthetic planet (notes/results.md).
"""

from collections.abc import Callable
from typing import Any

from openplanet.errors import RecipeError, suggestion
from openplanet.models.album.registry import ALBUM_MODELS
from openplanet.training.album.recipe import AlbumRecipe


def _seen(
    within_25_km: float, within_750_km: float, how: str = "trained on 5,373 albums; minutes on one CPU core"
) -> str:
    return (
        f"{within_25_km} % within 25 km and {within_750_km} % within 750 km (single photos: 41.2 and 74.6 %) on"
        f" the synthetic planet; {how}"
    )


def _paper(name: str, description: str, **changes: Any) -> AlbumRecipe:
    """What the recipes share. The model is the paper's; the numbers are ours, because it gives none."""
    settings: dict[str, Any] = {
        "optimizer": "adamw",
        "learning_rate": 3e-3,
        "weight_decay": 0.05,
        "schedule": "cosine",
        "warmup": 1,
        "epochs": 20,
        "batch_size": 16,
        "smoothing_km": 200.0,
        "ema_decay": 0.99,
        "dropout": 0.3,
    }
    return AlbumRecipe(name=name, variant=name, description=description, **(settings | changes))


def lstm() -> AlbumRecipe:
    """The paper's LSTM: it places the first photos without any context."""
    return _paper(
        "lstm",
        "The paper's LSTM, over the photos in order of capture",
        seen=_seen(60.5, 92.1),
    )


def lstm_offset1() -> AlbumRecipe:
    """The paper's LSTM off1."""
    return _paper("lstm_offset1", "The paper's LSTM, each answer read one photo later", seen=_seen(62.9, 95.0))


def lstm_offset2() -> AlbumRecipe:
    """The paper's LSTM off2."""
    return _paper("lstm_offset2", "The paper's LSTM, each answer read two photos later", seen=_seen(59.7, 93.7))


def lstm_repeated() -> AlbumRecipe:
    """The paper's LSTM rep, the best of its models."""
    description = "The paper's LSTM over the album twice, answers read in the second pass"
    return _paper("lstm_repeated", description, seen=_seen(61.5, 93.4))


def blstm() -> AlbumRecipe:
    """The paper's BLSTM, in windows of 25 photos."""
    return _paper(
        "blstm",
        "The paper's bidirectional LSTM, in overlapping windows of 25 photos",
        seen=_seen(64.6, 95.9),
    )


def transformer() -> AlbumRecipe:
    """Attention over the whole album by capture times, added to the image model's answers."""
    description = "Attention over the album by capture times, added to the image model's answers"
    seen = _seen(55.6, 89.3)
    return _paper("transformer", description, layers=2, residual=True, seen=seen)


RECIPES: dict[str, Callable[[], AlbumRecipe]] = {
    f.__name__: f for f in (lstm, lstm_offset1, lstm_offset2, lstm_repeated, blstm, transformer)
}
"""Every recipe of a trained album model by name."""

UNTRAINED = [name for name, variant in ALBUM_MODELS.items() if not getattr(variant, "needs_training", True)]
"""Album models that count at most, without gradients: their names are recipes too."""

DESCRIBED = {
    "average": (
        "The paper's mean of the photos' answers, one for the whole album; no training",
        _seen(40.5, 69.0, "in seconds"),
    ),
    "geometric_mean": (
        "The mean of their logarithms, one for the whole album; no training",
        _seen(39.3, 70.9, "in seconds"),
    ),
    "travel": (
        "Hidden Markov model of how far people travel in a given time; counted, not trained",
        _seen(62.3, 96.1, "counted on 5,373 albums, in seconds"),
    ),
}
"""Description and accuracy of those."""


def get(name: str) -> AlbumRecipe:
    """The recipe called ``name``; RecipeError, with a suggestion, where there is none."""
    if name in UNTRAINED:
        description, seen = DESCRIBED.get(name, ("An album model that needs no training", "not measured"))
        return _paper(name, description, seen=seen)
    if name not in RECIPES:
        hint = suggestion(name, [*RECIPES, *UNTRAINED])
        raise RecipeError(f"There is no recipe {name!r} of an album model; {hint}")
    return RECIPES[name]()


def listing() -> list[dict[str, Any]]:
    """Name, description and measured accuracy of each recipe; those of ``UNTRAINED`` come last."""
    recipes = map(get, [*RECIPES, *UNTRAINED])
    return [{"name": recipe.name, "description": recipe.description, "seen": recipe.seen} for recipe in recipes]
