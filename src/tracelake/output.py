"""Query results for people and for scripts.

What is shown on a terminal is evidence, and evidence is hostile: control characters are
written out, so that no log entry can move the cursor or recolour the line above it.
"""

import json
import re
import sys
from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

# A table on a terminal is for reading; more rows than this are for --format csv.
TABLE_ROWS = 1000
# C0 and C1 controls, line and paragraph separators, the marks that turn the direction of writing
# round, and surrogates: what Python makes of bytes of a file's name that are no UTF-8.
UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
FORMATS = ("table", "csv", "json", "parquet")
SUFFIXES = {".csv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet"}


def shown(value: Any) -> str:
    """One value as a cell on a terminal."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="microseconds").removesuffix("+00:00")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (list, tuple)):
        pair = value and all(isinstance(item, tuple) and len(item) == 2 for item in value)
        if pair:
            return ", ".join(f"{shown(k)}={shown(v)}" for k, v in value)
        return ", ".join(shown(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{shown(k)}={shown(v)}" for k, v in value.items())
    return UNSAFE.sub(_written_out, str(value))


def _written_out(match: re.Match[str]) -> str:
    code = ord(match.group())
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    return {9: "\\t", 10: "\\n", 13: "\\r"}.get(
        code, f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    )


def print_table(
    names: Sequence[str], rows: Iterable[Sequence[Any]], right: Container[int] = ()
) -> None:
    """Rows as a table on standard output.

    Args:
        names: of the columns.
        rows: their values.
        right: columns set to the right, besides those that hold numbers only.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    cells = [list(row) for row in rows]
    for at, name in enumerate(names):
        values = [row[at] for row in cells if row[at] is not None]
        numeric = at in right or (
            bool(values) and all(isinstance(value, (int, float)) for value in values)
        )
        table.add_column(Text(shown(name)), justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(shown(value)) for value in row))
    # A pipe has no width: then nothing is folded, and no line ends in blanks.
    width = None if sys.stdout.isatty() else 1_000_000
    console = Console(highlight=False, width=width)
    with console.capture() as drawn:
        console.print(table)
    for line in drawn.get().strip("\n").splitlines():
        print(line.rstrip())


def write_result(reader: pa.RecordBatchReader, form: str, to: Path | None) -> None:
    """Writes a query's result, batch by batch.

    Args:
        form: table, csv, json (one object a line) or parquet.
        to: the file; None writes to standard output.

    Raises:
        ValueError: parquet without a file.
        OSError: the file cannot be written.
    """
    if form == "parquet":
        if to is None:
            raise ValueError("--format parquet needs -o FILE")
        _write_parquet(reader, to)
    elif form == "table" and to is None:
        _print_reader(reader)
    elif to is None:
        # A file or a pipe gets what is there, a terminal what does it no harm.
        _write_text(reader, form, sys.stdout, tame=sys.stdout.isatty())
    else:
        with open(to, "w", encoding="utf-8", newline="") as file:
            _write_text(reader, form, file)


def _print_reader(reader: pa.RecordBatchReader) -> None:
    rows: list[tuple[Any, ...]] = []
    more = 0
    for batch in reader:
        room = TABLE_ROWS - len(rows)
        part = batch.slice(0, max(room, 0))
        rows.extend(zip(*(column.to_pylist() for column in part.columns), strict=True))
        more += batch.num_rows - part.num_rows
    print_table(reader.schema.names, rows)
    if more:
        print(f"... and {more:,} more rows; --format csv -o FILE writes them all")


def _write_text(
    reader: pa.RecordBatchReader, form: str, file: TextIO, tame: bool = False
) -> None:
    names = reader.schema.names
    if form == "json":
        for row in _rows(reader):
            plain = {name: _plain(value) for name, value in zip(names, row, strict=True)}
            # With ensure_ascii every control character is written out, and still JSON.
            file.write(json.dumps(plain, ensure_ascii=tame) + "\n")
        return
    import csv

    writer = csv.writer(_UnixLines(file))
    writer.writerow([shown(name) if tame else name for name in names])
    for row in _rows(reader):
        cells = [_plain(value) for value in row]
        texts = (json.dumps(cell) if isinstance(cell, (list, dict)) else cell for cell in cells)
        writer.writerow(
            shown(text) if tame and isinstance(text, str) else text for text in texts
        )


class _UnixLines:
    """Ends each line as a shell expects it. The writer itself is left to end them with CR LF:
    it quotes what holds a character of its line end, and a lone CR has to be quoted.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> int:
        """Takes one line, as the writer of `csv` gives them."""
        return self._file.write(line.removesuffix("\r\n") + "\n")


def _rows(reader: pa.RecordBatchReader) -> Iterator[tuple[Any, ...]]:
    """Rows as Python values, in order of the columns (two of which may have one name)."""
    for batch in reader:
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _plain(value: Any) -> Any:
    """A value as JSON has them. A map is an object, or a list of pairs where keys repeat."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        if value and all(isinstance(item, tuple) for item in value):
            pairs = {key: _plain(item) for key, item in value}
            if len(pairs) == len(value):
                return pairs
        return [_plain(item) for item in value]
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, bytes):
        return value.hex()
    return value


def _write_parquet(reader: pa.RecordBatchReader, to: Path) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(to, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)
