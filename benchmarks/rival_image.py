"""Yardstick for `image`: every file of an ext volume read with pyfsext, with its SHA-256.

python benchmarks/rival_image.py IMAGE
"""

import hashlib
import sys
from typing import Any

import pyfsext

BLOCK = 1 << 20


def main(path: str) -> None:
    volume = pyfsext.volume()
    volume.open(path)
    print(read(volume.get_root_directory()))


def read(folder: Any) -> int:
    """Bytes of all files below a folder."""
    total = 0
    for number in range(folder.number_of_sub_file_entries):
        entry = folder.get_sub_file_entry(number)
        if entry.file_mode & 0xF000 == 0x4000:
            total += read(entry)
            continue
        digest = hashlib.sha256()
        at, size = 0, entry.size
        while at < size:
            data = entry.read_buffer_at_offset(min(BLOCK, size - at), at)
            digest.update(data)
            at += len(data)
        total += size
    return total


if __name__ == "__main__":
    main(sys.argv[1])
