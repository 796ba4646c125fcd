"""Which named value of which event becomes which column: the mapping files and their checker.

A mapping file is TOML, one per provider or vendor, in `normalize/mappings/`:

    provider = "Microsoft-Windows-Security-Auditing"    # or a list of names

    [4688]                              # event id or name; "4634 4647" for several
    table = "process_activity"
    activity_id = 1                     # any column of whole numbers or words may be set to
                                        # a constant
    [4688.columns]
    proc_path = "NewProcessName"                            # the field as it is
    proc_pid = "NewProcessId | hex"                         # through a transform
    user_name = ["TargetUserName", "SubjectUserName"]       # the first that is set
    [maps.direction]                    # a value map of this file: `Initiated | map direction`
    true = 2
    false = 1

    ["4656 4663 where ObjectType = Key"]    # `where Field = a|b`, `where Field != a|b`
    table = "registry_activity"
    activity_id = 99                        # where no field of the column of this name fits
    ["4656 4663 where ObjectType = Key".columns]
    activity_id = "AccessMask | bits access"
    [maps.access]                           # `bits`: the first mask of which a bit is set
    0x2 = 3

    with = ["subject", "process"]           # the columns of these sets come before its own
    [sets.subject]                          # what many events have, told once
    actor_user_name = "SubjectUserName"

A whole-number constant beside a column of the same name is its *default*: it stands where no
field gives a value. Several sections may name the same event: the first whose condition holds
makes the row, in the order of the file; one without a condition stands last. Conditions compare
the field's text as the log shows it; a field that the event lacks is the empty text. An event
that fits none goes to `raw_event`.

A field is *set* unless it has no value, is empty, or is the lone "-" of Windows. What a file
says is checked when it is read: MappingError names the file, the line, and what is wrong.

**Nothing is lost.** Every transform has an inverse, written beside it in `transforms.py`. A
name-value pair of an event is left out of `unmapped` only when a column holds it exactly: the
inverse of the column's value, taken when the row is made, is the field's text letter for letter.
Otherwise ("-" became null, "0x0A" became 10, "::ffff:10.0.0.1" became 10.0.0.1, a hash list in
another order, a number that does not fit) the pair stands in `unmapped` as well. For a column
with several fields to choose from it counts as held only if the first one was taken and no other
was set. A value that is its column's default, and the field of a condition, stand in `unmapped`
as well: the row alone must say which section made it, and of what. So `rebuild` gives back every
pair of an event from its row; a test does so with every mapping. A name that comes again in one
event is `name[2]`, `name[3]`, ... there.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tracelake.normalize.mapping_file import File, events_of
from tracelake.normalize.section import Event

FOLDER = Path(__file__).parent / "mappings"


@dataclass(frozen=True, slots=True)
class Mappings:
    """All events that have a mapping, by (provider, code); `version` changes with any of them.

    Where conditions tell several sections apart, it is the first; `Event.otherwise` leads on.
    """

    events: Mapping[tuple[str, str], Event]
    version: str

    @property
    def sections(self) -> Iterable[Event]:
        """Every section of every event."""
        return (section for event in self.events.values() for section in event.sections)

    @property
    def tables(self) -> tuple[str, ...]:
        """Tables that events may go to, `raw_event` included."""
        if isinstance(self.events, Files):
            found = self.events.tables
        else:
            found = {event.table for event in self.sections}
        return tuple(sorted(found | {"raw_event"}))


class Files(Mapping[tuple[str, str], Event]):
    """The events of mapping files, each of which is read when one of its providers is asked for:
    a log has a few providers, and reading all files takes longer than reading a small log.

    Args:
        files: (name, text) each; later ones win.

    Raises:
        MappingError: at once, if a file's providers cannot be told; what else is wrong with a
            file when it is read.
    """

    def __init__(self, files: Iterable[tuple[str, str]]) -> None:
        self._files = tuple(files)
        self._providers: dict[str, list[int]] = {}
        self._events: dict[int, dict[tuple[str, str], Event]] = {}
        for number, (name, text) in enumerate(self._files):
            # What stands before the first section.
            head = File(name, re.split(r"^\s*\[", text, maxsplit=1, flags=re.MULTILINE)[0])
            for provider in head.providers():
                self._providers.setdefault(provider, []).append(number)

    @property
    def tables(self) -> set[str]:
        """Tables that any of the files names."""
        pattern = re.compile(r'^table\s*=\s*"(\w+)"', re.MULTILINE)
        return {table for _, text in self._files for table in pattern.findall(text)}

    def _read(self, number: int) -> dict[tuple[str, str], Event]:
        events = self._events.get(number)
        if events is None:
            events = self._events[number] = events_of(File(*self._files[number]))
        return events

    def __getitem__(self, key: tuple[str, str]) -> Event:
        for number in reversed(self._providers.get(key[0], ())):
            event = self._read(number).get(key)
            if event is not None:
                return event
        raise KeyError(key)

    def _all(self) -> dict[tuple[str, str], Event]:
        found: dict[tuple[str, str], Event] = {}
        for number in range(len(self._files)):
            found |= self._read(number)
        return found

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def _version(files: Iterable[tuple[str, str]]) -> str:
    digest = hashlib.sha256()
    for name, text in files:
        digest.update(f"{name}\0{text}\0".encode())
    return f"ocsf-1.8.0/{digest.hexdigest()[:8]}"


def read(files: Iterable[tuple[str, str]]) -> Mappings:
    """Reads and checks mapping files, given as (name, text); later ones win.

    Raises MappingError: a file maps the same event twice, or says anything else that the
    module's docstring does not allow.
    """
    files = tuple(files)
    events: dict[tuple[str, str], Event] = {}
    for name, text in files:
        events |= events_of(File(name, text))
    return Mappings(events, _version(files))


def load(extra: Iterable[Path] = ()) -> Mappings:
    """The shipped mappings, and those of `extra` files on top. Raises MappingError, OSError."""
    files = tuple((str(path), path.read_text("utf-8")) for path in extra)
    if not files:
        return _shipped_mappings()
    # Whoever wrote them is told at once what is wrong.
    read(files)
    return Mappings(Files((*_shipped(), *files)), _version((*_rules(), *files)))


@cache
def _shipped_mappings() -> Mappings:
    # Once a process: each artifact asks for them.
    return Mappings(Files(_shipped()), _version(_rules()))


@cache
def _rules() -> tuple[tuple[str, str], ...]:
    """All files that say what becomes of what: mappings, shapes and code tables."""
    return tuple(
        (path.relative_to(FOLDER).as_posix(), path.read_text("utf-8"))
        for path in sorted(FOLDER.glob("*/*.toml"))
    )


@cache
def _shipped() -> tuple[tuple[str, str], ...]:
    return tuple((name, text) for name, text in _rules() if name.startswith("windows/"))
