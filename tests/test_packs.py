"""Small units in common files: each is in once and whole, whatever fails and whoever is at it."""

import random
import threading
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from tests.lake_case import BOOK, SCHEMAS, events, source_id, unit_name
from tracelake.lake.commit import Committer
from tracelake.lake.errors import LakeError
from tracelake.lake.lake import Lake
from tracelake.lake.pack import PackWriter, is_pack, shares_of
from tracelake.lake.unit import Share, WrittenUnit
from tracelake.lake.verify import verify

WITH_UNIT = BOOK.append(pa.field("unit", pa.string()))
OURS = {**SCHEMAS, "artifact": WITH_UNIT, "source": WITH_UNIT}
DATA = ("event_log_activity", "process_activity", "damage")
Sizes = dict[str, int]


def sizes(number: int) -> Sizes:
    """How many rows unit `number` has in each table; not every unit has some everywhere."""
    chance = random.Random(number)
    return {table: chance.choice((0, 1, 5)) for table in DATA} | {"event_log_activity": 2}


def book(number: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [
            pa.array([source_id(number)]).dictionary_encode(),
            pa.array([f"/{number}"]),
            pa.array([0], pa.int32()),
            pa.array([[("event_log_activity", 2)]], pa.map_(pa.string(), pa.int64())),
            pa.array([unit_name(number)]),
        ],
        schema=WITH_UNIT,
    )


def rows_of(number: int, table: str) -> pa.RecordBatch:
    count = sizes(number)[table]
    return events(range(number * 1000, number * 1000 + count), source_id(number))


def single(lake: Lake, number: int) -> WrittenUnit:
    writer = lake.writer(unit_name(number))
    for table in DATA:
        writer.write(table, rows_of(number, table))
    writer.write("artifact", book(number))
    writer.write("source", book(number))
    return writer.close()


def pack(lake: Lake, numbers: list[int]) -> WrittenUnit:
    writer = PackWriter(lake)
    for table in DATA:
        members = [n for n in numbers if sizes(n)[table]]
        if members:
            shares: list[Share] = [(unit_name(n), sizes(n)[table]) for n in members]
            batches = [rows_of(n, table) for n in members]
            (batch,) = pa.Table.from_batches(batches).combine_chunks().to_batches()
            writer.write(table, batch, shares)
    for table in ("artifact", "source"):
        rows = pa.Table.from_batches(map(book, numbers)).combine_chunks()
        writer.book(table, rows.to_batches()[0])
    return writer.close()


def some(lake: Lake, numbers: list[int], chance: random.Random) -> list[WrittenUnit]:
    """The units, in packs and alone as chance has it."""
    chance.shuffle(numbers)
    units, at = [], 0
    while at < len(numbers):
        group = numbers[at : at + chance.randint(1, 5)]
        at += len(group)
        alone = len(group) == 1 and chance.random() < 0.7
        units.append(single(lake, group[0]) if alone else pack(lake, group))
    return units


def check(folder: Path, everyone: bool = False, last: int = 0) -> set[str]:
    """Complete units have all their rows, once; no others are seen. Returns them."""
    lake = Lake.open(str(folder), "case", schemas=OURS)
    now = lake.snapshot()
    complete = {unit for unit in now.complete_units() if not is_pack(unit)}
    for table in DATA:
        found: Counter[str] = Counter()
        for path in now.files(table):
            ids = pq.read_table(path, columns=["source_id", "src_offset"]).to_pylist()
            found.update(f"{row['source_id']}:{row['src_offset']}" for row in ids)
        wanted: Counter[str] = Counter()
        for unit in complete:
            number = int(unit[:16], 16)
            wanted.update(f"{source_id(number)}:{i}" for i in range(sizes(number)[table]))
        assert found == wanted, table
    for table in ("artifact", "source"):
        rows = [r for path in now.files(table) for r in pq.read_table(path)["unit"].to_pylist()]
        assert len(rows) == len(set(rows))
        assert table == "source" or set(rows) == complete
    if everyone:
        assert complete == {unit_name(n) for n in range(last)}
    return complete


def sound(folder: Path) -> None:
    lake = Lake.open(str(folder), "case", schemas=OURS)
    assert [line for checked in verify(lake, grace=0) for line in checked.wrong] == []


def test_a_pack_is_one_file_a_table(tmp_path: Path) -> None:
    lake = Lake.open(str(tmp_path), "case", create=True, schemas=OURS)
    written = pack(lake, list(range(20)))
    outcome = lake.commit([written])
    assert set(outcome.landed) == {unit_name(n) for n in range(20)}
    check(tmp_path, everyone=True, last=20)
    sound(tmp_path)
    for table in (*DATA, "artifact", "source"):
        assert len(list((lake.root / table).glob("*.parquet"))) == 1
    (path,) = lake.snapshot().files("event_log_activity")
    assert shares_of(Path(path)) == [(unit_name(n), 2) for n in range(20)]
    again = lake.commit([pack(lake, list(range(25)))])
    assert set(again.landed) == {unit_name(n) for n in range(20, 25)}
    assert set(again.skipped) == {unit_name(n) for n in range(20)}
    check(tmp_path, everyone=True, last=25)
    sound(tmp_path)


def test_shares_that_do_not_add_up_are_refused(tmp_path: Path) -> None:
    lake = Lake.open(str(tmp_path), "case", create=True, schemas=OURS)
    with pytest.raises(ValueError, match="rows"):
        PackWriter(lake).write("damage", rows_of(3, "event_log_activity"), [("u", 1)])
    single(lake, 1)
    with pytest.raises(LakeError, match="does not say"):
        shares_of(next((lake.root / "event_log_activity").glob("*.parquet")))


class _Dies(Committer):
    """A run that is killed after so many commits to tables."""

    def __init__(self, lake: Lake, after: int) -> None:
        super().__init__(lake)
        self.left = after

    def _try(self, *arguments: object, **more: object) -> bool:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return super()._try(*arguments, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(6))
def test_killed_between_any_two_tables(tmp_path: Path, seed: int) -> None:
    """What a killed run had committed of a pack is divided by whoever completes a part of it."""
    chance = random.Random(seed)
    lake = Lake.open(str(tmp_path), "case", create=True, schemas=OURS)
    last, complete, divided = 14, set[str](), 0
    for _ in range(12):
        numbers = chance.sample(range(last), chance.randint(1, last))
        units = some(lake, numbers, chance)
        try:
            _Dies(lake, chance.randint(0, 7)).commit(units)
        except KeyboardInterrupt:
            pass
        else:
            complete |= {unit_name(n) for n in numbers}
        now = check(tmp_path)
        assert now >= complete
        complete = now
    _Dies(lake, 10_000).commit(some(lake, list(range(last)), chance))
    check(tmp_path, everyone=True, last=last)
    sound(tmp_path)
    for table in DATA:
        log = (lake.root / table / "_delta_log").glob("*.json")
        divided += sum("divided-" in path.read_text() for path in log)
    # Other engines see each row once as well.
    for table in DATA:
        rows = sum(sizes(n)[table] for n in range(last))
        if rows:
            assert DeltaTable(str(lake.root / table)).count() == rows
    if seed == 0:
        assert divided, "no pack was ever divided"


@pytest.mark.parametrize("seed", range(3))
def test_runs_at_once(tmp_path: Path, seed: int) -> None:
    Lake.open(str(tmp_path), "case", create=True, schemas=OURS)
    last = 24
    trouble: list[BaseException] = []

    def run(number: int) -> None:
        chance = random.Random(seed * 10 + number)
        try:
            lake = Lake.open(str(tmp_path), "case", schemas=OURS)
            numbers = list(range(last))
            chance.shuffle(numbers)
            while numbers:
                count = chance.randint(1, 9)
                lake.commit(some(lake, numbers[:count], chance))
                numbers = numbers[count:]
                check(tmp_path)
        except BaseException as error:
            trouble.append(error)
            raise

    threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trouble == []
    check(tmp_path, everyone=True, last=last)
    sound(tmp_path)
    lake = Lake.open(str(tmp_path), "case", schemas=OURS)
    for table in DATA:
        rows = sum(sizes(n)[table] for n in range(last))
        assert DeltaTable(str(lake.root / table)).count() == rows
