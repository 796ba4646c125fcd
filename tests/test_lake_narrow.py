"""Files without the columns that nothing filled: who reads them, and what is not read of them."""

from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from tracelake.analysis.session import Session
from tracelake.lake.bloom import may_hold, wanted
from tracelake.lake.lake import Lake
from tracelake.lake.layout import SMALL, Layout
from tracelake.lake.parquet import ParquetFile
from tracelake.lake.rows import read
from tracelake.lake.verify import verify
from tracelake.native.parquet import Pages
from tracelake.normalize import TABLES, Provenance, fill

NET = TABLES["network_activity"]
HOUR = 3_600_000_000
ROWS = 3000     # of a row group: enough for bloom filters


def source(number: int) -> str:
    return f"{number:016x}" + "0" * 16


def who(number: int) -> Provenance:
    return Provenance("case", source(number), 0, "flows", "1", "m")


def commit(lake: Lake, number: int, *batches: pa.RecordBatch) -> Path:
    """Commits a unit whose rows are those of some batches of flows; its file."""
    unit = f"{source(number)[:16]}-0-flows-1"
    writer = lake.writer(unit)
    for each in batches:
        writer.write(NET.name, fill(NET, each, who(number)))
    book = {"source_id": source(number), "artifact_no": 0, "unit": unit}
    writer.write("artifact", batch_of("artifact", book | {"engagement_id": "case"}))
    written = writer.close()
    assert lake.commit([written]).landed == (unit,)
    (file,) = written.files[NET.name]
    return lake.root / NET.name / file.name


def batch_of(table: str, row: dict[str, Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([row], schema=TABLES[table].schema)


def flows(hour: int, addresses: str, prefix: str) -> pa.RecordBatch:
    """A row group of flows in an hour, whose addresses in a column begin with a prefix."""
    return pa.record_batch(
        {
            "src_offset": pa.array(range(ROWS), pa.int64()),
            "time": pa.array(range(hour * HOUR, hour * HOUR + ROWS), pa.timestamp("us", tz="UTC")),
            addresses: pa.array([f"{prefix}.{k % 200}" for k in range(ROWS)]).dictionary_encode(),
        }
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(str(tmp_path / "lake"), "case", create=True)


def columns_of(path: Path) -> set[str]:
    return set(pq.read_schema(path).names)


def spoil(path: Path, group: int) -> None:
    """Overwrites a row group's pages; the footer and the bloom filters stay."""
    found = pq.read_metadata(path).row_group(group)
    with path.open("r+b") as file:
        for index in range(found.num_columns):
            chunk = found.column(index)
            pages = chunk.data_page_offset
            first = chunk.dictionary_page_offset if chunk.has_dictionary_page else pages
            file.seek(min(first, pages))
            file.write(b"\xff" * chunk.total_compressed_size)


def test_a_file_has_what_was_filled(lake: Lake) -> None:
    path = commit(lake, 1, flows(1, "src_ip", "10.0.0"))
    said = {"engagement_id", "source_id", "artifact_no", "sub", "parser", "parser_version",
            "mapping_version", "class_uid", "category_uid"}
    assert columns_of(path) == said | {"src_offset", "time", "src_ip"}
    rows = read(path, NET.schema)
    assert rows.schema.equals(NET.schema)
    assert rows["dst_ip"].null_count == rows.num_rows == ROWS
    assert rows["src_ip"].to_pylist()[:2] == ["10.0.0.0", "10.0.0.1"]


@pytest.mark.parametrize("rows", [5, SMALL + 5])
def test_a_column_that_comes_late_is_null_before(tmp_path: Path, rows: int) -> None:
    """Of every form that a column has, in a small file and in a large one."""
    word = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema(
        [
            pa.field("must", pa.int64(), nullable=False),
            pa.field("number", pa.int32(), metadata={"stats": "1"}),
            pa.field("word", word, metadata={"stats": "1", "bloom": "1"}),
            pa.field("text", pa.string()),
            pa.field("yes", pa.bool_()),
            pa.field("many", pa.list_(pa.string())),
            pa.field("pairs", pa.map_(word, word)),
            pa.field("never", pa.string()),
            pa.field("first", pa.float64()),
        ]
    )
    values: dict[str, Any] = {
        "number": 7, "word": "w", "text": "t", "yes": True, "many": ["a", "b"],
        "pairs": [("k", "v")], "first": 1.5,
    }
    groups = [("first",), (), ("number", "word", "text"), ("yes", "many", "pairs")]
    path = tmp_path / "x.parquet"
    footers: list[pq.FileMetaData] = []
    with pa.OSFile(str(path), "wb") as sink:
        file = ParquetFile(sink, Layout.of(schema), rows, Pages(), footers)
        for filled in groups:
            plain = {
                name: pa.array([values[name]] * rows, read_as(schema.field(name).type))
                for name in filled
            }
            made = {name: array.cast(schema.field(name).type) for name, array in plain.items()}
            must = pa.array(range(rows), pa.int64())
            file.write_batch(pa.record_batch({**made, "must": must}), rows)
        file.close()
    expected = [
        {"must": k, **{name: values[name] if name in filled else None for name in values}}
        for filled in groups for k in range(rows)
    ]
    names = [name for name in schema.names if name != "never"]
    assert [footers[0].row_group(i).num_columns for i in range(4)] == [9] * 4  # a map is two
    found = pq.ParquetFile(path).read()
    assert found.column_names == names
    assert found.to_pylist() == [{name: row[name] for name in names} for row in expected]
    assert ds.dataset(path).to_table(filter=ds.field("word") == "w").num_rows == rows
    select = f"SELECT must, number, word, text, yes, many, pairs, first FROM '{path}'"
    theirs = duckdb.sql(select).to_arrow_table().to_pylist()
    assert theirs == [
        {name: row[name] for name in ("must", *values)} for row in expected
    ]
    simple = [name for name in names if name != "pairs"]
    assert polars.read_parquet(path, columns=simple).to_dicts() == [
        {name: row[name] for name in simple} for row in expected
    ]


def read_as(kind: pa.DataType) -> pa.DataType:
    """A type that Arrow makes arrays of from Python's values."""
    return pa.map_(pa.string(), pa.string()) if pa.types.is_map(kind) else kind


def test_rows_of_nothing_but_nulls(tmp_path: Path) -> None:
    schema = pa.schema([("a", pa.string()), ("b", pa.int8())])
    with pa.OSFile(str(tmp_path / "x"), "wb") as sink:
        file = ParquetFile(sink, Layout.of(schema), 3, Pages(), [])
        file.write_batch(pa.record_batch({"b": pa.nulls(3, pa.int8())}), 3)
        file.close()
    assert pq.read_table(tmp_path / "x").to_pylist() == [{"a": None}] * 3


def test_other_engines_see_all_columns(lake: Lake) -> None:
    commit(lake, 1, flows(1, "src_ip", "10.0.1"))
    commit(lake, 2, flows(2, "dst_ip", "10.0.2"))
    where = str(lake.root / NET.name)
    table = DeltaTable(where)
    rows = table.to_pyarrow_table()
    assert rows.column_names == NET.columns
    assert rows["src_ip"].null_count == rows["dst_ip"].null_count == ROWS
    asked = table.to_pyarrow_dataset().to_table(filter=ds.field("dst_ip") == "10.0.2.7")
    assert asked.num_rows == ROWS / 200
    scanned = polars.scan_delta(where)
    assert scanned.collect_schema().names() == NET.columns
    found = scanned.filter(polars.col("src_ip") == "10.0.1.7").select("dst_ip", "src_offset")
    assert found.collect()["src_offset"].to_list() == list(range(7, ROWS, 200))
    null = scanned.filter(polars.col("dst_mac").is_null())
    assert null.select(polars.len()).collect().item() == 2 * ROWS


def test_the_log_says_that_a_column_is_null_throughout(lake: Lake) -> None:
    """So engines leave the file out where a value is asked for, and `verify` agrees."""
    commit(lake, 1, flows(1, "src_ip", "10.0.1"))
    commit(lake, 2, flows(2, "dst_ip", "10.0.2"))
    said = lake.snapshot().actions(NET.name).to_pylist()
    assert {row["null_count.end_time"] for row in said} == {ROWS}
    assert {row["null_count.time"] for row in said} == {0}
    assert [wrong for checked in verify(lake) for wrong in checked.wrong] == []


def test_what_cannot_hold_an_address_is_not_read(lake: Lake) -> None:
    """Neither files without the column nor row groups whose filter excludes it: they are spoilt."""
    without = commit(lake, 0, flows(0, "dst_ip", "10.0.0"), flows(1, "dst_ip", "10.0.1"))
    paths = [
        commit(lake, n, *(flows(10 * n + g, "src_ip", f"10.{n}.{g}") for g in range(3)))
        for n in (1, 2, 3)
    ]
    needle = next(
        f"10.2.1.{k}" for k in range(200) if holding(paths, f"10.2.1.{k}") == {(paths[1], 1)}
    )
    for path in (without, *paths):
        for group in range(pq.read_metadata(path).num_row_groups):
            if (path, group) != (paths[1], 1):
                spoil(path, group)
    with Session(lake.snapshot()) as session:
        asked = f"SELECT count(*), min(time)::TEXT FROM network_activity WHERE src_ip = '{needle}'"
        ((count, first),) = session.sql(asked).fetchall()
        assert (count, first[:13]) == (ROWS / 200, "1970-01-01 21")
        with pytest.raises(duckdb.Error):
            session.sql("SELECT max(src_ip), max(dst_ip) FROM network_activity").fetchall()


def holding(paths: list[Path], text: str) -> set[tuple[Path, int]]:
    """The row groups whose filter does not exclude an address."""
    found = set()
    rows = duckdb.sql(
        "SELECT file_name, row_group_id, bloom_filter_offset, bloom_filter_length "
        f"FROM parquet_metadata({[str(path) for path in paths]}) WHERE path_in_schema = 'src_ip'"
    ).fetchall()
    for name, group, offset, length in rows:
        with open(name, "rb") as file:
            if may_hold(file.fileno(), offset, length, wanted(text)):
                found.add((Path(name), group))
    return found


def test_what_lies_in_other_hours_is_not_read(lake: Lake) -> None:
    paths = [
        commit(lake, n, *(flows(10 * n + g, "src_ip", f"10.{n}.{g}") for g in range(3)))
        for n in (1, 2)
    ]
    timeless = commit(lake, 3, flows(0, "dst_ip", "10.3.0").drop_columns(["time"]))
    spoil(timeless, 0)
    for path in paths:
        for group in range(3):
            if (path, group) != (paths[1], 1):
                spoil(path, group)
    window = "time >= '1970-01-01 21:00:00+00' AND time < '1970-01-01 22:00:00+00'"
    with Session(lake.snapshot()) as session:
        asked = f"SELECT count(src_ip), count(dst_ip) FROM network_activity WHERE {window}"
        assert session.sql(asked).fetchall() == [(ROWS, 0)]


def test_a_needle_in_a_column_that_no_file_has(lake: Lake) -> None:
    path = commit(lake, 1, flows(1, "src_ip", "10.0.1"))
    spoil(path, 0)
    with Session(lake.snapshot()) as session:
        asked = "SELECT src_offset, time FROM network_activity WHERE dst_mac = 'x'"
        assert session.sql(asked).fetchall() == []


def test_a_batch_must_fit_its_table(lake: Lake) -> None:
    full = fill(NET, flows(1, "src_ip", "10.0.1"), who(1))
    wrong = {
        "source_id is missing": full.drop_columns(["source_id"]),
        "no column strange of int8": full.append_column("strange", pa.nulls(ROWS, pa.int8())),
        "no column src_port of string": full.append_column("src_port", pa.nulls(ROWS, pa.string())),
        "there twice": full.append_column("time", full["time"]),
    }
    with lake.writer("u") as writer:
        for why, each in wrong.items():
            with pytest.raises(ValueError, match=why):
                writer.write(NET.name, each)
