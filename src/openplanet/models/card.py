"""The README.md of a checkpoint folder, in the form of a Hugging Face model card."""

from pathlib import Path
from typing import Any

from openplanet.models.calibration import Calibration
from openplanet.models.heads.registry import HEADS
from openplanet.photos.ingest.split import too_few


def _percent(value: float | None) -> str:
    return "not measured" if value is None else f"{100 * value:.1f} %"


def accuracy_table(accuracy: dict[str, Any]) -> list[str]:
    """Lines of the shares within 25 and 750 km."""
    return [
        "| within | share of photos |",
        "|---|---|",
        f"| 25 km | {_percent(accuracy.get('within_25_km'))} |",
        f"| 750 km | {_percent(accuracy.get('within_750_km'))} |",
    ]


def _start(recipe: dict[str, Any]) -> str:
    weights = recipe.get("weights")
    if recipe.get("init"):
        return f"the backbone of {Path(recipe['init']).name}" + (", and left frozen" if recipe.get("frozen") else "")
    if not weights:
        return "random weights"
    name = "timm's weights on the Hugging Face Hub" if weights == "hub" else f"the weights in {Path(weights).name}"
    return name + (", and left frozen" if recipe.get("frozen") else "")


def model_card(config: dict[str, Any], parameters: int) -> str:
    """Markdown that says what the model is, what it learned from, how good it is, and what it is not for.

    ``config`` is the content of config.json.
    """
    lines = [*_what_it_is(config, parameters), *_data(config), *_accuracy(config), *LIMITS]
    return "\n".join(lines)


def _what_it_is(config: dict[str, Any], parameters: int) -> list[str]:
    recipe, image = config["recipe"], config["image"]
    return [
        "---",
        "library_name: openplanet",
        "tags: [geolocation, photos]",
        "license: other  # decide before sharing: see the licences of the training photos below",
        "---",
        "",
        f"# Photo geolocation: {recipe.get('name', 'unnamed recipe')}",
        "",
        "From the pixels of one photo, a probability for every cell of a partition of the Earth.",
        "",
        f"- {recipe.get('description', '')}",
        f"- Backbone {image['backbone']} (timm), {image['image_size']} px input, {parameters:,} parameters.",
        f"- {config['cells']:,} cells (`partition.parquet`)"
        f"{HEADS[image.get('head', 'softmax')].describe(config.get('coarser') or [])}.",
        *_privacy(config),
        f"- Backbone started from {_start(recipe)}; their licence holds for this model too.",
        f"- Written by openplanet {config['openplanet_version']}.",
        "",
        "Load it with `openplanet locate PHOTO --checkpoint FOLDER` (or `hf:owner/name`, once it is pushed).",
        "",
    ]


def _privacy(config: dict[str, Any]) -> list[str]:
    told = [f"- {config['privacy'].capitalize()}."] if "privacy" in config else []
    if "merged" in config:
        return [*told, "- Small cells were merged for sharing, and cell centres stand in for the photos' centroids."]
    return [
        *told,
        "- It holds the centroid of each cell's photos: share it with `openplanet push`, which merges.",
    ]


def _data(config: dict[str, Any]) -> list[str]:
    data = config["training"]
    licences = data.get("licences") or {}
    return [
        "## Data",
        "",
        f"- Dataset {data.get('dataset', 'not stated')}.",
        f"- {data.get('photos', 'unknown')} training photos with a position"
        f" ({data.get('in_no_cell', 0)} more lay in no cell,"
        f" {len(data.get('undecodable', []))} could not be decoded).",
        f"- Chosen on {config['accuracy'].get('photos', 0)} validation photos." + _too_few(data),
        "",
        "Licences of the training photos:",
        "",
        *([f"- {name}: {count} photos" for name, count in licences.items()] or ["- not stated in the dataset"]),
        "",
    ]


def _too_few(data: dict[str, Any]) -> str:
    held = data.get("validation")  # older checkpoints do not tell
    few = too_few(held["photos"], held["albums"]) if isinstance(held, dict) else ""
    return f" **They are {few}: too few to trust the choice of the epoch, or the temperature.**" if few else ""


def _accuracy(config: dict[str, Any]) -> list[str]:
    accuracy = config["accuracy"]
    return [
        "## Accuracy",
        "",
        "On the validation split, by which the epoch was chosen (so a little optimistic; `openplanet evaluate`"
        " measures the test split). Distance from the centroid of the most likely cell:",
        "",
        *accuracy_table(accuracy),
        "",
        "Probabilities (temperature scaling, Guo et al. 2017; it changes how sure the model is, not what it"
        f" names): {_calibration(config).describe()}.",
        "",
    ]


def _calibration(config: dict[str, Any]) -> Calibration:
    return Calibration(**{name: value for name, value in config.get("calibration", {}).items() if name != "regions"})


LIMITS = (
    "## Use and limits",
    "",
    "Meant for research, and for placing one's own photos that have lost their position. It knows only"
    " places that its training photos show, and shares their bias: where they are few it is wrong, and it"
    " may be wrong with a high probability. Never read its answer as a fact: it is a list of candidates.",
    "",
    "## Responsible use",
    "",
    "Do not use it to find, follow or expose people, or to place photos of others without their consent."
    " Positions that a photo already has are to be trusted before any prediction.",
    "",
)
