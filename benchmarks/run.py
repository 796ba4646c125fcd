"""`make bench`: one table, each row a ratio measured in the same run.

What is measured is CPU seconds (user and system, all processes) of the whole command
`tracelake ingest FILE --engagement bench --lake TMP --workers 1`: SHA-256, parsing, Parquet and
commit included. The CPU seconds of the same command on a one-record file are taken off: they are
the fixed cost, a row of its own. `workers` compares wall time instead: one large log with one
worker and with two. `many` is a folder of small logs beside one log of the same records.
`triage` is a ZIP of logs and other artifacts beside plaso, where it is there, in one round.
`trees` asks a lake of ten million processes for those of one, in wall time.
Rivals are measured in the same way, less their own fixed cost. Ours and theirs alternate;
the ratio is the median over the rounds.

    python -m benchmarks.run [--quick] [--only pcap,evtx,...,image] [--json FILE]
"""

import argparse
import importlib.util
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

from benchmarks.build import FOLDER, Built, build, build_folder
from benchmarks.build_triage import build_triage
from benchmarks.image import Image, image_files
from benchmarks.measure import Cost, cost
from benchmarks.process_trees import Trees, process_trees
from benchmarks.seeds import ROOT
from benchmarks.triage import Triage
from benchmarks.triage import measure as measure_triage

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
        needs: a Python module that it is.
    """

    name: str
    kind: str
    command: tuple[str, ...]
    wanted: float | None = None
    small: int | None = None
    needs: str | None = None

    @property
    def is_here(self) -> bool:
        found = self.needs is None or importlib.util.find_spec(self.needs) is not None
        return found and shutil.which(self.command[0]) is not None


PYTHON = sys.executable
# What the console script does, whether or not it is installed.
TRACELAKE = (PYTHON, "-c", "from tracelake.cli import main; main()")
ENGAGEMENT = ("--engagement", "bench", "--json")
RIVALS = (
    Rival("dpkt, flows only", "pcap", (PYTHON, str(HERE / "rival_dpkt.py"), "{file}"), 4.0),
    Rival("dpkt, flows only", "packets", (PYTHON, str(HERE / "rival_dpkt.py"), "{file}"), 5.0),
    Rival("dpkt, flows only", "flows", (PYTHON, str(HERE / "rival_dpkt.py"), "{file}"), 12.0),
    Rival("nfpcapd, flows only", "pcap", ("nfpcapd", "-r", "{file}", "-l", "{out}")),
    Rival("tshark, conversations", "pcap", ("tshark", "-n", "-q", "-r", "{file}", "-z", "conv,ip")),
    Rival("zeek", "pcap", ("zeek", "-C", "-r", "{file}", "Log::default_logdir={out}")),
    Rival(
        "Rust evtx, 9 flat columns",
        "evtx",
        (PYTHON, str(HERE / "rival_evtx_rust.py"), "{file}", "{out}/rows.parquet"),
        4.0,
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
    Rival(
        "mft-rs, CSV of 22 fields",
        "mft",
        (PYTHON, str(HERE / "rival_mft_rust.py"), "{file}", "{out}/entries.csv"),
        1.5,
        needs="mft",
    ),
)
# Records a second that are asked for, where no other reader is there to be measured.
GOALS = {"mft": 500_000, "usn": 1_000_000}
# How `tracelake ingest` is asked, and what the row is called.
MORE = {"flows": ("--flows-only",)}
CALLED = {
    "pcap": "pcap, full depth",
    "packets": "pcap, large packets, full depth",
    "flows": "pcap, --flows-only",
}
# Megabytes of the large input, where it is not the usual.
LARGE = {"mft": 560}


@dataclass(slots=True)
class Ours:
    """What `tracelake ingest` did with a large input, once a round."""

    built: Built
    more: tuple[str, ...] = ()
    cpu: list[float] = field(default_factory=list)  # less the fixed cost
    fixed: list[float] = field(default_factory=list)
    anonymous: int = 0
    records: int = 0
    rows: int = 0
    damage: int = 0


def ingest(path: Path, lake: Path, workers: int = 1, more: tuple[str, ...] = ()) -> Cost:
    given = (*ENGAGEMENT, "--workers", str(workers), "--lake", str(lake), *more)
    return cost(
        [*TRACELAKE, "ingest", str(path), *given],
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
        spent = ingest(ours.built.path, folder / "lake", more=ours.more)
        ours.records, ours.rows, ours.damage = counts(folder / "lake")
        return spent

    fixed = in_folder(lambda folder: ingest(ours.built.one, folder / "lake", more=ours.more)).cpu
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
    ours = Ours(build(kind, megabytes), MORE.get(kind, ()))
    ours.built.path.read_bytes()  # into the page cache: nobody pays for the disk
    rivals = [r for r in RIVALS if r.kind == kind and r.is_here]
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
    measured = [(rival.name, median(ratios[rival.name]), rival.wanted) for rival in rivals]
    if kind in GOALS:
        goal = GOALS[kind]
        measured.append((f"{goal:,} records/s", ours.records / cpu / goal, 1.0))
    lines = [
        Line(
            what=f"{CALLED.get(kind, kind)}, {size / 1e6:.0f} MB of {ours.built.origin} samples",
            against=against,
            mb_s=size / 1e6 / cpu,
            records_s=ours.records / cpu,
            rows_s=ours.rows / cpu,
            ratio=ratio,
            wanted=wanted,
            anonymous_mb=ours.anonymous / 1e6,
            mean_packet=ours.built.mean_packet,
            records_per_row=ours.records / ours.rows,
        )
        for against, ratio, wanted in measured
    ]
    return ours, lines


def side_by_side(kind: str, megabytes: int, rounds: int) -> list[Line]:
    """One large log or capture with one worker and with two, in wall time: the whole command, and
    less the fixed cost. Says something only where two cores are idle."""
    built = build(kind, megabytes)
    built.path.read_bytes()
    size = built.path.stat().st_size
    walls: dict[int, list[float]] = {1: [], 2: []}
    fixed: list[float] = []
    anonymous = 0

    def wall(path: Path, workers: int) -> float:
        nonlocal anonymous
        spent = in_folder(lambda folder: ingest(path, folder / "lake", workers))
        anonymous = max(anonymous, spent.anonymous)
        return spent.wall

    for number in range(rounds):
        fixed.append(wall(built.one, 1))
        for workers, times in walls.items():
            times.append(wall(built.path, workers))
        print(
            f"workers round {number + 1}: one {walls[1][-1]:.2f} s, two {walls[2][-1]:.2f} s, "
            f"fixed {fixed[-1]:.2f} s; load {os.getloadavg()[0]:.1f}",
            file=sys.stderr,
        )

    def line(what: str, least: list[float]) -> Line:
        ratios = [(a - f) / (b - f) for a, b, f in zip(walls[1], walls[2], least, strict=True)]
        two = median(b - f for b, f in zip(walls[2], least, strict=True))
        return Line(
            what=f"{kind}, {size / 1e6:.0f} MB, 2 workers, wall",
            against=what,
            mb_s=size / 1e6 / two,
            records_s=built.records / two,
            rows_s=built.records / two,
            ratio=median(ratios),
            wanted=1.7,
            anonymous_mb=anonymous / 1e6,
            mean_packet=None,
            records_per_row=1.0,
        )

    return [line("1 worker", fixed), line("1 worker, whole command", [0.0] * rounds)]


@dataclass(slots=True)
class Many:
    """What a folder of small logs costs, beside one log of the same records."""

    files: int
    files_s: float
    share: float

    def said(self) -> str:
        return (
            f"{self.files} small logs: {self.files_s:,.0f} files/s of CPU time, one worker; "
            f"{self.share:.0%} of it is the cost of being many files (wanted < 50%)"
        )


def many_files(files: int, rounds: int) -> Many:
    """The CPU seconds of a folder of small logs, and of the same records in one log."""
    built = build_folder(files)
    spent: list[float] = []
    shares: list[float] = []

    def cpu(path: Path) -> float:
        return in_folder(lambda folder: ingest(path, folder / "lake").cpu)

    for number in range(rounds):
        fixed = cpu(built.one)
        together = cpu(built.joined) - fixed
        spent.append(cpu(built.folder) - fixed)
        shares.append(1 - together / spent[-1])
        print(
            f"many round {number + 1}: {files} logs {spent[-1]:.2f} s, the same as one log "
            f"{together:.2f} s",
            file=sys.stderr,
        )
    return Many(files, files / median(spent), median(shares))


def collection(rounds: int) -> Triage:
    """A triage collection, against plaso where it is there."""
    logs = build_folder(300)
    built = build_triage(FOLDER / "triage", logs.folder, logs.one, logs.origin, 200)
    built.archive.read_bytes()
    return measure_triage(built, rounds, ingest, counts, in_folder)


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
    everything = "pcap,packets,flows,evtx,jsonl,mft,usn,workers,many,image,triage,trees"
    parser.add_argument("--only", default=everything, help="what, comma-separated")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    given = parser.parse_args()
    megabytes = given.megabytes or (64 if given.quick else 320)
    rounds = given.rounds or (1 if given.quick else 3)
    ours: dict[str, Ours] = {}
    lines: list[Line] = []
    many: Many | None = None
    triage: Triage | None = None
    image: Image | None = None
    trees: Trees | None = None
    for kind in given.only.split(","):
        if kind == "workers":
            for each in ("evtx", "pcap"):
                lines += side_by_side(each, 200 if given.quick else 1000, rounds)
        elif kind == "image":
            image = image_files(256 if given.quick else 1024, rounds)
        elif kind == "trees":
            trees = process_trees(1_000_000 if given.quick else 10_000_000, rounds)
        elif kind == "many":
            many = many_files(100 if given.quick else 400, rounds)
        elif kind == "triage":
            triage = collection(1)
        else:
            usual = megabytes if given.megabytes or given.quick else LARGE.get(kind, megabytes)
            ours[kind], found = compare(kind, usual, rounds)
            lines += found
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"CPU seconds, fixed cost taken off; ratios: median of {rounds} rounds, ours alternating")
    print("with each rival; memory: anonymous, high water of all processes\n")
    print(table(ours, lines))
    if many is not None:
        print(many.said())
    if triage is not None:
        print(triage.said())
    if image is not None:
        print(image.said())
    if trees is not None:
        print(trees.said())
    if given.json:
        fixed = {kind: median(each.fixed) for kind, each in ours.items()}
        given.json.write_text(
            json.dumps(
                {
                    "lines": [asdict(line) for line in lines],
                    "fixed_s": fixed,
                    "many": asdict(many) if many is not None else None,
                    "triage": asdict(triage) if triage is not None else None,
                    "trees": asdict(trees) if trees is not None else None,
                },
                indent=1,
            )
        )


if __name__ == "__main__":
    main()
