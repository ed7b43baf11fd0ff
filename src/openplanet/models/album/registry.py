"""Every album model by name: a new variant is its own file, its test, and a line here."""

from collections.abc import Callable

from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import RecipeError, suggestion
from openplanet.models.album.average import Average, GeometricMean
from openplanet.models.album.base import AlbumConfig, AlbumModel
from openplanet.models.album.bidirectional import BidirectionalLSTM
from openplanet.models.album.lstm import LSTM, lstm_offset
from openplanet.models.album.repeated import RepeatedLSTM
from openplanet.models.album.transformer import Transformer
from openplanet.models.album.travel import Travel

ALBUM_MODELS: dict[str, Callable[..., AlbumModel]] = {
    "average": Average,
    "geometric_mean": GeometricMean,
    "lstm": LSTM,
    "lstm_offset1": lstm_offset(1),
    "lstm_offset2": lstm_offset(2),
    "lstm_repeated": RepeatedLSTM,
    "blstm": BidirectionalLSTM,
    "transformer": Transformer,
    "travel": Travel,
}

MAX_WIDTH, MAX_LAYERS = 1 << 13, 32
OPTIONS: dict[str, tuple[tuple[type, ...], float, float]] = {
    "window": ((int,), 2, 10_000),
    "heads": ((int,), 1, 256),
    "delay": ((int,), 0, 64),
    "top": ((int,), 1, 4096),
    "exponent": ((int, float), 1e-6, 1e3),
    "own": ((int, float), 1e-6, 1e3),
    "jump": ((float,), 1e-12, 1 - 1e-12),
}
"""Options of the variants, with kind and range: a checkpoint of a stranger gives them."""


def build(config: AlbumConfig, partition: Partition, embedding_dim: int) -> AlbumModel:
    """The model that ``config`` describes, with random weights, on the CPU.

    Raises RecipeError, with a suggestion, for a variant that there is not, or options that it does not take or that
    are out of range.
    """
    _check(config)
    try:
        return ALBUM_MODELS[config.variant](partition, embedding_dim, config, **config.options)
    except TypeError as error:
        raise RecipeError(f"Album model {config.variant} does not take these options: {error}") from error


def needs_training(config: AlbumConfig) -> bool:
    """Whether the variant has weights of its own to train (else statistics of the training albums at most)."""
    return bool(getattr(ALBUM_MODELS.get(config.variant), "needs_training", True))


def _check(config: AlbumConfig) -> None:
    if not isinstance(config.variant, str) or config.variant not in ALBUM_MODELS:
        name = str(config.variant)[:80]
        raise RecipeError(f"There is no album model {name!r}; {suggestion(name, ALBUM_MODELS)}")
    right = {
        "width": type(config.width) is int and 1 <= config.width <= MAX_WIDTH,
        "layers": type(config.layers) is int and 1 <= config.layers <= MAX_LAYERS,
        "dropout": type(config.dropout) in (int, float) and 0 <= config.dropout < 1,
        "residual": isinstance(config.residual, bool),
        "options": isinstance(config.options, dict),
    }
    for name, fine in right.items():
        if not fine:
            raise RecipeError(f"Album model {config.variant}: {name} cannot be {repr(getattr(config, name))[:80]}")
    for name, value in config.options.items():
        if name not in OPTIONS:
            raise RecipeError(f"Album model {config.variant} does not take these options: {str(name)[:80]!r}")
        kinds, low, high = OPTIONS[name]
        if not (value is None and name == "own") and not (type(value) in kinds and low <= value <= high):
            raise RecipeError(
                f"Album model {config.variant}: {name} must be from {low:g} to {high:g}, not {repr(value)[:80]}"
            )
