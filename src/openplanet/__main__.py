"""``python -m openplanet`` is the command ``openplanet``."""

from openplanet.cli import main

main()
