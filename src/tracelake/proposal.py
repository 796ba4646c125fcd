"""`tracelake map SAMPLE`: reads a sample as it would be ingested, without any mapping, and proposes
one."""

import gzip
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tracelake.ingest.identify import HEAD, identify
from tracelake.native.account import Account
from tracelake.native.errors import EvidenceError
from tracelake.native.feed import Feed
from tracelake.normalize import extra
from tracelake.parsers.artifact import Artifact, Parser
from tracelake.proposed import propose as proposed

# Bytes of a sample that are looked at.
LARGEST = 32 << 20
MAPPED = ("csv", "jsonl", "syslog", "zeek")


class NotMapped(Exception):
    """A sample that no mapping file is for: why."""


def propose(sample: Path, provider: str, records: int) -> str:
    """The text of a mapping file for a sample.

    Args:
        sample: a file of JSON, a table, key=value, CEF, LEEF or other lines; may be gzipped.
        provider: who writes the events; "" takes the file's name.
        records: that are looked at, at most.

    Raises:
        NotMapped: nothing of it can be mapped, and why.
        OSError: it cannot be read.
    """
    data = _head_of(sample)
    name = sample.name.removesuffix(".gz")
    found = identify(data[:HEAD], name)
    if found.parser is None:
        why = "; ".join(f"{parser}: {why}" for parser, why in found.refused.items()
                        if parser in (*MAPPED, "*"))
        raise NotMapped(f"no parser takes it ({why})")
    if found.parser.name not in MAPPED:
        raise NotMapped(f"is read by the parser {found.parser.name}, which needs no mapping")
    known = _rows(found.parser, data, name)
    raw = sum(count for table, count in known.items() if table == "raw_event")
    total = sum(known.values())
    with extra.bare():
        named = _named(found.parser, data, name, records)
    if not named:
        raise NotMapped("no record of it has named values")
    provider = provider or re.sub(r"[^\w ]+", " ", sample.stem).strip() or "My device"
    about = [
        f"Proposed by `tracelake map` from {total} records of {sample.name}, of the parser "
        f"{found.parser.name}.",
        "To be finished: what is marked TODO, the columns below, and what is not mapped yet. Then:",
        "    tracelake ingest --mapping THIS_FILE ...",
        "The form is told in docs/logs.md.",
    ]
    if raw < total:
        about.append(
            f"Of these records {total - raw} are mapped already, by the shipped files; with this "
            "file they are mapped as it says."
        )
    return proposed(named, provider, _most_members(), about)


def _head_of(sample: Path) -> bytes:
    with sample.open("rb") as file:
        magic = file.read(2)
        file.seek(0)
        if magic == b"\x1f\x8b":
            try:
                with gzip.open(file) as inner:
                    data = inner.read(LARGEST)
            except (OSError, EOFError) as error:
                raise NotMapped(f"cannot be unpacked: {error}") from error
        else:
            data = file.read(LARGEST)
    if len(data) == LARGEST:
        data = data[: data.rfind(b"\n") + 1] or data
    return data


def _most_members() -> int:
    """One more member than shipped shapes of the kind ask for: it is to win over any of them."""
    return 6


def _batches(parser: Parser, data: bytes, name: str) -> Iterator[tuple[str, Any]]:
    account = Account(lambda batch: None)
    try:
        yield from parser.read(Artifact(name, Feed(io.BytesIO(data)), account))
    except EvidenceError:
        return


def _rows(parser: Parser, data: bytes, name: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for table, batch in _batches(parser, data, name):
        if table:
            found[table] = found.get(table, 0) + batch.num_rows
    return found


def _named(parser: Parser, data: bytes, name: str, most: int) -> list[dict[str, str]]:
    """What each record says, by name."""
    found: list[dict[str, str]] = []
    for table, batch in _batches(parser, data, name):
        if table and "unmapped" in batch.schema.names:
            for pairs in batch.column("unmapped").to_pylist():
                if pairs and len(found) < most:
                    found.append({key: value or "" for key, value in pairs})
        if len(found) >= most:
            break
    return found


