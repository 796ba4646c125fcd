"""Putting files and their names on disk."""

import os
from pathlib import Path


def sync_file(path: Path) -> None:
    """Puts a file's bytes on disk."""
    _sync(path, os.O_RDONLY)


def sync_folder(folder: Path) -> None:
    """Puts a folder's entries on disk: a synced file whose name is lost is lost."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
