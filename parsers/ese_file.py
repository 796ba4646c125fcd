"""An ESE database (Extensible Storage Engine, "Jet Blue") in memory, read by libesedb.

Specification: "Extensible Storage Engine (ESE) Database File (EDB) format" (libyal). The library
is optional: `pip install 'tracelake[images]'`. A database that was not shut down cleanly is read
as it is; its transaction logs are not replayed.
"""

import importlib
import io
import struct
import threading
import uuid
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from tracelake.native.errors import Corrupt, Truncated, Unsupported

SIGNATURE = bytes.fromhex("efcdab89")
HEADER = 668
MOST = 256 << 20
"""Bytes of a database, which is held (memory as a whole: 400 MiB)."""
STATES = {
    1: "just created", 2: "dirty shutdown", 3: "clean shutdown", 4: "being converted",
    5: "force detached",
}  # fmt: skip
CLEAN = 3
# A walk of a damaged tree that has not ended after this is stopped, in seconds; a sound database
# of the largest size takes a few minutes.
PATIENCE = 900.0
MOST_TEXT = 16 << 20
(BIT, BYTE, SHORT, LONG, CURRENCY, SINGLE, DOUBLE, DATE, BINARY, TEXT, LONG_BINARY, LONG_TEXT,
 _SUPER, U_LONG, LONG_LONG, GUID, U_SHORT) = range(1, 18)  # fmt: skip
NUMBERS = {
    BYTE: "<B", SHORT: "<h", LONG: "<i", CURRENCY: "<q", SINGLE: "<f", DOUBLE: "<d",
    U_LONG: "<I", LONG_LONG: "<q", U_SHORT: "<H",
}  # fmt: skip
# What the engine puts where a column of fixed size has no value; the library gives it as one.
NO_VALUE = b"*" * 16
VARIABLE = frozenset({BINARY, TEXT, LONG_BINARY, LONG_TEXT})
# A date column holds days since 1899 as a double, or a FILETIME as an integer: as integer the
# double of a date of our time is far above any FILETIME.
FILETIME_BELOW = 1 << 61


def library() -> ModuleType | None:
    """libesedb, where it is installed."""
    try:
        return importlib.import_module("pyesedb")
    except ImportError:
        return None


def state_of(head: bytes) -> int:
    """In which state the database was left (offset 52 of its header)."""
    return int(struct.unpack_from("<I", head, 52)[0])


def value_of(kind: int, data: bytes) -> Any:
    """A column's bytes as its type says; the bytes themselves where they do not fit it."""
    if len(data) >= 4 and data == NO_VALUE[: len(data)] and kind not in VARIABLE:
        return None
    if kind in NUMBERS:
        form = NUMBERS[kind]
        if len(data) != struct.calcsize(form):
            return data
        return struct.unpack(form, data)[0]
    if kind == BIT:
        return bool(data[0]) if data else None
    if kind == DATE and len(data) == 8:
        number = int.from_bytes(data, "little")
        return number if number < FILETIME_BELOW else struct.unpack("<d", data)[0]
    if kind == GUID and len(data) == 16:
        return "{" + str(uuid.UUID(bytes_le=data)).upper() + "}"
    return data


class Database:
    """Attributes:
    tables: names of its tables -> of their columns.
    notes: what is said on each row: how it was left, where that was not cleanly.
    trouble: why tables could not be opened.
    """

    def __init__(self, image: io.BytesIO) -> None:
        """Raises:
        Unsupported: the library is not there, or the kind of file is another.
        Truncated, Corrupt: it is no database that can be opened.
        """
        found = library()
        if found is None:
            raise Unsupported("database", 0, "to read it: pip install 'tracelake[images]'")
        head = image.getvalue()[:HEADER] if image.getbuffer().nbytes < HEADER else bytes(
            image.getbuffer()[:HEADER]
        )  # fmt: skip
        if len(head) < HEADER:
            raise Truncated("database header", 0, f"the file ends after {len(head)} bytes")
        if struct.unpack_from("<I", head, 12)[0] != 0:
            raise Unsupported("database", 12, "a streaming file, not a database")
        state = state_of(head)
        self.notes = {} if state == CLEAN else {"database state": STATES.get(state, str(state))}
        self._file = found.file()
        self._clock = threading.Timer(PATIENCE, self._file.signal_abort)
        self._clock.daemon = True
        self._clock.start()
        self.tables: dict[str, tuple[str, ...]] = {}
        self._tables: dict[str, Any] = {}
        self.trouble: list[str] = []
        try:
            image.seek(0)
            self._file.open_file_object(image)
            for number in range(self._file.get_number_of_tables()):
                self._add(number)
        except (OSError, MemoryError, UnicodeError) as error:
            self.close()
            raise Corrupt("database", 0, said(error)) from None
        except BaseException:
            self.close()
            raise

    def _add(self, number: int) -> None:
        try:
            table = self._file.get_table(number)
            name = table.get_name()
            if isinstance(name, str) and not name.startswith("MSys"):
                self.tables[name] = tuple(str(column.name) for column in table.columns)
                self._tables[name] = table
        except (OSError, MemoryError, UnicodeError) as error:
            self.trouble.append(f"table {number}: {said(error)}")

    def rows(self, name: str, trouble: list[str]) -> Iterator[tuple[int, dict[str, Any], bool]]:
        """(number, values, whether a text was repaired) of each record of a table.

        Args:
            trouble: gets why a record cannot be read; the others are.
        """
        table = self._tables[name]
        try:
            count = table.get_number_of_records()
        except (OSError, MemoryError) as error:
            trouble.append(said(error))
            return
        for number in range(count):
            try:
                record = table.get_record(number)
                values, repaired = self._values(record)
            except (OSError, MemoryError) as error:
                trouble.append(f"record {number}: {said(error)}")
                if len(trouble) >= MOST_TROUBLE:
                    trouble.append(f"{count - number - 1} records more were not tried")
                    return
                continue
            yield number, values, repaired

    def _values(self, record: Any) -> tuple[dict[str, Any], bool]:
        values: dict[str, Any] = {}
        repaired = False
        for at in range(record.get_number_of_values()):
            kind = record.get_column_type(at)
            if record.is_long_value(at):
                held = record.get_value_data_as_long_value(at)
                data = held.get_data() if held is not None else None
            else:
                data = record.get_value_data(at)
            if data is None:
                continue
            if kind in (TEXT, LONG_TEXT):
                text, bad = self._text(record, at, data)
                repaired = repaired or bad
                values[record.get_column_name(at)] = text
            else:
                values[record.get_column_name(at)] = value_of(kind, data)
        return values, repaired

    @staticmethod
    def _text(record: Any, at: int, data: bytes) -> tuple[str, bool]:
        """Text of a record; the library knows its code page and unpacks it."""
        if not record.is_long_value(at):
            try:
                text = record.get_value_data_as_string(at)
                return (text or "").rstrip("\0"), False
            except (OSError, UnicodeError, ValueError):
                pass  # not what its code page says: as bytes
        try:
            return data.decode("utf-16-le").rstrip("\0"), False
        except UnicodeDecodeError:
            return data.decode("latin-1").rstrip("\0"), True

    def close(self) -> None:
        """Frees it."""
        self._clock.cancel()
        self._tables.clear()
        try:
            self._file.close()
        except OSError:
            return  # it was never opened


MOST_TROUBLE = 100
"""Records of a table that may fail before it is left."""


def said(error: Exception) -> str:
    """One line: the library's first, without the names of its functions."""
    lines = str(error).splitlines()
    text = (lines[0] if lines else type(error).__name__).rpartition(": ")[2]
    return " ".join(text.split())[:200] or type(error).__name__
