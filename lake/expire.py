"""Letting go of what was replaced: files that were merged or read anew, and old pages of the log.

What was replaced stays for a time (the retention), for queries that are running and for looking at
the lake as of an earlier moment. Then, in this order, so that a kill between two steps leaves
nothing that is said and not there: `artifact` says from which of its versions on the lake can be
looked at; each table gets a checkpoint that does not mention the old files; old log files go; the
files go. Those that a killed run leaves here are for `sweep`, when no log file mentions them.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracelake.lake import checkpoint, log
from tracelake.lake.disk import Place
from tracelake.lake.snapshot import KEPT_FROM
from tracelake.lake.state import Seen, State, commit_path, unit_action
from tracelake.lake.store import tables

if TYPE_CHECKING:
    from tracelake.lake.lake import Lake

RETAIN = 7 * 24 * 3600.0
"""Seconds."""

LEAST_LOG = 3600.0
"""Seconds that log files are kept at least: a writer that was held up must find that a version has
been taken."""

SPACING = 1000
"""Versions of `artifact` between two checkpoints that are kept as long as its log."""

TRIES = 50


@dataclass(slots=True)
class Expired:
    """What was let go of."""

    files: int = 0
    size: int = 0
    log_files: int = 0


def expire(lake: "Lake", retain: float = RETAIN, now: float | None = None) -> Expired:
    """Removes files that were replaced more than `retain` seconds ago, and log files that only
    older versions need.

    Raises:
        LakeError: a log cannot be read.
        OSError: a file cannot be removed.
    """
    done = Expired()
    moment = time.time() if now is None else now
    horizon = int((moment - retain) * 1000)
    books = lake.root / "artifact"
    floor = log.version_at(books, horizon)
    if floor is None:
        return done
    then = State.read(books, floor)
    if then is None or not _keep_from(books, floor):
        return done
    seen = Seen(floor, then.units.keys())
    for table in tables(lake.root):
        _expire(lake.root / table, seen, horizon, moment, done)
    return done


def _keep_from(books: Place, floor: int) -> bool:
    """Says that the lake can be looked at from this version of `artifact` on."""
    for _ in range(TRIES):
        state = State.read(books)
        if state is None:
            return False
        if state.units.get(KEPT_FROM, 0) >= floor:
            return True
        if state.commit([unit_action(KEPT_FROM, floor)], "EXPIRE"):
            return True
    return False


def _expire(table: Place, seen: Seen, horizon: int, moment: float, done: Expired) -> None:
    state = State.read(table)
    if state is None:
        return
    gone = [
        (name, old)
        for name, old in state.tombstones()
        if old.at < horizon and (not old.by or seen.is_in(old.by))
    ]
    if gone:
        for _ in range(TRIES):
            if state.version > state.base or state.commit([], "EXPIRE"):
                break
            state.advance()
        # Not those that are in again since it was read.
        gone = [(name, old) for name, old in gone if name not in state.files]
        state.write_checkpoint({name for name, _ in gone})
    _clean(table, state, horizon, moment, done)
    for name, old in gone:
        path = table / name
        if path.exists():
            path.unlink(missing_ok=True)
            done.files += 1
            done.size += old.size


def _clean(table: Place, state: State, horizon: int, moment: float, done: Expired) -> None:
    """Removes log files that are not needed for any version since the horizon."""
    base = checkpoint.last(table)
    if base is None:
        return
    oldest = log.version_at(table, min(horizon, int((moment - LEAST_LOG) * 1000)))
    there = checkpoint.versions(table)
    needed = max((number for number in there if oldest is not None and number <= oldest), default=0)
    # The one before the last, too: somebody may just be reading it.
    kept = {number for number in there if number >= base} | {needed, *there[-2:]}
    last = needed
    for number in there:
        if number >= needed and number - last >= SPACING and table.name == "artifact":
            kept.add(number)
            last = number
    for number in there:
        if number not in kept:
            checkpoint.path_of(table, number).unlink(missing_ok=True)
            done.log_files += 1
    # From the oldest on: what is left is always whole from some checkpoint on.
    for number in log.versions(table):
        if number >= min(needed, *kept):
            break
        commit_path(table, number).unlink(missing_ok=True)
        done.log_files += 1
