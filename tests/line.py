"""Running the whole line in tests: the real command, real files, real kills."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tracelake.lake.lake import Lake
from tracelake.lake.rows import read
from tracelake.lake.schema import delta_schema
from tracelake.normalize import TABLES

EVIDENCE = Path(__file__).resolve().parent.parent / "examples" / "evidence"
# What differs between two runs by its nature: when it was, and where the lake and evidence lie.
OF_THE_RUN = {"ingested", "uri", "unit"}


def command(*arguments: str | Path) -> list[str]:
    """`tracelake ...` with this interpreter."""
    main = "from tracelake.cli import main; main()"
    return [sys.executable, "-c", main, *map(str, arguments)]


def tracelake(
    *arguments: str | Path, code: int = 0, **more: Any
) -> subprocess.CompletedProcess[str]:
    """Runs the command, checks its exit code, gives back what it printed."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, check=False, env=env, **more
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


def rows(lake: Path, engagement: str = "t") -> dict[str, Counter[str]]:
    """Every row of every table of complete units, as text, with how often it is there."""
    snapshot = Lake.open(str(lake), engagement).snapshot()
    found: dict[str, Counter[str]] = {}
    for table in snapshot.tables:
        counter = found.setdefault(table, Counter())
        for file in snapshot.files(table):
            for row in read(file, delta_schema(TABLES[table].schema)).to_pylist():
                counter[repr([v for k, v in row.items() if k not in OF_THE_RUN])] += 1
    return found
