"""The command line: `tracelake --help`.

Exit codes: 0 done (damage is reported, it is no error), 1 something could not be ingested or
answered, 2 wrong usage. Errors are one line on standard error.

Each command imports what it needs: `--help`, and what is wrong, should not take longer than that.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import traceback
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tracelake.arguments import UsageError, read

if TYPE_CHECKING:
    from tracelake.case import Case
    from tracelake.ingest.events import Key
    from tracelake.lake.lake import Lake

# A key file is read up to this size.
MAX_KEY = 1 << 20

# Whose errors are about the lake's files, not about this program.
FOREIGN = {"_duckdb", "duckdb", "pyarrow.lib", "_internal", "deltalake.exceptions"}

# New objects after which Python looks for garbage. What is imported is none and stays, some ten
# thousand objects: to look through them again and again took a tenth of a short run, and to do so
# once, with what mappings say, 38 ms, 4 % of a log of 320 MB (hence `gc.freeze` before reading).
COLLECT_AFTER = 200_000

# Where Arrow takes its memory, said before it is imported: its writers ask the library's own
# default, which `pyarrow.set_memory_pool` does not change. That one, mimalloc, asks for huge pages,
# and the kernel clears them: a tenth of the CPU time of a 320 MB log.
ARROW_POOL = ("ARROW_DEFAULT_MEMORY_POOL", "system")


class StopError(Exception):
    """The program ends with this exit code; what is to be said has been said."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def ingest(
    paths: list[str],
    engagement: str,
    lake: str | None,
    workers: int | None,
    dry_run: bool,
    carve: bool,
    reparse: bool,
    all_files: bool,
    flows_only: bool,
    key: list[str] | None,
    shadow_copies: bool,
    full_hash: bool,
    mappings: list[Path] | None,
    as_json: bool,
) -> int:
    """Take evidence in: files and folders, archives of them, images of disks."""
    from tracelake.case import lake_uri
    from tracelake.ingest.dry_run import look
    from tracelake.ingest.events import How
    from tracelake.ingest.reach import root_of
    from tracelake.ingest.run import Ingest, plan
    from tracelake.lake.lake import own_folders
    from tracelake.progress import Progress
    from tracelake.summary import print_plan, print_report

    try:
        roots = [root_of(path) for path in paths]
    except ValueError as error:
        fail(2, str(error))
    missing = [root for root in roots if isinstance(root, Path) and not os.path.lexists(root)]
    if missing:
        fail(2, f"{missing[0]}: no such file or folder")
    use_mappings(mappings)
    how = How(
        all_files, keys_of(key), shadow_copies, full_hash, indexes=carve, flows_only=flows_only,
        reparse=reparse,
    )
    if dry_run:
        checked(engagement, lake)
        looked = list(look(roots, own_folders(lake_uri(lake)), how))
        print_plan(looked, as_json)
        return 1 if any(item.unreachable for item in looked) else 0
    opened = open_lake(engagement, lake, create=True)
    planned = plan(roots, own_folders(opened.uri), how)
    gc.freeze()
    with Progress(sum(task.size for task in planned.tasks), quiet=as_json) as progress:
        report = Ingest(opened, progress.watch, carve).run(planned, workers or os.cpu_count() or 1)
    if as_json:
        print(json.dumps(report.as_dict()))
    else:
        print_report(report)
    for path, why in report.failed:
        say(f"{path}: {why}")
    if report.interrupted:
        say("stopped; what was committed stays, and the same command goes on from here")
    return report.exit_code


def map_(sample: Path, output: Path | None, provider: str | None, records: int) -> int:
    """Propose a mapping file for a log, to be finished by hand and used with --mapping."""
    from tracelake.proposal import NotMapped, propose

    try:
        text = propose(sample, provider or "", records)
    except NotMapped as error:
        fail(1, f"{sample}: {error}")
    if output is None:
        print(text, end="")
    else:
        output.write_text(text, encoding="utf-8")
    return 0


def query(
    sql: str,
    engagement: str,
    lake: str | None,
    since: str | None,
    until: str | None,
    as_of: str | None,
    form: str | None,
    output: Path | None,
) -> int:
    """Ask the tables of one engagement (DuckDB SQL; `tracelake tables` lists them)."""
    if form is None:
        form = form_of(output)
    writable(form, output)
    return answer(case_of(engagement, lake, since, until, as_of), sql, form, output)


def tables(engagement: str, lake: str | None, as_of: str | None) -> int:
    """List the tables that have rows, and the views over them."""
    from tracelake.normalize import TABLES
    from tracelake.output import print_table

    case = case_of(engagement, lake, as_of=as_of)
    counts = " union all ".join(f"select '{name}', count(*) from {name}" for name in TABLES)
    rows = [(name, n) for name, n in case.sql(counts).fetchall() if n]
    print_table(["table", "rows"], sorted(rows))
    views = case.sql(
        "select table_schema, string_agg(table_name, ', ' order by table_name) "
        "from information_schema.tables where table_schema in ('ocsf', 'ecs', 'zeek', 'sigma') "
        "group by all order by all"
    ).fetchall()
    print("process_tree(), process_ancestors(), process_descendants() of one process")
    print("views: timeline, timeline_once, host, host_address, host_evidence, artifact_host,")
    print("witness, intake, flow, usn, script_full, artifact_path,")
    print("and the rows under others' names:")
    for schema, names in views:
        print(f"  {schema}.* {names}")
    return 0


def sources(engagement: str, lake: str | None, form: str) -> int:
    """List the evidence that is in, and what became of it."""
    writable(form, None)
    return answer(
        case_of(engagement, lake),
        "select source_id, uri, size, records, duplicates, damage, rows, ingested from source "
        "order by uri",
        form,
    )


def damage(engagement: str, lake: str | None, form: str) -> int:
    """List every record that could not be read, with its place and the reason."""
    writable(form, None)
    return answer(
        case_of(engagement, lake),
        "select d.row_id, a.path, d.src_offset, d.src_length, d.parser, d.what, d.why "
        "from damage as d left join artifact_path as a using (source_id, artifact_no) "
        "order by a.path, d.src_offset",
        form,
    )


def status(engagement: str, lake: str | None) -> int:
    """Say how far an ingest is: what is done, running and left."""
    from tracelake.status import print_status

    print_status(case_of(engagement, lake))
    return 0


def show(row_id: str, engagement: str, lake: str | None, key: list[str] | None) -> int:
    """Show a row, where it came from, and the bytes at that place."""
    from tracelake.ingest.events import How
    from tracelake.show import NoSuchRow, show_row

    try:
        show_row(case_of(engagement, lake), row_id, How(keys=keys_of(key)))
    except NoSuchRow as error:
        fail(1, f"{row_id}: {error}")
    return 0


def verify(engagement: str, lake: str | None) -> int:
    """Check hashes, statistics and accounts of everything that is in."""
    from tracelake.ingest.verify import verify as check_all
    from tracelake.output import shown

    findings = 0
    checked = 0
    for finding in check_all(open_lake(engagement, lake)):
        checked += finding.checks
        findings += len(finding.wrong)
        for line in (*finding.wrong, *finding.notes):
            print(shown(f"{finding.subject}: {line}"))
    print(f"{checked:,} checks, {findings:,} findings")
    return 1 if findings else 0


def compact(
    engagement: str, lake: str | None, every: float | None, retain: float, as_json: bool
) -> int:
    """Merge small files and sort them by time, while others read and write."""
    from tracelake.upkeep import compact as keep_compact

    return keep_compact(open_lake(engagement, lake), every, retain, as_json)


def sweep(engagement: str, lake: str | None, grace: float, dry_run: bool, as_json: bool) -> int:
    """Remove files that killed runs left and no table knows."""
    from tracelake.upkeep import sweep as remove

    return remove(open_lake(engagement, lake), grace, dry_run, as_json)


def doctor(lake: str | None) -> int:
    """Check this installation: versions, extensions, permissions, disk."""
    from tracelake.case import lake_uri
    from tracelake.doctor import examine
    from tracelake.lake.lake import lake_place
    from tracelake.output import shown

    try:
        place = lake_place(lake_uri(lake))
    except ValueError as error:
        fail(2, str(error))
    ok = True
    for check_name, good, detail in examine(place):
        ok = ok and good
        print(shown(f"{'ok  ' if good else 'FAIL'}  {check_name}: {detail}"))
    return 0 if ok else 1


COMMANDS: dict[str, Callable[..., int]] = {
    command.__name__.rstrip("_"): command
    for command in (
        ingest, map_, status, query, tables, sources, damage, show, verify, compact, sweep, doctor,
    )
}


def case_of(
    engagement: str,
    lake: str | None,
    since: str | None = None,
    until: str | None = None,
    as_of: str | None = None,
) -> Case:
    """The engagement that the options name; ends the program where there is none."""
    from tracelake.case import Case, as_moment, as_time

    for name, value in (("--since", since), ("--until", until)):
        try:
            as_time(value)
        except ValueError:
            fail(2, f"{name} {value}: it is a date or time such as 2020-09-14T12:30")
    try:
        as_moment(as_of)
    except ValueError:
        fail(2, f"--as-of {as_of}: it is a version such as 17, or a time such as 2020-09-14T12:30")
    return Case(open_lake(engagement, lake), since, until, as_of)


def answer(case: Case, sql: str, form: str, output: Path | None = None) -> int:
    """Prints or writes the result of a query."""
    import duckdb

    from tracelake.output import write_result

    try:
        result = case.sql(sql)
    except (duckdb.Error, ValueError) as error:
        fail(1, str(error))
    write_result(result.fetch_arrow_reader(), form, output)
    return 0


def use_mappings(given: list[Path] | None) -> None:
    """Lets mapping files of the user's hold in this process; ends it where one is wrong."""
    from tracelake.normalize import extra
    from tracelake.normalize.mapping_file import MappingError

    try:
        extra.use(extra.read(given or ()))
    except MappingError as error:
        fail(2, str(error))


def keys_of(given: list[str] | None) -> tuple[Key, ...]:
    """The keys that options name: what stands in a file of that name, else the text itself."""
    from tracelake.ingest.events import Key

    keys = []
    for key in given or ():
        try:
            with open(key, "rb") as file:
                keys.append(Key(file.read(MAX_KEY), key))
        except OSError:
            keys.append(Key(os.fsencode(key)))
    return tuple(keys)


def form_of(output: Path | None) -> str:
    """The form that a file's name asks for."""
    from tracelake.output import SUFFIXES

    return SUFFIXES.get(output.suffix.lower(), "csv") if output is not None else "table"


def writable(form: str, output: Path | None) -> None:
    """Ends the program where a result cannot be written in this form."""
    from tracelake.output import FORMATS

    if form not in FORMATS:
        fail(2, f"--format {form}: it is one of {', '.join(FORMATS)}")
    if form == "parquet" and output is None:
        fail(2, "--format parquet needs -o FILE")


def open_lake(engagement: str, lake: str | None, create: bool = False) -> Lake:
    """The engagement's lake; ends the program where its id or the lake's URI is none."""
    from tracelake.case import lake_uri
    from tracelake.lake.lake import Lake

    checked(engagement, lake)
    return Lake.open(lake_uri(lake), engagement, create=create)


def checked(engagement: str, lake: str | None) -> None:
    """Ends the program where the engagement's id or the lake's URI is none."""
    from tracelake.case import lake_uri
    from tracelake.lake.lake import check_engagement, lake_place

    try:
        check_engagement(engagement)
        lake_place(lake_uri(lake))
    except ValueError as error:
        fail(2, str(error))


def fail(code: int, why: str) -> NoReturn:
    """One line on standard error, and the exit code."""
    say(why)
    raise StopError(code)


def say(why: str) -> None:
    """One line on standard error, whatever the names of files and the evidence hold."""
    from tracelake.output import shown

    print(f"tracelake: {shown(' '.join(why.split()))}", file=sys.stderr)


def main() -> None:
    """The entry point: what is wrong is one line, without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that has not all letters is no reason to stop.
            stream.reconfigure(errors="backslashreplace")
    gc.set_threshold(COLLECT_AFTER)
    os.environ.setdefault(*ARROW_POOL)
    try:
        code = _run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # `tracelake query ... | head`: the reader has what it wanted.
        code = 0
        # What was not written must not be tried once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except KeyboardInterrupt:
        say("stopped")
        code = 1
    except Exception as error:  # noqa: BLE001 - each is said in one line, whatever it is
        code = _end(error)
    # What is alive now goes with the process: no need to look for garbage among it.
    gc.freeze()
    sys.exit(code)


def _run(words: list[str]) -> int:
    try:
        command, given = read(words, COMMANDS)
    except SystemExit as asked:  # argparse, when it has printed the help
        return int(asked.code or 0)
    return command(**given)


def _end(error: Exception) -> int:
    """Says what ended the program; the exit code."""
    from tracelake.lake.errors import LakeError

    if isinstance(error, StopError):
        return error.code
    if isinstance(error, UsageError):
        say(str(error))
        return 2
    if isinstance(error, OSError) and error.filename is not None:
        say(f"{os.fsdecode(error.filename)}: {error.strerror}")
    elif isinstance(error, (LakeError, OSError)) or type(error).__module__ in FOREIGN:
        say(str(error))
    else:
        where = traceback.extract_tb(error.__traceback__)[-1]
        say(
            f"a bug in tracelake, please report it: {type(error).__name__}: {error} "
            f"({Path(where.filename).name}:{where.lineno})"
        )
        if os.environ.get("TRACELAKE_TRACEBACK"):
            traceback.print_exception(error)
    return 1
