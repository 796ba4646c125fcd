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

    [logons]                                # the title of a section that says it in full:
    events = ["Logon Failed", "Logon"]      # codes that hold spaces
    where = ["a.b = c|d", "e != f", "g = *"]    # all hold; nested fields; `*`: any text; these
    ["*"]                                   # and *, all other events of the provider, only in
                                            # files with [[shapes]] (normalize/shapes.py)

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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path

from tracelake.normalize import extra as analysts
from tracelake.normalize.mapping_file import File
from tracelake.normalize.parsed import FOLDER
from tracelake.normalize.section import Event


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
    """The events of mapping files, each made and checked when it is asked for: a log has a few
    kinds of the thousand that have a mapping.

    Args:
        files: (name, text) each; later ones win.

    Raises:
        MappingError: at once, if a file is no TOML or its providers cannot be told; what else is
            wrong with it when an event is asked for that this concerns.
    """

    def __init__(self, files: Iterable[tuple[str, str]]) -> None:
        self._files = tuple(File(name, text) for name, text in files)
        self._by_provider: dict[str, list[File]] = {}
        for file in reversed(self._files):
            for provider in file.providers:
                self._by_provider.setdefault(provider, []).append(file)
        # Those who compiled an event keep a pointer to it.
        self._made: dict[tuple[str, str], Event] = {}

    @property
    def tables(self) -> set[str]:
        """Tables that any of the files names."""
        sections = (body for file in self._files for body in file.content.values())
        named = (body.get("table") for body in sections if isinstance(body, dict))
        return {table for table in named if isinstance(table, str)}

    def __getitem__(self, key: tuple[str, str]) -> Event:
        if key not in self._made:
            found = (file.event(*key) for file in self._by_provider.get(key[0], ()))
            event = next((event for event in found if event is not None), None)
            if event is None:
                raise KeyError(key)
            self._made[key] = event
        return self._made[key]

    @cached_property
    def _keys(self) -> dict[tuple[str, str], None]:
        return {key: None for file in self._files for key in file.events()}

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


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
        events |= File(name, text).events()
    return Mappings(events, _version(files))


def load(extra: Iterable[Path] = ()) -> Mappings:
    """The shipped mappings, and those of `extra` files on top, of none those that were said for
    the process (normalize/extra.py). Raises MappingError, OSError."""
    if analysts.is_bare():
        return Mappings({}, _shipped_mappings().version)
    files = analysts.read(extra) or analysts.files()
    return _with(files) if files else _shipped_mappings()


@lru_cache(maxsize=4)
def _with(files: analysts.Files) -> Mappings:
    version = _shipped_mappings().version + analysts.mark(files)
    return Mappings(Files((*_shipped(), *files)), version)


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
    return tuple(
        (name, text) for name, text in _rules() if name.startswith(("windows/", "vendors/"))
    )
