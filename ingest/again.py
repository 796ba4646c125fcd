"""Sources that are in and are read anew (`ingest --reparse`): their units wait until each source is
whole, and then take the place of its rows (lake/replace.py)."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tracelake.ingest.events import Decision, Hashed
from tracelake.lake.lake import Lake
from tracelake.lake.pack import is_pack
from tracelake.lake.replace import Overtaken, replace, swap_name
from tracelake.lake.snapshot import Snapshot
from tracelake.lake.unit import BOOKS, WrittenUnit
from tracelake.normalize import mapping
from tracelake.parsers import BRIEF, BY_NAME, CARVERS
from tracelake.version import VERSION

_CARVED = frozenset(parser.name for parser in CARVERS)


@dataclass(slots=True)
class _Held:
    unit: WrittenUnit
    sources: frozenset[str]


@dataclass(slots=True)
class Again:
    """What a run reads anew.

    Attributes:
        lake: the engagement.
        mark: of the run; stands in the names of all units that are read anew.
    """

    lake: Lake
    mark: str = field(default_factory=lambda: secrets.token_hex(6))
    _ids: dict[str, str] = field(default_factory=dict)
    _paths: dict[str, str] = field(default_factory=dict)
    _held: list[_Held] = field(default_factory=list)
    _whole: set[str] = field(default_factory=set)
    _failed: set[str] = field(default_factory=set)
    _swaps: int = 0

    def decide(self, hashed: Hashed, before: Snapshot, carve: bool) -> Decision | None:
        """That a source is read anew; None where it is in as it would be read now."""
        short = hashed.source_id[:16]
        if short in self._ids:
            if not hashed.task.again:
                return None
            # By a worker that died: what it had written is written once more.
            self._drop({short})
            self._whole.discard(short)
            self._failed.discard(short)
        rows = before.artifact_rows(hashed.source_id)
        closed = before.sources()[hashed.source_id][0]
        brief = not hashed.task.how.flows_only
        if short not in self._ids and not outdated(closed, rows, brief):
            return None
        self._ids[short] = hashed.source_id
        self._paths[hashed.task.path] = short
        carved = any(row["parser"] in _CARVED for row in rows)
        return Decision(carve=carve or carved, mark=self.mark)

    def hold(self, unit: WrittenUnit) -> bool:
        """Keeps a unit of a source that is read anew; False where it is none."""
        sources = _sources_of(unit)
        if not sources & self._ids.keys():
            return False
        self._held.append(_Held(unit, frozenset(sources)))
        return True

    def end(self, path: str, failed: bool) -> None:
        """A source has been read to its end, or cannot be."""
        short = self._paths.get(path)
        if short is not None:
            if failed:
                self._failed.add(short)
            else:
                self._whole.add(short)

    def swap(self) -> Iterator[tuple[str, str]]:
        """Swaps the sources that are whole, with those that share files with them.

        Yields:
            path of a source that was not swapped, and why: another one of its pack failed.

        Raises:
            LakeError, OSError: of `replace`; what it was about stays as it was.
        """
        for sources, units in self._groups():
            if not sources <= self._whole | self._failed:
                continue
            if sources & self._failed:
                self._drop(sources)
                for short in sorted(sources - self._failed):
                    yield self._path(short), "not replaced: one that shares files with it failed"
                    self._failed.add(short)
                continue
            swap = swap_name(self.mark, self._swaps)
            self._swaps += 1
            self._held = [held for held in self._held if not held.sources & sources]
            try:
                replace(self.lake, units, {self._ids[short] for short in sources}, swap)
            except Overtaken as error:
                for short in sorted(sources):
                    yield self._path(short), f"not replaced: {error}"

    def drop(self) -> None:
        """Removes what was not swapped: the run has been stopped."""
        self._drop(set(self._ids))

    def _path(self, short: str) -> str:
        return next(path for path, known in self._paths.items() if known == short)

    def _groups(self) -> list[tuple[frozenset[str], list[WrittenUnit]]]:
        """Units that have to come together, since they share sources."""
        groups: list[tuple[frozenset[str], list[WrittenUnit]]] = []
        for held in self._held:
            sources, units = held.sources, [held.unit]
            apart = []
            for theirs, others in groups:
                if theirs & sources:
                    sources, units = sources | theirs, [*others, *units]
                else:
                    apart.append((theirs, others))
            groups = [*apart, (sources, units)]
        return groups

    def _drop(self, sources: set[str] | frozenset[str]) -> None:
        for held in self._held:
            if held.sources & sources:
                for table, files in held.unit.files.items():
                    for file in files:
                        (self.lake.root / table / file.name).unlink(missing_ok=True)
        self._held = [held for held in self._held if not held.sources & sources]


def outdated(source: dict[str, Any], artifacts: list[dict[str, Any]], brief: bool) -> bool:
    """Whether a source would be read otherwise now: by a newer parser, with other mappings, or by
    one that an earlier version did not have.

    Args:
        source: its row. artifacts: the rows of its artifacts.
        brief: of what was read in brief more is wanted.
    """
    if source["parser_version"] != VERSION:
        return True
    version = mapping.load().version
    for row in artifacts:
        if row["parser"] is None:
            continue
        parser = BY_NAME.get(row["parser"])
        if parser is None or parser.version != row["parser_version"]:
            return True
        if brief and parser in BRIEF:
            return True
        if row["mapping_version"] != version:
            return True
    return False


def _sources_of(unit: WrittenUnit) -> set[str]:
    """The first 16 digits of the sources that a unit is of, or the members of a pack."""
    if not is_pack(unit.unit):
        return {unit.unit[:16]}
    names = {name for table in unit.files for name in unit.units(table)}
    for table in BOOKS:
        if table in unit.books:
            names |= set(unit.book(table)["unit"].to_pylist())
    return {name[:16] for name in names}
