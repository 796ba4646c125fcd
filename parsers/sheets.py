"""What the tables of a database mean: one `Sheet` for each kind of record.

The same for SQLite and ESE. A sheet names the table that its records are the rows of, the columns
that this table must have (other databases have tables of the same name), and for each of our
columns the one of theirs. All that is not named goes to `unmapped`, so new versions of a program
lose nothing.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import pyarrow as pa

from tracelake.normalize import TABLES
from tracelake.parsers.epochs import Epoch, written
from tracelake.parsers.pyrows import PyRows

Values: TypeAlias = dict[str, Any]
INT64 = range(-(1 << 63), 1 << 63)
USER = re.compile(
    r"(?:^|[/\\_])(?:users|documents and settings|home)[/\\]([^/\\]+)[/\\]", re.IGNORECASE
)
SYSTEM_USERS = frozenset({"all users", "public", "shared", "default", "default user"})


@dataclass(frozen=True, slots=True)
class Time:
    """A column that is a time.

    Attributes:
        column: theirs. epoch: what it counts. desc: which clock it is.
        into: our column that it goes to as well, where there is one.
    """

    column: str
    epoch: Epoch
    desc: str
    into: str = ""


@dataclass(frozen=True, slots=True)
class Join:
    """A row of another table that belongs to the record.

    Attributes:
        on: SQL of `m` (the record) and `j` (the other row).
        columns: of it, called `<table>.<column>`; none: all.
        needs: columns that it must have. called: instead of `table`.
    """

    table: str
    on: str
    columns: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    called: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the database was found.

    Attributes:
        path: its path in the evidence. user: whose it is, by the path.
    """

    path: str
    user: str | None


@dataclass(frozen=True, slots=True)
class Sheet:
    """How the rows of one table become ours.

    Attributes:
        kind: what a record is, in a word.
        table: theirs. needs: columns that it must have.
        to: ours.
        columns: ours -> theirs; several: the first that is not empty.
        times: the first that is a time is `time`.
        constants: ours, the same on all rows.
        joins, where: SQL, for SQLite only. also: name -> SQL of one value more.
        beside: tables that must be there too. unless: tables that must not.
        finish: (their values, ours, place): what is not said by a name alone.
    """

    kind: str
    table: str
    needs: tuple[str, ...]
    to: str
    columns: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    times: tuple[Time, ...] = ()
    constants: Mapping[str, Any] = field(default_factory=dict)
    joins: tuple[Join, ...] = ()
    where: str = ""
    also: Mapping[str, str] = field(default_factory=dict)
    beside: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    finish: Callable[[Values, Values, Place], None] | None = None

    def fits(self, tables: Mapping[str, frozenset[str]]) -> bool:
        """Whether a database has it.

        Args:
            tables: names of its tables -> of their columns, in lower case.
        """
        columns = tables.get(self.table.lower())
        return (
            columns is not None
            and all(name.lower() in columns for name in self.needs)
            and all(name.lower() in tables for name in self.beside)
            and not any(name.lower() in tables for name in self.unless)
        )


def place_of(path: str) -> Place:
    """What the path of a database says."""
    found = USER.search(path)
    user = found.group(1) if found else None
    return Place(path, None if user is None or user.lower() in SYSTEM_USERS else user)


def as_text(value: Any) -> str:
    """A value for `unmapped`: bytes that are no text as hexadecimal digits."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            return value.hex()
        return text if text.isprintable() else value.hex()
    return str(value)


def hostname(url: Any) -> str | None:
    """The host of an address; None where it has none."""
    try:
        return urlsplit(url).hostname if isinstance(url, str) else None
    except ValueError:
        return None


def taken(value: Any) -> Any:
    """A value that a column can hold: numbers beyond 64 bits, and bytes, cannot be."""
    if isinstance(value, bytes):
        return as_text(value)
    if isinstance(value, int) and value not in INT64:
        return None
    return value


def made(sheet: Sheet, values: Values, place: Place) -> tuple[Values, dict[str, str]]:
    """One record -> (our columns, `unmapped`).

    Args:
        values: theirs; those that are null left out.
    """
    rest = dict(values)
    ours: Values = dict(sheet.constants)
    for name, theirs in sheet.columns.items():
        for column in (theirs,) if isinstance(theirs, str) else theirs:
            value = taken(values.get(column))
            if value is not None and value != "":
                ours[name] = value
                rest.pop(column, None)
                break
    for time in sheet.times:
        if time.column not in values:
            continue
        moment = time.epoch(values[time.column])
        if moment is None:
            continue
        first = "time" not in ours
        if first:
            ours["time"], ours["time_ns"], ours["time_desc"] = moment[0], moment[1], time.desc
        if time.into:
            ours[time.into] = moment[0]
        if first or time.into:
            rest.pop(time.column, None)
        else:
            rest[time.column] = written(moment)
    if "url" in ours and "url_hostname" not in ours:
        ours["url_hostname"] = hostname(ours["url"])
    if place.user and "user_name" not in ours:
        ours["user_name"] = place.user
    if sheet.finish is not None:
        sheet.finish(rest, ours, place)
    return ours, {k: as_text(v) for k, v in rest.items() if v is not None and v != "" and v != b""}


NUMBERS = frozenset({
    "visit_count", "bytes", "run_count", "focus_count", "bytes_in", "bytes_out", "subject_size",
    "activity_id", "class_uid", "account_flags", "logon_count",
})  # fmt: skip
REALS = frozenset({"focus_s", "duration_s"})


@dataclass(frozen=True, slots=True)
class At:
    """Where a record stands.

    Attributes:
        offset, length: of its bytes; 0 and the whole file where the library does not tell.
        number: of the record in its table, where it has one.
        raw: its bytes, where the file does not have them.
    """

    offset: int
    length: int
    number: int | None
    raw: bytes | None = None


def put(
    rows: PyRows,
    sheet: Sheet,
    values: Values,
    place: Place,
    at: At,
    flags: int,
    notes: Mapping[str, str],
    seen: bool = True,
) -> None:
    """Adds the row of one record.

    Args:
        values: theirs; those that are null left out.
        notes: what is said in `unmapped` of the row besides.
        seen: whether the record is counted; False where it gives several rows.
    """
    ours, unmapped = made(sheet, values, place)
    for name in list(ours):
        value = ours[name]
        if name in NUMBERS and not isinstance(value, int):
            # A column of SQLite holds what was put into it, whatever its type.
            ours[name] = int(value) if isinstance(value, float) and value in INT64 else None
            if ours[name] is None and value is not None:
                unmapped[name] = as_text(value)
        elif name in REALS:
            ours[name] = float(value) if isinstance(value, int | float) else None
        elif isinstance(value, int | float) and name in TEXTS_OF[sheet.to]:
            ours[name] = str(value)
    if seen:
        rows.seen()
    canonical = repr((sheet.table, sorted(values.items()))).encode("utf-8", "surrogatepass")
    if "log_name" not in ours:
        ours["log_name"] = sheet.table
    rows.add(
        sheet.to, at.offset, at.length, canonical, flags=flags, src_record_id=at.number,
        raw=at.raw, unmapped=unmapped | dict(notes), **ours,
    )  # fmt: skip


TEXTS_OF = {
    name: frozenset(
        field.name
        for field in table.schema
        if pa.types.is_string(field.type)
        or (pa.types.is_dictionary(field.type) and pa.types.is_string(field.type.value_type))
    )
    for name, table in TABLES.items()
}
"""Of each of our tables the columns of text."""
