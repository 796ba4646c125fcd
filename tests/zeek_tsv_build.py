"""Zeek's own form of a log, made of the same log as JSON, as Zeek's ASCII writer would write it."""

import json
from collections.abc import Iterable
from typing import Any

# Fields whose type their JSON does not tell.
TIMES = {"ts", "times.modified", "times.accessed", "times.created", "times.changed", "from", "till",
         "certificate.not_valid_before", "certificate.not_valid_after", "up_since"}  # fmt: skip
SETS = {"tunnel_parents", "proxied", "tags"}


class Number(str):
    """A number with a fraction, as it is written."""


def _type(name: str, values: list[Any]) -> str:
    if name in TIMES and all(isinstance(value, Number | int) for value in values):
        return "time"
    first = next((value for value in values if value is not None), "")
    if isinstance(first, bool):
        return "bool"
    if isinstance(first, list):
        items = [item for value in values if value for item in value]
        return f"{'set' if name in SETS else 'vector'}[{_type('', items) if items else 'string'}]"
    if any(isinstance(value, Number) for value in values):
        return "interval"
    return "count" if isinstance(first, int) else "string"


def _text(value: str, inside: bool) -> str:
    value = value.replace("\\", "\\\\")
    made = "".join(f"\\x{ord(c):02x}" if ord(c) < 32 or ord(c) == 127 else c for c in value)
    if inside:
        made = made.replace(",", "\\x2c")
    if made in ("-", "(empty)"):
        made = f"\\x{ord(made[0]):02x}{made[1:]}"
    return made if made or inside else "(empty)"


def _field(value: Any, inside: bool = False) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "T" if value else "F"
    if isinstance(value, list):
        return ",".join(_field(item, True) for item in value) if value else "(empty)"
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, str):
        return _text(value, inside)
    return str(value)


def as_tsv(lines: Iterable[bytes], path: str) -> bytes:
    """A log of JSON lines in Zeek's own form."""
    records = [json.loads(line, parse_float=Number) for line in lines if line.strip()]
    names = list(dict.fromkeys(name for record in records for name in record))
    types = [_type(name, [r[name] for r in records if name in r]) for name in names]
    head = [
        "#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-",
        f"#path\t{path}", "#open\t2024-01-01-00-00-00", "\t".join(["#fields", *names]),
        "\t".join(["#types", *types]),
    ]
    rows = ["\t".join(_field(record.get(name)) for name in names) for record in records]
    return "\n".join([*head, *rows, "#close\t2024-01-01-01-00-00", ""]).encode()
