"""What locators of single photos share, whatever runs their network: how a photo is read, and answers in order.

Nothing here loads torch. Shapes: B photos in a batch, D embedding, H W pixels.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from PIL import Image, ImageOps

from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import PhotoError
from openplanet.inference.finding import FLAG_SIDE, flag_of, no_photograph
from openplanet.inference.located import Located, Photo
from openplanet.inference.pipeline import ahead
from openplanet.inference.prediction import Prediction
from openplanet.models.preprocess import Pixels, pixels
from openplanet.photos.files import exif, images

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 32


class Framing(Protocol):
    """How a photo is brought to what the network takes (models.image_model.ImageConfig)."""

    @property
    def image_size(self) -> int:
        """Side of the square input in pixels."""

    @property
    def centre_crop(self) -> float:
        """Share of the short side that the central square has."""

    @property
    def decoded_side(self) -> int:
        """Short side in pixels that a photo is first brought to."""


class _NoPhotographError(PhotoError):
    """A picture that shows no place: the network need not see it."""


class PhotoLocator(ABC):
    """Locates photos, each by itself. Holds nothing that a call changes, so that threads may share one."""

    @property
    @abstractmethod
    def partition(self) -> Partition:
        """The cells that predictions are over."""

    @property
    @abstractmethod
    def framing(self) -> Framing:
        """How photos are brought to the network."""

    @abstractmethod
    def _predict(self, pixels_B3HW: Pixels) -> Sequence[Prediction]:
        """The answer for each photo of a batch that is not empty."""

    @abstractmethod
    def _embed(self, pixels_B3HW: Pixels) -> Sequence["Tensor"]:
        """The embedding [D] of each photo of a batch that is not empty."""

    @abstractmethod
    def look(self, pixels_B3HW: Pixels) -> "list[tuple[Prediction, Tensor]]":
        """Answer and embedding [D] of each photo of a batch that is not empty (``read``), by one look at it."""

    def locate(self, photo: Photo) -> Prediction:
        """Locate one photo: a path, the bytes of a file, or a PIL image (turned upright by its Exif).

        Raises PhotoError, naming the file, where it cannot be read.
        """
        return self._predict(self.read(photo)[None])[0]

    def locate_many(
        self, photos: Iterable[Photo], batch_size: int = BATCH, all_pictures: bool = True
    ) -> Iterator[Located]:
        """Locate photos in their order, ``batch_size`` at a time; a bad one never stops the rest.

        Reads ahead by two batches at most, so that ``photos`` may be endless. ``all_pictures`` False: of files that
        are screenshots, documents or blank that is said, and they are not located (as ``finding.photographs``).
        """
        read = self.read if all_pictures else self._read_photograph
        for photo, answer in ahead(photos, read, self._predict, batch_size):
            if isinstance(answer, _NoPhotographError):
                yield Located(photo, None, None, flag=str(answer))
            elif isinstance(answer, PhotoError):
                yield Located(photo, None, str(answer))
            else:
                yield Located(photo, answer, None)

    def embed_many(self, photos: Iterable[Photo], batch_size: int = BATCH) -> Iterator["Tensor | None"]:
        """The embedding [D] (float32, CPU: the layer before the softmax) of each photo; None for a bad one."""
        for _, answer in ahead(photos, self.read, self._embed, batch_size):
            yield None if isinstance(answer, PhotoError) else answer

    def read(self, photo: Photo) -> Pixels:
        """What the network is given of a photo: uint8 [3, H, W]. Raises PhotoError where it cannot be read."""
        if isinstance(photo, Image.Image):
            image = _upright(photo)
        else:
            source = photo if isinstance(photo, bytes) else Path(photo)
            image = images.load(source, short_side=self.framing.decoded_side)
        return self._framed(image)

    def _read_photograph(self, photo: Photo) -> Pixels:
        """``read``, decoded once for the network and for the rules that raise _NoPhotographError."""
        if not isinstance(photo, Path):
            return self.read(photo)
        metadata, side = exif.read(photo), self.framing.decoded_side
        image = images.load(photo, side, metadata)
        flag = flag_of(image, metadata) if side >= FLAG_SIDE else no_photograph(photo)
        if flag:
            raise _NoPhotographError(flag)
        return self._framed(image)

    def _framed(self, image: Image.Image) -> Pixels:
        return pixels(image, self.framing.image_size, self.framing.centre_crop)


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError) as error:
        raise PhotoError(f"the image cannot be decoded: {error}", reason="corrupt") from error
