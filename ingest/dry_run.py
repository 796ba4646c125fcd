"""What each file is and which parser would take it, without taking it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tracelake.ingest.books import printable
from tracelake.ingest.containers import members
from tracelake.ingest.discover import Found, discover
from tracelake.ingest.identify import HEAD, identify
from tracelake.native.errors import EvidenceError
from tracelake.native.feed import Feed


@dataclass(frozen=True, slots=True)
class Planned:
    """Attributes:
    source: the file. path: the artifact inside it, or empty for the file itself.
    parser: who would read it, or None; refused: then why each parser would not.
    """

    source: str
    path: str
    size: int | None
    parser: str | None
    refused: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The plan as plain values, for `--json`."""
        return asdict(self)


def look(roots: list[Path]) -> Iterator[Planned]:
    """Every artifact under `roots` with its parser. Archives are walked, not unpacked."""
    for item in discover(roots):
        if not isinstance(item, Found):
            yield Planned(printable(str(item.path)), "", None, None, {"*": item.why})
            continue
        source = printable(str(item.path))
        try:
            with open(item.path, "rb", buffering=0) as file:
                for member in members(file, item.name):
                    if member.unread is not None:
                        inside, why = printable(member.path), {"*": member.unread}
                        yield Planned(source, inside, None, None, why)
                        continue
                    inside = "" if member.path == item.name else printable(member.path)
                    size = member.size if inside else item.size
                    try:
                        if member.trouble is not None:
                            raise member.trouble
                        head = Feed(member.open()).peek(HEAD)
                    except EvidenceError as error:
                        yield Planned(source, inside, size, None, {"*": str(error)})
                        continue
                    found = identify(head, member.path)
                    name = found.parser.name if found.parser else None
                    yield Planned(source, inside, size, name, found.refused)
        except OSError as error:
            yield Planned(source, "", item.size, None, {"*": error.strerror or str(error)})
