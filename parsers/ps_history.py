r"""What was typed into PowerShell: PSReadLine's `ConsoleHost_history.txt`.

A command is a line; one of several lines has a backtick at the end of each but the last
(PSReadLine, History.cs). No times, and no sign where a session began. A command is one row of
`script_activity`.
"""

import re
from collections.abc import Iterator

import pyarrow as pa

from tracelake.parsers.artifact import NO_ROWS_YET, Artifact, Match, Parser, Rank
from tracelake.parsers.pyrows import TRUNCATED, PyRows
from tracelake.parsers.text_lines import Line, Lines

VERSION = "1"

LOGGED = 1
ROWS_AT_ONCE = 4096
LINES_MOST = 4096  # of one command
_NAME = re.compile(r"(?:^|[/\\_])([^/\\]*)_history\.txt$", re.IGNORECASE)
_USER = re.compile(r"(?:^|[/\\])(?:users|documents and settings)[/\\]([^/\\]+)[/\\]", re.IGNORECASE)


def match(head: bytes, path: str) -> tuple[Match, str]:
    """Whether an artifact is a history, by its name: the text of one looks like any other."""
    name = re.split(r"[/\\]", path)[-1].lower()
    if name.endswith("consolehost_history.txt"):
        return Match.CONTENT if b"\0\0\0" not in head[:4096] else Match.NAME, ""
    if name.endswith("_history.txt") and "psreadline" in path.lower():
        return Match.CONTENT, ""
    return Match.NO, "not named as a history of PSReadLine"


def commands(lines: Lines) -> Iterator[list[Line]]:
    """The lines of each command."""
    held: list[Line] = []
    for line in lines:
        held.append(line)
        if not line.text.endswith("`") or len(held) == LINES_MOST:
            yield held
            held = []
    if held:
        yield held


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields rows of `script_activity`.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; the rows before that were yielded.
    """
    rows = PyRows(artifact)
    lines = Lines(artifact)
    user = _USER.search(artifact.path)
    name = _NAME.search(re.split(r"[/\\]", artifact.path)[-1])
    host = (name.group(1) or None) if name else None
    artifact.account.bytes_structure += lines.mark
    number = 0
    for command in commands(lines):
        at, raw = command[0].at, b"".join(line.raw for line in command)
        texts = [line.text for line in command]
        flags = 0
        for line in command:
            flags |= line.flags
        if texts[-1].endswith("`"):
            flags |= TRUNCATED
        text = "\n".join(t[:-1] if t.endswith("`") else t for t in texts)
        if not text.strip():
            artifact.account.bytes_slack += len(raw)
            continue
        number += 1
        rows.seen(len(raw))
        rows.add(
            "script_activity", at, len(raw), raw, flags=flags, activity_id=LOGGED,
            script_content=text, script_type="PowerShell", host_name=host, src_record_id=number,
            user_name=user.group(1) if user else None, log_name="PSReadLine history",
        )  # fmt: skip
        if number % ROWS_AT_ONCE == 0:
            yield from rows.full()
            yield NO_ROWS_YET
    yield from rows.rest()
    if lines.stopped is not None:
        raise lines.stopped


PARSER = Parser(
    "ps_history",
    VERSION,
    match,
    ("script_activity",),
    read,
    files=("*consolehost_history.txt", "*/psreadline/*_history.txt"),
    rank=Rank.USE,
    text=True,
)
