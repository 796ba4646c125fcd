"""Whose each artifact and row is, what is known of each host, and what was collected twice."""

import gzip
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from line import EVIDENCE, tracelake
from small_lake import NOON, PROVENANCE, SmallLake

from tests.hive_build import Builder, dword, sz, tree
from tracelake.analysis.session import Session
from tracelake.analysis.views import zones
from tracelake.analysis.views.base import OTHER_TIMES
from tracelake.case import open_case
from tracelake.normalize import TABLES

HOUR = timedelta(hours=1)


class Evidence:
    """A lake into which collections are laid file by file, as an ingest would book them."""

    def __init__(self, lake: SmallLake) -> None:
        self.lake = lake
        self._sources = 0
        self._containers: dict[str, tuple[str, int]] = {}

    def loose(self, path: str, root: str = "/cases") -> tuple[str, int]:
        """A file of a folder that was given: a source of its own."""
        source_id = self._source(f"{root}/{path}")
        self._artifact(source_id, 0, path)
        return source_id, 0

    def inside(self, container: str, path: str) -> tuple[str, int]:
        """A file in a container."""
        if container not in self._containers:
            self._containers[container] = (self._source(container), -1)
        source_id, last = self._containers[container]
        self._containers[container] = (source_id, last + 1)
        self._artifact(source_id, last + 1, path)
        return source_id, last + 1

    def _source(self, uri: str) -> str:
        self._sources += 1
        source_id = f"{self._sources:016x}{0:016x}"
        self.lake.write("source", [{"uri": uri}], replace(PROVENANCE, source_id=source_id))
        return source_id

    def _artifact(self, source_id: str, number: int, path: str) -> None:
        at = replace(PROVENANCE, source_id=source_id, artifact_no=number)
        self.lake.write("artifact", [{"paths": [path]}], at)

    def rows(self, table: str, at: tuple[str, int], *rows: dict[str, Any]) -> None:
        """Rows of an artifact."""
        self.lake.write(
            table, [{"src_offset": 100 * n} | row for n, row in enumerate(rows)],
            replace(PROVENANCE, source_id=at[0], artifact_no=at[1], parser="x"),
        )

    def name(self, at: tuple[str, int], name: str, **other: Any) -> None:
        """The host's name in a registry hive, or in a file of Linux."""
        self.rows("inventory", at, {"fact": "computer_name", "device_hostname": name, **other})

    def log(self, at: tuple[str, int], name: str, first: datetime = NOON) -> None:
        """An event log."""
        self.rows("evtx_file", at, {"device_hostname": name, "first_time": first,
                                    "last_time": first + HOUR})

    def ask(self, query: str, *window: datetime) -> list[Any]:
        """What a session answers."""
        with Session(self.lake, *window) as session:
            return session.sql(query).fetchall()

    def hosts(self) -> dict[str, str | None]:
        """Path of each artifact -> its host."""
        return dict(self.ask("SELECT path, host FROM artifact_host"))


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    return Evidence(SmallLake(str(tmp_path)))


HIVE = "Windows/System32/config/SYSTEM"
LOG = "Windows/System32/winevt/Logs/Security.evtx"


def test_files_of_a_collected_folder_are_of_its_host(evidence: Evidence) -> None:
    evidence.name(evidence.loose(f"KAPE/one/C/{HIVE}"), "ONE")
    evidence.name(evidence.loose(f"KAPE/two/C/{HIVE}"), "TWO")
    evidence.loose("KAPE/one/C/$MFT")
    evidence.loose("KAPE/one/D/Users/ann/NTUSER.DAT")
    evidence.loose("KAPE/two/C/Users/bob/NTUSER.DAT")
    evidence.loose("KAPE/three/C/Users/carl/NTUSER.DAT")
    evidence.loose("KAPE/notes.txt")
    assert evidence.hosts() == {
        f"KAPE/one/C/{HIVE}": "ONE", f"KAPE/two/C/{HIVE}": "TWO", "KAPE/one/C/$MFT": "ONE",
        "KAPE/one/D/Users/ann/NTUSER.DAT": "ONE", "KAPE/two/C/Users/bob/NTUSER.DAT": "TWO",
        "KAPE/three/C/Users/carl/NTUSER.DAT": None, "KAPE/notes.txt": None,
    }


LAYOUTS = [
    ("uploads/auto/C%3A/", "uploads/ntfs/%5C%5C.%5CC%3A/"),
    ("p2/", "p2/vss1/"),
    ("[root]/", "[root]/"),
    ("HOST\\C\\", "HOST\\D\\"),
    ("Partition 2/NONAME [NTFS]/[root]/", "Partition 2/NONAME [NTFS]/"),
    ("C/", "C/Windows.old/"),
]


@pytest.mark.parametrize(("one", "other"), LAYOUTS)
def test_volumes_and_copies_of_one_collection_are_one_host(
    evidence: Evidence, one: str, other: str
) -> None:
    evidence.name(evidence.inside("/a.zip", one + HIVE), "ONE")
    evidence.inside("/a.zip", other + "Users/ann/NTUSER.DAT")
    evidence.inside("/a.zip", other + "$MFT")
    evidence.inside("/a.zip", "what-was-done.log")
    # Where the evidence lies says nothing.
    evidence.inside("/home/ann/var/log/b.zip", "x")
    assert {host for path, host in evidence.hosts().items() if path != "x"} == {"ONE"}
    assert evidence.hosts()["x"] is None


def test_two_hosts_in_one_container_stay_apart(evidence: Evidence) -> None:
    evidence.name(evidence.inside("/all.zip", f"one/C/{HIVE}"), "ONE")
    evidence.name(evidence.inside("/all.zip", f"two/C/{HIVE}"), "TWO")
    evidence.inside("/all.zip", "one/C/$MFT")
    evidence.inside("/all.zip", "two/C/$MFT")
    evidence.inside("/all.zip", "notes")
    evidence.name(evidence.inside("/half.zip", f"three/C/{HIVE}"), "THREE")
    evidence.inside("/half.zip", "three/console.log")
    evidence.inside("/half.zip", "four/C/$MFT")
    evidence.inside("/half.zip", "remark")
    found = evidence.hosts()
    assert [found[f"{n}/C/$MFT"] for n in ("one", "two", "four")] == ["ONE", "TWO", None]
    assert found["three/console.log"] == "THREE"
    assert found["notes"] is found["remark"] is None


def test_two_systems_on_one_disk_are_told_by_their_volume(evidence: Evidence) -> None:
    evidence.name(evidence.inside("/disk.dd", f"p2/{HIVE}"), "ONE")
    evidence.name(evidence.inside("/disk.dd", "p5/etc/hostname"), "two")
    evidence.inside("/disk.dd", "p2/$MFT")
    evidence.inside("/disk.dd", "p5/var/log/auth.log")
    evidence.inside("/disk.dd", "p1/$MFT")
    found = evidence.hosts()
    assert (found["p2/$MFT"], found["p5/var/log/auth.log"]) == ("ONE", "two")
    assert found["p1/$MFT"] is None


def test_what_the_registry_says_now_counts_more_than_copies_and_logs(evidence: Evidence) -> None:
    evidence.name(evidence.loose(f"a/C/{HIVE}"), "NEW")
    evidence.name(evidence.loose("a/C/Windows/System32/config/RegBack/SYSTEM"), "OLD")
    evidence.log(evidence.loose(f"a/C/{LOG}"), "MINWINPC")
    evidence.rows("process_activity", evidence.loose("a/C/Windows/System32/winevt/Logs/S.evtx"),
                  {"device_hostname": "new.corp.example"}, {"device_hostname": "MinWinPC"},
                  {"device_hostname": "another"}, {})
    assert set(evidence.hosts().values()) == {"NEW"}
    found = evidence.ask("SELECT host FROM process_activity ORDER BY src_offset")
    assert found == [("NEW",), ("NEW",), ("another",), ("NEW",)]


def test_a_container_of_a_host_does_not_rename_it(evidence: Evidence) -> None:
    evidence.name(evidence.inside("/u.tar", "[root]/etc/hostname"), "web")
    guest = "[root]/var/lib/docker/containers/ab12/hostname"
    evidence.name(evidence.inside("/u.tar", guest), "ab12")
    evidence.inside("/u.tar", "[root]/var/log/auth.log")
    assert set(evidence.hosts().values()) == {"web"}


def test_the_newest_log_names_a_host_without_a_registry(evidence: Evidence) -> None:
    logs = "b/C/Windows/System32/winevt/Logs"
    evidence.log(evidence.loose(f"{logs}/Security.evtx"), "NOW.corp.example", NOON)
    evidence.log(evidence.loose(f"{logs}/System.evtx"), "SETUP-1", NOON - 9 * HOUR)
    evidence.log(evidence.loose(f"{logs}/Setup.evtx"), "SETUP-2", NOON + HOUR)
    evidence.log(evidence.loose(f"{logs}/ForwardedEvents.evtx"), "FAR", NOON + 9 * HOUR)
    evidence.loose("b/C/$MFT")
    assert set(evidence.hosts().values()) == {"NOW"}


def test_logs_in_a_flat_container_name_a_host_when_they_agree(evidence: Evidence) -> None:
    evidence.log(evidence.inside("/one.zip", "Security.evtx"), "ONE")
    evidence.log(evidence.inside("/one.zip", "System.evtx"), "one.corp.example")
    evidence.inside("/one.zip", "processes.csv")
    evidence.log(evidence.inside("/two.zip", "a-Security.evtx"), "A")
    evidence.log(evidence.inside("/two.zip", "b-Security.evtx"), "B")
    evidence.inside("/two.zip", "readme")
    found = evidence.hosts()
    assert found["processes.csv"] == found["System.evtx"] == "ONE"
    assert (found["a-Security.evtx"], found["b-Security.evtx"]) == ("A", "B")
    assert found["readme"] is None


def test_equal_names_of_different_machines_are_different_hosts(evidence: Evidence) -> None:
    for place, uid in (("a", "1111111122"), ("b", "3333333344")):
        evidence.name(evidence.loose(f"{place}/C/{HIVE}"), "DC01")
        evidence.rows("inventory", evidence.loose(f"{place}/C/Windows/System32/config/SOFTWARE"),
                      {"fact": "machine_uid", "device_uid": uid})
        evidence.loose(f"{place}/C/$MFT")
    assert {evidence.hosts()[f"{p}/C/$MFT"] for p in "ab"} == {"DC01/11111111", "DC01/33333333"}
    assert evidence.ask("SELECT count(*) FROM host") == [(2,)]


def test_the_view_host_says_where_it_knows_it_from(evidence: Evidence) -> None:
    at = evidence.loose(f"a/C/{HIVE}")
    evidence.rows(
        "inventory", at,
        {"fact": "computer_name", "device_hostname": "ONE"},
        {"fact": "time_zone", "time_zone": "W. Europe Standard Time", "time_zone_bias": -60},
        {"fact": "interface", "addresses": ["10.0.0.1", "10.0.0.2"]},
        {"fact": "interface", "addresses": ["10.0.0.1"]},
        {"fact": "hosts", "addresses": ["10.9.9.9"], "detail": "somebody"},
    )
    evidence.rows(
        "inventory", evidence.loose("a/C/Windows/System32/config/SOFTWARE"),
        {"fact": "os", "os_name": "Windows 10 Pro", "os_version": "10.0", "time": NOON},
        {"fact": "machine_uid", "device_uid": "0a-0b"},
        {"fact": "profile", "class_uid": 5003, "user_name": "ann"},
        {"fact": "group", "class_uid": 5003, "user_name": "Administrators"},
    )
    evidence.log(evidence.loose(f"a/C/{LOG}"), "one.corp.example", NOON - HOUR)
    evidence.rows("script_activity", evidence.loose("a/C/Users/ann/x.txt"), {"time": NOON + HOUR})
    for window in ((), (NOON + HOUR, NOON + 2 * HOUR)):
        (row,) = evidence.ask(
            "SELECT host, names, machine_uids, os_name, time_zone, zone, users, addresses, "
            "artifacts, len(evidence), first_seen, last_seen FROM host", *window)
        assert row == (
            "ONE", ["ONE", "one.corp.example"], ["0a-0b"], "Windows 10 Pro",
            "W. Europe Standard Time", "Europe/Berlin", ["ann"], ["10.0.0.1", "10.0.0.2"], 4, 6,
            NOON - HOUR, NOON + HOUR,
        )
    said = evidence.ask("SELECT unnest(evidence, recursive := true) FROM host")
    assert ("computer_name", "ONE", f"inv-{at[0][:16]}-0-0-0") in said
    assert ("machine_uid", "0a-0b", "inv-0000000000000002-0-64-0") in said


def test_hosts_that_only_records_name_are_hosts_too(evidence: Evidence) -> None:
    evidence.rows("process_activity", evidence.loose("edr.jsonl"),
                  {"device_hostname": "FAR.corp.example", "time": NOON},
                  {"device_hostname": "far", "time": NOON + HOUR}, {"time": NOON})
    assert evidence.ask("SELECT host, names, artifacts, first_seen, last_seen FROM host") == [
        ("FAR.corp.example", ["FAR.corp.example", "far"], 0, NOON, NOON + HOUR)]


def test_the_domain_of_a_domain_controller_is_no_host(evidence: Evidence) -> None:
    evidence.name(evidence.loose(f"a/C/{HIVE}"), "DC01")
    evidence.rows("inventory", evidence.loose("a/C/Windows/System32/config/SECURITY"),
                  {"fact": "domain", "device_hostname": "CORP", "device_domain": "corp.example"})
    evidence.rows("inventory", evidence.loose("SECURITY"),
                  {"fact": "domain", "device_hostname": "OTHER", "device_domain": "other.example"})
    assert evidence.ask("SELECT host, names, domains FROM host") == [
        ("DC01", ["DC01"], ["corp.example"])]


def test_a_star_has_hosts_and_a_count_does_not_pay_for_them(evidence: Evidence) -> None:
    evidence.name(evidence.loose(f"a/C/{HIVE}"), "ONE")
    evidence.rows("file_query", evidence.loose("a/C/$MFT"), {"file_path": "\\x"})
    with Session(evidence.lake) as session:
        assert session.sql("SELECT count(*) FROM file_query").fetchall() == [(1,)]
        assert "file_query" in session._hostless
        found = session.sql("SELECT * FROM file_query")
        row = dict(zip(found.columns, found.fetchall()[0], strict=True))
        assert (row["host"], row["device_hostname"]) == ("ONE", None)
        assert session.sql("SELECT file_path FROM file_query WHERE host = 'ONE'").fetchall() == [
            ("\\x",)]


SUMMER = datetime(2024, 7, 1, 12, 0, tzinfo=UTC)


def test_local_times_take_the_zone_of_their_host(evidence: Evidence) -> None:
    evidence.rows("inventory", evidence.inside("/u.tar", "[root]/etc/hostname"),
                  {"fact": "computer_name", "device_hostname": "web"},
                  {"fact": "time_zone", "time_zone": "Europe/Berlin"})
    log = evidence.inside("/u.tar", "[root]/var/log/auth.log")
    evidence.rows("authentication", log, {"time": SUMMER, "parse_flags": 32 | 64}, {"time": SUMMER})
    evidence.rows("authentication", evidence.loose("auth.log"), {"time": SUMMER, "parse_flags": 32})
    evidence.rows(
        "artifact_query", log,
        {"time": SUMMER, "time_desc": "last_connected", "parse_flags": 32,
         "key_modified_time": SUMMER + HOUR, "subject_created_time": SUMMER - 24 * HOUR})
    lines = ("SELECT host, time, time_desc, local_time FROM timeline WHERE table_name = '{}' "
             "ORDER BY host NULLS LAST, time, local_time NULLS LAST")
    local = SUMMER.replace(tzinfo=None)
    assert evidence.ask(lines.format("authentication")) == [
        ("web", SUMMER - 2 * HOUR, None, local), ("web", SUMMER, None, None),
        (None, SUMMER, None, None)]
    assert evidence.ask(lines.format("artifact_query")) == [
        ("web", SUMMER - 26 * HOUR, "subject_created", local - 24 * HOUR),
        ("web", SUMMER - 2 * HOUR, "last_connected", local),
        ("web", SUMMER + HOUR, "key_modified", None)]
    stored = evidence.ask("SELECT DISTINCT time, utc_of(time, parse_flags, 'Asia/Tokyo') "
                          "FROM authentication ORDER BY ALL")
    assert stored == [(SUMMER, SUMMER - 9 * HOUR), (SUMMER, SUMMER)]


def test_zones_of_windows_are_zones(evidence: Evidence) -> None:
    known = {name for (name,) in evidence.ask("SELECT name FROM pg_timezone_names()")}
    assert len(zones.WINDOWS) > 130
    assert set(zones.WINDOWS.values()) <= known
    evidence.rows("inventory", evidence.loose(f"a/C/{HIVE}"),
                  {"fact": "computer_name", "device_hostname": "ONE"},
                  {"fact": "time_zone", "time_zone": "no zone; DROP TABLE"})
    assert evidence.ask("SELECT host, zone FROM artifact_host") == [("ONE", None)]


NOT_DATES = {
    "account_expires_time", "lease_ends_time", "logged_time", "actor_created_time",
    "actor_parent_created_time", "parent_created_time", "os_actor_created_time",
}
"""Times that say nothing of what happened: until when something holds, when a log wrote it down,
when the processes began that did it (their own rows say that)."""


def test_every_time_of_a_row_is_a_line_of_the_timeline() -> None:
    for table in TABLES.values():
        if table.is_events:
            times = {f.name for f in table.schema if "timestamp" in str(f.type)} - {"time"}
            listed = set(OTHER_TIMES.get(table.name, ()))
            assert listed <= times, table.name
            left = {t for t in times - listed - NOT_DATES if not t.startswith("cert_")}
            assert left <= DATED_BY_TIME.get(table.name, set()), table.name


DATED_BY_TIME = {
    "authentication": {"ticket_from", "ticket_till"},
    "net_service_activity": {"up_since", "reference_time", "origin_time", "receive_time",
                             "transmit_time"},
    "detection_finding": {"finding_created_time", "finding_modified_time", "first_seen_time",
                          "last_seen_time", "proc_created_time", "proc_ended_time"},
    "certificate": {"countersigned_time"},
    "module_activity": {"module_created_time", "module_modified_time"},
    "process_activity": {"proc_created_time", "proc_ended_time"},
    "file_activity": {"file_modified_time", "file_prev_created_time"},
    "job_activity": {"job_next_run_time"},
    "network_activity": {"end_time"},
    "smb_activity": {"file_accessed_time", "file_changed_time", "file_created_time",
                     "file_modified_time"},
}
"""Times in rows of events that have happened at `time`, by table."""


def event(number: int, **other: Any) -> dict[str, Any]:
    """A record as two copies of a log hold it: at different places, with one hash."""
    return {"time": NOON + number * HOUR, "record_hash": 1000 + number,
            "device_hostname": "one", "event_code": "1", **other}


def test_copies_of_a_log_are_told_once(evidence: Evidence) -> None:
    live = evidence.inside("/live.zip", f"C/{LOG}")
    copy = evidence.inside("/disk.dd", f"p2/vss1/{LOG}")
    third = evidence.inside("/disk.dd", f"p2/{LOG}")
    evidence.rows("process_activity", live, *(event(n) for n in range(2, 6)))
    evidence.rows("process_activity", copy, *(event(n) for n in range(4)))
    evidence.rows("process_activity", third, event(5, parse_flags=2), event(6))
    found = evidence.ask(
        "SELECT time, row_id, copies, list_transform(witnesses, lambda w: w.row_id) FROM witness "
        "ORDER BY time")
    def row(at: tuple[str, int], offset: int) -> str:
        return f"proc-{at[0][:16]}-{at[1]}-{offset:x}-0"

    assert found == [
        (NOON + 2 * HOUR, row(live, 0), 2, [row(copy, 200)]),
        (NOON + 3 * HOUR, row(live, 100), 2, [row(copy, 300)]),
        (NOON + 5 * HOUR, row(live, 300), 2, [row(third, 0)]),
    ]
    assert evidence.ask("SELECT count(*) FROM process_activity") == [(10,)]
    once = evidence.ask("SELECT time, row_id, copies FROM timeline_once ORDER BY time")
    assert [time for time, *_ in once] == [NOON + n * HOUR for n in range(7)]
    assert once[2] == (NOON + 2 * HOUR, row(live, 0), 2)
    assert once[0] == (NOON, row(copy, 0), 1)


def test_equal_lines_of_one_log_are_several(evidence: Evidence) -> None:
    line = event(1)
    for container, count in (("/a.zip", 3), ("/b.zip", 2)):
        evidence.rows("raw_event", evidence.inside(container, "var/log/syslog"), *[line] * count)
    evidence.rows("raw_event", evidence.inside("/c.zip", "var/log/syslog"), event(2), event(2))
    assert evidence.ask("SELECT copies, len(witnesses) FROM witness") == [(2, 1), (2, 1)]
    assert evidence.ask("SELECT count(*) FROM timeline_once") == [(3 + 2,)]


def test_what_two_hosts_hold_alike_is_no_copy(evidence: Evidence) -> None:
    key = {"record_hash": 7, "time": NOON, "reg_key_path": "HKLM\\Software"}
    for place, name in (("a", "ONE"), ("b", "TWO"), ("c", None), ("d", None)):
        at = evidence.loose(f"{place}/C/{HIVE}")
        if name:
            evidence.name(at, name)
        evidence.rows("registry_activity", at, key)
    evidence.name(evidence.loose(f"e/C/{HIVE}"), "ONE")
    evidence.rows("registry_activity", evidence.loose("e/C/Windows/System32/config/SOFTWARE"), key)
    assert evidence.ask("SELECT table_name, host, copies FROM witness") == [
        ("registry_activity", "ONE", 2)]


def system_hive(name: str) -> bytes:
    """A SYSTEM hive that names its host and its zone."""
    control = "ControlSet001\\Control"
    return Builder().hive(tree({
        "Select": {"Current": dword(1)},
        f"{control}\\ComputerName\\ComputerName": {"ComputerName": sz(name)},
        f"{control}\\TimeZoneInformation": {"TimeZoneKeyName": sz("Tokyo Standard Time")},
        "ControlSet002": {},
    }), "SYSTEM")


def test_two_collections_of_one_host_from_their_bytes(tmp_path: Path) -> None:
    log = gzip.decompress((EVIDENCE / "logs" / "win10-workstation-Security.evtx.gz").read_bytes())
    # The copy was made when the log was younger.
    younger = log[: 4096 + 3 * 65536]
    hive = system_hive("PC-7")
    for name, at, evtx in (("live", "C/", log), ("disk", "p2/vss1/", younger)):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as out:
            out.writestr(at + "Windows/System32/winevt/Logs/Security.evtx", evtx)
            out.writestr(at + "Windows/System32/config/SYSTEM", hive + b"\0" * (4096 * len(at)))
            out.writestr(at + "strange.bin", b"\1" + at.encode())
    lake = tmp_path / "lake"
    for name in ("live", "disk"):
        tracelake("ingest", tmp_path / f"{name}.zip", "-e", "t", "--lake", lake, "--json")
    case = open_case(lake, engagement="t")
    hosts = case.sql("SELECT DISTINCT host, zone FROM artifact_host").fetchall()
    assert hosts == [("PC-7", "Asia/Tokyo")]
    per_source = case.sql(
        "SELECT source_id, count(*) FROM timeline WHERE table_name <> 'registry_activity' "
        "AND src_path LIKE '%evtx' GROUP BY 1 ORDER BY 2").fetchall()
    copies = case.sql(
        "SELECT row_id, copies, witnesses[1].src_path FROM witness "
        "WHERE witnesses[1].src_path LIKE '%evtx'").fetchall()
    assert len(per_source) == 2
    assert 0 < per_source[0][1] < per_source[1][1]
    assert 0 < len(copies) == per_source[0][1]
    assert {(n, path) for _, n, path in copies} == {
        (2, "p2/vss1/Windows/System32/winevt/Logs/Security.evtx")}
    live = case.sql("SELECT source_id FROM source WHERE uri LIKE '%live.zip'").fetchall()[0][0]
    assert {row_id.split("-")[1] for row_id, *_ in copies} == {live[:16]}
    once = case.sql(
        "SELECT count(*) FROM timeline_once WHERE src_path LIKE '%evtx'").fetchall()
    assert once == [(per_source[1][1],)]
