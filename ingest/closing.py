"""The unit that closes a source: what no parser took, and its row of `source`."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from tracelake.ingest.books import Listing, artifact_row, source_row
from tracelake.ingest.events import Event, Facts, Identity, Task
from tracelake.ingest.pack import Outlet, Pack
from tracelake.ingest.reach import uri_of
from tracelake.ingest.sofar import SoFar
from tracelake.lake.lake import Lake
from tracelake.normalize import Provenance, extra, mapping
from tracelake.parsers.artifact import Parser
from tracelake.version import VERSION


@dataclass(slots=True)
class LeftOver:
    """Artifacts without a unit of their own: nobody took them, or they cannot be opened.

    Attributes:
        rows: by their number, with their damage.
        listing: those that are only listed.
    """

    rows: dict[int, tuple[Facts, pa.RecordBatch | None]] = field(default_factory=dict)
    listing: Listing = field(default_factory=Listing)

    def __len__(self) -> int:
        return len(self.rows) + len(self.listing.numbers)



def unit_id(source_id: str, number: int, parser: Parser, mark: str = "") -> str:
    """What is committed together: one artifact, read by one version of one parser, and with the
    same mapping files of an analyst.

    Args:
        mark: of a run that reads the source anew.
    """
    version = parser.version.replace(".", "_") + extra.mark(extra.files()).replace(extra.MARK, "-m")
    return marked(f"{source_id[:16]}-{number}-{parser.name}-{version}", mark)


def marked(unit: str, mark: str) -> str:
    """A unit's name in a run that reads its source anew."""
    return f"{unit}-r{mark}" if mark else unit


def provenance(lake: Lake, source_id: str, number: int, parser: Parser | None) -> Provenance:
    """What is the same on all rows of an artifact; without a parser, of its damage."""
    return Provenance(
        engagement_id=lake.engagement,
        source_id=source_id,
        artifact_no=number,
        parser=parser.name if parser else "container",
        parser_version=parser.version if parser else VERSION,
        mapping_version=mapping.load().version,
    )


def close_left(
    lake: Lake, pack: Pack, task: Task, source_id: str, left: LeftOver, mark: str
) -> Iterator[Event]:
    """Makes a unit of what was left so far, where the source is not at its end."""
    if not left:
        return
    # The same in every run that leaves the same: what is in does not come again.
    numbers = ",".join(map(str, sorted((*left.rows, *left.listing.numbers))))
    unit = marked(f"{source_id[:16]}-left-{zlib.crc32(numbers.encode()):08x}", mark)
    outlet = Outlet(lake, pack, unit, provenance(lake, source_id, 0, None))
    _put_left(lake, outlet, unit, source_id, left)
    yield from outlet.close(task, Facts("", None), 0.0)


def close_source(
    lake: Lake,
    pack: Pack,
    task: Task,
    identity: Identity,
    size: int,
    sofar: SoFar,
    left: LeftOver,
    mark: str = "",
) -> Iterator[Event]:
    """Makes the source's last unit: what was left, and the row that closes it.

    Args:
        pack: what the unit joins.
        sofar: the sums of all its artifacts.
    """
    source_id = identity.source_id
    unit = marked(f"{source_id[:16]}-source", mark)
    outlet = Outlet(lake, pack, unit, provenance(lake, source_id, 0, None))
    _put_left(lake, outlet, unit, source_id, left)
    path = uri_of(task.path)
    row = source_row(lake.engagement, identity, path, size, unit, VERSION, sofar)
    outlet.book("source", row)
    yield from outlet.close(task, None, 0.0)


def _put_left(lake: Lake, outlet: Outlet, unit: str, source_id: str, left: LeftOver) -> None:
    if left.listing.numbers:
        listed = left.listing.batch(lake.engagement, source_id, unit, VERSION)
        outlet.book_all("artifact", listed)
    for number, (found, damage) in left.rows.items():
        if damage is not None:
            outlet.put("damage", damage, provenance(lake, source_id, number, None))
        outlet.book(
            "artifact", artifact_row(lake.engagement, source_id, number, unit, VERSION, found)
        )
