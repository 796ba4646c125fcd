"""DCE/RPC: calls by name, in either byte order, whole or in fragments."""

import struct
from uuid import UUID

import pytest

from tests.packets import CLIENT, SERVER, ethernet, ipv4, pcap, udp
from tests.smb_build import (
    SPOOLSS,
    SVCCTL,
    bind,
    bind_ack,
    fault,
    ntlm_authenticate,
    ntlm_challenge,
    ntlm_negotiate,
    request,
    response,
    rpc,
)
from tests.talk_case import Row, only, rows_of, talk
from tracelake.parsers.protocols.dce_rpc_names import IGNORED, INTERFACES, PIPES

BOUND = [(True, bind(SVCCTL)), (False, bind_ack("49683"))]
UNKNOWN = UUID("01234567-89ab-cdef-0123-456789abcdef")


def calls(*said: tuple[bool, bytes], port: int = 49683) -> list[Row]:
    return talk(*said, port=port).get("smb_activity", [])


def test_a_call_is_a_row() -> None:
    rows = talk(*BOUND, (True, request(27, 2)), (False, response(2)), port=49683)
    (row,) = rows["smb_activity"]
    assert only([row], "dce_endpoint", "dce_operation", "dce_opnum", "named_pipe", "status_id",
                "dce_interface_uid") == [
        ("svcctl", "OpenSCManagerA", 27, "49683", 1, str(SVCCTL))]
    assert row["rtt_s"] == pytest.approx(0.002)
    assert rows["network_activity"][0]["app_protocol"] == "dce_rpc"


def test_numbers_are_of_either_order() -> None:
    (row,) = calls((True, bind(SVCCTL, 7, big=True)), (False, bind_ack("1", big=True)),
                   (True, request(2, 9, context=7, big=True)),
                   (False, response(9, context=7, big=True)))
    assert (row["dce_endpoint"], row["dce_operation"]) == ("svcctl", "DeleteService")


def test_fragments_are_one_call() -> None:
    rows = calls(
        *BOUND, (True, request(12, 2, flags=1)), (True, request(12, 2, flags=0)),
        (True, request(12, 2, flags=2)),
        (False, response(2, flags=1)), (False, response(2, flags=2)),
    )
    assert only(rows, "dce_operation") == [("CreateServiceW",)]


def test_contexts_name_interfaces() -> None:
    rows = calls(
        *BOUND, (True, bind(SPOOLSS, 1, kind=14)),
        (True, request(89, 2, context=1)), (False, response(2, context=1)),
        (True, request(19, 3)), (False, response(3)),
    )
    assert only(rows, "dce_endpoint", "dce_operation") == [
        ("spoolss", "RpcAddPrinterDriverEx"), ("svcctl", "StartServiceW")]


def test_answers_belong_to_their_calls() -> None:
    rows = calls(*BOUND, (True, request(0, 2) + request(2, 3)), (False, response(3) + response(2)))
    assert only(rows, "dce_operation") == [("DeleteService",), ("CloseServiceHandle",)]


def test_faults_and_calls_without_an_answer() -> None:
    rows = calls(*BOUND, (True, request(12, 2)), (False, fault(2, 5)), (True, request(2, 3)))
    assert only(rows, "dce_operation", "status_id", "status_code") == [
        ("CreateServiceW", 2, "0x5"), ("DeleteService", None, None)]


def test_what_has_no_name() -> None:
    rows = calls(
        (True, bind(UNKNOWN)), (True, request(3, 2)), (False, response(2)),
        (True, bind(SVCCTL, 4, kind=14)),
        (True, request(999, 3, context=4)), (False, response(3)),
    )
    assert only(rows, "dce_endpoint", "dce_operation") == [
        (f"unknown-{UNKNOWN}", "unknown-3"), ("svcctl", "unknown-999")]


def test_what_is_called_all_the_time_is_left_out() -> None:
    assert calls((True, bind(SPOOLSS)), (True, request(29, 2)), (False, response(2))) == []


def test_who_authenticates() -> None:
    rows = talk(
        (True, bind(SVCCTL, auth=(10, ntlm_negotiate()))),
        (False, rpc(12, struct.pack("<HHIHxxI", 1, 1, 0, 0, 0) + bytes(24), auth=(
            10, ntlm_challenge("SRV", "srv.ex", "ex")))),
        (True, rpc(16, bytes(4), auth=(10, ntlm_authenticate("bob", "EX", "PC")))),
        (True, request(0, 2)), (False, response(2)), port=135,
    )
    (row,) = rows["authentication"]
    assert only([row], "user_name", "server_dns_name", "status_id") == [("bob", "srv.ex", None)]
    assert set(rows["network_activity"][0]["app_protocol"].split(",")) == {"dce_rpc", "ntlm"}


def test_connectionless_calls() -> None:
    def packet(kind: int, sequence: int, opnum: int = 0) -> bytes:
        return struct.pack(
            "<BBBB4s16s16s16sIIIHHHHHBB", 4, kind, 0x08, 0, b"\x10\0\0\0", b"", SVCCTL.bytes_le,
            b"a" * 16, 0, 2, sequence, opnum, 0xFFFF, 0xFFFF, 4, 0, 0, 0,
        ) + b"stub"

    frames = []
    for i, (client, data) in enumerate([
        (True, packet(0, 1, 15)), (False, packet(2, 1)), (True, packet(0, 2, 2)),
        (False, packet(3, 2)),
    ]):
        ports = (50000, 50135) if client else (50135, 50000)
        ends = (CLIENT, SERVER) if client else (SERVER, CLIENT)
        frames.append((1.0 + i, ethernet(ipv4(udp(*ports, data), 17, *ends))))
    rows = rows_of(pcap(frames))["smb_activity"]
    assert only(rows, "dce_operation", "status_id") == [("OpenSCManagerW", 1), ("DeleteService", 2)]


def test_tables_of_names() -> None:
    for text, (name, functions) in INTERFACES.items():
        assert str(UUID(text)) == text, name
        assert all(f is None or f.isidentifier() for f in functions), name
    for name, functions in IGNORED.items():
        known = {f for n, fs in INTERFACES.values() if n == name for f in fs}
        assert functions <= known, name
    assert set(PIPES.values()) <= set(INTERFACES)


# Who writes the traffic means harm.


def test_cut_and_flipped_at_every_byte() -> None:
    said = [(True, bind(SVCCTL, auth=(10, ntlm_negotiate()))), (False, bind_ack("135")),
            (True, request(12, 2)), (False, response(2))]
    for k, (client, data) in enumerate(said):
        for i in range(len(data)):
            for changed in (data[:i], data[:i] + bytes([data[i] ^ 0xFF]) + data[i + 1 :]):
                talk(*said[:k], (client, changed), *said[k + 1 :], port=135)


def test_fragments_that_never_end() -> None:
    part = request(12, 2, b"x" * 1000, flags=0)
    rows = calls(*BOUND, (True, request(12, 2, flags=1)), *[(True, part * 10)] * 300)
    assert only(rows, "dce_operation", "rtt_s") == [("CreateServiceW", None)]


def test_calls_without_answers_make_room_for_each_other() -> None:
    many = b"".join(request(12, k) for k in range(2000))
    rows = calls(*BOUND, (True, many))
    assert len(rows) == 2000


def test_more_contexts_than_anybody_needs() -> None:
    rows = calls(*BOUND, *[(True, bind(SPOOLSS, k, kind=14)) for k in range(1, 400)],
                 (True, request(89, 2, context=3)), (False, response(2)))
    assert only(rows, "dce_endpoint") == [("spoolss",)]


def test_lengths_that_lie() -> None:
    short = request(12, 2)
    for length in (0, 1, 15, 16, 23, 0xFFFF):
        lying = short[:8] + struct.pack("<H", length) + short[10:]
        calls(*BOUND, (True, lying), (False, response(2)))
    for auth in (1, 8, 40, 0xFFFF):
        lying = short[:10] + struct.pack("<H", auth) + short[12:]
        calls(*BOUND, (True, lying), (False, response(2)))
