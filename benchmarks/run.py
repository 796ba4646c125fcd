"""`make bench`: one table, each row a ratio measured in the same run.

What is measured is CPU seconds (user and system, all processes) of the whole command
`tracelake ingest FILE --engagement bench --lake TMP --workers 1`: SHA-256, parsing, Parquet and
commit included. The CPU seconds of the same command on a one-record file are taken off: they are
the fixed cost, a row of its own. Rivals are measured in the same way, less their own fixed cost.
Ours and theirs alternate; the ratio is the median over the rounds.

    python -m benchmarks.run [--quick] [--only pcap,evtx,jsonl] [--json FILE]
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from benchmarks.build import Built, build
from benchmarks.measure import Cost, cost
from benchmarks.seeds import ROOT

HERE = Path(__file__).resolve().parent
FIXED_WANTED_S = 1.0
# Tables that hold no evidence rows.
BOOKS = {"source", "artifact", "damage", "evtx_file", "custody"}


@dataclass(frozen=True, slots=True)
class Rival:
    """Another way to the same, or to less.

    Attributes:
        command: `{file}` and `{out}` are filled in.
        wanted: how many times fewer CPU seconds ours should take; None where nothing is asked.
        small: megabytes of an input of its own, for one too slow for the large input; the
            ratio is then of CPU seconds per record.
    """

    name: str
    kind: str
    command: tuple[str, ...]
    wanted: float | None = None
    small: int | None = None


PYTHON = sys.executable
# What the console script does, whether or not it is installed.
TRACELAKE = (PYTHON, "-c", "from tracelake.cli import main; main()")
ENGAGEMENT = ("--engagement", "bench", "--workers", "1", "--json")
RIVALS = (
    Rival("dpkt, flows only", "pcap", (PYTHON, str(HERE / "rival_dpkt.py"), "{file}"), 8.0),
    Rival("nfpcapd, flows only", "pcap", ("nfpcapd", "-r", "{file}", "-l", "{out}")),
    Rival("tshark, conversations", "pcap", ("tshark", "-n", "-q", "-r", "{file}", "-z", "conv,ip")),
    Rival("zeek", "pcap", ("zeek", "-C", "-r", "{file}", "Log::default_logdir={out}")),
    Rival(
        "Rust evtx, 9 flat columns",
        "evtx",
        (PYTHON, str(HERE / "rival_evtx_rust.py"), "{file}", "{out}/rows.parquet"),
        2.0,
    ),
    Rival(
        "python-evtx, XML only",
        "evtx",
        (PYTHON, str(HERE / "rival_python_evtx.py"), "{file}"),
        small=1,
    ),
    Rival(
        "orjson + from_pylist",
        "jsonl",
        (PYTHON, str(HERE / "rival_jsonl.py"), "{file}", "{out}/rows.parquet"),
    ),
)


@dataclass(slots=True)
class Ours:
    """What `tracelake ingest` did with a large input, once a round."""

    built: Built
    cpu: list[float] = field(default_factory=list)  # less the fixed cost
    fixed: list[float] = field(default_factory=list)
    anonymous: int = 0
    records: int = 0
    rows: int = 0
    damage: int = 0


def ingest(path: Path, lake: Path) -> Cost:
    return cost(
        [*TRACELAKE, "ingest", str(path), *ENGAGEMENT, "--lake", str(lake)],
        {**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )


def counts(lake: Path) -> tuple[int, int, int]:
    """(records, rows, damage) of the engagement, from its tables rather than from its words."""
    records = rows = damage = 0
    for folder in sorted((lake / "bench").iterdir()):
        if not (folder / "_delta_log").is_dir():
            continue
        table = DeltaTable(str(folder))
        held = sum(pa.table(table.get_add_actions())["num_records"].to_pylist())
        if folder.name not in BOOKS:
            rows += held
        elif folder.name == "damage":
            damage += held
        elif folder.name == "source":
            files = [path.removeprefix("file://") for path in table.file_uris()]
            records += sum(pq.read_table(files, columns=["records"])["records"].to_pylist())
    return records, rows, damage


def in_folder(run):  # type: ignore[no-untyped-def]
    """Calls `run` with a new folder on the disk that holds the inputs, and removes it."""
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=ROOT / "bench-data"))
    try:
        return run(folder)
    finally:
        shutil.rmtree(folder)


def rival_cost(rival: Rival, path: Path) -> Cost:
    def run(folder: Path) -> Cost:
        fill = {"file": str(path), "out": str(folder)}
        return cost([part.format(**fill) for part in rival.command])

    return in_folder(run)  # type: ignore[no-any-return]


def our_round(ours: Ours) -> None:
    def large(folder: Path) -> Cost:
        spent = ingest(ours.built.path, folder / "lake")
        ours.records, ours.rows, ours.damage = counts(folder / "lake")
        return spent

    fixed = in_folder(lambda folder: ingest(ours.built.one, folder / "lake")).cpu
    spent = in_folder(large)
    ours.fixed.append(fixed)
    ours.cpu.append(spent.cpu - fixed)
    ours.anonymous = max(ours.anonymous, spent.anonymous)


@dataclass(slots=True)
class Line:
    """A row of the table."""

    what: str
    against: str
    mb_s: float
    records_s: float
    rows_s: float
    ratio: float
    wanted: float | None
    anonymous_mb: float
    mean_packet: float | None
    records_per_row: float


def compare(kind: str, megabytes: int, rounds: int) -> tuple[Ours, list[Line]]:
    ours = Ours(build(kind, megabytes))
    ours.built.path.read_bytes()  # into the page cache: nobody pays for the disk
    rivals = [r for r in RIVALS if r.kind == kind and shutil.which(r.command[0])]
    ratios: dict[str, list[float]] = {r.name: [] for r in rivals}
    small = {r.name: build(kind, r.small) for r in rivals if r.small}
    for number in range(rounds):
        our_round(ours)
        for rival in rivals:
            if rival.name in small and number:
                continue  # slow, and far from close
            given = small.get(rival.name, ours.built)
            theirs = rival_cost(rival, given.path).cpu - rival_cost(rival, given.one).cpu
            share = given.records / ours.built.records
            ratios[rival.name].append(theirs / (ours.cpu[-1] * share))
            print(
                f"{kind} round {number + 1}: ours {ours.cpu[-1]:.2f} s, {rival.name} "
                f"{theirs:.2f} s, ratio {ratios[rival.name][-1]:.2f}",
                file=sys.stderr,
            )
    cpu = median(ours.cpu)
    size = ours.built.path.stat().st_size
    if ours.records != ours.built.records:
        raise SystemExit(
            f"{ours.built.path}: {ours.built.records} records were built, the lake has "
            f"{ours.records} ({ours.damage} damaged): this is no fair measure"
        )
    lines = [
        Line(
            what=f"{kind}, {size / 1e6:.0f} MB of {ours.built.origin} samples",
            against=rival.name,
            mb_s=size / 1e6 / cpu,
            records_s=ours.records / cpu,
            rows_s=ours.rows / cpu,
            ratio=median(ratios[rival.name]),
            wanted=rival.wanted,
            anonymous_mb=ours.anonymous / 1e6,
            mean_packet=ours.built.mean_packet,
            records_per_row=ours.records / ours.rows,
        )
        for rival in rivals
    ]
    return ours, lines


HEADINGS = (
    "what", "against", "MB/s", "records/s", "rows/s", "ratio", "wanted", "anon MB",
    "B/packet", "records/row",
)  # fmt: skip


def cells(line: Line) -> tuple[str, ...]:
    return (
        line.what,
        line.against,
        f"{line.mb_s:.0f}",
        f"{line.records_s:,.0f}",
        f"{line.rows_s:,.0f}",
        f"{line.ratio:.2f}x",
        "" if line.wanted is None else f">= {line.wanted:g}x",
        f"{line.anonymous_mb:.0f}",
        "" if line.mean_packet is None else f"{line.mean_packet:.0f}",
        f"{line.records_per_row:.2f}",
    )


def table(ours: dict[str, Ours], lines: list[Line]) -> str:
    rows = [HEADINGS, *map(cells, lines)]
    for kind, each in ours.items():
        what = f"{kind}, one record: the fixed cost"
        fixed = f"{median(each.fixed):.2f} s"
        rows.append((what, "", "", "", "", fixed, f"<= {FIXED_WANTED_S:g} s", "", "", ""))
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
    text = [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    text.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(text)


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description="measure tracelake against other readers")
    parser.add_argument("--quick", action="store_true", help="64 MB and one round")
    parser.add_argument("--megabytes", type=int, help="size of the large inputs (320)")
    parser.add_argument("--rounds", type=int, help="rounds (3)")
    parser.add_argument("--only", default="pcap,evtx,jsonl", help="formats, comma-separated")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    given = parser.parse_args()
    megabytes = given.megabytes or (64 if given.quick else 320)
    rounds = given.rounds or (1 if given.quick else 3)
    ours: dict[str, Ours] = {}
    lines: list[Line] = []
    for kind in given.only.split(","):
        ours[kind], found = compare(kind, megabytes, rounds)
        lines += found
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"CPU seconds, fixed cost taken off; ratios: median of {rounds} rounds, ours alternating")
    print("with each rival; memory: anonymous, high water of all processes\n")
    print(table(ours, lines))
    if given.json:
        fixed = {kind: median(each.fixed) for kind, each in ours.items()}
        given.json.write_text(
            json.dumps({"lines": [asdict(line) for line in lines], "fixed_s": fixed}, indent=1)
        )


if __name__ == "__main__":
    main()
