"""Small text files, line by line, for parsers that are written in Python.

Configuration, histories and lists: a file is read up to `MOST` bytes, and a longer one is read so
far and damage from there on.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tracelake.parsers.artifact import Artifact
from tracelake.parsers.pyrows import PyRows

MOST = 64 << 20
LONGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line: its bytes without the line's end, its text, where it stands, its whole length."""

    raw: bytes
    text: str
    offset: int
    length: int


def base_name(path: str) -> str:
    """The last part of a path, in lower case."""
    return re.split(r"[/\\]", path)[-1].lower()


def in_folder(path: str, *names: str) -> bool:
    """Whether one of these folders is in a path; collections replace `/` by others."""
    parts = re.split(r"[/\\]|%2f", path.lower())[:-1]
    return any(name in parts for name in names)


def looks_like_text(head: bytes) -> bool:
    """Whether no byte is there that text does not hold."""
    return bool(head) and not re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", head[:4096])


def lines_of(artifact: Artifact, rows: PyRows) -> Iterator[TextLine]:
    """The lines of an artifact. Empty lines are given, too; who passes over a line counts its
    bytes as structure."""
    feed = artifact.feed
    offset = 0
    if feed.peek(3) == b"\xef\xbb\xbf":
        feed.read(3)
        artifact.account.bytes_structure += 3
        offset = 3
    start, rest = offset, b""
    while offset - start < MOST:
        piece = feed.read(LONGEST)
        held = rest + piece
        last = not piece
        lines = held.split(b"\n")
        rest = b"" if last else lines.pop()
        if last and lines and not lines[-1]:
            lines.pop()
            ended = True
        else:
            ended = not last
        for number, line in enumerate(lines):
            whole = len(line) + (1 if ended or number < len(lines) - 1 else 0)
            raw = line.rstrip(b"\r")
            yield TextLine(raw, raw.decode("utf-8", "replace"), offset, whole)
            offset += whole
        if last:
            return
        if len(rest) > LONGEST:
            why = f"it is longer than {LONGEST} bytes"
            rows.damaged(offset, len(rest), "line", why, rest[:4096])
            artifact.account.bytes_slack += len(rest)
            offset += len(rest)
            rest = b""
    rows.damaged(offset, 0, "file", f"it is longer than {MOST >> 20} MiB; the rest is not read")
