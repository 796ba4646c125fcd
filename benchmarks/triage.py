"""A triage collection against plaso: the CPU seconds of `ingest ZIP` and of log2timeline.

plaso is not among this project's requirements: `TRACELAKE_PLASO` is the path of its log2timeline,
installed in an environment of its own. It is given the same files in a folder, so that it need not
unpack them, and one process, which costs it least. It parses into its storage file, from which
psort still has to sort and write what can be read. Given the path of `psteal` both are measured,
as plaso runs them by itself.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.build_triage import Collection
from benchmarks.measure import Cost, cost

WANTED = 100.0
PLASO = "TRACELAKE_PLASO"


@dataclass(frozen=True, slots=True)
class Triage:
    """What a collection costs.

    Attributes:
        ours_s, theirs_s: CPU seconds less the fixed cost; theirs None where plaso is not there.
        ratio: of a round's, the median.
    """

    logs: int
    artifacts: int
    megabytes: float
    rows: int
    damage: int
    unread: int
    ours_s: float
    theirs_s: float | None
    ratio: float | None

    def said(self) -> str:
        """One line for the report."""
        what = (
            f"triage ZIP, {self.logs} logs and {self.artifacts} artifacts, {self.megabytes:.0f} MB "
            f"unpacked: {self.ours_s:.2f} s of CPU, {self.rows} rows, {self.damage} damaged, "
            f"{self.unread} files that no parser took"
        )
        if self.ratio is None:
            return f"{what}; plaso: not measured ({PLASO} is its log2timeline)"
        return (
            f"{what}; {Path(os.environ[PLASO]).name} {self.theirs_s:.1f} s: {self.ratio:.0f}x "
            f"(wanted >= {WANTED:g}x)"
        )


def plaso(program: str, path: Path, folder: Path) -> Cost:
    """What plaso takes for a file or folder."""
    usual = [
        program, "--storage_file", str(folder / "out.plaso"), "--unattended",
        "--status_view", "none", "-q", "--timezone", "UTC",
    ]  # fmt: skip
    if "psteal" in Path(program).name:
        written = ["-o", "dynamic", "-w", str(folder / "out.csv")]
        return cost([*usual, "--source", str(path), *written])
    return cost([*usual, "--logfile", str(folder / "log.gz"), "--single_process", str(path)])


def measure(
    built: Collection,
    rounds: int,
    ingest: Callable[[Path, Path], Cost],
    counts: Callable[[Path], tuple[int, int, int]],
    in_folder: Callable[[Callable[[Path], object]], object],
) -> Triage:
    """Both, in turn.

    Args:
        ingest: (path, lake). counts: lake -> (records, rows, damage). in_folder: of run.py.
    """
    program = os.environ.get(PLASO)
    if program is not None:
        subprocess.run([program, "--version"], check=True, capture_output=True)
    ours: list[float] = []
    theirs: list[float] = []
    found = (0, 0, 0)
    unread = 0

    def read(path: Path) -> float:
        def run(folder: Path) -> float:
            nonlocal found, unread
            spent = ingest(path, folder / "lake")
            found = counts(folder / "lake")
            unread = spent.output.count('"refused"')
            return spent.cpu

        return in_folder(run)  # type: ignore[return-value]

    def rival(path: Path) -> float:
        assert program is not None
        return in_folder(lambda folder: plaso(program, path, folder).cpu)  # type: ignore[return-value]

    for number in range(rounds):
        fixed = read(built.one)
        ours.append(read(built.archive) - fixed)
        if program is not None:
            theirs.append(rival(built.folder) - rival(built.one))
        print(
            f"triage round {number + 1}: ours {ours[-1]:.2f} s, "
            f"plaso {f'{theirs[-1]:.1f} s' if theirs else 'not measured'}",
            file=sys.stderr,
        )
    pairs = zip(theirs, ours, strict=False)
    return Triage(
        built.logs, built.artifacts, built.bytes / 1e6, found[1], found[2], unread,
        median(ours), median(theirs) if theirs else None,
        median(a / b for a, b in pairs) if theirs else None,
    )  # fmt: skip
