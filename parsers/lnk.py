"""Link files of Windows (`.lnk`): what a user opened, on which volume of which host.

Specification: [MS-SHLLINK]; see lnk_link.py. A file is one row of `artifact_query`, artifact `lnk`.
Its times are those of the target when the link was last written; when it was opened is the link
file's own time, which stands in `file_query`.
"""

from collections.abc import Iterator

import pyarrow as pa

from tracelake.parsers import lnk_link
from tracelake.parsers.artifact import Artifact, Match, Parser, Rank
from tracelake.parsers.pyrows import PyRows
from tracelake.parsers.whole import whole

VERSION = "1"

MOST = 16 << 20  # bytes of a file; some 2 KiB are usual, malware hides a payload behind a link


def match(head: bytes, path: str) -> tuple[Match, str]:
    """Whether an artifact is a link, and why not."""
    if head.startswith(lnk_link.SIGNATURE):
        return Match.CONTENT, ""
    return Match.NO, "no header of a shell link"


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields one row of `artifact_query`.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; what could be is yielded before.
    """
    data, stopped = whole(artifact, MOST, "shell link")
    rows = PyRows(artifact)
    link = lnk_link.parse(data)
    if link is None:
        if data:
            rows.damaged(0, len(data), "shell link", "the file ends in its header", data[:76])
    else:
        rows.seen(link.length)
        artifact.account.bytes_slack += len(data) - link.length
        values = lnk_link.columns(link)
        if len(data) > link.length:
            values["unmapped"]["bytes_behind"] = str(len(data) - link.length)
        rows.add(
            "artifact_query", 0, link.length, data[: link.length], flags=lnk_link.flags(link),
            artifact="lnk", **lnk_link.target_time(link), **values,
        )  # fmt: skip
    yield from rows.rest()
    if stopped is not None:
        raise stopped


PARSER = Parser(
    "lnk",
    VERSION,
    match,
    ("artifact_query",),
    read,
    files=("*.lnk",),
    rank=Rank.USE,
)
