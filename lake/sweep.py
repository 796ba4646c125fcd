"""Removing what killed writers left: files that no log mentions.

Nothing that a log mentions in any version that it keeps is touched, nor what is younger than the
grace period, nor what was written since the first of the runs that are alive began (`lease.py`).
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracelake.lake import lease
from tracelake.lake.disk import Place
from tracelake.lake.store import place_at
from tracelake.lake.verify import orphans

if TYPE_CHECKING:
    from tracelake.lake.lake import Lake

GRACE = 24 * 3600.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Swept:
    """A file that was left by a killed writer.

    Attributes:
        path: absolute. size: bytes. age: seconds since it was last written.
    """

    path: str
    size: int
    age: float


def sweep(lake: "Lake", grace: float = GRACE, dry_run: bool = False) -> Iterator[Swept]:
    """Removes orphans, and says each.

    Args:
        grace: seconds that a file must not have been written for.
        dry_run: only say what would be removed.

    Raises:
        LakeError: a log cannot be read: nothing of its table is removed.
        OSError: a file cannot be removed.
    """
    now = time.time()
    began = lease.earliest(lake.root, now)
    for orphan in orphans(lake, grace):
        if began is not None and now - orphan.age >= began:
            continue
        yield _swept(place_at(orphan.path), orphan.size, orphan.age, dry_run)
    for path in (*_drafts(lake.root), *lease.stale(lake.root, now, grace)):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        if now - stat.st_mtime > grace:
            yield _swept(path, stat.st_size, now - stat.st_mtime, dry_run)


def _swept(path: Place, size: int, age: float, dry_run: bool) -> Swept:
    if not dry_run:
        path.unlink(missing_ok=True)
    return Swept(str(path), size, age)


def _drafts(root: Place) -> Iterator[Place]:
    """Log files that were never put in their place; their names begin with a dot (`disk.py`)."""
    yield from root.glob(".*")
    yield from root.glob("*/_delta_log/.*")
