"""The views say the same as the tables, under other names."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from small_lake import NOON, PROVENANCE, SOURCE, SmallLake

from tracelake.analysis.session import Session
from tracelake.analysis.views import lines
from tracelake.normalize import TABLES, sigma

SYSMON = {"log_name": "Microsoft-Windows-Sysmon/Operational",
          "log_provider": "Microsoft-Windows-Sysmon", "device_hostname": "WS1"}
MINUTE = timedelta(minutes=1)


@pytest.fixture
def lake(tmp_path: Path) -> SmallLake:
    return SmallLake(str(tmp_path))


def rows(lake: SmallLake, query: str) -> list[dict[str, Any]]:
    """What a query gives, as dicts."""
    with Session(lake) as session:
        relation = session.sql(query)
        return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


PROCESS = {
    **SYSMON, "time": NOON, "event_code": "1", "activity_id": 1,
    "proc_path": "C:\\Windows\\System32\\cmd.exe", "proc_cmd_line": "cmd /c whoami",
    "proc_pid": 77, "proc_sha1": "aa", "proc_sha256": "bb", "proc_imphash": "cc",
    "parent_path": "C:\\Windows\\explorer.exe", "parent_pid": 5, "user_name": "alice",
    "user_domain": "CORP", "session_uid": "0x3e7", "proc_original_name": "Cmd.Exe",
    "src_record_id": 9, "unmapped": [("RuleName", "-")],
}


def test_sigma_process_creation(lake: SmallLake) -> None:
    lake.write("process_activity", [
        PROCESS, {**PROCESS, "event_code": "5", "activity_id": 2, "src_offset": 8},
    ])
    (row,) = rows(lake, "SELECT * FROM sigma.process_creation")
    expected = {
        "EventID": 1, "Channel": SYSMON["log_name"], "Provider_Name": SYSMON["log_provider"],
        "Computer": "WS1", "Image": PROCESS["proc_path"], "CommandLine": "cmd /c whoami",
        "ParentImage": PROCESS["parent_path"], "ProcessId": 77, "ParentProcessId": 5,
        "User": "CORP\\alice", "Hashes": "SHA1=AA,SHA256=BB,IMPHASH=CC", "sha256": "bb",
        "Imphash": "cc", "OriginalFileName": "Cmd.Exe", "LogonId": "0x3e7",
        "UtcTime": "2024-05-01 12:00:00.000", "unmapped": {"RuleName": "-"},
        "row_id": "proc-3fa9c1d2e4b7a01c-0-0-0",
    }
    assert {name: row[name] for name in expected} == expected
    assert len(rows(lake, "SELECT * FROM sigma.process_termination")) == 1


def test_sigma_source_and_target_of_process_access(lake: SmallLake) -> None:
    access = {**SYSMON, "event_code": "10", "activity_id": 3, "actor_path": "a.exe",
              "actor_pid": 1, "proc_path": "lsass.exe", "proc_pid": 2, "granted_access": 0x1410,
              "call_trace": "ntdll"}
    lake.write("process_activity", [access])
    (row,) = rows(lake, "SELECT * FROM sigma.process_access")
    assert (row["SourceImage"], row["TargetImage"]) == ("a.exe", "lsass.exe")
    assert (row["SourceProcessId"], row["TargetProcessId"]) == (1, 2)
    assert (row["GrantedAccess"], row["CallTrace"]) == ("0x1410", "ntdll")
    assert "Image" not in row


def test_sigma_registry(lake: SmallLake) -> None:
    key = {**SYSMON, "reg_key_path": "HKLM\\Run", "actor_path": "reg.exe"}
    lake.write("registry_activity", [
        {**key, "log_provider": "a sensor", "class_uid": 201002, "activity_id": 2,
         "reg_value_name": "evil", "reg_value_data": "x.exe"},
        {**key, "event_code": "12", "class_uid": 201001, "activity_id": 1,
         "reg_event_type": "CreateKey", "src_offset": 1},
        {**key, "event_code": "12", "class_uid": 201001, "activity_id": 4,
         "reg_event_type": "DeleteKey", "src_offset": 2},
        {**key, "event_code": "14", "class_uid": 201001, "activity_id": 5,
         "reg_event_type": "RenameKey", "src_offset": 3,
         "reg_new_name": "HKLM\\Run2"},
        {**key, "class_uid": 205005, "activity_id": 1, "src_offset": 4},
    ])
    (value,) = rows(lake, "SELECT * FROM sigma.registry_set")
    assert value["TargetObject"] == "HKLM\\Run\\evil"
    assert (value["Details"], value["EventType"], value["Image"]) == (
        "x.exe", "SetValue", "reg.exe"
    )
    for category, expected in [("registry_add", "CreateKey"), ("registry_delete", "DeleteKey"),
                               ("registry_rename", "RenameKey")]:
        (row,) = rows(lake, f"SELECT * FROM sigma.{category}")
        assert (row["TargetObject"], row["EventType"]) == ("HKLM\\Run", expected)
    assert len(rows(lake, "SELECT * FROM sigma.registry_event")) == 4


def test_sigma_files_and_modules(lake: SmallLake) -> None:
    lake.write("file_activity", [
        {**SYSMON, "event_code": code, "activity_id": activity, "file_path": f"f{code}",
         "actor_path": "p.exe", "file_ads": ads, "src_offset": number}
        for number, (code, activity, ads) in enumerate(
            [("11", 1, None), ("15", 1, "Zone.Identifier"), ("23", 4, None), ("28", 4, None),
             ("2", 6, None), ("29", 1, None), ("9", 14, None)]
        )
    ])
    expected = {"file_event": "f11", "create_stream_hash": "f15", "file_delete": "f23",
                "file_block_shredding": "f28", "file_change": "f2",
                "file_executable_detected": "f29"}
    for category, name in expected.items():
        (row,) = rows(lake, f"SELECT * FROM sigma.{category}")
        assert (row["TargetFilename"], row["Image"]) == (name, "p.exe")
    (raw,) = rows(lake, "SELECT * FROM sigma.raw_access_thread")
    assert raw["Device"] == "f9"
    lake.write("module_activity", [
        {"class_uid": 1005, "module_path": "a.dll", "module_signed": False, "module_md5": "ff"},
        {"class_uid": 1002, "module_path": "b.sys", "src_offset": 1},
    ])
    (image,) = rows(lake, "SELECT * FROM sigma.image_load")
    assert (image["ImageLoaded"], image["Signed"], image["Hashes"]) == (
        "a.dll", "false", "MD5=FF"
    )
    (driver,) = rows(lake, "SELECT * FROM sigma.driver_load")
    assert driver["ImageLoaded"] == "b.sys"


CONN = {
    "time": NOON, "activity_id": 6, "conn_uid": "C1", "community_id": "1:x", "src_ip": "10.0.0.1",
    "src_port": 1025, "dst_ip": "10.0.0.2", "dst_port": 53, "transport": "udp",
    "app_protocol": "dns", "duration_s": 0.5, "bytes_out": 10, "bytes_in": 20, "packets_out": 1,
    "packets_in": 2, "ip_bytes_out": 38, "ip_bytes_in": 76, "bytes_missed": 0,
    "conn_state": "SF", "history": "Dd", "src_internal": True, "dst_internal": False,
    "vlan_id": 7, "inner_vlan_id": 8, "tunnel_parents": ["C0"], "src_mac": "aa", "dst_mac": "bb",
}


def test_zeek_conn_and_host_connections_are_told_apart(lake: SmallLake) -> None:
    host = {**SYSMON, "event_code": "3", "activity_id": 1, "src_ip": "10.0.0.1",
            "dst_ip": "1.1.1.1", "dst_port": 443, "actor_path": "p.exe", "direction_id": 2,
            "src_offset": 1}
    lake.write("network_activity", [CONN, host])
    (conn,) = rows(lake, "SELECT * FROM zeek.conn")
    assert conn == {
        "ts": NOON, "uid": "C1", "community_id": "1:x", "id.orig_h": "10.0.0.1",
        "id.orig_p": 1025, "id.resp_h": "10.0.0.2", "id.resp_p": 53, "vlan": 7, "proto": "udp",
        "ip_proto": None, "inner_vlan": 8, "orig_l2_addr": "aa", "resp_l2_addr": "bb",
        "service": "dns", "duration": 0.5, "orig_bytes": 10, "resp_bytes": 20, "orig_pkts": 1,
        "resp_pkts": 2, "orig_ip_bytes": 38, "resp_ip_bytes": 76, "missed_bytes": 0,
        "conn_state": "SF", "history": "Dd", "local_orig": True, "local_resp": False,
        "tunnel_parents": ["C0"], "row_id": "net-3fa9c1d2e4b7a01c-0-0-0",
    }
    (seen,) = rows(lake, "SELECT * FROM sigma.network_connection")
    assert (seen["Image"], seen["DestinationIp"], seen["DestinationPort"]) == (
        "p.exe", "1.1.1.1", 443
    )
    assert (seen["Initiated"], seen["DestinationIsIpv6"]) == ("true", "false")


DNS = {
    "time": NOON, "activity_id": 2, "conn_uid": "C1", "src_ip": "10.0.0.1", "dst_ip": "10.0.0.2",
    "transport": "udp", "query_hostname": "a.example", "query_type": "A", "query_type_id": 1,
    "query_class": "C_INTERNET", "query_class_id": 1, "rcode": "NOERROR", "rcode_id": 0,
    "rtt_s": 0.25, "aa": True, "tc": False, "rd": True, "ra": True, "z": 0,
    "answers": ["b.example", "1.2.3.4"], "ttls": [30, 60], "rejected": False,
    "transaction_id": 4660,
}


def test_zeek_and_sigma_dns(lake: SmallLake) -> None:
    host = {**SYSMON, "event_code": "22", "activity_id": 2, "query_hostname": "evil.example",
            "status_code": "0", "answers": ["::ffff:1.2.3.4", "5.6.7.8"], "actor_path": "p.exe",
            "src_offset": 1}
    lake.write("dns_activity", [DNS, host])
    (dns,) = rows(lake, "SELECT * FROM zeek.dns")
    expected = {
        "trans_id": 4660, "rtt": 0.25, "query": "a.example", "qclass": 1, "qtype": 1,
        "qclass_name": "C_INTERNET", "qtype_name": "A", "rcode": 0, "rcode_name": "NOERROR",
        "AA": True, "TC": False, "RD": True, "RA": True, "Z": 0, "rejected": False,
        "answers": ["b.example", "1.2.3.4"], "TTLs": [30, 60],
    }
    assert {name: dns[name] for name in expected} == expected
    (query,) = rows(lake, "SELECT * FROM sigma.dns_query")
    assert query["QueryName"] == "evil.example"
    assert query["QueryResults"] == "::ffff:1.2.3.4;5.6.7.8;"
    assert (query["QueryStatus"], query["Image"]) == ("0", "p.exe")
    names = rows(lake, "SELECT query, record_type, answer FROM sigma.dns ORDER BY query")
    assert [row["query"] for row in names] == ["a.example", "evil.example"]


def test_ocsf_objects_are_nested_again(lake: SmallLake) -> None:
    lake.write("process_activity", [PROCESS])
    (event,) = rows(lake, "SELECT * FROM ocsf.process_activity")
    millis = int(NOON.timestamp() * 1000)
    assert (event["class_uid"], event["category_uid"], event["type_uid"]) == (1007, 1, 100701)
    assert (event["time"], event["time_dt"]) == (millis, NOON)
    process = event["process"]
    assert process["cmd_line"] == "cmd /c whoami"
    assert process["parent_process"]["path"] == PROCESS["parent_path"]
    user = {name: value for name, value in process["user"].items() if value is not None}
    assert user == {"name": "alice", "domain": "CORP"}
    assert process["file"]["hashes"] == [
        {"algorithm_id": 3, "value": "bb"}, {"algorithm_id": 2, "value": "aa"},
        {"algorithm_id": 99, "value": "cc"},
    ]
    assert process["file"]["signature"] is None
    assert event["actor"] is None
    metadata = event["metadata"]
    assert metadata["version"] == "1.8.0"
    assert metadata["uid"] == "proc-3fa9c1d2e4b7a01c-0-0-0"
    assert metadata["event_code"] == "1"
    assert metadata["product"] == {"name": SYSMON["log_provider"]}
    assert metadata["transformation_info_list"] == [{"name": "evtx", "uid": "0.1.0"}]
    assert event["unmapped"]["unmapped"] == {"RuleName": "-"}
    assert event["unmapped"]["source_id"] == SOURCE


def test_ocsf_lists_become_lists_of_objects(lake: SmallLake) -> None:
    lake.write("dns_activity", [DNS, {"src_offset": 1}])
    first, second = rows(lake, "SELECT * FROM ocsf.dns_activity ORDER BY time NULLS LAST")
    assert first["answers"] == [
        {"rdata": "b.example", "ttl": 30}, {"rdata": "1.2.3.4", "ttl": 60}
    ]
    assert first["query"]["hostname"] == "a.example"
    assert (second["answers"], second["query"], second["time"]) == (None, None, None)


def test_ocsf_rows_stand_in_their_own_class(lake: SmallLake) -> None:
    lake.write("registry_activity", [
        {"class_uid": 201001, "reg_key_path": "K", "reg_modified_time": NOON},
        {"class_uid": 201002, "reg_key_path": "K", "reg_value_name": "V", "src_offset": 1},
    ])
    (key,) = rows(lake, "SELECT * FROM ocsf.registry_key_activity")
    assert key["reg_key"]["path"] == "K"
    assert key["reg_key"]["modified_time_dt"] == NOON
    (value,) = rows(lake, "SELECT * FROM ocsf.registry_value_activity")
    assert (value["reg_value"]["path"], value["reg_value"]["name"]) == ("K", "V")


def test_ecs_names(lake: SmallLake) -> None:
    lake.write("process_activity", [{**PROCESS, "status_id": 1}])
    (row,) = rows(lake, "SELECT * FROM ecs.process_activity")
    expected = {"@timestamp": NOON, "host.hostname": "WS1", "process.pid": 77,
                "process.command_line": "cmd /c whoami", "process.user.name": "alice",
                "event.outcome": "success", "event.dataset": "process_activity"}
    assert {name: row[name] for name in expected} == expected


def test_sigma_evtx_has_every_event_under_its_own_names(lake: SmallLake) -> None:
    security = {"log_name": "Security", "log_provider": "Microsoft-Windows-Security-Auditing"}
    lake.write("process_activity", [PROCESS, {"proc_path": "from EDR", "src_offset": 9}])
    lake.write("authentication", [{**security, "event_code": "4624", "user_name": "bob",
                                   "logon_type_id": 3, "src_ip": "10.9.9.9"}])
    lake.write("raw_event", [{**security, "event_code": "5379",
                              "unmapped": [("TargetName", "x")]}])
    found = {row["EventID"]: row for row in rows(lake, "SELECT * FROM sigma.evtx")}
    assert found.keys() == {1, 4624, 5379}
    assert found[1]["Image"] == PROCESS["proc_path"]
    assert found[1]["Hashes"] == "SHA1=AA,SHA256=BB,IMPHASH=CC"
    logon = found[4624]
    assert (logon["TargetUserName"], logon["LogonType"], logon["IpAddress"]) == (
        "bob", "3", "10.9.9.9"
    )
    assert logon["table_name"] == "authentication"
    assert found[5379]["unmapped"] == {"TargetName": "x"}
    assert (found[5379]["Channel"], found[5379]["Image"]) == ("Security", None)


@pytest.mark.parametrize("table", [t.name for t in TABLES.values() if t.is_events])
def test_every_table_has_a_line_in_the_timeline(table: str, lake: SmallLake) -> None:
    assert table in lines.LINES
    values: dict[str, Any] = {"time": NOON, "src_offset": 3, "device_hostname": "WS1"}
    # A value in every text column: none of them may break the line.
    for field in TABLES[table].schema:
        if field.nullable and str(field.type).startswith(("string", "dictionary")):
            values.setdefault(field.name, f"<{field.name}>")
    lake.write(table, [values])
    lake.write("artifact", [{"paths": ["Logs/a.evtx", "copy/a.evtx"]}])
    (row,) = rows(lake, "SELECT * FROM timeline")
    assert row["time"] == NOON
    assert row["table_name"] == table
    assert (row["device_hostname"], row["source_id"]) == ("WS1", SOURCE)
    assert row["src_path"] == "Logs/a.evtx"
    assert row["row_id"] == f"{TABLES[table].short}-3fa9c1d2e4b7a01c-0-3-0"
    assert "<" in row["message"]
    assert "\n" not in row["message"]


def test_a_row_with_several_times_has_several_lines(lake: SmallLake) -> None:
    lake.write("file_query", [
        {"file_path": "C\\a", "time": NOON, "time_desc": "si_modified", "si_modified": NOON,
         "si_created": NOON - MINUTE, "fn_created": NOON},
        {"file_path": "C\\b", "src_offset": 1},
    ])
    lake.write("artifact_query", [
        {"artifact": "prefetch", "subject_name": "A.EXE", "run_count": 2,
         "run_times": [NOON, NOON - MINUTE]},
    ])
    found = rows(lake, "SELECT time, time_desc, message FROM timeline ORDER BY ALL")
    assert [(row["time"], row["time_desc"], row["message"]) for row in found] == [
        (NOON - MINUTE, "run[2]", "prefetch A.EXE run 2 times"),
        (NOON - MINUTE, "si_created", "file C\\a"),
        (NOON, "fn_created", "file C\\a"),
        (NOON, "run[1]", "prefetch A.EXE run 2 times"),
        (NOON, "si_modified", "file C\\a"),
    ]


def test_messages_say_what_happened(lake: SmallLake) -> None:
    lake.write("process_activity", [{**PROCESS, "log_provider": "another sensor"}])
    lake.write("network_activity", [CONN])
    lake.write("authentication", [
        {"time": NOON, "activity_id": 1, "status_id": 2, "user_name": "bob", "logon_type_id": 3,
         "src_ip": "10.9.9.9"}
    ])
    found = rows(lake, "SELECT table_name, message FROM timeline ORDER BY table_name")
    assert {row["table_name"]: row["message"] for row in found} == {
        "authentication": "logon failed bob type 3 from 10.9.9.9",
        "network_activity": "10.0.0.1:1025 -> 10.0.0.2:53 udp dns SF 10 out 20 in",
        "process_activity": "process started cmd /c whoami pid 77 by C:\\Windows\\explorer.exe "
        "as CORP\\alice",
    }


def test_rows_of_several_sources_keep_their_paths(lake: SmallLake) -> None:
    second = type(PROVENANCE)("demo", "f" * 32, 4, "pcap", "0.1.0", "m")
    lake.write("dns_activity", [DNS])
    lake.write("dns_activity", [DNS], second)
    lake.write("artifact", [{"paths": ["one.evtx"]}])
    lake.write("artifact", [{"paths": ["in/two.pcap"]}], second)
    found = rows(lake, "SELECT src_path, row_id FROM timeline ORDER BY src_path")
    assert [(row["src_path"], row["row_id"]) for row in found] == [
        ("in/two.pcap", "dns-ffffffffffffffff-4-0-0"),
        ("one.evtx", "dns-3fa9c1d2e4b7a01c-0-0-0"),
    ]


def test_every_table_a_category_means_exists() -> None:
    for alias in sigma.CATEGORIES.values():
        assert TABLES[alias.table].is_events


def test_event_data_that_repeats_a_name_is_shown(lake: SmallLake) -> None:
    lake.write("raw_event", [
        {"time": datetime(2024, 1, 1, tzinfo=UTC), "event_code": "1", "log_name": "x",
         "unmapped": [("Data", "a"), ("Data", "b")]}
    ])
    (line,) = rows(lake, "SELECT message FROM timeline")
    assert line["message"] == "event 1 Data=a Data=b"
    for view in ("sigma.evtx", "ocsf.base_event", "raw_event"):
        found = rows(lake, f"SELECT to_json(t) AS j FROM {view} AS t")
        assert '"a"' in found[0]["j"]


def test_sigma_evtx_reads_the_mappings_backwards(lake: SmallLake) -> None:
    security = {"log_name": "Security", "log_provider": "Microsoft-Windows-Security-Auditing",
                "event_code": "4688"}
    lake.write("process_activity", [
        {**security, "proc_path": "C:\\a.exe", "proc_pid": 0x1A4, "parent_pid": 0x10,
         "proc_uid": "made:up:1", "parent_path": "C:\\p.exe", "user_name": "bob",
         "actor_user_name": "SYSTEM",
         "unmapped": [("MandatoryLabel", "kept as it was"), ("TargetUserName", "bob")]},
        {**security, "user_name": "SYSTEM", "actor_user_name": "SYSTEM", "src_offset": 1,
         "unmapped": [("TargetUserName", "-")]},
        # The same column under Sysmon's names, for Sysmon's event only.
        {**PROCESS, "src_offset": 2},
    ])
    first, second, third = rows(lake, "SELECT * FROM sigma.evtx ORDER BY row_id")
    expected = {
        "EventID": 4688, "NewProcessName": "C:\\a.exe", "NewProcessId": "0x1a4",
        "ProcessId": "0x10", "ParentProcessName": "C:\\p.exe", "TargetUserName": "bob",
        "SubjectUserName": "SYSTEM", "MandatoryLabel": "kept as it was", "Image": None,
    }
    assert {name: first[name] for name in expected} == expected
    assert second["TargetUserName"] == "-"
    assert (third["Image"], third["NewProcessName"], third["ProcessId"]) == (
        PROCESS["proc_path"], None, "77"
    )
    assert (third["User"], third["Hashes"]) == ("CORP\\alice", "SHA1=AA,SHA256=BB,IMPHASH=CC")


def test_ocsf_types_are_ocsfs(lake: SmallLake) -> None:
    lake.write("process_activity", [{**PROCESS, "event_level": 4, "raw": b"a\xff"}])
    (event,) = rows(lake, "SELECT metadata.log_level AS level, raw_data FROM ocsf.process_activity")
    assert (event["level"], event["raw_data"]) == ("4", "a\\xFF")
