"""Combinations of codes in a batch, against plain Python."""

import random
from collections.abc import Iterable

import pyarrow as pa
import pytest

from tracelake.native.combined import combinations
from tracelake.normalize.tables.books import DEVICE_KEYS


def expected(
    columns: Iterable[list[int | None]], times: list[int | None] | None, rows: int
) -> list[tuple[tuple[int | None, ...], int | None, int | None, int]]:
    columns = list(columns)
    found: dict[tuple[int | None, ...], list[int]] = {}
    for row in range(rows):
        found.setdefault(tuple(column[row] for column in columns), []).append(row)
    out = []
    for key, held in found.items():
        known = [t for row in held if times is not None and (t := times[row]) is not None]
        first, last = (min(known), max(known)) if known else (None, None)
        out.append((key, first, last, len(held)))
    return out


@pytest.mark.parametrize("seed", range(30))
def test_all_combinations_are_found(seed: int) -> None:
    rng = random.Random(f"combined {seed}")
    rows = rng.choice([1, 7, 64, 1000, 5000])
    before = rng.choice([0, 0, 3, 9])       # arrays that are cut out of larger ones

    def column(most: int, nulls: float) -> list[int | None]:
        return [None if rng.random() < nulls else rng.randrange(most) for _ in range(rows)]

    columns = [
        column(rng.choice([1, 3, 400, 5000]), rng.choice([0, 0, 0.1, 1]))
        for _ in range(rng.choice([0, 1, 2, len(DEVICE_KEYS)]))
    ]
    arrays = [pa.array([5, *[None] * before, *one], pa.int32())[before + 1 :] for one in columns]
    times: list[int | None] | None = None
    if rng.random() < 0.8:
        nulls = rng.choice([0, 0.2, 1])
        times = [None if rng.random() < nulls else rng.randrange(-(2**62), 2**62)
                 for _ in range(rows)]
    time = None if times is None else pa.array([7, *times], pa.int64())[1:]
    assert combinations(arrays, time, rows) == expected(columns, times, rows)


def test_what_does_not_fit_is_refused() -> None:
    codes = pa.array([1, 2], pa.int32())
    for columns, time, rows in (
        ([codes], None, 3),
        ([codes.cast(pa.int64())], None, 2),
        ([codes], codes, 2),
        ([codes], pa.array([1], pa.int64()), 2),
        ([codes] * 9, None, 2),
    ):
        with pytest.raises(ValueError, match=r"for|too many"):
            combinations(columns, time, rows)
