"""Tables as engines see them that know nothing of us: through their Delta logs, and as the plain
Parquet files that the log lists. docs/read-by-others.md says what these tests hold."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

import tracelake
from tests.s3_case import EVIDENCE, new_bucket, running, use
from tracelake.case import Case
from tracelake.lake import s3
from tracelake.lake.compact import compact
from tracelake.lake.s3 import delta_options

QUESTION = (
    "SELECT class_uid, count(*) AS n, sum(src_offset) AS sums, min(time) AS first FROM {} "
    "GROUP BY ALL ORDER BY ALL"
)
TABLES = ("process_activity", "raw_event", "network_activity", "account_change")


@pytest.fixture(scope="module", params=["fresh", "compacted"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A lake of several commits; and one whose small files were merged."""
    found = tracelake.open(tmp_path_factory.mktemp("lake") / "lake", engagement="case")
    for folder in ("logs", "captures", "edr"):
        found.ingest([EVIDENCE / folder])
    if request.param == "compacted":
        assert list(compact(found.lake))
        found.refresh()
    return found


def ours(case: Case, table: str) -> list[tuple[object, ...]]:
    return case.sql(QUESTION.format(table)).fetchall()


def asked(rows: pa.Table) -> list[tuple[object, ...]]:
    """The question, answered of somebody's rows."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("rows", rows)
    return connection.sql(QUESTION.format("rows")).fetchall()


@pytest.mark.parametrize("table", TABLES)
def test_deltalake(case: Case, table: str) -> None:
    delta = DeltaTable(str(case.lake.root / table))
    rows = delta.to_pyarrow_table()
    assert asked(rows) == ours(case, table)
    assert set(rows.column_names) == {field.name for field in case.lake.schema(table)}


@pytest.mark.parametrize("table", TABLES)
def test_polars(case: Case, table: str) -> None:
    rows = pl.scan_delta(str(case.lake.root / table)).select(
        "class_uid", "src_offset", "time"
    ).collect()
    assert asked(rows.to_arrow()) == ours(case, table)


@pytest.mark.parametrize("table", TABLES)
def test_the_listed_files_as_plain_parquet(case: Case, table: str) -> None:
    """A reader of files takes the columns from the log, as Delta's readers do: what nothing filled
    is not in a file."""
    delta = DeltaTable(str(case.lake.root / table))
    files = delta.file_uris()
    schema = pa.schema(delta.schema().to_arrow())
    rows = ds.dataset(files, schema=schema, format="parquet").to_table()
    assert asked(rows) == ours(case, table)
    there = {path.name for path in Path(case.lake.root, table).glob("*.parquet")}
    assert {Path(file).name for file in files} <= there


@pytest.mark.parametrize("table", TABLES)
def test_row_groups_begin_with_their_first_column(case: Case, table: str) -> None:
    """Spark, Hive and others of parquet-mr give a row group to the split that its middle is in,
    and count from the place of its first column: a group whose middle lies beyond the end of the
    file is never read, and nobody says so."""
    for path in DeltaTable(str(case.lake.root / table)).file_uris():
        footer = pq.read_metadata(path)
        end = 0
        for number in range(footer.num_row_groups):
            group = footer.row_group(number)
            columns = [group.column(i) for i in range(group.num_columns)]
            places = [one.dictionary_page_offset or one.data_page_offset for one in columns]
            assert places[0] == min(places) >= end
            middle = places[0] + sum(one.total_compressed_size for one in columns) // 2
            assert middle < Path(path).stat().st_size
            end = middle


def test_deltalake_and_polars_on_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as server:
        use(monkeypatch, server.environment())
        uri = f"s3://{new_bucket(server)}/warm"
        case = tracelake.open(uri, engagement="case")
        case.ingest([EVIDENCE / "logs"])
        where = f"{uri}/case/process_activity"
        options = {name: value for name, value in delta_options(uri.split("/")[2]).items()
                   if name.startswith("AWS_")}
        rows = DeltaTable(where, storage_options=options).to_pyarrow_table()
        assert asked(rows) == ours(case, "process_activity")
        found = pl.scan_delta(where, storage_options=options).select("class_uid", "src_offset",
                                                                     "time").collect()
        assert asked(found.to_arrow()) == ours(case, "process_activity")
        s3.forget()


@pytest.fixture(scope="module")
def spark() -> Iterator[object]:
    """Spark in this process, on one core."""
    pytest.importorskip("pyspark", minversion="4.0", reason="pyspark 4 is not installed")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("Spark needs a Java, there is none")
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    session = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    yield session
    session.stop()


@pytest.mark.parametrize("table", TABLES)
def test_spark_reads_the_listed_files(case: Case, spark, table: str) -> None:
    """Without Delta's jars: the files that the log lists, with the columns that it names."""
    delta = DeltaTable(str(case.lake.root / table))
    from pyspark.sql import functions as f
    from pyspark.sql.types import StructType

    schema = StructType.fromJson(json.loads(delta.schema().to_json()))
    rows = spark.read.schema(schema).parquet(*delta.file_uris())
    found = (
        rows.groupBy("class_uid")
        .agg(f.count("*").alias("n"), f.sum("src_offset"), f.unix_micros(f.min("time")))
        .orderBy("class_uid")
        .collect()
    )
    expected = [
        (uid, n, sums, None if first is None else round(first.timestamp() * 1_000_000))
        for uid, n, sums, first in ours(case, table)
    ]
    assert [tuple(row) for row in found] == expected
    assert rows.columns == [field.name for field in delta.schema().fields]
    one = rows.filter(f.col("row_id" if "row_id" in rows.columns else "src_offset") >= 0).first()
    assert one is not None
