"""A parser of several kinds of small text files, each told by its name and its content."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from tracelake.native.errors import EvidenceError
from tracelake.parsers.artifact import Artifact, Match, Parser, Rank
from tracelake.parsers.pyrows import PyRows
from tracelake.parsers.textfile import TextLine, base_name, lines_of, looks_like_text


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file.

    Attributes:
        name: how it is called.
        path: pattern that the end of its path keeps, `/` between folders; None: any.
        content: pattern that its start keeps (MULTILINE); None: any text.
        sure: whether the content alone tells it, whatever its name.
        read: (lines, rows, artifact): adds the rows; yields now and then.
    """

    name: str
    path: re.Pattern[str] | None
    content: re.Pattern[bytes] | None
    sure: bool
    read: Callable[[Iterator[TextLine], PyRows, Artifact], Iterator[None]]


def normal(path: str) -> str:
    """A path in lower case with `/` between its folders, however a collection wrote them."""
    return "/" + re.sub(r"[\\]|%2f", "/", path.lower())


def kind_of(kinds: tuple[Kind, ...], head: bytes, path: str) -> tuple[Kind | None, Match]:
    """The kind of a file, and how sure it is."""
    if not looks_like_text(head):
        return None, Match.NO
    at = normal(path)
    for kind in kinds:
        named = kind.path is not None and kind.path.search(at) is not None
        good = kind.content is None or kind.content.search(head[:16384]) is not None
        if good and named:
            return kind, Match.CONTENT if kind.content is not None else Match.NAME
        if good and kind.sure:
            return kind, Match.CONTENT
    return None, Match.NO


def parser_of(
    name: str,
    version: str,
    what: str,
    kinds: tuple[Kind, ...],
    tables: tuple[str, ...],
    files: tuple[str, ...],
    rank: Rank,
) -> Parser:
    """The parser of these kinds. `what`: said of files that are none of them."""

    def match(head: bytes, path: str) -> tuple[Match, str]:
        _, sure = kind_of(kinds, head, path)
        return sure, "" if sure else f"not {what}, by name and content"

    def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
        rows = PyRows(artifact)
        stopped = None
        kind, _ = kind_of(kinds, artifact.feed.peek(65536), artifact.path)
        try:
            if kind is None:
                # Read by its parser's name alone: nothing in it says what it is.
                for line in lines_of(artifact, rows):
                    rows.damaged(line.offset, line.length, "line", f"not {what}", line.raw[:4096])
                    artifact.account.bytes_records += line.length
            else:
                for _ in kind.read(lines_of(artifact, rows), rows, artifact):
                    yield from rows.full()
        except EvidenceError as error:
            stopped = error
        yield from rows.rest()
        if stopped is not None:
            raise stopped

    return Parser(name, version, match, tables, read, files=files, rank=rank, text=True)


def passed(artifact: Artifact, line: TextLine) -> None:
    """A line that says nothing: empty, a comment."""
    artifact.account.bytes_structure += line.length


def refused(artifact: Artifact, rows: PyRows, line: TextLine, why: str) -> None:
    """A line that should say something and cannot be read."""
    artifact.account.bytes_records += line.length
    rows.damaged(line.offset, line.length, "line", why, line.raw[:4096])


def is_comment(line: TextLine) -> bool:
    """Whether a line is empty or begins with `#`."""
    text = line.raw.strip()
    return not text or text[:1] == b"#"


def is_empty(line: TextLine) -> bool:
    """Whether there is nothing in a line."""
    return not line.raw.strip()


def each_line(
    lines: Iterator[TextLine],
    rows: PyRows,
    artifact: Artifact,
    add: Callable[[TextLine], str | None],
    says_nothing: Callable[[TextLine], bool] = is_comment,
) -> Iterator[None]:
    """Reads a file whose lines are entries; yields after each.

    Args:
        add: adds the rows of an entry, or says why it is none.
        says_nothing: tells lines that are no entries, and need not be.
    """
    for line in lines:
        if says_nothing(line):
            passed(artifact, line)
        elif (why := add(line)) is not None:
            refused(artifact, rows, line, why)
        yield


__all__ = [
    "Kind", "base_name", "each_line", "is_comment", "is_empty", "kind_of", "parser_of", "passed",
    "refused",
]  # fmt: skip
