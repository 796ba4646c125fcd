"""What `tracelake ingest` says at its end, and what `--dry-run` says instead."""

import json

from tracelake.ingest.dry_run import Planned
from tracelake.ingest.report import ParserReport, Report
from tracelake.output import print_table, shown

# Of a long list this many are shown; --json has them all.
SHOWN = 20
# More reasons than this say only that no parser knows the file.
TOLD = 3
UNKNOWN = "of no format that is read (each reason: `artifact.refused`):"
# How the reason begins with which one run skips a further copy of what it has read.
TWICE = "the same bytes"


def print_report(report: Report) -> None:
    """The closing summary of an ingest."""
    if report.parsers:
        # Two tables: one would be wider than a terminal.
        parsers = sorted(report.parsers.items())
        names = ["parser", "files", "records", "duplicates", "damage", "MB/s"]
        print_table(names, [_sums(name, sums) for name, sums in parsers], right=range(1, 6))
        tables = [
            (name if at == 0 else "", table, f"{count:,}")
            for name, sums in parsers
            for at, (table, count) in enumerate(sorted(sums.rows.items()))
        ]
        if tables:
            print_table(["parser", "table", "rows"], tables, right=[2])
    _skipped(report.skipped)
    if report.other_mapping:
        print(
            f"{report.other_mapping:,} of these were read with other mapping files than now: their "
            "rows stay as they are; another engagement reads them anew"
        )
    if report.pieces:
        print(f"pieces of images, read with their first files: {len(report.pieces):,}")
    if report.listed:
        print(f"listed with their hashes, and taken by nobody: {report.listed:,} files")
    for why, count in report.not_opened.items():
        print(f"not opened: {count:,} files: {shown(why)} (--all-files opens them)")
    if report.left:
        print(f"nobody took {len(report.left):,} files:")
        _refusals([(_place(source, path), refused) for source, path, refused in report.left])
    if report.unopened:
        print("not opened, or not read to the end, each with a row in `damage`: "
              f"{len(report.unopened):,}")
        places = [(_place(source, path), why) for source, path, why in report.unopened]
        _some([f"  {shown(f'{place}: {why}')}" for place, why in places])
    for path in report.open_accounts:
        print(f"the records of {shown(path)} do not add up: a bug in tracelake, please report it")
    again = sum(1 for _, why in report.skipped if why.startswith(TWICE))
    took = f"{report.sources:,} sources in, {len(report.skipped) - again:,} were in already"
    if again:
        took += f", {again:,} twice in this run"
    if report.failed:
        took += f", {len(report.failed):,} FAILED"
    speed = report.bytes / 1e6 / report.seconds if report.seconds else 0.0
    print(f"{took}; {report.bytes / 1e6:,.1f} MB in {report.seconds:.1f} s ({speed:,.0f} MB/s)")
    if report.first_row is not None:
        print(f"first rows after {report.first_row:.1f} s")


def _sums(name: str, sums: ParserReport) -> tuple[str, ...]:
    speed = sums.bytes / 1e6 / sums.seconds if sums.seconds else 0.0
    counts = (sums.artifacts, sums.records, sums.duplicates, sums.damage)
    return (name, *(f"{count:,}" for count in counts), f"{speed:,.0f}")


def print_plan(planned: list[Planned], as_json: bool) -> None:
    """What each file is and which parser would take it."""
    if as_json:
        for item in planned:
            print(json.dumps(item.as_dict()))
        return
    taken = [item for item in planned if item.parser is not None]
    if taken:
        names = ["parser", "bytes", "file", "inside"]
        print_table(names, [(p.parser, p.size, p.source, p.path) for p in taken])
    left = [item for item in planned if item.parser is None and item.trouble is None]
    if left:
        print(f"nobody would take {len(left):,} files:")
        _refusals(
            [(_place(p.source, p.path), p.refused) for p in left], len(left)
        )
    broken = [item for item in planned if item.trouble is not None]
    if broken:
        print(f"cannot be opened: {len(broken):,}")
        for p in broken:
            print(f"  {shown(f'{_place(p.source, p.path)}: {p.trouble}')}")


def _place(source: str, path: str) -> str:
    """A file and what is meant inside it; of a loose file its path is enough."""
    return f"{source}: {path}" if path and not source.endswith(path) else source


def _skipped(items: list[tuple[str, str]]) -> None:
    if not items:
        return
    same = sum(1 for _, why in items if why.startswith(TWICE))
    print(f"skipped {len(items):,} ({len(items) - same:,} in already, {same:,} twice in this run)")


def _refusals(files: list[tuple[str, dict[str, str]]], most: int = SHOWN) -> None:
    """Files that nobody took: each reason once, and below it the files."""
    by_reason: dict[tuple[str, ...], list[str]] = {}
    for path, refused in files:
        reasons = tuple(
            why if parser == "*" else f"{parser}: {why}" for parser, why in refused.items()
        )
        if len(reasons) > TOLD:
            reasons = (UNKNOWN,)
        by_reason.setdefault(reasons, []).append(path)
    for reasons, paths in by_reason.items():
        for reason in reasons:
            print(f"  {shown(reason)}")
        _some([f"    {shown(path)}" for path in paths], most)


def _some(lines: list[str], most: int = SHOWN) -> None:
    for line in lines[:most]:
        print(line)
    if len(lines) > most:
        print(f"    ... and {len(lines) - most:,} more (--json lists all)")
