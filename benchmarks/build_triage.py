"""A triage collection: a ZIP of so many event logs and so many other artifacts, in their places.

All are real samples. Where there are fewer than asked for, links and task definitions are there
again with a different number of bytes behind their ends, which says nothing to whoever reads them.
"""

import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from benchmarks.seeds import Seed, collect

SHARED_ARTIFACTS = (
    "triage/ez-prefetch", "triage/ez-lnk", "triage/museum", "triage/ez-jumplist",
    "triage/regipy", "triage/yarp-hives",
)  # fmt: skip
LINK, HIVE, TASK = b"L\0\0\0\x01\x14\x02\0", b"regf", b"\xff\xfe<\0"
PREFETCH = (b"MAM\x04", b"\x11\0\0\0SCCA", b"\x17\0\0\0SCCA", b"\x1a\0\0\0SCCA", b"\x1e\0\0\0SCCA")
OLE = b"\xd0\xcf\x11\xe0"
USER = "C/Users/ann"


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection as a ZIP, and the same files in a folder; one of them alone, too.

    Attributes:
        logs, artifacts: how many.
        bytes: of all files, unpacked.
    """

    archive: Path
    folder: Path
    one: Path
    logs: int
    artifacts: int
    bytes: int
    origin: str


def place(seed: Seed, number: int) -> str | None:
    """Where such a file stands on a host; None for one that is not of a kind we collect."""
    name = seed.name.rpartition("/")[2].removesuffix(".test").removesuffix(".xz")
    head = seed.data[:8]
    if head.startswith(LINK):
        return f"{USER}/AppData/Roaming/Microsoft/Windows/Recent/{number:03}-{name}"
    if head.startswith(TASK):
        return f"C/Windows/System32/Tasks/{number:03}-{name}"
    if head.startswith(PREFETCH):
        return f"C/Windows/Prefetch/{name}"
    if head.startswith(HIVE):
        return f"C/Windows/System32/config/{number:03}/{name}"
    if head.startswith(OLE):
        return f"{USER}/AppData/Roaming/Microsoft/Windows/Recent/AutomaticDestinations/{name}"
    return None


def artifacts(count: int) -> Iterator[tuple[str, bytes]]:
    """(place, bytes) of so many files."""
    origin, seeds = collect(SHARED_ARTIFACTS, ("",))
    if origin != "shared":
        raise SystemExit("a triage collection is made of the shared samples (TRACELAKE_DATA)")
    kinds: dict[str, dict[str, Seed]] = {}
    for seed in {s.data: s for s in seeds}.values():
        at = place(seed, 0)
        if at is not None:
            kinds.setdefault(at.rpartition("/")[0], {}).setdefault(at, seed)
    # Of each kind in turn, so that there is something of all.
    turns = zip_longest(*(kind.values() for kind in kinds.values()))
    kept = [seed for turn in turns for seed in turn if seed is not None][:count]
    again = [seed for seed in kept if seed.data.startswith((LINK, TASK))]
    for number in range(count):
        if number < len(kept):
            seed, more = kept[number], b""
        else:
            number_again = number - len(kept)
            seed = again[number_again % len(again)]
            blank = b"\n\0" if seed.data.startswith(TASK) else b"\0\0\0\0"
            more = blank * (1 + number_again // len(again))
        at = place(seed, number)
        assert at is not None
        yield at, seed.data + more


def build_triage(home: Path, logs: Path, one: Path, origin: str, count: int) -> Collection:
    """Puts logs that are there and `count` artifacts into a folder, and that into a ZIP.

    Args:
        home: where to build.
        logs: folder of event logs. one: a log with one record. origin: where they are from.
    """
    shutil.rmtree(home, ignore_errors=True)
    folder = home / "collected"
    names = sorted(logs.iterdir())
    for log in names:
        at = folder / "C/Windows/System32/winevt/Logs" / log.name
        at.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log, at)
    for where, data in artifacts(count):
        at = folder / where
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(data)
    archive = home / "triage.zip"
    total = 0
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            out.write(path, path.relative_to(folder))
            total += path.stat().st_size
    alone = home / "one"
    alone.mkdir()
    shutil.copyfile(one, alone / "one.evtx")
    return Collection(archive, folder, alone / "one.evtx", len(names), count, total, origin)
