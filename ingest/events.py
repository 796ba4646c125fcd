"""What a worker tells the parent while it reads sources. Plain values that can be sent."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tracelake.ingest.want import LAST_STAGE
from tracelake.lake.writer import WrittenUnit

if TYPE_CHECKING:
    from tracelake.ingest.devices import Devices
    from tracelake.ingest.sofar import SoFar
    from tracelake.parsers.artifact import Parser

Stamp = tuple[int, int]
"""A file's size and mtime in nanoseconds: what a change would change."""


@dataclass(frozen=True, slots=True)
class Key:
    """A password, a recovery password, or a key file with its path. It is nowhere written."""

    data: bytes = field(repr=False)
    path: str = ""


@dataclass(frozen=True, slots=True)
class How:
    """What the user wants of the evidence.

    Attributes:
        every_file: open also the files of images that no parser asks for, and list all files
            with their hashes.
        keys: for encrypted volumes.
        shadow_copies: read volume shadow copies, too.
        indexes: read the indexes of NTFS folders (`$I30`), in which deleted names may be.
        flows_only: of captures only the flows, and not what is said in them.
        reparse: read sources that are in anew, where parsers or mappings are newer.
        full_hash: take the SHA-256 of a whole image, and look whether its stored hashes are
            right.
    """

    every_file: bool = False
    keys: tuple[Key, ...] = ()
    shadow_copies: bool = False
    full_hash: bool = True
    indexes: bool = False
    flows_only: bool = False
    reparse: bool = False

    def reader(self, parser: "Parser | None") -> "Parser | None":
        """Who reads what `parser` takes."""
        if parser is not None and self.flows_only and parser.brief is not None:
            return parser.brief
        return parser


PLAINLY = How()

@dataclass(frozen=True, slots=True)
class Task:
    """One file to be taken in.

    Attributes:
        path: where it is. name: its path relative to the given root.
        known: its stamp and hash, and that it is to be read, where that is known already.
        again: it was begun in this run, by a worker that died of another file.
        how: what is wanted of it.
        last: the last stage (want.py) that is to be read now.
        later: where it is gone on with, after an earlier stage.
        looks_new: no other file of this run has its size, and no source that is in: it is worth
            being read before its hash is known.
    """

    path: str
    name: str
    size: int
    known: "tuple[Stamp, str, Decision] | None" = None
    again: bool = False
    how: How = PLAINLY
    last: int = LAST_STAGE
    later: "Later | None" = None
    looks_new: bool = False


@dataclass(frozen=True, slots=True)
class Lot:
    """Files that one worker takes in one after the other: one, or several small ones."""

    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What became of one artifact (the row of the table `artifact`, without its keys)."""

    path: str
    parser: str | None
    refused: dict[str, str] = field(default_factory=dict)
    size: int | None = None
    sha256: str | None = None
    records: int = 0
    in_rows: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
    damage: int = 0
    repairs: int = 0
    bytes_records: int = 0
    bytes_structure: int = 0
    bytes_slack: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    devices: "Devices | None" = None

    @property
    def closes(self) -> bool:
        """Whether every record seen went to exactly one place."""
        return self.records == (
            self.in_rows + self.duplicates + self.damage + sum(self.counters.values())
        )


@dataclass(frozen=True, slots=True)
class Read:
    """So many more bytes of the source have been read; `path` is what is being read."""

    path: str
    hashed: int = 0
    parsed: int = 0


@dataclass(frozen=True, slots=True)
class Identity:
    """Which evidence a source is.

    Attributes:
        kind: what `source_id` is taken over (`source.id_kind`): sha256 or sampled.
        sha256: of all its bytes, where it is known.
    """

    source_id: str
    sha256: str | None
    kind: str = "sha256"

    @classmethod
    def of(cls, sha256: str) -> "Identity":
        """Of a source that was hashed."""
        return cls(sha256[:32], sha256)


@dataclass(frozen=True, slots=True)
class Hashed:
    """A source's identity, known before it is parsed; answered by a Decision."""

    task: Task
    source_id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done with a source.

    Attributes:
        skip: why it is not read (again), or None.
        done: its artifacts that an earlier run has committed, by number.
        carve: deleted records are read, too, of all artifacts but those in `carved`.
        closed: all else of the source is in, and why (empty: it has just been read); there is only
            something to be carved.
        more: it is in, and this time more of it is wanted (a key, all files, shadow copies); why.
        mark: it is in and is read anew, and what is read takes the place of its rows: the run's
            mark, which stands in the names of its units.
    """

    skip: str | None = None
    done: dict[int, Facts] = field(default_factory=dict)
    carve: bool = False
    carved: frozenset[int] = frozenset()
    closed: str | None = None
    more: str | None = None
    mark: str = ""


@dataclass(frozen=True, slots=True)
class UnitReady:
    """A unit's files are written and wait for their commit. Without `unit` they are those of the
    pack that was ready before; without `facts` it is the one that closes its source."""

    task: Task
    unit: WrittenUnit | None
    facts: Facts | None
    cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PackReady:
    """The files of several small units are written and wait for their commit; the units' own
    events come next."""

    unit: WrittenUnit


@dataclass(frozen=True, slots=True)
class Left:
    """A file inside a source that no parser took, or that could not be opened: `trouble`
    says why."""

    task: Task
    facts: Facts
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """So many files that no parser takes are listed with their hashes (`How.every_file`)."""

    task: Task
    count: int


@dataclass(frozen=True, slots=True)
class NotOpened:
    """So many files of a source were left unopened, by reason."""

    task: Task
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A source that was in already."""

    task: Task
    source_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A source that could not be taken in; `fatal` when no other can be either."""

    path: str
    why: str
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class Later:
    """What a source's next stage has to know of those before.

    Attributes:
        size: bytes, of all files of an image.
        stage: the next one.
    """

    stamp: Stamp
    size: int
    identity: Identity
    decision: Decision
    sofar: "SoFar"
    stage: int


@dataclass(frozen=True, slots=True)
class SourceDone:
    """The worker is free for the next source. `later`: what is left of this one."""

    task: Task
    later: Task | None = None


Event = Read | UnitReady | PackReady | Left | Listed | NotOpened | Skipped | Failed | SourceDone
