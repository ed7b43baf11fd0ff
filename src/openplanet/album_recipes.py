"""Named configurations of album models, listed by ``openplanet recipes``: the paper's by the paper's names, then ours.

All but ``variant`` and what the paper fixes was chosen on validation photos of the synthetic planet (notes/results.md).
"""

from collections.abc import Callable
from typing import Any

from openplanet.errors import RecipeError, suggestion
from openplanet.models.album.registry import ALBUM_MODELS
from openplanet.training.album.recipe import AlbumRecipe


def _seen(within_25_km: float, within_750_km: float) -> str:
    return (
        f"synthetic planet, 5,373 albums, test: {within_25_km} % within 25 km and {within_750_km} % within 750 km;"
        " one photo 41.2 and 74.6 %; a few minutes on one CPU core"
    )


def _paper(name: str, description: str, **changes: Any) -> AlbumRecipe:
    """What the recipes share. Of the paper: the model. Ours: all numbers, which it does not give."""
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
    """The paper's LSTM: its first photos are placed before any evidence is seen."""
    return _paper(
        "lstm",
        "The paper's LSTM over an album in order of capture",
        seen=_seen(60.5, 92.1),
    )


def lstm_offset1() -> AlbumRecipe:
    """The paper's LSTM off1."""
    return _paper("lstm_offset1", "The same, each answer one photo later", seen=_seen(62.8, 95.0))


def lstm_offset2() -> AlbumRecipe:
    """The paper's LSTM off2."""
    return _paper("lstm_offset2", "The same, each answer two photos later", seen=_seen(59.5, 93.9))


def lstm_repeated() -> AlbumRecipe:
    """The paper's LSTM rep, the best of its models."""
    description = "The same, the album fed twice and read in the second pass"
    return _paper("lstm_repeated", description, seen=_seen(61.2, 93.5))


def blstm() -> AlbumRecipe:
    """The paper's BLSTM, in windows of 25 photos."""
    return _paper(
        "blstm",
        "The paper's bidirectional LSTM, in overlapping windows of 25 photos",
        seen=_seen(64.6, 95.9),
    )


def transformer() -> AlbumRecipe:
    """Attention over the whole album by capture times, beside what the image model says of each photo."""
    description = "Attention over the album by capture times, added to each photo's own answer"
    seen = _seen(55.8, 89.5)
    return _paper("transformer", description, layers=2, residual=True, seen=seen)


RECIPES: dict[str, Callable[[], AlbumRecipe]] = {
    f.__name__: f for f in (lstm, lstm_offset1, lstm_offset2, lstm_repeated, blstm, transformer)
}
"""Every recipe of a trained album model by name."""

UNTRAINED = [name for name, variant in ALBUM_MODELS.items() if not getattr(variant, "needs_training", True)]
"""Album models that take statistics of the training albums at most: their names are recipes too."""


def get(name: str) -> AlbumRecipe:
    """The recipe called ``name``; RecipeError, with a suggestion, where there is none."""
    if name in UNTRAINED:
        return _paper(name, "Needs no training: statistics of the training albums at most", seen="in seconds")
    if name not in RECIPES:
        hint = suggestion(name, [*RECIPES, *UNTRAINED])
        raise RecipeError(f"There is no recipe {name!r} of an album model; {hint}")
    return RECIPES[name]()


def listing() -> list[dict[str, Any]]:
    """Name, description and what was seen, a dict for each recipe; those that need no training come last."""
    recipes = map(get, [*RECIPES, *UNTRAINED])
    return [{"name": recipe.name, "description": recipe.description, "seen": recipe.seen} for recipe in recipes]
