"""Parquet files that are written by ourselves, read by everybody else."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tracelake.lake.layout import Layout
from tracelake.lake.parquet import ParquetFile, can_write
from tracelake.native.parquet import Pages
from tracelake.normalize import TABLES

WORD = pa.dictionary(pa.int32(), pa.string())
KEPT = {b"stats": b"1"}
BLOOM = {b"bloom": b"1"}
SCHEMA = pa.schema(
    [
        pa.field("must", pa.int64(), nullable=False, metadata=KEPT),
        pa.field("n8", pa.int8(), metadata=KEPT),
        pa.field("n16", pa.int16(), metadata=KEPT),
        pa.field("n32", pa.int32(), metadata=KEPT),
        pa.field("n64", pa.int64(), metadata=KEPT),
        pa.field("some_pid", pa.int64()),
        pa.field("time", pa.timestamp("us", "UTC"), metadata=KEPT),
        pa.field("x", pa.float64()),
        pa.field("yes", pa.bool_()),
        pa.field("text", pa.string(), metadata=BLOOM),
        pa.field("raw", pa.binary()),
        pa.field("word", WORD, metadata=KEPT | BLOOM),
        pa.field("source_id", WORD, nullable=False, metadata=KEPT),
        pa.field("texts", pa.list_(pa.string()), metadata=BLOOM),
        pa.field("ints", pa.list_(pa.int64())),
        pa.field("times", pa.list_(pa.timestamp("us", "UTC"))),
        pa.field("pairs", pa.map_(WORD, WORD)),
        pa.field("plain_pairs", pa.map_(pa.string(), pa.string())),
        pa.field("numbers", pa.map_(pa.string(), pa.int64())),
    ]
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def number(rng: random.Random, bits: int) -> int:
    """Of all sizes, and the outermost."""
    end = 1 << bits - 1
    return rng.choice([0, 1, -1, end - 1, -end, rng.randrange(-end, end), rng.randrange(100)])


def text(rng: random.Random) -> str:
    return rng.choice(["", "a", "ü€😀", "x" * rng.randrange(300), str(rng.randrange(10_000))])


def value(rng: random.Random, kind: pa.DataType) -> Any:
    if pa.types.is_map(kind):
        of = kind.item_type
        return [
            (f"k{i}", None if rng.random() < 0.1 else value(rng, of))
            for i in range(rng.choice([0, 1, 2, 7]))
        ]
    if pa.types.is_list(kind):
        return [
            None if rng.random() < 0.1 else value(rng, kind.value_type)
            for _ in range(rng.choice([0, 1, 5]))
        ]
    if pa.types.is_timestamp(kind):
        return EPOCH + timedelta(microseconds=rng.randrange(-(10**15), 10**16))
    if pa.types.is_integer(kind):
        return number(rng, kind.bit_width)
    if pa.types.is_floating(kind):
        return rng.choice([0.0, -1.5, 1e300, float("inf"), rng.random()])
    if pa.types.is_boolean(kind):
        return rng.random() < 0.5
    if pa.types.is_binary(kind):
        return rng.randbytes(rng.randrange(20))
    if pa.types.is_dictionary(kind):
        return rng.choice(["w", "", f"w{rng.randrange(9)}", f"w{rng.randrange(5000)}"])
    return text(rng)


def column(rng: random.Random, field: pa.Field, rows: int) -> pa.Array:
    """Values of a column in one of the ways that columns are in."""
    way = rng.choice(["none", "all", "few", "many", "one", "runs"])
    if not field.nullable:
        way = rng.choice(["none", "one", "runs"])
    if way == "all":
        return pa.nulls(rows, field.type)
    values = [value(rng, field.type) for _ in range(rows)]
    if way == "one":
        values = values[:1] * rows
    elif way == "runs":
        at = 0
        while at < rows:
            run = rng.choice([1, 3, 8, 40, 200])
            values[at : at + run] = values[at : at + 1] * len(values[at : at + run])
            at += run
    elif way in ("few", "many"):
        share = 0.02 if way == "few" else 0.9
        values = [None if rng.random() < share else each for each in values]
    if pa.types.is_dictionary(field.type):
        return pa.array(values, pa.string()).dictionary_encode()
    if pa.types.is_map(field.type) and pa.types.is_dictionary(field.type.item_type):
        plain = pa.array(values, pa.map_(pa.string(), pa.string()))
        keys, items = plain.keys.dictionary_encode(), plain.items.dictionary_encode()
        pairs = pa.StructArray.from_arrays(
            [keys, items], fields=[pa.field("key", WORD, nullable=False), pa.field("value", WORD)]
        )
        return pa.MapArray.from_buffers(
            field.type, rows, plain.buffers()[:2], plain.null_count, children=[pairs]
        )
    return pa.array(values, field.type)


def batch_of(rng: random.Random, rows: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([column(rng, f, rows) for f in SCHEMA], schema=SCHEMA)


def written(path: Path, batches: list[pa.RecordBatch]) -> pq.FileMetaData:
    """Writes the file; its footer, as the writer gives it."""
    footers: list[pq.FileMetaData] = []
    with pa.OSFile(str(path), "wb") as sink:
        layout = Layout.of(batches[0].schema)
        file = ParquetFile(sink, layout, max(b.num_rows for b in batches), Pages(), footers)
        for batch in batches:
            file.write_batch(batch, batch.num_rows)
        file.add_key_value_metadata({b"what": b"was said"})
        file.close()
    return footers[0]


def filled(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """The batches without the columns that are null in all of them: they are not in the file."""
    names = [
        field.name for field in batches[0].schema
        if not field.nullable or any(b[field.name].null_count < len(b) for b in batches)
    ]
    return [batch.select(names) for batch in batches]


def by_pyarrow(path: Path, batches: list[pa.RecordBatch]) -> pq.FileMetaData:
    layout = Layout.of(batches[0].schema)
    options = layout.options(max(b.num_rows for b in batches))
    with pq.ParquetWriter(path, layout.schema, **options) as writer:
        for batch in batches:
            writer.write_batch(batch, batch.num_rows)
    return pq.read_metadata(path)


def word_bounds(batches: list[pa.RecordBatch], name: str) -> list[Any]:
    """Of each batch. pyarrow 26 also counts a word that no row has, where it is the only one of
    the dictionary and there are nulls."""
    found = []
    for batch in batches:
        words = [word.encode() for word in batch.column(name).to_pylist() if word is not None]
        found.append((min(words), max(words)) if words else None)
    return found


def statistics(footer: pq.FileMetaData) -> list[Any]:
    """(path, nulls, bounds) of each column chunk."""
    found: list[Any] = []
    for group in range(footer.num_row_groups):
        for index in range(footer.num_columns):
            chunk = footer.row_group(group).column(index)
            kept = chunk.statistics
            bounds = (kept.min_raw, kept.max_raw) if kept and kept.has_min_max else None
            found.append((chunk.path_in_schema, kept and kept.null_count, bounds))
    return found


@pytest.mark.parametrize("seed", range(24))
def test_all_readers_read_what_was_written(tmp_path: Path, seed: int) -> None:
    rng = random.Random(f"parquet {seed}")
    batches = []
    for _ in range(rng.choice([1, 1, 3])):
        rows = rng.choice([1, 7, 8, 31, 33, 129, 1000, 3001])
        # Batches that others cut out of larger ones begin within a byte of a bitmap.
        first = rng.choice([0, 0, 1, 5, 8, 13])
        batches.append(batch_of(rng, rows + first).slice(first, rows))
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    footer = written(ours, batches)
    batches = filled(batches)
    other = by_pyarrow(theirs, batches)
    expected = pa.Table.from_batches(batches)
    found = pq.read_table(ours, partitioning=None)
    assert found.to_pylist() == expected.to_pylist()
    assert found.schema.equals(pq.read_schema(theirs))
    said = statistics(footer)
    assert said == statistics(pq.read_metadata(ours))
    # Where there is a filter there are nulls, or DuckDB would not ask it; pyarrow writes none.
    layout = Layout.of(SCHEMA)
    filtered = layout.blooms - layout.keeps.keys()
    said = [
        (path, None if path.partition(".")[0] in filtered else nulls, kept)
        for path, nulls, kept in said
    ]
    words = ("word", "source_id")
    assert [s for s in said if s[0] not in words] == [
        s for s in statistics(other) if s[0] not in words
    ]
    assert [s[:2] for s in said] == [s[:2] for s in statistics(other)]
    for name in set(words) & set(batches[0].schema.names):
        assert [s[2] for s in said if s[0] == name] == word_bounds(batches, name)
    assert pq.read_metadata(ours).metadata[b"what"] == b"was said"
    sql = "SELECT * FROM read_parquet('{}')"
    mine, its = (duckdb.sql(sql.format(path)).to_arrow_table() for path in (ours, theirs))
    assert mine.equals(its)
    simple = [f.name for f in batches[0].schema if not pa.types.is_map(f.type)]
    assert polars.read_parquet(ours, columns=simple).equals(
        polars.read_parquet(theirs, columns=simple)
    )


def test_every_table_of_rows_can_be_written() -> None:
    # `artifact` has lists of structs, and a row per file: pyarrow writes it.
    others = [name for name, table in TABLES.items() if not can_write(table.schema)]
    assert others == ["artifact"]
    assert not can_write(pa.schema([("a", pa.struct([("b", pa.int8())]))]))
    assert not can_write(pa.schema([("a", pa.uint8())]))
    assert not can_write(pa.schema([pa.field("a", pa.list_(pa.int8()), nullable=False)]))


def test_long_texts_stand_in_several_pages(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("text", pa.string(), metadata=BLOOM)])
    texts = [None if i % 50 == 3 else f"{i:06}" * 20_000 for i in range(150)]
    texts += [None] * 30 + ["", "x" * 9_000_000, "end"]
    batch = pa.record_batch([pa.array(texts)], schema=schema)
    written(tmp_path / "ours", [batch])
    assert pq.read_table(tmp_path / "ours")["text"].to_pylist() == texts
    sql = f"SELECT text FROM read_parquet('{tmp_path / 'ours'}')"
    assert [text for (text,) in duckdb.sql(sql).fetchall()] == texts


def test_bloom_filters_hold_what_is_there(tmp_path: Path) -> None:
    rng = random.Random("bloom")
    batches = [batch_of(rng, 3000) for _ in range(2)]
    words = [f"{number}-{k}" for number in range(2) for k in range(3000)]
    for number in range(2):
        some = pa.array(words[3000 * number : 3000 * (number + 1)])
        at = SCHEMA.get_field_index("word")
        batches[number] = batches[number].set_column(at, SCHEMA.field(at), some.dictionary_encode())
        at = SCHEMA.get_field_index("text")
        batches[number] = batches[number].set_column(at, SCHEMA.field(at), some)
    path = tmp_path / "ours"
    written(path, batches)

    def excluded(column: str, word: str) -> list[bool]:
        sql = "SELECT bloom_filter_excludes FROM parquet_bloom_probe(?, ?, ?) ORDER BY row_group_id"
        rows = duckdb.execute(sql, [str(path), column, word]).fetchall()
        return [bool(row[0]) for row in rows]

    for column in ("word", "text"):
        for k in range(0, 3000, 37):
            assert not excluded(column, f"0-{k}")[0]
            assert not excluded(column, f"1-{k}")[1]
        wrongly = sum(excluded(column, f"no-{k}").count(False) for k in range(200))
        assert wrongly < 0.1 * 400


def test_nulls_where_none_may_be(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("a", pa.int64(), nullable=False)])
    batch = pa.record_batch([pa.array([1, None])], schema=schema)
    with pytest.raises(ValueError, match="a: 1 nulls"):
        written(tmp_path / "x", [batch])


def test_the_memory_of_a_batch_before_says_nothing(tmp_path: Path) -> None:
    """All columns of a writer share buffers; a later batch is shorter, and null elsewhere."""
    rng = random.Random("again")
    pages = Pages()
    for rows in (2000, 9, 500, 1):
        batch = batch_of(rng, rows)
        with pa.OSFile(str(tmp_path / "x"), "wb") as sink:
            file = ParquetFile(sink, Layout.of(SCHEMA), rows, pages, [])
            file.write_batch(batch, rows)
            file.close()
        (there,) = filled([batch])
        assert pq.read_table(tmp_path / "x").to_pylist() == there.to_pylist()


def test_maps_and_lists_that_are_all_empty(tmp_path: Path) -> None:
    """Their items are arrays of no length, which may have no memory at all."""
    schema = pa.schema(
        [pa.field("pairs", pa.map_(pa.string(), pa.int64())), pa.field("items", pa.list_(WORD)),
         pa.field("numbers", pa.list_(pa.int64()))]
    )
    nothing = pa.array([], pa.string()), pa.array([], pa.int64())
    ends = pa.array([0, 0, 0], pa.int32())
    batch = pa.record_batch(
        [pa.MapArray.from_arrays(ends, *nothing),
         pa.ListArray.from_arrays(ends, pa.array([], WORD)),
         pa.ListArray.from_arrays(ends, nothing[1])],
        schema=schema,
    )
    written(tmp_path / "ours", [batch])
    assert pq.read_table(tmp_path / "ours").to_pylist() == [
        {"pairs": [], "items": [], "numbers": []}
    ] * 2
