"""What tells places apart on the synthetic planet: its cultures, and the values that every cue of a picture can have.

Any change here changes worlds or pictures, and raises ``world.VERSION``.
"""

from typing import NamedTuple


class Culture(NamedTuple):
    """Countries that share a script, signs and roads. ``share`` is their part of all photos (normalised later)."""

    name: str
    share: float
    countries: str
    script: str
    sign: str
    line: str
    side: str
    aridity: float  # -1 rain forest ... 1 desert, before the field of the seed


# Shares follow where people photograph more than where they live; scripts, sides and lines follow the countries
# where they can, and the sign colours are chosen so that cultures of one script differ.
CULTURES = (
    Culture("American", 13, "US CA", "latin", "green", "yellow", "right", 0.1),
    Culture("Mexican", 4, "MX GT HN SV NI CR PA", "latin", "brown", "yellow", "right", 0.3),
    Culture("Caribbean", 2, "CU DO PR HT", "latin", "red", "yellow", "right", -0.5),
    Culture("Andean", 3, "CO VE EC PE BO", "latin", "blue", "yellow", "right", -0.2),
    Culture("Brazilian", 5, "BR", "latin", "yellow", "yellow", "right", -0.5),
    Culture("Platine", 3, "AR CL UY PY", "latin", "white", "yellow", "right", 0.2),
    Culture("British", 5, "GB IE", "latin", "white", "white", "left", -0.2),
    Culture("French", 4, "FR BE CH LU", "latin", "blue", "white", "right", 0.0),
    Culture("Iberian", 4, "ES PT", "latin", "red", "white", "right", 0.4),
    Culture("German", 5, "DE AT NL", "latin", "yellow", "white", "right", -0.1),
    Culture("Nordic", 2, "SE NO FI DK", "latin", "brown", "yellow", "right", -0.1),
    Culture("Italian", 4, "IT", "latin", "green", "white", "right", 0.3),
    Culture("Central European", 3, "PL CZ SK HU RO", "latin", "brown", "white", "right", 0.0),
    Culture("Russian", 6, "RU UA BY KZ", "cyrillic", "blue", "white", "right", 0.1),
    Culture("Balkan", 2, "BG RS MK", "cyrillic", "yellow", "white", "right", 0.2),
    Culture("Turkish", 3, "TR AZ", "latin", "white", "white", "right", 0.4),
    Culture("Arab", 4, "EG SA AE IQ JO SY KW", "arabic", "green", "yellow", "right", 1.0),
    Culture("Maghrebi", 2, "MA DZ TN LY", "arabic", "red", "white", "right", 0.8),
    Culture("Persian", 2, "IR AF", "arabic", "blue", "yellow", "right", 0.7),
    Culture("Pakistani", 2, "PK", "arabic", "white", "white", "left", 0.6),
    Culture("Indian", 8, "IN NP BD", "devanagari", "green", "white", "left", 0.1),
    Culture("Chinese", 8, "CN TW HK", "han", "blue", "yellow", "right", -0.1),
    Culture("Japanese", 7, "JP", "kana", "green", "white", "left", -0.2),
    Culture("Korean", 3, "KR KP", "hangul", "white", "yellow", "right", -0.1),
    Culture("Thai", 3, "TH LA KH MM", "thai", "yellow", "yellow", "left", -0.3),
    Culture("Malay", 4, "ID MY SG", "latin", "blue", "white", "left", -0.8),
    Culture("Philippine", 2, "PH", "latin", "white", "yellow", "right", -0.7),
    Culture("Australian", 4, "AU NZ", "latin", "brown", "white", "left", 0.4),
    Culture("West African", 3, "NG GH CI SN", "latin", "red", "white", "right", 0.0),
    Culture("East African", 2, "KE TZ UG", "latin", "green", "white", "left", 0.1),
    Culture("Ethiopian", 1, "ET", "geez", "red", "white", "right", 0.3),
    Culture("South African", 3, "ZA ZW MZ BW", "latin", "red", "white", "left", 0.4),
)

SCRIPTS = ("latin", "cyrillic", "arabic", "devanagari", "han", "kana", "hangul", "thai", "geez")
SIGN_COLOURS = ("white", "yellow", "green", "blue", "red", "brown")
WALLS = ("white", "yellow", "red", "pink", "blue", "grey", "mint")
ROOFS = ("red gable", "slate gable", "straw gable", "teal gable", "flat", "dome")
SHAPES = ("lattice", "dome", "pyramid", "arch", "obelisk", "pagoda", "towers", "windmill", "minaret", "wheel")
METALS = ("gold", "white", "violet")
SUNS = ("overcast", "night", "low", "middling", "high", "overhead")
SUN_EDGES_DEG = (0.0, 17.0, 40.0, 62.0)  # between night, low, middling, high, overhead

# The values of every cue, in the order of the last axis of its table. "hidden" is a value like any other.
CUES: dict[str, tuple[str, ...]] = {
    "scene": ("street", "indoors", "beach", "meadow"),
    "light": tuple(f"{sun}, {ground}" for sun in SUNS for ground in ("bare", "snow")),
    "vegetation": ("jungle", "savanna", "desert", "mediterranean", "broadleaf", "conifer"),
    "terrain": ("flat", "hills", "mountains"),
    "sea": ("hidden", "sea"),
    "building": ("hidden", *(f"{wall}, {roof}" for wall in WALLS for roof in ROOFS)),
    "sign": ("hidden", *(f"{script} on {colour}" for script in SCRIPTS for colour in SIGN_COLOURS)),
    "line": ("hidden", "white", "yellow"),
    "car": ("hidden", "left", "right"),
    "landmark": ("hidden", *(f"{metal} {shape}" for shape in SHAPES for metal in METALS)),
}
STREET = 0  # the one scene in which the other cues show; the rest are ambiguous on purpose
