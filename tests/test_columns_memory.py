"""Blocks that columns let go of and take again (native/blocks.pxd, native/heap.pyx)."""

import platform
import resource
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from tracelake.native.columns import Rows
from tracelake.native.heap import keep_freed

ROWS = 40_000
"""Each column is a mapping of its own then."""

SCHEMA = pa.schema(
    [
        ("n", pa.int64()),
        ("yes", pa.bool_()),
        ("text", pa.string()),
        ("word", pa.dictionary(pa.int32(), pa.string())),
        ("pairs", pa.map_(pa.string(), pa.string())),
    ]
)


def made(rows: Rows, seed: int) -> list[dict[str, object]]:
    """Puts rows of which each column has nulls at places and values that follow from `seed`."""
    expected = []
    for i in range(ROWS):
        row: dict[str, object] = {
            "n": i * seed,
            "yes": (i + seed) % 3 == 0,
            "text": f"{seed}-{i}",
            "word": f"w{i % (7 * seed)}",
            "pairs": [(f"k{seed}", str(i))],
        }
        row = {name: v if (i + k) % (2 + seed) else None for k, (name, v) in enumerate(row.items())}
        for name, value in row.items():
            rows.put(name, dict(value) if isinstance(value, list) else value)
        rows.end_row()
        expected.append(row)
    return expected


def test_nothing_of_the_batch_before_is_left() -> None:
    rows = Rows("t", SCHEMA)
    for seed in (5, 1, 3):
        expected = made(rows, seed)
        batch = rows.finish()
        batch.validate(full=True)
        assert batch.select(SCHEMA.names).to_pylist() == expected
        del batch


def test_a_batch_that_is_still_held_is_not_written_over() -> None:
    rows = Rows("t", SCHEMA)
    first_rows = made(rows, 2)
    first = rows.finish()
    part = first.column("text").slice(100, 50)
    texts = first.column("text").to_pylist()[100:150]
    del first
    made(rows, 4)
    second = rows.finish()
    assert part.to_pylist() == texts == [row["text"] for row in first_rows[100:150]]
    second.validate(full=True)


def test_threads_do_not_get_one_block_twice() -> None:
    def work(seed: int) -> bool:
        good = True
        for _ in range(3):
            rows = Rows("t", SCHEMA)
            expected = made(rows, seed)
            good = good and rows.finish().select(SCHEMA.names).to_pylist() == expected
        return good

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, (1, 2, 3, 4)))


@pytest.mark.skipif(platform.system() != "Linux", reason="blocks are mappings on Linux only")
def test_the_next_batch_is_put_into_the_same_pages() -> None:
    names = [f"n{i}" for i in range(8)]
    rows = Rows("t", pa.schema([(name, pa.int64()) for name in names]))

    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for i in range(ROWS):
            for name in names:
                rows.put(name, i)
            rows.end_row()
        assert rows.finish().num_rows == ROWS
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    faults()
    pages = 8 * ROWS * 8 // 4096
    assert faults() < pages // 2


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc can be told")
def test_malloc_takes_what_it_is_told() -> None:
    from tracelake.ingest.crew import KEPT_FREE, MAPPED

    assert keep_freed(KEPT_FREE, MAPPED)
    with pytest.raises(OverflowError):
        keep_freed(1 << 40, MAPPED)
