"""Fuzzing native functions by themselves: what unpacks, hashes and splits bytes of evidence.

The parsers reach them too, but only with what their formats let through.
"""

import base64
import hashlib
import zlib
from dataclasses import dataclass

from tests.fuzz.corpus import corpus
from tests.fuzz.examine import Finding
from tracelake.native.crc32 import checksum, checksum_by_tables
from tracelake.native.errors import EvidenceError
from tracelake.native.hashing import record_hash
from tracelake.native.lzxpress import huffman
from tracelake.native.rc4 import Rc4
from tracelake.native.sha1 import sha1_base64
from tracelake.parsers.lz4block import unpack
from tracelake.parsers.text_parts import words_of, xml_of
from tracelake.parsers.texts import binary, endpoint, line, mof

LARGEST = 1 << 20


@dataclass(slots=True)
class Called:
    """What the functions made of some bytes."""

    unpacked: int = 0
    huffman: int = 0
    said: str = ""
    words: int = 0
    xml: bool = False
    texts: tuple[bool, ...] = ()

    @property
    def signature(self) -> tuple[object, ...]:
        return (self.unpacked.bit_length(), self.huffman.bit_length(), self.said[:24],
                self.words.bit_length(), self.xml, self.texts)


def examine_functions(data: bytes) -> Called:
    """Gives some bytes to each function; where another one says the same, it must.

    The first bytes say how much room there is to unpack into, and where to begin.
    """
    out = Called()
    room = int.from_bytes(data[:3], "little") % LARGEST
    start = int.from_bytes(data[3:4], "little") % 16
    packed = unpack(data[4:], room)
    if packed is not None:
        if len(packed) > room:
            raise Finding(f"lz4: {len(packed)} bytes in a room of {room}")
        out.unpacked = len(packed)
    try:
        plain, out.said = huffman(data, start, room)
    except EvidenceError as error:
        plain, out.said = b"", str(error)
    if len(plain) > room:
        raise Finding(f"lzxpress: {len(plain)} bytes, {room} were asked for")
    out.huffman = len(plain)

    if checksum(data) != zlib.crc32(data) or checksum_by_tables(data) != zlib.crc32(data):
        raise Finding("crc32 differs from zlib's")
    if record_hash(data) != record_hash(bytearray(data)):
        raise Finding("the hash of a record is not the same twice")
    block = data[:55]  # it takes one block
    if sha1_base64(block) != base64.b64encode(hashlib.sha1(block).digest()).decode():
        raise Finding("sha1 differs from hashlib's")
    key = data[: 1 + start]
    if key and Rc4(key).crypt(Rc4(key).crypt(data)) != data:
        raise Finding("rc4 is not its own inverse")

    out.words = len(words_of(data))
    out.xml = xml_of(data, b"Event/EventData/Data") is not None
    text = data[:4096].decode("utf-8", "replace")
    out.texts = (
        line(text, "name|key") is not None, mof(text, "Query") is not None,
        binary(text, True) is not None, binary(text, False) is not None,
        endpoint(text) != (None, None),
    )
    return out


def function_seeds() -> list[bytes]:
    """Packed bytes, texts, and lengths at the ends of blocks."""
    seeds = [bytes(n) for n in (4, 63, 64, 65, 127, 128, 129, 1024)]
    seeds += [b"\0\x40\0\x08" + each[4:] for each in corpus(False)["prefetch"]
              if each.startswith(b"MAM")]
    # LZ4: literals, a match at a distance, long lengths.
    seeds += [
        b"\x40\0\0\0" + b"\x40abcd\x04\x00" + b"\x50efghi",
        b"\0\x10\0\0" + b"\x1fa\x01\x00" + b"\xff" * 8 + b"\x10\x50efghi",
        b"\0\x10\0\0" + b"\xf0\xff\xff\x20" + bytes(range(256)) * 3,
    ]
    seeds += [
        b'<Event><EventData><Data Name="key">a</Data></EventData></Event>',
        b"name: a\r\nkey: b\r\n\tc", b'instance of X { Query = "select * from \\"a\\""; };',
        b"192.168.1.2:443", b"[fe80::1%3]:99", b"41 00 42 00", b"0x41424344",
        b"a 'b c' \"d e\" \\ f",
    ]
    return seeds
