"""Which parser reads an artifact: by content first, by name second."""

from dataclasses import dataclass

from tracelake.parsers import PARSERS
from tracelake.parsers.artifact import Match, Parser

HEAD = 65536


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
    if not head:
        return Identified(None, {parser.name: "the file is empty" for parser in parsers})
    for parser in parsers:
        match, why = parser.match(head, path)
        if match == Match.NO:
            refused[parser.name] = why
        if match > best_match:
            best, best_match = parser, match
    return Identified(best, refused)
