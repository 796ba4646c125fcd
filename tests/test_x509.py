"""Certificates as `cryptography` makes and reads them."""

from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import pytest

from tracelake.parsers.protocols.x509 import described, fits

x509 = pytest.importorskip("cryptography.x509")
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa  # noqa: E402
from cryptography.x509.oid import NameOID  # noqa: E402

KEY = rsa.generate_private_key(65537, 1024)
DER = serialization.Encoding.DER


def made(
    subject: Any = None, *, key: Any = KEY, serial: int = 0x97513EC7C1E58A90,
    extensions: tuple[Any, ...] = (),
    begin: datetime = datetime(2014, 7, 15, 1, 2, 3, tzinfo=UTC),
    end: datetime = datetime(2055, 7, 12, tzinfo=UTC),
) -> bytes:
    if subject is None:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a.example")])
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
        .public_key(key.public_key()).serial_number(serial)
        .not_valid_before(begin).not_valid_after(end)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    kind = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    der: bytes = builder.sign(key, kind).public_bytes(DER)
    return der


def test_names_are_escaped_as_openssl_does() -> None:
    def attribute(oid: Any, value: str) -> Any:
        return x509.NameAttribute(oid, value)

    subject = x509.Name([
        x509.RelativeDistinguishedName([attribute(NameOID.COUNTRY_NAME, "DE")]),
        x509.RelativeDistinguishedName([attribute(NameOID.ORGANIZATION_NAME, "Büro, Inc.")]),
        x509.RelativeDistinguishedName([
            attribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "x+y"),
            attribute(NameOID.EMAIL_ADDRESS, "a@b.c"),
        ]),
        x509.RelativeDistinguishedName([attribute(x509.ObjectIdentifier("1.2.3.4"), "abc")]),
        x509.RelativeDistinguishedName([attribute(NameOID.COMMON_NAME, "#é< \u4e2d ")]),
    ])
    found = described(made(subject))
    first, second, *rest = found["subject"].split(",", 1)[1].split(",", 1)
    assert found["subject"].startswith("CN=\\#\\C3\\A9\\< \\E4\\B8\\AD\\ ,1.2.3.4=#0C03616263,")
    assert set(second.split(",", 1)[0].split("+", 1)) or rest == []
    assert found["subject"].endswith(",O=B\\C3\\BCro\\, Inc.,C=DE")
    assert "OU=x\\+y" in found["subject"]
    assert "emailAddress=a@b.c" in found["subject"]
    assert "+" in found["subject"].replace("\\+", "")
    assert first
    assert found["issuer"] == found["subject"]


def test_fields() -> None:
    names = [
        x509.DNSName("*.a.example"), x509.RFC822Name("m@a.example"),
        x509.UniformResourceIdentifier("https://a.example/"),
        x509.IPAddress(ip_address("192.0.2.7")), x509.IPAddress(ip_address("2001:db8::7")),
    ]
    points = [x509.DistributionPoint(
        [x509.UniformResourceIdentifier("http://crl.example/1")], None, None, None
    )]
    found = described(made(extensions=(
        x509.SubjectAlternativeName(names), x509.BasicConstraints(True, 3),
        x509.CRLDistributionPoints(points),
    )))
    assert found["whole"]
    assert found["version"] == 3
    assert found["serial"] == "97513EC7C1E58A90"
    begin = datetime(2014, 7, 15, 1, 2, 3, tzinfo=UTC)
    assert found["not_before"] == int(begin.timestamp()) * 10**6
    assert found["not_after"] == int(datetime(2055, 7, 12, tzinfo=UTC).timestamp()) * 10**6
    assert (found["key"], found["kind"], found["key_bits"]) == ("rsaEncryption", 1, 1024)
    assert (found["exponent"], found["signature"]) == ("65537", "sha256WithRSAEncryption")
    assert found["constrained"]
    assert found["is_ca"]
    assert found["path_length"] == 3
    assert found["self_issued"]
    assert found["names"] == [
        (2, b"*.a.example"), (1, b"m@a.example"), (6, b"https://a.example/"),
        (7, "192.0.2.7"), (7, "2001:db8::7"),
    ]
    assert found["lists"] == [b"http://crl.example/1"]


@pytest.mark.parametrize(("key", "name", "curve", "bits"), [
    (ec.generate_private_key(ec.SECP256R1()), "id-ecPublicKey", "prime256v1", 256),
    (ec.generate_private_key(ec.SECP384R1()), "id-ecPublicKey", "secp384r1", 384),
    (ec.generate_private_key(ec.SECP521R1()), "id-ecPublicKey", "secp521r1", 521),
    (ec.generate_private_key(ec.BrainpoolP256R1()), "id-ecPublicKey", "brainpoolP256r1", 256),
    (dsa.generate_private_key(1024), "dsaEncryption", "", 1024),
    (ed25519.Ed25519PrivateKey.generate(), "ED25519", "", 0),
])
def test_keys(key: Any, name: str, curve: str, bits: int) -> None:
    found = described(made(key=key))
    assert (found["key"], found["curve"], found["key_bits"]) == (name, curve, bits)
    assert found["whole"]


@pytest.mark.parametrize(("content", "text"), [
    (b"\x00", "00"), (b"\x07", "07"), (b"\x00\x80", "80"), (b"\xff", "-01"),
    (b"\x80", "-80"), (b"\xff\x00", "-0100"), (b"\xfe\x00\x00", "-020000"), (b"", "00"),
])
def test_serial_numbers_of_all_kinds(content: bytes, text: str) -> None:
    der = made(serial=5)
    at = der.index(b"\x02\x01\x05")
    changed = bytearray(der[:at] + bytes([2, len(content)]) + content + der[at + 3 :])
    for place in (2, 6):            # lengths of the two outer SEQUENCEs
        length = int.from_bytes(changed[place : place + 2], "big") + len(content) - 1
        changed[place : place + 2] = length.to_bytes(2, "big")
    found = described(bytes(changed))
    assert found["serial"] == text
    assert found["whole"]


def test_dates_that_are_none_leave_the_rest() -> None:
    der = made()
    found = described(der.replace(b"140715010203Z", b"141399010203Z"))
    assert found["not_before"] is None
    assert found["not_after"] is not None
    assert found["whole"]


def test_cut_and_changed_anywhere() -> None:
    der = made(extensions=(
        x509.SubjectAlternativeName([x509.DNSName("a.example")]), x509.BasicConstraints(True, None),
    ))
    for n in range(len(der)):
        assert not described(der[:n])["whole"]
        for bit in (1, 2, 4, 8, 16, 32, 64, 128):
            described(der[:n] + bytes([der[n] ^ bit]) + der[n + 1 :])


@pytest.mark.parametrize(("pattern", "host", "yes"), [
    ("a.example", "A.EXAMPLE", True), ("*.b.example", "a.b.example", True),
    ("*.b.example", "b.example", False), ("*.b.example", "x.a.b.example", False),
    ("*.example", "a.example", False), ("*b.c.example", "ab.c.example", True),
    ("a*.c.example", "ab.c.example", True), ("a*.c.example", "a.c.example", False),
    ("a.*.example", "a.b.example", False), ("x*.c.example", "xn--a.c.example", False),
    ("*.c.example", "xn--a.c.example", True), ("*", "a", False),
])
def test_hosts(pattern: str, host: str, yes: bool) -> None:
    der = made(extensions=(x509.SubjectAlternativeName([x509.DNSName(pattern)]),))
    assert fits(der, host.encode()) is yes


def test_a_common_name_counts_where_there_are_no_other_names() -> None:
    assert fits(made(), b"a.example") is True
    der = made(extensions=(x509.SubjectAlternativeName([x509.DNSName("b.example")]),))
    assert fits(der, b"a.example") is False
