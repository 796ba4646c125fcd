"""The boot sector of an NTFS volume ($Boot): its serial number and its measures.

Specification: "NT File System (NTFS) format" (libyal, libfsntfs), volume header.

One row of `inventory`, fact `volume`: links, prefetch files and registry keys name volumes by the
serial number. An image of a whole volume begins with the same sector and is not taken for one.
"""

import struct
from collections.abc import Iterator

import pyarrow as pa

from tracelake.parsers.artifact import Artifact, Match, Parser, Rank
from tracelake.parsers.pyrows import CHECKSUM_BAD, PyRows

VERSION = "1"

SECTOR = 512
SECTORS = (256, 512, 1024, 2048, 4096)
MOST = 16384  # bytes of a $Boot: 8 KiB; what is longer is a volume
DEVICE = 5001
QUERY = 1


def match(head: bytes, path: str) -> tuple[Match, str]:
    """How sure it is that an artifact is a boot sector of NTFS, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source.
    """
    if len(head) >= SECTOR and head[3:11] == b"NTFS    ":
        if len(head) <= MOST:
            return Match.CONTENT, ""
        return Match.NO, "begins with a boot sector of NTFS and is longer than one: a volume"
    return Match.NO, "no boot sector of NTFS"


def measure(value: int, cluster: int) -> int:
    """Bytes of a record, from how the sector says it: clusters, or minus the power of two."""
    return value * cluster if value > 0 else 1 << min(-value, 40)


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields the volume's row of `inventory`.

    Args:
        artifact: its account is kept.
    """
    rows = PyRows(artifact)
    data = artifact.feed.read(SECTOR)
    if len(data) < SECTOR or data[3:11] != b"NTFS    ":
        why = f"{len(data)} bytes of {SECTOR}" if len(data) < SECTOR else "no NTFS signature"
        rows.damaged(0, len(data), "boot sector", why)
        return
    sector, clusters = struct.unpack_from("<HB", data, 11)
    # Above 128 it is minus the power of two.
    cluster = sector * (clusters if clusters <= 128 else 1 << min(256 - clusters, 40))
    total, table, mirror = struct.unpack_from("<QQQ", data, 40)
    if sector not in SECTORS or not clusters or not total:
        rows.damaged(0, SECTOR, "boot sector", "measures that no volume has")
        return
    record, index = struct.unpack_from("<b3xb", data, 64)
    serial = struct.unpack_from("<Q", data, 72)[0]
    short = f"{serial >> 16 & 0xFFFF:04X}-{serial & 0xFFFF:04X}"
    flags = 0 if data[510:] == b"\x55\xaa" else CHECKSUM_BAD
    rows.seen(SECTOR)
    rows.add(
        "inventory", 0, SECTOR, data, flags=flags, class_uid=DEVICE, activity_id=QUERY,
        fact="volume", detail=f"NTFS, serial number {short}, {total * sector} bytes",
        unmapped={
            "serial": f"{serial:016x}",
            "serial_short": short,
            "bytes": str(total * sector),
            "sector_size": str(sector),
            "cluster_size": str(cluster),
            "mft_offset": str(table * cluster),
            "mft_mirror_offset": str(mirror * cluster),
            "mft_entry_size": str(measure(record, cluster)),
            "index_record_size": str(measure(index, cluster)),
        },
    )  # fmt: skip
    while loader := artifact.feed.read(SECTOR):
        artifact.account.bytes_structure += len(loader)
    yield from rows.rest()


PARSER = Parser(
    "ntfs_boot", VERSION, match, ("inventory",), read, files=("$boot", "*/$boot"),
    rank=Rank.FILE_SYSTEM,
)  # fmt: skip
