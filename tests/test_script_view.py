"""`script_full`: parts of a script, joined in order, once each."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from small_lake import NOON, PROVENANCE, SmallLake

from tracelake.analysis.session import Session
from tracelake.normalize import Provenance

COPY = Provenance("demo", "b" * 32, 0, "evtx", "0.1.0", "ocsf-1.8.0/1")


def part(number: int, total: int, text: str, **more: Any) -> dict[str, Any]:
    return {
        "time": NOON + timedelta(seconds=number), "event_code": "4104", "activity_id": 1,
        "log_provider": "Microsoft-Windows-PowerShell", "device_hostname": "WS1",
        "script_uid": "u1", "part_no": number, "part_total": total, "script_content": text,
        "src_offset": number * 16, "event_user_uid": "S-1-5-18", **more,
    }


@pytest.fixture
def lake(tmp_path: Path) -> SmallLake:
    return SmallLake(str(tmp_path))


def scripts(lake: SmallLake, query: str = "FROM script_full") -> list[dict[str, Any]]:
    with Session(lake) as session:
        relation = session.sql(f"SELECT * {query} ORDER BY device_hostname, script_uid")
        return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def test_parts_are_joined_in_their_order(lake: SmallLake) -> None:
    parts = [part(10, 10, "j"), *(part(n, 10, "abcdefghi"[n - 1]) for n in range(9, 0, -1))]
    lake.write("script_activity", parts)
    (row,) = scripts(lake)
    assert row == {
        "device_hostname": "WS1", "script_uid": "u1", "time": NOON + timedelta(seconds=1),
        "end_time": NOON + timedelta(seconds=10), "script_path": None,
        "event_user_uid": "S-1-5-18", "part_total": 10, "parts": 10, "is_complete": True,
        "missing": [], "differing": None, "script_content": "abcdefghij", "copies": 10,
        "row_ids": [f"script-3fa9c1d2e4b7a01c-0-{n * 16:x}-0" for n in range(1, 11)],
    }


@pytest.mark.parametrize(
    ("there", "total", "missing"),
    [
        ([1, 2], 3, [(3, 3)]),
        ([2], 3, [(1, 1), (3, 3)]),
        ([3, 7], 9, [(1, 2), (4, 6), (8, 9)]),
        ([1], 2147483646, [(2, 2147483646)]),
        ([1, 2147483647], 2, [(2, 2147483646)]),
    ],
)
def test_missing_parts_are_said(
    lake: SmallLake, there: list[int], total: int, missing: list[tuple[int, int]]
) -> None:
    lake.write("script_activity", [
        part(n, total, f"<{n}>", time=NOON, src_offset=i) for i, n in enumerate(there)
    ])
    (row,) = scripts(lake)
    assert [(gap["first"], gap["last"]) for gap in row["missing"]] == missing
    assert (row["parts"], row["is_complete"]) == (len(there), False)
    assert row["script_content"] == "".join(f"<{n}>" for n in there)


def test_copies_of_a_log_count_once(lake: SmallLake) -> None:
    parts = [part(1, 2, "a"), part(2, 2, "b")]
    lake.write("script_activity", parts)
    lake.write("script_activity", parts, COPY)
    (row,) = scripts(lake)
    assert (row["script_content"], row["parts"], row["copies"]) == ("ab", 2, 4)
    assert row["row_ids"] == ["script-3fa9c1d2e4b7a01c-0-10-0", "script-3fa9c1d2e4b7a01c-0-20-0"]


def test_a_copy_fills_what_another_lacks(lake: SmallLake) -> None:
    lake.write("script_activity", [part(1, 2, "a")])
    lake.write("script_activity", [part(2, 2, "b"), part(1, 2, "x")], COPY)
    (row,) = scripts(lake)
    assert (row["script_content"], row["is_complete"], row["differing"]) == ("ab", True, [1])


def test_scripts_and_hosts_are_kept_apart(lake: SmallLake) -> None:
    lake.write("script_activity", [
        part(1, 1, "a"), part(1, 1, "b", device_hostname="WS2", src_offset=1),
        part(1, 1, "c", script_uid="u2", src_offset=2),
        # No part of a script: the begin of a block, a command, a pipeline.
        part(1, 1, "d", script_uid=None, src_offset=3),
        part(1, 1, "", part_no=None, part_total=None, script_content=None, src_offset=4),
    ])
    assert [row["script_content"] for row in scripts(lake)] == ["a", "c", "b"]
    assert PROVENANCE.source_id != COPY.source_id
    lake_of_none = scripts(lake, "FROM script_full WHERE script_uid = 'u3'")
    assert lake_of_none == []
