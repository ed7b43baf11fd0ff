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


def build(config: AlbumConfig, partition: Partition, embedding_dim: int) -> AlbumModel:
    """The model that ``config`` describes, with random weights, on the CPU.

    Raises RecipeError, with a suggestion, for a variant that there is not, or options that it does not take.
    """
    if config.variant not in ALBUM_MODELS:
        name = config.variant[:80]
        raise RecipeError(f"There is no album model {name!r}; {suggestion(name, ALBUM_MODELS)}")
    try:
        return ALBUM_MODELS[config.variant](partition, embedding_dim, config, **config.options)
    except TypeError as error:
        raise RecipeError(f"Album model {config.variant} does not take these options: {error}") from error


def needs_training(config: AlbumConfig) -> bool:
    """Whether the variant has weights of its own to train (else statistics of the training albums at most)."""
    return bool(getattr(ALBUM_MODELS.get(config.variant), "needs_training", True))
