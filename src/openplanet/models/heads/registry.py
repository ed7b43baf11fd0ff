"""The heads by the name that a recipe and a checkpoint give them. A further one is its file and a line here."""

from openplanet.models.heads.embeddings import CellEmbeddings
from openplanet.models.heads.gallery import Gallery
from openplanet.models.heads.head import Head
from openplanet.models.heads.overlaid import Overlaid
from openplanet.models.heads.softmax import Softmax

HEADS: dict[str, type[Head]] = {
    "softmax": Softmax,
    "embeddings": CellEmbeddings,
    "overlaid": Overlaid,
    "gallery": Gallery,
}
