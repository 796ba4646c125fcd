"""Messages of SMB, DCE/RPC, NTLM and RDP, put together without the code under test."""

import struct
from uuid import UUID

EPOCH = 116444736000000000          # FILETIME of 1970
WRITTEN = EPOCH + 1_600_000_000 * 10**7
NDR = UUID("8a885d04-1ceb-11c9-9fe8-08002b104860")
SVCCTL = UUID("367abb81-9844-35f1-ad32-98f038001003")
SPOOLSS = UUID("12345678-1234-abcd-ef00-0123456789ab")


def wide(text: str) -> bytes:
    return text.encode("utf-16-le")


def framed(*messages: bytes) -> bytes:
    """Each message behind its length, as over TCP."""
    return b"".join(struct.pack(">I", len(m)) + m for m in messages)


# SMB 2.


def smb2(
    command: int, body: bytes, mid: int, *, answer: bool = False, status: int = 0, tree: int = 0,
    flags: int = 0, following: int = 0,
) -> bytes:
    return struct.pack(
        "<4sHHIHHIIQIIQ16s", b"\xfeSMB", 64, 0, status, command, 1, flags | answer, following, mid,
        0, tree, 7, b"",
    ) + body


def compound(*messages: bytes) -> bytes:
    """Messages of which each says where the next one is."""
    out = b""
    for i, message in enumerate(messages):
        message += b"\0" * (-len(message) % 8)
        last = i == len(messages) - 1
        out += message[:20] + struct.pack("<I", 0 if last else len(message)) + message[24:]
    return out


def negotiate2(dialect: int) -> bytes:
    return smb2(0, struct.pack("<HHHH", 65, 1, dialect, 0).ljust(64, b"\0"), 0, answer=True)


def tree_connect2(mid: int, path: str) -> bytes:
    name = wide(path)
    return smb2(3, struct.pack("<HHHH", 9, 0, 72, len(name)) + name, mid)


def tree_connected2(mid: int, tree: int, kind: int) -> bytes:
    return smb2(3, struct.pack("<HBBIII", 16, kind, 0, 0, 0, 0), mid, answer=True, tree=tree)


def create2(
    mid: int, tree: int, name: str, *, disposition: int = 1, access: int = 0x120089, flags: int = 0
) -> bytes:
    text = wide(name)
    body = struct.pack(
        "<HBBIQQIIIIIHHII", 57, 0, 0, 2, 0, 0, access, 0, 7, disposition, 0, 120, len(text), 0, 0
    )
    return smb2(5, body + text, mid, tree=tree, flags=flags)


def created2(
    mid: int, tree: int, file: int, *, size: int = 0, written: int = WRITTEN, status: int = 0
) -> bytes:
    body = struct.pack(
        "<HBBIQQQQQQIIQQII", 89, 0, 0, 1, WRITTEN, WRITTEN, written, WRITTEN, size, size, 0x20, 0,
        file, 0, 0, 0,
    )
    return smb2(5, body, mid, answer=True, tree=tree, status=status)


def close2(mid: int, tree: int, file: int, *, flags: int = 0) -> bytes:
    return smb2(6, struct.pack("<HHIQQ", 24, 0, 0, file, file and 0), mid, tree=tree, flags=flags)


def read2(mid: int, tree: int, file: int, at: int, n: int) -> bytes:
    body = struct.pack("<HBBIQQQIIIHH", 49, 0, 0, n, at, file, 0, 0, 0, 0, 0, 0)
    return smb2(8, body + b"\0", mid, tree=tree)


def was_read2(mid: int, tree: int, data: bytes) -> bytes:
    body = struct.pack("<HBBIII", 17, 80, 0, len(data), 0, 0)
    return smb2(8, body + data, mid, answer=True, tree=tree)


def write2(mid: int, tree: int, file: int, at: int, data: bytes) -> bytes:
    body = struct.pack("<HHIQQQIIHHI", 49, 112, len(data), at, file, 0, 0, 0, 0, 0, 0)
    return smb2(9, body + data, mid, tree=tree)


def ioctl2(mid: int, tree: int, file: int, data: bytes, *, answer: bool = False) -> bytes:
    if answer:
        body = struct.pack(
            "<HHIQQIIIIII", 49, 0, 0x11C017, file, 0, 112, 0, 112, len(data), 0, 0
        )
    else:
        body = struct.pack(
            "<HHIQQIIIIIIII", 57, 0, 0x11C017, file, 0, 120, len(data), 0, 0, 0, 1024, 1, 0
        )
    return smb2(11, body + data, mid, answer=answer, tree=tree)


def set_info2(
    mid: int, tree: int, file: int, level: int, data: bytes, *, high: int = 0, flags: int = 0
) -> bytes:
    body = struct.pack("<HBBIHHIQQ", 33, 1, level, len(data), 96, 0, 0, file, high)
    return smb2(17, body + data, mid, tree=tree, flags=flags)


def session_setup2(mid: int, token: bytes) -> bytes:
    body = struct.pack("<HBBIIHHQ", 25, 0, 1, 0, 0, 88, len(token), 0)
    return smb2(1, body + token, mid)


def session_answer2(mid: int, token: bytes, status: int = 0) -> bytes:
    body = struct.pack("<HHHH", 9, 0, 72, len(token))
    return smb2(1, body + token, mid, answer=True, status=status)


# SMB 1.


def smb1(
    command: int, words: bytes, data: bytes, mid: int, *, answer: bool = False, status: int = 0,
    tree: int = 0, names: int = 0x8000,
) -> bytes:
    head = struct.pack(
        "<4sBIBHH8sHHHHH", b"\xffSMB", command, status, 0x80 if answer else 0, names, 0, b"", 0,
        tree, 1, 2, mid,
    )
    return head + bytes([len(words) // 2]) + words + struct.pack("<H", len(data)) + data


# NTLM.


def fields(at: int, *values: bytes) -> tuple[bytes, bytes]:
    """Length, room and offset of each value, and all values; the first stands at `at`."""
    head = b""
    for value in values:
        head += struct.pack("<HHI", len(value), len(value), at)
        at += len(value)
    return head, b"".join(values)


def ntlm_negotiate() -> bytes:
    return b"NTLMSSP\0" + struct.pack("<II", 1, 0xE2088297) + b"\0" * 24


def ntlm_challenge(nb: str, dns: str, tree: str) -> bytes:
    pairs = b"".join(
        struct.pack("<HH", kind, len(wide(text))) + wide(text)
        for kind, text in ((2, "DOM"), (1, nb), (3, dns), (5, tree))
    ) + bytes(4)
    target, _ = fields(56, b"")
    info, _ = fields(56, pairs)
    return (
        b"NTLMSSP\0" + struct.pack("<I", 2) + target + struct.pack("<I", 0xE2898215) + bytes(16)
        + info + bytes(8) + pairs
    )


def ntlm_authenticate(user: str, domain: str, host: str, response: int = 300) -> bytes:
    head, data = fields(
        72, b"l" * 24, b"n" * response, wide(domain), wide(user), wide(host), b"k" * 16
    )
    flags = struct.pack("<I", 0xE2888215)
    return b"NTLMSSP\0" + struct.pack("<I", 3) + head + flags + bytes(8) + data


def der(tag: int, *content: bytes) -> bytes:
    body = b"".join(content)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    return bytes([tag, 0x82]) + struct.pack(">H", len(body)) + body


def spnego_init(token: bytes) -> bytes:
    mechanisms = der(0xA0, der(0x30, bytes.fromhex("060a2b06010401823702020a")))
    inner = der(0x30, mechanisms, der(0xA2, der(0x04, token)))
    return der(0x60, bytes.fromhex("06062b0601050502"), der(0xA0, inner))


def spnego_response(state: int, token: bytes = b"") -> bytes:
    parts = [der(0xA0, der(0x0A, bytes([state])))]
    if token:
        parts.append(der(0xA2, der(0x04, token)))
    return der(0xA1, der(0x30, *parts))


# DCE/RPC.


def rpc(
    kind: int, body: bytes, call: int = 1, *, flags: int = 3, big: bool = False,
    auth: tuple[int, bytes] | None = None,
) -> bytes:
    order = ">" if big else "<"
    tail = b""
    if auth is not None:
        tail = struct.pack("BBBB", auth[0], 6, 0, 0) + struct.pack(order + "I", 0) + auth[1]
    head = struct.pack("BBBB4s", 5, 0, kind, flags, b"\x00\0\0\0" if big else b"\x10\0\0\0")
    length = 16 + len(body) + len(tail)
    head += struct.pack(order + "HHI", length, len(auth[1]) if auth else 0, call)
    return head + body + tail


def bind(
    interface: UUID, context: int = 0, *, kind: int = 11, big: bool = False,
    auth: tuple[int, bytes] | None = None,
) -> bytes:
    order = ">" if big else "<"
    body = struct.pack(order + "HHIBxxx", 4280, 4280, 0, 1)
    body += struct.pack(order + "HBx", context, 1)
    for uuid in (interface, NDR):
        body += (uuid.bytes if big else uuid.bytes_le) + struct.pack(order + "HH", 2, 0)
    return rpc(kind, body, big=big, auth=auth)


def bind_ack(address: str, *, big: bool = False) -> bytes:
    text = address.encode() + b"\0"
    body = struct.pack(">HHIH" if big else "<HHIH", 4280, 4280, 9, len(text)) + text
    body += b"\0" * (-len(body) % 4) + struct.pack("BBBB", 1, 0, 0, 0) + bytes(24)
    return rpc(12, body, big=big)


def request(
    opnum: int, call: int, stub: bytes = b"stub", *, context: int = 0, flags: int = 3,
    big: bool = False,
) -> bytes:
    order = ">" if big else "<"
    body = struct.pack(order + "IHH", len(stub), context, opnum) + stub
    return rpc(0, body, call, flags=flags, big=big)


def response(
    call: int, stub: bytes = b"stub", *, context: int = 0, flags: int = 3, big: bool = False
) -> bytes:
    body = struct.pack(">IHBB" if big else "<IHBB", len(stub), context, 0, 0) + stub
    return rpc(2, body, call, flags=flags, big=big)


def fault(call: int, status: int) -> bytes:
    return rpc(3, struct.pack("<IHBBI", 0, 0, 0, 0, status), call)


# RDP.


def tpkt(body: bytes) -> bytes:
    return struct.pack(">BBH", 3, 0, 4 + len(body)) + body


def connection_request(cookie: str | None, protocols: int | None) -> bytes:
    more = b"" if cookie is None else b"Cookie: mstshash=" + cookie.encode() + b"\r\n"
    if protocols is not None:
        more += struct.pack("<BBHI", 1, 0, 8, protocols)
    return tpkt(bytes([6 + len(more), 0xE0, 0, 0, 0, 0, 0]) + more)


def connection_confirm(kind: int, value: int) -> bytes:
    more = struct.pack("<BBHI", kind, 0, 8, value)
    return tpkt(bytes([6 + len(more), 0xD0, 0, 0, 0x12, 0x34, 0]) + more)


def block(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, 4 + len(body)) + body


def per(data: bytes) -> bytes:
    return struct.pack(">H", 0x8000 | len(data)) + data


def mcs_connect(blocks: bytes) -> bytes:
    gcc = bytes.fromhex("000500147c0001") + per(
        bytes.fromhex("00080010000 1c000".replace(" ", "")) + b"Duca" + per(blocks)
    )
    domain = der(0x30, bytes.fromhex("020122"))
    body = (
        der(0x04, b"\1"), der(0x04, b"\1"), der(0x01, b"\xff"), domain, domain, domain,
        der(0x04, gcc),
    )
    return tpkt(b"\2\xf0\x80" + mcs(0x65, *body))


def mcs_response(blocks: bytes, result: int = 0) -> bytes:
    gcc = bytes.fromhex("000500147c00012a14760a0101") + bytes([result])
    gcc += bytes.fromhex("01c000") + b"McDn" + per(blocks)
    body = (der(0x0A, b"\0"), der(0x02, b"\0"), der(0x30, b"\2\1\x22"), der(0x04, gcc))
    return tpkt(b"\2\xf0\x80" + mcs(0x66, *body))


def mcs(kind: int, *content: bytes) -> bytes:
    body = b"".join(content)
    return bytes([0x7F, kind, 0x82]) + struct.pack(">H", len(body)) + body
