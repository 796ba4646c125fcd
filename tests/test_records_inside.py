"""Records in records: every object of a list that a wrapper holds is a row with its own place, and
nothing that the wrapper says is lost. And the same of texts in UTF-16."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.json_lines import Rows, read
from tracelake.normalize import shapes
from tracelake.normalize.mapping_file import MappingError
from tracelake.parsers import jsonl
from tracelake.parsers.artifact import Match

SAMPLE = Path(__file__).parent / "data" / "mordor" / "events.jsonl"
WHERE = ("src_offset", "src_length", "record_hash")


def events(count: int) -> list[bytes]:
    return SAMPLE.read_bytes().splitlines()[:count]


def without_place(rows: Rows) -> Rows:
    return [(t, {k: v for k, v in row.items() if k not in WHERE}) for t, row in rows]


def said(data: bytes, **more: Any) -> list[dict[str, str | None]]:
    return [dict(row.get("unmapped", [])) for _, row in read(data, **more)[0]]


def test_rows_are_those_of_the_same_events_by_themselves() -> None:
    lines = events(8)
    wanted = without_place(read(b"\n".join(lines))[0])
    for name in (b"Records", b"records", b"value", b"results"):
        for wrapped in (
            b'{"' + name + b'":[' + b",".join(lines) + b"]}",
            b'{ "' + name + b'" :\n[\n' + b",\n".join(lines) + b"\n]\n}\n",
            b"\n".join(b'{"' + name + b'":[' + line + b"]}" for line in lines),
            b'[{"' + name + b'":[' + b']},{"'.join([b""]) + b",".join(lines) + b"]}]",
        ):
            rows, account = read(wrapped)
            assert without_place(rows) == wanted
            assert [wrapped[r["src_offset"] :][: r["src_length"]] for _, r in rows] == lines
            assert (account.records, account.damaged) == (8, 0)
            assert account.bytes_records == sum(map(len, lines))
            assert jsonl.match(wrapped[:65536], "x.json")[0] == Match.CONTENT


def test_what_the_wrapper_says_is_said_of_each() -> None:
    data = json.dumps(
        {"owner": "123", "logGroup": {"name": "g"},
         "logEvents": [{"id": 1}, {"id": 2, "owner": "x"}],
         "tags": ["a", {"b": 1}]}
    ).encode()  # fmt: skip
    beside = {"owner": "123", "logGroup.name": "g", "tags": '["a",{"b":1}]'}
    first, second = said(data)
    assert first == {"id": "1"} | beside
    assert second == {"id": "2", "owner": "x", "owner[2]": "123"} | {
        key: beside[key] for key in ("logGroup.name", "tags")
    }


@pytest.mark.parametrize(
    "record",
    [
        {"Records": []}, {"Records": [1, 2]}, {"Records": [{"a": 1}, 2]}, {"Records": [[{"a": 1}]]},
        {"Records": "x"}, {"Records": None}, {"Records": {"a": 1}}, {"data": {"a": 1}},
        {"data": [{"a": 1}], **{f"k{i}": i for i in range(9)}},
    ],
)  # fmt: skip
def test_what_is_no_wrapper_is_one_record(record: dict[str, Any]) -> None:
    (row,) = said(json.dumps(record).encode())
    assert set(row) >= {"data" if "k0" in record else next(iter(row))}
    text = json.dumps(record["data"], separators=(",", ":")) if "k0" in record else None
    assert row.get("data") == text or text is None


def test_wrappers_in_wrappers() -> None:
    data = json.dumps(
        {"m": 1, "data": [{"a": 1}, {"data": [{"b": 2}, {"data": [{"c": 3}], "n": 4}]}]}
    ).encode()
    assert said(data) == [{"a": "1", "m": "1"}, {"b": "2", "m": "1"},
                          {"c": "3", "n": "4", "m": "1"}]  # fmt: skip


def test_wrappers_without_end_stay_text_in_the_end() -> None:
    text = b'{"a":1}'
    for _ in range(200):
        text = b'{"data":[' + text + b"]}"
    ((name, value),) = said(text)[0].items()
    assert name == "data"
    assert value is not None
    assert value.count("[") == 200 - 32


OSQUERY = """
provider = "osquery"
[[shapes]]
has = ["name", "unixTime"]
each = ["snapshot as columns", "diffResults.added as columns", "diffResults.removed as columns"]
[[shapes]]
has = ["name", "unixTime", "columns"]
event = "name"
time = "unixTime | epoch s"
[[shapes]]
has = ["PID", "__children"]
each = "__children"
own = true
"""


def test_elements_stand_where_the_shape_says() -> None:
    known = shapes.read([("osquery.toml", OSQUERY), ("json/other.toml", "")])
    beside = {"name": "p", "unixTime": 1591037543}
    data = "\n".join(
        json.dumps(beside | record)
        for record in (
            {"columns": {"pid": "1"}},
            {"snapshot": [{"pid": "2", "name": "x"}]},
            {"diffResults": {"added": [{"pid": "3"}], "removed": [{"pid": "4"}], "n": 1}},
            {"snapshot": [], "counter": 0},
        )
    ).encode()
    rows, account = read(data, known=known)
    found = [dict(row["unmapped"]) for _, row in rows]
    # `name` is the event code, which a column holds.
    common = {"unixTime": "1591037543"}
    assert found == [
        common | {"columns.pid": "1"},
        common | {"columns.pid": "2", "columns.name": "x"},
        common | {"columns.pid": "3", "diffResults": "added", "diffResults.n": "1"},
        common | {"columns.pid": "4", "diffResults": "removed", "diffResults.n": "1"},
        common | {"name": "p", "snapshot": "[]", "counter": "0"},
    ]
    assert {row.get("log_provider") for _, row in rows[:4]} == {"osquery"}
    assert [row.get("event_code") for _, row in rows][:4] == ["p"] * 4
    assert len({row.get("time") for _, row in rows[:4]}) == 1
    assert account.records == 5


def test_trees_are_rows_of_each_of_their_nodes() -> None:
    known = shapes.read([("v.toml", OSQUERY), ("json/other.toml", "")])
    tree = [{"PID": 4, "__children": [
        {"PID": 8, "__children": [{"PID": 9, "__children": []}]}, {"PID": 12, "__children": []}]},
        {"PID": 5, "__children": []}]  # fmt: skip
    rows, account = read(json.dumps(tree).encode(), known=known)
    assert [dict(row["unmapped"]) for _, row in rows] == [
        {"PID": "4"}, {"PID": "8"}, {"PID": "9", "__children": "[]"},
        {"PID": "12", "__children": "[]"}, {"PID": "5", "__children": "[]"},
    ]  # fmt: skip
    assert (account.records, account.damaged) == (5, 0)


def test_a_wrapper_of_any_size_is_read_record_by_record() -> None:
    text = [b'{"id":"%d","x":"%s"}' % (i, b"y" * 20000) for i in range(900)]
    for head, tail in (
        (b'{"Records":[', b"]}"),
        (b'{"v":"1",\n"Records" : [ ', b' ],"next":{"a":[1]}}'),
    ):
        data = head + b",".join(text) + tail
        assert len(data) > jsonl.LONGEST
        rows, account = read(data)
        assert [data[r["src_offset"] :][: r["src_length"]] for _, r in rows[:900]] == text
        last = [dict(row["unmapped"]) for _, row in rows[900:]]
        assert last == ([{"next.a": "[1]"}] if b"next" in tail else [])
        assert dict(rows[7][1]["unmapped"]).get("v") == ("1" if b"v" in head else None)
        assert account.damaged == 0
        # A value of the list that is broken is damage alone; a list that ends early is read.
        broken = bytearray(data)
        at = rows[100][1]["src_offset"]
        broken[at + 1] = 0x21
        rows, account = read(bytes(broken[:-30]) + b"\n" + events(1)[0])
        assert len(rows) >= 99
        assert account.damaged >= 1


def test_a_cut_wrapper_is_read_as_far_as_it_goes() -> None:
    lines = events(6)
    data = b'{"Records":[' + b",".join(lines)
    for cut in (0, 1, 50, len(lines[-1]) - 1):
        rows, account = read(data[: len(data) - cut])
        assert len(rows) == 6 - (cut > 0)
        assert account.damaged == (cut > 0)
    # In a text of lines the other lines are as they were.
    rows, account = read(data[:-20] + b"\n" + lines[0] + b"\n" + lines[1] + b"\n")
    assert (len(rows), account.damaged) == (7, 1)


@pytest.mark.parametrize("window", [64, 1000])
def test_window_makes_no_difference(window: int) -> None:
    data = b'{"Records":[' + b",".join(events(5)) + b'],"x":1}'
    for text in (data, data[:-40], data.decode().encode("utf-16")):
        assert read(text, window=window)[0] == read(text)[0]


def test_a_wrapper_that_says_too_much_is_a_record_of_its_own() -> None:
    """What one record costs is bounded: a thousand records are not said a long text each."""
    long = "x" * 1_000_000
    data = json.dumps({"note": long, "Records": [{"a": i} for i in range(1000)]}).encode()
    rows, account = read(data)
    assert len(rows) == account.records == 1001
    assert dict(rows[0][1]["unmapped"]) == {"note": long}
    assert {tuple(dict(row["unmapped"])) for _, row in rows[1:]} == {("a",)}


def test_splunk_and_elasticsearch_hand_over_what_they_found() -> None:
    line = events(1)[0]
    ((table, wanted),) = without_place(read(line)[0])
    for text, beside in (
        (b'{"preview":false,"offset":0,"result":' + line + b"}", {"preview", "offset"}),
        (
            b'{"_index":"i","_id":"1","_source":' + line + b',"_score":1.5}',
            {"_index", "_id", "_score"},
        ),
    ):
        rows, _ = read(text)
        ((found, row),) = without_place(rows)
        assert found == table
        assert set(dict(row["unmapped"])) == set(dict(wanted["unmapped"])) | beside
        assert {k: v for k, v in row.items() if k != "unmapped"} == {
            k: v for k, v in wanted.items() if k != "unmapped"
        }
        assert text[rows[0][1]["src_offset"] :][: rows[0][1]["src_length"]] == line


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('each = "a"\nown = 1', "own is not true or false"),
        ('each = "a"\nothers = "x"', "others is not a number"),
        ("each = 7", "each is not a text"),
    ],
)
def test_the_checker_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(MappingError, match=says.split(" is ")[-1]):
        shapes.read([("x.toml", text), ("json/other.toml", "")])


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", ["\ufeff", ""])
@pytest.mark.parametrize("form", ["lines", "list", "pretty", "wrapped"])
def test_utf16_gives_the_same_rows(codec: str, mark: str, form: str) -> None:
    lines = events(8)
    records = [json.loads(line) | {"é": "€😀"} for line in lines]
    text = {
        "lines": "\r\n".join(json.dumps(r, ensure_ascii=False) for r in records),
        "list": json.dumps(records, ensure_ascii=False),
        "pretty": json.dumps(records, ensure_ascii=False, indent=2),
        "wrapped": json.dumps({"Records": records}, ensure_ascii=False),
    }[form]
    data = (mark + text).encode(codec)
    rows, account = read(data)
    wanted, _ = read(text.encode())
    hashed = {k for k in WHERE if k != "record_hash"}
    assert [(t, {k: v for k, v in r.items() if k not in hashed}) for t, r in rows] == [
        (t, {k: v for k, v in r.items() if k not in hashed}) for t, r in wanted
    ]
    for (_, row), record in zip(rows, records, strict=True):
        at = row["src_offset"]
        assert json.loads(data[at : at + row["src_length"]].decode(codec)) == record
    assert account.damaged == 0
    assert jsonl.match(data[:65536], "x.json") == (Match.CONTENT, "")


def test_utf16_that_is_ill_formed() -> None:
    text = (
        '{"a":"x'.encode("utf-16-le") + b"\x00\xd8" + 'y"}\n{"b":1}\n'.encode("utf-16-le") + b"\x41"
    )
    rows, account = read(b"\xff\xfe" + text)
    assert [dict(row["unmapped"]) for _, row in rows] == [{"a": "x\ufffd\ufffd\ufffdy"}, {"b": "1"}]
    assert rows[0][1]["parse_flags"] == 128
    assert account.damaged == 1  # the odd byte at the end
