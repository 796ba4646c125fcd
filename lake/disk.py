"""Putting files and their names on disk; or on S3, where they are when the request is answered."""

import os
import secrets
from pathlib import Path
from typing import TypeAlias

from tracelake.lake.s3 import S3Path

Place: TypeAlias = Path | S3Path
"""Where something of a lake lies: in a folder, or on S3."""


def sync_file(path: Place) -> None:
    """Puts a file's bytes on disk."""
    if isinstance(path, Path):
        _sync(path, os.O_RDONLY)


def sync_folder(folder: Place) -> None:
    """Puts a folder's entries on disk: a synced file whose name is lost is lost."""
    if isinstance(folder, Path):
        _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def put_if_absent(path: Place, data: bytes) -> bool:
    """Puts a file on disk whole or not at all; False where there is one of that name, which stays.

    Its name is on disk after `sync_folder`. A kill leaves a draft behind at most, whose name
    begins with a dot.

    Raises:
        OSError: it cannot be written.
    """
    if isinstance(path, S3Path):
        return path.put_if_absent(data)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # A rename would replace what another process has put there meanwhile.
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True


def replace(path: Place, data: bytes) -> None:
    """Puts a file on disk whole or not at all, in place of another of that name.

    Raises:
        OSError: it cannot be written.
    """
    if isinstance(path, S3Path):
        path.write_bytes(data)
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
