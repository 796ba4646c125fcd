"""Which parser reads an artifact: by content first, by name second."""

from dataclasses import dataclass

from tracelake.ingest.image_storage import KINDS, NAMES
from tracelake.parsers import PARSERS
from tracelake.parsers.artifact import Match, Parser

HEAD = 65536
# Evidence that responders do bring and that is not opened yet: to be told by its name, not by
# what each parser misses in it.
NOT_YET: dict[bytes, str] = {}
_MAGICS = (*KINDS, *NOT_YET)

# Bytes that no encoding of text has, but for escapes and what was typed into a history; one in so
# many is let pass.
NOT_IN_TEXT = bytes({*range(1, 32)} - set(b"\t\n\v\f\r\x1b"))
MOST_STRANGE = 20
NOT_OF_TEXT = tuple(parser for parser in PARSERS if not parser.text)


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
    near: dict[str, str] = {}
    known = "the file is empty" if not head else _known(head)
    if known is not None:
        return Identified(None, {"*": known})
    for parser in parsers:
        match, why = parser.match(head, path)
        if match <= Match.NO:
            refused[parser.name] = why
        if match == Match.NEAR:
            near[parser.name] = why
        if match > best_match:
            best, best_match = parser, match
        if match == Match.CONTENT:
            break  # none can be surer
    return Identified(best, near if best is None and near else refused)


def taker(head: bytes, path: str) -> Parser | None:
    """The parser of a file that nobody asks for by its path. As `identify`, without the reasons:
    where every file of an image is opened, there may be millions."""
    if not head or _known(head) is not None:
        return None
    best: Parser | None = None
    best_match = no = Match.NO
    for parser in PARSERS if may_be_text(head) else NOT_OF_TEXT:
        match = parser.match(head, path)[0]
        if match is no:
            continue
        if match > best_match:
            best, best_match = parser, match
        if match == Match.CONTENT:
            break
    return best


def may_be_text(head: bytes) -> bool:
    """Whether a file may be text: it has no zero bytes and few other ones that text has not, or
    the zeros of UTF-16."""
    first = head[:1024]
    if first[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    zeros = first.count(0)
    if not zeros:
        strange = len(first) - len(first.translate(None, NOT_IN_TEXT))
        return strange * MOST_STRANGE <= len(first)
    if zeros * 4 < len(first) - 1:
        return False
    half = len(first) // 2
    few, many = sorted((first[::2].count(0), first[1::2].count(0)))
    return many * 2 > half and few * 4 <= half


def _known(head: bytes) -> str | None:
    if not head.startswith(_MAGICS):
        return None
    for magic, kind in KINDS.items():
        if head.startswith(magic):
            return f"{NAMES[kind]} inside another container, or a piece of one: unpack it"
    return next(what for magic, what in NOT_YET.items() if head.startswith(magic))
