"""Train an album model, and locate the photos of a folder together.

python examples/1_train.py
python examples/5_album.py
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from openplanet import album_recipes
from openplanet.inference.album_predictor import AlbumPredictor
from openplanet.models.checkpoint import Checkpoint
from openplanet.photos.dataset import Dataset
from openplanet.training.album.fit_albums import fit_albums

OUT = Path("example")


def main() -> None:
    dataset, image = Dataset.open(OUT / "photos.ds"), Checkpoint.load(OUT / "model")
    recipe = replace(album_recipes.get("blstm"), epochs=2)
    fit_albums(dataset, image, recipe, OUT / "albums", resume=(OUT / "albums").exists())

    photos = (OUT / "planet" / "photos").rglob("*.jpg")
    (folder, count), *_ = Counter(photo.parent for photo in photos).most_common(1)
    print(f"{folder}: {count} photos")
    album = AlbumPredictor.load(OUT / "albums").locate(folder)  # anchors=True keeps positions that photos have
    for each in album.photos:
        if each.prediction is not None and each.alone is not None:
            print(each.taken_at, Path(str(each.photo)).name, each.place, f"(alone: {each.alone.best.place.text})")


if __name__ == "__main__":
    main()
