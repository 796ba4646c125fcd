"""The files of a volume: listed in an order of their own, opened by their place in it.

Each file system is read by its library (libfsntfs, libfsext, ...; others: image_tsk.py). All
of libyal's look alike, so one class does for them; what differs is in a table.
"""

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tracelake.ingest.image_content import MAX_DEPTH, Content, Listed, Opened
from tracelake.ingest.image_storage import BROKEN, Files, Window, library, why
from tracelake.ingest.image_tsk import TskFileSystem
from tracelake.ingest.image_volumes import Volume
from tracelake.native.errors import Corrupt

SPARSE = 1  # a flag of an extent
# The blocks of a folder's index in NTFS, as a stream has a name, and their type of attribute.
INDEX, ALLOCATION = "$I30", 160
# Entries of the folders that are walked through that are kept, not to be looked for twice: some
# 10 MB.
MOST_KEPT = 2048
DIRECTORY, REGULAR, LINK = 0x4000, 0x8000, 0xA000


@dataclass(frozen=True, slots=True)
class Kind:
    """A file system as its library has it.

    Attributes:
        library: its name.
        by_identifier: how an entry is found by its number.
        identifier: an entry's number.
        folder: whether an entry is a folder.
        special: why an entry is neither a folder nor a file.
    """

    library: str
    by_identifier: str
    identifier: Callable[[Any], int]
    folder: Callable[[Any], bool]
    special: Callable[[Any], str | None]


def _by_mode(entry: Any) -> bool:
    return bool(entry.get_file_mode() & 0xF000 == DIRECTORY)


def _special_mode(entry: Any) -> str | None:
    mode = entry.get_file_mode() & 0xF000
    if mode == LINK:
        return f"a symbolic link to {entry.get_symbolic_link_target()}"
    return None if mode in (REGULAR, 0) else "a device or the like"


def _ordinary(_entry: Any) -> None:
    return None


KINDS = {
    "ntfs": Kind(
        "pyfsntfs", "get_file_entry",
        lambda e: int(e.get_file_reference()) & 0xFFFF_FFFF_FFFF,
        lambda e: bool(e.has_directory_entries_index()), _ordinary,
    ),
    "ext": Kind(
        "pyfsext", "get_file_entry_by_inode", lambda e: int(e.get_inode_number()),
        _by_mode, _special_mode,
    ),
    "xfs": Kind(
        "pyfsxfs", "get_file_entry_by_inode", lambda e: int(e.get_inode_number()),
        _by_mode, _special_mode,
    ),
    "hfs": Kind(
        "pyfshfs", "get_file_entry_by_identifier", lambda e: int(e.get_identifier()),
        _by_mode, _special_mode,
    ),
    "apfs": Kind(
        "pyfsapfs", "get_file_entry_by_identifier", lambda e: int(e.get_identifier()),
        _by_mode, _special_mode,
    ),
}


class FileSystem:
    """The file system of a volume.

    Args:
        volume: what it is in. kind: ntfs, ext, xfs, hfs or apfs.
        opened: its volume in the library, where it has one already (APFS).

    Raises:
        EvidenceError: it cannot be opened.
    """

    def __init__(self, volume: Volume, kind: str, opened: Any = None) -> None:
        self._kind = KINDS[kind]
        self._ntfs = kind == "ntfs"
        self._window = Window(volume.disk)
        self._of = volume
        self._tsk: TskFileSystem | None = None
        self._kept = 0
        if opened is None:
            opened = library(self._kind.library).volume()
            try:
                self._open(opened, volume)
            except BROKEN as error:
                raise Corrupt(f"{kind} volume", 0, why(error)) from error
        self._volume = opened
        self._find = getattr(opened, self._kind.by_identifier)

    def _open(self, opened: Any, volume: Volume) -> None:
        path = volume.disk.path if isinstance(volume.disk, Files) else None
        if path is not None and path.isprintable():
            opened.open(path)  # it reads by itself, without a call of ours for each piece
        else:
            opened.open_file_object(self._window)

    def walk(self, indexes: bool = False) -> Iterator[Listed]:
        """Every file, folder by folder, names sorted: the same order whatever the folders' own
        order is. A folder that is met twice, and one below itself, is entered once.

        Args:
            indexes: say which folders have an index of their own (NTFS), which takes a look at
                each one's attributes. Without, all are `unread`.
        """
        try:
            root = self._volume.get_root_directory()
            seen = {self._kind.identifier(root)}
        except BROKEN as error:
            yield Listed("", 0, trouble=Corrupt("root folder", 0, why(error)))
            return
        if root is None:
            yield Listed("", 0, trouble=Corrupt("root folder", 0, "it is not there"))
            return
        yield from self._streams(root, "")
        yield from self._index(root, "", indexes)
        waiting = [self._entries(root, "")]
        while waiting:
            found = next(waiting[-1], None)
            if found is None:
                waiting.pop()
                continue
            if isinstance(found, Listed):
                yield found
                continue
            path, entry = found
            try:
                identifier = self._kind.identifier(entry)
                if self._kind.folder(entry):
                    yield from self._streams(entry, path)
                    yield from self._index(entry, path, indexes)
                    if identifier in seen or len(waiting) > MAX_DEPTH:
                        why_not = "a folder that stands in itself, or twice"
                        yield Listed(path, identifier, trouble=Corrupt("folder", 0, why_not))
                        continue
                    seen.add(identifier)
                    waiting.append(self._entries(entry, path))
                    continue
                special = self._kind.special(entry)
                size = None if special else int(entry.get_size())
            except BROKEN as error:
                yield Listed(path, 0, trouble=Corrupt("file", 0, why(error)))
                continue
            yield Listed(path, identifier, None, size, special)
            yield from self._streams(entry, path)

    def _entries(self, folder: Any, path: str) -> Iterator[tuple[str, Any] | Listed]:
        found: list[tuple[str, int, Any]] = []
        trouble: Exception | None = None
        broken = 0
        try:
            count = folder.get_number_of_sub_file_entries()
        except BROKEN as error:
            yield Listed(path, 0, trouble=Corrupt("folder", 0, why(error)))
            return
        keep = self._kept + count <= MOST_KEPT
        for number in range(count):
            try:
                entry = folder.get_sub_file_entry(number)
                name = entry.get_name()
            except BROKEN as error:
                trouble, broken = error, broken + 1
                continue
            if name and name not in (".", ".."):
                found.append((name, number, entry if keep else None))
        if trouble is not None:
            why_not = f"{broken} of its {count} entries cannot be read: {why(trouble)}"
            yield Listed(path, 0, trouble=Corrupt("folder", 0, why_not))
        # From the end, so that each is let go of when it has been given.
        found.sort(reverse=True)
        self._kept += len(found) if keep else 0
        while found:
            name, number, entry = found.pop()
            inside = f"{path}/{name}" if path else name
            if keep:
                self._kept -= 1
            else:
                try:
                    entry = folder.get_sub_file_entry(number)
                except BROKEN as error:
                    yield Listed(inside, 0, trouble=Corrupt("file", 0, why(error)))
                    continue
            yield inside, entry

    def _streams(self, entry: Any, path: str) -> Iterator[Listed]:
        if not self._ntfs:
            return
        try:
            identifier = self._kind.identifier(entry)
            for number in range(entry.get_number_of_alternate_data_streams()):
                stream = entry.get_alternate_data_stream(number)
                name, size = stream.get_name(), int(stream.get_size())
                yield Listed(f"{path}:{name}", identifier, name, size)
        except BROKEN as error:
            yield Listed(f"{path}:", 0, trouble=Corrupt("stream", 0, why(error)))

    def _index(self, entry: Any, path: str, look: bool) -> Iterator[Listed]:
        if not self._ntfs:
            return
        size = None
        try:
            identifier = self._kind.identifier(entry)
            for number in range(entry.get_number_of_attributes() if look else 0):
                attribute = entry.get_attribute(number)
                if attribute.get_attribute_type() == ALLOCATION:
                    size = int(attribute.get_data_size())
        except BROKEN as error:
            yield Listed(f"{path}:{INDEX}", 0, trouble=Corrupt("folder", 0, why(error)))
            return
        unread = None if size is not None else "it has no blocks of its own"
        yield Listed(f"{path}:{INDEX}", identifier, INDEX, size, unread)

    def open(self, listed: Listed, dated: bool = False) -> Opened:
        """A file's content.

        Args:
            dated: say when it was written last, too.

        Raises:
            EvidenceError: it cannot be opened.
        """
        if listed.stream == INDEX:
            if self._tsk is None:
                self._tsk = TskFileSystem(self._of)
            return self._tsk.index_of(listed.identifier)
        try:
            entry = self._find(listed.identifier)
            if entry is None:
                raise Corrupt("file", 0, "it is not there any more")
            modified = _written(entry) if dated else None
            if listed.stream is not None:
                entry = entry.get_alternate_data_stream_by_name(listed.stream)
            size = int(entry.get_size())
            start, stored = _begin_and_stored(entry, size, listed.path)
        except BROKEN as error:
            raise Corrupt("file", 0, why(error)) from error
        return Opened(Content(entry, size, start), size - start, stored, modified)

    def find(self, path: str) -> Listed | None:
        """The file of a path as `walk` lists it, without walking."""
        plain, colon, stream = path, "", ""
        if self._ntfs:
            folder, slash, last = path.rpartition("/")
            last, colon, stream = last.partition(":")
            plain = f"{folder}{slash}{last}".rstrip("/")
        try:
            entry = self._volume.get_root_directory()
            for name in plain.split("/") if plain else ():
                entry = _child(entry, name)
                if entry is None:
                    return None
            return Listed(path, self._kind.identifier(entry), stream if colon else None)
        except BROKEN:
            return None

    def siblings(self, listed: Listed) -> dict[str, Listed]:
        """The files of the folder of a file, by their names in lower case."""
        folder = listed.path.rpartition("/")[0]
        found: dict[str, Listed] = {}
        try:
            entry = self._volume.get_root_directory()
            for name in folder.split("/") if folder else ():
                entry = _child(entry, name)
                if entry is None:
                    return found
            for number in range(entry.get_number_of_sub_file_entries()):
                other = entry.get_sub_file_entry(number)
                if not self._kind.folder(other):
                    name = other.get_name() or ""
                    path = f"{folder}/{name}" if folder else name
                    identifier, size = self._kind.identifier(other), int(other.get_size())
                    found.setdefault(name.lower(), Listed(path, identifier, None, size))
        except BROKEN:
            pass  # as far as it can be read
        return found


def _written(entry: Any) -> float | None:
    """When a file was written last; None where it does not say, or says what cannot be."""
    try:
        time: datetime.datetime | None = entry.get_modification_time()
    except BROKEN:
        return None
    if time is None or time.year <= 1970:
        return None
    return time.replace(tzinfo=datetime.UTC).timestamp()


def _child(entry: Any, name: str) -> Any:
    # Not by the libraries' own search for a name, which fails in some (libfsext 20260821).
    for number in range(entry.get_number_of_sub_file_entries()):
        child = entry.get_sub_file_entry(number)
        if child.get_name() == name:
            return child
    return None


def _begin_and_stored(entry: Any, size: int, path: str) -> tuple[int, int | None]:
    """Where the content begins, and how many bytes of it are stored. Of the change journal the
    hole at its begin is left out, which can be hundreds of gigabytes: as all collectors do."""
    count = entry.get_number_of_extents()
    if not count:
        return 0, None
    extents = [entry.get_extent(number) for number in range(count)]
    stored = sum(length for _, length, flags in extents if not flags & SPARSE)
    start = 0
    if path.lower().endswith("$usnjrnl:$j"):
        for _, length, flags in extents:
            if not flags & SPARSE:
                break
            start += length
    return min(start, size), stored
