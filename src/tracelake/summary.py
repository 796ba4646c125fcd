"""What `tracelake ingest` says at its end, and what `--dry-run` says instead."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tracelake.ingest.dry_run import Planned, look
from tracelake.ingest.report import Report
from tracelake.output import print_table, shown

# Of a long list this many are shown; --json has them all.
SHOWN = 20


def print_report(report: Report) -> None:
    """The closing summary of an ingest."""
    if report.parsers:
        rows = []
        for name, sums in sorted(report.parsers.items()):
            speed = sums.bytes / 1e6 / sums.seconds if sums.seconds else 0.0
            rows.append(
                (
                    name,
                    f"{sums.artifacts:,}",
                    f"{sums.records:,}",
                    ", ".join(f"{table} {n:,}" for table, n in sorted(sums.rows.items())),
                    f"{sums.duplicates:,}",
                    f"{sums.damage:,}",
                    f"{speed:,.0f}",
                )
            )
        names = ["parser", "files", "records", "rows", "duplicates", "damage", "MB/s"]
        print_table(names, rows)
    _list("skipped", Counter(why for _, why in report.skipped), report.skipped)
    if report.left:
        print(f"nobody took {len(report.left):,} files:")
        lines = (
            f"{path}: " + "; ".join(f"{parser}: {why}" for parser, why in refused.items())
            for _, path, refused in report.left
        )
        _some(lines, len(report.left))
    if report.unopened:
        print(f"could not be opened, each with a row in `damage`: {len(report.unopened):,}")
        _some((f"{source}: {path}" for source, path in report.unopened), len(report.unopened))
    for path in report.open_accounts:
        print(f"the records of {shown(path)} do not add up: a bug in tracelake, please report it")
    took = f"{report.sources:,} sources in, {len(report.skipped):,} were in already"
    if report.failed:
        took += f", {len(report.failed):,} FAILED"
    first = f"; first rows after {report.first_row:.1f} s" if report.first_row else ""
    speed = report.bytes / 1e6 / report.seconds if report.seconds else 0.0
    print(
        f"{took}; {report.bytes / 1e6:,.1f} MB in {report.seconds:.1f} s "
        f"({speed:,.0f} MB/s){first}"
    )


def print_plan(paths: list[Path], as_json: bool) -> None:
    """What each file is and which parser would take it."""
    planned = list(look(paths))
    if as_json:
        for item in planned:
            print(json.dumps(item.as_dict()))
        return
    print_table(["file", "inside", "bytes", "parser", "why"], [_row(item) for item in planned])


def _row(item: Planned) -> tuple[object, ...]:
    why = "" if item.parser else "; ".join(f"{name}: {why}" for name, why in item.refused.items())
    return (item.source, item.path, item.size, item.parser or "-", why)


def _list(title: str, reasons: Counter[str], items: list[tuple[str, str]]) -> None:
    if not items:
        return
    same = sum(1 for why in reasons if why.startswith("the same bytes"))
    print(f"{title} {len(items):,} ({len(items) - same:,} in already, {same:,} twice in this run)")


def _some(lines: Iterable[str], total: int) -> None:
    for at, line in enumerate(lines):
        if at == SHOWN:
            print(f"  ... and {total - SHOWN:,} more (--json lists all)")
            return
        print(f"  {shown(line)}")
