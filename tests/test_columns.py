"""The traps of filling Arrow columns by hand (native/columns.pxd)."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelake.native.columns import Rows, Stretch

TEXTS = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        ("n8", pa.int8()),
        ("n16", pa.int16()),
        ("n32", pa.int32()),
        ("n64", pa.int64()),
        ("t", pa.timestamp("us", "UTC")),
        ("x", pa.float64()),
        ("yes", pa.bool_()),
        ("text", pa.string()),
        ("word", TEXTS),
        ("raw", pa.binary()),
        ("texts", pa.list_(pa.string())),
        ("ints", pa.list_(pa.int64())),
        ("words", pa.list_(TEXTS)),
        ("pairs", pa.map_(pa.string(), pa.string())),
    ]
)


def values(i: int) -> dict[str, object]:
    """Row `i`: every column sometimes null, sometimes empty."""
    row: dict[str, object] = {
        "n8": i % 100 - 50,
        "n16": i - 3000,
        "n32": i * -7,
        "n64": i << 40,
        "x": i / 7,
        "yes": i % 3 == 0,
        "text": "ü" * (i % 4),
        "word": f"w{i % 5}",
        "raw": b"\xff" * (i % 3),
        "texts": ["a" * k for k in range(i % 4)],
        "ints": list(range(i % 3)),
        "words": [f"w{k}" for k in range(i % 3)],
        "pairs": {f"k{k}": None if k == 1 else str(k) for k in range(i % 5)},
    }
    return {name: v for k, (name, v) in enumerate(row.items()) if (i + k) % 6}


def test_every_type_with_nulls_survives() -> None:
    rows = Rows("t", SCHEMA)
    expected = [values(i) for i in range(3000)]
    for row in expected:
        for name, value in row.items():
            rows.put(name, value)
        rows.end_row()
    batch = rows.finish()
    batch.validate(full=True)
    for name in batch.schema.names:
        assert batch.schema.field(name).type == SCHEMA.field(name).type
        got = batch.column(name).to_pylist()
        if name == "pairs":
            got = [None if pairs is None else dict(pairs) for pairs in got]
        assert got == [row.get(name) for row in expected], name
    assert "t" not in batch.schema.names, "a column that was never put is left out"


def test_a_batch_starts_anew() -> None:
    rows = Rows("t", SCHEMA)
    for word in ("a", "b"):
        rows.put("word", word)
        rows.put("pairs", {word: word})
        rows.end_row()
        batch = rows.finish()
        assert batch.to_pylist() == [{"word": word, "pairs": [(word, word)]}]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["stand", "finish", "drop", "cut"])))
)
def test_readers_that_go_on_with_each_others_columns_get_their_own_rows(
    readers: list[tuple[int, str]],
) -> None:
    rows = Rows("t", SCHEMA)
    number = 0
    expected: list[list[dict[str, object]]] = []
    found: list[Stretch | pa.RecordBatch] = []
    for count, how in readers:
        mine = []
        for _ in range(count):
            mine.append(values(number))
            number += 1
            for name, value in mine[-1].items():
                rows.put(name, value)
            rows.end_row()
        if how == "drop":
            rows.drop()
            continue
        if how == "cut":
            rows.put("words", ["left", "behind"])
            rows.put("pairs", {"left": "behind"})
            rows.put("text", "left behind")
        expected.append(mine)
        found.append(rows.finish() if how == "finish" else rows.stand())
    for mine, taken in zip(expected, found, strict=True):
        batch = taken.alone() if isinstance(taken, Stretch) else taken
        batch.validate(full=True)
        assert taken.num_rows == batch.num_rows == len(mine)
        got = [{k: v for k, v in row.items() if v is not None} for row in batch.to_pylist()]
        for row in got:
            if "pairs" in row:
                row["pairs"] = dict(row["pairs"])
        assert got == mine


def test_a_batch_is_not_ended_under_a_reader_at_work() -> None:
    rows = Rows("t", SCHEMA)
    rows.put("n8", 1)
    rows.end_row()
    first = rows.stand()
    rows.put("n8", 2)
    rows.end_row()
    with pytest.raises(ValueError, match="rows are being put"):
        first.whole()
    assert rows.finish().to_pylist() == [{"n8": 2}]
    assert first.alone().to_pylist() == [{"n8": 1}]
    assert rows.batch == 2


def test_all_texts_empty_does_not_abort() -> None:
    rows = Rows("t", SCHEMA)
    for _ in range(10):
        rows.put("text", "")
        rows.put("raw", b"")
        rows.put("word", "")
        rows.put("texts", [])
        rows.put("pairs", {})
        rows.end_row()
    batch = rows.finish()
    batch.validate(full=True)
    assert batch.column("text").to_pylist() == [""] * 10
    assert batch.column("texts").to_pylist() == [[]] * 10
    assert rows.finish().num_rows == 0


def test_a_row_cut_in_the_middle_leaves_no_trace() -> None:
    expected = [values(i) for i in range(1, 40, 2)]
    rows = Rows("t", SCHEMA)
    for i in range(40):
        for name, value in values(i).items():
            rows.put(name, value)
        if i % 2:
            rows.end_row()
        else:
            rows.give_up()
    batch = rows.finish()
    batch.validate(full=True)
    for name in batch.schema.names:
        got = batch.column(name).to_pylist()
        if name == "pairs":
            got = [None if pairs is None else dict(pairs) for pairs in got]
        assert got == [row.get(name) for row in expected], name


def test_a_cut_after_the_first_columns_ends_with_whole_rows() -> None:
    rows = Rows("t", SCHEMA)
    rows.put("n64", 1)
    rows.put("text", "whole")
    rows.end_row()
    rows.put("n64", 2)
    batch = rows.finish()
    assert batch.to_pylist() == [{"n64": 1, "text": "whole"}]


def test_ill_formed_text_is_repaired_and_counted() -> None:
    rows = Rows("t", SCHEMA)
    assert rows.put("text", b"a\xffb")
    assert rows.put("word", b"a\xed\xa0\x80b")
    assert not rows.put("raw", b"\xff")
    rows.end_row()
    batch = rows.finish()
    batch.validate(full=True)
    assert batch.to_pylist() == [{"text": "a�b", "word": "a���b", "raw": b"\xff"}]
    assert rows.column("text").repairs == 1
    assert rows.column("word").repairs == 1


def test_a_number_that_does_not_fit_is_refused() -> None:
    rows = Rows("t", SCHEMA)
    for name, value in (("n8", 128), ("n16", -32769), ("n32", 1 << 31)):
        with pytest.raises(OverflowError):
            rows.put(name, value)


def test_wide_rows_fill_a_batch() -> None:
    rows = Rows("t", SCHEMA)
    count = 0
    while not rows.is_full:
        rows.put("text", "x" * (1 << 20))
        rows.end_row()
        count += 1
    assert count == 32
    rows = Rows("t", SCHEMA, 3)
    for _ in range(3):
        assert not rows.is_full
        rows.put("n8", 1)
        rows.end_row()
    assert rows.is_full


def test_more_than_two_gib_of_text_is_refused() -> None:
    rows = Rows("t", SCHEMA)
    block = b"x" * (682 << 20)
    for _ in range(3):
        rows.put("raw", block)
        rows.end_row()
    with pytest.raises(OverflowError, match="2 GiB"):
        rows.put("raw", block)


def test_many_words_keep_their_codes() -> None:
    rows = Rows("t", SCHEMA)
    words = [f"word {i * 7919 % 20011}" for i in range(60000)]
    for word in words:
        rows.put("word", word)
        rows.end_row()
    assert rows.finish().column("word").to_pylist() == words


def test_an_unknown_column_is_named() -> None:
    with pytest.raises(KeyError, match="table t has no column nope"):
        Rows("t", SCHEMA).put("nope", 1)


TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)
VALUES = {
    "n8": st.integers(-200, 200),  # some do not fit: the row fails half way
    "x": st.floats(allow_nan=False),
    "yes": st.booleans(),
    "text": TEXT,
    "word": TEXT,
    "raw": st.binary(max_size=5),
    "texts": st.lists(st.none() | TEXT, max_size=4),
    "words": st.lists(st.none() | TEXT, max_size=4),
    "ints": st.lists(st.integers(-(1 << 64), 1 << 64) | st.integers(-5, 5), max_size=4),
    "pairs": st.dictionaries(TEXT, st.none() | TEXT, max_size=4),
}
STEPS = st.sampled_from(["done", "done", "done", "give up", "leave", "finish"])


@given(st.lists(st.tuples(st.fixed_dictionaries({}, optional=VALUES), STEPS), max_size=60))
def test_whatever_fails_half_way_the_whole_rows_are_what_was_put(
    steps: list[tuple[dict[str, object], str]],
) -> None:
    """Rows that fail, are given up, or are left lying, in any order, against a list of dicts."""
    rows = Rows("t", SCHEMA)
    expected: list[dict[str, object]] = []

    def compare() -> None:
        batch = rows.finish()
        batch.validate(full=True)
        assert batch.num_rows == len(expected)
        for name in batch.schema.names:
            got = batch.column(name).to_pylist()
            if name == "pairs":
                got = [None if pairs is None else dict(pairs) for pairs in got]
            assert got == [row.get(name) for row in expected], name
        unused = set(VALUES) - set(batch.schema.names)
        assert all(row.get(name) is None for row in expected for name in unused)
        expected.clear()
        assert rows.bytes_held == 0

    for values, step in steps:
        rows.give_up()
        before = rows.bytes_held
        whole = step != "give up"
        try:
            for name, value in values.items():
                rows.put(name, value)
        except OverflowError:
            whole = False
        if not whole:
            rows.give_up()
            # Words of a dictionary stay until the batch ends, items until the next list.
            words = sum(len(v.encode()) for v in strings_of(values))
            assert 0 <= rows.bytes_held <= before + words
        elif step == "done":
            rows.end_row()
            expected.append(values)
        elif step == "finish":
            compare()
    rows.give_up()
    compare()


def strings_of(values: dict[str, object]) -> list[str]:
    """Every text that a row puts into a dictionary or below a list, or that is the key of a map."""
    found: list[str] = []
    for name in ("word", "texts", "words", "pairs"):
        value = values.get(name)
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict):
            found += [text for pair in value.items() for text in pair if text is not None]
        elif isinstance(value, list):
            found += [text for text in value if text is not None]
    return found


def test_lists_of_nothing_fill_a_batch_too() -> None:
    """A thousand empty texts a record weigh no byte of text, and must not be held without end."""
    rows = Rows("t", SCHEMA)
    count = 0
    while not rows.is_full:
        rows.put("texts", [""] * 1000)
        rows.put("pairs", {})
        rows.end_row()
        count += 1
    assert count == (32 << 20) // 16_000 + 1
    rows.finish()
    assert not rows.is_full


def test_what_was_met_is_the_same_word_and_what_was_repaired_is_said_each_time() -> None:
    rows = Rows("t", SCHEMA)
    for i in range(5000):
        rows.put("word", f"w{i % 1000}")
        assert rows.put("pairs", {f"k{i % 700}": f"w{i % 1000}", "ill": "\ud800"})  # each time
        rows.end_row()
    batch = rows.finish()
    batch.validate(full=True)
    assert batch["word"].to_pylist() == [f"w{i % 1000}" for i in range(5000)]
    assert len(batch["word"].dictionary) == 1000
    assert [dict(row)["ill"][0] for row in batch["pairs"].to_pylist()] == ["\ufffd"] * 5000
