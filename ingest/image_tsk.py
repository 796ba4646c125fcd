"""Volumes that The Sleuth Kit reads (pytsk3): ISO 9660, which libyal has no library for, FAT and
exFAT, where it reads what libfsfat 20260826 does not."""

from collections.abc import Iterator
from typing import Any

from tracelake.ingest.image_content import MAX_DEPTH, Content, Listed, Opened
from tracelake.ingest.image_storage import BROKEN, Random, library, why
from tracelake.ingest.image_volumes import Volume
from tracelake.native.errors import Corrupt

# The type of the attribute of NTFS that holds the blocks of a folder's index.
ALLOCATION = 160


class TskFileSystem:
    """See `image_files.FileSystem`.

    Raises:
        EvidenceError: it cannot be opened.
    """

    def __init__(self, volume: Volume) -> None:
        tsk = self._tsk = library("pytsk3")
        self._made_up = {tsk.TSK_FS_META_TYPE_VIRT, tsk.TSK_FS_META_TYPE_VIRT_DIR}
        try:
            self._image = _image(self._tsk, volume.disk)
            self._system = self._tsk.FS_Info(self._image)
        except BROKEN as error:
            raise Corrupt(f"{volume.what} volume", 0, why(error)) from error

    def walk(self, indexes: bool = False) -> Iterator[Listed]:
        """See `FileSystem.walk`."""
        yield from self._folder("", set(), 0)

    def _folder(self, path: str, seen: set[int], depth: int) -> Iterator[Listed]:
        try:
            folder = self._system.open_dir(path=f"/{path}")
            named = [
                (entry.info.name.name.decode("utf-8", "backslashreplace"), entry)
                for entry in folder
                if entry.info.meta is not None and self._is_there(entry.info.name)
            ]
            found = sorted(named, key=lambda each: each[0])
        except BROKEN as error:
            yield Listed(path, 0, trouble=Corrupt("folder", 0, why(error)))
            return
        for name, entry in found:
            if name in (".", ".."):
                continue
            inside = f"{path}/{name}" if path else name
            meta = entry.info.meta
            if meta.type == self._tsk.TSK_FS_META_TYPE_LNK:
                yield Listed(inside, int(meta.addr), unread="a symbolic link")
            elif meta.type == self._tsk.TSK_FS_META_TYPE_REG:
                yield Listed(inside, int(meta.addr), None, int(meta.size))
            elif meta.type != self._tsk.TSK_FS_META_TYPE_DIR:
                # What The Sleuth Kit makes up ($FAT1, $OrphanFiles) is none of the volume's.
                if meta.type not in self._made_up:
                    yield Listed(inside, int(meta.addr), unread="a device or the like")
            elif meta.addr in seen or depth > MAX_DEPTH:
                why_not = "a folder that stands in itself, or twice"
                yield Listed(inside, int(meta.addr), trouble=Corrupt("folder", 0, why_not))
            else:
                seen.add(int(meta.addr))
                yield from self._folder(inside, seen, depth + 1)

    def _is_there(self, name: Any) -> bool:
        return not int(name.flags) & int(self._tsk.TSK_FS_NAME_FLAG_UNALLOC)

    def open(self, listed: Listed, dated: bool = False) -> Opened:
        """See `FileSystem.open`. FAT has the time of the host's zone: it is within a day."""
        try:
            file = self._system.open_meta(inode=listed.identifier)
            size = int(file.info.meta.size)
            modified = int(file.info.meta.mtime) if dated else 0
        except BROKEN as error:
            raise Corrupt("file", 0, why(error)) from error
        return Opened(Content(_Entry(file), size), size, None, float(modified) or None)

    def index_of(self, identifier: int) -> Opened:
        """The blocks of the index of an NTFS folder (its attribute $INDEX_ALLOCATION).

        Raises:
            EvidenceError: it cannot be opened.
        """
        try:
            file = self._system.open_meta(inode=identifier)
            for attribute in file:
                if int(attribute.info.type) == ALLOCATION:
                    size = int(attribute.info.size)
                    entry = _Entry(file, attribute.info.type, attribute.info.id)
                    return Opened(Content(entry, size), size, None)
        except BROKEN as error:
            raise Corrupt("folder", 0, why(error)) from error
        raise Corrupt("folder", 0, "its index is not there any more")

    def find(self, path: str) -> Listed | None:
        """See `FileSystem.find`."""
        try:
            meta = self._system.open(f"/{path}").info.meta
        except BROKEN:
            return None
        return Listed(path, int(meta.addr), None, int(meta.size))

    def siblings(self, listed: Listed) -> dict[str, Listed]:
        """See `FileSystem.siblings`."""
        folder = listed.path.rpartition("/")[0]
        found = self._folder(folder, set(), MAX_DEPTH + 1)
        own = [each for each in found if each.trouble is None]
        return {each.path.rpartition("/")[2].lower(): each for each in own}


class _Entry:
    def __init__(self, file: Any, *attribute: Any) -> None:
        self._file = file
        self._attribute = attribute

    def read_buffer_at_offset(self, size: int, offset: int) -> bytes:
        data: bytes = self._file.read_random(offset, size, *self._attribute)
        return data


def _image(tsk: Any, disk: Random) -> Any:
    class Image(tsk.Img_Info):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(url="")

        def close(self) -> None:
            pass

        def read(self, offset: int, size: int) -> bytes:
            return disk.read_at(offset, size)

        def get_size(self) -> int:
            return disk.size

    return Image()
