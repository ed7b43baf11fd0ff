"""Fields of recipes and of models' configurations: their bounds as types, and one clear line for a wrong value."""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ArgsKwargs, ErrorDetails

from openplanet.errors import RecipeError, suggestion
from openplanet.storage import parse_json

RECIPE = ConfigDict(extra="forbid", allow_inf_nan=False)
"""Of recipes: a value may be given as text, as on the command line."""
CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)
"""Of configurations in checkpoints, which strangers write: a value has the type that it is saved with."""

MOST_SHOWN = 200  # characters of a wrong value, in a message

Count = Annotated[int, Field(ge=1)]
FromZero = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Between = Annotated[float, Field(gt=0, lt=1)]
"""0 and 1 are not allowed."""
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
PartOfSide = Annotated[float, Field(gt=0, le=1)]


def _three(value: Any) -> Any:
    if isinstance(value, str):
        value = value.strip(" ()[]").split(",")
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise ValueError("3 numbers with commas between")
    return tuple(value)


def _pairs(value: Any) -> Any:
    if isinstance(value, str):
        value = [part.split("/") for part in value.replace(" ", "").split(",") if part]
    if not isinstance(value, list | tuple) or any(len(pair) != 2 for pair in value):
        raise ValueError("pairs such as 500/50,100/10")
    return tuple(map(tuple, value))


def _object(value: Any) -> Any:
    try:
        value = parse_json(value) if isinstance(value, str) else value
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ValueError("a JSON object")
    return value


OBJECT = BeforeValidator(_object)
"""As text a JSON object."""
Colour = Annotated[float, Field(gt=-1000, lt=1000)]
Mean = Annotated[tuple[Colour, Colour, Colour], BeforeValidator(_three)]
Std = Annotated[tuple[Positive, Positive, Positive], BeforeValidator(_three)]
Pairs = Annotated[tuple[tuple[Count, Count], ...], BeforeValidator(_pairs)]
"""As text 500/50,100/10."""
Object = Annotated[dict[str, Any], OBJECT]


def one_of(names: Callable[[], Iterable[str]]) -> AfterValidator:
    """The text is one of ``names()``, which are asked for each time: others may register theirs."""

    def check(name: str) -> str:
        known = list(names())
        if name not in known:
            raise ValueError(f"one of {', '.join(known)}")
        return name

    return AfterValidator(check)


def refuse(whose: str, name: str, rule: str, value: Any) -> RecipeError:
    """What is raised where the field ``name`` of ``whose`` has a wrong value."""
    return RecipeError(f"{whose}: {name} must be {rule}, not {repr(value)[:MOST_SHOWN]}")


def unknown(whose: str, name: str, known: Iterable[str]) -> RecipeError:
    """What is raised where ``whose`` fields are ``known`` and ``name`` is none of them."""
    return RecipeError(f"{whose} has no setting {name!r}; {suggestion(name, known)}")


def checked(whose: str, known: Iterable[str], values: Any, build: Callable[[Any], Any]) -> Any:
    """What ``build`` makes of ``values``: the body of a wrap validator of a pydantic dataclass.

    Raises RecipeError, in one line that names ``whose`` first wrong field and what is allowed there.
    """
    try:
        return build(values)
    except ValidationError as error:
        raise _as_recipe_error(whose, list(known), error.errors(include_url=False)[0]) from error


def given(values: Any) -> Mapping[str, Any]:
    """Keyword arguments that a wrap validator of a pydantic dataclass is called with."""
    return (values.kwargs or {}) if isinstance(values, ArgsKwargs) else values


def _as_recipe_error(whose: str, known: list[str], error: ErrorDetails) -> RecipeError:
    name = ".".join(str(part)[:80] for part in error["loc"] if isinstance(part, str))
    kind, bounds = error["type"], error.get("ctx", {})
    if kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return RecipeError(f"{whose}: {name} is missing")
    if kind == "unexpected_keyword_argument":
        return unknown(whose, name, known)
    if kind == "extra_forbidden":
        return RecipeError(f"{whose} does not take these options: {name}")
    return refuse(whose, name, _rule(kind, bounds, error["msg"]), error["input"])


def _rule(kind: str, bounds: Mapping[str, Any], otherwise: str) -> str:
    """What an error of pydantic's says that a value must be."""
    if kind == "value_error":
        return str(bounds["error"])
    if kind == "literal_error":
        return "one of " + str(bounds["expected"]).replace("'", "").replace(" or ", ", ")
    comparisons = {"greater_than_equal": "at least {ge}", "greater_than": "more than {gt}"}
    comparisons |= {"string_too_short": "text of at least {min_length} character"}
    comparisons |= {"less_than_equal": "at most {le}", "less_than": "less than {lt}"}
    if kind in comparisons:
        return comparisons[kind].format_map(bounds)
    kinds = {"int": "a whole number", "float": "a number", "bool": "true or false", "string": "text"}
    kinds |= {"finite": "finite", "dict": "a JSON object"}
    return kinds.get(kind.split("_")[0], otherwise)
