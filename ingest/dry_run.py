"""What each file is and which parser would take it, without taking it."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any

from tracelake.ingest.beside import read_with
from tracelake.ingest.books import printable
from tracelake.ingest.containers import Member
from tracelake.ingest.discover import Found, discover
from tracelake.ingest.events import PLAINLY, How
from tracelake.ingest.identify import HEAD, identify
from tracelake.ingest.reach import Root, open_at
from tracelake.ingest.walk import walk_of
from tracelake.ingest.want import LAST_STAGE
from tracelake.native.errors import EvidenceError
from tracelake.native.feed import Feed


@dataclass(frozen=True, slots=True)
class Planned:
    """Attributes:
    source: the file. path: the artifact inside it, or empty for the file itself.
    parser: who would read it, or None; refused: then why each parser would not.
    trouble: why it cannot be looked at; unreachable: that is so of the source as a whole.
    """

    source: str
    path: str
    size: int | None
    parser: str | None = None
    refused: dict[str, str] = field(default_factory=dict)
    trouble: str | None = None
    unreachable: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The plan as plain values, for `--json`."""
        return asdict(self)


def look(
    roots: Sequence[Root], leave_out: frozenset[Root] = frozenset(), how: How = PLAINLY
) -> Iterator[Planned]:
    """Every artifact under `roots` with its parser. Archives are walked, not unpacked.

    Args:
        roots: files and folders. leave_out: folders that are not entered.
        how: what is wanted of them.
    """
    for item in discover(roots, leave_out):
        source = printable(str(item.path))
        if not isinstance(item, Found):
            yield Planned(source, "", None, trouble=item.why, unreachable=True)
            continue
        try:
            with (
                open_at(str(item.path)) as file,
                closing(walk_of(file, item.name, str(item.path), how)) as walk,
            ):
                for _, member in walk.members(range(LAST_STAGE + 1)):
                    yield _planned(source, item, member, how)
                for why, count in walk.not_opened.items():
                    yield Planned(source, "", None, refused={"*": f"{count:,} files: {why}"})
        except OSError as error:
            why = error.strerror or str(error)
            yield Planned(source, "", item.size, trouble=why, unreachable=True)


def _planned(source: str, item: Found, member: Member, how: How) -> Planned:
    inside = "" if member.whole else printable(member.path)
    size = item.size if member.whole else member.size
    if member.unread is not None:
        return Planned(source, inside, size, refused={"*": member.unread})
    try:
        if member.trouble is not None:
            raise member.trouble
        head = Feed(member.open()).peek(HEAD)
    except EvidenceError as error:
        return Planned(source, inside, size, trouble=str(error))
    found = identify(head, member.path)
    if found.parser is None and (why := read_with(member.path, member.beside)) is not None:
        return Planned(source, inside, size, refused={"*": why})
    parser = how.reader(found.parser)
    name = parser.name if parser else None
    return Planned(source, inside, size, name, found.refused)
