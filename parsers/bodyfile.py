"""Body files: the files of a system as mactime and its relatives list them (The Sleuth Kit, UAC).

    md5|name|inode|mode|uid|gid|size|accessed|modified|changed|created        (version 3)

Specification: "Body file", wiki.sleuthkit.org. Times are seconds since 1970 UTC, perhaps with a
fraction; 0 or -1 is none. Each line is a row of `file_query`. A bar in a name is told from the
others by counting fields from both ends.
"""

import re
from collections.abc import Iterator

import pyarrow as pa

from tracelake.native.errors import EvidenceError
from tracelake.parsers.artifact import Artifact, Match, Parser, Rank
from tracelake.parsers.pyrows import PyRows
from tracelake.parsers.textfile import lines_of, looks_like_text

VERSION = "1"

QUERY = 1
NUMBER = rb"-?\d+(?:\.\d+)?"
LINE = re.compile(
    rb"[0-9a-fA-F]{0,32}\|.+\|[\d-]*\|[^|]*\|\d*\|\d*\|\d*\|(?:" + NUMBER + rb")?(?:\|(?:" + NUMBER
    + rb")?){3}\s*$"
)
LAST_SECOND = 253_402_300_799


def match(head: bytes, path: str) -> tuple[Match, str]:
    """How sure it is that an artifact is a body file, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source (not looked at).
    """
    lines = [line for line in head.split(b"\n")[:20] if line and line[:1] != b"#"]
    if len(lines) > 1 and len(head) >= 65536:
        lines.pop()
    good = sum(LINE.match(line) is not None for line in lines)
    if good and good * 2 > len(lines) and looks_like_text(head):
        return Match.CONTENT, ""
    return Match.NO, "its lines are not those of a body file (eleven fields between bars)"


def moment(text: str) -> tuple[int | None, int]:
    """(microseconds, nanoseconds below) of seconds since 1970; none where there is no time."""
    whole, _, fraction = text.strip().partition(".")
    if not re.fullmatch(r"\d{1,12}", whole) or int(whole) > LAST_SECOND or whole.strip("0") == "":
        return None, 0
    digits = (fraction + "000000000")[:9]
    nanoseconds = int(digits) if digits.isdigit() else 0
    return int(whole) * 1_000_000 + nanoseconds // 1000, nanoseconds % 1000


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields a row of `file_query` for each file.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; the rows before that were yielded.
    """
    rows = PyRows(artifact)
    account = artifact.account
    stopped = None
    try:
        for line in lines_of(artifact, rows):
            if not line.raw.strip() or line.raw[:1] == b"#":
                account.bytes_structure += line.length
                continue
            if LINE.match(line.raw) is None:
                account.bytes_records += line.length
                rows.damaged(
                    line.offset, line.length, "line", "not eleven fields between bars",
                    line.raw[:4096],
                )  # fmt: skip
                continue
            first, _, rest = line.text.partition("|")
            name, inode, mode, uid, gid, size, accessed, modified, changed, created = rest.rsplit(
                "|", 9
            )
            target = None
            if " -> " in name:
                name, _, target = name.partition(" -> ")
            when, below = moment(modified)
            entry = inode.partition("-")[0]
            rows.seen(line.length)
            rows.add(
                "file_query", line.offset, line.length, line.raw,
                activity_id=QUERY, time=when, time_ns=below,
                time_desc="modified" if when is not None else None,
                file_path=name, file_name=name.rstrip("/").rsplit("/", 1)[-1] or None,
                file_size=int(size) if size and len(size) < 19 else None,
                file_md5=first.lower() if len(first) == 32 and first.strip("0") else None,
                mft_entry=int(entry) if entry and len(entry) < 19 else None,
                is_dir=mode[:1] == "d" or mode[:3] in ("d/d", "r/d"),
                in_use="(deleted" not in name, link_target=target, owner_uid=uid or None,
                si_accessed=moment(accessed)[0], si_modified=when,
                si_changed=moment(changed)[0], si_created=moment(created)[0],
                unmapped={"inode": inode, "mode": mode, "gid": gid},
            )  # fmt: skip
            yield from rows.full()
    except EvidenceError as error:
        stopped = error
    yield from rows.rest()
    if stopped is not None:
        raise stopped


PARSER = Parser(
    "bodyfile", VERSION, match, ("file_query",), read, files=("*bodyfile*", "*.body"),
    rank=Rank.FILE_SYSTEM, text=True,
)  # fmt: skip
