"""Who takes part in a comparison: checkpoints, files of guesses, baselines; and their guesses.

Shapes: N photos, K guesses.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openplanet.errors import InputError
from openplanet.evaluation import baselines, locating, retrieval
from openplanet.evaluation.geoclip import PREFIX, open_locator
from openplanet.evaluation.locating import Locator
from openplanet.evaluation.metrics import TOP_K
from openplanet.evaluation.photoset import PhotoSet
from openplanet.evaluation.predictions import read_predictions
from openplanet.evaluation.retrieval import Gallery
from openplanet.evaluation.rows import DENSITY, EMBEDDED, NEAREST
from openplanet.models.hub import PREFIX as HUB
from openplanet.photos.shards import Dataset

Floats = NDArray[np.float64]
Guessed = tuple[Floats, Floats]

BASELINES = ("random", "prior", "nearest", "density", "embedding")
OF_A_MODEL = ("prior", "embedding")  # of the cells, or by the embedding, of the first checkpoint that is named
SUFFIXES = (".csv", ".json")


def need_pictures(texts: Sequence[str]) -> bool:
    """Whether any of them looks at photos, as guesses made by others do not."""
    return any(Path(text).suffix.lower() not in SUFFIXES for text in texts)


class Contestants:
    """The contestants that ``texts`` name, on one set; ``told`` says of each what a reader must know."""

    def __init__(self, texts: Sequence[str], photoset: PhotoSet, train: Dataset | None) -> None:
        if len(texts) < 2:
            raise InputError(f"a comparison needs two: checkpoints, files of predictions, or {', '.join(BASELINES)}")
        self.photoset, self.train = photoset, train
        self.told: dict[str, str] = {}
        self._texts = texts
        self._locators = {text: open_locator(text) for text in texts if self._is_locator(text)}
        self._gallery: Gallery | None = None
        self._features: retrieval.Found = {}

    def locators(self) -> list[Locator]:
        """The models among them."""
        return list(self._locators.values())

    def guesses(self) -> dict[str, Guessed]:
        """The guesses lat, lng [N, K] of each, most likely first, NaN for none; by name, in the order given."""
        found: dict[str, Guessed] = {}
        for text in self._texts:
            for name, guesses in self._of(text).items():
                if name in found:
                    raise InputError(f"two contestants are called {name}: rename a folder or file")
                found[name] = guesses
        return found

    @staticmethod
    def _is_locator(text: str) -> bool:
        """Before anything is asked, so that a wrong name costs no minutes."""
        if text in BASELINES:
            return False
        if text.startswith((PREFIX, HUB)) or Path(text).is_dir():
            return True
        if Path(text).suffix.lower() not in SUFFIXES:
            raise InputError(
                f"{text} is no contestant: give a checkpoint folder, a CSV or JSON of predictions, or "
                f"{', '.join(BASELINES)}"
            )
        return False

    def _of(self, text: str) -> dict[str, Guessed]:
        if text in BASELINES:
            return {text: self._baseline(text)}
        if text in self._locators:
            answers = locating.ask(self._locators[text], self.photoset, ())
            name = PREFIX.removesuffix(":") if text.startswith(PREFIX) else Path(text).resolve().name
            return {name: (answers.lat, answers.lng)}
        found = read_predictions(Path(text), self.photoset.truth)
        if any(each.human for each in found):
            raise InputError(f"{text} holds rounds of a game: measure it with openplanet evaluate --predictions {text}")
        return {each.name: (each.lat, each.lng) for each in found}

    def _baseline(self, name: str) -> Guessed:
        gallery = self._fitted(name)
        if name == "random":
            return baselines.random_guesses(gallery.lat, gallery.lng, len(self.photoset), TOP_K)
        if name in OF_A_MODEL:
            if not self._locators:
                raise InputError(f"{name} needs a model's cells or embedding: name a checkpoint too")
            model, locator = next(iter(self._locators.items()))
            if name == "prior":
                self.told[name] = f"over the cells of {model}"
                return baselines.prior_guesses(locator.partition, gallery.lat, gallery.lng, len(self.photoset), TOP_K)
            if not hasattr(locator, "embed_many"):
                raise InputError(f"embedding needs a checkpoint of ours before {model}, which gives none")
            guesses, how = retrieval.by_embedding(gallery, self.photoset, locator)[EMBEDDED]
            self.told[name] = f"by the embedding of {model}; {how}"
            return guesses
        if not self._features:
            self._features = retrieval.by_features(gallery, self.photoset)
        guesses, self.told[name] = self._features[NEAREST if name == "nearest" else DENSITY]
        return guesses

    def _fitted(self, name: str) -> Gallery:
        if self.train is None:
            raise InputError(f"{name} is fitted on training photos: give the dataset with --train")
        self._gallery = self._gallery or Gallery(self.train)
        if len(self._gallery) == 0:
            raise InputError(f"{self.train.path} has no training photo with a position: {name} cannot be fitted on it")
        return self._gallery
