"""Which names and ids are of one host.

What is joined, and by what:

- a name and an id that stand in one record: of one host;
- names with the same first part: of one host, unless they have several domains;
- a name of an artifact's host (views/host.py), and the ids in that artifact, where it has one of
  a kind only: the artifact's host.

What is not: an id under several names at the same time (a cloned machine) joins nothing; a name
with several ids of one sensor at the same time is of several hosts (`WS1/0a1b2c3d`). One after
the other, the host was renamed, or the sensor installed again. Names that say nothing
(`localhost`) and addresses join nobody: DHCP gives them to the next, NAT hides many behind one.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise

GENERIC = {
    "", "-", "localhost", "localhost6", "(none)", "none", "null", "unknown", "n/a", "nil", "host",
    "minint", "livecd", "ubuntu-live", "raspberrypi", "debian-live", "template",
}
"""First parts of names that many hosts have."""
TOGETHER = 3_600_000_000
"""Microseconds for which two names, or ids, must have been seen side by side to be of two hosts."""
MACHINE = "machine"
"""Kind of an id that no sensor gave: MachineGuid, machine-id."""

Node = tuple[str, ...]
Pairs = dict[tuple[Node, Node, str], list["Span"]]
"""Names and ids that stand in one record, with the kind of the id: when."""
Span = tuple[int | None, int | None]
At = tuple[str, int]
"""An artifact."""


@dataclass(frozen=True, slots=True)
class Told:
    """What rows of one artifact name a host by.

    Attributes:
        first, last: of these rows, microseconds since 1970, where they have a time.
    """

    at: At
    name: str | None
    uid: str | None
    provider: str | None
    first: int | None
    last: int | None
    rows: int


@dataclass(frozen=True, slots=True)
class Owner:
    """The host of an artifact."""

    key: str
    shown: str
    labels: tuple[str, ...]


@dataclass(slots=True)
class Settled:
    """Attributes:
    said: (artifact, name, id) -> key of the host and its name.
    uids: id -> name of its host. names: name -> that of its host, where it is another.
    remarks: key of a host -> why it was not joined to another.
    """

    said: dict[tuple[At, str | None, str | None], tuple[str | None, str | None]] = field(
        default_factory=dict
    )
    uids: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    remarks: list[tuple[str, str]] = field(default_factory=list)


def label(name: str | None) -> str | None:
    """The first part of a name in lower case, or an address; None for names that say nothing."""
    if name is None:
        return None
    found = name.lower().strip()
    if not all(c in "0123456789.:" for c in found):
        found = found.split(".")[0]
    return None if found in GENERIC else found


def domain(name: str | None) -> str:
    """What follows the first part of a name."""
    found = (name or "").lower().strip().rstrip(".")
    if all(c in "0123456789.:" for c in found):
        return ""
    return found.partition(".")[2]


def settle(told: Iterable[Told], owners: dict[At, Owner]) -> Settled:
    """Says whose each name and id is."""
    return _Settling(list(told), owners).settled()


class _Settling:
    def __init__(self, told: list[Told], owners: dict[At, Owner]) -> None:
        self._told = told
        self._owners = owners
        self._above: dict[Node, Node] = {}
        self._remarks: list[tuple[Node, str]] = []
        self._cloned: set[Node] = set()
        self._split: set[Node] = set()
        self._domains: dict[str, set[str]] = {}
        for one in told:
            first = label(one.name)
            if first is not None and (rest := domain(one.name)):
                self._domains.setdefault(first, set()).add(rest)
        # An artifact's only id of a kind is its host's.
        self._ids: dict[tuple[At, str], set[str]] = {}
        for one in told:
            if one.uid is not None:
                self._ids.setdefault((one.at, _kind(one)), set()).add(one.uid)

    def settled(self) -> Settled:
        pairs = self._pairs()
        self._by_uid(pairs)
        self._by_name(pairs)
        for name, uid, _ in pairs:
            if uid not in self._cloned and name not in self._split:
                self._join(name, uid)
        self._to_artifacts()
        return self._result()

    def _name_of(self, one: Told) -> Node | None:
        """The node of a name: that of the artifact's host where it is its."""
        owner = self._owners.get(one.at)
        first = label(one.name)
        if owner is not None and (
            first in owner.labels
            or (one.name is None and one.uid is not None
                and len(self._ids[one.at, _kind(one)]) == 1 and _kind(one) == MACHINE)
            or (one.name is None and one.uid is None)
        ):
            return ("artifact", owner.key)
        if first is None:
            return None
        known = self._domains.get(first, set())
        return ("name", first, domain(one.name) if len(known) > 1 else "")

    def _pairs(self) -> Pairs:
        found: Pairs = {}
        for one in self._told:
            name = self._name_of(one)
            if name is not None and one.uid is not None:
                pair = name, ("uid", one.uid.lower()), _kind(one)
                found.setdefault(pair, []).append((one.first, one.last))
        return found

    def _by_uid(self, pairs: Pairs) -> None:
        names: dict[Node, dict[Node, list[Span]]] = {}
        for (name, uid, _), spans in pairs.items():
            names.setdefault(uid, {}).setdefault(name, []).extend(spans)
        for uid, held in names.items():
            if len(held) > 1 and _side_by_side(held.values()):
                self._cloned.add(uid)
                listed = ", ".join(sorted(name[1] for name in held))
                for name in held:
                    self._remarks.append((
                        name, f"id {uid[1]} is of several names at the same time ({listed}): "
                        "it joins none of them",
                    ))

    def _by_name(self, pairs: Pairs) -> None:
        uids: dict[tuple[Node, str], dict[Node, list[Span]]] = {}
        for (name, uid, kind), spans in pairs.items():
            if uid not in self._cloned:
                uids.setdefault((name, kind), {})[uid] = spans
        for (name, kind), held in uids.items():
            if len(held) > 1 and _side_by_side(held.values()):
                self._split.add(name)
                listed = ", ".join(sorted(uid[1] for uid in held))
                for uid in held:
                    self._remarks.append((
                        uid, f"{kind} has several ids of the name {name[1]} at the same time "
                        f"({listed}): they are several hosts",
                    ))

    def _to_artifacts(self) -> None:
        """Joins a name to the one host of artifacts that has it."""
        owners: dict[str, set[str]] = {}
        for owner in self._owners.values():
            for first in owner.labels:
                owners.setdefault(first, set()).add(owner.key)
        for node in {n for n in map(self._name_of, self._told) if n is not None}:
            if node[0] != "name" or node in self._split:
                continue
            keys = owners.get(node[1], set())
            if len(keys) == 1 and (not node[2] or len(self._domains.get(node[1], ())) < 2):
                self._join(node, ("artifact", next(iter(keys))))
            elif len(keys) > 1:
                self._remarks.append((
                    node, f"{', '.join(sorted(keys))} have this name: it is none of them for sure"
                ))

    def _find(self, node: Node) -> Node:
        above = self._above.setdefault(node, node)
        while above != node:
            self._above[node] = self._above[above]
            node, above = above, self._above[above]
        return node

    def _join(self, one: Node, other: Node) -> None:
        self._above[self._find(one)] = self._find(other)

    def _node(self, one: Told) -> Node | None:
        """The node that rows are of."""
        uid = ("uid", (one.uid or "").lower())
        if one.uid is not None and uid not in self._cloned:
            return uid
        return self._name_of(one) or (uid if one.uid is not None else None)

    def _result(self) -> Settled:
        members: dict[Node, list[Told]] = {}
        for one in self._told:
            node = self._node(one)
            if node is not None:
                members.setdefault(self._find(node), []).append(one)
        artifacts: dict[Node, str] = {}
        shown = {owner.key: owner.shown for owner in self._owners.values()}
        for node in list(self._above):
            if node[0] == "artifact":
                root = self._find(node)
                artifacts[root] = min(artifacts.get(root, node[1]), node[1])
        for owner in self._owners.values():
            artifacts.setdefault(self._find(("artifact", owner.key)), owner.key)
        called: dict[Node, tuple[str, str]] = {
            root: (key, shown[key]) for root, key in artifacts.items()
        }
        used = {key for key, _ in called.values()}
        for root, held in sorted(members.items()):
            if root not in called:
                called[root] = self._called(root, held, used)
                used.add(called[root][0])
        settled = Settled()
        hosts_of_uid: dict[str, set[str]] = {}
        hosts_of_name: dict[str, set[str]] = {}
        for one in self._told:
            node = self._node(one)
            key, name = called[self._find(node)] if node is not None else (None, None)
            settled.said[one.at, one.name, one.uid] = (key, name)
            own = self._owners.get(one.at)
            if one.uid is not None and name is not None:
                hosts_of_uid.setdefault(one.uid, set()).add(name)
            if one.name is not None and name is not None and (
                own is None or label(one.name) not in own.labels
            ):
                hosts_of_name.setdefault(one.name, set()).add(name)
        settled.uids = {uid: min(names) for uid, names in hosts_of_uid.items() if len(names) == 1}
        settled.names = {
            name: min(names) for name, names in hosts_of_name.items()
            if len(names) == 1 and names != {name}
        }
        settled.remarks = sorted({
            (called[self._find(node)][0], why) for node, why in self._remarks
            if self._find(node) in called
        })
        return settled

    def _called(self, root: Node, held: list[Told], used: set[str]) -> tuple[str, str]:
        """Key and name of a host that no artifact names."""
        names = sorted({one.name for one in held if label(one.name) is not None and one.name})
        uids = sorted({one.uid for one in held if one.uid is not None})
        counts: dict[str, int] = {}
        for one in held:
            if (first := label(one.name)) is not None:
                counts[first] = counts.get(first, 0) + one.rows
        if not counts:
            key = uids[0].lower() if uids else "/".join(root)
            return key, uids[0] if uids else root[-1]
        first = min(counts, key=lambda each: (-counts[each], each))
        shown = next(name for name in names if label(name) == first)
        several = (root[0] == "name" and root[2]) or len(self._domains.get(first, ())) > 1
        domains = {domain(name) for name in names} - {""}
        key = f"{first}.{min(domains)}" if several and domains else first
        split = any(node[1] == first for node in self._split)
        if uids and (key in used or split):
            key = f"{key}/{uids[0].lower()}"
            shown = f"{shown.split('.')[0]}/{uids[0][:8]}"
        return key, shown


def _kind(one: Told) -> str:
    return one.provider or MACHINE


def _whole(spans: list[Span]) -> Span:
    def over(choose: Callable[[Iterable[int]], int], place: int) -> int | None:
        times = [at for span in spans if (at := span[place]) is not None]
        return choose(times) if times else None

    return over(min, 0), over(max, 1)


def _side_by_side(several: Iterable[list[Span]]) -> bool:
    """Whether two of several were seen at the same time; where a time is not known, they were."""
    known = []
    for first, last in map(_whole, several):
        if first is None or last is None:
            return True
        known.append((first, last))
    known.sort()
    return any(one[1] - other[0] > TOGETHER for one, other in pairwise(known))
