"""Lines of a text file, with where each stands: UTF-8, UTF-16 or a code page."""

from collections.abc import Iterator
from dataclasses import dataclass

from tracelake.native.errors import EvidenceError
from tracelake.parsers.artifact import Artifact
from tracelake.parsers.pyrows import TRUNCATED
from tracelake.parsers.wide_text import decode, encoding

PIECE = 1 << 16
LINE_MOST = 1 << 20  # bytes; a longer line is divided, and its parts are flagged


@dataclass(frozen=True, slots=True)
class Line:
    """Attributes:
    at, raw: where it stands, bytes, and its own bytes with the end of the line.
    text: without the end of the line.
    flags: parse_flags.
    """

    at: int
    raw: bytes
    text: str
    flags: int


class Lines:
    """The lines of an artifact.

    Attributes:
        mark: bytes of the mark at its start (byte order).
        stopped: what ended the reading of a broken stream; the lines before it were given.
    """

    def __init__(self, artifact: Artifact) -> None:
        self._feed = artifact.feed
        self.codec, self.mark = encoding(self._feed.peek(64))
        self.stopped: EvidenceError | None = None

    def __iter__(self) -> Iterator[Line]:
        wide = self.codec != "utf-8"
        end = {"utf-8": b"\n", "utf-16-le": b"\n\0", "utf-16-be": b"\0\n"}[self.codec]
        at = self.mark
        held = b""
        try:
            self._feed.read(self.mark)
            while piece := self._feed.read(PIECE):
                # What was looked through is not looked through again.
                seen = max(0, len(held) - 1)
                held += piece
                start = 0
                while True:
                    found = held.find(end, max(start, seen))
                    while wide and found >= 0 and found % 2:
                        # Not at a unit's start: the halves of two others.
                        found = held.find(end, found + 1)
                    if found < 0:
                        break
                    stop = found + len(end)
                    yield self._line(at + start, held[start:stop], 0)
                    start = seen = stop
                at += start
                held = held[start:]
                while len(held) >= LINE_MOST:
                    yield self._line(at, held[:LINE_MOST], TRUNCATED)
                    held = held[LINE_MOST:]
                    at += LINE_MOST
        except EvidenceError as error:
            self.stopped = error
        if held:
            yield self._line(at, held, 0)

    def _line(self, at: int, raw: bytes, flags: int) -> Line:
        text, more = decode(raw, self.codec)
        return Line(at, raw, text.rstrip("\r\n"), flags | more)
