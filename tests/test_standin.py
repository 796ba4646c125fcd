"""An id that becomes known only after the rows were written."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from tracelake.lake.errors import LakeError
from tracelake.lake.lake import Lake
from tracelake.lake.standin import new_stand_in, settle
from tracelake.lake.verify import verify
from tracelake.lake.writer import UnitWriter, WrittenUnit
from tracelake.normalize import MAPPING_VERSION, TABLES, Provenance, complete

ID = "0123456789abcdef0123456789abcdef"


def write(lake: Lake, source_id: str, sizes: list[int]) -> tuple[WrittenUnit, UnitWriter]:
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
    return writer.close(), writer


@pytest.mark.parametrize("sizes", [[3], [5, 5], [3000, 7, 122_880]])
def test_settled_files_are_what_they_would_have_been(tmp_path: Path, sizes: list[int]) -> None:
    early = Lake.open(str(tmp_path / "early"), "case", create=True)
    late = Lake.open(str(tmp_path / "late"), "case", create=True)
    stand_in = new_stand_in()
    settled = settle(late.root, write(late, stand_in, sizes)[0], stand_in, ID)
    known, _ = write(early, ID, sizes)
    assert settled.unit == known.unit
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
    written, _ = write(lake, new_stand_in(), [3])
    with pytest.raises(LakeError, match="there is no stand-in"):
        settle(lake.root, written, new_stand_in(), ID)
