import pytest

from openplanet.earth import places
from openplanet.earth.continents import _CODES, CONTINENTS, continent_of


@pytest.mark.parametrize(
    ("code", "continent"),
    [("FR", "Europe"), ("RU", "Europe"), ("TR", "Asia"), ("EG", "Africa"), ("PA", "North America"),
     ("CO", "South America"), ("AU", "Oceania"), ("AQ", "Antarctica"), ("??", "")],
)  # fmt: skip
def test_continent_of(code: str, continent: str) -> None:
    assert continent_of(code) == continent


def test_every_country_with_a_city_has_one_continent() -> None:
    codes = {names[3] for names in places._cities().names}
    assert {code for code in codes if not continent_of(code)} == set()
    listed = " ".join(_CODES.values()).split()
    assert len(listed) == len(set(listed))
    assert len(CONTINENTS) == 7
