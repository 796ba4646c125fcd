"""What must hold for any bytes whatever, given to any parser."""

from collections import Counter
from dataclasses import dataclass, field
from zlib import crc32

import pyarrow as pa

from tracelake.native.account import Account
from tracelake.native.errors import EvidenceError
from tracelake.native.feed import Feed
from tracelake.normalize import TABLES, Provenance, complete
from tracelake.parsers.artifact import NO_ROWS_YET, Artifact, Parser

WINDOWS = (64, 4096, 65536, 1 << 20)
# Some formats are told by their names alone.
NAMES = {
    "linux_host": "etc/os-release", "linux_jobs": "etc/crontab", "shell_history": ".bash_history",
}  # fmt: skip
REQUIRED = ("src_offset", "src_length", "record_hash")


class Finding(AssertionError):
    """Something that must hold does not."""


class Dribble:
    """Gives bytes in pieces, as a pipe or a decompressor does: from one byte up to all."""

    def __init__(self, data: bytes, piece: int) -> None:
        self._data = memoryview(data)
        self._at = 0
        self._piece = piece

    def readinto(self, buffer: memoryview) -> int:
        n = min(len(buffer), self._piece, len(self._data) - self._at)
        buffer[:n] = self._data[self._at : self._at + n]
        self._at += n
        return n


@dataclass(slots=True)
class Outcome:
    """What a parser made of some bytes; `signature` tells outcomes of different kinds apart."""

    rows: Counter[str] = field(default_factory=Counter)
    records: int = 0
    in_rows: int = 0
    duplicates: int = 0
    damage: int = 0
    truncated: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    stopped: str | None = None
    reasons: set[tuple[str, str]] = field(default_factory=set)

    @property
    def signature(self) -> tuple[object, ...]:
        return (
            tuple(sorted((table, n.bit_length()) for table, n in self.rows.items())),
            tuple(sorted(self.counters)),
            min(self.duplicates, 1),
            frozenset((what, why[:24]) for what, why in self.reasons),
            self.stopped,
        )


def examine(parser: Parser, data: bytes) -> Outcome:
    """Reads `data` with `parser` and checks everything that must hold of the outcome.

    The window and the size of the pieces it is fed in follow from the bytes, so an input
    that was saved does the same again.

    Raises:
        Finding: a promise is broken. Any exception but an EvidenceError is a bug, too, and
            is raised as it is.
    """
    choice = crc32(data)
    path = NAMES.get(parser.name, "fuzz/input")
    window = WINDOWS[choice % 4]
    piece = (1, 7, 512, 1 << 20)[(choice >> 2) % 4] if len(data) < 8192 else 1 << 16
    # Filling up to the whole schema costs more than all the rest: one input in eight.
    return read(parser, data, path, window, piece, completed=(choice >> 4) % 8 == 0)


def read(
    parser: Parser, data: bytes, path: str, window: int, piece: int, completed: bool = True
) -> Outcome:
    """As `examine`, with a window and a size of pieces given by the caller.

    Args:
        completed: also fill each batch up to its table's whole schema, as the ingest does.
    """
    out = Outcome()
    seen: dict[str, set[tuple[int, int]]] = {}
    provenance = Provenance("fuzz", "0" * 32, 0, parser.name, parser.version, "fuzz")

    def damage(batch: pa.RecordBatch) -> None:
        batch.validate(full=True)
        if completed:
            complete(TABLES["damage"], batch, provenance).validate(full=True)
        for row in batch.select(["what", "why"]).to_pylist():
            out.reasons.add((row["what"], row["why"]))

    account = Account(damage)
    feed = Feed(Dribble(data, piece), window)
    try:
        again = Feed(Dribble(data, piece), window)
        for table, batch in parser.read(Artifact(path, feed, account, again=again)):
            if (table, batch) == NO_ROWS_YET:
                continue
            if table not in parser.tables:
                raise Finding(f"{parser.name} fills {table}, which it does not announce")
            batch.validate(full=True)
            if completed:
                complete(TABLES[table], batch, provenance).validate(full=True)
            # Facts about a whole artifact (`evtx_file`) are no rows of records.
            if "src_offset" in TABLES[table].schema.names:
                check_rows(table, batch, len(data), seen.setdefault(table, set()))
                out.rows[table] += batch.num_rows
                if "parse_flags" in batch.schema.names:
                    flags = batch.column("parse_flags").to_pylist()
                    out.truncated += sum(1 for each in flags if each and each & 1)
    except EvidenceError as error:
        if "\n" in str(error) or not error.what or not error.why:
            raise Finding(f"not one line with a reason: {error!r}") from error
        out.stopped = f"{type(error).__name__} {error.what}"
        account.broken(error.offset, 0, error.what, error.why)
    feed.drain()
    account.flush_damage()
    out.records, out.in_rows = account.records, account.in_rows
    out.duplicates, out.damage = account.duplicates, account.damaged
    out.counters = dict(account.counters)
    check_account(account, out, len(data))
    return out


def check_rows(table: str, batch: pa.RecordBatch, size: int, seen: set[tuple[int, int]]) -> None:
    """Every row has its place in the artifact, and no two have the same citation."""
    for column in REQUIRED:
        values = batch.column(column) if column in batch.schema.names else None
        if values is None or values.null_count:
            raise Finding(f"{table}.{column} is missing on some rows")
    offsets = batch.column("src_offset").to_pylist()
    lengths = batch.column("src_length").to_pylist()
    subs = batch.column("sub").to_pylist() if "sub" in batch.schema.names else [0] * batch.num_rows
    for offset, length, sub in zip(offsets, lengths, subs, strict=True):
        if offset < 0 or length < 0 or offset + length > size:
            raise Finding(f"{table}: a row at {offset}+{length} of {size} bytes")
        key = (offset, sub or 0)
        if key in seen:
            raise Finding(f"{table}: two rows at offset {offset} with sub {sub}")
        seen.add(key)


def check_account(account: Account, out: Outcome, size: int) -> None:
    """Every record went to exactly one place, and no byte was counted twice."""
    if not account.closes:
        raise Finding(
            f"the account does not close: {account.records} records, {account.in_rows} in rows, "
            f"{account.duplicates} duplicates, {account.damaged} damaged, {account.counters}"
        )
    parts = (account.bytes_records, account.bytes_structure, account.bytes_slack)
    if min(parts) < 0 or sum(parts) > size:
        raise Finding(f"{size} bytes, but records, structure and slack are {parts}")
    counts = (account.records, account.in_rows, account.duplicates, *account.counters.values())
    if min(counts) < 0:
        raise Finding(f"a negative count: {counts}")
    # (Records that are only counted may have rows beside: what a tunnel carries, a breach.)
    rows = sum(out.rows.values())
    if (out.in_rows and not rows) or (
        rows and not (out.in_rows or account.counters or account.damaged)
    ):
        raise Finding(f"{out.in_rows} records in rows, but the rows are {dict(out.rows)}")
