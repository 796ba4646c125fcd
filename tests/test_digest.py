"""MD5, SHA-1, SHA-256 and HMAC beside hashlib's."""

import hashlib
import hmac as python_hmac
import random

import pytest

from tracelake.native.digest import digests, hmac


def test_every_length_of_padding() -> None:
    chance = random.Random(3)
    for n in [*range(200), 1000, 4096, 65537]:
        message = chance.randbytes(n)
        assert digests(message) == (
            hashlib.md5(message).digest(),
            hashlib.sha1(message).digest(),
            hashlib.sha256(message).digest(),
        )


def test_hmac() -> None:
    chance = random.Random(4)
    for n in (0, 1, 20, 63, 64, 65, 100):
        for m in (0, 1, 55, 64, 1024):
            key, message = chance.randbytes(n), chance.randbytes(m)
            assert hmac(key, message) == python_hmac.digest(key, message, "sha256")
    with pytest.raises(ValueError, match="more than 1024"):
        hmac(b"", bytes(1025))
