"""How a table is written as text: its delimiter, and the line of names at its top.

A file is a table where its first line holds names and the records after it have as many cells. A
table without names is told from one with names by what stands in its first line: names are none of
numbers, addresses, times, and no name comes twice with most of the others.
"""

import re
from dataclasses import dataclass

from tracelake.parsers.anytext import text_of
from tracelake.parsers.artifact import Match
from tracelake.parsers.cells import split

DELIMITERS = ",;\t|"
# Records that are looked at to tell the form.
LOOKED_AT = 50
MOST_COLUMNS = 4096
LONGEST_NAME = 200

# A line of names with spaces between them, as AWS writes its flow logs: names and nothing else.
SPACED = re.compile(rb"(?:[a-z][a-z0-9_-]* ){7,}[a-z][a-z0-9_-]*[ ]?\r?\n")

BLANK = re.compile(rb"(?:[ \t]*\r?\n)+")
DIRECTIVE = re.compile(rb"(?:sep=[,;\t|]|#TYPE [^\n]*|[\"']?sep=[,;\t|][\"']?)\r?\n", re.IGNORECASE)
LETTER = re.compile(r"[^\W\d_]")
VALUE = re.compile(
    r"""[-+]?[\d.,]+%? | (?:0x)?[0-9a-f]{8,} | \{?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?
    | \d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[ T,].*)? | (?:\d{1,3}\.){3}\d{1,3}(?:[:/]\d+)?
    | [0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7} | \d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?(?:\s?[AP]M)?
    | https?://.* | [a-z]:\\.* | S-1-\d[-\d]* | true | false | null""",
    re.IGNORECASE | re.VERBOSE,
)
# What a name is where the file's own does not say that it is a table.
NAME = re.compile(r"[^\W\d_]?[\w@#*][\w@#.$:/()%+\[\] -]{0,62}[\w)\]%#]?")
UTC = re.compile(r"\s*\[UTC\]$")


@dataclass(frozen=True, slots=True)
class Form:
    """How a table is written.

    Attributes:
        delimiter: between cells.
        names: of its columns; those without are called by their number, from 1.
        start, end: of the line of names, bytes of the text.
        fitting, looked_at: records that have as many cells, of those that were looked at.
    """

    delimiter: str
    names: tuple[str, ...]
    start: int
    end: int
    fitting: int
    looked_at: int


def _start(text: bytes) -> tuple[int, str]:
    """Where the line of names begins, and the delimiter if the file says it."""
    at, said = 0, ""
    while True:
        blank = BLANK.match(text, at)
        if blank:
            at = blank.end()
        directive = DIRECTIVE.match(text, at)
        if not directive:
            return at, said
        if b"sep=" in directive[0].lower():
            said = chr(directive[0].lower().partition(b"sep=")[2][0])
        at = directive.end()


def _names(row: list[bytes]) -> tuple[str, ...]:
    names = []
    for number, cell in enumerate(row, 1):
        name = UTC.sub("", cell.decode("utf-8", "replace").strip())
        names.append(name or f"column {number}")
    return tuple(names)


def _forms(text: bytes, whole: bool) -> list[Form]:
    """The forms that a text can have, the likeliest first."""
    start, said = _start(text)
    found = []
    spaced = " " if SPACED.match(text, start) else ""
    for delimiter in said or DELIMITERS + spaced:
        records = split(text[start:], delimiter, last=whole)[:LOOKED_AT]
        if not records or not 2 <= len(records[0][0]) <= MOST_COLUMNS:
            continue
        width = len(records[0][0])
        rows = [row for row, _ in records[1:] if row != [b""]]
        fitting = sum(len(row) == width for row in rows)
        found.append(
            Form(delimiter, _names(records[0][0]), start, start + records[0][1], fitting, len(rows))
        )
    found.sort(key=lambda form: (-form.fitting, -len(form.names)))
    return found


def form_of(head: bytes, path: str) -> Form:
    """The form of a text that `match` took; of one that it would not have taken, a guess.

    Args:
        head: its start as UTF-8, without a byte order mark.
    """
    forms = _forms(head, len(head) < 65536)
    if forms:
        return forms[0]
    end = head.find(b"\n") + 1 or len(head)
    return Form("\t" if path.lower().endswith(".tsv") else ",", _names([head[:end].strip()]), 0,
                end, 0, 0)


def are_names(names: tuple[str, ...]) -> bool:
    """Whether the first line of a table can be its names."""
    own = [name for name in names if not re.fullmatch(r"column \d+", name)]
    if len(own) * 2 < len(names) or not own:
        return False
    if any(VALUE.fullmatch(name) or len(name) > LONGEST_NAME or "\n" in name for name in own):
        return False
    return len(set(own)) * 2 > len(own) and all(LETTER.search(name) for name in own)


def match(head: bytes, path: str) -> tuple[Match, str]:
    """How sure it is that an artifact is a table with names, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: for its ending: `.csv` and `.tsv` are taken with fewer columns and records.
    """
    text = text_of(head)
    if b"\0" in text[:4096]:
        return Match.NO, "its text holds NUL bytes"
    named = path.lower().endswith((".csv", ".tsv", ".csv.txt"))
    if text.lstrip()[:1] in (b"{", b"[", b"<"):
        return Match.NO, "begins with a bracket, which no name does"
    forms = _forms(text, len(head) < 65536)
    if not forms:
        return Match.NO, "no line of several cells at its start"
    form = forms[0]
    consistent = form.fitting * 10 >= form.looked_at * (5 if named else 9)
    enough = form.looked_at >= (0 if named else 2) and len(form.names) >= (2 if named else 4)
    if not (consistent and enough):
        if named:
            return Match.NO, (
                f"a table of {len(form.names)} names, but only {form.fitting} of the first "
                f"{form.looked_at} records have as many cells"
            )
        return Match.NO, "its lines are not cells of a table"
    if not are_names(form.names):
        why = "a table without a line of names at its top: nothing says what its columns are"
        return (Match.NEAR if named else Match.NO), why
    if not named and not all(NAME.fullmatch(name) for name in form.names):
        return Match.NO, "its first line is no line of names"
    return (Match.CONTENT if form.fitting or named else Match.NAME), ""
