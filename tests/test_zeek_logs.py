"""Zeek's logs, in its own form and as JSON: the same rows."""

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.text_case import Read, holds
from tests.zeek_tsv_build import Number, as_tsv
from tracelake.normalize import mapping, rebuild, shapes
from tracelake.parsers import BY_NAME
from tracelake.parsers.artifact import Match

# What differs by where a record stands, and by the name that only one form says.
PLACE = {"src_offset", "src_length", "record_hash", "unmapped", "event_code"}

CONN = (
    b"#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n"
    b"#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\t"
    b"orig_bytes\tconn_state\tlocal_orig\ttunnel_parents\tnote\n"
    b"#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\tstring\tbool\t"
    b"set[string]\tstring\n"
    b"1300475167.096535\tCh1\t141.142.220.202\t5353\t224.0.0.251\t5353\tudp\tdns\t0.000435\t-\tS0\t"
    b"T\tCa,Cb\\x2cc\ta\\x09b\\\\c\n"
    b"1300475167.5\tCh2\tfe80::1\t3\t10.0.0.1\t1\ticmp\t-\t-\t7\tOTH\tF\t(empty)\t(empty)\n"
)


def test_rows_of_a_log_in_zeeks_own_form() -> None:
    assert BY_NAME["zeek"].match(CONN, "x.log") == (Match.CONTENT, "")
    first, second = Read("zeek", CONN).rows["network_activity"]
    holds(
        first, src_ip="141.142.220.202", src_port=5353, dst_port=5353, transport="udp",
        app_protocol="dns", conn_uid="Ch1", conn_state="S0", src_internal=True,
        tunnel_parents=["Ca", "Cb,c"], activity_id=6, log_provider="Zeek", event_code="conn",
        duration_s=0.000435, bytes_out=None, time_desc="ts",
        unmapped={"ts": "1300475167.096535", "proto": "udp", "note": "a\tb\\c",
                  "duration": "0.000435"},
    )  # fmt: skip
    assert first["time"].isoformat() == "2011-03-18T19:06:07.096535+00:00"
    holds(second, icmp_type=3, icmp_code=1, src_port=None, bytes_out=7, src_internal=False)
    assert second["unmapped"]["note"] == ""
    record = CONN.index(b"1300475167.096535")
    assert first["src_offset"] == record
    assert first["src_length"] == CONN.index(b"1300475167.5") - record


def test_lines_that_do_not_fit_are_damage() -> None:
    short = CONN + b"1300475168.0\tCh3\n" + b"\t" * 13 + b"\n"
    found = Read("zeek", short)
    assert [row["why"] for row in found.damage] == ["other fields than were named"]
    assert found.counts == {"network_activity": 3}
    headless = CONN[CONN.index(b"1300475167.0") :]
    assert BY_NAME["zeek"].match(headless, "conn.log")[0] == Match.NO
    bare = Read("zeek", b"#separator \\x09\n" + headless)
    assert {row["why"] for row in bare.damage} == {"no fields were named"}


def test_another_header_in_the_middle() -> None:
    dns = CONN.replace(b"#path\tconn", b"#path\tx").replace(b"\tconn_state\t", b"\tcolour\t")
    found = Read("zeek", CONN + dns)
    assert found.counts == {"network_activity": 2, "raw_event": 2}
    assert found.rows["raw_event"][0]["unmapped"]["colour"] == "S0"


def _rows(read: Read) -> list[tuple[str, dict[str, Any]]]:
    rows = [(t, row) for t, rows in read.rows.items() for row in rows]
    return sorted(rows, key=lambda row: row[1]["src_offset"])


def _json(value: Any) -> str:
    """A value as JSON text, with the digits that it had."""
    if isinstance(value, list):
        return "[" + ",".join(map(_item, value)) + "]"
    return json.dumps(value)


def _item(value: Any) -> str:
    return str(value) if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)


def _named(table: str, row: dict[str, Any]) -> dict[str, str | None]:
    """All named values of the record that a row was made from."""
    event = mapping.load().events.get((row.get("log_provider", ""), row.get("event_code", "")))
    return rebuild.pairs(row, event)


def test_the_same_rows_as_from_json(shared: Path) -> None:
    """Every JSON log that Zeek made of the shared captures, written as its ASCII writer would."""
    tables: Counter[str] = Counter()
    for file in sorted((shared / "oracles" / "zeek-logs").rglob("*.log")):
        lines = file.read_bytes().splitlines()
        if not lines or file.stat().st_size > 300_000:
            continue
        text = b"\n".join(lines) + b"\n"
        theirs = _rows(Read("jsonl", text, file.name))
        ours = _rows(Read("zeek", as_tsv(lines, file.stem), file.name))
        assert len(ours) == len(theirs) == sum(bool(line.strip()) for line in lines)
        for (table, row), (json_table, json_row), line in zip(ours, theirs, lines, strict=True):
            tables[table] += 1
            if json_table == "raw_event":
                continue        # a record without any of the members that tell its log
            assert table == json_table, (file, line)
            kept = {name: value for name, value in row.items() if name not in PLACE}
            expected = {name: value for name, value in json_row.items() if name not in PLACE}
            assert kept == expected, (file, line)
            assert row["unmapped"].items() >= json_row.get("unmapped", {}).items()
    assert tables["network_activity"] > 5000
    assert tables["dns_activity"] > 500


def test_nothing_of_a_record_is_lost(shared: Path) -> None:
    known = {shape.code for shape in shapes.load() if shape.vendor == "Zeek"} - {""}
    met = set()
    for file in sorted((shared / "oracles" / "zeek-logs" / "pcap" / "malcolm").rglob("*.log")):
        lines = file.read_bytes().splitlines()[:20]
        for (table, row), line in zip(
            _rows(Read("zeek", as_tsv(lines, file.stem))), lines, strict=True
        ):
            met.add(file.stem)
            named = _named(table, row)
            for name, value in json.loads(line, parse_float=Number).items():
                if name == "peer" and table == "network_weird":
                    assert row["sensor_id"] == value
                    continue
                text = value if isinstance(value, str) else _json(value)
                assert named.get(name) == text, (file, name)
    assert len(met & known) > 10


@pytest.mark.parametrize(
    ("name", "table", "count"),
    [
        ("open_sni/open_conn.17_32_32-18_00_00.log.gz", "network_activity", 12),
        ("open_sni/open_http.17_37_03-18_00_00.log.gz", "http_activity", 1),
        ("open_sni/open_ssl.17_37_07-18_00_00.log.gz", "tls_activity", 2),
        ("proxy_rolling/x509.15_00_00-16_00_00.log.gz", "certificate", 1),
        ("proxy/weird.log", "network_weird", 131),
        ("proxy/known_services.log", "raw_event", 4),
    ],
)
def test_logs_of_a_sensor(shared: Path, name: str, table: str, count: int) -> None:
    data = (shared / "edr/zeek-logs/rita/test_data" / name).read_bytes()
    found = Read("zeek", gzip.decompress(data) if name.endswith(".gz") else data)
    assert found.counts == {table: count}
    assert not found.damage
