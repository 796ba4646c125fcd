"""Trees of processes: who started whom, over all that tells of it."""

import json
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from line import tracelake
from small_lake import NOON, PROVENANCE, SmallLake

from tracelake.analysis.process_rows import END, SECOND, START, Row
from tracelake.analysis.process_walk import DEPTH, Process, Walk
from tracelake.analysis.session import Session
from tracelake.case import open_case
from tracelake.lake import bloom

SYSMON, SECURITY = "Microsoft-Windows-Sysmon", "Microsoft-Windows-Security-Auditing"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def lake(tmp_path: Path) -> SmallLake:
    return SmallLake(str(tmp_path))


def begun(name: str, minute: float, **other: Any) -> dict[str, Any]:
    """A row that says that a process began."""
    return {"time": NOON + minute * MINUTE, "activity_id": 1, "proc_name": name,
            "proc_path": f"C:\\{name}", "device_hostname": "WS1.corp.example",
            "log_provider": SYSMON, **other}


def security(name: str, minute: float, pid: int, parent: int, **other: Any) -> dict[str, Any]:
    """What Security says: no ids but those of the system."""
    return begun(name, minute, proc_pid=pid, parent_pid=parent, log_provider=SECURITY,
                 **{"proc_uid": None, **other})


def write(lake: SmallLake, *rows: dict[str, Any], number: int = 0, table: str = "process_activity"
          ) -> None:
    """One artifact with these rows."""
    at = replace(PROVENANCE, artifact_no=number, parser="x")
    lake.write("artifact", [{"paths": [f"{number}.log"]}], at)
    lake.write(table, [{"src_offset": 16 * n} | row for n, row in enumerate(rows)], at)


def ask(lake: SmallLake, query: str, parameters: Any = None) -> list[dict[str, Any]]:
    with Session(lake) as session:
        found = session.sql(query, parameters)
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def levels(rows: list[dict[str, Any]]) -> list[tuple[int, str]]:
    return [(row["level"], row["proc_name"]) for row in rows]


def test_a_chain_by_ids_goes_up_and_down(lake: SmallLake) -> None:
    write(lake,
          begun("a.exe", 0, proc_uid="A", proc_pid=10),
          begun("b.exe", 1, proc_uid="B", proc_pid=20, parent_uid="A", user_name="ann",
                user_domain="CORP", proc_cmd_line="b -x"),
          begun("c.exe", 2, proc_uid="C", proc_pid=30, parent_uid="B"),
          begun("d.exe", 3, proc_uid="D", proc_pid=40, parent_uid="B"),
          begun("e.exe", 4, proc_uid="E", proc_pid=50, parent_uid="D"),
          begun("other.exe", 4, proc_uid="F", proc_pid=60, parent_uid="A"),
          {"time": NOON + 9 * MINUTE, "activity_id": 2, "proc_uid": "B", "proc_pid": 20,
           "device_hostname": "WS1.corp.example", "log_provider": SYSMON})
    rows = ask(lake, "SELECT * FROM process_tree('B')")
    assert levels(rows) == [(-1, "a.exe"), (0, "b.exe"), (1, "c.exe"), (1, "d.exe"), (2, "e.exe")]
    assert [row["path"] for row in rows] == [
        "a.exe", "a.exe > b.exe", "a.exe > b.exe > c.exe", "a.exe > b.exe > d.exe",
        "a.exe > b.exe > d.exe > e.exe"]
    asked = rows[1]
    assert (asked["host"], asked["proc_pid"], asked["user_name"], asked["proc_cmd_line"]) == (
        "WS1.corp.example", 20, "CORP\\ann", "b -x")
    assert (asked["started"], asked["ended"]) == (NOON + MINUTE, NOON + 9 * MINUTE)
    assert [row["joined_by"] for row in rows] == ["parent_uid", None, *["parent_uid"] * 3]
    assert all(row["is_seen"] and row["note"] is None for row in rows)
    assert levels(ask(lake, "SELECT * FROM process_ancestors('E')")) == [
        (-3, "a.exe"), (-2, "b.exe"), (-1, "d.exe"), (0, "e.exe")]
    assert levels(ask(lake, "SELECT * FROM process_descendants('D')")) == [
        (0, "d.exe"), (1, "e.exe")]


def test_a_process_is_asked_for_in_several_ways(lake: SmallLake) -> None:
    guid = "0a1b2c3d-0000-1111-2222-333344445555"
    write(lake, begun("a.exe", 0, proc_uid=guid, proc_pid=10),
          begun("b.exe", 5, proc_uid="B", proc_pid=10, parent_uid=guid))
    one = [(0, "a.exe"), (1, "b.exe")]
    assert levels(ask(lake, f"SELECT * FROM process_tree('{{{guid.upper()}}}')")) == one
    assert levels(ask(lake, "SELECT * FROM process_tree(?)", [guid])) == one
    assert levels(ask(lake, "SELECT * FROM process_tree($p)", {"p": guid})) == one
    by_row = "SELECT * FROM process_tree((SELECT row_id FROM process_activity " \
        "WHERE proc_name = 'a.exe'))"
    assert levels(ask(lake, by_row)) == one
    at = "SELECT * FROM process_tree('ws1', 10, TIMESTAMPTZ '{}')"
    assert levels(ask(lake, at.format(NOON + MINUTE))) == one
    assert levels(ask(lake, at.format(NOON + 6 * MINUTE))) == [(-1, "a.exe"), (0, "b.exe")]
    assert ask(lake, at.format(NOON - MINUTE)) == []
    assert ask(lake, "SELECT * FROM process_tree('nobody''s')") == []
    assert ask(lake, "SELECT * FROM process_tree(NULL)") == []
    joined = "SELECT a.proc_uid, t.level FROM process_activity AS a, process_tree('B') AS t " \
        "WHERE a.proc_uid = t.proc_uid ORDER BY ALL"
    assert [tuple(row.values()) for row in ask(lake, joined)] == [(guid, -1), ("B", 0)]
    with pytest.raises(ValueError, match="give one process"):
        ask(lake, "SELECT t.* FROM process_activity AS a, process_tree(a.proc_uid) AS t")


def test_security_has_its_parents_by_number_and_time(lake: SmallLake) -> None:
    write(lake,
          security("old.exe", 0, 100, 4),
          security("new.exe", 10, 100, 4),
          security("child.exe", 11, 200, 100),
          security("early.exe", 5, 204, 100),
          security("grandchild.exe", 12, 300, 200, parent_name="child.exe"))
    write(lake, security("far.exe", 10.5, 100, 4, device_hostname="WS2"), number=1)
    names = "SELECT * FROM process_tree('{}:{}:{}')"
    rows = ask(lake, names.format("ws1", 300, int((NOON + 12 * MINUTE).timestamp() * SECOND)))
    assert levels(rows) == [
        (-3, None), (-2, "new.exe"), (-1, "child.exe"), (0, "grandchild.exe")]
    assert [row["joined_by"] for row in rows] == [
        "told by its child", "parent_pid", "parent_pid", None]
    rows = ask(lake, names.format("ws1.corp.example", 100, int(NOON.timestamp() * SECOND)))
    assert levels(rows)[1:] == [(0, "old.exe"), (1, "early.exe")]


def test_who_ended_before_is_no_parent(lake: SmallLake) -> None:
    end = {"activity_id": 2, "device_hostname": "WS1.corp.example", "log_provider": SECURITY}
    write(lake,
          security("gone.exe", 0, 100, 4), {**end, "time": NOON + MINUTE, "proc_pid": 100},
          security("orphan.exe", 2, 200, 100, parent_path="C:\\unseen.exe",
                   parent_cmd_line="unseen -y"),
          security("kept.exe", 0, 104, 4), {**end, "time": NOON + 3 * MINUTE, "proc_pid": 104},
          security("child.exe", 2, 300, 104))
    rows = ask(lake, "SELECT * FROM process_ancestors('ws1', 200, "
                     "TIMESTAMPTZ '2024-05-01 12:02:00+00')")
    assert [(row["level"], row["proc_path"], row["is_seen"]) for row in rows] == [
        (-1, "C:\\unseen.exe", False), (0, "C:\\orphan.exe", True)]
    assert rows[0]["proc_cmd_line"] == "unseen -y"
    assert (rows[0]["proc_pid"], rows[0]["note"]) == (100, "not seen: what its child tells of it")
    rows = ask(lake, "SELECT * FROM process_tree('ws1', 300, "
                     "TIMESTAMPTZ '2024-05-01 12:02:00+00')")
    assert levels(rows)[1:] == [(-1, "kept.exe"), (0, "child.exe")]


def test_one_process_of_two_sources_is_one(lake: SmallLake) -> None:
    second = 1 / 60
    write(lake,
          begun("services.exe", 0, proc_uid="S", proc_pid=500),
          begun("psexesvc.exe", 1, proc_uid="P", proc_pid=700, parent_uid="S"),
          begun("cmd.exe", 2, proc_uid="C", proc_pid=900, parent_uid="not logged"))
    write(lake,
          security("psexesvc.exe", 1 + 0.2 * second, 700, 500),
          security("cmd.exe", 2 - 0.4 * second, 900, 700, parent_name="psexesvc.exe"),
          security("other.exe", 2 + second, 900, 500), number=1)
    rows = ask(lake, "SELECT * FROM process_tree('C')")
    # Sysmon did not log what it names as the parent; Security names another one's number.
    assert [(row["level"], row["proc_name"], row["is_seen"]) for row in rows] == [
        (-1, "psexesvc.exe", False), (0, "cmd.exe", True)]
    assert [(w["log_provider"], w["same_by"]) for w in rows[-1]["witnesses"]] == [
        (SYSMON, None), (SECURITY, "host, process id and begin (400 ms apart)")]
    rows = ask(lake, "SELECT * FROM process_tree('P')")
    assert levels(rows)[:2] == [(-1, "services.exe"), (0, "psexesvc.exe")]
    assert len(rows[1]["witnesses"]) == 2


def test_what_a_sensor_of_its_own_ids_tells_has_its_own_hosts(lake: SmallLake) -> None:
    fdr = {"log_provider": "CrowdStrike FDR", "device_hostname": None}
    write(lake, *(
        begun(f"{name}{aid}.exe", n, proc_uid=str(n), parent_uid=str(n - 1) if n else None,
              proc_pid=10 * n, device_uid=aid, **fdr)
        for n, name in enumerate("abc") for aid in ("a1", "a2")))
    write(lake, {"fact": "os", "device_uid": "a1", "device_hostname": "WS7", **{
        "log_provider": "CrowdStrike FDR"}}, number=1, table="inventory")
    rows = ask(lake, "SELECT * FROM process_ancestors('2')")
    assert [(row["host"], row["proc_name"]) for row in rows] == [
        ("WS7", "aa1.exe"), ("WS7", "ba1.exe"), ("WS7", "ca1.exe"),
        ("a2", "aa2.exe"), ("a2", "ba2.exe"), ("a2", "ca2.exe")]


def test_cycles_and_own_parents_end(lake: SmallLake) -> None:
    write(lake,
          begun("a.exe", 0, proc_uid="A", parent_uid="B", proc_pid=1, parent_pid=2),
          begun("b.exe", 1, proc_uid="B", parent_uid="C", proc_pid=2, parent_pid=3),
          begun("c.exe", 2, proc_uid="C", parent_uid="A", proc_pid=3, parent_pid=1),
          begun("self.exe", 3, proc_uid="S", parent_uid="S", proc_pid=4, parent_pid=4),
          security("own.exe", 4, 8, 8))
    rows = ask(lake, "SELECT * FROM process_tree('A')")
    assert levels(rows) == [(-2, "c.exe"), (-1, "b.exe"), (0, "a.exe"), (1, "c.exe")]
    assert rows[0]["note"] == "its parent is one of its descendants, by the record"
    (row,) = ask(lake, "SELECT * FROM process_tree('S')")
    assert row["note"] == "its own parent, by the record"
    rows = ask(lake, "SELECT * FROM process_tree('ws1', 8, TIMESTAMPTZ '2024-05-01 12:04:00+00')")
    assert [(row["level"], row["is_seen"]) for row in rows] == [(-1, False), (0, True)]


def test_a_parent_that_is_not_there_can_be_asked_for(lake: SmallLake) -> None:
    write(lake, *(begun(f"c{n}.exe", n, proc_uid=f"C{n}", proc_pid=10 + n, parent_uid="GONE",
                        parent_name="gone.exe", parent_cmd_line="gone /x") for n in range(3)))
    rows = ask(lake, "SELECT * FROM process_tree('GONE')")
    assert levels(rows) == [(0, "gone.exe"), (1, "c0.exe"), (1, "c1.exe"), (1, "c2.exe")]
    assert (rows[0]["is_seen"], rows[0]["proc_cmd_line"]) == (False, "gone /x")


def test_depth_is_bounded(lake: SmallLake) -> None:
    write(lake, *(begun(f"{n}.exe", n, proc_uid=f"U{n}", proc_pid=n + 1,
                        parent_uid=f"U{n - 1}" if n else None) for n in range(200)))
    rows = ask(lake, "SELECT * FROM process_tree('U100')")
    assert [row["level"] for row in rows] == list(range(-DEPTH, DEPTH + 1))
    assert rows[0]["note"] == f"more than {DEPTH} ancestors"
    assert rows[-1]["note"] == f"its children are left out: level {DEPTH}"


def test_lists_of_processes_of_a_memory_image_have_trees(lake: SmallLake) -> None:
    write(lake, *(
        {"class_uid": 5015, "subject_name": name, "pid": pid, "parent_pid": parent,
         "time": NOON + minute * MINUTE, "cmd_line": f"{name} -k"}
        for name, pid, parent, minute in (
            ("System", 4, 0, 0), ("smss.exe", 300, 4, 1), ("evil.exe", 400, 300, 5))
    ), table="artifact_query")
    rows = ask(lake, "SELECT * FROM process_ancestors((SELECT row_id FROM artifact_query "
                     "WHERE subject_name = 'evil.exe'))")
    assert levels(rows)[-3:] == [(-2, "System"), (-1, "smss.exe"), (0, "evil.exe")]
    assert rows[-1]["proc_cmd_line"] == "evil.exe -k"


def test_a_window_leaves_no_ancestor_out(lake: SmallLake) -> None:
    write(lake, begun("a.exe", 0, proc_uid="A"), begun("b.exe", 60, proc_uid="B", parent_uid="A"))
    with Session(lake, NOON + 30 * MINUTE, NOON + 90 * MINUTE) as session:
        assert session.sql("SELECT count(*) FROM process_activity").fetchall() == [(1,)]
        found = session.sql("SELECT proc_name FROM process_ancestors('B')").fetchall()
        assert found == [("a.exe",), ("b.exe",)]


class Listed:
    """Rows in a list: what ProcessRows is to files."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows

    def by_uid(self, uids: Collection[str], host: str | None = None) -> list[Row]:
        return [r for r in self.rows if r.proc_uid in uids and host in (None, r.host)]

    def children_by_uid(self, uids: Collection[str], host: str | None, since: int | None
                        ) -> list[Row]:
        return [r for r in self.rows if r.parent_uid in uids and r.kind == START
                and host in (None, r.host) and (since is None or (r.time or 0) >= since)]

    def by_pid(self, host: str, pids: Collection[int], since: int | None, until: int | None
               ) -> list[Row]:
        return [r for r in self.rows if r.host == host and r.proc_pid in pids and r.time is not None
                and (since is None or r.time >= since) and (until is None or r.time <= until)]

    def near(self, host: str, begins: Collection[tuple[int, int]], before: int, after: int
             ) -> list[Row]:
        return [r for r in self.rows if r.host == host and r.time is not None
                and any(r.proc_pid == pid and at - before <= r.time <= at + after
                        for pid, at in begins)]

    def children_by_pid(self, host: str, pids: Collection[int], since: int | None,
                        until: int | None) -> list[Row]:
        return [r for r in self.rows if r.host == host and r.parent_pid in pids
                and r.kind == START and r.time is not None
                and (since is None or r.time >= since) and (until is None or r.time <= until)]

    def holder(self, host: str, pid: int, until: int) -> list[Row]:
        return self.by_pid(host, [pid], None, until)

    def focus(self, host: str, since: int | None) -> None:
        self.focused = host

    def is_small(self, host: str) -> bool:
        return host == "g"

    def widen(self) -> None:
        self.focused = None


def row(number: int, time: int, **other: Any) -> Row:
    values: dict[str, Any] = {
        "row_id": f"r{number}", "kind": START, "started": time, "time": time, "source_id": "s",
        "artifact_no": 0, "device_hostname": None, "device_uid": None, "log_provider": "L",
        "proc_uid": None, "proc_pid": None, "proc_path": None, "proc_name": None,
        "parent_uid": None, "parent_pid": None, "parent_path": None, "parent_name": None,
        "parent_created_time": None, "file": None, "number": number, "host": "h", **other}
    return Row(**values)


few = st.one_of(st.none(), st.integers(0, 4))


@given(st.lists(st.tuples(
    st.integers(0, 20), few, few, few, few, st.sampled_from((START, START, END)),
    st.sampled_from("LS"), st.sampled_from("gh"), st.sampled_from(("a", "b", None))), max_size=12))
def test_whatever_the_rows_say_a_walk_ends_and_tells_each_once(given_: list[Any]) -> None:
    rows = [
        row(n, time * SECOND, proc_pid=pid, parent_pid=parent, kind=kind, log_provider=log,
            proc_uid=None if uid is None else str(uid), host=host, proc_name=name,
            parent_uid=None if above is None else str(above))
        for n, (time, pid, parent, uid, above, kind, log, host, name) in enumerate(given_)
    ]
    walk = Walk(Listed(rows))
    for one in rows:
        for process in walk.of_rows([one]):
            up = walk.ancestors(process)
            down = walk.descendants(process)
            assert len(up) <= DEPTH + 1
            for nodes in (up, [up[0], *down]):
                refs = [ref for node in nodes for ref in node.process.refs]
                assert len(refs) == len(set(refs))
                assert {node.process.host for node in nodes} == {one.host}


@given(st.lists(st.tuples(st.sampled_from(("start", "start", "end")), st.integers(0, 50)),
                max_size=60), st.booleans())
def test_parents_by_number_are_those_that_it_was_in_truth(
    acts: list[tuple[str, int]], ends_are_logged: bool
) -> None:
    """A system that gives out six process ids, lowest free first, again and again."""
    alive: dict[int, int] = {0: 0}          # process id -> number of the process
    parents: dict[int, int] = {}
    rows = [row(0, 0, proc_pid=0, proc_name="0")]
    for n, (act, choice) in enumerate(acts, 1):
        time = n * 10 * SECOND
        pids = sorted(alive)
        pid = pids[choice % len(pids)]
        if act == "end" and pid:
            if ends_are_logged:
                rows.append(row(n, time, kind=END, proc_pid=pid))
            del alive[pid]
        elif act == "start":
            free = next((p for p in range(1, 7) if p not in alive), None)
            if free is not None:
                rows.append(row(n, time, proc_pid=free, parent_pid=pid, proc_name=str(n)))
                parents[n] = alive[pid]
                alive[free] = n
    walk = Walk(Listed(rows))
    by_name = {r.proc_name: r for r in rows if r.kind == START}

    def number(process: Process) -> int:
        return int(process.rows[0].proc_name or -1)

    children: dict[int, set[int]] = {}
    for n, parent in parents.items():
        children.setdefault(parent, set()).add(n)
        (process,) = walk.of_rows([by_name[str(n)]])
        expected = [n]
        while expected[-1] in parents:
            expected.append(parents[expected[-1]])
        assert [number(node.process) for node in walk.ancestors(process)] == expected
    for n in (0, *parents):
        (process,) = walk.of_rows([by_name[str(n)]])
        below, todo = set(), [n]
        while todo:
            todo += (more := children.get(todo.pop(), set()))
            below |= more
        assert {number(node.process) for node in walk.descendants(process)} == below


def test_blooms_exclude_what_is_not_there(tmp_path: Path) -> None:
    assert [bloom.xxh64(text) for text in (b"", b"a", b"abc")] == [
        0xEF46DB3751D8E999, 0xD24EC4F1A98C6E5B, 0x44BC2CF5AD770999]
    # More rows than a file without filters has.
    path, numbers = tmp_path / "lake", range(5000)
    log = tmp_path / "log.json"
    log.write_text("".join(json.dumps(sysmon(n)) + "\n" for n in numbers))
    tracelake("ingest", log, "-e", "t", "--lake", path)
    case = open_case(path, engagement="t")
    (file,) = case.lake.snapshot().files("process_activity")
    groups = duckdb.execute(
        "SELECT bloom_filter_offset, bloom_filter_length FROM parquet_metadata($1) "
        "WHERE path_in_schema = 'proc_uid'", [file]).fetchall()
    assert len(groups) == 1
    with Path(file).open("rb") as data:
        def held(text: str) -> bool:
            return bloom.may_hold(data.fileno(), *groups[0], bloom.wanted(text))

        assert all(held(guid(n)) for n in numbers)
        # The filter is made for one in twenty.
        assert sum(held(f"nobody {n}") for n in numbers) < len(numbers) / 10
    found = case.sql(f"SELECT level, proc_pid FROM process_tree('{guid(2500)}')").fetchall()
    assert found[0] == (-DEPTH, 2500 - DEPTH + 4)
    assert found[-1] == (DEPTH, 2500 + DEPTH + 4)


def guid(number: int) -> str:
    return f"{{39e4a257-0000-5f8d-0000-{number:012x}}}"


def sysmon(number: int) -> dict[str, Any]:
    """A process creation as Winlogbeat's successors ship it: each the child of the one before."""
    time = f"2024-05-01 {number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}.000"
    return {
        "SourceName": SYSMON, "ProviderGuid": "{5770385F-C22A-43E0-BF4C-06F5698FFBD9}",
        "Channel": f"{SYSMON}/Operational", "EventID": 1, "Hostname": "WS1", "UtcTime": time,
        "EventTime": time[:19], "@timestamp": time.replace(" ", "T") + "Z",
        "ProcessGuid": guid(number), "ProcessId": str(number + 4),
        "Image": f"C:\\{number}.exe", "ParentProcessGuid": guid(number - 1),
        "ParentProcessId": str(number + 3), "ParentImage": f"C:\\{number - 1}.exe",
        "CommandLine": f"{number}.exe -x", "ParentCommandLine": "x", "RecordNumber": number,
    }


def test_the_tree_of_a_uac_bypass(shared: Path, tmp_path: Path) -> None:
    """Empire's fodhelper (OTRF Security-Datasets): the agent's powershell was there before the log
    began; fodhelper.exe, elevated, starts another, in which whoami.exe is run."""
    sample = shared / "edr/otrf-host/empire_uac_shellapi_fodhelper.zip"
    tracelake("ingest", sample, "-e", "t", "--lake", tmp_path)
    case = open_case(tmp_path, engagement="t")
    whoami = "3ddc5665-ed2e-5f51-fc02-000000000500"
    rows = case.sql(f"SELECT * FROM process_ancestors('{whoami}')")
    found = [dict(zip(rows.columns, one, strict=True)) for one in rows.fetchall()]
    assert [(row["level"], row["proc_name"], row["proc_pid"]) for row in found] == [
        (-4, "powershell.exe", 1376), (-3, "fodhelper.exe", 7020), (-2, "powershell.exe", 7820),
        (-1, "powershell.exe", 3936), (0, "whoami.exe", 6504)]
    assert [row["is_seen"] for row in found] == [False, True, True, True, True]
    assert {row["host"] for row in found} == {"WORKSTATION5.theshire.local"}
    for row in found[1:]:
        assert [w["log_provider"] for w in row["witnesses"]] == [SYSMON, SECURITY]
        assert row["witnesses"][1]["same_by"].startswith("host, process id and begin")
    below = case.sql(
        "SELECT level, proc_name, proc_pid FROM process_descendants("
        "'3ddc5665-ed05-5f51-f002-000000000500')").fetchall()
    assert below == [
        (0, "fodhelper.exe", 7020), (1, "powershell.exe", 7820), (2, "conhost.exe", 4944),
        (2, "powershell.exe", 3936), (3, "whoami.exe", 6504)]
