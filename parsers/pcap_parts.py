"""How several workers read one capture (docs/parts.md).

The packets of a flow are all over the file, so a part is not a range of bytes: every worker walks
all packets, and follows those flows only whose pair of addresses is in its share. To walk costs a
tenth of reading at full depth; what several flows of two hosts have to do with each other (the data
connections of FTP, fragments, the templates of an exporter) is met by one worker.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from tracelake.parsers.artifact import Artifact, Part, Parts, Reading
from tracelake.parsers.flow import SHARES

# For less, a second worker does not pay.
LEAST = 64 << 20
# Rows that stand once for a source, however often they were met, and the column that tells.
ONCE = {"certificate": "cert_sha256"}
# The column of these that names flows, and how many: those whose names are first.
SEEN_IN = "seen_in"
SEEN_LIMIT = 100

Rows = list[tuple[str, pa.RecordBatch]]


def share(number: int, of: int) -> tuple[int, int]:
    """Which of SHARES a part takes: [low, high). The last part has hashed the file before it began,
    which is about a tenth of reading it alone: its share is smaller."""
    last = max(1, round(SHARES * (1 / of - 0.1 * (1 - 1 / of))))
    others = SHARES - last
    if number == of - 1:
        return others, SHARES
    return others * number // (of - 1), others * (number + 1) // (of - 1)


def joined(facts: Sequence[Rows]) -> Iterator[tuple[str, pa.RecordBatch]]:
    """The rows that parts left to the whole: of those that are the same, the one that stands first
    in the capture."""
    tables: dict[str, list[pa.RecordBatch]] = {}
    for table, batch in (each for rows in facts for each in rows):
        tables.setdefault(table, []).append(batch)
    for table, batches in tables.items():
        rows = pa.concat_tables(
            [pa.table(batch) for batch in batches], promote_options="default"
        ).combine_chunks()
        order = pc.sort_indices(rows, [("src_offset", "ascending"), ("sub", "ascending")])
        rows = rows.take(order)
        same: dict[Any, list[int]] = {}
        for i, key in enumerate(rows.column(ONCE[table]).to_pylist()):
            same.setdefault(key, []).append(i)
        kept = [each[0] for each in same.values()]
        if SEEN_IN in rows.schema.names:
            seen = rows.column(SEEN_IN)
            flows = [
                sorted({uid for i in each for uid in seen[i].as_py() or ()})[:SEEN_LIMIT]
                for each in same.values()
            ]
            at = rows.schema.get_field_index(SEEN_IN)
            rows = rows.take(kept).set_column(at, SEEN_IN, pa.array(flows, seen.type))
            kept = list(range(len(kept)))
        yield from ((table, batch) for batch in rows.take(kept).to_batches())


def _no_borders(_file: BinaryIO, _size: int) -> Iterator[int]:
    return iter(())


def _nothing_shared(keys: Sequence[bytes]) -> list[bytes]:
    return [b""] * len(keys)


def parts(begin: Callable[[Artifact, Part], Reading]) -> Parts:
    """The parts of captures, each begun by `begin`."""
    return Parts(LEAST, _no_borders, begin, _nothing_shared, joined, whole=True)
