"""An image of a disk as a source: its volumes' files, what responders ask first, first.

Numbers: a volume has a range of them, its files have their places in the walk over its folders
with names sorted. So they do not depend on the parsers, on what is opened, nor on the keys.
"""

import contextlib
import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import BinaryIO

from tracelake.ingest.beside import Siblings
from tracelake.ingest.containers import Base, Member, broken, content_of, nested, nothing
from tracelake.ingest.events import How, Read
from tracelake.ingest.image_content import Listed
from tracelake.ingest.image_files import INDEX, FileSystem
from tracelake.ingest.image_storage import NAMES, Files, Media, open_media, why
from tracelake.ingest.image_tsk import TskFileSystem
from tracelake.ingest.image_volumes import Volume, scan, shadow_copies, volumes_of_apfs
from tracelake.ingest.sofar import Planned
from tracelake.ingest.streams import Guard, Readable
from tracelake.ingest.want import (
    ARCHIVED,
    AUDIT,
    NOT_WANTED,
    STAGE_OF,
    Wanted,
    every,
    is_archive,
    rank_of,
)
from tracelake.native.errors import Corrupt, EvidenceError, Unsupported
from tracelake.parsers.artifact import Rank

# Numbers of a volume's files; 127 volumes have room.
ROOM = 1 << 24
SHADOW = 64
MOST_VOLUMES = 127
# Of the first volume number 0 is the image itself; of each number 1 is the volume itself.
IMAGE, VOLUME, FIRST = 0, 1, 2
# What `facts` say of an encrypted volume without a key, and of a shadow copy.
LOCKED, STORE = "encrypted, not opened", "shadow copy of"
INDEXES = "the index of a folder, in which deleted names may be: --carve reads it"
BLOCK = 4 << 20
# Files that are kept in mind, not to walk over all folders again: some 20 MB.
MOST_REST = 1 << 16


class _Late:
    """A file that is opened when it is read."""

    def __init__(self, opened: Callable[[], Readable]) -> None:
        self._open = opened
        self._file: Readable | None = None

    def readinto(self, buffer: memoryview, /) -> int | None:
        """See `streams.Readable`."""
        if self._file is None:
            self._file = self._open()
        return self._file.readinto(buffer)


def _itself(file: Readable) -> Readable:
    return file


class ImageWalk(Base):
    """See `walk.Walk`.

    Args:
        path: the image's first file. name: its path relative to the root.
        kind: of `image_storage.image_kind`. how: what is wanted of it.
        plan: what an earlier stage found to be wanted; it spares the walk.
        audit: whether its SHA-256 is not known yet.
        content: the image, where it is no file of its own.
    """

    def __init__(
        self, path: str, name: str, kind: str, how: How, plan: list[Planned] | None = None,
        audit: bool = False, content: BinaryIO | None = None,
    ) -> None:
        super().__init__()
        self.plan = plan
        self._name = name
        self._how = how
        self._audit = audit
        self._trouble: EvidenceError | None = None
        self._wrong: EvidenceError | None = None
        self._media: Media | None = None
        self._volumes: dict[int, Volume] = {}
        self._systems: dict[int, FileSystem | TskFileSystem | EvidenceError] = {}
        self._files: list[str] = []
        # What no parser asks for, where the walk has met all of it: it spares the second one.
        self._rest: list[tuple[int, Listed]] | None = None
        try:
            self._media = open_media(path, kind, content)
            self._files = self._media.files
            self.facts.update(self._media.facts)
            self._find_volumes(self._media)
        except EvidenceError as error:
            self._trouble = error
            self._what = NAMES[kind]

    def _find_volumes(self, media: Media) -> None:
        self.facts |= {f"stored {name}": value for name, value in media.stored.items()}
        copies: list[Volume] = []
        live: list[Volume] = []
        for volume in scan(media.disk, self._how.keys):
            for each in volumes_of_apfs(volume, self._how.keys):
                live.append(each)
            if self._how.shadow_copies and volume.what == "ntfs" and volume.trouble is None:
                copies += shadow_copies(volume)
        for slot, volume in (*enumerate(live), *enumerate(copies, SHADOW)):
            if slot >= MOST_VOLUMES or (slot >= SHADOW and volume in live):
                why_not = f"of {len(live)} volumes and {len(copies)} shadow copies not all are read"
                self._wrong = Unsupported("image", 0, why_not)
                break
            self._volumes[slot] = volume
            nothing = LOCKED if volume.locked else "no file system that is read"
            words = [volume.what or nothing, f"{volume.disk.size} bytes"]
            words += [f"{name}: {value}" for name, value in volume.facts.items()]
            self.facts[f"volume {volume.name}".strip()] = ", ".join(words)

    # --- the walk

    def members(self, stages: range, wanted: Wanted = every) -> Iterator[tuple[int, Member]]:
        """See `Walk`."""
        if self._trouble is not None:
            if 0 in stages and wanted(IMAGE):
                if isinstance(self._trouble, Unsupported):
                    yield IMAGE, Member(self._name, nothing, unread=str(self._trouble.why))
                else:
                    yield IMAGE, broken(self._name, self._what, self._trouble)
            return
        unended = self._media.trouble if self._media is not None else None
        if unended is not None and 0 in stages and wanted(IMAGE):
            yield IMAGE, broken(self._name, "image", unended)
        if self.plan is None:
            self.plan = []
            keep = self._how.every_file and STAGE_OF[Rank.REST] in stages
            yield from self._look(wanted, keep)
        for planned in sorted(self.plan):
            if STAGE_OF[planned.rank] in stages and wanted(planned.number):
                listed = Listed(planned.path, planned.identifier, planned.stream, planned.size)
                yield planned.number, self._member(planned.number // ROOM, listed, True)
        if self._how.every_file and STAGE_OF[Rank.REST] in stages:
            yield from self._others(wanted)
        if AUDIT in stages and unended is None and self._wrong is not None and wanted(IMAGE):
            yield IMAGE, broken(self._name, "image", self._wrong)

    def in_order(self) -> Iterator[Member]:
        """All its files in the order of their numbers, for an image inside another container."""
        if self._trouble is not None:
            yield from (member for _, member in self.members(range(1)))
            return
        for slot in self._volumes:
            for _, listed in self._listed(slot):
                path = self._path(slot, listed)
                if listed.trouble is not None:
                    yield broken(path, "image", listed.trouble)
                elif listed.stream == INDEX:
                    continue
                elif listed.unread is not None:
                    yield Member(path, nothing, unread=listed.unread)
                elif rank_of(listed.path) is not None:
                    yield self._member(slot, listed, True)
                else:
                    late = _Late(partial(self._content, slot, listed))
                    yield Member(
                        path, partial(_itself, late), listed.size, asked=False, passed=True
                    )

    def _content(self, slot: int, listed: Listed) -> Readable:
        member = self._member(slot, listed, False)
        if member.trouble is not None:
            raise member.trouble
        return member.open()

    def _look(self, wanted: Wanted, keep: bool) -> Iterator[tuple[int, Member]]:
        """Walks over all volumes, and plans what is to be opened. Gives what is wrong.

        Args:
            keep: the rest is asked for by this walk, too: keep in mind what it is.
        """
        assert self.plan is not None
        rest: list[tuple[int, Listed]] = []
        for slot in self._volumes:
            for number, listed in self._listed(slot):
                if listed.trouble is not None:
                    if wanted(number):
                        yield number, broken(self._path(slot, listed), "image", listed.trouble)
                    continue
                if listed.unread is not None:
                    if listed.stream == INDEX and not self._how.indexes:
                        self.not_opened[INDEXES] += 1
                elif (rank := rank_of(listed.path)) is not None:
                    self.plan.append(
                        Planned(
                            rank, number, listed.path, listed.identifier, listed.stream,
                            listed.size or 0,
                        )
                    )
                    continue
                elif not self._how.every_file:
                    why_not = ARCHIVED if is_archive(listed.path) else NOT_WANTED
                    self.not_opened[why_not] += 1
                if keep:
                    rest.append((number, listed))
                    keep = len(rest) < MOST_REST
        if keep:
            self._rest = rest

    def _others(self, wanted: Wanted) -> Iterator[tuple[int, Member]]:
        """What no parser asks for, for --all-files."""
        planned = {each.number for each in self.plan or ()}
        rest: Iterable[tuple[int, Listed]]
        if self._rest is not None:
            rest, self._rest = self._rest, None
        else:
            rest = chain.from_iterable(map(self._listed, self._volumes))
        for number, listed in rest:
            if number in planned or not wanted(number) or listed.trouble is not None:
                continue
            if listed.stream == INDEX:
                continue  # what deleted names are in, for who asks for them
            slot = number // ROOM
            if listed.unread is not None:
                yield number, Member(self._path(slot, listed), nothing, unread=listed.unread)
            else:
                yield number, self._member(slot, listed, False)

    def _listed(self, slot: int) -> Iterator[tuple[int, Listed]]:
        volume = self._volumes[slot]
        base = slot * ROOM
        if volume.trouble is not None:
            yield base + VOLUME, Listed("", 0, trouble=volume.trouble)
            return
        if volume.what is None:
            return  # it is named among the facts
        system = self._system(slot)
        if isinstance(system, EvidenceError):
            yield base + VOLUME, Listed("", 0, trouble=system)
            return
        for number, listed in enumerate(system.walk(self._how.indexes), FIRST):
            if number >= ROOM:
                why_not = f"of a volume the first {ROOM} files are listed"
                yield base + VOLUME, Listed("", 0, trouble=Unsupported("volume", 0, why_not))
                return
            yield base + number, listed

    def _system(self, slot: int) -> FileSystem | TskFileSystem | EvidenceError:
        found = self._systems.get(slot)
        if found is None:
            volume = self._volumes[slot]
            assert volume.what is not None
            try:
                found = self._opened_system(volume, volume.what)
            except EvidenceError as error:
                found = error
            self._systems[slot] = found
        return found

    def _opened_system(self, volume: Volume, what: str) -> FileSystem | TskFileSystem:
        if what in ("iso", "fat"):
            return TskFileSystem(volume)
        return FileSystem(volume, what, volume.opened)

    def _path(self, slot: int, listed: Listed) -> str:
        name = self._volumes[slot].name
        return "/".join(part for part in (name, listed.path) if part) or self._name

    def _member(self, slot: int, listed: Listed, decompress: bool) -> Member:
        """A file to be read; what is compressed as what it holds, where a parser asks for it."""
        path = self._path(slot, listed)
        system = self._system(slot)
        try:
            if isinstance(system, EvidenceError):
                raise system
            opened = system.open(listed, decompress)
        except EvidenceError as error:
            return Member(path, nothing, listed.size, error)
        if opened.size and opened.stored == 0:
            why_not = "a hole: nothing of it is stored"
            return Member(path, nothing, opened.size, unread=why_not)
        guard = Guard(opened.content, "file in the image", packed_size=opened.stored)
        beside = self._beside(slot, listed)
        if not decompress:
            return Member(path, lambda: guard, opened.size, beside=beside, asked=False)
        archived, found = nested(guard, path, opened.size, 0)
        if archived:
            return Member(path, nothing, opened.size, unread=ARCHIVED)
        (member,) = found
        return replace(member, beside=beside, modified=opened.modified)

    def _beside(self, slot: int, listed: Listed) -> Siblings:
        names: dict[str, Listed] | None = None

        def find(name: str) -> Listed | None:
            nonlocal names
            system = self._system(slot)
            if names is None:
                names = {} if isinstance(system, EvidenceError) else system.siblings(listed)
            return names.get(name.lower())

        def read(name: str, most: int) -> bytes | None:
            other = find(name)
            if other is None or (other.size or 0) > most:
                return None
            return content_of(self._member(slot, other, False), most)

        return Siblings(lambda name: find(name) is not None, read)

    def later(self, stage: int) -> int | None:
        """See `Walk`."""
        stages = {STAGE_OF[planned.rank] for planned in self.plan or ()}
        if self._how.every_file and self._trouble is None:
            stages.add(STAGE_OF[Rank.REST])
        if (self._audit and self._how.full_hash) or self._has_stored():
            stages.add(AUDIT)
        return min((each for each in stages if each > stage), default=None)

    def _has_stored(self) -> bool:
        return self._how.full_hash and self._media is not None and bool(self._media.stored)

    def find(self, number: int, path: str | None) -> Member | None:
        """See `Walk`: by its path, where that is known."""
        slot = number // ROOM
        volume = self._volumes.get(slot)
        if volume is None or volume.trouble is not None:
            return None
        system = self._system(slot)
        if path is not None and not isinstance(system, EvidenceError):
            prefix = f"{volume.name}/" if volume.name else ""
            inside = path[len(prefix) :]
            for each in (inside, *(inside + suffix for suffix in (".gz", ".zst", ".bz2", ".xz"))):
                listed = system.find(each) if path.startswith(prefix) else None
                if listed is not None:
                    return self._member(slot, listed, rank_of(each) is not None)
        for at, listed in self._listed(slot):
            if at == number and listed.trouble is None:
                return self._member(slot, listed, rank_of(listed.path) is not None)
        return None

    def pick(self, numbers: list[int]) -> Iterator[tuple[int, Member]]:
        """See `Walk`."""
        wanted = set(numbers)
        yield from self.members(range(AUDIT), wanted.__contains__)

    def close(self) -> None:
        """See `Walk`. What the libraries hold goes before what they read from."""
        self._systems.clear()
        self._volumes.clear()
        media, self._media = self._media, None
        if media is not None:
            with contextlib.suppress(OSError):
                media.close()

    # --- its hashes

    def audit(self, path: str) -> Generator[Read, None, None]:
        """Takes the SHA-256 of the image's files, and looks whether the hashes that it has stored
        are those of its content. In one pass: each stretch of the files is in memory when the
        content that comes from it is asked for."""
        if self._media is None:
            return
        whole = hashlib.sha256()
        stored = self._media.stored
        own = {name: hashlib.new(name.lower(), usedforsecurity=False) for name in stored}
        files = Files(self._files)
        disk = self._media.disk
        try:
            at = done = 0
            while at < files.size or (own and done < disk.size):
                data = files.read_at(at, BLOCK)
                whole.update(data)
                at += len(data)
                share = disk.size if at >= files.size else disk.size * at // files.size
                while own and done < share:
                    part = disk.read_at(done, min(BLOCK, share - done))
                    if not part:
                        raise OSError(f"its content ends at {done} of {disk.size} bytes")
                    for digest in own.values():
                        digest.update(part)
                    done += len(part)
                if not data and at < files.size:
                    raise OSError(f"its files end at {at} of {files.size} bytes")
                yield Read(path, hashed=len(data))
        except OSError as error:
            self._wrong = Corrupt("image", at, why(error))
            return
        finally:
            files.close()
        self.sha256 = whole.hexdigest()
        for name, digest in own.items():
            found = digest.hexdigest()
            self.facts[f"computed {name}"] = found
            if found != stored[name] and self._media.trouble is None:
                why_not = f"its stored {name} is {stored[name]}, its content's is {found}"
                self._wrong = Corrupt("image", 0, why_not)
