"""Tables as text: every record a row or damage, whatever quotes and encodings do."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.text_case import Read
from tracelake.parsers import BY_NAME
from tracelake.parsers.anytext import form_of as encoding_of
from tracelake.parsers.artifact import Match
from tracelake.parsers.cells import split
from tracelake.parsers.csv_table import LONGEST

MATCH = BY_NAME["csv"].match
TABLE = b'time,user,src_ip,note\n2024-05-01T10:00:00Z,ann,10.0.0.1,"a, ""b""\nc"\n,bob,,\n'


def values(read: Read) -> list[dict[str, str]]:
    return [row["unmapped"] for row in read.rows.get("raw_event", [])]


def test_cells_are_named_by_the_first_line() -> None:
    read = Read("csv", TABLE)
    assert values(read) == [{"user": "ann", "src_ip": "10.0.0.1", "note": 'a, "b"\nc',
                             "time": "2024-05-01T10:00:00Z"}, {"user": "bob"}]  # fmt: skip
    first, second = read.rows["raw_event"]
    assert first["time"].isoformat() == "2024-05-01T10:00:00+00:00"
    assert (first["src_offset"], first["src_length"]) == (22, TABLE.index(b",bob") - 22)
    assert "time" not in second
    assert read.account.bytes_structure == 22


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_any_delimiter(delimiter: str) -> None:
    data = "a,bb,c,d\n1,2,3,4\n5,6,7,8\n".replace(",", delimiter).encode()
    assert MATCH(data, "x.csv")[0] == Match.CONTENT
    assert values(Read("csv", data))[1] == {"a": "5", "bb": "6", "c": "7", "d": "8"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings(encoding: str) -> None:
    text = "name;user;host;place\r\nä;b\U0001f600;c;d\r\n\"x\r\ny\";z;;€\r\n"
    data = text.encode(encoding)
    assert MATCH(data, "x.csv")[0] == Match.CONTENT
    read = Read("csv", data)
    assert values(read) == [{"name": "ä", "user": "b\U0001f600", "host": "c", "place": "d"},
                            {"name": "x\r\ny", "user": "z", "place": "€"}]  # fmt: skip
    row = read.rows["raw_event"][1]
    piece = data[row["src_offset"] : row["src_offset"] + row["src_length"]]
    assert piece.decode(encoding_of(data)[0]) == '"x\r\ny";z;;€\r\n'


def test_half_characters_are_slack_and_repaired() -> None:
    data = "a,b\n1,\ud800\n3,4\n".encode("utf-16", "surrogatepass") + b"x"
    read = Read("csv", data)
    assert [row.get("parse_flags", 0) & 128 for row in read.rows["raw_event"]] == [128, 0]
    assert read.account.bytes_slack == 1


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"10.0.0.1,ann,5,x\n10.0.0.2,bob,6,y\n", "without a line of names"),
        (b"2024-01-01 10:00:00;ann;5\n2024-01-01 10:00:01;bob;6\n", "without a line of names"),
        (b"a,b,c\n1\n2\n3\n4\n", "as many cells"),
        (b"one column\n1\n", "several cells"),
    ],
)
def test_what_is_refused(data: bytes, why: str) -> None:
    match, said = MATCH(data, "x.csv")
    assert match <= Match.NO
    assert why in said


def test_text_that_is_no_table() -> None:
    for text in (b"Dear all,\nthis, as said, is\na letter, no more.\n", b"{\"a\": 1, \"b\": 2}\n"):
        assert MATCH(text, "letter.txt")[0] == Match.NO


def test_lines_before_the_names_and_names_again() -> None:
    data = b"#TYPE Selected.System\r\n\"a\",\"b\"\r\n1,2\r\n\r\n\"a\",\"b\"\r\n3,4\r\n"
    assert values(Read("csv", data)) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert values(Read("csv", b"sep=;\na;b\n1,5;2\n")) == [{"a": "1,5", "b": "2"}]


def test_more_and_fewer_cells() -> None:
    read = Read("csv", b"a,b,c\n1,2,3,4\n5,6\n7\n")
    assert values(read) == [{"a": "1", "b": "2", "c": "3", "column 4": "4"}, {"a": "5", "b": "6"}]
    assert [row["why"] for row in read.damage] == ["one cell where the names are several"]


def test_a_quote_that_is_not_closed_costs_its_line() -> None:
    lines = [b"%d,x%d,y" % (i, i) for i in range(50)]
    lines[20] = b'20,"x20,y'
    read = Read("csv", b"a,b,c\n" + b"\n".join(lines) + b"\n")
    assert [row["why"] for row in read.damage] == ["a quote is not closed"]
    assert len(values(read)) == 49
    lines[30] = b'30,"x30",y'     # closes what line 20 opened, if nobody looks
    read = Read("csv", b"a,b,c\n" + b"\n".join(lines) + b"\n")
    assert len(values(read)) == 49
    assert len(read.damage) == 1


def test_the_end_inside_a_cell_is_a_truncated_row() -> None:
    read = Read("csv", b'a,b,c\n1,2,3\n4,"two\nlines\nof')
    assert values(read)[1] == {"a": "4", "b": "two\nlines\nof"}
    row = read.rows["raw_event"][1]
    assert (row["src_offset"], row["src_length"], row["parse_flags"]) == (12, 15, 1)


def test_long_records() -> None:
    wide = b"a,b\n" + b"x" * (10 << 20) + b",2\n3,4\n"
    assert len(values(Read("csv", wide))) == 2
    read = Read("csv", b"a,b\n" + b"x" * (LONGEST + 70000) + b",2\n3,4\n")
    assert values(read) == [{"a": "3", "b": "4"}]
    assert [row["what"] for row in read.damage] == ["record"]
    many = b"a,b\n" + b"," * 1_000_000 + b"\n3,4\n"
    assert [row["why"] for row in Read("csv", many).damage] == ["too many cells"]


def test_quotes_that_never_close_are_not_quadratic() -> None:
    data = b"a,b,c\n" + b'1,"2,3\n4,5,6\n' * 60_000
    read = Read("csv", data)
    assert read.account.records == 120_000
    assert len(read.damage) == 60_000


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), min_size=1, max_size=8)


@given(st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=8))
def test_what_pythons_writer_writes(rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    data = out.getvalue().encode()
    assert [row for row, _ in split(data)] == [[cell.encode() for cell in row] for row in rows]
    read = Read("csv", b"a,b,c\n" + data)
    names = ["a", "b", "c"]
    assert values(read) == [dict(zip(names, row, strict=True)) for row in rows]


def test_events_inside_of_exports() -> None:
    data = (
        b'"_time",host,source,"_raw"\n'
        b'"2021-08-03T10:11:12.000+0000",fw,udp,"logid=""13"" type=""traffic"" subtype=""local"" '
        b'level=""notice"" srcip=10.1.100.11 dstip=1.2.3.4"\n'
        b'"1627985472.5",fw,udp,"Aug 03 10:11:12 fw1 : %ASA-6-302016: Teardown UDP connection 4 '
        b'for o:192.0.2.2/53 to i:10.1.1.1/1025 duration 0:00:01 bytes 5"\n'
        b'"2021-08-03T10:11:12.000+0000",x,y,"nothing, really"\n'
    )
    read = Read("csv", data)
    first, second = read.rows["network_activity"]
    assert (first["log_provider"], first["src_ip"]) == ("Fortinet FortiGate", "10.1.100.11")
    assert first["time"].isoformat() == "2021-08-03T10:11:12+00:00"
    assert first["unmapped"]["export.host"] == "fw"
    assert first["unmapped"]["export._raw"].startswith('logid="13"')
    assert (second["event_code"], second["device_hostname"]) == ("302016", "fw1")
    assert second["time"].isoformat() == "2021-08-03T10:11:12.500000+00:00"
    assert values(read)[0]["_raw"] == "nothing, really"


def test_flow_logs_of_aws() -> None:
    data = (
        b"version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes "
        b"start end action log-status\n2 123456789010 eni-1 172.31.16.139 172.31.16.21 20641 22 6 "
        b"20 4249 1418530010 1418530070 ACCEPT OK\n"
    )
    assert MATCH(data, "flow.log") == (Match.CONTENT, "")
    assert BY_NAME["syslog"].match(data, "flow.log")[0] == Match.NO
    rows = Read("csv", data).rows["network_activity"]
    bare = Read("syslog", data[data.index(b"\n") + 1 :]).rows["network_activity"]
    for (row,) in (rows, bare):
        assert (row["src_ip"], row["dst_port"], row["action_id"]) == ("172.31.16.139", 22, 1)


def test_exports_of_the_shared_data(shared: Path) -> None:
    counts = {}
    for file in sorted((shared / "edr").rglob("*.csv")):
        data = file.read_bytes()
        assert MATCH(data[:65536], file.name)[0] == Match.CONTENT
        read = Read("csv", data)
        with file.open(encoding="utf-8-sig", newline="") as text:
            theirs = list(csv.reader(text))
        found = [row for rows in read.rows.values() for row in rows]
        assert len(found) == len(theirs) - 1
        assert not read.damage
        counts[file.name] = len(found)
        names = [name or f"column {i + 1}" for i, name in enumerate(theirs[0])]
        for row, their in zip(values(read), theirs[1:], strict=False):
            assert row == {n: c for n, c in zip(names, their, strict=True) if c}
    assert counts == {
        "Hadoop_2k.log_structured.csv": 2000, "Linux_2k.log_structured.csv": 2000,
        "processes_on_host.csv": 363, "winproctree-minimal.csv": 116,
    }  # fmt: skip
