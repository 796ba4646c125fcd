"""A sensor that commits every few seconds for a day: what a commit costs, and the last hour.

    python -m benchmarks.sensor [--commits 17280] [--every-n 120] [--rows 60] [--no-compact]

Each commit is a capture of five seconds: rows of `network_activity`, `artifact` and `source`. They
follow each other without pause; `compact` runs in a process of its own after each `--every-n` (ten
minutes of the sensor's time), as `tracelake compact --every 10m` would. Queries of the last hour
are timed on the way and at the end, in the lake as it stands and after `compact` of everything.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from benchmarks.connections import BEGIN, TABLE, rows, written
from benchmarks.seeds import ROOT
from tracelake.case import open_case
from tracelake.lake.lake import Lake

SECONDS = 5
QUERY = f"select count(*), sum(bytes_out), count(distinct dst_ip) from {TABLE}"


def last_hour(folder: Path, upto: int, rounds: int = 5) -> tuple[float, float]:
    """Milliseconds of the query of the last hour: with opening the lake, and without."""
    end = datetime.fromtimestamp(upto / 1e6, UTC)
    whole, warm = [], []
    for _ in range(rounds):
        begun = time.perf_counter()
        case = open_case(folder, engagement="bench").between(end - timedelta(hours=1), end)
        case.sql(QUERY).fetchall()
        whole.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        case.sql(QUERY).fetchall()
        warm.append(time.perf_counter() - begun)
        case.session.close()
    return median(whole) * 1000, median(warm) * 1000


def measure(
    folder: Path, commits: int, every: int, count: int, compacts: bool
) -> dict[str, object]:
    """Runs the day, and says what it took."""
    lake = Lake.open(str(folder), "bench", create=True)
    took: list[float] = []
    spent: list[float] = []
    marks = []
    running: subprocess.Popen[bytes] | None = None
    for number in range(commits):
        begin = BEGIN + number * SECONDS * 1_000_000
        batch = rows(number * count, begin, SECONDS * 1_000_000, count, number)
        unit = written(lake, number, [batch])
        begun, cpu = time.perf_counter(), time.process_time()
        lake.commit([unit])
        took.append(time.perf_counter() - begun)
        spent.append(time.process_time() - cpu)
        idle = running is None or running.poll() is not None
        if (number + 1) % every == 0 and compacts and idle:
            running = _compact(folder)
        if (number + 1) % max(commits // 8, 1) == 0:
            whole, warm = last_hour(folder, begin + SECONDS * 1_000_000, 3)
            marks.append(
                {"commits": number + 1, "last_hour_ms": round(whole, 1), "warm_ms": round(warm, 1),
                 "commit_ms": round(median(took[-1000:]) * 1000, 1),
                 "slowest_ms": round(max(took[-commits // 8:]) * 1000, 1)}
            )
            print(json.dumps(marks[-1]), flush=True)
    if running is not None:
        running.wait()
    end = BEGIN + commits * SECONDS * 1_000_000
    now = last_hour(folder, end)
    files = len(lake.snapshot().files(TABLE))
    _compact(folder, "--json").wait()
    best = last_hour(folder, end)
    took.sort()
    return {
        "commits": commits,
        "commit_ms_median": round(median(took) * 1000, 1),
        "commit_ms_p99": round(took[int(len(took) * 0.99)] * 1000, 1),
        "commit_ms_max": round(took[-1] * 1000, 1),
        "commits_over_200_ms": sum(one > 0.2 for one in took),
        "commit_cpu_ms_mean": round(sum(spent) / len(spent) * 1000, 1),
        "files": files,
        "last_hour_ms": round(now[0], 1), "last_hour_warm_ms": round(now[1], 1),
        "compacted_last_hour_ms": round(best[0], 1), "compacted_warm_ms": round(best[1], 1),
    }


def _compact(folder: Path, *more: str) -> "subprocess.Popen[bytes]":
    program = "from tracelake.cli import main; main()"
    # Once, with the rule of `--every`: merged is where many files are of one size.
    command = [sys.executable, "-c", program, "compact", "-e", "bench", "--lake", str(folder)]
    if not more:
        once = (
            "import sys; from tracelake.lake.lake import Lake; "
            "from tracelake.lake.compact import compact; from tracelake.lake.expire import expire; "
            "lake = Lake.open(sys.argv[1], 'bench'); list(compact(lake, everything=False)); "
            "expire(lake)"
        )
        command = [sys.executable, "-c", once, str(folder)]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.Popen([*command, *more], env=env)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commits", type=int, default=17_280)
    parser.add_argument("--every-n", type=int, default=120)
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--no-compact", action="store_true")
    given = parser.parse_args()
    (ROOT / "bench-data").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="sensor-", dir=ROOT / "bench-data"))
    try:
        done = measure(folder, given.commits, given.every_n, given.rows, not given.no_compact)
        print(json.dumps(done, indent=1))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
