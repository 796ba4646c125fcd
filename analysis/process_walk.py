"""From one process to its ancestors and its descendants.

A process is told of by one row or several: by Sysmon with a GUID, by Security with a number and a
time, by a sensor with an id of its own. Rows are of the same process where their ids are equal, or
where host, process id and image are, and they begin within `TOLERANCE`.

A parent is the process of the id that the child names; else the one that had the parent's process
id on that host when the child began: the latest to begin before it, unless it had ended by then,
or has another image than the child says. Nothing is guessed: otherwise the parent was not seen,
and the chain ends with what the child tells of it.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from tracelake.analysis.process_rows import END, MOST, SECOND, START, Row

T = TypeVar("T")

TOLERANCE = 2 * SECOND
"""How far apart two sources may say that a process began, or that a parent ended before it."""
ORDER = SECOND // 10
"""How much later a parent may seem to begin than its child: clocks of two logs."""
SOON = 300 * SECOND
"""How long after its begin the end of a process is looked for by its process id."""
DEPTH = 64
"""Generations that are told, up and down."""


TREES = 16
"""Processes of one id that are told with their trees: of so many hosts it may be an id."""


FEW = 24
"""Processes of a generation whose children are looked up in the files; for more of them, all that
there is of the host is read at once."""


class Source(Protocol):
    """Where rows are looked up (process_rows.ProcessRows)."""

    def by_uid(self, uids: Collection[str], host: str | None = None) -> list[Row]: ...
    def children_by_uid(
        self, uids: Collection[str], host: str | None, since: int | None
    ) -> list[Row]: ...
    def by_pid(
        self, host: str, pids: Collection[int], since: int | None, until: int | None
    ) -> list[Row]: ...
    def near(
        self, host: str, begins: Collection[tuple[int, int]], before: int, after: int
    ) -> list[Row]: ...
    def children_by_pid(
        self, host: str, pids: Collection[int], since: int | None, until: int | None
    ) -> list[Row]: ...
    def holder(self, host: str, pid: int, until: int) -> list[Row]: ...
    def focus(self, host: str, since: int | None) -> None: ...
    def is_small(self, host: str) -> bool: ...
    def widen(self) -> None: ...


@dataclass(eq=False, slots=True)
class Process:
    """A process and what told of it; without rows, one that only its child tells of.

    Attributes:
        rows: that say that it began (or, of one whose begin was not seen, that it ended).
        same_by: row_id -> by what a row is of the same process as the first.
        told: what its child says of it, where there are no rows.
        ended: when, where that was seen.
        note: what else is to be said of it.
        is_complete: whether other sources were asked for what they say of it.
        path: names from its first ancestor to itself, once that is known.
    """

    host: str
    rows: list[Row] = field(default_factory=list)
    same_by: dict[str, str] = field(default_factory=dict)
    told: Row | None = None
    uid: str | None = None
    ended: int | None = None
    note: str | None = None
    path: str | None = None
    is_complete: bool = False
    _uids: set[str] = field(default_factory=set)

    @property
    def pid(self) -> int | None:
        found = first(row.proc_pid for row in self.rows)
        return found if found is not None or self.told is None else self.told.parent_pid

    @property
    def uids(self) -> set[str]:
        """All ids that it goes by."""
        return self._uids if self.rows else {self.uid} - {None}  # type: ignore[return-value]

    @property
    def started(self) -> int | None:
        return first(row.started for row in self.rows if row.kind == START)

    @property
    def name(self) -> str | None:
        found = first(row.name for row in self.rows)
        return found if found is not None or self.told is None else self.told.parents_name

    @property
    def refs(self) -> set[str]:
        return {row.row_id for row in self.rows}

    def add(self, row: Row, same_by: str) -> None:
        """One more row of it."""
        self.rows.append(row)
        self.same_by[row.row_id] = same_by
        if row.proc_uid is not None:
            self._uids.add(row.proc_uid)


@dataclass(frozen=True, slots=True)
class Node:
    """A process in a tree.

    Attributes:
        level: 0 the one that was asked for, -1 its parent, 1 its children.
        parent: the node above it, where that is in the tree.
        joined_by: by what it and its parent (of an ancestor: its child) were found to be such.
    """

    process: Process
    level: int
    parent: "Node | None"
    joined_by: str | None


def first(values: Iterable[T | None]) -> T | None:
    """The first that is there."""
    return next((value for value in values if value is not None), None)


def latest(time: int) -> int:
    """The last moment that a time may mean: some logs have whole seconds only."""
    return time + SECOND - 1 if time % SECOND == 0 else time


def is_made(row: Row) -> bool:
    """Whether a row's id is one that was made of host, process id and time."""
    return row.proc_uid is not None and row.proc_uid.endswith(f":{row.proc_pid}:{row.time}")


def own_uid(row: Row) -> str | None:
    """A row's id, where the sensor gave it."""
    return None if is_made(row) else row.proc_uid


def same(a: Row, b: Row) -> str | None:
    """By what two rows that say that a process began are of the same one; None: they are not."""
    if a.host != b.host:
        return None
    if a.proc_uid is not None and a.proc_uid == b.proc_uid:
        return "proc_uid"
    if a.proc_pid is None or a.proc_pid != b.proc_pid or a.started is None or b.started is None:
        return None
    apart = abs(a.started - b.started)
    if apart > TOLERANCE or (a.name and b.name and a.name != b.name):
        return None
    if a.log_provider == b.log_provider and a.proc_uid is not None and b.proc_uid is not None:
        return None         # one sensor knows its processes apart
    return f"host, process id and begin ({apart / 1000:g} ms apart)"


def grouped(rows: Iterable[Row]) -> list[Process]:
    """Rows that say that processes began, as processes. What says most comes first."""
    found: list[Process] = []
    by_uid: dict[tuple[str, str], Process] = {}
    by_pid: dict[tuple[str, int], list[Process]] = {}
    ordered = sorted(rows, key=lambda row: (own_uid(row) is None, row.started or 0, row.row_id))
    for row in ordered:
        match = by_uid.get((row.host, row.proc_uid)) if row.proc_uid is not None else None
        why = "proc_uid"
        if match is None and row.proc_pid is not None:
            for one in reversed(by_pid.get((row.host, row.proc_pid), ())):
                reasons = [same(known, row) for known in one.rows]
                clash = any(
                    known.log_provider == row.log_provider and not reason
                    for known, reason in zip(one.rows, reasons, strict=True)
                )
                reason = first(reasons)
                if reason is not None and not clash:
                    match, why = one, reason
                    break
        if match is None:
            match = Process(row.host)
            found.append(match)
            why = "first"
        if row.row_id not in match.same_by:
            match.add(row, why)
        if row.proc_uid is not None:
            by_uid[row.host, row.proc_uid] = match
        if row.proc_pid is not None:
            held = by_pid.setdefault((row.host, row.proc_pid), [])
            if match not in held[-1:]:
                held.append(match)
    return found


class Walk:
    """Walks in one snapshot."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def of_rows(self, rows: Iterable[Row]) -> list[Process]:
        """The processes that rows tell of."""
        rows = list(rows)
        found = grouped(row for row in rows if row.kind == START)
        known = {(process.host, uid) for process in found for uid in process.uids}
        for row in rows:
            if row.kind == END and (row.host, row.proc_uid or row.row_id) not in known:
                process = Process(row.host, uid=row.proc_uid, note="its begin was not seen")
                process.add(row, "first")
                found.append(process)
                known.add((row.host, row.proc_uid or row.row_id))
        for process in found:
            _end_by(process, rows)
        return found

    def complete(self, processes: Iterable[Process]) -> None:
        """Adds what other sources say of processes, and when they ended."""
        hosts: dict[str, dict[int, list[Process]]] = {}
        for process in processes:
            if not process.is_complete and process.started is not None:
                process.is_complete = True
                if process.pid is not None:
                    hosts.setdefault(process.host, {}).setdefault(process.pid, []).append(process)
        for host, pids in hosts.items():
            begins = {(pid, p.started or 0) for pid, held in pids.items() for p in held}
            rows: dict[int, list[Row]] = {}
            for row in self._source.near(host, begins, TOLERANCE, SOON):
                rows.setdefault(row.proc_pid or 0, []).append(row)
            for pid, held in pids.items():
                for process in held:
                    for row in rows.get(pid, ()):
                        if row.kind == START and row.row_id not in process.same_by:
                            _join(process, row)
                    _end_by(process, rows.get(pid, ()))

    def alive(self, host: str, pid: int, at: int) -> Process | None:
        """The process that had a number at a time."""
        return self._holder(host, pid, at, None)

    def ancestors(self, process: Process) -> list[Node]:
        """The process itself and its ancestors, nearest first. The last one is a root, or was not
        seen, or says why the chain ends there."""
        chain = [Node(process, 0, None, None)]
        met = process.refs
        while len(chain) <= DEPTH:
            child = chain[-1].process
            parent, joined_by = self._parent(child)
            if parent is None:
                break
            if parent is child or met & parent.refs:
                child.note = "its own parent, by the record" if parent is child else (
                    "its parent is one of its descendants, by the record"
                )
                break
            met |= parent.refs
            chain.append(Node(parent, -len(chain), None, joined_by))
            if not parent.rows:
                break
        else:
            chain[-1].process.note = f"more than {DEPTH} ancestors"
        self.complete(node.process for node in chain)
        return chain

    def descendants(self, process: Process) -> list[Node]:
        """The descendants of a process, level by level."""
        nodes: list[Node] = []
        level = [Node(process, 0, None, None)]
        met = {*process.refs}
        is_focused = False
        for depth in range(1, DEPTH + 2):
            is_worth_it = len(level) > FEW or (depth > 1 and self._source.is_small(process.host))
            if is_worth_it and not is_focused:
                begun = process.started
                self._source.focus(process.host, None if begun is None else begun - SECOND)
                is_focused = True
            children = self._children(level, met)
            if not children:
                break
            if depth > DEPTH or len(nodes) >= MOST:
                for node in {id(child.parent): child.parent for child in children}.values():
                    if node is not None:
                        node.process.note = (
                            f"its children are left out: more than {MOST:,} descendants"
                            if len(nodes) >= MOST else f"its children are left out: level {DEPTH}"
                        )
                break
            nodes += children
            level = children
        self._source.widen()
        return nodes

    def _parent(self, child: Process) -> tuple[Process | None, str | None]:
        """A process's parent, or what the child tells of it, and how they are joined."""
        found, own = self._named(child)
        if found is None and not own:
            self.complete([child])
            found, own = self._named(child)     # by what other sources say
        if found is not None or own:
            return (child, None) if own else (found, "parent_uid")
        if all(row.parent_uid is None and row.parent_pid is None and row.parents_name is None
               for row in child.rows):
            return None, None
        for pid in dict.fromkeys(row.parent_pid for row in child.rows):
            if pid is not None and pid != child.pid and child.started is not None:
                holder = self._holder(child.host, pid, latest(child.started), child)
                if holder is not None:
                    return holder, "parent_pid"
        unseen = Process(
            child.host, told=_told(child.rows),
            uid=first(row.parent_uid for row in child.rows),
            note="not seen: what its child tells of it",
        )
        return unseen, "told by its child"

    def _named(self, child: Process) -> tuple[Process | None, bool]:
        """The parent of the id that a process names; whether that is its own."""
        uids = {row.parent_uid for row in child.rows if row.parent_uid is not None}
        if child.uids & uids:
            return None, True
        rows = self._source.by_uid(uids, child.host)
        # Of several of that id the last before the child.
        at = latest(child.started or 0)
        found = sorted(self.of_rows(rows), key=lambda one: (
            one.started is None or one.started > at + ORDER, -(one.started or 0)
        ))
        return first(found), False

    def _holder(self, host: str, pid: int, at: int, child: Process | None) -> Process | None:
        """The process that had a number when another began (or at a time)."""
        rows = [row for row in self._source.holder(host, pid, at + ORDER) if row.host == host]
        starts = [
            row for row in rows
            if row.kind == START and row.started is not None and row.started <= at + ORDER
            and (child is None or row.row_id not in child.same_by)
        ]
        if not starts:
            return None
        holders = grouped(starts)
        best = max(holders, key=lambda p: (p.started or 0, len(p.rows)))
        if _gone(best, rows, at) or (child is not None and not _may_be(best, child)):
            return None
        _end_by(best, rows)
        return best

    def _children(self, level: list[Node], met: set[str]) -> list[Node]:
        """The children of a level's processes; `met`: rows that stand in the tree already.

        More than `MOST` rows are not asked for.
        """
        by_uid = {uid: node for node in level for uid in node.process.uids}
        starts = [s for node in level if (s := node.process.started) is not None]
        since = min(starts) - TOLERANCE if len(starts) == len(level) else None
        named = [
            row for row in self._source.children_by_uid(set(by_uid), level[0].process.host, since)
            if row.parent_uid in by_uid and row.row_id not in met
        ]
        joined: dict[str, tuple[Node, str]] = {
            row.row_id: (by_uid[row.parent_uid], "parent_uid")
            for row in named if row.parent_uid is not None
        }
        numbered = self._numbered(level, met | joined.keys(), joined)
        found = []
        processes = grouped(named + numbered)
        self.complete(processes)
        for process in processes:
            ways = [joined[row.row_id] for row in process.rows if row.row_id in joined]
            parent, how = min(ways, key=lambda way: way[1] != "parent_uid")
            if process.refs & met:
                continue
            met |= process.refs
            found.append(Node(process, parent.level + 1, parent, how))
        found.sort(key=lambda node: (node.process.started or 0, node.process.pid or 0))
        return found

    def _numbered(
        self, level: list[Node], met: set[str], joined: dict[str, tuple[Node, str]]
    ) -> list[Row]:
        """Rows of children that name their parent by its process id."""
        found: list[Row] = []
        hosts: dict[str, dict[int, list[Node]]] = {}
        for node in level:
            pid = node.process.pid
            if pid is not None and node.process.started is not None:
                hosts.setdefault(node.process.host, {}).setdefault(pid, []).append(node)
        for host, pids in hosts.items():
            nodes = [node for held in pids.values() for node in held]
            since = min(node.process.started or 0 for node in nodes) - ORDER
            ends = [node.process.ended for node in nodes]
            until = None
            if all(end is not None for end in ends):
                until = max(end or 0 for end in ends) + TOLERANCE
            rows = [
                row for row in self._source.children_by_pid(host, set(pids), since, until)
                if row.row_id not in met and row.started is not None
                and row.parent_pid != row.proc_pid
            ]
            if not rows:
                continue
            last = max(latest(row.started or 0) for row in rows)
            asked = {row.parent_pid for row in rows if row.parent_pid is not None}
            holders = self._source.by_pid(host, asked, since, last + ORDER)
            begins = _begins(grouped(row for row in holders if row.kind == START), pids)
            for row in rows:
                at = latest(row.started or 0)
                had = _at(begins, row.parent_pid, at)
                if had is not None and _is_child(row, had.process, holders, at):
                    joined[row.row_id] = (had, "parent_pid")
                    found.append(row)
        return found


def _join(process: Process, row: Row) -> None:
    """Adds a row that says that the process began, if it does."""
    reasons = [same(known, row) for known in process.rows if known.kind == START]
    clash = any(
        known.log_provider == row.log_provider and own_uid(known) != own_uid(row)
        for known in process.rows
    )
    reason = first(reasons)
    if reason is not None and not clash:
        process.add(row, reason)


def _end_by(process: Process, rows: Iterable[Row]) -> None:
    """Looks for the end of a process among rows of its id or its number."""
    if process.ended is not None:
        return
    begun = process.started
    ends = [
        row.time for row in rows
        if row.kind == END and row.time is not None and row.host == process.host
        and (row.proc_uid in process.uids if row.proc_uid is not None else (
            row.proc_pid == process.pid and row.proc_pid is not None
            and begun is not None and row.time >= begun
            and (not row.name or not process.name or row.name == process.name)))
    ]
    if ends:
        process.ended = min(ends)


def _gone(process: Process, rows: Iterable[Row], at: int) -> bool:
    """Whether a process had ended before a time, by an end of its number since it began."""
    begun = process.started or 0
    return any(
        row.kind == END and row.time is not None and begun <= row.time < at - TOLERANCE
        and row.proc_pid == process.pid and row.host == process.host
        and not (row.proc_uid is not None and row.proc_uid not in process.uids)
        for row in rows
    )


def _may_be(parent: Process, child: Process) -> bool:
    """Whether nothing that the child says contradicts that this is its parent."""
    return all(_agrees(parent, row) for row in child.rows)


def _agrees(parent: Process, row: Row) -> bool:
    if row.parent_uid is not None:
        ids = {own_uid(one) for one in parent.rows if one.log_provider == row.log_provider}
        if ids - {None} and row.parent_uid not in ids:
            return False        # the same sensor names another one
    made = first(one.started for one in parent.rows)
    if row.parent_created_time is not None and made is not None and (
        abs(row.parent_created_time - made) > TOLERANCE
    ):
        return False
    # On Unix a process may take another image between two looks at it.
    on_windows = "\\" in f"{row.parent_path or ''}{row.proc_path or ''}"
    mine, named = parent.name, row.parents_name
    return not (on_windows and mine and named and mine != named)


def _is_child(row: Row, parent: Process, holders: list[Row], at: int) -> bool:
    return _agrees(parent, row) and not _gone(parent, holders, at)


Begins = dict[int, tuple[list[int], list[Node | None]]]
"""Process id -> when it was given out, and the nodes that it was given to (None: others)."""


def _begins(holders: list[Process], pids: dict[int, list[Node]]) -> Begins:
    found: dict[int, list[tuple[int, Node | None]]] = {}
    by_pid: dict[int | None, list[Process]] = {}
    for holder in holders:
        by_pid.setdefault(holder.pid, []).append(holder)
    for pid, nodes in pids.items():
        refs = {ref: node for node in nodes for ref in node.process.refs}
        times = [(node.process.started or 0, node) for node in nodes]
        others: list[tuple[int, Node | None]] = [
            (holder.started or 0, None) for holder in by_pid.get(pid, ())
            if not holder.refs & refs.keys()
        ]
        found[pid] = sorted([*times, *others], key=lambda each: each[0])
    return {
        pid: ([at for at, _ in given], [node for _, node in given])
        for pid, given in found.items()
    }


def _at(begins: Begins, pid: int | None, at: int) -> Node | None:
    """Who had a number at a time."""
    if pid is None or pid not in begins:
        return None
    times, nodes = begins[pid]
    number = bisect_right(times, at + ORDER) - 1
    return nodes[number] if number >= 0 else None


def _told(rows: list[Row]) -> Row:
    """All that rows tell of their process's parent, in one."""
    return replace(
        rows[0],
        parent_pid=first(row.parent_pid for row in rows),
        parent_path=first(row.parent_path for row in rows),
        parent_name=first(row.parent_name for row in rows),
    )
