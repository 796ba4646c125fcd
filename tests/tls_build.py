"""TLS, DTLS and certificates put together by hand."""

import struct

RANDOM = bytes(range(32))
RETRY = bytes.fromhex("CF21AD74E59A6111BE1D8C021E65B891C2A211167ABB8C5E079E09E2C8A8339C")


def record(content: bytes, kind: int = 22, version: int = 0x0303) -> bytes:
    return struct.pack(">BHH", kind, version, len(content)) + content


def message(kind: int, body: bytes) -> bytes:
    return struct.pack(">I", kind << 24 | len(body)) + body


def extension(kind: int, body: bytes = b"") -> bytes:
    return struct.pack(">HH", kind, len(body)) + body


def vector(body: bytes, octets: int = 2) -> bytes:
    return len(body).to_bytes(octets, "big") + body


def numbers(*values: int) -> bytes:
    return b"".join(struct.pack(">H", value) for value in values)


def server_name(host: str) -> bytes:
    return extension(0, vector(b"\0" + vector(host.encode())))


def alpn(*protocols: str) -> bytes:
    return extension(16, vector(b"".join(vector(p.encode(), 1) for p in protocols)))


def client_hello(
    *extensions: bytes, ciphers: bytes = numbers(0x1301, 0xC02F), version: int = 0x0303,
    session: bytes = b"", dtls: bool = False,
) -> bytes:
    """The body."""
    cookie = b"\0" if dtls else b""
    return (
        struct.pack(">H", version) + RANDOM + vector(session, 1) + cookie + vector(ciphers)
        + b"\1\0" + vector(b"".join(extensions))
    )


def server_hello(
    *extensions: bytes, cipher: int = 0xC02F, version: int = 0x0303, session: bytes = b"",
    random: bytes = RANDOM,
) -> bytes:
    return (
        struct.pack(">H", version) + random + vector(session, 1) + struct.pack(">HB", cipher, 0)
        + (vector(b"".join(extensions)) if extensions else b"")
    )


def chain(*certificates: bytes) -> bytes:
    """The body of a Certificate message."""
    return vector(b"".join(vector(each, 3) for each in certificates), 3)


CCS = record(b"\1", 20)
FINISHED = record(bytes(40))                # encrypted


def der(tag: int, *content: bytes) -> bytes:
    body = b"".join(content)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 128 | len(length)]) + length + body


def certificate(host: str, issuer: str = "Test CA", serial: int = 1) -> bytes:
    """Of the right form; nobody has signed it."""
    def name(text: str) -> bytes:
        attribute = der(0x30, der(6, b"\x55\x04\x03"), der(0x0C, text.encode()))
        return der(0x30, der(0x31, attribute))

    rsa = der(0x30, der(6, bytes.fromhex("2a864886f70d010101")), der(5))
    key = der(0x30, der(2, b"\0" + b"\xff" * 128), der(2, b"\1\0\1"))
    names = der(0x30, der(0x82, host.encode()))
    extensions = der(0xA3, der(0x30, der(0x30, der(6, b"\x55\x1d\x11"), der(4, names))))
    signed = der(
        0x30, der(0xA0, der(2, b"\2")), der(2, serial.to_bytes(8, "big")),
        der(0x30, der(6, bytes.fromhex("2a864886f70d01010b")), der(5)), name(issuer),
        der(0x30, der(0x17, b"200101000000Z"), der(0x17, b"300101000000Z")), name(host),
        der(0x30, rsa, der(3, b"\0" + key)), extensions,
    )
    algorithm = der(0x30, der(6, bytes.fromhex("2a864886f70d01010b")), der(5))
    return der(0x30, signed, algorithm, der(3, b"\0" * 129))


def handshake_12(host: str = "a.example", *, resumed: bool = False) -> list[tuple[bool, bytes]]:
    """TLS 1.2 up to the first encrypted records of both sides."""
    session = bytes(range(1, 33))
    hello = record(message(1, client_hello(
        server_name(host), alpn("h2", "http/1.1"), session=session if resumed else b"",
    )), version=0x0301)
    answer = message(2, server_hello(alpn("h2"), session=session))
    if resumed:
        return [(True, hello), (False, record(answer) + CCS + FINISHED), (True, CCS + FINISHED)]
    key = message(12, b"\x03\x00\x17" + vector(bytes(65), 1) + bytes(70))
    return [
        (True, hello),
        (False, record(answer) + record(message(11, chain(certificate(host), certificate("CA"))))
         + record(key + message(14, b""))),
        (True, record(message(16, bytes(66))) + CCS + FINISHED),
        (False, CCS + FINISHED),
    ]


def fragment(
    kind: int, body: bytes, number: int, begin: int, count: int, sequence: int
) -> bytes:
    """A DTLS record with a part of a message."""
    part = (
        bytes([kind]) + len(body).to_bytes(3, "big") + struct.pack(">H", number)
        + begin.to_bytes(3, "big") + count.to_bytes(3, "big") + body[begin : begin + count]
    )
    return struct.pack(">BHH", 22, 0xFEFD, 0) + sequence.to_bytes(6, "big") + vector(part)
