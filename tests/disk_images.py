"""Disks made in tests: partition tables, logical and encrypted volumes, from the specifications."""

import hashlib
import os
import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest

SECTOR = 512
MIB = 1 << 20


def ext(
    folder: Path, tree: dict[str, bytes], size: int = 8 * MIB, kind: str = "ext4",
    written: float | None = None,
) -> bytes:
    """A file system with these files (mke2fs). `written`: when they were written last."""
    tool = shutil.which("mke2fs") or shutil.which("mke2fs", path="/sbin:/usr/sbin")
    if tool is None:
        pytest.skip("mke2fs (e2fsprogs) is not installed")
    root = folder / f"tree-{kind}-{len(list(folder.iterdir()))}"
    root.mkdir(parents=True)
    for name, data in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if written is not None:
            os.utime(path, (written, written))
    image = root.with_suffix(".raw")
    with image.open("wb") as file:
        file.truncate(size)
    subprocess.run(
        [tool, "-q", "-F", "-t", kind, "-d", str(root), str(image)], check=True, capture_output=True
    )
    data = image.read_bytes()
    shutil.rmtree(root)
    image.unlink()
    return data


def entry(kind: int, start: int, count: int) -> bytes:
    """A partition in an MBR: sectors."""
    return struct.pack("<B3xB3xII", 0, kind, start, count)


def table(*entries: bytes) -> bytes:
    """A sector with a partition table."""
    return (bytes(446) + b"".join(entries)).ljust(510, b"\0") + b"\x55\xaa"


def mbr(primary: bytes, logical: list[bytes]) -> bytes:
    """A disk with one primary partition and logical ones in an extended partition."""
    first = 64
    disk = bytearray(first * SECTOR) + primary
    base = len(disk) // SECTOR
    at = base
    chain = bytearray()
    for number, volume in enumerate(logical):
        count = len(volume) // SECTOR
        nxt = at + 8 + count
        more = [entry(5, nxt - base, 1)] if number + 1 < len(logical) else []
        chain += table(entry(0x83, 8, count), *more).ljust(8 * SECTOR, b"\0") + volume
        at = nxt
    disk += chain
    disk[:SECTOR] = table(
        entry(0x83, first, len(primary) // SECTOR), entry(15, base, len(chain) // SECTOR)
    )
    return bytes(disk)


def gpt(volumes: list[bytes], sector: int = 512) -> bytes:
    """A disk with a GPT (UEFI 2.10, 5.3)."""
    at = 2048 * 512 // sector
    entries = bytearray()
    content = bytearray()
    for number, volume in enumerate(volumes):
        count = len(volume) // sector
        kind = bytes(range(16)) if volume else bytes(16)
        entries += struct.pack(
            "<16s16sQQQ72s", kind, bytes([number]) * 16, at, at + count - 1, 0, b""
        )
        content += volume
        at += count
    header = struct.pack(
        "<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, 1, at, 34, at, b"d" * 16, 2,
        len(volumes), 128, zlib.crc32(entries),
    )
    disk = bytearray(2048 * 512) + content
    disk[:512] = table(entry(0xEE, 1, 0xFFFFFFFF))
    disk[sector : sector + len(header)] = header
    disk[2 * sector : 2 * sector + len(entries)] = entries
    return bytes(disk) + header.ljust(sector, b"\0")


def luks(volume: bytes, password: bytes, key: bytes = b"k" * 32) -> bytes:
    """A LUKS 1 volume, aes-cbc-plain (LUKS On-Disk Format 1.2)."""
    aes: Any = pytest.importorskip("Cryptodome.Cipher.AES")
    stripes, rounds = 4000, 1000
    salt, slot_salt = b"s" * 32, b"t" * 32

    def crypt(secret: bytes, data: bytes, first: int = 0) -> bytes:
        out = bytearray()
        for at in range(0, len(data), SECTOR):
            iv = struct.pack("<I12x", first + at // SECTOR)
            out += aes.new(secret, aes.MODE_CBC, iv).encrypt(data[at : at + SECTOR])
        return bytes(out)

    def diffuse(block: bytes) -> bytes:
        out = b""
        for number in range(-(-len(block) // 20)):
            piece = block[20 * number : 20 * number + 20]
            out += hashlib.sha1(struct.pack(">I", number) + piece).digest()[: len(piece)]
        return out

    last = bytes(len(key))
    split = b""
    for number in range(stripes - 1):
        piece = hashlib.sha256(struct.pack("<I", number)).digest()[: len(key)]
        split += piece
        last = diffuse(bytes(a ^ b for a, b in zip(last, piece, strict=True)))
    split += bytes(a ^ b for a, b in zip(last, key, strict=True))
    payload = 4096
    derived = hashlib.pbkdf2_hmac("sha1", password, slot_salt, rounds, len(key))
    material = crypt(derived, split.ljust(-(-len(split) // SECTOR) * SECTOR, b"\0"))
    header = struct.pack(
        ">6sH32s32s32sII20s32sI40s", b"LUKS\xba\xbe", 1, b"aes", b"cbc-plain", b"sha1", payload,
        len(key), hashlib.pbkdf2_hmac("sha1", key, salt, rounds, 20), salt, rounds,
        b"12345678-1234-1234-1234-123456789012",
    )
    slots = struct.pack(">II32sII", 0x00AC71F3, rounds, slot_salt, 8, stripes)
    slots += 7 * struct.pack(">II32sII", 0x0000DEAD, 0, b"", 8, stripes)
    disk = bytearray(payload * SECTOR)
    disk[: len(header)] = header
    disk[len(header) : len(header) + len(slots)] = slots
    disk[8 * SECTOR : 8 * SECTOR + len(material)] = material
    return bytes(disk) + crypt(key, volume)


def crc(data: bytes) -> int:
    """LVM's checksum."""
    return zlib.crc32(data, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def lvm(volume: bytes) -> bytes:
    """A physical volume with one logical volume `root` in the group `vg` (lvm2's label, header
    of the metadata area, and text)."""
    extent, first = 4 * MIB, MIB
    count = len(volume) // extent
    name = "Abcdef-Abcd-Abcd-Abcd-Abcd-Abcd-Abcdef"
    pv = name.replace("-", "").encode()
    text = f"""vg {{
id = "{name}"
seqno = 1
format = "lvm2"
status = ["RESIZEABLE", "READ", "WRITE"]
flags = []
extent_size = {extent // SECTOR}
max_lv = 0
max_pv = 0
metadata_copies = 0
physical_volumes {{
pv0 {{
id = "{name}"
device = "/dev/sda2"
status = ["ALLOCATABLE"]
flags = []
dev_size = {(first + len(volume)) // SECTOR}
pe_start = {first // SECTOR}
pe_count = {count}
}}
}}
logical_volumes {{
root {{
id = "{name.replace('A', 'B')}"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
creation_host = "h"
creation_time = 1600000000
segment_count = 1
segment1 {{
start_extent = 0
extent_count = {count}
type = "striped"
stripe_count = 1
stripes = [
"pv0", 0
]
}}
}}
}}
}}
contents = "Text Format Volume Group"
version = 1
description = ""
creation_host = "h"
creation_time = 1600000000
""".encode() + b"\0"
    area, room = 4096, first - 4096
    raw = struct.pack("<QQII", 512, len(text), crc(text), 0) + bytes(24)
    head = b" LVM2 x[5A%r0N*>" + struct.pack("<IQQ", 1, area, room) + raw
    head = head.ljust(508, b"\0")
    head = struct.pack("<I", crc(head)) + head
    pvh = pv + struct.pack("<Q", first + len(volume))
    pvh += struct.pack("<QQ", first, 0) + bytes(16) + struct.pack("<QQ", area, room) + bytes(16)
    body = struct.pack("<I8s", 32, b"LVM2 001") + pvh
    body = body.ljust(492, b"\0")
    label = b"LABELONE" + struct.pack("<QI", 1, crc(body)) + body
    disk = bytearray(first)
    disk[512:1024] = label
    disk[area : area + 512] = head
    disk[area + 512 : area + 512 + len(text)] = text
    return bytes(disk) + volume
