"""`trees`: one process's ancestors and descendants, asked of a lake of ten million processes.

Wall time. `cold` is the first tree of a session, in a process of its own: what a session makes
ready for it (whose each row is, the footers of the files) is in it, and opening the session is
not. `warm` are trees after it, each of another process. Files are in the page cache. What is found
is compared with what was built.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from statistics import median

import duckdb

from benchmarks.build_processes import HOSTS, LOGS, STARTS, Processes, build_processes
from benchmarks.seeds import ROOT

WANTED_S = 1.0
ASK = """
import json, sys, time
from tracelake.case import open_case
lake, wanted = json.loads(sys.stdin.read())
begun = time.perf_counter()
session = open_case(lake, engagement="bench").session
times = [time.perf_counter() - begun]
found = []
for uid, macro in wanted:
    begun = time.perf_counter()
    rows = session.sql(f"SELECT level FROM {macro}(?)", [uid]).fetchall()
    times.append(time.perf_counter() - begun)
    found.append([-min(r[0] for r in rows), len(rows)] if rows else [0, 0])
print(json.dumps([times, found]))
"""


@dataclass(frozen=True, slots=True)
class Trees:
    """Attributes:
    open_s: opening a session. cold_s: its first tree.
    up_s, whole_s: a process's ancestors; with its descendants: median and longest.
    depth: ancestors of those processes, median and most.
    """

    rows: int
    open_s: float
    cold_s: float
    up_s: tuple[float, float]
    whole_s: tuple[float, float]
    depth: tuple[float, float]

    def said(self) -> str:
        """One line for the report."""
        return (
            f"process trees, {self.rows:,} rows: ancestors of one process {self.up_s[0]:.2f} s "
            f"(longest {self.up_s[1]:.2f} s), with descendants {self.whole_s[0]:.2f} s (longest "
            f"{self.whole_s[1]:.2f} s), first of a session {self.cold_s:.2f} s (wanted <= "
            f"{WANTED_S:g} s; to open the session {self.open_s:.2f} s); {self.depth[0]:.0f} "
            f"ancestors (most {self.depth[1]:.0f})"
        )


def process_trees(rows: int, rounds: int) -> Trees:
    """Builds the lake where it is not there, and asks."""
    built = build_processes(rows)
    wanted = [one for host in (0, 3, 7) for one in _processes(built, host)]
    opened: list[float] = []
    cold: list[float] = []
    up: list[float] = []
    whole: list[float] = []
    depths: list[float] = []
    for number in range(rounds):
        order = wanted[number % len(wanted):] + wanted[: number % len(wanted)]
        for macro, warm in (("process_ancestors", up), ("process_tree", whole)):
            times, found = _ask(built, [(uid, macro) for uid, _ in order])
            opened.append(times[0])
            cold.append(times[1])
            warm += times[2:]
            for (uid, depth), (levels, _) in zip(order, found, strict=True):
                if levels != depth:
                    raise SystemExit(f"process {uid} has {depth} ancestors, {levels} were found")
        depths += [float(depth) for _, depth in order]
    return Trees(
        built.rows, median(opened), median(cold), (median(up), max(up)),
        (median(whole), max(whole)), (median(depths), max(depths)),
    )


def _ask(built: Processes, asked: list[tuple[str, str]]) -> tuple[list[float], list[list[int]]]:
    done = subprocess.run(
        [sys.executable, "-c", ASK], input=json.dumps([built.lake, asked]), text=True,
        capture_output=True, check=False, env={"PYTHONPATH": str(ROOT / "src")},
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    times, found = json.loads(done.stdout.splitlines()[-1])
    return times, found


def _processes(built: Processes, host: int) -> list[tuple[str, int]]:
    """Processes of a host by each of its sensors: their ids, and how many ancestors they have."""
    found = []
    edr = "CAST(1000000000000 + h * 9973 + s * 2654435761 AS VARCHAR)"
    guid = "CAST(CAST(md5('g' || h || ':' || s) AS UUID) AS VARCHAR)"
    made = "lower('HOST' || h || '.corp.example:') || pid || ':' || epoch_us(time) + 3000"
    for number, each, uid in (
        (1000 + host % HOSTS, built.edr_each, edr), (host % LOGS, built.log_each, guid),
        (host % LOGS, built.log_each, made),
    ):
        with duckdb.connect() as made_up:
            made_up.execute("SET TimeZone = 'UTC'")
            made_up.execute(
                f"CREATE TABLE p AS {STARTS} SELECT s, p, {uid} AS uid FROM named",
                {"first": number, "last": number + 1, "each": each},
            )
            for share in (0.3, 0.999):
                at = int(each * share)
                found.append(made_up.execute(
                    "WITH RECURSIVE up AS (SELECT s, p, 0 AS depth FROM p WHERE s = $s "
                    "UNION ALL SELECT p.s, p.p, depth + 1 FROM up JOIN p ON p.s = up.p) "
                    "SELECT (SELECT uid FROM p WHERE s = $s), max(depth) FROM up", {"s": at},
                ).fetchall()[0])
    return found
