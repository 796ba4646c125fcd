"""Property lists of macOS and iOS.

Specification: `plist_file.py`. What each is is told by its keys (`plist_kinds.py`). Any other one
is a row of `raw_event` with everything that it holds in `unmapped`, since whoever collected it
wanted it; of an image only those in places of interest are opened. 32 MiB at most.

The list is the record, and may give many rows of one table.
"""

from collections.abc import Iterator

import pyarrow as pa

from tracelake.native.errors import Corrupt, Unsupported
from tracelake.parsers.artifact import Artifact, Match, Parser, Rank
from tracelake.parsers.plist_file import MOST, Budget, flat, loaded, looks_like
from tracelake.parsers.plist_kinds import TABLES, items
from tracelake.parsers.pyrows import PyRows
from tracelake.parsers.sheets import place_of

VERSION = "1"


def match(head: bytes, _path: str) -> tuple[Match, str]:
    """How sure it is that an artifact is a property list, and why not."""
    if looks_like(head):
        return Match.CONTENT, ""
    return Match.NO, "no property list, neither binary nor XML"


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields a row for each item of a property list.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on, or are no property list.
    """
    data = artifact.feed.read(MOST + 1)
    if len(data) > MOST:
        raise Unsupported("property list", 0, f"larger than {MOST >> 20} MiB, which are held")
    rows = PyRows(artifact)
    value = loaded(data)
    place = place_of(artifact.path)
    artifact.account.bytes_records += len(data)
    budget = Budget(len(data))
    stopped, any_row = None, False
    try:
        for item in items(value, place):
            unmapped = flat(item.rest)
            budget.spend(unmapped)
            if not any_row:
                rows.seen()
                any_row = True
            told = repr((sorted(item.columns.items()), sorted(unmapped.items())))
            rows.add(
                item.table, 0, len(data), told.encode("utf-8", "surrogatepass"),
                unmapped=unmapped, **item.columns,
            )  # fmt: skip
            yield from rows.full()
    except Corrupt as error:
        stopped = error
    yield from rows.rest()
    if stopped is not None:
        raise stopped


PARSER = Parser(
    "plist",
    VERSION,
    match,
    TABLES,
    read,
    files=(
        "*/library/launchagents/*.plist", "*/library/launchdaemons/*.plist",
        "library/launchagents/*.plist", "library/launchdaemons/*.plist",
        "*/startupitems/*.plist", "*/library/safari/*.plist", "*/receipts/*.plist",
        "library/receipts/installhistory.plist", "*systemversion.plist",
        "*/library/preferences/*.plist", "library/preferences/*.plist",
        "*/dslocal/nodes/*/users/*.plist", "*/systemconfiguration/*.plist",
        "*/com.apple.mobilebackup.plist", "*/com.apple.backgroundtaskmanagement*/*",
    ),
    rank=Rank.USE,
)  # fmt: skip
