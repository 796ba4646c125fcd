"""Does everything that is in still hold: hashes, statistics, accounts, bytes."""

import hashlib
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq

from tracelake.lake.lake import Lake
from tracelake.lake.snapshot import Snapshot
from tracelake.lake.verify import Checked
from tracelake.lake.verify import verify as verify_tables
from tracelake.normalize import TABLES

BLOCK = 4 << 20
# Books, not rows of evidence.
BOOKS = {"source", "artifact"}


def verify(lake: Lake) -> Iterator[Checked]:
    """Checks an engagement: its evidence as far as it is reachable, its tables, its books.

    Raises nothing for what is wrong: it is in `wrong`.
    """
    snapshot = lake.snapshot()
    counts = _counts(snapshot)
    packets = _packets(snapshot)
    artifacts = _rows(snapshot, "artifact")
    sources = {row["source_id"]: row for row in _rows(snapshot, "source")}
    yield from verify_tables(lake)
    for row in sources.values():
        yield _source(row, [a for a in artifacts if a["source_id"] == row["source_id"]])
    for row in artifacts:
        yield _artifact(row, sources, counts, packets)


def _source(row: dict[str, Any], artifacts: list[dict[str, Any]]) -> Checked:
    checked = Checked(row["uri"])
    digest = hashlib.sha256()
    try:
        with open(row["uri"], "rb", buffering=0) as file:
            while block := file.read(BLOCK):
                digest.update(block)
    except OSError as error:
        checked.notes.append(f"not reachable, its hash was not checked: {error.strerror}")
    else:
        _equal(checked, "SHA-256", row["sha256"], digest.hexdigest())
    for name in ("records", "duplicates", "damage"):
        _equal(checked, name, row[name], sum(a[name] or 0 for a in artifacts))
    return checked


def _artifact(
    row: dict[str, Any],
    sources: dict[str, dict[str, Any]],
    counts: dict[tuple[str, int], dict[str, int]],
    packets: dict[tuple[str, int], int],
) -> Checked:
    source = sources.get(row["source_id"])
    inside = row["paths"][0]
    checked = Checked(f"{source['uri'] if source else row['source_id']}: {inside}")
    key = (row["source_id"], row["artifact_no"])
    found = counts.get(key, {}) if row["artifact_no"] >= 0 else {}
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
        _equal(checked, "packets of the flows", row["in_rows"], packets.get(key, 0))
    explained = sum(row[f"bytes_{kind}"] for kind in ("records", "structure", "slack"))
    _equal(checked, "bytes", row["size"], explained + row["bytes_unexplained"])
    unexplained = row["bytes_unexplained"]
    checked.expect(unexplained >= 0, f"{-unexplained} bytes are explained twice")
    return checked


def _rows(snapshot: Snapshot, table: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for file in snapshot.files(table):
        rows.extend(pq.ParquetFile(file).read().to_pylist())
    return rows


def _counts(snapshot: Snapshot) -> dict[tuple[str, int], dict[str, int]]:
    """Rows of each table by artifact."""
    counts: dict[tuple[str, int], dict[str, int]] = {}
    for table in TABLES:
        if table in BOOKS:
            continue
        for file in snapshot.files(table):
            keys = pq.ParquetFile(file).read(columns=["source_id", "artifact_no"])
            for group in keys.group_by(["source_id", "artifact_no"]).aggregate(
                [([], "count_all")]
            ).to_pylist():
                found = counts.setdefault((group["source_id"], group["artifact_no"]), {})
                found[table] = found.get(table, 0) + group["count_all"]
    return counts


def _packets(snapshot: Snapshot) -> dict[tuple[str, int], int]:
    """Packets of the flows by artifact. Inner flows of a tunnel (sub > 0) hold no packet of
    their own."""
    sums: dict[tuple[str, int], int] = {}
    columns = ["source_id", "artifact_no", "sub", "packets_out", "packets_in"]
    for file in snapshot.files("network_activity"):
        table = pq.ParquetFile(file).read(columns=columns)
        for row in (
            table.group_by(["source_id", "artifact_no"])
            .aggregate([("packets_out", "sum"), ("packets_in", "sum")])
            .to_pylist()
        ):
            key = (row["source_id"], row["artifact_no"])
            added = (row["packets_out_sum"] or 0) + (row["packets_in_sum"] or 0)
            sums[key] = sums.get(key, 0) + added
    return sums


def _equal(checked: Checked, what: str, written: Any, there: Any) -> None:
    checked.expect(written == there, f"{what}: {written} is written, {there} is there")
