"""A table's first version, which we write ourselves, beside deltalake's."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import polars
import pyarrow as pa
import pytest
from deltalake import DeltaTable, Schema
from deltalake.transaction import AddAction, create_table_with_add_actions

from tests.lake_case import EVENTS
from tracelake.lake.begin import begin
from tracelake.lake.disk import put_if_absent
from tracelake.lake.schema import delta_schema, schema_json
from tracelake.lake.unit import DataFile
from tracelake.normalize import TABLES

FILE = DataFile("u-0-p-1.0123abcd-0.parquet", 321, 7, 1_700_000_000_123, '{"numRecords":7}')
KEEPS = {"delta.dataSkippingStatsColumns": "time,source_id"}


def actions(table: Path) -> dict[str, list[dict[str, object]]]:
    """Version 0's actions by kind, without what differs from one call to the next."""
    found: dict[str, list[dict[str, object]]] = {}
    for line in (table / "_delta_log" / f"{0:020}.json").read_bytes().splitlines():
        [(kind, action)] = json.loads(line).items()
        for changing in ("id", "createdTime"):
            action.pop(changing, None)
        if kind == "metaData":
            action["schemaString"] = json.loads(action["schemaString"])
        found.setdefault(kind, []).append({k: v for k, v in action.items() if v is not None})
    return found


@pytest.mark.parametrize("name", sorted(TABLES))
def test_the_log_is_as_deltalake_writes_it(tmp_path: Path, name: str) -> None:
    schema = TABLES[name].schema
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    assert begin(ours, schema, KEEPS, [FILE], ["u-0-p-1", "u-1-p-1"])
    create_table_with_add_actions(
        theirs.as_uri(),
        Schema.from_arrow(delta_schema(schema)),
        [AddAction(FILE.name, FILE.size, {}, FILE.modified, True, FILE.stats)],
        configuration=dict(KEEPS),
    )
    mine, its = actions(ours), actions(theirs)
    assert mine.pop("txn") == [
        {"appId": "u-0-p-1", "version": 1},
        {"appId": "u-1-p-1", "version": 1},
    ]
    assert mine.pop("commitInfo")[0]["operation"] == its.pop("commitInfo")[0]["operation"]
    assert mine == its
    assert json.loads(schema_json(schema)) == mine["metaData"][0]["schemaString"]


def test_deltalake_and_polars_read_it(tmp_path: Path) -> None:
    schema = EVENTS
    assert begin(tmp_path, schema, KEEPS, [FILE], ["u-0-p-1"])
    table = DeltaTable(tmp_path.as_uri())
    assert table.version() == 0
    assert table.transaction_version("u-0-p-1") == 1
    assert table.transaction_version("u-0-p-2") is None
    assert pa.table(table.get_add_actions())["num_records"].to_pylist() == [7]
    assert table.metadata().configuration == KEEPS
    assert table.history()[0]["operation"] == "CREATE TABLE"
    assert polars.scan_delta(str(tmp_path)).collect_schema().names() == schema.names


def test_only_one_of_many_makes_a_table(tmp_path: Path) -> None:
    together = Barrier(8)

    def one(number: int) -> bool:
        together.wait()
        return begin(tmp_path, EVENTS, {}, [FILE], [f"u-{number}-p-1"])

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(one, range(8)))
    assert made.count(True) == 1
    assert actions(tmp_path)["txn"] == [{"appId": f"u-{made.index(True)}-p-1", "version": 1}]
    assert [path.name for path in (tmp_path / "_delta_log").iterdir()] == [f"{0:020}.json"]


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "x"
    assert put_if_absent(path, b"first")
    assert not put_if_absent(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_type_that_delta_does_not_have() -> None:
    for kind in (pa.uint8(), pa.timestamp("ns", tz="UTC"), pa.timestamp("us"), pa.time32("s")):
        with pytest.raises(TypeError, match="no columns of"):
            schema_json(pa.schema([("a", kind)]))
