"""The command as a user meets it: hostile names, tampered lakes, moved evidence, closed pipes."""

import gzip
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from line import EVIDENCE, command, tracelake

from tracelake.case import open_case
from tracelake.ingest.verify import verify
from tracelake.lake.lake import Lake

LOG = EVIDENCE / "logs" / "crackmapexec_sysmon.evtx"
OTHER = EVIDENCE / "logs" / "eternal_romance_psexec.evtx"
HOSTILE = "bad\x1b[31m\nname\u202e.bin"


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A lake with one small log, which lies in `in`."""
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(LOG, folder / "a.evtx")
    report = open_case(tmp_path / "lake", engagement="t").ingest([folder])
    assert report.exit_code == 0
    return tmp_path / "lake"


def wrong(lake: Path) -> list[str]:
    """What `verify` finds."""
    opened = Lake.open(str(lake), "t")
    return [f"{found.subject}: {line}" for found in verify(opened) for line in found.wrong]


def the_file(lake: Path, table: str) -> Path:
    (file,) = Lake.open(str(lake), "t").snapshot().files(table)
    return Path(file)


def rewrite(lake: Path, table: str, **changed: object) -> None:
    """Replaces a file of books by one whose first row says something else. The log is told its
    size, as somebody would who knows what `verify` looks at first."""
    path = the_file(lake, table)
    there = pq.ParquetFile(path).read()
    said = there.to_pylist()
    said[0] |= changed
    pq.write_table(pa.Table.from_pylist(said, schema=there.schema), path)
    for log in (path.parent / "_delta_log").glob("*.json"):
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        for line in lines:
            if line.get("add", {}).get("path") == path.name:
                line["add"]["size"] = path.stat().st_size
        log.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_an_untouched_lake_holds(lake: Path) -> None:
    assert wrong(lake) == []


def test_verify_sees_a_flipped_bit_of_the_evidence(lake: Path, tmp_path: Path) -> None:
    path = tmp_path / "in" / "a.evtx"
    data = bytearray(path.read_bytes())
    data[70000 % len(data)] ^= 1
    path.write_bytes(data)
    (line,) = wrong(lake)
    assert str(path) in line
    assert "SHA-256" in line


def test_verify_sees_a_parquet_file_that_is_gone_and_goes_on(lake: Path) -> None:
    the_file(lake, "process_activity").unlink()
    found = wrong(lake)
    assert any("the log has it, the folder has not" in line for line in found)
    assert any("rows: " in line and "process_activity" in line for line in found)
    done = tracelake("verify", "-e", "t", "--lake", lake, code=1)
    assert f"{len(found)} findings" in done.stdout


def test_verify_sees_a_parquet_file_that_is_none(lake: Path) -> None:
    path = the_file(lake, "process_activity")
    path.write_bytes(os.urandom(path.stat().st_size))
    assert any("footer cannot be read" in line for line in wrong(lake))


def test_verify_sees_rows_that_were_taken_out(lake: Path) -> None:
    path = the_file(lake, "process_activity")
    table = pq.ParquetFile(path).read()
    pq.write_table(table.slice(1), path)
    found = wrong(lake)
    assert any("rows" in line and "in the log" in line for line in found)
    assert any(line.split(": ")[-2] == "records in rows" for line in found)


@pytest.mark.parametrize(
    ("changed", "finding"),
    [
        ({"records": 1000}, "records = in rows + duplicates + damage"),
        ({"in_rows": 1000, "records": 1000}, "records in rows: 1000 is written"),
        ({"damage": 3}, "damage rows: 3 is written"),
        ({"rows": [("process_activity", 7)]}, "rows: {'process_activity': 7} is written"),
        ({"bytes_records": 1}, "bytes: "),
        ({"size": 12}, "bytes: "),
    ],
)
def test_verify_sees_an_artifact_row_that_lies(
    lake: Path, changed: dict[str, object], finding: str
) -> None:
    rewrite(lake, "artifact", **changed)
    assert any(finding in line for line in wrong(lake)), wrong(lake)


def test_verify_sees_wrong_bounds_in_the_log(lake: Path) -> None:
    """A bound that is too tight hides rows from every query with a time window."""
    for log in (lake / "t" / "process_activity" / "_delta_log").glob("*.json"):
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        for line in lines:
            if "add" in line:
                stats = json.loads(line["add"]["stats"])
                stats["maxValues"]["time"] = stats["minValues"]["time"]
                line["add"]["stats"] = json.dumps(stats)
        log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert any("time ends at" in line for line in wrong(lake))


def a_row(lake: Path) -> str:
    found = open_case(lake, engagement="t").sql(
        "select row_id from process_activity order by artifact_no desc, row_id limit 1"
    ).fetchone()
    assert found is not None
    row_id: str = found[0]
    return row_id


def test_show_dumps_the_record(lake: Path) -> None:
    row_id = a_row(lake)
    shown = tracelake("show", row_id, "-e", "t", "--lake", lake).stdout
    offset = int(row_id.split("-")[3], 16)
    first = LOG.read_bytes()[offset : offset + 16]
    assert f"{offset:08x}  {first.hex(' ')}" in shown


@pytest.mark.parametrize("kind", ["tar", "gz"])
def test_show_reads_members_of_containers(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"x.{kind}"
    if kind == "tar":
        with tarfile.open(path, "w") as archive:
            archive.add(LOG, "one.evtx")
            archive.add(OTHER, "two.evtx")
    else:
        path.write_bytes(gzip.compress(OTHER.read_bytes()))
    lake = tmp_path / "lake"
    open_case(lake, engagement="t").ingest([path])
    row_id = a_row(lake)
    offset = int(row_id.split("-")[3], 16)
    first = OTHER.read_bytes()[offset : offset + 16]
    shown = tracelake("show", row_id, "-e", "t", "--lake", lake).stdout
    assert f"{offset:08x}  {first.hex(' ')}" in shown


def test_show_does_not_pass_other_bytes_off_as_the_evidence(lake: Path, tmp_path: Path) -> None:
    row_id = a_row(lake)
    path = tmp_path / "in" / "a.evtx"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    shown = tracelake("show", row_id, "-e", "t", "--lake", lake).stdout
    assert "its SHA-256 is not that of what was taken in" in shown
    path.write_bytes(data[:-1])
    assert "it had" in tracelake("show", row_id, "-e", "t", "--lake", lake).stdout
    path.unlink()
    shown = tracelake("show", row_id, "-e", "t", "--lake", lake).stdout
    assert f"the evidence cannot be shown: {path}: No such file or directory" in shown


def test_a_name_that_is_no_utf8_is_shown_found_and_verified(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    path = os.fsencode(folder) + b"/caf\xe9.evtx"
    Path(os.fsdecode(path)).write_bytes(LOG.read_bytes())
    lake = tmp_path / "lake"
    done = tracelake("ingest", folder, "-e", "t", "--lake", lake)
    assert "1 sources in" in done.stdout
    assert wrong(lake) == []
    assert "not reachable" not in tracelake("verify", "-e", "t", "--lake", lake).stdout
    assert "**" in tracelake("show", a_row(lake), "-e", "t", "--lake", lake).stdout


def test_nothing_that_evidence_is_called_reaches_the_terminal(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / HOSTILE).write_bytes(b"\0nothing\0")
    (folder / f"{HOSTILE}.gz").write_bytes(gzip.compress(b"x")[:-3])
    os.symlink("nowhere", folder / f"{HOSTILE}.link")
    lake = tmp_path / "lake"
    for options, code in (([], 1), (["--dry-run"], 1), (["--json"], 1)):
        done = tracelake("ingest", folder, "-e", "t", "--lake", lake, *options, code=code)
        printed = done.stdout + done.stderr
        assert "\x1b" not in printed
        assert "\u202e" not in printed
        assert len(done.stderr.splitlines()) == (0 if "--dry-run" in options else 1)
    for name in ("sources", "damage", "verify"):
        assert "\x1b" not in tracelake(name, "-e", "t", "--lake", lake).stdout


def test_the_lake_is_no_evidence(tmp_path: Path) -> None:
    """`tracelake ingest .` with the lake in ./lake."""
    shutil.copy(LOG, tmp_path)
    for taken in (1, 0):
        done = tracelake("ingest", ".", "-e", "t", "--lake", "lake", "--json", cwd=tmp_path)
        report = json.loads(done.stdout)
        assert report["sources"] == taken
        assert report["left"] == []
    plan = tracelake("ingest", ".", "-e", "t", "--lake", "lake", "--dry-run", "--json",
                     cwd=tmp_path)
    assert len(plan.stdout.splitlines()) == 1


def test_a_reader_that_leaves_is_no_error(lake: Path) -> None:
    run = subprocess.Popen(
        command("query", "select * from range(2000000)", "-e", "t", "--lake", lake,
                "--format", "csv"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert run.stdout is not None
    assert run.stderr is not None
    assert run.stdout.readline() == "range\n"
    run.stdout.close()
    assert run.stderr.read() == ""
    assert run.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["ingest"], 2, "arguments are required: PATH"),
        (["nonsense"], 2, "invalid choice: 'nonsense'"),
        (["ingest", LOG, "-e", "t", "--worker", "2"], 2, "unrecognized arguments: --worker"),
        (["ingest", LOG, "-e", "t", "--workers", "0"], 2, "--workers: it is at least 1"),
        (["query", "selec 1", "-e", "t"], 1, "Parser Error"),
        (["query", "select 1; select 2", "-e", "t"], 1, "one statement"),
        (["query", "select cast(x as int) from (select 'a' as x)", "-e", "t"], 1, "Could not"),
        (["show", "nonsense", "-e", "t"], 1, "a row id is"),
        (["show", f"proc-{'0' * 16}-{'9' * 40}-{'f' * 40}-0", "-e", "t"], 1, "no such row"),
        (["ingest", LOG, "-e", "t", "--lake", LOG], 1, f"{LOG}: is not a folder"),
        (["ingest", LOG, "-e", "t", "--lake", "s4://x"], 2, "a lake is a folder"),
        (["query", "select 1", "-e", "t", "-o", "/no/such/file", "--format", "csv"], 1,
         "/no/such/file: No such file or directory"),
        (["sources", "-e", "t", "--format", "xml"], 2, "--format xml"),
    ],
)
def test_errors_are_one_line(
    lake: Path, arguments: list[str | Path], code: int, part: str
) -> None:
    more = [] if "--lake" in arguments or arguments[0] == "nonsense" else ["--lake", lake]
    if arguments == ["ingest"]:
        more = ["-e", "t"]
    done = tracelake(*arguments, *more, code=code)
    (line,) = done.stderr.splitlines()
    assert line.startswith("tracelake: ")
    assert part in line


def test_options_stand_anywhere_and_end_where_it_says_so(tmp_path: Path) -> None:
    for name in ("-a.evtx", "b.evtx"):
        shutil.copy(LOG, tmp_path / name)
    for words in (["b.evtx", "-e", "t", "./-a.evtx"], ["-e", "t", "--", "-a.evtx", "b.evtx"]):
        done = tracelake("ingest", "--dry-run", "--json", *words, cwd=tmp_path)
        found = [Path(json.loads(line)["source"]).name for line in done.stdout.splitlines()]
        assert sorted(found) == ["-a.evtx", "b.evtx"]


def test_help_needs_no_case_and_names_every_command() -> None:
    done = tracelake("--help")
    for name in ("ingest", "query", "tables", "sources", "damage", "show", "verify", "doctor"):
        assert f"\n    {name} " in done.stdout
        assert f"usage: tracelake {name} " in tracelake(name, "--help").stdout
    assert tracelake(code=2).stdout == done.stdout


def on_a_terminal(columns: int, *arguments: str | Path) -> str:
    """What the command writes to a terminal of so many columns."""

    def read(handle: int) -> bytes:
        data = os.read(handle, 65536)
        output.append(data)
        return data

    output: list[bytes] = []
    before = dict(os.environ)
    os.environ |= {
        "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": str(columns), "TERM": "xterm"
    }
    try:
        status = pty.spawn(command(*arguments), read, lambda _: b"")
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert os.waitstatus_to_exitcode(status) == 0
    return b"".join(output).decode()


def lines_of(written: str) -> list[str]:
    """A terminal's text without what moves its cursor and paints."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written).replace("\r", "\n").splitlines()


def test_the_summary_and_the_bar_fit_a_terminal(tmp_path: Path) -> None:
    written = on_a_terminal(80, "ingest", EVIDENCE, "-e", "t", "--lake", tmp_path, "--workers", "1")
    assert "\x1b[1A" not in written.partition("parser")[0].rpartition("\x1b[?25h")[0], (
        "the bar never takes a second line"
    )
    lines = lines_of(written)
    # Which files the bar shows depends on the machine: it is drawn ten times a second.
    names = [path.name[:20] for path in EVIDENCE.rglob("*") if path.is_file()]
    assert any("MB/s" in line and any(name in line for name in names) for line in lines)
    assert all(len(line) <= 80 for line in lines if str(EVIDENCE) not in line)
    heads = [line.split() for line in lines if line.startswith("  parser")]
    assert heads == [
        ["parser", "files", "records", "duplicates", "damage", "MB/s"],
        ["parser", "table", "rows"],
    ]
    (jsonl, _) = [line.split() for line in lines if line.startswith("  jsonl ")]
    assert jsonl[:5] == ["jsonl", "7", "5,211", "0", "0"]
    assert ["process_activity", "1,465"] in [line.split() for line in lines]


def test_evidence_as_csv_does_a_terminal_no_harm(lake: Path) -> None:
    for form in ("csv", "json", "table"):
        written = on_a_terminal(
            80, "query", "select chr(27) || '[31m' || chr(8238) as x", "-e", "t", "--lake", lake,
            "--format", form,
        )
        assert "\\x1b[31m" in written or "\\u001b[31m" in written
        assert "\x1b[31m" not in written
        assert "\u202e" not in written
        piped = tracelake("query", "select chr(27) as x", "-e", "t", "--lake", lake, "--format",
                          "csv")
        assert piped.stdout == "x\n\x1b\n", "a pipe gets what is there"


def test_csv_has_the_line_ends_of_a_shell_and_quotes_a_lone_cr(lake: Path) -> None:
    """`for id in $(tracelake query ... --format csv)` must not get names that end in CR."""
    done = subprocess.run(
        command("query", "select 'a' || chr(13) || 'b' as x, 'c' as y", "-e", "t",
                "--lake", lake, "--format", "csv"),
        stdout=subprocess.PIPE, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout == b'x,y\n"a\rb",c\n'


@pytest.mark.parametrize(
    ("name", "begin"),
    [("x.csv", b"x\n1\n"), ("x.jsonl", b'{"x": 1}\n'), ("x.PARQUET", b"PAR1"), ("x", b"x\n1\n")],
)
def test_the_name_of_a_file_says_its_form(
    lake: Path, tmp_path: Path, name: str, begin: bytes
) -> None:
    tracelake("query", "select 1 as x", "-e", "t", "--lake", lake, "-o", tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(begin)


def test_show_takes_the_id_of_damage(lake: Path, tmp_path: Path) -> None:
    log = EVIDENCE / "logs" / "bad_chunk_magic.evtx.gz"
    tracelake("ingest", log, "-e", "t", "--lake", lake)
    listed = tracelake("damage", "-e", "t", "--lake", lake, "--format", "json").stdout
    for row in map(json.loads, listed.splitlines()):
        shown = tracelake("show", row["row_id"], "-e", "t", "--lake", lake).stdout
        at = row["src_offset"]
        there = gzip.decompress(log.read_bytes())[at : at + 16]
        assert f"{at:08x}  {there.hex(' ')}" in shown
        assert row["why"] in shown
    assert len(listed.splitlines()) == 3


def test_a_reason_of_many_files_is_said_once(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(256):
        (folder / f"{i}.bin").write_bytes(bytes([i, 1, i, 2]) * 16)
    (folder / "copy").write_bytes((folder / "7.bin").read_bytes())
    done = tracelake("ingest", folder, "-e", "t", "--lake", tmp_path / "lake")
    assert "nobody took 256 files:" in done.stdout
    assert "256 sources in, 0 were in already, 1 twice in this run" in done.stdout
    assert len(done.stdout.splitlines()) < 60


def test_it_runs_as_a_module(lake: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tracelake", "ingest", EVIDENCE / "logs", "-e", "t",
         "--lake", lake, "--workers", "2"],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.returncode, done.stderr) == (0, "")
