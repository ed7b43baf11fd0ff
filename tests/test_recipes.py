"""The named recipes, against what the paper says."""

import json
from pathlib import Path

import pytest

from openplanet import album_recipes, recipes
from openplanet.errors import RecipeError
from openplanet.models.image_model import ImageModel

PARAMETERS_OF_THE_PAPER = 97_321_048


def test_planet_2016_is_the_paper() -> None:
    recipe = recipes.planet_2016()
    counted = recipes.parameters(recipe, 26_263)
    assert counted == 98_352_398  # 1.06 % more than the paper's: the auxiliary classifier is the likeliest reading
    assert abs(counted / PARAMETERS_OF_THE_PAPER - 1) < 0.03
    assert (recipe.optimizer, recipe.learning_rate, recipe.schedule) == ("adagrad", 0.045, "constant")
    assert (recipe.max_photos, recipe.min_photos, recipe.image_size) == (10_000, 50, 299)
    assert recipe.weights is None  # random
    assert (recipe.label_smoothing, recipe.smoothing_km) == (0.0, None)  # one-hot


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_every_recipe(name: str) -> None:
    recipe = recipes.get(name)
    assert recipe.name == name and recipe.description and recipe.seen
    assert not recipe.flip  # mirroring destroys driving side and script
    assert ImageModel(recipe.image_config(), 3).embedding_dim > 0


def test_the_listing_is_json() -> None:
    rows = json.loads(json.dumps(recipes.listing()))
    written = Path(recipes.__file__).with_suffix(".json")
    assert json.loads(written.read_text(encoding="utf-8")) == rows, "run: python scripts/recipes.py"
    assert [row["name"] for row in rows] == [
        *recipes.RECIPES, *album_recipes.RECIPES, *album_recipes.UNTRAINED,
    ]  # fmt: skip
    assert set(rows[0]) == {"name", "description", "of", "parameters_at_26263_cells", "seen"}
    assert set(rows[-1]) == {"name", "description", "of", "seen"}
    assert rows[0]["parameters_at_26263_cells"] == 98_352_398


def test_a_misspelt_recipe_gets_a_suggestion() -> None:
    with pytest.raises(RecipeError, match="did you mean planet_2016"):
        recipes.get("planet2016")
    with pytest.raises(RecipeError, match="there are: planet_2016"):
        recipes.get("zzz")
    with pytest.raises(RecipeError, match="openplanet train-albums --recipe blstm"):
        recipes.get("blstm")
    with pytest.raises(RecipeError, match="did you mean lstm_offset1"):
        album_recipes.get("lstm_ofset1")


@pytest.mark.parametrize("name", [*album_recipes.RECIPES, *album_recipes.UNTRAINED])
def test_every_recipe_of_albums(name: str) -> None:
    recipe = album_recipes.get(name)
    assert recipe.name == recipe.variant == name and recipe.description and recipe.seen
    assert not recipe.residual or name == "transformer"  # the paper's start from nothing
