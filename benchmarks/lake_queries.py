"""`lake`: queries of a lake of fifty million connections, beside DuckDB over the same rows.

Wall time, and CPU time of all threads, which other work on the machine changes less; files in the
page cache. The lake is thirty days of a sensor, an hour a capture, as
`tracelake compact` leaves it. The anchor of each query is DuckDB over the same rows in the same
files, written without bloom filters and read without planning: `read_parquet` of all of them, in a
session that is open. Ours and the anchor alternate; figures are medians.

- needle: all connections of an address as the source; it has one or two of them, as an indicator.
- src or dst: of one address as either, by the macro `network_of`; the anchor says OR.
- one hour of thirty days: a session with `--since` and `--until`, opening it included.
- one hour of a lake of 10,000 files that was never compacted, opening it included.
- a hundred readers at once, each a session of its own and both queries, while five others commit.

    python -m benchmarks.lake_queries [--quick] [--rounds N]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import duckdb
import pyarrow as pa

from benchmarks.connections import BEGIN, GROUP, TABLE, address, rows, written
from benchmarks.seeds import ROOT
from tracelake.analysis.session import Session
from tracelake.lake.compact import compact
from tracelake.lake.lake import Lake
from tracelake.lake.merge import merge
from tracelake.normalize import TABLES

HOUR = 3_600_000_000
DAYS = 30
READERS, WRITERS = 100, 5
WANTED = 10.0
SUMS = "count(*), sum(bytes_out), min(time), max(time)"


@dataclass(frozen=True, slots=True)
class Query:
    """One query: milliseconds of ours and of the anchor, medians; and of CPU time."""

    name: str
    ours: float
    anchor: float
    our_cpu: float
    anchor_cpu: float
    wanted: float | None = WANTED

    @property
    def ratio(self) -> float:
        return self.anchor / self.ours


@dataclass(frozen=True, slots=True)
class Queries:
    """What was measured.

    Attributes:
    rows, files: of the lake, compacted.
    open_ms, open_hour_ms: opening a lake of 10,000 files; and its first query, an hour.
    readers_p50_ms, readers_p95_ms: of each reader's session and two queries. errors: of any.
    commits: of the writers meanwhile.
    """

    rows: int
    files: int
    queries: list[Query]
    open_files: int
    open_ms: float
    open_hour_ms: float
    readers_p50_ms: float
    readers_p95_ms: float
    commits: int
    errors: int

    def said(self) -> str:
        """Lines for the report."""
        lines = [f"lake of {self.rows:,} connections in {self.files} files:"]
        for query in self.queries:
            wanted = f" (wanted {query.wanted:g}x)" if query.wanted else ""
            lines.append(
                f"  {query.name:28} {query.ours:8.0f} ms, anchor {query.anchor:8.0f} ms: "
                f"{query.ratio:.1f}x{wanted}; CPU {query.our_cpu:.0f} and "
                f"{query.anchor_cpu:.0f} ms: {query.anchor_cpu / query.our_cpu:.1f}x"
            )
        lines.append(
            f"  opening a lake of {self.open_files:,} files {self.open_ms:.0f} ms, with its first "
            f"query (an hour) {self.open_hour_ms:.0f} ms"
        )
        lines.append(
            f"  {READERS} readers at once while {WRITERS} processes committed {self.commits} "
            f"times: {self.errors} errors, median {self.readers_p50_ms:.0f} ms, p95 "
            f"{self.readers_p95_ms:.0f} ms"
        )
        return "\n".join(lines)


def _folder(name: str) -> Path:
    return ROOT / "bench-data" / name


def build(count: int) -> Path:
    """The lake, where it is not there: a capture an hour, compacted."""
    folder = _folder(f"connections-{count}")
    done = folder / "done"
    if done.exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    lake = Lake.open(str(folder), "bench", create=True)
    captures = DAYS * 24
    first = 0
    waiting = []
    for number in range(captures):
        end = count * (number + 1) // captures
        begin, batches = BEGIN + number * HOUR, []
        total = end - first
        for at in range(0, total, GROUP):
            some = min(GROUP, total - at)
            start = begin + HOUR * at // total
            batches.append(rows(first + at, start, HOUR * some // total, some, number))
        waiting.append(written(lake, number, batches))
        first = end
        if len(waiting) == 24 or number == captures - 1:
            lake.commit(waiting)
            waiting = []
    list(compact(lake))
    done.touch()
    return folder


def build_anchor(folder: Path) -> list[str]:
    """The rows of each of the lake's files once more, in the same encodings, without blooms."""
    schema = TABLES[TABLE].schema
    bare = pa.schema([
        pa.field(f.name, f.type, f.nullable, {k: v for k, v in (f.metadata or {}).items()
                                              if k != b"bloom"})
        for f in schema
    ])
    files = Lake.open(str(folder), "bench").snapshot().files(TABLE)
    anchor = Lake.open(str(folder / "anchor"), "bench", create=True, schemas={TABLE: bare})
    found = sorted((anchor.root / TABLE).glob("*.parquet"))
    if not (folder / "anchor" / "done").exists():
        for file in found:
            file.unlink()
        for number, name in enumerate(files):
            merge(anchor, TABLE, [name], f"anchor-{number:05}")
        (folder / "anchor" / "done").touch()
        found = sorted((anchor.root / TABLE).glob("*.parquet"))
    return [str(path) for path in found]


def build_many(files: int) -> Path:
    """A lake of so many files, each a capture of its own."""
    folder = _folder(f"small-files-{files}")
    done = folder / "done"
    if done.exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    lake = Lake.open(str(folder), "bench", create=True)
    step = DAYS * 24 * HOUR // files
    for at in range(0, files, 100):
        numbers = range(at, min(at + 100, files))
        lake.commit(
            [written(lake, n, [rows(n * 20, BEGIN + n * step, step, 20, n)]) for n in numbers]
        )
    done.touch()
    return folder


def _timed(call: Callable[[], object]) -> tuple[float, float, object]:
    begun, cpu = time.perf_counter(), time.process_time()
    found = call()
    return (time.perf_counter() - begun) * 1000, (time.process_time() - cpu) * 1000, found


def _compare(
    name: str, ours: Callable[[], object], anchor: Callable[[], object], rounds: int
) -> Query:
    ours()  # warm: both from the page cache, with the same right
    anchor()
    times = []
    for _ in range(rounds):
        our_time, our_cpu, said = _timed(ours)
        its_time, its_cpu, its = _timed(anchor)
        assert said == its, f"{name}: {said} and {its}"
        times.append((our_time, its_time, our_cpu, its_cpu))
    return Query(name, *(median(one) for one in zip(*times, strict=True)))


def queries(folder: Path, rounds: int) -> list[Query]:
    """Each query beside its anchor."""
    lake = Lake.open(str(folder), "bench")
    plain = duckdb.connect()
    plain.execute("SET TimeZone = 'UTC'")
    names = ", ".join(f"'{path}'" for path in build_anchor(folder))
    source = f"read_parquet([{names}])"
    session = Session(lake.snapshot())
    found = []
    needles = [address(number) for number in (198_000, 198_503, 199_001)]

    def asked(sql: str, of: Callable[[str], list[tuple[object, ...]]]) -> Callable[[], object]:
        return lambda: [of(sql.replace("NEEDLE", needle)) for needle in needles]

    def our(sql: str) -> list[tuple[object, ...]]:
        return session.sql(sql).fetchall()

    def its(sql: str) -> list[tuple[object, ...]]:
        return plain.execute(sql).fetchall()

    for name, sql, anchor in (
        ("needle, three addresses",
         f"SELECT {SUMS} FROM {TABLE} WHERE src_ip = 'NEEDLE'",
         f"SELECT {SUMS} FROM {source} WHERE src_ip = 'NEEDLE'"),
        ("src or dst, three addresses",
         f"SELECT {SUMS} FROM network_of('NEEDLE')",
         f"SELECT {SUMS} FROM {source} WHERE src_ip = 'NEEDLE' OR dst_ip = 'NEEDLE'"),
    ):
        found.append(_compare(name, asked(sql, our), asked(anchor, its), rounds))
    begin = datetime.fromtimestamp(BEGIN / 1e6, UTC) + timedelta(days=17, hours=5)
    end = begin + timedelta(hours=1)
    sums = f"SELECT {SUMS}, count(DISTINCT dst_ip) FROM"
    within = f"time >= TIMESTAMPTZ '{begin}' AND time < TIMESTAMPTZ '{end}'"

    def hour() -> object:
        with Session(lake.snapshot(), begin, end) as opened:
            return opened.sql(f"{sums} {TABLE}").fetchall()

    found.append(
        _compare("one hour, session opened", hour,
                 lambda: its(f"{sums} {source} WHERE {within}"), rounds)
    )
    with Session(lake.snapshot(), begin, end) as opened:
        found.append(
            _compare("one hour, session open", lambda: opened.sql(f"{sums} {TABLE}").fetchall(),
                     lambda: its(f"{sums} {source} WHERE {within}"), rounds)
        )
    session.close()
    plain.close()
    return found


_WRITER = """
import sys, time
from benchmarks.connections import BEGIN, rows, written
from tracelake.lake.lake import Lake
folder, number = sys.argv[1], int(sys.argv[2])
lake = Lake.open(folder, "bench")
done = 0
print("begin", flush=True)
while not sys.stdin.closed and done < 10_000:
    capture = 10_000_000 + number * 1_000_000 + done
    lake.commit([written(lake, capture, [rows(capture, BEGIN, 5_000_000, 50, capture)])])
    done += 1
    print(done, flush=True)
    time.sleep(0.5)
"""


def crowd(folder: Path) -> tuple[list[float], int, int]:
    """A hundred readers at once while five processes commit: milliseconds of each reader, errors
    and commits. The lake grows by what is committed, so it is asked last."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(folder), str(n)], env=env,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(WRITERS)
    ]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.readline()
    times: list[float] = []
    errors: list[BaseException] = []
    begin = datetime.fromtimestamp(BEGIN / 1e6, UTC) + timedelta(days=11)

    def read(number: int) -> None:
        try:
            begun = time.perf_counter()
            lake = Lake.open(str(folder), "bench")
            since = begin + timedelta(hours=number)
            with Session(lake.snapshot(), since, since + timedelta(hours=1)) as opened:
                opened.sql(f"SELECT {SUMS} FROM {TABLE}").fetchall()
                needle = address(1_000 * number + 777)
                opened.sql(f"SELECT {SUMS} FROM {TABLE} WHERE src_ip = '{needle}'").fetchall()
            times.append((time.perf_counter() - begun) * 1000)
        except Exception as error:  # noqa: BLE001 - counted, and said
            errors.append(error)

    threads = [threading.Thread(target=read, args=(n,)) for n in range(READERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    commits = 0
    for writer in writers:
        writer.terminate()
        said = writer.communicate()[0].split()
        commits += int(said[-1]) if said else 0
    for error in errors[:3]:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    return sorted(times), len(errors), commits


def measure(count: int, files: int, rounds: int) -> Queries:
    """Builds what is not there, and asks."""
    folder = build(count)
    found = queries(folder, rounds)
    lake = Lake.open(str(folder), "bench")
    held = lake.snapshot().files(TABLE)
    many = build_many(files)
    opened, first = [], []
    begin = datetime.fromtimestamp(BEGIN / 1e6, UTC) + timedelta(days=17)
    found.append(_hour_of_many(many, begin, rounds))
    for _ in range(rounds + 1):
        small = Lake.open(str(many), "bench")
        begun = time.perf_counter()
        with Session(small.snapshot()):
            opened.append((time.perf_counter() - begun) * 1000)
        begun = time.perf_counter()
        with Session(small.snapshot(), begin, begin + timedelta(hours=1)) as session:
            session.sql(f"SELECT {SUMS} FROM {TABLE}").fetchall()
            first.append((time.perf_counter() - begun) * 1000)
    copy = _folder(f"crowd-{count}")
    shutil.rmtree(copy, ignore_errors=True)
    # The files are the same ones: only the logs are this lake's own.
    shutil.copytree(folder, copy, copy_function=_linked, ignore=shutil.ignore_patterns("anchor"))
    try:
        times, errors, commits = crowd(copy)
    finally:
        shutil.rmtree(copy)
    return Queries(
        count, len(held), found, files, median(opened[1:]), median(first[1:]),
        median(times) if times else 0.0, times[int(len(times) * 0.95)] if times else 0.0,
        commits, errors,
    )


def _hour_of_many(folder: Path, begin: datetime, rounds: int) -> Query:
    """An hour of a lake of many files: ours opens the lake for it."""
    lake = Lake.open(str(folder), "bench")
    end = begin + timedelta(hours=1)
    names = ", ".join(f"'{path}'" for path in lake.snapshot().files(TABLE))
    plain = duckdb.connect()
    plain.execute("SET TimeZone = 'UTC'")
    within = f"time >= TIMESTAMPTZ '{begin}' AND time < TIMESTAMPTZ '{end}'"

    def ours() -> object:
        with Session(lake.snapshot(), begin, end) as opened:
            return opened.sql(f"SELECT {SUMS} FROM {TABLE}").fetchall()

    def anchor() -> object:
        sql = f"SELECT {SUMS} FROM read_parquet([{names}]) WHERE {within}"
        return plain.execute(sql).fetchall()

    return _compare("one hour of many small files", ours, anchor, rounds)


def _linked(source: str, target: str) -> None:
    if source.endswith(".parquet") and "_delta_log" not in source:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def main() -> None:
    parser = argparse.ArgumentParser(description="queries of a lake, beside DuckDB alone")
    parser.add_argument("--quick", action="store_true", help="2 million connections, 1,000 files")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    (ROOT / "bench-data").mkdir(exist_ok=True)
    size = (2_000_000, 1_000) if given.quick else (50_000_000, 10_000)
    done = measure(*size, given.rounds)
    print(done.said())
    print(json.dumps(asdict(done)))


if __name__ == "__main__":
    main()
