"""Named recipes: each a function that returns a frozen recipe, listed by ``openplanet recipes``.

A new backbone needs no code: give its timm name (``--set backbone=...``), or add a recipe here.
"""

from collections.abc import Callable
from typing import Any

from openplanet import album_recipes
from openplanet.errors import RecipeError, suggestion
from openplanet.models.image_model import count_parameters
from openplanet.training.recipe.recipe import Recipe

CELLS_OF_THE_PAPER = 26_263
"""Number of cells of the paper's partition (section 3), at which parameters are counted."""


def planet_2016() -> Recipe:
    """The paper (Weyand, Kostrikov, Philbin 2016, arXiv 1602.05314, section 3), nothing modern added.

    Inception family with batch norm, random weights, one-hot cross-entropy, AdaGrad with learning rate 0.045,
    cells split above 10,000 photos and dropped below 50. timm's inception_v3 with its auxiliary classifier has
    98.35M parameters at 26,263 cells; the paper's network had 97,321,048.
    Not in the paper, and ours: batch size, number of epochs, crops (its 91M photos hardly needed them).
    """
    return Recipe(
        name="planet_2016",
        description="The 2016 paper: Inception v3 with auxiliary classifier at 299 px, AdaGrad, one-hot targets",
        seen=(
            "15.8 % within 25 km and 66.7 % within 100 km on 1,181 test photos (a frozen pretrained backbone: 21.8"
            " and 67.2 %); trained on 4,538 real photos of one region, 158 cells, at 96 px without the auxiliary"
            " classifier, 12 epochs, one seed; 20 minutes on one CPU core. The paper trained on 91M photos for 2.5"
            " months on 200 CPU cores"
        ),
        max_photos=10_000,
        min_photos=50,
        backbone="inception_v3",
        image_size=299,
        aux_head=True,
        optimizer="adagrad",
        learning_rate=0.045,
        epochs=10,
        batch_size=128,
        workers=4,
    )


def planet_cpu() -> Recipe:
    """Trains in minutes without a GPU, from random weights: the model of ``make demo``.

    A ResNet of four blocks and a quarter of the usual width: with a few thousand photos a larger one only learns
    more slowly. Cells are many and small; targets smoothed over 100 km let a cell of two photos learn from its
    neighbours. 200 km is as good for single photos, but blurs neighbouring cities, and albums multiply that
    (notes/results.md). The settings were chosen on synthetic photos outside the test split; there 64 px was as good
    as 80 px.
    """
    return Recipe(
        name="planet_cpu",
        description="A narrow ResNet at 64 px from random weights, smoothed targets: minutes on two CPU cores",
        seen=(
            "37 % within 25 km and 73 % within 750 km on 2,001 test photos (Bayes limit: 52 and 78 %); trained on 2,200"
            " photos of the synthetic planet, 321 cells; one minute on two idle CPU cores"
        ),
        max_photos=14,
        min_photos=2,
        backbone="resnet18",
        backbone_args={"channels": [24, 48, 96, 192], "layers": [1, 1, 1, 1]},
        image_size=64,
        optimizer="adamw",
        learning_rate=3e-3,
        weight_decay=0.05,
        schedule="cosine",
        warmup=1,
        epochs=14,
        batch_size=32,
        label_smoothing=0.05,
        smoothing_km=100.0,
        ema_decay=0.99,
        crop=0.1,
        jitter=0.1,
    )


def planet_modern() -> Recipe:
    """The paper's idea with what has been learned since: a pretrained ConvNeXt, AdamW, cosine, moving average.

    The backbone and its weights (timm, ImageNet-12k then 1k, Apache-2.0) come from the Hugging Face Hub. Another
    one from a local file: --set backbone=tf_efficientnet_b4 --set weights=FILE.safetensors (mean and
    standard deviation are the backbone's own).
    Random changes keep what tells the place: never a flip, a turn of the hue, a rotation beyond a camera held
    askew (training/photos/random_ops.py says why for each). Gradients are clipped as in ConvNeXt's own fine-tuning of
    larger sizes; three levels, whose product is the answer. Targets are smoothed over PIGEON's 75 km, which is meant
    for the whole Earth: where cells are a few km across, the likeliest of them then means little (notes/results.md:
    15 % within 25 km, 22 % without). For photos of one region: --set smoothing_km=1, or none.
    """
    return Recipe(
        name="planet_modern",
        description="Pretrained ConvNeXt-T at 224 px, AdamW, cosine schedule, EMA, three levels, smoothed targets",
        seen=(
            "21.8 % within 25 km and 67.3 % within 100 km on 1,181 test photos, no better than `probe`, and"
            " overconfident before temperature scaling; trained on 4,538 real photos of one region, 158 cells, with"
            " MobileNetV2 at 128 px, smoothing 1 km, two levels, 6 epochs, one seed; 15 minutes on one CPU core."
            " Not measured on worldwide photos"
        ),
        max_photos=200,
        min_photos=20,
        levels=((5000, 20), (1000, 20)),
        backbone="convnext_tiny.in12k_ft_in1k",
        backbone_args={"drop_path_rate": 0.1},
        image_size=224,
        centre_crop=1.0,
        weights="hub",
        optimizer="adamw",
        learning_rate=1e-4,
        weight_decay=0.05,
        schedule="cosine",
        warmup=1,
        epochs=10,
        batch_size=64,
        gradient_clip=5.0,
        label_smoothing=0.05,
        smoothing_km=75.0,
        ema_decay=0.999,
        crop=0.3,
        random_ops=2,
        precision="bfloat16",
        workers=4,
    )


def probe() -> Recipe:
    """A frozen backbone: its features are computed once and kept beside the dataset, heads then train in seconds.

    For comparisons (cells, levels, losses, photos) and where there is no GPU. The result is an ordinary
    checkpoint. Features are standardised before the softmax, so that one learning rate fits all backbones.
    Targets are one-hot, as the paper's: on real photos of one region smoothing from 1 to 25 km made no difference that
    val could see, 75 km was worse, and better probabilities come from the temperature at no cost (notes/results.md).
    """
    return Recipe(
        name="probe",
        description="Frozen pretrained backbone with cached features; the softmax trains in seconds",
        seen=(
            "21.8 % within 25 km and 67.2 % within 100 km on 1,181 test photos (one fixed point, chosen by the prior:"
            " 46 and 86 %); trained on 4,538 real photos of one region, 158 cells, with MobileNetV2 at 160 px, three"
            " seeds; 2 minutes for the features and 10 s for the softmax on one CPU core"
        ),
        max_photos=200,
        min_photos=20,
        backbone="convnext_tiny.in12k_ft_in1k",
        centre_crop=1.0,  # the edges are evidence too; all figures are of the whole square
        weights="hub",
        frozen=True,
        feature_norm=True,
        optimizer="adamw",
        learning_rate=1e-3,
        weight_decay=0.05,
        schedule="cosine",
        warmup=1,
        epochs=30,
        batch_size=256,
        label_smoothing=0.05,
    )


RECIPES: dict[str, Callable[[], Recipe]] = {f.__name__: f for f in (planet_2016, planet_modern, planet_cpu, probe)}
"""Every recipe by name."""


def get(name: str) -> Recipe:
    """The recipe called ``name``; RecipeError, with a suggestion, where there is none."""
    if name not in RECIPES:
        if name in album_recipes.RECIPES:
            raise RecipeError(f"{name} is the recipe of an album model: openplanet train-albums --recipe {name}")
        raise RecipeError(f"There is no recipe {name!r}; {suggestion(name, RECIPES)}")
    return RECIPES[name]()


def parameters(recipe: Recipe, num_cells: int = CELLS_OF_THE_PAPER) -> int:
    """Number of trained parameters with ``num_cells`` cells; nothing is allocated."""
    return count_parameters(recipe.image_config(), num_cells)


def listing() -> list[dict[str, Any]]:
    """What ``openplanet recipes --json`` prints: one dict for each recipe, of image models and of album models.

    ``scripts/recipes.py`` writes it to ``recipes.json``, which the command reads.
    """
    images = [
        {
            "name": recipe.name,
            "description": recipe.description,
            "of": "images",
            "parameters_at_26263_cells": parameters(recipe),
            "seen": recipe.seen,
        }
        for recipe in (make() for make in RECIPES.values())
    ]
    return images + [row | {"of": "albums"} for row in album_recipes.listing()]
