"""An SQLite database in memory, opened for reading and for nothing else.

Specification: sqlite.org "Database File Format". The library reads it (`deserialize`); no file is
made. What a database can do to its reader is shut off: no trigger, view, virtual table or function
of its schema is run (an authorizer allows plain reading of plain tables), values are bounded, and
so are the steps of the virtual machine and the bytes that come out.
"""

import re
import sqlite3
import struct
from collections.abc import Iterator
from typing import Any

from tracelake.native.errors import Corrupt, Truncated

MAGIC = b"SQLite format 3\0"
HEADER = 100
MOST = 128 << 20
"""Bytes of a database; it is held twice while it is opened (memory as a whole: 400 MiB)."""
MOST_VALUE = 16 << 20
MOST_TABLES = 4096
STEPS_AT_ONCE = 50_000
# Steps of the virtual machine: a row of 40 columns takes some 100, and is 20 bytes at least.
STEPS, STEPS_PER_BYTE = 50_000_000, 50
FUNCTIONS = frozenset({"group_concat", "max", "count"})
VIRTUAL = re.compile(r"\s*create\s+virtual\b", re.IGNORECASE)
ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})


def quoted(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def page_size(image: bytes | bytearray) -> int:
    """Bytes of a page, by the header (1.3.2); 1 stands for 65536."""
    size = int(struct.unpack_from(">H", image, 16)[0])
    return 65536 if size == 1 else size


def prepared(image: bytearray) -> None:
    """Makes an image such that the library opens it: without write-ahead log (one that was there
    has been applied), and not shorter than its first page.

    Raises:
        Truncated, Corrupt: it is no database.
    """
    if len(image) < HEADER:
        raise Truncated("database header", 0, f"the file ends after {len(image)} bytes")
    size = page_size(image)
    if not 512 <= size <= 65536 or size & (size - 1):
        raise Corrupt("database header", 16, f"pages of {size} bytes")
    image[18:20] = b"\1\1"
    if len(image) % size:
        image.extend(bytes(size - len(image) % size))


class Database:
    """Attributes:
    tables: names of its plain tables -> of their columns, as they are written.
    roots: names of these tables -> the first page of their trees.
    trouble: why the schema could not be read whole, or empty.
    repaired: whether a text of the last row was not UTF-8.
    """

    def __init__(self, image: bytearray) -> None:
        """Raises:
        Truncated, Corrupt: it is no database.
        """
        prepared(image)
        self._steps = STEPS // STEPS_AT_ONCE + len(image) * STEPS_PER_BYTE // STEPS_AT_ONCE
        self._bytes = 8 * len(image) + MOST_VALUE
        self.repaired = False
        self.trouble = ""
        self.tables: dict[str, tuple[str, ...]] = {}
        self.roots: dict[str, int] = {}
        self._at = sqlite3.connect(":memory:", isolation_level=None)
        try:
            self._open(image)
        except sqlite3.Error as error:
            self._at.close()
            raise Corrupt("database", 0, said(error)) from None
        except BaseException:
            self._at.close()
            raise

    def _open(self, image: bytearray) -> None:
        at = self._at
        at.deserialize(image)
        at.text_factory = self._text
        at.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_VALUE)
        at.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        at.setlimit(sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0)
        at.set_progress_handler(self._step, STEPS_AT_ONCE)
        at.execute("PRAGMA trusted_schema=OFF")
        at.execute("PRAGMA cell_size_check=ON")
        at.execute("PRAGMA temp_store=MEMORY")
        at.execute("PRAGMA query_only=ON")
        # A line of the schema that is not understood, and a file shorter than its header says,
        # hide nothing else then.
        at.execute("PRAGMA writable_schema=ON")
        names: list[str] = []
        try:
            for name, sql, root in at.execute(
                "SELECT name, sql, rootpage FROM sqlite_master WHERE type = 'table'"
            ):
                if isinstance(name, str) and not VIRTUAL.match(str(sql)):
                    names.append(name)
                    self.roots[name] = root if isinstance(root, int) else 0
                if len(names) == MOST_TABLES:
                    self.trouble = f"more than {MOST_TABLES} tables"
                    break
        except sqlite3.Error as error:
            self.trouble = said(error)
        for name in names:
            try:
                found = at.execute(f"PRAGMA main.table_xinfo({quoted(name)})").fetchall()
            except sqlite3.Error as error:
                self.trouble = said(error)
                continue
            # Generated columns (2, 3) are expressions.
            self.tables[name] = tuple(column[1] for column in found if column[6] == 0)
        at.set_authorizer(authorize)

    def _text(self, data: bytes) -> str:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            self.repaired = True
            return data.decode("utf-8", "replace")

    def _step(self) -> int:
        self._steps -= 1
        return int(self._steps < 0)

    def rows(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """What a query gives, row by row.

        Raises:
            Corrupt: a page of it cannot be read, or it takes too long; rows before were given.
        """
        try:
            for row in self._at.execute(sql):
                self._bytes -= sum(len(value) for value in row if isinstance(value, str | bytes))
                if self._bytes < 0:
                    raise Corrupt("table", 0, "its rows are larger than the database can hold")
                yield row
                self.repaired = False
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise Corrupt("table", 0, said(error)) from None
        except (OverflowError, MemoryError) as error:
            raise Corrupt("table", 0, type(error).__name__) from None

    def close(self) -> None:
        """Frees its memory."""
        self._at.set_authorizer(None)
        self._at.close()


def said(error: Exception) -> str:
    """One line."""
    text = " ".join(str(error).split())[:200] or type(error).__name__
    return "it takes more steps than its size allows" if text == "interrupted" else text


def authorize(
    action: int, first: str | None, second: str | None, _db: str | None, view: str | None
) -> int:
    """Reading of plain tables, and the functions that we call ourselves."""
    if view is not None:  # asked for by a view or trigger
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION:
        return sqlite3.SQLITE_OK if second in FUNCTIONS else sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in ALLOWED else sqlite3.SQLITE_DENY
