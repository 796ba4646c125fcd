r"""Windows Error Reporting: what crashed or hung, with its path, hash and loaded modules.

`Report.wer` in `ReportArchive` and `ReportQueue`, of the host and of each user: lines
`name=value`, UTF-16. No specification; names are those of Windows Vista to 11. The file's hash
stands in `TargetAppId=W:0006<id of the program>!0000<SHA-1>!<file>`.

A report is one row of `artifact_query`, artifact `wer`.
"""

import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from tracelake.parsers.artifact import Artifact, Match, Parser, Rank
from tracelake.parsers.pyrows import PyRows
from tracelake.parsers.whole import moment, notes, whole
from tracelake.parsers.wide_text import decode, encoding

VERSION = "1"

PROCESS_QUERY = 5015
QUERY = 1
MOST = 8 << 20
LINES_MOST = 65536
_SHA1 = re.compile(r"!0000([0-9a-fA-F]{40})!")
_MODULE = re.compile(r"LoadedModule\[\d+\]$")
_KEPT = ("EventType", "FriendlyEventName", "ReportIdentifier", "ReportDescription", "Response.type",
         "ConsentKey", "UploadTime", "OriginalFilename", "TargetAppVer", "BootId")


def match(head: bytes, path: str) -> tuple[Match, str]:
    """Whether an artifact is an error report, and why not."""
    codec, mark = encoding(head[:64])
    if head[mark : mark + 16].startswith("Version=".encode(codec)):
        text = head[mark : mark + 1024].decode(codec, "replace")
        if "EventType=" in text and "EventTime=" in text:
            return Match.CONTENT, ""
    return Match.NO, "no head of an error report"


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields one row of `artifact_query`.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; what could be is yielded before.
    """
    data, stopped = whole(artifact, MOST, "error report")
    rows = PyRows(artifact)
    codec, mark = encoding(data)
    text, flags = decode(data[mark:], codec)
    said: dict[str, str] = {}
    modules: list[str] = []
    for line in text.splitlines()[:LINES_MOST]:
        name, equals, value = line.strip("\0\ufeff").partition("=")
        if _MODULE.match(name):
            modules.append(value)
        elif equals:
            said.setdefault(name, value)
    if "EventType" in said:
        rows.seen(len(data))
        _row(rows, data, said, modules, text, flags)
    elif data:
        rows.damaged(0, len(data), "error report", "it does not say what happened", data[:256])
    yield from rows.rest()
    if stopped is not None:
        raise stopped


def _row(
    rows: PyRows, data: bytes, said: dict[str, str], modules: list[str], text: str, flags: int
) -> None:
    ticks = said.get("EventTime", "")
    us, ns = moment(int(ticks)) if ticks.isdigit() and len(ticks) < 20 else (None, None)
    signature = {
        said[f"{kind}[{number}].Name"]: said.get(f"{kind}[{number}].Value", "")
        for kind in ("Sig", "DynamicSig") for number in range(32)
        if said.get(f"{kind}[{number}].Name")
    }
    path = said.get("AppPath") or said.get("NsAppPath") or ""
    # Not every report is of a program: of a failed update, too.
    first = said.get("Sig[0].Value", "")
    names = (path.rsplit("\\", 1)[-1], first if first.lower().endswith(".exe") else "")
    found = _SHA1.search(said.get("TargetAppId", "")[:1024])
    pid = said.get("Pid", "") or said.get("TargetAppPid", "")
    values: dict[str, Any] = {
        "subject_path": path or None, "subject_name": next((n for n in names if n), None),
        "subject_sha1": found.group(1).lower() if found else None,
        "subject_version": said.get("Sig[1].Value") or None,
        "detail": said.get("FriendlyEventName") or said.get("EventType"),
        "pid": int(pid) if pid.isdigit() and len(pid) < 12 else None,
    }
    rows.add(
        "artifact_query", 0, len(data), data, flags=flags, class_uid=PROCESS_QUERY,
        activity_id=QUERY, artifact="wer", time=us, time_ns=ns,
        time_desc="reported" if us is not None else None,
        is_executed=True if path else None, referenced=modules,
        unmapped=notes(**{name: said.get(name) for name in _KEPT}, **{
            f"signature {name}": value for name, value in signature.items()}, text=text),
        **values,
    )  # fmt: skip


PARSER = Parser(
    "wer",
    VERSION,
    match,
    ("artifact_query",),
    read,
    files=("*.wer",),
    rank=Rank.USE,
    text=True,
)
