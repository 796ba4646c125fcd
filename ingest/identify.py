"""Which parser reads an artifact: by content first, by name second."""

from dataclasses import dataclass

from tracelake.parsers import PARSERS
from tracelake.parsers.artifact import Match, Parser

HEAD = 65536
# Evidence that responders do bring and that is not opened yet: to be told by its name, not by
# what each parser misses in it.
NOT_YET = {
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive, not opened yet: unpack it and ingest the folder",
    b"EVF\x09\x0d\x0a\xff\x00": "an EnCase image (E01), not opened yet",
    b"EVF2\x0d\x0a\x81\x00": "an EnCase image (Ex01), not opened yet",
    b"QFI\xfb": "a QCOW2 disk image, not opened yet",
    b"KDMV": "a VMDK disk image, not opened yet",
    b"vhdxfile": "a VHDX disk image, not opened yet",
    b"SQLite format 3\x00": "an SQLite database, not read yet",
}


@dataclass(frozen=True, slots=True)
class Identified:
    """Attributes:
    parser: the one that takes it, or None.
    refused: why each of the others does not, by name.
    """

    parser: Parser | None
    refused: dict[str, str]


def identify(head: bytes, path: str, parsers: tuple[Parser, ...] = PARSERS) -> Identified:
    """Asks every parser; the surest wins, the earlier one of equals.

    Args:
        head: the first 64 KiB, fewer where there are fewer.
        path: the artifact's path, for its name.
    """
    best: Parser | None = None
    best_match = Match.NO
    refused: dict[str, str] = {}
    known = "the file is empty" if not head else _known(head)
    if known is not None:
        return Identified(None, {"*": known})
    for parser in parsers:
        match, why = parser.match(head, path)
        if match == Match.NO:
            refused[parser.name] = why
        if match > best_match:
            best, best_match = parser, match
    return Identified(best, refused)


def _known(head: bytes) -> str | None:
    for magic, what in NOT_YET.items():
        if head.startswith(magic):
            return what
    return None
