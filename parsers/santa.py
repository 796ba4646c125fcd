"""Logs of Santa, the execution policy of macOS (`santa.log`).

    [2022-02-09T16:47:01.893Z] I santad: action=EXEC|decision=ALLOW|...|args=ls -l

Specification: northpole.dev, "Logs"; google/santa, Source/santad/Logs. EXEC, FORK and EXIT are rows
of `process_activity`; WRITE, RENAME, LINK, DELETE and others of files are `file_activity`; disks
that come and go and everything else are `raw_event`.
"""

import re
from collections.abc import Iterator
from typing import Any

from tracelake.parsers.artifact import Artifact, Rank
from tracelake.parsers.linux_packages import moment
from tracelake.parsers.pyrows import PyRows
from tracelake.parsers.textfile import TextLine
from tracelake.parsers.textkinds import Kind, parser_of, passed, refused

VERSION = "1"

HEAD = re.compile(
    r"\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z\] (\w) santad?: (.*)$", re.DOTALL
)
FILES = {"WRITE": 3, "RENAME": 5, "LINK": 99, "DELETE": 4, "EXCHANGE": 3, "CLONE": 1, "UNLINK": 4,
         "CREATE": 1}  # fmt: skip
PROCESSES = {"EXEC": 1, "FORK": 1, "EXIT": 2}
LEVELS = {"D": 5, "I": 4, "W": 3, "E": 2, "F": 1}


def number(text: str | None) -> int | None:
    """A number, where it is one."""
    return int(text) if text and re.fullmatch(r"-?\d{1,18}", text) else None


def fields_of(text: str) -> dict[str, str]:
    """`name=value|name=value`; the arguments are last and may hold bars."""
    text, args, rest = text.partition("|args=")
    found = dict(part.partition("=")[::2] for part in text.split("|") if "=" in part)
    if args:
        found["args"] = rest
    return found


def read_log(lines: Iterator[TextLine], rows: PyRows, artifact: Artifact) -> Iterator[None]:
    """A line an event."""
    for line in lines:
        head = HEAD.match(line.text)
        if not line.raw.strip():
            passed(artifact, line)
            yield
            continue
        if head is None:
            refused(artifact, rows, line, "no time of Santa at its start")
            yield
            continue
        us, _ = moment(head.group(1) + "+00:00")
        nanoseconds = int((head.group(2) or "").ljust(9, "0"))
        said = fields_of(head.group(4))
        action = said.pop("action", "")
        common: dict[str, Any] = {
            "time": us + nanoseconds // 1000 if us is not None else None,
            "time_ns": nanoseconds % 1000, "log_provider": "santa", "event_code": action or None,
            "event_level": LEVELS.get(head.group(3)),
        }  # fmt: skip
        user = {"user_name": said.pop("user", None), "user_uid": said.pop("uid", None)}
        rows.seen(line.length)
        values: dict[str, Any]
        if action in PROCESSES:
            decision = said.pop("decision", None)
            path = said.pop("path", None)
            table, values = "process_activity", {
                "activity_id": PROCESSES[action], "proc_path": path,
                "proc_name": path.rsplit("/", 1)[-1] if path else None,
                "proc_sha256": said.pop("sha256", None), "proc_cmd_line": said.pop("args", None),
                "proc_pid": number(said.pop("pid", None)),
                "parent_pid": number(said.pop("ppid", None)),
                "proc_signer": said.pop("cert_cn", None),
                "action_id": {"ALLOW": 1, "DENY": 2}.get(decision or ""),
                "rule_name": said.pop("reason", None), **user,
            }  # fmt: skip
            if decision:
                said["decision"] = decision
        elif action in FILES:
            path, new = said.pop("path", None), said.pop("newpath", None)
            main = new if new and action in ("RENAME", "LINK", "CLONE") else path
            table, values = "file_activity", {
                "activity_id": FILES[action], "file_path": main,
                "file_name": main.rsplit("/", 1)[-1] if main else None,
                "file_prev_path": path if main is not path else None,
                "actor_pid": number(said.pop("pid", None)),
                "actor_name": said.pop("process", None),
                "actor_path": said.pop("processpath", None), **user,
            }  # fmt: skip
        else:
            table, values = "raw_event", {"message": head.group(4)}
            said |= {key: value for key, value in user.items() if value}
        rows.add(
            table, line.offset, line.length, line.raw, unmapped=said or None, **common, **values
        )
        yield


KINDS = (
    Kind("santa", None, re.compile(rb"\A\[\d{4}-\d\d-\d\dT[\d:.]+Z\] \w santad?: "), True,
         read_log),
)  # fmt: skip
PARSER = parser_of(
    "santa", VERSION, "a log of Santa", KINDS, ("process_activity", "file_activity", "raw_event"),
    ("*/santa*.log*",), Rank.EXECUTION,
)  # fmt: skip
