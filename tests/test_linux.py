"""Linux hosts and web servers: rows of small texts, and counts of real samples."""

import calendar
import csv
import datetime
import json
import struct
import zipfile
from pathlib import Path

import pytest

from tests.text_case import Read, holds
from tracelake.ingest.identify import identify
from tracelake.parsers import BY_NAME
from tracelake.parsers.artifact import Match
from tracelake.parsers.lz4block import unpack

MINE = (
    "syslog", "weblog", "w3c", "utmp", "journald", "auditd", "bodyfile", "santa", "shell_history",
    "linux_packages", "weberror", "linux_accounts", "linux_host", "linux_jobs",
    "plain_logs",
)  # fmt: skip
MARCH_2024 = calendar.timegm((2024, 3, 20, 12, 0, 0))

# plaso's samples: the parser, and events that plaso does not count as we do.
PLASO = {
    "bash_history_desync": ("shell_history", 0),
    "zsh_extended_history.txt": ("shell_history", 0),
    "confluence_access.log": ("weblog", 0),
    "confluence_access_post7.11.log": ("weblog", 0),
    "iis/iis7_owa.log": ("w3c", 0),
    "wifi.log": ("syslog", 0),
    "wifi_turned_over.log": ("syslog", 0),
    "santa2.log": ("santa", 0),
    "syslog/syslog": ("syslog", 0),
    "suricata_alert_fast.log": ("plain_logs", 0),
    "ios_lockdownd.log": ("plain_logs", 0),
    "utmp/utmp_x86_64": ("utmp", 0),
    # Two of its four records are zeros, which plaso gives as events without a time.
    "utmp/wtmp.1": ("utmp", 2),
}


@pytest.mark.parametrize("name", PLASO)
def test_as_many_events_as_plaso(shared: Path, name: str) -> None:
    parser, zeros = PLASO[name]
    with open(shared / "oracles" / "plaso_expected_counts.tsv", newline="") as table:
        expected = {row["test_data_file"]: row for row in csv.DictReader(table, delimiter="\t")}
    data = (shared / "triage" / "plaso" / name).read_bytes()
    found = identify(data[:65536], name)
    assert found.parser is not None, found.refused
    assert found.parser.name == parser
    read = Read(parser, data, name)
    assert sum(read.counts.values()) == int(expected[name]["event_data"]) - zeros
    if parser != "utmp":
        assert read.account.damaged == int(expected[name]["extraction_warnings"])


def test_journals_of_three_systemds(shared: Path) -> None:
    with zipfile.ZipFile(shared / "triage" / "velociraptor" / "system.journal.zip") as archive:
        counts = {name: Read("journald", archive.read(name)) for name in archive.namelist()}
    # journalctl lists 3 of each whole one; it gives up on those that were cut.
    assert {name: read.account.in_rows for name, read in counts.items()} == {
        "system.journal": 1, "compact.journal": 380, "2004.journal": 3, "2404.journal": 3,
    }  # fmt: skip
    assert {name: read.account.damaged for name, read in counts.items()} == {
        "system.journal": 1, "compact.journal": 1, "2004.journal": 0, "2404.journal": 0,
    }  # fmt: skip
    first = counts["2404.journal"].rows["raw_event"][0]
    holds(first, message="Journal started", event_pid=3352, log_provider="systemd-journald")
    assert first["unmapped"]["_COMM"] == "systemd-journal"


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": 1}\n{"a": 2}\n', b"a,b,c\n1,2,3\n", b"# Title\n\nSome text.\n", b"\x7fELF\2\1\1",
        b"import os\n\nprint(1)\n", b"<?xml version='1.0'?>\n<a/>\n", b"name: x\nvalue: y\n",
        b"2024-01-01 10:00:00,123 INFO app started\n" * 9,
        b"10:00:00 something happened\n" * 9, b"\0" * 4096,
        json.dumps({"time": "Jan  1 10:00:00"}).encode(),
    ],
)  # fmt: skip
def test_other_files_are_refused(text: bytes) -> None:
    for name in MINE:
        match, why = BY_NAME[name].match(text, "folder/file.txt")
        assert match == Match.NO, name
        assert why, name


# --- syslog


def line(message: str, program: str = "sshd[7]") -> bytes:
    return f"Mar  1 10:00:00 web {program}: {message}\n".encode()


@pytest.mark.parametrize(
    ("program", "message", "table", "columns"),
    [
        ("sshd[7]", "Accepted publickey for bob from 10.0.0.1 port 50000 ssh2: RSA SHA256:abc",
         "authentication", {"user_name": "bob", "src_ip": "10.0.0.1", "src_port": 50000,
                            "activity_id": 1, "status_id": 1, "auth_package": "publickey",
                            "unmapped": {"key_type": "RSA", "key_fingerprint": "SHA256:abc"}}),
        ("sshd[7]", "Failed password for invalid user a b from ::1 port 1 ssh2",
         "authentication", {"user_name": "a b", "src_ip": "::1", "status_id": 2}),
        ("sshd[7]", "Failed password for root from host.example port 1 ssh2",
         "authentication", {"user_name": "root", "src_hostname": "host.example"}),
        ("sshd[7]", "Invalid user admin from 10.0.0.1 port 2", "authentication",
         {"user_name": "admin", "status_id": 2, "status_name": "invalid user"}),
        ("sshd[7]", "Received disconnect from 10.0.0.1 port 2:11: Bye Bye [preauth]",
         "remote_access_activity", {"src_ip": "10.0.0.1", "src_port": 2, "result": "Bye Bye",
                                    "class_uid": 4007, "activity_id": 2}),
        ("sshd[7]", "pam_unix(sshd:session): session opened for user bob(uid=1000) by (uid=0)",
         "authentication", {"user_name": "bob", "user_uid": "1000", "actor_user_uid": "0"}),
        ("sudo", "bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/cat /etc/shadow",
         "process_activity", {"actor_user_name": "bob", "user_name": "root", "status_id": 1,
                              "proc_cmd_line": "/bin/cat /etc/shadow", "proc_cwd": "/home/bob"}),
        ("sudo", "bob : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
         "process_activity", {"status_id": 2, "actor_user_name": "bob"}),
        ("su[9]", "FAILED SU (to root) bob on pts/1", "authentication",
         {"user_name": "root", "actor_user_name": "bob", "status_id": 2, "activity_id": 7}),
        ("useradd[9]", "new user: name=eve, UID=1001, GID=1001, home=/home/eve, shell=/bin/sh",
         "account_change", {"user_name": "eve", "user_uid": "1001", "activity_id": 1}),
        ("usermod[9]", "add 'eve' to group 'sudo'", "account_change",
         {"user_name": "eve", "group_name": "sudo", "class_uid": 3006, "activity_id": 3}),
        ("passwd[9]", "pam_unix(passwd:chauthtok): password changed for eve", "account_change",
         {"user_name": "eve", "activity_id": 3}),
        ("CRON[9]", "(root) CMD (run-parts /etc/cron.hourly)", "job_activity",
         {"user_name": "root", "job_cmd_line": "run-parts /etc/cron.hourly"}),
        ("systemd-logind[9]", "New session 4 of user bob.", "authentication",
         {"user_name": "bob", "session_uid": "4"}),
        ("kernel", "sd 0:0:0:0: attached", "raw_event", {"log_provider": "kernel"}),
    ],
)  # fmt: skip
def test_what_programs_say(
    program: str, message: str, table: str, columns: dict[str, object]
) -> None:
    read = Read("syslog", line(message, program), modified=MARCH_2024)
    row = read.one(table)
    holds(row, device_hostname="web", message=message, parse_flags=96, **columns)
    assert row["time"] == datetime.datetime(2024, 3, 1, 10, tzinfo=datetime.UTC)


def test_years_go_back_from_when_the_file_was_written() -> None:
    text = b"Nov 30 10:00:00 h p: a\nDec 31 23:59:59 h p: b\nJan  1 00:00:01 h p: c\n"
    rows = Read("syslog", text, modified=MARCH_2024).rows["raw_event"]
    assert [row["time"].year for row in rows] == [2023, 2023, 2024]
    late = b"Dec 31 23:59:59 h p: a\nJan  1 00:00:01 h p: b\nDec 31 23:59:58 h p: late\n"
    rows = Read("syslog", late, modified=MARCH_2024).rows["raw_event"]
    assert [row["time"].year for row in rows] == [2023, 2024, 2023]


def test_a_line_like_nothing_is_damage_and_a_folded_one_is_not() -> None:
    read = Read("syslog", line("a") + b"\tand more\n" + b"nothing\n" + line("b"))
    assert [row["message"] for row in read.rows["raw_event"]] == ["a\n\tand more", "b"]
    assert [(row["src_offset"], row["raw"]) for row in read.damage] == [(41, b"nothing")]


def test_zeros_of_a_lost_write_are_slack() -> None:
    read = Read("syslog", line("a") + b"\0" * 500 + line("b"))
    assert [row["src_offset"] for row in read.rows["raw_event"]] == [0, 41 - 10 + 500]
    assert read.account.bytes_slack == 500


def test_rfc5424() -> None:
    text = (
        b'<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 app 8710 ID47 [ex@1 a="x\\"y\\]"]'
        b"[z] \xef\xbb\xbfIt\n"
    )
    row = Read("syslog", text).one("raw_event")
    holds(
        row, device_hostname="192.0.2.1", log_provider="app", event_pid=8710, event_code="ID47",
        message="It", log_name="local4", severity_id=1,
        unmapped={"severity": "notice", "ex@1.a": 'x"y]', "z": ""},
    )  # fmt: skip
    assert row["time"] == datetime.datetime(2003, 8, 24, 12, 14, 15, 3, tzinfo=datetime.UTC)
    assert "parse_flags" not in row


def test_forwarded_messages_stand_one_behind_the_other() -> None:
    text = b"<14>2021-03-06T04:07:33.1+00:00 h a: one<14>2021-03-06T04:07:34+00:00 h b: two\nmore"
    rows = Read("syslog", text).rows["raw_event"]
    assert [(row["log_provider"], row["message"]) for row in rows] == [
        ("a", "one"), ("b", "two\nmore"),
    ]  # fmt: skip


# --- logs of web servers


def test_access_logs() -> None:
    text = (
        b'1.2.3.4 - frank [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.0" 200 2326 '
        b'"http://r/" "Mozilla \\"x\\"" 0.01\n'
        b'www.example.com:443 ::1 - - [10/Oct/2000:13:55:36 -0700] "\\x16\\x03" 400 -\n'
        b"garbage\n"
    )
    read = Read("weblog", text)
    first, second = read.rows["http_activity"]
    holds(
        first, src_ip="1.2.3.4", user_name="frank", http_method="GET", activity_id=3, url_path="/a",
        url_query="b=c", http_version="1.0", status_code=200, response_len=2326,
        referrer="http://r/", user_agent='Mozilla \\"x\\"', unmapped={"field_1": "0.01"},
        time=datetime.datetime(2000, 10, 10, 20, 55, 36, tzinfo=datetime.UTC),
    )  # fmt: skip
    holds(
        second, src_ip="::1", url_hostname="www.example.com", dst_port=443, status_code=400,
        unmapped={"request": "\\x16\\x03"},
    )  # fmt: skip
    assert read.account.damaged == 1


def test_w3c_fields_in_any_order() -> None:
    text = (
        b"#Version: 1.0\r\n#Date: 2015-01-02 00:00:00\r\n"
        b"#Fields: time sc-status cs-method cs-uri-stem c-ip cs(User-Agent) time-taken x-new\r\n"
        b"10:00:00 404 POST /a 1.2.3.4 Mozilla/5.0+(X) 15 z\r\n"
        b"10:00:01 404 POST\r\n"
    )
    read = Read("w3c", text)
    holds(
        read.one("http_activity"), status_code=404, http_method="POST", activity_id=6,
        url_path="/a", src_ip="1.2.3.4", user_agent="Mozilla/5.0 (X)", duration_s=0.015,
        unmapped={"x-new": "z"},
        time=datetime.datetime(2015, 1, 2, 10, tzinfo=datetime.UTC),
    )  # fmt: skip
    assert read.account.damaged == 1


# --- binary books of logons


def entry(kind: int, user: bytes, layout: str, address: bytes = bytes(16)) -> bytes:
    order = ">" if layout == "big" else "<"
    head = struct.pack(
        order + "hHi32s4s32s256shh", kind, 0, 77, b"pts/0", b"ts/0", user, b"h", 0, 0
    )
    when = struct.pack(order + ("qqq" if layout == "wide" else "iii"), 5, 1700000000, 250000)
    return head + when + address + bytes(20 if layout != "wide" else 24)


@pytest.mark.parametrize("layout", ["little", "big", "wide"])
def test_utmp_of_every_layout(layout: str) -> None:
    data = entry(7, b"bob", layout, bytes([10, 0, 0, 1]) + bytes(12)) + entry(6, b"eve", layout)
    rows = Read("utmp", data, "var/log/btmp").rows["authentication"]
    assert [(row["user_name"], row["status_id"]) for row in rows] == [("bob", 2), ("eve", 2)]
    rows = Read("utmp", data, "var/log/wtmp").rows["authentication"]
    assert len(rows) == 1
    holds(
        rows[0], user_name="bob", src_ip="10.0.0.1", src_hostname="h", terminal="pts/0",
        status_id=1, activity_id=1, event_pid=77,
        time=datetime.datetime(2023, 11, 14, 22, 13, 20, 250000, tzinfo=datetime.UTC),
    )  # fmt: skip


def test_lastlog_is_by_user_number() -> None:
    data = bytes(292 * 3) + struct.pack("<I32s256s", 1700000000, b"pts/9", b"10.1.1.1")
    read = Read("utmp", data, "var/log/lastlog")
    holds(read.one("authentication"), user_uid="3", terminal="pts/9", src_ip="10.1.1.1")
    assert read.account.bytes_slack == 292 * 3


def test_lz4_blocks() -> None:
    # Three literals, then nine bytes from three back, then two literals.
    block = bytes([0x35]) + b"abc" + b"\3\0" + bytes([0x20]) + b"de"
    assert unpack(block, 64) == b"abc" * 4 + b"de"
    assert unpack(bytes([0x35]) + b"abc" + b"\4\0", 64) is None  # from before the start
    assert unpack(bytes([0xF0, 0xFF, 0xFF]), 64) is None
    assert unpack(bytes([0x30]) + b"abc", 2) is None


# --- the audit log


def audit(*records: str, number: int = 1) -> bytes:
    return "".join(
        f"type={kind} msg=audit(1700000000.123:{number}): {rest}\n"
        for kind, _, rest in (record.partition(" ") for record in records)
    ).encode()


def test_audit_records_become_one_event_though_they_are_interleaved() -> None:
    call = "SYSCALL arch=c000003e syscall=59 success=yes exit=0 ppid=1 pid=2 auid=1000 uid=0 " \
           'ses=3 comm="sh" exe="/bin/sh" key="k"'  # fmt: skip
    one = audit(call, 'EXECVE argc=2 a0="sh" a1=2D632069642061', 'CWD cwd="/tmp"').splitlines(True)
    two = audit(
        'USER_LOGIN pid=9 uid=0 auid=0 ses=1 msg=\'op=login acct="bob" exe="/usr/sbin/sshd" '
        "hostname=? addr=10.0.0.1 terminal=ssh res=failed'", number=2,
    ).splitlines(True)  # fmt: skip
    read = Read("auditd", b"".join([one[0], *two, *one[1:], b"nothing\n"]))
    assert (read.account.records, read.account.in_rows, read.account.damaged) == (5, 4, 1)
    (process,) = read.rows["process_activity"]
    holds(
        process, proc_cmd_line="sh -c id a", proc_cwd="/tmp", proc_path="/bin/sh", proc_pid=2,
        parent_pid=1, user_uid="0", actor_user_uid="1000", status_id=1, rule_name="k",
        src_record_id=1, activity_id=1,
        time=datetime.datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=datetime.UTC),
    )  # fmt: skip
    (login,) = read.rows["authentication"]
    holds(login, user_name="bob", src_ip="10.0.0.1", status_id=2, terminal="ssh", activity_id=1)


def test_audit_files_and_addresses() -> None:
    base = "SYSCALL arch=c000003e success=yes exit=0 pid=2 uid=0"
    read = Read(
        "auditd",
        audit(f"{base} syscall=82", 'PATH item=0 name="/a" nametype=DELETE',
              'PATH item=1 name="/b" nametype=CREATE', number=1)
        + audit(f"{base} syscall=42", "SOCKADDR saddr=020001BB0A0000010000000000000000", number=2)
        + audit(f"{base} syscall=257", 'PATH item=0 name="/etc" nametype=PARENT',
                "PATH item=1 name=2F6574632F612062 nametype=CREATE", number=3),
    )  # fmt: skip
    renamed, created = read.rows["file_activity"]
    holds(renamed, activity_id=5, file_path="/b", file_prev_path="/a")
    holds(created, activity_id=1, file_path="/etc/a b", file_name="a b")
    holds(read.rows["network_activity"][0], dst_ip="10.0.0.1", dst_port=443, activity_id=1)


# --- small files


def test_passwords_are_not_kept() -> None:
    text = b"root:$6$salt$Secret:19000:0:99999:7:::\nbob:!$y$j9T$x:19001:0:99999:7::20000:\n"
    rows = Read("linux_accounts", text, "etc/shadow").rows["inventory"]
    assert [row["unmapped"]["password"] for row in rows] == ["sha512", "locked, yescrypt"]
    assert "Secret" not in repr(rows)
    assert rows[0]["password_set_time"].date() == datetime.date(2022, 1, 8)
    assert rows[1]["is_disabled"] is True


@pytest.mark.parametrize(
    ("path", "text", "parser", "table", "columns"),
    [
        ("etc/crontab", b"*/5 * * * * root /bin/x -y\n", "linux_jobs", "artifact_query",
         {"cmd_line": "/bin/x -y", "user_name": "root", "detail": "*/5 * * * *"}),
        ("var/spool/cron/crontabs/bob", b"@reboot /tmp/x\n", "linux_jobs", "artifact_query",
         {"cmd_line": "/tmp/x", "user_name": "bob", "detail": "@reboot"}),
        ("a/evil.service", b"[Service]\nExecStart=/tmp/x \\\n  -y\nUser=bob\n", "linux_jobs",
         "artifact_query", {"cmd_line": "/tmp/x -y", "user_name": "bob", "class_uid": 5022}),
        ("etc/os-release", b'NAME="Ubuntu"\nVERSION_ID="22.04"\n', "linux_host", "inventory",
         {"os_name": "Ubuntu", "os_version": "22.04", "fact": "os"}),
        ("etc/fstab", b"/dev/sda1 / ext4 defaults 0 1\n", "linux_host", "inventory",
         {"fact": "mount", "detail": "/dev/sda1 on /"}),
        ("var/log/dpkg.log", b"2012-01-02 22:00:20 upgrade libbde-dev 1 2\n", "linux_packages",
         "application_activity", {"app_name": "libbde-dev", "app_prev_version": "1",
                                  "app_version": "2", "activity_id": 8, "parse_flags": 32}),
        ("pacman.log", b"[2020-01-01T10:00:00+0000] [ALPM] installed foo (1.0-1)\n",
         "linux_packages", "application_activity", {"app_name": "foo", "app_version": "1.0-1"}),
        ("fish_history", b"- cmd: ls\n  when: 1457771210\n", "shell_history", "script_activity",
         {"script_content": "ls", "script_type": "fish", "time_desc": "run"}),
        ("bodyfile.txt", b"0|/a|b|7|r/rrw|1|2|3|10|20.5|30|0\n", "bodyfile", "file_query",
         {"file_path": "/a|b", "file_size": 3, "mft_entry": 7, "owner_uid": "1"}),
        ("error.log", b"2011/06/10 13:30:10 [error] 12#0: *1 open() failed, client: 1.2.3.4\n",
         "weberror", "raw_event", {"log_provider": "nginx", "event_pid": 12, "severity_id": 4}),
    ],
)  # fmt: skip
def test_small_files(
    path: str, text: bytes, parser: str, table: str, columns: dict[str, object]
) -> None:
    found = identify(text, path)
    assert found.parser is not None, found.refused
    assert found.parser.name == parser
    holds(Read(parser, text, path).one(table), **columns)
