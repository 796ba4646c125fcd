"""Sigma rules over the views `sigma.*`.

Two evaluators that share nothing must agree: `sigma_rules` writes SQL over our views,
`sigma_naive` reads what the Rust `evtx` package makes of the same logs.
"""

import gzip
import hashlib
import io
import json
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import evtx as rust
import pytest
import sigma_naive as naive
import sigma_rules
import yaml
from hypothesis import given
from hypothesis import strategies as st
from line import EVIDENCE, tracelake
from small_lake import SmallLake

from tracelake.analysis.session import Session
from tracelake.analysis.views import fields
from tracelake.lake.lake import Lake
from tracelake.normalize import codes, mapping, rebuild, sigma
from tracelake.normalize.section import Event, Source
from tracelake.normalize.transforms import TRANSFORMS

# ---- the evaluators against each other

CHARS = r"aB1-/\*?%_^'. " + "\n–ä"
TEXT = st.text(st.sampled_from(CHARS), max_size=8)
MODIFIERS = st.sampled_from([
    "", "|contains", "|startswith", "|endswith", "|contains|all", "|contains|windash",
    "|wide|base64offset|contains", "|base64offset|contains", "|base64|contains", "|cased",
    "|startswith|cased", "|windash|contains|all",
])


def agree(rule: dict[str, Any], event: dict[str, str | None]) -> bool:
    """What both evaluators say of an event with these fields."""
    whole = {"title": "t", "id": "1", "logsource": {"product": "windows"}, "detection": rule}
    columns = ", ".join(f"CAST(? AS VARCHAR) AS \"{name}\"" for name in event)
    view = sigma_rules.View({name: "VARCHAR" for name in event})
    where = sigma_rules.where(sigma_rules.Rule(Path(), whole), view)
    found = duckdb.execute(
        f"SELECT {where} FROM (SELECT {columns}, MAP {{'more': 'kept'}} AS unmapped)",
        list(event.values()),
    ).fetchone()
    assert found is not None
    record = {"System": {"EventID": 1}, "EventData": {**event, "more": "kept"}}
    parsed = naive.Event(record)
    values = {name: texts for name, texts in parsed.data.items() if name != "eventid"}
    assert found[0] == naive.compiled(whole)(parsed, values), (rule, event)
    return bool(found[0])


@given(TEXT | st.none(), TEXT, MODIFIERS)
def test_values(text: str | None, value: str, modifiers: str) -> None:
    many = modifiers.endswith("|all")
    if re.search(r"base64|wide", modifiers):
        # What is encoded is text: a wildcard in it has no meaning. Of less than three bytes,
        # base64 shows nothing that is the same everywhere.
        value = re.sub(r"[*?\\–ä]", "", value) + "abc"
    agree({"s": {f"Field{modifiers}": [value, "a"] if many else value}, "condition": "s"},
          {"Field": text})


@given(TEXT, st.booleans())
def test_what_a_pattern_is_made_of_matches_it(text: str, other: bool) -> None:
    escaped = re.sub(r"([*?\\])", r"\\\1", text)
    assert agree({"s": {"Field": escaped}, "condition": "s"}, {"Field": text})
    assert agree({"s": {"Field|contains": escaped}, "condition": "s"}, {"Field": f"<{text}>"})
    assert agree({"s": {"Field": f"?{escaped}*"}, "condition": "s"},
                 {"Field": f"x{text}{'y' * other}"})


NAMES = ["s_a", "s_b", "f_c"]
CONDITION = st.recursive(
    st.sampled_from([*NAMES, "1 of s_*", "all of s_*", "1 of them", "all of them", "any of f_*"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
        inner.map(lambda text: f"({text})"), inner.map(lambda text: f"not ({text})"),
        st.sampled_from(NAMES).map(lambda name: f"not {name}"),
    ),
    max_leaves=6,
)


@given(CONDITION, st.lists(st.sampled_from(["x", "y", None]), min_size=3, max_size=3))
def test_conditions(condition: str, values: list[str | None]) -> None:
    searches: dict[str, Any] = {name: {name: "x"} for name in NAMES}
    agree(searches | {"condition": condition}, dict(zip(NAMES, values, strict=True)))


@pytest.mark.parametrize(("search", "event", "expected"), [
    ({"A": None}, {"A": None}, True),
    ({"A": None}, {"A": ""}, False),
    ({"A": ""}, {"A": ""}, True),
    ({"A": ""}, {"A": None}, False),
    ({"A": ["x", None]}, {"A": None}, True),
    ({"A|exists": True}, {"A": "x"}, True),
    ({"Gone|exists": True}, {"A": "x"}, False),
    ({"Gone|exists": False}, {"A": "x"}, True),
    ({"more": "kept"}, {"A": None}, True),
    ({"A|re": "^a.c$"}, {"A": "abc"}, True),
    ({"A|re": "^A.c$"}, {"A": "abc"}, False),
    ({"A|re|i": "^A.c$"}, {"A": "abc"}, True),
    ({"A|re": "a.c"}, {"A": "a\nc"}, False),
    ({"A|re|s": "a.c"}, {"A": "a\nc"}, True),
    ({"A|re|m": "^c"}, {"A": "a\nc"}, True),
    ({"A|cidr": "10.0.0.0/8"}, {"A": "10.200.3.4"}, True),
    ({"A|cidr": "10.0.0.0/8"}, {"A": "11.0.0.0"}, False),
    ({"A|cidr": "10.0.0.0/8"}, {"A": "-"}, False),
    ({"A|cidr": "fc00::/7"}, {"A": "fd12:3456::1"}, True),
    ({"A|cidr": "fe80::/10"}, {"A": "fec0::1"}, False),
    ({"A|cidr": "::1/128"}, {"A": "::1"}, True),
    ({"A|cidr": ["127.0.0.0/8", "::1/128"]}, {"A": "0:0:0:0:0:0:0:1"}, True),
    ({"A|lt": 10}, {"A": "9"}, True),
    ({"A|gte": 10}, {"A": "9"}, False),
    ({"A|gt": 10}, {"A": "-"}, False),
    ({"A|fieldref": "B"}, {"A": "X", "B": "x"}, True),
    ({"A|fieldref": "B"}, {"A": "X", "B": "y"}, False),
    ({"A": 7}, {"A": "7"}, True),
    ({"A": True}, {"A": "true"}, True),
    ({"A|contains|windash": " -enc "}, {"A": "p /enc x"}, True),
    ({"A|contains|windash": " -enc "}, {"A": "p -enc x"}, True),
    ({"A|contains|windash": " -enc "}, {"A": "p xenc x"}, False),
    # "echo" in the middle of a text: the three ways in which base64 can show it.
    ({"A|base64offset|contains": "echo test"}, {"A": "ZWNobyB0ZXN0Cg=="}, True),
    ({"A|base64offset|contains": "echo test"}, {"A": "IGVjaG8gdGVzdA=="}, True),
    ({"A|base64offset|contains": "echo test"}, {"A": "eHhlY2hvIHRlc3Q="}, True),
    ({"A|wide|base64offset|contains": "echo"}, {"A": "eABlAGMAaABvAA=="}, True),
    (["x", "key"], {"A": "a keyword", "B": "c"}, True),
    (["word a"], {"A": "key word", "B": "a"}, False),
    ([{"A": "x"}, {"B": "c"}], {"A": "y", "B": "c"}, True),
    ({"|all": ["key", "word"]}, {"A": "word", "B": "key"}, True),
])  # fmt: skip
def test_searches(search: Any, event: dict[str, str | None], expected: bool) -> None:
    assert agree({"s": search, "condition": "s"}, event) is expected
    assert agree({"s": search, "condition": "not s"}, event) is not expected


@pytest.mark.parametrize("text", [
    "s | count() > 5", "s and", "(s", "s s", "unknown", "1 of", "1 s",
])
def test_conditions_that_are_refused(text: str) -> None:
    with pytest.raises(sigma_rules.Unsupported):
        sigma_rules.Condition(text, {"s": "true"}).sql()


# ---- the way back of a transform, in SQL and in Python

SAMPLES: dict[str, tuple[str, list[str]]] = {
    "text": ("proc_path", ["C:\\a b", "-"]),
    "number": ("proc_pid", ["0", "4711"]),
    "hex": ("proc_pid", ["0x0", "0x1a4", "0x7fffffffffffffff"]),
    "signed_hex": ("proc_path", ["-9223372036854775808", "-1", "5"]),
    "truth": ("module_signed", ["true", "false"]),
    "time": ("file_created_time", ["2020-09-14T12:13:09.1234560Z", "1601-01-01T00:00:00.0000000Z"]),
    "epoch": ("file_created_time", ["1600085589123", "0", "-1"]),
    "decimal": ("duration_s", ["0.25", "10.0"]),
    "path_join": ("proc_path", ["C:\\a\\b.exe"]),
    "items": ("answers", ['["a","b \u00e9"]', '["x"]']),
    "utc_ms": ("file_created_time", ["2020-09-14 12:13:09.123"]),
    "ip": ("proc_path", ["10.0.0.1", "fe80::1"]),
    "guid": ("proc_path", ["{747f3d96-9acd-61af-d301-000000000102}"]),
    "guid_upper": ("proc_path", ["{747F3D96-9ACD-61AF-D301-000000000102}"]),
    "sid": ("proc_path", ["S-1-5-18"]),
    "logon_id": ("proc_path", ["0x3e7"]),
    "account": ("proc_path", ["bob"]),
    "reg_value": ("proc_path", ["name"]),
    "map": ("event_level", ["one", "two"]),
    "list": ("answers", ["a;b;", "a;", ""]),
    "dns_answers": ("answers", ["1.2.3.4;b.example;"]),
    "split": ("answers", ["SeDebugPrivilege\r\n\t\t\tSeTcbPrivilege", "SeDebugPrivilege"]),
    "param": ("proc_path", ["%%1833", "%%1842", "%%1936", "no code"]),
    "digest": ("proc_path", ["AB01"]),
}
"""Transform -> a column that it can fill, and texts that such a column holds exactly."""
OWN_TESTS = {"domain", "hash", "reg_key"}
"""Transforms whose columns hold parts of a field: in the events below."""


def filled(way: str, text: str) -> Any:
    """What the transform makes of a text, for the texts in SAMPLES."""
    match way:
        case "number":
            return int(text)
        case "decimal":
            return float(text)
        case "hex":
            return int(text, 16)
        case "signed_hex":
            return hex(int(text) % (1 << 64))
        case "truth":
            return text == "true"
        case "time":
            return datetime.strptime(text[:-2], "%Y-%m-%dT%H:%M:%S.%f").replace(tzinfo=UTC)
        case "epoch":
            return datetime.fromtimestamp(int(text) / 1000, UTC)
        case "items":
            return json.loads(text)
        case "utc_ms":
            return datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
        case "guid_upper" | "digest":
            return text.lower()
        case "map":
            return {"one": 1, "two": 2}[text]
        case "list" | "dns_answers":
            return text.split(";")[:-1]
        case "split":
            return text.split()
        case "param":
            return codes.parameter(text)
        case _:
            return text


@pytest.mark.parametrize("way", [name for name, how in TRANSFORMS.items()
                                 if not how.derived and name not in OWN_TESTS])
def test_every_transform_has_its_inverse_in_sql(way: str) -> None:
    column, texts = SAMPLES[way]
    argument = "ms" if way == "epoch" else ""
    values = (("one", 1), ("two", 2), ("uno", 1)) if way == "map" else ()
    source = Source("F", way, argument, values)
    sql = fields.inverse(column, source)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for text in texts:
        value = filled(way, text)
        assert rebuild._inverse(source, value) == text
        (back,) = connection.execute(f'SELECT {sql} FROM (SELECT ? AS "{column}")', [value]
                                     ).fetchone()
        assert back == text


# ---- every field of every event, under its own name


def events(path: Path) -> Iterator[naive.Event]:
    """A log as the Rust package reads it. What it refuses is not compared here."""
    records = rust.PyEvtxParser(io.BytesIO(path.read_bytes())).records_json()
    while True:
        try:
            record = next(records)
        except StopIteration:
            return
        except RuntimeError:
            continue
        yield naive.Event(json.loads(record["data"])["Event"])


class Logs:
    """Logs in a lake, and the same logs as the witness reads them."""

    def __init__(self, paths: list[Path], lake: Path) -> None:
        self.lake = lake
        self.events: dict[tuple[str, int], list[naive.Event]] = defaultdict(list)
        self.names: dict[str, str] = {}
        for path in paths:
            source = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
            if source not in self.names:
                self.names[source] = path.name
                for event in events(path):
                    event.source = source
                    self.events[source, event.record_id].append(event)
        tracelake("ingest", *paths, "-e", "t", "--lake", lake)

    def session(self) -> Session:
        return Session(Lake.open(str(self.lake), "t").snapshot())


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Logs:
    folder = tmp_path_factory.mktemp("logs")
    for path in sorted((EVIDENCE / "logs").iterdir()):
        if path.name.endswith(".tar.gz"):
            with tarfile.open(path) as archive:
                archive.extractall(folder / path.stem)
        else:
            data = path.read_bytes()
            (folder / path.name.removesuffix(".gz")).write_bytes(
                gzip.decompress(data) if path.suffix == ".gz" else data
            )
    return Logs(sorted(folder.rglob("*.evtx")), tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module")
def large(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Logs:
    folders = (shared / "evtx", shared / "oracles" / "sigma-regression")
    paths = [path for folder in folders for path in sorted(folder.rglob("*.evtx"))]
    return Logs(paths, tmp_path_factory.mktemp("lake"))


# The package writes GUIDs without braces, in upper case, and cuts times to microseconds.
GUID = re.compile(r"\{?[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?")


def plain(text: str) -> str:
    if GUID.fullmatch(text):
        return text.strip("{}").lower()
    return re.sub(r"(\.\d{6})\d?Z$", r"\1Z", text)


# Names that an event's own field shares with what every event has: `fields` has both.
SHARED_NAMES = {"channel", "task", "version", "level", "message", "keywords", "userid"}


def differences(row: dict[str, Any], data: naive.Values) -> list[tuple[str, str, str]]:
    """(field, in the view, in the log) wherever a row of a view says something else."""
    columns = {name.lower(): value for name, value in row.items()}
    rest = {name.lower().replace(" ", ""): text for name, text in (row["unmapped"] or {}).items()}
    found = []
    for name, texts in data.items():
        value = columns.get(name, rest.get(name)) if name in columns else rest.get(name)
        wanted = "\n".join(texts) if name == "data" else texts[0] if texts else ""
        mine = "" if value is None else str(value)
        if plain(mine) != plain(wanted):
            found.append((name, mine, wanted))
    return found


def check_evtx(logs: Logs, at_least: int) -> None:
    compared = 0
    with logs.session() as session:
        relation = session.sql("SELECT e.*, f.fields FROM sigma.evtx AS e "
                               "JOIN sigma.evtx_fields AS f USING (row_id)")
        while rows := relation.fetchmany(1000):
            for values in rows:
                row = dict(zip(relation.columns, values, strict=True))
                # A log may hold the same number twice; one of them is this one.
                possible = logs.events.get((row["source_id"], row["EventRecordID"]), ())
                wrong = [
                    differences(row, {name: texts for name, texts in event.data.items()
                                      if name not in SHARED_NAMES})
                    for event in possible
                ]
                assert not wrong or [] in wrong, (logs.names[row["source_id"]], row, wrong)
                compared += bool(wrong)
                if wrong:
                    whole = {name.lower().replace(" ", "") for name in row["fields"] or ()}
                    event = possible[wrong.index([])]
                    own = {name for name in event.data if event.data[name] != [""]}
                    own -= {"eventid", "provider_name", "computer", "level", "message", "channel"}
                    assert own <= whole, own - whole
    assert compared >= at_least


def check_categories(logs: Logs) -> Counter[str]:
    """Every category has the witness's events, and of each the fields that it says."""
    found: Counter[str] = Counter()
    with logs.session() as session:
        for category, alias in sigma.CATEGORIES.items():
            if not isinstance(alias, sigma.Category):
                continue
            own = naive.applies({"category": category})
            wanted = Counter(
                (key, event.code) for key, events in logs.events.items() for event in events
                if own(event) is not None
            )
            relation = session.sql(f"SELECT * FROM sigma.{category}")
            for values in relation.fetchall():
                row = dict(zip(relation.columns, values, strict=True))
                key = (row["source_id"], row["EventRecordID"])
                if key not in logs.events:
                    continue
                possible = [v for e in logs.events[key] if (v := own(e)) is not None]
                if not possible:
                    # Other logs' events that mean the same (4689 ends a process, too).
                    assert "Sysmon" not in row["Provider_Name"], (category, row)
                    continue
                wanted[key, row["EventID"]] -= 1
                found[category] += 1
                wrong = [differences(row, fields_of(category, row, data)) for data in possible]
                assert [] in wrong, (category, row, wrong)
    missing = +wanted
    assert not missing, missing
    return found


def fields_of(category: str, row: dict[str, Any], data: naive.Values) -> naive.Values:
    """The fields that a category's row must show as the log does."""
    if row["EventID"] == 4688:
        # Under Sysmon's names, and of who the process runs as: see normalization.md 4.1.
        data = {name: data[name] for name in ("image", "commandline", "parentimage",
                                              "integritylevel", "computer") if name in data}
    return {name: texts for name, texts in data.items()
            if name not in SHARED_NAMES or name == "version"}


def test_every_field_of_committed_logs(committed: Logs) -> None:
    check_evtx(committed, 7_000)


def test_categories_of_committed_logs(committed: Logs) -> None:
    found = check_categories(committed)
    assert found["process_creation"] > 500


def test_every_field_of_shared_logs(large: Logs) -> None:
    check_evtx(large, 29_000)


def test_categories_of_shared_logs(large: Logs) -> None:
    found = check_categories(large)
    assert len(found) >= 16


# ---- rules


def search(logs: Logs, rules: list[sigma_rules.Rule]) -> Counter[tuple[str, str, int]]:
    """(rule, source, record number) of every hit, from our views, among the records that the
    witness reads as well."""
    found: Counter[tuple[str, str, int]] = Counter()
    by_view: dict[str, list[sigma_rules.Rule]] = defaultdict(list)
    for rule in rules:
        by_view[rule.view].append(rule)
    with logs.session() as session:
        for name, members in by_view.items():
            described = session.sql(f"DESCRIBE {name}").fetchall()
            view = sigma_rules.View({column: kind for column, kind, *_ in described})
            # Together they cost a seventh of what they cost one by one.
            for start in range(0, len(members), 50):
                part = members[start : start + 50]
                listed = ", ".join(
                    f"CASE WHEN {sigma_rules.where(rule, view)} THEN {number} END"
                    for number, rule in enumerate(part)
                )
                # Not filtered in SQL: that would be done once more for each of 20 tables.
                hits = session.sql(
                    f'SELECT source_id, "EventRecordID", '
                    f"list_filter([{listed}], lambda n: n IS NOT NULL) FROM {name}"
                ).fetchall()
                for source, record, numbers in hits:
                    for number in numbers if (source, record) in logs.events else ():
                        found[part[number].id, source, record] += 1
    return found


def witness(logs: Logs, rules: list[sigma_rules.Rule]) -> Counter[tuple[str, str, int]]:
    """The same from the naive evaluator."""
    every = [event for events in logs.events.values() for event in events]
    return Counter(
        (str(rule["id"]), event.source, event.record_id)
        for rule, event in naive.hits([rule.content for rule in rules], every)
    )


OWN_RULES = """
id: logon
title: a logon over the network
logsource: {product: windows, service: security}
detection:
    logon: {EventID: 4624, LogonType: [3, 10]}
    filter: {IpAddress: ['-', '127.0.0.1', null], SubjectUserSid: S-1-0-0}
    condition: logon and not filter
---
id: process
title: a process out of the system's folder
logsource: {product: windows, category: process_creation}
detection:
    image: {Image|startswith: 'C:\\Windows\\System32\\', Image|endswith: '.exe'}
    parent: {ParentImage|contains: ['\\services', '\\cmd']}
    condition: all of them
---
id: keyword
title: a word anywhere
logsource: {product: windows, service: system}
detection:
    keywords: ['service', 'driver']
    condition: keywords
---
id: anything
title: an event that no mapping knows
logsource: {product: windows}
detection:
    s: {EventID|gte: 1, Provider_Name|contains: Microsoft}
    f: {Channel: Security}
    condition: s and not f
"""


def own_rules() -> list[sigma_rules.Rule]:
    return [sigma_rules.Rule(Path("own"), one) for one in yaml.safe_load_all(OWN_RULES)]


def test_own_rules_over_committed_logs(committed: Logs) -> None:
    found = search(committed, own_rules())
    assert found == witness(committed, own_rules())
    hits = Counter(rule for rule, _, _ in found.elements())
    assert hits["process"] > 10
    assert hits["logon"] == 3


def test_the_pairs_of_sigmahq_fire(large: Logs, shared: Path) -> None:
    rules = {rule.id: rule for rule in sigma_rules.rules(shared / "sigma")}
    logs = sorted((shared / "oracles" / "sigma-regression").rglob("*.evtx"))
    assert len(logs) == 50
    found = search(large, [rules[log.stem] for log in logs])
    fired = {(rule, source) for rule, source, _ in found}
    for log in logs:
        assert (log.stem, hashlib.sha256(log.read_bytes()).hexdigest()[:32]) in fired, log


def test_all_rules_of_sigmahq_over_all_logs(large: Logs, shared: Path) -> None:
    rules = list(sigma_rules.rules(shared / "sigma"))
    assert len(rules) > 1_500
    mine, theirs = search(large, rules), witness(large, rules)
    names = {rule.id: rule.path.name for rule in rules}
    wrong = [(names[rule], large.names[source], record)
             for rule, source, record in ((mine - theirs) + (theirs - mine))]
    assert not wrong, wrong[:20]
    assert len({rule for rule, _, _ in mine}) > 150


# ---- what a log does not hold a sample of


def test_sections_for_one_event_in_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                             ) -> None:
    text = """
provider = "P"
["1 where Kind = a|b"]
table = "process_activity"
["1 where Kind = a|b".columns]
proc_path = "Alpha"
["1 where Kind != c"]
table = "file_activity"
["1 where Kind != c".columns]
file_path = "Alpha"
[1]
table = "process_activity"
[1.columns]
proc_path = "Beta"
"""
    monkeypatch.setattr("tracelake.analysis.views.evtx.load",
                        lambda: mapping.read([("p.toml", text)]))
    lake = SmallLake(str(tmp_path))
    head = {"log_provider": "P", "event_code": "1", "log_name": "L"}
    lake.write("process_activity", [
        {**head, "proc_path": "x", "unmapped": [("Kind", "b")]},
        {**head, "proc_path": "y", "unmapped": [("Kind", "c")], "src_offset": 1},
    ])
    lake.write("file_activity", [
        {**head, "file_path": "z", "unmapped": [("Kind", "d")], "src_offset": 2},
    ])
    with Session(lake) as session:
        found = session.sql(
            "SELECT \"Alpha\", \"Beta\", fields FROM sigma.evtx JOIN sigma.evtx_fields "
            "USING (row_id) ORDER BY fields['Kind']"
        ).fetchall()
    assert found == [
        ("x", None, {"Alpha": "x", "Kind": "b"}), (None, "y", {"Beta": "y", "Kind": "c"}),
        ("z", None, {"Alpha": "z", "Kind": "d"}),
    ]


def test_a_default_says_nothing_of_its_field() -> None:
    event = Event("P", "1", "process_activity", {"activity_id": 99},
                  {"activity_id": (Source("Type", "map", "kind", (("start", 1), ("other", 99))),)})
    sql = fields.held(event)["Type"]
    assert duckdb.execute(f"SELECT {sql} FROM (SELECT 1 AS activity_id)").fetchone() == ("start",)
    assert duckdb.execute(f"SELECT {sql} FROM (SELECT 99 AS activity_id)").fetchone() == (None,)


def test_a_cleared_log_is_the_channel_of_the_rule(tmp_path: Path) -> None:
    lake = SmallLake(str(tmp_path))
    lake.write("raw_event", [
        {"log_provider": "Microsoft-Windows-Eventlog", "event_code": "104", "log_name": "System",
         "unmapped": [("Channel", "Security")]},
        {"log_provider": "x", "event_code": "1", "log_name": "System", "src_offset": 1},
    ])
    with Session(lake) as session:
        query = 'SELECT "Channel" FROM {} ORDER BY "EventID"'
        assert session.sql(query.format("sigma.system")).fetchall() == [("System",), ("Security",)]
        assert session.sql(query.format("sigma.evtx")).fetchall() == [("System",), ("System",)]


def test_names_with_blanks_and_in_any_case(tmp_path: Path) -> None:
    lake = SmallLake(str(tmp_path))
    lake.write("raw_event", [
        {"log_provider": "x", "event_code": "1", "log_name": "L",
         "unmapped": [("New Value", "a"), ("LogonID", "0x1"), ("param1", "p"), ("Data", "1"),
                      ("Data[2]", "2")]},
    ])
    with Session(lake) as session:
        found = session.sql(
            'SELECT "New Value", "NewValue", "New_Value", "LogonId", "Param1", "Data" '
            "FROM sigma.evtx"
        ).fetchall()
    assert found == [("a", "a", "a", "0x1", "p", "1\n2")]
