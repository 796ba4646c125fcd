"""`ingest --as-one-capture`: rotated captures are one source, and nothing is taken twice."""

import gzip
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.packets import pcap
from tests.test_flow_view import FIELDS, traffic
from tracelake.case import Case, open_case

CUTS = (40, 90, 91)


def rotated(folder: Path, cuts: tuple[int, ...] = CUTS) -> list[Path]:
    packets = traffic()
    paths = []
    for number, (a, b) in enumerate(pairwise([0, *cuts, len(packets)])):
        # Their names do not say the order.
        path = folder / f"{9 - number}.pcap"
        path.write_bytes(pcap(packets[a:b]))
        paths.append(path)
    return paths


def flows(case: Case) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = case.sql(
        f"SELECT {', '.join(FIELDS)} FROM network_activity ORDER BY ALL"
    ).fetchall()
    return found


@pytest.fixture
def whole(tmp_path: Path) -> list[tuple[Any, ...]]:
    path = tmp_path / "whole.pcap"
    path.write_bytes(pcap(traffic()))
    case = open_case(tmp_path / "lake", engagement="whole")
    case.ingest([path])
    return flows(case)


@pytest.mark.parametrize("packed", [False, True])
def test_flows_over_the_borders_are_one(
    tmp_path: Path, whole: list[tuple[Any, ...]], packed: bool
) -> None:
    paths = rotated(tmp_path)
    if packed:
        for path in paths:
            path.with_suffix(".pcap.gz").write_bytes(gzip.compress(path.read_bytes()))
        paths = [path.with_suffix(".pcap.gz") for path in paths]
    case = open_case(tmp_path / "lake", engagement="one")
    report = case.ingest(paths[::-1], as_one_capture=True)
    assert not report.failed
    assert flows(case) == whole
    (source,) = case.sql("SELECT source_id, uri, records FROM source").fetchall()
    assert source[2] == len(traffic())
    members = case.sql(
        "SELECT artifact_no, path FROM artifact_path ORDER BY artifact_no"
    ).fetchall()
    assert [path for _, path in members[1:]] == [str(path) for path in paths]


def test_nothing_is_taken_twice(tmp_path: Path) -> None:
    paths = rotated(tmp_path)
    case = open_case(tmp_path / "lake", engagement="one")
    case.ingest(paths[:2], as_one_capture=True)
    first = flows(case)
    case.ingest(paths[:2], as_one_capture=True)
    assert flows(case) == first
    case.ingest(paths[:1])
    assert flows(case) == first
    case.ingest([paths[2]])
    second = flows(case)
    assert len(second) > len(first)
    report = case.ingest(paths, as_one_capture=True)
    assert sorted(path for path, _ in report.pieces) == sorted(map(str, paths[:3]))
    (count,) = case.sql("SELECT sum(packets_out + packets_in) FROM network_activity").fetchone()
    assert count == len(traffic())


def test_a_row_leads_back_to_its_bytes(tmp_path: Path) -> None:
    from line import tracelake

    paths = rotated(tmp_path)
    lake = tmp_path / "lake"
    case = open_case(lake, engagement="one")
    case.ingest(paths, as_one_capture=True)
    rows = case.sql("SELECT row_id, src_offset FROM network_activity").fetchall()
    data = b"".join(path.read_bytes() for path in paths)
    for row_id, offset in rows:
        said = tracelake("show", row_id, "-e", "one", "--lake", lake).stdout
        assert data[offset : offset + 16].hex(" ") in said
    assert "0 findings" in tracelake("verify", "-e", "one", "--lake", lake).stdout
    paths[1].write_bytes(paths[1].read_bytes()[:-1] + b"?")
    (last,) = case.sql("SELECT max_by(row_id, src_offset) FROM dns_activity").fetchone()
    said = tracelake("show", last, "-e", "one", "--lake", lake).stdout
    assert "it is not what was hashed" in said
