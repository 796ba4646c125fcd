"""An event's name-value pairs, rebuilt from its row: the way back of a mapping.

`unmapped` holds what no column holds exactly; the rest comes from the columns, through the
inverse of each transform (transforms.TRANSFORMS says what that is). Nothing else is needed, so this
is also the proof that nothing was lost.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tracelake.normalize import codes
from tracelake.normalize.section import Event, Source
from tracelake.normalize.shapes import Shape
from tracelake.normalize.transforms import EPOCHS, HASHES, PAIRS, TRANSFORMS

Row = Mapping[str, Any]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FROM_1601 = 116444736000000000
"""Hundreds of nanoseconds from 1601 to 1970."""

UNSET = (None, "", "-")


def pairs(
    row: Row, event: Event | None = None, shape: Shape | None = None
) -> dict[str, str | None]:
    """Every named value of the event that a row was made from, as text; None: named, no value.

    Args:
        row: the row's columns, as `RecordBatch.to_pylist` gives them.
        event: its mapping, None where it has none. Where conditions tell several sections apart
            it is the first; the row's own values say which one made it.
        shape: how it was wrapped, where it came as JSON: the members that fill columns of the log
            itself are given back by their paths, and so is the one that is `time`.
    """
    found: dict[str, str | None] = dict(row.get("unmapped") or [])
    event = event.section(found) if event else None
    columns: dict[str, tuple[Source, ...]] = _filled(row, event) if event else {}
    if shape:
        columns |= {
            column: tuple(replace(one, field=shape.name_of(one.field)) for one in sources)
            for column, sources in shape.system.items()
        }
    fields: dict[str, list[tuple[str, Source]]] = {}
    for column, sources in columns.items():
        if len(sources) == 1:
            fields.setdefault(sources[0].field, []).append((column, sources[0]))
    for field, filled in fields.items():
        if field not in found:
            text = _field(row, filled, _before(row, columns, found, field))
            if text is not None:
                found[field] = text
    if shape:
        _time(row, shape, found)
    for column, sources in columns.items():
        if len(sources) < 2 or row.get(column) is None or sources[0].field in found:
            continue
        if all(not _is_set(source, found.get(source.field)) for source in sources[1:]):
            text = _inverse(sources[0], row[column])
            if text is not None:
                if sources[0].transform in PAIRS:
                    text = _before(row, columns, found, sources[0].field) + text
                found[sources[0].field] = text
    return found


def _before(
    row: Row, columns: Mapping[str, tuple[Source, ...]], found: Mapping[str, str | None], field: str
) -> str:
    """What stands before a field's last part (`DOMAIN\\`), from the column that has it; "" where
    none does, or where that has it from another field."""
    for column, (first, *others) in columns.items():
        if (
            first.field == field and first.transform in PAIRS.values()
            and row.get(column) is not None
            and all(not _is_set(other, found.get(other.field)) for other in others)
        ):
            return f"{row[column]}\\"
    return ""


def _filled(row: Row, event: Event) -> dict[str, tuple[Source, ...]]:
    """The columns that fields filled. (A default may also stand where a field gave it: such a
    pair is in `unmapped`.)"""
    return {
        column: sources for column, sources in event.columns.items()
        if column not in event.constants or row.get(column) != event.constants[column]
    }


def _is_set(source: Source, text: str | None) -> bool:
    if source.transform == "sid" and text == "S-1-0-0":
        return False
    if source.transform == "logon_id" and text == "0x0":
        return False
    return text not in UNSET


def _field(row: Row, filled: list[tuple[str, Source]], before: str) -> str | None:
    """The text of a field that these columns hold, or None where none does; `before` is what
    stands before its last part, where that is in a column of its own."""
    hashes = {
        source.argument: str(row[column])
        for column, source in filled
        if source.transform == "hash" and row.get(column) is not None
    }
    if hashes:
        return ",".join(
            f"{name.upper()}={hashes[name].upper()}" for name in HASHES if name in hashes
        )
    for column, source in filled:
        value = row.get(column)
        if value is None or TRANSFORMS[source.transform].derived:
            continue
        if source.transform in PAIRS:
            return f"{before}{value}"
        text = _inverse(source, value)
        if text is not None:
            return text
    return None


def _seven(value: datetime, below_ns: int = 0) -> str:
    value = value.astimezone(UTC)
    return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond * 10 + below_ns // 100:07}Z"


def _inverse(source: Source, value: Any) -> str | None:
    """The text that a column's value was made from, where it holds it exactly."""
    if TRANSFORMS[source.transform].derived:
        return None
    match source.transform:
        case "number":
            return str(value)
        case "hex":
            return hex(value)
        case "signed_hex":
            number = int(value, 16)
            return str(number - (1 << 64) if number >> 63 else number)
        case "decimal":
            return repr(value)
        case "truth":
            return "true" if value else "false"
        case "time":
            return _seven(value)
        case "utc_ms":
            return _milliseconds(value, " ")
        case "guid_upper" | "digest":
            return str(value).upper()
        case "map":
            return next(text for text, mapped in source.values if mapped == value)
        case "epoch" if source.argument in EPOCHS:
            nanoseconds = (value - EPOCH) // timedelta(microseconds=1) * 1000
            return str(nanoseconds // EPOCHS[source.argument])
        case "epoch":
            # Of a time alone the unit cannot be told.
            ticks = (value - EPOCH) // timedelta(microseconds=1) * 10 + FROM_1601
            return str(ticks) if source.argument else None
        case "items":
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        case "split":
            return "\r\n\t\t\t".join(value)
        case "param":
            return codes.parameter_code(str(value))
        case "list" | "dns_answers":
            return "".join(f"{part};" for part in value)
        case "domain" | "reg_key":
            return None
        case _:
            return str(value)


def _milliseconds(value: datetime, between: str) -> str:
    value = value.astimezone(UTC)
    return f"{value:%Y-%m-%d}{between}{value:%H:%M:%S}.{value.microsecond // 1000:03}"


def _time(row: Row, shape: Shape, found: dict[str, str | None]) -> None:
    """The member that the row's time was taken from, where `time` holds it exactly."""
    time, path = row.get("time"), row.get("time_desc")
    if time is None or path is None or row.get("time_ns"):
        return
    clock = next((clock for clock in shape.time if clock.path == path), None)
    if clock is None or clock.kind in ("local", "written"):
        return
    name = path
    for folder in shape.data:
        if folder and path.startswith(f"{folder}."):
            name = path.removeprefix(f"{folder}.")
    if name not in found:
        found[name] = (
            _milliseconds(time, " ") if clock.kind == "utc" else _milliseconds(time, "T") + "Z"
        )
