"""Overrides of a recipe: typed, checked, and helpful."""

import dataclasses
import json
import pickle

import pytest

from openplanet.errors import RecipeError
from openplanet.training.recipe.recipe import Recipe, as_dict, override


def test_overrides_are_typed(tiny_recipe: Recipe) -> None:
    texts = {
        "epochs": "3", "learning_rate": "1e-4", "flip": "true", "ema_decay": "none", "embedding_dim": "64",
        "mean": "0.1, 0.2,0.3", "backbone_args": '{"drop_rate": 0.5}', "optimizer": "adagrad",
        "weights": "a/b.safetensors",
    }  # fmt: skip
    changed = override(tiny_recipe, texts)
    assert (changed.epochs, changed.learning_rate, changed.flip, changed.ema_decay) == (3, 1e-4, True, None)
    assert (changed.embedding_dim, changed.mean) == (64, (0.1, 0.2, 0.3))
    assert changed.backbone_args == {"drop_rate": 0.5} and changed.weights == "a/b.safetensors"
    assert "not measured" in changed.seen  # what the named recipe gave is not what this one gives
    assert override(tiny_recipe, {}) == tiny_recipe


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("epoch", "3", "did you mean epochs"),
        ("learningrate", "3", "did you mean learning_rate"),
        ("zzzz", "3", "there are: .*epochs"),
        ("name", "x", "no setting 'name'"),
        ("epochs", "three", "a whole number, not 'three'"),
        ("epochs", "1.5", "a whole number"),
        ("epochs", "0", "at least 1"),
        ("flip", "perhaps", "true or false"),
        ("optimizer", "sgd", "one of adagrad, adamw"),
        ("mean", "1,2", "3 numbers"),
        ("backbone_args", "[1]", "JSON object"),
        ("crop", "1", "less than 1"),
        ("ema_decay", "1.5", "less than 1"),
        ("learning_rate", "0", "more than 0"),
        ("learning_rate", "nan", "finite"),
        ("warmup", "99", "no longer than"),
        ("levels", "5/1", "from coarse to fine"),
        ("levels", "500", "pairs such as"),
        ("levels", "500/5,400/0", "at least 1"),
        ("head", "hydra", "one of softmax, embeddings, overlaid"),
        ("head", "overlaid", "at least 2 partitions"),
        ("class_balance", "1", "less than 1"),
        ("seed", "-1", "at least 0"),
        ("batch_size", "1", "at least 2"),
        ("smoothing_km", "1e-300", "at least 0.001"),
        ("seed", "4294967296", "at most 4294967295"),
        ("image_size", "100000000", "at most 1024"),
        ("embedding_dim", "100000000000", "at most 16384"),
        ("workers", "1000000", "at most 1024"),
        ("learning_rate", "inf", "finite"),
        ("weight_decay", "inf", "finite"),
        ("mean", "nan,0,0", "finite"),
        ("std", "1,inf,1", "finite"),
    ],
)
def test_wrong_overrides_are_explained(tiny_recipe: Recipe, name: str, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        override(tiny_recipe, {name: text})


def test_what_does_not_go_with_overlaid_partitions(tiny_recipe: Recipe) -> None:
    overlaid = {"head": "overlaid", "levels": "50/5,50/5"}
    assert override(tiny_recipe, overlaid).levels == ((50, 5), (50, 5))
    for name, text in (("levels", "500/50"), ("aux_head", "true")):
        with pytest.raises(RecipeError, match=f"{name} must be .*head=overlaid"):
            override(tiny_recipe, overlaid | {name: text})


def test_a_recipe_survives_json_pickle_and_replacement(tiny_recipe: Recipe) -> None:
    recipe = override(tiny_recipe, {"levels": "500/50", "mean": "0.1,0.2,0.3", "max_photos": "20"})
    assert Recipe(**json.loads(json.dumps(as_dict(recipe)))) == recipe
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    assert dataclasses.replace(recipe, levels=()).levels == ()
    with pytest.raises(RecipeError, match="Recipe tiny: epochs must be at least 1, not 0"):
        dataclasses.replace(recipe, epochs=0)
    with pytest.raises(RecipeError, match="Recipe tiny has no setting 'epoch'; did you mean epochs"):
        Recipe(**as_dict(recipe), epoch=3)


def test_levels_as_text(tiny_recipe: Recipe) -> None:
    assert override(tiny_recipe, {"levels": "500/50, 100/10"}).levels == ((500, 50), (100, 10))
    assert override(tiny_recipe, {"levels": ""}).levels == ()


def test_it_is_frozen_and_becomes_json(tiny_recipe: Recipe) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        tiny_recipe.epochs = 5  # type: ignore[misc]
    values = as_dict(tiny_recipe)
    assert values == json.loads(json.dumps(values)) and values["backbone_args"] == {}


def test_a_backbone_with_weights_brings_its_own_preprocessing(tiny_recipe: Recipe) -> None:
    plain = tiny_recipe.image_config()
    assert (plain.mean, plain.std, plain.centre_crop, plain.image_size) == ((0.5,) * 3, (0.5,) * 3, 1.0, 32)
    weights = {"weights": "w.safetensors", "backbone": "vit_large_patch14_clip_quickgelu_224"}
    own = dataclasses.replace(override(tiny_recipe, weights), image_size=None).image_config()
    assert own.image_size == 224 and own.mean == pytest.approx((0.48145466, 0.4578275, 0.40821073))
    assert own.centre_crop == 1.0
    mobile = override(tiny_recipe, weights | {"backbone": "mobilenetv2_100"}).image_config()
    assert mobile.centre_crop == 0.875 and mobile.mean == (0.485, 0.456, 0.406)
    said = override(tiny_recipe, weights | {"mean": "0.1,0.2,0.3", "centre_crop": "0.8"}).image_config()
    assert said.mean == (0.1, 0.2, 0.3) and said.centre_crop == 0.8 and said.std == own.std and said.image_size == 32


def test_the_side_of_the_dataset_reaches_the_model(tiny_recipe: Recipe) -> None:
    assert tiny_recipe.image_config().decoded_side == 320
    assert tiny_recipe.image_config(96).decoded_side == 96
