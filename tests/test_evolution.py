"""A lake of an older version is read and grows; one of a newer version is refused."""

import json
from collections.abc import Mapping
from pathlib import Path

import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from small_lake import batch

from tracelake.analysis.session import Session
from tracelake.lake import commit as commit_module
from tracelake.lake import marker
from tracelake.lake import writer as writer_module
from tracelake.lake.errors import LakeError, NewerFormat
from tracelake.lake.lake import Lake
from tracelake.lake.rows import whole
from tracelake.lake.verify import verify
from tracelake.normalize import TABLES, Provenance, Table, fill
from tracelake.normalize.table import table as make

# Columns that the older version does not have yet; of those that keep statistics, too.
LATER = {
    "process_activity": ["proc_uid", "proc_ended_time", "proc_cmd_line", "unmapped", "labels"],
    "artifact": ["devices", "records"],
    "source": ["facts"],
}
TABLE = "process_activity"


def older(name: str) -> Table:
    """A table as an older version had it."""
    now = TABLES[name]
    gone = LATER.get(name, [])
    assert {*gone} <= {*now.columns}, "the columns are called otherwise by now"
    kept = [field for field in now.schema if field.name not in gone]
    return make(name, now.short, now.classes, now.doc, *kept)


OLDER = {name: older(name) for name in (TABLE, "artifact", "source")}
OLD_SCHEMAS = {name: table.schema for name, table in OLDER.items()}


def source(number: int) -> str:
    return f"{number:016x}" + "0" * 16


def commit(lake: Lake, tables: Mapping[str, Table], number: int, **values: object) -> None:
    """Commits a unit of one process."""
    unit = f"{source(number)[:16]}-0-evtx-1"
    who = Provenance("case", source(number), 0, "evtx", "1", "m")
    writer = lake.writer(unit)
    rows = batch(TABLE, [{"src_offset": number, "proc_path": f"p{number}", **values}])
    writer.write(TABLE, fill(tables[TABLE], rows, who))
    book = {"engagement_id": "case", "source_id": source(number), "artifact_no": 0, "unit": unit}
    for name in ("artifact", "source"):
        schema = tables[name].schema
        said = {name: value for name, value in book.items() if name in schema.names}
        writer.write(name, pa.RecordBatch.from_pylist([said], schema=schema))
    assert lake.commit([writer.close()]).landed == (unit,)


@pytest.fixture
def old_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake as version 1 of the format had it: all columns of the tables in all files."""
    with monkeypatch.context() as then:
        then.setattr(marker, "FORMAT", 1)
        then.setattr(writer_module, "writes", lambda _: False)
        lake = Lake.open(str(tmp_path), "case", create=True, schemas=OLD_SCHEMAS)
        commit(lake, OLDER, 1)
        commit(lake, OLDER, 2)
    for path in lake.snapshot().files(TABLE):
        assert pq.read_schema(path).names == OLDER[TABLE].columns
    return lake


def said_format(lake: Lake) -> int:
    found: int = json.loads((lake.root / marker.NAME).read_bytes())["format"]
    return found


def test_an_older_lake_is_read(old_lake: Lake) -> None:
    lake = Lake.open(old_lake.uri, "case")
    with Session(lake.snapshot()) as session:
        asked = f"SELECT proc_path, proc_uid, proc_ended_time, labels FROM {TABLE} ORDER BY 1"
        assert session.sql(asked).fetchall() == [
            ("p1", None, None, None), ("p2", None, None, None)
        ]
        asked = f"SELECT count(*) FROM {TABLE} WHERE proc_uid = 'x' OR proc_ended_time > now()"
        assert session.sql(asked).fetchall() == [(0,)]
        assert session.sql("SELECT count(*), count(devices) FROM artifact").fetchall() == [(2, 0)]
        names = session.sql(f"SELECT * EXCLUDE (row_id, host) FROM {TABLE}").columns
        assert names == TABLES[TABLE].columns
        assert len(session.sql("SELECT * FROM timeline").fetchall()) == 0
    assert [wrong for checked in verify(lake) for wrong in checked.wrong] == []
    assert said_format(lake) == 1, "nothing was written"


def test_an_older_lake_grows(old_lake: Lake) -> None:
    before = DeltaTable(str(old_lake.root / TABLE)).version()
    lake = Lake.open(old_lake.uri, "case", create=True)
    commit(lake, TABLES, 3, proc_uid="u3", labels=["a"], proc_path="p3")
    assert said_format(lake) == marker.FORMAT == 2
    table = DeltaTable(str(lake.root / TABLE))
    assert table.version() > before
    names = [field.name for field in table.schema().fields]
    assert names == OLDER[TABLE].columns + [n for n in TABLES[TABLE].columns if n in LATER[TABLE]]
    stats = table.metadata().configuration["delta.dataSkippingStatsColumns"].split(",")
    assert stats == TABLES[TABLE].marked("stats")
    rows = table.to_pyarrow_table().sort_by("src_offset")
    assert rows["proc_uid"].to_pylist() == [None, None, "u3"]
    scanned = polars.scan_delta(str(lake.root / TABLE)).select("proc_path", "labels")
    assert scanned.sort("proc_path").collect().rows() == [("p1", None), ("p2", None), ("p3", ["a"])]
    with Session(lake.snapshot()) as session:
        asked = f"SELECT proc_path FROM {TABLE} WHERE proc_uid = 'u3'"
        assert session.sql(asked).fetchall() == [("p3",)]
        asked = f"SELECT count(*) FROM {TABLE} WHERE proc_uid IS NULL"
        assert session.sql(asked).fetchall() == [(2,)]
    books = [lake.snapshot().artifact_rows(source(n))[0] for n in (1, 2, 3)]
    assert {tuple(sorted(book)) for book in books} == {tuple(sorted(TABLES["artifact"].columns))}
    assert [wrong for checked in verify(lake) for wrong in checked.wrong] == []
    # It goes on so: the schema is as it shall be, and is not written again.
    commit(lake, TABLES, 4)
    commit(Lake.open(lake.uri, "case"), TABLES, 5)
    assert DeltaTable(str(lake.root / TABLE)).version() == table.version() + 2


def test_versions_that_grow_a_lake_at_once(old_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process adds the columns between our look and our commit."""
    lake = Lake.open(old_lake.uri, "case")
    add = commit_module.Committer._add_columns
    others: list[Lake] = []

    def late(self: commit_module.Committer, table: str, *rest: object) -> bool:
        if table == TABLE and not others:
            others.append(Lake.open(old_lake.uri, "case"))
            commit(others[0], TABLES, 3)
        return add(self, table, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(commit_module.Committer, "_add_columns", late)
    commit(lake, TABLES, 4)
    assert DeltaTable(str(lake.root / TABLE)).to_pyarrow_table().num_rows == 4


def test_a_newer_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Lake.open(str(tmp_path), "case", create=True)
    monkeypatch.setattr(marker, "FORMAT", 1)
    with pytest.raises(NewerFormat, match="has format 2, this tracelake knows up to 1"):
        Lake.open(str(tmp_path), "case")


def test_columns_of_a_newer_version_are_refused(tmp_path: Path) -> None:
    """Whatever an older version answered would be without what they say."""
    newer = Lake.open(str(tmp_path), "case", create=True)
    commit(newer, TABLES, 1, proc_uid="u")
    then = Lake.open(str(tmp_path), "case", schemas=OLD_SCHEMAS)
    words = r"artifact: has columns that this tracelake does not know \(records.*: a newer one"
    with pytest.raises(NewerFormat, match=words):
        then.snapshot()
    before = DeltaTable(str(newer.root / TABLE)).version()
    with pytest.raises(NewerFormat, match=f"{TABLE}: has columns .*proc_uid.*a newer one"):
        commit(then, OLDER, 2)
    assert DeltaTable(str(newer.root / TABLE)).version() == before
    assert newer.snapshot().complete_units() == {f"{source(1)[:16]}-0-evtx-1"}


def test_tables_of_a_newer_version_are_refused(tmp_path: Path) -> None:
    commit(Lake.open(str(tmp_path), "case", create=True), TABLES, 1)
    books = {name: TABLES[name].schema for name in ("artifact", "source")}
    then = Lake.open(str(tmp_path), "case", schemas=books)
    with pytest.raises(NewerFormat, match=f"{TABLE}: is a table that .* does not know"):
        then.snapshot()


def test_other_types_are_refused(tmp_path: Path) -> None:
    commit(Lake.open(str(tmp_path), "case", create=True), TABLES, 1)
    schemas = {name: TABLES[name].schema for name in LATER}
    at = schemas[TABLE].get_field_index("proc_pid")
    schemas[TABLE] = schemas[TABLE].set(at, pa.field("proc_pid", pa.string()))
    other = Lake.open(str(tmp_path), "case", schemas=schemas)
    with pytest.raises(LakeError, match=r"column proc_pid is long in the lake and string here"):
        other.snapshot()


def test_rows_of_an_older_batch_are_made_whole() -> None:
    rows = pa.record_batch({"b": pa.array([1, 2], pa.int8())})
    schema = pa.schema([("a", pa.string()), ("b", pa.int8())])
    assert whole(rows, schema).to_pylist() == [{"a": None, "b": 1}, {"a": None, "b": 2}]
