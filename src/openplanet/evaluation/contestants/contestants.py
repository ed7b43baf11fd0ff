"""Who takes part in a comparison: checkpoints of photos and of albums, files of guesses, baselines; and their answers.

Shapes: N photos, K guesses.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from openplanet.earth.partition.adaptive import Partition
from openplanet.errors import InputError
from openplanet.evaluation.answers import DENSITY, EMBEDDED, NEAREST, Answers
from openplanet.evaluation.contestants import asking, baselines, retrieval, travel_choice
from openplanet.evaluation.contestants.album_asking import AlbumAnswer, AlbumSet, told
from openplanet.evaluation.contestants.predictions import read_predictions
from openplanet.evaluation.contestants.retrieval import Gallery
from openplanet.evaluation.measures import metrics
from openplanet.evaluation.measures.metrics import TOP_K
from openplanet.evaluation.testsets import leakage
from openplanet.evaluation.testsets.leakage import Leak
from openplanet.evaluation.testsets.photoset import PhotoSet
from openplanet.inference.engines.registry import PYTORCH
from openplanet.inference.locator import (
    Embedder,
    Locator,
    checkpoint_of,
    embeds,
    is_name,
    open_locator,
    places_albums,
    prefix_of,
)
from openplanet.models.album.base import AlbumConfig
from openplanet.models.album.registry import build
from openplanet.models.checkpoint import Checkpoint
from openplanet.photos.dataset import Dataset

BASELINES = ("random", "prior", "nearest", "density", "embedding")
OF_ALBUMS = ("average", "geometric_mean", "travel")  # untrained, over what a checkpoint says of the single photos
OF_A_GALLERY = ("nearest", "density", "embedding")
FITTED = (*BASELINES, "travel")  # on training photos
OF_A_MODEL = ("prior", "embedding", *OF_ALBUMS)  # of the cells or network of the first checkpoint that is named
OF_A_NETWORK = ("embedding", *OF_ALBUMS)  # of these, the network's
NAMED = (*BASELINES, *OF_ALBUMS)
SUFFIXES = (".csv", ".json")


def need_pictures(texts: Sequence[str]) -> bool:
    """Whether any of them looks at photos, as guesses made by others do not."""
    return any(is_name(text) or Path(text).suffix.lower() not in SUFFIXES for text in texts)


class Contestants:
    """The contestants that ``texts`` name, on one set."""

    def __init__(self, texts: Sequence[str], photoset: PhotoSet, train: Dataset | None) -> None:
        if len(texts) < 2:
            raise InputError(f"a comparison needs two: checkpoints, files of predictions, or {', '.join(NAMED)}")
        self.photoset, self.train = photoset, train
        self._texts = texts
        self._models = {text: _open(text) for text in texts if _is_model(text)}
        self._guesses = {text: self._read(text) for text in texts if text not in NAMED and text not in self._models}
        self._check()
        self._gallery: Gallery | None = None
        self._features: retrieval.Found = {}

    def _check(self) -> None:
        """What can be wrong is told before a model looks at photos."""
        for text in self._texts:
            if text in FITTED:
                self._needed(text)
            if text in OF_ALBUMS:
                self._checkpoint(text)
            elif text in OF_A_NETWORK:
                self._network(text)
            elif text in OF_A_MODEL:
                self._first(text)
            if text in OF_ALBUMS or (text in self._models and places_albums(self._models[text])):
                _need_albums(text, self.photoset)
        names = [name for text in self._texts for name in self._names(text)]
        again = next((name for name in names if names.count(name) > 1), None)
        if again is not None:
            raise InputError(f"two contestants are called {again}: rename a folder or file")

    def models(self) -> list[Locator]:
        """The models among them: whose training is to be known."""
        return list(self._models.values())

    def gallery_leaks(self) -> tuple[Leak, ...]:
        """Whether the very places of the set stand among those that retrieval, if it takes part, answers with."""
        named = next((text for text in self._texts if text in OF_A_GALLERY), None)
        if named is None:
            return ()
        gallery = self._fitted(named)
        return (leakage.check_gallery(self.photoset, gallery.lat, gallery.lng),)

    def answers(self) -> list[Answers]:
        """What each says, in the order given."""
        return [each for text in self._texts for each in self._of(text)]

    def _names(self, text: str) -> list[str]:
        if text in NAMED:
            return [text]
        if text in self._models:
            return [prefix_of(text) or Path(text).resolve().name]
        return [each.name for each in self._guesses[text]]

    def _read(self, text: str) -> list[Answers]:
        found = read_predictions(Path(text), self.photoset.truth)
        if any(each.shown_N is not None for each in found):
            raise InputError(f"{text} holds rounds of a game: measure it with openplanet evaluate --predictions {text}")
        return found

    def _of(self, text: str) -> list[Answers]:
        if text in OF_ALBUMS:
            return [self._untrained(text)]
        if text in BASELINES:
            return [self._baseline(text)]
        if text not in self._models:
            return self._guesses[text]
        model, (name,) = self._models[text], self._names(text)
        if places_albums(model):
            what = f"an album model ({model.variant}), given whole albums"
            return [self._by_albums(name, what, model.model, model.predictor.checkpoint, model.coarser)]
        return [asking.ask(model, self.photoset, name=name)]

    def _by_albums(
        self, name: str, what: str, answer: AlbumAnswer, image: Checkpoint, coarser: Sequence[Partition]
    ) -> Answers:
        dataset, split = self.photoset.dataset, self.photoset.split
        assert dataset is not None, "_need_albums has seen to it"
        albums = AlbumSet.of(dataset, split, image, ())
        found = asking.collect(told(albums, answer), albums.truth, albums.partition, coarser=coarser)
        return replace(found, name=name, what=what)

    def _untrained(self, name: str) -> Answers:
        text, locator, image = self._checkpoint(name)
        model, how = build(AlbumConfig(name), image.partition, image.model.embedding_dim), ""
        if name == "travel":
            model, learnt = travel_choice.learnt_on(self._needed(name), image, metrics.DISTANCES_KM)
            how = f"; {learnt}"
        device = next(image.model.parameters()).device
        what = f"over what {text} says of the albums' photos{how}"
        return self._by_albums(name, what, model.to(device), image, locator.coarser)

    def _baseline(self, name: str) -> Answers:
        gallery = self._fitted(name)
        if name == "random":
            drawn = baselines.random_guesses(gallery.lat, gallery.lng, len(self.photoset), TOP_K)
            return Answers(name, "", *drawn)
        if name == "prior":
            text, locator = self._first(name)
            what = f"over the cells of {text}"
            return asking.prior(locator, gallery.lat, gallery.lng, self.photoset.truth, what=what)
        if name == "embedding":
            text, locator = self._network(name)
            found = self._found(name, retrieval.by_embedding(gallery, self.photoset, locator), EMBEDDED)
            return replace(found, what=f"by the embedding of {text}; {found.what}")
        if not self._features:
            self._features = retrieval.by_features(gallery, self.photoset)
        return self._found(name, self._features, NEAREST if name == "nearest" else DENSITY)

    def _found(self, name: str, found: retrieval.Found, row: str) -> Answers:
        """The first guesses of a row, under the contestant's name."""
        if row not in found:
            raise InputError(f"{self._needed(name).path}: no training photo can be read: {name} has nothing to find")
        return replace(found[row], name=name, points_DNK2=None)

    def _first(self, name: str) -> tuple[str, Locator]:
        """The first model that was named, of an album's its image model."""
        if not self._models:
            raise InputError(f"{name} needs a model's cells or embedding: name a checkpoint too")
        text, model = next(iter(self._models.items()))
        return text, model.predictor if places_albums(model) else model

    def _network(self, name: str) -> tuple[str, Embedder]:
        """The same where its embeddings are wanted, which other systems may not give."""
        text, model = self._first(name)
        if not embeds(model):
            raise InputError(f"{name} needs the embeddings of a checkpoint of ours: name one before {text}")
        return text, model

    def _checkpoint(self, name: str) -> tuple[str, Locator, Checkpoint]:
        """The same where album models read those embeddings, which takes the network itself."""
        text, model = self._first(name)
        checkpoint = checkpoint_of(model)
        if checkpoint is None:
            raise InputError(f"{name} needs the embeddings of a checkpoint of ours: name one before {text}")
        return text, model, checkpoint

    def _needed(self, name: str) -> Dataset:
        if self.train is None:
            raise InputError(f"{name} is fitted on training photos: give the dataset with --train")
        return self.train

    def _fitted(self, name: str) -> Gallery:
        train = self._needed(name)
        self._gallery = self._gallery or Gallery(train)
        if len(self._gallery) == 0:
            raise InputError(f"{train.path} has no training photo with a position: {name} cannot be fitted on it")
        return self._gallery


def _open(text: str) -> Locator:
    """By PyTorch: what is compared must not depend on what was exported."""
    return open_locator(text, engine=PYTORCH)


def _is_model(text: str) -> bool:
    """Before anything is asked, so that a wrong name costs no minutes."""
    if text in NAMED:
        return False
    if is_name(text) or Path(text).is_dir():
        return True
    if Path(text).suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{text} is no contestant: give a checkpoint folder, a CSV or JSON of predictions, or {', '.join(NAMED)}"
        )
    return False


def _need_albums(name: str, photoset: PhotoSet) -> None:
    """Raise InputError where no two photos of the set are of one album."""
    if photoset.dataset is None:
        raise InputError(
            f"{name} places photos by their albums, and {photoset.name} is a set of single photos: give a dataset of "
            "`openplanet ingest`, or leave it out"
        )
    albums = photoset.dataset.table(["album_id"], photoset.split)["album_id"].to_pylist()
    if max(Counter(album for album in albums if album).values(), default=0) < 2:
        raise InputError(
            f"{name} places photos by their albums, and no two photos of {photoset.name} of {photoset.dataset.path} "
            "are of one album: ingest with --albums, or leave it out"
        )
