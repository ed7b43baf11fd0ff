"""The README.md of an album checkpoint, in the form of a Hugging Face model card."""

from typing import Any

from openplanet.models.card import accuracy_table
from openplanet.models.checkpoint import Checkpoint


def model_card(config: dict[str, Any], image: Checkpoint, parameters: int) -> str:
    """Markdown that says what the model is and what it learned from; ``config`` is the content of config.json."""
    recipe, album, accuracy, data = (config[k] for k in ("recipe", "album", "accuracy", "training"))
    return "\n".join(
        [
            "---",
            "library_name: openplanet",
            "tags: [geolocation, photos, albums]",
            "license: other  # decide before sharing: see image/README.md, and the licences of the training photos",
            "---",
            "",
            f"# Photo albums on the Earth: {recipe.get('name', album['variant'])}",
            "",
            "From the photos of an album in order of capture, a probability for every cell of a partition of the"
            " Earth, for every photo.",
            "",
            f"- {recipe.get('description', '')}",
            f"- Album model `{album['variant']}`, {parameters:,} parameters, on the frozen image model in `image/`"
            f" ({image.image.backbone}, {len(image.partition):,} cells; its own card is `image/README.md`).",
            f"- Written by openplanet {config['openplanet_version']}.",
            "",
            "Load it with `openplanet locate --album FOLDER --checkpoint` this folder.",
            "",
            "## Data",
            "",
            f"- Dataset {data.get('dataset', 'not stated')}.",
            f"- {data.get('albums', 'unknown')} training albums with {data.get('photos', 'unknown')} photos,"
            f" {data.get('targets', 'unknown')} of them with a position in a cell.",
            f"- Chosen on {accuracy.get('photos', 0)} validation photos.",
            "",
            "## Accuracy",
            "",
            "On the validation split, by which the epoch was chosen (so a little optimistic), no position given."
            " Distance from the centroid of the most likely cell:",
            "",
            *accuracy_table(accuracy),
            "",
            "## Use and limits",
            "",
            "For placing one's own photos that have lost their position, by the others of the album. What the image"
            " model's card says of bias, certainty and responsible use holds here too.",
            "",
        ]
    )
