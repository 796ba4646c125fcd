"""SMB: shares, files, pipes; what is hostile costs no more than its bounds."""

import hashlib
import struct
import time

import pytest

from tests.packets import pcap, session, timed
from tests.smb_build import (
    EPOCH,
    SVCCTL,
    WRITTEN,
    bind,
    bind_ack,
    close2,
    compound,
    create2,
    created2,
    framed,
    ioctl2,
    negotiate2,
    ntlm_authenticate,
    ntlm_challenge,
    ntlm_negotiate,
    read2,
    request,
    response,
    session_answer2,
    session_setup2,
    set_info2,
    smb1,
    smb2,
    spnego_init,
    spnego_response,
    tree_connect2,
    tree_connected2,
    was_read2,
    wide,
    write2,
)
from tests.talk_case import only, rows_of, talk

SHARE = "\\\\srv\\data"
ANY = 0xFFFFFFFFFFFFFFFF
MAP = [
    (True, framed(tree_connect2(1, SHARE))),
    (False, framed(tree_connected2(1, 5, 1))),
]


def opened(mid: int, name: str, file: int, **more: int) -> list[tuple[bool, bytes]]:
    return [
        (True, framed(create2(mid, 5, name))), (False, framed(created2(mid, 5, file, **more)))
    ]


def test_a_share_is_mapped() -> None:
    rows = talk((False, framed(negotiate2(0x0311))), *MAP, port=445)
    row, summary = rows["smb_activity"]
    assert (row["command"], row["share"], row["share_type"]) == ("TREE_CONNECT", SHARE, "DISK")
    assert row["dialect"] == "SMB 3.1.1"
    assert (summary["command"], summary["encrypted_count"]) == ("NEGOTIATE", 0)
    assert rows["network_activity"][0]["app_protocol"] == "smb"


def test_a_file_is_opened_read_renamed_and_deleted() -> None:
    data = bytes(range(256)) * 40
    name = wide("b\\new.txt")
    rows = talk(
        *MAP, *opened(2, "a\\old.txt", 77, size=len(data)),
        (True, framed(read2(3, 5, 77, 0, len(data)))), (False, framed(was_read2(3, 5, data))),
        (True, framed(
            set_info2(4, 5, 77, 10, struct.pack("<B7xQI", 0, 0, len(name)) + name))),
        (True, framed(set_info2(5, 5, 77, 13, b"\1"))), (True, framed(close2(6, 5, 77))), port=445,
    )
    files = [row for row in rows["smb_activity"] if "file_path" in row]
    assert only(files, "command", "file_path", "file_prev_path", "share", "activity_id") == [
        ("SMB::FILE_OPEN", "a\\old.txt", None, SHARE, 2),
        ("SMB::FILE_RENAME", "b\\new.txt", "a\\old.txt", SHARE, 99),
        ("SMB::FILE_DELETE", "b\\new.txt", None, SHARE, 99),
    ]
    assert files[0]["file_size"] == len(data)
    assert files[0]["file_modified_time"].timestamp() == (WRITTEN - EPOCH) / 1e7
    assert files[0]["access_mask"] == 0x120089
    (file,) = rows["network_file_activity"]
    assert file["file_sha256"] == hashlib.sha256(data).hexdigest()
    assert file["file_uid"] == files[2]["file_uid"]
    assert (file["file_name"], file["protocol"]) == ("a\\old.txt", "SMB")


def test_a_file_is_logged_once_for_a_while() -> None:
    def capture(pause: float) -> list[dict[str, object]]:
        segments = session(*MAP, *opened(2, "x", 1), (True, framed(close2(3, 5, 1))),
                           *opened(4, "x", 2), port=445, close=False)
        frames = timed(segments)
        late = [(t + (pause if i >= len(frames) - 4 else 0), f) for i, (t, f) in enumerate(frames)]
        return [r for r in rows_of(pcap(late))["smb_activity"] if "file_path" in r]

    assert len(capture(100)) == 1
    assert len(capture(200)) == 2


def test_a_long_write_is_followed_without_being_held() -> None:
    data = bytes(i * 7 & 255 for i in range(3_000_000))
    rows = talk(*MAP, *opened(2, "big.bin", 9), (True, framed(write2(3, 5, 9, 0, data))),
                (True, framed(close2(4, 5, 9))), *opened(5, "after", 10), port=445)
    (file,) = rows["network_file_activity"]
    assert (file["seen_bytes"], file["file_sha256"]) == (
        len(data), hashlib.sha256(data).hexdigest())
    assert only([r for r in rows["smb_activity"] if "file_path" in r], "file_path") == [
        ("big.bin",), ("after",)]


def test_files_of_a_compound_are_those_of_its_create() -> None:
    asked = compound(
        create2(2, 5, "gone.txt"),
        set_info2(3, 5, ANY, 13, b"\1", high=ANY, flags=4),
        smb2(6, struct.pack("<HHIQQ", 24, 0, 0, ANY, ANY), 4, tree=5, flags=4),
    )
    rows = talk(*MAP, (True, framed(asked)), (False, framed(created2(2, 5, 1))), port=445)
    assert sorted(only([r for r in rows["smb_activity"] if "file_path" in r],
                       "command", "file_path", "share")) == [
        ("SMB::FILE_DELETE", "gone.txt", SHARE), ("SMB::FILE_OPEN", "gone.txt", SHARE)]


def test_an_interim_answer_is_none_and_a_refusal_opens_nothing() -> None:
    pending = smb2(5, struct.pack("<HHI", 9, 0, 0), 2, answer=True, status=0x103, flags=2)
    rows = talk(
        *MAP, (True, framed(create2(2, 5, "later"))), (False, framed(pending)),
        (False, framed(created2(2, 5, 1))), (True, framed(create2(3, 5, "never"))),
        (False, framed(created2(3, 5, 2, status=0xC0000022))), port=445,
    )
    assert only([r for r in rows["smb_activity"] if "file_path" in r], "file_path") == [("later",)]


def test_calls_over_a_pipe() -> None:
    rows = talk(
        (True, framed(tree_connect2(1, "\\\\srv\\IPC$"))),
        (False, framed(tree_connected2(1, 5, 2))),
        *opened(2, "svcctl", 3, written=0),
        (True, framed(write2(3, 5, 3, 0, bind(SVCCTL)))), (True, framed(read2(4, 5, 3, 0, 1024))),
        (False, framed(was_read2(4, 5, bind_ack("\\PIPE\\ntsvcs")))),
        (True, framed(ioctl2(5, 5, 3, request(12, 2)))),
        (False, framed(ioctl2(5, 5, 3, response(2), answer=True))),
        # A call in pieces: a write that ends within a PDU.
        (True, framed(write2(6, 5, 3, 0, request(0, 3)[:20]))),
        (True, framed(write2(7, 5, 3, 0, request(0, 3)[20:]))),
        (True, framed(read2(8, 5, 3, 0, 99))), (False, framed(was_read2(8, 5, response(3)))),
        port=8445,
    )
    calls = [r for r in rows["smb_activity"] if "dce_operation" in r]
    assert only(calls, "dce_endpoint", "dce_operation", "named_pipe", "dce_opnum") == [
        ("svcctl", "CreateServiceW", "\\PIPE\\ntsvcs", 12),
        ("svcctl", "CloseServiceHandle", "\\PIPE\\ntsvcs", 0)]
    assert calls[0]["rtt_s"] == pytest.approx(0.002)
    assert not [r for r in rows["smb_activity"] if "file_path" in r]     # Zeek logs no pipes
    services = set(rows["network_activity"][0]["app_protocol"].split(","))
    assert services == {"dce_rpc", "smb"}


def logon(last: bytes) -> list[tuple[bool, bytes]]:
    return [
        (True, framed(session_setup2(1, spnego_init(ntlm_negotiate())))),
        (False, framed(session_answer2(
            1, spnego_response(1, ntlm_challenge("SRV", "srv.example", "example")), 0xC0000016))),
        (True, framed(session_setup2(2, spnego_response(
            1, ntlm_authenticate("alice", "EX", "PC7"))))),
        (False, framed(last)),
    ]


def test_a_logon() -> None:
    (row,) = talk(*logon(session_answer2(2, spnego_response(0))), port=445)["authentication"]
    assert only([row], "user_name", "user_domain", "src_hostname", "server_nb_name",
                "server_dns_name", "server_tree_name", "status_id", "auth_package") == [
        ("alice", "EX", "PC7", "SRV", "srv.example", "example", 1, "NTLM V2")]


def test_a_logon_that_fails() -> None:
    (row,) = talk(*logon(session_answer2(2, b"", 0xC000006D)), port=445)["authentication"]
    assert (row["user_name"], row["status_id"], row["status_code"]) == ("alice", 2, "0xc000006d")


def test_every_logon_of_a_connection_is_a_row() -> None:
    said = logon(session_answer2(2, spnego_response(0)))
    assert len(talk(*said, *said, *said, port=445)["authentication"]) == 3


def test_smb1_share_and_file() -> None:
    words = struct.pack("<BBHHH", 255, 0, 0, 0, 1)
    ask = smb1(0x75, words, b"\0" + wide(SHARE) + b"\0\0?????\0", 1)
    tell = smb1(0x75, struct.pack("<BBHH", 255, 0, 0, 1), b"A:\0" + wide("NTFS\0"), 1, answer=True,
                tree=9)
    words = struct.pack("<BBHBHIIIQIIIIIB", 255, 0, 0, 0, 0, 0, 0, 0x89, 0, 0, 7, 1, 0, 2, 0)
    create = smb1(0xA2, words, b"\0" + wide("\\dir\\f.txt\0"), 2, tree=9)
    words = struct.pack("<BBHBHIQQQQIQQHHB", 255, 0, 0, 0, 0x4001, 1, WRITTEN, WRITTEN, WRITTEN,
                        WRITTEN, 0x20, 12, 12, 0, 0, 0)
    done = smb1(0xA2, words + b"\0", b"", 2, answer=True, tree=9)
    words = struct.pack("<BBHHIIHHHHHI", 255, 0, 0, 0x4001, 0, 0, 0, 0, 0, 12, 64, 0)
    write = smb1(0x2F, words, b"\0" + b"hello world\n", 3, tree=9)
    close = smb1(4, struct.pack("<HI", 0x4001, 0), b"", 4, tree=9)
    rows = talk((True, framed(ask)), (False, framed(tell)), (True, framed(create)),
                (False, framed(done)), (True, framed(write)), (True, framed(close)), port=139)
    mapped, file = rows["smb_activity"]
    assert only([mapped], "share", "service_type", "native_file_system", "share_type") == [
        (SHARE, "A:", "NTFS", "DISK")]
    assert only([file], "command", "file_path", "file_size", "share") == [
        ("SMB::FILE_OPEN", "\\dir\\f.txt", 12, SHARE)]
    (carried,) = rows["network_file_activity"]
    assert carried["file_sha256"] == hashlib.sha256(b"hello world\n").hexdigest()


def test_what_is_encrypted_or_compressed_is_counted() -> None:
    rows = talk((True, framed(b"\xfdSMB" + bytes(60), b"\xfcSMB" + bytes(60))),
                (False, framed(b"\xfdSMB" + bytes(600))), port=445)
    assert only(rows["smb_activity"], "encrypted_count", "compressed_count") == [(2, 1)]


def test_after_a_gap_messages_are_found_again() -> None:
    segments = session(*MAP, *opened(2, "lost", 1), *opened(3, "found", 2), port=445)
    large = [i for i, s in enumerate(segments) if s.size]
    frames = timed(segments)
    del frames[large[2]]                            # the CREATE of `lost`
    rows = rows_of(pcap(frames))
    assert only([r for r in rows["smb_activity"] if "file_path" in r], "file_path") == [("found",)]


# Who writes the traffic means harm.


def conversation() -> list[tuple[bool, bytes]]:
    return [
        (False, framed(negotiate2(0x0210))), *logon(session_answer2(2, spnego_response(0))), *MAP,
        *opened(3, "a.txt", 7, size=5), (True, framed(write2(4, 5, 7, 0, b"12345"))),
        (True, framed(compound(create2(5, 5, "c"), close2(6, 5, ANY)))),
    ]


def test_cut_and_flipped_at_every_byte() -> None:
    said = conversation()
    for k, (client, data) in enumerate(said):
        for i in range(len(data)):
            for changed in (data[:i], data[:i] + bytes([data[i] ^ 0xFF]) + data[i + 1 :]):
                talk(*said[:k], (client, changed), *said[k + 1 :], port=445)


def test_a_compound_chain_does_not_loop() -> None:
    looping = create2(1, 5, "x")
    for step in (1, 8, 63, 64, len(looping), 0x7FFFFFFF, 0xFFFFFFFF):
        broken = looping[:20] + struct.pack("<I", step) + looping[24:]
        talk(*MAP, (True, framed(broken + broken + broken)), port=445)
    # The densest chain: one header after the other.
    dense = compound(*[smb2(13, b"", i) for i in range(900)])
    began = time.perf_counter()
    talk(*MAP, *[(True, framed(dense))] * 20, port=445)
    assert time.perf_counter() - began < 5


def test_opens_without_closes_are_bounded() -> None:
    said = []
    for k in range(0, 6000, 50):
        said.append((True, framed(*(create2(m, 5, f"f{m}") for m in range(k, k + 50)))))
        said.append((False, framed(*(created2(m, 5, m) for m in range(k, k + 50)))))
    rows = talk(*MAP, *said, port=445)
    assert len([r for r in rows["smb_activity"] if "file_path" in r]) == 6000
    weird = {(r["name"], r.get("additional")) for r in rows["network_weird"]}
    assert weird == {("SMB_discarded_messages_state", "file")}


def test_requests_without_answers_are_bounded() -> None:
    said = [
        (True, framed(*(create2(m, 5, f"f{m}") for m in range(k, k + 50))))
        for k in range(0, 6000, 50)
    ]
    weird = talk(*MAP, *said, port=445)["network_weird"]
    assert {r.get("additional") for r in weird} == {"request"}


def test_lengths_beyond_what_is_there() -> None:
    huge = write2(3, 5, 7, 0, b"abc")
    huge = huge[:68] + b"\xff\xff\xff\xff" + huge[72:]          # 4 GiB of data
    for message in (huge, set_info2(4, 5, 7, 10, struct.pack("<B7xQI", 0, 0, 0xFFFFFFFF) + b"x")):
        rows = talk(*MAP, *opened(2, "f", 7), (True, framed(message)), port=445)
        assert only([r for r in rows["smb_activity"] if "file_path" in r], "file_path") == [("f",)]
    # A frame of 16 MiB that never comes holds nothing.
    talk(*MAP, (True, b"\0\xff\xff\xff" + huge), (True, bytes(1000)), port=445)
