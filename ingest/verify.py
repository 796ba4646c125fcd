"""Does everything that is in still hold: hashes, statistics, accounts, bytes."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tracelake.ingest.books import path_of
from tracelake.ingest.image_identity import files_of, kind_at, sampled, sha256_of_image
from tracelake.ingest.image_storage import Files
from tracelake.lake.lake import Lake
from tracelake.lake.rows import read
from tracelake.lake.schema import delta_schema
from tracelake.lake.snapshot import Snapshot
from tracelake.lake.verify import Checked
from tracelake.lake.verify import verify as verify_tables
from tracelake.normalize import TABLES
from tracelake.parsers import CARVERS

# Books, not rows of evidence.
BOOKS = {"source", "artifact"}
CARVED = frozenset(parser.name for parser in CARVERS)
# Parsers whose records stand in packed blocks: they have the place of their block.
PACKED = {"nfcapd"}

# Source, number of the artifact, parser.
Key = tuple[str, int, str]


def verify(lake: Lake) -> Iterator[Checked]:
    """Checks an engagement: its evidence as far as it is reachable, its tables, its books.

    Raises nothing for what is wrong: it is in `wrong`.
    """
    yield from verify_tables(lake)
    books = _Books(lake.snapshot())
    if books.checked.wrong:
        yield books.checked
    sources = {row["source_id"]: row for row in books.rows("source")}
    artifacts: dict[str, list[dict[str, Any]]] = {}
    for row in books.rows("artifact"):
        artifacts.setdefault(row["source_id"], []).append(row)
    for source_id, row in sources.items():
        yield _source(row, artifacts.get(source_id, []))
    for source_id, rows in artifacts.items():
        for row in rows:
            yield _artifact(row, sources.get(source_id), books)
    known = {_key(row) for rows in artifacts.values() for row in rows}
    known |= {(source_id, number, "") for source_id, number, _ in known}
    for source_id, number, _ in sorted(books.counts.keys() - known):
        lost = Checked(f"{source_id}: artifact {number}")
        lost.expect(False, "there are rows of it, and no row of `artifact`")
        yield lost


def _key(row: dict[str, Any]) -> Key:
    """Whose rows an artifact's row speaks of. What stops its container is no parser's."""
    return row["source_id"], row["artifact_no"], row["parser"] or "container"


class _Books:
    """What the tables hold, counted; files that cannot be read are findings."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.checked = Checked(str(snapshot.root))
        self._snapshot = snapshot
        # Rows of each table by artifact and parser, all and those that begin a record.
        self.counts: dict[Key, Counter[str]] = {}
        self.begins: Counter[Key] = Counter()
        # The highest offset of a row, of artifacts that a library reads always 0.
        self.highest: Counter[Key] = Counter()
        self.packets: Counter[Key] = Counter()
        self._kept: dict[str, list[dict[str, Any]]] = {}
        for table in BOOKS:
            self._kept[table] = [
                row for part in self._read(table, None) for row in part.to_pylist()
            ]
        for table in TABLES.keys() - BOOKS:
            self._count(table)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of a table of `BOOKS`."""
        return self._kept[table]

    def found(self, key: Key) -> Counter[str]:
        """Rows of each table of an artifact. Those without a parser are what the first reading
        says of the artifact as a whole."""
        whole = (key[0], key[1], "")
        own = self.counts.get(key, Counter[str]())
        return own if key[2] in CARVED else own + self.counts.get(whole, Counter[str]())

    def _read(self, table: str, columns: list[str] | None) -> Iterator[pa.Table]:
        schema = delta_schema(TABLES[table].schema)
        for path in self._snapshot.files(table):
            try:
                part = read(path, schema, columns)
            except (OSError, pa.ArrowException) as error:
                why = " ".join(str(error).split())[:200]
                self.checked.expect(False, f"{path}: cannot be read: {why}")
                continue
            yield part

    def _count(self, table: str) -> None:
        names = TABLES[table].schema.names
        keys = ["source_id", "artifact_no", *(["parser"] if "parser" in names else [])]
        flows = ["packets_out", "packets_in"] if table == "network_activity" else []
        # Flows that a capture's datagrams tell of are no packets of it; those inside of tunnels are
        # packets of the tunnel, which are counted as such.
        told = ["log_provider", "tunnel_depth"] if flows else []
        # A table without `sub` is about files, not about records.
        subs = ["sub"] if "sub" in TABLES[table].schema.names and table != "damage" else []
        offsets = ["src_offset"] if subs else []
        for part in self._read(table, [*keys, *subs, *flows, *offsets, *told]):
            if told:
                own = pc.and_(
                    part.column("log_provider").is_null(), part.column("tunnel_depth").is_null()
                )
                for name in flows:
                    counted = pc.if_else(own, part.column(name), None)
                    part = part.set_column(part.schema.get_field_index(name), name, counted)
            if subs:
                first = pc.equal(part.column("sub"), 0).cast(pa.int64())
            else:
                first = pa.nulls(part.num_rows, pa.int64())
            sums = part.append_column("first", first).group_by(keys).aggregate(
                [
                    ([], "count_all"), ("first", "sum"), *((name, "sum") for name in flows),
                    *((name, "max") for name in offsets),
                ]
            )
            for row in sums.to_pylist():
                key = (row["source_id"], row["artifact_no"], row.get("parser", ""))
                self.counts.setdefault(key, Counter())[table] += row["count_all"]
                self.begins[key] += row["first_sum"] or 0
                highest = row.get("src_offset_max") or 0
                self.highest[key] = max(self.highest[key], highest)
                self.packets[key] += sum(row[f"{name}_sum"] or 0 for name in flows)


def _source(row: dict[str, Any], artifacts: list[dict[str, Any]]) -> Checked:
    checked = Checked(row["uri"])
    path = path_of(row["uri"])
    try:
        kind = kind_at(path)
        if row["sha256"] is None:
            files = Files(files_of(path, kind))
            size = files.size
            _equal(checked, "id over samples", row["source_id"], sampled(files))
            files.close()
            checked.notes.append("a large image whose full hash was not taken (--no-full-hash)")
        else:
            digest, size = sha256_of_image(path, kind)
            _equal(checked, "SHA-256", row["sha256"], digest)
    except OSError as error:
        checked.notes.append(f"not reachable, its hash was not checked: {error.strerror}")
    else:
        _equal(checked, "bytes", row["size"], size)
    # A source's sums are those of its closing; what is carved, or read when more of it was wanted,
    # comes later. Of two runs that read it at once one may close it a moment before the row of
    # the other's artifact is made: then all of them are meant.
    own = [a for a in artifacts if a["parser"] not in CARVED]
    closed = [a for a in own if a["ingested"] <= row["ingested"]]
    for name in ("records", "duplicates", "damage"):
        sums = {sum(a[name] or 0 for a in each) for each in (closed, own)}
        checked.expect(
            row[name] in sums, f"{name}: {row[name]} is written, {sorted(sums)} are there"
        )
    return checked


def _artifact(row: dict[str, Any], source: dict[str, Any] | None, books: _Books) -> Checked:
    inside = row["paths"][0]
    checked = Checked(f"{source['uri'] if source else row['source_id']}: {inside}")
    key = _key(row)
    found: Mapping[str, int] = books.found(key) if row["artifact_no"] >= 0 else {}
    if source is None:
        checked.notes.append("its source is not closed: an ingest of it runs, or was stopped")
    elif row["sha256"] == source["sha256"]:
        _equal(checked, "bytes", row["size"], source["size"])
    if row["parser"] is None and row["damage"] == 0:
        return checked
    _equal(checked, "damage rows", row["damage"], found.get("damage", 0))
    if row["parser"] is None:
        return checked
    written = dict(row["rows"])
    there = {table: n for table, n in found.items() if table != "damage"}
    _equal(checked, "rows", written, there)
    ends = row["in_rows"] + row["duplicates"] + row["damage"] + sum(dict(row["counters"]).values())
    _equal(checked, "records = in rows + duplicates + damage + counted", row["records"], ends)
    if row["parser"] == "pcap":
        _equal(checked, "packets of the flows", row["in_rows"], books.packets[key])
    elif row["in_rows"] > 1 and books.begins[key] < row["in_rows"] and (
        books.highest[key] == 0 or row["parser"] in PACKED
    ):
        # The library says of no record where it stands, or they are packed in blocks: `sub` counts
        # through, whatever a row is of.
        in_all = sum(there.values())
        checked.expect(
            row["in_rows"] <= in_all,
            f"records in rows: {row['in_rows']} is written, of {in_all} rows",
        )
    else:
        _equal(checked, "records in rows", row["in_rows"], books.begins[key])
    explained = sum(row[f"bytes_{kind}"] for kind in ("records", "structure", "slack"))
    _equal(checked, "bytes", row["size"], explained + row["bytes_unexplained"])
    unexplained = row["bytes_unexplained"]
    checked.expect(unexplained >= 0, f"{-unexplained} bytes are explained twice")
    return checked


def _equal(checked: Checked, what: str, written: Any, there: Any) -> None:
    checked.expect(written == there, f"{what}: {written} is written, {there} is there")
