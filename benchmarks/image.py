"""`image`: all files of an image read and hashed, beside the library that reads its file system.

Ours is the command `tracelake ingest IMAGE --all-files --no-full-hash`; theirs a loop over all
files with pyfsext, which also takes each one's SHA-256. CPU seconds, each less its fixed cost.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.measure import Cost, cost
from benchmarks.seeds import ROOT

HERE = Path(__file__).resolve().parent
FOLDER = ROOT / "bench-data"
SMALL_FILES = 2000
WANTED = 0.8


@dataclass(frozen=True, slots=True)
class Image:
    """What reading all files of an image costs."""

    megabytes: float
    ours_s: float
    ratio: float
    anonymous: int

    def said(self) -> str:
        """One line."""
        return (
            f"image, {self.megabytes:.0f} MB of files in ext4: {self.megabytes / self.ours_s:,.0f} "
            f"MB/s read and hashed, {self.ratio:.2f}x of the library's own loop (wanted >= "
            f"{WANTED}x), anonymous {self.anonymous / 1e6:.0f} MB"
        )


def build_image(megabytes: int, small: int = SMALL_FILES) -> tuple[Path, int]:
    """An ext4 file system with a few large files and many small ones; the bytes of the files."""
    path = FOLDER / f"image-{megabytes}.raw"
    tree = Path(tempfile.mkdtemp(prefix="tree-", dir=FOLDER))
    chance = random.Random(5)
    size = 0
    try:
        for number in range(max(1, megabytes // 64)):
            data = chance.randbytes(min(megabytes, 64) * 1_000_000)
            (tree / f"large{number}").write_bytes(data)
            size += len(data)
        for number in range(small):
            folder = tree / f"folder{number % 20}"
            folder.mkdir(exist_ok=True)
            data = chance.randbytes(chance.randrange(20_000))
            (folder / f"small{number}").write_bytes(data)
            size += len(data)
        if not path.exists():
            with path.open("wb") as file:
                file.truncate(size + size // 8 + (64 << 20))
            tool = shutil.which("mke2fs", path=f"{os.environ['PATH']}:/sbin:/usr/sbin")
            if tool is None:
                raise SystemExit("mke2fs (e2fsprogs) is needed to build an image")
            subprocess.run([tool, "-q", "-F", "-t", "ext4", "-d", str(tree), str(path)], check=True)
    finally:
        shutil.rmtree(tree)
    return path, size


def image_files(megabytes: int, rounds: int) -> Image:
    """Measures ours and theirs in turn."""
    FOLDER.mkdir(exist_ok=True)
    path, size = build_image(megabytes)
    one, _ = build_image(1, 1)
    path.read_bytes()
    ours: list[float] = []
    ratios: list[float] = []
    anonymous = 0
    for number in range(rounds):
        spent = ingest(path)
        anonymous = max(anonymous, spent.anonymous)
        ours.append(spent.cpu - ingest(one).cpu)
        theirs = rival(path) - rival(one)
        ratios.append(theirs / ours[-1])
        print(
            f"image round {number + 1}: ours {ours[-1]:.2f} s, pyfsext and SHA-256 {theirs:.2f} s, "
            f"ratio {ratios[-1]:.2f}",
            file=sys.stderr,
        )
    return Image(size / 1e6, median(ours), median(ratios), anonymous)


def ingest(path: Path) -> Cost:
    """The whole command."""
    lake = tempfile.mkdtemp(prefix="run-", dir=FOLDER)
    try:
        return cost(
            [
                sys.executable, "-c", "from tracelake.cli import main; main()", "ingest", str(path),
                "--engagement", "bench", "--json", "--workers", "1", "--all-files",
                "--no-full-hash", "--lake", lake,
            ],
            {**os.environ, "PYTHONPATH": str(ROOT / "src")},
        )
    finally:
        shutil.rmtree(lake)


def rival(path: Path) -> float:
    """CPU seconds of the library's own loop."""
    return cost([sys.executable, str(HERE / "rival_image.py"), str(path)]).cpu
