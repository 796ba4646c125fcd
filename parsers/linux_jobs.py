"""What a Linux host starts by itself: cron, systemd units and timers, rc.local, init scripts.

Specifications: crontab(5), anacrontab(5), systemd.unit(5), systemd.service(5), systemd.timer(5).
Each entry is a row of `artifact_query` (class 5022, startup items): the command in `cmd_line`, when
it runs in `detail`, as whom in `user_name`. A unit is one row with all its settings in `unmapped`.
"""

import re
from collections.abc import Iterator
from typing import Any

from tracelake.parsers.artifact import Artifact, Rank
from tracelake.parsers.pyrows import PyRows
from tracelake.parsers.textfile import TextLine
from tracelake.parsers.textkinds import Kind, is_comment, normal, parser_of, passed, refused

VERSION = "1"

STARTUP = 5022
QUERY = 1
ONE = r"(?:\*|[0-9A-Za-z]+(?:-[0-9A-Za-z]+)?)(?:/\d+)?"
FIELD = rf"{ONE}(?:,{ONE})*"
TIMES = re.compile(rf"\s*(@\w+|{FIELD}(?:\s+{FIELD}){{4}})\s+(.+)$")
ANACRON = re.compile(r"\s*(\d+|@\w+)\s+(\d+)\s+(\S+)\s+(.+)$")
SETTING = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*(.*)$")
SPOOL = re.compile(r"/spool/cron/(?:crontabs/|tabs/)?([^/]+)$")
EXEC = ("execstart", "execstartpre", "execstartpost", "execstop", "execreload")


def _add(
    rows: PyRows, artifact: Artifact, line: TextLine, kind: str, command: str | None, **values: Any
) -> None:
    rows.seen(line.length)
    words = (command or "").lstrip("-@:+!|").split(None, 1)
    path = words[0] if words else None
    rows.add(
        "artifact_query", line.offset, line.length, line.raw, class_uid=STARTUP,
        activity_id=QUERY, artifact=kind, cmd_line=command, key_path=artifact.path,
        subject_path=path if path and path.startswith("/") else None,
        subject_name=path.rsplit("/", 1)[-1] or None if path else None, **values,
    )  # fmt: skip


def read_cron(lines: Iterator[TextLine], rows: PyRows, artifact: Artifact) -> Iterator[None]:
    """Times and a command; in the system's own tables, a user between them."""
    path = normal(artifact.path)
    spool = SPOOL.search(path)
    system = spool is None and re.search(r"/etc/crontab$|/cron\.d/[^/]+$", path) is not None
    settings: dict[str, str] = {}
    for line in lines:
        found = TIMES.match(line.text)
        setting = SETTING.match(line.text)
        if is_comment(line):
            passed(artifact, line)
        elif found:
            user, command = (spool.group(1) if spool else None), found.group(2)
            if system and len(command.split(None, 1)) == 2:
                user, command = command.split(None, 1)
            _add(
                rows, artifact, line, "cron", command, user_name=user, detail=found.group(1),
                unmapped=dict(settings) or None,
            )  # fmt: skip
        elif setting:
            # For the commands after it.
            settings[setting.group(1)] = setting.group(2).strip("\"'")
            passed(artifact, line)
        else:
            refused(artifact, rows, line, "no times and command of cron")
        yield


def read_anacron(lines: Iterator[TextLine], rows: PyRows, artifact: Artifact) -> Iterator[None]:
    """Days, delay, name, command."""
    for line in lines:
        found = ANACRON.match(line.text)
        if is_comment(line) or SETTING.match(line.text):
            passed(artifact, line)
        elif found:
            _add(
                rows, artifact, line, "anacron", found.group(4),
                detail=f"every {found.group(1)} days", user_name="root",
                unmapped={"job": found.group(3), "delay_minutes": found.group(2)},
            )  # fmt: skip
        else:
            refused(artifact, rows, line, "no days and command of anacron")
        yield


def read_unit(lines: Iterator[TextLine], rows: PyRows, artifact: Artifact) -> Iterator[None]:
    """A unit of systemd: one row."""
    held: list[TextLine] = []
    settings: dict[str, str] = {}
    section = name = ""
    going_on = False
    for line in lines:
        held.append(line)
        text = line.text.strip()
        if going_on:
            settings[name] += " " + text.rstrip("\\").strip()
            going_on = text.endswith("\\")
        elif text.startswith("[") and text.endswith("]"):
            section = text[1:-1]
        elif text and text[0] not in "#;" and "=" in text:
            key, _, value = text.partition("=")
            name = f"{section}.{key.strip()}"
            value = value.rstrip("\\").strip()
            settings[name] = f"{settings[name]}\n{value}" if name in settings else value
            going_on = text.endswith("\\")
        if len(held) > 100_000:
            break
        yield
    if not held:
        return
    end = held[-1].offset + held[-1].length
    whole = TextLine(
        b"\n".join(line.raw for line in held), "", held[0].offset, end - held[0].offset
    )
    commands = [
        value for key, value in settings.items() if key.split(".", 1)[-1].lower() in EXEC
    ]
    start = settings.get("Service.ExecStart") or (commands[0] if commands else None)
    when = "; ".join(
        f"{key.split('.', 1)[1]}={value}" for key, value in settings.items()
        if key.startswith("Timer.On") or key in ("Timer.Unit", "Install.WantedBy")
    )  # fmt: skip
    unit = re.split(r"[/\\]", artifact.path)[-1]
    _add(
        rows, artifact, whole, "systemd", start, user_name=settings.get("Service.User"),
        detail=when or None, unmapped={"unit": unit, **settings},
    )  # fmt: skip


def read_script(lines: Iterator[TextLine], rows: PyRows, artifact: Artifact) -> Iterator[None]:
    """rc.local: each line that does something."""
    for line in lines:
        text = line.text.strip()
        if is_comment(line) or text in ("exit 0", "exit", "fi", "done", "then", "else"):
            passed(artifact, line)
        else:
            _add(rows, artifact, line, "rc_local", text, user_name="root", detail="at boot")
        yield


def read_init(lines: Iterator[TextLine], rows: PyRows, artifact: Artifact) -> Iterator[None]:
    """A script of init: one row, with what it says of itself between BEGIN and END INIT INFO."""
    held: list[TextLine] = []
    said: dict[str, str] = {}
    inside = False
    for line in lines:
        held.append(line)
        text = line.text.strip()
        if "BEGIN INIT INFO" in text:
            inside = True
        elif "END INIT INFO" in text:
            inside = False
        elif inside and text.startswith("#") and ":" in text:
            key, _, value = text.lstrip("# ").partition(":")
            said[key.strip()] = value.strip()
        elif text.startswith("# chkconfig:"):
            said["chkconfig"] = text.partition(":")[2].strip()
        yield
    if held:
        end = held[-1].offset + held[-1].length
        whole = TextLine(
            b"\n".join(line.raw for line in held), "", held[0].offset, end - held[0].offset
        )
        _add(
            rows, artifact, whole, "init_script", None, user_name="root",
            detail=said.get("Default-Start") or said.get("chkconfig"),
            unmapped={"script": re.split(r"[/\\]", artifact.path)[-1], **said},
        )  # fmt: skip


CRON = re.compile(
    r"/etc/(?:ana)?crontab$|/crontab(?:\.txt)?$|/cron\.d/[^/]+$|/spool/cron/(?:crontabs/|tabs/)?[^/]+$"
)
KINDS = (
    Kind("anacrontab", re.compile(r"/anacrontab$"),
         re.compile(rb"^\s*(?:\d+|@\w+)\s+\d+\s+\S+\s+\S", re.M), False, read_anacron),
    Kind("cron", CRON,
         re.compile(rb"^\s*(?:@\w+|[-*\d,/]+\s+[-*\d,/]+\s+[-*\d,/]+\s+[-*\w,/]+\s+[-*\w,/]+)\s+\S|^#",
                    re.M), False, read_cron),
    Kind("systemd", re.compile(r"\.(?:service|timer|socket|path|mount|target|automount|swap|slice)$"
                               r"|\.(?:service|timer|socket)\.d/[^/]+\.conf$"),
         re.compile(rb"^\[(?:Unit|Service|Timer|Socket|Install|Path|Mount|Automount|Swap|Slice)\]",
                    re.M), False, read_unit),
    Kind("rc.local", re.compile(r"/rc\.local$|/rc\.d/rc\.local$|/boot\.local$"), None, False,
         read_script),
    Kind("init script", re.compile(r"/init\.d/[^/]+$"),
         re.compile(rb"\A#!|BEGIN INIT INFO|chkconfig:"), False, read_init),
)  # fmt: skip

PARSER = parser_of(
    "linux_jobs", VERSION, "a cron table, a unit of systemd or a script that starts a host", KINDS,
    ("artifact_query",),
    ("*etc/crontab", "*etc/anacrontab", "*/cron.d/*", "*/spool/cron/*", "*etc/rc.local",
     "*etc/rc.d/rc.local", "*/init.d/*", "*.service", "*.timer", "*.socket",
     "*.service.d/*.conf", "*.timer.d/*.conf"),
    Rank.EXECUTION,
)  # fmt: skip
