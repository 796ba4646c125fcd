"""An id that becomes known only after the rows were written."""

import errno
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from tracelake.lake.errors import LakeError
from tracelake.lake.lake import Lake
from tracelake.lake.standin import StandIn, new_stand_in
from tracelake.lake.verify import verify
from tracelake.lake.writer import UnitWriter
from tracelake.normalize import MAPPING_VERSION, TABLES, Provenance, complete

ID = "0123456789abcdef0123456789abcdef"


def write(lake: Lake, source_id: str, sizes: list[int]) -> UnitWriter:
    writer = lake.writer(f"{source_id[:16]}-0-evtx-1")
    provenance = Provenance(lake.engagement, source_id, 0, "evtx", "1", MAPPING_VERSION)
    for table in ("raw_event", "damage"):
        for size in sizes:
            batch = pa.RecordBatch.from_pydict(
                {
                    "src_offset": pa.array(range(size), pa.int64()),
                    **({"what": ["record"] * size} if table == "damage" else {}),
                }
            )
            writer.write(table, complete(TABLES[table], batch, provenance))
    return writer


@pytest.mark.parametrize(
    ("sizes", "roll"), [([3], 9), ([5, 5], 9), ([3000, 7, 122_880], 1_000_000), ([9, 9, 9], 10)]
)
def test_settled_files_are_what_they_would_have_been(
    tmp_path: Path, sizes: list[int], roll: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracelake.lake.writer.ROLL", roll)
    early = Lake.open(str(tmp_path / "early"), "case", create=True)
    late = Lake.open(str(tmp_path / "late"), "case", create=True)
    stand_in = new_stand_in()
    settled = write(late, stand_in, sizes).close(StandIn(stand_in, ID))
    known = write(early, ID, sizes).close()
    assert settled.unit == known.unit
    assert len(known.files["raw_event"]) == (2 if roll == 10 else 1)
    for table, files in known.files.items():
        for file, other in zip(files, settled.files[table], strict=True):
            assert other.name.startswith(f"{ID[:16]}-0-evtx-1.")
            assert (other.size, other.rows, other.stats) == (file.size, file.rows, file.stats)
            ours, theirs = late.root / table / other.name, early.root / table / file.name
            assert ours.read_bytes() == theirs.read_bytes()
            assert set(pq.read_table(ours).column("source_id").to_pylist()) == {ID}
        assert len(list((late.root / table).iterdir())) == len(files)
    late.commit([settled])
    assert [line for checked in verify(late) for line in checked.wrong] == []
    assert DeltaTable(str(late.root / "raw_event")).count() == sum(sizes)


def test_what_holds_no_stand_in_is_refused(tmp_path: Path) -> None:
    lake = Lake.open(str(tmp_path), "case", create=True)
    writer = write(lake, new_stand_in(), [3])
    with pytest.raises(LakeError, match="there is no stand-in"):
        writer.close(StandIn(new_stand_in(), ID))
    writer.discard()
    assert list(lake.root.rglob("*.parquet")) == []


def test_a_unit_that_cannot_be_renamed_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake.open(str(tmp_path), "case", create=True)
    stand_in = new_stand_in()
    writer = write(lake, stand_in, [3])
    renamed = []

    def rename(old: Path, new: Path) -> None:
        if renamed:
            raise OSError(errno.EIO, "no")
        renamed.append(new)
        old.rename(new)

    monkeypatch.setattr("tracelake.lake.writer.os.rename", rename)
    with pytest.raises(OSError, match="no"):
        writer.close(StandIn(stand_in, ID))
    assert renamed
    assert list(lake.root.rglob("*.parquet")) == []
