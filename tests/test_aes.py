"""AES-128 and GCM: the standards' examples, and `cryptography` where it is there."""

import random

import pytest

from tracelake.native.aes import encrypt, open_sealed


def test_fips_197_appendix_b() -> None:
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    block = bytes.fromhex("3243f6a8885a308d313198a2e0370734")
    assert encrypt(key, block).hex() == "3925841d02dc09fbdc118597196a0b32"


def test_gcm_specification_test_case_4() -> None:
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308")
    nonce = bytes.fromhex("cafebabefacedbaddecaf888")
    head = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    sealed = bytes.fromhex(
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
        "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
        "5bc94fbc3221a5db94fae95ae7121a47"
    )
    plain = (
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    found = open_sealed(key, nonce, head, sealed)
    assert found is not None and found.hex() == plain
    for i in (0, len(sealed) - 1):
        changed = bytearray(sealed)
        changed[i] ^= 1
        assert open_sealed(key, nonce, head, bytes(changed)) is None


def test_any_length() -> None:
    aead = pytest.importorskip("cryptography.hazmat.primitives.ciphers.aead")
    chance = random.Random(5)
    for n in (0, 1, 15, 16, 17, 100, 1200):
        for m in (0, 1, 16, 40):
            key, nonce = chance.randbytes(16), chance.randbytes(12)
            plain, head = chance.randbytes(n), chance.randbytes(m)
            sealed = aead.AESGCM(key).encrypt(nonce, plain, head)
            assert open_sealed(key, nonce, head, sealed) == plain
