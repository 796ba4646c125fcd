"""The version marker of an engagement's lake: which format its files have.

It is the first file of an engagement, and says a later format before the first commit of files that
have it: so whatever is found beside it was written by a version that knew this format.
"""

import json
from datetime import UTC, datetime

from tracelake.lake.disk import Place, put_if_absent, replace, sync_folder
from tracelake.lake.errors import LakeError, NewerFormat

FORMAT = 2
"""Counts up when an older version would misread or damage what this one writes.

1: every file has all columns of its table.
2: files lack the columns that nothing filled. Readers of 1 take a list's columns from its first
   file.
"""

NAME = "tracelake.json"


def create(root: Place, engagement: str) -> None:
    """Puts the marker into `root` whole or not at all; another's that came first stays."""
    made = datetime.now(UTC).isoformat(timespec="seconds")
    text = json.dumps({"format": FORMAT, "engagement": engagement, "created": made}) + "\n"
    put_if_absent(root / NAME, text.encode())


def check(root: Place, engagement: str) -> None:
    """Reads the marker.

    Raises:
        FileNotFoundError: there is none.
        NewerFormat: this version is too old for the lake.
        LakeError: the marker cannot be read, or belongs to another engagement.
    """
    path = root / NAME
    try:
        marker = json.loads(path.read_bytes())
        version, name = marker["format"], marker["engagement"]
    except (ValueError, KeyError, TypeError) as error:
        raise LakeError(f"{path}: the lake's version marker cannot be read ({error!r})") from error
    if not isinstance(version, int) or version < 1:
        raise LakeError(f"{path}: {version!r} is not a version of the lake's format")
    if version > FORMAT:
        raise NewerFormat(
            f"{path}: the lake has format {version}, this tracelake knows up to {FORMAT}; "
            "use a newer tracelake"
        )
    if name != engagement:
        raise LakeError(f"{path}: the marker is of engagement {name!r}, not {engagement!r}")


def renew(root: Place) -> None:
    """Says this version's format, where the marker says an older one; `check` passed.

    Raises:
        OSError: it cannot be read or written.
    """
    path = root / NAME
    said = json.loads(path.read_bytes())
    if said["format"] < FORMAT:
        replace(path, (json.dumps(said | {"format": FORMAT}) + "\n").encode())
        sync_folder(root)
