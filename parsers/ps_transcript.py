"""Transcripts of PowerShell (`Start-Transcript`, and the policy that makes them for everyone).

    **********************
    Windows PowerShell transcript start
    Start time: 20220721023749
    Username: ..., RunAs User, Machine, Host Application, Process ID, PSVersion, ...
    **********************
    PS C:\\> whoami
    corp\\ada
    **********************
    Command start time: 20220721023751      (where invocation headers are on)
    **********************
    PS C:\\> ...
    **********************
    Windows PowerShell transcript end
    End time: 20220721023759
    **********************

Each stretch is a row of `script_activity`: the head and the end of the transcript, and each
command with what it wrote. Times are the host's local time (parse_flags 32); a command without a
header of its own has none. Headers are in the host's language: what they say is told by its form.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from tracelake.parsers.artifact import NO_ROWS_YET, Artifact, Match, Parser, Rank
from tracelake.parsers.clock import micros_of
from tracelake.parsers.pyrows import TRUNCATED, ZONE_ASSUMED, PyRows
from tracelake.parsers.text_lines import Line, Lines
from tracelake.parsers.wide_text import encoding

VERSION = "1"

RUN = 1
OTHER = 99
ROWS_AT_ONCE = 1024
STRETCH_MOST = 4 << 20  # bytes of one command's output in a row; the rest is further rows
_STARS = re.compile(r"\*{20,}$")
_STAMP = re.compile(r"(?<!\d)(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?!\d)")
_PROMPT = re.compile(r"(?:\[[^\]]+\]: )?PS (?:[^<>|\r\n]*?)>+ ?(.*)$")
_PAIR = re.compile(r"([^:]{1,40}): ?(.*)$")
_MACHINE = re.compile(r"(.+?) \((.+)\)$")
_KNOWN = {"psversion": "engine_version", "host application": "host_application"}


def match(head: bytes, path: str) -> tuple[Match, str]:
    """Whether an artifact is a transcript, and why not."""
    if b"*" not in head[:8]:  # to decode what is no text at all takes long
        return Match.NO, "no head of a transcript"
    codec, mark = encoding(head)
    lines = head[mark : mark + 2048].decode(codec, "replace").splitlines()
    if len(lines) >= 2 and _STARS.match(lines[0]) and "powershell" in lines[1].lower():
        return Match.CONTENT, ""
    if len(lines) >= 3 and _STARS.match(lines[0]) and _STAMP.search(lines[2]) and (
        "transcript" in path.lower()
    ):
        return Match.NAME, ""
    return Match.NO, "no head of a transcript"


def stamp(text: str) -> int | None:
    """Microseconds since 1970 of `yyyyMMddHHmmss` in a text, taken as UTC."""
    found = _STAMP.search(text)
    return micros_of(*(int(part) for part in found.groups())) if found else None


@dataclass(slots=True)
class Stretch:
    """Lines that make one row."""

    lines: list[Line] = field(default_factory=list)
    size: int = 0

    def add(self, line: Line) -> None:
        self.lines.append(line)
        self.size += len(line.raw)

    @property
    def texts(self) -> list[str]:
        return [line.text for line in self.lines]


class Reader:
    """Divides a transcript into stretches and makes their rows."""

    def __init__(self, artifact: Artifact, rows: PyRows) -> None:
        self._account = artifact.account
        self._rows = rows
        self._session: dict[str, Any] = {}
        self._started = ""
        self._when: int | None = None
        self._stamp = ""
        self._number = 0

    def head(self, block: Stretch) -> None:
        """A block between lines of stars."""
        texts = [text for text in block.texts if not _STARS.match(text)]
        pairs = [found.groups() for text in texts if (found := _PAIR.match(text))]
        if len(pairs) >= 4:
            self._begin(block, texts, pairs)
        elif len(texts) == 1 and pairs:
            # When the next command was started; it belongs to that command's bytes only loosely.
            self._when, self._stamp = stamp(texts[0]), texts[0]
            self._account.bytes_structure += block.size
        else:
            us = stamp(" ".join(texts))
            self._row(block, us, "session_end", OTHER, message=" ".join(texts),
                      unmapped={"session_start": self._started} if self._started else {})
            self._when, self._stamp = None, ""

    def _begin(self, block: Stretch, texts: list[str], pairs: list[Any]) -> None:
        said = {name.strip(): value for name, value in pairs}
        low = {name.lower(): value for name, value in said.items()}
        us = stamp(" ".join(texts[:3]))
        self._started = next((value for value in said.values() if _STAMP.search(value)), "")
        values = {column: low[name] for name, column in _KNOWN.items() if low.get(name)}
        # In other languages the order is the same: user, user that it runs as, ..., machine.
        names = [value for value in said.values() if re.match(r"[^\\/:*?]+\\[^\\/:*?]+$", value)]
        user = low.get("runas user") or low.get("username") or (names[-1] if names else "")
        if "\\" in user:
            values["user_domain"], values["user_name"] = user.split("\\", 1)
        elif user:
            values["user_name"] = user
        machine = low.get("machine") or next(
            (value for value in said.values() if "Microsoft Windows" in value), "")
        found = _MACHINE.match(machine[:512])
        if machine:
            values["device_hostname"] = found.group(1) if found else machine
        process = low.get("process id", "")
        if process.isdigit() and len(process) < 10:
            values["actor_pid"] = int(process)
        self._session = values
        self._when, self._stamp = None, ""
        self._row(block, us, "session_start", OTHER, message=texts[0] if texts else None,
                  unmapped=said)

    def command(self, block: Stretch) -> None:
        """A command and what it wrote, or what was written before the first one."""
        texts = block.texts
        found = _PROMPT.match(texts[0])
        if not any(text.strip() for text in texts):
            self._account.bytes_slack += block.size
            return
        command = found.group(1) if found else None
        body = texts[1:] if found else texts
        while command is not None and body and body[0].startswith(">>"):
            command += "\n" + body.pop(0)[2:].removeprefix(" ")
        other = {"output": "\n".join(body)} if any(body) else {}
        if found and found.start(1):
            other["prompt"] = texts[0][: found.start(1)]
        if self._started:
            other["session_start"] = self._started
        if self._stamp:
            other["command_start"] = self._stamp
        self._row(block, self._when, "command_start", RUN, script_content=command, unmapped=other)
        self._when, self._stamp = None, ""

    def _row(
        self, block: Stretch, us: int | None, desc: str, activity: int, **values: Any
    ) -> None:
        flags = ZONE_ASSUMED if us is not None else 0
        for line in block.lines:
            flags |= line.flags
        self._number += 1
        raw = b"".join(line.raw for line in block.lines)
        self._rows.seen(len(raw))
        self._rows.add(
            "script_activity", block.lines[0].at, len(raw), raw, flags=flags,
            activity_id=activity, time=us, time_desc=desc if us is not None else None,
            script_type="PowerShell", log_name="PowerShell transcript",
            src_record_id=self._number, **self._session, **values,
        )  # fmt: skip


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields rows of `script_activity`.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; the rows before that were yielded.
    """
    rows = PyRows(artifact)
    lines = Lines(artifact)
    artifact.account.bytes_structure += lines.mark
    reader = Reader(artifact, rows)
    block, in_head = Stretch(), False
    for number, line in enumerate(lines):
        stars = _STARS.match(line.text) is not None
        full = block.size + len(line.raw) > STRETCH_MOST
        if in_head:
            block.add(line)
            if stars or full or len(block.lines) > 64:
                reader.head(block)
                block, in_head = Stretch(), False
        elif stars or full or (block.lines and _PROMPT.match(line.text)):
            if block.lines:
                reader.command(block)
            block, in_head = Stretch(), stars
            block.add(line)
        else:
            block.add(line)
        if number % ROWS_AT_ONCE == 0:
            yield from rows.full()
            yield NO_ROWS_YET
    if block.lines and in_head:
        # The file ends in a head.
        block.lines[-1] = Line(block.lines[-1].at, block.lines[-1].raw, block.lines[-1].text,
                               block.lines[-1].flags | TRUNCATED)
        reader.head(block)
    elif block.lines:
        reader.command(block)
    yield from rows.rest()
    if lines.stopped is not None:
        raise lines.stopped


PARSER = Parser(
    "ps_transcript",
    VERSION,
    match,
    ("script_activity",),
    read,
    files=("*powershell_transcript*.txt", "*transcript*.txt"),
    rank=Rank.USE,
    text=True,
)
