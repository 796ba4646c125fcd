"""NTLM and SPNEGO: what of a logon is known, and what of it is refused."""

import struct

from tests.smb_build import (
    framed,
    ntlm_authenticate,
    ntlm_challenge,
    ntlm_negotiate,
    session_answer2,
    session_setup2,
    spnego_init,
    spnego_response,
)
from tests.talk_case import Row, only, talk

CHALLENGE = ntlm_challenge("SRV", "srv.example", "example")


def logons(*tokens: tuple[bool, bytes]) -> list[Row]:
    said = [
        (client, framed(session_setup2(k, token) if client else session_answer2(
            k, token, 0xC0000016 if k < len(tokens) - 1 else 0)))
        for k, (client, token) in enumerate(tokens)
    ]
    return talk(*said, port=445).get("authentication", [])


def test_without_spnego() -> None:
    (row,) = logons((True, ntlm_negotiate()), (False, CHALLENGE),
                    (True, ntlm_authenticate("eve", "EX", "PC", response=24)))
    assert only([row], "user_name", "server_nb_name", "auth_package", "key_length", "status_id",
                "auth_protocol", "activity_id") == [
        ("eve", "SRV", "NTLM V1", 128, None, "NTLM", 1)]


def test_refused_by_spnego() -> None:
    (row,) = logons((True, spnego_init(ntlm_negotiate())),
                    (False, spnego_response(1, CHALLENGE)),
                    (True, spnego_response(1, ntlm_authenticate("eve", "EX", "PC"))),
                    (False, spnego_response(2)))
    assert only([row], "user_name", "status_id") == [("eve", 2)]


def test_anonymous() -> None:
    (row,) = logons((True, spnego_init(ntlm_negotiate())),
                    (False, spnego_response(1, CHALLENGE)),
                    (True, spnego_response(1, ntlm_authenticate("", "", "", response=0))),
                    (False, spnego_response(0)))
    assert only([row], "user_name", "src_hostname", "auth_package", "status_id") == [
        (None, None, None, 1)]


def test_a_challenge_alone() -> None:
    (row,) = logons((False, CHALLENGE))
    assert only([row], "server_dns_name", "dst_hostname", "status_id") == [
        ("srv.example", "srv.example", None)]


def test_names_that_are_no_utf_16() -> None:
    broken = ntlm_authenticate("ab", "EX", "PC").replace("ab".encode("utf-16-le"), b"\x00\xd8a\0")
    (row,) = logons((True, ntlm_negotiate()), (True, broken))
    assert (row["user_name"], row["parse_flags"]) == ("\ufffda", 128)


# Who writes the traffic means harm.


def test_cut_and_flipped_at_every_byte() -> None:
    for token in (spnego_init(ntlm_negotiate()), spnego_response(1, CHALLENGE),
                  spnego_response(1, ntlm_authenticate("a", "b", "c", response=24))):
        for i in range(len(token)):
            for changed in (token[:i], token[:i] + bytes([token[i] ^ 0xFF]) + token[i + 1 :]):
                logons((True, ntlm_negotiate()), (False, changed), (True, changed))


def test_offsets_beyond_the_message() -> None:
    message = ntlm_authenticate("user", "EX", "PC")
    for offset in (len(message), len(message) - 1, 0x7FFFFFFF, 0xFFFFFFFF):
        changed = message[:40] + struct.pack("<I", offset) + message[44:]
        (row,) = logons((True, ntlm_negotiate()), (True, changed))
        assert "user_name" not in row
        assert row["user_domain"] == "EX"


def test_attributes_that_never_end() -> None:
    pairs = struct.pack("<HHH", 1, 2, 65) * 5000
    message = CHALLENGE[:40] + struct.pack("<HHI", len(pairs), len(pairs), 56) + bytes(8) + pairs
    (row,) = logons((True, ntlm_negotiate()), (False, message))
    assert row["server_nb_name"] == "A"


def test_names_are_cut() -> None:
    (row,) = logons((True, ntlm_negotiate()), (False, CHALLENGE),
                    (True, ntlm_authenticate("x" * 20000, "EX", "PC")))
    assert (len(row["user_name"]), row["parse_flags"]) == (2048, 1)
