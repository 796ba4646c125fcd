"""Reading JSON logs in tests, and what a reader of such a text would expect of the rows."""

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tracelake.native.account import Account
from tracelake.native.feed import Feed
from tracelake.normalize import mapping, shapes
from tracelake.normalize.mapping import Mappings
from tracelake.normalize.section import ANY, Event
from tracelake.normalize.shapes import Shape
from tracelake.parsers import jsonl
from tracelake.parsers.artifact import Artifact

Rows = list[tuple[str, dict[str, Any]]]


def read(
    data: bytes | Path,
    mappings: Mappings | None = None,
    *,
    window: int = 1 << 20,
    known: Iterable[Shape] | None = None,
) -> tuple[Rows, Account]:
    """(table, row without nulls) of each row in the order of the records, and the account, which
    has been checked to close over records and bytes."""
    size = data.stat().st_size if isinstance(data, Path) else len(data)
    stream = data.open("rb", buffering=0) if isinstance(data, Path) else io.BytesIO(data)
    account = Account()
    rows: Rows = []
    with stream:
        artifact = Artifact("test.json", Feed(stream, window), account)
        for table, batch in jsonl.read(artifact, mappings, known):
            batch.validate(full=True)
            rows += [
                (table, {name: value for name, value in row.items() if value is not None})
                for row in batch.to_pylist()
            ]
    assert account.closes
    assert account.bytes_records + account.bytes_structure == size
    rows.sort(key=lambda item: item[1]["src_offset"])
    return rows, account


def get(record: Any, path: str) -> Any:
    """The value at a path with dots, or None. Some write the path as the name."""
    if isinstance(record, dict) and path in record:
        return record[path]
    for key in path.split("."):
        if not isinstance(record, dict) or key not in record:
            return None
        record = record[key]
    return record


def has(record: dict[str, Any], member: shapes.Member) -> bool:
    value = get(record, member.path)
    if member.absent or value is None:
        return member.absent and value is None
    return not member.values or as_text(value) in member.values


def shape_of(record: dict[str, Any]) -> Shape:
    return next(
        shape for shape in shapes.load()
        if not shape.each and all(has(record, member) for member in shape.has)
    )


def event_of(record: dict[str, Any], shape: Shape) -> Event | None:
    provider = next((p for p in (get(record, path) for path in shape.provider) if p), None)
    code = next((c for c in (get(record, path) for path in shape.event) if c is not None), None)
    events, code = mapping.load().events, shape.code or code
    provider = shape.vendor or provider
    found = events.get((str(provider), str(code)))
    return events.get((str(provider), ANY)) if found is None and shape.vendor else found


def as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def named_values(
    record: dict[str, Any], shape: Shape, prefix: str = "", data: bool = False
) -> list[tuple[str, str | None]]:
    """Every name-value pair of an object, as a reader of its shape would list them."""
    found: list[tuple[str, str | None]] = []
    for key, value in record.items():
        path = f"{prefix}.{key}" if prefix else key
        if path in shape.data_text and isinstance(value, str):
            found += named_values(json.loads(value), shape, "", True)
        elif isinstance(value, dict) and value:
            inside = path in shape.data or f"{path.rpartition('.')[0]}.*" in shape.data
            found += named_values(value, shape, "" if inside else path, inside)
        else:
            name = key if data else path
            found.append((name[:1].upper() + name[1:] if data and shape.capital else name,
                          as_text(value)))
    return found
