"""Names of countries in the language that was asked for."""

from collections.abc import Iterator

import numpy as np
import pytest

from openplanet.earth import languages
from openplanet.earth.partition.adaptive import build
from openplanet.errors import InputError
from openplanet.inference.prediction import Prediction


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    yield
    languages.use("en")


def test_countries_are_called_by_the_language() -> None:
    around = np.array([(0, 0), (0.4, 0.4), (-0.4, 0.4), (0.4, -0.4), (-0.4, -0.4)])  # so that the cells are small
    lat, lng = np.concatenate([around + at for at in ((52.52, 13.4), (35.68, 139.69))]).T
    cells = build([(lat, lng)], max_photos=1, min_photos=1)
    answer = Prediction(cells, np.zeros(len(cells)))
    assert {node.name for node in answer.places("country")} == {"Germany", "Japan"}
    languages.use("es")
    assert {node.name for node in answer.places("country")} == {"Alemania", "Japón"}
    assert {node.place.country_code for node in answer.places("country")} == {"DE", "JP"}
    languages.use("pt-BR")
    assert languages.chosen() == "pt_BR" and languages.country("DE", "Germany") == "Alemanha"
    assert languages.country("??", "Atlantis") == "Atlantis"


@pytest.mark.parametrize("language", ["klingon", "x_y_z", ""])
def test_a_language_that_nobody_knows_is_refused(language: str) -> None:
    with pytest.raises(InputError, match="no language is called"):
        languages.use(language)
    assert languages.chosen() == "en"
