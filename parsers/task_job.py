r"""Scheduled tasks before Windows Vista, and of programs that still write them: `Tasks\*.job`.

Specification: [MS-TSCH] 2.4; "Job file format" (libyal, dtformats).

    product (2)  version (2)  id (16)  place of the name (2)  of the triggers (2)  retries (2)
    interval (2)  idle deadline (2)  wait (2)  priority (4)  longest run (4)  exit code (4)
    status (4)  flags (4)  last run, SYSTEMTIME in local time (16)
    running (2)  then, each with its size: program, arguments, folder, author, comment, user data,
    reserved; number of triggers (2), 48 bytes each; a signature (68), not always

A file is one row of `job_activity` (class 5010).
"""

import re
import struct
from collections.abc import Iterator

import pyarrow as pa

from tracelake.parsers.artifact import Artifact, Match, Parser, Rank
from tracelake.parsers.clock import micros_of
from tracelake.parsers.pyrows import TRUNCATED, ZONE_ASSUMED, PyRows
from tracelake.parsers.shell_names import guid_text
from tracelake.parsers.whole import notes, whole

VERSION = "1"

JOB_QUERY = 5010
QUERY = 1
MOST = 4 << 20
FIXED = 68
TRIGGER = 48
TRIGGERS_MOST = 256
PRODUCTS = {
    0x0400: "Windows NT 4.0", 0x0500: "Windows 2000", 0x0501: "Windows XP",
    0x0502: "Windows Server 2003", 0x0600: "Windows Vista", 0x0601: "Windows 7",
    0x0602: "Windows 8", 0x0603: "Windows 8.1", 0x0A00: "Windows 10",
}  # fmt: skip
STATES = {0x41300: "ready", 0x41301: "running", 0x41302: "disabled", 0x41303: "has not run",
          0x41304: "no more runs", 0x41305: "not scheduled", 0x41306: "terminated"}
FLAGS = {
    0x1: "interactive", 0x2: "delete_when_done", 0x4: "disabled", 0x10: "start_only_if_idle",
    0x20: "kill_on_idle_end", 0x40: "dont_start_if_on_batteries",
    0x80: "kill_if_going_on_batteries", 0x100: "run_only_if_docked", 0x200: "hidden",
    0x400: "run_if_connected_to_internet", 0x800: "restart_on_idle_resume",
    0x1000: "system_required", 0x2000: "run_only_if_logged_on", 0x1000000: "application_name",
}  # fmt: skip
KINDS = ("once", "daily", "weekly", "monthly_date", "monthly_day_of_week", "on_idle",
         "at_system_start", "at_logon")
_TEXTS = ("program", "arguments", "working_directory", "author", "comment")


def match(head: bytes, path: str) -> tuple[Match, str]:
    """Whether an artifact is a job file, and why not."""
    if len(head) < FIXED + 2:
        return Match.NO, "too short for a job file"
    product, version = struct.unpack_from("<HH", head)
    name_at, triggers_at = struct.unpack_from("<HH", head, 20)
    if product in PRODUCTS and version == 1 and name_at == FIXED + 2 and triggers_at > name_at:
        return Match.CONTENT, ""
    return Match.NO, "no header of a job file"


class _Cut(Exception):
    """The file ends before a part of it."""


def _take(data: bytes, at: int, count: int, what: str) -> bytes:
    if at + count > len(data):
        raise _Cut(f"the file ends in {what}")
    return data[at : at + count]


def system_time(data: bytes, at: int) -> int | None:
    """Microseconds since 1970 of a SYSTEMTIME taken as UTC; None for none."""
    year, month, _, day, hour, minute, second, ms = struct.unpack_from("<8H", data, at)
    if not year or ms > 999:
        return None
    return micros_of(year, month, day, hour, minute, second, ms * 1000)


def trigger(data: bytes) -> str:
    """A trigger in one line; its dates are local time."""
    (year, month, day, to_year, to_month, to_day, hour, minute, duration, interval, flags, kind,
     first, second, third) = struct.unpack_from("<8HIIII3H", data, 4)
    name = KINDS[kind] if kind < len(KINDS) else str(kind)
    text = f"{name} start={year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}"
    if flags & 1:
        text += f" end={to_year:04}-{to_month:02}-{to_day:02}"
    if interval:
        text += f" every={interval}min for={duration}min"
    if kind in (1, 2, 3, 4):
        text += f" values={first},{second},{third}"
    return text + (" disabled" if flags & 4 else "")


def variable(data: bytes) -> tuple[dict[str, str], list[str], int, str]:
    """(texts by name, triggers, where they end, what could not be read)."""
    texts: dict[str, str] = {}
    triggers: list[str] = []
    at = FIXED + 2
    try:
        for name in _TEXTS:
            count = struct.unpack("<H", _take(data, at, 2, name))[0]
            body = _take(data, at + 2, 2 * count, name)
            texts[name] = body.decode("utf-16-le", "surrogatepass").rstrip("\0")
            at += 2 + 2 * count
        for name in ("user_data", "reserved"):
            count = struct.unpack("<H", _take(data, at, 2, name))[0]
            texts[name] = _take(data, at + 2, count, name).hex()
            at += 2 + count
        count = struct.unpack("<H", _take(data, at, 2, "the triggers"))[0]
        at += 2
        if count > TRIGGERS_MOST:
            return texts, triggers, at, f"claims {count} triggers"
        for _ in range(count):
            triggers.append(trigger(_take(data, at, TRIGGER, "a trigger")))
            at += TRIGGER
        if len(data) - at >= 68 and data[at : at + 4] == b"\1\0\1\0":
            texts["signature"] = data[at + 4 : at + 68].hex()
            at += 68
    except _Cut as error:
        return texts, triggers, at, str(error)
    return texts, triggers, at, ""


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields one row of `job_activity`.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; what could be is yielded before.
    """
    data, stopped = whole(artifact, MOST, "job file")
    rows = PyRows(artifact)
    if len(data) < FIXED + 2:
        if data:
            rows.damaged(0, len(data), "job file", "the file ends in its header", data)
    else:
        texts, triggers, end, why = variable(data)
        rows.seen(end)
        artifact.account.bytes_slack += len(data) - end
        _row(artifact, rows, data, texts, triggers, end, why)
    yield from rows.rest()
    if stopped is not None:
        raise stopped


def _row(
    artifact: Artifact, rows: PyRows, data: bytes, texts: dict[str, str], triggers: list[str],
    end: int, why: str,
) -> None:
    (product, _, uid, _, _, retries, interval, deadline, wait, priority, longest, code, status,
     flags) = struct.unpack_from("<HH16sHHHHHHIIIII", data)
    ran = system_time(data, 52)
    name = re.sub(r"\.job$", "", re.split(r"[/\\]", artifact.path)[-1], flags=re.IGNORECASE)
    command = f"{texts.get('program', '')} {texts.get('arguments', '')}".strip()
    rows.add(
        "job_activity", 0, end, data[:end],
        flags=(ZONE_ASSUMED if ran is not None else 0) | (TRUNCATED if why else 0),
        class_uid=JOB_QUERY, activity_id=QUERY, time=ran,
        time_desc="last_run" if ran is not None else None,
        job_name="\\" + name, job_cmd_line=command or None,
        job_desc=texts.get("comment") or None, job_last_run_time=ran,
        job_run_state=STATES.get(status, f"{status:#010x}"), result_code=f"{code:#010x}",
        unmapped=notes(
            product=PRODUCTS.get(product, f"{product:#06x}"), id=guid_text(uid),
            flags=" ".join(text for bit, text in FLAGS.items() if flags & bit),
            retries=retries or None, retry_interval_min=interval or None,
            idle_deadline_min=deadline or None, idle_wait_min=wait or None,
            priority=f"{priority:#x}", longest_run_ms=longest, triggers="\n".join(triggers),
            working_directory=texts.get("working_directory"), author=texts.get("author"),
            user_data=texts.get("user_data"), reserved=texts.get("reserved"),
            signature=texts.get("signature"), trouble=why,
        ),
    )  # fmt: skip


PARSER = Parser(
    "task_job",
    VERSION,
    match,
    ("job_activity",),
    read,
    files=("*/windows/tasks/*.job", "*/winnt/tasks/*.job", "*/tasks/*.job"),
    rank=Rank.USE,
)
