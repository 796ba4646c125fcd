"""Which names and ids are of one host, which are not, and what of them the views say."""

import gzip
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from line import tracelake
from small_lake import NOON, PROVENANCE, SmallLake

from tracelake.analysis.identity import Owner, Settled, Told, settle
from tracelake.analysis.session import Session
from tracelake.case import open_case
from tracelake.ingest import devices
from tracelake.ingest.devices import Gathering
from tracelake.normalize.tables.books import DEVICE_KEYS

HOUR = 3_600_000_000
EXPORT = ("e", 0)


def told(name: str | None, uid: str | None, first: int | None = 0, last: int | None = 9,
         provider: str | None = "P", at: tuple[str, int] = EXPORT) -> Told:
    """Rows from hour `first` to hour `last`."""
    return Told(at, name, uid, provider if uid else None,
                None if first is None else first * HOUR, None if last is None else last * HOUR, 10)


def hosts(found: Settled) -> dict[tuple[str | None, str | None], str | None]:
    """(name, id) -> name of the host."""
    return {(name, uid): shown for (_, name, uid), (_, shown) in found.said.items()}


def test_names_and_ids_of_one_record_are_of_one_host() -> None:
    found = settle([told("WS1.corp.example", "aid"), told("ws1", None), told(None, "aid"),
                    told("ws1", "mde", provider="MDE"), told("WS2", "other")], {})
    assert hosts(found) == {
        ("WS1.corp.example", "aid"): "WS1.corp.example", ("ws1", None): "WS1.corp.example",
        (None, "aid"): "WS1.corp.example", ("ws1", "mde"): "WS1.corp.example",
        ("WS2", "other"): "WS2"}
    assert found.uids == {"aid": "WS1.corp.example", "mde": "WS1.corp.example", "other": "WS2"}
    assert found.names == {"ws1": "WS1.corp.example"}
    assert found.remarks == []


def test_one_name_in_two_domains_is_two_hosts() -> None:
    found = settle([told("dc01.a.example", "x"), told("dc01.b.example", "y", provider="Q"),
                    told("DC01", None)], {})
    keys = {name: key for (_, name, _), (key, _) in found.said.items()}
    assert len(set(keys.values())) == 3
    assert (keys["dc01.a.example"], keys["dc01.b.example"]) == ("dc01.a.example", "dc01.b.example")


@pytest.mark.parametrize("name", ["localhost", "localhost.localdomain", "(none)", "", "-"])
def test_names_that_many_have_join_nobody(name: str) -> None:
    found = settle([told(name, "x"), told(name, "y"), told(name, None)], {})
    assert found.uids == {"x": "x", "y": "y"}
    assert hosts(found)[name, None] is None


def test_a_cloned_id_joins_nobody_and_a_renamed_host_is_one() -> None:
    found = settle([told("A", "clone", 0, 9), told("B", "clone", 1, 8), told(None, "clone")], {})
    assert (hosts(found)["A", "clone"], hosts(found)["B", "clone"]) == ("A", "B")
    assert hosts(found)[None, "clone"] == "clone"
    assert "clone" not in found.uids
    assert {key for key, _ in found.remarks} == {"a", "b"}
    assert "of several names at the same time (a, b)" in found.remarks[0][1]
    found = settle([told("OLD", "id", 0, 4), told("NEW", "id", 5, 9)], {})
    assert len(set(hosts(found).values())) == 1
    # Where it is not known when, it is not taken for a new name.
    found = settle([told("A", "id", None, None), told("B", "id", None, None)], {})
    assert len(set(hosts(found).values())) == 2


def test_two_ids_of_one_sensor_at_once_are_two_hosts_and_one_after_the_other_one() -> None:
    found = settle([told("KIOSK", "11111111aa", 0, 9), told("KIOSK", "22222222bb", 1, 8),
                    told("KIOSK", None)], {})
    assert found.uids == {"11111111aa": "KIOSK/11111111", "22222222bb": "KIOSK/22222222"}
    assert hosts(found)["KIOSK", None] == "KIOSK"
    assert any("they are several hosts" in why for _, why in found.remarks)
    found = settle([told("KIOSK", "1", 0, 4), told("KIOSK", "2", 5, 9)], {})
    assert set(hosts(found).values()) == {"KIOSK"}


def test_what_an_artifact_says_of_its_host_is_joined_with_what_sensors_say() -> None:
    hive, log = ("h", 0), ("l", 0)
    owners = {hive: Owner("ws1", "WS1", ("ws1", "old")), log: Owner("ws1", "WS1", ("ws1", "old"))}
    found = settle([
        told(None, "guid", None, None, provider=None, at=hive), told("OLD", None, at=log),
        told(None, None, at=log), told("ws1.corp.example", "aid"), told("other", None, at=log),
        told(None, "aid")], owners)
    assert hosts(found) == {
        (None, "guid"): "WS1", ("OLD", None): "WS1", (None, None): "WS1",
        ("ws1.corp.example", "aid"): "WS1", ("other", None): "other", (None, "aid"): "WS1"}
    assert {key for key, _ in found.said.values()} == {"ws1", "other"}


def test_a_name_that_two_collected_hosts_have_is_neither_for_sure() -> None:
    owners = {("a", 0): Owner("dc/1", "DC/1", ("dc",)), ("b", 0): Owner("dc/2", "DC/2", ("dc",))}
    found = settle([told("DC", None), told("DC", None, at=("a", 0)), told("DC", None, at=("b", 0))],
                   owners)
    assert [key for key, _ in found.said.values()] == ["dc", "dc/1", "dc/2"]
    assert found.remarks == [("dc", "dc/1, dc/2 have this name: it is none of them for sure")]


WORD = pa.dictionary(pa.int32(), pa.string())
TIME = pa.timestamp("us", tz="UTC")


def batch(**columns: list[Any]) -> pa.RecordBatch:
    kinds = {"time": TIME, "parse_flags": pa.int32()}
    return pa.record_batch({
        name: pa.array(values, kinds[name]) if name in kinds
        else pa.array(values, pa.string()).dictionary_encode()
        for name, values in columns.items()})


def entry(**values: Any) -> tuple[Any, ...]:
    return tuple(values.get(name) for name in DEVICE_KEYS)


def test_an_ingest_gathers_each_way_of_naming_a_host() -> None:
    found = Gathering()
    found.add("process_activity", batch(
        device_hostname=["A", "A", None, "B", "A"], device_ip=["1", "2", None, "1", "1"],
        log_provider=["x", "y", "x", "x", "z"], time=[5, 6, 7, None, 3],
        parse_flags=[0, None, 64, 0, 0]))
    found.add("network_activity", batch(time=[1, 9]))
    found.add("dns_activity", batch(device_uid=["u"], log_provider=["FDR"], time=[4]))
    found.add("file_query", batch(device_hostname=["A"], time=[99]))
    found.add("inventory", batch(fact=["domain", "os"], device_hostname=["CORP", "A"]))
    assert dict(found.all()) == {
        entry(): (1, 9, 3),
        entry(device_hostname="A", device_ip="1"): (3, 5, 2),
        entry(device_hostname="A", device_ip="2"): (6, 6, 1),
        entry(device_hostname="B", device_ip="1"): (None, None, 1),
        entry(device_uid="u", log_provider="FDR"): (4, 4, 1),
        entry(device_hostname="A"): (None, None, 2),
    }


def test_what_is_gathered_is_bounded_and_every_row_is_counted(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "MOST", 4)
    found = Gathering()
    for n in range(40):
        found.add("process_activity", batch(device_hostname=[f"h{n % 3}"], device_ip=[str(n)]))
    assert sum(rows for _, (_, _, rows) in found.all()) == 40
    assert len(found.all()) <= 4 + 3
    for n in range(40):
        found.add("process_activity", batch(device_hostname=[f"x{n}"]))
    assert sum(rows for _, (_, _, rows) in found.all()) == 80
    assert len(found.all()) <= 2 * 4 + 1


FDR = {"cid": "c", "aip": "203.0.113.9", "event_platform": "Win"}


def process(aid: str, number: int, second: int, **other: Any) -> dict[str, Any]:
    return {"event_simpleName": "ProcessRollup2", "aid": aid, **FDR, "id": f"{aid}{number}",
            "ContextTimeStamp": f"{1714564800 + second}.0", "timestamp": "1714564800000",
            "TargetProcessId": str(number), "ParentProcessId": str(number - 1),
            "RawProcessId": str(number), "ImageFileName": f"\\Device\\X\\{number}.exe",
            "CommandLine": f"{number}.exe", **other}


def test_falcons_hosts_are_named_by_its_lookup_records(tmp_path: Path) -> None:
    """Events without a host's name, aidmaster beside them: every row has its host, and trees."""
    events = [process(aid, n, n) for aid in ("aid1", "aid2") for n in (100, 101, 102)]
    masters = [
        {"Time": "1714564000.0", "aid": aid, **FDR, "AgentVersion": "7", "ComputerName": name,
         "AgentLoadFlags": "1", "Version": "Windows 11", "MachineDomain": "corp.example",
         "AgentLocalTime": "1714564000.0", "AgentTimeOffset": "0", "Timezone": "UTC"}
        for aid, name in (("aid1", "WS1"), ("aid2", "WS2"))]
    for name, rows in (("data", events), ("aidmaster", masters)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    lake = tmp_path / "lake"
    tracelake("ingest", tmp_path / "data.gz", tmp_path / "aidmaster.gz", "-e", "t", "--lake", lake)
    case = open_case(lake, engagement="t")
    found = case.sql(
        "SELECT host, device_hostname, device_uid, count(*) FROM process_activity GROUP BY ALL "
        "ORDER BY ALL").fetchall()
    assert found == [("WS1", None, "aid1", 3), ("WS2", None, "aid2", 3)]
    assert case.sql("SELECT DISTINCT host FROM timeline WHERE table_name = 'process_activity' "
                    "ORDER BY 1").fetchall() == [("WS1",), ("WS2",)]
    (host,) = case.sql("SELECT host, host_key, device_uids, domains, os_name, machine_uids "
                       "FROM host WHERE host = 'WS1'").fetchall()
    assert host == ("WS1", "ws1", ["aid1"], ["corp.example"], "Windows 11", [])
    evidence = case.sql("SELECT what, value, path FROM host_evidence WHERE host = 'WS1' AND "
                        "what IN ('name', 'id') ORDER BY ALL").fetchall()
    assert evidence == [("id", "aid1", "aidmaster"), ("id", "aid1", "data"),
                        ("name", "WS1", "aidmaster")]
    tree = case.sql("SELECT level, host, proc_uid FROM process_ancestors('102') ORDER BY host, "
                    "level").fetchall()
    assert [(level, host) for level, host, _ in tree] == [
        (level, host) for host in ("WS1", "WS2") for level in (-3, -2, -1, 0)]


def test_addresses_over_time(tmp_path: Path) -> None:
    lake = SmallLake(str(tmp_path))
    at = replace(PROVENANCE, parser="x")
    hour = timedelta(hours=1)
    lake.write("artifact", [{"paths": ["edr.json"]}], at)
    lake.write("process_activity", [
        {"src_offset": n, "time": NOON + n * hour, "device_hostname": name, "device_ip": ip,
         "device_uid": name.lower(), "log_provider": "EDR"}
        for n, (name, ip) in enumerate((("A", "10.0.0.5"), ("A", "10.0.0.5"), ("A", "10.0.0.6"),
                                        ("B", "10.0.0.5")))], at)
    with Session(lake) as session:
        assert session.sql(
            "SELECT host, ip, first_seen, last_seen, rows, hosts FROM host_address ORDER BY ALL"
        ).fetchall() == [
            ("A", "10.0.0.5", NOON, NOON + hour, 2, 2),
            ("A", "10.0.0.6", NOON + 2 * hour, NOON + 2 * hour, 1, 1),
            ("B", "10.0.0.5", NOON + 3 * hour, NOON + 3 * hour, 1, 2)]
        assert session.sql("SELECT host, addresses FROM host ORDER BY 1").fetchall() == [
            ("A", ["10.0.0.5", "10.0.0.6"]), ("B", ["10.0.0.5"])]
        (said,) = session.sql(
            "SELECT what, value, said_by, rows FROM host_evidence WHERE host = 'B' AND "
            "what = 'address'").fetchall()
        assert said == ("address", "10.0.0.5", "EDR", 1)
