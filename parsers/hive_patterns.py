"""Which keys are read with understanding while a hive is walked.

A pattern is a path from the hive's kind on: `SYSTEM\\ControlSet*\\Services\\*`. `*` stands for
any name, `name*` for names that begin so, and a part in parentheses may be missing
(`SOFTWARE\\(Wow6432Node)\\Microsoft`). Upper and lower case are alike.

All patterns together are one machine: a state is the set of places in them that a key's path has
reached. The walk asks for the state of a key only where its parent's is alive.
"""

from collections.abc import Iterable


class _Node:
    __slots__ = ("any", "kinds", "literal", "prefixes")

    def __init__(self) -> None:
        self.literal: dict[str, _Node] = {}
        self.prefixes: list[tuple[str, _Node]] = []
        self.any: _Node | None = None
        self.kinds: list[str] = []

    def child(self, part: str) -> "_Node":
        if part == "*":
            if self.any is None:
                self.any = _Node()
            return self.any
        if part.endswith("*"):
            for prefix, node in self.prefixes:
                if prefix == part[:-1]:
                    return node
            node = _Node()
            self.prefixes.append((part[:-1], node))
            return node
        return self.literal.setdefault(part, _Node())


class Patterns:
    """Patterns of one kind of hive or of all.

    Args:
        patterns: (pattern, what a key that it matches is).
    """

    def __init__(self, patterns: Iterable[tuple[str, str]]) -> None:
        root = _Node()
        for pattern, kind in patterns:
            for parts in _variants(pattern.lower().split("\\")):
                node = root
                for part in parts:
                    node = node.child(part)
                if kind not in node.kinds:
                    node.kinds.append(kind)
        self._states: list[tuple[_Node, ...]] = [(root,)]
        self._numbers: dict[tuple[int, ...], int] = {(id(root),): 0}
        self._next: list[dict[str, int]] = [{}]
        self._kinds: list[tuple[str, ...]] = [()]

    def start(self, kind: str) -> int:
        """The state at the root of a hive of that kind; -1 where no pattern is of it."""
        return self.follow(0, kind)

    def follow(self, state: int, name: str) -> int:
        """The state of a key `name` below one of `state`; -1 where no pattern goes on."""
        name = name.lower()
        known = self._next[state].get(name)
        if known is not None:
            return known
        nodes: list[_Node] = []
        kept = False
        for node in self._states[state]:
            found = node.literal.get(name)
            if found is not None:
                nodes.append(found)
                kept = True
            for prefix, child in node.prefixes:
                if name.startswith(prefix):
                    nodes.append(child)
            if node.any is not None:
                nodes.append(node.any)
        number = self._number(nodes)
        # Only names that patterns spell out are remembered: there are not many of them.
        if kept:
            self._next[state][name] = number
        return number

    def at(self, start: int, names: Iterable[str]) -> int:
        """The state of a key some levels below one of state `start`; -1 where there is none."""
        state = start
        for name in names:
            if state < 0:
                return -1
            state = self.follow(state, name)
        return state

    def means(self, state: int) -> bool:
        """Whether a key in this state is what a pattern names."""
        return bool(self._kinds[state])

    def kinds(self, state: int) -> tuple[str, ...]:
        """What it is."""
        return self._kinds[state]

    def _number(self, nodes: list[_Node]) -> int:
        if not nodes:
            return -1
        key = tuple(sorted({id(node) for node in nodes}))
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._states)
            unique = {id(node): node for node in nodes}
            self._states.append(tuple(unique.values()))
            self._next.append({})
            self._kinds.append(tuple(
                dict.fromkeys(kind for node in unique.values() for kind in node.kinds)
            ))
        return number


def _variants(parts: list[str]) -> Iterable[list[str]]:
    """The pattern with each part in parentheses, and without it."""
    for at, part in enumerate(parts):
        if part.startswith("("):
            for rest in _variants(parts[at + 1 :]):
                yield [*parts[:at], part[1:-1], *rest]
                yield [*parts[:at], *rest]
            return
    yield parts
