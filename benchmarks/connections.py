"""Connections that are made up: a lake of them, as large as wanted, the same each time."""

import hashlib
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from tracelake.ingest.books import artifact_row, batch_of, source_row
from tracelake.ingest.events import Facts, Identity
from tracelake.ingest.sofar import SoFar
from tracelake.lake.lake import Lake
from tracelake.lake.unit import WrittenUnit
from tracelake.normalize import TABLES, Provenance, complete
from tracelake.version import VERSION

TABLE = "network_activity"
BEGIN = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp()) * 1_000_000
ADDRESSES = 200_000
GROUP = 122_880
# splitmix64, by which row numbers become values that look like chance and are always the same.
_STEPS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_MASK = (1 << 64) - 1


def source_id(number: int) -> str:
    """The id of the capture `number` of a sensor."""
    return hashlib.sha256(f"capture {number}".encode()).hexdigest()[:32]


def _mixed(first: int, count: int, salt: int) -> pa.Array:
    """Numbers that look like chance, of row numbers from `first` on."""
    with_salt = (first * 0x9E3779B97F4A7C15 + salt * 0xD1B54A32D192ED03) & _MASK
    step = pa.scalar(0x9E3779B97F4A7C15, pa.uint64())
    x = pc.add(
        pc.multiply(pa.array(range(count), pa.uint64()), step), pa.scalar(with_salt, pa.uint64())
    )
    for shift, factor in _STEPS:
        x = pc.bit_wise_xor(x, pc.shift_right(x, pa.scalar(shift, pa.uint64())))
        x = pc.multiply(x, pa.scalar(factor, pa.uint64()))
    return pc.bit_wise_xor(x, pc.shift_right(x, pa.scalar(31, pa.uint64())))


def _below(numbers: pa.Array, limit: int, kind: pa.DataType) -> pa.Array:
    whole = pc.divide(numbers, pa.scalar(limit, pa.uint64()))
    return pc.subtract(numbers, pc.multiply(whole, pa.scalar(limit, pa.uint64()))).cast(kind)


def address(number: int) -> str:
    """An address of the made-up network."""
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


_ADDRESSES = pa.array([address(number) for number in range(ADDRESSES)])


def _addresses(numbers: pa.Array) -> pa.Array:
    """Addresses, some much more often than others, as on any network."""
    small = _below(numbers, ADDRESSES, pa.int64())
    other = _below(pc.shift_right(numbers, pa.scalar(20, pa.uint64())), ADDRESSES, pa.int64())
    # The product of two: half of all rows are of an eighth of the addresses.
    code = pc.divide(pc.multiply(small, other), ADDRESSES).cast(pa.int32())
    words = _ADDRESSES.take(code).dictionary_encode()
    return words


def rows(first: int, begin: int, length: int, count: int, capture: int) -> pa.RecordBatch:
    """Connections as a parser hands them over, completed.

    Args:
        first: number of the first, of all that there are.
        begin, length: microseconds; their times are spread over it, in order.
        capture: whose they are.
    """
    one, two, three = (_mixed(first, count, salt) for salt in (1, 2, 3))
    step = max(length // count, 1)
    jitter = _below(three, step, pa.int64())
    at = pc.add(pc.multiply(pa.array(range(count), pa.int64()), step), pc.add(jitter, begin))
    sizes = _below(two, 100_000, pa.int64())
    port = pc.choose(_below(three, 4, pa.int64()), *(pa.scalar(p, pa.int32()) for p in
                                                      (443, 53, 445, 8080)))
    offsets = pc.multiply(pa.array(range(count), pa.int64()), 100)
    batch = pa.RecordBatch.from_pydict(
        {
            "time": at.cast(pa.timestamp("us", tz="UTC")),
            "time_ns": pa.array([0] * count, pa.int16()),
            "activity_id": pa.array([6] * count, pa.int16()),
            "src_ip": _addresses(one),
            "src_port": pc.add(_below(one, 28_000, pa.int32()), pa.scalar(32_768, pa.int32())),
            "dst_ip": _addresses(two),
            "dst_port": port,
            "transport": pa.array(["tcp"] * count).dictionary_encode(),
            "protocol_num": pa.array([6] * count, pa.int16()),
            "duration_s": pc.divide(sizes.cast(pa.float64()), 1000.0),
            "bytes_out": sizes,
            "bytes_in": _below(three, 1_000_000, pa.int64()),
            "packets_out": _below(three, 100, pa.int64()),
            "packets_in": _below(two, 100, pa.int64()),
            "conn_state": pa.array(["SF"] * count).dictionary_encode(),
            "sub": pa.array([0] * count, pa.int32()),
            "record_hash": _below(one, 1 << 62, pa.int64()),
            "src_offset": offsets,
            "src_length": pa.array([100] * count, pa.int32()),
            "parse_flags": pa.nulls(count, pa.int32()),
        }
    )
    return complete(TABLES[TABLE], batch, provenance(capture))


def provenance(capture: int) -> Provenance:
    """Where the rows of a capture come from."""
    return Provenance("bench", source_id(capture), 0, "pcap", VERSION, "bench/1")


def written(lake: Lake, capture: int, batches: list[pa.RecordBatch]) -> WrittenUnit:
    """A capture's rows and books as files that can be committed."""
    identity = source_id(capture)
    unit = f"{identity[:16]}-0-pcap-{VERSION.replace('.', '_')}"
    writer = lake.writer(unit)
    count = 0
    for batch in batches:
        writer.write(TABLE, batch)
        count += batch.num_rows
    facts = Facts(f"sensor-{capture:08}.pcap", "pcap", size=count * 100, records=count,
                  in_rows=count, rows={TABLE: count}, bytes_records=count * 100)
    row = artifact_row("bench", identity, 0, unit, VERSION, facts)
    writer.write("artifact", batch_of("artifact", [row]))
    sofar = SoFar()
    sofar.add(0, facts)
    kept = source_row("bench", Identity(identity, identity * 2), f"/evidence/{capture:08}.pcap",
                      count * 100, unit, VERSION, sofar)
    writer.write("source", batch_of("source", [kept]))
    return writer.close()
