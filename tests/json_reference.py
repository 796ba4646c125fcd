"""What a JSON text says, by Python's own reader: the other witness of parsers/json_scan.pyx."""

import json
import re
from collections.abc import Iterator
from typing import Any

DEPTH = 33
"""Names in a path; an object below is one value."""

SURROGATES = re.compile("[\ud800-\udfff]")


class Number(str):
    """A number as it is written."""


class Pairs(list[tuple[str, Any]]):
    """The members of an object, those with the same name included."""


def decode(text: bytes) -> Any:
    """The value of a JSON text; `Pairs` for objects, `Number` for numbers. Raises ValueError."""
    decoder = json.JSONDecoder(
        object_pairs_hook=Pairs, parse_int=Number, parse_float=Number, parse_constant=Number
    )
    # The decoder skips spaces and the like before a value; at the ends they are ours to skip.
    decoded = text.decode("utf-8", "replace").strip(" \t\r\n")
    value, end = decoder.raw_decode(decoded)
    if end != len(decoded):
        raise ValueError("something behind the value")
    return value


def encode(value: Any) -> str:
    """JSON text without white space, with escapes only where they must be."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{encode(key)}:{encode(item)}" for key, item in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(encode, value)) + "]"
    if isinstance(value, str):
        return json.dumps(repaired(value), ensure_ascii=False)
    return json.dumps(value)


def repaired(text: str) -> str:
    return SURROGATES.sub("\ufffd", text)


def named(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str | None]]:
    """Every value of an object by its path."""
    for key, item in value:
        where = (*path, repaired(key))
        if isinstance(item, Pairs) and item and len(where) < DEPTH:
            yield from named(item, where)
        elif item is None:
            yield ".".join(where), None
        elif isinstance(item, str) and not isinstance(item, Number):
            yield ".".join(where), repaired(item)
        else:
            yield ".".join(where), encode(item)


def pairs(text: bytes) -> list[tuple[str, str | None]]:
    """The pairs of a record's row that no shape knows, in their order. Raises ValueError."""
    value = decode(text)
    found: list[tuple[str, str | None]] = []
    seen: set[str] = set()
    for name, item in named(value if isinstance(value, Pairs) else Pairs([("value", value)])):
        number, unique = 1, name
        while unique in seen:
            number += 1
            unique = f"{name}[{number}]"
        seen.add(unique)
        found.append((unique, item))
    return found
