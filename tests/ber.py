"""BER elements for tests."""


def element(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + body


def integer(value: int, tag: int = 2) -> bytes:
    return element(tag, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def text(value: str | bytes, tag: int = 4) -> bytes:
    return element(tag, value.encode() if isinstance(value, str) else value)


def sequence(*parts: bytes) -> bytes:
    return element(0x30, *parts)


def tagged(number: int, *parts: bytes) -> bytes:
    return element(0xA0 | number, *parts)
