"""The session: what it shows, what it leaves out, and what it does not let out."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from small_lake import NOON, SmallLake

from tracelake.analysis.session import RefusedQuery, Session
from tracelake.normalize import TABLES

HOUR = timedelta(hours=1)


@pytest.fixture
def lake(tmp_path: Path) -> SmallLake:
    made = SmallLake(str(tmp_path / "lake" / "demo"))
    Path(made.root).mkdir(parents=True)
    return made


@pytest.fixture
def other(tmp_path: Path) -> str:
    """A file of another engagement, whose name begins like ours."""
    stranger = SmallLake(str(tmp_path / "lake" / "demo2"))
    return stranger.write("dns_activity", [{"query_hostname": "secret.example"}])


@pytest.fixture
def session(lake: SmallLake) -> Iterator[Session]:
    lake.write("dns_activity", [{"time": NOON, "query_hostname": "a.example"}])
    with Session(lake) as opened:
        yield opened


def test_an_empty_lake_has_every_view_with_its_types(lake: SmallLake) -> None:
    with Session(lake) as session:
        for table in TABLES.values():
            assert session.sql(f"SELECT count(*) FROM {table.name}").fetchall() == [(0,)]
            found = session.sql(f"DESCRIBE {table.name}").fetchall()
            names = [name for name, *_ in found if name not in ("row_id", "host")]
            assert names == table.columns
        views = session.sql(
            "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal"
        ).fetchall()
        assert len(views) > 150
        for schema, view in views:
            assert session.sql(f'SELECT * FROM {schema}."{view}"').fetchall() == []


def test_row_id_is_the_citation(lake: SmallLake) -> None:
    lake.write("dns_activity", [{"src_offset": 0x1A2B00}, {"src_offset": 0x1A2B00, "sub": 1}])
    with Session(lake) as session:
        found = session.sql("SELECT row_id FROM dns_activity ORDER BY sub").fetchall()
    assert found == [("dns-3fa9c1d2e4b7a01c-0-1a2b00-0",), ("dns-3fa9c1d2e4b7a01c-0-1a2b00-1",)]


def test_the_window_is_half_open_and_leaves_out_undated_rows(lake: SmallLake) -> None:
    times = [NOON - HOUR, NOON, NOON + HOUR, None]
    lake.write("dns_activity", [{"src_offset": n, "time": t} for n, t in enumerate(times)])
    cases = [((None, None), {0, 1, 2, 3}), ((NOON, NOON + HOUR), {1}), ((NOON, None), {1, 2}),
             ((None, NOON), {0})]
    for (since, until), expected in cases:
        lake.asked.clear()
        with Session(lake, since, until) as session:
            found = session.sql("SELECT src_offset FROM dns_activity").fetchall()
            assert {offset for (offset,) in found} == expected
        assert ("dns_activity", since, until) in lake.asked


def test_a_file_is_in_the_window_when_any_of_its_times_is(lake: SmallLake) -> None:
    rows = [
        {"src_offset": 0, "si_created": NOON},
        {"src_offset": 1, "fn_changed": NOON, "si_created": NOON - 9 * HOUR},
        {"src_offset": 2, "si_created": NOON - 9 * HOUR},
    ]
    lake.write("file_query", rows)
    runs = [NOON - 9 * HOUR, NOON]
    lake.write("artifact_query", [{"src_offset": 0, "run_times": runs},
                                  {"src_offset": 1, "run_times": runs[:1]}, {"src_offset": 2}])
    with Session(lake, NOON, NOON + HOUR) as session:
        found = session.sql("SELECT src_offset FROM file_query ORDER BY ALL").fetchall()
        assert found == [(0,), (1,)]
        assert session.sql("SELECT src_offset FROM artifact_query").fetchall() == [(0,)]
        # The timeline has only the times that lie in the window.
        dates = session.sql("SELECT DISTINCT time FROM timeline").fetchall()
        assert [value for (value,) in dates] == [NOON]
    # Statistics of `time` say nothing of the other times: no file may be left out by them.
    assert ("file_query", None, None) in lake.asked


def test_a_window_without_a_zone_is_refused(lake: SmallLake) -> None:
    with pytest.raises(ValueError, match="time zone"):
        Session(lake, datetime(2024, 5, 1))


def test_times_are_utc(session: Session) -> None:
    (value,) = session.sql("SELECT time FROM dns_activity").fetchall()[0]
    assert value == NOON
    assert value.utcoffset() == timedelta(0)
    assert session.sql("SELECT strftime(time, '%H:%M') FROM dns_activity").fetchall() == [
        ("12:00",)
    ]


READING = [
    "SELECT 1",
    "  -- a remark\n select count(*) from dns_activity;",
    "FROM dns_activity",
    "WITH d AS (SELECT * FROM dns_activity) SELECT count(*) FROM d",
    "VALUES (1)",
    "DESCRIBE dns_activity",
    "SUMMARIZE SELECT query_hostname FROM dns_activity",
    "SHOW ALL TABLES",
    "EXPLAIN SELECT * FROM dns_activity",
    "EXPLAIN ANALYZE SELECT * FROM dns_activity",
    "EXPLAIN (FORMAT json) SELECT 1",
    "PIVOT dns_activity ON sub IN (0) USING count(*)",
]


@pytest.mark.parametrize("query", READING)
def test_reading_statements_are_run(session: Session, query: str) -> None:
    assert session.sql(query).fetchall()


REFUSED = [
    "", "-- nothing", "SELECT 1; SELECT 2", "SELECT 1; DROP VIEW dns_activity",
    "DROP VIEW dns_activity", "CREATE TABLE t AS SELECT 1", "CREATE OR REPLACE VIEW dns_activity "
    "AS SELECT 1", "INSERT INTO t VALUES (1)", "UPDATE t SET a = 1", "DELETE FROM t",
    "COPY (SELECT 1) TO 'x.parquet'", "COPY t FROM 'x.parquet'", "EXPORT DATABASE 'x'",
    "ATTACH 'x.db'", "DETACH memory", "USE memory", "SET threads = 1", "RESET threads",
    "PRAGMA add_parquet_key('k', '0123456789112345')", "INSTALL httpfs", "LOAD httpfs",
    "CALL pragma_version()", "PREPARE p AS SELECT 1", "EXECUTE p", "BEGIN", "VACUUM", "CHECKPOINT",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO 'x.parquet'", "EXPLAIN ANALYZE DROP VIEW dns_activity",
    "/* hidden */ EXPLAIN /* here */ ANALYZE DROP VIEW dns_activity",
    "CREATE SECRET (TYPE s3)", "SET VARIABLE a = 1", "ALTER VIEW dns_activity RENAME TO x",
]


@pytest.mark.parametrize("query", REFUSED)
def test_other_statements_are_refused(session: Session, query: str, tmp_path: Path) -> None:
    with pytest.raises((RefusedQuery, duckdb.ParserException)):
        session.sql(query)
    assert session.sql("SELECT count(*) FROM dns_activity").fetchall() == [(1,)]
    assert not list(tmp_path.rglob("x*"))


def test_files_outside_of_the_engagement_cannot_be_read(
    session: Session, lake: SmallLake, other: str
) -> None:
    link = Path(lake.root) / "link"
    link.symlink_to(Path(other).parent)
    outside = Path(lake.root).parent / "demo2"
    for path in [
        other,
        f"{lake.root}/../demo2/dns_activity/0.parquet",
        f"{lake.root}/dns_activity/../../demo2/dns_activity/0.parquet",
        f"{link}/0.parquet",
        f"{outside}/*/*.parquet",
        f"{lake.root}2/dns_activity/0.parquet",
        "/etc/passwd",
        "http://127.0.0.1:9/x.parquet",
        "s3://bucket/x.parquet",
    ]:
        with pytest.raises(duckdb.Error):
            session.sql(f"SELECT * FROM read_parquet('{path}')").fetchall()
        with pytest.raises(duckdb.Error):
            session.sql(f"SELECT * FROM read_text('{path}')").fetchall()
        with pytest.raises(duckdb.Error):
            session.sql(f"SELECT * FROM '{path}'").fetchall()
        with pytest.raises(duckdb.Error):
            session.sql(f"FROM query('FROM read_blob(''{path}'')')").fetchall()


def test_names_outside_are_not_listed_either(session: Session, other: str) -> None:
    folder = str(Path(other).parent)
    with pytest.raises(duckdb.Error):
        session.sql(f"SELECT * FROM glob('{folder}/*')").fetchall()


def test_the_lock_cannot_be_opened(session: Session) -> None:
    connection = session._connection
    for statement in [
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SET lock_configuration = false",
        "SET TimeZone = 'Europe/Berlin'",
        "RESET allowed_directories",
        "SET memory_limit = '1TB'",
        "ATTACH '/tmp/x.db' AS x",
        "INSTALL httpfs",
        "COPY (SELECT 1) TO '/tmp/tracelake-escape.parquet'",
    ]:
        with pytest.raises(duckdb.Error):
            connection.execute(statement)


def test_variables_of_the_caller_are_not_tables(session: Session) -> None:
    secret = duckdb.sql("SELECT 1 AS a").arrow()
    assert secret is not None
    with pytest.raises(duckdb.CatalogException):
        session.sql("SELECT * FROM secret").fetchall()


def test_a_root_behind_a_link_works(tmp_path: Path) -> None:
    real = tmp_path / "real" / "demo"
    real.mkdir(parents=True)
    (tmp_path / "lake").symlink_to(tmp_path / "real")
    lake = SmallLake(str(tmp_path / "lake" / "demo"))
    lake.write("dns_activity", [{"query_hostname": "a.example"}])
    with Session(lake) as session:
        assert session.sql("SELECT query_hostname FROM dns_activity").fetchall() == [("a.example",)]


def test_names_with_quotes_are_names(tmp_path: Path) -> None:
    lake = SmallLake(str(tmp_path / "it's [here]" / "demo"))
    lake.write("dns_activity", [{"query_hostname": "a.example"}])
    with Session(lake) as session:
        assert session.sql("SELECT count(*) FROM dns_activity").fetchall() == [(1,)]


def test_a_sort_larger_than_memory_spills(lake: SmallLake) -> None:
    with Session(lake, memory_limit="60MB") as session:
        spill = session._spill
        found = session.sql(
            "SELECT count(*) FROM (SELECT i, md5(i::VARCHAR) AS h FROM range(2000000) AS r(i) "
            "ORDER BY h OFFSET 1)"
        ).fetchall()
        assert found == [(1_999_999,)]
        assert spill.is_dir()
    assert not os.path.exists(spill)


def test_a_query_can_be_stopped(session: Session) -> None:
    import threading

    timer = threading.Timer(0.3, session.interrupt)
    timer.start()
    with pytest.raises(duckdb.InterruptException):
        session.sql(
            "SELECT count(*) FROM range(1000000) AS a(x), range(1000000) AS b(y) WHERE x * y = 7"
        ).fetchall()
    timer.join()
    assert session.sql("SELECT 1").fetchall() == [(1,)]


def test_a_snapshot_of_another_day_is_unchanged_by_new_files(lake: SmallLake) -> None:
    lake.write("dns_activity", [{"time": datetime(2024, 1, 1, tzinfo=UTC)}])
    with Session(lake) as session:
        lake.write("dns_activity", [{"time": NOON}])
        assert session.sql("SELECT count(*) FROM dns_activity").fetchall() == [(1,)]


def test_two_sessions_in_one_process_stay_apart(
    lake: SmallLake, other: str, tmp_path: Path
) -> None:
    mine = lake.write("dns_activity", [{"query_hostname": "a.example"}])
    stranger = SmallLake(str(tmp_path / "lake" / "demo2"), {"dns_activity": [other]})
    with Session(lake) as first, Session(stranger) as second:
        names = "SELECT query_hostname FROM dns_activity"
        assert first.sql(names).fetchall() == [("a.example",)]
        assert second.sql(names).fetchall() == [("secret.example",)]
        for session, path in [(first, other), (second, mine)]:
            with pytest.raises(duckdb.PermissionException):
                session.sql(f"FROM read_parquet('{path}')").fetchall()


def test_parameters_are_values(session: Session) -> None:
    query = "SELECT count(*) FROM dns_activity WHERE query_hostname = ?"
    assert session.sql(query, ["a.example"]).fetchall() == [(1,)]
    assert session.sql(query, ["' OR 1=1 --"]).fetchall() == [(0,)]
