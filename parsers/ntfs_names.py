"""$FILE_NAME, as indexes and the log of NTFS hold copies of it; for parsers written in Python.

    parent (8)  made, written, changed, read (8 each)  allocated (8)  size (8)  attributes (4)
    reparse tag (4)  units (1)  namespace (1)  name
"""

import struct
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

EPOCH_1601 = 11_644_473_600_000_000
YEAR_10000 = 253_402_300_800_000_000
HEADER = 66
ROOT = 5
ENTRY = (1 << 48) - 1
IS_FOLDER = 0x10000000
# Of a copy that nothing vouches for, times are believed between these years.
EARLIEST, LATEST = 119_600_064_000_000_000, 189_025_920_000_000_000  # 1980, 2200
_FIELDS = struct.Struct("<QQQQQQQIIBB")


def moment(ticks: int) -> tuple[int | None, int | None]:
    """A FILETIME as microseconds since 1970 UTC and nanoseconds below; None where it is no date."""
    us = ticks // 10 - EPOCH_1601
    if not ticks or us >= YEAR_10000:
        return None, None
    return us, ticks % 10 * 100


def moment_text(ticks: int) -> str:
    """A FILETIME as text, with its 100 ns; as a hexadecimal number where it is no date."""
    us, ns = moment(ticks)
    if us is None or ns is None:
        return f"0x{ticks:x}"
    value = datetime(1970, 1, 1) + timedelta(microseconds=us)
    return f"{value:%Y-%m-%dT%H:%M:%S.%f}{ns // 100}Z"


def text(data: bytes) -> str:
    """UTF-16LE; what is not well-formed stays as lone surrogates, which columns repair and
    count."""
    return data[: len(data) & ~1].decode("utf-16-le", "surrogatepass")


@dataclass(frozen=True, slots=True)
class FileName:
    """Attributes:
    parent: file reference of the folder.
    times: made, written, changed, read, as FILETIME.
    allocated, size: bytes.
    length: bytes of the whole structure.
    """

    parent: int
    times: tuple[int, int, int, int]
    allocated: int
    size: int
    attributes: int
    namespace: int
    name: str
    length: int

    @property
    def plausible(self) -> bool:
        """Whether it can be one, where nothing says so: slack, or records that were torn."""
        return (
            all(EARLIEST <= ticks <= LATEST for ticks in self.times)
            and self.parent & ENTRY < 1 << 32
            and self.namespace <= 3
            and not self.attributes & ~0x3000FFFF
            and self.size < 1 << 60
            and self.allocated < 1 << 60
            and bool(self.name)
            and min(self.name) >= " "
            and not set(self.name) & set('"*/:<>?\\|')
        )

    def columns(self) -> dict[str, Any]:
        """Its columns of `file_query`, but for who wrote it and whether it is in use."""
        made, written, changed, read = (moment(ticks) for ticks in self.times)
        digits = 0
        for ticks in (self.times[0], self.times[1], self.times[3], self.times[2]):
            digits = digits * 10 + ticks % 10
        parent, sequence = self.parent & ENTRY, self.parent >> 48
        folder = "\\" if parent == ROOT else f"\\$Unknown\\{parent}-{sequence}\\"
        is_dir = bool(self.attributes & IS_FOLDER)
        stem, dot, ext = self.name.rpartition(".")
        has_ext = dot and stem and 0 < len(ext.encode("utf-8", "surrogatepass")) <= 32
        return {
            "time": written[0],
            "time_ns": written[1],
            "time_desc": "fn_modified" if written[0] is not None else None,
            "file_path": folder + self.name,
            "file_name": self.name,
            "file_ext": ext.lower() if has_ext and not is_dir else None,
            "file_size": None if is_dir else self.size & (1 << 63) - 1,
            "file_alloc_size": None if is_dir else self.allocated & (1 << 63) - 1,
            "mft_parent_entry": parent,
            "mft_parent_seq": sequence,
            "is_dir": is_dir,
            "file_attributes": self.attributes,
            "fn_created": made[0],
            "fn_modified": written[0],
            "fn_accessed": read[0],
            "fn_changed": changed[0],
            "time_digits": digits,
        }


def file_name(data: bytes, at: int, end: int) -> FileName | None:
    """The $FILE_NAME at `at`, if one has room before `end`."""
    if at < 0 or end > len(data) or at + HEADER > end:
        return None
    fields = _FIELDS.unpack_from(data, at)
    parent, made, written, changed, read, allocated, size, attributes, _, units, space = fields
    length = HEADER + 2 * units
    if at + length > end:
        return None
    name = text(data[at + HEADER : at + length])
    times = (made, written, changed, read)
    return FileName(parent, times, allocated, size, attributes, space, name, length)


def reference(value: int) -> dict[str, Any]:
    """Columns of the file that a reference means."""
    return {"mft_entry": value & ENTRY, "mft_seq": value >> 48}


def undone(data: bytes) -> tuple[bytes, bool]:
    """A record or page with its update sequence undone, and whether its sectors are of one
    writing. One whose sequence cannot be is returned as it is, and is not."""
    at, count = struct.unpack_from("<HH", data, 4)
    if count != len(data) // 512 + 1 or at < 8 or at + 2 * count > 510:
        return data, False
    number = data[at : at + 2]
    out = bytearray(data)
    whole = already = True
    for i in range(1, count):
        tail, real = data[512 * i - 2 : 512 * i], data[at + 2 * i : at + 2 * i + 2]
        whole &= tail == number
        already &= tail == real
        if tail == number:
            out[512 * i - 2 : 512 * i] = real
    return bytes(out), whole or already
