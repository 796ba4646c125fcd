"""Lines of firewalls, proxies and other devices: documented samples and the rows they must be."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.text_case import Read
from tracelake.normalize import lines as line_files
from tracelake.parsers import BY_NAME
from tracelake.parsers.artifact import Match
from tracelake.parsers.line_rules import divided

FOLDER = Path(__file__).parent / "data" / "devices"
SAMPLES = (FOLDER / "lines.log").read_bytes().splitlines(keepends=True)
GOLDEN = json.loads((FOLDER / "rows.json").read_text("utf-8"))
YEAR_END = 1_577_836_799.0        # when the samples were written last, for their years


def plain(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row as the golden file holds it."""
    left_out = ("src_offset", "src_length", "record_hash", "sub", "time_ns")
    kept = {name: value for name, value in row.items() if name not in left_out}
    return {"table": table, **json.loads(json.dumps(kept, default=str))}


def row_of(line: bytes) -> dict[str, Any]:
    read = Read("syslog", line, modified=YEAR_END)
    assert read.account.records == read.account.in_rows == 1
    ((table, (row,)),) = read.rows.items()
    return plain(table, row)


@pytest.mark.parametrize("number", range(len(SAMPLES)))
def test_documented_lines(number: int) -> None:
    assert row_of(SAMPLES[number]) == GOLDEN[number]


def test_all_in_one_file() -> None:
    data = b"".join(SAMPLES)
    assert BY_NAME["syslog"].match(data, "firewall.log") == (Match.CONTENT, "")
    read = Read("syslog", data, modified=YEAR_END)
    assert read.account.in_rows == len(SAMPLES)
    assert not read.damage
    for rows in read.rows.values():
        for row in rows:
            assert data[row["src_offset"] : row["src_offset"] + row["src_length"]] in SAMPLES


@pytest.mark.parametrize("number", range(len(SAMPLES)))
def test_each_alone_is_recognised(number: int) -> None:
    match, why = BY_NAME["syslog"].match(SAMPLES[number] * 3, "x.log")
    assert match == Match.CONTENT, why


def test_what_is_of_no_mapping_is_complete() -> None:
    row = row_of(b'time=2024-01-01T00:00:00Z level=info msg="it is up" took=3ms\n')
    assert row["table"] == "raw_event"
    assert row["unmapped"] | {"time": ""} == {
        "time": "", "level": "info", "msg": "it is up", "took": "3ms"
    }
    row = row_of(b'<13>Jan  1 00:00:00 web app[7]: {"a": {"b": 1}, "c": "d"}\n')
    assert row["unmapped"]["a.b"] == "1"
    assert (row["device_hostname"], row["log_provider"], row["event_pid"]) == ("web", "app", 7)


def test_lines_without_anything_stay_as_they_were() -> None:
    read = Read("syslog", b"Mar  1 10:00:00 web app: hello\nwhat is this\n", modified=YEAR_END)
    assert read.rows["raw_event"][0]["message"] == "hello"
    assert [row["why"] for row in read.damage] == ["no time of a system log at its start"]


LINES = """
provider = "V"
[[lines]]
begins = ["job {id:number} of {who:word} ended: {text*}", "job {id:number}"]
by = "who"
of = "text"
[lines.patterns]
cron = ["{what} after {seconds:decimal} s"]
[[lines]]
split = ";"
where = { kind = "A|B" }
columns = ["", "kind", "x"]
set = { log = "v" }
"""


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"job 5 of cron ended:  backup after 1.5 s",
         [("id", "5"), ("who", "cron"), ("text", "backup after 1.5 s"), ("what", "backup"),
          ("seconds", "1.5")]),
        (b"job 5 of cron ended: no", [("id", "5"), ("who", "cron"), ("text", "no")]),
        (b"job 5", [("id", "5")]),
        (b"job x", None),
        (b'1;A;"q;r";4', [("column 1", "1"), ("kind", "A"), ("x", "q;r"), ("column 4", "4"),
                          ("log", "v")]),
        (b"1;C;2", None),
    ],
)  # fmt: skip
def test_lines_of_a_mapping_file(line: bytes, found: list[tuple[str, str]] | None) -> None:
    assert divided(line_files.read([("v.toml", LINES)]), line) == found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[[lines]]\nsplit = ","\n', "line 2: [lines] columns: names none"),
        ('[[lines]]\nsplit = ","\ncolumns = ["a"]\n', "every line would fit"),
        ('[[lines]]\nbegins = "no part"\n', "line 3: [lines] begins: 'no part' names no part"),
        ('[[lines]]\nbegins = "{a}{b}"\n', "nothing stands between two parts"),
        ('[[lines]]\nbegins = "{a:colour}"\n', "no kind 'colour'"),
        ('[[lines]]\nbogus = 1\n', "line 3: [lines] bogus: is none of"),
        ('[[lines]]\nbegins = "{a}"\n[[lines]]\nbegins = "{b"\n', "line 5: [lines] begins"),
    ],
)
def test_wrong_lines_are_told(text: str, why: str) -> None:
    with pytest.raises(line_files.MappingError) as error:
        line_files.read([("v.toml", 'provider = "V"\n' + text)])
    if "line 2" not in why:
        assert why in str(error.value)


if __name__ == "__main__":
    rows = [row_of(line) for line in SAMPLES]
    text = json.dumps(rows, indent=1, ensure_ascii=False)
    (FOLDER / "rows.json").write_text(text + "\n", "utf-8")
