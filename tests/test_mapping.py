"""Mapping and shape files: what the shipped ones say, and what the checker refuses."""

import io
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from tracelake import normalize
from tracelake.native.account import Account
from tracelake.native.feed import Feed
from tracelake.normalize import TABLES, mapping, shapes
from tracelake.normalize.mapping_file import MappingError
from tracelake.normalize.parsed import FOLDER
from tracelake.normalize.rebuild import pairs
from tracelake.normalize.section import Condition, Source
from tracelake.normalize.transforms import TRANSFORMS
from tracelake.parsers import jsonl
from tracelake.parsers.artifact import Artifact
from tracelake.parsers.event_plan import WAYS


def rows_of(
    records: Iterable[dict[str, Any]], mappings: mapping.Mappings, known: Iterable[shapes.Shape]
) -> list[tuple[str, dict[str, Any]]]:
    """The rows of JSON objects, in their order."""
    known = tuple(known)
    made = []
    for record in records:
        data = json.dumps(record).encode()
        artifact = Artifact("test.json", Feed(io.BytesIO(data)), Account())
        ((table, batch),) = [
            made for made in jsonl.read(artifact, mappings, known) if made[1].num_rows
        ]
        made += [(table, row) for row in batch.to_pylist()]
    return made


def test_shipped_mappings_name_tables_and_columns_that_are_there() -> None:
    loaded = mapping.load()
    assert loaded.version.startswith("ocsf-1.8.0/")
    assert mapping.load() is loaded
    for event in loaded.sections:
        names = TABLES[event.table].columns
        assert {*event.columns, *event.constants} <= set(names), event.where
    assert {"raw_event", "process_activity", "authentication"} <= set(loaded.tables)


@pytest.mark.parametrize("code", ["4624", "4625", "4634", "4647", "4648", "4688", "4689"])
def test_security_events_are_mapped(code: str) -> None:
    assert ("Microsoft-Windows-Security-Auditing", code) in mapping.load().events


@pytest.mark.parametrize("code", ["1", "3", "5", "11", "22"])
def test_sysmon_events_are_mapped(code: str) -> None:
    assert ("Microsoft-Windows-Sysmon", code) in mapping.load().events


def test_every_transform_is_documented_and_native() -> None:
    assert WAYS.keys() == TRANSFORMS.keys()
    assert all(transform.doc.endswith(".") for transform in TRANSFORMS.values())


def test_forms_of_a_source() -> None:
    text = """
provider = ["A", "B"]
["1 start"]
table = "process_activity"
activity_id = 1
["1 start".columns]
proc_pid = "Pid"
exit_code = "Code | hex"
user_name = ["First", "Second | account"]
proc_sha256 = "Hashes | hash sha256"
proc_sig_status_id = "State | map state"
[maps.state]
Valid = 1
"""
    events = mapping.read([("some.toml", text)]).events
    assert set(events) == {("A", "1"), ("A", "start"), ("B", "1"), ("B", "start")}
    columns = events["A", "1"].columns
    assert columns == {
        "proc_pid": (Source("Pid", "number"),),
        "exit_code": (Source("Code", "hex"),),
        "user_name": (Source("First", "text"), Source("Second", "account")),
        "proc_sha256": (Source("Hashes", "hash", "sha256"),),
        "proc_sig_status_id": (Source("State", "map", "state", (("Valid", 1),)),),
    }
    assert events["A", "1"].constants == {"activity_id": 1}
    assert events["A", "1"].where == "some.toml [1 start]"


def test_an_analysts_file_wins(tmp_path: pytest.TempPathFactory) -> None:
    path = tmp_path / "mine.toml"  # type: ignore[operator]
    path.write_text(
        'provider = "Microsoft-Windows-Sysmon"\n[1]\ntable = "raw_event"\n'
        '[2]\ntable = "file_activity"\n'
    )
    loaded = mapping.load([path])
    assert loaded.events["Microsoft-Windows-Sysmon", "1"].table == "raw_event"
    assert loaded.events["Microsoft-Windows-Sysmon", "2"].table == "file_activity"
    assert loaded.events["Microsoft-Windows-Sysmon", "3"].table == "network_activity"
    assert loaded.version != mapping.load().version


def test_sections_that_conditions_tell_apart() -> None:
    text = """
provider = "P"
["1 2 where Type = File|Symbolic Link"]
table = "file_activity"
activity_id = 99
["1 2 where Type = File|Symbolic Link".columns]
activity_id = "Mask | bits access"
["1 where Why != no"]
table = "raw_event"
[1]
table = "process_activity"
[maps.access]
0x2 = 3
"4" = 1
"""
    loaded = mapping.read([("t.toml", text)])
    first, second, last = loaded.events["P", "1"].sections
    assert first.when == (Condition("Type", ("File", "Symbolic Link")),)
    assert str(first.when[0]) == "Type = File|Symbolic Link"
    assert first.constants == {"activity_id": 99}
    assert first.columns["activity_id"] == (
        Source("Mask", "bits", "access", (("0x2", 3), ("4", 1))),
    )
    assert second.when == (Condition("Why", ("no",), equal=False),)
    assert last.when == ()
    assert last.otherwise is None
    assert first.section({"Type": "Symbolic Link"}) is first
    assert first.section({"Type": "file"}) is second
    assert first.section({}) is second
    assert first.section({"Why": "no"}) is last
    assert first.asked == last.asked == ("Type", "Why")
    (alone,) = loaded.events["P", "2"].sections
    assert alone.section({"Type": "Key"}) is None
    assert alone.asked == ("Type",)
    assert len(list(loaded.sections)) == 4
    assert set(loaded.tables) == {"file_activity", "process_activity", "raw_event"}


VENDOR = """
provider = "Some EDR"
[[shapes]]
has = ["kind", "agent.id"]
event = "kind"
time = "at | epoch ms"
json_text = "more"
[shapes.system]
device_hostname = "agent.host"
[start]
table = "process_activity"
activity_id = 1
[start.columns]
proc_path = "process.path"
[failed]
events = ["log on", "log off"]
where = ["result.code = 1|2", "more.why = *"]
table = "authentication"
status_id = 2
["*"]
table = "script_activity"
activity_id = 99
[[shapes]]
has = ["kind=start|stop", "host"]
event = "kind"
"""


def test_a_vendors_file_says_how_its_events_come() -> None:
    files = [("vendors/some.toml", VENDOR)]
    first, second, rest = shapes.read([*files, REST])
    assert (first.name, first.vendor, first.data, first.provider) == ("some", "Some EDR", ("",), ())
    assert first.has == (shapes.Member("kind", ("start", "stop")), shapes.Member("host"))
    assert second.system == {
        "device_hostname": (Source("agent.host", "text"),), "event_code": (Source("kind", "text"),)
    }
    assert second.time == (shapes.Clock("at", "epoch", ("ms",)),)
    assert rest.vendor == ""
    events = mapping.read(files).events
    assert set(events) == {("Some EDR", code) for code in ("start", "log on", "log off", "*")}
    failed, other = events["Some EDR", "log on"].sections
    assert [str(when) for when in failed.when] == ["result.code = 1|2", "more.why = *"]
    assert failed.section({"result.code": "2", "more.why": "x"}) is failed
    assert failed.section({"result.code": "2"}) is other
    assert failed.asked == ("more.why", "result.code")
    assert (other.table, other.code) == ("script_activity", "log on")
    assert mapping.Files(files).get(("Some EDR", "unheard of")) is None


def test_rows_of_a_vendors_events() -> None:
    lines: list[dict[str, Any]] = [
        {"kind": "start", "agent": {"id": 7, "host": "h"}, "process": {"path": "/x"}, "at": 1700},
        {"kind": "log on", "agent": {"id": 7}, "result": {"code": 1}, "more": '{"why": "w"}'},
        {"kind": "log on", "agent": {"id": 7}, "result": {"code": 3}, "more": '{"why": "w"}'},
        {"kind": "unheard of", "agent": {"id": 7}},
        {"kind": "stop", "host": "h"},
        {"kind": "other", "host": "h"},
    ]
    files = [("vendors/some.toml", VENDOR)]
    events = mapping.read(files)
    made = rows_of(lines, events, shapes.read([*files, REST]))
    assert [(table, row.get("log_provider"), row.get("event_code")) for table, row in made] == [
        ("process_activity", "Some EDR", "start"),
        ("authentication", "Some EDR", "log on"),
        ("script_activity", "Some EDR", "log on"),
        ("script_activity", "Some EDR", "unheard of"),
        ("script_activity", "Some EDR", "stop"),
        ("raw_event", None, None),
    ]
    first, second = made[0][1], made[1][1]
    assert (first["proc_path"], first["device_hostname"]) == ("/x", "h")
    assert first["time"] == datetime(1970, 1, 1, 0, 0, 1, 700_000, tzinfo=UTC)
    assert dict(second["unmapped"]) == {"agent.id": "7", "result.code": "1", "more.why": "w"}
    assert second["status_id"] == 2


def test_lists_and_texts_that_hold_json() -> None:
    vendor = """
provider = "V"
[[shapes]]
has = "v"
[shapes.system]
["*"]
table = "dns_activity"
["*".columns]
answers = "answers | items"
query_hostname = "asked | json 0.name"
src_ip = "more | json ip"
"""
    files = [("vendors/v.toml", vendor)]
    events = mapping.read(files)
    lines = [
        {"v": 1, "answers": ["a", "b"], "asked": [{"name": "n"}], "more": '{"ip": "10.0.0.1"}'},
        {"v": 1, "answers": ["a", 1], "asked": "no JSON", "more": {"ip": "10.0.0.1"}},
        {"v": 1, "answers": "a", "asked": []},
    ]
    made = [row for _, row in rows_of(lines, events, shapes.read([*files, REST]))]
    found = [(row.get("answers"), row.get("query_hostname"), row.get("src_ip")) for row in made]
    assert found == [(["a", "b"], "n", "10.0.0.1"), (["a", "1"], None, None), (["a"], None, None)]
    assert dict(made[0]["unmapped"]) == {
        "v": "1", "asked": '[{"name":"n"}]', "more": '{"ip": "10.0.0.1"}'
    }
    assert dict(made[1]["unmapped"]) == {
        "v": "1", "answers": '["a",1]', "asked": "no JSON", "more.ip": "10.0.0.1"
    }
    event = events.events["V", "*"]
    assert pairs(made[0], event)["answers"] == '["a","b"]'


def test_sections_share_sets_of_columns() -> None:
    loaded = mapping.read([("m.toml", """
        provider = "P"
        [1]
        table = "process_activity"
        with = ["who", "what"]
        [1.columns]
        proc_pid = "Id | hex"
        [2]
        table = "process_activity"
        with = "what"
        [sets.who]
        user_name = "Who"
        [sets.what]
        proc_pid = "Pid"
        proc_path = "Path"
    """)])
    assert dict(loaded.events["P", "1"].columns) == {
        "user_name": (Source("Who", "text"),),
        "proc_pid": (Source("Id", "hex"),),
        "proc_path": (Source("Path", "text"),),
    }
    assert set(loaded.events["P", "2"].columns) == {"proc_pid", "proc_path"}


def test_no_event_is_mapped_by_two_of_the_shipped_files() -> None:
    found: dict[tuple[str, str], str] = {}
    for path in sorted(FOLDER.glob("windows/*.toml")):
        for key in mapping.read([(path.name, path.read_text("utf-8"))]).events:
            assert key not in found, f"{key} stands in {path.name} and in {found[key]}"
            found[key] = path.name


HEADER = 'provider = "P"\n[1]\ntable = "process_activity"\n'


WHEN = 'provider = "P"\n["1 where  A = b"]\ntable = "process_activity"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("provider = \n", "m.toml: Invalid value"),
        ('[1]\ntable = "process_activity"\n', "line 1: [] provider: is missing"),
        ('provider = "P"\n[1]\ntable = "procs"\n',
         "line 3: [1] table: no table of events 'procs'"),
        ('provider = "P"\n[1]\ntable = "damage"\n', "no table of events 'damage'"),
        (HEADER + '[1.columns]\nproc_pth = "X"\n',
         "line 5: [1.columns] proc_pth: process_activity has no such column"),
        (HEADER + '[1.columns]\n\nproc_path = "X | upper"\n',
         "line 6: [1.columns] proc_path: no transform 'upper'"),
        (HEADER + '[1.columns]\nproc_path = "X | hex"\n', "hex cannot fill"),
        (HEADER + '[1.columns]\nproc_pid = "X | ip"\n', "ip cannot fill"),
        (HEADER + '[1.columns]\nproc_path = "X | hash sha512"\n', "'sha512' is none of"),
        (HEADER + '[1.columns]\nproc_path = "X | ip v4"\n', "ip takes no argument"),
        (HEADER + '[1.columns]\nproc_pid = "X | map m"\n', "the file has no [maps.m]"),
        (HEADER + '[1.columns]\nproc_pid = "X | map m"\n[maps.m]\na = "b"\n', "does not fit int64"),
        (HEADER + '[1.columns]\nproc_pid = "X | map m"\n[maps.m]\na = 1\nb = "c"\n', "[maps.m]"),
        (HEADER + "[1.columns]\nproc_pid = 7\n", "a field is a text, not 7"),
        (HEADER + "[1.columns]\nproc_pid = []\n", "names no field"),
        (HEADER + '[1.columns]\nproc_pid = ["A", "A"]\n', "names a field twice"),
        (HEADER + '[1.columns]\nproc_pid = ["A", "B"]\nparent_pid = ["B", "C"]\n'
         'exit_code = ["C", "A"]\n', "is the first choice of another column"),
        (HEADER + '[1.columns]\ntime = "X"\n', "is not for mappings to fill"),
        (HEADER + '[1.columns]\nlog_name = "X"\n', "is not for mappings to fill"),
        (HEADER + 'activity_id = "one"\n', "line 4: [1] activity_id: is not a whole number"),
        (HEADER + "activity_id = 40000\n", "does not fit 16 bits"),
        (HEADER + "proc_path = 1\n", "is not a text"),
        (HEADER + 'proc_path = ""\n', "is not a text"),
        (HEADER + 'proc_cmd_line = "x"\n', "has no such column of numbers or words"),
        (HEADER + 'log_name = "x"\n', "has no such column of numbers or words"),
        (HEADER + 'proc_path = "x"\n[1.columns]\nproc_path = "X"\n',
         "is a constant and a column"),
        (HEADER + '["2 1"]\ntable = "raw_event"\n',
         "line 4: [2 1] : 1 is mapped twice, also in m.toml [1]"),
        (HEADER + '["1 where A = b"]\ntable = "raw_event"\n',
         "line 4: [1 where A = b] : stands behind m.toml [1], which is for all 1"),
        (WHEN + '["2 1 where A = b"]\ntable = "raw_event"\n', "is mapped twice"),
        (WHEN.replace("= b", "is b"), "line 2: [1 where  A is b] : is not `<events> where"),
        (WHEN.replace("= b", "= b||c"), "is not `<events> where"),
        (HEADER + 'where = ["a = 1", "b = 2"]\n', "more conditions, and *, are for files with"),
        (HEADER + 'events = ["*"]\n', "more conditions, and *, are for files with"),
        (HEADER + 'events = []\n', "line 2: [1] : names no event"),
        (HEADER + "events = 1\n", "line 4: [1] events: is not a list of texts"),
        (HEADER + 'where = "a is 1"\n', "line 4: [1] where: is not `<field> = <value>|<value>`"),
        (HEADER + 'where = "a = *"\n', "line 4: [1] where: * is for files with [[shapes]]"),
        (WHEN.replace("A", "A.B"), "A.B: conditions cannot name nested fields"),
        (WHEN.replace("1 where", "where"), "names no event"),
        (HEADER + '[1.columns]\nproc_pid = "X | bits m"\n', "the file has no [maps.m]"),
        (HEADER + '[1.columns]\nproc_pid = "X | bits m"\n[maps.m]\nRead = 1\n',
         "line 7: [maps.m] Read: is no mask of 64 bits"),
        (HEADER + '[1.columns]\nproc_pid = "X | bits m"\n[maps.m]\n0x0 = 1\n', "is no mask"),
        (HEADER + '[1.columns]\nproc_created_time = "X | epoch h"\n', "no unit 'h'; there are s,"),
        (HEADER + '[1.columns]\nproc_path = "X | json a..b"\n', "is no path of at most 8 members"),
        (HEADER + '[1.columns]\nproc_path = "X | json"\n', "is no path of at most 8 members"),
        (HEADER + 'with = "s"\n', "line 4: [1] with: the file has no [sets.s]"),
        (HEADER + 'with = ["s"]\n[sets.s]\nproc_pth = "X"\n', "has no such column"),
        ('provider = "P"\nextra = 1\n', "is neither"),
        (HEADER + 'message = "a [b"\n', "line 4: [1] message: [ without its ]"),
    ],
)
def test_checker_says_where_and_what(text: str, says: str) -> None:
    with pytest.raises(MappingError) as raised:
        mapping.read([("m.toml", text)])
    assert str(raised.value).startswith("m.toml")
    assert says in str(raised.value)


REST = ("z.toml", "")


def test_shapes_are_tried_from_the_most_to_the_least_particular() -> None:
    counts = [len(shape.has) + bool(shape.each) for shape in shapes.load()]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('haz = ["a"]\n', "haz: is none of"),
        ("has = 1\n", "is not a text or a list of texts"),
        ('time = "t | moon"\n', "no clock 'moon'"),
        ('time = "t | local a"\n', "local takes 2 words, not 1"),
        ('time = "t | epoch h"\n', "no unit 'h'; there are s, ms"),
        ('provider = "V"\n[[shapes]]\nevent = "e"\n', "has: is missing"),
        ('provider = "V"\n[[shapes]]\nhas = "a"\nprovider = "e"\n', "provider: is none of"),
        ('provider = "V"\nshapes = 1\n', "is not a list of tables"),
        ('[system]\nproc_path = "x"\n', "line 2: [system] proc_path: is not a column"),
        ('[system]\ntime = "x"\n', "is not a column that a shape may fill"),
        ('[system]\nlog_name = "x"\nmessage = "x"\n', "x fills more than one column"),
        ('[system]\nevent_level = "x | map m"\n', "the file has no [maps.m]"),
    ],
)
def test_shape_checker_says_where_and_what(text: str, says: str) -> None:
    with pytest.raises(MappingError) as raised:
        shapes.read([("s.toml", text), REST])
    assert says in str(raised.value)


def test_there_must_be_a_shape_for_all_others() -> None:
    with pytest.raises(MappingError, match="no shape without"):
        shapes.read([("s.toml", 'has = ["a"]\n')])


def test_files_are_read_when_their_providers_are_asked_for() -> None:
    good = 'provider = "A"\n[1]\ntable = "raw_event"\n'
    files = mapping.Files([("a.toml", good), ("b.toml", 'provider = ["B", "C"]\n[1]\ntable = 1\n')])
    assert files["A", "1"].table == "raw_event"
    assert files.get(("A", "2")) is None
    assert files.get(("D", "1")) is None
    with pytest.raises(MappingError, match=r"b\.toml, line 3"):
        files.get(("C", "1"))
    over = mapping.Files([("a.toml", good), ("c.toml", good.replace("raw_event", "dns_activity"))])
    assert over["A", "1"].table == "dns_activity"
    assert dict(over) == {("A", "1"): over["A", "1"]}
    assert over.tables == {"raw_event", "dns_activity"}


def test_rows_carry_the_version_of_the_rules() -> None:
    assert mapping.load().version == normalize.MAPPING_VERSION
    assert set(mapping.load().tables) == {event.table for event in mapping.load().sections}
    with pytest.raises(AttributeError):
        _ = normalize.OTHER_VERSION  # type: ignore[attr-defined]
