"""Names of countries in other languages, as Unicode's CLDR has them. Cities and regions are called as GeoNames does."""

from functools import lru_cache
from importlib import import_module
from typing import Any

from openplanet.errors import InputError

_chosen: Any = None  # Babel's Locale; None: English, as the names are stored


def chosen() -> str:
    """The language of the names."""
    return "en" if _chosen is None else str(_chosen)


def use(language: str) -> None:
    """Call countries by their names in ``language`` ("de", "pt_BR") from here on, in this process.

    Raises InputError where CLDR does not have it, or Babel is not installed.
    """
    global _chosen
    try:
        babel = import_module("babel")
    except ModuleNotFoundError as error:
        raise InputError("names in other languages need  pip install 'openplanet[languages]'") from error
    try:
        _chosen = None if language == "en" else babel.Locale.parse(language.replace("-", "_"))
    except (ValueError, babel.UnknownLocaleError) as error:
        raise InputError(f"no language is called {language!r}: give one such as de, fr, pt_BR or zh_Hans") from error
    country.cache_clear()


@lru_cache(maxsize=1024)
def country(code: str, english: str) -> str:
    """The name of the country with this ISO 3166-1 code in the language that was chosen."""
    return english if _chosen is None else str(_chosen.territories.get(code, english))
