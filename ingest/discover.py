"""Which files there are: loose files and folders, walked in a fixed order."""

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tracelake.ingest.reach import Root
from tracelake.lake.s3 import S3Path


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may become a source.

    Attributes:
        path: where it is.
        name: its path relative to the root that was given; for a single file its name.
        size: bytes, when it was found.
        inode: (device, number): the same for two names of one file. links: its hard links.
    """

    path: Root
    name: str
    size: int
    inode: tuple[int, int]
    links: int


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A path that could not be looked at, and why."""

    path: Root
    why: str


def discover(
    roots: Sequence[Root], leave_out: frozenset[Root] = frozenset()
) -> Iterator[Found | Unreachable]:
    """Every regular file under `roots`, sorted by path, each once; a prefix on S3 is a folder.

    Links to files are followed, links to folders are not (a loop would never end). Sockets,
    pipes and devices are reported, not read: a pipe would block for ever.

    Args:
        roots: files and folders.
        leave_out: folders that are not entered, resolved: what the lake itself has written.
    """
    seen: set[tuple[int, int]] = set()
    for root in roots:
        for item in _under(root, leave_out):
            if isinstance(item, Found):
                if item.links == 1 and item.inode in seen:
                    continue  # the same file, given twice
                seen.add(item.inode)
            yield item


def _under(root: Root, leave_out: frozenset[Root]) -> Iterator[Found | Unreachable]:
    if isinstance(root, S3Path):
        yield from _on_s3(root, leave_out)
        return
    if not root.is_dir():
        yield _look(root, root.name)
        return
    failed: list[Unreachable] = []
    for folder, folders, files in os.walk(
        root, onerror=lambda error: failed.append(_denied(error, root))
    ):
        if leave_out and Path(folder).resolve() in leave_out:
            folders.clear()
            continue
        folders.sort()
        for file in sorted(files):
            path = Path(folder, file)
            yield _look(path, str(path.relative_to(root)))
        yield from failed
        failed.clear()
    yield from failed


def _on_s3(root: S3Path, leave_out: frozenset[Root]) -> Iterator[Found | Unreachable]:
    """The object of this key; else those whose keys have it as their folder."""
    try:
        if root.key and root.is_file():
            found = [root]
        else:
            found = list(root.walk())
            if not found:
                yield Unreachable(root, "there is no such object, and none below it")
    except OSError as error:
        yield Unreachable(root, error.strerror or str(error))
        return
    left_out = tuple(f"{path}/" for path in leave_out)
    for path in found:
        if not str(path).startswith(left_out):
            name = path.name if path == root else path.key[len(root.key) :].lstrip("/")
            size = path.stat().st_size
            number = int.from_bytes(hashlib.sha256(str(path).encode()).digest()[:8])
            yield Found(path, name, size, (0, number), 1)


def _look(path: Path, name: str) -> Found | Unreachable:
    try:
        status = path.stat()
    except OSError as error:
        return Unreachable(path, error.strerror or str(error))
    if not stat.S_ISREG(status.st_mode):
        return Unreachable(path, "not a regular file")
    inode = (status.st_dev, status.st_ino)
    return Found(path, name, status.st_size, inode, status.st_nlink)


def _denied(error: OSError, root: Path) -> Unreachable:
    return Unreachable(Path(error.filename or root), error.strerror or str(error))
