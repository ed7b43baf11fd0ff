"""Small pictures of a reference dataset's photos, read when they are shown: each from its own row group."""

import base64
from collections.abc import Sequence

from openplanet.errors import PhotoError
from openplanet.photos.dataset import Dataset
from openplanet.photos.files import images
from openplanet.photos.row_groups import row_groups

SIDE = 96  # px, short side


class Pictures:
    """Of the located photos of a train split. Memory: about 100 bytes a photo."""

    def __init__(self, dataset: Dataset) -> None:
        """Raises DatasetError where a shard cannot be read."""
        self._groups = row_groups(dataset)
        self._where: dict[str, int] = {}
        for number, group in enumerate(self._groups):
            ids = group.read(["photo_id"], "train", located=True)["photo_id"].to_pylist()
            self._where.update(dict.fromkeys(ids, number))

    def of(self, photo_ids: Sequence[str]) -> list[str | None]:
        """Data URIs; None for a photo that is not there or cannot be read."""
        wanted = {self._where[each] for each in photo_ids if each in self._where}
        found: dict[str, bytes | None] = {}
        for number in wanted:
            table = self._groups[number].read(["photo_id", "image"], "train", located=True)
            kept = [row for row, each in enumerate(table["photo_id"].to_pylist()) if each in photo_ids]
            found |= {row["photo_id"]: row["image"]["bytes"] for row in table.take(kept).to_pylist()}
        return [_uri(found.get(each)) for each in photo_ids]


def _uri(photo: bytes | None) -> str | None:
    try:
        jpeg = images.encode_jpeg(images.load(photo or b"", short_side=SIDE))
    except PhotoError:
        return None
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
