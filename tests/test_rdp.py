"""RDP: how sessions begin."""

import struct

from tests.packets import CLIENT, SERVER, ethernet, ipv4, pcap, udp
from tests.smb_build import (
    block,
    connection_confirm,
    connection_request,
    mcs_connect,
    mcs_response,
    wide,
)
from tests.talk_case import Row, only, rows_of, talk

CORE = block(0xC001, struct.pack(
    "<IHHHHII32sIII64sHHIHHH64s", 0x00080004, 1280, 1024, 0xCA01, 0xAA03, 1033, 7601,
    wide("FROG").ljust(32, b"\0"), 4, 0, 12, b"", 0xCA01, 1, 0, 24, 7, 3,
    wide("55274-OEM").ljust(64, b"\0"),
))
CHANNELS = block(0xC003, struct.pack("<I8sI8sI", 2, b"rdpdr", 0, b"cliprdr", 0))
OWN_KEY = struct.pack("<III", 1, 1, 1) + bytes(40)
SECURITY = block(0x0C02, struct.pack("<IIII", 2, 3, 32, len(OWN_KEY)) + bytes(32) + OWN_KEY)


def sessions(*said: tuple[bool, bytes], port: int = 3389) -> list[Row]:
    return talk(*said, port=port).get("remote_access_activity", [])


def test_its_own_security() -> None:
    rows = talk(
        (True, connection_request("EX\\bob", 0)), (False, connection_confirm(2, 0)),
        (True, mcs_connect(CORE + CHANNELS)), (False, mcs_response(SECURITY)),
        (True, b"\x03\0\0\x0c\2\xf0\x80\4\1\0\1\0"), port=3389,
    )
    (row,) = rows["remote_access_activity"]
    assert only([row], "cookie", "result", "security_protocol", "keyboard", "client_build",
                "src_hostname", "client_product_uid", "desktop_width", "desktop_height",
                "color_depth", "client_channels", "cert_type", "cert_count", "cert_permanent",
                "encryption_level", "encryption_method", "class_uid") == [
        ("EX\\bob", "Success", "RDP", "English - United States", "RDP 7.1", "FROG", "55274-OEM",
         1280, 1024, "32bit", ["rdpdr", "cliprdr"], "RSA", 1, True, "High", "128bit", 4005)]
    assert rows["network_activity"][0]["app_protocol"] == "rdp"


def test_tls_follows() -> None:
    (row,) = sessions((True, connection_request("bob", 3)), (False, connection_confirm(2, 2)),
                      (True, b"\x16\x03\x01\0\x04abcd"), port=50000)
    assert only([row], "cookie", "result", "security_protocol") == [("bob", "encrypted", "HYBRID")]


def test_a_refusal() -> None:
    (row,) = sessions((True, connection_request(None, 0)), (False, connection_confirm(3, 5)))
    assert row["result"] == "HYBRID_REQUIRED_BY_SERVER"


def test_a_client_that_is_older_or_newer() -> None:
    core = CORE[4:]
    short = block(0xC001, core[:12] + struct.pack("<II", 0x00F00409, 99) + core[20:132])
    (row,) = sessions((True, connection_request(None, None)), (True, mcs_connect(short)))
    assert only([row], "keyboard", "client_build", "color_depth", "client_product_uid") == [
        ("English - United States (Best Guess for 15729673)", "client_build-99",
         "high_color_depth-0", None)]


def test_known_by_what_it_says() -> None:
    assert sessions((True, connection_request("x", None)), port=4444)
    # Siemens S7 (ISO-TSAP) begins with the same frames.
    s7 = bytes.fromhex("0300001611e00000000100c1020100c2020102c0010a")
    assert not sessions((True, s7), port=102)


def test_over_udp() -> None:
    syn = struct.pack(">IHHIHH", 0xFFFFFFFF, 64, 1, 7, 1232, 1232).ljust(1232, b"\0")
    synack = struct.pack(">IHHIHH", 7, 64, 5, 9, 1232, 1232).ljust(1232, b"\0")
    frames = [
        (1.0, ethernet(ipv4(udp(50000, 3389, syn), 17, CLIENT, SERVER))),
        (1.1, ethernet(ipv4(udp(3389, 50000, synack), 17, SERVER, CLIENT))),
    ]
    assert rows_of(pcap(frames))["network_activity"][0]["app_protocol"] == "rdpeudp"


# Who writes the traffic means harm.


def test_cut_and_flipped_at_every_byte() -> None:
    said = [(True, connection_request("bob", 0)), (False, connection_confirm(2, 0)),
            (True, mcs_connect(CORE + CHANNELS)), (False, mcs_response(SECURITY))]
    for k, (client, data) in enumerate(said):
        for i in range(len(data)):
            for changed in (data[:i], data[:i] + bytes([data[i] ^ 0xFF]) + data[i + 1 :]):
                sessions(*said[:k], (client, changed), *said[k + 1 :])


def test_more_channels_and_certificates_than_there_are() -> None:
    many = block(0xC003, struct.pack("<I", 0xFFFFFFFF) + b"chan\0\0\0\0\0\0\0\0" * 40)
    chain = struct.pack("<II", 0x80000002, 0xFFFFFFFF) + struct.pack("<I", 1) * 3
    secured = block(0x0C02, struct.pack("<IIII", 1, 1, 0, len(chain)) + chain)
    rows = talk((True, connection_request("b", 0)), (False, connection_confirm(2, 0)),
                (True, mcs_connect(CORE + many)), (False, mcs_response(secured)), port=3389)
    (row,) = rows["remote_access_activity"]
    assert len(row["client_channels"]) == 31
    assert (row["cert_type"], row["cert_permanent"]) == ("X.509", False)
    assert rows["network_weird"][0]["name"] == "RDP_channels_requested_exceeds_max"


def test_a_request_that_never_ends() -> None:
    assert sessions((True, b"\3\0\xff\xff\x22\xe0" + b"x" * 100_000)) == []
