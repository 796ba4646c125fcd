"""Which parser reads an artifact: by content first, by name second."""

from dataclasses import dataclass

from tracelake.ingest.image_storage import KINDS, NAMES
from tracelake.parsers import PARSERS
from tracelake.parsers.artifact import Match, Parser

HEAD = 65536
# Evidence that responders do bring and that is not opened yet: to be told by its name, not by
# what each parser misses in it.
NOT_YET: dict[bytes, str] = {}


# Formats of text: of a file that is none, and that nobody asks for by its path, their parsers are
# not asked. That matters where every file of an image is opened.
OF_TEXT = {
    "auditd", "csv", "defender_log", "jsonl", "ps_history", "ps_transcript", "syslog", "task_xml", "w3c",
    "weblog", "zeek",
}
NOT_OF_TEXT = tuple(parser for parser in PARSERS if parser.name not in OF_TEXT)


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


def may_be_text(head: bytes) -> bool:
    """Whether a file may be text: it has no zero bytes, or those of UTF-16."""
    first = head[:1024]
    if b"\0" not in first or first[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    half = len(first) // 2
    return max(first[::2].count(0), first[1::2].count(0)) * 2 > half


def _known(head: bytes) -> str | None:
    for magic, kind in KINDS.items():
        if head.startswith(magic):
            return f"{NAMES[kind]} inside another container, or a piece of one: unpack it"
    for magic, what in NOT_YET.items():
        if head.startswith(magic):
            return what
    return None
