"""The command line: `tracelake --help`.

Exit codes: 0 done (damage is reported, it is no error), 1 something could not be ingested or
answered, 2 wrong usage. Errors are one line on standard error.
"""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tracelake.case import DEFAULT_LAKE, Case, as_time, lake_uri
from tracelake.lake.errors import LakeError
from tracelake.lake.lake import Lake
from tracelake.version import VERSION

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Captures, event logs and EDR telemetry into one body of tables, and SQL on them.",
)

Engagement = Annotated[
    str,
    typer.Option(
        "--engagement", "-e", metavar="ID", envvar="TRACELAKE_ENGAGEMENT",
        help="The case: a-z, 0-9, - and _, at most 63.",
    ),
]
LakeOption = Annotated[
    str | None,
    typer.Option("--lake", metavar="URI", help=f"The lake; TRACELAKE_LAKE or {DEFAULT_LAKE}."),
]
Since = Annotated[str | None, typer.Option(metavar="T", help="Only rows from this time (UTC) on.")]
Until = Annotated[str | None, typer.Option(metavar="T", help="Only rows before this time (UTC).")]
Form = Annotated[str, typer.Option("--format", help="table, csv, json (lines) or parquet.")]
Output = Annotated[Path | None, typer.Option("-o", metavar="FILE", help="Write to a file.")]


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", show_default=False)],
    engagement: Engagement,
    lake: LakeOption = None,
    workers: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Processes; one a core by default.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what each file is and who would read it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON.")] = False,
) -> None:
    """Take evidence in: files, folders, and .gz .zst .zip .tar of them."""
    from tracelake.ingest.run import ingest as run
    from tracelake.progress import Progress
    from tracelake.summary import print_plan, print_report

    missing = [path for path in paths if not os.path.lexists(path)]
    if missing:
        fail(2, f"{missing[0]}: no such file or folder")
    if dry_run:
        print_plan(paths, as_json)
        return
    opened = open_lake(engagement, lake, create=True)
    with Progress(paths, quiet=as_json) as progress:
        report = run(paths, opened, workers or os.cpu_count() or 1, progress.watch)
    if as_json:
        print(json.dumps(report.as_dict()))
    else:
        print_report(report)
    for path, why in report.failed:
        print(f"tracelake: {path}: {why}", file=sys.stderr)
    if report.interrupted:
        print(
            "tracelake: stopped; what was committed stays, and the same command goes on from here",
            file=sys.stderr,
        )
    raise typer.Exit(report.exit_code)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(metavar='"SQL"')],
    engagement: Engagement,
    lake: LakeOption = None,
    since: Since = None,
    until: Until = None,
    form: Form = "table",
    output: Output = None,
) -> None:
    """Ask the tables of one engagement (DuckDB SQL; `tracelake tables` lists them)."""
    from tracelake.output import FORMATS

    if form not in FORMATS:
        fail(2, f"--format {form}: it is one of {', '.join(FORMATS)}")
    if form == "parquet" and output is None:
        fail(2, "--format parquet needs -o FILE")
    answer(case_of(engagement, lake, since, until), sql, form, output)


@app.command()
def tables(engagement: Engagement, lake: LakeOption = None) -> None:
    """List the tables that have rows, and the views over them."""
    from tracelake.normalize import TABLES
    from tracelake.output import print_table

    case = case_of(engagement, lake)
    counts = " union all ".join(f"select '{name}', count(*) from {name}" for name in TABLES)
    rows = [(name, n) for name, n in case.sql(counts).fetchall() if n]
    print_table(["table", "rows"], sorted(rows))
    views = case.sql(
        "select table_schema || '.' || table_name from information_schema.tables "
        "where table_schema in ('ocsf', 'ecs', 'zeek', 'sigma') order by all"
    ).fetchall()
    print("views: timeline, artifact_path, " + ", ".join(name for (name,) in views))


@app.command()
def sources(engagement: Engagement, lake: LakeOption = None, form: Form = "table") -> None:
    """List the evidence that is in, and what became of it."""
    answer(
        case_of(engagement, lake),
        "select source_id, uri, size, records, duplicates, damage, rows, ingested from source "
        "order by uri",
        form,
    )


@app.command()
def damage(engagement: Engagement, lake: LakeOption = None, form: Form = "table") -> None:
    """List every record that could not be read, with its place and the reason."""
    answer(
        case_of(engagement, lake),
        "select a.path, d.src_offset, d.src_length, d.parser, d.what, d.why "
        "from damage as d left join artifact_path as a using (source_id, artifact_no) "
        "order by a.path, d.src_offset",
        form,
    )


@app.command()
def show(
    row_id: Annotated[str, typer.Argument(metavar="ROW_ID")],
    engagement: Engagement,
    lake: LakeOption = None,
) -> None:
    """Show a row, where it came from, and the bytes at that place."""
    from tracelake.show import NoSuchRow, show_row

    try:
        show_row(case_of(engagement, lake), row_id)
    except NoSuchRow as error:
        fail(1, f"{row_id}: {error}")


@app.command()
def verify(engagement: Engagement, lake: LakeOption = None) -> None:
    """Check hashes, statistics and accounts of everything that is in."""
    from tracelake.ingest.verify import verify as check_all

    findings = 0
    checked = 0
    for finding in check_all(open_lake(engagement, lake)):
        checked += finding.checks
        for line in finding.wrong:
            findings += 1
            print(f"{finding.subject}: {line}")
        for line in finding.notes:
            print(f"{finding.subject}: {line}")
    print(f"{checked:,} checks, {findings:,} findings")
    raise typer.Exit(1 if findings else 0)


@app.command()
def doctor(lake: LakeOption = None) -> None:
    """Check this installation: versions, extensions, permissions, disk."""
    from tracelake.doctor import examine

    ok = True
    for check_name, good, detail in examine(lake_uri(lake)):
        ok = ok and good
        print(f"{'ok  ' if good else 'FAIL'}  {check_name}: {detail}")
    raise typer.Exit(0 if ok else 1)


@app.callback(invoke_without_command=True)
def version(
    shown: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Captures, event logs and EDR telemetry into one body of tables, and SQL on them."""
    if shown:
        print(f"tracelake {VERSION}")
        raise typer.Exit


def case_of(
    engagement: str, lake: str | None, since: str | None = None, until: str | None = None
) -> Case:
    """The engagement that the options name; ends the program where there is none."""
    for name, value in (("--since", since), ("--until", until)):
        try:
            as_time(value)
        except ValueError:
            fail(2, f"{name} {value}: it is a date or time such as 2020-09-14T12:30")
    return Case(open_lake(engagement, lake), since, until)


def answer(case: Case, sql: str, form: str, output: Path | None = None) -> None:
    """Prints or writes the result of a query."""
    import duckdb

    from tracelake.output import write_result

    try:
        write_result(case.sql(sql).fetch_arrow_reader(), form, output)
    except (duckdb.Error, ValueError) as error:
        fail(1, " ".join(str(error).split()))


def open_lake(engagement: str, lake: str | None, create: bool = False) -> Lake:
    """The engagement's lake; ends the program where its id or the lake's URI is none."""
    try:
        return Lake.open(lake_uri(lake), engagement, create=create)
    except ValueError as error:
        fail(2, str(error))


def fail(code: int, why: str) -> NoReturn:
    """One line on standard error, and the exit code."""
    print(f"tracelake: {why}", file=sys.stderr)
    raise typer.Exit(code)


def main() -> None:
    """The entry point: what is wrong is one line, without a traceback."""
    try:
        app()
    except LakeError as error:
        sys.exit(_end(error))
    except BrokenPipeError:
        # `tracelake query ... | head`: the reader has what it wanted.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        sys.exit(_end(error))


def _end(error: Exception) -> int:
    print(f"tracelake: {' '.join(str(error).split())}", file=sys.stderr)
    return 1
