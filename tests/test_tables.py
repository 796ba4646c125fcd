"""The tables: their types, their names elsewhere, and how batches are completed."""

import json
from collections import Counter
from pathlib import Path

import deltalake
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ocsf_schema import Ocsf
from small_lake import PROVENANCE, SOURCE, batch

from tracelake.normalize import TABLES, Table, complete, ocsf, sigma, zeek
from tracelake.normalize.column import WORD, note
from tracelake.normalize.complete import ROWS
from tracelake.normalize.ddl import documents, duckdb_type, schema_sql

ROOT = Path(__file__).resolve().parent.parent
EVENTS = [table for table in TABLES.values() if table.is_events]
named = pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
of_events = pytest.mark.parametrize("table", EVENTS, ids=lambda table: table.name)


@pytest.fixture(scope="session")
def ocsf_schema(shared: Path) -> Ocsf:
    return Ocsf(shared / "ocsf" / "schema-1.8.0")


WHOLE = {"integer_t", "long_t"}
OCSF_TYPES = {
    "VARCHAR": {"string_t", "json_t", "reg_key_path_t"}, "TINYINT": WHOLE, "SMALLINT": WHOLE,
    "INTEGER": WHOLE, "BIGINT": WHOLE, "DOUBLE": {"float_t"}, "BOOLEAN": {"boolean_t"},
    "TIMESTAMPTZ": {"timestamp_t"},
}


def repeated(names: list[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


@named
def test_delta_can_hold_every_type(table: Table) -> None:
    delta = deltalake.Schema.from_arrow(table.schema)
    assert [field.name for field in delta.fields] == table.columns
    for field in table.schema:
        # Neither unsigned nor nanoseconds: Delta would silently read them as something else.
        assert "uint" not in str(field.type)
        assert "ns" not in str(field.type).replace("transaction", "")


@named
def test_every_column_says_what_it_is(table: Table) -> None:
    for field in table.schema:
        meaning = note(field, "doc")
        assert meaning, f"{table.name}.{field.name}"
        assert "\n" not in meaning


def test_citations_tell_tables_apart() -> None:
    shorts = [table.short for table in TABLES.values()]
    assert not repeated(shorts)
    assert all(short.isalnum() and short == short.lower() for short in shorts)


@of_events
def test_row_id_columns_are_required(table: Table) -> None:
    for name in ("engagement_id", "source_id", "artifact_no", "src_offset", "sub"):
        assert not table.schema.field(name).nullable


@of_events
def test_ocsf_paths_exist_and_are_told_apart(table: Table, ocsf_schema: Ocsf) -> None:
    for uid in table.classes:
        paths = []
        for field in table.schema:
            path = ocsf.path_of(field, uid)
            if path is None:
                continue
            paths.append(path)
            found = ocsf_schema.find(uid, path)
            assert found is not None, f"{table.name}.{field.name}: {path} is not in {uid}"
            if path != "unmapped":
                is_object = found.get("object_type") is not None
                assert not is_object, f"{table.name}.{field.name}: {path} is an object"
                kind = field.type.value_type if pa.types.is_list(field.type) else field.type
                stored = note(field, "ocsf.as") or duckdb_type(kind)
                theirs = ocsf_schema.base_type(found)
                assert theirs in OCSF_TYPES[stored], f"{table.name}.{field.name}: {theirs}"
                if found.get("is_array") or path.endswith("[]"):
                    assert pa.types.is_list(field.type), f"{table.name}.{field.name}"
        assert not repeated(paths)


def test_ocsf_classes_have_their_names(ocsf_schema: Ocsf) -> None:
    for uid, name in ocsf.CLASSES.items():
        found = ocsf_schema.by_uid[uid].replace("actvity", "activity")
        assert found == name
    assert {uid for table in EVENTS for uid in table.classes} == set(ocsf.CLASSES)


@of_events
def test_a_name_elsewhere_is_one_column(table: Table) -> None:
    for key in ("ecs", "zeek"):
        found = [value for field in table.schema if (value := note(field, key))]
        assert not repeated([value.lower() for value in found])


@pytest.mark.parametrize("category", sigma.CATEGORIES)
def test_a_sigma_name_is_one_column(category: str) -> None:
    alias = sigma.CATEGORIES[category]
    fields = TABLES[alias.table].schema
    found = [name.lower() for field in fields for name in sigma.names(field, category)]
    assert not repeated(found)


def test_sigma_categories_of_columns_exist() -> None:
    known = set(sigma.CATEGORIES) | {"*", "smb"}
    for table in EVENTS:
        for field in table.schema:
            for key in field.metadata:
                kind, _, category = key.decode().partition(".")
                if kind == "sigma":
                    assert category in known, f"{table.name}.{field.name}: {category}"


@pytest.mark.parametrize("log", ["conn", "dns"])
def test_zeeks_own_logs_have_a_column_for_every_field(log: str, shared: Path) -> None:
    alias = zeek.LOGS[log]
    ours = {note(field, "zeek") for field in TABLES[alias.table].schema} | set(alias.computed)
    theirs: set[str] = set()
    logs = sorted((shared / "oracles" / "zeek-logs").rglob(f"{log}.log"))
    assert logs
    for path in logs:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line, _ in zip(lines, range(50), strict=False):
                theirs |= json.loads(line).keys()
    assert not theirs - ours


@pytest.mark.parametrize("name", ["schema.sql", "tables.md", "events.md", "vendors.md"])
def test_committed_documents_are_the_generated_ones(name: str) -> None:
    committed = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert committed == documents()[name], "run `make docs`"


def test_the_ddl_is_what_duckdb_reads_from_our_files(tmp_path: Path) -> None:
    connection = duckdb.connect()
    connection.execute(schema_sql(TABLES))
    for table in TABLES.values():
        path = str(tmp_path / f"{table.name}.parquet")
        with pq.ParquetWriter(path, table.schema) as writer:
            writer.write_table(table.schema.empty_table())
        declared = connection.execute(f"DESCRIBE {table.name}").fetchall()
        read = connection.execute(f"DESCRIBE SELECT * FROM '{path}'").fetchall()
        types = [(name, kind.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ"))
                 for name, kind, *_ in read]
        assert [(name, kind.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ"))
                for name, kind, *_ in declared] == types
        assert types == [(f.name, duckdb_type(f.type)) for f in table.schema]


@of_events
def test_complete_gives_the_whole_schema(table: Table) -> None:
    whole = complete(table, batch(table.name, [{"src_offset": 5}, {"src_offset": 9}]), PROVENANCE)
    whole.validate(full=True)
    assert whole.schema.equals(table.schema, check_metadata=True)
    first = whole.slice(0, 1).to_pylist()[0]
    given = {name for name, value in first.items() if value is not None}
    expected = {
        "engagement_id", "source_id", "artifact_no", "parser", "parser_version",
        "mapping_version", "sub", "src_offset",
    }
    if table.class_uid is not None:
        expected |= {"class_uid", "category_uid"}
    assert given == expected
    assert first["source_id"] == SOURCE
    assert first["class_uid"] == table.class_uid


def test_books_are_completed_too() -> None:
    rows = pa.record_batch(
        {"what": pa.array(["record"]).dictionary_encode(), "src_offset": pa.array([4096])}
    )
    whole = complete(TABLES["damage"], rows, PROVENANCE)
    assert whole.to_pylist() == [
        {
            "engagement_id": "demo", "source_id": SOURCE, "artifact_no": 0, "src_offset": 4096,
            "src_length": None, "parser": "evtx", "what": "record", "why": None, "raw": None,
        }
    ]


def test_type_uid_follows_class_and_activity() -> None:
    rows = [{"activity_id": 1}, {"activity_id": None}, {"activity_id": 2}]
    made = batch("dns_activity", [{"src_offset": 0} | row for row in rows])
    whole = complete(TABLES["dns_activity"], made, PROVENANCE)
    assert whole.column("type_uid").to_pylist() == [400301, None, 400302]
    assert whole.column("category_uid").to_pylist() == [4, 4, 4]


def test_rows_may_say_their_own_class() -> None:
    rows = [
        {"src_offset": 0, "class_uid": 201001, "activity_id": 4},
        {"src_offset": 1, "class_uid": 205005, "activity_id": 1},
        {"src_offset": 2, "class_uid": None, "activity_id": 1},
    ]
    made = batch("registry_activity", rows)
    whole = complete(TABLES["registry_activity"], made, PROVENANCE)
    assert whole.column("class_uid").to_pylist() == [201001, 205005, None]
    assert whole.column("category_uid").to_pylist() == [1, 5, None]
    assert whole.column("type_uid").to_pylist() == [20100104, 20500501, None]


def test_a_column_the_table_lacks_is_refused() -> None:
    strange = pa.record_batch({"src_offset": pa.array([0]), "no_such": pa.array(["x"])})
    with pytest.raises(ValueError, match="no_such"):
        complete(TABLES["dns_activity"], strange, PROVENANCE)
    twice = pa.RecordBatch.from_arrays(
        [pa.array([0]), pa.array([1])], names=["src_offset", "src_offset"]
    )
    with pytest.raises(ValueError, match="twice"):
        complete(TABLES["dns_activity"], twice, PROVENANCE)


def test_a_row_without_its_place_is_refused() -> None:
    lacking = pa.record_batch({"query_hostname": pa.array(["a"])})
    with pytest.raises(ValueError, match="src_offset"):
        complete(TABLES["dns_activity"], lacking, PROVENANCE)
    null = pa.record_batch({"src_offset": pa.array([0, None], pa.int64())})
    with pytest.raises(ValueError, match="src_offset: 1 rows"):
        complete(TABLES["dns_activity"], null, PROVENANCE)


def test_a_value_that_does_not_fit_is_refused() -> None:
    wide = pa.record_batch({"src_offset": pa.array([0]), "status_id": pa.array([300])})
    with pytest.raises(pa.ArrowInvalid):
        complete(TABLES["dns_activity"], wide, PROVENANCE)


def test_plain_text_becomes_a_dictionary_where_the_schema_says_so() -> None:
    plain = pa.record_batch({"src_offset": pa.array([0]), "query_hostname": pa.array(["a.b"])})
    whole = complete(TABLES["dns_activity"], plain, PROVENANCE)
    assert whole.schema.field("query_hostname").type == WORD
    assert whole.column("query_hostname").to_pylist() == ["a.b"]


def test_a_full_batch_costs_no_memory() -> None:
    """Constants and absent columns share buffers that are made once."""
    table = TABLES["network_activity"]
    made = pa.record_batch({"src_offset": pa.array(range(ROWS), pa.int64())})
    complete(table, made, PROVENANCE)
    before = pa.total_allocated_bytes()
    whole = complete(table, made, PROVENANCE)
    assert pa.total_allocated_bytes() - before < 4096
    assert whole.num_rows == ROWS


@pytest.mark.parametrize("rows", [0, 1, ROWS, ROWS + 1])
def test_any_number_of_rows_is_written_and_read_back(rows: int, tmp_path: Path) -> None:
    made = pa.record_batch({"src_offset": pa.array(range(rows), pa.int64())})
    whole = complete(TABLES["process_activity"], made, PROVENANCE)
    path = tmp_path / "file.parquet"
    with pq.ParquetWriter(path, whole.schema) as writer:
        writer.write_batch(whole)
    found = duckdb.sql(
        "SELECT count(*), count(DISTINCT source_id), count(proc_path), max(src_offset), "
        f"min(class_uid) FROM '{path}'"
    ).fetchone()
    assert found == (rows, min(rows, 1), 0, rows - 1 if rows else None, 1007 if rows else None)


def test_maps_keep_pairs_that_repeat(tmp_path: Path) -> None:
    """Event data may name a field twice: both stay."""
    pairs = [("Data", "a"), ("Data", "b"), ("Empty", None)]
    rows = batch("raw_event", [{"src_offset": 0, "unmapped": pairs}, {"src_offset": 1}])
    whole = complete(TABLES["raw_event"], rows, PROVENANCE)
    path = tmp_path / "file.parquet"
    with pq.ParquetWriter(path, whole.schema) as writer:
        writer.write_batch(whole)
    assert pq.read_table(path).column("unmapped").to_pylist() == [pairs, None]
    found = duckdb.sql(
        "SELECT list_transform(map_entries(unmapped), lambda e: (e.key, e.value)) "
        f"FROM '{path}' ORDER BY src_offset LIMIT 1"
    ).fetchone()
    assert found == (pairs,)


def test_principals_that_are_the_same_everywhere_are_named() -> None:
    uids = pa.array(["S-1-5-18", None, "S-1-5-21-1-2-3-1001", "S-1-5-18", "S-1-5-21-1-2-3-500"])
    rows = pa.RecordBatch.from_pydict({
        "src_offset": pa.array(range(5), pa.int64()), "event_user_uid": uids.dictionary_encode(),
    })
    done = complete(TABLES["raw_event"], rows, PROVENANCE)
    done.validate(full=True)
    system = "NT AUTHORITY\\SYSTEM"
    assert done.column("event_user_name").to_pylist() == [
        system, None, None, system, "Administrator"
    ]
    unknown = complete(TABLES["raw_event"], rows.slice(1, 2), PROVENANCE)
    assert unknown.column("event_user_name").to_pylist() == [None, None]
