"""Zeek's logs beside our tables, for every capture that Zeek was run on.

    python -m tests.zeek_compare [--log http,ssl] [--show] [part of a capture's path]

prints per log the share of lines found and of fields that are equal, pooled over the captures on
which Zeek did not give up; with --show also every difference. What is compared is in
tests/zeek_fields/, one file per log.
"""

import argparse
import io
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.zeek import SHARED, captures
from tests.zeek_fields import LOGS
from tests.zeek_fields.log import Key, Log, Row
from tracelake.native.account import Account
from tracelake.native.feed import Feed
from tracelake.parsers.artifact import Artifact
from tracelake.parsers.pcap import read


def tables(data: bytes) -> dict[str, list[Row]]:
    """Our rows of a capture by table; times are seconds since 1970."""
    damage: list[Any] = []
    account = Account(lambda batch: damage.extend(batch.to_pylist()))
    rows: dict[str, list[Row]] = defaultdict(list)
    for table, batch in read(Artifact("capture", Feed(io.BytesIO(data)), account)):
        stamps = [f.name for f in batch.schema if str(f.type).startswith("timestamp")]
        columns = {
            name: [
                None if v is None else v / 1e6
                for v in batch.column(name).cast("int64").to_pylist()
            ]
            for name in stamps
        }
        for i, row in enumerate(batch.drop_columns(stamps).to_pylist()):
            rows[table].append(row | {name: columns[name][i] for name in stamps})
    return rows


# Of lines and rows with the same key, how far the number of a row may be from its line's.
NEAR = 50


@dataclass(slots=True)
class Tally:
    """What became of one log's lines over all captures."""

    lines: int = 0
    found: int = 0
    extra: int = 0
    compared: Counter[str] = field(default_factory=Counter)     # by field
    equal: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)      # intended differences
    shown: list[str] = field(default_factory=list)

    @property
    def share_found(self) -> float:
        return self.found / self.lines if self.lines else 1.0

    @property
    def share_equal(self) -> float:
        return self.equal.total() / self.compared.total() if self.compared else 1.0


def differences(log: Log, theirs: Row, own: Row) -> dict[str, tuple[Any, Any]]:
    """Fields that are not equal: Zeek's value and ours."""
    found = {}
    for name, column in log.fields.items():
        there = theirs.get(name)
        here = own.get(column) if isinstance(column, str) else column(own)
        if there is None and name in log.loose:
            continue
        if isinstance(there, float) and isinstance(here, int | float):
            if abs(there - here) <= log.tolerance:
                continue
        elif there == here or (there == [] and here is None):
            continue
        found[name] = (there, here)
    return found


def pairs(log: Log, theirs: list[Row], own: list[Row]) -> list[tuple[Row | None, Row | None]]:
    """Lines and rows of one key, paired; of many, those that are near each other in time."""
    result: list[tuple[Row | None, Row | None]] = []
    theirs = sorted(theirs, key=lambda row: row.get("ts", 0))
    left = sorted(own, key=lambda row: (row.get("time") or 0, row["src_offset"], row["sub"]))
    near = NEAR + abs(len(theirs) - len(left))
    costs = sorted(
        (
            (len(differences(log, a, b)), abs(a.get("ts", 0) - (b.get("time") or 0)), i, j)
            for i, a in enumerate(theirs)
            for j, b in enumerate(left[max(0, i - near) : i + near], max(0, i - near))
        ),
    )
    taken_a: set[int] = set()
    taken_b: set[int] = set()
    for _, _, i, j in costs:
        if i not in taken_a and j not in taken_b:
            taken_a.add(i)
            taken_b.add(j)
            result.append((theirs[i], left[j]))
    result += [(a, None) for i, a in enumerate(theirs) if i not in taken_a]
    result += [(None, b) for j, b in enumerate(left) if j not in taken_b]
    return result


def compare(log: Log, capture: str, lines: list[Row], rows: list[Row], tally: Tally) -> None:
    """Adds one capture's differences to the tally."""
    theirs: dict[Key, list[Row]] = defaultdict(list)
    own: dict[Key, list[Row]] = defaultdict(list)
    for line in lines:
        if log.theirs(line):
            theirs[log.zeek_key(line)].append(line)
    for row in rows:
        if log.where(row):
            own[log.own_key(row)].append(row)
    for key in sorted(set(theirs) | set(own), key=str):
        for a, b in pairs(log, theirs[key], own[key]):
            if a is None or b is None:
                reason = log.intended("", a, b)
                if reason:
                    tally.reasons[reason] += 1
                    continue
                tally.lines += a is not None
                tally.extra += a is None
                tally.shown.append(
                    f"{capture} {'extra' if a is None else 'missing'} {key} "
                    f"{ {k: v for k, v in (a or b or {}).items() if v is not None} }"
                )
                continue
            tally.lines += 1
            tally.found += 1
            wrong = differences(log, a, b)
            for name in log.fields:
                if name in wrong:
                    reason = log.intended(name, a, b)
                    if reason:
                        tally.reasons[f"{name}: {reason}"] += 1
                        continue
                    tally.shown.append(f"{capture} {key} {name}: {wrong[name]}")
                elif a.get(name) is None:
                    continue
                else:
                    tally.equal[name] += 1
                tally.compared[name] += 1


def run(shared: Path, names: set[str], only: str = "") -> dict[str, Tally]:
    """All captures (whose path holds `only`) on which Zeek did not give up."""
    tallies = {log.name: Tally() for log in LOGS if not names or log.name in names}
    for capture, status in captures(shared):
        if only not in capture or status != "0":
            continue
        logs = shared / "oracles/zeek-logs" / capture
        rows = tables((shared / capture).read_bytes())
        for log in LOGS:
            if log.name in tallies:
                path = logs / f"{log.name}.log"
                lines = (
                    [json.loads(line) for line in path.read_text("utf-8").splitlines()]
                    if path.is_file()
                    else []
                )
                compare(log, capture, lines, rows.get(log.table, []), tallies[log.name])
    return tallies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", default="")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("capture", nargs="?", default="")
    arguments = parser.parse_args()
    names = set(filter(None, arguments.log.split(",")))
    for name, tally in run(SHARED, names, arguments.capture).items():
        print(
            f"{name}: {tally.found} of {tally.lines} lines found ({tally.share_found:.1%}), "
            f"{tally.extra} extra; {tally.equal.total()} of {tally.compared.total()} fields equal "
            f"({tally.share_equal:.1%})"
        )
        for each, n in sorted(tally.compared.items()):
            if tally.equal[each] != n:
                print(f"    {each}: {tally.equal[each]} of {n}")
        for reason, n in tally.reasons.most_common():
            print(f"    intended: {n} {reason}")
        if arguments.show:
            print(*(f"  {line}" for line in tally.shown), sep="\n")


if __name__ == "__main__":
    main()
