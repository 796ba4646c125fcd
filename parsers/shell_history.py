"""What was typed: histories of shells and of programs that keep one as shells do.

- bash, sh, ash, python, mysql, psql, less, sqlite, node: a line for each command. Where bash was
  told to (HISTTIMEFORMAT), a line `#1380630977` before a command gives its time, and a command may
  take several lines.
- zsh with EXTENDED_HISTORY: `: 1457771210:0;command`, time and seconds that it took; a line that
  ends with a backslash goes on.
- fish: a list in YAML, `- cmd: command`, `  when: 1457771210`, `  paths:`.

Each command is a row of `script_activity`, `script_type` naming the shell and `user_name` the
folder's owner. Commands without a time have none; times that go back belong to sessions that were
closed one after the other.
"""

import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from tracelake.native.errors import EvidenceError
from tracelake.parsers.artifact import Artifact, Match, Parser, Rank
from tracelake.parsers.pyrows import PyRows
from tracelake.parsers.textfile import TextLine, base_name, in_folder, lines_of, looks_like_text

VERSION = "1"

RUN = 1
LAST_SECOND = 253_402_300_799
STAMP = re.compile(rb"#(\d{9,11})$")
ZSH = re.compile(rb": (\d{9,11}):(\d+);(.*)", re.DOTALL)
FISH = re.compile(rb"- cmd: ", re.MULTILINE)
NAMED = re.compile(
    r"(bash|zsh|sh|ash|ksh|mksh|fish|python|python2|python3|mysql|mariadb|psql|sqlite|node|node_repl"
    r"|rediscli|mongo|irb|pry|lua|gdb|less|viminfo|nano|lftp|zsh_extended)_?(?:repl_)?(?:history|hst"
    r"|histfile|histfil)|(less)hst|histfile|(?:^|[._])zhistory|sh_history"
)
OWNER = re.compile(r"(?:^|[/\\])(?:home|users)[/\\]([^/\\]+)[/\\]|(?:^|[/\\])(root)[/\\]", re.I)


def kind_of(head: bytes, path: str) -> tuple[str, Match]:
    """(which shell, how sure); an empty name where it is no history."""
    if not looks_like_text(head):
        return "", Match.NO
    lines = [line for line in head.split(b"\n")[:200] if line.strip()]
    named = NAMED.search(base_name(path))
    shell = next((g for g in named.groups() if g), "sh") if named else ""
    if lines and ZSH.match(lines[0]):
        return "zsh", Match.CONTENT
    if FISH.match(head) and b"\n  when: " in head:
        return "fish", Match.CONTENT
    stamps = sum(STAMP.match(line.rstrip(b"\r")) is not None for line in lines)
    # Time and command in turns; comments of other files are not numbers alone.
    if stamps >= 2 and stamps * 4 >= len(lines):
        return shell or "bash", Match.CONTENT
    if stamps == 1 and named:
        return shell or "bash", Match.CONTENT
    if named and not in_folder(path, "log") and lines:
        return shell or "sh", Match.NAME
    return "", Match.NO


def match(head: bytes, path: str) -> tuple[Match, str]:
    """How sure it is that an artifact is a history, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source; a history without times is only told by its name.
    """
    _, sure = kind_of(head, path)
    return sure, "" if sure else "no history of a shell: neither its times nor its name"


class _Commands:
    """Puts commands into rows."""

    def __init__(self, artifact: Artifact, rows: PyRows, shell: str) -> None:
        self._rows = rows
        self._account = artifact.account
        owner = OWNER.search(artifact.path)
        self._common: dict[str, Any] = {
            "activity_id": RUN,
            "script_type": shell,
            "user_name": next((g for g in owner.groups() if g), None) if owner else None,
        }

    def put(
        self, lines: list[TextLine], command: str, when: int | None, **unmapped: str
    ) -> None:
        """A command, in these lines of the file."""
        offset = lines[0].offset
        length = lines[-1].offset + lines[-1].length - offset
        self._rows.seen(length)
        timed = when is not None and 0 < when <= LAST_SECOND
        self._rows.add(
            "script_activity", offset, length, b"\n".join(line.raw for line in lines),
            script_content=command, time=when * 1_000_000 if when is not None and timed else None,
            time_desc="run" if timed else None, unmapped=unmapped or None, **self._common,
        )  # fmt: skip

    def passed(self, line: TextLine) -> None:
        """A line that is no command."""
        self._account.bytes_structure += line.length


def read_stamped(lines: Iterator[TextLine], out: _Commands) -> Iterator[None]:
    """Bash: times on lines of their own, if there are any."""
    when: int | None = None
    held: list[TextLine] = []
    for line in lines:
        stamp = STAMP.match(line.raw)
        if stamp:
            _flush(held, when, out)
            held = [line]
            when = int(stamp.group(1))
        elif when is not None:
            held.append(line)
        elif line.raw.strip():
            out.put([line], line.text, None)
        else:
            out.passed(line)
        yield
    _flush(held, when, out)


def _flush(held: list[TextLine], when: int | None, out: _Commands) -> None:
    """A time and the lines up to the next one are one command."""
    while held and not held[-1].raw.strip():
        out.passed(held.pop())
    if len(held) > 1:
        out.put(held, "\n".join(line.text for line in held[1:]), when)
    elif held:
        out.passed(held[0])


def read_zsh(lines: Iterator[TextLine], out: _Commands) -> Iterator[None]:
    """Zsh: time, duration and command; backslashes before line ends."""
    held: list[TextLine] = []

    def flush() -> None:
        if not held:
            return
        text = "\n".join(line.text for line in held)
        head = ZSH.match(b"\n".join(line.raw for line in held))
        if head:
            text = unmeta(head.group(3)).decode("utf-8", "replace").replace("\\\n", "\n")
            out.put(held, text, int(head.group(1)), duration_s=head.group(2).decode())
        elif text.strip():
            out.put(held, text, None)
        else:
            for line in held:
                out.passed(line)
        held.clear()

    for line in lines:
        if ZSH.match(line.raw) or not (held and ZSH.match(held[0].raw)):
            flush()
        held.append(line)
        if len(held) > 10_000:
            flush()
        yield
    flush()


def unmeta(data: bytes) -> bytes:
    """Zsh writes some bytes as 0x83 and the byte with bit 5 turned."""
    if b"\x83" not in data:
        return data
    out = bytearray()
    turned = False
    for byte in data:
        if turned:
            out.append(byte ^ 32)
            turned = False
        elif byte == 0x83:
            turned = True
        else:
            out.append(byte)
    return bytes(out)


def read_fish(lines: Iterator[TextLine], out: _Commands) -> Iterator[None]:
    """Fish: items of `- cmd:`, `when:` and `paths:`."""
    held: list[TextLine] = []

    def flush() -> None:
        if not held:
            return
        command = held[0].text[7:].replace("\\n", "\n").replace("\\\\", "\\")
        when, paths = None, []
        for line in held[1:]:
            name, _, value = line.text.strip().partition(": ")
            if name == "when" and value.isdigit():
                when = int(value)
            elif line.text.startswith("    - "):
                paths.append(line.text[6:])
        out.put(list(held), command, when, **({"paths": "\n".join(paths)} if paths else {}))
        held.clear()

    for line in lines:
        if line.raw.startswith(b"- cmd: "):
            flush()
            held.append(line)
        elif held and line.raw[:1] == b" " and len(held) < 10_000:
            held.append(line)
        else:
            flush()
            if line.raw.strip():
                out.put([line], line.text, None)
            else:
                out.passed(line)
        yield
    flush()


READERS = {"zsh": read_zsh, "fish": read_fish}


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields a row of `script_activity` for each command.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; the rows before that were yielded.
    """
    rows = PyRows(artifact)
    shell, _ = kind_of(artifact.feed.peek(65536), artifact.path)
    commands = _Commands(artifact, rows, shell or "sh")
    stopped = None
    try:
        for _ in READERS.get(shell, read_stamped)(lines_of(artifact, rows), commands):
            yield from rows.full()
    except EvidenceError as error:
        stopped = error
    yield from rows.rest()
    if stopped is not None:
        raise stopped


PARSER = Parser(
    "shell_history",
    VERSION,
    match,
    ("script_activity",),
    read,
    files=("*_history", "*/.histfile", "*/.zhistory", "*.lesshst", "*/fish/fish_history",
           "*history*.txt"),
    rank=Rank.EXECUTION,
    text=True,
)  # fmt: skip
