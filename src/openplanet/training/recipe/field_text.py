"""Values of a recipe's fields as text: read by their type, and named in messages."""

import types
import typing
from typing import Any, Literal

from openplanet.storage import parse_json


def parse(text: str, kind: Any) -> Any:
    """``text`` as a value of the field type ``kind``; ValueError where it is none."""
    arguments = typing.get_args(kind)
    if isinstance(kind, types.UnionType):
        if text.lower() == "none":
            return None
        return parse(text, next(a for a in arguments if a is not types.NoneType))
    if typing.get_origin(kind) is Literal:
        if text not in arguments:
            raise ValueError(text)
        return text
    if typing.get_origin(kind) is tuple and Ellipsis in arguments:
        parts = [part for part in text.replace(" ", "").split(",") if part]
        return tuple(parse(part.replace("/", ","), arguments[0]) for part in parts)
    if typing.get_origin(kind) is tuple:
        parts = text.strip("()[]").split(",")
        if len(parts) != len(arguments):
            raise ValueError(text)
        return tuple(parse(part.strip(), a) for part, a in zip(parts, arguments, strict=True))
    if typing.get_origin(kind) is dict:
        value = parse_json(text)
        if not isinstance(value, dict):
            raise ValueError(text)
        return value
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return text.lower() == "true"
    return kind(text)


def kind_name(kind: Any) -> str:
    """The kind of value in words, for messages."""
    arguments = typing.get_args(kind)
    if isinstance(kind, types.UnionType):
        return " or ".join("none" if a is types.NoneType else kind_name(a) for a in arguments)
    if typing.get_origin(kind) is Literal:
        return "one of " + ", ".join(arguments)
    if typing.get_origin(kind) is tuple and Ellipsis in arguments:
        return "pairs such as 500/50,100/10"
    if typing.get_origin(kind) is tuple:
        return f"{len(arguments)} numbers with commas between"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return names.get(kind, "a JSON object")
