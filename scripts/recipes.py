"""Writes src/openplanet/recipes.json, which `openplanet recipes` prints: run it after a change of a recipe.

python scripts/recipes.py
"""

import json
from pathlib import Path

from openplanet import recipes

path = Path(recipes.__file__).with_suffix(".json")
path.write_text(json.dumps(recipes.listing(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
