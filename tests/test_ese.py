"""ESE databases: what is read of each, and of damaged ones."""

import gzip
import struct
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.database_case import Read
from tests.fuzz.examine import read
from tracelake.parsers import ese_db, ese_file, ese_sheets
from tracelake.parsers.artifact import Match
from tracelake.parsers.bits_jobs import file_of, job_of
from tracelake.parsers.sheets import made, place_of
from tracelake.parsers.texts_in import prefixed_texts

SRUM = "triage/museum/SRUM/Win10/RathbunVM/Clean/SRUDB.dat"
UAL = "triage/velociraptor/{03A01CC5-91BB-4936-B685-63697785D39E}.mdb"
HEAD = bytes(4) + ese_file.SIGNATURE + bytes(700)


@pytest.fixture
def installed() -> None:
    pytest.importorskip("pyesedb", reason="libesedb is not installed (extra `images`)")


def test_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ese_db, "library", lambda: None)
    sure, why = ese_db.match(HEAD, "SRUDB.dat")
    assert sure is Match.NEAR
    assert "pip install 'tracelake[images]'" in why
    assert ese_db.match(bytes(100), "SRUDB.dat")[1] == "no ESE signature at offset 4"


@pytest.mark.usefixtures("installed")
def test_srum(shared: Path) -> None:
    data = (shared / SRUM).read_bytes()
    assert ese_db.match(data[:65536], "x")[0] is Match.CONTENT
    done = Read(ese_db.PARSER, data, SRUM)
    # 309 records, of which those of network usage are in both tables.
    assert done.counts == {"artifact_query": 309, "network_activity": 23}
    assert done.account.closes
    assert done.account.records == done.account.in_rows == 309
    rows = done.rows["artifact_query"]
    kinds = {kind: sum(row["artifact"] == kind for row in rows) for kind in
             sorted({row["artifact"] for row in rows})}  # fmt: skip
    assert kinds == {
        "srum_app_timeline": 163, "srum_application": 118, "srum_network_connectivity": 1,
        "srum_network_usage": 23, "srum_vfu": 4,
    }  # fmt: skip
    assert all(row["time"].year == 2022 for row in rows)
    first = next(row for row in rows if row["artifact"] == "srum_network_usage")
    assert (first["bytes_out"], first["bytes_in"]) == (0x2ED4, 0x31D3)
    assert first["time"] == datetime(2022, 2, 5, 22, 19, tzinfo=UTC)
    assert any(row["subject_path"] and "\\Device\\" in row["subject_path"] for row in rows)
    assert sum(row["user_uid"] is not None for row in rows) > 290
    # What stands where a column has no value is no value.
    assert not any("707406378" in row["unmapped"].values() for row in rows)


@pytest.mark.usefixtures("installed")
def test_srum_of_windows_server(shared: Path) -> None:
    path = shared / "triage/dissect-esedb/tests/_data/SRUDB.dat.gz"
    done = Read(ese_db.PARSER, gzip.decompress(path.read_bytes()), "SRUDB.dat")
    # What pyesedb counts in the tables of the providers: 6 + 3 + 203 + 3 + 3 + 2.
    assert done.counts == {"artifact_query": 220}
    assert not done.damage


@pytest.mark.usefixtures("installed")
def test_user_access_logging(shared: Path) -> None:
    done = Read(ese_db.PARSER, (shared / UAL).read_bytes(), UAL)
    assert done.counts == {"authentication": 39, "raw_event": 21}
    rows = done.rows["authentication"]
    assert all(row["src_ip"] and row["service_uid"] and row["user_name"] for row in rows)
    one = next(row for row in rows if row["user_name"] == "administrator")
    assert (one["user_domain"], one["service_name"]) == ("lab", "Active Directory Domain Services")
    assert one["time"].year == 2021
    assert one["unmapped"]["InsertDate"].startswith("2021-")
    assert one["unmapped"]["TotalAccesses"].isdigit()


@pytest.mark.usefixtures("installed")
def test_a_database_that_was_not_shut_down_is_read_and_says_so(shared: Path) -> None:
    data = bytearray((shared / SRUM).read_bytes())
    struct.pack_into("<I", data, 52, 2)
    done = Read(ese_db.PARSER, bytes(data), SRUM)
    assert done.counts["artifact_query"] == 309
    assert all(
        row["unmapped"]["database state"] == "dirty shutdown" for row in done.rows["artifact_query"]
    )


@pytest.mark.usefixtures("installed")
def test_other_databases_are_left_with_the_names_of_their_tables(shared: Path) -> None:
    path = shared / "triage/dissect-esedb/tests/_data/binary.edb.gz"
    done = Read(ese_db.PARSER, gzip.decompress(path.read_bytes()), "binary.edb")
    assert done.stopped is not None
    assert done.stopped.why == "of no program that is known; tables: binary"


@pytest.mark.usefixtures("installed")
def test_damaged_databases_end(shared: Path) -> None:
    data = (shared / SRUM).read_bytes()
    for at in [0, 7, 8, 600, 668, 4096, 8192, *range(20000, len(data), 90001)]:
        read(ese_db.PARSER, data[:at], "cut", 65536, 1 << 16, completed=False)
    for page in range(2, len(data) // 4096, 13):
        broken = bytearray(data)
        broken[page * 4096 + 40 : page * 4096 + 400] = bytes(range(120)) * 3
        read(ese_db.PARSER, bytes(broken), "page", 65536, 1 << 16, completed=False)


def test_values() -> None:
    assert ese_file.value_of(ese_file.LONG, b"\xff\xff\xff\xff") == -1
    assert ese_file.value_of(ese_file.LONG, b"****") is None
    assert ese_file.value_of(ese_file.LONG_BINARY, b"****") == b"****"
    assert ese_file.value_of(ese_file.LONG, b"abc") == b"abc"
    guid = uuid.UUID("10a9226f-50ee-49d8-a393-9a501d47ce04")
    text = ese_file.value_of(ese_file.GUID, guid.bytes_le)
    assert ese_sheets.ROLES[text] == "File Server"
    day = ese_file.value_of(ese_file.DATE, struct.pack("<d", 44597.5))
    assert ese_sheets.date(day) == ((44597 - 25569) * 86400 * 10**6 + 43200 * 10**6, 0)
    assert ese_sheets.date(ese_file.value_of(ese_file.DATE, struct.pack("<q", 116444736000000011)))\
        == (1, 100)  # fmt: skip


def test_a_sid() -> None:
    data = bytes.fromhex("01050000000000051500000001000000020000000300000000000450")
    assert ese_sheets.sid_text(data) == "S-1-5-21-1-2-3-1342439424"
    assert ese_sheets.sid_text(data, turned=True) == "S-1-5-21-1-2-3-1104"
    for wrong in (b"", data[:-1], b"\2" + data[1:], None):
        assert ese_sheets.sid_text(wrong) is None


def test_web_cache_rows() -> None:
    tables = {"Container_3": (), "Container_4": (), "Containers": (), "CookieEntryEx_5": ()}
    names = {3: {"Name": "History"}, 4: {"Name": "Cookies"}}
    history, cookie, entry = ese_sheets.web_cache(tables, names)
    ours, unmapped = made(
        history,
        {"Url": "Visited: anna@https://a.example/x?y=a@b", "AccessedTime": 132_539_328_000_000_000,
         "AccessCount": 3, "ResponseHeaders": b"\1\xff"},
        place_of("C/Users/other/WebCacheV01.dat"),
    )  # fmt: skip
    assert (ours["url"], ours["user_name"]) == ("https://a.example/x?y=a@b", "anna")
    assert (ours["record_type"], ours["time"]) == ("visit", 1609459200000000)
    assert unmapped["ResponseHeaders"] == "01ff"
    ours, _ = made(cookie, {"Url": "Cookie:anna@b.example/"}, place_of("x"))
    assert (ours["record_type"], ours["url_hostname"]) == ("cookie", "b.example")
    assert entry.table == "CookieEntryEx_5"


def test_accounts_of_a_domain_without_their_secrets() -> None:
    ours, unmapped = made(
        ese_sheets.NTDS,
        {"ATTm590045": "anna", "ATTj589832": 514, "ATTk589914": b"\xde\xad", "ATTk589984": b"\xbe",
         "ATTq589876": 132_539_328_000_000_000, "ATTl131074": 13_253_932_800,
         "ATTr589970": bytes.fromhex("01050000000000051500000001000000020000000300000000000450")},
        place_of("ntds.dit"),
    )  # fmt: skip
    assert (ours["user_name"], ours["user_uid"]) == ("anna", "S-1-5-21-1-2-3-1104")
    assert ours["is_disabled"] is True
    assert ours["last_logon_time"] == ours["account_created_time"] == 1609459200000000
    assert unmapped["secrets not shown"] == "lmPwdHistory, unicodePwd"
    assert not any("dead" in value or value == "be" for value in unmapped.values())


def test_texts_behind_their_length() -> None:
    def text(value: str) -> bytes:
        return struct.pack("<I", len(value) + 1) + (value + "\0").encode("utf-16-le")

    blob = b"\1\2\3" + text("C:\\a.exe") + text("http://a.example/") + b"\xff" * 9
    assert prefixed_texts(blob) == ["C:\\a.exe", "http://a.example/"]
    assert prefixed_texts(None) == prefixed_texts(b"\xff" * 50) == []
    _, files = ese_sheets.bits([])
    ours, unmapped = made(files, {"Id": "{1}", "Blob": blob}, place_of("qmgr.db"))
    assert (ours["url"], ours["file_path"]) == ("http://a.example/", "C:\\a.exe")
    assert unmapped["Blob"] == blob.hex()


WHEN = 132_500_000_000_000_000  # 2020-11-16
DONE = WHEN + 10_000_000
FILE_ID = bytes(range(16))
JOB_ID = bytes(range(16, 32))


def counted(value: str) -> bytes:
    return struct.pack("<I", len(value) + 1) + (value + "\0").encode("utf-16-le")


def job_blob(error: bytes = bytes(4), heads: int = 1) -> bytes:
    """A job as qmgr.db has it, by the descriptions named in `bits_jobs`."""
    listed = bytes.fromhex("36da56776f515a43acac44a248fff34d")
    return (
        b"\xa1\x56\x09\xe1" * 4 * heads + struct.pack("<IIII", 1, 0, 6, 0) + JOB_ID
        + counted("exfil") + counted("a description") + counted("C:\\x.exe") + counted("-q")
        + counted("S-1-5-18") + struct.pack("<I", 3) + b"security" * 5
        + listed + struct.pack("<I", 2) + FILE_ID + bytes(16) + listed
        + error + struct.pack("<III", 0, 600, 1_209_600)
        + struct.pack("<4Q", WHEN, WHEN + 5, WHEN + 7, DONE) + bytes(40)
    )


def file_blob() -> bytes:
    return (
        bytes.fromhex("e4cf9e5146d99743b73e268513051ab2") + counted("C:\\Users\\a\\b.bin")
        + counted("https://evil.example/up") + counted("C:\\Users\\a\\BIT1.tmp")
        + struct.pack("<QQ", 77, 2**64 - 1) + b"\1" + counted("C:\\") + counted("volume")
        + bytes(24)
    )


TEXT_OF_ERROR = counted("a state")
ERRORS = {
    "none": bytes(4),
    "one": struct.pack("<I5I", 1, 2, 3, 4, 5, 6) + b"\0",
    "with a text": struct.pack("<I5I", 1, 2, 3, 4, 5, 6) + b"\1" + TEXT_OF_ERROR,
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("heads", [1, 2])
def test_a_transfer_job_and_its_file(error: bytes, heads: int) -> None:
    jobs = [{"Id": "{0}", "Blob": job_blob(error, heads)}]
    job, file = ese_sheets.bits(jobs)
    ours, unmapped = made(job, jobs[0], place_of("qmgr.db"))
    uid = "{" + str(uuid.UUID(bytes_le=JOB_ID)).upper() + "}"
    assert (ours["job_uid"], ours["job_name"], ours["job_owner"]) == (uid, "exfil", "S-1-5-18")
    assert (ours["time"], ours["time_desc"]) == (1605526400000000, "job created")
    assert unmapped["job_type"] == "upload"
    assert unmapped["job_state"] == "transferred"
    assert unmapped["notify_command"] == "C:\\x.exe -q"
    assert unmapped["transferred"] == "2020-11-16T11:33:21Z"
    own = "{" + str(uuid.UUID(bytes_le=FILE_ID)).upper() + "}"
    assert own in unmapped["files"]
    for name in (own, FILE_ID):
        ours, unmapped = made(file, {"Id": name, "Blob": file_blob()}, place_of("qmgr.db"))
        assert (ours["url"], ours["url_hostname"]) == ("https://evil.example/up", "evil.example")
        assert ours["file_path"] == "C:\\Users\\a\\b.bin"
        assert (ours["job_name"], ours["time_desc"]) == ("exfil", "job created")
        assert (unmapped["bytes_transferred"], unmapped["volume"]) == ("77", "volume")
        assert "bytes_total" not in unmapped


def test_transfer_jobs_that_are_cut_or_of_another_form() -> None:
    whole = job_blob()
    for end in range(len(whole)):
        found = job_of(whole[:end])
        assert found is None or (found.name, found.owner) == ("exfil", "S-1-5-18")
    assert job_of(bytes(16) + b"\xff" * 200) is None
    assert job_of(None) is None
    whole = file_blob()
    assert all(file_of(whole[:end]) is None for end in range(100))
    job, _ = ese_sheets.bits([])
    ours, unmapped = made(job, {"Id": "{1}", "Blob": b"\xff" * 60}, place_of("qmgr.db"))
    assert (ours["job_uid"], ours.get("time")) == ("{1}", None)
    assert unmapped["Blob"] == "ff" * 60
