"""How far an ingest is: what is done, running and left."""

import os
import time

from tracelake.analysis.views.intake import FILE
from tracelake.case import Case
from tracelake.output import print_table, shown

# An ingest writes at least so often, with very many sources less.
SILENT = 60.0
MOST = 20


def print_status(case: Case) -> None:
    """Prints the sums by state, what is being read, what comes next, and what failed."""
    rows = case.sql(
        "select state, coalesce(stage, ''), count(*), sum(size), sum(artifacts), sum(records), "
        "sum(damage) from intake group by all order by all"
    ).fetchall()
    if not rows:
        print("nothing is in, and nothing is being taken in")
        return
    lines = [
        (state, stage, f"{count:,}", f"{(size or 0) / 1e6:,.1f}", *(f"{n or 0:,}" for n in rest))
        for state, stage, count, size, *rest in rows
    ]
    names = ["state", "next", "sources", "MB", "artifacts", "records", "damage"]
    print_table(names, lines, right=range(2, 7))
    for state in ("reading", "failed"):
        found = case.sql(
            f"select uri, why, pid from intake where state = '{state}' order by uri limit {MOST}"
        ).fetchall()
        for uri, why, pid in found:
            gone = state == "reading" and not _runs(pid)
            note = f": {why}" if why else (": its ingest ended before it was done" if gone else "")
            print(shown(f"{'stopped' if gone else state}  {uri}{note}"))
    path = case.lake.root / FILE
    if path.is_file():
        age = time.time() - path.stat().st_mtime
        said = f"{age:,.0f} s ago" if age < SILENT else f"{age / 60:,.0f} min ago"
        print(f"last heard of an ingest {said}")


def _runs(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
